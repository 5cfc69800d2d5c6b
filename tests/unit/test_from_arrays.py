"""Networks from plain arrays: what each argument becomes, and what is refused by its name. No framework is needed."""

import re
import sys

import numpy as np
import pytest

from cortexsnn.errors import InputError
from cortexsnn.exchange.layers import Affine, Neurons, network_of
from cortexsnn.network import Network

DT_S = 0.001


def weights(rng=None):
    rng = rng or np.random.default_rng(0)
    return [rng.normal(size=(4, 3)), rng.normal(size=(5, 4)), rng.normal(size=(2, 5))]


def test_five_lines_make_the_network_that_the_parts_make():
    matrices = weights()
    network = Network.from_arrays(
        matrices, tau_s=[0.02, 0.05], readout_tau_s=0.1, dt_s=DT_S, decoder="per_step", metadata={"seed": 3}
    )
    assert [(p.name, p.kind, p.size) for p in network.populations] == [
        ("input", "input", 3),
        ("hidden1", "lif", 4),
        ("hidden2", "lif", 5),
        ("readout", "readout", 2),
    ]
    assert [p.name for p in network.projections] == ["input_to_hidden1", "hidden1_to_hidden2", "hidden2_to_readout"]
    for projection, matrix in zip(network.projections, matrices, strict=True):
        np.testing.assert_array_equal(projection.weight, matrix[np.newaxis])
        assert projection.delay_steps == (0,)
    np.testing.assert_array_equal(network["hidden2"].tau_s, np.full(5, 0.05))
    np.testing.assert_array_equal(network["readout"].tau_s, [0.1, 0.1])
    assert (network.decoder, network.metadata) == ("per_step", {"seed": 3})


def test_without_a_readout_all_layers_fire():
    network = Network.from_arrays(weights(), tau_s=0.02, dt_s=DT_S)
    assert [p.name for p in network.hidden] == ["hidden1", "hidden2", "hidden3"]
    assert not network.readouts


def test_every_argument_may_differ_between_layers_and_neurons():
    within = np.arange(16.0).reshape(4, 4)
    network = Network.from_arrays(
        [np.ones((2, 4, 3)), np.ones((5, 4)), np.ones((2, 5))],
        tau_s=[[0.01, 0.02, 0.03, 0.04], 0.05],
        readout_tau_s=[0.1, 0.2],
        dt_s=DT_S,
        bias=[None, 0.5, [1, 2]],
        threshold=[2.0, np.arange(1, 6)],
        reset=["zero", "subtract_decayed"],
        recurrent=[within, None],
        delay_steps=[(0, 4), None, [2]],
    )
    np.testing.assert_array_equal(network["hidden1"].tau_s, [0.01, 0.02, 0.03, 0.04])
    np.testing.assert_array_equal(network["hidden1"].bias, np.zeros(4))
    np.testing.assert_array_equal(network["hidden1"].threshold, np.full(4, 2))
    np.testing.assert_array_equal(network["hidden2"].threshold, [1, 2, 3, 4, 5])
    np.testing.assert_array_equal(network["hidden2"].bias, np.full(5, 0.5))
    np.testing.assert_array_equal(network["readout"].bias, [1, 2])
    np.testing.assert_array_equal(network["readout"].tau_s, [0.1, 0.2])
    assert [p.reset for p in network.hidden] == ["zero", "subtract_decayed"]
    by_name = {p.name: p for p in network.projections}
    assert by_name["input_to_hidden1"].delay_steps == (0, 4)
    assert by_name["hidden2_to_readout"].delay_steps == (2,)
    np.testing.assert_array_equal(by_name["hidden1_to_hidden1"].weight[0], within)
    assert by_name["hidden1_to_hidden1"].delay_steps == (1,)


def test_quantities_of_brian_are_seconds():
    from brian2 import ms

    network = Network.from_arrays(weights(), tau_s=[20, 50] * ms, readout_tau_s=100 * ms, dt_s=1 * ms)
    np.testing.assert_allclose(
        [network[name].tau_s[0] for name in ("hidden1", "hidden2", "readout")], [0.02, 0.05, 0.1]
    )
    assert network.dt_s == 0.001


