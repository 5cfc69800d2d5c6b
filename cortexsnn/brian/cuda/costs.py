"""What a run would take on a GPU: an estimate, from the kernels that each step starts and the bytes that it moves.

The times of a start and of a copy are those that are usual for CUDA. Nothing here was measured on a GPU yet.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from cortexsnn.brian.build import Plan
from cortexsnn.brian.cuda.gpu import Gpu

__all__ = ["StepOnGpu", "step_on_gpu"]

_START_S = 4e-6  # from the start of one kernel to that of the next
_COPY_S = 1.2e-5  # of a few bytes to the host, which waits for them
_USUAL_BANDWIDTH = 5e11  # bytes per second, where the driver does not tell
_SHARE_OF_BANDWIDTH = 0.5
_INTEGER_BYTES = 4


@dataclass(frozen=True)
class StepOnGpu:
    """What one time step asks of a GPU.

    Parameters
    ----------
    kernels, copies : int
        How many are started, one after another.
    moved_bytes : float
        By synaptic events.
    bandwidth_bytes_s : float
        Of the memory, in bytes per second, as far as such a program reaches it.

    Examples
    --------
    >>> step = StepOnGpu(kernels=20, copies=5, moved_bytes=1e6, bandwidth_bytes_s=1e12)
    >>> print(f"{1e6 * step.starting_s:.0f} us to start, {1e6 * step.total_s:.0f} us in all")
    140 us to start, 141 us in all
    """

    kernels: int
    copies: int
    moved_bytes: float
    bandwidth_bytes_s: float

    @property
    def starting_s(self) -> float:
        """Time that passes however small the network is, in seconds."""
        return _START_S * self.kernels + _COPY_S * self.copies

    @property
    def total_s(self) -> float:
        """Time of the step, in seconds."""
        return self.starting_s + self.moved_bytes / self.bandwidth_bytes_s


def _kernels(plan: Plan) -> int:
    """Kernels of one step, as brian2cuda 1.0b1 starts them."""
    network = plan.network
    count = 0
    for population in network.inputs:
        count += 3 + (population.name in plan.graded)  # empty its list of spikes, threshold, reset; numbers of spikes
    for population in network.order:
        name = population.name
        count += 2 + (plan.layout.gap > 0) + bool(plan.started[name])  # alpha, state; between and before trials
        count += (name in plan.with_potential) + (4 if population.kind == "lif" else 0)  # the monitor of spikes too
    return count + _pathways(plan)


def _pathways(plan: Plan) -> int:
    return sum(len(projection.delay_steps) for projection in plan.network.projections)


def step_on_gpu(plan: Plan, events_per_step: float, precision: str, gpu: Gpu) -> StepOnGpu:
    """Estimate what one step asks of a GPU.

    Parameters
    ----------
    plan : Plan
    events_per_step : float
        Spikes times the synapses that each reaches.
    precision : {"float64", "float32"}
    gpu : Gpu

    Returns
    -------
    StepOnGpu

    Examples
    --------
    >>> from cortexsnn.brian.blocks import plan_of
    >>> from cortexsnn.network import Network, spike_inputs
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> plan = plan_of(network, spike_inputs(network, np.ones((1, 5, 1))), {}, (), processes=1, compiled=True)
    >>> step_on_gpu(plan, 1000.0, "float64", Gpu("some", (9, 0), 8e10, 100, 2e12)).kernels
    11
    """
    # Number of the synapse, of its target, weight; the potential of the target is read and written.
    moved = events_per_step * (2 * _INTEGER_BYTES + 3 * np.dtype(precision).itemsize)
    copies = _pathways(plan) + len(plan.network.hidden)
    bandwidth = _SHARE_OF_BANDWIDTH * (gpu.bandwidth_bytes_s or _USUAL_BANDWIDTH)
    return StepOnGpu(_kernels(plan), copies, moved, bandwidth)
