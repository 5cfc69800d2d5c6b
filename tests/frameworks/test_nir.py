"""NIR: what is written is read back, and what others wrote means what NIR and they say it means."""

import re

import numpy as np
import pytest

nir = pytest.importorskip("nir")

from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.network import Network, Population, Projection  # noqa: E402
from cortexsnn.recording import dense_spikes  # noqa: E402
from cortexsnn.reference import simulate  # noqa: E402

pytestmark = pytest.mark.frameworks

DT_S = 0.002
TRIALS, STEPS, CHANNELS = 6, 120, 8


def spikes_in(rng, channels=CHANNELS):
    return (rng.random((TRIALS, STEPS, channels)) < 0.25).astype(np.uint8)


def random_network(rng):
    """Anything that NIR can say: taps, feedback, recurrence, values of each neuron, all resets."""
    sizes = rng.integers(5, 12, size=rng.integers(1, 4)).tolist()
    populations, projections = [Population.input("sound", CHANNELS)], []
    for layer, size in enumerate(sizes, 1):
        source, name = populations[-1], f"hidden{layer}"
        populations.append(
            Population.lif(
                name,
                size,
                tau_s=rng.uniform(0.004, 0.1, size),
                threshold=rng.uniform(0.5, 1.5, size),
                bias=rng.normal(0, 0.03, size) if rng.random() < 0.6 else 0.0,
                reset=str(rng.choice(["zero", "subtract", "subtract_decayed"])),
            )
        )
        delays = tuple(sorted(rng.choice(6, size=rng.integers(1, 4), replace=False).tolist()))
        scale = 1.6 / np.sqrt(source.size * len(delays))
        projections.append(
            Projection(source.name, name, rng.normal(0.25, 1, (len(delays), size, source.size)) * scale, delays)
        )
        if rng.random() < 0.5:
            projections.append(Projection(name, name, rng.normal(0, 0.2, (size, size)), (int(rng.integers(1, 4)),)))
        if layer > 1 and rng.random() < 0.5:
            back = populations[-2]
            projections.append(Projection(name, back.name, rng.normal(0, 0.2, (back.size, size)), (1,)))
    if rng.random() < 0.6:
        populations.append(Population.readout("readout", 3, tau_s=[0.05, 0.1, 0.2], bias=[0.1, 0.0, -0.1]))
        projections.append(Projection(populations[-2].name, "readout", rng.normal(size=(3, sizes[-1]))))
    return Network(DT_S, tuple(populations), tuple(projections))


def active_networks(number):
    """Networks with inputs for which every layer fires in 1 to 40 % of bins; others would prove little."""
    found = 0
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        network, counts = random_network(rng), spikes_in(rng)
        recording = simulate(network, counts)
        if all(0.01 <= dense_spikes(recording, p.name).mean() <= 0.4 for p in network.hidden):
            found += 1
            yield seed, network, counts
        if found == number:
            return
    raise AssertionError(f"only {found} of {number} networks")


def require_the_same(network, other):
    """Populations and projections as before, values to the last bits."""
    assert [p.name for p in network.populations] == [p.name for p in other.populations]
    assert {p.name: p.delay_steps for p in network.projections} == {p.name: p.delay_steps for p in other.projections}
    assert [p.reset for p in network.hidden] == [p.reset for p in other.hidden]
    arrays = other.arrays()
    for name, array in network.arrays().items():
        np.testing.assert_allclose(arrays[name], array, rtol=1e-11, atol=1e-15, err_msg=name)


@pytest.mark.parametrize("decay", ["exp", "euler"])
def test_what_is_written_is_read_back_with_the_same_spikes(decay, tmp_path):
    # Protects both directions at once: 20 networks under each rule, in memory and through a file.
    compared = 0
    for seed, network, counts in active_networks(20):
        path = tmp_path / f"{seed}.nir" if seed % 2 else None
        graph = network.to_nir(path, decay=decay)
        again = Network.from_nir(graph if path is None else path)
        require_the_same(network, again)
        expected, observed = simulate(network, counts), simulate(again, counts)
        for population in network.hidden:
            spikes = dense_spikes(expected, population.name)
            np.testing.assert_array_equal(dense_spikes(observed, population.name), spikes)
            compared += spikes.size
        for population in network.readouts:
            potential = expected[population.name]["potential"]
            np.testing.assert_allclose(observed[population.name]["potential"], potential, rtol=0, atol=1e-9)
    assert compared > 200_000


