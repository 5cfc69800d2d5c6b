"""torch against the reference, and trained models against their Network, for networks of any structure."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

torch = pytest.importorskip("torch")

from cortexsnn import recording, reference, training  # noqa: E402
from cortexsnn.hierarchy import DISTRIBUTIONS  # noqa: E402
from cortexsnn.network import RESETS, Network, Projection  # noqa: E402
from cortexsnn.training import Architecture, Layer, LearnedTau, SpikingNetwork  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]


# --- a Network in torch ---------------------------------------------------------------------------------------


@st.composite
def networks(draw):
    """Seed of all numbers, and the structure of network and input: all that torch can run."""
    depth = draw(st.integers(1, 3))
    structure = {
        "channels": draw(st.integers(1, 8)),
        "hidden": tuple(draw(st.lists(st.integers(1, 8), min_size=depth, max_size=depth))),
        "classes": draw(st.integers(1, 3)),
        "dt_s": draw(st.sampled_from([0.0005, 0.001, 0.004, 0.01, 0.014])),
        "resets": tuple(draw(st.lists(st.sampled_from(RESETS), min_size=depth, max_size=depth))),
        "taps": draw(st.integers(1, 4)),
        "max_delay": draw(st.integers(0, 12)),
        "bias": draw(st.booleans()),
        "recurrent": draw(st.booleans()),
        "skip": draw(st.booleans()),
        "shuffle": draw(st.booleans()),
        "adaptation": draw(st.booleans()),
        "gain": draw(st.sampled_from([0.01, 2.5, 2.5, 2.5, 80.0])),
    }
    inputs = {
        "trials": draw(st.integers(1, 3)),
        "steps": draw(st.sampled_from([1, 2, 3, 10, 40])),
        "rate": draw(st.sampled_from([0.0, 0.1, 0.5, 1.5])),
    }
    return draw(st.integers(0, 2**32 - 1)), structure, inputs


def late_by_one(projection):
    """Recurrent connections as torch runs them."""
    if projection.source != projection.target:
        return projection
    return Projection(projection.source, projection.target, projection.weight[0], (1,))


def make(case, random_network, random_counts):
    seed, structure, inputs = case
    rng = np.random.default_rng(seed)
    drawn = random_network(rng, **structure)
    network = Network(drawn.dt_s, drawn.populations, tuple(map(late_by_one, drawn.projections)), drawn.decoder)
    return network, random_counts(rng, channels=structure["channels"], **inputs)


def assert_same(network, observed, expected, names, most):
    """The same spikes, and potentials within so much of the largest of their population."""
    for name in names:
        if network[name].kind == "lif":
            np.testing.assert_array_equal(
                recording.dense_spikes(observed, name), recording.dense_spikes(expected, name), err_msg=name
            )
        found, wanted = (r[name]["potential"].to_numpy() for r in (observed, expected))
        assert found.shape == wanted.shape
        assert np.abs(found - wanted).max() <= most * np.abs(wanted).max(), name


def check_torch(case, random_network, random_counts):
    network, counts = make(case, random_network, random_counts)
    names = [p.name for p in network.order]
    expected = reference.simulate(network, counts, record_potential=names)
    assert_same(network, training.simulate(network, counts), expected, names, 1e-12)


@given(networks())
@settings(max_examples=80)
def test_torch_follows_the_reference(random_network, random_counts, case):
    # Protects the meaning of torch's spikes: every layer type, delay, reset, silent and saturated, one neuron, one
    # step.
    check_torch(case, random_network, random_counts)


@pytest.mark.slow
@given(networks())
@settings(max_examples=1500)
def test_torch_follows_the_reference_in_many_cases(random_network, random_counts, case):
    check_torch(case, random_network, random_counts)


def test_the_networks_of_this_file_fire(random_network, random_counts):
    # Protects the tests above from the agreement of silence: silent, saturated, and mostly active layers are among
    # them.
    share = {0.01: [], 2.5: [], 80.0: []}
    for seed in range(30):
        for gain, found in share.items():
            structure = {"gain": gain, "hidden": (5, 4), "taps": 2, "max_delay": 3, "recurrent": True, "bias": False}
            inputs = {"trials": 2, "steps": 20, "rate": 0.5}
            network, counts = make((seed, structure | {"channels": 4}, inputs), random_network, random_counts)
            result = training.simulate(network, counts)
            found += [recording.dense_spikes(result, name).mean() for name in ("hidden1", "hidden2")]
    assert max(share[0.01]) == 0
    assert np.mean([0.01 <= s <= 0.9 for s in share[2.5]]) > 0.5
    assert np.mean([s > 0.9 for s in share[80.0]]) > 0.1


# --- a trained model and its Network ----------------------------------------------------------------------------


@st.composite
def layers(draw):
    recurrent = draw(st.booleans())
    distribution = draw(st.sampled_from(DISTRIBUTIONS))
    learned = draw(st.sampled_from([None, LearnedTau("neuron", 1e-4, 100.0), LearnedTau("layer", 1e-4, 100.0)]))
    return Layer(
        draw(st.integers(1, 7)),
        tau_s=draw(st.sampled_from([0.003, 0.02, 0.1, 0.7])),
        tau_distribution=distribution,
        tau_spread=0.0 if distribution == "none" else draw(st.sampled_from([0.0, 0.1, 0.4])),
        learned_tau=learned,
        kernel_size=draw(st.integers(1, 4)),
        dilation=draw(st.integers(1, 6)),
        recurrent=recurrent,
        self_connections=recurrent and draw(st.booleans()),
        reset=draw(st.sampled_from(RESETS)),
        adaptation_strength=draw(st.sampled_from([0.0, 0.05, 0.6])),
        adaptation_tau_s=draw(st.sampled_from([0.01, 0.3])),
    )


@st.composite
def models(draw):
    """Seed of all numbers, the architecture, and trials and steps of the input."""
    architecture = Architecture(
        draw(st.integers(1, 6)),
        draw(st.integers(1, 3)),
        tuple(draw(st.lists(layers(), min_size=1, max_size=3))),
        readout_tau_s=draw(st.sampled_from([0.01, 0.2])),
        dt_s=draw(st.sampled_from([0.001, 0.01, 0.014])),
        dropout=draw(st.sampled_from([0.0, 0.2])),
        alpha_bounds=draw(st.sampled_from([None, (0.37, 0.995), (0.5, 0.9)])),
    )
    return draw(st.integers(0, 2**32 - 1)), architecture, draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 12, 30]))


def trained_model(seed, architecture):
    """A model in float64 whose normalisation, time constants and weights are those of nobody's beginning."""
    rng = np.random.default_rng(seed)
    model = SpikingNetwork(architecture, torch.Generator().manual_seed(seed))
    with torch.no_grad():
        for connections in model.connections:
            connections.norm.weight.uniform_(0.7, 1.6, generator=torch.Generator().manual_seed(seed))
            connections.norm.bias.normal_(0.1, 0.2, generator=torch.Generator().manual_seed(seed + 1))
        for layer in model.hidden:
            if layer.layer.learned_tau is not None:
                position = layer.time_constants.position
                position += torch.from_numpy(rng.normal(0, 0.3, position.shape)).float()
        for _ in range(3):  # running statistics go a tenth of the way each time
            counts = rng.poisson(0.5, (20, 4, architecture.channels))
            model.train().run(torch.from_numpy(counts).float(), rng)
    return model.double().eval()


