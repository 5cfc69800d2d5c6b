"""What a network asks for on this machine, measured in one or two seconds before anything is compiled.

The network runs in NumPy for at most a second, which shows how many synaptic events a step has and what NumPy asks for
them. What compiled code will ask is estimated from three small measurements of this machine.
"""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import lru_cache

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.build import build
from cortexsnn.brian.cpp import require_compiler
from cortexsnn.brian.equations import NeuronModels
from cortexsnn.brian.execution import Inputs
from cortexsnn.brian.runtime import preferences
from cortexsnn.errors import InputError
from cortexsnn.network import Network

__all__ = ["Costs", "measure_costs", "synapses_of"]

_CALIBRATION_S = 1.0
_MOST_SYNAPSES = 1_000_000  # of a network that is made to be measured
_SYNAPSE_MADE_S = 3e-7
_PROBE = (
    "#include <fstream>\n#include <iostream>\n#include <map>\n#include <random>\n#include <vector>\nint main() {}\n"
)
# A run in NumPy that is done sooner is not worth asking the compiler; its usual time stands in.
_WORTH_A_PROBE_S = 2.0
_USUAL_PROBE_S = 0.6


@dataclass(frozen=True)
class Costs:
    """What a network asks for on this machine.

    Parameters
    ----------
    events_per_step : float
        Synaptic events in a step of one trial: spikes times the synapses that each reaches.
    spikes_per_step : float
        Of the populations that are monitored.
    numpy_start_s : float
        Time in seconds to make the network and get Brian2's NumPy runtime to its second step.
    numpy_step_s : float
        Time of one step there, without events.
    numpy_event_s : float
        What each event adds.
    gather_add_s : float
        Time in which NumPy adds one element of an array to a random place of another.
    exp_s : float
        Time of one exponential in NumPy.
    compile_s : float
        Time in which the C++ compiler reads the standard headers; 0 if there is none.
    """

    events_per_step: float
    spikes_per_step: float
    numpy_start_s: float
    numpy_step_s: float
    numpy_event_s: float
    gather_add_s: float
    exp_s: float
    compile_s: float


def _fastest(call: Callable[[], object], repeats: int = 3) -> float:
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        times.append(time.perf_counter() - start)
    return min(times)


@lru_cache
def _arithmetic() -> tuple[float, float]:
    """Seconds of a random gather and add, and of an exponential."""
    rng = np.random.default_rng(0)
    number = 200_000
    where, values = rng.integers(0, 1024, number), rng.random(number)
    gather_add_s = _fastest(lambda: np.bincount(where, values, 1024)) / number
    exp_s = _fastest(lambda: np.exp(values)) / number
    return gather_add_s, exp_s


@lru_cache
def _probe(compiler: str) -> float:
    """Seconds of reading the standard headers."""
    command = [compiler, "-fsyntax-only", "-x", "c++", "-"]

    def compile_probe() -> None:
        subprocess.run(command, input=_PROBE, text=True, capture_output=True, check=False)

    return _fastest(compile_probe, 1)


def _compile_s(numpy_s: float) -> float:
    """Seconds of the probe; what is usual where NumPy is done sooner, and 0 without a compiler."""
    try:
        compiler = require_compiler()
    except InputError:
        return 0.0
    return _probe(compiler) if numpy_s > _WORTH_A_PROBE_S else _USUAL_PROBE_S


def synapses_of(network: Network) -> int:
    """Number of synapses of a network.

    Parameters
    ----------
    network : Network

    Returns
    -------
    int

    Examples
    --------
    >>> synapses_of(Network.from_arrays([[[0.6, 0.8]], [[1.0]]], tau_s=0.02, dt_s=0.01))
    3
    """
    return sum(projection.weight.size for projection in network.projections)


def _fan_out(network: Network) -> dict[str, int]:
    """Synapses that a spike of each population reaches."""
    reached = {population.name: 0 for population in network.populations}
    for projection in network.projections:
        reached[projection.source] += len(projection.delay_steps) * network[projection.target].size
    return reached


def _thinned(network: Network, most_synapses: int) -> Network:
    """Fewer hidden neurons with as much input each, so that they fire about as often."""
    share = min(1.0, most_synapses / max(1, synapses_of(network)))
    if share == 1.0:
        return network
    rng = np.random.default_rng(0)
    kept = {
        p.name: np.sort(rng.choice(p.size, max(1, round(share * p.size)), replace=False))
        if p.kind == "lif"
        else np.arange(p.size)
        for p in network.populations
    }
    populations = []
    for p in network.populations:
        rows = kept[p.name]
        if p.kind == "lif":
            adaptation = p.adaptation and replace(
                p.adaptation, strength=p.adaptation.strength[rows], tau_s=p.adaptation.tau_s[rows]
            )
            p = replace(
                p,
                size=len(rows),
                tau_s=p.tau_s[rows],
                threshold=p.threshold[rows],
                bias=p.bias[rows],
                adaptation=adaptation,
            )
        populations.append(p)
    projections = [
        replace(
            q,
            weight=q.weight[:, kept[q.target]][:, :, kept[q.source]] * (network[q.source].size / len(kept[q.source])),
        )
        for q in network.projections
    ]
    return Network(network.dt_s, tuple(populations), tuple(projections))


