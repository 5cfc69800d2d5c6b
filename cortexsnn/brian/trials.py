"""Many trials in one long run: one after another, with a gap in which every trace of a trial dies away.

One compiled program then serves any number of trials, and a trial gives the same spikes wherever it stands.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import brian2
import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.brian.schedule import slot
from cortexsnn.network import Network
from cortexsnn.provenance import versions
from cortexsnn.recording import RecordedPopulation, make_recording

__all__ = ["TrialLayout", "TrialResults", "separate_trials"]


@dataclass(frozen=True)
class TrialLayout:
    """Where each trial stands in the long run.

    Parameters
    ----------
    trials, steps : int
        Number of trials, and time steps in each.
    gap : int
        Steps of silence after every trial.
    """

    trials: int
    steps: int
    gap: int

    @classmethod
    def for_network(cls, network: Network, trials: int, steps: int) -> TrialLayout:
        """A gap that outlasts every delay and every refractory period."""
        refractory = max((p.refractory_steps for p in network.hidden), default=0)
        return cls(trials, steps, max(1, network.max_delay_steps, refractory))

    @property
    def period(self) -> int:
        """Steps from the start of one trial to the start of the next."""
        return self.steps + self.gap

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.trials * self.period

    def raster(self, counts: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """Lay trials one after another, shape (time, channel); missing trials at the end are silent.

        Examples
        --------
        >>> TrialLayout(trials=2, steps=2, gap=1).raster(np.ones((1, 2, 1), dtype=np.uint8)).ravel()
        array([1, 1, 0, 0, 0, 0], dtype=uint8)
        """
        laid = np.zeros((self.trials, self.period, counts.shape[2]), dtype=np.uint8)
        laid[: counts.shape[0], : self.steps] = counts
        return laid.reshape(self.total_steps, counts.shape[2])


def separate_trials(simulation: brian2.Network, network: Network, layout: TrialLayout) -> None:
    """Hold every membrane potential at 0 in the gaps, so that nothing fires there and each trial starts from rest.

    The hold stands just before the threshold. It is driven by the step number of the network's own clock: a second
    clock falls out of step on C++ standalone after some ten thousand steps.

    Parameters
    ----------
    simulation : brian2.Network
        Of `cortexsnn.brian.build.assemble`; gets one more operation for each population.
    network : Network
        What it was made of.
    layout : TrialLayout
        Where the trials stand.
    """
    inside = f"int((t_in_timesteps % {layout.period}) < {layout.steps})"
    for population in network.order:
        variables = ["v"] if population.adaptation is None else ["v", "a"]
        simulation[population.name].run_regularly(
            "\n".join(f"{variable} *= {inside}" for variable in variables),
            when=slot("threshold", population.name),
            order=-1,
            name=f"{population.name}_between_trials",
        )


class TrialResults:
    """Collects what the monitors saw, chunk by chunk, and turns it into a recording.

    Parameters
    ----------
    network : Network
    layout : TrialLayout
        Of one chunk.
    record_potential : collection of str
        Spiking populations whose potential was monitored.
    """

    def __init__(self, network: Network, layout: TrialLayout, record_potential: Collection[str]) -> None:
        self.network = network
        self.layout = layout
        self.with_potential = [p.name for p in network.order if p.kind == "readout" or p.name in record_potential]
        self._spikes: dict[str, list[NDArray[np.int64]]] = {p.name: [] for p in network.hidden}
        self._potentials: dict[str, list[NDArray[np.float64]]] = {name: [] for name in self.with_potential}
        self._trials = 0

    def add(self, simulation: brian2.Network, trials: int) -> None:
        """Take over the monitors of one run, of which the first `trials` trials count."""
        layout, dt_s = self.layout, self.network.dt_s
        for name, chunks in self._spikes.items():
            monitor = simulation[f"{name}_spikes"]
            steps = np.rint(np.asarray(monitor.t) / dt_s).astype(np.int64)
            trial, step = np.divmod(steps, layout.period)
            kept = trial < trials
            chunks.append(np.stack([trial[kept] + self._trials, step[kept], np.asarray(monitor.i)[kept]]))
        for name, potentials in self._potentials.items():
            potential = np.asarray(simulation[f"{name}_potential"].v).T
            by_trial = potential.reshape(layout.trials, layout.period, potential.shape[1])
            potentials.append(by_trial[:trials, : layout.steps])
        self._trials += trials

    def recording(self, counts: dict[str, NDArray[np.uint8]], source: str) -> xr.DataTree:
        """Everything collected, with the input spikes, as one recording."""
        recorded = [RecordedPopulation.from_counts(name, "input", counts[name]) for name in counts]
        for population in self.network.order:
            name = population.name
            chunks = self._spikes.get(name, [])
            spikes = np.concatenate(chunks, axis=1) if chunks else np.zeros((3, 0), dtype=np.int64)
            potential = np.concatenate(self._potentials[name]) if name in self._potentials else None
            trial, step, neuron = spikes
            recorded.append(RecordedPopulation(name, population.kind, population.size, trial, step, neuron, potential))
        return make_recording(
            recorded,
            dt_s=self.network.dt_s,
            trials=self._trials,
            steps=self.layout.steps,
            source=source,
            network=self.network.fingerprint(),
            description={"versions": versions("brian2", "numpy")},
        )
