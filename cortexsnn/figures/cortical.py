"""Figures of networks beside the cortex, for any table of `cortexsnn.cortex`."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from cortexsnn import plotting
from cortexsnn.cortex import tables
from cortexsnn.figures.shared import palette_of, per_layer
from cortexsnn.runs import Run

__all__ = ["beside_cortex", "distances", "name_of_table", "schematic", "slopes"]


def name_of_table(table: xr.Dataset) -> str:
    """What a table is called in a figure: species, and who published it when.

    Parameters
    ----------
    table : xarray.Dataset
        Of `cortexsnn.cortex.load`.

    Returns
    -------
    str
        The name of the table where its citation is not known.

    Examples
    --------
    >>> from cortexsnn import cortex
    >>> name_of_table(cortex.load("murray2014"))
    'macaque monkey, Murray et al. 2014'
    """
    entry = str(table.attrs.get("bibtex", ""))
    author, year = (re.search(rf"^\s*{field} = {{(.*)}},$", entry, re.MULTILINE) for field in ("author", "year"))
    if author is None or year is None:
        return str(table.attrs.get("table", "")) or "table"
    names = author[1].split(" and ")
    species = str(table.attrs.get("species", ""))
    published = f"{names[0].split(',')[0]}{' et al.' if len(names) > 1 else ''} {year[1]}"
    return f"{species}, {published}" if species else published


def beside_cortex(runs: Sequence[Run], table: xr.Dataset | Mapping[str, xr.Dataset]) -> Figure:
    """Timescales of layers beside those of the areas of tables of `cortexsnn.cortex`, on one axis.

    Parameters
    ----------
    runs : sequence of Run
        May be empty.
    table : xarray.Dataset or mapping from label to xarray.Dataset
        Of `cortexsnn.cortex.load`, of one measure each.

    Returns
    -------
    matplotlib.figure.Figure
    """
    shown = dict(table) if isinstance(table, Mapping) and not isinstance(table, xr.Dataset) else {_lines(table): table}
    conditions = palette_of(runs)
    layers = max((len(run.network.hidden) for run in runs), default=0)
    ticks = layers * len(conditions) + sum(len(set(one["area"].to_numpy().tolist())) for one in shown.values())
    longest = max((len(label) for one in shown.values() for label in _labels(one).values()), default=1)
    upright = 0.065 * longest if longest > plotting.LONGEST_LEVEL_LABEL else 0.0
    with plotting.style():
        figure = Figure(figsize=(float(np.clip(1.8 + 0.42 * ticks, 5.6, 10.5)), 3.9 + upright))
        plotting.layers_and_areas(
            figure.subplots(),
            {run.name: per_layer(run.timescales) for run in runs},
            {run.name: run.condition for run in runs},
            shown,
        )
    return figure


def _lines(table: xr.Dataset) -> str:
    return name_of_table(table).replace(", ", "\n", 1)


def _labels(table: xr.Dataset) -> dict[str, str]:
    """What each area is called in figures."""
    area = table["area"].to_numpy().astype(str).tolist()
    named = table["label"].to_numpy().astype(str).tolist() if "label" in table.coords else area
    return {name: label or name for name, label in zip(area, named, strict=True)}


def slopes(comparison: xr.Dataset, table: xr.Dataset) -> Figure:
    """Slopes of ln(tau) over depth of every condition, beside those of the cortex over its hierarchy.

    Parameters
    ----------
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.
    table : xarray.Dataset
        The table of the comparison.

    Returns
    -------
    matplotlib.figure.Figure
    """
    conditions = comparison["condition"].to_numpy().astype(str).tolist()
    palette, of = plotting.colours(conditions), comparison["network_condition"].to_numpy().astype(str)
    of_networks = np.where(comparison["slope_status"].to_numpy() == "ok", comparison["slope"].to_numpy(), np.nan)
    spikes = comparison.attrs.get("modality", "unknown") in ("spikes", "unknown")
    rows = []
    for index, condition in enumerate(conditions):
        one = comparison.isel(condition=index)
        seeds = of_networks[of == condition]
        used = int(one["condition_networks"])
        rows.append(
            plotting.SlopeRow(
                condition,
                float(one["condition_slope"]),
                float(one["condition_slope_low"]),
                float(one["condition_slope_high"]),
                tuple(seeds[np.isfinite(seeds)].tolist()),
                palette[condition],
                note=f"{used} of {seeds.size} network{'' if seeds.size == 1 else 's'}",
            )
        )
    numbers = comparison["cortex_n"].to_numpy().tolist()
    for index, sample in enumerate(comparison["cortex"].to_numpy().astype(str)):
        if index and numbers[index] == numbers[0]:
            continue  # one observation an area: the same again
        one = comparison.sel(cortex=sample)
        ends = float(one["cortex_slope_low"]), float(one["cortex_slope_high"])
        note = f"n = {int(one['cortex_n'])}" + ("" if spikes else f", {comparison.attrs['modality']}")
        label = f"{name_of_table(table).split(', ')[-1]},\n{sample}"
        rows.append(plotting.SlopeRow(label, float(one["cortex_slope"]), *ends, filled=spikes, note=note))
    with plotting.style():
        figure = Figure(figsize=(6.8, 1.5 + 0.42 * len(rows)))
        plotting.slopes(figure.subplots(), rows)
    return figure


def distances(comparison: xr.Dataset, table: xr.Dataset) -> Figure | None:
    """How far every layer of the first network of each condition is from every area, and how sure that is.

    Parameters
    ----------
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.
    table : xarray.Dataset
        The table of the comparison.

    Returns
    -------
    matplotlib.figure.Figure or None
        Above the factor between timescales, below the probability of being the nearest area; None where milliseconds
        of networks and table cannot be compared.
    """
    if comparison.attrs.get("absolute", ""):
        return None
    of = comparison["network_condition"].to_numpy().astype(str).tolist()
    shown = [of.index(condition) for condition in dict.fromkeys(of)]
    labels = _labels(table)
    areas = [labels.get(area, area) for area in comparison["area"].to_numpy().astype(str).tolist()]
    deepest = comparison.sizes["layer"]
    wide, high = max(2.9, 0.42 * len(areas) + 1.0), 0.3 * deepest + 0.9
    certain = comparison["nearest_probability"].to_numpy()
    with plotting.style():
        figure = Figure(figsize=(min(10.5, wide * len(shown) + 0.4), 2 * high + 0.2))
        axes = figure.subplots(2, len(shown), squeeze=False, sharex="col")
        for column, index in enumerate(shown):
            one = comparison.isel(network=index)
            depth = int(one["layers"])
            layers = [str(layer + 1) for layer in range(depth)]
            above, below = axes[:, column]
            plotting.distance_matrix(above, one["tau_ms"].to_numpy()[:depth], one["area_tau_ms"], layers, areas)
            plotting.probability_matrix(below, certain[index, :depth], layers, areas)
            above.set_title(f"{one['network'].item()}\nlonger or shorter by a factor of")
            below.set_title("nearest, in %")
            above.set_xlabel("")
            below.set_xlabel("cortical area")
    return figure


def schematic(table: xr.Dataset) -> Figure | None:
    """A drawing of the brain of the table's species, with areas coloured by their mean timescale.

    Parameters
    ----------
    table : xarray.Dataset
        Of `cortexsnn.cortex.load`, of one measure.

    Returns
    -------
    matplotlib.figure.Figure or None
        None if there is no drawing of the species, or it shows none of the areas.
    """
    species = next((name for name in plotting.BRAINS if name in str(table.attrs.get("species", ""))), None)
    if species is None:
        return None
    means = tables.area_means(table)
    labels = _labels(table)
    tau = {labels[area]: float(means["tau_ms"].sel(area=area)) for area in means["area"].to_numpy().astype(str)}
    drawn = {name: value for name, value in tau.items() if name in plotting.BRAINS[species].areas}
    if len(drawn) < 2:
        return None
    with plotting.style():
        figure = Figure(figsize=(5.8, 3.8))
        plotting.brain(figure.subplots(), drawn, species)
    return figure
