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

from collections.abc import Callable
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import choice, positive
from cortexsnn.errors import InputError
from cortexsnn.timescales.spectrum import FEWEST_FREQUENCIES
from cortexsnn.timescales.status import Status

__all__ = ["MODELS", "KneeFit", "fit_knee"]

Values = NDArray[np.float64]
# Steps in a segment and duration of a step in s; None where the model does not depend on them.
_Sampling = tuple[int, float] | None

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
# The search for a knee goes past the fitted frequencies, so that one outside shows itself.
_BELOW, _ABOVE = 1 / 8.0, 4.0
_EXPONENTS, _SLOPES = (0.5, 6.0), (0.0, 6.0)
# Logarithm of the floor over the decaying part at the highest frequency. Below, it would make no difference.
_LOG_FLOORS = (-6.0, 30.0)
_KNEES, _EXPONENT_STEPS, _FLOOR_STEPS = 64, 12, 20
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
_SMALLEST_POWER = 1e-300
# Neighbouring frequencies of a Hamming window share noise: squared correlations of .39 and .02 at one and two apart.
_DEPENDENCE = 1.0 + 2 * (0.39 + 0.02)


@dataclass(frozen=True, eq=False)
class _Shape:
    """A family of spectra, up to their level.

    `decaying` maps parameters, shape (curve, parameter), to power, shape (curve, frequency), at one more frequency than
    the others, the highest. If there is a floor, the last parameter is the logarithm of its height over the power
    there, and `white` its shape. `axes` has the lowest and highest value of each parameter, and how many to try.
    """

    decaying: Callable[[Values], Values]
    white: Values
    floor: bool
    axes: tuple[tuple[float, float, int], ...]

    def parts(self, parameters: Values) -> tuple[Values, Values]:
        """Power of the decaying part, shape (curve, frequency), and height of the floor, shape (curve, 1)."""
        power = self.decaying(parameters[:, :-1] if self.floor else parameters)
        height = np.exp(parameters[:, -1:]) * power[:, -1:] if self.floor else np.zeros((len(power), 1))
        return power[:, :-1], height

    def log10(self, parameters: Values) -> Values:
        """log10 of the power for parameters of shape (curve, parameter)."""
        power, height = self.parts(parameters)
        return np.asarray(np.log10(np.maximum(power + height * self.white, _SMALLEST_POWER)))


def _shape(kind: str, floor: bool, frequency_hz: Values, ends: tuple[float, float], sampling: _Sampling) -> _Shape:
    """The family `kind` at some of the frequencies of a fit that reaches over the frequencies `ends`."""
    frequency_hz = np.append(frequency_hz, ends[1])
    log_frequency, white = np.log(frequency_hz), np.ones(frequency_hz.size - 1)
    knees = (float(np.log(ends[0] * _BELOW)), float(np.log(ends[1] * _ABOVE)), _KNEES)
    floors = ((*_LOG_FLOORS, _FLOOR_STEPS),) if floor else ()

    def power_law(parameters: Values) -> Values:
        return np.asarray(np.exp(-parameters * (log_frequency - np.log(ends[0]))))

    def lorentzian(parameters: Values) -> Values:
        exponent = parameters[:, 1:] if kind == "knee" else 2.0
        return np.asarray(1.0 / (1.0 + np.exp(exponent * (log_frequency - parameters[:, :1]))))

    if kind == "power_law":
        return _Shape(power_law, white, floor, ((*_SLOPES, _EXPONENT_STEPS), *floors))
    if kind == "lorentzian":
        return _Shape(lorentzian, white, floor, (knees, *floors))
    if kind == "knee":
        return _Shape(lorentzian, white, floor, ((*knees[:2], _KNEES // 2), (*_EXPONENTS, _EXPONENT_STEPS), *floors))
    if sampling is not None:
        sampled, white = _sampled_process(frequency_hz, *sampling)
        if kind == "ar1":
            return _Shape(sampled, white, floor, (knees, *floors))
    return _Shape(lambda parameters: np.tile(np.append(white, 1.0), (len(parameters), 1)), white, False, ())


def _sampled_process(frequency_hz: Values, steps: int, step_s: float) -> tuple[Callable[[Values], Values], Values]:
    """What Welch's method finds on average for a sampled exponential autocorrelation, and (less the end) white noise.

    x[t] with autocovariance a^|k| has the spectrum (1 - a^2) / |D_j|^2 with D_j = 1 - a exp(-2 pi i j / N), aliasing
    included, but the ends of a segment of N steps do not fit together, and the window mixes the effects of that over
    neighbouring frequencies (Sykulski et al. 2019, https://doi.org/10.1093/biomet/asy071). It can be summed up: the
    transform of x is that of its innovations over D_j, with x[0] - a x[N - 1] as the first innovation, and the window
    adds up three neighbours, of which that at frequency 0 went with the mean. Power is relative to that of the process
    at frequency 0.
    """
    place = np.rint(frequency_hz * steps * step_s).astype(np.int64)
    neighbour = place + np.array([[-1], [0], [1]])
    share = np.where(neighbour == 0, 0.0, np.array([[-0.23], [0.54], [-0.23]]))
    angle = 2 * np.pi * neighbour / steps
    full = 0.54**2 + 2 * 0.23**2

    def power(parameters: Values) -> Values:
        rate = 2 * np.pi * np.exp(parameters) * step_s
        a, last, variance = np.exp(-rate), np.exp(-rate * steps), -np.expm1(-2 * rate)
        total, square, imaginary = np.zeros((3, len(parameters), place.size))
        for part, cosine, sine in zip(share, np.cos(angle), np.sin(angle), strict=True):
            mixed = part / (1.0 + a**2 - 2 * a * cosine)
            total += mixed
            square += part * mixed
            imaginary += a * sine * mixed
        # Real part of the mixture of a exp(-2 pi i j / N) / |D_j|^2.
        real = ((1.0 + a**2) * total - share.sum(axis=0)) / 2
        found = variance * steps * square + 2 * (a**2 - last) * ((total - real) ** 2 + imaginary**2)
        found -= 2 * variance * ((total - real) * (real - last * total) - imaginary**2)
        return np.asarray(found * (1.0 - a) / ((1.0 + a) * steps * full))

    return power, (share[:, :-1] ** 2).sum(axis=0) / full


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


def _refined(shape: _Shape, log_power: Values, weights: Values, parameters: Values) -> Values:
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

    shape: _Shape
    coarse: _Shape
    begins: NDArray[np.int64]
    grid: Values
    table: Values

    @classmethod
    def of(cls, kind: str, floor: bool, frequency: Values, sampling: _Sampling) -> _Search:
        ends = float(frequency[0]), float(frequency[-1])
        edges = np.geomspace(*ends, _GROUPS + 1)
        begins = np.unique(np.searchsorted(frequency, edges[:-1] * (1 - 1e-12)))
        centres = (begins + np.append(begins[1:], frequency.size) - 1) // 2
        shape = _shape(kind, floor, frequency, ends, sampling)
        coarse = _shape(kind, floor, frequency[centres], ends, sampling)
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
    _sampling: _Sampling = None

    def curve(self) -> Values:
        """Fitted power at `frequency_hz`, shape (curve, frequency)."""
        kind, _ = MODELS[self.model]
        shape = _shape(kind, False, self.frequency_hz, (1.0, 1.0), self._sampling)
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
        outside |= (exponent < _EXPONENTS[0] + _AT_BOUND) | (exponent > _EXPONENTS[1] - _AT_BOUND)
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
