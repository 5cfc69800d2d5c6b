"""Norse: its own spikes, from its own forward pass in float64, are those of the network read from it."""

import re
from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
norse = pytest.importorskip("norse.torch")
from norse.torch.functional.reset import reset_subtract, reset_value  # noqa: E402
from torch import nn  # noqa: E402

from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.network import Network  # noqa: E402

pytestmark = pytest.mark.frameworks

DT_S = 0.002
TRIALS, STEPS, CHANNELS = 6, 120, 8
FIRING = (norse.LIFBoxCell, norse.LIFCell, norse.LIFRecurrentCell, norse.LIF, norse.LIFRecurrent)
READ = (norse.LIBoxCell, norse.LICell, norse.LI)


def exact(value):
    return torch.as_tensor(value, dtype=torch.float64)


def run(module, counts):
    """Spikes of every layer that fires, and the potential of a readout; the module's own forward is called."""
    kept = {}

    def keep(layer, _, output):
        kept.setdefault(layer, []).append(output[0].detach().numpy().copy())

    hooks = [layer.register_forward_hook(keep) for layer in module.modules() if isinstance(layer, FIRING + READ)]
    x, state = torch.tensor(counts, dtype=torch.float64), None
    with torch.no_grad():
        if any(isinstance(layer, norse.LIF | norse.LI | norse.LIFRecurrent) for layer in module.modules()):
            module(x.swapaxes(0, 1))
            stacked = {layer: outputs[0].swapaxes(0, 1) for layer, outputs in kept.items()}
        else:
            for step in range(counts.shape[1]):
                _, state = module(x[:, step], state)
            stacked = {layer: np.stack(outputs, axis=1) for layer, outputs in kept.items()}
    for hook in hooks:
        hook.remove()
    layers = [output > 0 for layer, output in stacked.items() if isinstance(layer, FIRING)]
    return layers, next((output for layer, output in stacked.items() if isinstance(layer, READ)), None)


def spikes_in(rng):
    return (rng.random((TRIALS, STEPS, CHANNELS)) < 0.25).astype(np.uint8)


def linear(rng, inputs, outputs):
    layer = nn.Linear(inputs, outputs).double()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor(rng.normal(0.3, 1.0, (outputs, inputs))))
        layer.bias.copy_(torch.tensor(rng.normal(0, 0.05, outputs)))
    return layer


def one_or_each(rng, low, high, size):
    return exact(rng.uniform(low, high)) if rng.random() < 0.5 else exact(rng.uniform(low, high, size))


def box(rng, size, **changes):
    """Neurons without current, with any rest, threshold and reset."""
    subtract = bool(rng.random() < 0.4)
    parameters = {
        "tau_mem_inv": one_or_each(rng, 20, 300, size),
        "v_leak": exact(rng.choice([0.0, 0.0, -0.7, 0.2])),
        "v_th": one_or_each(rng, 0.4, 1.5, size),
        "v_reset": exact(rng.choice([0.0, 0.0, -1.0, 0.1])),
        "reset_method": reset_subtract if subtract else reset_value,
    }
    return norse.LIFBoxCell(norse.LIFBoxParameters(**(parameters | changes)), dt=DT_S)


def current_parameters(rng, size):
    """A synaptic current that is gone after one step."""
    return norse.LIFParameters(
        tau_syn_inv=exact(1 / DT_S),
        tau_mem_inv=exact(rng.uniform(20, 300)),
        v_leak=exact(rng.choice([0.0, -0.7])),
        v_th=exact(rng.uniform(0.4, 1.5)),
        v_reset=exact(rng.choice([0.0, -1.0])),
    )


