"""From the places of spikes to counts, dense or sparse."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

from cortexsnn.errors import InputError

if TYPE_CHECKING:
    import torch

__all__ = ["SparseCounts", "counts_at", "sparse_counts_at"]


@dataclass(frozen=True, eq=False)
class SparseCounts:
    """Counts above 0 of some trials and where they are, sorted by trial, step and channel.

    Parameters
    ----------
    trial, step, channel : array of int32, shape (entry,)
        Trials are counted in the order in which they were asked for.
    count : array of uint8, shape (entry,)
    shape : tuple of int
        Of the array that is meant: (trial, time, channel).
    """

    trial: NDArray[np.int32]
    step: NDArray[np.int32]
    channel: NDArray[np.int32]
    count: NDArray[np.uint8]
    shape: tuple[int, int, int]

    def dense(self) -> NDArray[np.uint8]:
        """The same as an array.

        Returns
        -------
        numpy.ndarray of uint8, shape (trial, time, channel)
        """
        whole_array = np.zeros(self.shape, dtype=np.uint8)
        whole_array[self.trial, self.step, self.channel] = self.count
        return whole_array

    def to_torch(self) -> torch.Tensor:
        """The same as a sparse tensor.

        Returns
        -------
        torch.Tensor
            Coalesced, layout ``torch.sparse_coo``, float32, shape (trial, time, channel).
        """
        import torch

        places = torch.from_numpy(np.stack([self.trial, self.step, self.channel]).astype(np.int64))
        values = torch.from_numpy(self.count).float()
        return torch.sparse_coo_tensor(places, values, self.shape, is_coalesced=True, check_invariants=False)


def counts_at(
    places: NDArray[np.int32], offsets: NDArray[np.int64], cells: int, kind: type[np.unsignedinteger] = np.uint8
) -> NDArray[Any]:
    """Count how often each place occurs in each row.

    Parameters
    ----------
    places : array of int32, shape (spike,)
        From 0 to `cells` - 1, in any order.
    offsets : array of int64, shape (row + 1,)
        Those of row i are ``places[offsets[i] : offsets[i + 1]]``.
    cells : int
        Length of a row.
    kind : type
        Of the counts. Higher ones wrap around.

    Returns
    -------
    numpy.ndarray, shape (row, cell)

    Examples
    --------
    >>> counts_at(np.array([2, 0, 2, 1], dtype=np.int32), np.array([0, 3, 4]), 4)
    array([[1, 0, 2, 0],
           [0, 1, 0, 0]], dtype=uint8)
    """
    # SciPy's compiled sum of what shares a place writes bytes; numpy.bincount would make eight times as many, and
    # numpy.add.at takes more than twice as long.
    found: NDArray[Any] = _rows(places, offsets, cells, kind).toarray()
    return found


def sparse_counts_at(places: NDArray[np.int32], offsets: NDArray[np.int64], shape: tuple[int, int]) -> SparseCounts:
    """Count how often each place occurs in each trial, without the places that never do.

    Parameters
    ----------
    places : array of int32, shape (spike,)
        ``step * channels + channel``, in any order.
    offsets : array of int64, shape (trial + 1,)
        Those of trial i are ``places[offsets[i] : offsets[i + 1]]``.
    shape : tuple of int
        (time, channel).

    Returns
    -------
    SparseCounts

    Examples
    --------
    >>> found = sparse_counts_at(np.array([4, 1, 4], dtype=np.int32), np.array([0, 3]), (2, 3))
    >>> found.step, found.channel, found.count
    (array([0, 1], dtype=int32), array([1, 1], dtype=int32), array([1, 2], dtype=uint8))
    """
    steps, channels = shape
    rows = _rows(places, offsets, steps * channels, np.uint8)
    rows.sum_duplicates()
    step, channel = np.divmod(rows.indices, np.int32(channels))
    trials = offsets.size - 1
    trial = np.repeat(np.arange(trials, dtype=np.int32), np.diff(rows.indptr))
    return SparseCounts(trial, step, channel, rows.data, (trials, steps, channels))


def _rows(places: NDArray[np.int32], offsets: NDArray[np.int64], cells: int, kind: type[np.unsignedinteger]) -> Any:
    """One entry a spike, a row a trial; SciPy does not look whether a place is there, and writes where it is told."""
    if places.size and (int(places.min()) < 0 or int(places.max()) >= cells):
        raise InputError("places of spikes", (int(places.min()), int(places.max())), f"0 to {cells - 1}")
    ones = np.ones(places.size, dtype=kind)
    return csr_array((ones, places, offsets.astype(np.int32)), shape=(offsets.size - 1, cells))
