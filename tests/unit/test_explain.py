"""`brian.explain`: what it says is what `brian.build` makes."""

import time
from dataclasses import replace

import brian2
import numpy as np
import pytest

from cortexsnn import brian
from cortexsnn.brian.explain import explain, synapse_bytes
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection


@pytest.fixture(scope="module")
def network(random_network):
    """Taps, loops, two resets, adaptation, refractoriness."""
    return random_network(
        np.random.default_rng(0),
        hidden=(6, 5),
        taps=2,
        max_delay=3,
        recurrent=True,
        adaptation=True,
        refractory=(2, 0),
        resets=("zero", "subtract"),
    )


@pytest.fixture(scope="module")
def built(network):
    """The built network after one step, when it has its code objects."""
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    simulation = brian.build(network, np.zeros((1, 4)))
    simulation.run(network.dt_s * brian2.second)
    yield simulation
    brian2.prefs.codegen.target = before


def section(text, title):
    """Lines below a title, up to the next one."""
    lines = text.splitlines()
    start = lines.index(title) + 2
    ends = [i - 1 for i, line in enumerate(lines) if i > start and line and set(line) == {"-"}]
    return lines[start : ends[0] if ends else None]


def test_it_fits_a_terminal_and_is_always_the_same(network):
    text = explain(network)
    assert max(map(len, text.splitlines())) <= 100
    assert text == explain(network)
    assert not any(line != line.rstrip() for line in text.splitlines())


def test_the_equations_are_those_that_brian2_got(network, built):
    lines = [line.strip() for line in section(explain(network), "Populations")]
    for population in network.order:
        start = next(i for i, line in enumerate(lines) if line.startswith(f"{population.name}: "))
        end = next(i for i, line in enumerate(lines) if i > start and line.startswith("parameters"))
        shown = brian2.Equations("\n".join(lines[start + 1 : end]))
        assert dict(shown) == dict(built[population.name].user_equations)
    events = [built["hidden1"].events["spike"], built["hidden2"].event_codes["spike"]]
    assert f"threshold    {events[0]}" in lines
    assert any(line.startswith(f"reset        {events[1]} ") for line in lines)


def test_every_synapse_is_named_with_what_a_spike_does(network, built):
    lines = section(explain(network), "Synapses")
    text = "\n".join(lines)
    synapses = [part for part in built.objects if isinstance(part, brian2.Synapses)]
    for part in synapses:
        assert f" {part.name}" in text
    for projection in network.projections:
        start = next(i for i, line in enumerate(lines) if f"{projection.source} -> {projection.target}:" in line)
        codes = {built[f"{projection.name}_delay{delay}"].pre.code for delay in projection.delay_steps}
        shown = next(line for line in lines[start:] if line.strip().startswith("on_pre"))
        assert {shown.split("on_pre")[1].split("   (")[0].strip()} == codes
        assert f"{projection.weight.size:,} synapses" in lines[start]
    assert "delays 20, 30 ms (2, 3 steps)" in text


def test_the_schedule_is_that_of_the_built_network(network, built):
    # Protects from a slot that is said to be free while something runs there, or that does what is not said.
    lines = section(explain(network), "One time step, in order")
    said = {}
    for line in lines[: lines.index("")]:
        if line.startswith("   "):  # goes on
            said[list(said)[-1]] += f" {line.strip()}"
        else:
            slot, _, text = line.strip().partition("  ")
            said[slot] = text.strip()
    assert list(said)[1:] == built.schedule
    # An input has a reset without code; potentials of hidden layers are recorded only if asked for.
    parts_that_work = [o for o in built.sorted_objects if o.code_objects and o.name != "input_spike_resetter"]
    for slot in said:
        parts = [part for part in parts_that_work if part.when == slot]
        assert (said[slot] != "-") == (bool(parts) or slot.startswith("record_hidden")), slot
        for part in parts:
            if isinstance(part, brian2.synapses.synapses.SynapticPathway | brian2.SpikeMonitor | brian2.StateMonitor):
                assert part.name.removesuffix("_pre") in said[slot]


def test_the_counts_are_those_of_the_built_network(network, built):
    lines = [line.strip() for line in section(explain(network), "What it takes")]
    code = sum(len(part.code_objects) for part in built.sorted_objects)
    assert f"objects   {len(built.objects)} in the brian2.Network, {code} code objects in every time step" in lines
    synapses = [part for part in built.objects if isinstance(part, brian2.Synapses)]
    assert f"synapses  {sum(len(part) for part in synapses)}" in lines
    neurons = [built[p.name] for p in network.order]
    assert f"neurons   {sum(len(group) for group in neurons)}" in lines
    for projection in network.projections:
        arrays = [
            part.variables[name].get_value()
            for part in synapses
            if part.name.startswith(projection.name)
            for name in ("_synaptic_pre", "_synaptic_post", "w")
        ]
        taps, targets, sources = projection.weight.shape
        queue = 4 * taps * sources * {6: 8, 5: 8, 2: 2}[targets]
        assert synapse_bytes(projection) == sum(array.nbytes for array in arrays) + queue


def test_equations_of_your_own_are_shown(network):
    model = brian.neuron_model(network["hidden2"])
    model = replace(
        model,
        equations=model.equations + "dx/dt = -x/tau_x : 1\ntau_x : second (constant)",
        reset=model.reset + "; x += 1",
        method=None,
        initial={"tau_x": 0.25},
    )
    text = explain(network, models={"hidden2": model})
    assert "hidden2: 5 leaky integrate-and-fire neurons, with equations of their own" in text
    assert "      dx/dt = -x/tau_x : 1\n" in text
    assert "tau_x 250 ms" in text
    assert "integration  chosen by Brian2" in text
    assert "of those that fired: v -= theta/alpha; x += 1" in text
    with pytest.raises(InputError, match="population in models is 'hidden9'"):
        explain(network, models={"hidden9": model})


def test_a_network_of_ten_million_synapses_is_explained_at_once():
    # Protects from creating what is only to be described.
    size = 3163
    large = Network(
        0.001,
        (Population.input("input", size), Population.lif("hidden1", size, tau_s=0.02)),
        (Projection("input", "hidden1", np.zeros((size, size))),),
    )
    start = time.perf_counter()
    text = explain(large)
    assert time.perf_counter() - start < 2
    assert "synapses  10,004,569" in text
    assert "212 MB for the synapses, 21.2 bytes each" in text


def test_a_network_without_synapses_has_none():
    alone = Network(0.001, (Population.input("input", 1), Population.readout("readout", 1, tau_s=0.1)), ())
    text = explain(alone)
    assert section(text, "Synapses")[0] == "  none"
    assert "memory    0 bytes for the synapses, on the runtime" in text
    assert "lead back" not in text