def random_module(rng):
    """Layers of any kind that can be expressed, and the weights that lead into each."""
    sizes = [CHANNELS, *rng.integers(6, 14, size=rng.integers(1, 4)).tolist()]
    layers, feeding = [], []
    for inputs, outputs in pairwise(sizes):
        kind = rng.choice(["box", "box", "cell", "recurrent"])
        if kind == "recurrent":
            cell = norse.LIFRecurrentCell(
                inputs,
                outputs,
                current_parameters(rng, outputs),
                input_weights=exact(rng.normal(0.3, 1.0, (outputs, inputs))),
                recurrent_weights=exact(rng.normal(0, 1.0, (outputs, outputs))),
                dt=DT_S,
            )
            layers.append(cell)
            feeding.append([cell.input_weights])
            continue
        weights = linear(rng, inputs, outputs)
        feeding.append([weights.weight])
        cell = box(rng, outputs) if kind == "box" else norse.LIFCell(current_parameters(rng, outputs), dt=DT_S)
        layers += [weights, cell]
    readout = rng.choice(["none", "box", "cell"])
    if readout != "none":
        layers.append(linear(rng, sizes[-1], 3))
        rest = {"tau_mem_inv": exact(30.0), "v_leak": exact(0.0)}
        if readout == "box":
            layers.append(norse.LIBoxCell(norse.LIBoxParameters(**rest), dt=DT_S))
        else:
            layers.append(norse.LICell(norse.LIParameters(tau_syn_inv=exact(1 / DT_S), **rest), dt=DT_S))
    return norse.SequentialState(*layers), feeding


@pytest.mark.parametrize("block", range(8))
def test_random_modules_fire_their_own_spikes(block, same_spikes, tuned):
    # Protects every update rule that is read: 40 modules, half a million bins, not one spike apart.
    compared = 0
    for seed in range(5 * block, 5 * block + 5):
        rng = np.random.default_rng(100 + seed)
        (module, feeding), counts = random_module(rng), spikes_in(rng)
        tuned(feeding, lambda: run(module, counts)[0])  # noqa: B023
        layers, readout = run(module, counts)
        compared += same_spikes(Network.from_norse(module, dt_s=DT_S), counts, layers, readout)
    assert compared > 25_000


def test_layers_over_time_and_lifted_weights_are_read_too(same_spikes, tuned):
    rng = np.random.default_rng(5)
    first, second = linear(rng, CHANNELS, 10), linear(rng, 10, 7)
    rest = {"v_leak": exact(0.0)}
    readout = norse.LIParameters(tau_syn_inv=exact(1 / DT_S), tau_mem_inv=exact(50.0), **rest)
    spiking = norse.LIFParameters(tau_syn_inv=exact(1 / DT_S), tau_mem_inv=exact(80.0), v_th=exact(1.0), **rest)
    recurrent = norse.LIFRecurrent(10, 7, spiking, input_weights=second.weight.detach(), dt=DT_S)
    recurrent.recurrent_weights.data = exact(rng.normal(0, 0.5, (7, 7)))
    module = norse.SequentialState(
        norse.Lift(first),
        norse.LIF(spiking, dt=DT_S),
        recurrent,
        nn.Identity(),
        norse.Lift(linear(rng, 7, 2)),
        norse.LI(readout, dt=DT_S),
    )
    counts = spikes_in(rng)
    tuned([[first.weight], [recurrent.input_weights]], lambda: run(module, counts)[0])
    same_spikes(Network.from_norse(module, dt_s=DT_S), counts, *run(module, counts))


def test_spikes_are_those_of_brian_too(same_spikes, tuned):
    from cortexsnn import brian

    rng = np.random.default_rng(8)
    first, second = linear(rng, CHANNELS, 10), linear(rng, 10, 6)
    module = norse.SequentialState(
        first,
        box(rng, 10, v_leak=exact(-0.5), v_reset=exact(-1.0), v_th=exact(0.8), reset_method=reset_value),
        second,
        box(rng, 6, v_leak=exact(-0.5), v_th=exact(0.8), reset_method=reset_subtract),
        linear(rng, 6, 2),
        norse.LIBoxCell(norse.LIBoxParameters(tau_mem_inv=exact(40.0), v_leak=exact(0.0)), dt=DT_S),
    )
    counts = spikes_in(rng)
    tuned([[first.weight], [second.weight]], lambda: run(module, counts)[0])
    network = Network.from_norse(module, dt_s=DT_S, decoder="per_step")
    same_spikes(network, counts, *run(module, counts), lambda *given: brian.simulate(*given, device="numpy"))


