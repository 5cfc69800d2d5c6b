"""Circuits that give the same bits everywhere: grids on which no sum is rounded, and the reference to the last bit."""

import importlib
import math
from dataclasses import replace

import brian2
import numpy as np
import pytest

from cortexsnn import brian, datasets, recording, reference
from cortexsnn.brian import blocks
from cortexsnn.brian.choice import Choice, Estimate
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection

BITS = {"float64": 53, "float32": 24}

STRUCTURES = {
    "feed-forward": {"hidden": (7, 5), "resets": ("subtract_decayed", "zero"), "taps": 2, "max_delay": 3,
                     "refractory": (2, 1), "skip": True},
    "every kind": {"hidden": (7, 6, 5), "resets": ("subtract", "zero", "subtract_decayed"), "max_delay": 2,
                   "recurrent": True, "topdown": True, "adaptation": True, "refractory": (0, 2, 0), "shuffle": True},
}  # fmt: skip


@pytest.fixture(scope="module", params=STRUCTURES)
def lively(request, random_network, random_counts, made_lively, in_lively_range):
    """A network whose layers are active in 1 to 40 % of bins, and input with several spikes of a channel in a step."""
    rng = np.random.default_rng(7)
    counts = random_counts(rng, 2, 50, 4)
    network = made_lively(random_network(rng, gain=1.5, **STRUCTURES[request.param]), counts)
    assert in_lively_range(network, counts)
    assert counts.max() > 1
    return network, counts


@pytest.fixture(scope="module")
def small():
    rng = np.random.default_rng(3)
    return Network.from_arrays(
        [rng.normal(0.2, 0.4, (6, 5)), rng.normal(0.2, 0.4, (2, 6))], tau_s=0.03, readout_tau_s=0.05, dt_s=0.005,
        decoder="per_step",
    )  # fmt: skip


def names(network):
    return [p.name for p in network.hidden]


def on_numpy(circuit, counts, precision, **options):
    return brian.simulate(
        circuit, counts, device="numpy", precision=precision, record_potential=names(circuit.network), progress=False,
        **options,
    )  # fmt: skip


def assert_same_bits(expected, observed):
    """No spike differs, and no potential in any bit."""
    table = recording.compare(expected, observed)
    assert table["differing"].to_numpy().tolist() == [0] * table.sizes["population"]
    assert table["potential_difference"].to_numpy().tolist() == [0.0] * table.sizes["population"]


@pytest.mark.parametrize("precision", BITS)
def test_no_sum_is_rounded_whatever_its_order(precision):
    # Protects the bound: everything that may arrive at a neuron, added in any order, against the exact sum.
    rng = np.random.default_rng(11)
    weight = rng.normal(0.1, 0.5, (3, 60)) * 10.0 ** rng.uniform(-4, 0, 60)
    network = Network.from_arrays([weight], tau_s=0.02, dt_s=0.01, bias=[rng.normal(0, 0.1, 3)])
    circuit = brian.bitwise(network, precision, highest_count=5)
    snapped = circuit.network.projections[0].weight[0]
    bias = circuit.network["hidden1"].bias

    def rounded_sums(weights, start, orders):
        sums = []
        for order in orders:
            total = np.full(3, start, dtype=precision)
            for source in order:
                total += weights[:, source].astype(precision) * np.dtype(precision).type(5)
            sums.append(total.astype(np.float64))
        return np.array(sums)

    signs = np.sign(snapped[0])
    orders = [rng.permutation(60) for _ in range(30)] + [np.argsort(signs), np.argsort(-signs)]
    exact = [math.fsum([b, *(5 * row)]) for b, row in zip(bias, snapped, strict=True)]
    assert np.all(rounded_sums(snapped, bias, orders) == exact)
    # With the weights as they were, the order tells.
    assert np.ptp(rounded_sums(weight, network["hidden1"].bias, orders), axis=0).min() > 0


@pytest.mark.parametrize("precision", BITS)
def test_the_grid_is_the_finest_and_the_report_says_what_it_costs(precision, lively):
    network, _ = lively
    circuit = brian.bitwise(network, precision, highest_count=3)
    snapped = circuit.network
    for population in network.order:
        grid = circuit.grids[population.name]
        incoming = [q for q in network.projections if q.target == population.name]
        after = [snapped[population.name].bias, *(q.weight for q in snapped.projections if q.target == population.name)]
        before = [population.bias, *(q.weight for q in incoming)]
        for values in after:
            steps = values / 2.0**grid.exponent
            np.testing.assert_array_equal(steps, np.rint(steps))
        change = max(np.abs(b - a).max() for b, a in zip(before, after, strict=True))
        assert grid.largest_change == change <= 2.0 ** (grid.exponent - 1)
        assert grid.relative_change == change / max(np.abs(b).max() for b in before)
        most = [3 if network[q.source].kind == "input" else 1 for q in incoming]
        arriving = np.abs(after[0]) + sum(c * np.abs(w).sum((0, 2)) for c, w in zip(most, after[1:], strict=True))
        assert grid.largest_sum == arriving.max()
        assert grid.room == 2.0 ** (BITS[precision] + grid.exponent) / arriving.max()
        assert 1 < grid.room <= 2.001
        assert snapped[population.name].tau_s.tolist() == population.tau_s.tolist()


