"""How the command line describes an experiment: a settings file, options by name, and ``--set`` for all the rest."""

from __future__ import annotations

import argparse
import copy
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from cortexsnn.errors import InputError

__all__ = ["add_experiment_options", "experiment_description", "read_settings", "read_sweep"]

# Option, place in the description, type, default as shown, meaning.
_OPTIONS: tuple[tuple[str, str, Callable[[str], Any], str, str], ...] = (
    ("--data", "data.name", str, "mts_xor", "mts_xor or another task, or a folder with spike files (SHD)"),
    ("--channels-per-group", "data.channels_per_group", int, "1", "sum neighbouring cochlear channels"),
    ("--layers", "network.layers", int, "4", "hidden layers"),
    ("--width", "network.width", int, "32", "neurons of each hidden layer"),
    ("--readout-tau-ms", "network.readout_tau_ms", float, "50", "time constant of the readout"),
    ("--dropout", "network.dropout", float, "0.1", "probability that a hidden spike is dropped in training"),
    ("--reset", "network.reset", str, "subtract", "subtract, subtract_decayed or zero"),
    ("--surrogate", "network.surrogate", str, "box", "box, triangle, fast_sigmoid or arctan"),
    ("--hierarchy", "hierarchy.profile", str, "linear",
     "homogeneous, linear, geometric, tanh, reversed or shuffled"),
    ("--tau-ms", "hierarchy.tau_ms", float, "300", "mean membrane time constant"),
    ("--span-ms", "hierarchy.span_ms", float, "500", "last minus first membrane time constant"),
    ("--centre", "hierarchy.centre", float, "0.5", "depth of the steepest rise (tanh)"),
    ("--steepness", "hierarchy.steepness", float, "0.5", "width of the rise (tanh)"),
    ("--learned-tau", "hierarchy.learned", str, "no", "learn the time constants: no, neuron or layer"),
    ("--kernel-size", "convolution.kernel_size", int, "1", "mean taps of the convolution over time"),
    ("--kernel-span", "convolution.kernel_span", int, "0", "last minus first kernel size"),
    ("--dilation", "convolution.dilation", int, "1", "mean steps between taps"),
    ("--dilation-span", "convolution.dilation_span", int, "0", "last minus first dilation"),
    ("--protocol", "protocol.name", str, "default", "default, or paper for its quirks"),
    ("--epochs", "protocol.epochs", int, "60", "passes over the training split"),
    ("--batch-size", "protocol.batch_size", int, "256", "trials in a mini-batch"),
    ("--learning-rate", "protocol.learning_rate", float, "0.01", "at the start"),
    ("--first-decay-epoch", "protocol.schedule.first", int, "25", "first fall of the learning rate"),
    ("--decay-every", "protocol.schedule.every", int, "10", "epochs between falls"),
)  # fmt: skip


def add_experiment_options(parser: argparse.ArgumentParser) -> None:
    """Add the options that describe an experiment; what is not given is not in the parsed namespace.

    Parameters
    ----------
    parser : argparse.ArgumentParser
    """
    parser.add_argument("--settings", type=Path, default=None, metavar="FILE", help="TOML file of an experiment")
    for option, _, kind, default, meaning in _OPTIONS:
        parser.add_argument(option, type=kind, default=argparse.SUPPRESS, help=f"{meaning} (default: {default})")
    parser.add_argument("--recurrent", action="store_true", default=argparse.SUPPRESS,
                        help="connect the neurons of each layer")  # fmt: skip
    parser.add_argument(
        "--set", action="append", default=[], metavar="NAME=VALUE", dest="changes",
        help="any other value of the experiment, such as hierarchy.spread=0.2; may be repeated",
    )  # fmt: skip


def _put(description: dict[str, Any], path: str, value: Any) -> None:
    *groups, name = path.split(".")
    place = description
    for group in groups:
        place = place.setdefault(group, {})
        if not isinstance(place, dict):
            raise InputError(f"--set {path}", value, f"a path through groups, but '{group}' is a value")
    place[name] = value


def _read_value(text: str) -> Any:
    """A TOML value; a bare word is a string."""
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def read_settings(path: Path) -> dict[str, Any]:
    """Read a TOML file.

    Parameters
    ----------
    path : path

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If there is no such file or it is no TOML.
    """
    from cortexsnn.files import existing_file  # imports HDF5, which every other use of the options would wait for

    checked = existing_file(path, "settings file")
    try:
        return tomllib.loads(checked.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError("settings file", str(path), "a TOML file", str(error)) from None


def read_sweep(path: Path) -> tuple[dict[str, Any], dict[str, list[Any]], list[int] | None]:
    """Read the settings of a sweep from a TOML file.

    Parameters
    ----------
    path : path

    Returns
    -------
    base : dict
        What all runs have in common.
    vary : dict of str to list
        Values of each dotted name that varies.
    seeds : list of int or None

    Raises
    ------
    InputError
        If the file has anything else in it.
    """
    settings = read_settings(path)
    if unknown := sorted(settings.keys() - {"base", "vary", "seeds"}):
        raise InputError(f"'{unknown[0]}' in {path}", settings[unknown[0]],
                         "the tables [base] and [vary] and the list seeds, nothing else")  # fmt: skip
    base, vary, seeds = settings.get("base", {}), settings.get("vary", {}), settings.get("seeds")
    for name, table in (("base", base), ("vary", vary)):
        if not isinstance(table, dict):
            raise InputError(f"'{name}' in {path}", table, f"a table [{name}]")
    for name, values in vary.items():
        if isinstance(values, dict):
            raise InputError(f"'{name}' under [vary] in {path}", values, "a list of values",
                             f'quote dotted names: "{name}.{next(iter(values), "NAME")}" = [...]')  # fmt: skip
    if seeds is not None and not (isinstance(seeds, list) and all(type(seed) is int and seed >= 0 for seed in seeds)):
        raise InputError(f"'seeds' in {path}", seeds, "a list of whole numbers of at least 0")
    for group, dot, _ in (name.partition(".") for name in vary):
        if dot:  # a group may have nothing but what varies
            base.setdefault(group, {})
    return base, vary, seeds


def experiment_description(options: argparse.Namespace) -> dict[str, Any]:
    """The description of the experiment: the settings file, changed by named options, changed by ``--set``.

    Parameters
    ----------
    options : argparse.Namespace
        Of a parser with `add_experiment_options` and an option ``--seed``, which is None if it is not given.

    Returns
    -------
    dict
        For `cortexsnn.experiment.Experiment.described`.

    Examples
    --------
    >>> parser = argparse.ArgumentParser()
    >>> add_experiment_options(parser)
    >>> experiment_description(parser.parse_args(["--layers=2", "--set", "hierarchy.spread=0.2"]))
    {'network': {'layers': 2}, 'hierarchy': {'spread': 0.2}}
    """
    given: Mapping[str, Any] = vars(options)
    description = {} if options.settings is None else copy.deepcopy(read_settings(options.settings))
    for option, path, *_ in _OPTIONS:
        name = option.removeprefix("--").replace("-", "_")
        if name in given:
            _put(description, path, given[name])
    if "recurrent" in given:
        _put(description, "network.recurrent", True)
    if given.get("seed") is not None:
        description["seed"] = given["seed"]
    for change in options.changes:
        path, equals, text = change.partition("=")
        if not equals or not path:
            raise InputError("--set", change, "NAME=VALUE, such as hierarchy.spread=0.2")
        _put(description, path, _read_value(text))
    return description