def test_norse_decays_by_euler_steps(same_spikes, tuned):
    # Protects the decay rule: with exp(-dt / tau) in place of 1 - dt / tau other spikes come out.
    rng = np.random.default_rng(9)
    first = linear(rng, CHANNELS, 12)
    cell = norse.LIFBoxCell(norse.LIFBoxParameters(tau_mem_inv=exact(150.0), v_leak=exact(0.0)), dt=DT_S)
    module, counts = norse.SequentialState(first, cell), spikes_in(rng)
    tuned([[first.weight]], lambda: run(module, counts)[0])
    layers, _ = run(module, counts)
    network = Network.from_norse(module, dt_s=DT_S)
    np.testing.assert_allclose(network["hidden1"].alpha(DT_S), 0.7, rtol=1e-12)
    same_spikes(network, counts, layers)
    other = Network.from_arrays(
        [network.projections[0].weight], tau_s=1 / 150, bias=[network["hidden1"].bias], reset="zero", dt_s=DT_S
    )
    with pytest.raises(AssertionError, match="bins of hidden1 differ"):
        same_spikes(other, counts, layers)


def test_a_reset_to_another_value_than_rest_is_a_connection_onto_itself():
    rng = np.random.default_rng(1)
    parameters = {"tau_mem_inv": exact(100.0), "v_leak": exact(-65.0), "v_th": exact(-50.0), "v_reset": exact(-70.0)}
    module = norse.SequentialState(linear(rng, 2, 3), box(rng, 3, **parameters, reset_method=reset_value))
    network = Network.from_norse(module, dt_s=DT_S)
    np.testing.assert_allclose(network["hidden1"].threshold, 15)
    np.testing.assert_allclose(network.projections[1].weight[0], np.diag(np.full(3, 0.8 * -5)), rtol=1e-12)
    assert network.projections[1].delay_steps == (1,)


def lif_box(**changes):
    return norse.LIFBoxCell(norse.LIFBoxParameters(**changes), dt=DT_S)


@pytest.mark.parametrize(
    ("layer", "message"),
    [
        (lambda: norse.LIFCell(dt=DT_S), "tau_syn_inv of layer '1' (LIFCell) is 200.0; expected 500, which is 1 / dt"),
        (lambda: norse.LICell(dt=DT_S), "tau_syn_inv of layer '1' (LICell) is 200.0; expected 500, which is 1 / dt"),
        (lambda: lif_box(tau_mem_inv=exact(0.0)), "1 - dt tau_mem_inv of layer '1' (LIFBoxCell) is 1.0;"),
        (lambda: lif_box(tau_mem_inv=exact(500.0)), "1 - dt tau_mem_inv of layer '1' (LIFBoxCell) is 0.0;"),
        (lambda: lif_box(v_leak=exact(1.0)), "v_th of layer '1' (LIFBoxCell) is 1.0; expected above v_leak = 1.0"),
        (lambda: lif_box(reset_method=lambda z, v, reset, th: v), "reset_method of layer '1' (LIFBoxCell) is"),
        (lambda: norse.LIBoxCell(norse.LIBoxParameters(v_leak=exact(0.5)), dt=DT_S), "v_leak of layer '1'"),
        (lambda: norse.IAFCell(), "module is \"layer '1' (IAFCell)\"; expected neurons that leak"),
        (lambda: norse.LSNNCell(), "module is \"layer '1' (LSNNCell)\"; expected nn.Linear"),
        (lambda: norse.LIFRefracCell(), "module is \"layer '1' (LIFRefracCell)\"; expected nn.Linear"),
        (lambda: nn.Conv2d(1, 1, 1), "module is \"layer '1' (Conv2d)\"; expected nn.Linear"),
    ],
)  # fmt: skip
def test_what_cannot_be_expressed_is_refused_by_layer_and_parameter(layer, message):
    with pytest.raises(InputError, match=re.escape(message)):
        Network.from_norse(norse.SequentialState(nn.Linear(2, 3), layer()), dt_s=DT_S)


def test_a_readout_may_only_come_last():
    module = norse.SequentialState(nn.Linear(2, 3), norse.LIBoxCell(), nn.Linear(3, 2), norse.LIFBoxCell())
    with pytest.raises(InputError, match=r"layer after the readout is \"layer '2' \(Linear\)\""):
        Network.from_norse(module, dt_s=DT_S)
