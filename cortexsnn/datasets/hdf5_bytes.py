"""Fields of an HDF5 file as bytes: every size is checked against the file before memory is taken.

An entry of variable length says itself how long it is, and the HDF5 library believes it: a damaged or hostile file
decides how much memory is taken and how much is copied there. So the library is asked only what a field is and where
its bytes lie; they are taken from the file here. Format:
https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from numpy.typing import NDArray

from cortexsnn.datasets.global_heap import objects_of_heaps
from cortexsnn.errors import InputError
from cortexsnn.files import open_hdf5

__all__ = ["Entries", "StoredFile", "open_stored"]

MOST_ENTRIES = 10_000_000
_LARGEST_FIELD_BYTES = 1 << 28
_LIBRARY_ERRORS = (
    *(OSError, RuntimeError, LookupError, TypeError, ValueError, AttributeError, MemoryError, OverflowError),
)

# How a file refers to an entry of variable length.
_REFERENCE = np.dtype([("length", "<u4"), ("heap", "<u8"), ("index", "<u4")])
_DEFLATE, _SHUFFLE = h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE


@dataclass(frozen=True, eq=False)
class Entries:
    """Where the entries of a field of variable length lie.

    Parameters
    ----------
    starts : array of int64, shape (entry,)
        First byte in the file; 0 for an empty entry.
    lengths : array of int64, shape (entry,)
        Number of items.
    dtype : numpy.dtype
        Type of an item.
    """

    starts: NDArray[np.int64]
    lengths: NDArray[np.int64]
    dtype: np.dtype


@contextmanager
def _asking_hdf5(path: Path) -> Iterator[None]:
    """Name the file that the HDF5 library cannot make sense of."""
    try:
        yield
    except InputError:
        raise
    except _LIBRARY_ERRORS as error:
        raise InputError("spike file", str(path), "a complete HDF5 file", f"HDF5 says: {error}") from None


def _number_type(kind: h5py.h5t.TypeID) -> np.dtype | None:
    """The NumPy type whose bytes are those in the file, if it is a number of at most 8 bytes."""
    if not isinstance(kind, h5py.h5t.TypeIntegerID | h5py.h5t.TypeFloatID):
        return None
    dtype = np.dtype(kind.dtype)
    # Numbers with unusual bits are converted by the library; NumPy would take their bytes for other numbers.
    same = dtype.kind in "iuf" and dtype.itemsize <= 8 and h5py.h5t.py_create(dtype).equal(kind)
    return dtype if same else None


def _unpacked(
    data: NDArray[np.uint8], filters: Sequence[tuple[int, tuple[int, ...]]], skipped: int, size: int
) -> bytes:
    """Undo gzip and shuffle of one chunk, which has `size` bytes; what is larger or smaller is empty."""
    content = data.tobytes()
    for number, (code, values) in reversed(list(enumerate(filters))):
        if skipped >> number & 1:
            continue
        if code == _DEFLATE:
            stream = zlib.decompressobj()
            try:
                content = stream.decompress(content, size + 1)
            except zlib.error:
                return b""
            if not stream.eof:
                return b""
        elif values and len(content) == size:
            content = np.frombuffer(content, np.uint8).reshape(values[0], -1).T.tobytes()
        else:
            return b""
    return content if len(content) == size else b""


@dataclass(frozen=True, eq=False)
class StoredFile:
    """An open HDF5 file, of which only the structure is read by the HDF5 library.

    Parameters
    ----------
    path : pathlib.Path
    file : h5py.File
    content : array of uint8
        The bytes of the file, mapped into memory.
    """

    path: Path
    file: h5py.File
    content: NDArray[np.uint8]

    def _named(self, name: str) -> str:
        return f"'{name}' in {self.path}"

    def field(self, name: str) -> h5py.Dataset | None:
        """A dataset that is itself in this place, not a link; None if there is none.

        Parameters
        ----------
        name : str
            Groups and dataset, ``"spikes/times"``.

        Returns
        -------
        h5py.Dataset or None

        Raises
        ------
        InputError
            If a link stands in this place.
        """
        with _asking_hdf5(self.path):
            member: h5py.Group | h5py.Dataset = self.file
            for part in name.split("/"):
                link = member.get(part, getlink=True) if isinstance(member, h5py.Group) else None
                if link is None:
                    return None
                if not isinstance(link, h5py.HardLink):
                    raise InputError(self._named(name), type(link).__name__, "the data themselves",
                                     "links are refused; copy the data in")  # fmt: skip
                member = member[part]
            return member if isinstance(member, h5py.Dataset) else None

    def names(self, group: str) -> list[str]:
        """Names of the datasets in a group, none if there is no such group.

        Parameters
        ----------
        group : str

        Returns
        -------
        list of str
        """
        with _asking_hdf5(self.path):
            found = self.file.get(group)
            return [str(name) for name in found] if isinstance(found, h5py.Group) else []

    def numbers(self, name: str, kinds: str = "iuf") -> NDArray | None:
        """A field of one plain number an entry.

        Parameters
        ----------
        name : str
        kinds : str
            Letters of NumPy's kinds that will do.

        Returns
        -------
        numpy.ndarray, shape (entry,), or None
            None if there is no field of that name, dimension and kind.

        Raises
        ------
        InputError
            If the bytes of the field are not in the file.
        """
        field = self.field(name)
        if field is None:
            return None
        with _asking_hdf5(self.path):
            dtype = _number_type(field.id.get_type()) if field.ndim == 1 else None
        if dtype is None or dtype.kind not in kinds:
            return None
        return self._bytes(name, field, dtype.itemsize).view(dtype)

    def strings(self, name: str) -> tuple[str, ...] | None:
        """A field of one text an entry, of fixed or variable length.

        Parameters
        ----------
        name : str

        Returns
        -------
        tuple of str, or None
            None if there is no field of that name, dimension and type.

        Raises
        ------
        InputError
            If the bytes of the field are not in the file.
        """
        field = self.field(name)
        if field is None:
            return None
        with _asking_hdf5(self.path):
            kind = field.id.get_type()
            if field.ndim != 1 or not isinstance(kind, h5py.h5t.TypeStringID):
                return None
            varies, size = kind.is_variable_str(), kind.get_size()
        if varies:
            entries = self._entries(name, field, np.dtype(np.uint8))
            texts = [self.content[start : start + length].tobytes()
                     for start, length in zip(entries.starts, entries.lengths, strict=True)]  # fmt: skip
        else:
            rows = self._bytes(name, field, size).reshape(-1, size)
            texts = [row.tobytes() for row in rows]
        return tuple(text.split(b"\0")[0].decode("utf-8", errors="replace") for text in texts)

    def entries(self, name: str, kinds: str) -> Entries:
        """Find the entries of a field of one array of numbers an entry.

        Parameters
        ----------
        name : str
        kinds : str
            Letters of NumPy's kinds that will do.

        Returns
        -------
        Entries
            All of them inside the file.

        Raises
        ------
        InputError
            If there is no such field, or an entry is not in the file.
        """
        field = self.field(name)
        if field is None:
            with _asking_hdf5(self.path):
                raise InputError(f"spike file {self.path}", sorted(self.file), f"a dataset '{name}'",
                                 "see the layout of SHD")  # fmt: skip
        with _asking_hdf5(self.path):
            kind = field.id.get_type()
            dtype = _number_type(kind.get_super()) if isinstance(kind, h5py.h5t.TypeVlenID) else None
            shown = f"{field.dtype}, {field.ndim} dimensions"
        if dtype is None or dtype.kind not in kinds or field.ndim != 1:
            raise InputError(f"type of {self._named(name)}", shown,
                             "one array of numbers of any length for each trial")  # fmt: skip
        return self._entries(name, field, dtype)

    def gather(self, entries: Entries, first: int, last: int) -> NDArray:
        """Join entries `first` to `last` - 1.

        Parameters
        ----------
        entries : Entries
        first, last : int

        Returns
        -------
        numpy.ndarray, shape (item,)
        """
        size = entries.dtype.itemsize
        joined = np.empty(int(entries.lengths[first:last].sum()) * size, dtype=np.uint8)
        place = 0
        starts, sizes = entries.starts[first:last].tolist(), (entries.lengths[first:last] * size).tolist()
        for start, taken in zip(starts, sizes, strict=True):
            joined[place : place + taken] = self.content[start : start + taken]
            place += taken
        return joined.view(entries.dtype)

    def _span(self, name: str, start: int | None, size: int) -> NDArray[np.uint8]:
        """Some bytes of the file, all of which must be there."""
        if start is None or start + size > self.content.size:
            raise InputError(f"end of {self._named(name)}", None if start is None else start + size,
                             f"at most {self.content.size}, the size of the file",
                             "the file is cut or damaged")  # fmt: skip
        return self.content[start : start + size]

    def _bytes(self, name: str, field: h5py.Dataset, item_bytes: int) -> NDArray[np.uint8]:
        """All bytes of a field of one dimension."""
        with _asking_hdf5(self.path):
            entries, chunk, start = int(field.shape[0]), field.chunks, field.id.get_offset()
            layout = field.id.get_create_plist().get_layout()
        if entries > MOST_ENTRIES or entries * item_bytes > _LARGEST_FIELD_BYTES:
            raise InputError(f"length of {self._named(name)}", entries,
                             f"at most {min(MOST_ENTRIES, _LARGEST_FIELD_BYTES // max(item_bytes, 1))}")  # fmt: skip
        if entries == 0:
            return np.empty(0, dtype=np.uint8)
        if layout == h5py.h5d.CONTIGUOUS:
            return self._span(name, start, entries * item_bytes)
        if layout == h5py.h5d.CHUNKED:
            return self._chunked(name, field, entries, int(chunk[0]), item_bytes)
        raise InputError(f"storage of {self._named(name)}", "compact", "contiguous or in chunks")

    def _chunked(self, name: str, field: h5py.Dataset, entries: int, chunk: int, item_bytes: int) -> NDArray[np.uint8]:
        """All bytes of a field that is stored in chunks, as appendable arrays are."""
        with _asking_hdf5(self.path):
            properties = field.id.get_create_plist()
            found = [properties.get_filter(number) for number in range(properties.get_nfilters())]
            chunks = [field.id.get_chunk_info_by_coord((first,)) for first in range(0, entries, chunk)]
        # HDF5 cannot shuffle entries of variable length: the filter is named without the size of an item, and skipped.
        known = [
            code == _DEFLATE or (code == _SHUFFLE and values in ((item_bytes,), ())) for code, _, values, _ in found
        ]
        if not all(known):
            raise InputError(f"filters of {self._named(name)}", [text.decode(errors="replace") for *_, text in found],
                             "gzip and shuffle, or none")  # fmt: skip
        size = chunk * item_bytes
        if size > _LARGEST_FIELD_BYTES:
            raise InputError(f"chunk of {self._named(name)}", size, f"at most {_LARGEST_FIELD_BYTES} bytes")
        filters = [(code, values) for code, _, values, _ in found]
        parts = np.empty((len(chunks), size), dtype=np.uint8)
        for number, stored in enumerate(chunks):
            packed = self._span(name, stored.byte_offset, stored.size)
            content = _unpacked(packed, filters, stored.filter_mask, size)
            if not content:
                raise InputError(f"chunk {number} of {self._named(name)}", f"{packed.size} bytes",
                                 f"bytes that unpack to {size}", "the file is damaged")  # fmt: skip
            parts[number] = np.frombuffer(content, dtype=np.uint8)
        return parts.reshape(-1)[: entries * item_bytes]

    def _entries(self, name: str, field: h5py.Dataset, dtype: np.dtype) -> Entries:
        """Where the entries of variable length lie; each is as long as it says, and inside the file."""
        with _asking_hdf5(self.path):
            sizes, base = self.file.id.get_create_plist().get_sizes(), self.file.userblock_size
        if tuple(sizes) != (8, 8):
            raise InputError(f"bytes of an address in {self.path}", tuple(sizes), "8 and 8")
        # Bytes of any place: a structure without gaps has no alignment.
        references = self._bytes(name, field, _REFERENCE.itemsize).view(_REFERENCE)
        lengths = references["length"].astype(np.int64)
        if int(lengths.sum()) * dtype.itemsize > self.content.size:
            raise InputError(f"size of {self._named(name)}", int(lengths.sum()) * dtype.itemsize,
                             f"no more bytes than the file has, {self.content.size}",
                             "the file is cut, damaged or a bomb")  # fmt: skip
        starts = np.zeros(lengths.size, dtype=np.int64)
        held = np.flatnonzero(lengths)
        if held.size:
            places, bytes_held = objects_of_heaps(
                self.content, base, references["heap"][held], references["index"][held], self._named(name)
            )
            wrong = np.flatnonzero(bytes_held != lengths[held] * dtype.itemsize)
            if wrong.size:
                trial = int(held[wrong[0]])
                raise InputError(f"bytes of trial {trial} of {self._named(name)}", int(bytes_held[wrong[0]]),
                                 f"{lengths[trial] * dtype.itemsize}, as the file says elsewhere",
                                 "the file is damaged")  # fmt: skip
            starts[held] = places
        return Entries(starts, lengths, dtype)


@contextmanager
def open_stored(path: str | Path) -> Iterator[StoredFile]:
    """Open an HDF5 file whose bytes are not trusted.

    Parameters
    ----------
    path : path-like

    Yields
    ------
    StoredFile

    Raises
    ------
    InputError
        If the file is missing, empty, truncated or not HDF5, or if anything in it refers to another file.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "numbers.h5"
    >>> with h5py.File(path, "w") as file:
    ...     file["labels"] = [3, 4]
    >>> with open_stored(path) as stored:
    ...     stored.numbers("labels", "iu")
    array([3, 4])
    """
    path = Path(path)
    with _asking_hdf5(path):
        file = open_hdf5(path, "spike file")
    try:
        yield StoredFile(path, file, np.memmap(path, dtype=np.uint8, mode="r").view(np.ndarray))
    finally:
        with _asking_hdf5(path):
            file.close()
