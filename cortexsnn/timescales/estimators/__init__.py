"""Estimators of intrinsic timescales, by name."""

from __future__ import annotations

from typing import Any

from cortexsnn.errors import InputError
from cortexsnn.timescales.estimators.autocorrelation import Autocorrelation
from cortexsnn.timescales.estimators.contract import Activity, Estimator
from cortexsnn.timescales.estimators.knee import SpectralKnee
from cortexsnn.timescales.estimators.multistep import MultistepRegression
from cortexsnn.timescales.estimators.pearson_trials import PearsonTrials
from cortexsnn.timescales.estimators.tiling import Tiling
from cortexsnn.timescales.estimators.width import IntegralTimescale

__all__ = [
    "ESTIMATORS",
    "Activity",
    "Autocorrelation",
    "Estimator",
    "IntegralTimescale",
    "MultistepRegression",
    "PearsonTrials",
    "SpectralKnee",
    "Tiling",
    "estimator_of",
    "usual_bin_ms",
]

ESTIMATORS: dict[str, type[Any]] = {
    kind.name: kind
    for kind in (PearsonTrials, Autocorrelation, Tiling, MultistepRegression, SpectralKnee, IntegralTimescale)
}


def usual_bin_ms(estimator: str, step_ms: float) -> float:
    """Width of the bins where the user sets none: that of the estimator, in whole time steps.

    Parameters
    ----------
    estimator : str
        One of `ESTIMATORS`.
    step_ms : float
        Time step of a recording or signal.

    Returns
    -------
    float

    Examples
    --------
    >>> usual_bin_ms("pearson_trials", 14.0), usual_bin_ms("acf", 25.0)
    (56.0, 25.0)
    """
    steps = max(1, round(ESTIMATORS[estimator]().bin_ms / step_ms))
    return float(steps * step_ms)


def estimator_of(estimator: str | Estimator, settings: dict[str, Any], *, step_ms: float | None = None) -> Estimator:
    """An estimator by name and settings.

    Parameters
    ----------
    estimator : str or Estimator
        One of `ESTIMATORS`, or one that is made already.
    settings : dict
        What its class takes; empty if it is made already.
    step_ms : float, optional
        Time step of the activity, which the bins are rounded to if `settings` have none.

    Returns
    -------
    Estimator

    Raises
    ------
    InputError
        If there is no such estimator, or it has no such setting.

    Examples
    --------
    >>> estimator_of("pearson_trials", {"bin_ms": 25.0})
    PearsonTrials(bin_ms=25.0, max_lag_ms=None)
    """
    if not isinstance(estimator, str):
        if settings:
            raise InputError("settings", sorted(settings), f"none beside {type(estimator).__name__}, which has them")
        return estimator
    if estimator not in ESTIMATORS:
        raise InputError("estimator", estimator, f"one of {', '.join(ESTIMATORS)}")
    kind = ESTIMATORS[estimator]
    known = list(kind.__dataclass_fields__)
    for name in settings:
        if name not in known:
            raise InputError(f"setting of {estimator}", name, f"one of {', '.join(known)}")
    if step_ms is not None and "bin_ms" not in settings:
        settings = {"bin_ms": usual_bin_ms(estimator, step_ms), **settings}
    made: Estimator = kind(**settings)
    return made
