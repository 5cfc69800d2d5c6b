"""The command line: one verb for each arrow from data to report, each reading and writing files."""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

import cortexsnn
from cortexsnn.arguments import add_experiment_options, experiment_description, read_sweep
from cortexsnn.data_verbs import add_data_verbs
from cortexsnn.errors import InputError

if TYPE_CHECKING:
    import xarray as xr

    from cortexsnn.datasets import Dataset
    from cortexsnn.network import Network

__all__ = ["main"]

_PROG = "cortexsnn"
_RESUMED = {"train", "sweep", "simulate", "demo", "data"}
_INPUT, _BOOTSTRAP, _PERMUTATIONS = 1, 2, 3  # streams of random numbers of one seed


def _train(options: argparse.Namespace) -> None:
    import torch

    from cortexsnn import training
    from cortexsnn.experiment import Experiment
    from cortexsnn.summary import layer_rows
    from cortexsnn.terminal import show_table

    # One thread: small networks gain nothing from more, and results are the same on any number of cores.
    torch.set_num_threads(1)
    experiment = Experiment.described(experiment_description(options))
    dataset = experiment.dataset()
    architecture = experiment.architecture(dataset)
    if not options.quiet:
        show_table("Before training", *layer_rows(architecture))
    result = training.fit(
        dataset,
        architecture,
        experiment.training_protocol(),
        folder=options.out,
        device=options.device,
        test=experiment.test,
        tensorboard=options.tensorboard,
        progress=not options.quiet,
    )
    which = "test" if experiment.test else "validation"
    accuracy = 100 * result.network.metadata[f"{which}_accuracy"]
    print(f"{which} accuracy {accuracy:.1f} %: {options.out / 'network.safetensors'}")


def _sweep(options: argparse.Namespace) -> int:
    from cortexsnn import sweeps
    from cortexsnn.experiment import Experiment
    from cortexsnn.summary import sweep_rows
    from cortexsnn.terminal import show_table

    base, vary, seeds = read_sweep(options.settings)
    descriptions = sweeps.grid(base, vary, seeds)
    for description in descriptions:
        Experiment.described(description).check()
    table = sweeps.run_sweep(
        descriptions,
        "cortexsnn.experiment:run",
        options.out,
        scheduler=options.scheduler,
        workers=options.workers,
        retry_failed=options.retry_failed,
        progress=not options.quiet,
    )
    show_table("Accuracy", *sweep_rows(table))
    failed = int((table["status"] == "failed").sum())
    print(f"{table.sizes['run'] - failed} runs done, {failed} failed: {options.out / 'sweep.nc'}")
    return 1 if failed else 0


def _network_and_data(options: argparse.Namespace) -> tuple[Network, Dataset]:
    from cortexsnn import datasets
    from cortexsnn.network import Network

    network = Network.load(options.network)
    return network, datasets.load_described(network.metadata.get("dataset", {}), options.data)


def _simulate(options: argparse.Namespace) -> None:
    from cortexsnn import brian, pipeline, recording
    from cortexsnn.summary import counted
    from cortexsnn.trials import spontaneous_trials, task_trials

    if options.input == "test" and options.like:
        raise InputError("--like", options.like, "--input spontaneous with it", "test trials are as long as they are")
    if options.input == "test" and options.measure:
        raise InputError("--measure", options.measure, "--input spontaneous with it", "test trials are of no study")
    network, dataset = _network_and_data(options)
    seed = None
    if options.input == "test":
        trials = task_trials(dataset, options.trials)
    else:
        seed = options.seed
        rng = np.random.default_rng([seed, _INPUT])
        study = _study(options.like or pipeline.USUAL_TABLE, options.measure)
        trials = spontaneous_trials(network, dataset, options.trials, rng, study=study)
    # Blocks go to disk as they come, so that an interrupted run goes on.
    recorded = brian.simulate(
        network, trials.counts, device=options.device, path=options.out, progress=not options.quiet
    )
    recording.save(pipeline.annotated(recorded, options.input, trials, seed), options.out)
    reason = f" ({trials.reason})" if trials.reason else ""
    print(f"{counted(recorded.sizes['trial'], 'trial')}{reason}: {options.out}")


