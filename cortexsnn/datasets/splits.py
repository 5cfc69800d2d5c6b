"""Trials that are held out of a training file: drawn one by one, or all of some speakers."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from cortexsnn.checks import generator, number, whole
from cortexsnn.errors import InputError

__all__ = ["held_out_speakers", "held_out_trials"]


def held_out_trials(trials: int, fraction: float, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw single trials, whoever spoke.

    Parameters
    ----------
    trials : int
    fraction : float
        Part that is held out, above 0 and below 1; at least one trial.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of bool, shape (trial,)
        Whether a trial is held out.

    Raises
    ------
    InputError
        If the fraction is not between 0 and 1, or no trial would be left.

    Examples
    --------
    >>> int(held_out_trials(10, 0.2, np.random.default_rng(0)).sum())
    2
    """
    if not 0 < number("validation_fraction", fraction, finite=False) < 1:
        raise InputError("validation_fraction", fraction, "a number between 0 and 1")
    held = max(1, round(fraction * whole("trials", trials, 1)))
    if held >= trials:
        raise InputError("trials of the training file", trials, f"more than the {held} that are held out")
    order = generator(rng).permutation(trials)
    return np.isin(np.arange(trials), order[:held])


def held_out_speakers(speaker: NDArray[np.int64] | None, speakers: int, rng: np.random.Generator) -> NDArray[np.bool_]:
    """Draw speakers, and hold out all of their trials: the stricter choice where test speakers are new.

    Parameters
    ----------
    speaker : array of int, shape (trial,), or None
        Who spoke, or None where this is not known.
    speakers : int
        How many are held out.
    rng : numpy.random.Generator

    Returns
    -------
    numpy.ndarray of bool, shape (trial,)
        Whether a trial is held out.

    Raises
    ------
    InputError
        If speakers are not known, or none would be left.

    Examples
    --------
    >>> held_out_speakers(np.array([0, 0, 1, 2]), 1, np.random.default_rng(1))
    array([False, False,  True, False])
    """
    if speaker is None:
        raise InputError("validation_speakers", speakers, "0", "the training file does not say who spoke")
    known = np.unique(speaker)
    if whole("validation_speakers", speakers, 1) >= known.size:
        raise InputError("validation_speakers", speakers, f"fewer than the {known.size} speakers of the training file")
    return np.isin(speaker, generator(rng).choice(known, speakers, replace=False))
