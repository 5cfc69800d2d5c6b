"""Run many descriptions, go on where an earlier call stopped, and keep one table of all results."""

from __future__ import annotations

import itertools
import json
import math
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import xarray as xr
from filelock import FileLock, Timeout
from tqdm.auto import tqdm

from cortexsnn.cores import usable_cores
from cortexsnn.errors import InputError
from cortexsnn.files import existing_file, write_text
from cortexsnn.results import save_dataset
from cortexsnn.sweeps.cluster import connected, most_tries, require_dask
from cortexsnn.sweeps.description import canonical, run_hash
from cortexsnn.sweeps.record import Record, forget_failure, read_record, run_folder, write_description, write_failure
from cortexsnn.sweeps.store import SCHEMA, tabulate
from cortexsnn.sweeps.worker import execute, resolve

if TYPE_CHECKING:
    from distributed import Client, Future

__all__ = ["collect", "run_sweep"]

_PLAN, _TABLE = "sweep.json", "sweep.nc"
_SECONDS_BETWEEN_SAVES = 5.0


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep a second driver out of the folder."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise InputError("folder of the sweep", str(folder), "a folder", "a file of that name exists") from None
    try:
        with FileLock(folder / "sweep.lock", timeout=0):
            yield
    except Timeout:
        raise InputError("folder of the sweep", str(folder), "one that no other process is sweeping into",
                         "wait for that one to end, or choose another folder") from None  # fmt: skip


def _read_plan(path: Path) -> dict[str, Any]:
    existing_file(path, "plan of the sweep")
    try:
        plan = json.loads(path.read_text(encoding="utf-8"))
        if plan["schema"] == SCHEMA:
            return {"schema": SCHEMA, "function": str(plan["function"]), "runs": [str(name) for name in plan["runs"]]}
    except (ValueError, KeyError, TypeError):
        pass
    raise InputError("plan of the sweep", str(path), "a file that run_sweep wrote", "choose another folder")


def _remember(path: Path, function: str, names: Sequence[str]) -> list[str]:
    """Note which runs a folder is for, and refuse to mix those of two functions in it."""
    known: list[str] = []
    if path.exists():
        plan = _read_plan(path)
        known = plan["runs"]
        if plan["function"] != function:
            raise InputError(f"function of the sweep in {path.parent}", function, f"'{plan['function']}', as before",
                             "choose another folder")  # fmt: skip
    every = list(dict.fromkeys([*known, *names]))
    if every != known:
        write_text(path, json.dumps({"schema": SCHEMA, "function": function, "runs": every}, indent=1) + "\n")
    return every


class _Table:
    """The results of the sweep, written to disk now and then while runs finish."""

    def __init__(self, folder: Path, function: str, names: Sequence[str]) -> None:
        self.folder = folder
        self.function = function
        self.records: dict[str, Record | None] = {name: read_record(run_folder(folder, name)) for name in names}
        self.saved = -math.inf

    def status(self, name: str) -> str | None:
        record = self.records[name]
        return None if record is None else record.status

    def add(self, name: str) -> None:
        record = read_record(run_folder(self.folder, name))
        if record is None:
            raise InputError("folder of the sweep", str(self.folder), "a folder that driver and workers share",
                             f"a worker finished {name}, and nothing of it is here")  # fmt: skip
        self.records[name] = record
        if time.monotonic() - self.saved > _SECONDS_BETWEEN_SAVES:
            self.save()

    def dataset(self) -> xr.Dataset:
        return tabulate([record for record in self.records.values() if record is not None], self.function)

    def save(self) -> xr.Dataset:
        dataset = self.dataset()
        save_dataset(dataset, self.folder / _TABLE)
        self.saved = time.monotonic()
        return dataset


def _keep_failure(future: Future, own: Path, text: str) -> None:
    """Write down what no worker could: that the run's worker was killed, or that it could not even start."""
    if future.status == "error":
        write_description(own, json.loads(text))
        write_failure(own, future.exception().with_traceback(future.traceback()), math.nan)
    elif future.status != "finished":
        raise RuntimeError("the Dask scheduler is gone; call run_sweep again to run what is unfinished")


def _run_all(client: Client, texts: Mapping[str, str], function: str, most: int, table: _Table, bar: tqdm) -> None:
    """Run descriptions, no more than `most` of them in the hands of the scheduler at any time."""
    from distributed import as_completed

    # Other sweeps may have runs of the same hash on the same scheduler.
    call = uuid.uuid4().hex
    ended = as_completed(loop=client.loop)
    futures: dict[str, Future] = {}

    def hand_over(name: str) -> None:
        forget_failure(run_folder(table.folder, name))
        arguments = (function, texts[name], str(table.folder), call, most_tries())
        futures[name] = client.submit(execute, *arguments, key=f"run-{name}-{call}", pure=False)
        ended.add(futures[name])

    waiting, failed = iter(texts), 0
    try:
        for name in itertools.islice(waiting, most):
            hand_over(name)
        for future in ended:
            name = future.key.split("-")[1]
            del futures[name]
            _keep_failure(future, run_folder(table.folder, name), texts[name])
            table.add(name)
            failed += table.status(name) == "failed"
            bar.set_postfix(failed=failed, refresh=False)
            bar.update()
            for following in itertools.islice(waiting, 1):
                hand_over(following)
    finally:
        client.cancel([future for future in futures.values() if future.status == "pending"])


