"""Correlation of two maps of the cortex, tested against random maps that are as smooth.

Where neighbouring places are alike, n places are far fewer than n independent ones, and the usual p-value is far too
small. How often two maps that have nothing to do with each other give p <= 0.05, in a simulation of 100 random places
(Gaussian fields whose correlation decays exponentially with distance):

    length over width    0.05    0.15    0.3
    usual p              0.08    0.26    0.40
    moran                0.05    0.06    0.09
    variogram            0.04    0.05    0.06

So where maps are smooth over a third of the cortex, even these p-values are somewhat too small.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy import stats

from cortexsnn.checks import Values, choice
from cortexsnn.cortex.statistics.inputs import checked_sampling, finite_values, same_length
from cortexsnn.cortex.statistics.moran import (
    checked_distances,
    inverse_distances,
    moran_surrogates,
    morans_i,
)
from cortexsnn.cortex.statistics.permutation import sampled_p
from cortexsnn.cortex.statistics.variogram import variogram_surrogates
from cortexsnn.errors import InputError

__all__ = ["SPATIAL_NULLS", "SpatialCorrelation", "spatial_correlation"]

SPATIAL_NULLS = ("moran", "variogram")
COEFFICIENTS = ("spearman", "pearson")
FEW_PLACES = 20


@dataclass(frozen=True)
class SpatialCorrelation:
    """Correlation of two maps with a p-value that knows about their smoothness.

    Parameters
    ----------
    coefficient : {"spearman", "pearson"}
    null : {"moran", "variogram"}
    places : int
    value : float
        The correlation.
    p_value : float
        Share of surrogates of x whose correlation with y is at least as far from 0, or to the side of `alternative`.
    p_standard_error : float
    smallest_possible_p : float
        That so many surrogates can show.
    usual_p_value : float
        As if places were independent; to show what smoothness does, never to report.
    moran_x, moran_y : float
        Moran's I of both maps.
    alternative : {"two-sided", "greater", "less"}
    note : str
    """

    coefficient: str
    null: str
    places: int
    value: float
    p_value: float
    p_standard_error: float
    smallest_possible_p: float
    usual_p_value: float
    moran_x: float
    moran_y: float
    alternative: str
    note: str


def _correlations(maps: Values, other: Values) -> Values:
    """Pearson correlation of every row with one map."""
    centred = maps - maps.mean(axis=1, keepdims=True)
    against = other - other.mean()
    return np.asarray(centred @ against / np.sqrt((centred**2).sum(axis=1) * (against @ against)))


def spatial_correlation(
    x: ArrayLike,
    y: ArrayLike,
    distances: ArrayLike,
    *,
    coefficient: str = "spearman",
    null: str = "moran",
    alternative: str = "two-sided",
    surrogates: int = 9999,
    rng: np.random.Generator,
) -> SpatialCorrelation:
    """Correlate two maps over places, against surrogates of x that keep its spatial autocorrelation.

    Parameters
    ----------
    x, y : array, shape (place,)
        Such as the timescale and T1w/T2w of parcels.
    distances : array, shape (place, place)
        Between places; see `distances_between`.
    coefficient : {"spearman", "pearson"}
    null : {"moran", "variogram"}
        Moran spectral randomisation with weights 1 / distance (Wagner & Dray 2015,
        https://doi.org/10.1111/2041-210X.12407), or surrogates that match the variogram (Burt et al. 2020,
        https://doi.org/10.1016/j.neuroimage.2020.117038).
    alternative : {"two-sided", "greater", "less"}
    surrogates : int
    rng : numpy.random.Generator

    Returns
    -------
    SpatialCorrelation

    Raises
    ------
    InputError
        If lengths differ, a map is constant, a value is not finite, or places are too few or the same.

    Examples
    --------
    >>> from cortexsnn.cortex.statistics.moran import distances_between
    >>> rng = np.random.default_rng(1)
    >>> places = rng.random((60, 2))
    >>> x, y = places[:, 0], places[:, 0] + 0.2 * places[:, 1]
    >>> result = spatial_correlation(x, y, distances_between(places), rng=rng)
    >>> round(result.value, 2), result.usual_p_value < 1e-9 < result.p_value < 0.05
    (0.97, True)
    """
    first, second = finite_values("x", x), finite_values("y", y)
    same_length("y", second, "x", first)
    apart = checked_distances(distances)
    same_length("x", first, "distances", apart)
    choice("coefficient", coefficient, COEFFICIENTS)
    choice("null", null, SPATIAL_NULLS)
    number = checked_sampling("surrogates", surrogates, alternative, rng)
    for name, values in (("x", first), ("y", second)):
        if np.ptp(values) == 0:
            raise InputError(name, values.tolist(), "a map that is not constant")
    weights = inverse_distances(apart)
    maps = (
        moran_surrogates(first, weights, number, rng=rng)
        if null == SPATIAL_NULLS[0]
        else variogram_surrogates(first, apart, number, rng=rng)
    )
    everything, other = np.vstack([first, maps]), second
    if coefficient == COEFFICIENTS[0]:
        # Maps come back from their patterns with rounding; ties must stay ties.
        everything = stats.rankdata(np.round(everything / np.ptp(first), 12), axis=1)
        other = stats.rankdata(second)
    values = _correlations(everything, other)
    sided = {"two-sided": np.abs(values), "greater": values, "less": -values}[alternative]
    p_value, error = sampled_p(int((sided[1:] >= sided[0] - 1e-12).sum()), number)
    usual = stats.spearmanr if coefficient == COEFFICIENTS[0] else stats.pearsonr
    note = f"only {first.size} places: random maps are hardly different from the one given"
    moran_x, moran_y = morans_i(np.stack([first, second]), weights).tolist()
    return SpatialCorrelation(
        coefficient, null, first.size, float(values[0]), p_value, error, 1 / (1 + number),
        float(usual(first, second, alternative=alternative).pvalue), moran_x, moran_y, alternative,
        note if first.size < FEW_PLACES else "",
    )  # fmt: skip
