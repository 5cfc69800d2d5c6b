"""Which device will be done first.

Compiled code is judged by a few measurements of this machine (`cortexsnn.brian.costs`) and by constants that were
fitted to networks of some hundred to some million synapses. That may be wrong by a factor of two, where the devices
usually differ by ten. The GPU is judged by what CUDA usually takes (`cortexsnn.brian.cuda.costs`), not yet measured.
"""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import sys
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, replace

from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from cortexsnn.brian.blocks import blocks_of, plan_of
from cortexsnn.brian.build import Plan
from cortexsnn.brian.costs import Costs, measure_costs, synapses_of
from cortexsnn.brian.cpp import CPP, require_compiler
from cortexsnn.brian.cuda.costs import step_on_gpu
from cortexsnn.brian.cuda.device import CUDA
from cortexsnn.brian.cuda.gpu import driver_here
from cortexsnn.brian.devices import DEVICES, PRECISIONS
from cortexsnn.brian.equations import NeuronModels
from cortexsnn.brian.execution import Inputs
from cortexsnn.brian.program import cached_program, plan_key
from cortexsnn.brian.toolchain import Toolchain
from cortexsnn.checks import choice, whole
from cortexsnn.cores import usable_cores
from cortexsnn.errors import InputError
from cortexsnn.network import Network, SpikeInput, spike_inputs

__all__ = ["Choice", "Estimate", "choose_device"]

_LOGGER = logging.getLogger("cortexsnn")

# In units of what `measure_costs` measures.
_PROBES_PER_PROGRAM = 8.2  # starting Python and Brian2, writing the code, reading its headers
_PROBES_PER_OBJECT = 0.06
_PROBES_PER_CUDA_PROGRAM = 65.0
_PROBES_PER_CUDA_OBJECT = 0.2
_PROBES_PER_CYTHON_OBJECT = 4.0
_OBJECTS_PER_POPULATION = 5
_OBJECTS_PER_TAP = 4
_CACHED_SYNAPSES = 2.5e5  # synapses that a processor's cache holds; beyond, an event takes longer
_COMPILED_EXP = 5.0  # NumPy's is vectorised
_EXPS_PER_NEURON = 2
_CYTHON_STEP = 0.4  # of what NumPy's step costs without events
_SYNAPSE_MADE = 10.0  # gathers
_FILE_BYTES_PER_S = 5e8
_CALL_S = 0.1  # to prepare files, start a program and read its results
_GPU_CALL_S = 1.0  # until a program has a GPU, besides
_GPU_SYNAPSE_MADE = 30.0  # gathers; on the host

# Measured with 1 and 6 million synapses: both ends, weight, and the lists of the spike queue.
_COMPILED_BYTES_PER_SYNAPSE = 27
_RUNTIME_BYTES_PER_SYNAPSE = 31
_GPU_HOST_BYTES_PER_SYNAPSE = 40  # lists that grow by doubling, on the host
_BYTES_PER_WEIGHT = 8
_BYTES_PER_SPIKE = 12
_BRIAN2_BYTES = 50_000_000


@dataclass(frozen=True)
class Estimate:
    """What a run would take on one device.

    Parameters
    ----------
    device : str
    available : bool
        Whether it can run here at all.
    startup_s, run_s : float
        Time in seconds until the first step, and from there to the end.
    memory_bytes : float
        Largest memory of all its processes, in bytes.
    reason : str
        Where the time goes, or what is missing.
    """

    device: str
    available: bool
    startup_s: float
    run_s: float
    memory_bytes: float
    reason: str

    @property
    def total_s(self) -> float:
        """Time in seconds until the results are there."""
        return self.startup_s + self.run_s


