"""The memoryless control: what input counts alone tell, without time constants and without spiking neurons."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from cortexsnn.datasets import Split
from cortexsnn.errors import InputError

__all__ = ["memoryless_control"]

_MOST_ITERATIONS = 200
_SMALLEST_GRADIENT = 1e-5  # of the mean cross-entropy; 1e-7 changes no answer on MTS-XOR or spoken digits
_ROWS_AT_ONCE = 50_000  # in float64, when the validation split is scored
_TRIALS_AT_ONCE = 256


class _Examples:
    """Rows of counts, and their labels: a row is a scored step, or a whole trial where the trial has one label."""

    def __init__(self, split: Split, scored_steps: NDArray[np.bool_] | None) -> None:
        self._split = split
        self._by_step = split.labels.ndim > 1
        steps = slice(None) if scored_steps is None else np.asarray(scored_steps, dtype=bool)
        self._steps = np.arange(split.counts.shape[1])[steps]
        self.labels: NDArray[np.int64] = split.labels[:, steps].ravel() if self._by_step else split.labels

    def counts(self, rows: NDArray[np.int64]) -> NDArray[np.float64]:
        """Counts of some rows, which rise, shape (row, channel); their trials are made a batch at a time."""
        found = np.empty((rows.size, self._split.counts.shape[2]))
        of_a_trial = self._steps.size if self._by_step else 1
        trials = np.unique(rows // of_a_trial)
        filled = 0
        for start in range(0, trials.size, _TRIALS_AT_ONCE):
            some = trials[start : start + _TRIALS_AT_ONCE]
            stop = int(np.searchsorted(rows, (some[-1] + 1) * of_a_trial))
            trial, step = np.divmod(rows[filled:stop], of_a_trial)
            block = self._split.counts[some]
            if self._by_step:
                found[filled:stop] = block[np.searchsorted(some, trial), self._steps[step]]
            else:
                found[filled:stop] = block.sum(axis=1, dtype=np.uint32)
            filled = stop
        return found


def _drawn(rows: int, most_rows: int) -> NDArray[np.int64]:
    """The rows to train on: all, or a draw with a fixed seed.

    Every n-th row would be simpler, but meets one class only where labels take turns.
    """
    if rows <= most_rows:
        return np.arange(rows)
    return np.sort(np.random.default_rng(0).choice(rows, most_rows, replace=False))


def _logistic_regression(features: torch.Tensor, labels: torch.Tensor, classes: int) -> torch.Tensor:
    """Weights and, in the last column, biases of multinomial logistic regression, shape (class, channel + 1).

    The ridge is that of weights drawn from a standard normal distribution (for standardised features): weak, and
    enough for a unique solution when the classes can be separated.
    """
    ridge = 0.5 / len(features)
    solution = torch.zeros(classes, features.shape[1] + 1, dtype=features.dtype, requires_grad=True)
    optimiser = torch.optim.LBFGS([solution], max_iter=_MOST_ITERATIONS, tolerance_grad=_SMALLEST_GRADIENT,
                                  line_search_fn="strong_wolfe")  # fmt: skip

    def loss() -> torch.Tensor:
        optimiser.zero_grad()
        scores = functional.linear(features, solution[:, :-1], solution[:, -1])
        value = functional.cross_entropy(scores, labels) + ridge * solution[:, :-1].square().sum()
        value.backward()
        return value

    optimiser.step(loss)
    return solution.detach()


def memoryless_control(
    train: Split,
    validation: Split,
    classes: int,
    scored_steps: NDArray[np.bool_] | None = None,
    *,
    most_rows: int = 200_000,
) -> float:
    """Validation accuracy of a decoder without memory and without spiking layers.

    Multinomial logistic regression on input counts: those of the very step where every step has a label, those of the
    whole trial where the trial has one. A network that does no better has not learned to make use of
    time. The result is the same on every call.

    Parameters
    ----------
    train, validation : Split
        Counts have shape (trial, time, channel).
    classes : int
        Number of classes.
    scored_steps : array of bool, shape (time,), optional
        Steps that count where every step has a label; all of them if not given.
    most_rows : int
        Training is on at most so many steps or trials, drawn with a fixed seed.

    Returns
    -------
    float
        From 0 to 1.

    Raises
    ------
    InputError
        If there is nothing to learn from, or a label is not one of the classes.

    Examples
    --------
    The class is the channel that fires:

    >>> labels = np.arange(60) % 2
    >>> counts = np.repeat(np.eye(2, dtype=np.uint8)[labels][:, None], 5, axis=1)
    >>> split = Split(counts, labels)
    >>> memoryless_control(split, split, 2)
    1.0
    """
    if most_rows < 1:
        raise InputError("most_rows", most_rows, "at least 1")
    examples, held_out = _Examples(train, scored_steps), _Examples(validation, scored_steps)
    for name, found in (("training", examples.labels), ("validation", held_out.labels)):
        if found.size == 0:
            raise InputError(f"scored steps or trials of the {name} split", 0, "at least one")
        if found.min() < 0 or found.max() >= classes:
            raise InputError(f"labels of the {name} split", (int(found.min()), int(found.max())),
                             f"classes from 0 to {classes - 1}")  # fmt: skip
    rows = _drawn(examples.labels.size, most_rows)
    features = examples.counts(rows)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation == 0] = 1.0  # a silent channel stays 0
    features -= mean  # in place: the largest array here
    features /= deviation
    solution = _logistic_regression(
        torch.from_numpy(features), torch.from_numpy(examples.labels[rows]), classes
    ).numpy()

    right = 0
    for start in range(0, held_out.labels.size, _ROWS_AT_ONCE):
        some = np.arange(start, min(start + _ROWS_AT_ONCE, held_out.labels.size))
        scores = (held_out.counts(some) - mean) / deviation @ solution[:, :-1].T + solution[:, -1]
        right += int((scores.argmax(axis=1) == held_out.labels[some]).sum())
    return right / held_out.labels.size
