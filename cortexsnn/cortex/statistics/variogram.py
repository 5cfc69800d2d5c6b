"""Random maps with the variogram of a given one, from distances alone.

Burt et al. 2020 (https://doi.org/10.1016/j.neuroimage.2020.117038), after Viladomat et al. 2014
(https://doi.org/10.1111/biom.12139): shuffle the map, smooth it over as many neighbours as make its variogram most like
that of the map, and add as much noise as is missing.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import Values, generator, whole
from cortexsnn.cortex.statistics.inputs import finite_values, same_length
from cortexsnn.cortex.statistics.moran import checked_distances
from cortexsnn.errors import InputError

__all__ = ["variogram_surrogates"]

Integers = NDArray[np.intp]

# Share of places over which a shuffled map is smoothed. The first two are not among those published: of 100 places, a
# tenth is so many that surrogates came out smoother than their map (Moran's I of 0.11 instead of 0.06).
NEIGHBOURHOODS = (0.03, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
# Share of distances used, the shortest; and how they are binned, as published.
NEAREST_PAIRS = 0.25
BINS = 25
BANDWIDTH_IN_BINS = 3.0
FEWEST_PLACES = 20
_DIFFERENCES_AT_ONCE = 4_000_000


def _pairs(distances: Values) -> tuple[Integers, Integers, Values]:
    """Indices of near pairs and how much each counts in each bin of distance, shape (pair, bin)."""
    i, j = np.triu_indices(len(distances), 1)
    apart = distances[i, j]
    near = apart <= np.quantile(apart, NEAREST_PAIRS)
    i, j, apart = i[near], j[near], apart[near]
    bins = np.linspace(apart.min(), apart.max(), BINS)
    bandwidth = BANDWIDTH_IN_BINS * max(bins[1] - bins[0], 1e-12)
    # Quartiles of this Gaussian lie a quarter of the bandwidth away.
    counts = np.exp(-0.5 * (2.68 * (apart[:, None] - bins) / bandwidth) ** 2)
    return i, j, counts / counts.sum(axis=0)


def _smoothers(distances: Values) -> list[Values]:
    """Matrices that average over growing neighbourhoods with exponentially decaying weight."""
    nearest_first = np.sort(distances, axis=1)
    smoothers = []
    for share in NEIGHBOURHOODS:
        reach = nearest_first[:, [max(1, min(len(distances) - 1, round(share * len(distances))))]]
        weight = np.where(distances <= reach, np.exp(-distances / reach), 0.0)
        smoothers.append(weight / weight.sum(axis=1, keepdims=True))
    return smoothers


def _fits(smooth: Values, target: Values) -> tuple[Values, Values, Values]:
    """Slope, offset and squared error of the target regressed on each row, all of shape (surrogate,)."""
    centred = smooth - smooth.mean(axis=1, keepdims=True)
    power = (centred**2).sum(axis=1)
    slope = np.divide(centred @ target, power, out=np.zeros(len(smooth)), where=power > 0)
    offset = target.mean() - slope * smooth.mean(axis=1)
    return slope, offset, ((target - offset[:, None] - slope[:, None] * smooth) ** 2).sum(axis=1)


def variogram_surrogates(
    values: ArrayLike,
    distances: ArrayLike,
    surrogates: int,
    *,
    keep_values: bool = True,
    rng: np.random.Generator,
) -> Values:
    """Random maps whose differences grow with distance as those of the map given.

    Parameters
    ----------
    values : array, shape (place,)
    distances : array, shape (place, place)
        Of at least 20 places; any measure, such as geodesic distance.
    surrogates : int
    keep_values : bool
        Whether each surrogate has exactly the values of the map, in another order.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (surrogate, place)

    Raises
    ------
    InputError
        If the map is constant, a value is not finite, places are too few or the same, or lengths differ.

    Examples
    --------
    >>> places = np.arange(30.0)
    >>> distances = np.abs(places[:, None] - places)
    >>> maps = variogram_surrogates(np.sin(places / 5), distances, 4, rng=np.random.default_rng(1))
    >>> maps.shape, np.allclose(np.sort(maps), np.sort(np.sin(places / 5)))
    ((4, 30), True)
    """
    given = finite_values("values", values)
    apart = checked_distances(distances, FEWEST_PLACES)
    same_length("values", given, "distances", apart)
    generator(rng)
    number = whole("surrogates", surrogates, 1)
    if np.ptp(given) == 0:
        raise InputError("values", given.tolist(), "a map that is not constant")
    i, j, counts = _pairs(apart)
    smoothers = _smoothers(apart)
    target = 0.5 * (given[i] - given[j]) ** 2 @ counts
    at_once = max(1, _DIFFERENCES_AT_ONCE // i.size)
    maps = np.empty((number, given.size))
    for begin in range(0, number, at_once):
        shuffled = rng.permuted(np.tile(given - given.mean(), (min(at_once, number - begin), 1)), axis=1)
        best = np.full(len(shuffled), np.inf)
        chosen = np.zeros_like(shuffled)
        for smoother in smoothers:
            smooth = shuffled @ smoother.T
            slope, offset, error = _fits(0.5 * (smooth[:, i] - smooth[:, j]) ** 2 @ counts, target)
            noise = rng.standard_normal(smooth.shape)
            better = error < best
            best[better] = error[better]
            mixed = np.sqrt(np.abs(slope))[:, None] * smooth + np.sqrt(np.abs(offset))[:, None] * noise
            chosen[better] = mixed[better]
        maps[begin : begin + len(shuffled)] = chosen
    if not keep_values:
        return maps
    places = np.argsort(np.argsort(maps, axis=1), axis=1)
    return np.asarray(np.sort(given)[places])
