"""What stands for each network by itself: the order of its layers, their slope, and the ratio of last to first."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import Values
from cortexsnn.cortex.comparing.layers import Layers
from cortexsnn.cortex.comparing.layout import Part
from cortexsnn.cortex.statistics import METHODS, least_squares_slopes, log_ratio, log_slope, rank_correlation
from cortexsnn.cortex.statistics.inputs import joined, several

__all__ = ["LAYERS_FOR_TEST", "layer_part", "log_ratio_of", "network_part", "slope_error_is_known", "slope_replicates"]

# Two layers always lie on a line, whose slope says little.
LAYERS_FOR_TEST = 3


def _missing(layers: Layers) -> str:
    used, total = layers.used.size, layers.depth.size
    if used == total:
        return ""
    return f"only {used} of {several(total, 'layer')} {'has' if used == 1 else 'have'} a timescale"


def _few_layers(used: int) -> str:
    """What too few layers with a timescale mean for the slope."""
    if used < 2:
        return "n too small: a slope needs 2 layers with a timescale"
    if used < LAYERS_FOR_TEST:
        return f"n too small: tests over networks leave out slopes of fewer than {LAYERS_FOR_TEST} layers"
    return ""


def _ties(layers: Layers) -> str:
    tau_ms = layers.tau_ms[layers.used]
    equal = tau_ms.size - np.unique(tau_ms).size
    return "layers with equal timescales share a rank" if equal else ""


def slope_replicates(layers: Layers) -> Values:
    """Slopes that the errors of the timescales allow.

    Parameters
    ----------
    layers : Layers

    Returns
    -------
    array, shape (replicate,)
        NaN if fewer than two depths have a timescale.
    """
    used = layers.used
    return least_squares_slopes(layers.height[used], np.log(layers.replicates[used]).T)


def slope_error_is_known(layers: Layers) -> bool:
    """Whether the error of every timescale that the slope depends on is known.

    Parameters
    ----------
    layers : Layers

    Returns
    -------
    bool
        False where a layer has no interval, or one that is open at both ends.
    """
    used = layers.used
    height = layers.height[used]
    moves_it = height != height.mean()
    return bool(np.all(layers.is_bounded[used][moves_it]))


def log_ratio_of(layers: Layers) -> float:
    """Logarithm of the ratio of the last layer to the first; of geometric means where layers stand side by side.

    Parameters
    ----------
    layers : Layers

    Returns
    -------
    float
        NaN if none of the first, or none of the last, has a timescale.
    """
    return float(log_ratio(layers.height[layers.used], np.log(layers.tau_ms[layers.used])))


def _measured_interval(layers: Layers, confidence: float) -> tuple[float, float]:
    """Interval of the slope by errors of measurement: open where the interval of a layer that pulls it is open."""
    used = layers.used
    height = layers.height[used]
    if used.size < 2 or np.ptp(height) == 0 or not layers.has_errors[used].all():
        return np.nan, np.nan
    tails = 100 * (1 - confidence) / 2
    low, high = np.percentile(slope_replicates(layers), [tails, 100 - tails])
    pull = height - height.mean()
    no_low, no_high = layers.low_ms[used] == 0, np.isinf(layers.high_ms[used])
    if np.any(no_low & (pull > 0)) or np.any(no_high & (pull < 0)):
        low = -np.inf
    if np.any(no_high & (pull > 0)) or np.any(no_low & (pull < 0)):
        high = np.inf
    return float(low), float(high)


def _ratio(layers: Layers, confidence: float) -> tuple[float, float, float]:
    """Ratio of the last layer to the first, with its interval."""
    used = layers.used
    height = layers.height[used]
    ratio = float(np.exp(log_ratio_of(layers)))
    top, bottom = used[height == 1], used[height == 0]
    if np.isnan(ratio) or not layers.has_errors[np.append(top, bottom)].all():
        return ratio, np.nan, np.nan
    tails = 100 * (1 - confidence) / 2
    drawn = np.exp(log_ratio(height, np.log(layers.replicates[used]).T))
    low, high = np.percentile(drawn, [tails, 100 - tails])
    if np.any(layers.low_ms[top] == 0) or np.isinf(layers.high_ms[bottom]).any():
        low = 0.0
    if np.isinf(layers.high_ms[top]).any() or np.any(layers.low_ms[bottom] == 0):
        high = np.inf
    return ratio, float(low), float(high)


def _undefined(layers: Layers) -> str:
    lacking = [
        f"{layers.names[place]} {layers.undefined[place]:.0%}" for place in layers.used if layers.undefined[place] > 0
    ]
    return f"bootstrap replicates without a timescale: {', '.join(lacking)}" if lacking else ""


def network_part(networks: Sequence[Layers], confidence: float, rng: np.random.Generator) -> Part:
    """Variables on network, and on network and statistic, but for the protocol.

    Parameters
    ----------
    networks : sequence of Layers
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    dict from variable to array
    """
    columns: dict[str, list[object]] = {}

    def add(**values: object) -> None:
        for name, value in values.items():
            columns.setdefault(name, []).append(value)

    for layers in networks:
        used, missing = layers.used, joined(*layers.notes, _missing(layers))
        depth, height, tau_ms = layers.depth[used], layers.height[used], layers.tau_ms[used]
        found = [rank_correlation(depth, np.log(tau_ms), method, rng=rng) for method in METHODS]
        for key in ("coefficient", "p_value", "p_is_exact", "p_standard_error", "smallest_possible_p"):
            add(**{f"order_{key}": [getattr(one, key) for one in found]})
        add(order_note=[joined(missing, _ties(layers), one.note) for one in found])
        line = log_slope(height, tau_ms, confidence=confidence)
        robust = log_slope(height, tau_ms, "theil-sen", confidence=confidence)
        low, high = _measured_interval(layers, confidence)
        ratio, ratio_low, ratio_high = _ratio(layers, confidence)
        own = line.note if used.size >= LAYERS_FOR_TEST else ""
        add(
            layers=layers.depth.size,
            layers_used=used.size,
            slope=line.slope,
            slope_low=line.low,
            slope_high=line.high,
            slope_measured_low=low,
            slope_measured_high=high,
            slope_theil_sen=robust.slope,
            slope_status=line.status.value,
            slope_note=joined(missing, _few_layers(used.size), own, _undefined(layers)),
            ratio=ratio,
            ratio_low=ratio_low,
            ratio_high=ratio_high,
        )
    return {name: np.array(values) for name, values in columns.items()}


def _padded(rows: Sequence[Iterable[object]], width: int, empty: object) -> NDArray[Any]:
    lists = [list(row) for row in rows]
    return np.array([row + [empty] * (width - len(row)) for row in lists])


def layer_part(networks: Sequence[Layers]) -> Part:
    """Variables on network and layer, but for the nearest areas; networks of fewer layers are padded.

    Parameters
    ----------
    networks : sequence of Layers

    Returns
    -------
    dict from variable to array
    """
    deepest = max(layers.depth.size for layers in networks)
    values = {
        name: _padded([getattr(layers, name) for layers in networks], deepest, np.nan)
        for name in ("tau_ms", "low_ms", "high_ms", "height")
    }
    return {
        "tau_ms": values["tau_ms"],
        "tau_low_ms": values["low_ms"],
        "tau_high_ms": values["high_ms"],
        "layer_height": values["height"],
        "status": _padded([layers.status for layers in networks], deepest, ""),
        "layer_name": _padded([layers.names for layers in networks], deepest, ""),
        "neurons": _padded([layers.neurons for layers in networks], deepest, 0),
        "neurons_used": _padded([layers.neurons_used for layers in networks], deepest, 0),
    }
