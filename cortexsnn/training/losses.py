"""What training makes small: the cross-entropy of decoded potentials, and penalties.

Both decoders' losses are those of Moro et al. 2024, https://doi.org/10.48550/arXiv.2407.18838; `cortexsnn.decoding`
reads classes from the same potentials.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from cortexsnn.errors import InputError
from cortexsnn.network.validation import DECODERS
from cortexsnn.training.model import Activity, SpikingNetwork
from cortexsnn.training.protocol import Regularisation
from cortexsnn.training.time_constants import LearnedTimeConstants

__all__ = ["cross_entropy", "penalty"]


def cross_entropy(potential: torch.Tensor, labels: torch.Tensor, decoder: str) -> torch.Tensor:
    """Cross-entropy of decoded readout potentials.

    Parameters
    ----------
    potential : torch.Tensor, shape (time, trial, class)
    labels : torch.Tensor of int, shape (trial,) or (trial, time)
    decoder : {"sum_of_softmax", "per_step"}
        ``"sum_of_softmax"`` takes the sum over time of softmax(V) as logits, ``"per_step"`` averages the
        cross-entropy of V over all steps.

    Returns
    -------
    torch.Tensor
        A scalar.

    Examples
    --------
    >>> potential = torch.zeros(5, 3, 2)
    >>> round(float(cross_entropy(potential, torch.zeros(3, 5, dtype=torch.long), "per_step")), 4)
    0.6931
    """
    if decoder == "per_step":
        return functional.cross_entropy(potential.flatten(0, 1), labels.T.flatten())
    if decoder == "sum_of_softmax":
        return functional.cross_entropy(potential.softmax(dim=-1).sum(dim=0), labels)
    raise InputError("decoder", decoder, f"one of {', '.join(DECODERS)}")


def penalty(model: SpikingNetwork, activity: Activity, regularisation: Regularisation) -> torch.Tensor | float:
    """What is added to the loss for weights, rates and learned time constants.

    Parameters
    ----------
    model : SpikingNetwork
    activity : Activity
        Of the batch; its spikes give the rates.
    regularisation : Regularisation

    Returns
    -------
    torch.Tensor or float
        A scalar; 0.0 if there is no penalty.

    Examples
    --------
    >>> from cortexsnn.training.architecture import Architecture, stack
    >>> architecture = Architecture(4, 2, stack((8,), tau_s=0.02), readout_tau_s=0.05, dt_s=0.01)
    >>> model = SpikingNetwork(architecture, torch.Generator().manual_seed(0)).eval()
    >>> penalty(model, model.run(torch.zeros(5, 1, 4)), Regularisation(rate=2.0)).item()
    2.0
    """
    total: torch.Tensor | float = 0.0
    if regularisation.weight:
        learned_tau = {id(p) for layer in model.hidden for p in layer.time_constants.parameters()}
        squares = [p.square().sum() for p in model.parameters() if id(p) not in learned_tau]
        total = total + regularisation.weight * torch.stack(squares).sum().sqrt()
    if regularisation.rate:
        target = regularisation.target_rate_hz * model.architecture.dt_s
        misses = [(spikes.mean() / target - 1).square() for spikes in activity.spikes]
        total = total + regularisation.rate * torch.stack(misses).mean()
    if regularisation.tau_spread or regularisation.tau_drift:
        learned = [c for layer in model.hidden if isinstance(c := layer.time_constants, LearnedTimeConstants)]
        if learned:
            spreads = [c.log_tau().std(correction=0) for c in learned]
            drifts = [(c.log_tau() - c.initial_log_tau).square().mean() for c in learned]
            total = total + regularisation.tau_spread * torch.stack(spreads).mean().float()
            total = total + regularisation.tau_drift * torch.stack(drifts).mean().float()
    return total
