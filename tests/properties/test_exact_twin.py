"""The exact twin: Brian2 fires the spikes of the reference, whatever the network, and every layer is active."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from cortexsnn import brian, recording, reference
from cortexsnn.decoding import decode
from cortexsnn.network import RESETS

compared = Counter()


@st.composite
def cases(draw):
    """Seed of all numbers, and structure: depth, layers, resets, delays, time step."""
    depth = draw(st.integers(1, 5))

    def per_layer(values):
        return tuple(draw(st.lists(values, min_size=depth, max_size=depth)))

    structure = {
        "channels": draw(st.integers(8, 24)),
        "hidden": per_layer(st.integers(6, 24)),
        "classes": draw(st.integers(2, 4)),
        "dt_s": draw(st.sampled_from([0.0001, 0.0005, 0.001, 0.0025, 0.004, 0.01, 0.014])),
        "resets": per_layer(st.sampled_from(RESETS)),
        "taps": draw(st.sampled_from([1, 1, 2, 4])),
        "max_delay": draw(st.sampled_from([0, 1, 3, 8, 20, 50])),
        "bias": draw(st.booleans()),
        "recurrent": draw(st.booleans()),
        "topdown": draw(st.sampled_from([False, False, False, True])),
        "skip": draw(st.booleans()),
        "shuffle": draw(st.booleans()),
        "refractory": per_layer(st.sampled_from([0, 0, 1, 2, 5])),
        "adaptation": draw(st.booleans()),
    }
    return draw(st.integers(0, 2**32 - 1)), structure, draw(st.sampled_from([0.05, 0.2, 0.6]))


def lively_case(case, tools, trials=4, steps=60):
    """A network of which every layer is active in 1 to 40 % of bins, and its input."""
    random_network, made_lively, in_lively_range = tools
    seed, structure, rate = case
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rate, (trials, steps, structure["channels"])).astype(np.uint8)
    # The same trial at the start and at the end, and silence before it: what one trial leaves behind would show.
    counts[-2], counts[-1] = 0, counts[0]
    network = made_lively(random_network(rng, **structure), counts)
    assume(in_lively_range(network, counts))
    return network, counts


def check(network, counts, device, **options):
    names = [p.name for p in network.hidden]
    expected = reference.simulate(network, counts, record_potential=names)
    observed = brian.simulate(network, counts, device=device, record_potential=names, progress=False, **options)
    table = recording.compare(expected, observed)
    assert table["differing"].to_numpy().sum() == 0, table["differing"]
    assert np.all(table["potential_difference"] <= 1e-9 * table["potential_scale"] + 1e-300)
    if network.decoder is not None:
        left, right = (decode(r["readout"]["potential"].to_numpy(), network.decoder) for r in (expected, observed))
        np.testing.assert_array_equal(left, right)
    for name in names:
        spikes = recording.dense_spikes(observed, name)
        np.testing.assert_array_equal(spikes[0], spikes[-1])
        potential = observed[name]["potential"].to_numpy()
        np.testing.assert_array_equal(potential[0], potential[-1])
    compared[device] += 1
    compared[f"{device} spikes"] += int(table["spikes"].sum())


@pytest.fixture(scope="module")
def tools(random_network, made_lively, in_lively_range):
    return random_network, made_lively, in_lively_range


lenient = {"suppress_health_check": [HealthCheck.filter_too_much, HealthCheck.too_slow]}


@given(cases())
@settings(max_examples=30, **lenient)
def test_the_runtime_fires_the_spikes_of_the_reference(tools, case):
    # Protects the exact twin: every reset, delay, feedback path and refractory period, on many trials.
    check(*lively_case(case, tools), "numpy")


def test_enough_was_compared():
    # Protects the test above from passing because no network was lively enough.
    if compared["numpy"]:
        assert compared["numpy"] >= 30
        assert compared["numpy spikes"] > 10_000


@given(cases())
@settings(max_examples=3, **lenient)
def test_compiled_programs_fire_the_spikes_of_the_reference(tools, case):
    check(*lively_case(case, tools, trials=10), "cpp_standalone")


@pytest.mark.slow
@given(cases())
@settings(max_examples=200, **lenient)
def test_the_runtime_fires_the_spikes_of_the_reference_in_200_networks(tools, case):
    check(*lively_case(case, tools, trials=6, steps=100), "numpy")


@pytest.mark.slow
@given(cases())
@settings(max_examples=20, **lenient)
def test_compiled_programs_fire_the_spikes_of_the_reference_in_20_networks(tools, case):
    check(*lively_case(case, tools, trials=60, steps=200), "cpp_standalone")


@pytest.mark.slow
@given(cases())
@settings(max_examples=5, **lenient)
def test_cython_fires_the_spikes_of_the_reference(tools, case):
    check(*lively_case(case, tools), "cython")


@pytest.mark.slow
def test_a_million_spikes_were_compared():
    # Protects the size of the claim; run after the two slow tests above.
    assert compared["numpy"] + compared["cpp_standalone"] >= 220
    assert compared["numpy spikes"] + compared["cpp_standalone spikes"] >= 1_000_000