def _input_spikes(inputs: Inputs) -> dict[str, float]:
    """Mean number of channels of each input population that fire in a step."""
    found = {}
    for name, one in inputs.items():
        trials, steps = range(min(one.trials, 50)), range(min(one.steps, 2000))
        found[name] = float(np.count_nonzero(one.counts(trials, steps))) / (len(trials) * len(steps))
    return found


def measure_costs(network: Network, inputs: Inputs, models: NeuronModels | None = None) -> Costs:
    """Run the first trial in Brian2's NumPy runtime for at most about a second, and time three small things.

    Parameters
    ----------
    network : Network
        A large one is made with fewer neurons.
    inputs : mapping from str to SpikeInput
        Of every input population (`cortexsnn.network.spike_inputs`).
    models : mapping from str to NeuronModel, optional

    Returns
    -------
    Costs
        The numbers of events and spikes stand for all trials: what the hidden populations fire is scaled with the
        input.

    Examples
    --------
    >>> from cortexsnn.network import spike_inputs
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> costs = measure_costs(network, spike_inputs(network, np.ones((1, 20, 1))))
    >>> costs.events_per_step
    1.0
    """
    small = _thinned(network, _MOST_SYNAPSES)
    one = next(iter(inputs.values()))
    steps = min(one.steps, 500)
    first = {name: given.counts(range(1), range(steps)) for name, given in inputs.items()}
    marks: list[float] = []
    start = time.perf_counter()
    with preferences("numpy", "float64"):
        simulation = build(small, first, models=models)

        def mark() -> None:
            marks.append(time.perf_counter())
            if marks[-1] - marks[0] > _CALIBRATION_S:
                simulation.stop()

        simulation.add(brian2.NetworkOperation(mark, clock=simulation[small.order[0].name].clock, when="end"))
        simulation.run(steps * small.dt_s * brian2.second, namespace={})
    done = len(marks)
    reached, reached_in_small = _fan_out(network), _fan_out(small)
    fired = {name: np.count_nonzero(given[0, :done], axis=1).astype(float) for name, given in first.items()}
    for population in small.hidden:
        step = np.rint(np.asarray(simulation[f"{population.name}_spikes"].t) / small.dt_s).astype(int)
        fired[population.name] = np.bincount(step[step < done], minlength=done).astype(float)
    events = sum(reached_in_small[name] * number for name, number in fired.items())
    step_s, event_s = _line(np.asarray(events)[1:], np.diff(marks))

    mean_input = _input_spikes(inputs)
    seen = sum(fired[name].mean() for name in inputs)
    more = sum(mean_input.values()) / seen if seen else 1.0
    spikes = {p.name: more * fired[p.name].mean() * p.size / small[p.name].size for p in network.hidden}
    gather_add_s, exp_s = _arithmetic()
    start_s = marks[0] - start + _SYNAPSE_MADE_S * (synapses_of(network) - synapses_of(small))
    event_s = max(event_s, gather_add_s)
    events_per_step = sum(reached[name] * number for name, number in {**mean_input, **spikes}.items())
    numpy_s = start_s + one.trials * one.steps * (step_s + event_s * events_per_step)
    return Costs(
        events_per_step=float(events_per_step),
        spikes_per_step=float(sum(spikes.values())),
        numpy_start_s=start_s,
        numpy_step_s=step_s,
        numpy_event_s=event_s,
        gather_add_s=gather_add_s,
        exp_s=exp_s,
        compile_s=_compile_s(numpy_s),
    )


def _line(events: NDArray[np.float64], seconds: NDArray[np.float64]) -> tuple[float, float]:
    """Seconds of a step without events, and of an event, by least squares; neither is negative."""
    if not seconds.size:
        return 0.002, 0.0
    # A step in which the machine did something else says nothing.
    usual = seconds <= 5 * np.median(seconds)
    events, seconds = events[usual], seconds[usual]
    spread = float(events.var())
    slope = max(0.0, float(((events - events.mean()) * (seconds - seconds.mean())).mean()) / spread) if spread else 0.0
    at_rest = float(seconds.mean() - slope * events.mean())
    return (at_rest, slope) if at_rest > 0 else (0.0, float(seconds.mean() / max(events.mean(), 1.0)))