def test_float64_is_the_reference_to_the_last_bit(lively):
    # Protects the order of operations in the equations, for every reset, adaptation, delay, feedback and readout.
    network, counts = lively
    circuit = brian.bitwise(network)
    expected = reference.simulate(circuit.network, counts, record_potential=names(network))
    assert_same_bits(expected, on_numpy(circuit, counts, "float64"))


def test_the_plain_twin_has_other_bits(small):
    # Protects the tests above from passing whatever they are given.
    counts = np.random.default_rng(4).poisson(0.3, (2, 40, 5)).astype(np.uint8)
    circuit = brian.bitwise(small)
    expected = reference.simulate(circuit.network, counts, record_potential=["hidden1"])
    assert_same_bits(expected, on_numpy(circuit, counts, "float64"))
    twin = recording.compare(expected, on_numpy(brian.circuit(circuit.network), counts, "float64"))
    assert int(twin["differing"].sum()) == 0
    assert twin["potential_difference"].max() > 0


def in_float32(network, counts):
    """The difference equations of `cortexsnn.reference`, each operation rounded to float32."""
    single = np.float32
    trials, steps = counts.shape[:2]
    spikes = {"input": counts.astype(single)}
    potentials, states = {}, {}
    for p in network.order:
        shape = (trials, p.size)
        spikes[p.name] = np.zeros((trials, steps, p.size), single)
        potentials[p.name] = np.zeros((trials, steps, p.size), single)
        states[p.name] = {key: np.zeros(shape, single) for key in ("v", "s", "a")} | {"wait": np.zeros(shape, int)}
    for step in range(steps):
        for p in network.order:
            state, alpha = states[p.name], np.exp(-network.dt_s / p.tau_s).astype(single)
            current = np.tile(p.bias.astype(single), (trials, 1))
            for q in network.projections:
                for weight, delay in zip(q.weight.astype(single), q.delay_steps, strict=True):
                    if q.target == p.name and delay <= step:
                        current = current + spikes[q.source][:, step - delay] @ weight.T
            v, s = state["v"], state["s"]
            if p.kind == "readout":
                state["v"] = alpha * v + (-np.expm1(-network.dt_s / p.tau_s)).astype(single) * current
            else:
                theta = p.threshold.astype(single)
                strength = rho = single(0)
                if p.adaptation is not None:
                    strength = p.adaptation.strength.astype(single)
                    rho = np.exp(-network.dt_s / p.adaptation.tau_s).astype(single)
                taken = (theta + strength * state["a"]) * s
                if p.reset == "subtract":
                    v = alpha * v + current - taken
                elif p.reset == "subtract_decayed":
                    v = alpha * (v - taken) + current
                else:
                    v = alpha * v * (single(1) - s) + current
                state["a"] = rho * state["a"] + s
                fires = (v > theta + strength * state["a"]) & (state["wait"] == 0)
                state["wait"] = np.where(fires, p.refractory_steps, np.maximum(state["wait"] - 1, 0))
                state["v"], state["s"] = v, fires.astype(single)
                spikes[p.name][:, step] = state["s"]
            potentials[p.name][:, step] = state["v"]
            assert state["v"].dtype == state["s"].dtype == single
    return spikes, potentials


def test_float32_is_what_rounding_every_operation_gives(lively):
    # Protects float32 from hidden float64 in generated code, which another device would not have.
    network, counts = lively
    circuit = brian.bitwise(network, "float32", highest_count=int(counts.max()))
    spikes, potentials = in_float32(circuit.network, counts)
    observed = on_numpy(circuit, counts, "float32")
    for p in network.order:
        assert observed[p.name]["potential"].dtype == np.float32
        np.testing.assert_array_equal(observed[p.name]["potential"].to_numpy(), potentials[p.name])
        if p.kind == "lif":
            np.testing.assert_array_equal(recording.dense_spikes(observed, p.name), spikes[p.name])


@pytest.mark.parametrize("lively", ["every kind"], indirect=True)
def test_a_trial_cut_into_blocks_keeps_its_bits(lively, monkeypatch):
    # Protects what stands between two steps (feedback that has arrived, who fired) from being lost between two blocks.
    network, counts = lively
    circuit = brian.bitwise(network)
    expected = reference.simulate(circuit.network, counts[:1], record_potential=names(network))
    width = sum(p.size for p in network.order) + 4
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * width * 40)
    assert_same_bits(expected, on_numpy(circuit, counts[:1], "float64"))


