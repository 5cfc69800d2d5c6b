"""Rungs of the ladder one neuron at a time: gains, periods, units, and what is refused."""

from dataclasses import replace

import brian2
import numpy as np
import pytest

from cortexsnn import brian, recording
from cortexsnn.brian import RUNGS, Realism, realistic
from cortexsnn.brian.biophysics.physical import fine_network
from cortexsnn.brian.equations import parameters
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection

DT_S = 0.004
HIGH = 1e6  # a threshold that is never reached


@pytest.fixture(autouse=True)
def numpy_target():
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    yield
    brian2.prefs.codegen.target = before


def one_synapse(weight, delay=0, **options):
    """One channel onto one neuron."""
    neuron = Population.lif("hidden1", 1, **{"tau_s": 0.02, **options})
    return Network(
        DT_S, (Population.input("input", 1), neuron), (Projection("input", "hidden1", [[[weight]]], (delay,)),)
    )


def driven_twice(weight, delays):
    """A relay that fires with the input and drives two equal cells, one before and one after it in the order."""
    populations = (
        Population.input("input", 1),
        Population.lif("early", 1, tau_s=0.02, threshold=2.0),
        Population.lif("relay", 1, tau_s=0.02),
        Population.lif("late", 1, tau_s=0.02, threshold=2.0),
    )
    projections = (
        Projection("input", "relay", [[1.5]]),
        Projection("relay", "early", [[[weight]]] * len(delays), delays),
        Projection("relay", "late", [[[weight]]] * len(delays), delays),
    )
    return Network(DT_S, populations, projections)


def pulse(steps, at=0):
    counts = np.zeros((steps, 1), dtype=np.uint8)
    counts[at] = 1
    return counts


def potential_mv(circuit, counts, name="hidden1"):
    """Potential in every step, shape (step,)."""
    run = brian.run(brian.build(circuit, counts, record_potential=[name]), circuit, counts)
    return run[name]["potential"].to_numpy()[0, :, 0] * 1e3


def means(network, value):
    return {p.name: value for p in network.hidden}


# What a description says of itself


def test_each_rung_adds_one_thing():
    # Protects the ladder: each rung keeps all that came before and changes a single field.
    assert list(RUNGS) == list(range(7))
    assert RUNGS[0].realism is None
    fields = Realism.__dataclass_fields__
    for number in range(2, 7):
        below, here = RUNGS[number - 1].realism, RUNGS[number].realism
        assert sum(getattr(below, f) != getattr(here, f) for f in fields) == 1
    assert len({rung.adds for rung in RUNGS.values()}) == 7


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"steps_per_bin": 0}, "steps_per_bin"),
        ({"steps_per_bin": 2.5}, "steps_per_bin"),
        ({"refractory_ms": -1.0}, "refractory_ms"),
        ({"synapses": "alpha"}, "delta, current, conductance"),
        ({"noise_sd_mv": float("nan")}, "noise_sd_mv"),
        ({"capacitance_pf": 0.0}, "capacitance_pf"),
        ({"tau_inhibitory_ms": float("inf")}, "tau_inhibitory_ms"),
        ({"noise_tau_ms": "5 ms"}, "noise_tau_ms"),
        ({"resting_mv": None}, "resting_mv"),
        ({"threshold_mv": -70.0}, "more than the resting -70 mV"),
        ({"synapses": "conductance", "reversal_excitatory_mv": -50.0}, "more than the threshold of -50 mV"),
        ({"synapses": "conductance", "reversal_inhibitory_mv": -60.0}, "at most the resting -70 mV"),
    ],
)
def test_what_makes_no_sense_is_refused(changes, named):
    # Protects the user from a run with a value that was a slip.
    with pytest.raises(InputError, match=named):
        Realism(**changes)


