"""What the page says of timescales: of every layer, beside the cortex, and of one condition beside another."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from cortexsnn import figures
from cortexsnn.report.drawings import Drawing, drawing
from cortexsnn.report.tables import Section, Table
from cortexsnn.runs import Run
from cortexsnn.summary import contrast_rows, correlation_rows, slope_rows, timescale_rows

__all__ = ["cortex_sections"]


def _drawn(figure: Figure | None, name: str, alt: str, caption: str) -> list[Drawing]:
    return [] if figure is None else [drawing(figure, name, alt, caption)]


def _curves(runs: Sequence[Run]) -> str:
    result = runs[0].timescales
    if "layer" not in result.dims:
        return "Timescales of single neurons, of the first network of each condition; a tick marks the median."
    if "frequency" in result.dims:
        return (
            "Power spectrum of every hidden layer of the first network of each condition with its fit; a dotted line "
            "marks the knee."
        )
    return (
        "Autocorrelation of every hidden layer of the first network of each condition, as its estimator sees it. "
        "Filled points were fitted, open points come before the fit; the line is the fit."
    )


def _timescales(runs: Sequence[Run], comparison: xr.Dataset) -> Section:
    result = runs[0].timescales
    share = 100 * float(result.attrs["confidence"])
    quartiles = "" if "layer" in result.dims else ", a layer being the mean of its neurons"
    measured = Table(
        "timescales",
        f"Timescale of every layer with its {share:.0f} % interval{quartiles} (0 or ∞: no end was found); membrane: "
        "mean membrane time constant; memory: mean lag of the impulse response without spikes, delays included; area: "
        "the nearest by milliseconds, which depend on the protocol: a pointer, no more",
        *timescale_rows(runs, comparison),
    )
    cautions: dict[str, list[str]] = {}
    for run in runs:
        caution = str(run.timescales.attrs.get("protocol_caution", ""))
        rule, _, layers = caution.partition(": ")
        if layers:
            cautions.setdefault(rule, []).append(f"{run.name} {layers}")
    kept_apart = (
        "The membrane time constant is set or learned; the timescale is measured on spikes. They need not agree: what "
        "is measured is the network's, with its input, its weights and its resets. How it was measured is told under "
        "Methods."
    )
    return Section(
        heading="The timescale of every layer",
        paragraphs=(kept_apart,),
        drawings=(
            *_drawn(figures.autocorrelations(runs), "curves", "What the timescale of every layer was read from",
                    _curves(runs)),
            *_drawn(figures.set_and_measured(runs), "set_and_measured",
                    "Membrane time constant against timescale measured",
                    "Mean membrane time constant against the measured timescale of the same layer, all networks."),
        ),
        tables=(measured,),
        notes=[f"{rule[:1].upper()}{rule[1:]}: {'; '.join(of)}." for rule, of in cautions.items()],
    )  # fmt: skip


def _within(table: xr.Dataset, comparison: xr.Dataset) -> xr.Dataset:
    """The part of a table that was compared."""
    stream = str(comparison.attrs.get("stream", ""))
    inside = table["stream"].to_numpy().astype(str) == stream
    return table.isel(observation=np.flatnonzero(inside)) if inside.any() else table


def _protocol(comparison: xr.Dataset) -> Table:
    """Whether networks were measured as the study measured, those of which the same is true in one row."""
    said: dict[tuple[str, str], list[str]] = {}
    columns = (comparison[name].to_numpy().astype(str).tolist() for name in ("network", "protocol", "protocol_note"))
    for network, verdict, note in zip(*columns, strict=True):
        said.setdefault((verdict, note), []).append(network)
    rows = [(", ".join(networks), verdict, note) for (verdict, note), networks in said.items()]
    return Table("protocol", "Were networks measured by the protocol of the study?", ("networks", "protocol", "note"),
                 rows)  # fmt: skip


def _beside(runs: Sequence[Run], comparison: xr.Dataset, table: xr.Dataset) -> Section:
    name = figures.name_of_table(table)
    compared = _within(table, comparison)
    absolute = str(comparison.attrs.get("absolute", ""))
    caution = f"{absolute[:1].upper()}{absolute[1:].rstrip('.')}." if absolute else (
        "Order and slope can be compared, absolute milliseconds hardly: they depend on estimator, bins and input, and "
        "where membrane time constants were set, agreement in ms would be by construction."
    )  # fmt: skip
    drawings = [
        *_drawn(figures.beside_cortex(runs, compared), "layers_and_areas",
                "Timescales of the hidden layers beside those of cortical areas, on one logarithmic axis",
                "Timescales of hidden layers, networks of a condition side by side (crosses: layers without a "
                f"timescale), and of the areas of {name}, each data set with a mark of its own. Bars: intervals of "
                "the layers; of the areas what was published, 1.96 standard errors where only these were."),
        *_drawn(figures.slopes(comparison, table), "slopes",
                "Slope of the logarithm of timescale over depth, of networks and of the cortex, with intervals",
                "How steeply timescales rise: mean slope of the networks of each condition with its interval, small "
                "marks are single networks; and of the cortex over its hierarchy."),
        *_drawn(figures.distances(comparison, table), "distances",
                "Matrix of layers by areas: factor between their timescales, and probability of being nearest",
                "Layers of the first network of each condition by areas, from the bottom of the hierarchy to its top. "
                "Above: by what factor the timescale is longer or shorter. Below: in how many of 100 draws from the "
                "errors of both sides an area is the nearest. Framed: the nearest. Hatched: no timescale."),
        *_drawn(figures.schematic(table), "brain",
                "Schematic brain with areas coloured by timescale",
                f"Mean timescales of areas, {name}. The drawing is a schematic: areas stand about where they lie, "
                "their sizes and borders mean nothing; dashed: not on the surface that is seen."),
    ]  # fmt: skip
    tables = (
        Table("slopes", "Slopes of ln(τ) from the bottom (0) to the top (1)", *slope_rows(comparison)),
        Table("correlations", "Rank correlation of depth (or of the place of the area) with log timescale; p "
              "two-sided, by permutation", *correlation_rows(comparison)),
        _protocol(comparison),
    )  # fmt: skip
    traps = [trap for trap in str(table.attrs.get("traps", "")).splitlines() if trap]
    notes = [f"About the table: {'; '.join(traps)}."] if traps else []
    return Section(heading="Beside the cortex", paragraphs=(caution,), drawings=drawings, tables=tables, notes=notes)


def _contrasts(comparison: xr.Dataset) -> list[Section]:
    if not comparison.sizes["contrast"]:
        return []
    table = Table("contrasts", "Pairs of networks that share a seed: difference of slopes, and by how much the first "
                  "is nearer to the slope of the cortex than the second", *contrast_rows(comparison))  # fmt: skip
    return [Section(heading="One condition beside another", tables=(table,))]


def _shows(comparison: xr.Dataset) -> list[Section]:
    conditions = comparison["condition"].to_numpy().astype(str).tolist()
    said: dict[str, list[str]] = {}
    for condition, text in zip(conditions, comparison["condition_shows"].to_numpy().astype(str), strict=True):
        for sentence in text.splitlines():
            said.setdefault(sentence, []).append(condition)
    points = [
        sentence if len(of) == len(conditions) else f"{', '.join(of)}: {sentence}" for sentence, of in said.items()
    ]
    return [Section(heading="What this can and cannot show", points=points)] if points else []


def cortex_sections(runs: Sequence[Run], comparison: xr.Dataset, table: xr.Dataset) -> list[Section]:
    """The sections on timescales.

    Parameters
    ----------
    runs : sequence of Run
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.
    table : xarray.Dataset
        The table of the comparison, of one measure.

    Returns
    -------
    list of Section
    """
    return [
        _timescales(runs, comparison),
        _beside(runs, comparison, table),
        *_contrasts(comparison),
        *_shows(comparison),
    ]
