"""Deviations of a circuit do what their words say, in the exact twin and in physical units."""

from dataclasses import replace

import numpy as np
import pytest

from cortexsnn import brian, recording, reference
from cortexsnn.brian import RUNGS, Realism, SynapseModel
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection

DT_S, TRIALS, STEPS = 0.005, 2, 100


@pytest.fixture(scope="module")
def network():
    """Two layers with delays, feedback, biases and time constants of their own."""
    rng = np.random.default_rng(5)
    return Network(
        DT_S,
        (
            Population.input("input", 8),
            Population.lif("hidden1", 10, tau_s=rng.uniform(0.01, 0.03, 10), bias=rng.normal(0, 0.05, 10)),
            Population.lif("hidden2", 6, tau_s=0.06, threshold=rng.uniform(0.8, 1.2, 6)),
            Population.readout("readout", 2, tau_s=0.05),
        ),
        (
            Projection("input", "hidden1", rng.normal(0.15, 0.2, (2, 10, 8)), (0, 4)),
            Projection("hidden1", "hidden2", rng.normal(0.1, 0.2, (6, 10)), (2,)),
            Projection("hidden2", "hidden2", rng.normal(0, 0.2, (6, 6)), (3,)),
            Projection("hidden2", "readout", rng.normal(0, 1, (2, 6))),
        ),
        decoder="sum_of_softmax",
    )


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(6).poisson(0.2, (TRIALS, STEPS, 8)).astype(np.uint8)


def in_both(network):
    """The exact twin, and the same in millivolts and picoamperes."""
    return [brian.circuit(network), brian.realistic(network, RUNGS[1].realism)]


def on_top(network):
    return brian.realistic(network, RUNGS[6].realism, mean_potential={"hidden1": 0.3, "hidden2": 0.3})


def run(circuit, counts, seed=None, **options):
    rng = None if seed is None else np.random.default_rng(seed)
    return brian.simulate(circuit, counts, device="numpy", rng=rng, progress=False, **options)


def spikes_of(recorded):
    return {name: recording.dense_spikes(recorded, name) for name in ("hidden1", "hidden2")}


def assert_same(recorded, expected):
    for name, spikes in spikes_of(recorded).items():
        assert spikes.sum() > 30
        np.testing.assert_array_equal(spikes, spikes_of(expected)[name], err_msg=name)


def changed_weight(network, name, change):
    return replace(
        network,
        projections=tuple(replace(p, weight=change(p.weight)) if p.name == name else p for p in network.projections),
    )


# Adaptation


def test_adaptation_is_the_difference_equation_of_its_docstring(counts):
    # An error of a step, of the decay or of the kick would shift spikes of this loop.
    weight = np.random.default_rng(1).normal(0.3, 0.1, (5, 8))
    network = Network.from_arrays([weight], tau_s=0.02, dt_s=DT_S)
    tau_s, kick = 0.08, 0.1
    recorded = run(brian.adaptation_current(brian.circuit(network), "hidden1", 1e3 * tau_s, kick), counts)
    alpha, rho = np.exp(-DT_S / 0.02), np.exp(-DT_S / tau_s)
    v, a, fired = (np.zeros((TRIALS, 5)) for _ in range(3))
    expected = np.zeros((TRIALS, STEPS, 5), dtype=np.uint8)
    for t in range(STEPS):
        a = rho * (a + kick * fired)
        v = alpha * v - fired - (1 - alpha) * a + counts[:, t] @ weight.T
        fired = (v > 1).astype(float)
        expected[:, t] = fired
    assert expected.sum() > 100
    np.testing.assert_array_equal(recording.dense_spikes(recorded, "hidden1"), expected)
    without = recording.dense_spikes(run(network, counts), "hidden1")
    assert expected.sum() < 0.9 * without.sum()


def test_adaptation_is_the_same_in_physical_units(network, counts):
    # The kick is a share of the threshold, whatever the units.
    exact, physical = (run(brian.adaptation_current(one, "hidden2", 100.0, 0.3), counts) for one in in_both(network))
    assert_same(physical, exact)
    assert not np.array_equal(spikes_of(exact)["hidden2"], spikes_of(run(network, counts))["hidden2"])


# Noise of synapses


