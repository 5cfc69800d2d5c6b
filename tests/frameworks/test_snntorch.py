"""snnTorch: its own spikes, from its own forward pass in float64, are those of the network read from it."""

import re
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
snn = pytest.importorskip("snntorch")
from torch import nn  # noqa: E402

from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.network import Network  # noqa: E402

pytestmark = pytest.mark.frameworks

DT_S = 0.002
TRIALS, STEPS, CHANNELS = 6, 120, 8


class Ordered(nn.Module):
    """Not an nn.Sequential: children in the order in which they act."""

    def __init__(self, *layers):
        super().__init__()
        for index, layer in enumerate(layers):
            setattr(self, f"stage{index}", layer)

    def forward(self, x):
        for layer in self.children():
            x = layer(x)
        return x


def neurons_of(module):
    return [layer for layer in module.modules() if isinstance(layer, snn.SpikingNeuron)]


def run(module, counts):
    """Spikes of every layer that is reset, and the potential of a readout; the module's own forward is called."""
    neurons = neurons_of(module)
    kept = {id(layer): [] for layer in neurons}

    def keep(layer, _, output):
        spikes, potential = output if isinstance(output, tuple) else (output, None)
        kept[id(layer)].append((potential if layer.reset_mechanism == "none" else spikes).detach().numpy().copy())

    hooks = [layer.register_forward_hook(keep) for layer in neurons]
    # Spikes of snnTorch are float32, whatever the potential is.
    linear = [layer for layer in module.modules() if isinstance(layer, nn.Linear | nn.BatchNorm1d)]
    hooks += [layer.register_forward_pre_hook(lambda _, given: (given[0].double(),)) for layer in linear]
    for layer in neurons:
        layer.reset_mem()
    with torch.no_grad():
        for step in range(counts.shape[1]):
            module(torch.tensor(counts[:, step], dtype=torch.float64))
    for hook in hooks:
        hook.remove()
    stacked = [(layer.reset_mechanism == "none", np.stack(kept[id(layer)], axis=1)) for layer in neurons]
    return [v > 0 for none, v in stacked if not none], next((v for none, v in stacked if none), None)


def spikes_in(rng, channels=CHANNELS):
    return (rng.random((TRIALS, STEPS, channels)) < 0.25).astype(np.uint8)


def linear(rng, inputs, outputs, bias=True):
    layer = nn.Linear(inputs, outputs, bias=bias).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rng.normal(0.15, 0.5, (outputs, inputs)) / np.sqrt(inputs)))
        if bias:
            layer.bias.copy_(torch.tensor(rng.normal(0, 0.02, outputs)))
    return layer


def random_neurons(rng, size):
    """One layer of any kind that can be expressed."""
    beta = float(rng.uniform(0.3, 0.99)) if rng.random() < 0.5 else torch.tensor(rng.uniform(0.3, 0.99, size))
    threshold = float(rng.uniform(0.4, 1.5)) if rng.random() < 0.5 else torch.tensor(rng.uniform(0.4, 1.5, size))
    options = {"threshold": threshold, "init_hidden": True}
    kind = rng.choice(["leaky", "leaky", "dense", "diagonal", "circuit", "synaptic", "graded"])
    if kind == "circuit":
        resistance, capacity = float(rng.uniform(0.8, 2)), float(rng.uniform(3, 20))
        return snn.Lapicque(R=resistance, C=capacity, reset_mechanism="subtract", **options)
    if kind == "synaptic":
        return snn.Synaptic(alpha=0.0, beta=beta, reset_mechanism="subtract", **options)
    zero = bool(rng.random() < 0.5)
    options |= {"beta": beta, "reset_mechanism": "zero" if zero else "subtract"}
    if kind == "graded":
        return snn.Leaky(**options, graded_spikes_factor=float(rng.uniform(0.5, 2)))
    if kind == "leaky":
        return snn.Leaky(**options, reset_delay=not (zero and rng.random() < 0.5))
    options["reset_delay"] = not zero
    if kind == "diagonal":
        return snn.RLeaky(**options, all_to_all=False, V=torch.tensor(rng.normal(0, 0.3, size)))
    layer = snn.RLeaky(**options, linear_features=size)
    with torch.no_grad():
        layer.recurrent.weight.copy_(torch.tensor(rng.normal(0, 0.4 / np.sqrt(size), (size, size))))
        layer.recurrent.bias.copy_(torch.tensor(rng.normal(0, 0.02, size)))
    return layer


def random_module(rng):
    sizes = [CHANNELS, *rng.integers(6, 14, size=rng.integers(1, 4)).tolist()]
    layers = [nn.Flatten()]
    for inputs, outputs in pairwise(sizes):
        layers += [linear(rng, inputs, outputs, bias=bool(rng.random() < 0.7)), random_neurons(rng, outputs)]
        if rng.random() < 0.2:
            layers.append(nn.Dropout(0.5))
    if rng.random() < 0.5:
        layers += [
            linear(rng, sizes[-1], 3),
            snn.Leaky(beta=0.9, reset_mechanism="none", init_hidden=True, output=True),
        ]
    module = nn.Sequential(*layers) if rng.random() < 0.5 else Ordered(*layers)
    return module.double().eval()


