"""Frozen numbers of one small network, so that a change of meaning cannot pass as a refactoring."""

import numpy as np
import pytest

from cortexsnn import recording, reference
from cortexsnn.network import Network, Population, Projection

PLACES = ((0, 0, 0), (1, 10, 1), (2, 40, 2), (3, 79, 0))  # trial, step, neuron
FROZEN = {
    "hidden1": [0.2932208593215199, 0.5957539599212082, 1.1683137838555089, -1.5990521035041565],
    "hidden2": [-0.2065590008387034, 0.3773344624867389, 2.312569264693758, -1.2531710478730016],
    "hidden3": [0.0, 0.4831746178533015, 1.671957814532199, 2.067613888994046],
    "readout": [0.009516258196404042, -0.03948624180191146, -0.13241832600094688, 0.3196550267080009],
}


@pytest.fixture(scope="module")
def network():
    """All three resets, delays, recurrence, feedback, refractoriness and adaptation, from one seed."""
    rng = np.random.default_rng(20240707)
    tau_s = [rng.uniform(0.01, 0.2, n) for n in (8, 7, 6)]
    return Network(
        0.005,
        (
            Population.input("input", 5),
            Population.lif("hidden1", 8, tau_s=tau_s[0], bias=rng.normal(0, 0.05, 8)),
            Population.lif("hidden2", 7, tau_s=tau_s[1], threshold=rng.uniform(0.6, 1.2, 7), reset="zero",
                           refractory_steps=2),
            Population.lif("hidden3", 6, tau_s=tau_s[2], reset="subtract_decayed", adaptation_strength=0.2,
                           adaptation_tau_s=0.1),
            Population.readout("readout", 3, tau_s=0.05, bias=0.1),
        ),
        (
            Projection("input", "hidden1", rng.normal(0.2, 0.4, (2, 8, 5)), (0, 3)),
            Projection("hidden1", "hidden2", rng.normal(0.15, 0.3, (7, 8))),
            Projection("hidden2", "hidden3", rng.normal(0.2, 0.3, (2, 6, 7)), (0, 4)),
            Projection("hidden1", "hidden1", rng.normal(0, 0.2, (1, 8, 8)), (1,)),
            Projection("hidden3", "hidden2", rng.normal(0, 0.2, (1, 7, 6)), (2,)),
            Projection("hidden3", "readout", rng.normal(0, 0.5, (3, 6))),
        ),
        "per_step",
    )  # fmt: skip


@pytest.fixture(scope="module")
def result(network):
    counts = np.random.default_rng(7).poisson(0.25, (4, 80, 5))
    return reference.simulate(network, counts, record_potential=["hidden1", "hidden2", "hidden3"])


def test_the_network_itself_is_the_frozen_one(network):
    # Protects the numbers below from another stream of random numbers, and the fingerprint from changing unseen.
    assert network.projections[0].weight[1, 7, 4] == pytest.approx(0.5390750212891618, rel=1e-15)
    assert network.fingerprint() == "b81eafdf42aa01f2"


def test_spikes_of_every_layer(result):
    totals = {name: result[name].sizes["spike"] for name in recording.populations(result)}
    assert totals == {"input": 394, "hidden1": 1069, "hidden2": 360, "hidden3": 456, "readout": 0}
    assert recording.dense_spikes(result, "hidden3").sum(axis=(0, 1)).tolist() == [108, 84, 109, 43, 78, 34]
    assert recording.dense_spikes(result, "hidden2").sum(axis=(1, 2)).tolist() == [94, 84, 91, 91]


def test_potentials(result):
    found = {
        name: [float(result[name]["potential"][trial, step, neuron]) for trial, step, neuron in PLACES]
        for name in ("hidden1", "hidden2", "hidden3", "readout")
    }
    for name, values in FROZEN.items():
        assert found[name] == pytest.approx(values, rel=1e-10), name