def test_synaptic_noise_has_the_mean_and_the_spread_that_are_said():
    network = Network.from_arrays([np.full((40, 1), 0.5)], tau_s=0.02, dt_s=DT_S, threshold=1e9)
    noisy = brian.synaptic_noise(brian.circuit(network), 0.3)
    recorded = run(noisy, np.ones((1, 100, 1)), seed=1, record_potential=["hidden1"])
    v = recorded["hidden1"]["potential"].to_numpy()[0]
    jumps = np.diff(v, axis=0, prepend=0) + (1 - np.exp(-DT_S / 0.02)) * np.vstack([np.zeros((1, 40)), v[:-1]])
    n = jumps.size
    assert abs(jumps.mean() - 0.5) < 5 * 0.15 / np.sqrt(n)
    assert abs(jumps.std() - 0.15) < 5 * 0.15 / np.sqrt(2 * n)
    # Each target draws for itself, and each time anew.
    assert abs(np.corrcoef(jumps[:, 0], jumps[:, 1])[0, 1]) < 0.5
    assert abs(np.corrcoef(jumps[:-1].ravel(), jumps[1:].ravel())[0, 1]) < 0.1


def test_synaptic_noise_leaves_readouts_alone_and_can_be_drawn_again(network, counts):
    noisy = brian.synaptic_noise(brian.circuit(network), 0.3)
    assert "randn" not in noisy.synapses["hidden2_to_readout"].on_pre
    first, again, other = (spikes_of(run(noisy, counts, seed))["hidden1"] for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    only = brian.synaptic_noise(brian.circuit(network), 0.3, ["hidden1_to_hidden2"])
    np.testing.assert_array_equal(
        spikes_of(run(only, counts, 1))["hidden1"], spikes_of(run(network, counts))["hidden1"]
    )


# Lesions


def test_silenced_neurons_receive_and_never_fire(network, counts):
    for one in in_both(network):
        lesioned = brian.lesion(one, "hidden1", 0.4, np.random.default_rng(1))
        hit = lesioned.neurons["hidden1"].initial["silenced"].astype(bool)
        assert hit.sum() == 4
        expected = reference.simulate(
            changed_weight(network, "hidden1_to_hidden2", lambda w, hit=hit: np.where(hit, 0.0, w)), counts
        )
        recorded = run(lesioned, counts, record_potential=["hidden1"])
        spikes = spikes_of(recorded)
        assert spikes["hidden1"][:, :, hit].sum() == 0
        np.testing.assert_array_equal(spikes["hidden1"][:, :, ~hit], spikes_of(expected)["hidden1"][:, :, ~hit])
        np.testing.assert_array_equal(spikes["hidden2"], spikes_of(expected)["hidden2"])
        assert recorded["hidden1"]["potential"].to_numpy()[:, :, hit].std() > 0


def test_a_whole_layer_and_a_second_lesion(network, counts):
    twin = brian.circuit(network)
    recorded = run(brian.lesion(twin, "hidden2"), counts)
    assert recorded["hidden2"].sizes["spike"] == 0
    np.testing.assert_array_equal(recorded["readout"]["potential"], 0.0)
    twice = twin
    for seed in (1, 2):
        twice = brian.lesion(twice, "hidden1", 0.5, np.random.default_rng(seed))
    assert 5 < twice.neurons["hidden1"].initial["silenced"].sum() <= 10
    assert len(twice.changes) == 2


def test_lost_synapses_are_weights_of_zero(network, counts):
    for one in in_both(network):
        lesioned = brian.lesion_synapses(one, "input_to_hidden1", 0.25, np.random.default_rng(1))
        (weights,) = lesioned.synapses["input_to_hidden1"].values(network.projections[0]).values()
        gone = weights == 0
        assert gone.sum() == 40
        expected = changed_weight(network, "input_to_hidden1", lambda w, gone=gone: np.where(gone, 0.0, w))
        assert_same(run(lesioned, counts), reference.simulate(expected, counts))


def test_a_lost_conductance_is_lost_with_both_its_parts(network):
    lesioned = brian.lesion_synapses(on_top(network), "hidden1_to_hidden2").synapses["hidden1_to_hidden2"]
    assert sorted(lesioned.weights) == ["w_excitatory", "w_inhibitory"]
    assert not any(values.any() for values in lesioned.weights.values())


# Time constants


@pytest.mark.parametrize("by", ["capacitance", "leak"])
@pytest.mark.parametrize("factor", [0.5, 2.0])
def test_scaled_time_constants_are_the_same_in_physical_units(network, counts, by, factor):
    # Two implementations, one on the arrays of the network and one on C, g_L and volts, have to agree.
    exact, physical = (run(brian.scale_tau(one, factor, by=by), counts) for one in in_both(network))
    assert_same(physical, exact)
    assert not np.array_equal(spikes_of(exact)["hidden1"], spikes_of(run(network, counts))["hidden1"])


@pytest.mark.parametrize(("by", "gain"), [("capacitance", 1.0), ("leak", 2.0)])
@pytest.mark.parametrize("rung", [0, 1, 2, 4])
def test_the_steady_potential_of_a_steady_drive(by, gain, rung):
    network = Network(
        DT_S,
        (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02, threshold=1e6, bias=0.4)),
        (Projection("input", "hidden1", [[0.0]]),),
    )
    last = []
    for scaled in (1.0, 2.0):
        circuit = brian.scale_tau(brian.realistic(network, RUNGS[rung].realism), scaled, by=by)
        recorded = run(circuit, np.zeros((1, 150, 1)), record_potential=["hidden1"])
        last.append(recorded["hidden1"]["potential"].to_numpy()[0, -1, 0] - (-0.07 if rung else 0.0))
    assert last[1] / last[0] == pytest.approx(gain, rel=1e-6)


