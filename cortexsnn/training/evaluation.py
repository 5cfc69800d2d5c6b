"""How good a model is, and what its layers do, on trials that it does not learn from."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from cortexsnn.datasets import Split, TrainingData
from cortexsnn.decoding import accuracy, decode
from cortexsnn.training.layers import SpikingLayer
from cortexsnn.training.losses import cross_entropy
from cortexsnn.training.model import SpikingNetwork
from cortexsnn.training.scan import thresholds

__all__ = ["TimeFirst", "potentials", "recompute_statistics", "validate"]

_SATURATED_SHARE = 0.9
_SLOPE_THAT_COUNTS = 0.01


class TimeFirst:
    """Counts of shape (trial, time, channel) as float32, shape (time, trial, channel), where a model can take them.

    Every batch of one shape is put into the same memory: new memory takes several times as long as the copy. A batch
    must be done with, its backward pass too, before the next one is asked for.

    Parameters
    ----------
    device : torch.device or str

    Examples
    --------
    >>> TimeFirst("cpu")(np.ones((2, 5, 3), dtype=np.uint8)).shape
    torch.Size([5, 2, 3])
    """

    def __init__(self, device: torch.device | str) -> None:
        self._memory = torch.empty(0, dtype=torch.float32, device=device)

    def __call__(self, counts: NDArray[np.uint8]) -> torch.Tensor:
        """Copy a batch; it overwrites the one before."""
        # Bytes go to the device, not floats.
        given = torch.as_tensor(counts).to(self._memory.device).permute(1, 0, 2)
        if self._memory.shape != given.shape:
            self._memory = torch.empty(given.shape, dtype=torch.float32, device=given.device)
        return self._memory.copy_(given)


def _batches(model: SpikingNetwork, split: Split, batch_size: int) -> Iterator[torch.Tensor]:
    """Counts of a split, a batch at a time, where the model can take them; the next one overwrites it."""
    time_first = TimeFirst(model.device)
    for counts in split.batches(batch_size):
        yield time_first(counts)


def potentials(
    model: SpikingNetwork, split: Split, batch_size: int, *, batch_statistics: bool = False
) -> NDArray[np.float32]:
    """Readout potentials of a whole split.

    Parameters
    ----------
    model : SpikingNetwork
        Left in evaluation mode.
    split : Split
    batch_size : int
        Trials that are run, and with `batch_statistics` normalised, together.
    batch_statistics : bool
        Normalise by each batch instead of by the running statistics.

    Returns
    -------
    numpy.ndarray, shape (trial, time, class)
    """
    model.eval()
    parts = []
    with torch.no_grad():
        for counts in _batches(model, split, batch_size):
            activity = model.run(counts, batch_statistics=batch_statistics)
            parts.append(activity.readout.permute(1, 0, 2).cpu().numpy())
    return np.concatenate(parts)


class _LayerFigures:
    """Sums over the trials of a split, from which the figures of one layer are made."""

    def __init__(self, layer: SpikingLayer) -> None:
        self.layer = layer
        self.spikes = torch.zeros_like(layer.threshold)
        self.bins = 0
        self.near_threshold = 0.0

    def add(self, spikes: torch.Tensor, potential: torch.Tensor) -> None:
        self.spikes += spikes.sum(dim=(0, 1))
        self.bins += spikes.shape[0] * spikes.shape[1]
        theta = thresholds(spikes, self.layer.threshold, self.layer.adaptation())
        slope = self.layer.surrogate.derivative(potential - theta)
        self.near_threshold += float((slope > _SLOPE_THAT_COUNTS).sum())

    def figures(self) -> dict[str, float]:
        share = (self.spikes / self.bins).cpu().numpy()
        return {
            "active_percent": float(100 * share.mean()),
            "silent_percent": float(100 * (share == 0).mean()),
            "saturated_percent": float(100 * (share > _SATURATED_SHARE).mean()),
            "surrogate_percent": 100 * self.near_threshold / (self.bins * len(share)),
        }


def validate(
    model: SpikingNetwork, data: TrainingData, batch_size: int, *, batch_statistics: bool = False
) -> dict[str, Any]:
    """Loss and accuracy on the validation split, and what the hidden layers do there.

    Parameters
    ----------
    model : SpikingNetwork
    data : TrainingData
    batch_size : int
    batch_statistics : bool
        As in `potentials`.

    Returns
    -------
    dict
        ``validation_loss`` and ``validation_accuracy``; for every hidden layer ``active_percent`` (bins with a
        spike), ``silent_percent`` (neurons that never fire), ``saturated_percent`` (neurons that fire in more than
        90 % of bins) and ``surrogate_percent`` (bins in which the surrogate derivative is above 1 % of its peak).
    """
    model.eval()
    sums = [_LayerFigures(layer) for layer in model.hidden]
    parts = []
    with torch.no_grad():
        for counts in _batches(model, data.validation, batch_size):
            activity = model.run(counts, batch_statistics=batch_statistics)
            parts.append(activity.readout.cpu())
            for layer, spikes, potential in zip(sums, activity.spikes, activity.potentials, strict=True):
                layer.add(spikes, potential)
    readout = torch.cat(parts, dim=1)
    loss = cross_entropy(readout, torch.from_numpy(data.validation.labels), data.decoder)
    classes = decode(readout.permute(1, 0, 2).numpy(), data.decoder)
    layers = [layer.figures() for layer in sums]
    return {
        "validation_loss": float(loss),
        "validation_accuracy": accuracy(classes, data.validation.labels, data.scored_steps),
        **{name: [figures[name] for figures in layers] for name in layers[0]},
    }


def recompute_statistics(model: SpikingNetwork, split: Split, batch_size: int) -> None:
    """Set the running statistics of every normalisation to those of a whole split, without dropout.

    Layer after layer, since the current of a layer depends on how the layers before are normalised. After training
    with batch statistics this is what makes the model a network whose trials do not depend on each other.

    Parameters
    ----------
    model : SpikingNetwork
        Changed in place.
    split : Split
        The training split.
    batch_size : int
    """
    model.eval()
    with torch.no_grad():
        for depth, connections in enumerate(model.connections):
            total = torch.zeros(connections.norm.num_features, dtype=torch.float64, device=model.device)
            squares, bins = torch.zeros_like(total), 0
            for spikes in _batches(model, split, batch_size):
                for layer in model.hidden[:depth]:
                    spikes, _ = layer(spikes)
                current = connections.current(spikes).flatten(0, 1).double()
                total += current.sum(dim=0)
                squares += current.square().sum(dim=0)
                bins += len(current)
            mean = total / bins
            assert connections.norm.running_mean is not None
            assert connections.norm.running_var is not None
            connections.norm.running_mean.copy_(mean)
            # Normalisation divides by the plain variance, running statistics hold the unbiased one; for a
            # whole split they are the same to one part in a million.
            connections.norm.running_var.copy_(squares / bins - mean.square())
