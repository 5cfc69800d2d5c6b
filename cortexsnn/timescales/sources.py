"""Activity that others recorded: arrays of counts, objects of pynapple, NWB files; see `neo_objects` for Neo.

Objects are read by what they offer; only a path to an NWB file needs a package, which is imported when it is opened.
"""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import positive
from cortexsnn.errors import InputError
from cortexsnn.files import existing_file
from cortexsnn.timescales.activity import Signals, SpikeTrains
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.epochs import Epochs, signals_in_epochs, trains_in_epochs

__all__ = ["from_counts", "from_nwb", "from_pynapple"]


def from_counts(
    counts: ArrayLike, bin_ms: float, *, neurons: ArrayLike | None = None, name: str = "population"
) -> BinnedSpikes:
    """Take spike counts that were already made.

    Parameters
    ----------
    counts : array, shape (trial, bin, neuron)
        Whole numbers of at least 0, of any type.
    bin_ms : float
        Width of a bin.
    neurons : array, optional
        Labels of the neurons; 0, 1, ... by default.
    name : str

    Returns
    -------
    BinnedSpikes

    Raises
    ------
    InputError
        If it has not three dimensions, a count is negative, not finite or not whole, or `bin_ms` is not positive.

    Examples
    --------
    >>> from_counts([[[0, 2], [1, 0]], [[0, 0], [0, 1]]], bin_ms=5.0).count
    array([1, 2, 1])
    >>> from_counts([[[0.5]]], bin_ms=5.0)
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: counts[0, 0, 0] is 0.5; expected a whole number of spikes, at least 0. rates are...
    """
    width = float(positive("bin_ms", bin_ms, "a positive number of milliseconds"))
    try:
        array = np.asarray(counts)
    except ValueError:  # a list of lists of different lengths
        raise InputError("counts", counts, "an array of equal trials, shape (trial, bin, neuron)") from None
    if array.ndim != 3 or 0 in array.shape:
        raise InputError("shape of counts", array.shape, "(trial, bin, neuron), none of them 0")
    if array.dtype.kind not in "biuf":
        raise InputError("type of counts", str(array.dtype), "whole numbers")
    # NaN is no match for 0, nor is the remainder of infinity.
    with np.errstate(invalid="ignore"):
        good = (array >= 0) & (array % 1 == 0) if array.dtype.kind == "f" else array >= 0
    if not good.all():
        place = np.unravel_index(int(np.argmin(good)), array.shape)
        raise InputError(f"counts[{', '.join(map(str, place))}]", array[place].item(),
                         "a whole number of spikes, at least 0", "rates are Signals")  # fmt: skip
    # Labels are checked there.
    silent = SpikeTrains.from_times([[]] * array.shape[2], 1.0, neurons=neurons)
    return replace(BinnedSpikes.from_counts(array, width), labels=silent.neurons, name=name)


def _epochs_of(epochs: Any) -> Epochs:
    """Epochs of an object that has starts and ends, or a pair of arrays."""
    if hasattr(epochs, "start") and hasattr(epochs, "end"):
        return Epochs.of(epochs.start, epochs.end)
    if not isinstance(epochs, tuple | list) or len(epochs) != 2:
        raise InputError("epochs", epochs, "a pair of arrays, the starts and the ends in seconds")
    return Epochs.of(*epochs)


def _require_observed(epochs: Epochs, observed: Mapping[str, Epochs]) -> None:
    """Refuse epochs outside of any of the stretches of time, which have names."""
    inside = np.array([epochs.inside(stretches) for stretches in observed.values()])
    if inside.size and not inside.all():
        which, place = (int(axis[0]) for axis in np.nonzero(~inside))
        shown = (float(epochs.starts_s[place]), float(epochs.stops_s[place]))
        hint = f"{inside.all(axis=0).sum()} of {epochs.starts_s.size} epochs were observed in full"
        if len(observed) > 1:
            hint += f" for all units; {inside.all(axis=1).sum()} of {len(observed)} units were in all epochs"
        raise InputError(f"epoch {place} in s", shown, f"one inside {[*observed][which]}", hint)


