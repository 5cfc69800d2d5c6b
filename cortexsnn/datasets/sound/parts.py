"""Sound files turned into spikes one by one, each kept until all are done, so that interrupted work goes on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from cortexsnn.cores import usable_cores
from cortexsnn.datasets.sound.audio import read
from cortexsnn.datasets.sound.cochlea import Cochlea
from cortexsnn.errors import InputError
from cortexsnn.files import replacing

__all__ = ["Part", "convert", "part_of", "read_part"]

# Sending a process the cochlea's table takes as long as some tens of milliseconds of sound.
_PARTS_AT_ONCE = 8


@dataclass(frozen=True)
class Part:
    """The spikes of one sound file, to be made or made already.

    Parameters
    ----------
    sound : pathlib.Path
        The sound file.
    name : str
        Its name in messages and in the file of all spikes; with the seed, it decides which fibres fire.
    seed : int
    path : pathlib.Path
        Where its spikes are kept. Named by all that they depend on.
    """

    sound: Path
    name: str
    seed: int
    path: Path


def part_of(sound: Path, name: str, seed: int, cochlea: Cochlea, folder: Path) -> Part:
    """Name the part of a sound file by the file's content, its name, the seed and the cochlea's parameters.

    Parameters
    ----------
    sound : pathlib.Path
    name : str
    seed : int
    cochlea : Cochlea
    folder : pathlib.Path
        Where parts are kept.

    Returns
    -------
    Part
    """
    digest = hashlib.sha256(json.dumps([cochlea.describe(), seed, name], sort_keys=True).encode())
    with sound.open("rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return Part(sound, name, seed, folder / f"{digest.hexdigest()}.npz")


def read_part(part: Part) -> tuple[NDArray[np.float32], NDArray[np.uint16]]:
    """Spikes of a part that was made.

    Parameters
    ----------
    part : Part

    Returns
    -------
    times_s : numpy.ndarray of float32, shape (spike,)
    units : numpy.ndarray of uint16, shape (spike,)
    """
    with np.load(part.path, allow_pickle=False) as file:
        return file["times_s"], file["units"]


def _make(part: Part, cochlea: Cochlea) -> str:
    """Make a part; return why it can't be made, or nothing."""
    try:
        sound = read(part.sound)
        name = np.frombuffer(hashlib.sha256(os.fsencode(part.name)).digest(), dtype="<u4")
        times_s, units = cochlea.spikes(sound, np.random.default_rng([part.seed, *name.tolist()]))
    except InputError as error:
        return str(error)
    if not units.size:
        return "no bushy cell fired"
    with replacing(part.path) as temporary, temporary.open("wb") as file:
        np.savez(file, times_s=times_s.astype(np.float32), units=units)
    return ""


def _make_some(parts: Sequence[Part], cochlea: Cochlea) -> list[str]:
    return [_make(part, cochlea) for part in parts]


def _ignore_interrupts() -> None:
    """Being interrupted is the business of the process that started this one."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _results(parts: Sequence[Part], cochlea: Cochlea, processes: int) -> Iterator[tuple[Part, str]]:
    """Parts as they are done, each with what went wrong."""
    if processes == 1:
        for part in parts:
            yield part, _make(part, cochlea)
        return
    cochlea.membrane_filter  # noqa: B018  (computed once here: it goes to the processes with the cochlea)
    some = max(1, min(_PARTS_AT_ONCE, len(parts) // (2 * processes)))
    # Processes that are forked could hold locks of threads that they do not have.
    pool = ProcessPoolExecutor(processes, get_context("spawn"), _ignore_interrupts)
    try:
        waiting = {pool.submit(_make_some, parts[i : i + some], cochlea): i for i in range(0, len(parts), some)}
        for done in as_completed(waiting):
            yield from zip(parts[waiting[done] : waiting[done] + some], done.result(), strict=True)
    finally:
        pool.shutdown(cancel_futures=True)


def convert(
    parts: Sequence[Part], cochlea: Cochlea, *, processes: int | None = None, progress: bool = True
) -> tuple[int, dict[str, str]]:
    """Make the parts that are not there yet.

    Parameters
    ----------
    parts : sequence of Part
    cochlea : Cochlea
    processes : int, optional
        As many as usable cores by default. With more than one, a script must start its work below
        ``if __name__ == "__main__":``, since processes import it.
    progress : bool
        Show a bar if it takes longer than five seconds.

    Returns
    -------
    made : int
        Parts that were made now.
    skipped : dict of str to str
        Names of the files that can't be used, and why.
    """
    missing = [part for part in parts if not part.path.exists()]
    skipped: dict[str, str] = {}
    workers = min(processes or usable_cores(), len(missing))
    bar = tqdm(desc="cochlea", unit="file", total=len(parts), initial=len(parts) - len(missing), delay=5,
               disable=not progress)  # fmt: skip
    with bar:
        for part, reason in _results(missing, cochlea, workers) if missing else ():
            if reason:
                skipped[part.name] = reason
            bar.update()
    return len(missing) - len(skipped), skipped
