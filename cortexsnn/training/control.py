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


def _examples(split: Split, scored_steps: NDArray[np.bool_] | None) -> tuple[NDArray[np.integer], NDArray[np.int64]]:
    """Counts, shape (row, channel), and labels, shape (row,): a row is a scored step, or a whole trial."""
    if split.labels.ndim == 1:
        return split.counts.sum(axis=1, dtype=np.uint32), split.labels
    steps = slice(None) if scored_steps is None else np.asarray(scored_steps, dtype=bool)
    return split.counts[:, steps].reshape(-1, split.counts.shape[2]), split.labels[:, steps].ravel()


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
    counts, labels = _examples(train, scored_steps)
    validation_counts, validation_labels = _examples(validation, scored_steps)
    for name, found in (("training", labels), ("validation", validation_labels)):
        if found.size == 0:
            raise InputError(f"scored steps or trials of the {name} split", 0, "at least one")
        if found.min() < 0 or found.max() >= classes:
            raise InputError(f"labels of the {name} split", (int(found.min()), int(found.max())),
                             f"classes from 0 to {classes - 1}")  # fmt: skip
    rows = _drawn(labels.size, most_rows)
    features = counts[rows].astype(np.float64)
    mean, deviation = features.mean(axis=0), features.std(axis=0)
    deviation[deviation == 0] = 1.0  # a silent channel stays 0
    features -= mean  # in place: the largest array here
    features /= deviation
    solution = _logistic_regression(torch.from_numpy(features), torch.from_numpy(labels[rows]), classes).numpy()

    right = 0
    for start in range(0, validation_labels.size, _ROWS_AT_ONCE):
        some = slice(start, start + _ROWS_AT_ONCE)
        scores = (validation_counts[some] - mean) / deviation @ solution[:, :-1].T + solution[:, -1]
        right += int((scores.argmax(axis=1) == validation_labels[some]).sum())
    return right / validation_labels.size
