"""The arrows of the line, each from files to files: what the command line does, callable from Python.

    network file -> recording file -> timescales file -> comparison file

Every function writes its result under a temporary name and renames it, so that what is there is whole.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import xarray as xr

from cortexsnn import brian, cortex, recording, reference, timescales
from cortexsnn.brian.agreement import compare_classes
from cortexsnn.checks import choice
from cortexsnn.decoding import accuracy, decode
from cortexsnn.errors import InputError
from cortexsnn.network import Network
from cortexsnn.runs import AGREEMENT_SCHEMA, condition_of, relative_difference
from cortexsnn.trials import Trials

__all__ = [
    "USUAL_TABLE",
    "agreement_in_words",
    "agrees",
    "annotated",
    "check_simulators",
    "compare_files",
    "measuring_protocol",
]

#: Cortical table that networks are measured like, and compared with, unless another is named.
USUAL_TABLE = "murray2014"
_MOST_DIFFERENCE = 1e-9


def annotated(recorded: xr.DataTree, kind: str, trials: Trials, seed: int | None = None) -> xr.DataTree:
    """A recording that says what its input was.

    Parameters
    ----------
    recorded : xarray.DataTree
    kind : {"test", "spontaneous"}
    trials : Trials
        Their burn-in and right classes are noted.
    seed : int, optional
        Of the input, if it was drawn.

    Returns
    -------
    xarray.DataTree
        With root attributes ``input``, ``burn_in_ms``, ``input_seed`` and, for labelled trials, variable ``label``.

    Examples
    --------
    >>> recorded = recording.make_recording([], dt_s=0.01, trials=1, steps=5, source="example")
    >>> annotated(recorded, "test", Trials(np.zeros((1, 5, 2), dtype=np.uint8))).attrs["input"]
    'test'
    """
    burn_in_ms = 1000 * trials.burn_in_steps * recorded.attrs["dt_s"]
    root = recorded.to_dataset().assign_attrs(input=kind, burn_in_ms=burn_in_ms)
    if seed is not None:
        root = root.assign_attrs(input_seed=seed)
    if trials.labels is not None:
        dims = ("trial", "step")[: trials.labels.ndim]
        root = root.assign(label=(dims, trials.labels, {"long_name": "right class"}))
    nodes = {name: node.to_dataset(inherit=False) for name, node in recorded.children.items()}
    return xr.DataTree.from_dict({"/": root, **{f"/{name}": node for name, node in nodes.items()}})


def measuring_protocol(
    recorded: xr.DataTree,
    bin_ms: float | None = None,
    start_ms: float | None = None,
    estimator: str = "pearson_trials",
) -> tuple[float, float]:
    """Bin and start of the window for measuring a recording.

    Parameters
    ----------
    recorded : xarray.DataTree
    bin_ms : float, optional
        By default the whole number of time steps nearest to the bin of the estimator (the 50 ms of Murray et al. 2014).
    start_ms : float, optional
        By default the end of the recording's burn-in.
    estimator : str
        Name of the estimator.

    Returns
    -------
    bin_ms, start_ms : float
        In milliseconds.

    Examples
    --------
    >>> recorded = recording.make_recording([], dt_s=0.01, trials=1, steps=5, source="example")
    >>> measuring_protocol(recorded, start_ms=200.0)
    (50.0, 200.0)
    """
    step_ms = 1000 * float(recorded.attrs["dt_s"])
    if bin_ms is None:
        choice("estimator", estimator, timescales.ESTIMATORS)
        bin_ms = timescales.usual_bin_ms(estimator, step_ms)
    if start_ms is None:
        start_ms = float(recorded.attrs.get("burn_in_ms", 0.0))
    return bin_ms, start_ms


def _accuracy(network: Network, recorded: xr.DataTree, trials: Trials) -> float:
    if network.decoder is None or trials.labels is None:
        return float("nan")
    classes = decode(recorded[network.readouts[0].name]["potential"].to_numpy(), network.decoder)
    return accuracy(classes, trials.labels[: len(classes)], trials.scored_steps)


def check_simulators(
    network: Network, trials: Trials, *, runtime_trials: int = 32, progress: bool = True
) -> tuple[xr.DataTree, xr.Dataset]:
    """Run the same trials in torch and on both Brian2 targets, and compare each with the reference.

    Parameters
    ----------
    network : Network
    trials : Trials
    runtime_trials : int
        Brian2's runtime is slow and gets only the first so many trials.
    progress : bool

    Returns
    -------
    recording : xarray.DataTree
        Of C++ standalone, with the potentials of the readout.
    agreement : xarray.Dataset
        `cortexsnn.recording.compare` on dimension ``simulator``; also ``trials``, ``classes``,
        ``classes_differing`` and ``accuracy`` of each.

    Raises
    ------
    InputError
        If the network has something that torch cannot run here, or there is no C++ compiler.
    """
    from cortexsnn import training

    names = [p.name for p in network.hidden]
    few = trials.counts[:runtime_trials]
    expected = reference.simulate(network, trials.counts, record_potential=names)
    expected_few = reference.simulate(network, few, record_potential=names)
    twin = brian.simulate(network, trials.counts, record_potential=names, progress=progress)
    runtime = brian.simulate(network, few, device="numpy", record_potential=names, progress=progress)
    in_torch = training.simulate(network, trials.counts)
    tables = []
    for truth, observed in ((expected, in_torch), (expected, twin), (expected_few, runtime)):
        table = recording.compare(truth, observed)
        figures = {"trials": truth.sizes["trial"], "accuracy": _accuracy(network, observed, trials)}
        table = table.assign(figures | compare_classes(network, truth, observed))
        tables.append(table.assign_coords(simulator=observed.attrs["source"]))
    agreement = xr.concat(tables, "simulator", combine_attrs="drop")
    agreement.attrs = {"schema": AGREEMENT_SCHEMA, "expected": "reference", "network": network.fingerprint()}
    return recording.without_potentials(twin, names), agreement


def agrees(agreement: xr.Dataset) -> bool:
    """Whether no spike and no class differs, and no potential by more than 1e-9 of the largest.

    Parameters
    ----------
    agreement : xarray.Dataset
        Of `check_simulators`.

    Returns
    -------
    bool

    Examples
    --------
    >>> agrees(xr.Dataset({"differing": 0, "potential_difference": 1e-12, "potential_scale": 2.0}))
    True
    """
    differing = int(agreement["differing"].sum()) + int(agreement.get("classes_differing", xr.DataArray(0)).sum())
    # A potential that is not a number agrees with nothing.
    return differing == 0 and bool((relative_difference(agreement) <= _MOST_DIFFERENCE).all())


def agreement_in_words(agreement: xr.Dataset) -> str:
    """One line on spikes and potentials.

    Parameters
    ----------
    agreement : xarray.Dataset
        Of `check_simulators`.

    Returns
    -------
    str

    Examples
    --------
    >>> table = {"differing": 0, "spikes": 1200, "potential_difference": 1e-12, "potential_scale": 2.0}
    >>> agreement_in_words(xr.Dataset(table))
    '0 of 1,200 spikes differ, potentials by at most 5.0e-13 of their largest'
    """
    differing, spikes = int(agreement["differing"].sum()), int(agreement["spikes"].sum())
    largest = float(relative_difference(agreement).max(skipna=False))
    return f"{differing:,} of {spikes:,} spikes differ, potentials by at most {largest:.1e} of their largest"


def compare_files(
    paths: Sequence[Path],
    out: Path,
    table: str,
    rng: np.random.Generator,
    *,
    measure: str | None = None,
    stream: str | None = None,
) -> xr.Dataset:
    """Compare the timescales of several networks with a cortical table.

    Parameters
    ----------
    paths : sequence of path
        Timescales files. A network is called by the folder that holds its file; networks whose names differ only
        in ``-seedN`` are one condition.
    out : path
        Comparison file to write.
    table : str
        Name of the table, see `cortexsnn.cortex.names`, or a CSV file of your own.
    rng : numpy.random.Generator
    measure, stream : str, optional
        Which quantity and which pathway of the table; see `cortexsnn.cortex.compare`.

    Returns
    -------
    xarray.Dataset
        Of `cortexsnn.cortex.compare`, with the fingerprints of the networks as an attribute. Its variables
        ``protocol`` and ``protocol_note`` say whether the networks were measured by the protocol of the study.

    Raises
    ------
    InputError
        If a file cannot be used, two lie in folders of one name, or there is no such table, measure or stream.
    """
    named: dict[str, xr.Dataset] = {}
    for path in paths:
        label = path.resolve().parent.name
        if label in named:
            raise InputError("timescales files", [str(p) for p in paths], "files in folders of different names",
                             f"two are in folders named '{label}'")  # fmt: skip
        named[label] = timescales.load(path)
    conditions = {label: condition_of(label) for label in named}
    seeds = {label: label.removeprefix(conditions[label]) for label in named}
    comparison = cortex.compare(
        named, cortex.open_table(table), conditions=conditions, pairs=seeds, measure=measure, stream=stream, rng=rng
    )
    fingerprints = {label: one.attrs.get("network", "") for label, one in named.items()}
    comparison = comparison.assign_attrs(fingerprints=json.dumps(fingerprints))
    cortex.save_comparison(comparison, out)
    return comparison
