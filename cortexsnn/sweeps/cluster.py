"""Where runs are executed: processes of this machine, or the workers of a Dask scheduler elsewhere."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from cortexsnn.errors import InputError

if TYPE_CHECKING:
    from distributed import Client

__all__ = ["connected", "most_tries", "require_dask"]

_ALLOWED_FAILURES = "distributed.scheduler.allowed-failures"

# One run for each core: threads of their own would only get into each other's way, and change the rounding of sums.
_ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS"), "1")

# Dask makes its workers give memory back after every small release, and run tasks in a thread whose heap is small;
# training takes the same megabytes again in every step, and was two to three times slower for it.
_KEEP_MEMORY = {
    "MALLOC_TRIM_THRESHOLD_": str(2**30),
    "MALLOC_MMAP_THRESHOLD_": str(2**25),
    "MALLOC_ARENA_MAX": "1",
}

# Workers count themselves how often a run was begun; Dask only has to end what kills them before they can count.
_MOST_DEATHS = 100


def require_dask() -> None:
    """Look for the package that sweeps need and nothing else does.

    Raises
    ------
    ModuleNotFoundError
        If it is not installed.
    """
    try:
        import distributed  # noqa: F401
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(
            f"sweeps need Dask ({error}): pip install 'cortexsnn[sweep]'", name="distributed"
        ) from None


def most_tries() -> int:
    """How often a run is tried whose worker is killed each time.

    Returns
    -------
    int
        One more than Dask's setting ``distributed.scheduler.allowed-failures``.
    """
    import dask

    return int(dask.config.get(_ALLOWED_FAILURES)) + 1


@contextmanager
def _local(workers: int) -> Iterator[Client]:
    import dask
    from distributed import Client, LocalCluster

    try:
        memory = {f"distributed.nanny.pre-spawn-environ.{name}": value for name, value in _KEEP_MEMORY.items()}
        with dask.config.set({_ALLOWED_FAILURES: _MOST_DEATHS, **memory}):
            cluster = LocalCluster(
                n_workers=workers,
                threads_per_worker=1,
                processes=True,
                # Any free port, for this machine only. None would be the usual one, with a warning if it is taken.
                dashboard_address="127.0.0.1:0",
                # Runs keep nothing in Dask's memory; its limit would only kill those that need more than their share.
                memory_limit=0,
                silence_logs=logging.ERROR,
                env=_ONE_THREAD,
            )
    except RuntimeError as error:
        hint = (
            "in a script, the call belongs under if __name__ == '__main__':, since worker processes import the script"
        )
        raise RuntimeError(f"worker processes did not start ({error}); {hint}") from error
    with cluster, Client(cluster, set_as_default=False) as client:
        yield client


@contextmanager
def connected(scheduler: str | None, workers: int) -> Iterator[Client]:
    """Start worker processes, or connect to those that a scheduler has.

    Parameters
    ----------
    scheduler : str or None
        Address of a running scheduler; None starts one for this process alone.
    workers : int
        Processes to start where there is no scheduler.

    Yields
    ------
    distributed.Client
        Its processes end with the block; those of a scheduler elsewhere stay.

    Raises
    ------
    InputError
        If no scheduler answers.
    """
    from distributed import Client
    from distributed.comm import get_address_host_port, normalize_address

    if scheduler is None:
        with _local(workers) as client:
            yield client
        return
    try:
        # Looked at before, since a client that cannot be made is in no hurry to go.
        get_address_host_port(normalize_address(scheduler))
        # As the default client it would serve the locks of every file that xarray writes.
        client = Client(scheduler, set_as_default=False)
    except (OSError, ValueError, TypeError) as error:
        raise InputError("scheduler", scheduler, "the address of a running Dask scheduler, such as tcp://host:8786",
                         str(error)) from None  # fmt: skip
    with client:
        yield client
