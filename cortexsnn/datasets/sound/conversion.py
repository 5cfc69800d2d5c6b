"""A folder of sound files becomes one file of spikes in the layout of the Spiking Heidelberg Digits."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from filelock import FileLock

import cortexsnn
from cortexsnn.checks import whole
from cortexsnn.datasets import layout
from cortexsnn.datasets.sound.cochlea import Cochlea
from cortexsnn.datasets.sound.compiling import needed
from cortexsnn.datasets.sound.labelling import class_numbers, recordings
from cortexsnn.datasets.sound.parts import convert, part_of, read_part
from cortexsnn.errors import InputError

__all__ = ["Report", "convert_folder"]


@dataclass(frozen=True)
class Report:
    """What became of a folder of sound files.

    Parameters
    ----------
    path : pathlib.Path
        The file of spikes.
    converted : int
        Sound files in it.
    made : int
        Those among them that were not there from an interrupted run, or a whole one.
    skipped : dict of str to str
        Names of sound files that are not in it, and why.
    classes : tuple of str
        Names of the classes, in the order of their numbers.
    """

    path: Path
    converted: int
    made: int
    skipped: dict[str, str]
    classes: tuple[str, ...]

    @property
    def exit_code(self) -> int:
        """What the command line returns: 1 if a file was skipped, else 0."""
        return 1 if self.skipped else 0


def _finished(path: Path, conversion: str, channels: int) -> Report:
    """What a file of spikes says of the conversion that made it, if that was the same."""
    file = layout.read(path, channels=channels)
    if tuple(file.meta.get("conversion", ())) != (conversion,):
        raise InputError("output file", str(path), "a new name",
                         "it is there, made of other sounds or parameters; overwrite replaces it")  # fmt: skip
    return Report(path, len(file.trials), 0, json.loads(file.meta["skipped"][0]), file.keys)


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Wait until no other process makes the same file."""
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        with lock:
            yield
    finally:
        Path(lock.lock_file).unlink(missing_ok=True)


def convert_folder(
    folder: str | Path,
    out: str | Path,
    *,
    labels: str | Path = "name",
    pattern: str | None = None,
    classes: Sequence[str] | None = None,
    speakers: Collection[str] | None = None,
    without_speakers: Collection[str] = (),
    seed: int = 0,
    cochlea: Cochlea | None = None,
    processes: int | None = None,
    overwrite: bool = False,
    progress: bool = True,
) -> Report:
    """Turn sound files into spikes.

    A file that is no sound, cut off, silent, or without a label is skipped, and the report says why. If it is
    interrupted, the same call goes on from the files that were done; they are kept beside `out` until it is written.

    Parameters
    ----------
    folder : path-like
        Sound files (``.wav``, ``.flac``, ``.ogg``), one utterance each, at any rate.
    out : path-like
        File to write (``.h5``).
    labels, pattern, speakers, without_speakers
        See `cortexsnn.datasets.sound.labelling.recordings`.
    classes : sequence of str, optional
        Names of the classes in the order of their numbers: give them where several files must agree, such as one to
        train and one to test with. By default those that occur, sorted.
    seed : int
        Decides, with the name of a sound file, which fibres of the auditory nerve fire.
    cochlea : Cochlea, optional
        That of the Spiking Heidelberg Digits by default.
    processes : int, optional
        As many as usable cores by default. With more than one, a script must start its work below
        ``if __name__ == "__main__":``.
    overwrite : bool
        Replace `out` if it is there and was made of other sounds or with other parameters.
    progress : bool
        Show a bar if it takes longer than five seconds.

    Returns
    -------
    Report

    Raises
    ------
    InputError
        If there are no sound files with a label, none of them can be used, `out` is something else already, or the
        extra ``audio`` is not installed.
    """
    root, target = Path(folder), Path(out)
    whole("seed", seed, 0)
    if processes is not None:
        whole("processes", processes, 1)
    for package in ("numba", "soundfile", "soxr"):
        needed(package)
    cochlea = Cochlea() if cochlea is None else cochlea
    found, without = recordings(root, labels, pattern=pattern, speakers=speakers, without_speakers=without_speakers)
    numbers, names = class_numbers([recording.label for recording in found], classes)
    speaker_names = sorted({recording.speaker for recording in found} - {""})

    kept = target.parent / f".{target.name}.parts"
    parts = [part_of(root / recording.name, recording.name, seed, cochlea, kept) for recording in found]
    made_of = [
        [part.path.stem, int(number), one.speaker] for part, number, one in zip(parts, numbers, found, strict=True)
    ]
    conversion = hashlib.sha256(json.dumps([made_of, names, without]).encode()).hexdigest()
    with _alone(target):
        if target.exists() and not overwrite:
            shutil.rmtree(kept, ignore_errors=True)  # what an interruption right at the end left
            return _finished(target, conversion, cochlea.membrane.channels)

        kept.mkdir(parents=True, exist_ok=True)
        made, skipped = convert(parts, cochlea, processes=processes, progress=progress)
        skipped |= dict.fromkeys(without, "its label is not known")
        good = [i for i, part in enumerate(parts) if part.name not in skipped]
        if not good:
            raise InputError(
                "sound files that can be used", 0, "at least one", "; ".join(map(": ".join, skipped.items()))
            )
        known = bool(speaker_names) and all(found[i].speaker for i in good)
        layout.write(
            target,
            (read_part(parts[i])[0] for i in good),
            (read_part(parts[i])[1] for i in good),
            numbers[good],
            speaker=np.array([speaker_names.index(found[i].speaker) for i in good]) if known else None,
            keys=names,
            speaker_names=speaker_names if known else None,
            source_files=[found[i].name for i in good],
            meta={
                "made_by": f"cortexsnn {cortexsnn.__version__}",
                "model": "inner-ear model of Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364",
                "cochlea": json.dumps(cochlea.describe()),
                "seed": str(seed),
                "skipped": json.dumps(skipped),
                "conversion": conversion,
            },
            channels=cochlea.membrane.channels,
        )
        shutil.rmtree(kept, ignore_errors=True)
        return Report(target, len(good), made, skipped, tuple(names))
