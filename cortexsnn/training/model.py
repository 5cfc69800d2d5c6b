"""The trainable network: linear map, batch normalisation, LIF neurons, dropout; a leaky-integrator readout."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import nn

from cortexsnn.errors import InputError
from cortexsnn.training.scan import leaky_integral, lif_scan

__all__ = ["Architecture", "Normalised", "SpikingNetwork"]


@dataclass(frozen=True)
class Architecture:
    """What is trained: sizes and time constants of a feed-forward network.

    Parameters
    ----------
    channels, classes : int
        Number of input channels and of readout neurons.
    hidden : tuple of int
        Number of neurons of each hidden layer.
    tau_s : tuple of float
        Membrane time constant of each hidden layer in seconds.
    readout_tau_s : float
        Time constant of the readout in seconds.
    dt_s : float
        Time step in seconds.
    dropout : float
        Probability that a hidden spike is dropped in training, each step on its own.
    surrogate_width : float
        Width of the box surrogate.

    Examples
    --------
    >>> Architecture(channels=40, classes=2, hidden=(10, 10), tau_s=(0.05, 0.5), readout_tau_s=0.05, dt_s=0.01).dropout
    0.1
    """

    channels: int
    classes: int
    hidden: tuple[int, ...]
    tau_s: tuple[float, ...]
    readout_tau_s: float
    dt_s: float
    dropout: float = 0.1
    surrogate_width: float = 1.0

    def __post_init__(self) -> None:
        object.__setattr__(self, "hidden", tuple(int(n) for n in self.hidden))
        object.__setattr__(self, "tau_s", tuple(float(tau) for tau in self.tau_s))
        if not self.hidden or min(self.hidden) < 1:
            raise InputError("hidden", self.hidden, "at least one hidden layer of at least one neuron")
        if len(self.tau_s) != len(self.hidden):
            raise InputError("tau_s", self.tau_s, f"{len(self.hidden)} values, one for each hidden layer")
        for name in ("tau_s", "readout_tau_s", "dt_s"):
            values = np.asarray(getattr(self, name))
            if not np.all(np.isfinite(values) & (values > 0)):
                raise InputError(name, getattr(self, name), "positive seconds")
        if not 0 <= self.dropout < 1:
            raise InputError("dropout", self.dropout, "a probability from 0 to below 1")
        if not self.surrogate_width > 0:
            raise InputError("surrogate_width", self.surrogate_width, "a positive number")


class Normalised(nn.Module):
    """Linear map without bias, then batch normalisation over trials and time.

    Parameters
    ----------
    sources, targets : int
        Number of neurons before and after.
    generator : torch.Generator
        Draws the initial weights.
    """

    def __init__(self, sources: int, targets: int, generator: torch.Generator) -> None:
        super().__init__()
        # nn.Linear would draw weights from torch's global generator, and disturb the user's random numbers.
        self.linear = nn.utils.skip_init(nn.Linear, sources, targets, bias=False)
        bound = 1 / np.sqrt(sources)
        with torch.no_grad():
            self.linear.weight.uniform_(-bound, bound, generator=generator)
        self.norm = nn.BatchNorm1d(targets)

    def forward(self, spikes: torch.Tensor) -> torch.Tensor:
        """Input current, shape (time, trial, target), of spikes of shape (time, trial, source)."""
        current = self.linear(spikes)
        return self.norm(current.flatten(0, 1)).view_as(current)


class SpikingNetwork(nn.Module):
    """A feed-forward network of LIF layers with a leaky-integrator readout.

    Parameters
    ----------
    architecture : Architecture
    generator : torch.Generator
        Draws the initial weights, uniform within 1/sqrt(number of sources).

    Examples
    --------
    >>> architecture = Architecture(4, 2, (8, 8), (0.02, 0.1), readout_tau_s=0.05, dt_s=0.01)
    >>> network = SpikingNetwork(architecture, torch.Generator().manual_seed(0))
    >>> network(torch.ones(20, 3, 4), np.random.default_rng(0)).shape
    torch.Size([20, 3, 2])
    """

    def __init__(self, architecture: Architecture, generator: torch.Generator) -> None:
        super().__init__()
        self.architecture = architecture
        sizes = (architecture.channels, *architecture.hidden, architecture.classes)
        self.maps = nn.ModuleList(Normalised(m, n, generator) for m, n in pairwise(sizes))
        for index, (size, tau_s) in enumerate(zip(architecture.hidden, architecture.tau_s, strict=True)):
            alpha = torch.full((size,), float(np.exp(-architecture.dt_s / tau_s)))
            self.register_buffer(f"alpha{index}", alpha)
        readout_alpha = float(np.exp(-architecture.dt_s / architecture.readout_tau_s))
        self.register_buffer("readout_alpha", torch.full((architecture.classes,), readout_alpha))
        self.active: list[float] = []

    def forward(self, counts: torch.Tensor, rng: np.random.Generator | None = None) -> torch.Tensor:
        """Potentials of the readout.

        Parameters
        ----------
        counts : torch.Tensor, shape (time, trial, channel)
            Input spikes.
        rng : numpy.random.Generator, optional
            Draws the dropout; needed in training mode if there is any.

        Returns
        -------
        torch.Tensor, shape (time, trial, class)
        """
        spikes = counts
        self.active = []
        for index in range(len(self.architecture.hidden)):
            alpha = self.get_buffer(f"alpha{index}")
            threshold = torch.ones_like(alpha)
            spikes, _ = lif_scan(self.maps[index](spikes), alpha, threshold, self.architecture.surrogate_width)
            self.active.append(float(spikes.detach().mean()))
            spikes = self._dropped(spikes, rng)
        return leaky_integral(self.maps[-1](spikes), self.get_buffer("readout_alpha"))

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