def one_layer(rng, inputs, size, **changes):
    """Weights and LIF with all that NIR knows of, away from their defaults."""
    parameters = {
        "tau": rng.uniform(0.004, 0.05, size),
        "r": rng.uniform(0.5, 2, size),
        "v_leak": np.full(size, -0.4),
        "v_threshold": rng.uniform(0.1, 0.4, size),
        "v_reset": np.full(size, -0.9),
    }
    weight, bias = rng.normal(0.4, 1.5, (size, inputs)), rng.normal(0, 0.1, size)
    return nir.Affine(weight, bias), nir.LIF(**(parameters | changes))


def step_by_step(affine, lif, recurrent, counts, decay):
    """The equation of NIR's LIF, solved for a current that lasts for a step, or by an Euler step of it."""
    v = np.broadcast_to(lif.v_leak, (len(counts), lif.tau.size)).copy()
    spikes = np.zeros((*counts.shape[:2], lif.tau.size))
    for step in range(counts.shape[1]):
        current = counts[:, step] @ affine.weight.T + affine.bias
        if step:
            current = current + spikes[:, step - 1] @ recurrent.T
        goal = lif.v_leak + lif.r * current
        v = goal + (v - goal) * np.exp(-DT_S / lif.tau) if decay == "exp" else v + DT_S / lif.tau * (goal - v)
        spikes[:, step] = v > lif.v_threshold
        v = np.where(spikes[:, step] > 0, lif.v_reset, v)
    return spikes


@pytest.mark.parametrize("decay", ["exp", "euler"])
def test_spikes_are_those_of_the_equations_of_nir(decay, same_spikes):
    # Protects r, v_leak, v_reset, Affine and cycles, and tells the two rules apart.
    compared = 0
    for seed in range(20):
        rng = np.random.default_rng(seed)
        affine, lif = one_layer(rng, CHANNELS, 10)
        recurrent = rng.normal(0, 0.5, (10, 10))
        graph = nir.NIRGraph(
            {
                "in": nir.Input(np.array([CHANNELS])),
                "fc": affine,
                "cells": lif,
                "w_rec": nir.Linear(recurrent),
                "out": nir.Output(np.array([10])),
            },
            [("in", "fc"), ("fc", "cells"), ("cells", "w_rec"), ("w_rec", "cells"), ("cells", "out")],
        )
        counts = spikes_in(rng)
        spikes = step_by_step(affine, lif, recurrent, counts, decay)
        network = Network.from_nir(graph, dt_s=DT_S, decay=decay)
        compared += same_spikes(network, counts, [spikes])
        other = Network.from_nir(graph, dt_s=DT_S, decay={"exp": "euler", "euler": "exp"}[decay])
        with pytest.raises(AssertionError, match="bins of cells differ"):
            same_spikes(other, counts, [spikes])
    assert compared > 100_000


@pytest.mark.parametrize("device", [None, "numpy"])
def test_neurons_without_leak(device, same_spikes):
    # Protects IF, which has no time constant that a Network could keep: sums of the input between spikes.
    from cortexsnn import brian, reference

    rng = np.random.default_rng(7)
    weight, r, above = rng.normal(20, 40, (8, CHANNELS)), rng.uniform(0.5, 2, 8), rng.uniform(0.5, 1.5, 8)
    neurons = nir.IF(r=r, v_threshold=above, v_reset=np.full(8, 0.1))
    counts = spikes_in(rng)
    v, spikes = np.zeros((len(counts), 8)), np.zeros((*counts.shape[:2], 8))
    for step in range(counts.shape[1]):
        v = v + DT_S * r * (counts[:, step] @ weight.T)
        spikes[:, step] = v > above
        v = np.where(spikes[:, step] > 0, 0.1, v)
    network = Network.from_nir(nir.NIRGraph.from_list(nir.Linear(weight), neurons), dt_s=DT_S, decay="exp")
    simulator = reference.simulate if device is None else lambda *given: brian.simulate(*given, device=device)
    same_spikes(network, counts, [spikes], simulator=simulator)


