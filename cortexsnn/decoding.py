"""Classes from readout potentials, the same for every simulator.

The two decoders are those of Moro et al. 2024 (https://doi.org/10.48550/arXiv.2407.18838).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.network import DECODERS

__all__ = ["accuracy", "decode"]


def _softmax(potential: NDArray[np.float64]) -> NDArray[np.float64]:
    shifted = np.exp(potential - potential.max(axis=-1, keepdims=True))
    return shifted / shifted.sum(axis=-1, keepdims=True)


def decode(potential: ArrayLike, decoder: str) -> NDArray[np.int64]:
    """Read classes from the potentials of a readout.

    Parameters
    ----------
    potential : array, shape (trial, time, class)
        Membrane potential of the leaky integrators.
    decoder : {"sum_of_softmax", "per_step"}
        One class for a trial, the largest sum over time of softmax(V); or one class for every time step, the
        largest V.

    Returns
    -------
    numpy.ndarray of int
        Shape (trial,) for ``"sum_of_softmax"``, (trial, time) for ``"per_step"``.

    Examples
    --------
    >>> potential = np.array([[[0.0, 1.0], [3.0, 0.0], [2.0, 0.0]]])
    >>> decode(potential, "per_step")
    array([[1, 0, 0]])
    >>> decode(potential, "sum_of_softmax")
    array([0])
    """
    values = np.asarray(potential, dtype=np.float64)
    if values.ndim != 3:
        raise InputError("shape of potential", values.shape, "(trial, time, class)")
    if decoder == "per_step":
        return values.argmax(axis=-1)
    if decoder == "sum_of_softmax":
        return _softmax(values).sum(axis=1).argmax(axis=-1)
    raise InputError("decoder", decoder, f"one of {', '.join(DECODERS)}")


def accuracy(
    classes: NDArray[np.int64], labels: NDArray[np.int64], scored_steps: NDArray[np.bool_] | None = None
) -> float:
    """Fraction of right classes.

    Parameters
    ----------
    classes, labels : array of int, shape (trial,) or (trial, time)
        What was read out and what was right.
    scored_steps : array of bool, shape (time,), optional
        Steps that count; all of them if not given.

    Returns
    -------
    float

    Examples
    --------
    >>> accuracy(np.array([[0, 1, 1]]), np.array([[1, 1, 0]]), np.array([False, True, True]))
    0.5
    """
    classes, labels = np.asarray(classes), np.asarray(labels)
    if classes.shape != labels.shape:
        raise InputError("shape of labels", labels.shape, f"{classes.shape}, that of the decoded classes")
    right = classes == labels
    if scored_steps is not None and right.ndim == 2:
        right = right[:, np.asarray(scored_steps, dtype=bool)]
    return float(right.mean())
