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
]

ESTIMATORS: dict[str, type[Any]] = {
    kind.name: kind
    for kind in (PearsonTrials, Autocorrelation, Tiling, MultistepRegression, SpectralKnee, IntegralTimescale)
}


def estimator_of(estimator: str | Estimator, settings: dict[str, Any]) -> Estimator:
    """An estimator by name and settings.

    Parameters
    ----------
    estimator : str or Estimator
        One of `ESTIMATORS`, or one that is made already.
    settings : dict
        What its class takes; empty if it is made already.

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
    made: Estimator = kind(**settings)
    return made
