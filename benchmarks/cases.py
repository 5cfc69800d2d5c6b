"""The networks and the input that all programs of the benchmark run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from cortexsnn.datasets import heidelberg
from cortexsnn.network import Network

DT_S = 0.004
TAPS = 5
DILATIONS = (1, 2, 4)
THRESHOLD = 1.0
READOUT_TAU_S = 0.1
TARGET_HZ = 22.0
CHANNELS = 700
CLASSES = 20


def speech(folder: Path, trials: int, steps: int) -> NDArray[np.uint8]:
    """The first test utterances as spike counts, shape (trial, time, channel); repeated if there are too few."""
    counts = heidelberg.load(folder, steps=steps, window_s=steps * DT_S).test.counts
    # The file is sorted by class: spread what is taken over all of it.
    order = np.random.default_rng(0).permutation(len(counts))
    return counts[order[np.arange(trials) % len(counts)]]


def noise(trials: int, steps: int, channels: int = CHANNELS) -> NDArray[np.uint8]:
    """Poisson spikes at the mean rate of the speech; a few channels have several spikes in a step."""
    return np.random.default_rng(0).poisson(0.02, (trials, steps, channels)).astype(np.uint8)


def _delays(kind: str, layer: int) -> tuple[int, ...]:
    return tuple(tap * DILATIONS[layer] for tap in range(TAPS)) if kind == "convolutional" else (0,)


def _current(spikes: NDArray[np.float32], weight: NDArray[np.float32], delays: tuple[int, ...]) -> NDArray[np.float32]:
    steps = spikes.shape[1]
    current = np.zeros((*spikes.shape[:2], weight.shape[1]), dtype=np.float32)
    for tap, delay in zip(weight, delays, strict=True):
        if delay < steps:
            current[:, delay:] += spikes[:, : steps - delay] @ tap.T
    return current


def _fire(current: NDArray[np.float32], alpha: NDArray[np.float32]) -> NDArray[np.float32]:
    fired = np.zeros_like(current)
    potential = np.zeros_like(current[:, 0])
    for step in range(current.shape[1]):
        potential = alpha * potential + current[:, step]
        fired[:, step] = potential > THRESHOLD
        potential -= THRESHOLD * fired[:, step]
    return fired


def _gain(current: NDArray[np.float32], alpha: NDArray[np.float32]) -> tuple[float, NDArray[np.float32]]:
    """Factor for the current with which the layer fires at `TARGET_HZ`, and the spikes that it then fires."""
    low, high = 0.0, 1.0
    while _fire(high * current, alpha).mean() / DT_S < TARGET_HZ and high < 1e6:
        high *= 2
    for _ in range(12):
        gain = 0.5 * (low + high)
        fired = _fire(gain * current, alpha)
        if fired.mean() / DT_S < TARGET_HZ:
            low = gain
        else:
            high = gain
    return gain, fired


def tuned_network(
    kind: str, hidden: tuple[int, ...], counts: NDArray[np.uint8], *, seed: int = 0, tuning_trials: int = 20
) -> Network:
    """Random weights, a third more exciting than inhibiting, scaled so that every layer fires at about 20 Hz.

    Parameters
    ----------
    kind : {"dense", "convolutional"}
    hidden : tuple of int
        Sizes of the hidden layers.
    counts : array, shape (trial, time, channel)
        The gains are tuned on the first trials.
    seed : int
        Another seed gives another network of the same architecture.
    tuning_trials : int

    Returns
    -------
    Network
    """
    rng = np.random.default_rng(seed)
    spikes = counts[:tuning_trials].astype(np.float32)
    sizes = [counts.shape[2], *hidden]
    weights, taus = [], []
    for layer, size in enumerate(hidden):
        delays = _delays(kind, layer)
        scale = np.float32(1 / np.sqrt(len(delays) * sizes[layer]))
        weight = scale * rng.normal(0.3, 1, (len(delays), size, sizes[layer])).astype(np.float32)
        tau_s = rng.uniform(0.01, 0.05, size)
        gain, spikes = _gain(_current(spikes, weight, delays), np.exp(-DT_S / tau_s).astype(np.float32))
        weights.append(np.float64(gain) * weight)
        taus.append(tau_s)
    delays = _delays(kind, len(hidden))
    weights.append(rng.normal(0, 1 / np.sqrt(hidden[-1]), (len(delays), CLASSES, hidden[-1])))
    return Network.from_arrays(
        weights,
        tau_s=taus,
        dt_s=DT_S,
        readout_tau_s=READOUT_TAU_S,
        delay_steps=[_delays(kind, layer) for layer in range(len(weights))],
        decoder="sum_of_softmax",
    )


def square_network(synapses: int, channels: int = CHANNELS, *, seed: int = 0) -> Network:
    """Two hidden layers of equal size with about so many synapses in all; input per neuron does not depend on size.

    Parameters
    ----------
    synapses : int
    channels : int
    seed : int

    Returns
    -------
    Network
    """
    fixed = channels + CLASSES
    size = max(1, round((np.sqrt(fixed**2 + 4 * synapses) - fixed) / 2))
    rng = np.random.default_rng(seed)
    # Gains that `tuned_network` finds for `noise` and 256 neurons in each hidden layer.
    weights = [
        rng.standard_normal((target, source), dtype=np.float32) * np.float32(gain / np.sqrt(source))
        + np.float32(0.3 * gain / np.sqrt(source) / np.sqrt(source / reference))
        for target, source, gain, reference in (
            (size, channels, 0.98, 700),
            (size, size, 0.42, 256),
            (CLASSES, size, 1.0, 256),
        )
    ]
    return Network.from_arrays(weights, tau_s=0.03, dt_s=DT_S, readout_tau_s=READOUT_TAU_S)


def synapses_of(network: Network) -> int:
    """Number of synapses."""
    return sum(projection.weight.size for projection in network.projections)