def test_spikes_are_those_of_brian_too(same_spikes):
    from cortexsnn import brian

    rng = np.random.default_rng(3)
    affine, lif = one_layer(rng, CHANNELS, 10)
    readout = nir.LI(tau=np.full(2, 0.1), r=np.full(2, 3.0), v_leak=np.zeros(2))
    graph = nir.NIRGraph.from_list(affine, lif, nir.Linear(rng.normal(size=(2, 10))), readout)
    counts = spikes_in(rng)
    spikes = step_by_step(affine, lif, np.zeros((10, 10)), counts, "euler")
    network = Network.from_nir(graph, dt_s=DT_S, decay="euler", decoder="per_step")
    same_spikes(network, counts, [spikes], simulator=lambda *given: brian.simulate(*given, device="numpy"))


def test_delays_scales_and_flattened_inputs_are_read():
    rng = np.random.default_rng(4)
    weight = rng.normal(size=(3, 4))
    graph = nir.NIRGraph(
        {
            "image": nir.Input(np.array([2, 2])),
            "flat": nir.Flatten(np.array([2, 2]), start_dim=0),
            "scale": nir.Scale(np.array([1.0, 2.0, 3.0, 4.0])),
            "late": nir.Delay(np.array([0.0, 0.004, 0.004, 0.006])),
            "fc": nir.Linear(weight),
            "lif": nir.LIF(*[np.full(3, value) for value in (0.02, 2.0, 0.0, 1.0)]),
            "out": nir.Output(np.array([3])),
        },
        [("image", "flat"), ("flat", "scale"), ("scale", "late"), ("late", "fc"), ("fc", "lif"), ("lif", "out")],
    )
    network = Network.from_nir(graph, dt_s=DT_S, decay="exp")
    (projection,) = network.projections
    assert projection.delay_steps == (0, 2, 3)
    gain = 2 * (1 - np.exp(-0.1))
    np.testing.assert_allclose(projection.weight.sum(axis=0), gain * weight * [1, 2, 3, 4], rtol=1e-12)
    np.testing.assert_array_equal(np.count_nonzero(projection.weight[1], axis=0), [0, 3, 3, 0])


def test_a_current_that_is_gone_after_a_step_is_none():
    one = np.ones(2)
    cuba = nir.CubaLIF(tau_syn=DT_S * one, tau_mem=0.02 * one, r=2 * one, v_leak=0 * one, v_threshold=one, w_in=3 * one)
    network = Network.from_nir(nir.NIRGraph.from_list(nir.Linear(np.eye(2)), cuba), dt_s=DT_S, decay="euler")
    np.testing.assert_allclose(network.projections[0].weight[0], 0.1 * 2 * 3 * np.eye(2))
    readout = nir.CubaLI(tau_syn=DT_S * one, tau_mem=0.02 * one, r=2 * one, v_leak=0 * one)
    network = Network.from_nir(nir.NIRGraph.from_list(nir.Linear(np.eye(2)), readout), dt_s=DT_S, decay="euler")
    np.testing.assert_allclose(network.projections[0].weight[0], 2 * np.eye(2), rtol=1e-12)


def test_a_reset_can_be_given():
    graph = nir.NIRGraph.from_list(nir.Linear(np.eye(2)), simple_lif(2))
    for reset in ("zero", "subtract", "subtract_decayed"):
        assert Network.from_nir(graph, dt_s=DT_S, decay="exp", reset=reset)["lif"].reset == reset