def test_a_time_step_too_long_is_refused_with_the_number_that_would_do():
    # Protects the way out: what the message says is accepted, and one step fewer is not.
    network = one_synapse(0.5)
    for realism, named, enough in (
        (Realism(refractory_ms=1.5), "refractory_ms is 1.5; expected at least the time step of 4 ms", 3),
        (Realism(synapses="current", tau_excitatory_ms=3.0), "tau_excitatory_ms is 3.0", 3),
        (Realism(synapses="current", tau_excitatory_ms=9.0, tau_inhibitory_ms=0.5), "tau_inhibitory_ms is 0.5", 16),
        (Realism(synapses="conductance", tau_excitatory_ms=2.0), "tau_excitatory_ms", 4),
    ):
        given = {"mean_potential": means(network, 0.5)} if realism.synapses == "conductance" else {}
        with pytest.raises(InputError, match=f"{named}.*steps_per_bin >= {enough}$"):
            realistic(network, realism, **given)
        with pytest.raises(InputError, match=f"steps_per_bin >= {enough}$"):
            realistic(network, replace(realism, steps_per_bin=enough - 1), **given)
        realistic(network, replace(realism, steps_per_bin=enough), **given)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (None, "mean_potential is None; expected a number for hidden1. cortexsnn.brian.mean_potential"),
        ({}, "mean_potential"),
        ({"hidden1": 0.5, "hidden2": 0.5}, "mean_potential"),
        ({"hidden1": "high"}, r"mean_potential\['hidden1'\] is 'high'"),
        ({"hidden1": 3.5}, "at -80 and 0 mV, and not 0 mV"),
        ({"hidden1": -0.5}, "at -80 and 0 mV, and not -80 mV"),
        ({"hidden1": float("nan")}, "a finite number"),
        (0.5, "mean_potential is 0.5; expected a number for hidden1"),
    ],
)
def test_conductances_need_a_mean_potential_between_their_reversals(given, named):
    # Protects conductances from a gain that is infinite, negative, or made up.
    with pytest.raises(InputError, match=named):
        realistic(one_synapse(0.5), Realism(steps_per_bin=10, synapses="conductance"), mean_potential=given)


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (RUNGS[4], r"realism is 'Rung'; expected a Realism, or None for the exact twin. RUNGS\[4\]\.realism is one"),
        (4, r"realism is 4; .* RUNGS\[4\]\.realism is one"),
        ("current", "realism is 'current'; expected a Realism, or None for the exact twin. RUNGS"),
    ],
)
def test_what_is_no_realism_is_refused_with_the_one_that_was_meant(given, named):
    # Protects against the slips that are closest to hand: a rung, or its number.
    with pytest.raises(InputError, match=named):
        realistic(one_synapse(0.5), given)


def test_a_circuit_is_no_network():
    # Protects the order of changes: the ladder comes first, and deviations go on with its circuits.
    with pytest.raises(InputError, match="network is 'Circuit'; expected a Network"):
        realistic(brian.circuit(one_synapse(0.5)), RUNGS[1].realism)


def test_a_period_that_no_neuron_needs_is_not_refused():
    # Protects networks whose neurons all wait longer than the period by themselves.
    realism = Realism(refractory_ms=2.0)
    waiting = one_synapse(0.5, refractory_steps=3)
    assert realistic(waiting, realism).network["hidden1"].refractory_steps == 3
    mixed = replace(waiting, populations=(*waiting.populations, Population.lif("hidden2", 1, tau_s=0.02)))
    with pytest.raises(InputError, match=r"refractory_ms is 2\.0"):
        realistic(mixed, realism)


def test_shunting_needs_a_mean_above_rest():
    # Protects a reversal potential at rest, which is allowed: with no driving force there is no gain.
    shunting = Realism(steps_per_bin=10, synapses="conductance", reversal_inhibitory_mv=-70.0)
    realistic(one_synapse(0.5), shunting, mean_potential={"hidden1": 0.1})
    with pytest.raises(InputError, match="not -70 mV"):
        realistic(one_synapse(0.5), shunting, mean_potential={"hidden1": 0.0})


def test_a_membrane_without_memory_is_refused_as_by_the_exact_twin():
    # Protects the reset "subtract" from dividing by a decay of 0, also where the shorter steps would not.
    with pytest.raises(InputError, match="tau_s of population 'hidden1'"):
        realistic(one_synapse(0.5, tau_s=DT_S / 5000), Realism(steps_per_bin=100))


# Mean potential


def test_the_mean_potential_is_that_of_the_trials():
    # Protects the gain of conductances: the mean over trials, steps and neurons, each over its own theta.
    network = one_synapse(0.5, threshold=4.0)
    counts = np.zeros((2, 3, 1))
    counts[0, 0] = 1
    alpha = np.exp(-DT_S / 0.02)
    assert brian.mean_potential(network, counts) == {"hidden1": pytest.approx(0.5 * (1 + alpha + alpha**2) / 6 / 4)}
    assert brian.mean_potential(one_synapse(-1.0), counts) == {"hidden1": 0.0}
    assert brian.mean_potential(one_synapse(5.0), np.ones((1, 50, 1))) == {"hidden1": 1.0}


