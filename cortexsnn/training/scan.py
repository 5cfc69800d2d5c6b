"""Leaky integration over time: spiking (`lif_scan`) and not (`leaky_integral`).

`lif_scan` writes the loop over time and its gradient by hand, without a graph node for each step; `lif_loop` is the
plain loop through autograd that it must equal.
"""

from __future__ import annotations

from typing import Any

import torch

from cortexsnn.training.surrogate import box

__all__ = ["leaky_integral", "lif_loop", "lif_scan"]


class _LifScan(torch.autograd.Function):
    """V[t] = alpha V[t-1] + I[t] - theta S[t-1], S[t] = [V[t] > theta], with a box surrogate in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any, current: torch.Tensor, alpha: torch.Tensor, threshold: torch.Tensor, width: float
    ) -> tuple[torch.Tensor, torch.Tensor]:
        potential = torch.empty_like(current)
        spikes = torch.empty_like(current)
        # Views of all steps, and parameters without broadcasting: the loop below is bound by overhead.
        inputs, potentials, fired = current.unbind(), potential.unbind(), spikes.unbind()
        decay, theta = (p.expand(current.shape[1:]).contiguous() for p in (alpha, threshold))
        for step, now in enumerate(potentials):
            if step == 0:
                now.copy_(inputs[0])
            else:
                torch.addcmul(inputs[step], potentials[step - 1], decay, out=now)
                now.addcmul_(fired[step - 1], theta, value=-1)
            torch.gt(now, theta, out=fired[step])
        ctx.save_for_backward(potential, alpha, threshold)
        ctx.width = width
        ctx.mark_non_differentiable(potential)
        return spikes, potential

    @staticmethod
    def backward(
        ctx: Any, grad_spikes: torch.Tensor, _: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor | None, None, None]:
        potential, alpha, threshold = ctx.saved_tensors
        slope = box(potential, threshold, ctx.width)
        # dL/dV[t] = slope[t] (dL/dS[t] - theta dL/dV[t+1]) + alpha dL/dV[t+1]
        grad = grad_spikes * slope
        carry = slope.mul_(-threshold).add_(alpha)
        grads, carries = grad.unbind(), carry.unbind()
        for step in range(len(grads) - 2, -1, -1):
            grads[step].addcmul_(carries[step], grads[step + 1])
        grad_alpha = None
        if ctx.needs_input_grad[1]:
            grad_alpha = (grad[1:] * potential[:-1]).sum_to_size(alpha.shape)
        return grad, grad_alpha, None, None


def lif_scan(
    current: torch.Tensor, alpha: torch.Tensor, threshold: torch.Tensor, width: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run leaky integrate-and-fire neurons with subtractive reset over time.

    Parameters
    ----------
    current : torch.Tensor, shape (time, trial, neuron)
        Input of each step.
    alpha : torch.Tensor, shape (neuron,)
        Decay of the membrane potential over one step. Gradients flow to it.
    threshold : torch.Tensor, shape (neuron,)
        Positive; gets no gradient.
    width : float
        Width of the box surrogate (`cortexsnn.training.surrogate.box`).

    Returns
    -------
    spikes : torch.Tensor, shape (time, trial, neuron)
        0 or 1.
    potential : torch.Tensor, shape (time, trial, neuron)
        V[t] before the reset; gets no gradient.

    Examples
    --------
    >>> current = torch.ones(4, 1, 1)
    >>> spikes, potential = lif_scan(current, torch.tensor([0.5]), torch.tensor([1.0]))
    >>> potential.flatten()
    tensor([1.0000, 1.5000, 0.7500, 1.3750])
    >>> spikes.flatten()
    tensor([0., 1., 0., 1.])
    """
    return _LifScan.apply(current, alpha, threshold, width)


class _BoxSpike(torch.autograd.Function):
    """One spike decision with a box surrogate."""

    @staticmethod
    def forward(ctx: Any, potential: torch.Tensor, threshold: torch.Tensor, width: float) -> torch.Tensor:
        ctx.save_for_backward(potential, threshold)
        ctx.width = width
        return (potential > threshold).to(potential.dtype)

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> tuple[torch.Tensor, None, None]:
        potential, threshold = ctx.saved_tensors
        return grad * box(potential, threshold, ctx.width), None, None


def lif_loop(
    current: torch.Tensor, alpha: torch.Tensor, threshold: torch.Tensor, width: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The same as `lif_scan` as a plain loop, slow and easy to trust; the oracle of its gradient.

    Parameters
    ----------
    current : torch.Tensor, shape (time, trial, neuron)
    alpha, threshold : torch.Tensor, shape (neuron,)
    width : float
        As in `lif_scan`.

    Returns
    -------
    spikes, potential : torch.Tensor, shape (time, trial, neuron)
        As in `lif_scan`, but with a gradient of the potential too.

    Examples
    --------
    >>> spikes, _ = lif_loop(torch.ones(4, 1, 1), torch.tensor([0.5]), torch.tensor([1.0]))
    >>> spikes.flatten()
    tensor([0., 1., 0., 1.])
    """
    potential = torch.zeros_like(current[0])
    spikes = torch.zeros_like(current[0])
    all_spikes, all_potentials = [], []
    for now in current:
        potential = alpha * potential + now - threshold * spikes
        spikes = _BoxSpike.apply(potential, threshold, width)
        all_spikes.append(spikes)
        all_potentials.append(potential)
    return torch.stack(all_spikes), torch.stack(all_potentials)


def leaky_integral(current: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Leaky integrators without spikes: V[t] = alpha V[t-1] + (1 - alpha) I[t].

    Written as a product with the triangle of all decays alpha^(t-s), which is fast for the few neurons of a
    readout.

    Parameters
    ----------
    current : torch.Tensor, shape (time, trial, neuron)
    alpha : torch.Tensor, shape (neuron,)

    Returns
    -------
    torch.Tensor, shape (time, trial, neuron)

    Examples
    --------
    >>> leaky_integral(torch.ones(3, 1, 1), torch.tensor([0.5])).flatten()
    tensor([0.5000, 0.7500, 0.8750])
    """
    steps = torch.arange(current.shape[0], device=current.device)
    lag = steps[:, None] - steps[None, :]
    decay = alpha[:, None, None] ** lag.clamp(min=0) * (lag >= 0)
    return torch.einsum("nts,sbn->tbn", decay, current * (1 - alpha))