def feeding(module):
    """Weights that lead into each layer that fires."""
    weights = [[layer.weight] for layer in module.modules() if isinstance(layer, nn.Linear)]
    own = [layer.recurrent for layer in neurons_of(module) if isinstance(getattr(layer, "recurrent", None), nn.Linear)]
    weights = [tensors for tensors in weights if not any(tensors[0] is recurrent.weight for recurrent in own)]
    return weights[: sum(layer.reset_mechanism != "none" for layer in neurons_of(module))]


@pytest.mark.parametrize("block", range(8))
def test_random_modules_fire_their_own_spikes(block, same_spikes, tuned):
    # Protects every update rule that is read: 40 modules, half a million bins, not one spike apart.
    compared = 0
    for seed in range(5 * block, 5 * block + 5):
        rng = np.random.default_rng(seed)
        module, counts = random_module(rng), spikes_in(rng)
        tuned(feeding(module), lambda: run(module, counts)[0])  # noqa: B023
        layers, readout = run(module, counts)
        compared += same_spikes(Network.from_snntorch(module, dt_s=DT_S), counts, layers, readout)
    assert compared > 25_000


def test_spikes_are_those_of_brian_too(same_spikes, tuned):
    from cortexsnn import brian

    rng = np.random.default_rng(7)
    module = nn.Sequential(
        linear(rng, CHANNELS, 10),
        snn.RLeaky(beta=0.8, linear_features=10, init_hidden=True),
        linear(rng, 10, 6),
        snn.Leaky(beta=0.95, reset_mechanism="zero", init_hidden=True),
        linear(rng, 6, 2),
        snn.Leaky(beta=0.9, reset_mechanism="none", init_hidden=True, output=True),
    ).double()
    counts = spikes_in(rng)
    tuned(feeding(module), lambda: run(module, counts)[0])
    layers, readout = run(module, counts)
    network = Network.from_snntorch(module, dt_s=DT_S, decoder="per_step")
    same_spikes(network, counts, layers, readout, lambda *given: brian.simulate(*given, device="numpy"))


def test_ties_with_the_threshold_do_not_fire(same_spikes):
    # Protects strictness: with round numbers potentials meet the threshold exactly, many times over.
    rng = np.random.default_rng(3)
    first = nn.Linear(CHANNELS, 12, bias=False).double()
    with torch.no_grad():
        first.weight.copy_(torch.tensor(rng.integers(-2, 3, (12, CHANNELS)) / 4))
    module = nn.Sequential(first, snn.Leaky(beta=0.5, init_hidden=True)).double()
    counts = spikes_in(rng)
    layers, _ = run(module, counts)
    with torch.no_grad():
        drive = first(torch.tensor(counts, dtype=torch.float64)).numpy()
    assert np.count_nonzero(drive == 1.0) > 50
    same_spikes(Network.from_snntorch(module, dt_s=DT_S), counts, layers)


def test_lapicque_decays_by_an_euler_step_and_not_by_its_beta(same_spikes, tuned):
    # Protects the decay rule: with beta in place of 1 - time_step / (R C) other spikes come out.
    rng = np.random.default_rng(11)
    module = nn.Sequential(linear(rng, CHANNELS, 12), snn.Lapicque(beta=0.7, init_hidden=True)).double()
    counts = spikes_in(rng)
    tuned(feeding(module), lambda: run(module, counts)[0])
    layers, _ = run(module, counts)
    network = Network.from_snntorch(module, dt_s=DT_S)
    np.testing.assert_allclose(network["hidden1"].alpha(DT_S), 1 + np.log(0.7), rtol=1e-6)
    same_spikes(network, counts, layers)
    other = Network.from_arrays(
        [network.projections[0].weight], tau_s=-DT_S / np.log(0.7), bias=[network["hidden1"].bias], dt_s=DT_S
    )
    with pytest.raises(AssertionError, match="bins of hidden1 differ"):
        same_spikes(other, counts, layers)


def test_batch_normalisation_is_folded(same_spikes, tuned):
    rng = np.random.default_rng(12)
    norm = nn.BatchNorm1d(9)
    with torch.no_grad():
        for tensor in (norm.running_mean, norm.weight, norm.bias):
            tensor.copy_(torch.tensor(rng.normal(0, 0.1, 9)))
        norm.weight += 1
        norm.running_var.copy_(torch.tensor(rng.uniform(0.5, 2, 9)))
    module = nn.Sequential(linear(rng, CHANNELS, 9), norm, snn.Leaky(beta=0.9, init_hidden=True)).double().eval()
    counts = spikes_in(rng)
    tuned([[norm.weight]], lambda: run(module, counts)[0])
    same_spikes(Network.from_snntorch(module, dt_s=DT_S), counts, run(module, counts)[0])