def test_names_of_nodes_become_names_of_populations():
    # Protects generated code: names stand in equations and in C++.
    nodes = {
        "0": nir.Linear(np.eye(2)),
        "1.lif": simple_lif(2),
        "1_lif": simple_lif(2),
        "2_to_3": nir.Linear(np.eye(2)),
    }
    edges = [("in", "0"), ("0", "1.lif"), ("1.lif", "2_to_3"), ("2_to_3", "1_lif"), ("1_lif", "out")]
    nodes |= {"in": nir.Input(np.array([2])), "out": nir.Output(np.array([2]))}
    network = Network.from_nir(nir.NIRGraph(nodes, edges), dt_s=DT_S, decay="exp")
    assert sorted(p.name for p in network.populations) == ["in", "n1_lif", "n1_lif_2"]


# --- other frameworks -----------------------------------------------------------------------------------------


def test_graphs_of_snntorch_fire_the_spikes_of_snntorch(same_spikes):
    # Protects the reading of r and of inner graphs: what snnTorch writes, recurrent layers as graphs in the graph.
    torch = pytest.importorskip("torch")
    snn = pytest.importorskip("snntorch")
    export = pytest.importorskip("snntorch.export_nir")
    rng = np.random.default_rng(6)
    torch.manual_seed(3)
    module = torch.nn.Sequential(
        torch.nn.Linear(CHANNELS, 12),
        snn.Leaky(beta=torch.full((12,), 0.8), threshold=torch.full((12,), 0.35), init_hidden=True),
        torch.nn.Linear(12, 9),
        snn.RLeaky(beta=torch.full((9,), 0.7), threshold=0.3, linear_features=9, init_hidden=True, output=True),
    )
    graph = export.export_to_nir(module, torch.zeros(CHANNELS))
    for layer in module:
        if isinstance(layer, snn.SpikingNeuron):
            layer.reset_mem()
    kept = {1: [], 3: []}
    hooks = [
        module[index].register_forward_hook(
            lambda _, __, output, index=index: kept[index].append(
                (output[0] if isinstance(output, tuple) else output).detach().numpy()
            )
        )
        for index in kept
    ]
    counts = spikes_in(rng)
    with torch.no_grad():
        for step in range(STEPS):
            module(torch.tensor(counts[:, step], dtype=torch.float32))
    for hook in hooks:
        hook.remove()
    # The time step of snnTorch is written in its source.
    network = Network.from_nir(graph, dt_s=1e-4, decay="euler", reset="subtract")
    same_spikes(network, counts, [np.stack(kept[index], axis=1) for index in kept])


@pytest.mark.parametrize("reset", ["zero", "subtract_decayed"])
def test_norse_fires_the_spikes_of_graphs_that_it_reads(reset, same_spikes):
    # Protects r, tau and resets with another reader of the same graph. Norse takes r to be 1.
    torch = pytest.importorskip("torch")
    norse = pytest.importorskip("norse.torch")
    resets = pytest.importorskip("norse.torch.functional.reset")
    rng = np.random.default_rng(12)
    affine, lif = one_layer(
        rng, CHANNELS, 10, r=np.ones(10), v_leak=np.zeros(10), v_reset=np.zeros(10), v_threshold=np.full(10, 0.5)
    )
    graph = nir.NIRGraph.from_list(affine, lif)
    # Norse reads in float32, so the numbers are made such.
    for parameter in ("weight", "bias"):
        setattr(affine, parameter, getattr(affine, parameter).astype(np.float32))
    module = norse.from_nir(graph, dt=DT_S)
    (cell,) = (part for part in module.modules() if isinstance(part, norse.LIFBoxCell))
    (linear,) = (part for part in module.modules() if isinstance(part, torch.nn.Linear))
    method = resets.reset_value if reset == "zero" else resets.reset_subtract
    cell.p = type(cell.p)(**(cell.p._asdict() | {"reset_method": method}))
    linear.double()
    counts, spikes, state = spikes_in(rng), [], None
    with torch.no_grad():
        for step in range(STEPS):
            fired, state = cell(linear(torch.tensor(counts[:, step], dtype=torch.float64)), state)
            spikes.append(fired.numpy())
    network = Network.from_nir(graph, dt_s=DT_S, decay="euler", reset=reset)
    same_spikes(network, counts, [np.stack(spikes, axis=1)])


