"""The one validator of `Network`: every field that a simulator relies on is checked here and nowhere else."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import choice, whole
from cortexsnn.errors import InputError

if TYPE_CHECKING:
    from cortexsnn.network.description import Network
    from cortexsnn.network.parts import Population, Projection

__all__ = ["DECODERS", "KINDS", "RESETS", "Kind", "update_order", "validate"]

Kind = Literal["input", "lif", "readout"]

KINDS: tuple[Kind, ...] = ("input", "lif", "readout")
RESETS = ("subtract", "subtract_decayed", "zero")
DECODERS = ("sum_of_softmax", "per_step")

# Brian2 makes C++ identifiers of these names, and calls its monitors and projections after them.
_TAKEN_ENDINGS = (
    *("_spikes", "_potential", "_raster", "_replay"),
    *("_between_trials", "_start_of_trial", "_before_decay", "_before_threshold"),
)
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")


def _values(array: NDArray[np.float64], size: int, field: str, *, positive: bool = False) -> None:
    """Check shape, finiteness and sign of one per-neuron array, and name the first bad neuron."""
    if array.shape != (size,):
        raise InputError(f"shape of {field}", array.shape, f"({size},), one value per neuron")
    bad = ~np.isfinite(array)
    expected = "finite numbers"
    if positive:
        bad |= ~(array > 0)
        expected = "finite numbers above 0"
    if bad.any():
        first = int(np.flatnonzero(bad)[0])
        raise InputError(f"{field}[{first}]", float(array[first]), expected, f"{int(bad.sum())} of {size} are bad")


def _validate_population(population: Population) -> None:
    name = population.name
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise InputError("population name", name, "a letter followed by letters, digits or underscores, at most 64")
    if name == "network_clock" or "_to_" in name or name.endswith(_TAKEN_ENDINGS):
        raise InputError("population name", name, "a name that no other part of the network takes",
                         f"leave out '_to_' and the endings {', '.join(_TAKEN_ENDINGS)}")  # fmt: skip
    where = f"of population '{name}'"
    choice(f"kind {where}", population.kind, KINDS)
    whole(f"size {where}", population.size, 1, "a whole number of neurons")
    if population.kind == "input":
        return
    _values(population.tau_s, population.size, f"tau_s {where}", positive=True)
    _values(population.bias, population.size, f"bias {where}")
    if population.kind == "readout":
        return
    _values(population.threshold, population.size, f"threshold {where}", positive=True)
    choice(f"reset {where}", population.reset, RESETS)
    whole(f"refractory_steps {where}", population.refractory_steps, 0, "a whole number of steps")
    if population.adaptation is not None:
        _values(population.adaptation.strength, population.size, f"adaptation_strength {where}")
        if np.any(population.adaptation.strength < 0):
            raise InputError(
                f"adaptation_strength {where}", population.adaptation.strength.min(), "values of at least 0"
            )
        _values(population.adaptation.tau_s, population.size, f"adaptation_tau_s {where}", positive=True)


def _validate_projection(projection: Projection, populations: dict[str, Population]) -> None:
    where = f"of projection '{projection.name}'"
    for end in ("source", "target"):
        choice(f"{end} {where}", getattr(projection, end), populations)
    source, target = populations[projection.source], populations[projection.target]
    if source.kind == "readout":
        raise InputError(f"source {where}", source.name, "a population that spikes", "readouts never fire")
    if target.kind == "input":
        raise InputError(f"target {where}", target.name, "a LIF or readout population", "inputs receive nothing")
    if not projection.delay_steps:
        raise InputError(f"delay_steps {where}", projection.delay_steps, "one delay for each tap, at least one")
    for delay in projection.delay_steps:
        whole(f"delay_steps {where}", delay, 0, "whole time steps")
    if len(set(projection.delay_steps)) != len(projection.delay_steps):
        raise InputError(f"delay_steps {where}", projection.delay_steps, "each delay once", "add up their weights")
    if source.name == target.name and min(projection.delay_steps) < 1:
        raise InputError(f"delay_steps {where}", projection.delay_steps, "at least 1 in a recurrent projection")
    shape = (len(projection.delay_steps), target.size, source.size)
    if projection.weight.shape != shape:
        raise InputError(f"shape of weight {where}", projection.weight.shape, f"{shape}: taps, target, source")
    bad = ~np.isfinite(projection.weight)
    if bad.any():
        tap, post, pre = (int(axis[0]) for axis in np.nonzero(bad))
        raise InputError(f"weight[{tap}, {post}, {pre}] {where}", float(projection.weight[tap, post, pre]),
                         "finite numbers", f"{int(bad.sum())} of {bad.size} are bad")  # fmt: skip


def _all_unique(names: list[str], what: str) -> None:
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(what, repeated[0], "each name once")


def validate(network: Network) -> None:
    """Check every field of a network, and stop at the first that cannot be simulated.

    Parameters
    ----------
    network : Network

    Raises
    ------
    InputError
        If a field cannot be simulated; the message names it.
    """
    if not isinstance(network.dt_s, float) or not np.isfinite(network.dt_s) or network.dt_s <= 0:
        raise InputError("dt_s", network.dt_s, "a positive number of seconds", "a step of 1 ms is dt_s=0.001")
    for population in network.populations:
        _validate_population(population)
    _all_unique([p.name for p in network.populations], "population name")
    if not network.inputs:
        raise InputError("populations", [p.name for p in network.populations], "at least one of kind 'input'")
    populations = {p.name: p for p in network.populations}
    for projection in network.projections:
        _validate_projection(projection, populations)
    _all_unique([p.name for p in network.projections], "projection")
    update_order(network)
    if network.decoder is not None:
        choice("decoder", network.decoder, DECODERS)
    if network.decoder is not None and len(network.readouts) != 1:
        raise InputError(
            "readout populations", [p.name for p in network.readouts], "exactly one, since there is a decoder"
        )
    try:
        json.dumps(dict(network.metadata), allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError("metadata", network.metadata, "what JSON can say", str(error)) from None


def update_order(network: Network) -> tuple[Population, ...]:
    """Sort the populations so that every zero-delay projection leads forward; ties keep the given order.

    Parameters
    ----------
    network : Network

    Returns
    -------
    tuple of Population
        Without the inputs.

    Raises
    ------
    InputError
        If projections without delay form a cycle.
    """
    waiting = {p.name: p for p in network.populations if p.kind != "input"}
    sources: dict[str, set[str]] = {name: set() for name in waiting}
    for projection in network.projections:
        if 0 in projection.delay_steps and projection.source in waiting:
            sources[projection.target].add(projection.source)
    ordered: list[Population] = []
    while waiting:
        ready = next((name for name in waiting if not sources[name] & waiting.keys()), None)
        if ready is None:
            raise InputError("projections without delay", sorted(waiting), "no cycle among these populations",
                             "give one of the projections a delay of at least one step")  # fmt: skip
        ordered.append(waiting.pop(ready))
    return tuple(ordered)