def test_time_constants_are_in_seconds_and_a_scalar_stands_for_the_layer():
    module = nn.Sequential(nn.Linear(2, 3), snn.Leaky(beta=torch.tensor(0.9, dtype=torch.float64), threshold=2.0))
    network = Network.from_snntorch(module, dt_s=0.005)
    np.testing.assert_allclose(network["hidden1"].tau_s, np.full(3, -0.005 / np.log(0.9)), rtol=1e-12)
    np.testing.assert_array_equal(network["hidden1"].threshold, [2, 2, 2])
    assert network.metadata["source"] == f"snntorch {snn.__version__}"


def changed(layer, **attributes):
    for name, value in attributes.items():
        setattr(layer, name, value)
    return layer


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: snn.Synaptic(alpha=0.8, beta=0.9), r"alpha of layer '1' (Synaptic) is 0.8; expected 0. a current"),
        (lambda: snn.Leaky(beta=1.0), "beta of layer '1' (Leaky) is 1.0; expected a decay per step above 0 and below"),
        (lambda: snn.Leaky(beta=torch.tensor([0.9, -0.1, 0.9])), "beta of layer '1' (Leaky) is [0.9, -0.1,"),
        (lambda: snn.Leaky(beta=0.9, reset_delay=False), "reset_delay of layer '1' (Leaky) is False; expected True"),
        (lambda: snn.RLeaky(beta=0.9, linear_features=3, reset_mechanism="zero"),
         "reset_mechanism of layer '1' (RLeaky) is 'zero'; expected 'subtract', or reset_delay=False. as it is"),
        (lambda: snn.Lapicque(beta=0.9, reset_mechanism="zero"), "reset_mechanism of layer '1' (Lapicque) is 'zero'"),
        (lambda: snn.RLeaky(beta=0.9, linear_features=3, reset_mechanism="none"),
         "reset_mechanism of layer '1' (RLeaky) is 'none'; expected 'subtract' or 'zero'"),
        (lambda: snn.RLeaky(beta=0.9, conv2d_channels=3, kernel_size=3), "recurrent connections of layer '1'"),
        (lambda: changed(snn.Leaky(beta=0.9), inhibition=True), "inhibition of layer '1' (Leaky) is True"),
        (lambda: snn.Leaky(beta=0.9, state_quant=torch.round), "state_quant of layer '1' (Leaky) is"),
        (lambda: snn.Leaky(beta=0.9, spike_grad=lambda x: (x >= 0).float()),
         "spike_grad of layer '1' (Leaky) is [0.0, 0.0, 1.0, 1.0, 1.0]; expected [0, 0, 0, 1, 1] for"),
        (lambda: snn.Leaky(beta=0.9, threshold=0.0), "threshold of layer '1' (Leaky) is 0.0; expected values above"),
        (lambda: snn.Leaky(beta=torch.full((4,), 0.9)), "shape of decay of layer '1' (Leaky) is (4,); expected"),
        (lambda: changed(snn.Leaky(beta=0.9), reset_mechanism="zero"), "reset_mechanism of layer '1' (Leaky) is"),
        (lambda: snn.Alpha(alpha=0.9, beta=0.8), "module is \"layer '1' (Alpha)\"; expected nn.Linear"),
        (lambda: nn.ReLU(), "module is \"layer '1' (ReLU)\"; expected nn.Linear"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_refused_by_layer_and_parameter(layer, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Network.from_snntorch(nn.Sequential(nn.Linear(2, 3), layer()), dt_s=DT_S)


@pytest.mark.parametrize(
    ("module", "message"),
    [
        (nn.Sequential(snn.Leaky(beta=0.9)), "first layer is \"layer '0' (Leaky)\"; expected weights such as"),
        (nn.Sequential(nn.Linear(2, 3)), "last layer is \"layer '0' (Linear)\"; expected neurons"),
        (nn.Sequential(nn.Flatten()), "last layer is None; expected neurons"),
        (nn.Sequential(nn.Linear(2, 3), nn.Linear(4, 2), snn.Leaky(beta=0.9)), "inputs of layer '1' (Linear) is 4;"),
        (nn.Sequential(nn.Linear(2, 3), snn.Leaky(beta=0.9, reset_mechanism="none"), nn.Linear(3, 2)),
         "layer after the readout is \"layer '2' (Linear)\""),
        (nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3, track_running_stats=False)), "track_running_stats of layer"),
        (nn.Linear(2, 3), "module is Linear(in_features=2"),
        ("a path", "module is 'a path'; expected a torch.nn.Module with layers"),
        (nn.Sequential(nn.Linear(2, 2), *2 * [snn.Leaky(beta=0.9, init_hidden=True)]), "module is \"layer '2'"),
    ],
)  # fmt: skip
def test_what_is_no_chain_is_refused(module, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Network.from_snntorch(module, dt_s=DT_S)


@pytest.mark.parametrize("dt_s", [0, -1, None, "1 ms"])
def test_the_time_step_is_checked(dt_s):
    with pytest.raises(InputError, match="dt_s is"):
        Network.from_snntorch(nn.Sequential(nn.Linear(2, 3), snn.Leaky(beta=0.9)), dt_s=dt_s)
