"""Networks beside the cortex: do timescales rise with depth, how steeply, and which area is each layer like?

Everything is done on the logarithm of tau, and order and slope are compared rather than milliseconds: absolute
values depend on the estimator, and where time constants were imposed on a network they agree by construction.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.cortex.statistics import (
    LARGEST_EXACT_ARRANGEMENTS,
    LARGEST_EXACT_FLIPS,
    LARGEST_EXACT_N,
    METHODS,
    RankCorrelation,
    rank_correlation,
    sign_flip_test,
)
from cortexsnn.cortex.tables import area_means
from cortexsnn.errors import InputError
from cortexsnn.results import load_dataset, save_dataset
from cortexsnn.timescales import Status

__all__ = ["STREAM", "compare", "load", "save"]

SCHEMA = "cortexsnn-comparison-1"
STREAM = "visual-prefrontal"
SAMPLES = ("area means", "observations")
# Two layers always lie on a line, whose slope says little.
LAYERS_FOR_TEST = 3

_NOT_EXCHANGEABLE = "points share areas and laboratories and so are not exchangeable: take p as a description"
_NETWORK, _LAYER, _CORTEX, _CONDITION, _CONTRAST = (
    ("network", "statistic"),
    ("network", "layer"),
    ("cortex", "statistic"),
    ("condition",),
    ("contrast",),
)
_ORDER = {
    "coefficient": "rank correlation with log tau",
    "p_value": "two-sided permutation p of the rank correlation",
    "p_is_exact": "whether all permutations were counted",
    "p_standard_error": "standard error of a sampled p",
    "smallest_possible_p": "p of the best possible order",
    "note": "what to keep in mind about the rank correlation",
}
_SIGN_FLIPS = {
    "p_value": "two-sided sign-flip p of the mean",
    "p_is_exact": "whether all choices of signs were counted",
    "p_standard_error": "standard error of a sampled p",
    "smallest_possible_p": "p if all had one sign",
    "note": "what to keep in mind about the sign-flip p",
}
# Variable: field of the test.
_CONDITION_TEST = {"networks": "n", "rising": "positive", "slope": "mean"} | {key: key for key in _SIGN_FLIPS}
_CONTRAST_TEST = {"pairs": "n", "slope_difference": "mean"} | {key: key for key in _SIGN_FLIPS}
_SLOPE = "ln(tau) from the bottom (0) to the top (1), least squares"
_VARIABLES: dict[str, tuple[tuple[str, ...], str, str]] = {
    **{f"order_{key}": (_NETWORK, f"depth: {text}", "") for key, text in _ORDER.items()},
    "layers": (("network",), "spiking layers", ""),
    "layers_used": (("network",), "layers with a timescale (status ok or too_short)", ""),
    "slope": (("network",), f"rise over depth: {_SLOPE}", "1"),
    "slope_note": (("network",), "what to keep in mind about the slope", ""),
    "tau_ms": (_LAYER, "timescale", "ms"),
    "status": (_LAYER, "what came of the estimate; empty where the network has no such layer", ""),
    "layer_name": (_LAYER, "population", ""),
    "nearest_area": (
        _LAYER,
        f"area of the {STREAM} stream with the nearest mean tau; by absolute milliseconds, which depend on protocol, "
        "and so only a pointer; empty without a timescale",
        "",
    ),
    "nearest_area_tau_ms": (_LAYER, "mean timescale of that area", "ms"),
    "nearest_area_ratio": (_LAYER, "timescale of the layer over that of the area", "1"),
    **{f"cortex_{key}": (_CORTEX, f"rank in the hierarchy: {text}", "") for key, text in _ORDER.items()},
    "cortex_n": (("cortex",), "observations or areas", ""),
    "cortex_slope": (("cortex",), f"rise over rank: {_SLOPE}", "1"),
    "condition_networks": (_CONDITION, f"networks (seeds) with a timescale in {LAYERS_FOR_TEST} layers or more", ""),
    "condition_rising": (_CONDITION, "networks with a positive slope", ""),
    "condition_slope": (_CONDITION, "mean slope", "1"),
    **{f"condition_{key}": (_CONDITION, f"slopes: {text}", "") for key, text in _SIGN_FLIPS.items()},
    "contrast_pairs": (_CONTRAST, "pairs of networks (seeds), one of each condition", ""),
    "contrast_slope_difference": (_CONTRAST, "mean difference of slopes within pairs", "1"),
    **{f"contrast_{key}": (_CONTRAST, f"differences of slopes: {text}", "") for key, text in _SIGN_FLIPS.items()},
}


def _slope(height: NDArray[Any], tau_ms: NDArray[Any]) -> float:
    """Least-squares slope of ln(tau) on relative height; NaN if all points are equally high."""
    if tau_ms.size < 2 or np.ptp(height) == 0:
        return float("nan")
    centred = height - height.mean()
    return float((centred * np.log(tau_ms)).sum() / (centred**2).sum())


def _heights(rank: NDArray[Any], last: int) -> NDArray[np.float64]:
    """Places 1 to `last` as relative heights 0 to 1."""
    return (np.asarray(rank, dtype=np.float64) - 1) / max(1, last - 1)


def _order(rank: NDArray[Any], tau_ms: NDArray[Any], rng: np.random.Generator) -> list[RankCorrelation]:
    """Rank correlation of place with log tau (whose ranks are those of tau), by each method."""
    return [rank_correlation(rank, np.log(tau_ms), method, rng=rng) for method in METHODS]


def _missing(used: int, layers: int) -> str:
    if used == layers:
        return ""
    return f"only {used} of {layers} layers have a timescale"


def _joined(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def _checked(label: str, timescales: xr.Dataset) -> tuple[NDArray[np.str_], NDArray[np.float64], NDArray[np.str_]]:
    """Names, tau and status of the layers of one network, in order of depth."""
    for name in ("tau_ms", "status", "depth"):
        if name not in timescales.variables or timescales[name].dims != ("layer",):
            raise InputError(f"timescales of network '{label}'", list(map(str, timescales.variables)),
                             f"a result of timescales.estimate, with {name} on dimension layer")  # fmt: skip
    ordered = timescales.sortby("depth")
    status = ordered["status"].to_numpy().astype(str)
    unknown = [value for value in status.tolist() if value not in set(Status)]
    if unknown:
        raise InputError(f"status of network '{label}'", unknown[0], f"one of {', '.join(Status)}")
    tau_ms = ordered["tau_ms"].to_numpy().astype(np.float64)
    usable = np.array([Status(value).usable for value in status.tolist()], dtype=bool)
    if np.any(usable & ~(np.isfinite(tau_ms) & (tau_ms > 0))):
        raise InputError(f"tau_ms of network '{label}'", tau_ms.tolist(), "a positive number where status is ok")
    return ordered["layer"].to_numpy().astype(str), np.where(usable, tau_ms, np.nan), status


def _stream(sample: xr.Dataset) -> xr.Dataset:
    """The part of a table, or of its means of areas, that lies in the stream."""
    inside = sample["stream"].to_numpy() == STREAM
    if not inside.any():
        raise InputError("streams of the table", sorted(set(sample["stream"].to_numpy().tolist())), f"'{STREAM}'")
    return sample.isel({str(sample["stream"].dims[0]): inside})


def _few_layers(used: int) -> str:
    """What too few layers with a timescale mean for the slope."""
    if used < 2:
        return "n too small: a slope needs 2 layers with a timescale"
    if used < LAYERS_FOR_TEST:
        return f"n too small: tests over networks leave out slopes of fewer than {LAYERS_FOR_TEST} layers"
    return ""


def _used(used: int, total: int, what: str) -> str:
    """How many networks, or pairs of them, a test is made of."""
    if used == total:
        return ""
    return f"{used} of {total} {what} used: the others fall short of {LAYERS_FOR_TEST} layers with a timescale"


def _conditions(networks: list[str], conditions: Mapping[str, str] | None) -> list[str]:
    """Condition of every network; without any given, each network stands for itself."""
    if conditions is None:
        return networks
    if set(conditions) != set(networks):
        raise InputError("conditions", sorted(conditions), f"one for each network: {', '.join(networks)}")
    return [conditions[network] for network in networks]


def _partners(members: Mapping[str, str], pairs: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Network by its pair label, for every condition."""
    unknown = sorted(set(pairs) - set(members))
    if unknown:
        raise InputError("pairs", unknown, f"labels of networks: {', '.join(members)}")
    partners: dict[str, dict[str, str]] = {condition: {} for condition in members.values()}
    for network, label in pairs.items():
        other = partners[members[network]].setdefault(label, network)
        if other != network:
            raise InputError("pairs", label, "one network of that label in a condition",
                             f"'{other}' and '{network}' are both of condition '{members[network]}'")  # fmt: skip
    return partners


