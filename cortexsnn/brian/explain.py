"""What `cortexsnn.brian.build` makes of a network, said in words before anything is made.

Nothing here creates a Brian2 object, so that even a network of millions of synapses is explained at once, and a device
that the user has chosen does not hear of it.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import replace

import brian2
import numpy as np
from brian2.equations.equations import DIFFERENTIAL_EQUATION, SUBEXPRESSION
from numpy.typing import NDArray

from cortexsnn.brian.circuit import Circuit, SynapseModel, circuit_of, synapse_model
from cortexsnn.brian.equations import NeuronModel, NeuronModels, neuron_model, parameters
from cortexsnn.brian.schedule import FEEDBACK_SLOT, INPUT_SLOT, slot, slots
from cortexsnn.brian.values import synapses_name
from cortexsnn.network import Network, Population, Projection

__all__ = ["explain", "synapse_bytes"]

_WIDTH = 100
_KINDS = {
    "input": "input channels",
    "lif": "leaky integrate-and-fire neurons",
    "readout": "leaky integrators that never fire",
}
_RESETS = {
    "subtract": "the threshold is taken off, and that is not multiplied by the decay of the next step",
    "subtract_decayed": "the threshold is taken off, before the decay of the next step",
    "zero": "the potential is set to 0",
}
_ARRAY_BYTES = 4 + 4 + 8


def _wrapped(text: str, first: str = "  ", rest: int = 2) -> list[str]:
    """Lines of a paragraph: the first one begins with `first`, the others are indented."""
    return textwrap.wrap(
        text,
        _WIDTH,
        initial_indent=first,
        subsequent_indent=" " * rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def _labelled(rows: Iterable[tuple[str, str]], indent: int = 2) -> list[str]:
    """Two columns: labels, and what belongs to them in words."""
    table = list(rows)
    column = indent + max(len(label) for label, _ in table) + 2
    return [line for label, text in table for line in _wrapped(text, (" " * indent + label).ljust(column), column)]


def _range(values: NDArray[np.float64], unit: str = "") -> str:
    low, high = f"{np.min(values):.3g}", f"{np.max(values):.3g}"
    return f"{low if low == high else f'{low} to {high}'} {unit}".rstrip()


def _in_units(values: NDArray[np.float64], dimensions: brian2.Dimension) -> str:
    """Range of values that are given in SI units: times in ms, others with the prefix that suits the largest."""
    if dimensions.is_dimensionless:
        return _range(values)
    if dimensions is brian2.second.dim:
        return _range(values * 1e3, "ms")
    unit = brian2.Quantity(np.max(np.abs(values)), dim=dimensions).get_best_unit()
    return _range(values / float(unit), str(unit))


def _listed(names: Iterable[str]) -> str:
    *first, last = names
    return f"{', '.join(first)} and {last}" if first else last


def _size(number: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if number < 1000 or unit == "GB":
            return f"{number:.3g} {unit}"
        number /= 1000
    raise AssertionError


def _code(text: str) -> str:
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _parameters(population: Population, model: NeuronModel, dt_s: float) -> str:
    """Ranges of the parameters over the neurons."""
    known = brian2.Equations(model.equations)
    values = {**parameters(population, dt_s), **{k: np.asarray(v) for k, v in model.initial.items()}}
    said = []
    for name, value in values.items():
        if name not in known.names:
            continue
        said.append(f"{name} {_in_units(value, known[name].dim)}")
    return ", ".join(said)


def _populations(network: Network, models: NeuronModels) -> Iterator[str]:
    for population in network.inputs:
        yield from _wrapped(
            f"{population.name}: {population.size:,} {_KINDS['input']}, which fire what the input says. Where a "
            "channel has several spikes in a step, its neuron fires once, and every synapse multiplies its weight by "
            "their number.",
            rest=4,
        )
        yield ""
    for population in network.order:
        name, model = population.name, models[population.name]
        own = replace(model, initial={}) != neuron_model(population)
        yield f"  {name}: {population.size:,} {_KINDS[population.kind]}{', with equations of their own' if own else ''}"
        yield from (f"      {line.strip()}" for line in model.equations.splitlines() if line.strip())
        rows = [("parameters", _parameters(population, model, network.dt_s))]
        if population.kind == "lif":
            reset = _code(model.reset)
            rows += [
                ("threshold", f"{model.threshold}"),
                ("reset", reset if own else f"{reset}   ({_RESETS[population.reset]})"),
            ]
            if population.refractory_steps:
                period = f"{_steps(population.refractory_steps)} after a spike"
                rows.append(
                    ("refractory", f"no spike for {period} ({population.refractory_steps * network.dt_s * 1e3:g} ms)")
                )
        rows.append(("integration", model.method or "chosen by Brian2"))
        if model.before_decay:
            rows.append(("in each step", _code(model.before_decay)))
        if model.before_threshold:
            rows.append(("before threshold", _code(model.before_threshold)))
        yield from _labelled(rows, 4)
        yield ""


def _steps(number: int) -> str:
    return f"{number} step{'' if number == 1 else 's'}"


def _delays(network: Network, projection: Projection) -> str:
    steps = projection.delay_steps
    if steps == (0,):
        return "without delay"
    in_ms = ", ".join(f"{delay * network.dt_s * 1e3:g}" for delay in steps)
    in_steps = ", ".join(map(str, steps))
    return f"{'delay' if len(steps) == 1 else 'delays'} {in_ms} ms ({in_steps} step{'' if steps == (1,) else 's'})"


def _objects(projection: Projection) -> list[str]:
    return [synapses_name(projection, tap) for tap in range(len(projection.delay_steps))]


def _synapses(chosen: Circuit) -> Iterator[str]:
    network = chosen.network
    if not network.projections:
        yield "  none"
        yield ""
    for projection in network.projections:
        feedforward = network.is_feedforward(projection)
        target = network[projection.target]
        taps, objects = len(projection.delay_steps), _objects(projection)
        yield from _wrapped(
            f"{projection.source} -> {projection.target}: {projection.weight.size:,} synapses, "
            f"{'' if taps == 1 else f'{taps} taps, '}{_delays(network, projection)}, "
            f"weights {_range(projection.weight)}",
            rest=4,
        )
        taken = "the weight" if target.kind == "lif" else "(1 - alpha) times the weight"
        words = f"a spike adds {taken} to the potential of its target"
        if not feedforward:
            words += ", divided by the decay that it still meets, one step before it counts"
        model, exact = chosen.synapses[projection.name], synapse_model(network, projection)
        rows = [("Synapses", ", ".join(objects))]
        if model.equations != exact.equations or model.weights:
            rows.append(("parameters", _weights(model, projection)))
        code = _code(model.code(""))
        rows.append(("on_pre", f"{code}   ({words})" if model.on_pre == exact.on_pre else code))
        yield from _labelled(rows, 4)
        yield ""


def _once_a_step(model: NeuronModel) -> list[str]:
    """Expressions that Brian2 computes at the start of a step."""
    equations = brian2.Equations(model.equations).values()
    return [e.varname for e in equations if e.type == SUBEXPRESSION and "constant over dt" in e.flags]


def _decay(model: NeuronModel) -> str:
    changing = sorted(brian2.Equations(model.equations).diff_eq_names)
    return (
        f"{_listed(changing)} follow{'s' if len(changing) == 1 else ''} the equations for a step" if changing else "-"
    )


def _events(network: Network, models: NeuronModels) -> dict[str, str]:
    """What happens in each slot; slots without an entry are free."""
    happens = {INPUT_SLOT: f"channels of {_listed(p.name for p in network.inputs)} with a spike in this step fire"}
    arriving: dict[str, list[str]] = {}
    for projection in network.projections:
        where = slot("synapses", projection.target) if network.is_feedforward(projection) else FEEDBACK_SLOT
        arriving.setdefault(where, []).extend(_objects(projection))
    for population in network.order:
        name, model = population.name, models[population.name]
        happens[slot("decay", name)] = f"{name}: {_decay(model)}"
        happens[slot("record", name)] = f"{name}_potential looks at v here" + (
            "" if population.kind == "readout" else ", if you record the potential"
        )
        if population.kind == "lif":
            happens[slot("threshold", name)] = f"neurons with {model.threshold} fire; {name}_spikes notes them"
            happens[slot("reset", name)] = f"of those that fired: {_code(model.reset) or 'nothing'}"
    happens.update({where: f"spikes arrive by {', '.join(names)}" for where, names in arriving.items()})
    return happens


def _weights(model: SynapseModel, projection: Projection) -> str:
    """Ranges of the parameters over the synapses."""
    known = brian2.Equations(model.equations)
    return ", ".join(
        f"{name} {_in_units(values, known[name].dim)}" for name, values in model.values(projection).items()
    )


def _schedule(network: Network, models: NeuronModels) -> Iterator[str]:
    happens = _events(network, models)
    once = [(p.name, names) for p in network.order if (names := _once_a_step(models[p.name]))]
    rows = [("before_start", "; ".join(f"{_listed(names)} of {name}" for name, names in once))] if once else []
    yield from _labelled([*rows, *((name, happens.get(name, "-")) for name in slots(network))])
    yield ""
    yield from _wrapped("Slots with - are free: Brian2's own ones are for the objects that you add.")
    yield ""


def _against_lags(whole: Circuit) -> Iterator[str]:
    network, models = whole.network, whole.neurons
    twins = [p for p in network.order if models[p.name] == neuron_model(p)]
    said = [
        "In Brian2's default order (groups, thresholds, synapses, resets) a spike arrives after the threshold of its "
        "target: every layer one step late, decayed once too often, and wiped out where a reset sets the potential to "
        f"0. Here every population has slots of its own, in the order {', '.join(p.name for p in network.order)}, so "
        "that a spike runs through all layers within its step."
    ]
    late = [p for p in network.projections if not network.is_feedforward(p)]
    if late:
        by_alpha = any("/alpha" in whole.synapses[p.name].on_pre for p in late)
        divided = ", and the weight is divided by alpha, by which the next decay multiplies it" if by_alpha else ""
        said.append(
            "Some projections lead back to where the step has been computed already: "
            f"{_listed(p.name for p in late)}. Their spikes arrive in the slot {FEEDBACK_SLOT}, at the end of the step "
            "before the one in which they count. Brian2's delay is therefore one step shorter than the network's"
            f"{divided}."
        )
    if any(p.kind == "lif" and p.reset == "subtract" for p in twins):
        said.append(
            "The reset also comes before the decay, while the network takes the whole threshold off after it: hence "
            "v -= theta/alpha."
        )
    if any(p.adaptation is not None for p in twins):
        said.append("For the same reason a spike raises the adaptation by 1 divided by its decay.")
    if any(p.kind == "lif" and p.bias.any() for p in twins):
        said.append("Of drive = bias/(1 - alpha), a step of the membrane equation adds just the bias.")
    said.append(
        "A StateMonitor of your own shows the beginning of a step; the potentials recorded here are those that are "
        "compared with the threshold."
    )
    for text in said:
        yield from _wrapped(text, "- ")
    yield ""


def synapse_bytes(projection: Projection) -> int:
    """Memory that Brian2 needs for the synapses of a projection while it runs.

    Parameters
    ----------
    projection : Projection

    Returns
    -------
    int
        Bytes: source and target (int32) and weight (float64) of every synapse, and the lists of the spike queue: for
        every source the numbers of its synapses (int32), with room for a power of two of them.

    Examples
    --------
    >>> synapse_bytes(Projection("input", "hidden1", np.ones((5, 4)))) - 20 * 16
    128
    """
    taps, targets, sources = projection.weight.shape
    return taps * sources * (targets * _ARRAY_BYTES + 4 * (1 << (targets - 1).bit_length()))


def _operations(population: Population, model: NeuronModel) -> int:
    """Code objects of one population and its monitor in every step."""
    equations = brian2.Equations(model.equations).values()
    moves = any(e.type == DIFFERENTIAL_EQUATION for e in equations) or population.refractory_steps > 0
    # Threshold, reset and spikes; or the potential.
    own = bool(_once_a_step(model)) + bool(model.before_decay) + bool(model.before_threshold)
    return own + moves + (3 if population.kind == "lif" else 1)


def _resources(whole: Circuit) -> Iterator[str]:
    network, models = whole.network, whole.neurons
    projections = network.projections
    channels = sum(p.size for p in network.inputs)
    taps = sum(len(q.delay_steps) for q in projections)
    parts = len(network.inputs) + 2 * len(network.order) + taps
    operations = 2 * len(network.inputs) + 2 * taps + sum(_operations(p, models[p.name]) for p in network.order)
    synapses = sum(q.weight.size for q in projections)
    further = {q.name: len(whole.synapses[q.name].values(q)) - 1 for q in projections}
    memory = sum(synapse_bytes(q) + 8 * q.weight.size * further[q.name] for q in projections)
    each = f", {memory / synapses:.1f} bytes each" if synapses else ""
    yield from _labelled(
        [
            ("channels", f"{channels:,}"),
            ("neurons", f"{sum(p.size for p in network.order):,}"),
            ("synapses", f"{synapses:,}"),
            ("objects", f"{parts} in the brian2.Network, {operations} code objects in every time step"),
            (
                "memory",
                f"{_size(memory)} for the synapses{each}, on the runtime and in every process of cpp_standalone: "
                "source and target (int32), weights (float64), and in the queue an int32 for each target of a source, "
                "their number rounded up to a power of two. "
                f"Input takes {_size(8 * channels)} in every time step.",
            ),
        ]
    )
    yield ""
    yield from _wrapped(
        "Counted for one trial with at most one spike of a channel in a step. Several trials in one run add a code "
        "object or two for each population, which hold it still between them; several spikes in a step add one for "
        "each input."
    )


def explain(network: Network | Circuit, *, models: NeuronModels | None = None) -> str:
    """Say in words and equations what `cortexsnn.brian.build` makes of a network.

    Parameters
    ----------
    network : Network or Circuit
        A circuit says what else than the exact twin it shall be (`cortexsnn.brian.circuit`).
    models : mapping from str to NeuronModel, optional
        Other equations for some populations, as for `cortexsnn.brian.build`.

    Returns
    -------
    str
        For a terminal with 100 columns: populations with their equations and parameters, synapses, one time step in
        order, what is done so that no spike is late, and what it all costs.

    Raises
    ------
    InputError
        If a model does not fit the network.

    Examples
    --------
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 3), Population.lif("hidden1", 2, tau_s=[0.02, 0.04])),
    ...     (Projection("input", "hidden1", np.ones((2, 3))),),
    ... )
    >>> print(explain(network))
    Network of 3 input channels and 2 neurons, time step 10 ms
    ...
      hidden1: 2 leaky integrate-and-fire neurons
          dv/dt = (drive - v)/tau : 1
    ...
        parameters   tau 20 to 40 ms, bias 0, theta 1
    ...
    """
    whole = circuit_of(network, models)
    runs, chosen = whole.network, whole.neurons
    channels, neurons = (sum(p.size for p in some) for some in (runs.inputs, runs.order))
    sections = {
        "Populations": _populations(runs, chosen),
        "Synapses": _synapses(whole),
        "One time step, in order": _schedule(runs, chosen),
        "Why no spike is late": _against_lags(whole),
        "What it takes": _resources(whole),
    }
    lines = [f"Network of {channels:,} input channels and {neurons:,} neurons, time step {runs.dt_s * 1e3:g} ms", ""]
    if whole.changes:
        lines += ["Not the exact twin:", *(line for change in whole.changes for line in _wrapped(change, "- ")), ""]
    for title, section in sections.items():
        lines += [title, "-" * len(title), *section]
    return "\n".join(lines)
