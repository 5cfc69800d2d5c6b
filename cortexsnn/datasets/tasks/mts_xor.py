"""Multi-time-scale XOR: remember a slow cue while fast patterns come and go, and answer with their XOR.

Zheng et al. 2024, https://doi.org/10.1038/s41467-023-44614-z, in the form of Moro et al. 2024,
https://doi.org/10.48550/arXiv.2407.18838.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from cortexsnn.datasets.dataset import Dataset, Split
from cortexsnn.datasets.tasks.trials import three_splits
from cortexsnn.errors import InputError

__all__ = ["generate", "load", "scored_steps"]

DT_S = 0.01
STEPS = 100
CHANNELS = 40
CUE_CHANNELS = 20
CUE_STEPS = 10
BLOCK_STEPS = 15
BLOCK_SILENCE = 5
BLOCKS = (STEPS - CUE_STEPS) // BLOCK_STEPS
LOW, HIGH = 0.2, 0.6
# From the end of the cue to the end of the trial; and one pattern.
TIMESCALES_MS = {"cue": 900.0, "pattern": 100.0}


def generate(trials: int, rng: np.random.Generator, *, noise: float = 0.01) -> Split:
    """Draw trials of the task.

    A trial has 100 steps of 10 ms. In steps 0-9 the cue channels (0-19) fire with probability 0.2 or 0.6 per
    step. Six blocks of 15 steps follow: 5 steps of silence, then 10 steps in which the pattern channels (20-39)
    fire with probability 0.2 or 0.6. The label of all steps of a block is the XOR of 'cue high' and 'pattern high'.

    Parameters
    ----------
    trials : int
    rng : numpy.random.Generator
    noise : float
        Probability of a noise spike in every step of every channel.

    Returns
    -------
    Split
        Binary counts, shape (trial, 100, 40); labels, shape (trial, 100).

    Examples
    --------
    >>> split = generate(3, np.random.default_rng(0))
    >>> split.counts.shape, split.labels.shape
    ((3, 100, 40), (3, 100))
    """
    if trials < 1:
        raise InputError("trials", trials, "at least 1")
    if not 0 <= noise <= 1:
        raise InputError("noise", noise, "a probability from 0 to 1")
    spikes = rng.random((trials, STEPS, CHANNELS)) < noise
    labels = np.zeros((trials, STEPS), dtype=np.int64)
    cue_high = rng.random(trials) < 0.5
    cue = rng.random((trials, CUE_STEPS, CUE_CHANNELS)) < np.where(cue_high, HIGH, LOW)[:, None, None]
    spikes[:, :CUE_STEPS, :CUE_CHANNELS] |= cue
    for block in range(BLOCKS):
        start = CUE_STEPS + block * BLOCK_STEPS
        stop = start + BLOCK_STEPS
        high = rng.random(trials) < 0.5
        shape = (trials, BLOCK_STEPS - BLOCK_SILENCE, CHANNELS - CUE_CHANNELS)
        pattern = rng.random(shape) < np.where(high, HIGH, LOW)[:, None, None]
        spikes[:, start + BLOCK_SILENCE : stop, CUE_CHANNELS:] |= pattern
        labels[:, start:stop] = (cue_high ^ high)[:, None]
    return Split(spikes.astype(np.uint8), labels)


def scored_steps() -> NDArray[np.bool_]:
    """Steps in which a pattern is on, shape (100,): only these count for the accuracy.

    Examples
    --------
    >>> int(scored_steps().sum())
    60
    """
    steps = np.arange(STEPS)
    return (steps > CUE_STEPS) & ((steps - CUE_STEPS) % BLOCK_STEPS >= BLOCK_SILENCE)


def load(
    *, seed: int = 0, train: int = 10_240, validation: int = 1_024, test: int = 1_024, noise: float = 0.01
) -> Dataset:
    """Draw the three splits from independent streams of one seed.

    Parameters
    ----------
    seed : int
    train, validation, test : int
        Number of trials.
    noise : float
        See `generate`.

    Returns
    -------
    Dataset
        ``description["timescales_ms"]``: the cue has to be remembered for up to 900 ms, a pattern lasts 100 ms.

    Examples
    --------
    >>> dataset = load(seed=1, train=8, validation=4, test=4)
    >>> dataset.channels, dataset.classes
    (40, 2)
    """
    return Dataset(
        "mts_xor",
        DT_S,
        2,
        "per_step",
        *three_splits(partial(generate, noise=noise), seed, train, validation, test),
        scored_steps(),
        {
            "name": "mts_xor",
            "seed": seed,
            "train": train,
            "validation": validation,
            "test": test,
            "noise": noise,
            "timescales_ms": dict(TIMESCALES_MS),
        },
    )