def check_model(case):
    seed, architecture, trials, steps = case
    model = trained_model(seed, architecture)
    counts = np.random.default_rng(seed + 1).poisson(0.5, (trials, steps, architecture.channels)).astype(np.uint8)
    network = training.to_network(model, "per_step")
    with torch.no_grad():
        activity = model.run(torch.from_numpy(counts).permute(1, 0, 2).double())
    for simulated in (
        training.simulate(network, counts),
        reference.simulate(network, counts, record_potential=[p.name for p in network.hidden]),
    ):
        for population, spikes, potential in zip(network.hidden, activity.spikes, activity.potentials, strict=True):
            fired = recording.dense_spikes(simulated, population.name)
            np.testing.assert_array_equal(spikes.permute(1, 0, 2).numpy(), fired, err_msg=population.name)
            assert_close(potential, simulated[population.name])
        assert_close(activity.readout, simulated["readout"])
    return [float(spikes.mean()) for spikes in activity.spikes]


def assert_close(potential, node):
    expected = node["potential"].to_numpy()
    assert np.abs(potential.permute(1, 0, 2).numpy() - expected).max() <= 1e-10 * np.abs(expected).max()


@given(models())
@settings(max_examples=60)
def test_a_model_and_its_network_fire_the_same_spikes(case):
    # Protects the way out of torch for every kind of layer: what was trained is what a Network says.
    check_model(case)


@pytest.mark.slow
@given(models())
@settings(max_examples=1000)
def test_a_model_and_its_network_fire_the_same_spikes_in_many_cases(case):
    check_model(case)


def test_the_models_of_this_file_fire():
    # Protects the tests above from the agreement of silence.
    share = []
    for seed in range(15):
        every_kind = training.stack((6, 5), 0.05, kernel_size=(1, 3), recurrent=(False, True),
                                    adaptation_strength=(0.0, 0.1), reset=("zero", "subtract"))  # fmt: skip
        share += check_model((seed, Architecture(4, 2, every_kind, 0.05, 0.01), 3, 30))
    assert np.mean([0.02 <= s <= 0.9 for s in share]) > 0.8
