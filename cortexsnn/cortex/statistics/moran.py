"""Maps over places: Moran's I, and random maps with exactly the same autocorrelation.

Neighbouring areas are alike, so that two maps which have nothing to do with each other often look correlated. Moran
spectral randomisation (Wagner & Dray 2015, https://doi.org/10.1111/2041-210X.12407) makes maps that are as smooth as
the one given: it keeps how strongly each spatial pattern (Moran eigenvector, Dray et al. 2006,
https://doi.org/10.1016/j.ecolmodel.2006.02.015) is present, and makes its sign random.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import helmert

from cortexsnn.checks import Values, generator, whole
from cortexsnn.cortex.statistics.inputs import finite_values, same_length
from cortexsnn.errors import InputError

__all__ = ["distances_between", "inverse_distances", "moran_surrogates", "morans_i"]

FEWEST_PLACES = 4


def distances_between(positions: ArrayLike) -> Values:
    """Straight-line distances between places.

    Along the folded surface of a hemisphere, geodesic distances are better: take those of the atlas.

    Parameters
    ----------
    positions : array, shape (place, dimension)

    Returns
    -------
    numpy.ndarray, shape (place, place)
        In the unit of the positions.

    Raises
    ------
    InputError
        If a position is not finite, or the array has not two dimensions.

    Examples
    --------
    >>> distances_between([[0.0, 0.0], [3.0, 4.0]]).tolist()
    [[0.0, 5.0], [5.0, 0.0]]
    """
    places = finite_values("positions", positions, dimensions=2)
    return np.asarray(np.sqrt(((places[:, None] - places) ** 2).sum(axis=2)))


def checked_distances(distances: ArrayLike, fewest: int = FEWEST_PLACES) -> Values:
    """Return distances as float64 if they are a symmetric matrix of different places.

    Parameters
    ----------
    distances : array, shape (place, place)
    fewest : int
        Places needed.

    Returns
    -------
    numpy.ndarray, shape (place, place)

    Raises
    ------
    InputError
        Otherwise.

    Examples
    --------
    >>> checked_distances([[0.0, 0.0], [0.0, 0.0]], fewest=2)
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: distance between places 0 and 1 is 0.0; expected a positive number...
    """
    given = finite_values("distances", distances, dimensions=2)
    if given.shape[0] != given.shape[1] or not np.allclose(given, given.T) or np.any(np.diag(given) != 0):
        raise InputError("shape of distances", given.shape, "a symmetric matrix (place, place) with 0 on its diagonal")
    if len(given) < fewest:
        raise InputError("places", len(given), f"at least {fewest}")
    same = np.argwhere(np.triu(given <= 0, 1))
    if same.size:
        i, j = same[0].tolist()
        raise InputError(f"distance between places {i} and {j}", float(given[i, j]), "a positive number",
                         "average what was measured at one place")  # fmt: skip
    return given


def inverse_distances(distances: ArrayLike) -> Values:
    """Spatial weights: 1 over distance, none of a place with itself.

    Parameters
    ----------
    distances : array, shape (place, place)

    Returns
    -------
    numpy.ndarray, shape (place, place)

    Raises
    ------
    InputError
        If it is not a symmetric matrix of at least 4 different places.

    Examples
    --------
    >>> inverse_distances(distances_between([[0.0], [1.0], [2.0], [4.0]]))[0].tolist()
    [0.0, 1.0, 0.5, 0.25]
    """
    given = checked_distances(distances)
    return np.divide(1.0, given, out=np.zeros_like(given), where=given > 0)


def morans_i(values: ArrayLike, weights: Values) -> Values:
    """Moran's I, the correlation of a map with its neighbourhood (https://doi.org/10.2307/2332142).

    Parameters
    ----------
    values : array, shape (..., place)
        One map, or many.
    weights : array, shape (place, place)
        Such as `inverse_distances`.

    Returns
    -------
    numpy.ndarray, shape (...)
        Without any autocorrelation, -1 / (places - 1) on average; NaN for a constant map.

    Examples
    --------
    >>> weights = inverse_distances(distances_between([[0.0], [1.0], [2.0], [3.0]]))
    >>> np.round(morans_i([[1.0, 2.0, 3.0, 4.0], [1.0, 4.0, 2.0, 3.0]], weights), 3).tolist()
    [-0.046, -0.508]
    """
    given = np.asarray(values, dtype=np.float64)
    centred = given - given.mean(axis=-1, keepdims=True)
    power = (centred**2).sum(axis=-1)
    covariance = ((centred @ weights) * centred).sum(axis=-1) * given.shape[-1] / weights.sum()
    return np.divide(covariance, power, out=np.full(np.shape(power), np.nan), where=power > 0)


def _patterns(weights: Values) -> Values:
    """Moran eigenvectors in columns, the smoothest first, shape (place, place - 1)."""
    # An orthonormal basis of all maps with mean 0.
    basis = helmert(len(weights)).T
    _, vectors = np.linalg.eigh(basis.T @ weights @ basis)
    return np.asarray(basis @ vectors[:, ::-1])


def moran_surrogates(values: ArrayLike, weights: Values, surrogates: int, *, rng: np.random.Generator) -> Values:
    """Random maps with the mean, variance and Moran's I of the one given.

    Each pattern gets a random sign (the procedure "singleton" of Wagner & Dray). Rotating pairs of neighbouring
    patterns instead was tried and left out: with weights 1 / distance the smoothest pattern stands so far apart from
    the second that surrogates of a map with an I of 0.18 had 0.40.

    Parameters
    ----------
    values : array, shape (place,)
    weights : array, shape (place, place)
        Symmetric, such as `inverse_distances`.
    surrogates : int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (surrogate, place)

    Raises
    ------
    InputError
        If the map is constant, a value is not finite, or lengths differ.

    Examples
    --------
    >>> weights = inverse_distances(distances_between(np.arange(8.0)[:, None]))
    >>> values = np.arange(8.0) ** 2
    >>> maps = moran_surrogates(values, weights, 3, rng=np.random.default_rng(1))
    >>> np.allclose(morans_i(maps, weights), morans_i(values, weights))
    True
    """
    given = finite_values("values", values)
    same_length("values", given, "weights", weights)
    generator(rng)
    number = whole("surrogates", surrogates, 1)
    if np.ptp(given) == 0:
        raise InputError("values", given.tolist(), "a map that is not constant")
    patterns = _patterns(weights)
    present = (given - given.mean()) @ patterns
    signs = 1 - 2 * rng.integers(0, 2, (number, present.size))
    return np.asarray(given.mean() + signs * present @ patterns.T)