def test_the_jump_of_a_spike_and_only_of_the_populations_that_are_named(network):
    alpha, slow = (np.exp(-DT_S / (factor * 0.06)) for factor in (1, 2))
    for by, gain in (("capacitance", (1 - slow) / (1 - alpha)), ("leak", 1.0)):
        for one in in_both(network):
            after = brian.scale_tau(one, 2.0, ["hidden2"], by=by)
            for name, expected in {"hidden1_to_hidden2": gain, "input_to_hidden1": 1, "hidden2_to_readout": 1}.items():
                projections = ({p.name: p for p in circuit.network.projections}[name] for circuit in (one, after))
                (before,), (weight,) = (
                    circuit.synapses[name].values(projection).values()
                    for circuit, projection in zip((one, after), projections, strict=True)
                )
                np.testing.assert_allclose(weight, before * expected, rtol=1e-12)
            assert after.network["hidden1"].tau_s.tolist() == network["hidden1"].tau_s.tolist()


@pytest.mark.parametrize("by", ["capacitance", "leak"])
@pytest.mark.parametrize("factor", [0.25, 4.0])
def test_trials_in_finer_steps_start_with_what_the_scaled_bias_adds(by, factor):
    # Protects the first trained step, in which the bias flows before the input comes.
    network = Network(
        DT_S,
        (Population.input("input", 1), Population.lif("hidden1", 2, tau_s=[0.02, 0.05], threshold=9.0, bias=[0.3, -1])),
        (Projection("input", "hidden1", np.zeros((2, 1))),),
    )
    fine = brian.scale_tau(brian.realistic(network, Realism(steps_per_bin=10)), factor, by=by)
    exact = brian.scale_tau(brian.circuit(network), factor, by=by)
    observed, expected = (
        run(one, np.zeros((1, 4, 1)), record_potential=["hidden1"])["hidden1"]["potential"].to_numpy()[0]
        for one in (fine, exact)
    )
    np.testing.assert_allclose((observed[::10] + 0.07) / 0.02 * 9.0, expected, rtol=1e-9)


@pytest.mark.parametrize("by", ["capacitance", "leak"])
def test_a_slower_membrane_that_adapts_is_the_same_in_physical_units(network, counts, by):
    # Protects the adaptation current: it stays as it is, and flows through the new leak.
    exact, physical = (
        run(brian.scale_tau(brian.adaptation_current(one, "hidden2", 100.0, 0.3), 2.0, by=by), counts)
        for one in in_both(network)
    )
    assert_same(physical, exact)
    turned = brian.adaptation_current(brian.scale_tau(brian.circuit(network), 2.0, by=by), "hidden2", 100.0, 0.3)
    assert (by == "capacitance") == np.array_equal(
        spikes_of(run(turned, counts))["hidden2"], spikes_of(exact)["hidden2"]
    )


