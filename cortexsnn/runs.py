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
    "save_agreement",
]

AGREEMENT_SCHEMA = "cortexsnn-agreement-1"

FILES = {
    "network": ("network.safetensors", "train"),
    "metrics": ("metrics.jsonl", "train"),
    "test": ("test.nc", "simulate"),
    "agreement": ("agreement.nc", "simulate --check"),
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

    Examples
    --------
    >>> condition_of("hierarchical-seed2")
    'hierarchical'
    """
    return label.rsplit("-seed", 1)[0]


def save_agreement(agreement: xr.Dataset, path: str | Path) -> None:
    """Write the result of `cortexsnn.pipeline.check_simulators` to netCDF."""
    save_dataset(agreement, path)


def load_agreement(path: str | Path) -> xr.Dataset:
    """Read what `save_agreement` wrote."""
    required: dict[str, tuple[str, ...]] = {}
    for name in ("spikes", "differing", "active_percent", "rate_hz"):
        required[name] = ("simulator", "population")
    for name in ("trials", "accuracy"):
        required[name] = ("simulator",)
    return load_dataset(path, what="agreement file", schema=AGREEMENT_SCHEMA, required=required)


def _history(path: Path) -> list[dict[str, Any]]:
    rows = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            row = json.loads(line)
            rows.append({"epoch": int(row["epoch"]), "validation_accuracy": float(row["validation_accuracy"])})
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
    for what, found in (("agreement", run.agreement.attrs.get("network")), ("test", run.test.attrs.get("network"))):
        if found != fingerprint:
            raise InputError(f"network of {paths[what]}", found, f"'{fingerprint}', as in {paths['network']}",
                             "simulate again after training")  # fmt: skip
    return run


def load_runs(folder: str | Path) -> list[Run]:
    """Read all runs in ``folder/runs``, sorted by name."""
    inside = Path(folder) / "runs"
    found = sorted(p for p in inside.iterdir() if p.is_dir()) if inside.is_dir() else []
    if not found:
        raise InputError(
            "folder of runs", str(inside), "a folder with one folder for each run", "'cortexsnn demo' makes it"
        )
    return [load_run(one) for one in found]
