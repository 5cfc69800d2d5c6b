"""Draws with replacement from nested units: seeds, then recordings in each drawn seed, then neurons in each of those.

Saravanan, Berman & Sober 2020 (https://doi.org/10.51628/001c.13927).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import generator, whole
from cortexsnn.errors import InputError

__all__ = ["Tree", "checked_levels", "drawn", "hierarchical_draws"]


@dataclass(frozen=True, eq=False)
class Tree:
    """Nodes of every level, children of one parent side by side.

    Parameters
    ----------
    children : list of array, shape (parent,)
        For each level, how many of its nodes each node of the level above has.
    first : list of array, shape (parent,)
        Where they begin.
    leaf : array, shape (observation,)
        Node of the last level to which each observation belongs.
    """

    children: list[NDArray[np.int64]]
    first: list[NDArray[np.int64]]
    leaf: NDArray[np.int64]


def _tree(levels: Mapping[str, ArrayLike]) -> Tree:
    if not levels:
        raise InputError("levels", {}, "at least one level, such as {'seed': labels}")
    children, first = [], []
    node, above = np.zeros(0, dtype=np.int64), 1
    size = -1
    for name, given in levels.items():
        labels = np.asarray(given)
        if labels.ndim != 1 or not labels.size:
            raise InputError(f"shape of level '{name}'", labels.shape, "one label for each observation")
        if size < 0:
            size, node = labels.size, np.zeros(labels.size, dtype=np.int64)
        if labels.size != size:
            raise InputError(f"length of level '{name}'", labels.size, f"{size}, as of the first level")
        if labels.dtype.kind == "f" and not np.all(np.isfinite(labels)):
            raise InputError(f"level '{name}'", labels.tolist(), "labels, none of them missing")
        _, own = np.unique(labels, return_inverse=True)
        # A label counts within its parent: neuron 0 of one seed is not neuron 0 of another.
        paths, below = np.unique(node * (int(own.max()) + 1) + own, return_inverse=True)
        number = np.bincount(paths // (int(own.max()) + 1), minlength=above)
        children.append(number)
        first.append(np.cumsum(number) - number)
        node, above = below.astype(np.int64), paths.size
    return Tree(children, first, node)


def drawn(tree: Tree, fixed: Sequence[bool], resamples: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """Draw members of nodes, level by level.

    Parameters
    ----------
    tree : Tree
    fixed : sequence of bool, shape (level,)
        Levels whose members are all taken once.
    resamples : int
    rng : numpy.random.Generator

    Returns
    -------
    array of int64, shape (resample, observation)
        How often each observation is drawn.

    Examples
    --------
    >>> tree, fixed = checked_levels({"seed": [0, 0, 1]}, ())
    >>> drawn(tree, fixed, 2, np.random.default_rng(1)).tolist()
    [[0, 0, 2], [1, 1, 1]]
    """
    resample = np.arange(resamples)
    node = np.zeros(resamples, dtype=np.int64)
    for children, first, is_fixed in zip(tree.children, tree.first, fixed, strict=True):
        number = children[node]
        begin = np.repeat(first[node], number)
        if is_fixed:
            within = np.arange(begin.size) - np.repeat(np.cumsum(number) - number, number)
        else:
            within = (rng.random(begin.size) * np.repeat(number, number)).astype(np.int64)
        resample, node = np.repeat(resample, number), begin + within
    leaves = int(tree.children[-1].sum())
    counts = np.bincount(resample * leaves + node, minlength=resamples * leaves)
    return np.asarray(counts.reshape(resamples, leaves)[:, tree.leaf])


def checked_levels(levels: Mapping[str, ArrayLike], fixed: Sequence[str]) -> tuple[Tree, list[bool]]:
    """Return the tree of some labels, and which of its levels are fixed.

    Parameters
    ----------
    levels, fixed
        As of `hierarchical_draws`.

    Returns
    -------
    tree : Tree
    fixed : list of bool, shape (level,)

    Raises
    ------
    InputError
        If levels differ in length, are empty, or all are fixed.

    Examples
    --------
    >>> checked_levels({"seed": [0, 0, 1], "layer": [1, 2, 1]}, ["layer"])[1]
    [False, True]
    """
    unknown = [name for name in fixed if name not in levels]
    if unknown:
        raise InputError("fixed", unknown, f"names of levels: {', '.join(levels)}")
    kept = [name in fixed for name in levels]
    tree = _tree(levels)
    if all(kept):
        raise InputError("fixed", list(fixed), "at least one level that is drawn")
    return tree, kept


def hierarchical_draws(
    levels: Mapping[str, ArrayLike], resamples: int, *, fixed: Sequence[str] = (), rng: np.random.Generator
) -> NDArray[np.int64]:
    """Draw units with replacement level by level: how often each observation is in each resample.

    Every drawn copy of a unit draws its own members, so a seed drawn twice brings two different sets of neurons.

    Parameters
    ----------
    levels : mapping of str to array, shape (observation,)
        Labels from the highest level to the lowest, such as ``{"seed": ..., "recording": ..., "neuron": ...}``. Labels
        count within the unit above. Observations that share all labels stay together.
    resamples : int
    fixed : sequence of str
        Levels whose members are all taken once: layers are not a sample of layers.
    rng : numpy.random.Generator

    Returns
    -------
    array of int64, shape (resample, observation)

    Raises
    ------
    InputError
        If levels differ in length, are empty, or all are fixed.

    Examples
    --------
    >>> levels = {"seed": [0, 0, 1, 1], "layer": [1, 2, 1, 2]}
    >>> counts = hierarchical_draws(levels, 3, fixed=["layer"], rng=np.random.default_rng(1))
    >>> counts.tolist()
    [[0, 0, 2, 2], [1, 1, 1, 1], [2, 2, 0, 0]]
    """
    tree, kept = checked_levels(levels, fixed)
    generator(rng)
    return drawn(tree, kept, whole("resamples", resamples, 1), rng)