def _network_part(
    named: Mapping[str, xr.Dataset], areas: xr.Dataset, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Variables on network, layer and statistic."""
    checked = {label: _checked(label, timescales) for label, timescales in named.items()}
    deepest = max(names.size for names, _, _ in checked.values())
    shape = (len(checked), deepest)
    tau_ms, nearest_tau_ms = np.full(shape, np.nan), np.full(shape, np.nan)
    status, layer_name, nearest = ([[""] * deepest for _ in checked] for _ in range(3))
    orders: list[list[RankCorrelation]] = []
    order_notes, slope_notes, slopes, layers, used = [], [], [], [], []
    area_names, area_tau_ms = areas["area"].to_numpy(), areas["tau_ms"].to_numpy()
    for row, (names, tau, states) in enumerate(checked.values()):
        depth = np.arange(1, tau.size + 1)
        has = np.isfinite(tau)
        tau_ms[row, : tau.size] = tau
        status[row][: tau.size], layer_name[row][: tau.size] = states.tolist(), names.tolist()
        for place in np.flatnonzero(has):
            closest = int(np.argmin(np.abs(np.log(tau[place] / area_tau_ms))))
            nearest[row][place], nearest_tau_ms[row, place] = str(area_names[closest]), area_tau_ms[closest]
        results = _order(depth[has], tau[has], rng)
        missing = _missing(int(has.sum()), tau.size)
        orders.append(results)
        order_notes.append([_joined(missing, result.note) for result in results])
        slopes.append(_slope(_heights(depth[has], tau.size), tau[has]))
        slope_notes.append(_joined(missing, _few_layers(int(has.sum()))))
        layers.append(tau.size)
        used.append(int(has.sum()))
    return {
        **_columns("order", orders),
        "order_note": np.array(order_notes),
        "layers": np.array(layers),
        "layers_used": np.array(used),
        "slope": np.array(slopes),
        "slope_note": np.array(slope_notes),
        "tau_ms": tau_ms,
        "status": np.array(status),
        "layer_name": np.array(layer_name),
        "nearest_area": np.array(nearest),
        "nearest_area_tau_ms": nearest_tau_ms,
        "nearest_area_ratio": tau_ms / nearest_tau_ms,
    }


def _columns(prefix: str, results: list[list[RankCorrelation]]) -> dict[str, NDArray[Any]]:
    return {f"{prefix}_{key}": np.array([[getattr(one, key) for one in row] for row in results]) for key in _ORDER}


def _cortex_part(areas: xr.Dataset, observations: xr.Dataset, rng: np.random.Generator) -> dict[str, NDArray[Any]]:
    """Variables on cortex and statistic: means of areas, and single observations."""
    results, notes, slopes, numbers = [], [], [], []
    for sample, caution in ((areas, ""), (observations, _NOT_EXCHANGEABLE)):
        rank, tau_ms = sample["rank"].to_numpy(), sample["tau_ms"].to_numpy()
        results.append(_order(rank, tau_ms, rng))
        notes.append([_joined(caution, result.note) for result in results[-1]])
        slopes.append(_slope(_heights(rank, int(rank.max())), tau_ms))
        numbers.append(rank.size)
    return {
        **_columns("cortex", results),
        "cortex_note": np.array(notes),
        "cortex_slope": np.array(slopes),
        "cortex_n": np.array(numbers),
    }


def _sign_flips(
    samples: Sequence[list[float]], totals: Sequence[int], what: str, rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Sign-flip tests of several samples, each the part that counts of so many networks or pairs."""
    tests = [sign_flip_test(sample, rng=rng) for sample in samples]
    notes = [_joined(_used(test.n, total, what), test.note) for test, total in zip(tests, totals, strict=True)]
    return {
        "n": np.array([test.n for test in tests], dtype=np.int64),
        "positive": np.array([test.positive for test in tests], dtype=np.int64),
        "mean": np.array([test.mean for test in tests], dtype=np.float64),
        "p_value": np.array([test.p_value for test in tests], dtype=np.float64),
        "p_is_exact": np.array([test.p_is_exact for test in tests], dtype=bool),
        "p_standard_error": np.array([test.p_standard_error for test in tests], dtype=np.float64),
        "smallest_possible_p": np.array([test.smallest_possible_p for test in tests], dtype=np.float64),
        "note": np.array(notes, dtype=np.str_),
    }


def _condition_part(
    members: Mapping[str, str], slopes: Mapping[str, float], rng: np.random.Generator
) -> dict[str, NDArray[Any]]:
    """Variables on condition: the slopes of its networks, pooled. `slopes` has those that count."""
    inside = [[network for network in members if members[network] == c] for c in dict.fromkeys(members.values())]
    samples = [[slopes[network] for network in networks if network in slopes] for networks in inside]
    tests = _sign_flips(samples, [len(networks) for networks in inside], "networks", rng)
    return {f"condition_{name}": tests[key] for name, key in _CONDITION_TEST.items()}


def _contrast_part(
    partners: Sequence[tuple[Mapping[str, str], Mapping[str, str]]],
    slopes: Mapping[str, float],
    rng: np.random.Generator,
) -> dict[str, NDArray[Any]]:
    """Variables on contrast: differences between the slopes of two conditions, pair by pair."""
    pairs = [[(first[label], second[label]) for label in first if label in second] for first, second in partners]
    samples = [[slopes[a] - slopes[b] for a, b in both if a in slopes and b in slopes] for both in pairs]
    tests = _sign_flips(samples, [len(both) for both in pairs], "pairs", rng)
    return {f"contrast_{name}": tests[key] for name, key in _CONTRAST_TEST.items()}


def compare(
    timescales: xr.Dataset | Mapping[str, xr.Dataset],
    table: xr.Dataset,
    *,
    rng: np.random.Generator,
    conditions: Mapping[str, str] | None = None,
    pairs: Mapping[str, str] | None = None,
) -> xr.Dataset:
    """Compare the timescales of networks with those of cortical areas.

    For each network: the rank correlation of depth with log tau over the layers that have a timescale, the slope of
    ln(tau) over relative depth (0 the first layer, 1 the last), and the cortical area nearest to each layer. For the
    cortex: the same with the rank of an area in the visual-prefrontal stream, over the means of areas and over single
    observations. For each condition: how many of its networks (seeds) rise, and a sign-flip test of their slopes,
    since a network of few layers can never be significant by itself. For each contrast, two conditions whose networks
    come in pairs: a sign-flip test of the difference of slopes within pairs. Slopes of fewer than 3 layers with a
    timescale are left out of these tests.

    Parameters
    ----------
    timescales : xarray.Dataset or mapping of str to xarray.Dataset
        Results of `timescales.estimate`, by the name of the network; a single one is called ``"network"``.
    table : xarray.Dataset
        Of `cortexsnn.cortex.load`.
    rng : numpy.random.Generator
        For tests with too many permutations or signs to count them all.
    conditions : mapping of str to str, optional
        The condition of every network. By default each network is its own condition, of one.
    pairs : mapping of str to str, optional
        By the name of the network, what it shares with one network of each other condition, such as the seed.
        Networks that are left out have no partner; without any pairs there is no contrast.

    Returns
    -------
    xarray.Dataset
        On dimensions network, layer, statistic, cortex, condition and contrast (``"hierarchical - homogeneous"``).
        Each variable says in ``long_name`` what it is, and notes say in words where n is too small or layers are
        missing.

    Raises
    ------
    InputError
        If there is no network, a dataset is not a result of `timescales.estimate`, conditions or pairs do not match
        the networks, or the table has no visual-prefrontal stream.

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
    """
    named = {"network": timescales} if isinstance(timescales, xr.Dataset) else dict(timescales)
    if not named:
        raise InputError("timescales", [], "at least one network")
    for column in ("tau_ms", "area", "stream", "rank"):
        if column not in table.variables or table[column].dims != ("observation",):
            raise InputError("table", list(map(str, table.variables)),
                             f"a table of cortex.load, with {column} on dimension observation")  # fmt: skip
    networks = list(named)
    members = dict(zip(networks, _conditions(networks, conditions), strict=True))
    distinct = list(dict.fromkeys(members.values()))
    partners = _partners(members, pairs or {})
    contrasts = list(combinations(distinct, 2)) if pairs else []
    observations, areas = _stream(table), _stream(area_means(table))
    values = _network_part(named, areas, rng) | _cortex_part(areas, observations, rng)
    slopes = {
        network: slope
        for network, slope, used in zip(networks, values["slope"].tolist(), values["layers_used"].tolist(), strict=True)
        if used >= LAYERS_FOR_TEST
    }
    values |= _condition_part(members, slopes, rng)
    values |= _contrast_part([(partners[first], partners[second]) for first, second in contrasts], slopes, rng)
    variables = {
        name: (dims, values[name], {"long_name": long_name} | ({"units": units} if units else {}))
        for name, (dims, long_name, units) in _VARIABLES.items()
    }
    coordinates = {
        "network": networks,
        "network_condition": ("network", list(members.values()), {"long_name": "condition of the network"}),
        "layer": ("layer", np.arange(1, values["tau_ms"].shape[1] + 1), {"long_name": "depth, 1 is the first layer"}),
        "statistic": list(METHODS),
        "cortex": list(SAMPLES),
        "condition": distinct,
        "contrast": np.array([f"{first} - {second}" for first, second in contrasts], dtype=np.str_),
    }
    attributes = {
        "schema": SCHEMA,
        "table": str(table.attrs.get("table", "")),
        "doi": str(table.attrs.get("doi", "")),
        "stream": STREAM,
        "p_values": "two-sided, not corrected for the number of tests; all permutations where at most "
        f"{LARGEST_EXACT_ARRANGEMENTS:,} look different and n is at most {LARGEST_EXACT_N} (always up to n = 10), "
        f"all sign flips up to n = {LARGEST_EXACT_FLIPS}, sampled above",
        "slope": f"{_SLOPE}; exp(slope) is the factor from bottom to top",
    }
    return xr.Dataset(variables, coordinates, attributes)


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
    required = {name: dims for name, (dims, _, _) in _VARIABLES.items()}
    return load_dataset(path, what="comparison file", schema=SCHEMA, required=required)