def test_simulate_snaps_by_itself_and_says_so(small):
    counts = np.random.default_rng(4).poisson(0.3, (2, 40, 5)).astype(np.uint8)
    options = {"device": "numpy", "record_potential": ["hidden1"], "progress": False, "exact": "bitwise"}
    double = brian.simulate(small, counts, **options)
    snapped = brian.bitwise(small).network
    assert_same_bits(double, reference.simulate(snapped, counts, record_potential=["hidden1"]))
    single = brian.simulate(small, counts, precision="float32", **options)
    circuit = brian.bitwise(small, "float32", highest_count=int(counts.max()))
    assert_same_bits(single, on_numpy(circuit, counts, "float32"))
    assert single.attrs["network"] == circuit.network.fingerprint() != small.fingerprint()
    assert "the same bits on every device, in float32" in brian.explain(circuit)


def test_built_by_hand_it_has_the_same_bits(small):
    counts = np.random.default_rng(5).poisson(0.3, (3, 30, 5)).astype(np.uint8)
    circuit = brian.bitwise(small)
    before = brian2.prefs.codegen.target
    brian2.prefs.codegen.target = "numpy"
    try:
        simulation = brian.build(circuit, counts, record_potential=["hidden1"])
        by_hand = brian.run(simulation, circuit, counts)
    finally:
        brian2.prefs.codegen.target = before
    assert_same_bits(by_hand, reference.simulate(circuit.network, counts, record_potential=["hidden1"]))


def test_agreement_tells_what_snapping_costs(small):
    counts = np.random.default_rng(6).poisson(0.3, (2, 200, 5)).astype(np.uint8)
    table = brian.agreement(small, counts, device="numpy", exact="bitwise", progress=False)
    assert table["differing"].to_numpy().tolist() == table["potential_difference"].to_numpy().tolist() == [0, 0]
    assert table["differing_by_snapping"].to_numpy().tolist() == [0, 0]
    assert table.attrs["exact"] == "bitwise"
    assert table.attrs["classes_differing"] == table.attrs["classes_differing_by_snapping"] == 0
    assert 0 < table["largest_change"].max() < 1e-13

    # A weight that exceeds the threshold by less than the grid resolves: snapped, it fires no more.
    close = Network.from_arrays([[[1 + 1e-6]]], tau_s=2.5e-4, dt_s=0.01, reset="zero")
    counts = np.ones((2, 30, 1), dtype=np.uint8)
    counts[1, 29] = 255
    table = brian.agreement(close, counts, device="numpy", exact="bitwise", precision="float32", progress=False)
    assert table["spikes"].to_numpy().tolist() == [1]
    assert table["differing"].to_numpy().tolist() == [0]
    assert table["differing_by_snapping"].to_numpy().tolist() == [59]
    grid = brian.bitwise(close, "float32", highest_count=255).grids["hidden1"]
    assert table["grid_exponent"].to_numpy().tolist() == [grid.exponent]
    assert table["largest_change"].to_numpy().tolist() == [grid.largest_change]


def test_agreement_of_the_plain_twin_says_nothing_of_snapping(small):
    plain = brian.agreement(small, COUNTS, device="numpy", progress=False)
    assert "differing_by_snapping" not in plain
    assert plain.attrs["exact"] == "twin"


def test_silent_and_unconnected_populations_have_a_grid():
    # Protects networks with nothing to snap: no division by a largest weight of 0.
    network = Network(
        0.01,
        (
            Population.input("input", 2),
            Population.lif("hidden1", 2, tau_s=0.02),
            Population.lif("alone", 1, tau_s=0.02),
        ),
        (Projection("input", "hidden1", np.zeros((2, 2))),),
    )
    for precision in BITS:
        circuit = brian.bitwise(network, precision)
        assert {g.largest_change for g in circuit.grids.values()} == {0.0}
        assert {g.relative_change for g in circuit.grids.values()} == {0.0}
        assert {g.room for g in circuit.grids.values()} == {math.inf}
    table = brian.agreement(network, np.ones((1, 3, 2)), device="numpy", exact="bitwise", progress=False)
    assert int(table["spikes"].sum()) == 0


def test_very_small_and_very_large_weights_have_a_grid():
    for scale, precision in ((1e-30, "float32"), (1e-290, "float64"), (1e30, "float32"), (1e300, "float64")):
        network = Network.from_arrays([[[0.7 * scale, 0.1 * scale]]], tau_s=0.02, dt_s=0.01, threshold=1.0)
        circuit = brian.bitwise(network, precision)
        weight = circuit.network.projections[0].weight
        np.testing.assert_allclose(weight, network.projections[0].weight, rtol=2e-4)
        np.testing.assert_array_equal(weight.astype(precision).astype(np.float64), weight)


