"""Networks beside the cortex: do timescales rise with depth, how steeply, and which area is each layer like?

Everything is done on the logarithm of tau, and order and slope are compared rather than milliseconds: absolute
values depend on the estimator, and where time constants were imposed on a network they agree by construction.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn.checks import choice, generator, whole
from cortexsnn.cortex.comparing.areas import SAMPLES, STREAM, Areas, neuron_statistic_of, read_areas
from cortexsnn.cortex.comparing.conditions import LAYER_STATISTICS, condition_part
from cortexsnn.cortex.comparing.contrasts import contrast_part
from cortexsnn.cortex.comparing.cortical import cortex_part, cortex_slopes
from cortexsnn.cortex.comparing.layers import NEURON_STATISTICS, Layers, read_layers
from cortexsnn.cortex.comparing.layout import SCHEMA, VARIABLES, Part, described
from cortexsnn.cortex.comparing.nearest import nearest_part
from cortexsnn.cortex.comparing.networks import LAYERS_FOR_TEST, layer_part, network_part
from cortexsnn.cortex.comparing.pairing import by_name, conditions_of, contrasts_of
from cortexsnn.cortex.protocols import protocol_difference
from cortexsnn.cortex.statistics import LARGEST_EXACT_ARRANGEMENTS, LARGEST_EXACT_FLIPS, LARGEST_EXACT_N, METHODS
from cortexsnn.cortex.statistics.inputs import several
from cortexsnn.cortex.tables import rows
from cortexsnn.errors import InputError
from cortexsnn.results import load_dataset, save_dataset

__all__ = ["STREAM", "compare", "load", "save"]

_SLOPE = "ln(tau) from the bottom (0) to the top (1), least squares; exp(slope) is the factor from bottom to top"


def _protocol_part(named: Mapping[str, xr.Dataset], table: xr.Dataset, measure: str) -> Part:
    part = rows(table, measure=measure)
    found = [protocol_difference(timescales, part) for timescales in named.values()]
    return {
        "protocol": np.array([one.verdict for one in found]),
        "protocol_note": np.array([one.in_words() for one in found]),
    }


def _warning(protocol: list[str], table: str) -> str:
    """Say how many networks were not measured as the study, in a sentence; empty if all were."""
    words = {
        "differs": f"not measured by the protocol of {table}, so timescales differ for that reason too",
        "unknown": f"not known to be measured by the protocol of {table}",
    }
    number = {verdict: protocol.count(verdict) for verdict in words}
    parts = [
        f"{found} of {several(len(protocol), 'network')} {'was' if found == 1 else 'were'} {words[verdict]}"
        for verdict, found in number.items()
        if found
    ]
    return f"{'; '.join(parts)} (see protocol_note)" if parts else ""


def _attributes(
    table: xr.Dataset, areas: Areas, neuron_statistic: str, resamples: int, confidence: float
) -> dict[str, Any]:
    return {
        "schema": SCHEMA,
        "table": str(table.attrs.get("table", "")),
        "measure": areas.measure,
        "stream": areas.stream,
        "doi": str(table.attrs.get("doi", "")),
        "modality": str(table.attrs.get("modality", "unknown")),
        "place": areas.place,
        "confidence": confidence,
        "resamples": resamples,
        "p_values": "two-sided; only p_holm is corrected for the number of tests; all permutations where at most "
        f"{LARGEST_EXACT_ARRANGEMENTS:,} look different and n is at most {LARGEST_EXACT_N} (always up to n = 10), "
        f"all sign flips up to n = {LARGEST_EXACT_FLIPS}, sampled above",
        "holm": "over all contrasts of one question: which rises more, and which is nearer to the cortex",
        "slope": _SLOPE,
        "absolute": areas.absolute,
        "neuron_statistic": neuron_statistic,
        "table_note": areas.note,
    }


def _coordinates(
    networks: Mapping[str, str], layers: int, areas: Areas, contrasts: list[tuple[str, str]]
) -> dict[str, Any]:
    return {
        "network": list(networks),
        "network_condition": ("network", list(networks.values()), {"long_name": "condition of the network"}),
        "layer": ("layer", np.arange(1, layers + 1), {"long_name": "in order of depth, 1 is the first of those given"}),
        "statistic": list(METHODS),
        "layer_statistic": list(LAYER_STATISTICS),
        "cortex": list(SAMPLES),
        "area": areas.means.area,
        "condition": list(dict.fromkeys(networks.values())),
        "contrast": np.array([f"{first} - {second}" for first, second in contrasts], dtype=np.str_),
        "contrast_first": ("contrast", np.array([first for first, _ in contrasts], dtype=np.str_)),
        "contrast_second": ("contrast", np.array([second for _, second in contrasts], dtype=np.str_)),
    }


def _named(timescales: xr.Dataset | Mapping[str, xr.Dataset]) -> dict[str, xr.Dataset]:
    if isinstance(timescales, xr.Dataset):
        return {"network": timescales}
    if not hasattr(timescales, "items") or not timescales:
        raise InputError("timescales", type(timescales).__name__ if timescales else [], "at least one network, by name")
    return by_name("timescales", timescales)


def compare(
    timescales: xr.Dataset | Mapping[str, xr.Dataset],
    table: xr.Dataset,
    *,
    rng: np.random.Generator,
    conditions: Mapping[str, str] | None = None,
    pairs: Mapping[str, str] | None = None,
    measure: str | None = None,
    stream: str | None = None,
    neuron_statistic: str | None = None,
    resamples: int = 2000,
    confidence: float = 0.95,
) -> xr.Dataset:
    """Compare the timescales of networks with those of cortical areas.

    Each network by itself: the rank correlation of depth with log tau over the layers that have a timescale, the slope
    of ln(tau) over relative depth (0 the first layer, 1 the last) with its intervals, the ratio of the timescale at
    depth 1 to that at depth 0 (geometric means where layers stand side by side), whether it was measured by the
    protocol of the study, and the area nearest to each layer, with its probability. Milliseconds are compared for
    spikes with spikes only; order and slope always. Depth is what the result says of its layers: of those that were
    cut out of it, the others keep their depth.

    The cortex: the same with the place of an area in the hierarchy (rank or score), over the means of areas and over
    single observations.

    Each condition: how many of its networks (seeds) rise, with a sign-flip test, since a network of few layers can
    never be significant by itself; the mean slope by hierarchical bootstrap over networks and over the errors of their
    timescales (or over neurons); the mixed model over networks; the null of layers shuffled within every network; the
    difference of the mean slope to that of the cortex; and in words what so many layers, networks and areas can show.

    Each contrast, two conditions whose networks come in pairs, such as trained and untrained of one seed: the
    difference of slopes within pairs, and by how much the first is nearer to the slope of the cortex, both with effect
    sizes, a sign-flip test and p corrected over contrasts (Holm). Networks with fewer than 3 layers with a timescale
    are left out of conditions and contrasts, those without a partner out of contrasts, and notes say so.

    Parameters
    ----------
    timescales : xarray.Dataset or mapping of str to xarray.Dataset
        Results of `timescales.estimate` or `cortexsnn.cortex.measure_like`, per layer or per neuron, by the name of
        the network, as text; a single one is called ``"network"``.
    table : xarray.Dataset
        Of `cortexsnn.cortex.load` or `cortexsnn.cortex.register`.
    rng : numpy.random.Generator
        For bootstraps, and tests with too many permutations or signs to count them all.
    conditions : mapping of str to str, optional
        The condition of every network. By default each network is its own condition, of one.
    pairs : mapping of str to str, optional
        By the name of the network, what it shares with one network of each other condition, such as the seed.
        Networks that are left out have no partner; without any pairs there is no contrast. Names and what they share
        are compared as text.
    measure : str, optional
        Which quantity, of a table that has several.
    stream : str, optional
        Which pathway of the table; by default the visual-prefrontal one, or the only one.
    neuron_statistic : {"geometric mean", "mean", "median"}, optional
        Timescale of a layer from those of its neurons, where these are given; by default what the study did, or the
        geometric mean where that is not known.
    resamples : int
        Of each bootstrap.
    confidence : float
        Of all intervals.

    Returns
    -------
    xarray.Dataset
        On dimensions network, layer, area, statistic, layer_statistic, cortex, condition and contrast
        (``"hierarchical - homogeneous"``). Each variable says in ``long_name`` what it is, and notes say in words
        where n is too small or something is missing. The attribute ``warning`` says how many networks were not
        measured by the protocol of the study, and ``absolute`` why milliseconds are not compared, if they are not.

    Raises
    ------
    InputError
        If there is no network, a dataset is not a result of `timescales.estimate`, conditions or pairs do not match
        the networks, or the table has no timescales, several measures or streams, or areas that are wrong.

    Examples
    --------
    >>> from cortexsnn.cortex import tables
    >>> measured = xr.Dataset(
    ...     {"tau_ms": ("layer", [60.0, 120.0, 170.0, 290.0]), "status": ("layer", ["ok"] * 4)},
    ...     {"layer": ["hidden1", "hidden2", "hidden3", "hidden4"], "depth": ("layer", [1, 2, 3, 4])},
    ... )
    >>> result = compare(measured, tables.load("murray2014"), rng=np.random.default_rng(1))
    >>> result["nearest_area"].to_numpy()[0].tolist()
    ['MT', 'LIP', 'LPFC', 'ACC']
    >>> result["order_note"].sel(network="network", statistic="spearman").item()
    'n too small: with these 4 pairs the smallest possible two-sided p is 0.083'
    >>> print(result["condition_shows"].item().splitlines()[0])
    the perfect order of 4 layers has a two-sided p of 0.083: 4 layers alone can never be significant at 0.05
    """
    named = _named(timescales)
    generator(rng)
    whole("resamples", resamples, 100)
    if neuron_statistic is not None:
        choice("neuron_statistic", neuron_statistic, NEURON_STATISTICS)
    members = conditions_of(list(named), conditions)
    contrasts = contrasts_of(members, pairs)
    areas = read_areas(table, measure, stream, rng)
    of_neurons = neuron_statistic or neuron_statistic_of(table, areas.measure)
    networks = [read_layers(label, one, of_neurons, rng) for label, one in named.items()]
    cortex = cortex_slopes(areas, resamples, confidence, rng)
    values = network_part(networks, confidence, rng) | layer_part(networks) | nearest_part(networks, areas, rng)
    values |= cortex_part(areas, cortex, confidence, rng) | _protocol_part(named, table, areas.measure)
    values["cortex_distance"] = np.abs(values["slope"][:, None] - values["cortex_slope"])
    slopes = {
        network: slope
        for network, slope, used in zip(named, values["slope"].tolist(), values["layers_used"].tolist(), strict=True)
        if used >= LAYERS_FOR_TEST and np.isfinite(slope)
    }
    inside: dict[str, list[Layers]] = {condition: [] for condition in members.values()}
    for one in networks:
        inside[members[one.label]].append(one)
    values |= condition_part(inside, areas, slopes, cortex, resamples=resamples, confidence=confidence, rng=rng)
    values |= contrast_part(contrasts, slopes, cortex, confidence=confidence, rng=rng)
    deepest = values["tau_ms"].shape[1]
    return xr.Dataset(
        described(values),
        _coordinates(members, deepest, areas, list(contrasts)),
        _attributes(table, areas, of_neurons, resamples, confidence)
        | {"warning": _warning(values["protocol"].tolist(), str(table.attrs.get("table", "the table")))},
    )


def save(dataset: xr.Dataset, path: str | Path) -> None:
    """Write the result of `compare` to netCDF, all of it or nothing.

    Parameters
    ----------
    dataset : xarray.Dataset
    path : path-like
    """
    save_dataset(dataset, path)


def load(path: str | Path) -> xr.Dataset:
    """Read a result of `compare` and check it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        If the file is missing, truncated, or not such a result.
    """
    required = {name: dims for name, (dims, _, _) in VARIABLES.items()}
    return load_dataset(path, what="comparison file", schema=SCHEMA, required=required)
