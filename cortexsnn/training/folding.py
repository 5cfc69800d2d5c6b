"""From the trained model to a `Network`, and that network back in torch.

Batch normalisation is folded into weights and biases in float64; what is left is the network that the reference
and Brian2 run as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection, input_counts
from cortexsnn.recording import RecordedPopulation, make_recording
from cortexsnn.training.model import Normalised, SpikingNetwork
from cortexsnn.training.scan import leaky_integral, lif_scan

__all__ = ["simulate", "to_network"]


def _folded(layer: Normalised) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weight and bias of the linear map that equals map and batch normalisation with running statistics."""
    norm = layer.norm
    assert norm.running_mean is not None
    assert norm.running_var is not None
    mean, variance, scale, shift, weight = (
        tensor.detach().double().numpy()
        for tensor in (norm.running_mean, norm.running_var, norm.weight, norm.bias, layer.linear.weight)
    )
    gain = scale / np.sqrt(variance + norm.eps)
    return weight * gain[:, np.newaxis], shift - mean * gain


def to_network(model: SpikingNetwork, decoder: str, metadata: Mapping[str, Any] | None = None) -> Network:
    """Describe a trained model as a `Network`.

    Parameters
    ----------
    model : SpikingNetwork
    decoder : {"sum_of_softmax", "per_step"}
    metadata : mapping, optional
        Data set, seeds, figures of merit.

    Returns
    -------
    Network
        Populations ``input``, ``hidden1`` to ``hiddenL`` and ``readout``.

    Examples
    --------
    >>> from cortexsnn.training.model import Architecture
    >>> architecture = Architecture(4, 2, (8,), (0.02,), readout_tau_s=0.05, dt_s=0.01)
    >>> model = SpikingNetwork(architecture, torch.Generator().manual_seed(0))
    >>> [population.name for population in to_network(model, "per_step").populations]
    ['input', 'hidden1', 'readout']
    """
    architecture = model.architecture
    folded = [_folded(layer) for layer in model.maps if isinstance(layer, Normalised)]
    names = ["input", *(f"hidden{i + 1}" for i in range(len(architecture.hidden))), "readout"]
    populations = [Population.input("input", architecture.channels)]
    for name, size, tau_s, (_, bias) in zip(names[1:], architecture.hidden, architecture.tau_s, folded, strict=False):
        populations.append(Population.lif(name, size, tau_s=tau_s, bias=bias, reset="subtract"))
    populations.append(
        Population.readout("readout", architecture.classes, tau_s=architecture.readout_tau_s, bias=folded[-1][1])
    )
    projections = tuple(
        Projection(source, target, weight)
        for source, target, (weight, _) in zip(names[:-1], names[1:], folded, strict=True)
    )
    return Network(architecture.dt_s, tuple(populations), projections, decoder, dict(metadata or {}))


def _incoming(network: Network, population: Population) -> list[Projection]:
    """Projections into a population, if torch can run them here."""
    incoming = [p for p in network.projections if p.target == population.name]
    for projection in incoming:
        if projection.delay_steps != (0,):
            raise InputError(f"delay_steps of projection '{projection.name}'", projection.delay_steps,
                             "(0,) in torch", "run networks with delays in cortexsnn.reference or Brian2")  # fmt: skip
    return incoming


def _refuse(population: Population) -> None:
    if population.kind != "lif":
        return
    where = f"of population '{population.name}'"
    hint = "run it in cortexsnn.reference or Brian2"
    if population.reset != "subtract":
        raise InputError(f"reset {where}", population.reset, "'subtract' in torch", hint)
    if population.refractory_steps:
        raise InputError(f"refractory_steps {where}", population.refractory_steps, "0 in torch", hint)
    if population.adaptation is not None:
        raise InputError(f"adaptation {where}", "an adaptive threshold", "a fixed threshold in torch", hint)


def simulate(network: Network, counts: ArrayLike | Mapping[str, ArrayLike]) -> xr.DataTree:
    """Run a `Network` in torch in float64.

    Parameters
    ----------
    network : Network
        Feed-forward, without delays, with the reset ``"subtract"``.
    counts : array of int, shape (trial, time, channel), or mapping from input population to such an array

    Returns
    -------
    xarray.DataTree
        A recording with the potentials of all populations.

    Raises
    ------
    InputError
        If the network has something that torch cannot run here; it is named.

    Examples
    --------
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> simulate(network, np.ones((1, 5, 1)))["hidden1"]["spike_step"].values
    array([1, 3], dtype=int32)
    """
    given = input_counts(network, counts)
    trials, steps = next(iter(given.values())).shape[:2]
    spikes = {name: torch.from_numpy(values).permute(1, 0, 2).double() for name, values in given.items()}
    recorded = [RecordedPopulation.from_counts(name, "input", values) for name, values in given.items()]
    for population in network.order:
        _refuse(population)
        bias = torch.from_numpy(population.bias.copy())
        current = bias.expand(steps, trials, population.size)
        for projection in _incoming(network, population):
            current = current + spikes[projection.source] @ torch.from_numpy(projection.weight[0].copy()).T
        alpha = torch.from_numpy(population.alpha(network.dt_s))
        if population.kind == "lif":
            fired, potential = lif_scan(current, alpha, torch.from_numpy(population.threshold.copy()))
        else:
            fired, potential = torch.zeros_like(current), leaky_integral(current, alpha)
        spikes[population.name] = fired
        by_trial = (tensor.permute(1, 0, 2).numpy() for tensor in (fired, potential))
        recorded.append(RecordedPopulation.from_counts(population.name, population.kind, *by_trial))
    return make_recording(
        recorded,
        dt_s=network.dt_s,
        trials=trials,
        steps=steps,
        source="torch float64",
        network=network.fingerprint(),
    )
