"""The exponential decay of an autocorrelation, fitted as for the cortex.

R(k) = A * (exp(-k * bin / tau) + B), with k the lag in bins (Murray et al. 2014, https://doi.org/10.1038/nn.3862).
Each lag weighs as many bin pairs as it was averaged over, N - k of N bins. The first fitted lag is the one after
which the curve drops most, which passes over the low first lags that refractoriness and adaptation cause. With these
two rules the 16 published timescales follow from the published curves (tests/frozen/test_murray_curves.py).

Other models, weights and start rules are those of `decay.fit_decay`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.timescales.decay import fit_decay
from cortexsnn.timescales.decay_models import FEWEST_LAGS

__all__ = ["MINIMUM_LAGS", "ExponentialFit", "fit_exponential"]

Values = NDArray[np.float64]

MINIMUM_LAGS = FEWEST_LAGS


@dataclass(frozen=True, eq=False)
class ExponentialFit:
    """Fits of many curves; each array has shape (curve,).

    Parameters
    ----------
    bin_ms : float
        Width of a bin.
    tau_ms, amplitude, offset : array of float
        tau, A and B; NaN where nothing could be fitted (status no_decay).
    first_lag : array of int
        First fitted lag in bins; 0 where nothing could be fitted.
    explained : array of float
        By how much the weighted sum of squares is smaller than that of a flat line; 0 where nothing decays.
    status : array of str
        A `Status` each: ok, too_short, at_bound or no_decay.
    """

    bin_ms: float
    tau_ms: Values
    amplitude: Values
    offset: Values
    first_lag: NDArray[np.int64]
    explained: Values
    status: NDArray[np.str_]

    def curve(self, lags: int) -> Values:
        """Fitted values at lags 1 to `lags`, shape (curve, lag); NaN before the first fitted lag."""
        lag = np.arange(1, lags + 1)
        decay = np.exp(-lag * self.bin_ms / self.tau_ms[:, None])
        fitted = self.amplitude[:, None] * (decay + self.offset[:, None])
        return np.where(lag >= self.first_lag[:, None], fitted, np.nan)


def fit_exponential(curves: NDArray[np.floating], *, bin_ms: float, bins: int) -> ExponentialFit:
    """Fit the decay of many autocorrelations at once.

    tau is sought between a tenth of a bin and ten observation windows (``bins * bin_ms``). The start rule looks
    only at drops that leave at least 4 lags to fit. NaN lags are left out.

    Parameters
    ----------
    curves : array, shape (curve, lag)
        Autocorrelations at lags of 1, 2, ... bins.
    bin_ms : float
        Width of a bin.
    bins : int
        N, the number of bins in a trial; lag k weighs N - k.

    Returns
    -------
    ExponentialFit

    Raises
    ------
    InputError
        If there are fewer than 4 lags, more lags than `bins` - 1, or `bin_ms` is not positive.

    Examples
    --------
    >>> lag_ms = 50.0 * np.arange(1, 20)
    >>> fit = fit_exponential(0.2 * (np.exp(-lag_ms / 120.0) + 0.1)[None], bin_ms=50.0, bins=20)
    >>> fit.tau_ms.round(3), fit.amplitude.round(3), fit.offset.round(3), fit.status
    (array([120.]), array([0.2]), array([0.1]), array(['ok'], dtype='<U...'))
    """
    values = np.asarray(curves, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] < MINIMUM_LAGS:
        raise InputError("shape of curves", values.shape, f"(curve, lag) with at least {MINIMUM_LAGS} lags")
    if values.shape[1] > bins - 1:
        raise InputError("bins", bins, f"at least {values.shape[1] + 1}, one more than the {values.shape[1]} lags")
    if not (np.isfinite(bin_ms) and bin_ms > 0):
        raise InputError("bin_ms", bin_ms, "a positive number of milliseconds")
    lags = np.arange(1, values.shape[1] + 1)
    fit = fit_decay(
        values,
        bin_ms=bin_ms,
        lags=lags,
        weights=bins - lags,
        window_ms=bins * bin_ms,
        model="exponential_offset",
        start="largest_drop",
    )
    return ExponentialFit(bin_ms, fit.tau_ms, fit.amplitude, fit.offset, fit.first_lag, fit.explained, fit.status)
