"""The area nearest to each layer, with what the errors of both leave open: spikes with spikes only."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from cortexsnn.cortex.comparing.areas import Areas
from cortexsnn.cortex.comparing.layers import Layers
from cortexsnn.cortex.comparing.layout import Part
from cortexsnn.cortex.statistics import nearest_areas
from cortexsnn.cortex.statistics.inputs import joined

__all__ = ["nearest_part"]

_DRAWS = 4000
_SIGNALS = "the timescales of the network are of signals, not of spikes, so milliseconds are not compared"


def _open_end(layers: Layers, place: int) -> str:
    low, high = layers.low_ms[place], layers.high_ms[place]
    if low == 0 and np.isinf(high):
        return "the interval of the layer is open at both ends: its error is not in the probability"
    if low == 0 or np.isinf(high):
        return "the interval of the layer is open at one end: taken to be as wide as at the other"
    return "" if layers.has_errors[place] else "no interval of the layer: the probability is of the areas alone"


def nearest_part(networks: Sequence[Layers], areas: Areas, rng: np.random.Generator) -> Part:
    """Variables on network, layer and area.

    The nearest area is that of the nearest mean timescale, on a logarithmic scale. Its probability, and that of every
    other area, is the share of draws in which it is nearest: the layer is drawn from its interval, the
    mean of an area from the scatter of data sets, or from printed errors where these are larger.

    Parameters
    ----------
    networks : sequence of Layers
    areas : Areas
    rng : numpy.random.Generator

    Returns
    -------
    dict from variable to array
    """
    deepest = max(layers.depth.size for layers in networks)
    shape = (len(networks), deepest)
    names, area_tau_ms = areas.means.area.tolist(), areas.means.tau_ms
    nearest, notes = ([[""] * deepest for _ in networks] for _ in range(2))
    tau_ms, own_ms, share = (np.full(shape, np.nan) for _ in range(3))
    probability, log_ratio = (np.full((*shape, len(names)), np.nan) for _ in range(2))
    drawn = dict(zip(names, areas.replicates, strict=True))
    for row, layers in enumerate(networks):
        refusal = areas.absolute or (_SIGNALS if layers.signals else "")
        notes[row][: layers.depth.size] = [refusal or "the layer has no timescale"] * layers.depth.size
        if refusal or not layers.used.size:
            continue
        known = {str(place): layers.replicates[place] for place in layers.used}
        found = nearest_areas(known, drawn, draws=_DRAWS, rng=rng)
        for index, place in enumerate(layers.used):
            own_ms[row, place] = layers.tau_ms[place]
            log_ratio[row, place] = np.log(layers.tau_ms[place] / area_tau_ms)
            probability[row, place] = found.probability[index]
            closest, likeliest = int(np.argmin(np.abs(log_ratio[row, place]))), int(np.argmax(found.probability[index]))
            nearest[row][place], tau_ms[row, place] = names[closest], area_tau_ms[closest]
            share[row, place] = probability[row, place, closest]
            more = f"{names[likeliest]} is nearest more often ({probability[row, place, likeliest]:.0%})"
            more = "" if likeliest == closest else more
            notes[row][place] = joined(more, found.notes[index], _open_end(layers, place))
    return {
        "nearest_area": np.array(nearest),
        "nearest_area_tau_ms": tau_ms,
        "nearest_area_ratio": own_ms / tau_ms,
        "nearest_area_probability": share,
        "nearest_note": np.array(notes),
        "nearest_probability": probability,
        "log_ratio": log_ratio,
    }
