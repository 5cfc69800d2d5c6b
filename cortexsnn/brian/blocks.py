"""A run cut into blocks that fit into memory, and what one block leaves behind."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Protocol

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.build import Plan, known_populations
from cortexsnn.brian.circuit import Circuit, circuit_of
from cortexsnn.brian.equations import NeuronModel, NeuronModels
from cortexsnn.brian.layout import TrialLayout, TrialState
from cortexsnn.network import Network, SpikeInput
from cortexsnn.recording import RecordedPopulation

__all__ = ["Block", "BlockResult", "Monitored", "Runner", "block_result", "blocks_of", "layout_of_blocks", "plan_of"]

Counts = Mapping[str, NDArray[np.uint8]]

_BLOCK_BYTES = 160_000_000
_TRIALS_OF_A_BLOCK = (1, 4, 16, 64)


@dataclass(frozen=True)
class Block:
    """Some trials, or some steps of one trial, that are run at once.

    Parameters
    ----------
    trials, steps : range
    """

    trials: range
    steps: range


def layout_of_blocks(
    network: Network, trials: int, steps: int, with_potential: int, *, processes: int, compiled: bool
) -> tuple[TrialLayout, bool]:
    """The layout of every block of a run, and whether a block is a piece of a trial.

    Parameters
    ----------
    network : Network
    trials, steps : int
        Of the whole run.
    with_potential : int
        Number of neurons whose potential is monitored.
    processes : int
        Blocks that run at the same time.
    compiled : bool
        Whether the layout is compiled into a program: then there are few sizes of blocks, so that data sets of
        different lengths share a program, and a short last block is padded with silence.

    Returns
    -------
    layout : TrialLayout
    continuing : bool

    Examples
    --------
    >>> from cortexsnn.network import Population
    >>> network = Network(0.01, (Population.input("input", 700), Population.readout("readout", 20, tau_s=0.1)), ())
    >>> layout_of_blocks(network, 1000, 250, 20, processes=2, compiled=True)
    (TrialLayout(trials=64, steps=250, gap=1), False)
    >>> layout_of_blocks(network, 1, 900_000, 20, processes=2, compiled=True)
    (TrialLayout(trials=1, steps=16384, gap=1), True)
    """
    width = 8 * (sum(p.size for p in network.inputs) + with_potential)
    most_steps = max(1, _BLOCK_BYTES // width)
    if steps > most_steps:
        return TrialLayout.for_network(network, 1, 1 << (most_steps.bit_length() - 1)), True
    one = TrialLayout.for_network(network, 1, steps)
    wanted = -(-trials // processes)
    most_trials = max(1, most_steps // one.period)
    if compiled:
        fitting = [n for n in _TRIALS_OF_A_BLOCK if n <= most_trials]
        return TrialLayout(max([n for n in fitting if n <= wanted], default=1), steps, one.gap), False
    return TrialLayout(min(wanted, most_trials), steps, one.gap), False


def plan_of(
    network: Network | Circuit,
    inputs: Mapping[str, SpikeInput],
    models: NeuronModels,
    record_potential: Collection[str],
    *,
    processes: int,
    compiled: bool,
) -> Plan:
    """The plan of every block of a run.

    Parameters
    ----------
    network : Network or Circuit
    inputs : mapping from str to SpikeInput
        In the time steps in which the circuit runs.
    models : mapping from str to NeuronModel
    record_potential : collection of str
    processes : int
        Blocks that run at the same time.
    compiled : bool
        Whether the layout is compiled into a program (`layout_of_blocks`).

    Returns
    -------
    Plan
    """
    one = next(iter(inputs.values()))
    chosen = circuit_of(network, models)
    runs = chosen.network
    recorded = tuple(known_populations(runs, record_potential))
    width = sum(p.size for p in runs.order if p.kind == "readout" or p.name in recorded)
    layout, continuing = layout_of_blocks(runs, one.trials, one.steps, width, processes=processes, compiled=compiled)
    return Plan(
        chosen,
        layout,
        frozenset(name for name, given in inputs.items() if given.graded),
        recorded,
        continuing,
    )


def blocks_of(layout: TrialLayout, trials: int, steps: int) -> Iterator[Block]:
    """All blocks in order; those of one trial follow one another.

    Parameters
    ----------
    layout : TrialLayout
        Of one block.
    trials, steps : int
        Of the whole run.

    Yields
    ------
    Block

    Examples
    --------
    >>> list(blocks_of(TrialLayout(2, 5, 1), 3, 5))
    [Block(trials=range(0, 2), steps=range(0, 5)), Block(trials=range(2, 3), steps=range(0, 5))]
    """
    for trial in range(0, trials, layout.trials):
        for step in range(0, steps, layout.steps):
            yield Block(range(trial, min(trial + layout.trials, trials)), range(step, min(step + layout.steps, steps)))


@dataclass(frozen=True, eq=False)
class Monitored:
    """What Brian2 saw in one run, in steps of that run.

    Parameters
    ----------
    spikes : mapping from str to pair of arrays, shape (spike,)
        Step and neuron of every spike, by population.
    potentials : mapping from str to array, shape (time, neuron)
    variables : mapping from (population, variable) to array, shape (neuron,)
        State variables after the last step.
    """

    spikes: Mapping[str, tuple[NDArray[np.int64], NDArray[np.integer]]]
    potentials: Mapping[str, NDArray[np.floating]]
    variables: Mapping[tuple[str, str], NDArray[np.floating]]


class Runner(Protocol):
    """A device with a network in it, ready to run one block after another."""

    def run(
        self,
        counts: Counts,
        before: Counts | None = None,
        state: TrialState | None = None,
        seed: int | None = None,
    ) -> Monitored:
        """Run one block.

        Parameters
        ----------
        counts : mapping from str to array, shape (trial, time, channel)
        before : mapping from str to array, shape (trial, time, channel), optional
            Input of the steps before the block.
        state : TrialState, optional
            Where the block before ended.
        seed : int, optional
            Of the random numbers that the circuit asks for, from 0 to 2**32 - 1.

        Returns
        -------
        Monitored
        """

    def stop(self) -> None:
        """End what is running; called from another thread when a run is interrupted or one of its blocks failed."""


@dataclass(frozen=True, eq=False)
class BlockResult:
    """Spikes and potentials of one block, and the state in which its trial is left.

    Parameters
    ----------
    block : Block
    populations : list of RecordedPopulation
        Trials and steps are counted from the start of the block.
    state : TrialState
    """

    block: Block
    populations: list[RecordedPopulation]
    state: TrialState


def _potential_unit(model: NeuronModel) -> str:
    potential = brian2.Equations(model.equations)["v"]
    return "1" if potential.dim.is_dimensionless else str(potential.unit)


def block_result(plan: Plan, block: Block, monitored: Monitored) -> BlockResult:
    """Turn what the monitors saw into trials.

    Parameters
    ----------
    plan : Plan
    block : Block
    monitored : Monitored

    Returns
    -------
    BlockResult
    """
    layout = plan.layout
    trials, steps = len(block.trials), len(block.steps)
    populations: list[RecordedPopulation] = []
    last: dict[str, NDArray[np.uint8]] = {}
    for population in plan.network.order:
        name = population.name
        run_step, neuron = monitored.spikes.get(name, (np.zeros(0, np.int64), np.zeros(0, np.int32)))
        trial, step = layout.places(run_step)
        kept = (step >= 0) & (trial < trials) & (step < steps)
        potential = monitored.potentials.get(name)
        if potential is not None:
            by_trial = potential.reshape(layout.trials, layout.period, population.size)
            potential = by_trial[:trials, layout.gap : layout.gap + steps]
        populations.append(
            RecordedPopulation(
                name,
                population.kind,
                population.size,
                trial[kept],
                step[kept],
                neuron[kept],
                potential,
                _potential_unit(plan.models[name]),
            )
        )
        if plan.continuing and population.kind == "lif":
            fired = np.zeros((layout.gap, population.size), dtype=np.uint8)
            recent = run_step >= layout.total_steps - layout.gap
            fired[run_step[recent] - (layout.total_steps - layout.gap), neuron[recent]] = 1
            last[name] = fired
    return BlockResult(block, populations, TrialState(monitored.variables, last))
