"""The null of shuffled layers: what the rise over depth would be if the order of layers meant nothing.

Within every network the timescales are dealt out to the layers anew, and the statistic is averaged over networks. With
several networks this can be significant where no single one can: 4 layers have 24 orders, two such networks 576.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import permutations as orders
from math import sqrt

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import Values, choice
from cortexsnn.cortex.statistics.arrangements import METHODS, rank_null, rank_scores, whole_ranks
from cortexsnn.cortex.statistics.inputs import (
    checked_sampling,
    finite_values,
    joined,
    same_length,
    tau_values,
    too_small,
)
from cortexsnn.cortex.statistics.permutation import sampled_p
from cortexsnn.cortex.statistics.slopes import least_squares_slopes, relative_depth
from cortexsnn.errors import InputError

__all__ = ["LAYER_STATISTICS", "ShuffledLayers", "shuffled_layers"]

LAYER_STATISTICS = (*METHODS, "slope")
_LARGEST_ENUMERATED_LAYERS = 8
_LARGEST_HALF = 2_000_000
_SHUFFLED_AT_ONCE = 10_000
_SAME = 1e-9


@dataclass(frozen=True)
class ShuffledLayers:
    """The mean of a statistic over networks, against shuffled layers.

    Parameters
    ----------
    statistic : {"spearman", "kendall", "slope"}
    networks : int
    layers : tuple of int
        Layers of each network.
    mean : float
        Of the statistic over networks.
    p_value : float
        Share of all shufflings with a mean at least as far from 0, or to the side of `alternative`.
    p_is_exact : bool
    p_standard_error : float
        Of a sampled p; 0 for an exact one.
    smallest_possible_p : float
    note : str
        What to keep in mind, in words.
    alternative : {"two-sided", "greater", "less"}
    """

    statistic: str
    networks: int
    layers: tuple[int, ...]
    mean: float
    p_value: float
    p_is_exact: bool
    p_standard_error: float
    smallest_possible_p: float
    note: str
    alternative: str


@dataclass(frozen=True, eq=False)
class _Network:
    """One network, ready to be shuffled: `values` are dealt out to `depth`; a score times `unit` is the statistic."""

    depth: Values
    values: Values
    statistic: str
    unit: float

    def of(self, arranged: Values) -> Values:
        """Statistic of each row of values."""
        if self.statistic == "slope":
            return least_squares_slopes(self.depth, arranged)
        scores = rank_scores(self.depth.astype(np.int64), arranged.astype(np.int64), self.statistic)
        return np.asarray(self.unit * scores)

    def null(self) -> tuple[Values, Values] | None:
        """Values of the statistic and their shares among all orders; None if there are too many."""
        if self.statistic != "slope":
            null = rank_null(self.depth.astype(np.int64), self.values.astype(np.int64), self.statistic)
            return None if null is None else (np.asarray(self.unit * null.scores), null.share)
        if self.values.size > _LARGEST_ENUMERATED_LAYERS:
            return None
        every = self.of(np.array(list(orders(self.values.tolist()))))
        return every, np.full(every.size, 1.0 / every.size)


def _network(which: int, depth: ArrayLike | None, tau: ArrayLike, statistic: str) -> _Network:
    log_tau = tau_values(f"tau of network {which}", tau)
    places = (
        np.arange(log_tau.size, dtype=np.float64)
        if depth is None
        else finite_values(f"depth of network {which}", depth)
    )
    same_length(f"tau of network {which}", log_tau, "its depth", places)
    if log_tau.size < 2:
        raise InputError(f"layers of network {which}", log_tau.size, "at least 2", "leave it out, and say so")
    if np.ptp(places) == 0:
        raise InputError(f"depth of network {which}", places.tolist(), "at least two different depths")
    if statistic == "slope":
        return _Network(relative_depth(places) if depth is None else places, log_tau, statistic, 1.0)
    if np.ptp(log_tau) == 0:
        raise InputError(f"tau of network {which}", np.exp(log_tau).tolist(), "layers that differ",
                         "without an order there is no rank correlation")  # fmt: skip
    first, second = whole_ranks(places), whole_ranks(log_tau)
    itself = [float(rank_scores(ranks, ranks[None], statistic)[0]) for ranks in (first, second)]
    return _Network(first.astype(np.float64), second.astype(np.float64), statistic, 1 / sqrt(itself[0] * itself[1]))


def _merged(values: Values, shares: Values) -> tuple[Values, Values]:
    """The same values once, with all their share."""
    distinct, which = np.unique(np.round(values, 10), return_inverse=True)
    return distinct, np.asarray(np.bincount(which, weights=shares), dtype=np.float64)


def _sum_of(nulls: Sequence[tuple[Values, Values]]) -> tuple[Values, Values] | None:
    """Distribution of the sum of independent values; None if it grows too long."""
    values, shares = np.zeros(1), np.ones(1)
    for more, with_share in nulls:
        if values.size * more.size > _LARGEST_HALF:
            return None
        values, shares = _merged((values[:, None] + more).ravel(), (shares[:, None] * with_share).ravel())
    return values, shares


def _above(halves: Sequence[tuple[Values, Values]], least: float) -> float:
    """Probability that the sum of a value of each half is at least so large."""
    (left, left_share), (right, right_share) = halves
    tail = np.append(np.cumsum(right_share[::-1])[::-1], 0.0)
    return float(left_share @ tail[np.searchsorted(right, least - left)])


def _exact_p(halves: Sequence[tuple[Values, Values]], total: float, alternative: str) -> tuple[float, float]:
    """Find p of the sum, and the smallest possible p."""
    opposite = [(-values[::-1], shares[::-1]) for values, shares in halves]
    top = sum(float(values[-1]) for values, _ in halves)
    bottom = sum(float(values[-1]) for values, _ in opposite)
    if alternative == "greater":
        return _above(halves, total - _SAME), _above(halves, top - _SAME)
    if alternative == "less":
        return _above(opposite, -total - _SAME), _above(opposite, bottom - _SAME)

    def both(size: float) -> float:
        # Everything is at least as far as 0.
        return 1.0 if size <= _SAME else _above(halves, size - _SAME) + _above(opposite, size - _SAME)

    return both(abs(total)), both(max(top, bottom))


def _sampled_hits(
    networks: Sequence[_Network], total: float, number: int, alternative: str, rng: np.random.Generator
) -> int:
    hits = 0
    for begin in range(0, number, _SHUFFLED_AT_ONCE):
        draws = min(_SHUFFLED_AT_ONCE, number - begin)
        sums = np.zeros(draws)
        for one in networks:
            sums += one.of(rng.permuted(np.tile(one.values, (draws, 1)), axis=1))
        sided = {"two-sided": np.abs(sums), "greater": sums, "less": -sums}[alternative]
        least = {"two-sided": abs(total), "greater": total, "less": -total}[alternative]
        hits += int((sided >= least - _SAME).sum())
    return hits


def shuffled_layers(
    tau: Sequence[ArrayLike],
    depth: Sequence[ArrayLike] | None = None,
    *,
    statistic: str = "spearman",
    alternative: str = "two-sided",
    permutations: int = 99_999,
    rng: np.random.Generator,
) -> ShuffledLayers:
    """Test whether timescales go with depth in these networks, by shuffling the layers within each.

    All shufflings of all networks are counted where that can be done (rank correlations of any number of networks of
    up to 14 layers; slopes of up to 8 networks of 4 layers), by adding up the distributions of the networks. Each
    network counts alike, whatever its number of layers.

    Parameters
    ----------
    tau : sequence of array, shape (layer,)
        Timescales of each network, of any unit; networks may differ in their number of layers.
    depth : sequence of array, shape (layer,), optional
        Depth of the layers of each network; by default they are in order, equally far apart.
    statistic : {"spearman", "kendall", "slope"}
        What is averaged: a rank correlation of depth with tau, or the slope of ln(tau) over depth.
    alternative : {"two-sided", "greater", "less"}
    permutations : int
        Random shufflings where not all are counted.
    rng : numpy.random.Generator

    Returns
    -------
    ShuffledLayers

    Raises
    ------
    InputError
        If there is no network, lengths differ, a tau is not positive and finite, or a network has one layer.

    Examples
    --------
    >>> rising = [[50, 90, 160, 300], [60, 80, 190, 240]]
    >>> one, two = (shuffled_layers(rising[:n], rng=np.random.default_rng(1)) for n in (1, 2))
    >>> round(one.p_value, 4), round(two.p_value, 4), two.mean
    (0.0833, 0.0035, 1.0)
    """
    choice("statistic", statistic, LAYER_STATISTICS)
    number = checked_sampling("permutations", permutations, alternative, rng)
    if not len(tau):
        raise InputError("tau", [], "at least one network")
    if depth is not None and len(depth) != len(tau):
        raise InputError("length of depth", len(depth), f"{len(tau)}: one array for each network")
    networks = [
        _network(which, None if depth is None else depth[which], values, statistic) for which, values in enumerate(tau)
    ]
    total = sum(float(one.of(one.values[None])[0]) for one in networks)
    layers = tuple(one.values.size for one in networks)
    caution = "of these networks, whatever other seeds would do: for those, see sign_flip_test"
    nulls = [one.null() for one in networks]
    known = [null for null in nulls if null is not None]
    middle = (len(known) + 1) // 2
    halves = [_sum_of(known[:middle]), _sum_of(known[middle:])] if len(known) == len(networks) else []
    complete = [half for half in halves if half is not None]
    if len(complete) == 2:
        p_value, smallest = _exact_p(complete, total, alternative)
        of = f" of {'/'.join(map(str, sorted(set(layers))))} layers"
        note = joined(caution, too_small(len(layers), "network", smallest, alternative, more=of))
        return ShuffledLayers(
            statistic, len(layers), layers, total / len(layers), min(p_value, 1.0), True, 0.0, min(smallest, 1.0), note,
            alternative,
        )  # fmt: skip
    hits = _sampled_hits(networks, total, number, alternative, rng)
    p_value, error = sampled_p(hits, number)
    return ShuffledLayers(
        statistic, len(layers), layers, total / len(layers), p_value, False, error, 1 / (1 + number), caution,
        alternative,
    )  # fmt: skip