def _study(like: str, measure: str | None) -> xr.Dataset | None:
    """The table whose protocol is used, of one measure; None for none."""
    from cortexsnn import cortex

    if like == "none":
        if measure is not None:
            raise InputError("--measure", measure, "a table to take it from", "--like TABLE names one")
        return None
    table = cortex.open_table(like)
    return table if measure is None else cortex.rows(table, measure=measure)


def _agree(options: argparse.Namespace) -> int:
    from cortexsnn import pipeline, recording
    from cortexsnn.runs import save_agreement
    from cortexsnn.trials import task_trials

    network, dataset = _network_and_data(options)
    trials = task_trials(dataset, options.trials)
    recorded, agreement = pipeline.check_simulators(
        network, trials, runtime_trials=options.runtime_trials, progress=not options.quiet
    )
    recording.save(pipeline.annotated(recorded, "test", trials), options.recording)
    save_agreement(agreement, options.out)
    print(f"{pipeline.agreement_in_words(agreement)}: {options.out}")
    return 0 if pipeline.agrees(agreement) else 1


def _timescales(options: argparse.Namespace) -> None:
    from cortexsnn import cortex, pipeline, recording, timescales
    from cortexsnn.summary import counted

    own = options.estimator or options.per
    if own and options.like not in (None, "none"):
        raise InputError("--estimator and --per", own, "neither with --like", "the study says how it measured")
    usual = "none" if own or options.bin_ms is not None else pipeline.USUAL_TABLE
    study = _study(options.like or usual, options.measure)
    recorded = recording.load(options.recording)
    rng = np.random.default_rng([options.seed, _BOOTSTRAP])
    how = {"start_ms": options.start_ms, "bootstrap": options.bootstrap, "rng": rng, "progress": not options.quiet}
    max_lag_ms = {} if options.max_lag_ms is None else {"max_lag_ms": options.max_lag_ms}
    if study is None:
        estimator = options.estimator or "pearson_trials"
        bin_ms, how["start_ms"] = pipeline.measuring_protocol(recorded, options.bin_ms, options.start_ms, estimator)
        per: Literal["layer", "neuron"] = options.per or "layer"
        result = timescales.estimate(recorded, estimator, per=per, bin_ms=bin_ms, **how, **max_lag_ms)
    else:
        chosen = max_lag_ms | ({} if options.bin_ms is None else {"bin_ms": options.bin_ms})
        result = cortex.measure_like(recorded, study, **how, **chosen)
        print(f"measured as in {result.attrs['protocol_table']} (--like none for the whole window):")
        for kind in ("matched", "unmatched", "caution"):
            print("".join(f"  {kind}: {item}\n" for item in result.attrs[f"protocol_{kind}"].splitlines()), end="")
    timescales.save(result.assign_attrs(seed=options.seed), options.out)
    if result.attrs["per"] == "neuron":
        for layer, of_layer in result.groupby("layer"):
            tau_ms = of_layer["tau_ms"].to_numpy()
            known = np.isfinite(tau_ms)
            middle = f", median {np.median(tau_ms[known]):.0f} ms" if known.any() else ""
            print(f"{layer}: {known.sum()} of {counted(known.size, 'neuron')} with a timescale{middle}")
        return
    for layer in result["layer"].to_numpy().astype(str):
        one = result.sel(layer=layer)
        if np.isfinite(one["tau_ms"]):
            value = f"{float(one['tau_ms']):.0f} ms [{float(one['tau_low_ms']):.0f}, {float(one['tau_high_ms']):.0f}]"
        else:
            value = f"no timescale: {one['reason'].item()}"
        print(f"{layer}: {value}")


def _compare(options: argparse.Namespace) -> None:
    from cortexsnn import pipeline
    from cortexsnn.summary import contrast_rows, correlation_rows, protocol_sentences, slope_rows
    from cortexsnn.terminal import show_table

    rng = np.random.default_rng([options.seed, _PERMUTATIONS])
    table = options.table or pipeline.USUAL_TABLE
    comparison = pipeline.compare_files(
        options.timescales, options.out, table, rng, measure=options.measure, stream=options.stream
    )
    show_table("Depth and timescale", *correlation_rows(comparison))
    show_table("Slopes of ln τ", *slope_rows(comparison))
    if comparison.sizes["contrast"]:
        show_table("Pairs of conditions", *contrast_rows(comparison))
    for sentence in protocol_sentences(comparison):
        print(sentence)


