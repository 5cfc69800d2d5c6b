"""Many trials in one long run: one after another, each after a gap in which every trace of the last one dies away.

One compiled program then serves any number of trials, and a trial gives the same spikes wherever it stands. A trial
too long for one run is cut into blocks. A block goes on where the one before it ended: in its gap the input and the
spikes of the last steps are played again, which fills the delay lines, and then the neurons get back the state in
which they were.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import brian2
import numpy as np
from numpy.typing import DTypeLike, NDArray

from cortexsnn.brian.equations import NeuronModel
from cortexsnn.brian.schedule import slot
from cortexsnn.network import Network

__all__ = ["TrialLayout", "TrialState", "replay_name", "separate_trials", "start_name", "state_variables"]

_BASE_UNITS = ("metre", "kilogram", "second", "amp", "kelvin", "mole", "candela")


@dataclass(frozen=True)
class TrialLayout:
    """Where each trial stands in the long run.

    Parameters
    ----------
    trials, steps : int
        Number of trials, and time steps in each.
    gap : int
        Steps before every trial that do not belong to it.

    Examples
    --------
    >>> TrialLayout(trials=2, steps=3, gap=1).total_steps
    8
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
        return self.gap + self.steps

    @property
    def total_steps(self) -> int:
        """Steps of the whole run."""
        return self.trials * self.period

    def raster(
        self, counts: NDArray[np.uint8], before: NDArray[np.uint8] | None = None, dtype: DTypeLike = np.uint8
    ) -> NDArray[Any]:
        """Lay trials one after another, shape (time, channel); what is missing at the end is silent.

        Parameters
        ----------
        counts : array, shape (trial, time, channel)
            At most as many trials and steps as the layout has.
        before : array, shape (trial, time, channel), optional
            What the gaps end with.
        dtype : numpy type
            Of the result.

        Returns
        -------
        numpy.ndarray, shape (time, channel)

        Examples
        --------
        >>> TrialLayout(trials=2, steps=2, gap=1).raster(np.ones((1, 2, 1), dtype=np.uint8)).ravel()
        array([0, 1, 1, 0, 0, 0], dtype=uint8)
        """
        trials, steps, channels = counts.shape
        laid = np.zeros((self.trials, self.period, channels), dtype=dtype)
        laid[:trials, self.gap : self.gap + steps] = counts
        if before is not None:
            kept = before[:, max(0, before.shape[1] - self.gap) :]
            laid[:trials, self.gap - kept.shape[1] : self.gap] = kept
        return laid.reshape(self.total_steps, channels)

    def places(self, step: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Trial, and step within it, of steps of the long run; negative within a gap.

        Examples
        --------
        >>> TrialLayout(trials=2, steps=2, gap=1).places(np.array([0, 1, 4]))
        (array([0, 0, 1]), array([-1,  0,  0]))
        """
        trial, within = np.divmod(step, self.period)
        return trial, within - self.gap


@dataclass(frozen=True, eq=False)
class TrialState:
    """How a trial stands between two of its blocks.

    Parameters
    ----------
    variables : mapping from (population, variable) to array, shape (neuron,)
        At the end of the last step, in SI units.
    spikes : mapping from str to array of uint8, shape (time, neuron)
        Which neurons of each spiking population fired in the last steps, as many as the gap has.
    """

    variables: Mapping[tuple[str, str], NDArray[np.floating]] = field(default_factory=dict)
    spikes: Mapping[str, NDArray[np.uint8]] = field(default_factory=dict)


def state_variables(model: NeuronModel) -> list[str]:
    """Variables that remember: V, all others that a differential equation drives, and those that the model names.

    Parameters
    ----------
    model : NeuronModel

    Returns
    -------
    list of str

    Examples
    --------
    >>> from cortexsnn.brian.equations import neuron_model
    >>> from cortexsnn.network import Population
    >>> adaptive = Population.lif("hidden1", 1, tau_s=0.02, adaptation_strength=0.1, adaptation_tau_s=0.1)
    >>> state_variables(neuron_model(adaptive))
    ['a', 'v']
    """
    return sorted({"v", *brian2.Equations(model.equations).diff_eq_names, *model.memory})


def start_name(variable: str) -> str:
    """Name of the parameter with the value of a state variable at the start of a trial."""
    return f"{variable}_at_start"


def unit_text(dimension: brian2.units.fundamentalunits.Dimension) -> str:
    """A unit as the equations of Brian2 take it, which know few products by a name.

    Parameters
    ----------
    dimension : brian2.units.fundamentalunits.Dimension

    Returns
    -------
    str

    Examples
    --------
    >>> unit_text(brian2.volt.dim), unit_text((brian2.amp * brian2.second).dim), unit_text(brian2.get_dimensions(1))
    ('metre**2 * kilogram * second**-3 * amp**-1', 'second * amp', '1')
    """
    powers = zip(_BASE_UNITS, dimension._dims, strict=True)
    factors = [name if power == 1 else f"{name}**{power:g}" for name, power in powers if power]
    return " * ".join(factors) or "1"


def replay_name(population: str) -> str:
    """Name of the raster with the spikes that a population repeats in the gap before a block."""
    return f"{population}_replay"


def inside(layout: TrialLayout) -> str:
    """Expression of Brian2 that is 1 within a trial and 0 in the gap before it."""
    return f"int((t_in_timesteps % {layout.period}) >= {layout.gap})"


def separate_trials(
    simulation: brian2.Network,
    network: Network,
    layout: TrialLayout,
    state: Mapping[str, Sequence[str]],
    started: Mapping[str, Sequence[str]],
) -> None:
    """Hold every neuron still in the gaps, so that each trial starts as it should.

    The hold stands just before the threshold, so that no neuron fires by itself; after the last event of the step the
    variables that do not start at 0 get their values. Both are driven by the step number of the network's own clock:
    a second clock falls out of step on C++ standalone after some ten thousand steps.

    Parameters
    ----------
    simulation : brian2.Network
        Of `cortexsnn.brian.build.assemble`; gets one or two more operations for each population.
    network : Network
        What it was made of.
    layout : TrialLayout
        Where the trials stand.
    state, started : mapping from str to sequence of str
        State variables of each population, and those of them that start from a parameter (`start_name`).
    """
    within = inside(layout)
    for population in network.order:
        name = population.name
        simulation[name].run_regularly(
            "\n".join(f"{variable} *= {within}" for variable in state[name]),
            when=slot("threshold", name),
            order=-1,
            name=f"{name}_between_trials",
        )
        if started[name]:
            simulation[name].run_regularly(
                "\n".join(f"{v} = {v}*{within} + {start_name(v)}*(1 - {within})" for v in started[name]),
                when="end",
                name=f"{name}_start_of_trial",
            )