def _checked_workers(workers: int | None, scheduler: str | None) -> int:
    if workers is None:
        return usable_cores()
    if scheduler is not None:
        raise InputError("workers", workers, "None where a scheduler is given", "it has its own workers")
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise InputError("workers", workers, "a number of processes, at least 1")
    return workers


def run_sweep(
    descriptions: Sequence[Mapping[str, Any]],
    function: str,
    folder: str | Path,
    *,
    scheduler: str | None = None,
    workers: int | None = None,
    retry_failed: bool = False,
    progress: bool = True,
) -> xr.Dataset:
    """Run every description that has not been run yet, and return the table of all.

    Each run has the folder ``FOLDER/runs/HASH/``, named after the hash of its description, with
    ``description.json`` and, once it ended, ``result.json`` or ``failure.json``. A call on the same folder goes on
    where an earlier one was interrupted or killed: only the runs in flight at that time are started again, and
    they find the checkpoints that they left in their folders. An exception ends its own run only. A run whose
    worker is killed is tried again on another one, up to Dask's ``distributed.scheduler.allowed-failures`` (3)
    times, and then counts as failed.

    A script that calls this has to do so under ``if __name__ == "__main__":``, since the worker processes import it.

    Parameters
    ----------
    descriptions : sequence of mapping
        What to run, as `grid` makes it. Of those that are the same, one is run.
    function : str
        ``"module:function"``. It is called with a description and the `pathlib.Path` of the folder of the run, and
        returns a dictionary of numbers, lists of numbers and texts. Runs get one thread each for their arithmetic,
        so that results do not depend on how many run side by side.
    folder : path-like
        Where everything goes. One folder takes one function, and any number of calls with other descriptions.
    scheduler : str, optional
        Address of a running Dask scheduler, whose workers must see `folder` under the same path and should have
        one thread each. Dask runs whatever it is sent by those who can reach its ports. None starts processes on
        this machine.
    workers : int, optional
        Processes on this machine; as many as usable cores if None.
    retry_failed : bool
        Whether runs that failed in an earlier call are tried again.
    progress : bool
        Whether to show what is done, what failed, and the time left.

    Returns
    -------
    xarray.Dataset
        One row for each run in the folder that ended, also of earlier calls, in the order in which they were first
        given; also in ``FOLDER/sweep.nc``. See `cortexsnn.sweeps.store.tabulate` for its variables.

    Raises
    ------
    InputError
        If a description, the function or the folder cannot be used, or another process is using the folder.
    ModuleNotFoundError
        If Dask is not installed.
    RuntimeError
        If the scheduler is lost.
    """
    if isinstance(descriptions, str | Mapping) or not len(descriptions):
        raise InputError("descriptions", descriptions, "a list of at least one description", "see sweeps.grid")
    texts = {run_hash(description): canonical(description) for description in descriptions}
    workers = _checked_workers(workers, scheduler)
    resolve(function)
    folder = Path(folder).resolve()
    with _alone(folder):
        table = _Table(folder, function, _remember(folder / _PLAN, function, list(texts)))
        again = {None, "failed"} if retry_failed else {None}
        unfinished = {name: text for name, text in texts.items() if table.status(name) in again}
        try:
            if unfinished:
                require_dask()
                # A scheduler elsewhere needs to know how much waits; our own is told of a run when there is a worker
                # for it, so that a stop loses nothing else.
                workers = min(workers, len(unfinished))
                most = workers if scheduler is None else len(unfinished)
                with (
                    connected(scheduler, workers) as client,
                    tqdm(desc="sweep", unit="run", total=len(texts), initial=len(texts) - len(unfinished),
                         smoothing=0, disable=not progress) as bar,
                ):  # fmt: skip
                    _run_all(client, unfinished, function, most, table, bar)
        finally:
            dataset = table.save()
    return dataset


def collect(folder: str | Path) -> xr.Dataset:
    """Make the table of a sweep from the folders of its runs, also while it is running or after it was killed.

    Parameters
    ----------
    folder : path-like
        Of the sweep.

    Returns
    -------
    xarray.Dataset
        As `run_sweep` returns it.

    Raises
    ------
    InputError
        If there is no sweep in the folder, or a file of it is damaged.
    """
    folder = Path(folder)
    plan = _read_plan(folder / _PLAN)
    return _Table(folder, plan["function"], plan["runs"]).dataset()
