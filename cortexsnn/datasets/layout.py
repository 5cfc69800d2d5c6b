"""Spike files in the HDF5 layout of the Spiking Heidelberg Digits: read without trust, written whole or not at all.

Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364. Per file: ``spikes/times`` (s) and ``spikes/units``, one
entry of variable length a trial; ``labels``; and, where they are known, ``extra/speaker``, ``extra/keys`` (names of the
classes), ``extra/speaker_names``, ``extra/source_file`` and ``extra/meta_info/*``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import Any

import h5py
import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from cortexsnn.checks import whole
from cortexsnn.datasets.flat_files import mapped_arrays
from cortexsnn.datasets.hdf5_bytes import Entries, StoredFile, open_stored
from cortexsnn.datasets.spike_trials import SpikeTrials
from cortexsnn.errors import InputError
from cortexsnn.files import cache_folder, replacing

__all__ = ["CHANNELS", "SpikeFile", "read", "write"]

CHANNELS = 700
_MOST_CHANNELS = _MOST_CLASSES = 1 << 16
_SPIKES_AT_ONCE = 1 << 22
_TRIALS_AT_ONCE = 256


@dataclass(frozen=True, eq=False)
class SpikeFile:
    """What a spike file holds.

    Parameters
    ----------
    trials : SpikeTrials
        Times in seconds in the type of the file, and units as uint16.
    labels : array of int64, shape (trial,)
        Classes from 0.
    speaker : array of int64, shape (trial,), optional
        Who spoke, where the file says so.
    keys : tuple of str
        Name of each class.
    speaker_names, source_files : tuple of str
        Name of each speaker, and the sound that each trial was made from.
    meta : mapping of str to array or tuple of str
        What ``extra/meta_info`` says of each speaker.
    """

    trials: SpikeTrials
    labels: NDArray[np.int64]
    speaker: NDArray[np.int64] | None = None
    keys: tuple[str, ...] = ()
    speaker_names: tuple[str, ...] = ()
    source_files: tuple[str, ...] = ()
    meta: Mapping[str, NDArray | tuple[str, ...]] = field(default_factory=lambda: MappingProxyType({}))


def read(
    path: str | Path,
    *,
    channels: int = CHANNELS,
    memory_limit: int = 1 << 30,
    cache: str | Path | None = None,
    progress: bool = True,
) -> SpikeFile:
    """Read a spike file after checking it completely.

    Spikes may be in any order within a trial: binning does not depend on it. A trial without spikes is kept.

    Parameters
    ----------
    path : path-like
        HDF5 file.
    channels : int
        Units are 0 to `channels` - 1.
    memory_limit : int
        In bytes. More spikes than fit are copied to flat files, once, which are mapped into memory.
    cache : path-like, optional
        Folder of these flat files; ``spikes`` in `cortexsnn.files.cache_folder` by default.
    progress : bool
        Show a bar if reading takes longer than five seconds.

    Returns
    -------
    SpikeFile

    Raises
    ------
    InputError
        If the file is not whole, is not what it seems (links, data kept elsewhere, sizes that it cannot hold), or a
        field has the wrong type, shape or range. File, field and reason are named.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "train.h5"
    >>> write(path, [[0.25, 0.5], []], [[3, 699], []], [0, 1])
    >>> found = read(path)
    >>> found.trials.trial(0), found.labels
    ((array([0.25, 0.5 ]), array([  3, 699])), array([0, 1]))
    """
    whole("channels", channels, 1)
    whole("memory_limit", memory_limit, 0)
    with open_stored(path) as stored:
        times, units = stored.entries("spikes/times", "f"), stored.entries("spikes/units", "iu")
        number = times.lengths.size
        if number == 0 or units.lengths.size != number:
            raise InputError(f"trials of 'spikes/units' in {stored.path}", units.lengths.size,
                             f"{number or 'at least one'}, as in 'spikes/times'")  # fmt: skip
        unequal = np.flatnonzero(times.lengths != units.lengths)
        if unequal.size:
            trial = int(unequal[0])
            shown = (int(times.lengths[trial]), int(units.lengths[trial]))
            raise InputError(f"spikes of trial {trial} in {stored.path}", shown, "as many times as units")
        labels = _one_each(stored, "labels", number)
        if labels is None:
            raise InputError(f"'labels' in {stored.path}", None, f"{number} whole numbers, one for each trial")
        wrong = labels[(labels < 0) | (labels >= _MOST_CLASSES)]
        if wrong.size:
            raise InputError(f"'labels' in {stored.path}", int(wrong[0]), f"classes from 0 to {_MOST_CLASSES - 1}")
        speaker = _one_each(stored, "extra/speaker", number)
        texts = {name: stored.strings(f"extra/{name}") or () for name in ("keys", "speaker_names", "source_file")}
        meta = {name: _described(stored, f"extra/meta_info/{name}") for name in stored.names("extra/meta_info")}
        trials = _trials(stored, times, units, channels, memory_limit, cache, progress=progress)
    return SpikeFile(trials, labels, speaker, texts["keys"], texts["speaker_names"], texts["source_file"],
                     MappingProxyType({name: value for name, value in meta.items() if value is not None}))  # fmt: skip


def _one_each(stored: StoredFile, name: str, number: int) -> NDArray[np.int64] | None:
    """One whole number a trial; None if there is no such field."""
    if stored.field(name) is None:
        return None
    found = stored.numbers(name, "iu")
    if found is None or found.size != number:
        shape = stored.field(name).shape if found is None else found.shape  # type: ignore[union-attr]
        raise InputError(f"'{name}' in {stored.path}", shape, f"{number} whole numbers, one for each trial")
    if found.dtype == np.uint64 and found.size and found.max() > np.iinfo(np.int64).max:
        raise InputError(f"'{name}' in {stored.path}", int(found.max()), "numbers below 2**63")
    return found.astype(np.int64)


def _described(stored: StoredFile, name: str) -> NDArray | tuple[str, ...] | None:
    """One number or text for each speaker; None of anything else, which no reader depends on."""
    numbers = stored.numbers(name)
    return stored.strings(name) if numbers is None else numbers.copy()


def _trials(
    stored: StoredFile,
    times: Entries,
    units: Entries,
    channels: int,
    memory_limit: int,
    cache: str | Path | None,
    *,
    progress: bool,
) -> SpikeTrials:
    """All spikes, in memory or, where they are more than the limit, in mapped files."""
    offsets = np.concatenate([[0], np.cumsum(times.lengths)]).astype(np.int64)
    small = np.uint16 if channels <= _MOST_CHANNELS else np.uint32
    kinds = {"times_s": times.dtype.newbyteorder("="), "units": np.dtype(small)}
    needed = int(offsets[-1]) * sum(kind.itemsize for kind in kinds.values())

    def fill(into: Mapping[str, NDArray]) -> None:
        with tqdm(total=int(offsets[-1]), desc=f"reading {stored.path.name}", unit="spike", unit_scale=True, delay=5,
                  disable=not progress) as bar:  # fmt: skip
            for first, last in _pieces(offsets):
                here = slice(int(offsets[first]), int(offsets[last]))
                into["times_s"][here] = _times(stored, times, first, last, offsets)
                into["units"][here] = _units(stored, units, first, last, offsets, channels)
                bar.update(here.stop - here.start)

    if needed <= memory_limit:
        made = {name: np.empty(int(offsets[-1]), kind) for name, kind in kinds.items()}
        fill(made)
    else:
        shapes = {name: (kind, int(offsets[-1])) for name, kind in kinds.items()}
        # The highest unit that was allowed is part of what was checked.
        folder = Path(cache) if cache is not None else cache_folder("spikes")
        made = mapped_arrays(stored.path, folder / str(channels), shapes, fill)
    return SpikeTrials(made["times_s"], made["units"], offsets)


def _pieces(offsets: NDArray[np.int64]) -> Iterator[tuple[int, int]]:
    """First and last + 1 of trials that have at most so many spikes together, or of one that has more."""
    first = 0
    while first < offsets.size - 1:
        last = int(np.searchsorted(offsets, offsets[first] + _SPIKES_AT_ONCE, side="right")) - 1
        last = max(last, first + 1)
        yield first, last
        first = last


def _trial_of(place: int, first: int, offsets: NDArray[np.int64]) -> int:
    """The trial of the spike at a place of a piece that starts with trial `first`."""
    return int(np.searchsorted(offsets, offsets[first] + place, side="right")) - 1


def _times(stored: StoredFile, entries: Entries, first: int, last: int, offsets: NDArray[np.int64]) -> NDArray:
    times = stored.gather(entries, first, last).astype(entries.dtype.newbyteorder("="), copy=False)
    # Bits of floats rise with their value up to infinity; those of NaN and of negative numbers are above. Half
    # precision is compared ten times as slowly.
    bits = times.view(f"u{times.itemsize}")
    if bits.max(initial=0) < np.array(np.inf, dtype=times.dtype).view(bits.dtype):
        return times
    good = (times >= 0) & (times < np.inf)
    if not good.all():
        place = int(np.argmin(good))
        raise InputError(f"'spikes/times' of trial {_trial_of(place, first, offsets)} in {stored.path}",
                         [float(times[place])], "finite times of at least 0 s")  # fmt: skip
    return times


def _units(
    stored: StoredFile, entries: Entries, first: int, last: int, offsets: NDArray[np.int64], channels: int
) -> NDArray:
    units = stored.gather(entries, first, last)
    if units.size and (units.min() < 0 or units.max() >= channels):
        place = int(np.argmax((units < 0) | (units >= channels)))
        raise InputError(f"'spikes/units' of trial {_trial_of(place, first, offsets)} in {stored.path}",
                         int(units[place]), f"0 to {channels - 1}")  # fmt: skip
    return units


def write(
    path: str | Path,
    times_s: Iterable[ArrayLike],
    units: Iterable[ArrayLike],
    labels: ArrayLike,
    *,
    speaker: ArrayLike | None = None,
    keys: Sequence[str] | None = None,
    speaker_names: Sequence[str] | None = None,
    source_files: Sequence[str] | None = None,
    meta: Mapping[str, Any] | None = None,
    channels: int = CHANNELS,
) -> None:
    """Write a spike file, which appears under its name when it is whole.

    Parameters
    ----------
    path : path-like
        HDF5 file. Its folder is made if it is missing.
    times_s : iterable of array of float, shape (spike,)
        Seconds from the start, one array a trial. Float16 stays float16, as in SHD; other types become float32.
    units : iterable of array of int, shape (spike,)
        Channels from 0 to `channels` - 1, one array a trial.
    labels : array of int, shape (trial,)
        Classes from 0 to 65535.
    speaker : array of int, shape (trial,), optional
        Who spoke, from 0 to 65535.
    keys : sequence of str, optional
        Name of each class.
    speaker_names : sequence of str, optional
        Name of each speaker.
    source_files : sequence of str, optional
        The sound that each trial was made from.
    meta : mapping of str to number, text, or a sequence of them, optional
        Goes to ``extra/meta_info``.
    channels : int

    Raises
    ------
    InputError
        If something has the wrong type, number or range; then no file is written, and an old one stays.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "test.h5"
    >>> write(path, [np.array([0.1], dtype=np.float16)], [[5]], [0], keys=["zero"], meta={"rate_hz": 48_000})
    >>> read(path).keys, read(path).meta["rate_hz"]
    (('zero',), array([48000]))
    """
    classes = _whole_numbers("labels", labels)
    if classes.size == 0:
        raise InputError("labels", [], "at least one trial")
    speakers = None if speaker is None else _whole_numbers("speaker", speaker, classes.size)
    for what, names, needed in (("keys", keys, classes), ("speaker_names", speaker_names, speakers)):
        if names is not None and needed is not None and len(names) <= needed.max():
            raise InputError(f"number of {what}", len(names), f"at least {int(needed.max()) + 1}")
    if source_files is not None and len(source_files) != classes.size:
        raise InputError("number of source_files", len(source_files), f"{classes.size}, one for each trial")
    whole("channels", channels, 1)
    if channels > _MOST_CHANNELS:
        raise InputError("channels", channels, f"at most {_MOST_CHANNELS}")
    with replacing(path) as temporary, h5py.File(temporary, "w") as file:
        _write_spikes(file, times_s, units, classes.size, channels)
        file["labels"] = classes
        if speakers is not None:
            file["extra/speaker"] = speakers
        texts = {"keys": keys, "speaker_names": speaker_names, "source_file": source_files}
        for name, given in texts.items():
            if given is not None:
                _write_described(file, f"extra/{name}", [str(text) for text in given])
        for name, value in (meta or {}).items():
            if not isinstance(name, str) or not name or "/" in name or name.startswith("."):
                raise InputError("name in meta", name, "a word without '/'")
            _write_described(file, f"extra/meta_info/{name}", value)


def _whole_numbers(name: str, given: ArrayLike, number: int | None = None) -> NDArray[np.uint16]:
    array = np.asarray(given)
    if array.ndim != 1 or (array.size and array.dtype.kind not in "iu"):
        raise InputError(name, given, "one whole number for each trial")
    if number is not None and array.size != number:
        raise InputError(f"number of {name}", array.size, f"{number}, one for each trial")
    if array.size and (array.min() < 0 or array.max() >= _MOST_CLASSES):
        raise InputError(name, int(array.min() if array.min() < 0 else array.max()), f"0 to {_MOST_CLASSES - 1}")
    return array.astype(np.uint16)


def _write_spikes(
    file: h5py.File, times_s: Iterable[ArrayLike], units: Iterable[ArrayLike], number: int, channels: int
) -> None:
    """Write both fields some trials at a time, so that what is given may be made on the way."""
    left = iter(times_s), iter(units)
    written, fields = 0, None
    while True:
        times, where = ([np.asarray(trial) for trial in islice(side, _TRIALS_AT_ONCE)] for side in left)
        if len(times) != len(where) or written + len(times) > number or (not times and written < number):
            raise InputError("number of trials of times_s and units", (written + len(times), written + len(where)),
                             f"{number}, as in labels")  # fmt: skip
        if not times:
            return
        if fields is None:
            half = {trial.dtype for trial in times if trial.size} == {np.dtype(np.float16)}
            kind = np.float16 if half else np.float32
            fields = [file.create_dataset(f"spikes/{name}", (number,), h5py.vlen_dtype(dtype))
                      for name, dtype in (("times", kind), ("units", np.uint16))]  # fmt: skip
        checked = [_checked(when, unit, written + place, kind, channels)
                   for place, (when, unit) in enumerate(zip(times, where, strict=True))]  # fmt: skip
        for dataset, values in zip(fields, zip(*checked, strict=True), strict=True):
            _write_entries(dataset, written, values)
        written += len(times)


def _write_entries(dataset: h5py.Dataset, first: int, entries: Sequence[NDArray]) -> None:
    """Write entries of variable length in one go; h5py itself would make a matrix of those of equal length."""
    rows = np.empty(len(entries), dtype=dataset.dtype)
    for place, entry in enumerate(entries):
        rows[place] = entry
    space = dataset.id.get_space()
    space.select_hyperslab((first,), (len(entries),))
    dataset.id.write(h5py.h5s.create_simple((len(entries),)), space, rows, h5py.h5t.py_create(dataset.dtype))


def _checked(
    times: NDArray, units: NDArray, trial: int, kind: type[np.floating], channels: int
) -> tuple[NDArray[np.floating], NDArray[np.uint16]]:
    """The spikes of a trial in the types of the file."""
    if times.ndim != 1 or times.shape != units.shape:
        raise InputError(f"spikes of trial {trial}", (times.shape, units.shape), "as many times as units, in a row")
    if times.size == 0:
        return np.empty(0, dtype=kind), np.empty(0, dtype=np.uint16)
    if kind is np.float16 and times.dtype != np.float16:
        raise InputError(f"type of times_s of trial {trial}", str(times.dtype), "float16, as that of the first trials")
    # Beyond the range of float32 a time is infinite, and refused as such.
    with np.errstate(over="ignore"):
        when = times.astype(kind) if times.dtype.kind in "iuf" else np.full(times.shape, np.nan, dtype=kind)
    if not np.all((when >= 0) & (when < np.inf)):
        raise InputError(f"times_s of trial {trial}", times.tolist(), "finite times of at least 0 s")
    if units.dtype.kind not in "iu" or units.min() < 0 or units.max() >= channels:
        raise InputError(f"units of trial {trial}", units.tolist(), f"whole numbers from 0 to {channels - 1}")
    return when, units.astype(np.uint16)


def _write_described(file: h5py.File, name: str, value: Any) -> None:
    """A row of numbers, or of texts of fixed length, as in SHD."""
    array = np.atleast_1d(np.asarray(value))
    if array.ndim != 1 or array.dtype.kind not in "iufU":
        raise InputError(name, value, "a number, a text, or a row of one of them")
    if array.dtype.kind != "U":
        file[name] = array
        return
    encoded = [text.encode() for text in array.tolist()]
    longest = max((len(text) for text in encoded), default=0)
    file.create_dataset(name, data=encoded, dtype=h5py.string_dtype("utf-8", max(1, longest)))
