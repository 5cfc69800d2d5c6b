"""Which lags of an autocorrelation are fitted, by which models, and which model is taken.

The number of exponentials can be left to an information criterion (Schwarz 1978,
https://doi.org/10.1214/aos/1176344136; Hurvich & Tsai 1989, https://doi.org/10.1093/biomet/76.2.297). Neighbouring
lags share most of their data, so their errors are correlated: the criterion is a rule that chooses the same way every
time, not a test with an error rate. With independent errors it takes 96 % of single exponentials for what they are; of
autocorrelations of first-order processes (tau 5 or 20 bins, lags to 100 bins) it takes 34 to 46 % for two.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray

from cortexsnn.timescales.sums_of_exponentials import Exponentials, fit_one, fit_two
from cortexsnn.timescales.variable_projection import Curves

__all__ = ["CRITERIA", "FEWEST_LAGS", "MODELS", "SIGNS", "STARTS", "Chosen", "Model", "Task", "best_models"]

Values = NDArray[np.float64]

MODELS = ("exponential", "exponential_offset", "two_exponentials", "two_exponentials_offset")
CRITERIA = ("bic", "aicc")
STARTS = ("first", "largest_drop")
SIGNS = {"positive": (1.0,), "negative": (-1.0,), "any": (1.0, -1.0)}
# Three parameters need a fourth lag to be tested by.
FEWEST_LAGS = 4
SHORTEST_TAU_IN_BINS = 0.1
LONGEST_TAU_IN_WINDOWS = 10.0
# Residuals below a millionth of the curve are rounding, and no reason to choose a larger model.
_ROUNDING = 1e-12
_NUMBERS_AT_A_TIME = 400_000


@dataclass(frozen=True)
class Model:
    """One of `MODELS`.

    Parameters
    ----------
    name : str

    Examples
    --------
    >>> Model("two_exponentials_offset").parameters
    5
    """

    name: str

    @property
    def components(self) -> int:
        """Number of exponentials."""
        return 2 if self.name.startswith("two") else 1

    @property
    def level(self) -> bool:
        """Whether there is a constant."""
        return self.name.endswith("offset")

    @property
    def parameters(self) -> int:
        """Number of unknowns."""
        return 2 * self.components + self.level

    @property
    def fewest_lags(self) -> int:
        """How many lags it needs."""
        # One more than there are parameters, to test them by.
        return max(FEWEST_LAGS, self.parameters + 1)


@dataclass(frozen=True, eq=False)
class Task:
    """What `fit_decay` was asked for, once checked: its parameters; `lags` in bins, `models` as `Model`."""

    lags: NDArray[np.int64]
    bin_ms: float
    window_ms: float
    models: tuple[Model, ...]
    criterion: str
    start: str
    start_within: int | None
    sign: str

    @property
    def spacing(self) -> float:
        """Smallest distance between lags in bins."""
        return float(np.diff(self.lags).min())

    @property
    def log_range(self) -> tuple[float, float]:
        """Between which log tau in bins to search."""
        longest = LONGEST_TAU_IN_WINDOWS * self.window_ms / self.bin_ms
        return float(np.log(SHORTEST_TAU_IN_BINS * self.spacing)), float(np.log(longest))

    def first(self, values: Values, counted: NDArray[np.bool_]) -> NDArray[np.intp]:
        """Place of the first fitted lag of each curve."""
        if self.start == "first":
            return counted.argmax(axis=1)
        fewest = max(model.fewest_lags for model in self.models)
        places = values.shape[1] - fewest + 1
        if self.start_within is not None:
            places = min(places, self.start_within)
        drops = np.where(counted[:, :-1] & counted[:, 1:], np.diff(values, axis=1), np.inf)[:, :places]
        falls = drops.min(axis=1) < 0
        # A curve that falls nowhere is fitted whole: it may still fall on average.
        return np.where(falls, drops.argmin(axis=1), counted.argmax(axis=1))


@dataclass(frozen=True, eq=False)
class Chosen:
    """The best model so far of each curve.

    Parameters
    ----------
    model : array of int, shape (curve,)
        Place in the models of the task.
    first : array of int, shape (curve,)
        First fitted lag in bins; 0 where there is no fit.
    log_tau, height : array, shape (curve, 2)
        Of each component, tau in bins and the height at the first fitted lag; height 0: no such component.
    level, explained, total : array, shape (curve,)
        The constant, and the weighted sums of squares explained and to be explained.
    score : array, shape (curve,)
        The criterion; infinite where there is no fit.
    """

    model: NDArray[np.int64]
    first: NDArray[np.int64]
    log_tau: Values
    height: Values
    level: Values
    explained: Values
    total: Values
    score: Values

    @classmethod
    def none(cls, curves: int) -> Chosen:
        """No fit yet."""
        return cls(
            model=np.zeros(curves, dtype=np.int64),
            first=np.zeros(curves, dtype=np.int64),
            log_tau=np.zeros((curves, 2)),
            height=np.zeros((curves, 2)),
            level=np.zeros(curves),
            explained=np.zeros(curves),
            total=np.zeros(curves),
            score=np.full(curves, np.inf),
        )

    def put(self, rows: NDArray[np.intp], other: Chosen, chosen: NDArray[np.bool_] | slice = slice(None)) -> None:
        """Overwrite some rows with the chosen ones of `other`."""
        for field in fields(self):
            getattr(self, field.name)[rows] = getattr(other, field.name)[chosen]


def _score(criterion: str, parameters: int, unexplained: Values, lags: NDArray[np.int64]) -> Values:
    """Information criterion of a weighted Gaussian fit, of which the variance is a parameter too."""
    free = parameters + 1.0
    if criterion == "bic":
        penalty = free * np.log(lags)
    else:
        # Too few lags for this many parameters: as bad as can be, but still better than nothing.
        penalty = 2 * free + 2 * free * (free + 1) / np.maximum(lags - free - 1, 1e-9)
    return np.asarray(lags * np.log(unexplained / lags) + penalty)


def _groups(values: Values, weights: Values, task: Task) -> Iterator[tuple[NDArray[np.intp], int, Curves]]:
    """Curves that begin at the same lag, and share their weights if none is missing; the rest in groups of their own.

    Gives rows, place of the first fitted lag, and what to fit. `weights` are of shape (curve, lag) or (1, lag).
    """
    counted = np.isfinite(values) & (weights > 0)
    first = task.first(values, counted)
    fitted = counted & (np.arange(values.shape[1]) >= first[:, None])
    enough = fitted.sum(axis=1) >= min(model.fewest_lags for model in task.models)
    whole = fitted.sum(axis=1) == values.shape[1] - first
    for place in np.unique(first[enough]):
        lag = (task.lags[place:] - task.lags[place]).astype(np.float64)
        for same in (True, False) if len(weights) == 1 else (False,):
            chosen = (first == place) & enough & ((whole == same) | (len(weights) > 1))
            if not chosen.any():
                continue
            rows = np.flatnonzero(chosen)
            known = fitted[rows, place:]
            of_lags = weights[:, place:] if len(weights) == 1 else weights[rows, place:]
            yield (
                rows,
                place,
                Curves(
                    lag=lag,
                    values=np.where(known, values[rows, place:], 0.0),
                    weights=of_lags if same else np.where(known, of_lags, 0.0),
                    level=False,
                ),
            )


def _best_model(curves: Curves, place: int, task: Task) -> Chosen:
    """Fit all models to curves that begin at the same lag."""
    number = len(curves.values)
    best = Chosen.none(number)
    lags = np.broadcast_to((curves.weights > 0).sum(axis=1), number)
    rounding = _ROUNDING * curves.total()
    ones: dict[bool, Exponentials] = {}
    for which, model in enumerate(task.models):
        with_level = replace(curves, level=model.level)
        if model.level not in ones:
            ones[model.level] = fit_one(with_level, task.log_range)
        fit = ones[model.level]
        if model.components == 2:
            fit = fit_two(with_level, fit, task.log_range)
        total = with_level.total()
        unexplained = np.maximum(total - fit.explained, np.maximum(rounding, np.finfo(np.float64).tiny))
        score = _score(task.criterion, model.parameters, unexplained, lags)
        score[(fit.explained <= 0) | (lags < model.fewest_lags)] = np.inf
        empty = ((0, 0), (0, 2 - fit.height.shape[1]))
        candidate = Chosen(
            model=np.full(number, which),
            first=np.full(number, task.lags[place]),
            log_tau=np.pad(fit.log_tau, empty),
            height=np.pad(fit.height, empty),
            level=fit.level,
            explained=fit.explained,
            total=total,
            score=score,
        )
        better = score < best.score
        best.put(np.flatnonzero(better), candidate, better)
    return best


def _fitted(values: Values, weights: Values, task: Task) -> Chosen:
    """The best model of some curves."""
    best = Chosen.none(len(values))
    for sign in SIGNS[task.sign]:
        for rows, place, curves in _groups(sign * values, weights, task):
            found = _best_model(curves, place, task)
            better = found.score < best.score[rows]
            found = replace(found, height=sign * found.height, level=sign * found.level)
            best.put(rows[better], found, better)
    return best


def best_models(values: Values, weights: Values, task: Task) -> Chosen:
    """Fit and choose, a limited number of curves at a time.

    Parameters
    ----------
    values : array, shape (curve, lag)
        NaN where a lag is missing.
    weights : array, shape (curve, lag) or (1, lag)
        0 where a lag is left out.
    task : Task

    Returns
    -------
    Chosen

    Examples
    --------
    >>> lags = np.arange(1, 30)
    >>> task = Task(lags, 1.0, 300.0, (Model("exponential"),), "bic", "first", None, "positive")
    >>> np.exp(best_models(np.exp(-lags[None] / 3.0), np.ones((1, 29)), task).log_tau[:, 0]).round(3)
    array([3.])
    """
    best = Chosen.none(len(values))
    size = max(1, _NUMBERS_AT_A_TIME // values.shape[1])
    for begin in range(0, len(values), size):
        rows = np.arange(begin, min(begin + size, len(values)))
        best.put(rows, _fitted(values[rows], weights if len(weights) == 1 else weights[rows], task))
    return best
