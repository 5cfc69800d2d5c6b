"""The plain loop over time through autograd: slow, easy to trust, the oracle of `cortexsnn.training.scan`."""

from __future__ import annotations

from typing import Any

import torch
from torch.autograd.function import once_differentiable

from cortexsnn.training.scan import AdaptiveThreshold
from cortexsnn.training.surrogate import Surrogate

__all__ = ["lif_loop"]


class _Spike(torch.autograd.Function):
    """One spike decision; its derivative is the surrogate."""

    @staticmethod
    def forward(ctx: Any, distance: torch.Tensor, surrogate: Surrogate) -> torch.Tensor:
        ctx.save_for_backward(distance)
        ctx.surrogate = surrogate
        return (distance > 0).to(distance.dtype)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None]:
        (distance,) = ctx.saved_tensors
        return grad * ctx.surrogate.derivative(distance), None


def lif_loop(
    current: torch.Tensor,
    alpha: torch.Tensor,
    threshold: torch.Tensor,
    *,
    reset: str = "subtract",
    surrogate: Surrogate | None = None,
    recurrent: torch.Tensor | None = None,
    adaptation: AdaptiveThreshold | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same as `lif_scan`, one operation after another.

    Parameters
    ----------
    current : torch.Tensor, shape (time, trial, neuron)
    alpha, threshold : torch.Tensor, shape (neuron,)
    reset, surrogate, recurrent, adaptation
        As in `cortexsnn.training.scan.lif_scan`.

    Returns
    -------
    spikes, potential : torch.Tensor, shape (time, trial, neuron)

    Examples
    --------
    >>> spikes, _ = lif_loop(torch.ones(4, 1, 1), torch.tensor([0.5]), torch.tensor([1.0]))
    >>> spikes.flatten()
    tensor([0., 1., 0., 1.])
    """
    surrogate = surrogate or Surrogate()
    potential = spikes = rise = torch.zeros_like(current[0])
    theta = threshold.expand_as(potential)
    all_spikes, all_potentials = [], []
    for feed_forward in current:
        now = feed_forward if recurrent is None else feed_forward + spikes @ recurrent.T
        if reset == "subtract":
            potential = alpha * potential + now - theta * spikes
        elif reset == "subtract_decayed":
            potential = alpha * (potential - theta * spikes) + now
        else:
            potential = alpha * potential * (1 - spikes) + now
        if adaptation is not None:
            rise = adaptation.rho * rise + spikes
            theta = threshold + adaptation.strength * rise
        spikes = _Spike.apply(potential - theta, surrogate)
        all_spikes.append(spikes)
        all_potentials.append(potential)
    return torch.stack(all_spikes), torch.stack(all_potentials)
