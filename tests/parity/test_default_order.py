"""Brian2's default order of events: late by a few steps, and otherwise the reference spike for spike."""

from dataclasses import replace

import brian2
import numpy as np
import pytest

from cortexsnn import recording, reference
from cortexsnn.brian.default_order import build_in_default_order, lags, run_in_default_order
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection

STANDARD = ["start", "groups", "thresholds", "synapses", "resets", "end"]
RESETS = ("zero", "subtract", "subtract_decayed")
# What the networks have, and the lags that this leads to.
CASES = {
    "chain": ({"hidden": (6, 5, 5), "resets": RESETS}, [1, 2, 3, 4]),
    "taps": ({"hidden": (6, 5), "taps": 3, "max_delay": 2, "resets": ("zero",)}, [1, 2, 3]),
    "one step": ({"hidden": (6, 5), "recurrent": True, "resets": ("zero", "subtract")}, [1, 2, 3]),
    "loops": ({"hidden": (6, 5), "taps": 2, "max_delay": 4, "recurrent": True, "resets": RESETS}, None),
    "skip": ({"hidden": (6, 5, 4), "skip": True, "resets": RESETS, "bias": False}, [1, 2, 3, 4]),
    "slow": ({"hidden": (6, 5, 4), "adaptation": True, "refractory": (2, 0, 1), "resets": RESETS}, [1, 2, 3, 4]),
    "all": (
        {"hidden": (5, 5, 4), "taps": 2, "max_delay": 5, "recurrent": True, "skip": True, "adaptation": True,
         "refractory": (0, 3), "resets": RESETS, "shuffle": True},
        None,
    ),
}  # fmt: skip


@pytest.fixture(autouse=True)
def numpy_target():
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    yield
    brian2.prefs.codegen.target = before


def names(network):
    return [population.name for population in network.hidden]


def assert_agree(network, counts):
    """Every spike, and every potential to within 1e-9 of the largest; and it does not pass because nothing happens."""
    expected = reference.simulate(network, counts, record_potential=names(network))
    simulation = build_in_default_order(network, counts, record_potential=names(network))
    assert simulation.schedule == STANDARD
    observed = run_in_default_order(simulation, network, counts)
    table = recording.compare(expected, observed)
    assert int(table["differing"].sum()) == 0
    spikes = table["spikes"].sel(population=names(network))
    assert (spikes > 0.02 * counts.shape[0] * counts.shape[1]).all(), spikes
    for name in [population.name for population in network.order]:
        right, seen = (r[name]["potential"].to_numpy() for r in (expected, observed))
        assert right.shape == seen.shape
        assert np.abs(right - seen).max() <= 1e-9 * np.abs(right).max(), name
    return simulation


# A single trial starts at once, several have gaps before them.
@pytest.mark.parametrize(("case", "trials"), [("all", 1), *((case, 4) for case in CASES)])
def test_every_spike_is_that_of_the_reference(case, trials, random_network, random_counts):
    structure, expected_lags = CASES[case]
    rng = np.random.default_rng([list(CASES).index(case), trials])
    network = random_network(rng, **structure)
    if expected_lags is not None:
        assert [lags(network)[p.name] for p in network.order] == expected_lags
    assert_agree(network, random_counts(rng, trials, 60, 4))


def with_feedback(network, source, target, delays, rng):
    """The network with a projection back."""
    weight = rng.normal(0.1, 0.4, (len(delays), network[target].size, network[source].size))
    return replace(network, projections=(*network.projections, Projection(source, target, weight, delays)))


def test_feedback_with_enough_delay(random_network, random_counts):
    rng = np.random.default_rng(5)
    network = random_network(rng, hidden=(6, 5, 4), resets=RESETS)
    network = with_feedback(network, "hidden2", "hidden1", (2, 3), rng)
    network = with_feedback(network, "hidden3", "hidden1", (4,), rng)
    assert list(lags(network).values()) == [0, 1, 2, 3, 4]
    assert_agree(network, random_counts(rng, 3, 60, 4))


def test_loops_that_are_too_fast_are_refused(random_network):
    rng = np.random.default_rng(6)
    network = random_network(rng, hidden=(3, 3, 3))
    short = (
        r"^shortest delay of projection '{}' is 1; expected at least {} steps in Brian2's default order, where each of "
    )
    twofold = (
        short.format("hidden2_to_hidden1", 2) + r"the 2 projections of the loop hidden. -> hidden. -> hidden. takes"
    )
    with pytest.raises(InputError, match=twofold):
        lags(with_feedback(network, "hidden2", "hidden1", (1, 5), rng))
    threefold = short.format("hidden3_to_hidden1", 3) + "the 3 projections"
    with pytest.raises(InputError, match=threefold):
        build_in_default_order(with_feedback(network, "hidden3", "hidden1", (1,), rng), np.zeros((3, 4)))


def test_lags_are_the_smallest_that_no_delay_forbids(random_network):
    for seed in range(40):
        rng = np.random.default_rng(seed)
        network = random_network(rng, hidden=(2, 2, 2), taps=1 + seed % 2, max_delay=3, recurrent=True, skip=True,
                                 shuffle=True)  # fmt: skip
        late = lags(network)
        needed = {name: [0] for name in late}
        for projection in network.projections:
            needed[projection.target].append(late[projection.source] + 1 - min(projection.delay_steps))
        assert late == {name: max(steps) for name, steps in needed.items()}


def test_nothing_happens_before_the_lag_is_over():
    # Protects from a bias that acts in the steps before the network's first one.
    network = Network(
        0.002,
        (
            Population.input("input", 1),
            Population.lif("hidden1", 1, tau_s=0.02, bias=3.0, reset="zero"),
            Population.lif("hidden2", 1, tau_s=0.02, bias=3.0, refractory_steps=2),
            Population.readout("readout", 1, tau_s=0.02, bias=1.0),
        ),
        tuple(
            Projection(source, target, [[0.0]])
            for source, target in (("input", "hidden1"), ("hidden1", "hidden2"), ("hidden2", "readout"))
        ),
    )
    counts = np.ones((1, 6, 1), dtype=np.uint8)
    simulation = assert_agree(network, counts)
    for name, lag in (("hidden1", 1), ("hidden2", 2)):
        assert simulation[f"{name}_spikes"].t[0] / brian2.ms == pytest.approx(2 * lag)
    readout = simulation["readout_potential"].v[0]
    assert (readout[:3] == 0).all()
    assert readout[3] > 0


def test_the_built_network_is_an_ordinary_one(random_network, random_counts):
    # Protects users who add to it, and a run that goes on after the input has ended, which must stay silent.
    rng = np.random.default_rng(7)
    network = random_network(rng, hidden=(4,), bias=False)
    counts = random_counts(rng, 1, 20, 4, rate=2.0)[0]
    simulation = build_in_default_order(network, counts)
    clock = simulation["hidden1"].clock
    monitor = brian2.StateMonitor(simulation["hidden1"], "v", record=True, clock=clock)
    arrivals = brian2.SpikeMonitor(simulation["input"])
    simulation.add(monitor, arrivals)
    observed = run_in_default_order(simulation, network, counts)
    assert monitor.v.shape == (4, 22)
    assert observed.attrs["source"] == "brian2, default order"
    simulation.run(10 * network.dt_s * brian2.second)
    assert arrivals.t[:].max() < 20 * network.dt_s * brian2.second
    with pytest.raises(InputError, match="record_potential is 'hidden9'; expected one of hidden1, readout"):
        build_in_default_order(network, counts, record_potential=["hidden9"])
