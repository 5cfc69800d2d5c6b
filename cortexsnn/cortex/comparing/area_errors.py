"""How sure the mean timescale of an area is: the errors that are printed, and how far data sets of one area lie apart.

Most areas were recorded in one or two data sets, whose own scatter says next to nothing. So data sets are taken to
scatter alike in all areas of a table, in ln(tau), and the error of the mean of k data sets is that scatter over the
root of k, with Student's t on the degrees of freedom of all areas together (one-way analysis of variance). Data sets
scatter by the errors within them too, so printed errors are not added; they count where they are larger (normally, as
what is printed does not depend on how many data sets there are), and where no area has several data sets. In a
simulation (standard deviation of ln(tau) between data sets 0.17, as in `murray2014`; errors within them none, half as
large, as large) intervals of 95 % held the true mean of an area in so many cases:

    data sets of the areas                               none    half    as large
    2, 2, 5, 2, 3                                        0.95    0.95    0.95
    3, 1, 1, 1                                           0.94    0.93    0.93
    2, 2, 5, 2, 3, one of its data sets drawn again      0.64    0.94    0.98
    3, 1, 1, 1, one of its data sets drawn again         0.18    0.69    0.87

To draw one of the data sets of an area again shows where single data sets lie, and not how sure their mean is.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.checks import Values
from cortexsnn.cortex.comparing.layers import REPLICATES, split_log_normal

__all__ = ["area_replicates"]

_CONFIDENCE = 0.95
_SIGMAS = 1.96
# In ln(tau): with two data sets in all, Student's t has draws that no number can hold, as have errors of a slip.
_FARTHEST = 20.0


def _drawn(table: xr.Dataset, rng: np.random.Generator) -> tuple[Values, NDArray[np.bool_]]:
    """Timescales that the error of each observation allows, (observation, REPLICATES), and whether it is known."""
    tau_ms = table["tau_ms"].to_numpy().astype(np.float64)
    unknown = np.full(tau_ms.size, np.nan)
    sem, low, high = (table[name].to_numpy() if name in table else unknown for name in ("sem_ms", "low_ms", "high_ms"))
    reach = np.exp(np.minimum(_SIGMAS * np.where(sem > 0, sem, np.nan) / tau_ms, _FARTHEST))
    by_error = np.isnan(low) & np.isnan(high)
    low, high = np.where(by_error, tau_ms / reach, low), np.where(by_error, tau_ms * reach, high)
    drawn = [
        split_log_normal(tau, below, above, _CONFIDENCE, REPLICATES, rng)
        for tau, below, above in zip(tau_ms.tolist(), low.tolist(), high.tolist(), strict=True)
    ]
    # An interval from 0 says nothing of the lower end.
    return np.stack(drawn), (np.isfinite(low) & (low > 0)) | np.isfinite(high)


def _between(log_tau: Values, area: NDArray[np.int64]) -> tuple[float, int]:
    """Variance of data sets about the mean of their area, and its degrees of freedom."""
    number = np.bincount(area)
    freedom = int((number - 1).sum())
    means = np.bincount(area, log_tau) / number
    return float(((log_tau - means[area]) ** 2).sum()) / max(1, freedom), freedom


def area_replicates(
    table: xr.Dataset, area: NDArray[np.str_], rng: np.random.Generator
) -> tuple[Values, NDArray[np.bool_]]:
    """Mean timescales that the errors and the scatter of data sets allow for each area.

    Parameters
    ----------
    table : xarray.Dataset
        On observation, of one measure.
    area : array of str, shape (area,)
        Names of the areas, all that the table has.
    rng : numpy.random.Generator

    Returns
    -------
    replicates : array, shape (area, REPLICATES)
        In ms; all the same where no error is known.
    known : array of bool, shape (area,)
        Whether they mean something: some area has several data sets, which differ, or an error of this one is printed
        (all of them, where no area has several).

    Examples
    --------
    >>> from cortexsnn.cortex import load, rows
    >>> table = rows(load("murray2014"), stream="visual-prefrontal")
    >>> replicates, known = area_replicates(table, np.array(["MT", "LPFC"]), np.random.default_rng(1))
    >>> np.percentile(replicates, [2.5, 50, 97.5], axis=1).round(-1).T.tolist(), known.tolist()
    ([[50.0, 70.0, 90.0], [140.0, 170.0, 200.0]], [True, True])
    """
    drawn, has_error = _drawn(table, rng)
    names = table["area"].to_numpy().astype(str)
    which = np.searchsorted(np.unique(names), names)
    tau_ms = table["tau_ms"].to_numpy().astype(np.float64)
    between, freedom = _between(np.log(tau_ms), which)
    within = np.where(has_error, np.log(drawn).var(axis=1), np.nan)
    replicates, known = np.full((area.size, REPLICATES), np.nan), np.zeros(area.size, dtype=bool)
    for row, name in enumerate(area.tolist()):
        inside = names == name
        if not freedom:
            known[row], replicates[row] = has_error[inside].all(), drawn[inside][0]
            continue
        # Data sets scatter by their errors too: these count on their own only where they are the larger.
        printed = float(within[inside & has_error].mean()) if has_error[inside].any() else 0.0
        known[row] = max(between, printed) > 0
        # How sure a printed error is has nothing to do with how many data sets were recorded.
        unit = rng.standard_normal(REPLICATES) if printed > between else rng.standard_t(freedom, REPLICATES)
        scatter = np.clip(np.sqrt(max(between, printed) / inside.sum()) * unit, -_FARTHEST, _FARTHEST)
        replicates[row] = tau_ms[inside].mean() * np.exp(scatter)
    return replicates, known
