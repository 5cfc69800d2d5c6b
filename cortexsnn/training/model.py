"""The trainable network: spiking layers with dropout between them, and a leaky-integrator readout."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from cortexsnn.training.architecture import Architecture
from cortexsnn.training.layers import Normalised, SpikingLayer
from cortexsnn.training.scan import leaky_integral
from cortexsnn.training.time_constants import FixedTimeConstants

__all__ = ["Activity", "SpikingNetwork"]


@dataclass(frozen=True, eq=False)
class Activity:
    """What a batch of trials does in a network.

    Parameters
    ----------
    readout : torch.Tensor, shape (time, trial, class)
        Potentials of the readout.
    spikes, potentials : list of torch.Tensor, shape (time, trial, neuron)
        Of each hidden layer; spikes before dropout.
    """

    readout: torch.Tensor
    spikes: list[torch.Tensor]
    potentials: list[torch.Tensor]


class SpikingNetwork(nn.Module):
    """A chain of LIF layers with a leaky-integrator readout.

    Parameters
    ----------
    architecture : Architecture
    generator : torch.Generator
        Draws the initial weights, and the time constants if they are drawn.

    Examples
    --------
    >>> from cortexsnn.training.architecture import stack
    >>> architecture = Architecture(4, 2, stack((8, 8), tau_s=(0.02, 0.1)), readout_tau_s=0.05, dt_s=0.01)
    >>> network = SpikingNetwork(architecture, torch.Generator().manual_seed(0))
    >>> network(torch.ones(20, 3, 4), np.random.default_rng(0)).shape
    torch.Size([20, 3, 2])
    """

    def __init__(self, architecture: Architecture, generator: torch.Generator) -> None:
        super().__init__()
        self.architecture = architecture
        sizes = [architecture.channels, *(layer.size for layer in architecture.layers)]
        bounds = architecture.weight_bounds or (None,) * len(sizes)
        self.layers = nn.ModuleList(
            SpikingLayer(sources, layer, architecture, bound, generator)
            for sources, layer, bound in zip(sizes, architecture.layers, bounds, strict=False)
        )
        self.readout = Normalised(sizes[-1], architecture.classes, (0,), bounds[-1], generator)
        self.readout_tau = FixedTimeConstants(np.full(architecture.classes, architecture.readout_tau_s))

    @property
    def hidden(self) -> list[SpikingLayer]:
        """The spiking layers."""
        return [layer for layer in self.layers if isinstance(layer, SpikingLayer)]

    @property
    def connections(self) -> list[Normalised]:
        """Feed-forward connections into every layer and the readout."""
        return [*(layer.incoming for layer in self.hidden), self.readout]

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.readout.weight.device

    def multiply_in(self, dtype: torch.dtype | None) -> None:
        """Do the matrix products of feed-forward connections in another type, or in that of the weights."""
        for connections in self.connections:
            connections.matmul_dtype = dtype

    def run(
        self, counts: torch.Tensor, rng: np.random.Generator | None = None, *, batch_statistics: bool = False
    ) -> Activity:
        """Run trials and keep what every layer does.

        Parameters
        ----------
        counts : torch.Tensor, shape (time, trial, channel)
            Input spikes.
        rng : numpy.random.Generator, optional
            Draws the dropout; needed in training mode if there is any.
        batch_statistics : bool
            Outside training: normalise by this batch instead of by the running statistics.

        Returns
        -------
        Activity
        """
        spikes, all_spikes, all_potentials = counts, [], []
        for layer in self.hidden:
            fired, potential = layer(spikes, batch_statistics=batch_statistics)
            all_spikes.append(fired)
            all_potentials.append(potential)
            spikes = self._dropped(fired, rng)
        current = self.readout(spikes, batch_statistics=batch_statistics)
        alpha = self.readout_tau.alpha(self.architecture.dt_s, current.dtype)
        return Activity(leaky_integral(current, alpha), all_spikes, all_potentials)

    def forward(self, counts: torch.Tensor, rng: np.random.Generator | None = None) -> torch.Tensor:
        """Potentials of the readout.

        Parameters
        ----------
        counts : torch.Tensor, shape (time, trial, channel)
        rng : numpy.random.Generator, optional
            As in `run`.

        Returns
        -------
        torch.Tensor, shape (time, trial, class)
        """
        return self.run(counts, rng).readout

    def _dropped(self, spikes: torch.Tensor, rng: np.random.Generator | None) -> torch.Tensor:
        """Inverted dropout with its own generator, so that a run can be repeated.

        Drawn as 16-bit integers by NumPy, which is six times faster than torch's Bernoulli numbers on a CPU.
        """
        if not self.training or self.architecture.dropout == 0:
            return spikes
        if rng is None:
            raise ValueError("dropout in training mode needs a random generator: network(counts, rng)")
        drawn = rng.integers(0, 1 << 16, tuple(spikes.shape), dtype=np.uint16)
        kept = torch.from_numpy(drawn >= round(self.architecture.dropout * (1 << 16)))
        return spikes * kept.to(spikes).div_(1 - self.architecture.dropout)
