"""What the result of a comparison holds: dimensions, meaning and unit of each variable."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["SCHEMA", "VARIABLES", "Part", "described"]

SCHEMA = "cortexsnn-comparison-2"

Part = dict[str, Any]
"""Values of some of the variables, by name."""

_SLOPE = "ln(tau) from the bottom (0) to the top (1)"
_P = {
    "p_value": "two-sided p",
    "p_is_exact": "whether p was counted over all arrangements",
    "p_standard_error": "standard error of a sampled p",
    "smallest_possible_p": "smallest p that was possible",
}
_NOTE = "what to keep in mind"


def _tested(prefix: str, dims: tuple[str, ...], test: str) -> dict[str, tuple[tuple[str, ...], str, str]]:
    """The variables that every test has."""
    return {
        f"{prefix}_{key}": (dims, f"{test}: {words}", "" if key == "p_is_exact" else "1") for key, words in _P.items()
    }


def _interval(prefix: str, dims: tuple[str, ...], what: str) -> dict[str, tuple[tuple[str, ...], str, str]]:
    return {
        f"{prefix}_low": (dims, f"lower end of the interval of the {what}", "1"),
        f"{prefix}_high": (dims, f"upper end of the interval of the {what}", "1"),
    }


_N, _NS, _NL = ("network",), ("network", "statistic"), ("network", "layer")
_C, _CS, _A = ("cortex",), ("cortex", "statistic"), ("area",)
_G, _GS, _GC = ("condition",), ("condition", "layer_statistic"), ("condition", "cortex")
_D, _DC = ("contrast",), ("contrast", "cortex")

_OF_NETWORKS = {
    "order_coefficient": (_NS, "rank correlation of depth with log tau", "1"),
    **_tested("order", _NS, "permutations of the layers"),
    "order_note": (_NS, f"{_NOTE} about the rank correlation", ""),
    "layers": (_N, "spiking layers", ""),
    "layers_used": (_N, "layers with a timescale (status ok or too_short)", ""),
    "slope": (_N, f"rise over depth: {_SLOPE}, least squares", "1"),
    **_interval("slope", _N, "slope by how well the layers lie on a line (t, n - 2)"),
    **_interval("slope_measured", _N, "slope by the errors of the timescales; NaN if none are known"),
    "slope_theil_sen": (_N, f"robust slope: {_SLOPE}, median of the slopes of all pairs of layers", "1"),
    "slope_status": (_N, "what the slope is worth", ""),
    "slope_note": (_N, f"{_NOTE} about the slope", ""),
    "ratio": (_N, "timescale at depth 1 over that at depth 0, geometric means where layers stand side by side", "1"),
    **_interval("ratio", _N, "ratio by the errors of the timescales"),
    "protocol": (_N, "whether timescales were measured by the protocol of the study: matched, differs, unknown", ""),
    "protocol_note": (_N, "what of the protocol is the same, differs, or is not known", ""),
    "cortex_distance": (("network", "cortex"), "distance of the slope to that of the cortex", "1"),
}
_OF_LAYERS = {
    "tau_ms": (_NL, "timescale", "ms"),
    "tau_low_ms": (_NL, "lower end of the interval of the timescale; 0 if open, NaN if there is none", "ms"),
    "tau_high_ms": (_NL, "upper end of the interval of the timescale; infinite if open, NaN if there is none", "ms"),
    "status": (_NL, "what came of the estimate; empty where the network has no such layer", ""),
    "layer_name": (_NL, "population", ""),
    "layer_height": (_NL, "relative depth, 0 is the first layer of the network and 1 the last", "1"),
    "neurons": (_NL, "neurons, where timescales are of single neurons; otherwise 0", ""),
    "neurons_used": (_NL, "neurons with a timescale, where timescales are of single neurons; otherwise 0", ""),
    "nearest_area": (
        _NL,
        "area with the nearest mean tau; by absolute milliseconds, which depend on protocol, and so only a pointer",
        "",
    ),
    "nearest_area_tau_ms": (_NL, "mean timescale of that area", "ms"),
    "nearest_area_ratio": (_NL, "timescale of the layer over that of the area", "1"),
    "nearest_area_probability": (_NL, "share of draws, by the errors of both, in which that area is the nearest", "1"),
    "nearest_note": (_NL, "why there is no nearest area, or what to keep in mind about it", ""),
    "nearest_probability": (
        ("network", "layer", "area"),
        "share of draws, by the errors of both, in which the area is nearest",
        "1",
    ),
    "log_ratio": (("network", "layer", "area"), "ln(timescale of the layer / mean timescale of the area)", "1"),
}
_OF_CORTEX = {
    "area_tau_ms": (_A, "mean timescale over data sets", "ms"),
    "area_low_ms": (
        _A,
        "lower end of the interval of that mean, by errors and scatter of data sets, or NaN",
        "ms",
    ),
    "area_high_ms": (
        _A,
        "upper end of the interval of that mean, by errors and scatter of data sets, or NaN",
        "ms",
    ),
    "area_place": (_A, "rank or score in the hierarchy", "1"),
    "area_height": (_A, "relative place in the hierarchy, 0 is the lowest and 1 the highest", "1"),
    "area_datasets": (_A, "data sets", ""),
    "cortex_coefficient": (_CS, "rank correlation of the place in the hierarchy with log tau", "1"),
    **_tested("cortex", _CS, "permutations of the areas"),
    "cortex_note": (_CS, f"{_NOTE} about the rank correlation", ""),
    "cortex_n": (_C, "observations or areas", ""),
    "cortex_slope": (_C, f"rise over the hierarchy: {_SLOPE}, least squares", "1"),
    **_interval("cortex_slope", _C, "slope (t)"),
    "cortex_slope_standard_error": (_C, "standard error of the slope, by bootstrap", "1"),
    "cortex_slope_theil_sen": (_C, f"robust slope: {_SLOPE}, median of the slopes of all pairs", "1"),
    "cortex_slope_status": (_C, "what the slope is worth", ""),
    "cortex_slope_note": (_C, f"{_NOTE} about the slope, and what was drawn again for its interval", ""),
    "cortex_ratio": (_C, "geometric mean timescale at the highest place over that at the lowest", "1"),
    "cortex_spatial_p_value": (_C, "two-sided p of Spearman's coefficient against maps that are as smooth", "1"),
    "cortex_spatial_note": (_C, "why there is no such p, or what to keep in mind about it", ""),
}
_OF_CONDITIONS = {
    "condition_networks": (_G, "networks (seeds) with a timescale in 3 layers or more", ""),
    "condition_rising": (_G, "networks with a positive slope", ""),
    "condition_slope": (_G, "mean slope", "1"),
    **_interval("condition_slope", _G, "mean slope (hierarchical bootstrap; t, networks - 1)"),
    "condition_slope_standard_error": (_G, "standard error of the mean slope, by hierarchical bootstrap", "1"),
    "condition_slope_note": (_G, f"what was drawn again for the interval, and {_NOTE}", ""),
    **_tested("condition", _G, "sign flips of the slopes"),
    "condition_note": (_G, f"{_NOTE} about the sign flips", ""),
    "condition_ratio": (_G, "timescale at depth 1 over that at depth 0, geometric mean over networks", "1"),
    **_interval("condition_ratio", _G, "ratio (t, networks - 1)"),
    "condition_mixed_slope": (_G, "slope of the mixed model ln(tau) ~ depth + (1 + depth | network)", "1"),
    **_interval("condition_mixed", _G, "slope of the mixed model (t, networks - 1)"),
    "condition_mixed_p_value": (_G, "mixed model: two-sided p of the slope", "1"),
    "condition_mixed_note": (_G, f"why there is no mixed model, or {_NOTE} about it", ""),
    "condition_shows": (_G, "what so many layers, networks and areas can and cannot show; a sentence a line", ""),
    "shuffled_mean": (_GS, "mean over networks of a rank correlation, or slope, of tau over depth", "1"),
    **_tested("shuffled", _GS, "layers shuffled within every network"),
    "shuffled_note": (_GS, f"{_NOTE} about shuffled layers", ""),
    "cortex_difference": (_GC, "mean slope less the slope of the cortex", "1"),
    **_interval("cortex_difference", _GC, "difference to the cortex (bootstrap of both; t)"),
    "cortex_difference_note": (_GC, f"{_NOTE} about the difference to the cortex", ""),
}
_OF_CONTRASTS = {
    "contrast_pairs": (_D, "pairs of networks (seeds), one of each condition", ""),
    "contrast_slope_difference": (_D, "mean difference of slopes within pairs, first less second", "1"),
    **_interval("contrast", _D, "mean difference of slopes (t, pairs - 1)"),
    "contrast_greater": (_D, "pairs in which the first is steeper", ""),
    "contrast_d_z": (_D, "mean difference of slopes over the standard deviation of differences (Cohen's d_z)", "1"),
    **_interval("contrast_d_z", _D, "effect size d_z"),
    "contrast_hedges_g": (_D, "effect size d_z less the bias of few pairs", "1"),
    "contrast_rank_biserial": (_D, "matched-pairs rank-biserial correlation of the slopes", "1"),
    "contrast_cliffs_delta": (_D, "Cliff's delta of the slopes, which ignores pairs", "1"),
    **_tested("contrast", _D, "sign flips of the differences of slopes"),
    "contrast_p_holm": (_D, "sign flips of the differences of slopes: p by Holm over all contrasts", "1"),
    "contrast_note": (_D, f"{_NOTE} about the differences of slopes", ""),
    "toward_gain": (_DC, "by how much the first is nearer to the slope of the cortex than the second, mean", "1"),
    **_interval("toward", _DC, "gain (t, pairs - 1), the slope of the cortex taken as known"),
    "toward_nearer": (_DC, "pairs in which the first is nearer to the cortex", ""),
    "toward_d_z": (_DC, "mean gain over the standard deviation of gains (Cohen's d_z)", "1"),
    **_interval("toward_d_z", _DC, "effect size d_z of the gain"),
    "toward_rank_biserial": (_DC, "matched-pairs rank-biserial correlation of the gain", "1"),
    **_tested("toward", _DC, "sign flips of the gains"),
    "toward_p_holm": (_DC, "sign flips of the gains: p by Holm over all contrasts", "1"),
    "toward_holds": (_DC, "share of what the slope of the cortex may be (t) with a gain of that sign", "1"),
    "toward_note": (_DC, f"{_NOTE} about the gain", ""),
}

VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    **_OF_NETWORKS,
    **_OF_LAYERS,
    **_OF_CORTEX,
    **_OF_CONDITIONS,
    **_OF_CONTRASTS,
}


def described(values: Mapping[str, Any]) -> dict[str, Any]:
    """Give every variable its dimensions, long name and unit.

    Parameters
    ----------
    values : mapping of str to array
        Of each name in `VARIABLES`.

    Returns
    -------
    dict
        As `xarray.Dataset` takes it.

    Examples
    --------
    >>> dims, _, attributes = described(dict.fromkeys(VARIABLES, 0.0))["tau_ms"]
    >>> dims, attributes
    (('network', 'layer'), {'long_name': 'timescale', 'units': 'ms'})
    """
    return {
        name: (dims, values[name], {"long_name": long_name} | ({"units": units} if units else {}))
        for name, (dims, long_name, units) in VARIABLES.items()
    }
