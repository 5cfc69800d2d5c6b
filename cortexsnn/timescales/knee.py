"""The timescale from the knee of the power spectrum.

An exponential autocorrelation of timescale tau has a spectrum that is flat up to the knee f_k = 1 / (2 pi tau) and
falls as f^-2 above it; with other exponents chi, log10 P = b - log10(k + f^chi) and f_k = k^(1 / chi)
(Gao et al. 2020, https://doi.org/10.7554/eLife.61277). Noise that is the same at all frequencies, as that of Poisson
spikes, adds a floor.

The logarithm of an averaged spectrum has about the same error at all frequencies, so the fits are least squares in
log10 P. The level b is solved for; the other one to three parameters are searched on a grid and then refined, for many
curves at once. Peaks of oscillations rise above such a curve and lose their weight step by step (Tukey's biweight,
Beaton & Tukey 1974, https://doi.org/10.1080/00401706.1974.10489171).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import choice, positive
from cortexsnn.errors import InputError
from cortexsnn.timescales.knee_shapes import EXPONENTS, Sampling, Shape, shape_of
from cortexsnn.timescales.spectrum import FEWEST_FREQUENCIES
from cortexsnn.timescales.status import Status

__all__ = ["MODELS", "KneeFit", "fit_knee"]

Values = NDArray[np.float64]
# Of the Nyquist frequency.
_ALIASED = 0.25

# Shape of the decaying part, and whether there is a floor.
MODELS = {
    "lorentzian": ("lorentzian", False),
    "lorentzian_floor": ("lorentzian", True),
    "knee": ("knee", False),
    "knee_floor": ("knee", True),
    "ar1": ("ar1", False),
    "ar1_floor": ("ar1", True),
}
# Means over so many groups of neighbouring frequencies are what the parameters are sought for.
_GROUPS = 96
_SEARCHES, _STEPS = 3, 8
_NO_WEIGHT, _SMALLEST_STEP = 1e-12, 1e-5
_CURVES_AT_A_TIME = 512
_DIFFERENCE = 1e-5
_AT_BOUND = 1e-3
# A residual of so many standard deviations above, or below, the curve has no weight.
_PEAK, _DIP, _NO_LIMIT = 4.5, 6.0, 1e4
# While the curve is still sought the limits are wider, by these factors in turn.
_LENIENCES = (3.0, 2.0, *8 * (1.0,))
_NORMAL_QUARTILE = 0.6745
_SMALLEST_DEVIATION = 0.003
# Neighbouring frequencies of a Hamming window share noise: squared correlations of .39 and .02 at one and two apart.
_DEPENDENCE = 1.0 + 2 * (0.39 + 0.02)


def _robust(
    residual: Values, valid: Values, deviation: Values | None = None, lenience: float = 1.0
) -> tuple[Values, Values, Values]:
    """Weights without peaks, sum of squares in which a peak counts no more than its limit, and deviation of the noise.

    The deviation, shape (curve, 1), is that of residuals below their median, which no peak reaches. The sum of squares,
    shape (curve,), is in units of it.
    """
    ordered = np.sort(np.where(valid > 0, residual, np.inf), axis=1)
    number = valid.sum(axis=1).astype(np.int64)
    middle, quarter = (np.take_along_axis(ordered, (number // part)[:, None], axis=1) for part in (2, 4))
    if deviation is None:
        deviation = np.maximum((middle - quarter) / _NORMAL_QUARTILE, _SMALLEST_DEVIATION)
    centred = residual - middle
    # What is above the curve down to the lowest frequency is no peak, but perhaps the very decay.
    decay = np.logical_and.accumulate((centred > deviation) | (valid == 0), axis=1)
    limit = lenience * np.where(centred > 0, np.where(decay, _NO_LIMIT, _PEAK), _DIP)
    kept = np.maximum(1.0 - (centred / (limit * deviation)) ** 2, 0.0)
    return valid * kept**2, (valid * limit**2 / 3 * (1.0 - kept**3)).sum(axis=1), deviation


def _residual(log_power: Values, weights: Values, fitted: Values) -> tuple[Values, Values]:
    """Residuals after the best level, and that level, shape (curve, 1)."""
    difference = log_power - fitted
    level = (weights * difference).sum(axis=1, keepdims=True) / weights.sum(axis=1, keepdims=True)
    return difference - level, level


def _searched(grid: Values, table: Values, log_power: Values, weights: Values) -> Values:
    """Best parameters of a `grid` of them, whose curves are in the `table`, shape (curve, parameter)."""
    centred, _ = _residual(log_power, weights, np.zeros(1))
    total = weights.sum(axis=1, keepdims=True)
    # The weighted variance of power less curve, but for the part that does not depend on the curve.
    misfit = weights @ (table**2).T - 2 * (weights * centred) @ table.T - (weights @ table.T) ** 2 / total
    return np.asarray(grid[np.argmin(misfit, axis=1)])


def _refined(shape: Shape, log_power: Values, weights: Values, parameters: Values) -> Values:
    """Steps of Levenberg (1944, https://doi.org/10.1090/qam/10666) to the best parameters, until they are small."""
    refined, number = parameters.copy(), parameters.shape[1]
    low, high = (np.array([axis[end] for axis in shape.axes]) for end in (0, 1))
    moving, damping = np.arange(len(parameters)), np.full((len(parameters), 1), 1e-3)
    fitted = shape.log10(parameters)
    residual, _ = _residual(log_power, weights, fitted)
    for _ in range(_STEPS if number else 0):
        slopes = np.stack([
            _residual((shape.log10(parameters + _DIFFERENCE * unit) - fitted) / _DIFFERENCE, weights, np.zeros(1))[0]
            for unit in np.eye(number)
        ])  # fmt: skip
        weighted = slopes * weights
        normal, pull = np.einsum("icf,jcf->cij", weighted, slopes), np.einsum("icf,cf->ci", weighted, residual)
        scale = np.einsum("cii->ci", normal)
        normal += np.eye(number) * (damping * scale + 1e-9 * scale.sum(axis=1, keepdims=True) + 1e-30)[:, None]
        step = np.clip(np.linalg.solve(normal, pull[:, :, None])[:, :, 0], -1.0, 1.0)
        tried = np.clip(parameters + step, low, high)
        fitted_there = shape.log10(tried)
        residual_there, _ = _residual(log_power, weights, fitted_there)
        better = (weights * residual_there**2).sum(axis=1) < (weights * residual**2).sum(axis=1)
        refined[moving[better]] = tried[better]
        goes_on = np.abs(tried - parameters).max(axis=1) > _SMALLEST_STEP
        if not goes_on.any():
            break
        better = better[:, None]
        parameters, damping = np.where(better, tried, parameters), damping * np.where(better, 0.1, 10.0)
        fitted, residual = np.where(better, fitted_there, fitted), np.where(better, residual_there, residual)
        state = moving, parameters, damping, fitted, residual, log_power, weights
        moving, parameters, damping, fitted, residual, log_power, weights = (array[goes_on] for array in state)
    return refined


@dataclass(frozen=True, eq=False)
class _Search:
    """A family of spectra with all that does not depend on the power.

    `coarse` is its shape at the centres of groups of frequencies, which begin at `begins`; `table` has its curves for a
    `grid` of parameters.
    """

    shape: Shape
    coarse: Shape
    begins: NDArray[np.int64]
    grid: Values
    table: Values

    @classmethod
    def of(cls, kind: str, floor: bool, frequency: Values, sampling: Sampling) -> _Search:
        ends = float(frequency[0]), float(frequency[-1])
        edges = np.geomspace(*ends, _GROUPS + 1)
        begins = np.unique(np.searchsorted(frequency, edges[:-1] * (1 - 1e-12)))
        centres = (begins + np.append(begins[1:], frequency.size) - 1) // 2
        shape = shape_of(kind, floor, frequency, ends, sampling)
        coarse = shape_of(kind, floor, frequency[centres], ends, sampling)
        grid = np.array(list(product(*(np.linspace(*axis) for axis in shape.axes))), dtype=np.float64)
        return cls(shape, coarse, begins, grid, coarse.log10(grid))

    def solved(self, log_power: Values, valid: Values) -> Values:
        """Parameters that fit but for peaks, shape (curve, parameter)."""
        weights, change, coarse = valid, log_power, np.zeros(1)
        parameters = np.empty(0)
        for turn, lenience in enumerate(_LENIENCES):
            grouped = np.add.reduceat(weights, self.begins, axis=1)
            mean = np.add.reduceat(weights * change, self.begins, axis=1) / np.maximum(grouped, _NO_WEIGHT) + coarse
            if turn < _SEARCHES:
                parameters = _searched(self.grid, self.table, mean, grouped)
            parameters = _refined(self.coarse, mean, grouped, parameters)
            # Groups tell how the curve has to change; the frequencies themselves, whether it has to.
            change, coarse = log_power - self.shape.log10(parameters), self.coarse.log10(parameters)
            weights, _, _ = _robust(change, valid, lenience=lenience)
        return parameters


@dataclass(frozen=True, eq=False)
class KneeFit:
    """Fits of many spectra; each array has shape (curve,) and is NaN where there is no knee (no_decay, no_variance).

    Parameters
    ----------
    model : str
        One of `MODELS`.
    frequency_hz : array, shape (frequency,)
        Fitted frequencies.
    f_knee_hz, tau_ms : array of float
        Knee, and 1 / (2 pi f_knee).
    exponent : array of float
        chi; 2 unless the model is knee or knee_floor.
    level, floor : array of float
        Power of the decaying part far below the knee, and of the floor, 0 in a model without one, in unit^2 / Hz.
    explained : array of float
        By how much the sum of squares of log10 P, peaks left out, is smaller than that of a flat spectrum.
    status : array of str
        A `Status` each: ok; at_bound if the knee lies outside the fitted frequencies or the exponent ran to its end;
        no_decay if a flat spectrum or a power law (with a floor if the model has one) does as well, by BIC;
        no_variance if there are fewer than 8 frequencies with power.
    """

    model: str
    frequency_hz: Values
    f_knee_hz: Values
    tau_ms: Values
    exponent: Values
    level: Values
    floor: Values
    explained: Values
    status: NDArray[np.str_]
    _sampling: Sampling = None

    def curve(self) -> Values:
        """Fitted power at `frequency_hz`, shape (curve, frequency)."""
        kind, _ = MODELS[self.model]
        shape = shape_of(kind, False, self.frequency_hz, (1.0, 1.0), self._sampling)
        parameters = [np.log(self.f_knee_hz), self.exponent] if kind == "knee" else [np.log(self.f_knee_hz)]
        decaying, _ = shape.parts(np.stack(parameters, axis=1))
        return np.asarray(self.level[:, None] * decaying + self.floor[:, None] * shape.white)


def fit_knee(
    power: NDArray[np.floating],
    frequency_hz: NDArray[np.floating],
    *,
    model: str = "lorentzian",
    range_hz: tuple[float, float] | None = None,
    step_ms: float | None = None,
) -> KneeFit:
    """Fit the knee of many spectra at once.

    ======================  ==================================================================================
    lorentzian              P = b / (1 + (f / f_k)^2)
    knee                    P = b / (1 + (f / f_k)^chi), chi between 0.5 and 6
    ar1                     the spectrum that Welch's method finds, on average, for samples of a process with an
                            exponential autocorrelation, aliasing and leakage included
    with ``_floor``         the same and a constant c; `ar1_floor` is exact for spikes counted in bins
    ======================  ==================================================================================

    In short segments power leaks from the plateau: `lorentzian` and `knee` find a tau that is 4 % too small in segments
    of 20 to 50 tau and 10 % in those of 10 tau, much more so under a floor. `ar1` and `ar1_floor` are right within 3 %
    down to segments of 10 tau. Below 2 pi tau the knee is out of reach (at_bound).

    Parameters
    ----------
    power : array, shape (curve, frequency)
        Density, in unit^2 / Hz. Values that are not finite or not positive are left out.
    frequency_hz : array, shape (frequency,)
        Ascending and positive; for ar1 those of `power_spectra`.
    model : str
        One of `MODELS`.
    range_hz : (float, float), optional
        Lowest and highest frequency to fit. By default ar1 takes all, and the others, if they are told `step_ms`, all
        up to a quarter of the Nyquist frequency: above it aliasing adds more than 5 % to a spectrum that falls as f^-2.
    step_ms : float, optional
        Time step of the signal; ar1 needs it.

    Returns
    -------
    KneeFit

    Raises
    ------
    InputError
        If shapes do not match, the model is unknown, or fewer than 8 frequencies are in range.

    Examples
    --------
    >>> frequency_hz = np.arange(1.0, 200.0)
    >>> fit = fit_knee(3.0 / (1.0 + (frequency_hz / 10.0) ** 2)[None], frequency_hz)
    >>> fit.f_knee_hz.round(3), fit.tau_ms.round(3), fit.status
    (array([10.]), array([15.915]), array(['ok'], dtype='<U...'))
    """
    choice("model", model, MODELS)
    values, frequency = np.asarray(power, dtype=np.float64), np.asarray(frequency_hz, dtype=np.float64)
    if values.ndim != 2 or frequency.shape != values.shape[1:]:
        raise InputError("shape of power", values.shape, f"(curve, frequency) for {frequency.size} frequencies")
    if not np.all(np.isfinite(frequency)) or np.any(frequency <= 0) or np.any(np.diff(frequency) <= 0):
        raise InputError("frequency_hz", frequency, "positive frequencies in ascending order")
    kind, floor = MODELS[model]
    if step_ms is not None or kind == "ar1":
        step_ms = float(positive("step_ms", step_ms, "the time step of the signal in milliseconds"))
    highest = np.inf if step_ms is None or kind == "ar1" else _ALIASED * 500.0 / step_ms
    lowest, highest = (0.0, highest) if range_hz is None else range_hz
    inside = (frequency >= lowest) & (frequency <= highest)
    if inside.sum() < FEWEST_FREQUENCIES:
        raise InputError("frequencies in range", int(inside.sum()), f"at least {FEWEST_FREQUENCIES}",
                         "longer segments have more")  # fmt: skip
    sampling = _sampling_of(frequency, step_ms) if kind == "ar1" and step_ms else None
    values, frequency = values[:, inside], frequency[inside]
    searches = {name: _Search.of(name, floor, frequency, sampling) for name in (kind, "power_law", "flat")}
    parts = [
        _fit_part(values[begin : begin + _CURVES_AT_A_TIME], frequency, kind, searches)
        for begin in range(0, max(len(values), 1), _CURVES_AT_A_TIME)
    ]
    knee, exponent, level, height, explained = np.concatenate([part[0] for part in parts], axis=1)
    return KneeFit(
        model, frequency, knee, 1000.0 / (2 * np.pi * knee), exponent, level, height, explained,
        np.concatenate([part[1] for part in parts]), sampling,
    )  # fmt: skip


def _sampling_of(frequency_hz: Values, step_ms: float) -> tuple[int, float]:
    """Steps in a segment and duration of a step in s."""
    step_s = step_ms / 1000.0
    spacing = float(frequency_hz[-1] - frequency_hz[0]) / (frequency_hz.size - 1)
    place = frequency_hz / spacing
    if np.any(np.abs(place - np.rint(place)) > 1e-6 * place.size) or frequency_hz[-1] * step_s > 0.5:
        raise InputError("frequency_hz", frequency_hz, "multiples of one frequency up to 1 / (2 step_ms)")
    return round(1.0 / (spacing * step_s)), step_s


def _fit_part(
    values: Values, frequency: Values, kind: str, searches: dict[str, _Search]
) -> tuple[Values, NDArray[np.str_]]:
    """Knee, exponent, level, floor and explained, shape (5, curve), and status of some curves."""
    valid = (np.isfinite(values) & (values > 0)).astype(np.float64)
    enough = valid.sum(axis=1) >= FEWEST_FREQUENCIES
    found = np.full((5, len(values)), np.nan)
    found[4] = 0.0
    status = np.full(len(values), Status.NO_VARIANCE.value, dtype=f"<U{max(map(len, Status))}")
    if not enough.any():
        return found, status
    valid = valid[enough]
    log_power = np.log10(np.where(valid > 0, values[enough], 1.0))
    parameters = {name: search.solved(log_power, valid) for name, search in searches.items()}
    fitted = {name: search.shape.log10(parameters[name]) for name, search in searches.items()}
    weights, misfit, deviation = _robust(log_power - fitted[kind], valid)
    _, level = _residual(log_power, weights, fitted[kind])
    # The noise of the best model is the measure for the others: Schwarz 1978, https://doi.org/10.1214/aos/1176344136.
    independent = valid.sum(axis=1) / _DEPENDENCE
    flat, power_law = (_robust(log_power - fitted[name], valid, deviation)[1] for name in ("flat", "power_law"))
    penalty = np.log(independent) * _DEPENDENCE
    free, free_of_power_law = parameters[kind].shape[1], parameters["power_law"].shape[1]
    decays, bends = flat - misfit > penalty * free, power_law - misfit > penalty * (free - free_of_power_law)
    knee = np.exp(parameters[kind][:, 0])
    outside = (knee < frequency[0] * (1 - _AT_BOUND)) | (knee > frequency[-1] * (1 + _AT_BOUND))
    exponent = np.full(len(knee), 2.0)
    if kind == "knee":
        exponent = parameters[kind][:, 1]
        outside |= (exponent < EXPONENTS[0] + _AT_BOUND) | (exponent > EXPONENTS[1] - _AT_BOUND)
    height = 10.0 ** level[:, 0]
    explained = 1.0 - np.divide(misfit, flat, out=np.ones_like(flat), where=flat > 0)
    floor = height * searches[kind].shape.parts(parameters[kind])[1][:, 0]
    found[:, enough] = knee, exponent, height, floor, explained
    status[enough] = np.select(
        [~decays, outside, ~bends],
        [Status.NO_DECAY.value, Status.AT_BOUND.value, Status.NO_DECAY.value],
        Status.OK.value,
    )
    found[:4, status == Status.NO_DECAY.value] = np.nan
    return found, status
