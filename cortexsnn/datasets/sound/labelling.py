"""Which sound files a folder has, and what was said in each, and by whom: from file names, folder names or a table."""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cortexsnn.datasets.sound.audio import SUFFIXES
from cortexsnn.errors import InputError
from cortexsnn.files import existing_file

__all__ = ["PATTERN", "Recording", "class_numbers", "recordings"]

PATTERN = r"(?P<label>[^_]+)(_(?P<speaker>[^_]+).*)?"
_LARGEST_TABLE_BYTES = 64 << 20


@dataclass(frozen=True)
class Recording:
    """A sound file and what is known of it.

    Parameters
    ----------
    name : str
        Path of the file below the folder, with ``/``.
    label : str
        Name of its class.
    speaker : str
        Empty if it is not known.
    """

    name: str
    label: str
    speaker: str = ""


def _from_names(names: Iterable[str], pattern: str, *, folder_is_label: bool) -> tuple[list[Recording], list[str]]:
    """Recordings, and the names that say no label."""
    try:
        parts = re.compile(pattern)
    except re.error as error:
        raise InputError("pattern of the file names", pattern, "a regular expression", str(error)) from None
    if "label" not in parts.groupindex and not folder_is_label:
        raise InputError("pattern of the file names", pattern, "one with a group (?P<label>...)")
    found, without = [], []
    for name in names:
        path = Path(name)
        match = parts.fullmatch(path.stem)
        said = match.groupdict() if match else {}
        label = path.parent.name if folder_is_label else said.get("label")
        if label and (match or folder_is_label):
            found.append(Recording(name, label, said.get("speaker") or ""))
        else:
            without.append(name)
    return found, without


def _from_table(path: Path, names: Collection[str]) -> tuple[list[Recording], list[str]]:
    """Recordings of a table's rows, and the names that are not in it."""
    table = existing_file(path, "table of labels")
    if table.stat().st_size > _LARGEST_TABLE_BYTES:
        raise InputError(f"size of the table {path}", table.stat().st_size, f"at most {_LARGEST_TABLE_BYTES} bytes")
    try:
        text = table.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError("table of labels", str(path), "text in UTF-8", str(error)) from None
    first = text.partition("\n")[0]
    rows = csv.DictReader(text.splitlines(), delimiter="\t" if "\t" in first else ",")
    if not {"file", "label"} <= set(rows.fieldnames or ()):
        raise InputError(f"columns of the table {path}", list(rows.fieldnames or ()), "file, label and perhaps speaker",
                         "the first line names the columns, separated by commas or tabs")  # fmt: skip
    try:
        lines = list(rows)
    except csv.Error as error:
        raise InputError(f"line {rows.line_num} of the table {path}", "unreadable", "a file and its label",
                         str(error)) from None  # fmt: skip
    found: dict[str, Recording] = {}
    for number, row in enumerate(lines, start=2):
        name, label = (row["file"] or "").strip(), (row["label"] or "").strip()
        if not name or not label:
            raise InputError(f"line {number} of the table {path}", list(row.values()), "a file and its label")
        if name in found:
            raise InputError(f"file in line {number} of the table {path}", name, "a file that was not named before")
        found[name] = Recording(name, label, (row.get("speaker") or "").strip())
    missing = sorted(found.keys() - set(names))
    if missing:
        raise InputError(f"file in the table {path}", missing[0], "a sound file below the folder",
                         f"{len(missing)} of {len(found)} are not there")  # fmt: skip
    return list(found.values()), sorted(set(names) - found.keys())


