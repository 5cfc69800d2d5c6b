"""What a run leaves in its folder: its description, and a result or a failure.

Each file is written whole or not at all, and the result comes last, so that whoever is killed, and whenever,
a run is either finished or to be run again.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from cortexsnn.errors import InputError
from cortexsnn.files import write_text
from cortexsnn.provenance import versions
from cortexsnn.sweeps.description import canonical, run_hash

__all__ = ["Record", "Row", "checked_row", "forget_failure", "read_record", "run_folder", "write_description",
           "write_failure", "write_result"]  # fmt: skip

Row = dict[str, float | list[float] | str]

_DESCRIPTION, _RESULT, _FAILURE = "description.json", "result.json", "failure.json"


@dataclass(frozen=True)
class Record:
    """One finished run.

    Parameters
    ----------
    hash : str
        Name of the run.
    description : dict
    status : str
        ``"done"`` or ``"failed"``.
    row : dict
        What the function returned; empty if it failed.
    traceback : str
        Why it failed; empty if it did not.
    seconds : float
        Duration of the last try; NaN if its worker was killed.
    versions : dict of str to str
        What it was run with.
    """

    hash: str
    description: dict[str, Any]
    status: str
    row: Row
    traceback: str
    seconds: float
    versions: dict[str, str]


def run_folder(folder: Path, name: str) -> Path:
    """Folder of one run inside the folder of its sweep.

    Parameters
    ----------
    folder : pathlib.Path
        Of the sweep.
    name : str
        Hash of the run.

    Returns
    -------
    pathlib.Path

    Examples
    --------
    >>> run_folder(Path("sweep"), "43258cff783fe703").as_posix()
    'sweep/runs/43258cff783fe703'
    """
    return folder / "runs" / name


def checked_row(returned: Any) -> Row:
    """Check what a function returned, and make its numbers plain.

    Parameters
    ----------
    returned : dict
        Names and numbers, lists of numbers or texts; numbers and one-dimensional arrays of NumPy will do.

    Returns
    -------
    dict
        With Python's own numbers.

    Raises
    ------
    InputError
        If it is anything else.

    Examples
    --------
    >>> checked_row({"accuracy": np.float32(0.5), "tau_ms": np.array([20, 40]), "note": "ok"})
    {'accuracy': 0.5, 'tau_ms': [20.0, 40.0], 'note': 'ok'}
    """
    if not isinstance(returned, Mapping):
        raise InputError("what the function of the sweep returned", returned, "a dictionary of names and numbers")
    row: Row = {}
    for name, value in returned.items():
        if not isinstance(name, str) or not name or "/" in name or any(c.isspace() for c in name):
            raise InputError("a name among the results", name, "a text without '/' and white space")
        if isinstance(value, str):
            row[name] = value
            continue
        try:
            numbers = np.asarray(value, dtype=float)
        except (TypeError, ValueError, OverflowError):
            numbers = None
        if value is None or numbers is None or numbers.ndim > 1:
            raise InputError(f"result '{name}'", value, "a number, a list of numbers or a text",
                             "files are better written to the folder of the run")  # fmt: skip
        row[name] = numbers.tolist()
    return row


def write_description(folder: Path, description: Mapping[str, Any]) -> None:
    """Note what a run is before it starts.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.
    description : mapping
    """
    write_text(folder / _DESCRIPTION, canonical(description) + "\n")


def forget_failure(folder: Path) -> None:
    """Make a run that failed unfinished again.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.
    """
    (folder / _FAILURE).unlink(missing_ok=True)


def write_result(folder: Path, row: Row, seconds: float) -> None:
    """Note that a run is done.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.
    row : dict
        See `checked_row`.
    seconds : float
        How long it took.
    """
    kept = {"row": row, "seconds": seconds, "versions": versions("numpy", "torch", "brian2")}
    write_text(folder / _RESULT, json.dumps(kept, indent=1) + "\n")


def write_failure(folder: Path, error: BaseException, seconds: float) -> None:
    """Note that a run failed, and why.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.
    error : BaseException
        With its traceback.
    seconds : float
        How long it had taken.
    """
    kept = {
        "type": type(error).__name__,
        "message": str(error),
        "traceback": "".join(traceback.format_exception(error)),
        "seconds": seconds,
        "versions": versions("numpy", "torch", "brian2"),
    }
    write_text(folder / _FAILURE, json.dumps(kept, indent=1) + "\n")


def read_record(folder: Path) -> Record | None:
    """Read what a run left, if it is finished.

    Parameters
    ----------
    folder : pathlib.Path
        Of the run.

    Returns
    -------
    Record or None
        None if the run never ended. A result counts more than an older failure.

    Raises
    ------
    InputError
        If a file is damaged, or is not of this run.
    """
    path = next((folder / name for name in (_RESULT, _FAILURE) if (folder / name).exists()), None)
    if path is None:
        return None
    done = path.name == _RESULT
    try:
        description = json.loads((folder / _DESCRIPTION).read_text(encoding="utf-8"))
        kept = json.loads(path.read_text(encoding="utf-8"))
        record = Record(
            hash=folder.name,
            description=description,
            status="done" if done else "failed",
            row=checked_row(kept["row"]) if done else {},
            traceback="" if done else str(kept["traceback"]),
            seconds=float(kept["seconds"]),
            versions=dict(kept["versions"]),
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("files of a run", str(folder), f"{_DESCRIPTION} and {path.name} as the sweep wrote them",
                         f"{error!r}; remove this folder to run it again") from None  # fmt: skip
    if run_hash(description) != folder.name:
        raise InputError(f"hash of {folder / _DESCRIPTION}", run_hash(description), folder.name,
                         "it was changed by hand; remove this folder to run it again")  # fmt: skip
    return record
