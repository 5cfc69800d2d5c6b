"""The decay of autocorrelations, fitted as one or two exponentials with or without a level.

R(k) = sum of A_i exp(-k * bin / tau_i) + level, with k the lag in bins, for many curves at once. Each lag weighs as
the number of pairs it was averaged over. The fit is the global least squares optimum (see `sums_of_exponentials`).

Which of two timescales is *the* timescale follows Rudelt et al. 2024 (https://doi.org/10.1371/journal.pcbi.1012355),
the one of larger amplitude, with one care: the amplitude compared is the contribution at the first fitted lag, because
A_i belongs to lag 0, and a component that is gone before the first lag can have any A_i at all. For the same reason a
component faster than half a bin is taken only if there is no other worth the name.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn import checks
from cortexsnn.errors import InputError
from cortexsnn.timescales.decay_models import CRITERIA, MODELS, SIGNS, STARTS, Chosen, Model, Task, best_models
from cortexsnn.timescales.status import Status

__all__ = ["DecayFit", "fit_decay"]

Values = NDArray[np.float64]

WINDOW_IN_TAU = 5.0
# A faster component has all but vanished one bin later (by 86 %), so that nothing is known about its tau.
FASTEST_HEADLINE_IN_BINS = 0.5
SMALLEST_SHARE_OF_HEADLINE = 0.01
_AT_BOUND = 1e-4
_LARGEST_EXPONENT = 600.0


@dataclass(frozen=True, eq=False)
class DecayFit:
    """Fits of many curves, shape (curve,) unless told otherwise; NaN where there is no such thing.

    Parameters
    ----------
    bin_ms : float
        Width of a bin.
    tau_ms : array of float
        The timescale: of two components the one that contributes more at the first fitted lag.
    tau_components_ms, amplitude_components : array of float, shape (curve, 2)
        tau and A (at lag 0) of each component, from fast to slow. NaN in the second column: one was enough.
    contributions : array of float, shape (curve, 2)
        What each component adds at the first fitted lag.
    level : array of float
        The additive constant; 0 for models without.
    amplitude, offset : array of float
        A that belongs to `tau_ms`, and level / A (the B of A * (exp(-t / tau) + B)).
    first_lag : array of int
        First fitted lag in bins; 0 where nothing decays.
    model : array of str
        Which model was taken; empty where nothing decays.
    explained : array of float
        By how much the weighted sum of squares is smaller than that of the model without exponentials, which is a
        flat line for models with offset and zero for those without; 0 where nothing decays.
    explained_share : array of float
        The same as a share (R squared).
    status : array of str
        A `Status` each: ok, too_short, at_bound (of the search for `tau_ms`) or no_decay.
    """

    bin_ms: float
    tau_ms: Values
    tau_components_ms: Values
    amplitude_components: Values
    contributions: Values
    level: Values
    amplitude: Values
    offset: Values
    first_lag: NDArray[np.int64]
    model: NDArray[np.str_]
    explained: Values
    explained_share: Values
    status: NDArray[np.str_]

    def curve(self, lags: ArrayLike) -> Values:
        """Fitted values at these lags in bins, shape (curve, lag); NaN before the first fitted lag."""
        lag = np.asarray(lags)
        passed = np.maximum(lag - self.first_lag[:, None], 0) * self.bin_ms
        parts = [self.contributions[:, i, None] * np.exp(-passed / self.tau_components_ms[:, i, None]) for i in (0, 1)]
        second = np.where(np.isfinite(self.contributions[:, 1:]), parts[1], 0.0)
        return np.where(lag >= self.first_lag[:, None], self.level[:, None] + parts[0] + second, np.nan)


def _headline(tau_bins: Values, height: Values, spacing: float) -> NDArray[np.intp]:
    """Which component is the timescale: the larger one at the first fitted lag, unless it is all but instantaneous."""
    size = np.abs(height)
    slow = (tau_bins >= FASTEST_HEADLINE_IN_BINS * spacing) & (
        size >= SMALLEST_SHARE_OF_HEADLINE * size.sum(axis=1, keepdims=True)
    )
    return np.where(slow & (size > 0), size, np.where(slow.any(axis=1, keepdims=True), -1.0, size)).argmax(axis=1)


def _described(best: Chosen, task: Task) -> DecayFit:
    """Put the result in the units and words of the user."""
    falls = np.isfinite(best.score)
    there = best.height != 0
    tau = np.where(there, np.exp(best.log_tau), np.nan)
    headline = _headline(np.nan_to_num(tau), best.height, task.spacing)
    # The fit has the first fitted lag as origin; A belongs to lag 0.
    exponent = np.divide(best.first[:, None], tau, out=np.zeros_like(tau), where=there)
    amplitude = np.where(there, best.height * np.exp(np.minimum(exponent, _LARGEST_EXPONENT)), np.nan)

    def of_headline(pair: Values) -> Values:
        return np.asarray(pair[np.arange(len(pair)), headline])

    tau_ms = of_headline(tau) * task.bin_ms
    low, high = task.log_range
    log_tau = of_headline(best.log_tau)
    at_bound = np.minimum(log_tau - low, high - log_tau) < _AT_BOUND
    status = np.select(
        [~falls, at_bound, np.nan_to_num(tau_ms) * WINDOW_IN_TAU > task.window_ms],
        [Status.NO_DECAY.value, Status.AT_BOUND.value, Status.TOO_SHORT.value],
        Status.OK.value,
    )
    names = np.array([model.name for model in task.models])
    return DecayFit(
        bin_ms=task.bin_ms,
        tau_ms=tau_ms,
        tau_components_ms=tau * task.bin_ms,
        amplitude_components=amplitude,
        contributions=np.where(there, best.height, np.nan),
        level=np.where(falls, best.level, np.nan),
        amplitude=of_headline(amplitude),
        offset=np.where(falls, best.level / np.where(falls, of_headline(amplitude), 1.0), np.nan),
        first_lag=best.first,
        model=np.where(falls, names[best.model], ""),
        explained=best.explained,
        explained_share=np.divide(best.explained, best.total, out=np.zeros_like(best.total), where=falls),
        status=status,
    )


def checked_curves(
    curves: NDArray[Any], lags: ArrayLike, weights: ArrayLike, *, fewest: int
) -> tuple[Values, NDArray[np.int64], Values]:
    """Curves, lags and weights as arrays (the weights with two dimensions), if they fit together."""
    values, lag, weight = np.asarray(curves), np.asarray(lags), np.asarray(weights)
    for name, array in (("curves", values), ("weights", weight)):
        if array.dtype.kind not in "iuf":
            raise InputError(f"type of {name}", str(array.dtype), "real numbers")
    if values.ndim != 2 or values.shape[1] < fewest:
        raise InputError("shape of curves", values.shape, f"(curve, lag) with at least {fewest} lags")
    right_kind = lag.dtype.kind in "iu" and lag.shape == values.shape[1:]
    if not right_kind or lag[0] < 0 or np.any(np.diff(lag.astype(np.int64)) < 1):
        raise InputError("lags", lags, f"{values.shape[1]} whole numbers of bins, rising, as the curves have lags")
    if weight.shape not in (values.shape[1:], values.shape):
        raise InputError("shape of weights", weight.shape, f"{values.shape[1:]} or {values.shape}, as the curves have")
    if not np.all(np.isfinite(weight) & (weight >= 0)):
        raise InputError("weights", weights, "finite numbers, at least 0", "numbers of pairs behind each lag will do")
    values, weight = (array.astype(np.float64, copy=False) for array in (values, weight))
    return values, lag.astype(np.int64), np.atleast_2d(weight)


def fit_decay(
    curves: NDArray[Any],
    *,
    bin_ms: float,
    lags: ArrayLike,
    weights: ArrayLike,
    window_ms: float,
    model: str | Sequence[str] = "exponential_offset",
    criterion: str = "bic",
    start: str = "first",
    start_within: int | None = None,
    sign: str = "positive",
) -> DecayFit:
    """Fit the decay of many autocorrelations at once.

    tau is sought between a tenth of a bin (of the smallest distance between lags, if that is larger) and ten
    observation windows. Missing lags (NaN, or of weight 0) are left out.

    Parameters
    ----------
    curves : array, shape (curve, lag)
        Autocorrelations.
    bin_ms : float
        Width of a bin.
    lags : array of int, shape (lag,)
        Which lags these are, in bins, rising; they need not begin at 1.
    weights : array, shape (lag,) or (curve, lag)
        Proportional to the number of pairs behind each lag.
    window_ms : float
        How long the activity was observed without a break (a trial, a recording), at least the largest lag. With
        less than 5 tau the status is too_short.
    model : str or sequence of str
        ``"exponential"``: A exp(-t / tau). ``"exponential_offset"``: A (exp(-t / tau) + B).
        ``"two_exponentials"`` and ``"two_exponentials_offset"``: the sum of two, both of the same sign. Of several
        the criterion chooses, for each curve.
    criterion : {"bic", "aicc"}
        By which to choose (Schwarz 1978, https://doi.org/10.1214/aos/1176344136; Hurvich & Tsai 1989,
        https://doi.org/10.1093/biomet/76.2.297). Its number of data is that of the fitted lags. As their errors are
        correlated, it is a rule, not a test, and inclined to larger models (see `decay_models`).
    start : {"first", "largest_drop"}
        Where the fit begins: at the first lag, or at the one before the largest drop that leaves enough lags (Murray
        et al. 2014, https://doi.org/10.1038/nn.3862): 4 for one exponential, 5 for two, 6 for two with offset.
    start_within : int, optional
        Only the first so many lags may be the start. The largest drop of a single neuron's curve is often noise,
        and tau then too short; 3 is a good choice there. Where none of them is followed by a drop, the first is it.
    sign : {"positive", "negative", "any"}
        Of the amplitude. Refractoriness gives a negative one: the autocorrelation of a gamma renewal process of
        shape 2 and rate nu is -A exp(-4 nu t).

    Returns
    -------
    DecayFit

    Raises
    ------
    InputError
        If shapes, lags, weights or words are not as above.

    Examples
    --------
    >>> lags = np.arange(1, 101)
    >>> curves = np.exp(-lags / 4.0)[None] + 0.5 * np.exp(-lags / 30.0)[None]
    >>> fit = fit_decay(curves, bin_ms=5.0, lags=lags, weights=1000 - lags, window_ms=5000.0,
    ...                 model=("exponential", "exponential_offset", "two_exponentials"))
    >>> fit.model[0], fit.tau_components_ms[0].round(3), fit.tau_ms[0].round(3), fit.status[0]
    (np.str_('two_exponentials'), array([ 20., 150.]), np.float64(20.0), np.str_('ok'))
    """
    names = (model,) if isinstance(model, str) or not isinstance(model, Sequence) else tuple(model)
    if not names or len(set(names)) < len(names):
        raise InputError("model", model, f"one or several different ones of {', '.join(MODELS)}")
    for name in names:
        checks.choice("model", name, MODELS)
    for field, value, among in (("criterion", criterion, CRITERIA), ("start", start, STARTS), ("sign", sign, SIGNS)):
        checks.choice(field, value, among)
    if start == "largest_drop" and sign == "any":
        raise InputError("sign", sign, "positive or negative where the fit starts at the largest drop")
    if start_within is not None:
        checks.whole("start_within", start_within, 1)
    models = tuple(Model(name) for name in names)
    values, lag, weight = checked_curves(curves, lags, weights, fewest=max(one.fewest_lags for one in models))
    window = float(checks.positive("window_ms", window_ms, "a positive number of milliseconds"))
    width = float(checks.positive("bin_ms", bin_ms, "a positive number of milliseconds"))
    if window < lag[-1] * width * (1 - 1e-9):
        raise InputError("window_ms", window_ms, f"at least the largest lag, {lag[-1] * width:g} ms")
    task = Task(lag, width, window, models, criterion, start, start_within, sign)
    return _described(best_models(values, weight, task), task)
