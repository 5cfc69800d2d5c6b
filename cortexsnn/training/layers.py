"""Trainable parts of a network: normalised connections, and a layer of spiking neurons behind them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from cortexsnn.hierarchy import draw_time_constants
from cortexsnn.training.architecture import Architecture, Layer
from cortexsnn.training.delayed import delayed_current
from cortexsnn.training.scan import AdaptiveThreshold, lif_scan
from cortexsnn.training.surrogate import Surrogate
from cortexsnn.training.time_constants import FixedTimeConstants, LearnedTimeConstants

__all__ = ["Normalised", "SpikingLayer"]


class Normalised(nn.Module):
    """Connections without bias, then batch normalisation over trials and time.

    Parameters
    ----------
    sources, targets : int
        Number of neurons before and after.
    delay_steps : sequence of int
        Delay of each tap.
    bound : float, optional
        Initial weights are uniform within plus and minus this; one over the square root of the number of inputs
        of a neuron if not given.
    generator : torch.Generator
        Draws the initial weights.
    """

    def __init__(
        self, sources: int, targets: int, delay_steps: Sequence[int], bound: float | None, generator: torch.Generator
    ) -> None:
        super().__init__()
        self.delay_steps = tuple(delay_steps)
        if bound is None:
            bound = 1 / np.sqrt(sources * len(self.delay_steps))
        weight = torch.empty(len(self.delay_steps), targets, sources)
        self.weight = nn.Parameter(weight.uniform_(-bound, bound, generator=generator))
        self.norm = nn.BatchNorm1d(targets)
        self.matmul_dtype: torch.dtype | None = None

    def current(self, spikes: torch.Tensor) -> torch.Tensor:
        """What arrives before the normalisation, shape (time, trial, target).

        With `matmul_dtype` set to bfloat16, products and their sum over taps are rounded. Spikes are exact in it, but
        not what dropout makes of them.
        """
        if self.matmul_dtype is None:
            return delayed_current(spikes, self.weight, self.delay_steps)
        spikes, weight = spikes.to(self.matmul_dtype), self.weight.to(self.matmul_dtype)
        return delayed_current(spikes, weight, self.delay_steps).to(self.weight.dtype)

    def forward(self, spikes: torch.Tensor, *, batch_statistics: bool = False) -> torch.Tensor:
        """Input current of spikes of shape (time, trial, source).

        Parameters
        ----------
        spikes : torch.Tensor, shape (time, trial, source)
        batch_statistics : bool
            Normalise by this batch even outside training, and leave the running statistics alone.

        Returns
        -------
        torch.Tensor, shape (time, trial, target)
        """
        current = self.current(spikes)
        flat = current.flatten(0, 1)
        if batch_statistics and not self.training:
            norm = self.norm
            flat = functional.batch_norm(flat, None, None, norm.weight, norm.bias, training=True, eps=norm.eps)
        else:
            flat = self.norm(flat)
        return flat.view_as(current)


class SpikingLayer(nn.Module):
    """Normalised connections into leaky integrate-and-fire neurons.

    Parameters
    ----------
    sources : int
        Number of neurons before.
    layer : Layer
    architecture : Architecture
        Of which it is a part.
    bound : float, optional
        As in `Normalised`, also for recurrent weights.
    generator : torch.Generator
        Draws weights, and time constants if they are drawn.

    Examples
    --------
    >>> from cortexsnn.training.architecture import stack
    >>> architecture = Architecture(4, 2, stack((8,), tau_s=0.02, recurrent=True), readout_tau_s=0.05, dt_s=0.01)
    >>> layer = SpikingLayer(4, architecture.layers[0], architecture, None, torch.Generator().manual_seed(0))
    >>> spikes, potential = layer(torch.ones(20, 3, 4))
    >>> spikes.shape, bool(layer.recurrent_weight().diagonal().any())
    (torch.Size([20, 3, 8]), False)
    """

    threshold: torch.Tensor
    strength: torch.Tensor
    rho: torch.Tensor

    def __init__(
        self,
        sources: int,
        layer: Layer,
        architecture: Architecture,
        bound: float | None,
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.layer = layer
        self.dt_s = architecture.dt_s
        self.surrogate: Surrogate = architecture.surrogate
        self.incoming = Normalised(sources, layer.size, layer.delay_steps, bound, generator)
        self.recurrent: nn.Parameter | None = None
        if layer.recurrent:
            bound = bound or 1 / np.sqrt(layer.size)
            weight = torch.empty(layer.size, layer.size).uniform_(-bound, bound, generator=generator)
            self.recurrent = nn.Parameter(weight)
        self.time_constants = _time_constants(layer, architecture, generator)
        self.register_buffer("threshold", torch.ones(layer.size))

    def recurrent_weight(self) -> torch.Tensor | None:
        """Weights within the layer as they act, shape (target, source); none if it is not recurrent."""
        if self.recurrent is None or self.layer.self_connections:
            return self.recurrent
        return self.recurrent - torch.diag(self.recurrent.diagonal())

    def adaptation(self) -> AdaptiveThreshold | None:
        """How the threshold adapts; none if it is fixed."""
        if self.layer.adaptation_strength == 0:
            return None
        rho = float(np.exp(-self.dt_s / self.layer.adaptation_tau_s))
        strength = torch.full_like(self.threshold, self.layer.adaptation_strength)
        return AdaptiveThreshold(strength, torch.full_like(self.threshold, rho))

    def forward(self, spikes: torch.Tensor, *, batch_statistics: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """Spikes and potentials, shape (time, trial, neuron), for spikes of the layer before.

        Parameters
        ----------
        spikes : torch.Tensor, shape (time, trial, source)
        batch_statistics : bool
            As in `Normalised`.

        Returns
        -------
        spikes, potential : torch.Tensor, shape (time, trial, neuron)
        """
        current = self.incoming(spikes, batch_statistics=batch_statistics)
        return lif_scan(
            current,
            self.time_constants.alpha(self.dt_s, current.dtype),
            self.threshold,
            reset=self.layer.reset,
            surrogate=self.surrogate,
            recurrent=self.recurrent_weight(),
            adaptation=self.adaptation(),
        )


def _time_constants(
    layer: Layer, architecture: Architecture, generator: torch.Generator
) -> FixedTimeConstants | LearnedTimeConstants:
    tau_s = np.full(layer.size, layer.tau_s)
    if layer.tau_distribution != "none":
        rng = np.random.default_rng(int(torch.randint(2**62, (1,), generator=generator)))
        tau_s = draw_time_constants(layer.tau_s, layer.size, layer.tau_distribution, layer.tau_spread, rng)
    if layer.learned_tau is not None:
        return LearnedTimeConstants(tau_s, layer.learned_tau)
    return FixedTimeConstants(architecture.within_alpha_bounds(tau_s))
