"""Leaky integration over time: spiking (`lif_scan`) and not (`leaky_integral`).

`lif_scan` writes the loop over time and its gradient by hand, without a graph node for each step;
`cortexsnn.training.loop.lif_loop` is the plain loop through autograd that it must equal.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch
from torch.autograd.function import once_differentiable

from cortexsnn.checks import choice
from cortexsnn.network.validation import RESETS
from cortexsnn.training.surrogate import Surrogate

__all__ = ["AdaptiveThreshold", "leaky_integral", "lif_scan", "thresholds"]

Gradient = torch.Tensor | None

# The triangle grows with the square of this.
_BLOCK_STEPS = 256


class AdaptiveThreshold(NamedTuple):
    """A threshold that rises with every spike: theta[t] = threshold + strength a[t], a[t] = rho a[t-1] + S[t-1].

    Parameters
    ----------
    strength, rho : torch.Tensor, shape (neuron,)
        Rise per spike, and what is left of it after one step. They get no gradient.
    """

    strength: torch.Tensor
    rho: torch.Tensor


def _jump(reset: str, alpha: torch.Tensor, theta: torch.Tensor, potential: torch.Tensor) -> torch.Tensor:
    """What a spike takes away, dV[t+1]/dS[t]."""
    if reset == "subtract":
        return -theta
    if reset == "subtract_decayed":
        return -alpha * theta
    return -alpha * potential


def _kept(reset: str, theta: torch.Tensor, potential: torch.Tensor, spikes: torch.Tensor) -> torch.Tensor:
    """What decays in the next step, dV[t+1]/dalpha."""
    if reset == "subtract":
        return potential
    if reset == "subtract_decayed":
        return potential - theta * spikes
    return potential - potential * spikes


class _LifScan(torch.autograd.Function):
    """The equations of `lif_scan`, with the surrogate in the backward pass."""

    @staticmethod
    def forward(
        ctx: Any,
        current: torch.Tensor,
        alpha: torch.Tensor,
        threshold: torch.Tensor,
        recurrent: torch.Tensor | None,
        strength: torch.Tensor | None,
        rho: torch.Tensor | None,
        reset: str,
        surrogate: Surrogate,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        potential = torch.empty_like(current, memory_format=torch.contiguous_format)
        spikes = torch.empty_like(potential)
        # Views of all steps, and parameters without broadcasting: the loop below is bound by overhead.
        inputs, potentials, fired = current.unbind(), potential.unbind(), spikes.unbind()
        decay, resting = (p.expand(current.shape[1:]).contiguous() for p in (alpha, threshold))
        thresholds = None if strength is None else torch.empty_like(potential)
        thetas = [resting] * len(inputs) if thresholds is None else list(thresholds.unbind())
        adaptation, left = torch.zeros_like(resting), torch.empty_like(resting)
        for step, now in enumerate(potentials):
            if step == 0:
                now.copy_(inputs[0])
            else:
                before, spiked, theta = potentials[step - 1], fired[step - 1], thetas[step - 1]
                if reset == "subtract":
                    torch.addcmul(inputs[step], before, decay, out=now).addcmul_(spiked, theta, value=-1)
                else:
                    taken = theta if reset == "subtract_decayed" else before
                    torch.addcmul(before, spiked, taken, value=-1, out=left)
                    torch.addcmul(inputs[step], left, decay, out=now)
                if recurrent is not None:
                    now.addmm_(spiked, recurrent.T)
                if rho is not None:
                    adaptation.mul_(rho).add_(spiked)
            if strength is not None:
                torch.addcmul(resting, adaptation, strength, out=thetas[step])
            torch.gt(now, thetas[step], out=fired[step])
        ctx.save_for_backward(potential, spikes, alpha, threshold, recurrent, strength, rho, thresholds)
        ctx.reset, ctx.surrogate = reset, surrogate
        ctx.set_materialize_grads(False)
        return spikes, potential

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, grad_spikes: Gradient, grad_potential: Gradient) -> tuple[Gradient | None, ...]:
        potential, spikes, alpha, threshold, recurrent, strength, rho, thresholds = ctx.saved_tensors
        theta = threshold if thresholds is None else thresholds
        slope = ctx.surrogate.derivative(potential - theta)
        jump = _jump(ctx.reset, alpha, theta, potential)
        keep = alpha * (1 - spikes) if ctx.reset == "zero" else alpha
        by_spikes = torch.zeros_like(potential) if grad_spikes is None else grad_spikes
        # grad[t] = dL/dV[t] = slope[t] (dL/dS[t] + jump[t] grad[t+1]) + keep[t] grad[t+1]
        grad = by_spikes * slope
        if grad_potential is not None:
            grad += grad_potential
        if recurrent is None and strength is None:
            grads, carries = grad.unbind(), slope.mul_(jump).add_(keep).unbind()
            for step in range(len(grads) - 2, -1, -1):
                grads[step].addcmul_(carries[step], grads[step + 1])
        else:
            # What the reset takes of the threshold: dV[t+1]/dtheta[t] = -share S[t].
            share = {"subtract": torch.ones_like(alpha), "subtract_decayed": alpha, "zero": torch.zeros_like(alpha)}
            jump, keep = jump.expand_as(grad), keep.expand_as(grad)
            _back(grad, by_spikes, slope, jump, keep, recurrent, strength, rho, share[ctx.reset] * spikes)
        by_alpha = by_recurrent = None
        if ctx.needs_input_grad[1]:
            kept = _kept(ctx.reset, theta if thresholds is None else theta[:-1], potential[:-1], spikes[:-1])
            by_alpha = (grad[1:] * kept).sum_to_size(alpha.shape)
        if ctx.needs_input_grad[3]:
            by_recurrent = grad[1:].flatten(0, 1).T @ spikes[:-1].flatten(0, 1)
        return grad, by_alpha, None, by_recurrent, None, None, None, None


def _back(
    grad: torch.Tensor,
    by_spikes: torch.Tensor,
    slope: torch.Tensor,
    jump: torch.Tensor,
    keep: torch.Tensor,
    recurrent: torch.Tensor | None,
    strength: torch.Tensor | None,
    rho: torch.Tensor | None,
    threshold_taken: torch.Tensor,
) -> None:
    """Carry the gradient back through time where spikes act on later steps by more than the reset.

    In place: `grad` comes as slope * dL/dS of the layers above and leaves as dL/dV.
    """
    grads, slopes, jumps, keeps = grad.unbind(), slope.unbind(), jump.unbind(), keep.unbind()
    above, taken = by_spikes.unbind(), threshold_taken.unbind()
    by_adaptation = torch.zeros_like(grads[0])
    for step in range(len(grads) - 1, -1, -1):
        if step == len(grads) - 1:
            if strength is not None:
                by_adaptation = -strength * slopes[step] * above[step]
            continue
        later = grads[step + 1]
        by_spike = jumps[step] * later
        if recurrent is not None:
            by_spike.addmm_(later, recurrent)
        if strength is not None:
            by_spike += by_adaptation
        grads[step].addcmul_(slopes[step], by_spike).addcmul_(keeps[step], later)
        if strength is not None and rho is not None:
            by_threshold = -slopes[step] * (above[step] + by_spike) - taken[step] * later
            by_adaptation = strength * by_threshold + rho * by_adaptation


def lif_scan(
    current: torch.Tensor,
    alpha: torch.Tensor,
    threshold: torch.Tensor,
    *,
    reset: str = "subtract",
    surrogate: Surrogate | None = None,
    recurrent: torch.Tensor | None = None,
    adaptation: AdaptiveThreshold | None = None,
) -> tuple[torch.Tensor, torch.Tensor]:
    """Run leaky integrate-and-fire neurons over time.

    The equations are those of `cortexsnn.reference`, with one step of delay in the recurrent weights.

    Parameters
    ----------
    current : torch.Tensor, shape (time, trial, neuron)
        Feed-forward input of each step, bias included.
    alpha : torch.Tensor, shape (neuron,)
        Decay of the membrane potential over one step. Gradients flow to it.
    threshold : torch.Tensor, shape (neuron,)
        Positive; gets no gradient.
    reset : {"subtract", "subtract_decayed", "zero"}
    surrogate : Surrogate, optional
        The box of width 1 if not given.
    recurrent : torch.Tensor, shape (target, source), optional
        Weights within the population. Gradients flow to them.
    adaptation : AdaptiveThreshold, optional

    Returns
    -------
    spikes : torch.Tensor, shape (time, trial, neuron)
        0 or 1.
    potential : torch.Tensor, shape (time, trial, neuron)
        V[t] before the reset.

    Raises
    ------
    InputError
        If there is no such reset.

    Examples
    --------
    >>> current = torch.ones(4, 1, 1)
    >>> spikes, potential = lif_scan(current, torch.tensor([0.5]), torch.tensor([1.0]))
    >>> potential.flatten()
    tensor([1.0000, 1.5000, 0.7500, 1.3750])
    >>> spikes.flatten()
    tensor([0., 1., 0., 1.])
    """
    choice("reset", reset, RESETS)
    strength, rho = (None, None) if adaptation is None else adaptation
    return _LifScan.apply(current, alpha, threshold, recurrent, strength, rho, reset, surrogate or Surrogate())


def thresholds(spikes: torch.Tensor, threshold: torch.Tensor, adaptation: AdaptiveThreshold | None) -> torch.Tensor:
    """The threshold theta[t] that each step was decided by.

    Parameters
    ----------
    spikes : torch.Tensor, shape (time, trial, neuron)
    threshold : torch.Tensor, shape (neuron,)
    adaptation : AdaptiveThreshold, optional

    Returns
    -------
    torch.Tensor, shape (time, trial, neuron)

    Examples
    --------
    >>> adaptation = AdaptiveThreshold(torch.tensor([0.5]), torch.tensor([0.5]))
    >>> thresholds(torch.tensor([1.0, 0.0, 0.0]).view(3, 1, 1), torch.tensor([1.0]), adaptation).flatten()
    tensor([1.0000, 1.5000, 1.2500])
    """
    if adaptation is None:
        return threshold.expand_as(spikes)
    rise = torch.zeros_like(spikes)
    for step in range(1, len(spikes)):
        torch.addcmul(spikes[step - 1], rise[step - 1], adaptation.rho, out=rise[step])
    return threshold + adaptation.strength * rise


def leaky_integral(current: torch.Tensor, alpha: torch.Tensor) -> torch.Tensor:
    """Leaky integrators without spikes: V[t] = alpha V[t-1] + (1 - alpha) I[t].

    Written as products with the triangle of decays alpha^(t-s) of a block of steps, which is fast for the few neurons
    of a readout.

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
    steps = torch.arange(min(len(current), _BLOCK_STEPS), device=current.device)
    lag = steps[:, None] - steps[None, :]
    decay = alpha[:, None, None] ** lag.clamp(min=0) * (lag >= 0)
    blocks: list[torch.Tensor] = []
    for part in (current * (1 - alpha)).split(_BLOCK_STEPS):
        size = len(part)
        block = torch.einsum("nts,sbn->tbn", decay[:, :size, :size], part)
        if blocks:
            block = block + alpha ** (steps[:size, None, None] + 1) * blocks[-1][-1]
        blocks.append(block)
    return torch.cat(blocks)
