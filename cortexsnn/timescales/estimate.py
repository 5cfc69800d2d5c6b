"""The timescale of each layer or neuron, with its interval, its protocol, and a reason where there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from cortexsnn.checks import choice, generator
from cortexsnn.errors import InputError
from cortexsnn.recording import populations
from cortexsnn.timescales.activity import BinnedSpikes, Signals, SpikeTrains
from cortexsnn.timescales.blocks import FEWEST_BLOCKS, draws
from cortexsnn.timescales.counts import whole_steps
from cortexsnn.timescales.estimators import Activity, Estimator, estimator_of
from cortexsnn.timescales.estimators.contract import Plan, Source, finite, summed
from cortexsnn.timescales.judgement import NOISE_LEVEL, judged, nothing
from cortexsnn.timescales.recordings import RecordedSpikes, potential_of
from cortexsnn.timescales.sources import from_counts
from cortexsnn.timescales.status import Status
from cortexsnn.timescales.table import layer_table, neuron_table

__all__ = ["estimate", "estimate_counts"]

Values = NDArray[np.float64]

# What a recording may say about its trials.
_KEPT_IF_THERE = ("input", "burn_in_ms")


@dataclass(frozen=True)
class _Protocol:
    """How a timescale is to be judged, checked."""

    estimator: Estimator
    start_ms: float
    bootstrap: int
    confidence: float
    minimum_rate_hz: float

    def __post_init__(self) -> None:
        finite("start_ms", self.start_ms, "milliseconds, at least 0", lambda v: v >= 0)
        finite("bootstrap", self.bootstrap, "a whole number of replicates, at least 0", lambda v: v >= 0 and v % 1 == 0)
        finite("confidence", self.confidence, "a number between 0 and 1, such as 0.95", lambda v: 0 < v < 1)
        finite("minimum_rate_hz", self.minimum_rate_hz, "a rate in Hz, at least 0", lambda v: v >= 0)

    def attributes(self, trials: int, plan: Plan) -> dict[str, Any]:
        settings = {
            field.name: getattr(self.estimator, field.name)
            for field in dataclasses.fields(self.estimator)  # type: ignore[arg-type]
        }
        kept = {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in settings.items()
            if value is not None
        }
        if self.estimator.axis_name == "lag":
            kept["max_lag_ms"] = float(plan.axis[-1])
        return {
            "estimator": self.estimator.name,
            "doi": self.estimator.doi,
            **kept,
            "start_ms": float(self.start_ms),
            "window_ms": float(plan.window_ms),
            "trials": trials,
            "minimum_rate_hz": float(self.minimum_rate_hz),
            "bootstrap": int(self.bootstrap),
            "confidence": float(self.confidence),
            "resampled": self.estimator.resampled,
            "noise_test": f"{self.estimator.noise_test}, level {NOISE_LEVEL}",
        }


def _labels(source: Source) -> NDArray[Any]:
    if isinstance(source, BinnedSpikes):
        return np.arange(source.neurons) if source.labels is None else source.labels
    return source.neurons


class _Draws:
    """Resamples of the blocks; the same for all layers that have as many blocks, since they were recorded together."""

    def __init__(self, replicates: int, rng: np.random.Generator) -> None:
        self._replicates, self._rng, self._made = replicates, rng, dict[int, Values]()

    def of(self, blocks: int) -> Values:
        """All blocks once, then the replicates, shape (1 + replicate, block)."""
        if blocks not in self._made:
            # From fewer blocks nothing can be learned about other recordings: no interval.
            replicates = self._replicates if blocks >= FEWEST_BLOCKS else 0
            drawn = draws(blocks, replicates, self._rng)
            self._made[blocks] = np.concatenate([np.ones((1, blocks)), drawn])
        return self._made[blocks]


def _exclusion(source: Source, plan: Plan, protocol: _Protocol) -> NDArray[np.str_]:
    """Why each neuron is left out; empty if it is not."""
    why = np.full(_labels(source).size, "", dtype=f"<U{max(map(len, Status))}")
    if not isinstance(source, Signals):
        why[source.rates_hz < protocol.minimum_rate_hz] = Status.TOO_FEW_SPIKES.value
        why[source.rates_hz == 0] = Status.TOO_FEW_SPIKES.value
    if plan.refusal is not None:
        why[why == ""] = plan.refusal.value
    return why


def _parts(source: Source, used: NDArray[np.bool_], at_a_time: int) -> Iterator[Activity]:
    """The neurons that are used, group by group, in memory."""
    for begin in range(0, used.size, at_a_time):
        chosen = used[begin : begin + at_a_time]
        if chosen.any():
            yield source.part(begin, begin + chosen.size).of(chosen)


def _one_layer(
    source: Source, why: NDArray[np.str_], plan: Plan, protocol: _Protocol, drawn: Values, rng: np.random.Generator
) -> tuple[dict[str, Any], NDArray[np.str_]]:
    """Estimate the mean curve of a layer; neurons without a curve are excluded too."""
    used = why == ""
    if not used.any():
        return nothing(_commonest(why), plan, protocol.estimator), why
    total, number, valid = np.zeros(()), np.zeros(()), []

    def neurons() -> Iterator[Activity]:
        return _parts(source, used, plan.neurons_at_a_time)

    parts = neurons
    if protocol.estimator.pools:
        whole = summed(neurons(), protocol.estimator.bin_ms)

        def parts() -> Iterator[Activity]:
            return iter([whole])

    for part in parts():
        curves = protocol.estimator.observe(part, plan).curves(drawn)
        known = np.isfinite(curves)
        valid.append(known[0].any(axis=1))
        total = total + np.where(known, curves, 0.0).sum(axis=1)
        number = number + known.sum(axis=1)
    if not protocol.estimator.pools:
        why = why.copy()
        why[np.flatnonzero(used)[~np.concatenate(valid)]] = Status.NO_VARIANCE.value
    if not number[0].any():
        return nothing(np.array([Status.NO_VARIANCE.value]), plan, protocol.estimator), why
    mean = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    return judged(mean[:, None], parts, plan, protocol.estimator, protocol.confidence, rng, layer=True), why


def _commonest(why: NDArray[np.str_]) -> NDArray[np.str_]:
    words, number = np.unique(why, return_counts=True)
    return words[[np.argmax(number)]]


def _each_neuron(
    source: Source, why: NDArray[np.str_], plan: Plan, protocol: _Protocol, drawn: Values, rng: np.random.Generator
) -> dict[str, Any]:
    """Estimate every neuron by itself; the status of those left out is the reason."""
    rows = nothing(why.copy(), plan, protocol.estimator)
    place, begin = np.flatnonzero(why == ""), 0
    rows = {name: np.array(values) for name, values in rows.items()}
    for part in _parts(source, why == "", plan.neurons_at_a_time):
        curves = protocol.estimator.observe(part, plan).curves(drawn)
        again = partial(iter, [part])
        found = judged(curves, again, plan, protocol.estimator, protocol.confidence, rng, layer=False)
        here = place[begin : begin + curves.shape[1]]
        begin += curves.shape[1]
        for name, values in found.items():
            if values.dtype.kind == "U" and values.dtype.itemsize > rows[name].dtype.itemsize:
                rows[name] = rows[name].astype(values.dtype)
            rows[name][here] = values
    return rows


def _sources(data: Any, of: str, start_ms: float, stop_ms: float | None) -> list[Source]:
    """The groups of neurons that are to be measured, with what lies outside of the window left out."""
    if isinstance(data, xr.DataTree):
        names = populations(data, "lif")
        if not names:
            raise InputError("populations of the recording", populations(data), "at least one of kind lif")
        if of == "spikes":
            return [RecordedSpikes.of(data, name, start_ms=start_ms, stop_ms=stop_ms) for name in names]
        return [potential_of(data, name, start_ms=start_ms, stop_ms=stop_ms) for name in names]
    if isinstance(data, Mapping):
        given = [dataclasses.replace(one, name=str(name)) for name, one in data.items()]
    else:
        given = [data]
    for one in given:
        if not isinstance(one, SpikeTrains | BinnedSpikes | Signals | RecordedSpikes):
            raise InputError("data", type(one).__name__, "a recording, SpikeTrains, BinnedSpikes or Signals, or a "
                             "mapping from the name of a layer to one of them", "see timescales.from_counts, "
                             "SpikeTrains.from_times, from_neo, from_pynapple and from_nwb")  # fmt: skip
    if not given:
        raise InputError("data", {}, "at least one layer")
    if start_ms == 0 and stop_ms is None:
        return given
    if not all(isinstance(one, SpikeTrains) for one in given):
        raise InputError("start_ms and stop_ms", (start_ms, stop_ms), "0 and None for binned activity and signals",
                         "cut the array before")  # fmt: skip
    stop_s = None if stop_ms is None else stop_ms / 1000.0
    return [one.between(start_ms / 1000.0, stop_s) for one in given if isinstance(one, SpikeTrains)]


def _rows_of_layers(
    sources: list[Source], plans: list[Plan], protocol: _Protocol, drawn: _Draws, rng: np.random.Generator, show: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    neurons: dict[str, list[Any]] = {"layer": [], "neuron": [], "exclusion": []}
    together = list(zip(sources, plans, strict=True))
    for source, plan in tqdm(together, desc="timescales", unit="layer", delay=5, disable=not show):
        why = _exclusion(source, plan, protocol)
        row, why = _one_layer(source, why, plan, protocol, drawn.of(plan.blocks), rng)
        used = int((why == "").sum())
        rate = np.nan if isinstance(source, Signals) else source.rates_hz.mean()
        row |= {"rate_hz": [rate], "neurons_used": [used], "neurons_excluded": [why.size - used]}
        rows.append(row)
        neurons["layer"].extend([source.name] * why.size)
        neurons["neuron"].extend(_labels(source))
        neurons["exclusion"].extend(why)
    return _joined(rows), {name: np.asarray(values) for name, values in neurons.items()}


def _rows_of_neurons(
    sources: list[Source], plans: list[Plan], protocol: _Protocol, drawn: _Draws, rng: np.random.Generator, show: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    rows: list[dict[str, Any]] = []
    neurons: dict[str, list[Any]] = {"layer": [], "neuron": []}
    together = list(zip(sources, plans, strict=True))
    for source, plan in tqdm(together, desc="timescales", unit="layer", delay=5, disable=not show):
        why, labels = _exclusion(source, plan, protocol), _labels(source)
        row = _each_neuron(source, why, plan, protocol, drawn.of(plan.blocks), rng)
        rows.append(row | {"rate_hz": np.full(why.size, np.nan) if isinstance(source, Signals) else source.rates_hz})
        neurons["layer"].extend([source.name] * why.size)
        neurons["neuron"].extend(labels)
    return _joined(rows), {name: np.asarray(values) for name, values in neurons.items()}


def _joined(rows: list[dict[str, Any]]) -> dict[str, Any]:
    joined = {name: np.concatenate([np.asarray(row[name]) for row in rows]) for name in rows[0]}
    return joined | {"reason": [Status(str(one)).reason for one in joined["status"]]}


def estimate(
    data: Any,
    estimator: str | Estimator = "pearson_trials",
    *,
    per: Literal["layer", "neuron"] = "layer",
    of: Literal["spikes", "potential"] = "spikes",
    start_ms: float = 0.0,
    stop_ms: float | None = None,
    bootstrap: int = 200,
    confidence: float = 0.95,
    minimum_rate_hz: float = 1.0,
    rng: np.random.Generator,
    progress: bool = True,
    **settings: Any,
) -> xr.Dataset:
    """Timescale of every layer or neuron, of a model or of the brain, by any of the estimators.

    A layer or neuron whose decay is no larger than noise would give (level 0.01; each estimator says how that is
    tested) has no timescale. That test takes the activity for stationary within the window: leave onsets out by
    `start_ms`.

    The interval says how far tau would move with other observations of the same neurons: all neurons of a model's
    layer are observed, so only the trials, or pieces of time, are a sample. Each replicate draws them with
    replacement, the same for every layer and neuron, and is fitted anew; the interval holds the central percentiles,
    each end one of the replicates. A replicate that does not decay could have any tau: it counts as 0 for the lower
    end and as infinite for the upper end. One that runs to the lower or upper bound of the search counts as 0 or
    infinite for the end on that side. So an end of 0 or infinity means that the data set no bound there. A recording
    of fewer than 10 trials, and too short to be cut into 10 blocks that outlast the lags, has no interval (NaN).

    For `pearson_trials`, nominal intervals of 95 % held the truth in 94 to 97 % of simulated recordings (tau of 50,
    100 and 200 ms with 40 neurons, 100 ms with 10; 150 recordings each of 200 trials of 1 s). With 5 neurons and 50
    trials, 76 of 100 recordings had a timescale, and 92 % of these intervals held the truth, most of them open at an
    end.

    Parameters
    ----------
    data : xarray.DataTree, SpikeTrains, BinnedSpikes, Signals, RecordedSpikes, or mapping from name to one of these
        A recording (see `cortexsnn.recording`), of which every spiking population is a layer, or groups of neurons of
        your own (see `SpikeTrains.from_times`, `from_counts`, `from_neo`, `from_pynapple`, `from_nwb`).
    estimator : str or Estimator
        A name of `ESTIMATORS`, or one of its classes with settings.
    per : {"layer", "neuron"}
        One timescale for each layer, or for each neuron.
    of : {"spikes", "potential"}
        What of a recording.
    start_ms, stop_ms : float
        Part of each trial that is used, in ms from its start; what lies before is burn-in.
    bootstrap : int
        Number of replicates; 0 for no interval.
    confidence : float
        Of the interval.
    minimum_rate_hz : float
        Neurons that fire less are left out.
    rng : numpy.random.Generator
        For the noise test and the bootstrap.
    progress : bool
        Show a progress bar if it takes longer than 5 s.
    **settings
        Of the estimator, if it is given by name, such as ``bin_ms`` and ``max_lag_ms``.

    Returns
    -------
    xarray.Dataset
        Per layer: on ``layer`` (with ``depth``) and ``lag`` (with ``lag_ms``), and on ``unit`` why neurons were
        excluded. Per neuron: on ``unit`` (with ``layer`` and ``neuron``) and ``lag``. tau_ms, tau_low_ms,
        tau_high_ms, status, reason, noise_p_value, autocorrelation, fitted, and what the estimator adds. The
        coordinate ``estimator`` and the attributes hold the protocol; for a recording also its source, its network
        (fingerprint), and its input and burn_in_ms if it says them.

    Raises
    ------
    InputError
        If there is nothing to measure, trials are too short for the bins and lags, a number is out of its range, or
        `bin_ms` or `start_ms` is no whole number of time steps of a recording: the hint names the nearest ones.

    Examples
    --------
    >>> from cortexsnn.timescales import ou_poisson_trains
    >>> rng = np.random.default_rng(1)
    >>> trains = ou_poisson_trains(tau_ms=100.0, rate_hz=20.0, trials=100, duration_s=1.0, neurons=10, rng=rng)
    >>> result = estimate({"V4": trains}, "pearson_trials", bin_ms=50.0, bootstrap=20, rng=rng)
    >>> result["status"].sel(layer="V4").item()
    'ok'
    """
    choice("per", per, ("layer", "neuron"))
    choice("of", of, ("spikes", "potential"))
    made = estimator_of(estimator, settings)
    protocol = _Protocol(made, start_ms, bootstrap, confidence, minimum_rate_hz)
    generator(rng)
    sources = _sources(data, of, start_ms, stop_ms)
    if isinstance(data, xr.DataTree):
        whole_steps("bin_ms", made.bin_ms, 1000.0 * float(data.attrs["dt_s"]), fewest=1)
    about: dict[str, Any] = {"source": ""}
    if isinstance(data, xr.DataTree):
        about = {"source": str(data.attrs.get("source", "")), "network": str(data.attrs.get("network", ""))}
        about |= {key: data.attrs[key] for key in _KEPT_IF_THERE if key in data.attrs}
    return _measured(sources, protocol, per, rng, progress, about)


def _measured(
    sources: list[Source],
    protocol: _Protocol,
    per: str,
    rng: np.random.Generator,
    progress: bool,
    about: dict[str, Any],
) -> xr.Dataset:
    for source in sources:
        if not _labels(source).size:
            raise InputError(f"number of neurons of '{source.name}'", 0, "at least 1")
    plans = [protocol.estimator.plan(source, int(protocol.bootstrap)) for source in sources]
    if len({plan.axis.size for plan in plans}) > 1:
        raise InputError("lags of the layers", [plan.axis.size for plan in plans], "the same for all",
                         "set max_lag_ms to what the shortest trials hold")  # fmt: skip
    drawn = _Draws(int(protocol.bootstrap), rng)
    trials = plans[0].trials
    attributes = protocol.attributes(trials, plans[0]) | about
    measure = _rows_of_layers if per == "layer" else _rows_of_neurons
    rows, neurons = measure(sources, plans, protocol, drawn, rng, progress)
    if per == "layer":
        return layer_table(rows, [one.name for one in sources], neurons, protocol.estimator, plans[0], attributes)
    return neuron_table(rows, neurons, protocol.estimator, plans[0], attributes)


def estimate_counts(
    counts: ArrayLike,
    *,
    bin_ms: float,
    rng: np.random.Generator,
    name: str = "population",
    start_ms: float = 0.0,
    max_lag_ms: float | None = None,
    bootstrap: int = 200,
    confidence: float = 0.95,
    minimum_rate_hz: float = 1.0,
    source: str = "",
) -> xr.Dataset:
    """Timescale of one group of neurons from binned spike counts, by correlation across trials.

    Parameters
    ----------
    counts : array, shape (trial, bin, neuron)
        Spike counts, whole numbers of at least 0.
    bin_ms : float
        Width of a bin.
    rng : numpy.random.Generator
        For the noise test and the bootstrap.
    name : str
        Name of the group.
    start_ms, source
        Kept with the result, as the protocol: where the first bin began, where the counts come from.
    max_lag_ms, bootstrap, confidence, minimum_rate_hz
        As in `estimate`.

    Returns
    -------
    xarray.Dataset
        As of `estimate`, with one layer.

    Raises
    ------
    InputError
        If the counts are not whole numbers of at least 0 in three dimensions with at least 6 bins, or a number is
        out of its range.

    Examples
    --------
    >>> from cortexsnn.timescales import ou_poisson_counts
    >>> rng = np.random.default_rng(1)
    >>> counts = ou_poisson_counts(tau_ms=100.0, trials=200, bins=20, neurons=20, bin_ms=50.0, rng=rng)
    >>> measured = estimate_counts(counts, bin_ms=50.0, bootstrap=50, rng=rng)
    >>> measured["status"].item(), bool(70 < measured["tau_ms"].item() < 130)
    ('ok', True)
    """
    made = estimator_of("pearson_trials", {"bin_ms": bin_ms, "max_lag_ms": max_lag_ms})
    protocol = _Protocol(made, start_ms, bootstrap, confidence, minimum_rate_hz)
    binned = dataclasses.replace(from_counts(counts, bin_ms), name=name)
    return _measured([binned], protocol, "layer", generator(rng), False, {"source": source})