# Synapses


def test_a_current_adds_the_area_of_the_jump():
    # Protects the mean drive: the potential summed over the steps of the circuit is w tau, the area of the jump.
    weight = np.array([0.3, -0.7, 0.3, -0.7, 0.3, -0.7])
    tau_s = np.array([0.003, 0.003, 0.02, 0.02, 0.07, 0.07])
    network = Network(
        DT_S,
        (Population.input("input", 1), Population.lif("hidden1", 6, tau_s=tau_s, threshold=2.0)),
        (Projection("input", "hidden1", weight[:, np.newaxis]),),
    )
    counts, jump_mv = pulse(500), weight * 20 / 2.0
    added_mv, area = {}, {}
    for synapses in ("delta", "current"):
        circuit = realistic(network, Realism(steps_per_bin=4, synapses=synapses))
        run = brian.run(brian.build(circuit, counts, record_potential=["hidden1"]), circuit, counts)
        added_mv[synapses] = run["hidden1"]["potential"].to_numpy()[0] * 1e3 + 70
        area[synapses] = added_mv[synapses].sum(axis=0) * circuit.network.dt_s
    np.testing.assert_allclose(area["current"], jump_mv * tau_s, rtol=1e-9)
    # The jump falls exponentially from the value at the beginning of each step to its mean over the step.
    np.testing.assert_allclose(added_mv["delta"][0], jump_mv, rtol=1e-9)
    short = DT_S / 4 / tau_s
    np.testing.assert_allclose(area["delta"] * (1 - np.exp(-short)) / short, area["current"], rtol=1e-9)


def test_a_conductance_has_the_current_of_a_current_at_the_mean_potential():
    # Protects the gain of conductances: clamped at the mean potential, the synaptic current is the same in every step.
    mean = {"low": 0.0, "middle": 0.4, "high": 1.0}
    network = Network(
        DT_S,
        (Population.input("input", 1), *(Population.lif(n, 2, tau_s=0.03, threshold=0.5) for n in mean)),
        tuple(Projection("input", n, [[0.3], [-0.7]]) for n in mean),
    )
    seen = {}
    for synapses in ("current", "conductance"):
        circuit = realistic(network, Realism(steps_per_bin=8, synapses=synapses), mean_potential=mean)
        simulation = brian.build(circuit, pulse(12))
        for name, value in mean.items():
            neuron = simulation[name]
            neuron.V_T = 1 * brian2.volt
            clamp = neuron.run_regularly(f"v = (-70 + 20*{value})*mV", when="end")
            monitor = brian2.StateMonitor(neuron, "I_synaptic", record=True, when="end", order=1, clock=neuron.clock)
            simulation.add(clamp, monitor)
            seen[synapses, name] = monitor
        simulation.run(96 * circuit.network.dt_s * brian2.second)
    for name in mean:
        current, conductance = (np.asarray(seen[s, name].I_synaptic) for s in ("current", "conductance"))
        assert np.all(np.abs(current).max(axis=1) > 1e-12)
        np.testing.assert_allclose(conductance, current, rtol=1e-9)


def test_excitation_and_inhibition_have_their_own_time_constants():
    # Protects the two receptors: each decays in its own time.
    network = Network(
        DT_S,
        (Population.input("input", 1), Population.lif("hidden1", 2, tau_s=0.0005)),
        (Projection("input", "hidden1", [[0.5], [-0.5]]),),
    )
    circuit = realistic(network, Realism(steps_per_bin=40, synapses="current"))
    run = brian.run(brian.build(circuit, pulse(10), record_potential=["hidden1"]), circuit, pulse(10))
    late = np.abs(run["hidden1"]["potential"].to_numpy()[0, [100, 300]] * 1e3 + 70)
    np.testing.assert_allclose(-200 * 0.1 / np.log(late[1] / late[0]), [5, 10], rtol=1e-6)


