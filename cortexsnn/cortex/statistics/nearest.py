"""Which area a layer is nearest to, with what the uncertainty of both leaves open.

Nearest is meant in log tau. Timescales are drawn from the replicates of the layer and of every area, and the share of
draws in which an area is the nearest is its probability: it covers errors of measurement, not that protocols differ.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import Values, generator, whole
from cortexsnn.errors import InputError

__all__ = ["NearestAreas", "log_normal_replicates", "nearest_areas"]

CLEAR = 0.5


@dataclass(frozen=True, eq=False)
class NearestAreas:
    """Probability that each area is nearest to each layer.

    Parameters
    ----------
    layers, areas : tuple of str
    probability : array, shape (layer, area)
        Sums to 1 over areas; NaN where the layer has no timescale in any replicate.
    nearest : tuple of str
        Most probable area of each layer; empty without any.
    log_ratio : array, shape (layer, area)
        Median of ln(tau of the layer / tau of the area).
    undefined : array, shape (layer,)
        Share of replicates in which the layer has no timescale; probabilities are of the others.
    notes : tuple of str
        What to keep in mind about each layer, in words; empty if nothing.
    """

    layers: tuple[str, ...]
    areas: tuple[str, ...]
    probability: Values
    nearest: tuple[str, ...]
    log_ratio: Values
    undefined: Values
    notes: tuple[str, ...]


def log_normal_replicates(tau: float, standard_error: float, number: int, rng: np.random.Generator) -> Values:
    """Replicates of a timescale of which only the standard error is printed.

    Parameters
    ----------
    tau : float
    standard_error : float
        In the unit of `tau`; 0 if none is known, and the replicates are all the same.
    number : int
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray, shape (number,)
        With median `tau`, and standard_error / tau as the standard deviation of the logarithm.

    Raises
    ------
    InputError
        If `tau` is not positive, or the error negative.

    Examples
    --------
    >>> replicates = log_normal_replicates(257.0, 24.0, 20_000, np.random.default_rng(1))
    >>> [float(abs(np.median(replicates) - 257)) < 1, float(abs(replicates.std() - 24)) < 1]
    [True, True]
    """
    if not (np.isfinite(tau) and tau > 0):
        raise InputError("tau", tau, "a positive, finite timescale")
    if not (np.isfinite(standard_error) and standard_error >= 0):
        raise InputError("standard_error", standard_error, "a number of at least 0", "0 says that none is known")
    draws = generator(rng).standard_normal(whole("number", number, 1))
    return np.asarray(tau * np.exp(standard_error / tau * draws))


def _log_replicates(what: str, name: str, given: ArrayLike, *, may_lack: bool) -> Values:
    values = np.atleast_1d(np.asarray(given, dtype=np.float64))
    if values.ndim != 1 or not values.size:
        raise InputError(f"replicates of {what} '{name}'", values.shape, "one dimension, at least one replicate")
    if np.any(values <= 0) or np.any(np.isinf(values)) or (not may_lack and np.any(np.isnan(values))):
        expected = "positive timescales" + (", NaN where a replicate has none" if may_lack else "")
        raise InputError(f"replicates of {what} '{name}'", values.tolist(), expected)
    return np.asarray(np.log(values))


def _note(undefined: float, best: float) -> str:
    if undefined == 1:
        return "no timescale in any replicate"
    missing = f"no timescale in {undefined:.0%} of the replicates" if undefined else ""
    open_question = f"no area is clearly the nearest: the most probable one has {best:.0%}" if best < CLEAR else ""
    return "; ".join(part for part in (missing, open_question) if part)


def nearest_areas(
    layers: Mapping[str, ArrayLike],
    areas: Mapping[str, ArrayLike],
    *,
    draws: int = 10_000,
    rng: np.random.Generator,
) -> NearestAreas:
    """Probability, for every layer, that each area is nearest in log tau.

    Parameters
    ----------
    layers : mapping of str to array, shape (replicate,)
        Replicates of the timescale of each layer, from a bootstrap or from seeds; NaN where one has none. A single
        number stands for a timescale without uncertainty.
    areas : mapping of str to array, shape (replicate,)
        The same of each area, in the same unit, without NaN. Numbers of replicates may differ.
    draws : int
        How many pairs of replicates are compared.
    rng : numpy.random.Generator

    Returns
    -------
    NearestAreas
        Areas at the same distance share a draw.

    Raises
    ------
    InputError
        If there is no layer or no area, or a timescale is not positive.

    Examples
    --------
    >>> areas = {"MT": [64.0, 77.0], "LIP": [91.0, 138.0], "ACC": [257.0, 313.0, 340.0]}
    >>> result = nearest_areas({"hidden1": [80.0, 90.0], "hidden2": 280.0}, areas, rng=np.random.default_rng(1))
    >>> result.nearest, result.probability.round(1).tolist()
    (('MT', 'ACC'), [[0.6, 0.4, 0.0], [0.0, 0.0, 1.0]])
    """
    if not layers or not areas:
        empty = "areas" if layers else "layers"
        raise InputError(empty, {}, "at least one, by name")
    number = whole("draws", draws, 1)
    generator(rng)
    area_tau = [_log_replicates("area", name, given, may_lack=False) for name, given in areas.items()]
    drawn_areas = np.stack([tau[rng.integers(0, tau.size, number)] for tau in area_tau], axis=1)
    probability = np.full((len(layers), len(areas)), np.nan)
    log_ratio = np.full(probability.shape, np.nan)
    undefined = np.zeros(len(layers))
    for row, (name, given) in enumerate(layers.items()):
        tau = _log_replicates("layer", name, given, may_lack=True)
        undefined[row] = np.isnan(tau).mean()
        known = tau[~np.isnan(tau)]
        if not known.size:
            continue
        ratio = known[rng.integers(0, known.size, number)][:, None] - drawn_areas
        distance = np.abs(ratio)
        closest = distance <= distance.min(axis=1, keepdims=True) + 1e-12
        probability[row] = (closest / closest.sum(axis=1, keepdims=True)).mean(axis=0)
        log_ratio[row] = np.median(ratio, axis=0)
    names = tuple(areas)
    best = np.where(undefined < 1, np.nan_to_num(probability).max(axis=1), np.nan)
    nearest = tuple(
        names[int(np.argmax(row))] if lacking < 1 else "" for row, lacking in zip(probability, undefined, strict=True)
    )
    notes = tuple(_note(float(lacking), float(top)) for lacking, top in zip(undefined, best, strict=True))
    return NearestAreas(tuple(layers), names, probability, nearest, log_ratio, undefined, notes)