def releasing(network, on_pre, **more):
    """The twin with synapses of its input that have further parameters."""
    weight = network.projections[0].weight
    values = {"w": weight} | {name: np.broadcast_to(value, weight.shape) for name, value in more.items()}
    equations = "\n".join(f"{name} : 1" for name in values)
    return brian.circuit(network).with_synapses({"input_to_hidden1": SynapseModel(equations, on_pre, values)})


@pytest.mark.parametrize(
    "on_pre",
    [
        "v_post += w*(0.5 < p){count}",
        "v_post += (1 + 0.1*p)*w{count}/2",
        "arriving = -w{count}\n    v_post -= arriving*int(rand() < p)",
    ],
)
def test_only_what_multiplies_the_jump_is_scaled_or_added_up(network, on_pre):
    # Protects parameters of synapses that are no weights, such as a probability of release.
    twin = releasing(network, on_pre, p=0.9)
    before = twin.synapses["input_to_hidden1"].weights
    scaled = brian.scale_tau(twin, 2.0).synapses["input_to_hidden1"].weights
    np.testing.assert_array_equal(scaled["p"], before["p"])
    assert (np.abs(scaled["w"]) < 0.6 * np.abs(before["w"])).all()
    early = brian.without_delays(twin).synapses["input_to_hidden1"].weights
    np.testing.assert_array_equal(early["p"], before["p"][:1])
    np.testing.assert_array_equal(early["w"], before["w"].sum(axis=0, keepdims=True))


def test_synapses_without_a_factor_to_change_are_refused_by_name(network):
    several = releasing(network, "v_post += w*(0.5 < p){count}", p=np.array([0.9, 0.4])[:, np.newaxis, np.newaxis])
    with pytest.raises(InputError, match=r"p in the synapses of 'input_to_hidden1' is .* expected one value for all"):
        brian.without_delays(several)
    for change in (brian.without_delays, lambda c: brian.scale_tau(c, 2.0)):
        for on_pre in ("v_post += exp(w){count}", "v_post = v_post + w{count}", "v_post += {count}w"):
            with pytest.raises(InputError, match="on_pre of 'input_to_hidden1' is"):
                change(releasing(network, on_pre))


def test_a_current_of_own_equations_is_no_jump(network):
    # Protects what flows: a longer capacitance makes jumps smaller, and no currents.
    twin = brian.circuit(network)
    model = twin.neurons["hidden1"]
    equations = model.equations.replace("(drive - v)", "(drive - v + g)") + "dg/dt = -g/(5*ms) : 1\n"
    own = twin.with_neurons({"hidden1": replace(model, equations=equations)}).with_synapses(
        {"input_to_hidden1": SynapseModel("w : 1", "g_post += w{count}")}
    )
    slow = brian.scale_tau(own, 2.0)
    values = slow.synapses["input_to_hidden1"].values(slow.network.projections[0])
    np.testing.assert_array_equal(values["w"], network.projections[0].weight)


# Delays


def test_without_delays_every_spike_comes_as_early_as_it_can(network, counts):
    for one in in_both(network):
        early = brian.without_delays(one)
        assert [p.delay_steps for p in early.network.projections] == [(0,), (0,), (1,), (0,)]
        expected = replace(
            network,
            projections=tuple(
                replace(p, weight=p.weight.sum(axis=0), delay_steps=(0 if network.is_feedforward(p) else 1,))
                for p in network.projections
            ),
        )
        assert_same(run(early, counts), reference.simulate(expected, counts))


# All of them


DEVIATIONS = {
    "adaptation": lambda c: brian.adaptation_current(c, "hidden1", 100.0, 0.1),
    "noise": lambda c: brian.synaptic_noise(c, 0.2),
    "lesion": lambda c: brian.lesion(c, "hidden1", 0.2, np.random.default_rng(1)),
    "synapses": lambda c: brian.lesion_synapses(c, "hidden1_to_hidden2", 0.2, np.random.default_rng(1)),
    "tau": lambda c: brian.scale_tau(c, 1.5),
    "delays": brian.without_delays,
}


