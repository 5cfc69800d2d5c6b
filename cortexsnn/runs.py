"""The folder of a run: what each verb leaves in it, and reading all of it back."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import xarray as xr

from cortexsnn import recording, timescales
from cortexsnn.errors import InputError
from cortexsnn.files import existing_file
from cortexsnn.network import Network
from cortexsnn.results import load_dataset, save_dataset

__all__ = [
    "AGREEMENT_SCHEMA",
    "FILES",
    "Run",
    "condition_of",
    "load_agreement",
    "load_run",
    "load_runs",
    "relative_difference",
    "save_agreement",
]

AGREEMENT_SCHEMA = "cortexsnn-agreement-1"

FILES = {
    "network": ("network.safetensors", "train"),
    "metrics": ("metrics.jsonl", "train"),
    "test": ("test.nc", "agree"),
    "agreement": ("agreement.nc", "agree"),
    "spontaneous": ("spontaneous.nc", "simulate --input spontaneous"),
    "timescales": ("timescales.nc", "timescales"),
}


@dataclass(frozen=True, eq=False)
class Run:
    """One trained network and everything measured on it.

    Parameters
    ----------
    name, condition : str
        Folder name, and the same without its seed.
    network : Network
    history : list of dict
        Figures of every epoch.
    test : xarray.DataTree
        Brian2's recording of the test trials.
    agreement, timescales : xarray.Dataset
    """

    name: str
    condition: str
    network: Network
    history: list[dict[str, Any]]
    test: xr.DataTree
    agreement: xr.Dataset
    timescales: xr.Dataset


def condition_of(label: str) -> str:
    """Condition of a run: its name without the seed.

    Parameters
    ----------
    label : str
        Name of the run's folder.

    Returns
    -------
    str

    Examples
    --------
    >>> condition_of("hierarchical-seed2")
    'hierarchical'
    """
    return label.rsplit("-seed", 1)[0]


def save_agreement(agreement: xr.Dataset, path: str | Path) -> None:
    """Write the result of `cortexsnn.pipeline.check_simulators` to netCDF.

    Parameters
    ----------
    agreement : xarray.Dataset
    path : path-like

    Raises
    ------
    InputError
        If the dataset does not say what it is, or `path` is a folder.
    """
    save_dataset(agreement, path)


def load_agreement(path: str | Path) -> xr.Dataset:
    """Read what `save_agreement` wrote.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    xarray.Dataset
        On dimensions simulator and population.

    Raises
    ------
    InputError
        If the file is missing, truncated, or not such a result.
    """
    required: dict[str, tuple[str, ...]] = {}
    for name in ("spikes", "differing", "active_percent", "rate_hz", "potential_difference", "potential_scale"):
        required[name] = ("simulator", "population")
    for name in ("trials", "accuracy"):
        required[name] = ("simulator",)
    return load_dataset(path, what="agreement file", schema=AGREEMENT_SCHEMA, required=required)


def relative_difference(agreement: xr.Dataset) -> xr.DataArray:
    """Largest difference of any potential, as a part of the largest potential, by simulator and population.

    Parameters
    ----------
    agreement : xarray.Dataset
        Of `cortexsnn.pipeline.check_simulators`, or of `cortexsnn.recording.compare`.

    Returns
    -------
    xarray.DataArray
        Without unit; NaN where no potential was recorded.

    Examples
    --------
    >>> agreement = xr.Dataset(
    ...     {"potential_difference": ("population", [1e-12]), "potential_scale": ("population", [2.0])}
    ... )
    >>> relative_difference(agreement).to_numpy()
    array([5.e-13])
    """
    scale = agreement["potential_scale"]
    return agreement["potential_difference"] / scale.where(scale > 0, 1.0)


def _history(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            kept = {"epoch": int(row["epoch"]), "validation_accuracy": float(row["validation_accuracy"])}
            # Only runs that learn their time constants note them.
            rows.append(kept | ({"tau_ms": row["tau_ms"]} if "tau_ms" in row else {}))
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"line {number} of {path}", line, "the figures of an epoch as JSON", str(error)) from None
    if not rows:
        raise InputError(f"epochs in {path}", 0, "at least one")
    return rows


def load_run(folder: str | Path) -> Run:
    """Read the folder of one run.

    Parameters
    ----------
    folder : path-like

    Returns
    -------
    Run

    Raises
    ------
    InputError
        If a file is missing; the message says which verb makes it.
    """
    folder = Path(folder)
    paths = {}
    for key, (name, verb) in FILES.items():
        paths[key] = folder / name
        if not paths[key].exists():
            raise InputError(f"{key} of run {folder}", f"no {name}", "a finished run", f"'cortexsnn {verb}' makes it")
        existing_file(paths[key], key)
    run = Run(
        folder.name,
        condition_of(folder.name),
        Network.load(paths["network"]),
        _history(paths["metrics"]),
        recording.load(paths["test"]),
        load_agreement(paths["agreement"]),
        timescales.load(paths["timescales"]),
    )
    fingerprint = run.network.fingerprint()
    for what, found in (
        ("agreement", run.agreement.attrs.get("network")),
        ("test", run.test.attrs.get("network")),
        ("timescales", run.timescales.attrs.get("network")),
    ):
        if found != fingerprint:
            raise InputError(f"network of {paths[what]}", found, f"'{fingerprint}', as in {paths['network']}",
                             f"make it again with 'cortexsnn {FILES[what][1]}'")  # fmt: skip
    return run


def load_runs(folder: str | Path, comparison: xr.Dataset) -> list[Run]:
    """Read the runs in ``folder/runs`` that a comparison is about.

    Parameters
    ----------
    folder : path-like
    comparison : xarray.Dataset
        Of `cortexsnn.pipeline.compare_files`.

    Returns
    -------
    list of Run
        In the order of the comparison.

    Raises
    ------
    InputError
        If a run is missing, unfinished, or another network than was compared, or runs differ in depth.
    """
    try:
        fingerprints = json.loads(comparison.attrs["fingerprints"])
    except (KeyError, ValueError, TypeError):
        raise InputError("networks of the comparison", comparison.attrs.get("fingerprints"), "a comparison of files",
                         "make it with 'cortexsnn compare'") from None  # fmt: skip
    runs = [load_run(Path(folder) / "runs" / name) for name in fingerprints]
    for run in runs:
        if run.network.fingerprint() != fingerprints[run.name]:
            raise InputError(f"network of {run.name} in the comparison", fingerprints[run.name],
                             f"'{run.network.fingerprint()}', as in its folder", "compare again")  # fmt: skip
    depths = {run.name: len(run.network.hidden) for run in runs}
    if len(set(depths.values())) > 1:
        raise InputError("hidden layers of the runs", depths, "the same number in all runs of a report",
                         "compare and report them apart")  # fmt: skip
    return runs
