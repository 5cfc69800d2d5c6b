"""Run a Brian2 network that `build` made and its user changed, and read it back as a recording."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import brian2
import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsnn.brian.blocks import Block, Monitored, block_result
from cortexsnn.brian.build import Plan, layout_of, trials_of
from cortexsnn.brian.circuit import Circuit, circuit_of
from cortexsnn.brian.runtime import monitored
from cortexsnn.network import Network
from cortexsnn.provenance import versions
from cortexsnn.recording import RecordedPopulation, make_recording

__all__ = ["plan_by_hand", "recorded", "run"]


def run(
    simulation: brian2.Network, network: Network | Circuit, counts: ArrayLike | Mapping[str, ArrayLike]
) -> xr.DataTree:
    """Run what `cortexsnn.brian.build` made, with whatever was added to it, over all of its trials.

    Parameters
    ----------
    simulation : brian2.Network
        Not run before.
    network : Network or Circuit
        What it was built of.
    counts : array of int, shape (time, channel) or (trial, time, channel), or mapping from input population to such
        The input with which it was built.

    Returns
    -------
    xarray.DataTree
        A recording (`cortexsnn.recording`) of the monitors named after populations, ``hidden1_spikes`` and
        ``hidden1_potential``. Your own monitors keep what they saw.

    Examples
    --------
    >>> import brian2, numpy as np
    >>> from cortexsnn.brian import build
    >>> from cortexsnn.network import Network, Population, Projection
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> brian2.prefs.codegen.target = "numpy"
    >>> simulation = build(network, np.ones((5, 1)))
    >>> monitor = brian2.StateMonitor(simulation["hidden1"], "v", record=True, clock=simulation["hidden1"].clock)
    >>> simulation.add(monitor)
    >>> run(simulation, network, np.ones((5, 1)))["hidden1"]["spike_step"].values
    array([1, 3], dtype=int32)
    >>> monitor.v.shape
    (1, 5)
    """
    plan, checked = plan_by_hand(simulation, network, counts)
    simulation.run(plan.layout.total_steps * plan.network.dt_s * brian2.second)
    return recorded(plan, checked, monitored(plan, simulation), "brian2, built by hand")


def plan_by_hand(
    simulation: brian2.Network, network: Network | Circuit, counts: ArrayLike | Mapping[str, ArrayLike]
) -> tuple[Plan, dict[str, NDArray[np.uint8]]]:
    """The plan of a network that was built for a run by hand, and its checked input."""
    given = circuit_of(network)
    checked = trials_of(given, counts)
    present = {part.name for part in simulation.objects}
    potential = tuple(p.name for p in given.network.hidden if f"{p.name}_potential" in present)
    return Plan(given, layout_of(given.network, checked), frozenset(), potential), checked


def recorded(
    plan: Plan, counts: Mapping[str, NDArray[np.uint8]], seen: Monitored, source: str, **description: Any
) -> xr.DataTree:
    """What the monitors of a run by hand saw, as a recording."""
    trials, steps = next(iter(counts.values())).shape[:2]
    result = block_result(plan, Block(range(trials), range(steps)), seen)
    given = [RecordedPopulation.from_counts(name, "input", values) for name, values in counts.items()]
    return make_recording(
        [*given, *result.populations],
        dt_s=plan.network.dt_s,
        trials=trials,
        steps=steps,
        source=source,
        network=plan.network.fingerprint(),
        description={"versions": versions("brian2", "numpy"), **description},
    )
