"""The meaning of a `Network`, executable: the difference equations in float64 NumPy.

Training and Brian2 are each tested against this module. With S in {0, 1} and everything per neuron::

    alpha = exp(-dt / tau)
    V[t]  = alpha V[t-1] + I[t] - theta[t-1] S[t-1]        reset "subtract"
    V[t]  = alpha (V[t-1] - theta[t-1] S[t-1]) + I[t]      reset "subtract_decayed"
    V[t]  = alpha V[t-1] (1 - S[t-1]) + I[t]               reset "zero"
    S[t]  = 1 if V[t] > theta[t] and not refractory        V[-1] = 0, S[-1] = 0; strictly greater
    I[t]  = bias + sum over projections and taps k of W_k S_source[t - delay_k]
    theta[t] = threshold + strength a[t],  a[t] = rho a[t-1] + S[t-1]
    readout: V[t] = alpha V[t-1] + (1 - alpha) I[t]

After a spike, S is held at 0 for `refractory_steps` steps while V evolves.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsnn.network import Network, Population, Projection, input_counts
from cortexsnn.recording import RecordedPopulation, make_recording

__all__ = ["simulate"]

FloatArray = NDArray[np.float64]


class _Lif:
    """State of one spiking population over all trials."""

    def __init__(self, population: Population, trials: int, dt_s: float) -> None:
        shape = (trials, population.size)
        self.population = population
        self.alpha = population.alpha(dt_s)
        self.rho = 0.0 if population.adaptation is None else np.exp(-dt_s / population.adaptation.tau_s)
        self.potential: FloatArray = np.zeros(shape)
        self.spikes: FloatArray = np.zeros(shape)
        self.adaptation: FloatArray = np.zeros(shape)
        self.silent_steps: NDArray[np.int64] = np.zeros(shape, dtype=np.int64)

    def theta(self) -> FloatArray:
        """Threshold of the step for which `adaptation` stands."""
        population = self.population
        if population.adaptation is None:
            return np.broadcast_to(population.threshold, self.spikes.shape)
        return population.threshold + population.adaptation.strength * self.adaptation

    def advance(self, current: FloatArray) -> FloatArray:
        """One time step; returns the spikes."""
        potential, spikes, alpha = self.potential, self.spikes, self.alpha
        theta_before = self.theta()
        if self.population.reset == "subtract":
            potential = alpha * potential + current - theta_before * spikes
        elif self.population.reset == "subtract_decayed":
            potential = alpha * (potential - theta_before * spikes) + current
        else:
            potential = alpha * potential * (1.0 - spikes) + current
        self.adaptation = self.rho * self.adaptation + spikes
        fires = (potential > self.theta()) & (self.silent_steps == 0)
        self.silent_steps = np.where(fires, self.population.refractory_steps, np.maximum(self.silent_steps - 1, 0))
        self.potential, self.spikes = potential, fires.astype(np.float64)
        return self.spikes


class _Readout:
    """State of one population of leaky integrators over all trials."""

    def __init__(self, population: Population, trials: int, dt_s: float) -> None:
        self.alpha = population.alpha(dt_s)
        self.gain = -np.expm1(-dt_s / population.tau_s)
        self.potential: FloatArray = np.zeros((trials, population.size))

    def advance(self, current: FloatArray) -> None:
        """One time step."""
        self.potential = self.alpha * self.potential + self.gain * current


def _current(
    population: Population, incoming: list[Projection], spikes: Mapping[str, NDArray[np.uint8]], step: int
) -> FloatArray:
    """I[t] of one population in all trials."""
    trials = next(iter(spikes.values())).shape[0]
    current = np.tile(population.bias, (trials, 1))
    for projection in incoming:
        for weight, delay in zip(projection.weight, projection.delay_steps, strict=True):
            if delay <= step:
                current += spikes[projection.source][:, step - delay].astype(np.float64) @ weight.T
    return current


def simulate(
    network: Network, counts: ArrayLike | Mapping[str, ArrayLike], *, record_potential: Collection[str] = ()
) -> xr.DataTree:
    """Run a network on input spikes.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or mapping from input population to such an array
        Input spikes in each time step.
    record_potential : collection of str
        Spiking populations whose V[t] is kept too; that of readouts always is.

    Returns
    -------
    xarray.DataTree
        A recording (`cortexsnn.recording`).

    Examples
    --------
    A single neuron with alpha = 0.5 and weight 1 fires in the second step of a lasting input:

    >>> from cortexsnn.network import Population, Projection
    >>> tau_s = -0.01 / np.log(0.5)
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=tau_s)),
    ...     (Projection("input", "hidden1", [[1.0]]),),
    ... )
    >>> recording = simulate(network, np.ones((1, 4, 1)), record_potential=["hidden1"])
    >>> recording["hidden1"]["potential"].values.ravel().round(3)
    array([1.   , 1.5  , 0.75 , 1.375])
    >>> recording["hidden1"]["spike_step"].values
    array([1, 3], dtype=int32)
    """
    given = input_counts(network, counts)
    trials, steps = next(iter(given.values())).shape[:2]
    spikes: dict[str, NDArray[np.uint8]] = dict(given)
    potentials: dict[str, FloatArray] = {}
    cells: dict[str, _Lif | _Readout] = {}
    for population in network.order:
        shape = (trials, steps, population.size)
        spikes[population.name] = np.zeros(shape, dtype=np.uint8)
        if population.kind == "lif":
            cells[population.name] = _Lif(population, trials, network.dt_s)
        else:
            cells[population.name] = _Readout(population, trials, network.dt_s)
        if population.kind == "readout" or population.name in record_potential:
            potentials[population.name] = np.zeros(shape)
    incoming = {p.name: [q for q in network.projections if q.target == p.name] for p in network.order}

    for step in range(steps):
        for population in network.order:
            cell = cells[population.name]
            fired = cell.advance(_current(population, incoming[population.name], spikes, step))
            if fired is not None:
                spikes[population.name][:, step] = fired
            if population.name in potentials:
                potentials[population.name][:, step] = cell.potential

    recorded = [
        RecordedPopulation.from_counts(p.name, p.kind, spikes[p.name], potentials.get(p.name))
        for p in network.inputs + network.order
    ]
    return make_recording(
        recorded,
        dt_s=network.dt_s,
        trials=trials,
        steps=steps,
        source="reference",
        network=network.fingerprint(),
    )
