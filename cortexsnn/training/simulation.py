"""A `Network` back in torch, in float64, by the same scan that networks are trained with."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
import xarray as xr
from numpy.typing import ArrayLike

from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection, input_counts
from cortexsnn.recording import RecordedPopulation, make_recording
from cortexsnn.training.delayed import delayed_current
from cortexsnn.training.scan import AdaptiveThreshold, leaky_integral, lif_scan

__all__ = ["simulate"]

_HINT = "run it in cortexsnn.reference or Brian2"


def _layers(network: Network) -> list[Population]:
    """Populations, each after all that it hears from; the first thing that torch cannot run is refused."""
    for population in network.order:
        if population.refractory_steps:
            raise InputError(f"refractory_steps of population '{population.name}'", population.refractory_steps,
                             "0 in torch", _HINT)  # fmt: skip
    for projection in network.projections:
        if projection.source == projection.target and projection.delay_steps != (1,):
            raise InputError(f"delay_steps of projection '{projection.name}'", projection.delay_steps,
                             "(1,) for a recurrent projection in torch", _HINT)  # fmt: skip
    done = {p.name for p in network.inputs}
    waiting, ordered = list(network.order), []
    while waiting:
        early = {
            p.name: [q for q in network.projections if q.target == p.name and q.source not in done | {p.name}]
            for p in waiting
        }
        ready = next((p for p in waiting if not early[p.name]), None)
        if ready is None:
            projection = early[waiting[0].name][0]
            raise InputError(f"source of projection '{projection.name}'", projection.source,
                             "an earlier population in torch, no feedback", _HINT)  # fmt: skip
        ordered.append(ready)
        waiting.remove(ready)
        done.add(ready.name)
    return ordered


def _tensor(array: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(np.array(array))


def _feed_forward(
    population: Population, incoming: list[Projection], spikes: Mapping[str, torch.Tensor]
) -> torch.Tensor:
    steps, trials, _ = next(iter(spikes.values())).shape
    current = _tensor(population.bias).expand(steps, trials, population.size)
    for projection in incoming:
        if projection.source != population.name:
            weight = _tensor(projection.weight)
            current = current + delayed_current(spikes[projection.source], weight, projection.delay_steps)
    return current


def _fire(
    population: Population, current: torch.Tensor, recurrent: list[Projection], dt_s: float
) -> tuple[torch.Tensor, torch.Tensor]:
    adaptation = None
    if population.adaptation is not None:
        rho = _tensor(np.exp(-dt_s / population.adaptation.tau_s))
        adaptation = AdaptiveThreshold(_tensor(population.adaptation.strength), rho)
    return lif_scan(
        current,
        _tensor(population.alpha(dt_s)),
        _tensor(population.threshold),
        reset=population.reset,
        recurrent=_tensor(recurrent[0].weight[0]) if recurrent else None,
        adaptation=adaptation,
    )


def simulate(network: Network, counts: ArrayLike | Mapping[str, ArrayLike]) -> xr.DataTree:
    """Run a `Network` in torch in float64.

    Parameters
    ----------
    network : Network
        Feed-forward with any delays, recurrent connections within a population with a delay of one step, all
        resets, adaptive thresholds.
    counts : array of int, shape (trial, time, channel), or mapping from input population to such an array

    Returns
    -------
    xarray.DataTree
        A recording with the potentials of all populations.

    Raises
    ------
    InputError
        If the network has something that torch cannot run here (refractory periods, feedback between populations,
        longer recurrent delays); it is named.

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
    layers = _layers(network)
    given = input_counts(network, counts)
    trials, steps = next(iter(given.values())).shape[:2]
    spikes = {name: torch.from_numpy(values).permute(1, 0, 2).double() for name, values in given.items()}
    recorded = [RecordedPopulation.from_counts(name, "input", values) for name, values in given.items()]
    for population in layers:
        incoming = [p for p in network.projections if p.target == population.name]
        current = _feed_forward(population, incoming, spikes)
        if population.kind == "lif":
            recurrent = [p for p in incoming if p.source == population.name]
            fired, potential = _fire(population, current, recurrent, network.dt_s)
        else:
            alpha = _tensor(population.alpha(network.dt_s))
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
