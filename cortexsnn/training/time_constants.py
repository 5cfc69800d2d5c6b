"""Membrane time constants of a layer: fixed, or learned within smooth bounds."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from cortexsnn.errors import InputError
from cortexsnn.training.architecture import LearnedTau

__all__ = ["FixedTimeConstants", "LearnedTimeConstants"]


class FixedTimeConstants(nn.Module):
    """Time constants that stay as they are.

    Parameters
    ----------
    tau_s : array, shape (neuron,)
        In seconds.

    Examples
    --------
    >>> FixedTimeConstants(np.array([0.02])).alpha(0.02, torch.float32)
    tensor([0.3679])
    """

    tau: torch.Tensor

    def __init__(self, tau_s: NDArray[np.float64]) -> None:
        super().__init__()
        # float64, so that a Network gets exactly the time constants that were asked for.
        self.register_buffer("tau", torch.from_numpy(np.array(tau_s, dtype=np.float64)))

    def tau_s(self) -> torch.Tensor:
        """Time constants in seconds, float64, shape (neuron,)."""
        return self.tau

    def alpha(self, dt_s: float, dtype: torch.dtype) -> torch.Tensor:
        """Decay over one step, shape (neuron,)."""
        return torch.exp(-dt_s / self.tau_s()).to(dtype)


class LearnedTimeConstants(nn.Module):
    """Time constants tau = low (high / low)^sigmoid(p) with a free parameter p.

    Equal steps of p are about equal ratios of tau in the middle, and ever smaller ones towards the bounds.

    Parameters
    ----------
    tau_s : array, shape (neuron,)
        To begin with, in seconds.
    learned : LearnedTau
        Its bounds, and whether the layer shares one time constant (then the geometric mean of `tau_s` is taken).

    Examples
    --------
    >>> learned = LearnedTimeConstants(np.array([0.02, 0.2]), LearnedTau(low_s=0.002, high_s=2.0))
    >>> learned.tau_s().detach().numpy().round(6)
    array([0.02, 0.2 ])
    """

    initial_log_tau: torch.Tensor

    def __init__(self, tau_s: NDArray[np.float64], learned: LearnedTau) -> None:
        super().__init__()
        if not np.all((tau_s > learned.low_s) & (tau_s < learned.high_s)):
            raise InputError("initial tau of a layer with learned tau", tau_s,
                             f"seconds between the bounds {learned.low_s:g} and {learned.high_s:g}",
                             "widen the bounds or lower the spread")  # fmt: skip
        self.bounds_s = (learned.low_s, learned.high_s)
        self.size = len(tau_s)
        log_tau = np.log(tau_s) if learned.per == "neuron" else np.log(tau_s).mean(keepdims=True)
        place = (log_tau - np.log(learned.low_s)) / np.log(learned.high_s / learned.low_s)
        self.position = nn.Parameter(torch.from_numpy(np.log(place) - np.log1p(-place)).float())
        self.register_buffer("initial_log_tau", torch.from_numpy(log_tau))

    def log_tau(self) -> torch.Tensor:
        """Natural logarithm of each learned time constant in seconds, float64."""
        low, high = np.log(self.bounds_s)
        return low + (high - low) * torch.sigmoid(self.position.double())

    def tau_s(self) -> torch.Tensor:
        """Time constants in seconds, float64, shape (neuron,)."""
        return torch.exp(self.log_tau()).expand(self.size)

    def alpha(self, dt_s: float, dtype: torch.dtype) -> torch.Tensor:
        """Decay over one step, shape (neuron,); gradients flow to the time constants."""
        return torch.exp(-dt_s / self.tau_s()).to(dtype)
