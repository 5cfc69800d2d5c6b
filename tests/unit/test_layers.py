"""Layers and models: what is described is checked, built, normalised and run as described."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cortexsnn import training  # noqa: E402
from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.network import Network, Population, Projection  # noqa: E402
from cortexsnn.training import Architecture, Layer, LearnedTau, SpikingNetwork, Surrogate, stack  # noqa: E402
from cortexsnn.training.time_constants import FixedTimeConstants, LearnedTimeConstants  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

LAYER = Layer(6, 0.05)
ARCHITECTURE = Architecture(8, 2, stack((6, 5), (0.05, 0.4)), readout_tau_s=0.05, dt_s=0.01)


def new_model(architecture=ARCHITECTURE, seed=0):
    return SpikingNetwork(architecture, torch.Generator().manual_seed(seed))


# --- descriptions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"size": 0}, "size of a layer is 0; expected a whole number of at least 1"),
        ({"size": 2.0}, "size of a layer is 2.0"),
        ({"kernel_size": 0}, "kernel_size of a layer is 0"),
        ({"dilation": True}, "dilation of a layer is True"),
        ({"tau_s": 0.0}, "tau_s of a layer is 0.0; expected positive seconds"),
        ({"tau_s": float("nan")}, "tau_s of a layer is nan"),
        ({"adaptation_tau_s": -1.0}, "adaptation_tau_s of a layer is -1.0"),
        ({"tau_distribution": "cauchy"}, "tau_distribution of a layer is 'cauchy'; expected one of none, uniform"),
        ({"tau_spread": -0.1}, "tau_spread of a layer is -0.1; expected a number of at least 0"),
        ({"reset": "soft"}, "reset of a layer is 'soft'; expected one of subtract, subtract_decayed, zero"),
        ({"adaptation_strength": float("inf")}, "adaptation_strength of a layer is inf"),
        ({"self_connections": True}, "self_connections of a layer is True; expected False in a layer that is not"),
        ({"learned_tau": LearnedTau(low_s=0.1)}, "tau_s of a layer with learned tau is 0.05; expected between its bo"),
    ],
)
def test_layers_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        replace(LAYER, **change)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"per": "network"}, "per of the learned tau is 'network'; expected 'neuron' or 'layer'"),
        ({"low_s": 0.0}, "bounds of the learned tau is .*positive seconds"),
        ({"low_s": 3.0}, "bounds of the learned tau is .*the lower one first"),
    ],
)
def test_learned_time_constants_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        LearnedTau(**values)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"layers": ()}, r"layers is \(\); expected at least one Layer. training.stack makes several"),
        ({"layers": (6, 5)}, r"layers is \(6, 5\); expected at least one Layer"),
        ({"layers": LAYER}, r"layers is Layer\(size=6.*expected at least one Layer"),
        ({"channels": 0}, "channels is 0"),
        ({"classes": 1.5}, "classes is 1.5"),
        ({"readout_tau_s": -1.0}, "readout_tau_s is -1.0"),
        ({"dt_s": float("inf")}, "dt_s is inf"),
        ({"dropout": 1.0}, "dropout is 1.0; expected a probability"),
        ({"dropout": float("nan")}, "dropout is nan"),
        ({"surrogate": "box"}, "surrogate is 'box'; expected a Surrogate"),
        ({"weight_bounds": (0.1, 0.1)}, r"weight_bounds is \(0.1, 0.1\); expected 3 positive numbers, one for the re"),
        ({"weight_bounds": (0.1, 0.1, 0.0)}, "weight_bounds is .*positive"),
        ({"weight_bounds": (0.1, 0.1, float("nan"))}, "weight_bounds is .*positive"),
        ({"weight_bounds": 0.1}, "weight_bounds is 0.1; expected 3 positive numbers"),
        ({"alpha_bounds": (0.9, 0.4)}, "alpha_bounds is .*the lower one first"),
        ({"alpha_bounds": (0.4, 1.0)}, "alpha_bounds is .*between 0 and 1"),
        ({"alpha_bounds": 0.4}, "alpha_bounds is 0.4; expected two numbers"),
        ({"alpha_bounds": (0.1, 0.4, 0.9)}, "alpha_bounds is .*expected two numbers"),
    ],
)
def test_architectures_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        replace(ARCHITECTURE, **change)


def test_a_stack_has_one_value_for_all_or_one_for_each():
    layers = stack((4, 5), [0.02, 0.2], reset="zero", kernel_size=np.array([1, 3]), recurrent=(False, True))
    assert [layer.size for layer in layers] == [4, 5]
    assert [layer.tau_s for layer in layers] == [0.02, 0.2]
    assert {layer.reset for layer in layers} == {"zero"}
    assert [layer.delay_steps for layer in layers] == [(0,), (0, 1, 2)]
    assert [layer.recurrent for layer in layers] == [False, True]
    assert all(type(value) is int for layer in layers for value in (layer.size, layer.kernel_size))
    for bad, message in (
        ({"sizes": (), "tau_s": 0.1}, r"sizes of the layers is \(\); expected at least one hidden layer"),
        ({"sizes": (4, 5), "tau_s": (0.1,)}, r"tau_s is \(0.1,\); expected 2 values, one for each hidden layer"),
        ({"sizes": (4, 5), "tau_s": 0.1, "width": 3}, r"fields of a layer is \['width'\]; expected fields of Layer"),
    ):
        with pytest.raises(InputError, match=message):
            stack(**bad)


def test_effective_memory_before_training():
    # Protects the shown figure: the mean lag of an impulse that went through the taps and the cut membrane, counted
    # on the impulse response itself.
    layer = Layer(3, 5.0, kernel_size=4, dilation=3)
    architecture = Architecture(2, 2, (layer,), 0.05, 0.01, alpha_bounds=(0.3, 0.9))
    response = np.zeros(2000)
    for delay in layer.delay_steps:
        response[delay:] += 0.9 ** np.arange(2000 - delay)
    expected = (np.arange(2000) * response).sum() / response.sum() * 0.01
    assert architecture.effective_memory().layer_s == pytest.approx([expected], rel=1e-9)


# --- time constants ---------------------------------------------------------------------------------------------


def test_fixed_time_constants_stay_exactly():
    # Protects the tau of a Network from float32.
    model = new_model(replace(ARCHITECTURE, layers=stack((6, 5), (0.1, 0.3))))
    assert [set(layer.time_constants.tau_s().tolist()) for layer in model.hidden] == [{0.1}, {0.3}]
    assert isinstance(model.hidden[0].time_constants, FixedTimeConstants)
    assert list(model.hidden[0].time_constants.parameters()) == []
    network = training.to_network(model, "per_step")
    assert network["hidden2"].tau_s.tolist() == [0.3] * 5


def test_alpha_bounds_cut_time_constants_that_are_not_learned():
    # Protects the paper's cut, and that a Network stores what is left after it.
    layers = (Layer(6, 0.001), Layer(5, 9.0), Layer(4, 0.05), Layer(3, 9.0, learned_tau=LearnedTau("layer", 0.1, 90)))
    model = new_model(replace(ARCHITECTURE, layers=layers, alpha_bounds=(0.37, 0.995)))
    network = training.to_network(model, "per_step")
    alpha = [np.exp(-0.01 / population.tau_s) for population in network.hidden]
    for found, expected in zip(alpha, (0.37, 0.995, np.exp(-0.2)), strict=False):
        np.testing.assert_allclose(found, expected, rtol=1e-14)
    np.testing.assert_allclose(network["hidden4"].tau_s, 9.0, rtol=1e-6)


def test_learned_time_constants_begin_where_they_should_and_stay_within_bounds():
    begin = np.array([0.0021, 0.05, 1.9])
    constants = LearnedTimeConstants(begin, LearnedTau("neuron", 0.002, 2.0))
    np.testing.assert_allclose(constants.tau_s().detach(), begin, rtol=1e-6)
    with torch.no_grad():
        constants.position.copy_(torch.tensor([-200.0, 0.0, 200.0]))
    np.testing.assert_allclose(constants.tau_s().detach(), [0.002, np.sqrt(0.002 * 2.0), 2.0], rtol=1e-9)
    shared = LearnedTimeConstants(np.array([0.01, 0.04, 0.1]), LearnedTau("layer"))
    assert [tuple(p.shape) for p in shared.parameters()] == [(1,)]
    geometric_mean = (0.01 * 0.04 * 0.1) ** (1 / 3)
    np.testing.assert_allclose(shared.tau_s().detach(), [geometric_mean] * 3, rtol=1e-6)
    with pytest.raises(InputError, match=r"initial tau of a layer with learned tau is .*widen the bounds"):
        LearnedTimeConstants(np.array([0.05, 3.0]), LearnedTau())


def test_drawn_time_constants_are_those_of_the_seed():
    # Protects the network's own stream of random numbers.
    drawn = replace(ARCHITECTURE, layers=stack((400, 5), 0.1, tau_distribution="gamma", tau_spread=0.3))
    tau = [new_model(drawn, seed).hidden[0].time_constants.tau_s().numpy() for seed in (0, 0, 1)]
    np.testing.assert_array_equal(tau[0], tau[1])
    assert not np.array_equal(tau[0], tau[2])
    assert tau[0].mean() == pytest.approx(0.1, rel=0.06)
    assert tau[0].std() == pytest.approx(0.03, rel=0.15)


# --- weights and the layer --------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [None, (0.3, 0.02, 0.7)])
def test_initial_weights_are_uniform_within_their_bounds(bounds):
    architecture = Architecture(30, 20, stack((40, 25), 0.1, kernel_size=(3, 1), recurrent=True), 0.05, 0.01,
                                weight_bounds=bounds)  # fmt: skip
    model = new_model(architecture)
    expected = bounds or (1 / np.sqrt(90), 1 / np.sqrt(40), 1 / np.sqrt(25))
    recurrent = (0.3, 0.02) if bounds else (1 / np.sqrt(40), 1 / np.sqrt(25))
    weights = [connections.weight for connections in model.connections]
    assert [tuple(w.shape) for w in weights] == [(3, 40, 30), (1, 25, 40), (1, 20, 25)]
    weights += [layer.recurrent for layer in model.hidden]
    for weight, bound in zip(weights, (*expected, *recurrent), strict=True):
        values = weight.detach().numpy()
        assert np.abs(values).max() <= bound
        assert np.abs(values).max() > 0.95 * bound
        assert values.std() == pytest.approx(bound / np.sqrt(3), rel=0.1)


def test_a_neuron_excites_itself_only_where_it_may():
    # Protects the diagonal from weights and from gradients.
    for allowed in (False, True):
        layers = (Layer(6, 0.05, recurrent=True, self_connections=allowed),)
        layer = new_model(replace(ARCHITECTURE, layers=layers)).hidden[0]
        weight = layer.recurrent_weight()
        assert bool((weight.diagonal() != 0).all()) == allowed
        off = ~torch.eye(6, dtype=torch.bool)
        assert torch.equal(weight[off], layer.recurrent[off])
        spikes, _ = layer(torch.ones(30, 3, 8) + torch.randn(30, 3, 8, generator=torch.Generator().manual_seed(1)))
        assert 0 < float(spikes.detach().mean()) < 1
        spikes.sum().backward()
        assert bool(layer.recurrent.grad[off].any())
        assert bool(layer.recurrent.grad.diagonal().any()) == allowed


def test_recurrent_input_is_not_normalised():
    # Protects the contract that normalisation stands on the feed-forward current alone.
    layers = (Layer(6, 0.05, recurrent=True, self_connections=True),)
    layer = new_model(replace(ARCHITECTURE, layers=layers)).hidden[0].eval()
    counts = torch.randn(20, 2, 8, generator=torch.Generator().manual_seed(2)) * 3
    with torch.no_grad():
        spikes, potential = layer(counts)
        current = layer.incoming(counts)
        alpha = layer.time_constants.alpha(0.01, torch.float32)
        before, fired = torch.zeros_like(potential[:1]), torch.zeros_like(spikes[:1])
        earlier, fired = torch.cat([before, potential[:-1]]), torch.cat([fired, spikes[:-1]])
        expected = alpha * earlier + current + fired @ layer.recurrent.T - fired
    torch.testing.assert_close(potential, expected, rtol=1e-5, atol=1e-5)
    assert 0.02 < float(spikes.mean()) < 0.9


def test_dropout_scales_what_is_kept():
    network = new_model()
    spikes = torch.ones(100, 50, 6)
    dropped = network._dropped(spikes, np.random.default_rng(0))
    kept = dropped[dropped != 0]
    assert torch.allclose(kept, torch.tensor(1 / 0.9))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
    with pytest.raises(ValueError, match="dropout in training mode needs a random generator"):
        network(torch.ones(3, 2, 8))
    assert torch.equal(network.eval()._dropped(spikes, None), spikes)


def test_activity_is_that_before_dropout():
    # Protects rates in penalties and figures: spikes are 0 or 1.
    network = new_model(replace(ARCHITECTURE, dropout=0.5))
    counts = torch.randn(40, 4, 8, generator=torch.Generator().manual_seed(3))
    activity = network.run(counts, np.random.default_rng(0))
    assert activity.readout.shape == (40, 4, 2)
    assert [tuple(s.shape) for s in activity.spikes] == [(40, 4, 6), (40, 4, 5)]
    assert all(set(s.unique().tolist()) == {0.0, 1.0} for s in activity.spikes)
    assert torch.equal(network.eval()(counts), network.run(counts).readout)


def test_surrogates_take_part_in_training():
    gradients = []
    for kind in ("box", "triangle", "fast_sigmoid", "arctan"):
        network = new_model(replace(ARCHITECTURE, surrogate=Surrogate(kind, 0.5), dropout=0.0))
        counts = torch.randn(40, 4, 8, generator=torch.Generator().manual_seed(3))
        network(counts).square().sum().backward()
        gradients.append(network.hidden[0].incoming.weight.grad)
    assert all(bool(g.any()) for g in gradients)
    assert all(not torch.allclose(a, b) for i, a in enumerate(gradients) for b in gradients[:i])


def test_bfloat16_rounds_feed_forward_products_and_nothing_else():
    # Protects time integration in float32. Quarters and whole spikes are exact in bfloat16, so that every product is
    # too; decays, recurrent weights, normalisation and thresholds are not, and would show.
    layers = stack((6, 5), (0.05, 0.4), recurrent=True, adaptation_strength=0.1, kernel_size=2)
    model = new_model(replace(ARCHITECTURE, layers=layers)).eval()
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for connections in model.connections:
            quarters = rng.integers(-4, 5, connections.weight.shape) / 4
            connections.weight.copy_(torch.from_numpy(quarters))
            connections.norm.running_var.copy_(torch.from_numpy(rng.uniform(0.5, 2, connections.norm.num_features)))
    counts = torch.from_numpy(rng.integers(0, 2, (40, 3, 8))).float()

    def run(dtype):
        model.multiply_in(dtype)
        with torch.no_grad():
            return model.run(counts)

    exact, rounded = run(None), run(torch.bfloat16)
    assert torch.equal(exact.readout, rounded.readout)
    for kind in ("spikes", "potentials"):
        assert all(map(torch.equal, getattr(exact, kind), getattr(rounded, kind)))
    assert rounded.readout.dtype == torch.float32
    assert all(0.01 < float(s.mean()) < 0.9 for s in exact.spikes)
    with torch.no_grad():
        for connections in model.connections:
            connections.weight += 1 / 300
    exact, rounded = run(None), run(torch.bfloat16)
    assert not torch.equal(exact.potentials[0], rounded.potentials[0])
    assert float((exact.potentials[0] - rounded.potentials[0]).abs().mean()) < 0.1


# --- the way out ------------------------------------------------------------------------------------------------


def test_folded_names_and_fields():
    layers = stack((6, 5), (0.05, 0.4), reset=("zero", "subtract"), recurrent=(True, False),
                   adaptation_strength=(0.0, 0.3), adaptation_tau_s=0.07)  # fmt: skip
    model = new_model(replace(ARCHITECTURE, layers=layers))
    with torch.no_grad():
        model.hidden[0].incoming.norm.bias.fill_(0.25)
    network = training.to_network(model, "per_step", {"seed": 1})
    assert [p.name for p in network.order] == ["hidden1", "hidden2", "readout"]
    assert [p.name for p in network.projections] == [
        "input_to_hidden1", "hidden1_to_hidden1", "hidden1_to_hidden2", "hidden2_to_readout"
    ]  # fmt: skip
    assert [population.reset for population in network.hidden] == ["zero", "subtract"]
    assert network["hidden1"].adaptation is None
    assert network["hidden2"].adaptation.strength.tolist() == [0.3] * 5
    assert network["hidden2"].adaptation.tau_s.tolist() == [0.07] * 5
    assert network["hidden1"].bias.tolist() == [0.25] * 6
    assert dict(network.metadata) == {"seed": 1}
    assert network.decoder == "per_step"


def test_folding_is_done_in_float64():
    # Protects exactness: gain and shift of the normalisation computed by hand from the stored numbers.
    model = new_model()
    rng = np.random.default_rng(0)
    norm = model.readout.norm
    with torch.no_grad():
        for tensor in (norm.weight, norm.bias, norm.running_mean, norm.running_var):
            tensor.copy_(torch.from_numpy(rng.uniform(0.5, 2, 2)))
    scale, shift, mean, variance = (
        t.detach().numpy().astype(np.float64) for t in (norm.weight, norm.bias, norm.running_mean, norm.running_var)
    )
    gain = scale / np.sqrt(variance + 1e-5)
    network = training.to_network(model, "per_step")
    weight = network.projections[-1].weight[0]
    np.testing.assert_allclose(weight, gain[:, None] * model.readout.weight[0].detach().double().numpy(), rtol=1e-15)
    np.testing.assert_allclose(network["readout"].bias, shift - mean * gain, rtol=1e-14)


def feedback(delay):
    return (
        Projection("input", "hidden1", [[1.0]]),
        Projection("hidden1", "hidden2", [[1.0]]),
        Projection("hidden2", "hidden1", [[1.0]], (delay,)),
    )


@pytest.mark.parametrize(
    ("population", "projections", "message"),
    [
        ({"refractory_steps": 2}, feedback(1)[:2], "refractory_steps of population 'hidden1' is 2; expected 0 in tor"),
        ({}, feedback(1), "source of projection 'hidden2_to_hidden1' is 'hidden2'; expected an earlier population in"),
        ({}, (*feedback(1)[:2], Projection("hidden1", "hidden1", [[1.0]], (2,))),
         r"delay_steps of projection 'hidden1_to_hidden1' is \(2,\); expected \(1,\) for a recurrent projection"),
        ({}, (*feedback(1)[:2], Projection("hidden1", "hidden1", [[[1.0]], [[1.0]]], (1, 2))),
         r"delay_steps of projection 'hidden1_to_hidden1' is \(1, 2\)"),
    ],
)  # fmt: skip
def test_torch_refuses_what_it_cannot_run(population, projections, message):
    neurons = (Population.lif("hidden1", 1, tau_s=0.02, **population), Population.lif("hidden2", 1, tau_s=0.02))
    network = Network(0.01, (Population.input("input", 1), *neurons), projections)
    with pytest.raises(InputError, match=f"{message}.*run it in cortexsnn.reference or Brian2"):
        training.simulate(network, np.ones((1, 3, 1)))


def test_layers_that_are_listed_in_any_order_run():
    # Protects feed-forward networks whose connections are all late: nothing but their arrows tells the order.
    populations = [Population.lif(f"hidden{n}", 1, tau_s=0.02) for n in (3, 1, 2)]
    names = ["input", "hidden1", "hidden2", "hidden3"]
    late = tuple(Projection(a, b, [[2.0]], (1,)) for a, b in pairwise(names))
    network = Network(0.01, (*populations, Population.input("input", 1)), late)
    counts = np.zeros((1, 6, 1))
    counts[0, 0] = 1
    result = training.simulate(network, counts)
    assert [result[name]["spike_step"].values.tolist()[0] for name in names[1:]] == [1, 2, 3]
