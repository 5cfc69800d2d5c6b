"""What was measured on one network, layer by layer: timescales in order of depth, with the errors that are known.

Where timescales are of single neurons, that of a layer is the mean of their logarithms, or what the study took.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import xarray as xr
from numpy.typing import NDArray
from scipy.special import ndtri

from cortexsnn.checks import Values
from cortexsnn.cortex.statistics import relative_depth
from cortexsnn.cortex.statistics.inputs import several
from cortexsnn.errors import InputError
from cortexsnn.timescales import Status

__all__ = ["NEURON_STATISTICS", "REPLICATES", "Layers", "read_layers", "split_log_normal"]

# Of each layer; means over networks draw from them again.
REPLICATES = 500
_CONFIDENCE = 0.95
_NEURONS_DRAWN_AT_ONCE = 2_000_000

NEURON_STATISTICS: dict[str, Callable[[Values], Values]] = {
    "geometric mean": lambda tau: np.exp(np.log(tau).mean(axis=-1)),
    "mean": lambda tau: tau.mean(axis=-1),
    "median": lambda tau: np.median(tau, axis=-1),
}


@dataclass(frozen=True, eq=False)
class Layers:
    """Timescales of the layers of one network, in order of depth.

    Parameters
    ----------
    label : str
        Name of the network.
    names : tuple of str
    depth : array of int, shape (layer,)
        Position from the input, from 1; layers side by side are equal, and where layers were cut out there are gaps.
    deepest : int
        Depth of the last layer of the network, whether or not it is among these.
    tau_ms, low_ms, high_ms : array, shape (layer,)
        Timescale and the ends of its interval: NaN where there is none, 0 or infinite where it is open.
    status : tuple of str
    neurons, neurons_used : array of int, shape (layer,)
        0 where timescales are of whole layers.
    replicates : array, shape (layer, REPLICATES)
        Timescales that the errors allow, in ms; all the same where no error is known.
    undefined : array, shape (layer,)
        Share of the bootstrap replicates behind the interval that had no timescale.
    has_errors : array of bool, shape (layer,)
        Whether the error of the timescale is known, so that its replicates mean something.
    signals : bool
        Whether this was measured on signals and not on spikes.
    notes : tuple of str
        What to keep in mind about the network.
    """

    label: str
    names: tuple[str, ...]
    depth: NDArray[np.int64]
    deepest: int
    tau_ms: Values
    low_ms: Values
    high_ms: Values
    status: tuple[str, ...]
    neurons: NDArray[np.int64]
    neurons_used: NDArray[np.int64]
    replicates: Values
    undefined: Values
    has_errors: NDArray[np.bool_]
    signals: bool
    notes: tuple[str, ...]

    @property
    def used(self) -> NDArray[np.int64]:
        """Indices of the layers that have a timescale."""
        return np.flatnonzero(np.isfinite(self.tau_ms))

    @property
    def height(self) -> Values:
        """Relative depth, 0 at the first layer of the network and 1 at the last, whether or not they are here."""
        return relative_depth(self.depth, bottom=1, top=float(self.deepest))

    @property
    def is_bounded(self) -> NDArray[np.bool_]:
        """Whether the error of each timescale is known, and its interval not open at both ends; shape (layer,)."""
        return self.has_errors & ~((self.low_ms == 0) & np.isinf(self.high_ms))


def split_log_normal(
    tau_ms: float, low_ms: float, high_ms: float, confidence: float, number: int, rng: np.random.Generator
) -> Values:
    """Draw timescales whose logarithms scatter normally, to each side as far as the interval says.

    Parameters
    ----------
    tau_ms : float
        Their median.
    low_ms, high_ms : float
        Ends of the interval; an open end (0, infinite) is taken to be as far as the other.
    confidence : float
        Of the interval.
    number : int
    rng : numpy.random.Generator

    Returns
    -------
    array, shape (number,)
        All equal to `tau_ms` if neither end is known.

    Examples
    --------
    >>> drawn = split_log_normal(100.0, 80.0, 160.0, 0.95, 20_000, np.random.default_rng(1))
    >>> np.percentile(drawn, [2.5, 50, 97.5]).round(-1).tolist()
    [80.0, 100.0, 160.0]
    """
    below = np.log(tau_ms / low_ms) if np.isfinite(low_ms) and low_ms > 0 else np.nan
    above = np.log(high_ms / tau_ms) if np.isfinite(high_ms) else np.nan
    if np.isnan(below) and np.isnan(above):
        return np.full(number, tau_ms)
    ends = [above if np.isnan(below) else below, below if np.isnan(above) else above]
    # An interval of percentiles need not hold the estimate.
    below, above = (max(0.0, float(end)) / float(ndtri((1 + confidence) / 2)) for end in ends)
    drawn = rng.standard_normal(number)
    return np.asarray(tau_ms * np.exp(drawn * np.where(drawn < 0, below, above)))


def _column(timescales: xr.Dataset, name: str, dimension: str, label: str) -> NDArray[np.generic]:
    if name not in timescales.variables or timescales[name].dims != (dimension,):
        raise InputError(f"timescales of network '{label}'", list(map(str, timescales.variables)),
                         f"a result of timescales.estimate, with {name} on dimension {dimension}")  # fmt: skip
    return np.asarray(timescales[name].to_numpy())


def _checked_tau(timescales: xr.Dataset, dimension: str, label: str) -> tuple[Values, NDArray[np.str_]]:
    """Timescales, NaN where the status says that there is none, and the status."""
    tau_ms = _column(timescales, "tau_ms", dimension, label).astype(np.float64)
    status = _column(timescales, "status", dimension, label).astype(str)
    unit = timescales["tau_ms"].attrs.get("units", "ms")
    if unit != "ms":
        raise InputError(f"unit of tau_ms of network '{label}'", unit, "'ms', as of all networks and tables")
    unknown = [value for value in status.tolist() if value not in set(Status)]
    if unknown:
        raise InputError(f"status of network '{label}'", unknown[0], f"one of {', '.join(Status)}")
    usable = np.array([Status(value).usable for value in status.tolist()], dtype=bool)
    if np.any(usable & ~(np.isfinite(tau_ms) & (tau_ms > 0))):
        raise InputError(f"tau_ms of network '{label}'", tau_ms.tolist(), "a positive number where status is ok",
                         "a layer without a timescale says so in its status")  # fmt: skip
    return np.where(usable, tau_ms, np.nan), status


def _optional(timescales: xr.Dataset, name: str, size: int) -> Values:
    if name not in timescales.variables or timescales[name].size != size:
        return np.full(size, np.nan)
    return np.asarray(timescales[name].to_numpy(), dtype=np.float64)


@dataclass(frozen=True, eq=False)
class _Places:
    """Order of the layers, the depth of each in that order, that of the deepest of the network, and what to say."""

    order: NDArray[np.int64]
    depth: NDArray[np.int64]
    deepest: int
    note: str


def _deepest(timescales: xr.Dataset, names: list[str], depth: Values) -> int:
    """Depth of the last layer, if depths are positions in a network that is known; else 0.

    A result of this package still names the layers of all neurons where some layers were cut out of it.
    """
    if "unit_layer" not in timescales.variables:
        return 0
    every = list(dict.fromkeys(timescales["unit_layer"].to_numpy().astype(str).tolist()))
    position = {name: place for place, name in enumerate(every, start=1)}
    return len(every) if depth.tolist() == [position.get(name) for name in names] else 0


def _places(timescales: xr.Dataset, names: list[str], label: str) -> _Places:
    depth = _column(timescales, "depth", "layer", label).astype(np.float64)
    if not np.all(np.isfinite(depth)):
        raise InputError(f"depth of network '{label}'", depth.tolist(), "a number for each layer")
    distinct, dense = np.unique(depth, return_inverse=True)
    order = np.argsort(dense, kind="stable")
    here = ", ".join(f"{one:g}" for one in distinct)
    deepest = _deepest(timescales, names, depth)
    if deepest:
        cut = f"only layers at depth {here} of 1 to {deepest}: relative depth is that in the whole network"
        return _Places(order, depth[order].astype(np.int64), deepest, cut if distinct.size < deepest else "")
    # Even steps from the first layer on are as good as positions.
    even = distinct[0] == 0 and np.allclose(np.diff(distinct), distinct[-1] / max(1, distinct.size - 1))
    counted = even or np.array_equal(distinct, np.arange(1, distinct.size + 1))
    note = "" if counted else f"depths {here} are not known to be positions in the network: only their order is taken"
    return _Places(order, dense[order].astype(np.int64) + 1, distinct.size, note)


def _seconds(tau_ms: Values) -> str:
    known = tau_ms[np.isfinite(tau_ms)]
    return "all timescales are below 1 ms: are they in seconds?" if known.size and known.max() < 1 else ""


def _of_layers(label: str, timescales: xr.Dataset, rng: np.random.Generator) -> Layers:
    names = _column(timescales, "layer", "layer", label).astype(str).tolist()
    if not names:
        raise InputError(f"layers of network '{label}'", names, "at least one")
    repeated = sorted({name for name in names if names.count(name) > 1})
    if repeated:
        raise InputError(f"layers of network '{label}'", repeated[0], "each layer once")
    places = _places(timescales, names, label)
    order, depth = places.order, places.depth
    given, states = _checked_tau(timescales, "layer", label)
    tau_ms, status = given[order], states[order]
    size = tau_ms.size
    low_ms, high_ms = (
        np.where(np.isfinite(tau_ms), _optional(timescales, name, size)[order], np.nan)
        for name in ("tau_low_ms", "tau_high_ms")
    )
    confidence = float(timescales.attrs.get("confidence", _CONFIDENCE))
    replicates = np.full((size, REPLICATES), np.nan)
    for place in np.flatnonzero(np.isfinite(tau_ms)):
        ends = float(low_ms[place]), float(high_ms[place])
        replicates[place] = split_log_normal(float(tau_ms[place]), *ends, confidence, REPLICATES, rng)
    drawn = float(timescales.attrs.get("bootstrap", 0))
    fitted = _optional(timescales, "replicates_fitted", size)[order]
    has_errors = ~np.isnan(low_ms) & ~np.isnan(high_ms)
    undefined = np.where(has_errors & np.isfinite(fitted), 1 - fitted / max(1.0, drawn), 0.0)
    beside = "layers of equal depth stand side by side" if np.unique(depth).size < size else ""
    rates = _optional(timescales, "rate_hz", size)
    return Layers(
        label, tuple(names[place] for place in order), depth, places.deepest, tau_ms, low_ms, high_ms,
        tuple(status.tolist()), np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64), replicates,
        np.clip(undefined, 0.0, 1.0), has_errors,
        "rate_hz" in timescales.variables and bool(np.isnan(rates).all()), (beside, places.note, _seconds(tau_ms)),
    )  # fmt: skip


def _drawn_neurons(tau_ms: Values, statistic: str, rng: np.random.Generator) -> Values:
    """Replicates of a layer, its neurons drawn with replacement."""
    of = NEURON_STATISTICS[statistic]
    at_once = max(1, _NEURONS_DRAWN_AT_ONCE // tau_ms.size)
    return np.concatenate(
        [
            np.atleast_1d(of(tau_ms[rng.integers(0, tau_ms.size, (min(at_once, REPLICATES - begin), tau_ms.size))]))
            for begin in range(0, REPLICATES, at_once)
        ]
    )


def _of_neurons(label: str, timescales: xr.Dataset, statistic: str, rng: np.random.Generator) -> Layers:
    every, status = _checked_tau(timescales, "unit", label)
    layer = _column(timescales, "layer", "unit", label).astype(str)
    # Estimates stand in order of depth, and a single neuron has none of its own.
    names = list(dict.fromkeys(layer.tolist()))
    if not names:
        raise InputError(f"neurons of network '{label}'", 0, "at least one")
    size = len(names)
    tau_ms, low_ms, high_ms = (np.full(size, np.nan) for _ in range(3))
    replicates, states = np.full((size, REPLICATES), np.nan), []
    number, used = np.zeros(size, dtype=np.int64), np.zeros(size, dtype=np.int64)
    for place, name in enumerate(names):
        inside = layer == name
        known = every[inside & np.isfinite(every)]
        number[place], used[place] = int(inside.sum()), known.size
        words, count = np.unique(status[inside], return_counts=True)
        if not known.size:
            states.append(str(words[np.argmax(count)]))
            continue
        states.append(Status.OK.value)
        tau_ms[place] = NEURON_STATISTICS[statistic](known)
        replicates[place] = _drawn_neurons(known, statistic, rng)
        if known.size > 1:
            low_ms[place], high_ms[place] = np.percentile(replicates[place], [2.5, 97.5])
    pooled = f"timescale of a layer: {statistic} of those of its neurons"
    by_order = "depth of a layer: its place in the order in which they appear" if size > 1 else ""
    found = f"{int(used.sum())} of {several(int(number.sum()), 'neuron')} {'has' if used.sum() == 1 else 'have'}"
    left_out = f"{found} a timescale" if used.sum() < number.sum() else ""
    rates = _optional(timescales, "rate_hz", every.size)
    return Layers(
        label, tuple(names), np.arange(1, size + 1), size, tau_ms, low_ms, high_ms, tuple(states), number, used,
        replicates, np.zeros(size), np.isfinite(low_ms),
        "rate_hz" in timescales.variables and bool(np.isnan(rates).all()),
        (pooled, by_order, left_out, _seconds(tau_ms)),
    )  # fmt: skip


def read_layers(label: str, timescales: xr.Dataset, neuron_statistic: str, rng: np.random.Generator) -> Layers:
    """Check the timescales of one network and bring them into order.

    Parameters
    ----------
    label : str
        Name of the network.
    timescales : xarray.Dataset
        Of `cortexsnn.timescales.estimate`, per layer or per neuron. Layers of single neurons are in the order in which
        they appear.
    neuron_statistic : str
        One of `NEURON_STATISTICS`, for the timescale of a layer from those of its neurons.
    rng : numpy.random.Generator
        For the replicates.

    Returns
    -------
    Layers

    Raises
    ------
    InputError
        If it is no such result, there is no layer, one is there twice, a depth or a usable timescale is no number, a
        status is unknown, or the unit is not ms.

    Examples
    --------
    >>> measured = xr.Dataset(
    ...     {"tau_ms": ("unit", [80.0, 125.0, 200.0, np.nan]), "status": ("unit", ["ok", "ok", "ok", "no_decay"])},
    ...     {"layer": ("unit", ["V1", "V1", "MT", "MT"])},
    ... )
    >>> layers = read_layers("mine", measured, "geometric mean", np.random.default_rng(1))
    >>> layers.tau_ms.round().tolist(), layers.neurons_used.tolist(), layers.notes[2]
    ([100.0, 200.0], [2, 1], '3 of 4 neurons have a timescale')
    """
    if not isinstance(timescales, xr.Dataset):
        raise InputError(f"timescales of network '{label}'", type(timescales).__name__, "an xarray.Dataset",
                         "timescales.load reads a file")  # fmt: skip
    if "tau_ms" in timescales.variables and timescales["tau_ms"].dims == ("unit",):
        return _of_neurons(label, timescales, neuron_statistic, rng)
    return _of_layers(label, timescales, rng)
