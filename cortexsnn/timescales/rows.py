"""A row for each layer or neuron: who is left out, what is observed of the others, and what it is worth."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from cortexsnn.checks import finite
from cortexsnn.timescales.activity import Signals
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import FEWEST_BLOCKS, draws
from cortexsnn.timescales.estimators import Activity, Estimator
from cortexsnn.timescales.estimators.contract import Plan, Source, binned_spikes, bins_of, summed
from cortexsnn.timescales.judgement import NOISE_LEVEL, judged, nothing
from cortexsnn.timescales.status import Status

__all__ = ["Draws", "Rules", "labels_of", "rows_of_layers", "rows_of_neurons"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Rules:
    """How a timescale is to be judged, checked."""

    estimator: Estimator
    start_ms: float
    bootstrap: int
    confidence: float
    minimum_rate_hz: float
    exclude_empty_bins: bool = False

    def __post_init__(self) -> None:
        finite("start_ms", self.start_ms, "milliseconds, at least 0", lambda v: v >= 0)
        finite("bootstrap", self.bootstrap, "a whole number of replicates, at least 0", lambda v: v >= 0 and v % 1 == 0)
        finite("confidence", self.confidence, "a number between 0 and 1, such as 0.95", lambda v: 0 < v < 1)
        finite("minimum_rate_hz", self.minimum_rate_hz, "a rate in Hz, at least 0", lambda v: v >= 0)

    def attributes(self, trials: int, plan: Plan) -> dict[str, Any]:
        """What a result says of how it was made."""
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
            "exclude_empty_bins": int(self.exclude_empty_bins),
            "bootstrap": int(self.bootstrap),
            "confidence": float(self.confidence),
            "resampled": self.estimator.resampled,
            "noise_test": f"{self.estimator.noise_test}, level {NOISE_LEVEL}",
        }


def labels_of(source: Source) -> NDArray[Any]:
    """A label for each neuron, shape (neuron,)."""
    if isinstance(source, BinnedSpikes):
        return np.arange(source.neurons) if source.labels is None else source.labels
    return source.neurons


class Draws:
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


def _has_empty_bin(source: Source, plan: Plan, bin_ms: float) -> NDArray[np.bool_]:
    """Which neurons fire in no trial in one of the bins that all trials have, shape (neuron,)."""
    bins, number, found = int(bins_of(source, bin_ms).min()), labels_of(source).size, []
    for begin in range(0, number, plan.neurons_at_a_time):
        binned = binned_spikes(source.part(begin, min(number, begin + plan.neurons_at_a_time)), bin_ms)
        assert binned is not None
        filled = np.zeros((binned.neurons, bins), dtype=bool)
        inside = binned.bin < bins
        filled[binned.neuron[inside], binned.bin[inside]] = True
        found.append(~filled.all(axis=1))
    return np.concatenate(found)


def _exclusion(source: Source, plan: Plan, rules: Rules) -> NDArray[np.str_]:
    """Why each neuron is left out; empty if it is not."""
    why = np.full(labels_of(source).size, "", dtype=f"<U{max(map(len, Status))}")
    if not isinstance(source, Signals):
        why[source.rates_hz < rules.minimum_rate_hz] = Status.TOO_FEW_SPIKES.value
        why[source.rates_hz == 0] = Status.TOO_FEW_SPIKES.value
        if rules.exclude_empty_bins:
            why[(why == "") & _has_empty_bin(source, plan, rules.estimator.bin_ms)] = Status.EMPTY_BINS.value
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
    source: Source, why: NDArray[np.str_], plan: Plan, rules: Rules, drawn: Values, rng: np.random.Generator
) -> tuple[dict[str, Any], NDArray[np.str_]]:
    """Estimate the mean curve of a layer; neurons without a curve are excluded too."""
    used = why == ""
    if not used.any():
        return nothing(_commonest(why), plan, rules.estimator), why
    total, number, valid = np.zeros(()), np.zeros(()), []

    def neurons() -> Iterator[Activity]:
        return _parts(source, used, plan.neurons_at_a_time)

    parts = neurons
    if rules.estimator.pools:
        whole = summed(neurons(), rules.estimator.bin_ms)

        def parts() -> Iterator[Activity]:
            return iter([whole])

    for part in parts():
        curves = rules.estimator.observe(part, plan).curves(drawn)
        known = np.isfinite(curves)
        valid.append(known[0].any(axis=1))
        total = total + np.where(known, curves, 0.0).sum(axis=1)
        number = number + known.sum(axis=1)
    if not rules.estimator.pools:
        why = why.copy()
        why[np.flatnonzero(used)[~np.concatenate(valid)]] = Status.NO_VARIANCE.value
    if not number[0].any():
        return nothing(np.array([Status.NO_VARIANCE.value]), plan, rules.estimator), why
    mean = np.divide(total, number, out=np.full(total.shape, np.nan), where=number > 0)
    return judged(mean[:, None], parts, plan, rules.estimator, rules.confidence, rng, layer=True), why


def _commonest(why: NDArray[np.str_]) -> NDArray[np.str_]:
    words, number = np.unique(why, return_counts=True)
    return words[[np.argmax(number)]]


def _each_neuron(
    source: Source, why: NDArray[np.str_], plan: Plan, rules: Rules, drawn: Values, rng: np.random.Generator
) -> dict[str, Any]:
    """Estimate every neuron by itself; the status of those left out is the reason."""
    rows = nothing(why.copy(), plan, rules.estimator)
    place, begin = np.flatnonzero(why == ""), 0
    rows = {name: np.array(values) for name, values in rows.items()}
    for part in _parts(source, why == "", plan.neurons_at_a_time):
        curves = rules.estimator.observe(part, plan).curves(drawn)
        again = partial(iter, [part])
        found = judged(curves, again, plan, rules.estimator, rules.confidence, rng, layer=False)
        here = place[begin : begin + curves.shape[1]]
        begin += curves.shape[1]
        for name, values in found.items():
            if values.dtype.kind == "U" and values.dtype.itemsize > rows[name].dtype.itemsize:
                rows[name] = rows[name].astype(values.dtype)
            rows[name][here] = values
    return rows


def rows_of_layers(
    sources: list[Source], plans: list[Plan], rules: Rules, drawn: Draws, rng: np.random.Generator, show: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row for each layer, and for each neuron why it is left out, as columns.

    Parameters
    ----------
    sources : list
        The layers.
    plans : list of Plan
        One for each.
    rules : Rules
    drawn : Draws
    rng : numpy.random.Generator
        For the noise test.
    show : bool
        Show a progress bar if it takes longer than 5 s.

    Returns
    -------
    rows, neurons : dict from name to array
    """
    rows: list[dict[str, Any]] = []
    neurons: dict[str, list[Any]] = {"layer": [], "neuron": [], "exclusion": []}
    together = list(zip(sources, plans, strict=True))
    for source, plan in tqdm(together, desc="timescales", unit="layer", delay=5, disable=not show):
        why = _exclusion(source, plan, rules)
        row, why = _one_layer(source, why, plan, rules, drawn.of(plan.blocks), rng)
        used = int((why == "").sum())
        rate = np.nan if isinstance(source, Signals) else source.rates_hz.mean()
        row |= {"rate_hz": [rate], "neurons_used": [used], "neurons_excluded": [why.size - used]}
        rows.append(row)
        neurons["layer"].extend([source.name] * why.size)
        neurons["neuron"].extend(labels_of(source))
        neurons["exclusion"].extend(why)
    return _joined(rows), {name: np.asarray(values) for name, values in neurons.items()}