def recordings(
    folder: str | Path,
    labels: str | Path = "name",
    *,
    pattern: str | None = None,
    speakers: Collection[str] | None = None,
    without_speakers: Collection[str] = (),
) -> tuple[list[Recording], list[str]]:
    """Find the sound files below a folder.

    Parameters
    ----------
    folder : path-like
        Searched with its subfolders for ``.wav``, ``.flac`` and ``.ogg``.
    labels : {"name", "folder"} or path-like
        Where the label stands: in the file's name, in that of its folder, or in a table (CSV or TSV) with the columns
        ``file`` (the path below `folder`), ``label`` and perhaps ``speaker``.
    pattern : str, optional
        Regular expression that fits the whole name without its suffix, with the groups ``label`` and perhaps
        ``speaker``. By default what stands before the first ``_`` is the label, and what stands before the second is
        the speaker: ``7_anna_03.wav``. If the folder is the label, only the speaker is taken from the name, and only
        if a pattern is given.
    speakers : collection of str, optional
        Take only what these said.
    without_speakers : collection of str
        Leave out what these said.

    Returns
    -------
    found : list of Recording
        By name.
    without : list of str
        Names of sound files whose label is not known.

    Raises
    ------
    InputError
        If there is no such folder, no sound file with a label, no such speaker, a bad pattern, or a table cannot be
        used.

    Examples
    --------
    >>> import tempfile
    >>> folder = Path(tempfile.mkdtemp())
    >>> for name in ("seven_anna_0.wav", "seven_bert_0.wav", "two_anna_0.flac", "notes.txt"):
    ...     folder.joinpath(name).touch()
    >>> recordings(folder, speakers=["anna"])[0]
    [Recording(name='seven_anna_0.wav', label='seven', speaker='anna'),
     Recording(name='two_anna_0.flac', label='two', speaker='anna')]
    """
    root = Path(folder)
    if not root.is_dir():
        raise InputError("folder of sound files", str(root), "a folder with .wav, .flac or .ogg files")
    names = sorted(
        path.relative_to(root).as_posix()
        for path in root.rglob("*")
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith(".")
    )
    if not names:
        raise InputError("sound files below the folder", str(root), "at least one .wav, .flac or .ogg file")
    if str(labels) == "folder":
        found, without = _from_names(names, pattern or ".*", folder_is_label=True)
    elif str(labels) == "name":
        found, without = _from_names(names, pattern or PATTERN, folder_is_label=False)
    else:
        found, without = _from_table(Path(labels), names)
    known = {recording.speaker for recording in found}
    for asked in (speakers or (), without_speakers):
        for speaker in sorted(set(asked) - known):
            raise InputError("speaker", speaker, f"one of {', '.join(sorted(known)) or 'those in file names or table'}")
    chosen = [
        recording
        for recording in found
        if (speakers is None or recording.speaker in speakers) and recording.speaker not in without_speakers
    ]
    if not chosen:
        raise InputError("sound files with a label", 0, "at least one",
                         f"none in {without[0]!r}, nor in others" if without else "no speaker is left")  # fmt: skip
    return sorted(chosen, key=lambda recording: recording.name), without


def class_numbers(labels: Sequence[str], classes: Sequence[str] | None = None) -> tuple[NDArray[np.int64], list[str]]:
    """Number the classes.

    Parameters
    ----------
    labels : sequence of str
    classes : sequence of str, optional
        Names in the order of their numbers, so that files made one by one agree. By default the names that occur, in
        alphabetical order, or that of numbers if all are numbers.

    Returns
    -------
    numbers : numpy.ndarray of int64, shape (label,)
    classes : list of str

    Raises
    ------
    InputError
        If a label is not among the classes, or a class is named twice.

    Examples
    --------
    >>> class_numbers(["9", "10", "9"])
    (array([0, 1, 0]), ['9', '10'])
    >>> class_numbers(["ten", "nine"], ["nine", "ten", "eleven"])
    (array([1, 0]), ['nine', 'ten', 'eleven'])
    """
    if classes is None:
        known = sorted(set(labels))
        if all(re.fullmatch("[0-9]{1,9}", name) for name in known):
            known.sort(key=int)
    else:
        known = list(classes)
        if len(set(known)) != len(known):
            raise InputError("classes", known, "different names")
    number = {name: i for i, name in enumerate(known)}
    for label in labels:
        if label not in number:
            raise InputError("label", label, f"one of the classes {', '.join(known)}")
    return np.array([number[label] for label in labels], dtype=np.int64), known