COUNTS = np.ones((1, 5, 5), dtype=np.uint8)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cython"}, "device is 'cython'; expected one that keeps the written order"),
        ({"exact": "exactly"}, "exact is 'exactly'; expected one of twin, bitwise"),
        ({"models": "of hidden1"}, "models is .*hidden1.*; expected none with exact='bitwise'.*with_neurons"),
    ],
)
def test_what_cannot_be_is_refused(small, options, message):
    if "models" in options:
        options = {"models": {"hidden1": brian.neuron_model(small["hidden1"])}}
    with pytest.raises(InputError, match=message):
        brian.simulate(small, COUNTS, **{"device": "numpy", "exact": "bitwise", "progress": False, **options})


def test_circuits_say_themselves_what_they_are(small):
    with pytest.raises(InputError, match=r"a Network with it, not a Circuit.*brian\.bitwise\(network\)"):
        brian.simulate(brian.circuit(small), COUNTS, device="numpy", exact="bitwise")
    with pytest.raises(InputError, match=r"precision is 'float32'; expected float64.*precision='float32'"):
        brian.simulate(brian.bitwise(small), COUNTS, device="numpy", precision="float32")
    with pytest.raises(InputError, match="device is 'cython'"):
        brian.simulate(brian.bitwise(small), COUNTS, device="cython")


def test_equations_of_ones_own_stand_beside_exact_ones(small):
    # Protects the way out that the refusal names.
    circuit = brian.bitwise(small)
    eager = replace(circuit.neurons["hidden1"], threshold="v > 0.5*theta")
    counts = np.random.default_rng(8).poisson(0.3, (2, 40, 5)).astype(np.uint8)
    changed = on_numpy(circuit.with_neurons({"hidden1": eager}), counts, "float64")
    plain = reference.simulate(circuit.network, counts)
    assert changed["hidden1"].sizes["spike"] > plain["hidden1"].sizes["spike"] > 0


def test_more_spikes_than_the_circuit_was_made_for_are_refused(small):
    circuit = brian.bitwise(small, highest_count=2)
    expected = r"highest count of the input for 'input' is 3; expected at most 2\. .*highest_count=3"
    with pytest.raises(InputError, match=expected):
        brian.simulate(circuit, 3 * COUNTS, device="numpy")
    on_demand = datasets.background(
        5, rate_hz=100.0, dt_s=0.005, duration_s=0.5, trials=1, rng=np.random.default_rng(0)
    )  # fmt: skip
    highest = int(on_demand.counts(range(1), range(100)).max())
    assert highest > 2
    with pytest.raises(InputError, match="expected at most 2"):
        brian.simulate(circuit, on_demand, device="numpy", progress=False)
    enough = brian.bitwise(small, highest_count=highest)
    observed = on_numpy(enough, on_demand, "float64")
    made = on_demand.counts(range(1), range(100))
    assert_same_bits(reference.simulate(enough.network, made, record_potential=["hidden1"]), observed)


def test_a_grid_too_coarse_is_refused_with_the_way_out():
    wide = Network.from_arrays([np.full((1, 2000), 0.01)], tau_s=0.02, dt_s=0.01)
    with pytest.raises(InputError, match=r"grid of the weights of population 'hidden1'.*float64.*highest_count below"):
        brian.bitwise(wide, "float32")
    assert brian.bitwise(wide, "float32", highest_count=1).grids["hidden1"].relative_change < 1 / 256
    assert brian.bitwise(wide).grids["hidden1"].relative_change < 1e-9
    tiny = Network.from_arrays([[[1e-40]]], tau_s=0.02, dt_s=0.01)
    with pytest.raises(InputError, match="grid of the weights"):
        brian.bitwise(tiny, "float32")


@pytest.mark.parametrize(("options", "field"), [
    ({"precision": "float16"}, "precision"), ({"highest_count": 0}, "highest_count"),
    ({"highest_count": 256}, "highest_count"), ({"highest_count": 2.0}, "highest_count"),
])  # fmt: skip
def test_bad_arguments_are_named(small, options, field):
    with pytest.raises(InputError, match=f"^{field} is"):
        brian.bitwise(small, **options)


def test_auto_takes_no_device_that_rearranges(small, monkeypatch):
    # Which device is fastest depends on the machine, so that the estimate is given here.
    estimates = tuple(Estimate(name, True, 0.0, time_s, 0.0, "") for name, time_s in (("cython", 1.0), ("numpy", 2.0)))
    module = importlib.import_module("cortexsnn.brian.simulate")
    monkeypatch.setattr(module, "choose_device", lambda *given, **options: Choice("cython", estimates))
    observed = brian.simulate(small, COUNTS, device="auto", exact="bitwise", progress=False)
    assert observed.attrs["source"] == "brian2 numpy"