def from_pynapple(data: Any, epochs: Any = None, *, name: str = "population") -> SpikeTrains | Signals:
    """Take spike trains or signals of pynapple (https://doi.org/10.7554/eLife.85786).

    Parameters
    ----------
    data : pynapple.TsGroup, pynapple.Ts, pynapple.Tsd or pynapple.TsdFrame
        Spikes of many neurons or one, or evenly sampled signals.
    epochs : pynapple.IntervalSet, or pair of arrays, optional
        Trials: starts and ends in seconds. By default the intervals of the ``time_support``.
    name : str

    Returns
    -------
    SpikeTrains or Signals
        Labels are the keys of the group, or the columns of the frame.

    Raises
    ------
    InputError
        If there are no neurons, epochs overlap or lie outside of the time support, or signals are not evenly
        sampled.

    Notes
    -----
    Where none was given, pynapple makes the time support from the first spike to the last. This says nothing about
    when neurons were observed, so epochs may leave such a support, and there must be epochs if it is in pieces.

    Examples
    --------
    >>> import pynapple  # doctest: +SKIP
    >>> group = pynapple.TsGroup({7: pynapple.Ts([0.5, 2.25]), 9: pynapple.Ts([2.5, 4.0])})  # doctest: +SKIP
    >>> from_pynapple(group, pynapple.IntervalSet([0.0, 2.0], [1.0, 3.0])).time_s  # doctest: +SKIP
    array([0.5 , 0.25, 0.5 ])
    >>> from_pynapple([0.5, 2.25])
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: data is [0.5, 2.25]; expected a pynapple TsGroup, Ts, TsdFrame or Tsd...
    """
    if not hasattr(data, "time_support"):
        raise InputError("data", data, "a pynapple TsGroup, Ts, TsdFrame or Tsd",
                         "trains_in_epochs takes plain times, signals_in_epochs plain signals")  # fmt: skip
    support = data.time_support
    if not isinstance(data, Mapping) and hasattr(data, "values"):
        return _signals_of_pynapple(data, _epochs_of(support if epochs is None else epochs), name)
    times = {key: data[key].times() for key in data} if isinstance(data, Mapping) else {0: data.times()}
    if not times:
        raise InputError("number of neurons", 0, "at least 1")
    edges = np.concatenate([support.start, support.end])
    made_of_spikes = bool(np.isin(edges, np.concatenate([*times.values()])).all())
    if epochs is None and made_of_spikes and len(support) != 1:
        raise InputError("epochs", None, "an IntervalSet, whose intervals are trials",
                         f"pynapple made the time_support of the spikes, in {len(support)} pieces")  # fmt: skip
    chosen = _epochs_of(support if epochs is None else epochs)
    if not made_of_spikes:
        _require_observed(chosen, {"the time_support": _epochs_of(support)})
    return trains_in_epochs([*times.values()], chosen, neurons=[*times], name=name)


def _signals_of_pynapple(data: Any, epochs: Epochs, name: str) -> Signals:
    if len(data.shape) > 2:
        raise InputError("shape of data", data.shape, "(time, neuron)", "a TsdFrame has a column for each neuron")
    values = data.values if len(data.shape) == 2 else np.asarray(data.values)[:, None]
    return signals_in_epochs(values, data.times(), epochs, neurons=[*getattr(data, "columns", [0])], name=name)


def from_nwb(
    source: Any,
    *,
    units: ArrayLike | None = None,
    epochs: str | tuple[ArrayLike, ArrayLike] | None = None,
    area_column: str | None = None,
    name: str = "population",
) -> SpikeTrains | dict[str, SpikeTrains]:
    """Take the sorted units of an NWB file (https://doi.org/10.7554/eLife.78362).

    Parameters
    ----------
    source : path-like or pynwb.NWBFile
        A path needs the package pynwb.
    units : array of bool, shape (unit,), optional
        Which rows of the table of units to take (``file.units["quality"][:] == "good"``, say); all by default.
    epochs : str or pair of arrays, optional
        Trials: the name of a table of intervals (``"trials"``), or starts and ends in seconds on the clock of the
        file. By default the ``obs_intervals`` of the units, if all of them have the same.
    area_column : str, optional
        Column of the table of units, or of that of their electrodes, with the area of each.
    name : str
        Of the population, if there is no `area_column`.

    Returns
    -------
    SpikeTrains, or dict of SpikeTrains
        With an `area_column` one for each area, by its name, in order of appearance. Labels are the ids of units.

    Raises
    ------
    InputError
        If there are no units, no such table or column, epochs overlap or lie outside of the ``obs_intervals`` of a
        unit, spike times are not sorted or on another clock than the epochs, or pynwb is needed and missing.

    Examples
    --------
    >>> from_nwb("session.nwb", epochs="trials", area_column="location")  # doctest: +SKIP
    {'VISp': SpikeTrains(...), 'VISl': SpikeTrains(...)}
    >>> from_nwb("nowhere.nwb")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: NWB file is 'nowhere.nwb'; expected an existing file
    """
    with _nwb_file(source) as file:
        table = file.units
        if table is None or not len(table) or "spike_times" not in table.colnames:
            held = None if table is None else f"{len(table)} units with {', '.join(table.colnames)}"
            raise InputError("units of the NWB file", held, "a table of units with spike_times")
        rows = _chosen_rows(units, len(table))
        observed = _observed_by_units(table, rows)
        chosen = _nwb_epochs(file, epochs, observed)
        _require_observed(chosen, observed)
        times = [np.asarray(table["spike_times"][row], dtype=np.float64) for row in rows]
        trains = trains_in_epochs(times, chosen, neurons=np.asarray(table.id[:])[rows], name=name)
        if area_column is None:
            return trains
        areas = _areas(table, area_column)[rows]
    return {str(area): replace(trains.of(areas == area), name=str(area)) for area in dict.fromkeys(areas.tolist())}


