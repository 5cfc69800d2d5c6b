"""What a circuit may change of the exact twin, and that what it changes holds over trials, blocks and devices."""

import json
from dataclasses import replace

import brian2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsnn import brian, recording
from cortexsnn.brian import blocks
from cortexsnn.brian.fine_input import FineInput, on_fine_steps
from cortexsnn.errors import InputError
from cortexsnn.network import ArrayInput, Network, Population, spike_inputs

STEPS = 40


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(3)
    weights = rng.normal(0.3, 0.3, (6, 5)), rng.normal(0.2, 0.3, (4, 6)), rng.normal(0, 0.4, (2, 4))
    return Network.from_arrays(weights, tau_s=[0.02, 0.05], readout_tau_s=0.05, dt_s=0.005)


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(4).poisson(0.2, (3, STEPS, 5)).astype(np.uint8).clip(max=1)


def noisy(network, sd=0.3):
    """The first layer with noise on its membrane, which leaves the decay exact."""
    model = brian.neuron_model(network["hidden1"])
    model = replace(
        model,
        equations=f"{model.equations}sd : 1 (constant)\n",
        before_decay="v += sd*randn()",
        initial={"sd": sd},
    )
    return brian.circuit(network, {"hidden1": model})


def spikes(result):
    return {name: recording.dense_spikes(result, name) for name in ("hidden1", "hidden2")}


def same(left, right):
    return all(np.array_equal(left[name], right[name]) for name in left)


@given(
    bins=st.integers(1, 7),
    steps_per_bin=st.integers(1, 5),
    data=st.data(),
)
@settings(max_examples=60, deadline=None)
def test_any_piece_of_finer_input_is_that_piece_of_the_whole(bins, steps_per_bin, data):
    # Protects runs that are cut into blocks, whose borders need not be those of the bins.
    given_counts = np.random.default_rng(bins).integers(0, 3, (2, bins, 3)).astype(np.uint8)
    fine = FineInput(ArrayInput(given_counts), steps_per_bin)
    whole = on_fine_steps(given_counts, steps_per_bin)
    assert fine.steps == whole.shape[1] == bins * steps_per_bin
    start = data.draw(st.integers(0, fine.steps - 1))
    stop = data.draw(st.integers(start, fine.steps))
    assert np.array_equal(fine.counts(range(2), range(start, stop)), whole[:, start:stop])
    assert whole.sum() == given_counts.sum()
    assert np.array_equal(whole[:, ::steps_per_bin], given_counts)


def test_same_generator_same_noise(network, counts):
    # Protects the reproducibility of noisy circuits, and the user's own random numbers.
    run = lambda seed: brian.simulate(  # noqa: E731
        noisy(network), counts, device="numpy", rng=np.random.default_rng(seed), progress=False
    )
    np.random.seed(11)  # noqa: NPY002
    expected_next = np.random.rand()  # noqa: NPY002
    np.random.seed(11)  # noqa: NPY002
    first, again, other = spikes(run(1)), spikes(run(1)), spikes(run(2))
    assert np.random.rand() == expected_next  # noqa: NPY002
    assert same(first, again)
    assert not same(first, other)
    assert not np.array_equal(first["hidden1"][0], first["hidden1"][1])  # different input, different noise


def test_blocks_have_noise_of_their_own(network, monkeypatch):
    # One seed for all blocks would give trials of different blocks the same noise, and correlate them.
    alone = np.zeros((2, STEPS, 5), dtype=np.uint8)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (5 + 2) * (STEPS + 1))
    inputs = spike_inputs(network, alone)
    plan = blocks.plan_of(network, inputs, {}, (), processes=1, compiled=False)
    assert len(list(blocks.blocks_of(plan.layout, 2, STEPS))) == 2
    seen = spikes(
        brian.simulate(noisy(network, sd=1.0), alone, device="numpy", rng=np.random.default_rng(1), progress=False)
    )["hidden1"]
    assert seen[0].any()
    assert not np.array_equal(seen[0], seen[1])


@pytest.mark.slow
def test_compiled_programs_take_the_seed(network, counts):
    run = lambda seed: spikes(  # noqa: E731
        brian.simulate(noisy(network), counts, rng=np.random.default_rng(seed), processes=1, progress=False)
    )
    assert same(run(1), run(1))
    assert not same(run(1), run(2))


