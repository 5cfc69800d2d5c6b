"""How steeply the areas of the cortex rise along their hierarchy, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from cortexsnn.cortex.comparing.areas import SAMPLES, Areas, Sample
from cortexsnn.cortex.comparing.layout import Part
from cortexsnn.cortex.statistics import (
    METHODS,
    Bootstrap,
    distances_between,
    hierarchical_bootstrap,
    least_squares_slopes,
    log_ratio,
    log_slope,
    rank_correlation,
    residual_bootstrap_slope,
    spatial_correlation,
)
from cortexsnn.cortex.statistics.inputs import joined
from cortexsnn.errors import InputError

__all__ = ["cortex_part", "cortex_slopes"]

# Fewer have too few patterns to make random maps of.
_FEWEST_PLACES = 10

# A permutation of many points takes long, and so many settle p well enough; its error is told.
_MANY_POINTS = 40
_PERMUTATIONS, _PERMUTATIONS_OF_MANY = 99_999, 9_999

_NOT_EXCHANGEABLE = "points share areas and laboratories and so are not exchangeable: take p as a description"


def _is_once(areas: Areas) -> bool:
    """Whether every area was observed once, so that its mean and its observation are the same point."""
    return areas.observations.area.size == areas.means.area.size


def _bootstrap(sample: Sample, resamples: int, confidence: float, rng: np.random.Generator) -> Bootstrap | None:
    """Bootstrap of the slope: of data sets where there are three or more, otherwise of residuals."""
    height, tau_ms = sample.height, sample.tau_ms
    if tau_ms.size < 2 or np.ptp(height) == 0:
        return None
    if np.unique(sample.dataset).size > 2:
        return hierarchical_bootstrap(
            lambda counts: least_squares_slopes(height, np.log(tau_ms), counts),
            {"dataset": sample.dataset},
            resamples=resamples,
            confidence=confidence,
            rng=rng,
        )
    return residual_bootstrap_slope(height, tau_ms, resamples=resamples, confidence=confidence, rng=rng)


def cortex_slopes(
    areas: Areas, resamples: int, confidence: float, rng: np.random.Generator
) -> dict[str, Bootstrap | None]:
    """Bootstrap of the slope of each sample.

    Parameters
    ----------
    areas : Areas
    resamples : int
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    dict from sample to Bootstrap
        None where there is no slope. Means of areas keep their places and draw the signs of residuals; observations of
        three or more data sets draw those again.
    """
    of_means = _bootstrap(areas.means, resamples, confidence, rng)
    of_observations = of_means if _is_once(areas) else _bootstrap(areas.observations, resamples, confidence, rng)
    return dict(zip(SAMPLES, (of_means, of_observations), strict=True))


def _drawn_again(sample: Sample, slope: Bootstrap | None) -> str:
    if slope is None:
        return ""
    if np.unique(sample.dataset).size > 2:
        return f"interval: {slope.units} data sets drawn again"
    return f"interval: residuals of {slope.units} points"


def _spatial(sample: Sample, rng: np.random.Generator) -> tuple[float, str]:
    if not sample.position_mm.shape[1]:
        return float("nan"), "positions of the areas are not known (columns x_mm, y_mm, z_mm)"
    if not np.all(np.isfinite(sample.position_mm)):
        return float("nan"), "positions of some areas are not known (columns x_mm, y_mm, z_mm)"
    n = sample.tau_ms.size
    if n < _FEWEST_PLACES or np.ptp(sample.place) == 0 or np.ptp(sample.tau_ms) == 0:
        words = f"n too small: {n} of the {_FEWEST_PLACES} places needed, with places and times that differ"
        return float("nan"), words
    try:
        found = spatial_correlation(sample.place, np.log(sample.tau_ms), distances_between(sample.position_mm), rng=rng)
    except InputError as error:
        return float("nan"), f"no spatial null: needs {error.expected}"
    return found.p_value, joined(f"Moran surrogates; Moran's I of tau {found.moran_y:.2f}", found.note)


def _of_sample(
    points: Sample, slope: Bootstrap | None, no_place: str, confidence: float, rng: np.random.Generator
) -> Part:
    """Variables of one sample."""
    permutations = _PERMUTATIONS if points.tau_ms.size <= _MANY_POINTS else _PERMUTATIONS_OF_MANY
    found = [
        rank_correlation(points.place, np.log(points.tau_ms), method, permutations=permutations, rng=rng)
        for method in METHODS
    ]
    line, robust = (
        log_slope(points.height, points.tau_ms, method, confidence=confidence)
        for method in ("least squares", "theil-sen")
    )
    keys = ("coefficient", "p_value", "p_is_exact", "p_standard_error", "smallest_possible_p")
    words = line.note.replace("layers", "areas")
    p_value, spatial_note = _spatial(points, rng)
    return {f"cortex_{key}": [getattr(one, key) for one in found] for key in keys} | {
        "cortex_note": [joined(no_place, one.note) for one in found],
        "cortex_n": points.tau_ms.size,
        "cortex_slope": line.slope,
        "cortex_slope_low": np.nan if slope is None else slope.low,
        "cortex_slope_high": np.nan if slope is None else slope.high,
        "cortex_slope_standard_error": np.nan if slope is None else slope.standard_error,
        "cortex_slope_theil_sen": robust.slope,
        "cortex_slope_status": line.status.value,
        "cortex_slope_note": joined(no_place, words, _drawn_again(points, slope), "" if slope is None else slope.note),
        "cortex_ratio": float(np.exp(log_ratio(points.height, np.log(points.tau_ms)))),
        "cortex_spatial_p_value": p_value,
        "cortex_spatial_note": spatial_note,
    }


def cortex_part(
    areas: Areas, slopes: Mapping[str, Bootstrap | None], confidence: float, rng: np.random.Generator
) -> Part:
    """Variables on cortex, statistic and area.

    Parameters
    ----------
    areas : Areas
    slopes : mapping from sample to Bootstrap
        Of `cortex_slopes`.
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    dict from variable to array
    """
    no_place = "" if areas.place else "the areas have neither rank nor score"
    means = _of_sample(areas.means, slopes[SAMPLES[0]], no_place, confidence, rng)
    observations = means
    if not _is_once(areas):
        caution = joined(_NOT_EXCHANGEABLE, no_place)
        observations = _of_sample(areas.observations, slopes[SAMPLES[1]], no_place, confidence, rng)
        observations["cortex_note"] = [joined(caution, note) for note in observations["cortex_note"]]
    columns = {name: [means[name], observations[name]] for name in means}
    tails = 100 * (1 - confidence) / 2
    low, high = np.percentile(areas.replicates, [tails, 100 - tails], axis=1)
    return {name: np.array(values) for name, values in columns.items()} | {
        "area_tau_ms": areas.means.tau_ms,
        "area_low_ms": np.where(areas.has_errors, low, np.nan),
        "area_high_ms": np.where(areas.has_errors, high, np.nan),
        "area_place": areas.means.place if areas.place else np.full(areas.means.place.size, np.nan),
        "area_height": areas.means.height if areas.place else np.full(areas.means.place.size, np.nan),
        "area_datasets": areas.datasets,
    }