@dataclass(frozen=True)
class Choice:
    """The device that is expected to be done first, and what speaks for it.

    Parameters
    ----------
    device : str
    estimates : tuple of Estimate
        Of every device, the fastest first.

    Examples
    --------
    >>> print(Choice("numpy", (Estimate("numpy", True, 0.5, 1.5, 2e8, "nothing to compile"),)))
    device  start       run       memory    why
    numpy   0.5 s       1.5 s     0.20 GB   nothing to compile
    numpy is the only device here.
    """

    device: str
    estimates: tuple[Estimate, ...]

    def __str__(self) -> str:
        width = max(6, *(len(estimate.device) for estimate in self.estimates))
        lines = [f"{'device':{width}}  {'start':<10}  {'run':<8}  {'memory':<8}  why"]
        for one in self.estimates:
            numbers = (
                (_seconds(one.startup_s), _seconds(one.run_s), f"{one.memory_bytes / 1e9:.2f} GB")
                if one.available
                else ("", "", "")
            )
            lines.append(f"{one.device:{width}}  {numbers[0]:<10}  {numbers[1]:<8}  {numbers[2]:<8}  {one.reason}")
        return "\n".join([*lines, self.reason])

    @property
    def reason(self) -> str:
        """Why this device, in a sentence."""
        usable = [estimate for estimate in self.estimates if estimate.available]
        if len(usable) == 1:
            return f"{self.device} is the only device here."
        first, second = usable[:2]
        return (
            f"{first.device} should be done after {_seconds(first.total_s)}, "
            f"{second.device} after {_seconds(second.total_s)}."
        )


def _seconds(duration_s: float) -> str:
    if duration_s < 100:
        return f"{duration_s:.1f} s"
    return f"{duration_s / 60:.0f} min" if duration_s < 6000 else f"{duration_s / 3600:.0f} h"


@dataclass(frozen=True)
class _Job:
    """What an estimate needs to know of a run."""

    network: Network
    inputs: Inputs
    plan: Plan
    precision: str
    processes: int
    costs: Costs

    @property
    def blocks(self) -> int:
        one = next(iter(self.inputs.values()))
        return sum(1 for _ in blocks_of(self.plan.layout, one.trials, one.steps))

    @property
    def at_once(self) -> int:
        """Blocks that run at the same time; those of one trial follow one another."""
        chains = next(iter(self.inputs.values())).trials if self.plan.continuing else self.blocks
        return min(self.processes, chains)

    @property
    def steps(self) -> int:
        """Steps of all blocks, the gaps and what is padded included."""
        return self.blocks * self.plan.layout.total_steps

    @property
    def code_objects(self) -> int:
        """Pieces of code that are compiled."""
        taps = sum(len(projection.delay_steps) for projection in self.network.projections)
        return _OBJECTS_PER_POPULATION * len(self.network.populations) + _OBJECTS_PER_TAP * taps

    @property
    def compiled_event_s(self) -> float:
        """Time of a synaptic event in compiled code."""
        beyond = max(1.0, synapses_of(self.network) / _CACHED_SYNAPSES)
        return self.costs.gather_add_s * (1 + math.log10(beyond))

    @property
    def raster_bytes(self) -> float:
        """Input of a block, and the potentials that it leaves behind."""
        recorded = sum(self.network[name].size for name in self.plan.with_potential)
        return 8.0 * self.plan.layout.total_steps * (sum(p.size for p in self.network.inputs) + recorded)

    @property
    def kept_bytes(self) -> float:
        """Weights, twice in this process, and the whole recording."""
        one = next(iter(self.inputs.values()))
        recorded = sum(self.network[name].size for name in self.plan.with_potential)
        of_a_step = _BYTES_PER_SPIKE * self.costs.spikes_per_step + 8 * recorded
        return 2 * _BYTES_PER_WEIGHT * synapses_of(self.network) + one.trials * one.steps * of_a_step


