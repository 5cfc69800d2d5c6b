"""One pass over the training split."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from cortexsnn.datasets import TrainingData
from cortexsnn.datasets.augmentation import augment
from cortexsnn.decoding import accuracy, decode
from cortexsnn.training.evaluation import TimeFirst
from cortexsnn.training.losses import cross_entropy, penalty
from cortexsnn.training.model import SpikingNetwork
from cortexsnn.training.protocol import Protocol
from cortexsnn.training.time_constants import LearnedTimeConstants

__all__ = ["learned_time_constants", "make_optimiser", "train_epoch"]

_EPOCH = 1  # stream of random numbers


def make_optimiser(model: SpikingNetwork, protocol: Protocol) -> torch.optim.Optimizer:
    """The optimiser of a protocol; only connection weights decay, and learned tau may have a rate of their own.

    Parameters
    ----------
    model : SpikingNetwork
    protocol : Protocol

    Returns
    -------
    torch.optim.Adam or torch.optim.AdamW
        With groups ``weights``, ``normalisation`` and ``tau``; those without parameters are left out.
    """
    tau = [p for layer in model.hidden for p in layer.time_constants.parameters()]
    weights = [connections.weight for connections in model.connections]
    weights += [layer.recurrent for layer in model.hidden if layer.recurrent is not None]
    chosen = {id(p) for p in tau + weights}
    groups = {
        "weights": weights,
        "normalisation": [p for p in model.parameters() if id(p) not in chosen],
        "tau": tau,
    }
    kind = torch.optim.AdamW if protocol.optimiser == "adamw" else torch.optim.Adam
    return kind(
        [
            {"params": members, "name": name, "weight_decay": protocol.weight_decay if name == "weights" else 0.0}
            for name, members in groups.items()
            if members
        ],
        lr=protocol.learning_rate,
    )


def _set_learning_rates(optimiser: torch.optim.Optimizer, protocol: Protocol, epoch: int) -> None:
    rate = protocol.learning_rate_at(epoch)
    for group in optimiser.param_groups:
        group["lr"] = rate
        if group["name"] == "tau" and protocol.tau_learning_rate is not None:
            group["lr"] = rate * protocol.tau_learning_rate / protocol.learning_rate


def _gradient_norm(parameter: torch.Tensor) -> float:
    return 0.0 if parameter.grad is None else float(parameter.grad.norm())


def learned_time_constants(model: SpikingNetwork) -> dict[str, Any]:
    """Time constants of every hidden layer and their bounds, if any are learned.

    Parameters
    ----------
    model : SpikingNetwork

    Returns
    -------
    dict
        ``tau_ms``, for each layer a list with one value for each neuron, or a single one if the layer shares it;
        ``tau_bounds_ms``, for each layer its bounds, or nothing if its tau is fixed. Empty if nothing is learned.
    """
    constants = [layer.time_constants for layer in model.hidden]
    if not any(isinstance(c, LearnedTimeConstants) for c in constants):
        return {}
    tau, bounds = [], []
    for c in constants:
        tau_s = c.log_tau().exp() if isinstance(c, LearnedTimeConstants) else c.tau_s()
        tau.append([round(1000 * float(value), 6) for value in tau_s.detach()])
        bounds.append([1000 * b for b in c.bounds_s] if isinstance(c, LearnedTimeConstants) else None)
    return {"tau_ms": tau, "tau_bounds_ms": bounds}


def train_epoch(
    model: SpikingNetwork, optimiser: torch.optim.Optimizer, data: TrainingData, protocol: Protocol, epoch: int
) -> dict[str, Any]:
    """One pass over the training split in random order.

    Random numbers depend on seed and epoch alone, so that a resumed run equals an uninterrupted one.

    Parameters
    ----------
    model : SpikingNetwork
    optimiser : torch.optim.Optimizer
        Of `make_optimiser`.
    data : TrainingData
    protocol : Protocol
    epoch : int
        Counted from 0.

    Returns
    -------
    dict
        ``epoch`` counted from 1, ``learning_rate``, ``train_loss``, ``train_accuracy`` (with dropout, while
        learning), ``gradient_norm`` of the connections into every hidden layer, and learned time constants.

    Raises
    ------
    FloatingPointError
        If the loss is no longer a number.
    """
    rng = np.random.default_rng([protocol.seed, _EPOCH, epoch])
    _set_learning_rates(optimiser, protocol, epoch)
    model.train()
    order = rng.permutation(len(data.train))
    batches = [order[start : start + protocol.batch_size] for start in range(0, len(order), protocol.batch_size)]
    time_first = TimeFirst(model.device)
    losses, right, norms = 0.0, 0.0, []
    for first in range(0, len(batches), protocol.accumulate):
        together = batches[first : first + protocol.accumulate]
        optimiser.zero_grad()
        for batch in together:
            counts, labels = data.train.counts[batch], torch.from_numpy(data.train.labels[batch])
            counts = augment(counts, protocol.augmentation, data.dt_s, rng)
            activity = model.run(time_first(counts), rng)
            loss = cross_entropy(activity.readout, labels.to(model.device), data.decoder)
            ((loss + penalty(model, activity, protocol.regularisation)) / len(together)).backward()
            value = float(loss.detach())
            if not np.isfinite(value):
                raise FloatingPointError(f"the training loss is {value} in epoch {epoch + 1}; lower the learning rate")
            losses += value * len(batch)
            classes = decode(activity.readout.detach().permute(1, 0, 2).cpu().numpy(), data.decoder)
            right += accuracy(classes, labels.numpy(), data.scored_steps) * len(batch)
        norms.append([_gradient_norm(layer.incoming.weight) for layer in model.hidden])
        if protocol.adam_step == "epoch":
            for state in optimiser.state.values():
                state["step"].fill_(epoch)
        optimiser.step()
    return {
        "epoch": epoch + 1,
        "learning_rate": protocol.learning_rate_at(epoch),
        "train_loss": losses / len(order),
        "train_accuracy": right / len(order),
        "gradient_norm": np.mean(norms, axis=0).tolist(),
        **learned_time_constants(model),
    }