@pytest.mark.torch
def test_parameters_of_torch_are_taken_as_they_are():
    torch = pytest.importorskip("torch")
    layers = [torch.nn.Linear(3, 4), torch.nn.Linear(4, 2)]
    network = Network.from_arrays(
        [layer.weight for layer in layers],
        bias=[layer.bias for layer in layers],
        tau_s=torch.nn.Parameter(torch.tensor([0.02, 0.05])),
        dt_s=DT_S,
    )
    np.testing.assert_array_equal(network["hidden1"].bias, layers[0].bias.detach().numpy())
    np.testing.assert_array_equal(network.projections[1].weight[0], layers[1].weight.detach().numpy())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": []}, "weights is []; expected a list of weight matrices, at least one"),
        ({"weights": None}, "weights is None; expected a list of weight matrices"),
        ({"weights": np.ones((2, 3))}, "shape of weights[0] is (3,); expected (target, source) or"),
        ({"weights": [np.ones((4, 3)), [[1, 2], [3]]]}, "weights[1] is [[1, 2], [3]]; expected numbers"),
        ({"weights": [np.ones((4, 3)), np.ones((5, 3)), np.ones((2, 5))]},
         "shape of weight of projection 'hidden1_to_hidden2' is (1, 5, 3); expected (1, 5, 4): taps, target, source"),
        ({"weights": [np.ones((2, 4, 3)), *weights()[1:]]}, "shape of weight of projection 'input_to_hidden1' is"),
        ({"tau_s": [0.02]}, "tau_s is [0.02]; expected a list with one entry for each of the 2 hidden layers"),
        ({"tau_s": [0.02, -1]}, "tau_s of population 'hidden2'[0] is -1.0; expected finite numbers above 0"),
        ({"tau_s": [[0.02, 0.03], 0.05]}, "shape of tau_s of population 'hidden1' is (2,); expected (4,)"),
        ({"tau_s": "fast"}, "tau_s of population 'hidden1' is 'fast'; expected numbers"),
        ({"threshold": [1.0]}, "threshold is [1.0]; expected a list with one entry for each of the 2 hidden layers"),
        ({"reset": ["zero"]}, "reset is ['zero']; expected a list with one entry for each of the 2 hidden layers"),
        ({"reset": "soft"}, "reset of population 'hidden1' is 'soft'; expected one of subtract"),
        ({"reset": None}, "reset of population 'hidden1' is None"),
        ({"bias": [0.1]}, "bias is [0.1]; expected a list with one entry for each of the 3 weights. None"),
        ({"bias": 0.1}, "bias is 0.1; expected a list with one entry for each of the 3 weights"),
        ({"recurrent": [None]}, "recurrent is [None]; expected a list with one entry for each of the 2 hidden layers"),
        ({"recurrent": [np.ones(4), None]}, "shape of recurrent[0] is (4,); expected (target, source)"),
        ({"delay_steps": [1]}, "delay_steps is [1]; expected a list with one entry for each of the 3 weights"),
        ({"delay_steps": [[-1], None, None]}, "delay_steps of projection 'input_to_hidden1' is -1"),
        ({"dt_s": 0}, "dt_s is 0.0; expected a positive number of seconds"),
        ({"decoder": "vote"}, "decoder is 'vote'; expected one of"),
        ({"readout_tau_s": None, "tau_s": 0.1, "decoder": "per_step"}, "readout populations is []; expected exactly"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_refused_by_name(changes, message):
    arguments = {"weights": weights(), "tau_s": [0.02, 0.05], "readout_tau_s": 0.1, "dt_s": DT_S} | changes
    with pytest.raises(InputError, match=re.escape(message)):
        Network.from_arrays(**arguments)


# --- what the readers of all frameworks share -----------------------------------------------------------------


def test_gains_biases_and_amplitudes_go_into_weights():
    first, second = Affine("first", np.array([[1.0, 2.0]]), np.array([3.0])), Affine("second", np.eye(1), np.ones(1))
    third = Affine("third", np.array([[5.0]]), np.array([0.0]))
    layers = [first, second, Neurons("cells", 0.9, gain=0.1, amplitude=2.0, recurrent=[[3.0]], after_spike=-0.5), third]
    network = network_of([*layers, Neurons("read", 0.8, gain=0.2, reset=None)], dt_s=DT_S, decoder=None, metadata={})
    by_name = {p.name: p.weight[0].tolist() for p in network.projections}
    np.testing.assert_allclose(by_name["input_to_hidden1"], [[0.1, 0.2]])
    np.testing.assert_allclose(network["hidden1"].bias, [0.1 * (3 + 1)])
    np.testing.assert_allclose(by_name["hidden1_to_hidden1"], [[0.1 * 3 * 2 - 0.5]])
    np.testing.assert_allclose(by_name["hidden1_to_readout"], [[5 * 2]])
    np.testing.assert_allclose(network["readout"].alpha(DT_S), [0.8])


@pytest.mark.parametrize(
    ("read", "framework", "install"),
    [
        (lambda: Network.from_snntorch(None, dt_s=DT_S), "snntorch", "pip install snntorch"),
        (lambda: Network.from_norse(None, dt_s=DT_S), "norse", "pip install norse"),
        (lambda: Network.from_nir("some.nir", dt_s=DT_S, decay="exp"), "nir", "pip install 'cortexsnn[nir]'"),
        (lambda: Network.from_arrays(weights(), tau_s=0.1, dt_s=DT_S).to_nir(decay="exp"), "nir", "pip install 'corte"),
    ],
)
def test_a_missing_framework_is_named_with_what_installs_it(read, framework, install, monkeypatch):
    for name in ("snntorch", "norse", "norse.torch", "nir"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(
        InputError, match=re.escape(f"framework is '{framework}'; expected an installed one. {install}")
    ):
        read()