def _report(options: argparse.Namespace) -> None:
    from cortexsnn.report import write_report

    write_report(options.folder, options.out)
    print(f"report: {options.out}")


def _demo(options: argparse.Namespace) -> None:
    from cortexsnn.demo import run_demo

    out = options.out or Path("demo" if options.data == "mts_xor" else f"demo-{Path(options.data).resolve().name}")
    run_demo(options.data, out, seeds=options.seeds)


def _whole(lowest: int) -> Callable[[str], int]:
    """An argument type: a whole number that is at least `lowest`."""

    def read(text: str) -> int:
        value = int(text)
        if value < lowest:
            raise argparse.ArgumentTypeError(f"{value} is given; expected at least {lowest}")
        return value

    read.__name__ = "whole number"
    return read


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=_PROG, description=cortexsnn.__doc__)
    parser.add_argument("--version", action="version", version=f"{_PROG} {cortexsnn.__version__}")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    add = partial(verbs.add_parser, formatter_class=argparse.ArgumentDefaultsHelpFormatter)
    quiet = argparse.ArgumentParser(add_help=False)
    quiet.add_argument("--quiet", action="store_true", help="show no progress")
    seeded = argparse.ArgumentParser(add_help=False)
    seeded.add_argument("--seed", type=_whole(0), default=0, help="seed of all random numbers")

    add_data_verbs(add, quiet, seeded, _whole)

    train = add("train", parents=[quiet], help="data set -> network", formatter_class=argparse.HelpFormatter)
    train.add_argument(
        "--out", type=Path, required=True, metavar="RUN", help="folder of the run; goes on if it is there"
    )
    train.add_argument("--seed", type=_whole(0), default=None, help="seed of all random numbers; 0 if not given")
    train.add_argument("--device", default="cpu", help="where torch computes: cpu or cuda")
    train.add_argument("--tensorboard", action="store_true", help="write an event file for TensorBoard too")
    add_experiment_options(train)
    train.set_defaults(run=_train)

    sweep = add("sweep", parents=[quiet], help="settings file -> many networks and their table")
    sweep.add_argument("settings", type=Path, help="TOML file with [base], [vary] and seeds")
    sweep.add_argument("--out", type=Path, required=True, metavar="SWEEP", help="folder; goes on if it is there")
    sweep.add_argument("--workers", type=_whole(1), default=None, help="processes; as many as cores if not given")
    sweep.add_argument("--scheduler", default=None, help="address of a Dask scheduler, for workers elsewhere")
    sweep.add_argument("--retry-failed", action="store_true", help="try the runs again that failed")
    sweep.set_defaults(run=_sweep)

    given = argparse.ArgumentParser(add_help=False)
    given.add_argument("network", type=Path, help="network file")
    given.add_argument("--out", type=Path, required=True, help="file to write (.nc)")
    given.add_argument("--data", type=Path, default=None, help="folder of the data, if they are not where they were")

    simulate = add("simulate", parents=[quiet, seeded, given], help="network -> recording")
    simulate.add_argument(
        "--input", choices=("test", "spontaneous"), default="test", help="test trials or Poisson input"
    )
    simulate.add_argument(
        "--trials",
        type=_whole(1),
        default=None,
        help="number of test trials, all if not given; or of trials of the study, several of which a spontaneous one "
        "may hold, as many as it had or 200",
    )
    simulate.add_argument(
        "--like", default=None, help="cortical table for whose trials it is long enough; murray2014, or none"
    )
    simulate.add_argument("--measure", default=None, help="quantity, of a table that has several")
    simulate.add_argument(
        "--device", default="cpp_standalone", help="cpp_standalone, numpy, cython, cuda_standalone or auto"
    )
    simulate.set_defaults(run=_simulate)

    agree = add("agree", parents=[quiet, given], help="network -> agreement of reference, torch and Brian2")
    agree.add_argument("--recording", type=Path, required=True, help="recording of the test trials to write (.nc)")
    agree.add_argument("--trials", type=_whole(1), default=None, help="number of test trials; all if not given")
    agree.add_argument("--runtime-trials", type=_whole(1), default=32, help="trials for Brian2's slow runtime")
    agree.set_defaults(run=_agree)

    timescales = add("timescales", parents=[quiet, seeded], help="recording -> timescales")
    timescales.add_argument("recording", type=Path, help="recording file")
    timescales.add_argument("--out", type=Path, required=True, help="timescales file to write (.nc)")
    timescales.add_argument("--estimator", default=None, help="that of the study if not given, see docs/estimators.md")
    timescales.add_argument("--per", choices=("layer", "neuron"), default=None, help="one for each; as in the study")
    timescales.add_argument(
        "--like",
        default=None,
        help="cortical table whose protocol is used as far as it is known; murray2014 if no estimator, --per or bin is "
        "given, none for the whole window",
    )
    timescales.add_argument("--measure", default=None, help="quantity, of a table that has several")
    timescales.add_argument("--bin-ms", type=float, default=None, help="width of a bin; that of the study, about")
    timescales.add_argument(
        "--start-ms", type=float, default=None, help="start of the window; after the burn-in if not given"
    )
    timescales.add_argument("--max-lag-ms", type=float, default=None, help="longest lag; at most 1 s if not given")
    timescales.add_argument("--bootstrap", type=_whole(0), default=200, help="bootstrap draws")
    timescales.set_defaults(run=_timescales)

    compare = add("compare", parents=[seeded], help="timescales -> comparison with cortex")
    compare.add_argument("timescales", type=Path, nargs="+", help="timescales files, each in the folder of its run")
    compare.add_argument("--out", type=Path, required=True, help="comparison file to write (.nc)")
    compare.add_argument(
        "--table", default=None, help="cortical table, or a CSV file of your own; murray2014 if not given"
    )
    compare.add_argument("--measure", default=None, help="quantity, of a table that has several")
    compare.add_argument("--stream", default=None, help="pathway of the table; visual-prefrontal, or the only one")
    compare.set_defaults(run=_compare)

    report = add("report", help="folder of runs -> HTML report")
    report.add_argument("folder", type=Path, help="folder with comparison.nc and the runs/NAME/ in it")
    report.add_argument("--out", type=Path, required=True, help="HTML file to write")
    report.set_defaults(run=_report)

    demo = add("demo", help="all of it")
    demo.add_argument("--data", default="mts_xor", help="mts_xor, or a folder with spike files in the layout of SHD")
    demo.add_argument("--out", type=Path, default=None, help="folder to write; demo, or demo-NAME for data; goes on")
    demo.add_argument("--seeds", type=_whole(1), default=3, help="networks of each condition")
    demo.set_defaults(run=_demo)
    return parser


