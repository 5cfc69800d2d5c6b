"""From a trained model to a `Network`.

Batch normalisation is folded into weights and biases in float64; what is left is the network that the reference
and Brian2 run as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.network import Network, Population, Projection
from cortexsnn.training.layers import Normalised, SpikingLayer
from cortexsnn.training.model import SpikingNetwork

__all__ = ["to_network"]


def _folded(connections: Normalised) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight and bias that equal connections and batch normalisation with running statistics."""
    norm = connections.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance, scale, shift, weight = (
        tensor.detach().double().cpu().numpy()
        for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias, connections.weight)
    )
    gain = scale / np.sqrt(variance + norm.eps)
    return weight * gain[:, np.newaxis], shift - mean * gain


def _population(name: str, layer: SpikingLayer, bias: NDArray[np.float64]) -> Population:
    adapts: dict[str, Any] = {}
    if layer.layer.adaptation_strength:
        adapts = {
            "adaptation_strength": layer.layer.adaptation_strength,
            "adaptation_tau_s": layer.layer.adaptation_tau_s,
        }
    return Population.lif(
        name,
        layer.layer.size,
        tau_s=layer.time_constants.tau_s().detach().cpu().numpy(),
        threshold=layer.threshold.double().cpu().numpy(),
        bias=bias,
        reset=layer.layer.reset,
        **adapts,
    )


def to_network(model: SpikingNetwork, decoder: str, metadata: Mapping[str, Any] | None = None) -> Network:
    """Describe a trained model as a `Network`.

    Parameters
    ----------
    model : SpikingNetwork
        Normalised by its running statistics; batch statistics cannot be folded
        (`cortexsnn.training.evaluation.recompute_statistics`).
    decoder : {"sum_of_softmax", "per_step"}
    metadata : mapping, optional
        Data set, seeds, figures of merit.

    Returns
    -------
    Network
        Populations ``input``, ``hidden1`` to ``hiddenL`` and ``readout``.

    Examples
    --------
    >>> import torch
    >>> from cortexsnn.training.architecture import Architecture, stack
    >>> architecture = Architecture(4, 2, stack((8,), 0.02, kernel_size=2), readout_tau_s=0.05, dt_s=0.01)
    >>> model = SpikingNetwork(architecture, torch.Generator().manual_seed(0))
    >>> [projection.delay_steps for projection in to_network(model, "per_step").projections]
    [(0, 1), (0,)]
    """
    architecture = model.architecture
    populations, projections = [Population.input("input", architecture.channels)], []
    for number, layer in enumerate(model.hidden, start=1):
        name, before = f"hidden{number}", populations[-1].name
        weight, bias = _folded(layer.incoming)
        populations.append(_population(name, layer, bias))
        projections.append(Projection(before, name, weight, layer.incoming.delay_steps))
        recurrent = layer.recurrent_weight()
        if recurrent is not None:
            projections.append(Projection(name, name, recurrent.detach().double().cpu().numpy(), (1,)))
    weight, bias = _folded(model.readout)
    tau_s = model.readout_tau.tau_s().cpu().numpy()
    projections.append(Projection(populations[-1].name, "readout", weight))
    populations.append(Population.readout("readout", architecture.classes, tau_s=tau_s, bias=bias))
    return Network(architecture.dt_s, tuple(populations), tuple(projections), decoder, dict(metadata or {}))