def test_a_resumed_run_with_other_noise_is_refused(network, counts, tmp_path):
    # The parts of two different runs must never be mixed.
    path = tmp_path / "noisy.nc"
    kwargs = {"device": "numpy", "path": path, "progress": False}

    def stop(*_):
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("cortexsnn.brian.runtime.monitored", stop)
        with pytest.raises(KeyboardInterrupt):
            brian.simulate(noisy(network), counts, rng=np.random.default_rng(1), **kwargs)
    with pytest.raises(InputError, match="another network, input or setting"):
        brian.simulate(noisy(network), counts, rng=np.random.default_rng(2), **kwargs)
    with pytest.raises(InputError, match="another network, input or setting"):
        brian.simulate(noisy(network, sd=0.1), counts, rng=np.random.default_rng(1), **kwargs)
    whole = brian.simulate(noisy(network), counts, rng=np.random.default_rng(1), **kwargs)
    assert same(
        spikes(whole),
        spikes(brian.simulate(noisy(network), counts, rng=np.random.default_rng(1), device="numpy", progress=False)),
    )


def counting(network):
    """Neurons that fire in every fifth step of a trial, by a variable that no equation drives."""
    model = replace(
        brian.neuron_model(network["hidden2"]),
        equations="v : 1\nalpha = 1 : 1\ncounted : 1\n",
        threshold="v > 4.5",
        reset="counted = 0",
        before_threshold="counted += 1; v = counted",
        memory=("counted",),
    )
    return brian.circuit(network, {"hidden2": model})


@pytest.mark.parametrize("in_blocks", [False, True])
def test_memory_starts_anew_in_every_trial_and_goes_on_in_its_blocks(network, counts, monkeypatch, in_blocks):
    # Protects variables without an equation: forgotten between trials, kept between the blocks of a trial.
    if in_blocks:
        monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (5 + 2) * 16)
    result = brian.simulate(counting(network), counts, device="numpy", progress=False)
    fired = recording.dense_spikes(result, "hidden2")
    expected = np.zeros((3, STEPS, 4), dtype=fired.dtype)
    expected[:, 4::5] = 1
    assert np.array_equal(fired, expected)


@pytest.mark.parametrize("in_blocks", [False, True])
def test_rest_below_zero_is_quiet_between_trials(network, counts, monkeypatch, in_blocks):
    # A potential that is held at 0 between trials would be above a threshold of -50.
    rest, theta = -70.0, -50.0
    model = brian.neuron_model(network["hidden1"])
    shifted = replace(
        model,
        equations=model.equations.replace("(drive - v)", f"(drive - (v - ({rest})))"),
        threshold=f"v > {theta}",
        reset=f"v -= {theta - rest}/alpha",
        initial={"v": rest},
    )
    scaled = replace(
        brian.synapse_model(network, network.projections[0]),
        weights={"w": (theta - rest) * network.projections[0].weight},
    )
    circuit = brian.circuit(network, {"hidden1": shifted}).with_synapses({network.projections[0].name: scaled})
    if in_blocks:
        monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (5 + 2) * 16)
    exact = brian.simulate(network, counts, device="numpy", progress=False)
    observed = brian.simulate(circuit, counts, device="numpy", progress=False)
    assert exact["hidden1"].sizes["spike"] > 20
    assert recording.compare(exact, observed)["differing"].sum() == 0


def test_neurons_that_fire_by_chance_are_quiet_between_trials(network):
    # A spike in the last step of the gap would reset a neuron in the first step of the trial, and reach others.
    model = brian.neuron_model(network["hidden1"])
    by_chance = replace(model, threshold="rand() < 0.5*exp((v - theta)/2)")
    silent = np.zeros((4, 6, 5), dtype=np.uint8)
    result = brian.simulate(
        network,
        silent,
        device="numpy",
        models={"hidden1": by_chance},
        record_potential=["hidden1", "hidden2"],
        rng=np.random.default_rng(1),
        progress=False,
    )
    assert result["hidden1"].sizes["spike"] > 10
    assert not result["hidden1"]["potential"][:, 0].to_numpy().any()