def test_all_work_one_after_another_on_the_highest_rung_and_are_told(network, counts):
    circuit = on_top(network)
    before = len(circuit.changes)
    for change in DEVIATIONS.values():
        circuit = change(circuit)
    assert len(circuit.changes) == before + len(DEVIATIONS)
    told = " ".join(brian.explain(circuit).split())
    for words in circuit.changes[before:]:
        assert words in told
    recorded = run(circuit, counts[:1, :40], seed=1)
    assert recorded["hidden1"].sizes["spike"] > 5
    assert brian.build(circuit, counts[:1, :2])["hidden1"].kick.shape == (10,)


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_network_stands_for_its_twin(network, name):
    expected = DEVIATIONS[name](brian.circuit(network))
    changed = DEVIATIONS[name](network)
    assert changed.changes == expected.changes
    assert brian.explain(changed) == brian.explain(expected)


def test_the_given_circuit_stays_as_it_was(network, counts):
    twin = brian.circuit(network)
    for change in DEVIATIONS.values():
        change(twin)
    assert not twin.changes
    assert_same(run(twin, counts), reference.simulate(network, counts))


def test_a_single_name_is_one_name_and_not_its_letters(network):
    twin = brian.circuit(network)
    assert brian.scale_tau(twin, 2.0, "hidden2").changes == brian.scale_tau(twin, 2.0, ["hidden2"]).changes
    name = "hidden1_to_hidden2"
    assert brian.synaptic_noise(twin, 0.1, name).changes == brian.synaptic_noise(twin, 0.1, [name]).changes


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: brian.adaptation_current(c, "readout", 100.0, 0.1), "population that adapts is 'readout'; expected"),
        (lambda c: brian.adaptation_current(c, "hidden1", 0.0, 0.1), "tau_ms is 0.0"),
        (lambda c: brian.adaptation_current(c, "hidden1", 10.0, -1.0), "kick is -1.0"),
        (lambda c: DEVIATIONS["adaptation"](DEVIATIONS["adaptation"](c)), "no variable adaptation"),
        (lambda c: brian.synaptic_noise(c, -0.1), "cv is -0.1"),
        (
            lambda c: brian.synaptic_noise(c, 0.1, ["hidden1"]),
            "projections is 'hidden1'; expected one or more of input_to",
        ),
        (lambda c: brian.lesion(c, "input"), "population to silence is 'input'"),
        (lambda c: brian.lesion(c, "hidden1", 0.0), "fraction is 0.0; expected a number above 0, at most 1"),
        (lambda c: brian.lesion(c, "hidden1", 0.5), "rng is None"),
        (lambda c: brian.lesion_synapses(c, "nowhere", 0.5), "projection is 'nowhere'"),
        (lambda c: brian.scale_tau(c, 0.0), "factor is 0.0"),
        (lambda c: brian.scale_tau(c, 2.0, ["readout"]), "populations is 'readout'; expected one or more of hidden1"),
        (lambda c: brian.scale_tau(c, 2.0, []), "populations is .*; expected one or more of hidden1"),
        (lambda c: brian.scale_tau(c, 2.0, by="length"), "by is 'length'; expected one of capacitance, leak"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(network, change, message):
    with pytest.raises(InputError, match=message.replace("(", r"\(")):
        change(brian.circuit(network))


def test_code_that_does_not_mark_its_weights_gets_no_noise(network):
    twin = brian.circuit(network)
    own = twin.with_synapses({"input_to_hidden1": replace(twin.synapses["input_to_hidden1"], on_pre="v_post += w")})
    with pytest.raises(InputError, match="on_pre of 'input_to_hidden1'"):
        brian.synaptic_noise(own, 0.1)


@pytest.mark.parametrize(
    ("lost", "change", "expected"),
    [
        ("C", lambda c: brian.scale_tau(c, 2.0), "a value of C"),
        ("g_L", lambda c: brian.scale_tau(c, 2.0, by="leak"), "a value of g_L"),
        ("g_L", DEVIATIONS["adaptation"], "values of E_L, V_T, g_L"),
        ("E_L", DEVIATIONS["adaptation"], "values of E_L, V_T, g_L"),
        ("V_T", DEVIATIONS["adaptation"], "values of E_L, V_T, g_L"),
    ],
)
def test_values_that_are_not_given_are_asked_for(network, lost, change, expected):
    # Protects users with equations of their own from a KeyError, or a kick in the wrong unit.
    physical = brian.realistic(network, RUNGS[1].realism)
    model = physical.neurons["hidden1"]
    left = {name: value for name, value in model.initial.items() if name != lost}
    with pytest.raises(InputError, match=f"initial of population 'hidden1' is .*; expected {expected}"):
        change(physical.with_neurons({"hidden1": replace(model, initial=left)}))
