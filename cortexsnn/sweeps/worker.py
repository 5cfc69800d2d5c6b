"""What happens on a worker: one run in a folder of its own, with its result or its failure kept."""

from __future__ import annotations

import importlib
import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from filelock import FileLock

from cortexsnn.errors import InputError
from cortexsnn.sweeps.description import run_hash
from cortexsnn.sweeps.record import (
    checked_row,
    read_record,
    run_folder,
    write_description,
    write_failure,
    write_result,
)

__all__ = ["execute", "resolve"]


def resolve(function: str) -> Callable[[dict[str, Any], Path], dict[str, Any]]:
    """Find a function by name, so that no code has to be sent to a worker.

    Parameters
    ----------
    function : str
        ``"module:function"``, as one would import it.

    Returns
    -------
    callable

    Raises
    ------
    InputError
        If there is no such module or function.

    Examples
    --------
    >>> resolve("cortexsnn.sweeps.worker:resolve") is resolve
    True
    >>> resolve("cortexsnn.sweeps.worker:resolved")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: function of the sweep is 'cortexsnn.sweeps.worker:resolved'; expected ...
    """
    expected = "'module:function' with a module that can be imported and a function in it"
    if not isinstance(function, str):
        raise InputError("function of the sweep", function, expected, "workers find it by name")
    module_name, _, name = function.partition(":")
    if not module_name or not name:
        raise InputError("function of the sweep", function, expected)
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        raise InputError("function of the sweep", function, expected, f"{error}; is it on PYTHONPATH?") from None
    found = getattr(module, name, None)
    if not callable(found):
        raise InputError("function of the sweep", function, expected, f"'{module_name}' has no function '{name}'")
    return found


def _tries(path: Path, call: str) -> int:
    """Count one more try in this call of the driver; what a killed worker had begun is still there."""
    with path.open("a", encoding="ascii") as file:
        file.write(f"{call}\n")
    return path.read_text(encoding="ascii").split().count(call)


def execute(function: str, text: str, folder: str, call: str, most_tries: int) -> None:
    """Run one description in its folder, unless it has ended already.

    Parameters
    ----------
    function : str
        See `resolve`. It is given the description and the folder of the run, where it may keep checkpoints.
    text : str
        The description in JSON.
    folder : str
        Folder of the sweep, which driver and workers share.
    call : str
        Stands for the call of the driver, among the tries of a run.
    most_tries : int
        How many workers may be killed in one call while they are at this run.
    """
    import dask

    description = json.loads(text)
    own = run_folder(Path(folder), run_hash(description))
    own.mkdir(parents=True, exist_ok=True)
    # Without the setting, xarray would ask the scheduler for a lock on every file that a run reads or writes.
    # A worker that its driver has lost may still be at this run: wait, and take what it found.
    with dask.config.set(scheduler="threads"), FileLock(own / "lock"):
        if read_record(own) is not None:
            return
        write_description(own, description)
        started = time.perf_counter()
        try:
            # Dask would blame the death of a worker on all runs that were waiting there.
            if _tries(own / "tries", call) > most_tries:
                raise RuntimeError(f"{most_tries} workers were killed while they were at this run; out of memory?")
            row = checked_row(resolve(function)(json.loads(text), own))
        except (Exception, SystemExit) as error:
            write_failure(own, error, time.perf_counter() - started)
            if isinstance(error, SystemExit):
                raise
        else:
            write_result(own, row, time.perf_counter() - started)
