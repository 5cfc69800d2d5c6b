"""What a program on a GPU cannot do, told before it is built, and what it means when one stops."""

from __future__ import annotations

import re

import numpy as np

from cortexsnn.brian.build import Plan
from cortexsnn.brian.cuda.gpu import Gpu
from cortexsnn.errors import InputError

__all__ = ["explain", "gpu_bytes", "require_fit"]

_ELSEWHERE = "or simulate with device='cpp_standalone'"
_MOST_SYNAPSES = 2**31 - 1  # of one projection and delay: brian2cuda numbers them with 32 bits
_RESERVED_BYTES = 1e9  # for the driver, the code, random numbers and the spikes that monitors keep
_INTEGER_BYTES = 4
# brian2cuda looks a table up at (t/epsilon + 1/2)/8, where epsilon is an eighth of the time step.
_PARTS_OF_A_STEP = 8
_COUNTER = re.compile(r"\bj\b")
# What brian2cuda's programs print when they stop, and what it says to a user.
_MEANINGS = (
    ("driver version is insufficient", "GPU", "without a driver, or with one that is too old",
     "a driver as new as the CUDA toolkit", "nvidia-smi shows which one is there"),
    ("no CUDA-capable device", "GPU", "none that the program sees",
     "an NVIDIA GPU", "nvidia-smi shows those that are here"),
    ("no kernel image is available", "GPU", "another one than the program was built for",
     "the one with which it was built", "empty the folder that CORTEXSNN_CACHE names"),
    ("out of memory", "memory of the GPU", "used up",
     "enough for the network and its monitors", "record fewer potentials, or end other programs on the GPU"),
    ("bad_alloc", "memory", "used up",
     "enough for the network and its monitors", "record fewer potentials"),
    ("libcurand", "cuRAND", "no longer where it was when the program was built",
     "the environment that built it", "empty the folder that CORTEXSNN_CACHE names"),
)  # fmt: skip


def gpu_bytes(plan: Plan, precision: str) -> float:
    """Memory that a run takes on the GPU, estimated from what brian2cuda keeps there.

    Parameters
    ----------
    plan : Plan
    precision : {"float64", "float32"}

    Returns
    -------
    float
        In bytes. For each synapse its number, both ends and its weights; the input in float64; potentials of all
        steps; a reserve for the rest.

    Examples
    --------
    >>> from cortexsnn.brian.blocks import plan_of
    >>> from cortexsnn.network import Network, spike_inputs
    >>> network = Network.from_arrays([np.zeros((1000, 1000))], tau_s=0.02, dt_s=0.01)
    >>> inputs = spike_inputs(network, np.zeros((1, 99, 1000)))
    >>> plan = plan_of(network, inputs, {}, (), processes=1, compiled=True)
    >>> print(f"{gpu_bytes(plan, 'float64') / 1e9:.4f} GB")
    1.0208 GB
    """
    width = np.dtype(precision).itemsize
    network, steps = plan.network, plan.layout.total_steps
    synapses = sum(
        projection.weight.size
        * (3 * _INTEGER_BYTES + width * len(plan.circuit.synapses[projection.name].weights or "w"))
        for projection in network.projections
    )
    tables = sum(8 * steps * population.size for population in network.inputs)
    potentials = sum(width * steps * network[name].size for name in plan.with_potential)
    return float(synapses + tables + potentials + _RESERVED_BYTES)


def _tables_are_exact(dt_s: float, steps: int) -> bool:
    """Whether float32 code finds the right row of a table in every step; it rounds the time step itself."""
    epsilon = float(np.float32(f"{dt_s:.18f}") / np.float32(_PARTS_OF_A_STEP))
    step = np.unique(np.linspace(0, steps - 1, 1000).astype(np.int64))
    return bool(np.all(((step * dt_s / epsilon + 0.5) / _PARTS_OF_A_STEP).astype(np.int64) == step))


def require_fit(plan: Plan, precision: str, gpu: Gpu) -> None:
    """Refuse a plan that brian2cuda gets wrong, or for which the GPU is too small.

    Parameters
    ----------
    plan : Plan
    precision : {"float64", "float32"}
    gpu : Gpu

    Raises
    ------
    InputError
        That names what does not fit, and the way out.

    Examples
    --------
    >>> from cortexsnn.brian.blocks import plan_of
    >>> from cortexsnn.network import Network, spike_inputs
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> plan = plan_of(network, spike_inputs(network, np.ones((1, 5, 1))), {}, (), processes=1, compiled=True)
    >>> require_fit(plan, "float64", Gpu("small", (9, 0), 5e8, 10, 1e11))
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: memory of GPU 'small' is '0.5 GB'; expected at least 1.0 GB, ...
    """
    for name, model in plan.circuit.synapses.items():
        if _COUNTER.search(model.on_pre):
            raise InputError(f"on_pre of the synapses of '{name}'", model.on_pre, "code without j on a GPU",
                             "brian2cuda uses this name for a loop of its own; give the target neurons a constant "
                             f"with their number and read it with _post, {_ELSEWHERE}")  # fmt: skip
    for projection in plan.network.projections:
        number = projection.weight[0].size
        if number > _MOST_SYNAPSES:
            raise InputError(f"synapses of projection '{projection.name}'", number,
                             f"at most {_MOST_SYNAPSES} with one delay on a GPU", _ELSEWHERE)  # fmt: skip
    if precision == "float32" and not _tables_are_exact(plan.network.dt_s, plan.layout.total_steps):
        raise InputError("precision", precision, f"float64 for runs of {plan.layout.total_steps} steps on a GPU",
                         "in float32 it would read its input from the wrong step")  # fmt: skip
    needed = gpu_bytes(plan, precision)
    if needed > gpu.memory_bytes:
        raise InputError(f"memory of GPU '{gpu.name}'", f"{gpu.memory_bytes / 1e9:.1f} GB",
                         f"at least {needed / 1e9:.1f} GB, estimated from synapses, input and recorded potentials",
                         f"record fewer potentials, take precision='float32', {_ELSEWHERE}")  # fmt: skip


def explain(printed: str) -> InputError | None:
    """What it means that a program on a GPU stopped.

    Parameters
    ----------
    printed : str
        By the program.

    Returns
    -------
    InputError or None
        None if it means nothing that is known.

    Examples
    --------
    >>> print(explain("ERROR: cudaMalloc failed at objects.cu:7 : out of memory"))
    memory of the GPU is 'used up'; expected enough for the network and its monitors. record fewer potentials, ...
    """
    for sign, field, value, expected, hint in _MEANINGS:
        if sign in printed:
            return InputError(field, value, expected, f"{hint}; {_ELSEWHERE}")
    return None