@contextmanager
def _nwb_file(source: Any) -> Iterator[Any]:
    """The file object, opened if it is a path."""
    if hasattr(source, "units"):
        yield source
        return
    if not isinstance(source, str | Path):
        raise InputError("source", source, "a path or a pynwb.NWBFile")
    path = existing_file(source, "NWB file")
    try:
        pynwb = importlib.import_module("pynwb")
    except ModuleNotFoundError:
        raise InputError("NWB file", str(path), "the package pynwb, which reads it", "pip install pynwb") from None
    with ExitStack() as stack:
        try:
            file = stack.enter_context(pynwb.NWBHDF5IO(str(path), mode="r")).read()
        except (OSError, TypeError, ValueError, KeyError, RuntimeError) as error:
            raise InputError("NWB file", str(path), "a file that pynwb reads", str(error)) from None
        yield file


def _chosen_rows(units: ArrayLike | None, number: int) -> NDArray[np.int64]:
    mask = np.ones(number, dtype=bool) if units is None else np.asarray(units)
    if mask.dtype != np.bool_ or mask.shape != (number,):
        raise InputError("units", units, f"True or False for each of the {number} units")
    if not mask.any():
        raise InputError("number of units chosen", 0, "at least 1")
    return np.flatnonzero(mask)


def _observed_by_units(table: Any, rows: NDArray[np.int64]) -> dict[str, Epochs]:
    """When each unit was observed; a unit of which nothing is said is left out."""
    if "obs_intervals" not in table.colnames:
        return {}
    intervals = {int(row): np.asarray(table["obs_intervals"][row], dtype=np.float64).reshape(-1, 2) for row in rows}
    told = {f"the obs_intervals of unit {row}": edges for row, edges in intervals.items() if edges.size}
    return {what: Epochs(edges[:, 0], edges[:, 1]).joined for what, edges in told.items()}


def _nwb_epochs(file: Any, epochs: Any, observed: Mapping[str, Epochs]) -> Epochs:
    if isinstance(epochs, str):
        # A file in memory keeps the first three apart from the others.
        tables = {key: getattr(file, key) for key in ("trials", "epochs", "invalid_times")} | dict(file.intervals)
        named = {key: table for key, table in tables.items() if table is not None}
        if epochs not in named:
            raise InputError("epochs", epochs, f"one of the tables of intervals: {', '.join(named) or 'none'}",
                             "or a pair of arrays, the starts and the ends in seconds")  # fmt: skip
        return Epochs.of(named[epochs]["start_time"][:], named[epochs]["stop_time"][:])
    if epochs is not None:
        return _epochs_of(epochs)
    edges = {(tuple(o.starts_s), tuple(o.stops_s)) for o in observed.values()}
    if len(edges) != 1:
        raise InputError("epochs", None, "the name of a table of intervals, or a pair of arrays of starts and ends",
                         f"the units have {'different' if edges else 'no'} obs_intervals")  # fmt: skip
    return Epochs.of(*next(iter(edges)))


def _areas(table: Any, column: str) -> NDArray[Any]:
    """Area of each unit, from its own column or from that of its electrodes."""
    if column in table.colnames:
        return np.array([str(area) for area in table[column][:]])
    if "electrodes" not in table.colnames or column not in table["electrodes"].target.table.colnames:
        raise InputError("area_column", column, f"a column of the table of units: {', '.join(table.colnames)}")
    electrodes, ends = table["electrodes"].target, np.asarray(table["electrodes"].data[:], dtype=np.int64)
    of_electrodes = np.array([str(area) for area in electrodes.table[column][:]])
    areas = []
    for unit, rows in enumerate(np.split(np.asarray(electrodes.data[:], dtype=np.int64), ends[:-1])):
        found = list(dict.fromkeys(of_electrodes[rows].tolist()))
        if len(found) != 1:
            raise InputError(f"area of the electrodes of unit {unit}", found, "one area", "add a column to the units")
        areas.append(found[0])
    return np.array(areas)
