"""Whole networks on the rungs of the ladder: the same spikes where that is promised, and noise as strong as said."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from cortexsnn import brian, recording, reference
from cortexsnn.brian import RUNGS, Realism, blocks, realistic
from cortexsnn.network import Network, Population, Projection

STRUCTURES = {
    "subtract": {"hidden": (8, 6), "resets": ("subtract",), "taps": 2, "max_delay": 5},
    "subtract_decayed": {"hidden": (8, 6), "resets": ("subtract_decayed",), "recurrent": True},
    "zero": {"hidden": (8, 6), "resets": ("zero",), "recurrent": True, "max_delay": 3, "taps": 2},
    "adaptive": {"hidden": (8, 6, 6), "resets": ("subtract", "zero", "subtract_decayed"), "adaptation": True},
    "small loop": {"hidden": (5, 4), "resets": ("subtract",), "recurrent": True, "max_delay": 2, "dt_s": 0.004},
    "everything": {
        "hidden": (8, 6, 6),
        "resets": ("zero", "subtract", "subtract_decayed"),
        "adaptation": True,
        "recurrent": True,
        "topdown": True,
        "skip": True,
        "shuffle": True,
        "taps": 3,
        "max_delay": 8,
        "refractory": (2, 0, 1),
        "dt_s": 0.004,
    },
}


@pytest.fixture(scope="module")
def cases(random_network, made_lively):
    """Function ``cases(name, **changes)``: a network of which every layer fires, and four trials of input."""

    @cache
    def made(name, **changes):
        rng = np.random.default_rng(sorted(STRUCTURES).index(name))
        structure = {"channels": 12, **STRUCTURES[name], **changes}
        counts = rng.poisson(0.2, (4, 60, 12)).astype(np.uint8)
        # The first trial again at the end, after silence: what one trial leaves behind would show.
        counts[-2], counts[-1] = 0, counts[0]
        network = made_lively(random_network(rng, **structure), counts)
        expected = reference.simulate(network, counts)
        assert all(expected[p.name].sizes["spike"] > 20 for p in network.hidden)
        return network, counts

    return made


def in_network_units(network, realism, run, name, bins):
    """Potential of a rung on the scale of the network, at the times of the trained steps."""
    potential_mv = run[name]["potential"].to_numpy()[:, :: realism.steps_per_bin][:, :bins] * 1e3
    return (potential_mv - realism.resting_mv) / realism.height_mv * network[name].threshold


def agree(network, counts, circuit, realism, device="numpy"):
    """Spikes of the reference, at the times of the trained steps and at no other, and its potentials to 1e-9."""
    names = [p.name for p in network.hidden]
    expected = reference.simulate(network, counts, record_potential=names)
    run = brian.simulate(circuit, counts, device=device, record_potential=names, progress=False)
    n, bins = realism.steps_per_bin, counts.shape[1]
    for p in network.hidden:
        dense = recording.dense_spikes(run, p.name)
        np.testing.assert_array_equal(dense[:, ::n], recording.dense_spikes(expected, p.name))
        assert int(dense.sum()) == int(dense[:, ::n].sum())
        reached = expected[p.name]["potential"].to_numpy()
        observed = in_network_units(network, realism, run, p.name, bins)
        assert np.abs(observed - reached).max() <= 1e-9 * np.abs(reached).max()
    for p in network.readouts:
        reached = expected[p.name]["potential"].to_numpy()
        assert np.abs(run[p.name]["potential"].to_numpy()[:, ::n] - reached).max() <= 1e-9 * np.abs(reached).max()
    return expected


@pytest.mark.parametrize("name", STRUCTURES)
def test_physical_units_fire_the_same_spikes(name, cases):
    # Protects rung 1: units change no spike, whatever the reset, threshold, delay or loop, and each trial starts anew.
    network, counts = cases(name)
    agree(network, counts, realistic(network, Realism()), Realism())


def test_other_constants_fire_the_same_spikes(cases):
    # Protects the scale between units: whatever rest, threshold and capacitance are, the spikes are the same.
    network, counts = cases("adaptive")
    other = Realism(resting_mv=-65.0, threshold_mv=-40.0, capacitance_pf=85.0)
    agree(network, counts, realistic(network, other), other)


@pytest.mark.slow
def test_physical_units_in_a_compiled_program(cases):
    # Protects rung 1 on C++: the same spikes as the reference.
    network, counts = cases("everything")
    agree(network, counts, realistic(network, Realism()), Realism(), "cpp_standalone")


@pytest.mark.slow
def test_conductances_in_a_compiled_program(cases):
    # Protects the upper rungs on C++: without noise, the same spikes as Brian2's runtime; with it, the same again from
    # the same seed.
    network, counts = cases("small loop")
    mean = brian.mean_potential(network, counts)
    quiet, noisy = (
        realistic(network, replace(RUNGS[rung].realism, steps_per_bin=4), mean_potential=mean) for rung in (5, 6)
    )
    run, other = (brian.simulate(quiet, counts, device=d, progress=False) for d in ("cpp_standalone", "numpy"))
    assert int(recording.compare(run, other)["differing"].sum()) == 0
    assert all(run[p.name].sizes["spike"] > 20 for p in network.hidden)
    first, again, differently = (
        brian.simulate(noisy, counts, processes=1, rng=np.random.default_rng(seed), progress=False)
        for seed in (1, 1, 2)
    )
    assert int(recording.compare(first, again)["differing"].sum()) == 0
    assert int(recording.compare(first, differently)["differing"].sum()) > 0


@pytest.mark.parametrize("name", ["subtract", "subtract_decayed", "zero"])
def test_a_fine_step_alone_changes_no_spike(name, cases):
    # Protects rung 2: without bias, with fixed thresholds, input on the coarse grid and no neuron that is still above
    # the threshold after its reset, there are the same spikes, at the same times, and the same potentials there.
    network, counts = cases(name, bias=False, gain=1.0)
    expected = reference.simulate(network, counts, record_potential=[p.name for p in network.hidden])
    # Weights shrink until no neuron stands above the threshold after a reset.
    for _ in range(30):
        above = [p for p in network.hidden if still_above(network, expected, p).any()]
        if not above:
            break
        network = with_weights(network, {p.name: 0.8 for p in above})
        expected = reference.simulate(network, counts, record_potential=[p.name for p in network.hidden])
    assert not above
    assert all(expected[p.name].sizes["spike"] > 10 for p in network.hidden)
    circuit = realistic(network, RUNGS[2].realism)
    agree(network, counts, circuit, RUNGS[2].realism)


def still_above(network, run, population):
    """Which spikes leave a neuron above its threshold a short step later, shape (trial, time, neuron)."""
    alpha, theta = population.alpha(network.dt_s), population.threshold
    after = {"subtract": theta / alpha, "subtract_decayed": theta, "zero": np.inf}[population.reset]
    potential = run[population.name]["potential"].to_numpy()
    return (potential > theta) & (potential - after > theta / alpha**0.1)


def with_weights(network, factors):
    return replace(
        network,
        projections=tuple(replace(q, weight=factors.get(q.target, 1.0) * q.weight) for q in network.projections),
    )


def chain(population, weight=0.5, dt_s=0.004):
    return Network(
        dt_s, (Population.input("input", 1), population), (Projection("input", population.name, [[weight]]),)
    )


def test_where_a_fine_step_does_add_spikes():
    # Protects what the documentation promises, by the cases that it leaves out: each of them alone adds spikes.
    once = np.zeros((1, 40, 1), dtype=np.uint8)
    once[0, 0] = 1
    options = {"tau_s": 0.04, "adaptation_strength": None}
    far_above = chain(Population.lif("hidden1", 1, **options), weight=3.0)
    biased = chain(Population.lif("hidden1", 1, bias=0.2, **options))
    sinking = chain(Population.lif("hidden1", 1, tau_s=0.4, adaptation_strength=0.7, adaptation_tau_s=0.02), weight=2.4)
    for network in (far_above, biased, sinking):
        steps = [
            brian.simulate(realistic(network, rung.realism), once, device="numpy", progress=False)["hidden1"][
                "spike_step"
            ]
            for rung in (RUNGS[1], RUNGS[2])
        ]
        assert np.any(steps[1].to_numpy() % 10 != 0)
    # A refractory period of the network's own holds the first of them back.
    own = chain(Population.lif("hidden1", 1, refractory_steps=1, **options), weight=3.0)
    agree(own, once, realistic(own, RUNGS[2].realism), RUNGS[2].realism)
    # A bias that could not make the neuron fire by itself does no harm.
    alone = 1 - np.exp(-0.004 / 0.04)
    quiet = chain(Population.lif("hidden1", 1, bias=0.99 * alone, **options))
    several = np.random.default_rng(0).poisson(0.2, (3, 100, 1)).astype(np.uint8)
    expected = agree(quiet, several, realistic(quiet, RUNGS[2].realism), RUNGS[2].realism)
    assert expected["hidden1"].sizes["spike"] > 20


@pytest.mark.parametrize("rung", [pytest.param(4, marks=pytest.mark.slow), 5, pytest.param(6, marks=pytest.mark.slow)])
def test_trials_are_independent(rung, cases, monkeypatch):
    # Protects several trials in one run, and trials cut into blocks: currents, conductances, spikes on their way and
    # refractory neurons are carried over into the next block and never into the next trial.
    network, counts = cases("small loop")
    counts = counts[:, :25].copy()
    counts[-1] = counts[0]
    realism = replace(RUNGS[rung].realism, steps_per_bin=4)
    if rung == 6:
        realism = replace(realism, noise_sd_mv=1e-9)
    circuit = realistic(network, realism, mean_potential=brian.mean_potential(network, counts))
    options = {"device": "numpy", "progress": False, "record_potential": ["hidden1", "hidden2"]}
    together = brian.simulate(circuit, counts, **options)
    alone = brian.simulate(circuit, counts[:1], **options)
    width = 8 * (12 + sum(p.size for p in network.order))
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", width * 40)
    cut = brian.simulate(circuit, counts[:1], **options)
    tolerance = 1e-9 if rung < 6 else 1e-6
    for p in network.hidden:
        first = together[p.name]["potential"].to_numpy()
        np.testing.assert_allclose(first[3], first[0], rtol=0, atol=tolerance)
        np.testing.assert_allclose(alone[p.name]["potential"][0], first[0], rtol=0, atol=tolerance)
        np.testing.assert_allclose(cut[p.name]["potential"][0], first[0], rtol=0, atol=tolerance)
        assert together[p.name].sizes["spike"] > 0


def free_membranes(neurons=400, dt_s=0.004):
    rng = np.random.default_rng(0)
    population = Population.lif("hidden1", neurons, tau_s=rng.uniform(0.004, 0.03, neurons), threshold=1.0)
    return Network(dt_s, (Population.input("input", 1), population), ())


@pytest.mark.parametrize("realism", [Realism(noise_sd_mv=1.5), replace(RUNGS[6].realism, noise_tau_ms=8.0)])
def test_the_noise_is_as_strong_as_said(realism):
    # Protects noise_sd_mv: the standard deviation of a membrane without input and spikes, whatever its time constant
    # and the time step.
    network = free_membranes()
    circuit = realistic(
        network, replace(realism, threshold_mv=500.0, reversal_excitatory_mv=600.0), mean_potential={"hidden1": 0.0}
    )
    silence = np.zeros((1, 400, 1), dtype=np.uint8)
    rng = np.random.default_rng(7)
    run = brian.simulate(circuit, silence, device="numpy", record_potential=["hidden1"], rng=rng, progress=False)
    potential_mv = run["hidden1"]["potential"].to_numpy()[0] * 1e3
    steady = potential_mv[40 * realism.steps_per_bin :]
    # Samples that are further apart than the correlation lasts, 60 ms and more, count as independent.
    samples = steady.size * circuit.network.dt_s / 0.06
    assert np.sqrt(np.mean((steady + 70) ** 2)) == pytest.approx(realism.noise_sd_mv, rel=4 / np.sqrt(2 * samples))
    assert steady.mean() == pytest.approx(-70, abs=4 * realism.noise_sd_mv / np.sqrt(samples))
    slow = network["hidden1"].tau_s > 0.02
    for some in (slow, ~slow):
        spread = np.sqrt(np.mean((steady[:, some] + 70) ** 2))
        assert spread == pytest.approx(realism.noise_sd_mv, rel=4 / np.sqrt(2 * samples * some.mean()))
    # Correlated as said: from one step to the next, an equal step later, by the two time constants.
    centred = steady[:, slow] + 70
    lag = realism.steps_per_bin
    observed = np.mean(centred[lag:] * centred[:-lag]) / np.mean(centred**2)
    tau_ms, noise_ms, lag_ms = network["hidden1"].tau_s[slow] * 1e3, realism.noise_tau_ms, 4.0
    decay = (tau_ms * np.exp(-lag_ms / tau_ms) - noise_ms * np.exp(-lag_ms / noise_ms)) / (tau_ms - noise_ms)
    assert observed == pytest.approx(decay.mean(), abs=0.06 if lag == 1 else 0.02)


def test_a_seed_gives_the_same_noise_again(monkeypatch):
    # Protects repeatability: the same generator gives the same spikes, other ones give others, and no two trials or
    # blocks share their noise.
    network = Network(0.004, (Population.input("input", 1), Population.lif("hidden1", 20, tau_s=0.02, bias=0.25)), ())
    circuit = realistic(network, Realism(steps_per_bin=4, noise_sd_mv=2.0))
    silence = np.zeros((3, 50, 1), dtype=np.uint8)

    def spikes(seed):
        rng = np.random.default_rng(seed)
        return recording.dense_spikes(
            brian.simulate(circuit, silence, device="numpy", rng=rng, progress=False), "hidden1"
        )

    together = spikes(1)
    np.testing.assert_array_equal(together, spikes(1))
    assert np.any(together != spikes(2))
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * 250)
    apart = spikes(1)
    np.testing.assert_array_equal(apart, spikes(1))
    for runs in (together, apart):
        assert all(runs[trial].sum() > 50 for trial in range(3))
        assert all(np.any(runs[a] != runs[b]) for a, b in ((0, 1), (0, 2), (1, 2)))


@pytest.mark.parametrize("rung", [pytest.param(4, marks=pytest.mark.slow), 5])
def test_rates_survive_realistic_synapses(rung, cases):
    # Protects the gains as a whole: with the mean drive kept, layers fire roughly as often as they did, not tenfold.
    network, counts = cases("zero", bias=False)
    circuit = realistic(network, RUNGS[rung].realism, mean_potential=brian.mean_potential(network, counts))
    twin = reference.simulate(network, counts)
    run = brian.simulate(circuit, counts, device="numpy", progress=False)
    ratio = run["hidden1"].sizes["spike"] / twin["hidden1"].sizes["spike"]
    assert 0.3 < ratio < 3