def _interrupt(*_: object) -> None:
    """Being ended is like being interrupted: children are ended too, temporary files removed."""
    raise KeyboardInterrupt


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    arguments : sequence of str, optional
        Those of the process if not given.

    Returns
    -------
    int
        0; 1 if simulators disagree, training broke down or a run of a sweep failed; 2 if something given cannot be
        used (one line on standard error says what would be right); 130 if it was interrupted.

    Examples
    --------
    >>> main(["report", "no-such-folder", "--out", "report.html"])
    2
    """
    options = _parser().parse_args(arguments)
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        return int(options.run(options) or 0)
    except InputError as error:
        print(f"{_PROG} {options.verb}: {error}", file=sys.stderr)
        return 2
    except ModuleNotFoundError as error:
        if error.name in {"distributed", "dask"}:
            print(f"{_PROG} {options.verb}: {error}", file=sys.stderr)
            return 2
        if error.name != "torch":
            raise
        print(f"{_PROG} {options.verb}: torch is not installed; pip install 'cortexsnn[train]'", file=sys.stderr)
        return 2
    except FloatingPointError as error:
        print(f"{_PROG} {options.verb}: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"{_PROG} {options.verb}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        goes_on = "; the same command goes on from what is there" if options.verb in _RESUMED else ""
        print(f"\n{_PROG} {options.verb}: interrupted{goes_on}", file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, before)


if __name__ == "__main__":
    sys.exit(main())
