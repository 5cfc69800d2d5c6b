"""The reference against its equations for networks of any structure, and what one trial leaves to the next."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsnn import brian, recording, reference
from cortexsnn.network import RESETS, Network, Population, Projection


@st.composite
def cases(draw):
    """Seed of all numbers, and the structure of network and input."""
    depth = draw(st.integers(1, 3))
    structure = {
        "channels": draw(st.integers(1, 12)),
        "hidden": tuple(draw(st.lists(st.integers(1, 12), min_size=depth, max_size=depth))),
        "classes": draw(st.integers(1, 3)),
        "dt_s": draw(st.sampled_from([0.0001, 0.0005, 0.001, 0.0025, 0.004, 0.01, 0.014])),
        "resets": tuple(draw(st.lists(st.sampled_from(RESETS), min_size=depth, max_size=depth))),
        "taps": draw(st.integers(1, 3)),
        "max_delay": draw(st.integers(0, 7)),
        "bias": draw(st.booleans()),
        "recurrent": draw(st.booleans()),
        "topdown": draw(st.booleans()),
        "skip": draw(st.booleans()),
        "shuffle": draw(st.booleans()),
        "refractory": tuple(draw(st.lists(st.sampled_from([0, 0, 1, 2, 5]), min_size=depth, max_size=depth))),
        "adaptation": draw(st.booleans()),
    }
    inputs = {
        "trials": draw(st.integers(1, 4)),
        "steps": draw(st.sampled_from([1, 2, 3, 8, 20, 30])),
        "rate": draw(st.sampled_from([0.1, 0.5, 1.5])),
    }
    return draw(st.integers(0, 2**32 - 1)), structure, inputs


def oracle(network, trial):
    """Spikes and potentials of one trial, written straight from the equations: one number at a time.

    I[t] of a population needs S[t] of the sources of its zero-delay taps, so values are asked for, not scheduled.
    """
    steps = len(trial)
    population = {p.name: p for p in network.populations}
    S = {p.name: [[0] * p.size for _ in range(steps)] for p in network.populations}
    V = {p.name: [[0.0] * p.size for _ in range(steps)] for p in network.populations}
    a = {p.name: [[0.0] * p.size for _ in range(steps)] for p in network.populations}
    S[network.inputs[0].name] = trial.tolist()

    def threshold(p, t, i):
        beta = 0.0 if p.adaptation is None else float(p.adaptation.strength[i])
        return float(p.threshold[i]) + beta * a[p.name][t][i]

    def update(name, t, done):
        if name in done or population[name].kind == "input":
            return
        p = population[name]
        done.add(name)
        incoming = [q for q in network.projections if q.target == name]
        for q in incoming:
            if 0 in q.delay_steps:
                update(q.source, t, done)
        for i in range(p.size):
            current = float(p.bias[i])
            for q in incoming:
                for k, delay in enumerate(q.delay_steps):
                    if t - delay >= 0:
                        for j, fired in enumerate(S[q.source][t - delay]):
                            current += float(q.weight[k, i, j]) * fired
            alpha = math.exp(-network.dt_s / float(p.tau_s[i]))
            before, fired_before, theta_before = (0.0, 0, 0.0)
            if t > 0:
                before, fired_before = V[name][t - 1][i], S[name][t - 1][i]
            if p.kind == "readout":
                V[name][t][i] = alpha * before + (1 - alpha) * current
                continue
            if t > 0:
                theta_before = threshold(p, t - 1, i)
                if p.adaptation is not None:
                    rho = math.exp(-network.dt_s / float(p.adaptation.tau_s[i]))
                    a[name][t][i] = rho * a[name][t - 1][i] + fired_before
            if p.reset == "subtract":
                V[name][t][i] = alpha * before + current - theta_before * fired_before
            elif p.reset == "subtract_decayed":
                V[name][t][i] = alpha * (before - theta_before * fired_before) + current
            else:
                V[name][t][i] = alpha * before * (1 - fired_before) + current
            held = any(S[name][s][i] for s in range(max(0, t - p.refractory_steps), t))
            S[name][t][i] = int(V[name][t][i] > threshold(p, t, i) and not held)

    for t in range(steps):
        done = set()
        for name in population:
            update(name, t, done)
    return S, V


def make(case, random_network, random_counts):
    seed, structure, inputs = case
    rng = np.random.default_rng(seed)
    network = random_network(rng, **structure)
    return network, random_counts(rng, channels=structure["channels"], **inputs)


def check_reference(case, random_network, random_counts):
    network, counts = make(case, random_network, random_counts)
    names = [p.name for p in network.order]
    result = reference.simulate(network, counts, record_potential=names)
    spikes = {name: recording.dense_spikes(result, name) for name in names}
    for number, trial in enumerate(counts):
        expected_spikes, expected_potential = oracle(network, trial)
        for name in names:
            np.testing.assert_array_equal(spikes[name][number], expected_spikes[name])
            potential = result[name]["potential"].to_numpy()[number]
            scale = np.abs(potential).max() + 1e-300
            assert np.abs(potential - expected_potential[name]).max() <= 1e-11 * scale


@given(cases())
@settings(max_examples=60)
def test_reference_follows_the_equations(random_network, random_counts, case):
    # Protects the meaning of a Network: vectorised code against scalar loops.
    check_reference(case, random_network, random_counts)


@pytest.mark.slow
@given(cases())
@settings(max_examples=1000)
def test_reference_follows_the_equations_in_many_cases(random_network, random_counts, case):
    check_reference(case, random_network, random_counts)


def test_the_random_networks_of_this_file_fire(random_network, random_counts):
    # Protects the tests above from proving the agreement of silence: half of all layers must be well active.
    share = []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        hidden = tuple(int(n) for n in rng.integers(1, 13, rng.integers(1, 4)))
        network = random_network(rng, hidden=hidden, taps=2, max_delay=4, recurrent=True, resets=RESETS)
        result = reference.simulate(network, random_counts(rng, 3, 20, 4, 0.5))
        share += [recording.dense_spikes(result, p.name).mean() for p in network.hidden]
    assert np.mean([0.01 <= s <= 0.9 for s in share]) > 0.5


@pytest.mark.parametrize("steps", [1, pytest.param(3, marks=pytest.mark.slow)])
def test_a_short_trial_leaves_nothing_behind(steps):
    # Protects the gap between trials: delays, refractory period, bias and adaptation outlast the trial itself.
    rng = np.random.default_rng(3)
    network = Network(
        0.001,
        (
            Population.input("input", 3),
            Population.lif("hidden1", 5, tau_s=0.5, threshold=0.5, bias=0.3, refractory_steps=6,
                           adaptation_strength=0.3, adaptation_tau_s=1.0),
            Population.lif("hidden2", 4, tau_s=0.5, threshold=0.4, bias=0.25, reset="zero", refractory_steps=2),
        ),
        (
            Projection("input", "hidden1", rng.uniform(0.5, 1, (2, 5, 3)), (0, 5)),
            Projection("hidden1", "hidden2", rng.uniform(0.2, 1, (2, 4, 5)), (0, 4)),
            Projection("hidden1", "hidden1", rng.uniform(-1, 1, (2, 5, 5)), (1, 7)),
            Projection("hidden2", "hidden1", rng.uniform(-1, 1, (1, 5, 4)), (7,)),
        ),
    )  # fmt: skip
    counts = rng.poisson(1.0, (4, steps, 3)).astype(np.uint8)
    names = [p.name for p in network.hidden]
    one_by_one = [
        brian.simulate(network, counts[[k]], device="numpy", record_potential=names, progress=False) for k in range(4)
    ]
    order = [2, 0, 3, 1]
    together = brian.simulate(network, counts[order], device="numpy", record_potential=names, progress=False)
    fired = 0
    for place, trial in enumerate(order):
        for name in names:
            alone = recording.dense_spikes(one_by_one[trial], name)[0]
            np.testing.assert_array_equal(recording.dense_spikes(together, name)[place], alone)
            np.testing.assert_allclose(
                together[name]["potential"][place], one_by_one[trial][name]["potential"][0], rtol=1e-12, atol=1e-14
            )
            fired += int(alone.sum())
    assert fired > 4
