"""A model measured as the cortex was: with the estimator, bins, trial length and counts of a study, as far as known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn import timescales
from cortexsnn.checks import Values, generator, not_negative, positive, whole
from cortexsnn.cortex.protocols import protocol_difference
from cortexsnn.cortex.statistics.inputs import several
from cortexsnn.cortex.tables import protocol, rows
from cortexsnn.errors import InputError
from cortexsnn.timescales import Protocol, RecordedSpikes, SpikeTrains
from cortexsnn.timescales.counts import whole_steps

__all__ = ["measure_like", "repeatable_protocol"]

Trains = SpikeTrains | RecordedSpikes
_KEPT = ("source", "network", "input", "burn_in_ms")
_ROUNDING = 1e-9
# With fewer timescales in a trial a fit is rough, see docs/timescales.md.
_TRIAL_IN_TAU = 5


@dataclass(frozen=True, eq=False)
class _Source:
    """What is measured, without its burn-in."""

    layers: tuple[Trains, ...]
    start_ms: float
    step_ms: float | None
    about: Mapping[str, Any]

    @property
    def pieces_s(self) -> Values:
        """Length of each trial without its burn-in, shape (trial,)."""
        return np.asarray(self.layers[0].durations_s - (0.0 if self.step_ms else self.start_ms / 1000.0))


def _source(data: Any, start_ms: float | None) -> _Source:
    if start_ms is not None:
        not_negative("start_ms", start_ms)
    if isinstance(data, xr.DataTree):
        names = [name for name, node in data.children.items() if node.attrs.get("kind") == "lif"]
        if not names:
            raise InputError("populations of the recording", list(data.children), "at least one of kind lif")
        start = float(data.attrs.get("burn_in_ms", 0.0)) if start_ms is None else start_ms
        about: dict[str, Any] = {name: data.attrs[name] for name in _KEPT if name in data.attrs}
        layers = tuple(RecordedSpikes.of(data, name, start_ms=start) for name in names)
        return _Source(layers, start, 1000.0 * float(data.attrs["dt_s"]), about)
    named = data if isinstance(data, Mapping) else {None: data}
    if not named or not all(isinstance(one, SpikeTrains | RecordedSpikes) for one in named.values()):
        kinds = sorted({type(one).__name__ for one in named.values()})
        raise InputError("data", kinds, "a recording, or SpikeTrains by the name of their layer",
                         "binned activity and signals cannot be cut into trials")  # fmt: skip
    layers = tuple(one if name is None else replace(one, name=str(name)) for name, one in named.items())
    if any(not np.array_equal(one.durations_s, layers[0].durations_s) for one in layers):
        raise InputError("durations_s of the layers", [one.durations_s.tolist() for one in layers],
                         "the same trials in all", "layers are cut at the same times")  # fmt: skip
    return _Source(layers, 0.0 if start_ms is None else start_ms, None, {})


@dataclass(frozen=True)
class _Length:
    """How long trials are cut."""

    seconds: float
    of_study: bool
    words: tuple[str, ...] = ()


def _chosen_length(source: _Source, lengths: list[float], trial_ms: float, longest_ms: float) -> _Length:
    """The length that the user wants, and whether it lies between those of the study."""
    positive("trial_ms", trial_ms, "a positive number of milliseconds")
    if trial_ms > longest_ms * (1 + _ROUNDING):
        raise InputError("trial_ms", trial_ms, f"at most {longest_ms:g}, which is what a trial holds")
    if source.step_ms is not None:
        trial_ms = whole_steps("trial_ms", trial_ms, source.step_ms, fewest=1) * source.step_ms
    words: tuple[str, ...] = ()
    if lengths and min(lengths) < trial_ms < max(lengths) and not np.isclose(trial_ms, lengths).any():
        listed = ", ".join(f"{length:.10g}" for length in lengths)
        words = (f"no data set of the study has trials of {trial_ms:.10g} ms (but of {listed} ms)",)
    of_study = bool(lengths) and min(lengths) * (1 - _ROUNDING) <= trial_ms <= max(lengths) * (1 + _ROUNDING)
    return _Length(trial_ms / 1000.0, of_study, words)


def _length(source: _Source, lengths: list[float], trial_ms: float | None) -> _Length:
    """The longest trials of the study that the recording holds, in whole time steps, or those that the user wants."""
    longest_ms = 1000.0 * float(source.pieces_s.max())
    if longest_ms <= 0:
        raise InputError("start_ms", source.start_ms, "less than the length of a trial")
    if trial_ms is not None:
        return _chosen_length(source, lengths, trial_ms, longest_ms)
    in_steps = {length: _nearest(length, source.step_ms) for length in sorted(lengths)}
    held = [length for length, ms in in_steps.items() if ms <= longest_ms * (1 + _ROUNDING)]
    missing = [f"{length:.10g}" for length in in_steps if length not in held]
    words = []
    if missing:
        words.append(
            f"trials of {', '.join(missing)} ms: those of the recording have at most {longest_ms:.10g} ms, "
            "record longer"
        )
    if not held:
        shortest_ms = 1000.0 * float(source.layers[0].durations_s.min())
        if source.pieces_s.min() <= 0:
            raise InputError("start_ms", source.start_ms, f"less than the {shortest_ms:.10g} ms of the shortest trial")
        return _Length(float(source.pieces_s.min()), False, tuple(words))
    wanted, ms = held[-1], in_steps[held[-1]]
    if not np.isclose(wanted, ms):
        words.append(f"trials of {ms:.10g} ms, the nearest to {wanted:.10g} ms in steps of {source.step_ms:.10g} ms")
    return _Length(ms / 1000.0, True, tuple(words))


def _nearest(wanted_ms: float, step_ms: float | None) -> float:
    """A duration in whole time steps, at least one."""
    return wanted_ms if step_ms is None else max(1, round(wanted_ms / step_ms)) * step_ms


def _trials(source: _Source, length_s: float, known: Any, trials: int | None) -> tuple[int, list[str]]:
    """How many pieces are taken, and what of that is not as it should be."""
    pieces = np.maximum(np.floor(source.pieces_s / length_s * (1 + _ROUNDING)), 0)
    available, short = int(pieces.sum()), int((pieces == 0).sum())
    words = []
    if short:
        found = f"{short} of {several(pieces.size, 'trial')} of the recording {'is' if short == 1 else 'are'}"
        words.append(f"{found} shorter than {1000 * length_s:.10g} ms")
    if trials is not None:
        return whole("trials", trials, 1), words
    if known is None:
        return available, words
    if int(known) > available:
        words.append(f"{int(known)} trials: the recording holds {available}, record longer")
    return min(int(known), available), words


def _cut(
    source: _Source,
    length_s: float,
    trials: int,
    neurons: tuple[int | None, int | None],
    rate_hz: float | None,
    rng: np.random.Generator,
) -> tuple[dict[str, SpikeTrains], list[str]]:
    """Every layer cut at the same times, and whose neurons are silent; `neurons` are how many, or at most how many."""
    # Each layer draws its pieces of time first, from the same state.
    seed = int(rng.integers(2**63))
    cut, words = {}, []
    exactly, at_most = neurons
    for layer in source.layers:
        active = int((layer.rates_hz > 0).sum())
        silent = layer.neurons.size - active
        if silent:
            found = f"{silent} of {several(layer.neurons.size, 'neuron')} {'is' if silent == 1 else 'are'} silent"
            words.append(f"'{layer.name}': {found}")
        if not active:
            none = np.zeros(0, dtype=np.int64)
            durations_s = np.full(trials, length_s)
            cut[layer.name] = SpikeTrains(np.zeros(0), none, none, durations_s, layer.neurons, layer.name)
            continue
        number = min(active, at_most or active) if exactly is None else exactly
        start_ms = 0.0 if source.step_ms else source.start_ms
        wanted = Protocol(trials, length_s, number, rate_hz)
        cut |= timescales.match(layer, wanted, start_ms=start_ms, rng=np.random.default_rng(seed))
    return cut, words


def _caution(measured: xr.Dataset, of_study: bool) -> str:
    """Which timescales are long for trials of that length; empty if none is."""
    tau_ms, window_ms = measured["tau_ms"].to_numpy(), float(measured.attrs["window_ms"])
    long = np.isfinite(tau_ms) & (_TRIAL_IN_TAU * tau_ms > window_ms)
    if not long.any():
        return ""
    rule = f"timescales of more than a fifth of the trials of {window_ms:.10g} ms are rough"
    rule += ", those of the study too" if of_study else ""
    if measured.attrs.get("per") == "neuron":
        return f"{rule}: {long.sum()} of {np.isfinite(tau_ms).sum()} neurons"
    names = measured["layer"].to_numpy().astype(str)
    return f"{rule}: {', '.join(f'{name} ({tau:.0f} ms)' for name, tau in zip(names[long], tau_ms[long], strict=True))}"


def repeatable_protocol(table: xr.Dataset) -> dict[str, Any]:
    """How the timescales of a table were measured, if an estimator of this package can repeat it.

    Parameters
    ----------
    table : xarray.Dataset
        Of `cortexsnn.cortex.load` or `cortexsnn.cortex.register`, of one measure.

    Returns
    -------
    dict
        Of `cortexsnn.cortex.protocol`.

    Raises
    ------
    InputError
        If it is no table or one of several measures, or no estimator of this package can repeat it.

    Examples
    --------
    >>> from cortexsnn.cortex import load
    >>> repeatable_protocol(load("murray2014"))["estimator"]
    'pearson_trials'
    """
    if not isinstance(table, xr.Dataset):
        raise InputError("table", table, "a table", "cortex.load('murray2014') gives one, cortex.register that of a "
                         "file of your own")  # fmt: skip
    how = dict(protocol(table))
    if how.get("estimator") is None:
        way_out = "--like none measures without a study" + ("" if how else ", or put a protocol into its JSON file")
        reason = str(how.get("difference", "the table does not say how it was measured"))
        raise InputError(f"measure of table '{table.attrs.get('table', '')}'", str(table["measure"].to_numpy()[0]),
                         "one that an estimator of this package can repeat", f"{reason}; {way_out}")  # fmt: skip
    return how


def measure_like(
    data: Any,
    table: xr.Dataset,
    *,
    rng: np.random.Generator,
    measure: str | None = None,
    trial_ms: float | None = None,
    trials: int | None = None,
    neurons: int | None = None,
    rate_hz: float | None = None,
    start_ms: float | None = None,
    bootstrap: int = 200,
    progress: bool = True,
    **settings: Any,
) -> xr.Dataset:
    """Measure a model as the timescales of a table were measured.

    The recording is cut into trials as long as those of the study, all layers at the same times
    (`cortexsnn.timescales.match`), and measured with its estimator, bins and lags. What is not known of the study, or
    not possible with this recording, is not guessed: the result says so.

    Parameters
    ----------
    data : xarray.DataTree, SpikeTrains, or mapping from layer to SpikeTrains
        A recording, of which every spiking population is a layer, or layers of your own.
    table : xarray.Dataset
        Of `cortexsnn.cortex.load` or `cortexsnn.cortex.register`.
    rng : numpy.random.Generator
    measure : str, optional
        Which quantity, of a table that has several.
    trial_ms : float, optional
        Length of trials; by default the longest of the study that the recording holds, in the nearest whole number of
        time steps, or the trials as they are where it is not known. Studies pool data sets whose trials differ, so
        that any length from their shortest to their longest counts as matched; one that no data set has is named.
    trials : int, optional
        By default as many as in the study, or where that is not known all that the recording holds: their number
        changes the error of a timescale and not its value.
    neurons : int, optional
        Of each layer; by default the median of the areas where the table knows it (fewer if fewer fire), or all.
    rate_hz : float, optional
        Mean rate to which spikes are thinned; by default they are not, as tables do not know the rates.
    start_ms : float, optional
        Burn-in of each trial; by default that of the recording.
    bootstrap : int
        Replicates for the interval.
    progress : bool
        Show a progress bar if it takes longer than 5 s.
    **settings
        Of the estimator, in place of those of the study; the result says so. Bins of the study are rounded to whole
        time steps of the recording, which the result says too.

    Returns
    -------
    xarray.Dataset
        Of `cortexsnn.timescales.estimate`, with attributes ``protocol_table``, ``protocol_measure``,
        ``protocol_verdict`` ("matched" or "differs"), and, one item a line, ``protocol_matched`` and
        ``protocol_unmatched``; ``protocol_caution`` names timescales that are long for trials so short.

    Raises
    ------
    InputError
        If the table has several measures, does not know how it was measured, or did what no estimator of this package
        does; if a setting of your own does not fit the time steps of the recording; or if `trials` or `trial_ms` are
        more than the recording holds.

    Examples
    --------
    >>> from cortexsnn.cortex import load
    >>> from cortexsnn.timescales import ou_poisson_trains
    >>> rng = np.random.default_rng(1)
    >>> long = ou_poisson_trains(tau_ms=100.0, trials=1, duration_s=120.0, neurons=20, rate_hz=20.0, rng=rng)
    >>> measured = measure_like({"hidden1": long}, load("murray2014"), bootstrap=20, rng=rng)
    >>> measured["status"].item(), measured.attrs["trials"], measured.attrs["window_ms"]
    ('ok', 120, 1000.0)
    >>> print(measured.attrs["protocol_matched"])
    estimator pearson_trials
    bin_ms 50
    one fit to the mean curve of a layer
    trials of 1000 ms (study: 500 to 1000 ms)
    """
    generator(rng)
    one = rows(table, measure=measure) if measure is not None and isinstance(table, xr.Dataset) else table
    how = repeatable_protocol(one)
    name = str(one["measure"].to_numpy()[0])
    source = _source(data, start_ms)
    length = _length(source, list(how.get("trial_ms") or []), trial_ms)
    number, too_many = _trials(source, length.seconds, how.get("trials") if length.of_study else None, trials)
    known = "n" in one.variables and one.attrs.get("modality") == "spikes"
    at_most = int(np.median(one["n"].to_numpy())) if known else None
    cut, silent = _cut(source, length.seconds, number, (neurons, at_most), rate_hz, rng)
    chosen = how["settings"] | settings
    if source.step_ms is not None:
        if "bin_ms" in settings:
            whole_steps("bin_ms", settings["bin_ms"], source.step_ms, fewest=1)
        else:
            usual_ms = timescales.usual_bin_ms(how["estimator"], source.step_ms)
            chosen["bin_ms"] = _nearest(float(chosen.get("bin_ms", usual_ms)), source.step_ms)
    measured = timescales.estimate(
        cut, how["estimator"], per=how["per"], bootstrap=bootstrap, rng=rng, progress=progress, **chosen
    ).assign_attrs(source.about)
    found = protocol_difference(measured, one)
    own = [f"{key} {value} (not known of the study)" for key, value in settings.items() if key not in how["settings"]]
    rates = "" if rate_hz is not None else "rates of the study are not known: spikes were not thinned"
    said = (*found.differs, *found.unknown, *length.words, *too_many, *silent, rates, *own)
    return measured.assign_attrs(
        {
            "start_ms": source.start_ms,
            "protocol_table": str(table.attrs.get("table", "")),
            "protocol_measure": name,
            "protocol_verdict": found.verdict,
            "protocol_matched": "\n".join(found.same),
            "protocol_unmatched": "\n".join(filter(None, said)),
            "protocol_caution": _caution(measured, length.of_study),
        }
    )
