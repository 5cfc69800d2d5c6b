"""Other equations than those of the exact twin, and other numbers than float64, do the same on every device."""

from dataclasses import replace

import brian2
import numpy as np
import pytest
import xarray as xr

from cortexsnn import brian, datasets, recording, reference
from cortexsnn.brian import blocks
from cortexsnn.network import Network, Population, Projection


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(5)
    return Network(
        0.004,
        (
            Population.input("input", 6),
            Population.lif("hidden1", 8, tau_s=0.05, bias=0.01),
            Population.lif("hidden2", 6, tau_s=0.1, reset="subtract_decayed"),
            Population.readout("readout", 3, tau_s=0.1),
        ),
        (
            Projection("input", "hidden1", rng.uniform(0, 0.6, (2, 8, 6)), (0, 3)),
            Projection("hidden1", "hidden2", rng.normal(0.2, 0.3, (6, 8))),
            Projection("hidden2", "hidden1", rng.normal(0, 0.1, (1, 8, 6)), (2,)),
            Projection("hidden2", "readout", rng.normal(size=(3, 6))),
        ),
        "per_step",
    )


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(6).poisson(0.15, (5, 60, 6)).astype(np.uint8)


@pytest.fixture(scope="module")
def adapting(network):
    """A current that every spike strengthens and that starts at some value."""
    model = brian.neuron_model(network["hidden1"])
    return {
        "hidden1": replace(
            model,
            equations=model.equations.replace("(drive - v)", "(drive - v - current)")
            + "dcurrent/dt = -current/tau_current : 1\ntau_current : second (constant)\nstep : 1 (constant)",
            reset=model.reset + "\ncurrent += step",
            initial={"tau_current": 0.1, "step": 0.2, "current": 0.05},
        )
    }


def test_other_equations_do_the_same_on_every_device_and_in_blocks(network, counts, adapting, monkeypatch):
    # Protects networks that a user made more biophysical: the same spikes from the runtime and from C++, whether a
    # trial is run at once or in blocks, and other spikes than those of the unchanged network.
    plain = brian.simulate(network, counts, device="numpy", progress=False)
    options = {"models": adapting, "record_potential": ["hidden1"], "progress": False}
    runtime = brian.simulate(network, counts, device="numpy", **options)
    compiled = brian.simulate(network, counts, device="cpp_standalone", **options)
    assert int(recording.compare(runtime, compiled)["differing"].sum()) == 0
    np.testing.assert_allclose(runtime["hidden1"]["potential"], compiled["hidden1"]["potential"], rtol=1e-9, atol=1e-12)
    assert 0 < runtime["hidden1"].sizes["spike"] < plain["hidden1"].sizes["spike"]
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (6 + 3 + 8) * 20)
    cut = brian.simulate(network, counts[:1], device="numpy", **options)
    whole = recording.compare(brian.simulate(network, counts[:1], device="cpp_standalone", **options), cut)
    assert int(whole["differing"].sum()) == 0
    spikes = recording.dense_spikes(cut, "hidden1")[0]
    np.testing.assert_array_equal(spikes, recording.dense_spikes(runtime, "hidden1")[0])


def test_new_values_need_no_new_program(network, counts, adapting):
    # Protects a scan over the parameters of an edited model from compiling again and again.
    from cortexsnn.brian import program

    brian.simulate(network, counts, models=adapting, progress=False)
    before = sorted(program._cache().glob("*/main"))
    weaker = {"hidden1": replace(adapting["hidden1"], initial={"tau_current": 0.1, "step": 0.0, "current": 0.0})}
    same = brian.simulate(network, counts, models=weaker, progress=False)
    assert sorted(program._cache().glob("*/main")) == before
    expected = reference.simulate(network, counts)
    assert int(recording.compare(expected, same)["differing"].sum()) == 0


def test_a_network_built_and_changed_by_hand(network, counts, adapting):
    # Protects `build` and `run` with several trials, equations and objects of the user.
    target = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    try:
        simulation = brian.build(network, counts, models=adapting, record_potential=["hidden1"])
        current = brian2.StateMonitor(
            simulation["hidden1"], "current", record=[0], clock=simulation["hidden1"].clock, when="end"
        )
        simulation.add(current)
        by_hand = brian.run(simulation, network, counts)
        one = brian.run(brian.build(network, counts[0], models=adapting), network, counts[0])
        lesioned = brian.build(network, counts)
        lesioned["hidden1_to_hidden2"].w = 0
        lesioned["hidden1"].tau = 20 * brian2.ms
        without = brian.run(lesioned, network, counts)
    finally:
        brian2.prefs.codegen.target = target
    simulated = brian.simulate(network, counts, models=adapting, device="numpy", progress=False)
    assert int(recording.compare(simulated, by_hand)["differing"].sum()) == 0
    assert current.current.max() > 0.05
    first = recording.dense_spikes(simulated, "hidden1")[:1]
    np.testing.assert_array_equal(recording.dense_spikes(one, "hidden1"), first)
    assert without["hidden2"].sizes["spike"] == 0
    assert without["hidden1"].sizes["spike"] > 0


@pytest.mark.parametrize("device", ["numpy", "cpp_standalone"])
def test_float32_is_counted_not_hidden(network, counts, device):
    # Protects the honesty of float32: potentials are those of float32, and the table says how many spikes differ.
    table = brian.agreement(network, counts, device=device, precision="float32", progress=False)
    relative = (table["potential_difference"] / table["potential_scale"]).to_numpy()
    assert np.all(relative > 1e-12)
    assert table.attrs["precision"] == "float32"
    assert table.attrs["bins"] == 5 * 60 * 14
    differs = table["differing"].to_numpy() > 0
    np.testing.assert_array_equal(table["first_trial"].to_numpy() >= 0, differs)


def test_agreement_finds_its_own_input(network):
    table = brian.agreement(network, device="numpy", progress=False)
    assert int(table["differing"].sum()) == 0
    active = table["active_percent"].sel(population=["hidden1", "hidden2"])
    assert float(active.min()) >= 1
    assert float(active.max()) <= 40


def test_spontaneous_activity_is_the_same_however_it_is_cut(network, monkeypatch, tmp_path):
    # Protects long runs on background input: in memory, on disk, in blocks, on both devices.
    given = datasets.background(
        6, rate_hz=40.0, dt_s=0.004, duration_s=0.8, trials=2, correlation=0.2, rng=np.random.default_rng(3)
    )
    at_once = brian.simulate(network, given, device="numpy", progress=False)
    expected = reference.simulate(network, given.counts(range(2), range(200)))
    assert int(recording.compare(expected, at_once)["differing"].sum()) == 0
    assert expected["hidden2"].sizes["spike"] > 20
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (6 + 3) * 64)
    streamed = brian.simulate(network, given, path=tmp_path / "background.nc", record_input=False, progress=False)
    assert "input" not in streamed.children
    assert int(recording.compare(expected, streamed)["differing"].sum()) == 0
    xr.testing.assert_equal(streamed["hidden2"].to_dataset(), at_once["hidden2"].to_dataset())