def rows_of_neurons(
    sources: list[Source], plans: list[Plan], rules: Rules, drawn: Draws, rng: np.random.Generator, show: bool
) -> tuple[dict[str, Any], dict[str, Any]]:
    """A row for each neuron of each layer, and whose it is, as columns; parameters as of `rows_of_layers`."""
    rows: list[dict[str, Any]] = []
    neurons: dict[str, list[Any]] = {"layer": [], "neuron": []}
    together = list(zip(sources, plans, strict=True))
    for source, plan in tqdm(together, desc="timescales", unit="layer", delay=5, disable=not show):
        why, labels = _exclusion(source, plan, rules), labels_of(source)
        row = _each_neuron(source, why, plan, rules, drawn.of(plan.blocks), rng)
        rows.append(row | {"rate_hz": np.full(why.size, np.nan) if isinstance(source, Signals) else source.rates_hz})
        neurons["layer"].extend([source.name] * why.size)
        neurons["neuron"].extend(labels)
    return _joined(rows), {name: np.asarray(values) for name, values in neurons.items()}


def _joined(rows: list[dict[str, Any]]) -> dict[str, Any]:
    joined = {name: np.concatenate([np.asarray(row[name]) for row in rows]) for name in rows[0]}
    return joined | {"reason": [Status(str(one)).reason for one in joined["status"]]}