@pytest.mark.parametrize("synapses", ["delta", "current", "conductance"])
def test_feedback_acts_at_the_time_of_a_forward_synapse(synapses):
    # Protects delays: a spike that arrives early, in the slot of the feedback, acts when a forward one would.
    network = driven_twice(0.9, (1, 3))
    assert not network.is_feedforward(network.projections[1])
    assert network.is_feedforward(network.projections[2])
    realism = Realism(steps_per_bin=10, synapses=synapses, tau_excitatory_ms=2.0)
    # The relay is driven through jumps, so that it fires at once.
    circuit = realistic(network, realism, mean_potential=means(network, 0.5))
    jumps = realistic(network, Realism(steps_per_bin=10))
    circuit = circuit.with_synapses({"input_to_relay": jumps.synapses["input_to_relay"]})
    early, late = (potential_mv(circuit, pulse(8), name) for name in ("early", "late"))
    assert late.max() > -69
    assert np.flatnonzero(late > -70 + 1e-9)[0] == 10 + (synapses != "delta")
    np.testing.assert_allclose(early, late, atol=1e-9)


def test_several_spikes_of_a_channel_count_as_many():
    # Protects graded input: two spikes in a bin bring twice the charge.
    network = one_synapse(0.2)
    for realism in (RUNGS[2].realism, RUNGS[4].realism):
        circuit = realistic(network, realism)
        counts = np.stack([pulse(5), 2 * pulse(5)])
        run = brian.run(brian.build(circuit, counts, record_potential=["hidden1"]), circuit, counts)
        one, two = run["hidden1"]["potential"].to_numpy() * 1e3 + 70
        np.testing.assert_allclose(two, 2 * one, rtol=1e-9)


# Refractory periods, time steps


@pytest.mark.parametrize(
    ("period_ms", "n", "trained", "expected"),
    [
        (0.0, 1, 0, 0),
        (0.0, 1, 3, 3),
        (0.0, 10, 0, 0),
        (0.0, 10, 3, 39),
        (4.0, 1, 0, 0),
        (4.1, 1, 0, 1),
        (2.0, 10, 0, 4),
        (2.0, 40, 0, 19),
        (2.1, 10, 0, 5),
        (2.0, 10, 1, 19),
        (50.0, 10, 1, 124),
    ],
)
def test_the_shortest_interval_is_the_period_in_whole_steps(period_ms, n, trained, expected):
    # Protects the count of steps, from spike to spike: never shorter than the period, and by less than a step longer.
    realism = Realism(steps_per_bin=n, refractory_ms=period_ms)
    network = one_synapse(50.0, refractory_steps=trained, reset="subtract")
    fine = fine_network(network, realism)
    assert fine["hidden1"].refractory_steps == expected


def test_intervals_between_spikes_are_as_long_as_the_period():
    # Protects the period where it counts: driven hard, neurons fire as often as they may and no oftener.
    populations = tuple(Population.lif(f"hidden{r}", 1, tau_s=0.02, bias=500.0, refractory_steps=r) for r in (0, 1, 3))
    network = Network(DT_S, (Population.input("input", 1), *populations), ())
    silence = np.zeros((30, 1), dtype=np.uint8)
    for realism, expected_ms in (
        (Realism(), (4, 8, 16)),
        (Realism(refractory_ms=9.0), (12, 12, 16)),
        (Realism(steps_per_bin=10), (0.4, 8, 16)),
        (Realism(steps_per_bin=10, refractory_ms=9.0), (9.2, 9.2, 16)),
    ):
        circuit = realistic(network, realism)
        run = brian.run(brian.build(circuit, silence), circuit, silence)
        for population, interval_ms in zip(populations, expected_ms, strict=True):
            intervals = np.diff(run[population.name]["spike_step"].to_numpy()) * circuit.network.dt_s * 1e3
            np.testing.assert_allclose(intervals, interval_ms, rtol=1e-9)


def test_the_potential_goes_on_while_a_neuron_is_refractory():
    # Protects the network's contract: only firing is held, input still counts.
    network = one_synapse(1.5, reset="zero")
    circuit = realistic(network, Realism(refractory_ms=20.0))
    potential = potential_mv(circuit, np.ones((4, 1)))
    alpha = np.exp(-DT_S / 0.02)
    expected = -70 + 20 * np.cumsum(1.5 * alpha ** np.arange(3))
    np.testing.assert_allclose(potential[1:], expected, rtol=1e-9)