# --- refusals -------------------------------------------------------------------------------------------------


def simple_lif(size, **changes):
    parameters = {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 1.0, "v_reset": 0.0}
    return nir.LIF(**{key: np.full(size, value) for key, value in (parameters | changes).items()})


def full(*values):
    return [np.full(2, value) for value in values]


@pytest.mark.parametrize(
    ("nodes", "message"),
    [
        ([nir.Linear(np.eye(2)), nir.I(*full(1.0))], "node is \"node 'i' (I)\"; expected neurons that leak"),
        ([nir.Affine(np.eye(2), np.ones(2)), nir.IF(*full(1.0, 1.0))],
         "constant that leads into node 'if' (IF) is [1.0, 1.0]; expected 0"),
        ([nir.Linear(np.eye(2)), nir.Threshold(*full(1.0))], "node is \"node 'threshold' (Threshold)\""),
        ([nir.Linear(np.eye(2)), nir.CubaLIF(*full(0.01, 0.02, 1.0, 0.0, 1.0))],
         "tau_syn of node 'cubalif' (CubaLIF) is [0.01, 0.01]; expected dt = 0.002 s with decay 'euler'"),
        ([nir.Linear(np.eye(2)), nir.CubaLI(*full(0.01, 0.02, 1.0, 0.0))], "tau_syn of node 'cubali' (CubaLI) is"),
        ([nir.Linear(np.eye(2)), simple_lif(2, tau=0.001)], "tau of node 'lif' (LIF) is [0.001, 0.001]; expected"),
        ([nir.Linear(np.eye(2)), simple_lif(2, tau=0.0)], "tau of node 'lif' (LIF) is [0.0, 0.0]; expected a decay"),
        ([nir.Linear(np.eye(2)), simple_lif(2, tau=np.inf)], "tau of node 'lif' (LIF) is [inf, inf]; expected"),
        ([nir.Linear(np.eye(2)), simple_lif(2, v_leak=1.0)], "v_threshold of node 'lif' (LIF) is [1.0, 1.0]; expected"),
        ([nir.Linear(np.eye(2)), nir.LI(*full(0.02, 1.0, 0.5))], "v_leak of node 'li' (LI) is [0.5, 0.5]; expected 0"),
        ([nir.Linear(np.eye(2)), nir.LI(*full(0.02, 1.0, 0.0)), nir.Linear(np.eye(2)), simple_lif(2)],
         "source is \"node 'li' (LI)\"; expected a node that fires"),
        ([nir.Linear(np.eye(2)), simple_lif(2), nir.Linear(np.eye(2))],
         "source of node 'output' (Output) is \"node 'linear_1' (Linear)\"; expected neurons"),
        ([nir.Linear(np.eye(2)), nir.Delay(np.full(2, 0.003)), simple_lif(2)],
         "delay of node 'delay' (Delay) is 0.003; expected a multiple of dt = 0.002 s. 0.002 s or 0.004 s would do"),
        ([nir.Affine(np.eye(2), np.ones(2)), nir.Delay(np.full(2, 0.004)), simple_lif(2)],
         "constant that leads into node 'delay' (Delay) is [1.0, 1.0]; expected 0. put the Affine behind"),
        ([nir.Linear(np.ones((1, 2, 2))), nir.Flatten(np.array([1, 2]), start_dim=0), simple_lif(2)],
         "shape of weight of node 'linear' (Linear) is (1, 2, 2); expected (target, 2)"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_refused_by_node_and_parameter(nodes, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Network.from_nir(nir.NIRGraph.from_list(*nodes), dt_s=DT_S, decay="euler")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"decay": "exp"}, "dt_s is None; expected a positive number of seconds. NIR has no time steps"),
        ({"dt_s": DT_S}, "decay is None; expected one of exp, euler. NIR does not say"),
        ({"dt_s": DT_S, "decay": "linear"}, "decay is 'linear'; expected one of exp, euler"),
        ({"dt_s": DT_S, "decay": "exp", "reset": "soft"}, "reset is 'soft'; expected one of subtract"),
        (
            {"dt_s": DT_S, "decay": "exp", "reset": "subtract"},
            "v_reset of node 'lif' (LIF) is [-1.0, -1.0]; expected 0",
        ),
    ],
)
def test_what_nir_does_not_say_has_to_be_given(arguments, message):
    graph = nir.NIRGraph.from_list(nir.Linear(np.eye(2)), simple_lif(2, v_reset=-1.0))
    with pytest.raises(InputError, match=re.escape(message)):
        Network.from_nir(graph, **arguments)