def _cpp_standalone(job: _Job) -> Estimate:
    try:
        require_compiler()
    except InputError as error:
        return _missing("cpp_standalone", f"{error.value}; {error.hint.split(';')[0]}")
    costs, synapses = job.costs, synapses_of(job.network)
    startup_s, how = _startup(job, CPP, _PROBES_PER_PROGRAM, _PROBES_PER_OBJECT)
    neurons = sum(population.size for population in job.network.order)
    step_s = job.compiled_event_s * costs.events_per_step + _COMPILED_EXP * costs.exp_s * _EXPS_PER_NEURON * neurons
    files = job.raster_bytes + _COMPILED_BYTES_PER_SYNAPSE * synapses
    block_s = _CALL_S + _SYNAPSE_MADE * costs.gather_add_s * synapses + files / _FILE_BYTES_PER_S
    run_s = (job.steps * step_s + job.blocks * block_s) / job.at_once
    memory = job.at_once * (job.raster_bytes + _COMPILED_BYTES_PER_SYNAPSE * synapses) + job.kept_bytes
    return Estimate("cpp_standalone", True, startup_s, run_s, memory, f"{how}; {job.at_once} at once")


def _cuda_standalone(job: _Job) -> Estimate:
    try:
        CUDA.ready(job.plan, job.precision)
    except InputError as error:
        return _missing("cuda_standalone", f"{'no GPU here' if error.field == 'GPU' else error.field}: {error.value}")
    synapses = synapses_of(job.network)
    startup_s, how = _startup(job, CUDA, _PROBES_PER_CUDA_PROGRAM, _PROBES_PER_CUDA_OBJECT)
    step = step_on_gpu(job.plan, job.costs.events_per_step, job.precision, driver_here().gpus[0])
    host_bytes = job.raster_bytes + _GPU_HOST_BYTES_PER_SYNAPSE * synapses
    made_s = _GPU_SYNAPSE_MADE * job.costs.gather_add_s * synapses
    block_s = _CALL_S + _GPU_CALL_S + made_s + host_bytes / _FILE_BYTES_PER_S
    run_s = job.steps * step.total_s + job.blocks * block_s
    reason = f"{how}; {1000 * step.total_s:.2g} ms for each step, not yet measured on a GPU"
    return Estimate("cuda_standalone", True, startup_s, run_s, host_bytes + job.kept_bytes, reason)


def _startup(job: _Job, toolchain: Toolchain, probes: float, probes_per_object: float) -> tuple[float, str]:
    """Seconds until there is a program, and what passes them."""
    if cached_program(plan_key(job.plan, job.precision, toolchain)) is not None:
        return 0.0, "its program is in the cache"
    startup_s = job.costs.compile_s * (probes + probes_per_object * job.code_objects)
    return startup_s, f"compiles for about {_seconds(startup_s)}"


def _numpy(job: _Job) -> Estimate:
    costs = job.costs
    step_s = costs.numpy_step_s + costs.numpy_event_s * costs.events_per_step
    later_blocks_s = (job.blocks - 1) * costs.numpy_start_s
    return Estimate(
        "numpy",
        True,
        costs.numpy_start_s,
        job.steps * step_s + later_blocks_s,
        _runtime_memory(job),
        f"compiles nothing; {1000 * step_s:.2g} ms for each step",
    )


def _cython(job: _Job) -> Estimate:
    missing = [] if importlib.util.find_spec("Cython") else ["no Cython is installed"]
    try:
        require_compiler()
    except InputError as error:
        missing.append(str(error.value))
    if missing:
        return _missing("cython", " and ".join(missing))
    costs = job.costs
    startup_s = costs.numpy_start_s + _PROBES_PER_CYTHON_OBJECT * costs.compile_s * job.code_objects
    step_s = _CYTHON_STEP * costs.numpy_step_s + job.compiled_event_s * costs.events_per_step
    run_s = job.steps * step_s + (job.blocks - 1) * costs.numpy_start_s
    reason = "compiles piece by piece; less if Brian2 did so before, which cannot be known"
    return Estimate("cython", True, startup_s, run_s, _runtime_memory(job), reason)


def _runtime_memory(job: _Job) -> float:
    made = _RUNTIME_BYTES_PER_SYNAPSE * synapses_of(job.network)
    return _BRIAN2_BYTES + 2 * job.raster_bytes + made + job.kept_bytes


