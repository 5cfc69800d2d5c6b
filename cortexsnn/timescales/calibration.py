"""What an estimator makes of known timescales under a protocol: to warn by, and to correct by.

The calibration curve is measured, not derived: activity of known timescale, as much of it as the protocol has, goes
through the very estimator. Where the curve rises it can be turned around (indirect inference, Gourieroux et al. 1993,
https://doi.org/10.1002/jae.3950080507, with the timescale as the only parameter).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from cortexsnn.checks import choice, generator, positive, whole
from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import Signals, SpikeTrains
from cortexsnn.timescales.estimate import estimate
from cortexsnn.timescales.estimators import Estimator, estimator_of
from cortexsnn.timescales.estimators.contract import step_of
from cortexsnn.timescales.processes import ornstein_uhlenbeck, ou_poisson_trains
from cortexsnn.timescales.protocol import Protocol
from cortexsnn.timescales.status import Status

__all__ = ["calibrate", "correct", "noisy_rates", "noisy_signals"]

Values = NDArray[np.float64]
Process = Callable[[float, Protocol, np.random.Generator], SpikeTrains | Signals]

# A reading further off than this is worth a word.
BIAS_WORTH_TELLING = 0.1


def noisy_rates(rate_variation: float = 0.6, dt_ms: float = 1.0) -> Process:
    """Poisson neurons whose rates are Ornstein-Uhlenbeck processes, as `calibrate` takes them.

    Parameters
    ----------
    rate_variation : float
        Standard deviation of the rate over its mean.
    dt_ms : float
        Time step of the rate.
    """

    def process(tau_ms: float, protocol: Protocol, rng: np.random.Generator) -> SpikeTrains:
        if protocol.rate_hz is None:
            raise InputError("rate_hz of the protocol", None, "a rate in Hz", "noisy_signals is for signals")
        return ou_poisson_trains(
            tau_ms=tau_ms, trials=protocol.trials, duration_s=protocol.duration_s, neurons=protocol.neurons,
            rate_hz=protocol.rate_hz, rate_variation=rate_variation, dt_ms=dt_ms, rng=rng,
        )  # fmt: skip

    return process


def noisy_signals(step_ms: float) -> Process:
    """Ornstein-Uhlenbeck signals, as `calibrate` takes them.

    Parameters
    ----------
    step_ms : float
        Time between two values.
    """

    def process(tau_ms: float, protocol: Protocol, rng: np.random.Generator) -> Signals:
        values = ornstein_uhlenbeck(
            tau_ms=tau_ms, trials=protocol.trials, steps=round(1000.0 * protocol.duration_s / step_ms),
            neurons=protocol.neurons, dt_ms=step_ms, rng=rng,
        )  # fmt: skip
        return Signals.from_array(values, step_ms)

    return process


def calibrate(
    protocol: Protocol,
    estimator: str | Estimator = "pearson_trials",
    *,
    tau_ms: ArrayLike,
    repeats: int = 20,
    per: Literal["layer", "neuron"] = "layer",
    process: Process | None = None,
    bootstrap: int = 0,
    rng: np.random.Generator,
    progress: bool = True,
    **settings: Any,
) -> xr.Dataset:
    """Measure what an estimator makes of known timescales under a protocol.

    Parameters
    ----------
    protocol : Protocol
        Trials, duration, neurons and rate; `protocol_of` gives those of your data.
    estimator : str or Estimator
        As in `estimate`.
    tau_ms : array, shape (true,)
        True timescales, rising.
    repeats : int
        Data sets for each.
    per : {"layer", "neuron"}
        What `estimate` is asked for. With ``"neuron"`` each of a data set's neurons is a repeat of its own.
    process : callable, optional
        Makes a data set: ``process(tau_ms, protocol, rng)``. By default `noisy_rates`; `noisy_signals` for signals.
    bootstrap : int
        Replicates for intervals, whose coverage is then told; 0 for none.
    rng : numpy.random.Generator
    progress : bool
        Show a progress bar if it takes longer than 5 s.
    **settings
        Of the estimator.

    Returns
    -------
    xarray.Dataset
        On ``true_tau_ms`` and ``repeat``: estimate_ms and status; on ``true_tau_ms``: median_ms, low_ms and high_ms
        (central 68 % of the repeats), share_usable, and coverage of the intervals if there are any.

    Raises
    ------
    InputError
        If `tau_ms` does not rise, or a number is out of range.

    Examples
    --------
    >>> protocol = Protocol(trials=50, duration_s=1.0, neurons=20, rate_hz=20.0)
    >>> curve = calibrate(protocol, tau_ms=[50.0, 100.0], repeats=3, rng=np.random.default_rng(1), progress=False)
    >>> dict(curve.sizes), bool(curve["median_ms"][0] < curve["median_ms"][1])
    ({'true_tau_ms': 2, 'repeat': 3}, True)
    """
    choice("per", per, ("layer", "neuron"))
    true = positive("tau_ms", tau_ms, "positive timescales in ms", dimensions=1)
    if true.ndim != 1 or np.any(np.diff(true) <= 0):
        raise InputError("tau_ms", tau_ms, "at least one timescale, each larger than the one before")
    whole("repeats", repeats, 1)
    generator(rng)
    make = noisy_rates() if process is None else process
    in_a_set = protocol.neurons if per == "neuron" else 1
    found = np.full((true.size, repeats * in_a_set), np.nan)
    low, high = found.copy(), found.copy()
    status = np.full(found.shape, "", dtype=f"<U{max(map(len, Status))}")
    cases = [(i, slice(j * in_a_set, (j + 1) * in_a_set)) for i in range(true.size) for j in range(repeats)]
    for case in tqdm(cases, desc="calibration", unit="data set", delay=5, disable=not progress):
        data = make(float(true[case[0]]), protocol, rng)
        one = estimate(
            data, estimator, per=per, bootstrap=bootstrap, minimum_rate_hz=0.0, rng=rng, progress=False, **settings
        )
        found[case], status[case] = one["tau_ms"].to_numpy(), one["status"].to_numpy()
        low[case], high[case] = one["tau_low_ms"].to_numpy(), one["tau_high_ms"].to_numpy()
    made = estimator_of(estimator, settings, step_ms=step_of([data]))
    usable = np.isfinite(found)
    quantiles = np.full((3, true.size), np.nan)
    for i in np.flatnonzero(usable.any(axis=1)):
        quantiles[:, i] = np.quantile(found[i, usable[i]], [0.16, 0.5, 0.84])
    covered = ((low <= true[:, None]) & (true[:, None] <= high) & usable).sum(axis=1)
    shares = np.divide(covered, usable.sum(axis=1), out=np.full(true.size, np.nan), where=usable.any(axis=1))
    variables: dict[str, Any] = {
        "estimate_ms": (("true_tau_ms", "repeat"), found, {"long_name": "estimate", "units": "ms"}),
        "status": (("true_tau_ms", "repeat"), status),
        "low_ms": ("true_tau_ms", quantiles[0], {"long_name": "16th percentile of the estimates", "units": "ms"}),
        "median_ms": ("true_tau_ms", quantiles[1], {"long_name": "median estimate", "units": "ms"}),
        "high_ms": ("true_tau_ms", quantiles[2], {"long_name": "84th percentile of the estimates", "units": "ms"}),
        "share_usable": ("true_tau_ms", usable.mean(axis=1), {"long_name": "share with a timescale", "units": "1"}),
    }
    if bootstrap:
        variables["coverage"] = ("true_tau_ms", shares, {"long_name": "share of intervals that hold the truth"})
    attributes = {
        "schema": "cortexsnn-calibration-1",
        "estimator": made.name,
        "settings": repr(made),
        "per": per,
        "trials": protocol.trials,
        "duration_s": float(protocol.duration_s),
        "neurons": protocol.neurons,
        "rate_hz": np.nan if protocol.rate_hz is None else float(protocol.rate_hz),
    }
    coordinates = {"true_tau_ms": ("true_tau_ms", true, {"long_name": "true timescale", "units": "ms"})}
    return xr.Dataset(variables, coordinates, attributes)


def correct(result: xr.Dataset, calibration: xr.Dataset) -> xr.Dataset:
    """Turn the calibration curve around: the timescale that would give the estimate.

    Parameters
    ----------
    result : xarray.Dataset
        Of `estimate`.
    calibration : xarray.Dataset
        Of `calibrate`, by the same estimator with the same settings.

    Returns
    -------
    xarray.Dataset
        The result with corrected_tau_ms, corrected_low_ms and corrected_high_ms, and calibration_note, which says by
        how much the estimator reads low or high there, or why it cannot be corrected. Beyond the calibrated range the
        value is NaN, and an end of the interval 0 or infinity.

    Raises
    ------
    InputError
        If the calibration is of another estimator, or of layers where the result is of neurons, or the other way
        round, or if its curve does not rise.

    Examples
    --------
    >>> curve = xr.Dataset(
    ...     {"median_ms": ("true_tau_ms", [8.0, 16.0, 30.0])},
    ...     {"true_tau_ms": [10.0, 20.0, 40.0]}, {"estimator": "acf"},
    ... )
    >>> result = xr.Dataset(
    ...     {"tau_ms": ("layer", [16.0]), "tau_low_ms": ("layer", [15.0]), "tau_high_ms": ("layer", [50.0])},
    ...     {"estimator": "acf"},
    ... )
    >>> corrected = correct(result, curve)
    >>> corrected["corrected_tau_ms"].round(9).item(), corrected["corrected_high_ms"].item()
    (20.0, inf)
    >>> corrected["calibration_note"].item()
    'reads 20 % low here'
    """
    if str(result["estimator"].item()) != calibration.attrs["estimator"]:
        raise InputError("estimator of the calibration", calibration.attrs["estimator"],
                         f"'{result['estimator'].item()}', as of the result")  # fmt: skip
    per = "neuron" if "unit" in result["tau_ms"].dims else "layer"
    if calibration.attrs.get("per", "layer") != per:
        raise InputError("per of the calibration", calibration.attrs.get("per", "layer"), f"'{per}', as of the result",
                         f"calibrate(..., per='{per}')")  # fmt: skip
    true, read = calibration["true_tau_ms"].to_numpy(), calibration["median_ms"].to_numpy()
    known = np.isfinite(read)
    true, read = true[known], read[known]
    if read.size < 2 or np.any(np.diff(read) <= 0):
        raise InputError("median_ms of the calibration", read.tolist(), "estimates that rise with the true timescale",
                         "use more repeats, or timescales that the protocol can tell apart")  # fmt: skip

    def turned(values: Values, below: float, above: float) -> Values:
        with np.errstate(divide="ignore"):
            inside = np.exp(np.interp(np.log(values), np.log(read), np.log(true)))
        inside = np.where(values < read[0] * (1 - 1e-12), below, inside)
        return np.where(values > read[-1] * (1 + 1e-12), above, inside)

    tau = result["tau_ms"].to_numpy()
    corrected = turned(tau, np.nan, np.nan)
    words = {"units": "ms"}
    dims = result["tau_ms"].dims
    return result.assign(
        corrected_tau_ms=(dims, corrected, {"long_name": "timescale that would give the estimate"} | words),
        corrected_low_ms=(dims, turned(result["tau_low_ms"].to_numpy(), 0.0, np.inf), words),
        corrected_high_ms=(dims, turned(result["tau_high_ms"].to_numpy(), 0.0, np.inf), words),
        calibration_note=(dims, np.array([_note(a, b) for a, b in zip(tau, corrected, strict=True)])),
    )


def _note(tau_ms: float, corrected_ms: float) -> str:
    if not np.isfinite(tau_ms):
        return ""
    if not np.isfinite(corrected_ms):
        return "outside of the calibrated range"
    bias = tau_ms / corrected_ms - 1.0
    if abs(bias) < BIAS_WORTH_TELLING:
        return "reads within 10 % here"
    return f"reads {100 * abs(bias):.0f} % {'low' if bias < 0 else 'high'} here"
