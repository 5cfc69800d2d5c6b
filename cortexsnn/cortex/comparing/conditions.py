"""Networks of one condition, pooled: their mean slope, what other seeds would do, and how far the cortex is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import nan, sqrt

import numpy as np
from scipy import stats

from cortexsnn.checks import Values
from cortexsnn.cortex.comparing.areas import SAMPLES, Areas
from cortexsnn.cortex.comparing.layers import Layers
from cortexsnn.cortex.comparing.layout import Part
from cortexsnn.cortex.comparing.networks import LAYERS_FOR_TEST, log_ratio_of, slope_error_is_known, slope_replicates
from cortexsnn.cortex.statistics import (
    Bootstrap,
    bootstrap_difference,
    mixed_slope,
    over_seeds,
    residual_bootstrap_slope,
    shuffled_layers,
    sign_flip_test,
    smallest_p_of_order,
    what_can_be_shown,
)
from cortexsnn.cortex.statistics.inputs import joined, several
from cortexsnn.errors import InputError

__all__ = ["LAYER_STATISTICS", "condition_part", "left_out", "mean_slope"]

LAYER_STATISTICS = ("spearman", "kendall", "slope")


def left_out(used: int, total: int, what: str) -> str:
    """Say how many networks, or pairs of them, a test is made of; empty if it is all.

    Parameters
    ----------
    used, total : int
    what : str
        What is counted, in the singular.

    Returns
    -------
    str

    Examples
    --------
    >>> left_out(2, 4, "pair")
    '2 of 4 pairs used: the others fall short of 3 layers with a timescale'
    """
    if used == total:
        return ""
    others = "it falls" if total == 1 else "the other falls" if total - used == 1 else "the others fall"
    return f"{used} of {several(total, what)} used: {others} short of {LAYERS_FOR_TEST} layers with a timescale"


def mean_slope(
    slopes: Values, replicates: Values, resamples: int, confidence: float, rng: np.random.Generator
) -> Bootstrap:
    """Mean slope of networks by hierarchical bootstrap: networks are drawn again, and of each one of its replicates.

    The slopes scatter by the errors of their timescales too, so before errors are drawn the slopes are shrunk towards
    their mean by what the errors explain (Davison & Hinkley 1997, section 3.8, https://doi.org/10.1017/CBO9780511802843);
    otherwise errors would count twice. The interval is Student's t on networks - 1 degrees of freedom, with the
    standard error corrected for few units, as in `cortexsnn.cortex.statistics.hierarchical_bootstrap`. In a simulation
    its intervals of 95 % held the truth in so many cases:

        networks                                    3     5     10
        no errors                                   0.95  0.95  0.96
        errors half as large as between networks    0.99  0.96  0.94
        errors as large as between networks         1.00  0.98  0.96

    Where the errors of a network are not known, they are taken to be like those of the others.

    Parameters
    ----------
    slopes : array, shape (network,)
        Two or more.
    replicates : array, shape (network, replicate)
        Of each network, slopes that the errors of its timescales allow; NaN where these are not known.
    resamples : int
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    Bootstrap

    Examples
    --------
    >>> rng = np.random.default_rng(1)
    >>> slopes = np.array([1.1, 1.4, 0.9, 1.2])
    >>> result = mean_slope(slopes, rng.normal(slopes, 0.1, (500, 4)).T, 2000, 0.95, rng)
    >>> round(result.estimate, 2), round(result.low, 1), round(result.high, 1), result.units
    (1.15, 0.8, 1.5, 4)
    """
    n, estimate = slopes.size, float(slopes.mean())
    errors = replicates - replicates.mean(axis=1, keepdims=True)
    unknown = np.isnan(errors).any(axis=1)
    errors[unknown] = 0.0 if unknown.all() else rng.choice(errors[~unknown].ravel(), errors[unknown].shape)
    between = float(slopes.var(ddof=1))
    explained = float(errors.var(axis=1).mean()) * n / (n - 1)
    shrunk = (slopes - estimate) * (sqrt(max(0.0, 1 - explained / between)) if between > 0 else 0.0)
    drawn = rng.integers(0, n, (resamples, n))
    error_of = errors[drawn, rng.integers(0, errors.shape[1], (resamples, n))]
    means = estimate + (shrunk[drawn] + error_of).mean(axis=1)
    error = float(means.std(ddof=1)) * sqrt(n / (n - 1))
    reach = float(stats.t.ppf((1 + confidence) / 2, n - 1)) * error
    return Bootstrap(
        estimate, estimate - reach, estimate + reach, error, float(n - 1), confidence, "t", n, 0, means, ""
    )


def _pooled(
    networks: Sequence[Layers], slopes: Values, resamples: int, confidence: float, rng: np.random.Generator
) -> tuple[Bootstrap | None, str]:
    """Bootstrap of the mean slope, and what was drawn for it."""
    if not networks:
        return None, "no network with enough layers"
    if len(networks) == 1:
        used = networks[0].used
        line = residual_bootstrap_slope(
            networks[0].height[used], networks[0].tau_ms[used], resamples=resamples, confidence=confidence, rng=rng
        )
        return line, "one network: the interval is of the line through its layers, and says nothing about other seeds"
    known = [slope_error_is_known(layers) for layers in networks]
    replicates = np.stack([slope_replicates(layers) for layers in networks])
    replicates[np.logical_not(known)] = nan
    found = mean_slope(slopes, replicates, resamples, confidence, rng)
    if not any(known):
        inner = "; errors of the timescales are not known"
    elif any(layers.neurons.any() for layers in networks):
        inner = ", and neurons of each layer within them"
    else:
        inner = ", and timescales within their intervals"
    return found, joined(f"{len(networks)} networks drawn again{inner}", _without_errors(networks, known))


def _without_errors(networks: Sequence[Layers], known: Sequence[bool]) -> str:
    """Say whose errors are not known, where those of others are; empty if there is nothing to say."""
    lacking = [layers.label for layers, is_known in zip(networks, known, strict=True) if not is_known]
    if not lacking or len(lacking) == len(networks):
        return ""
    have = "has" if len(lacking) == 1 else "have"
    words = (
        f"{len(lacking)} of {len(networks)} networks {have} a layer without an interval, or with one that is open at"
    )
    return f"{words} both ends ({', '.join(lacking)}): taken to be as uncertain as the others"


def _mixed(networks: Sequence[Layers], confidence: float) -> dict[str, float | str]:
    """Mixed model over networks, or why there is none."""
    empty = dict.fromkeys(("slope", "low", "high", "p_value"), nan)
    if len(networks) < 2:
        return {**empty, "note": f"n too small: {len(networks)} of the 2 networks needed"}
    label = np.concatenate([np.full(layers.used.size, index) for index, layers in enumerate(networks)])
    height = np.concatenate([layers.height[layers.used] for layers in networks])
    tau_ms = np.concatenate([layers.tau_ms[layers.used] for layers in networks])
    try:
        fit = mixed_slope(label, height, tau_ms, confidence=confidence)
    except InputError as error:
        return {**empty, "note": f"no mixed model: it needs {error.expected}"}
    return {"slope": fit.slope, "low": fit.low, "high": fit.high, "p_value": fit.p_value, "note": fit.note}


def _shuffled(networks: Sequence[Layers], statistic: str, rng: np.random.Generator) -> dict[str, float | bool | str]:
    """Null of shuffled layers, or why there is none."""
    empty = {"mean": nan, "p_value": nan, "p_is_exact": False, "p_standard_error": nan, "smallest_possible_p": nan}
    if not networks:
        return {**empty, "note": "n too small: no network with enough layers"}
    # Layers that are all equal have a slope, and no order.
    flat = [one for one in networks if statistic != "slope" and np.ptp(np.log(one.tau_ms[one.used])) == 0]
    kept = [one for one in networks if one not in flat]
    without = f"without networks whose layers are all equal: {', '.join(one.label for one in flat)}" if flat else ""
    if not kept:
        return {**empty, "note": joined("not tested: no network with an order", without)}
    found = shuffled_layers(
        [one.tau_ms[one.used] for one in kept], [one.height[one.used] for one in kept], statistic=statistic, rng=rng
    )
    return {key: getattr(found, key) for key in empty} | {"note": joined(without, found.note)}


def _ratio(networks: Sequence[Layers], confidence: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Geometric mean over networks of the ratio of the last layer to the first, where both have a timescale."""
    ratios = [ratio for ratio in map(log_ratio_of, networks) if np.isfinite(ratio)]
    if not ratios:
        return nan, nan, nan
    logs = over_seeds(ratios, confidence=confidence, rng=rng)
    mean, low, high = np.exp([logs.mean, logs.low, logs.high]).tolist()
    return mean, low, high


def _difference(pooled: Bootstrap | None, cortex: Bootstrap | None) -> tuple[float, float, float, str]:
    if pooled is None or cortex is None:
        return nan, nan, nan, "no slope of the " + ("networks" if pooled is None else "cortex")
    found = bootstrap_difference(pooled, cortex)
    note = "n too small for an interval" if not np.isfinite(found.low) else ""
    return found.estimate, found.low, found.high, note


def _shows(networks: Sequence[Layers], counted: Sequence[Layers], areas: Areas) -> str:
    """What so many layers, networks and areas can show, in sentences."""
    if not counted:
        most = max(one.used.size for one in networks)
        own = [smallest_p_of_order(most).sentence] if most else []
        return "\n".join([*own, "no network has enough layers with a timescale for a test over networks"])
    layers = min(one.used.size for one in counted)
    # The sentence on areas is of places that differ; where some are equal, smallest_possible_p of the cortex says it.
    place = areas.means.place
    distinct = bool(areas.place) and np.unique(place).size == place.size
    return "\n".join(what_can_be_shown(layers, len(counted), areas=place.size if distinct else None))


def condition_part(
    members: Mapping[str, Sequence[Layers]],
    areas: Areas,
    slopes: Mapping[str, float],
    cortex: Mapping[str, Bootstrap | None],
    *,
    resamples: int,
    confidence: float,
    rng: np.random.Generator,
) -> Part:
    """Variables on condition, layer statistic and cortex.

    Parameters
    ----------
    members : mapping of str to sequence of Layers
        The networks of every condition.
    areas : Areas
    slopes : mapping of str to float
        Of the networks that have enough layers.
    cortex : mapping of str to Bootstrap
        Slope of each sample of the cortex.
    resamples : int
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    dict from variable to array
    """
    columns: dict[str, list[object]] = {}

    def add(prefix: str, **values: object) -> None:
        for name, value in values.items():
            columns.setdefault(f"{prefix}_{name}", []).append(value)

    for networks in members.values():
        counted = [layers for layers in networks if layers.label in slopes]
        own = np.array([slopes[layers.label] for layers in counted])
        signs = sign_flip_test(own, rng=rng)
        pooled, drawn = _pooled(counted, own, resamples, confidence, rng)
        ratio, ratio_low, ratio_high = _ratio(networks, confidence, rng)
        few = left_out(len(counted), len(networks), "network")
        add(
            "condition",
            networks=len(counted),
            rising=signs.positive,
            slope=signs.mean,
            slope_low=nan if pooled is None else pooled.low,
            slope_high=nan if pooled is None else pooled.high,
            slope_standard_error=nan if pooled is None else pooled.standard_error,
            slope_note=joined(few, drawn),
            p_value=signs.p_value,
            p_is_exact=signs.p_is_exact,
            p_standard_error=signs.p_standard_error,
            smallest_possible_p=signs.smallest_possible_p,
            note=joined(few, signs.note),
            ratio=ratio,
            ratio_low=ratio_low,
            ratio_high=ratio_high,
            shows=_shows(networks, counted, areas),
        )
        mixed = _mixed(counted, confidence)
        add("condition_mixed", **mixed | {"note": joined(few, str(mixed["note"]))})
        tests = [_shuffled(counted, statistic, rng) for statistic in LAYER_STATISTICS]
        add("shuffled", **{key: [one[key] for one in tests] for key in tests[0]})
        beside = [_difference(pooled, cortex[sample]) for sample in SAMPLES]
        for name, values in zip(("", "_low", "_high", "_note"), zip(*beside, strict=True), strict=True):
            columns.setdefault(f"cortex_difference{name}", []).append(values)
    return {name: np.array(values) for name, values in columns.items()}