@pytest.mark.parametrize("in_blocks", [False, True])
def test_variables_may_have_any_unit(network, counts, monkeypatch, in_blocks):
    # The value at the start of a trial or a block is a parameter with the unit of its variable.
    model = brian.neuron_model(network["hidden2"])
    odd = replace(
        model,
        equations=f"{model.equations}charge : amp*second/meter\ndsquare/dt = -square/(20*ms) : volt**2\n",
        before_threshold="charge += 1*amp*second/meter",
        memory=("charge",),
        initial={"charge": 2.0, "square": 3.0},
        threshold="v > theta or charge > 12*amp*second/meter",
    )
    if in_blocks:
        monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (5 + 2) * 16)
    result = brian.simulate(network, counts, device="numpy", models={"hidden2": odd}, progress=False)
    fired = recording.dense_spikes(result, "hidden2")
    assert fired[:, 10:].all()  # 2 + 11 steps are more than 12, in every trial
    assert not fired[:, :10].all()


def test_potentials_say_their_unit(network, counts):
    physical = brian.realistic(network, brian.Realism())
    result = brian.simulate(physical, counts, device="numpy", record_potential=["hidden1"], progress=False)
    assert result["hidden1"]["potential"].attrs["units"] == "V"
    assert result["readout"]["potential"].attrs["units"] == "1"
    assert -0.2 < float(result["hidden1"]["potential"].min()) < -0.05


def test_an_array_is_not_described_on_finer_steps_either(network, counts):
    # Its hash would take a pass over all of a data set that is binned when it is asked for.
    fine = brian.realistic(network, brian.Realism(steps_per_bin=np.int64(2)))
    assert type(fine.steps_per_bin) is int
    result = brian.simulate(fine, counts, device="numpy", progress=False)
    assert json.loads(result.attrs["description"])["input"] == {}


def test_what_does_not_fit_is_named(network):
    circuit = brian.circuit(network)
    with pytest.raises(InputError, match="projection in models is 'nowhere'; expected one of input_to_hidden1"):
        circuit.with_synapses({"nowhere": circuit.synapses["input_to_hidden1"]})
    with pytest.raises(InputError, match=r"shape of w in the synapses of 'input_to_hidden1' is \(2, 2\)"):
        circuit.with_synapses({"input_to_hidden1": brian.SynapseModel("w : 1", "v_post += w", {"w": np.ones((2, 2))})})
    with pytest.raises(InputError, match="is 'v_post \\+= w'; expected a SynapseModel"):
        circuit.with_synapses({"input_to_hidden1": "v_post += w"})
    model = brian.neuron_model(network["hidden1"])
    for wrong, message in (
        (replace(model, initial={"thetta": 50.0}), "name in initial of population 'hidden1' is 'thetta'"),
        (replace(model, initial={"alpha": 0.5}), "those that can be set are bias, tau, theta, v"),
        (
            replace(model, initial={"theta": np.ones(3)}),
            r"shape of initial\['theta'\] .* is \(3,\)",
        ),
        (replace(model, memory=("zz",)), "memory of population 'hidden1' is 'zz'; expected a parameter"),
    ):
        with pytest.raises(InputError, match=message):
            circuit.with_neurons({"hidden1": wrong})
    with pytest.raises(InputError, match="leave out '_to_' and the endings"):
        Network(0.01, (Population.lif("hidden1_before_decay", 1, tau_s=0.02),), ())
    with pytest.raises(InputError, match="steps_per_bin is 0"):
        replace(circuit, steps_per_bin=0)
    current = circuit.with_synapses({"input_to_hidden1": brian.SynapseModel("w : 1", "current_post += w{count}")})
    with pytest.raises(InputError, match=r"a variable current\. synapses of the network use current and v"):
        current.with_neurons({"hidden1": brian.neuron_model(network["hidden1"])})
    volts = circuit.with_synapses({"input_to_hidden1": brian.SynapseModel("w : volt", "v_post += w{count}")})
    with pytest.raises(
        InputError, match=r"units in 'input_to_hidden1_pre' is (.|\n)*expected units that match"
    ) as told:
        brian.simulate(volts, np.ones((1, 5, 5)), device="numpy", progress=False)
    assert isinstance(told.value.__cause__, brian2.BrianObjectException)  # with all that Brian2 says of it