def test_cycles_need_neurons_and_a_delay():
    nodes = {"in": nir.Input(np.array([2])), "a": nir.Linear(np.eye(2)), "b": nir.Linear(np.eye(2)), "c": simple_lif(2)}
    nodes |= {"d": simple_lif(2), "out": nir.Output(np.array([2]))}
    loop = [("in", "a"), ("a", "b"), ("b", "a"), ("b", "c"), ("c", "out")]
    with pytest.raises(InputError, match=r"cycle is 'b -> a -> b'; expected neurons within every cycle"):
        Network.from_nir(nir.NIRGraph({k: v for k, v in nodes.items() if k != "d"}, loop), dt_s=DT_S, decay="exp")
    between = [("in", "a"), ("a", "c"), ("c", "d"), ("d", "b"), ("b", "c"), ("d", "out")]
    with pytest.raises(InputError, match=r"projections without delay is \['c', 'd'\]; expected no cycle"):
        Network.from_nir(nir.NIRGraph(nodes, between), dt_s=DT_S, decay="exp")


def test_files_that_are_no_graphs_are_refused(tmp_path):
    import h5py

    with pytest.raises(InputError, match=r"NIR file is 'nowhere\.nir'; expected an existing file"):
        Network.from_nir("nowhere.nir", dt_s=DT_S, decay="exp")
    with pytest.raises(InputError, match=r"graph is 3; expected a nir\.NIRGraph or the path of a file"):
        Network.from_nir(3, dt_s=DT_S, decay="exp")
    with h5py.File(tmp_path / "other.nir", "w") as file:
        file["labels"] = [0, 1]
    with pytest.raises(InputError, match="expected a graph that nir can read"):
        Network.from_nir(tmp_path / "other.nir", dt_s=DT_S, decay="exp")
    with h5py.File(tmp_path / "link.nir", "w") as file:
        file["node"] = h5py.ExternalLink("other.nir", "/labels")
    with pytest.raises(InputError, match="expected data inside the file itself"):
        Network.from_nir(tmp_path / "link.nir", dt_s=DT_S, decay="exp")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"adaptation_strength": 0.1, "adaptation_tau_s": 0.1},
            "adaptation of population 'hidden1' is 'a threshold that",
        ),
        ({"refractory_steps": 2}, "refractory_steps of population 'hidden1' is 2; expected 0. NIR has no"),
    ],
)
def test_what_nir_cannot_say_is_not_written(changes, message, tmp_path):
    populations = (Population.input("input", 2), Population.lif("hidden1", 2, tau_s=0.02, **changes))
    network = Network(DT_S, populations, (Projection("input", "hidden1", np.eye(2)),))
    with pytest.raises(InputError, match=re.escape(message)):
        network.to_nir(tmp_path / "network.nir", decay="exp")
    assert not list(tmp_path.iterdir())


def test_a_population_that_receives_nothing_is_not_written():
    network = Network(DT_S, (Population.input("input", 2), Population.lif("alone", 2, tau_s=0.02)), ())
    with pytest.raises(InputError, match="population is 'alone'; expected one that receives something"):
        network.to_nir(decay="exp")
    with pytest.raises(InputError, match="decay is 'linear'; expected one of exp, euler"):
        network.to_nir(decay="linear")
