"""Arrays larger than memory: flat files in the cache, made once from a source file and mapped from then on."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock
from numpy.typing import NDArray

from cortexsnn.errors import InputError

__all__ = ["mapped_arrays"]

_SPARE_BYTES = 64 << 20


def mapped_arrays(
    source: str | Path,
    folder: str | Path,
    shapes: Mapping[str, tuple[Any, int]],
    fill: Callable[[Mapping[str, NDArray]], None],
) -> dict[str, NDArray]:
    """Arrays made from a file, mapped from disk; made anew when the file has changed.

    Parameters
    ----------
    source : path-like
        The file they are made from. Its path, size and time of change, and `shapes`, tell whether they are up to date.
    folder : path-like
        Where the arrays are kept, each as a file of NumPy in a folder that belongs to `source`. It is made if it is
        missing.
    shapes : mapping of str to (dtype, int)
        Type and length of each array.
    fill : callable
        Writes into the arrays, which it is given by name. If it raises, nothing is kept.

    Returns
    -------
    dict of numpy.ndarray
        Read-only, by name.

    Raises
    ------
    InputError
        If the disk has not enough room.

    Notes
    -----
    Arrays appear under their name when all of them are whole; a second process waits for the first. Those of an older
    version of `source` are removed.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> source = folder / "numbers.txt"
    >>> _ = source.write_text("1 2 3")
    >>> arrays = mapped_arrays(source, folder, {"one": (np.int64, 3)}, lambda made: made["one"].__setitem__(..., 7))
    >>> np.asarray(arrays["one"])
    array([7, 7, 7])
    """
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    path = Path(source).resolve()
    state = path.stat()
    types = {name: (np.dtype(dtype), int(length)) for name, (dtype, length) in shapes.items()}
    owner = _short_hash(str(path))
    version = _short_hash(f"{state.st_size} {state.st_mtime_ns} {sorted(map(str, types.items()))}")
    kept = folder / f"{owner}-{version}"
    with FileLock(folder / f"{owner}.lock"):
        if not kept.is_dir():
            _require_room(folder, types)
            # Under the lock, a folder of this name was left by a process that was stopped.
            unfinished = folder / f"{owner}.unfinished"
            shutil.rmtree(unfinished, ignore_errors=True)
            try:
                _make(unfinished, types, fill)
                unfinished.rename(kept)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
            for older in folder.glob(f"{owner}-*"):
                if older != kept:
                    shutil.rmtree(older, ignore_errors=True)
        return {name: np.load(kept / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in types}


def _short_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _require_room(folder: Path, types: Mapping[str, tuple[np.dtype, int]]) -> None:
    needed = sum(dtype.itemsize * length for dtype, length in types.values())
    free = shutil.disk_usage(folder).free
    if needed + _SPARE_BYTES > free:
        raise InputError(f"free bytes of the disk of {folder}", free, f"at least {needed + _SPARE_BYTES}",
                         "CORTEXSNN_CACHE names another place")  # fmt: skip


def _make(
    folder: Path, types: Mapping[str, tuple[np.dtype, int]], fill: Callable[[Mapping[str, NDArray]], None]
) -> None:
    folder.mkdir()
    arrays = {name: np.lib.format.open_memmap(folder / f"{name}.npy", mode="w+", dtype=dtype, shape=(length,))
              for name, (dtype, length) in types.items()}  # fmt: skip
    fill(arrays)
    for array in arrays.values():
        array.flush()
