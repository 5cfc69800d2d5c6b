"""The global heap of an HDF5 file, where entries of variable length are kept: found in the bytes of the file.

Format: https://support.hdfgroup.org/documentation/hdf5/latest/_f_m_t3.html, level 1E. A heap is a header of 16 bytes
(``GCOL``, version, size) and its objects, each a header of 16 bytes (index, number of references, size) and its
content, filled up to a multiple of 8 bytes. Index 0 is the space that is left.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError

__all__ = ["objects_of_heaps"]

_HEAP = struct.Struct("<4sB3xQ")
_OBJECT = struct.Struct("<HH4xQ")
_MOST_OBJECTS = 1 << 16


def objects_of_heaps(
    content: NDArray[np.uint8], base: int, heaps: NDArray[np.uint64], indices: NDArray[np.uint32], field: str
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Find objects of heaps in the bytes of a file.

    Parameters
    ----------
    content : array of uint8
        The bytes of the file.
    base : int
        Byte from which addresses count.
    heaps : array of uint64, shape (object,)
        Address of the heap of each object.
    indices : array of uint32, shape (object,)
        Index of each object in its heap.
    field : str
        What is read, for messages.

    Returns
    -------
    starts : array of int64, shape (object,)
        First byte of each object.
    sizes : array of int64, shape (object,)
        Its bytes; -1 if there is no such object.

    Raises
    ------
    InputError
        If there is no heap at an address, or heaps reach into each other or beyond the file.
    """
    addresses, heap_of = np.unique(heaps, return_inverse=True)
    keys: list[int] = []
    starts: list[int] = []
    sizes: list[int] = []
    end = 0
    for number, address in enumerate(addresses.tolist()):
        start = base + address
        last = _end_of_heap(content, start)
        # Heaps that overlap could be made to take any time to walk.
        if last is None or start < end:
            raise InputError(f"address of a heap of {field}", start, "the byte at which a heap of the file starts",
                             "the file is cut or damaged")  # fmt: skip
        end = last
        for index, place, size in _objects(content, start + _HEAP.size, end):
            keys.append(number * _MOST_OBJECTS + index)
            starts.append(place)
            sizes.append(size)
    # What is asked for and not there has the key after all others.
    known, first = np.unique(np.array([*keys, addresses.size * _MOST_OBJECTS], dtype=np.int64), return_index=True)
    wanted = heap_of.astype(np.int64) * _MOST_OBJECTS + np.minimum(indices, _MOST_OBJECTS - 1)
    at = np.searchsorted(known, wanted)
    found = (known[at] == wanted) & (indices < _MOST_OBJECTS)
    return (
        np.where(found, np.array([*starts, 0], dtype=np.int64)[first][at], 0),
        np.where(found, np.array([*sizes, -1], dtype=np.int64)[first][at], -1),
    )


def _end_of_heap(content: NDArray[np.uint8], start: int) -> int | None:
    """Byte after a heap; None if there is no heap, or not all of it."""
    if start + _HEAP.size > content.size:
        return None
    signature, version, size = _HEAP.unpack_from(content.data, start)
    whole = signature == b"GCOL" and version == 1 and start + size <= content.size
    return start + size if whole else None


def _objects(content: NDArray[np.uint8], place: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Index, first byte and size of each object of a heap; one that reaches beyond the heap is the last."""
    while place + _OBJECT.size <= end:
        index, _, size = _OBJECT.unpack_from(content.data, place)
        place += _OBJECT.size
        if index == 0 or place + size > end:
            return
        yield index, place, size
        place += -(-size // 8) * 8