def _missing(device: str, reason: str) -> Estimate:
    return Estimate(device, False, float("inf"), float("inf"), 0.0, reason)


_ESTIMATES: dict[str, Callable[[_Job], Estimate]] = {
    "cpp_standalone": _cpp_standalone,
    "numpy": _numpy,
    "cython": _cython,
    "cuda_standalone": _cuda_standalone,
}


def _with_verdict(estimates: list[Estimate]) -> list[Estimate]:
    """Say of the GPU why it is not taken, where it could be."""
    others = [e for e in estimates if e.available and e.device != "cuda_standalone"]
    said = []
    for one in estimates:
        if one.device == "cuda_standalone" and one.available and others:
            if one.run_s > min(e.run_s for e in others):
                one = replace(one, reason=f"{one.reason}; a network this small is slower on the GPU")
            elif one.total_s > min(e.total_s for e in others):
                one = replace(one, reason=f"{one.reason}; too short a run to compile for the GPU")
        said.append(one)
    return said


def _memory_here() -> float:
    """Bytes of memory that this machine has."""
    if not hasattr(os, "sysconf"):
        return float("inf")
    return float(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))


def choose_device(
    network: Network,
    counts: ArrayLike | SpikeInput | Mapping[str, ArrayLike | SpikeInput],
    *,
    models: NeuronModels | None = None,
    record_potential: Collection[str] = (),
    precision: str = "float64",
    processes: int | None = None,
    costs: Costs | None = None,
    progress: bool = True,
) -> Choice:
    """Find out on which device `cortexsnn.brian.simulate` will be done first.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or SpikeInput, or mapping from input population to such
        Input spikes of all trials.
    models : mapping from str to NeuronModel, optional
        Other equations for some populations.
    record_potential : collection of str
        Spiking populations whose potential is kept.
    precision : {"float64", "float32"}
    processes : int, optional
        Programs at once; as many as cores if not given.
    costs : Costs, optional
        What work costs here; measured in one or two seconds if not given (`measure_costs`).
    progress : bool
        Print the choice; it is logged as information in any case (logger ``cortexsnn``).

    Returns
    -------
    Choice

    Raises
    ------
    InputError
        If the input or a model does not fit the network, or no device has enough memory.

    Examples
    --------
    Given what work costs, two short trials are not worth compiling for:

    >>> import numpy as np
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> costs = Costs(1, 1, numpy_start_s=0.2, numpy_step_s=5e-4, numpy_event_s=5e-8, gather_add_s=4e-9, exp_s=2e-9,
    ...               compile_s=0.6)
    >>> choose_device(network, np.ones((2, 100, 1)), costs=costs, progress=False).device
    'numpy'
    """
    inputs = spike_inputs(network, counts)
    choice("precision", precision, PRECISIONS)
    programs = usable_cores() if processes is None else whole("processes", processes, 1)
    known = measure_costs(network, inputs, models) if costs is None else costs
    estimates = []
    for name, device in DEVICES.items():
        at_once = programs if device.parallel else 1
        plan = plan_of(network, inputs, models or {}, record_potential, processes=at_once, compiled=device.compiled)
        if name in _ESTIMATES:
            estimates.append(_ESTIMATES[name](_Job(network, inputs, plan, precision, at_once, known)))
        else:
            estimates.append(_missing(name, "its time cannot be told beforehand; name it to use it"))
    limit = _memory_here()
    estimates = [
        _missing(e.device, f"needs {e.memory_bytes / 1e9:.0f} GB of memory") if e.memory_bytes > limit else e
        for e in estimates
    ]
    ordered = tuple(sorted(_with_verdict(estimates), key=lambda e: (not e.available, e.total_s)))
    if not ordered[0].available:
        raise InputError("device", "auto", "a device that has what it needs",
                         "; ".join(f"{e.device}: {e.reason}" for e in ordered))  # fmt: skip
    chosen = Choice(ordered[0].device, ordered)
    _LOGGER.info("%s", chosen)
    if progress:
        tqdm.write(str(chosen), file=sys.stderr)
    return chosen
