"""Arrays that are too large to be held are gone through block by block."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product

__all__ = ["block_shape", "blocks"]


def block_shape(shape: Sequence[int], values: int) -> tuple[int, ...]:
    """Shape of blocks that follow each other in memory: as much of the last axes as fits, then less of the first.

    Parameters
    ----------
    shape : sequence of int
        Of the whole array.
    values : int
        Most values in a block.

    Returns
    -------
    tuple of int
        At least 1 along every axis.

    Examples
    --------
    >>> block_shape((100, 50, 4), 1000)
    (5, 50, 4)
    >>> block_shape((100, 50, 400), 1000)
    (1, 2, 400)
    """
    sizes = []
    for size in reversed(shape):
        sizes.append(max(1, min(size, values)))
        values //= sizes[-1]
    return tuple(reversed(sizes))


def blocks(shape: Sequence[int], values: int) -> Iterator[tuple[slice, ...]]:
    """Indices of blocks that together are the whole array, in its order.

    Parameters
    ----------
    shape : sequence of int
        Of the whole array.
    values : int
        Most values in a block.

    Yields
    ------
    tuple of slice

    Examples
    --------
    >>> list(blocks((5,), 2))
    [(slice(0, 2, None),), (slice(2, 4, None),), (slice(4, 5, None),)]
    """
    lengths = zip(shape, block_shape(shape, values), strict=True)
    axes = [[slice(start, min(start + step, size)) for start in range(0, size, step)] for size, step in lengths]
    yield from product(*axes)
