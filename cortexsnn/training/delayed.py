"""Input current through delays: one matrix product for each tap, added to the steps that it reaches.

A causal dilated convolution over time is the same thing, without copying its input once per tap.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch.autograd.function import once_differentiable

__all__ = ["delayed_current"]


class _DelayedCurrent(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, spikes: torch.Tensor, weight: torch.Tensor, delay_steps: tuple[int, ...]) -> torch.Tensor:
        steps, trials, sources = spikes.shape
        current = spikes.new_zeros(steps, trials, weight.shape[1])
        for tap, delay in zip(weight, delay_steps, strict=True):
            if delay < steps:
                reached = current[delay:].view(-1, weight.shape[1])
                reached.addmm_(spikes[: steps - delay].reshape(-1, sources), tap.T)
        ctx.save_for_backward(spikes, weight)
        ctx.delay_steps = delay_steps
        return current

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor | None, torch.Tensor | None, None]:
        spikes, weight = ctx.saved_tensors
        steps, _, sources = spikes.shape
        by_spikes = torch.zeros_like(spikes, memory_format=torch.contiguous_format) if ctx.needs_input_grad[0] else None
        by_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        for index, delay in enumerate(ctx.delay_steps):
            if delay >= steps:
                continue
            reached = grad[delay:].reshape(-1, weight.shape[1])
            if by_spikes is not None:
                by_spikes[: steps - delay].view(-1, sources).addmm_(reached, weight[index])
            if by_weight is not None:
                by_weight[index] = reached.T @ spikes[: steps - delay].reshape(-1, sources)
        return by_spikes, by_weight, None


def delayed_current(spikes: torch.Tensor, weight: torch.Tensor, delay_steps: Sequence[int]) -> torch.Tensor:
    """I[t] = sum over taps k of W_k S[t - delay_k].

    Parameters
    ----------
    spikes : torch.Tensor, shape (time, trial, source)
    weight : torch.Tensor, shape (tap, target, source)
        Of the type of `spikes`. Gradients flow to both.
    delay_steps : sequence of int
        Delay of each tap in steps, at least 0.

    Returns
    -------
    torch.Tensor, shape (time, trial, target)

    Examples
    --------
    A spike in the first step, felt at once and, half as strongly, two steps later:

    >>> spikes = torch.tensor([1.0, 0.0, 0.0, 0.0]).view(4, 1, 1)
    >>> delayed_current(spikes, torch.tensor([1.0, 0.5]).view(2, 1, 1), (0, 2)).flatten()
    tensor([1.0000, 0.0000, 0.5000, 0.0000])
    """
    return _DelayedCurrent.apply(spikes, weight, tuple(delay_steps))
