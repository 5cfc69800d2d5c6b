"""Run a Brian2 network that `build` made and its user changed, and read it back as a recording."""

from __future__ import annotations

from collections.abc import Mapping

import brian2
import xarray as xr
from numpy.typing import ArrayLike

from cortexsnn.brian.blocks import Block, block_result
from cortexsnn.brian.build import Plan, layout_of, trials_of
from cortexsnn.brian.equations import models_of
from cortexsnn.brian.runtime import monitored
from cortexsnn.network import Network
from cortexsnn.provenance import versions
from cortexsnn.recording import RecordedPopulation, make_recording

__all__ = ["run"]


def run(simulation: brian2.Network, network: Network, counts: ArrayLike | Mapping[str, ArrayLike]) -> xr.DataTree:
    """Run what `cortexsnn.brian.build` made, with whatever was added to it, over all of its trials.

    Parameters
    ----------
    simulation : brian2.Network
        Not run before.
    network : Network
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
    checked = trials_of(network, counts)
    trials, steps = next(iter(checked.values())).shape[:2]
    present = {part.name for part in simulation.objects}
    potential = tuple(p.name for p in network.hidden if f"{p.name}_potential" in present)
    plan = Plan(network, layout_of(network, checked), frozenset(), models_of(network, {}), potential)
    simulation.run(plan.layout.total_steps * network.dt_s * brian2.second)
    result = block_result(plan, Block(range(trials), range(steps)), monitored(plan, simulation))
    given = [RecordedPopulation.from_counts(name, "input", values) for name, values in checked.items()]
    return make_recording(
        [*given, *result.populations],
        dt_s=network.dt_s,
        trials=trials,
        steps=steps,
        source="brian2, built by hand",
        network=network.fingerprint(),
        description={"versions": versions("brian2", "numpy")},
    )
