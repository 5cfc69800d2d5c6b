"""What a table knows of the cortex: the areas of one pathway in order of the hierarchy, checked.

Two samples of the same table are looked at: the mean of each area over data sets, and the single observations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.checks import Values, choice
from cortexsnn.cortex.comparing.area_errors import area_replicates
from cortexsnn.cortex.statistics import relative_depth
from cortexsnn.cortex.table_metadata import what_it_cannot_show
from cortexsnn.cortex.tables import area_means, protocol, rows
from cortexsnn.errors import InputError

__all__ = ["SAMPLES", "STREAM", "Areas", "Sample", "neuron_statistic_of", "read_areas"]

STREAM = "visual-prefrontal"
SAMPLES = ("area means", "observations")
_POSITIONS = ("x_mm", "y_mm", "z_mm")
_NUMBERS = ("tau_ms", "sem_ms", "low_ms", "high_ms", "rank", "score", *_POSITIONS)


@dataclass(frozen=True, eq=False)
class Sample:
    """Points of the cortex: areas, or single observations.

    Parameters
    ----------
    area, dataset : array of str, shape (n,)
        Data sets are empty where a point is a mean over them.
    place : array, shape (n,)
        Rank or score; all 0 where neither is known.
    tau_ms : array, shape (n,)
    position_mm : array, shape (n, axis)
        Without axes where positions are not known.
    """

    area: NDArray[np.str_]
    dataset: NDArray[np.str_]
    place: Values
    tau_ms: Values
    position_mm: Values

    @property
    def height(self) -> Values:
        """Relative place, 0 at the lowest and 1 at the highest."""
        return relative_depth(self.place)


@dataclass(frozen=True, eq=False)
class Areas:
    """One pathway of a table.

    Parameters
    ----------
    means, observations : Sample
        Means in order of the hierarchy.
    datasets : array of int, shape (area,)
        In how many data sets each area is.
    replicates : array, shape (area, REPLICATES)
        Mean timescales in ms that the errors and data sets of each area allow.
    has_errors : array of bool, shape (area,)
    stream, measure, place : str
        What was taken; place is rank, score or empty.
    absolute : str
        Why milliseconds of this table are compared with nothing; empty if they are compared.
    note : str
        What the order of these areas cannot show; empty if there is nothing to say.
    """

    means: Sample
    observations: Sample
    datasets: NDArray[np.int64]
    replicates: Values
    has_errors: NDArray[np.bool_]
    stream: str
    measure: str
    place: str
    absolute: str
    note: str


def _stream_of(table: xr.Dataset, stream: str | None) -> str:
    """The pathway that was asked for, or the one there is, or the one that networks are usually set beside."""
    known = list(dict.fromkeys(table["stream"].to_numpy().astype(str).tolist()))
    if stream is not None:
        choice("stream of the table", stream, known)
        return stream
    if len(known) > 1 and STREAM not in known:
        raise InputError("streams of the table", known, "one of them", "choose with stream=")
    return STREAM if STREAM in known else known[0]


def _require_numbers(table: xr.Dataset) -> None:
    for name in _NUMBERS:
        if name in table.variables and table[name].dtype.kind not in "iuf":
            raise InputError(f"{name} of the table", table[name].to_numpy().tolist(), "numbers",
                             "cortex.register reads columns of these names as numbers")  # fmt: skip


def _require_sound(table: xr.Dataset) -> None:
    """Tables made by hand come this way too."""
    tau_ms = table["tau_ms"].to_numpy().astype(np.float64)
    area, dataset = (table[name].to_numpy().astype(str) for name in ("area", "dataset"))
    unit = table["tau_ms"].attrs.get("units", "ms")
    if unit != "ms":
        raise InputError("unit of tau_ms of the table", unit, "'ms', as of the network")
    wrong = ~(np.isfinite(tau_ms) & (tau_ms > 0))
    if wrong.any():
        raise InputError("tau_ms of the table", dict(zip(area[wrong].tolist(), tau_ms[wrong].tolist(), strict=True)),
                         "a positive number for each area", "leave out areas without a timescale")  # fmt: skip
    if np.any(area == ""):
        raise InputError("areas of the table", area.tolist(), "a name for each")
    pairs = list(zip(dataset.tolist(), area.tolist(), strict=True))
    repeated = sorted({pair for pair in pairs if pairs.count(pair) > 1})
    if repeated:
        raise InputError("areas of the table", repeated[0][1], f"each area once in data set '{repeated[0][0]}'",
                         "choose a measure, or label data sets")  # fmt: skip
    for name in ("rank", "score"):
        if name in table.coords:
            places = table[name].to_numpy().astype(np.float64)
            moved = [one for one in dict.fromkeys(area.tolist()) if np.ptp(places[area == one]) != 0]
            if moved or not np.all(np.isfinite(places)):
                raise InputError(f"{name} of the table", moved or places.tolist(), "one number for each area")


def _absolute(modality: str) -> str:
    if modality == "spikes":
        return ""
    if modality in ("", "unknown"):
        return "the table does not say that its timescales are of spikes (modality), so milliseconds are not compared"
    kinds = {"field": "field potentials", "fmri": "fMRI", "model": "a model", "anatomy": "anatomy"}
    of = kinds.get(modality, modality)
    return f"the timescales of the table are of {of}, not of spikes: only order and slope are compared"


def _sample(table: xr.Dataset, place: str, positions: list[str], dimension: str) -> Sample:
    size = table.sizes[dimension]
    return Sample(
        table["area"].to_numpy().astype(str),
        table["dataset"].to_numpy().astype(str) if "dataset" in table.coords else np.full(size, ""),
        table[place].to_numpy().astype(np.float64) if place else np.zeros(size),
        table["tau_ms"].to_numpy().astype(np.float64),
        np.stack([table[name].to_numpy() for name in positions], axis=1) if positions else np.zeros((size, 0)),
    )


def _with_positions(means: xr.Dataset, table: xr.Dataset, positions: list[str]) -> xr.Dataset:
    label = table["area"].to_numpy().astype(str)
    return means.assign(
        {
            name: ("area", np.array([table[name].to_numpy()[label == one].mean() for one in means["area"].to_numpy()]))
            for name in positions
        }
    )


def read_areas(table: xr.Dataset, measure: str | None, stream: str | None, rng: np.random.Generator) -> Areas:
    """Take one pathway of a table, checked.

    Parameters
    ----------
    table : xarray.Dataset
        Of `cortexsnn.cortex.load` or `cortexsnn.cortex.register`.
    measure : str, optional
        Which quantity, of a table that has several.
    stream : str, optional
        Which pathway; by default the visual-prefrontal one where there is one, otherwise the only one.
    rng : numpy.random.Generator
        For the replicates.

    Returns
    -------
    Areas

    Raises
    ------
    InputError
        If it is no table with timescales, has several measures or streams, an area is twice in a data set or has two
        places, or a timescale is no positive number.

    Examples
    --------
    >>> from cortexsnn.cortex import load
    >>> areas = read_areas(load("murray2014"), None, None, np.random.default_rng(1))
    >>> areas.means.area.tolist(), areas.means.height.round(2).tolist(), areas.absolute
    (['MT', 'LIP', 'LPFC', 'ACC', 'OFC'], [0.0, 0.33, 0.67, 1.0, 1.0], '')
    """
    for column in ("tau_ms", "area", "stream", "measure", "dataset"):
        if column not in table.variables or table[column].dims != ("observation",):
            hint = "it has no timescales, only places in a hierarchy" if column == "tau_ms" else ""
            raise InputError("table", list(map(str, table.variables)),
                             f"a table of cortex.load, with {column} on dimension observation", hint)  # fmt: skip
    one = table if measure is None else rows(table, measure=measure)
    taken = _stream_of(one, stream)
    inside = one.isel(observation=np.flatnonzero(one["stream"].to_numpy().astype(str) == taken))
    _require_numbers(inside)
    means = area_means(inside)
    _require_sound(inside)
    place = next((name for name in ("rank", "score") if name in inside.coords), "")
    positions = [name for name in _POSITIONS if name in inside.variables]
    names = means["area"].to_numpy().astype(str)
    replicates, known = area_replicates(inside, names, rng)
    return Areas(
        _sample(_with_positions(means, inside, positions), place, positions, "area"),
        _sample(inside, place, positions, "observation"),
        means["datasets"].to_numpy().astype(np.int64),
        replicates,
        known,
        taken,
        str(inside["measure"].to_numpy()[0]),
        place,
        _absolute(str(table.attrs.get("modality", ""))),
        what_it_cannot_show(inside["area"].to_numpy().tolist(), inside[place].to_numpy() if place else None),
    )


def neuron_statistic_of(table: xr.Dataset, measure: str) -> str:
    """What the study took of the timescales of single neurons for an area: their mean, their median, or not known.

    Parameters
    ----------
    table : xarray.Dataset
    measure : str

    Returns
    -------
    str
        One of `cortexsnn.cortex.comparing.layers.NEURON_STATISTICS`; the geometric mean where it is not known.

    Examples
    --------
    >>> from cortexsnn.cortex import load
    >>> neuron_statistic_of(load("siegle2021"), "intrinsic"), neuron_statistic_of(load("murray2014"), "intrinsic")
    ('mean', 'geometric mean')
    """
    how = protocol(rows(table, measure=measure))
    first = str(how.get("statistic", "")).split(" ")[0]
    return first if how.get("per") == "neuron" and first in ("mean", "median") else "geometric mean"