def test_delays_and_readouts_in_shorter_steps():
    # Protects the decoder: at the times of the trained steps a readout has its trained values, whatever its bias.
    network = Network(
        DT_S,
        (Population.input("input", 2), Population.readout("readout", 2, tau_s=[0.01, 0.1], bias=[0.3, -0.2])),
        (Projection("input", "readout", np.random.default_rng(1).normal(size=(2, 2, 2)), (0, 3)),),
    )
    counts = np.random.default_rng(2).poisson(0.5, (30, 2))
    coarse, fine = network, realistic(network, Realism(steps_per_bin=7))
    expected, observed = (
        brian.run(brian.build(c, counts), c, counts)["readout"]["potential"].to_numpy()[0] for c in (coarse, fine)
    )
    np.testing.assert_allclose(observed[::7], expected, rtol=1e-9, atol=1e-12)


# Units, and what is said


def test_brian_checks_the_units():
    # Protects the physical equations: they pass Brian2's check of units, and a wrong unit does not.
    network = one_synapse(0.5)
    for rung in (RUNGS[4], RUNGS[6]):
        circuit = realistic(network, rung.realism, mean_potential={"hidden1": 0.5})
        counts = pulse(3)
        simulation = brian.build(circuit, counts)
        assert brian2.have_same_dimensions(simulation["hidden1"].v, brian2.volt)
        assert brian2.have_same_dimensions(simulation["hidden1"].g_L, brian2.siemens)
        with pytest.raises(brian2.DimensionMismatchError):
            simulation["hidden1"].V_T = 1 * brian2.pA
        model = circuit.neurons["hidden1"]
        ohms = replace(model, equations=model.equations.replace("g_L : siemens", "g_L : ohm"))
        synapses = circuit.synapses["input_to_hidden1"]
        volts = replace(synapses, equations=synapses.equations.replace("siemens", "volt").replace("amp", "volt"))
        for wrong, found in (
            (circuit.with_neurons({"hidden1": ohms}), "units"),
            (circuit.with_synapses({"input_to_hidden1": volts}), "unit"),
        ):
            with pytest.raises(brian2.BrianObjectException) as raised:
                brian.build(wrong, counts).run(0 * brian2.second)
            assert found in str(raised.value.__cause__)


def test_explain_prints_the_equations_of_every_rung(random_network):
    # Protects the words: each rung's equations, its parameters in its units, and what was changed.
    network = random_network(np.random.default_rng(0), hidden=(3, 2), recurrent=True, adaptation=True, dt_s=DT_S)
    said = {
        n: brian.explain(realistic(network, r.realism, mean_potential=means(network, 0.3))) for n, r in RUNGS.items()
    }
    assert "Not the exact twin" not in said[0]
    for number in range(1, 7):
        assert "physical units: rest at -70 mV, threshold at -50 mV, 200 pF" in said[number]
        assert "dv/dt = (g_L*(E_L - v) + I_bias" in said[number]
        assert "C 200 pF" in said[number]
        assert ("time step 0.4 ms" in said[number]) == (number > 1)
        assert ("at least 2 ms from one spike" in said[number]) == (number > 2)
        assert ("I_synaptic = I_excitatory - I_inhibitory : amp" in said[number]) == (number == 4)
        assert ("g_excitatory*(E_excitatory - v)" in said[number]) == (number > 4)
        assert ("I_noise" in said[number]) == (number > 5)
        assert all(len(line) <= 100 for line in said[number].splitlines()), number
        # Only jumps are divided by the decay that they still meet.
        assert ("divided by alpha" in said[number]) == (number < 4)
    assert "w_excitatory" in said[5]
    assert " nS" in said[5]


def test_nothing_of_the_network_is_lost():
    # Protects parameters: what Brian2 gets are the trained time constants and thresholds, in volts and siemens.
    network = one_synapse(0.5, tau_s=0.05, threshold=0.8, adaptation_strength=0.4, adaptation_tau_s=0.3)
    initial = realistic(network, Realism(capacitance_pf=100.0)).neurons["hidden1"].initial
    assert initial["g_L"] == pytest.approx(2e-9)
    assert initial["rise"] == pytest.approx(0.01)
    assert initial["tau_a"] == pytest.approx(0.3)
    assert set(parameters(network["hidden1"], DT_S)) == {"tau", "bias", "theta_rest", "strength", "tau_a"}


def test_the_exact_twin_is_the_lowest_rung():
    # Protects rung 0: it is the exact twin and nothing else.
    network = one_synapse(1.2)
    counts = np.ones((1, 20, 1))
    lowest = brian.simulate(realistic(network, None), counts, device="numpy", progress=False)
    twin = brian.simulate(network, counts, device="numpy", progress=False)
    assert int(recording.compare(lowest, twin)["differing"].sum()) == 0
