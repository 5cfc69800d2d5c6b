"""Bit for bit: the NumPy runtime and C++ standalone, float64 and float32, synapses in any order."""

import re
from dataclasses import replace

import numpy as np
import pytest

from cortexsnn import brian, recording, reference
from cortexsnn.brian import blocks, cpp, program
from cortexsnn.network import Network, Population, Projection

PRECISIONS = ("float64", "float32")


def names(network):
    return [p.name for p in network.hidden]


def run(circuit, counts, device):
    return brian.simulate(
        circuit,
        counts,
        device=device,
        precision=circuit.precision,
        record_potential=names(circuit.network),
        progress=False,
    )


def assert_same_bits(expected, observed):
    """No spike differs, and no potential in any bit."""
    table = recording.compare(expected, observed)
    assert table["differing"].to_numpy().tolist() == [0] * table.sizes["population"]
    assert table["potential_difference"].to_numpy().tolist() == [0.0] * table.sizes["population"]


def permuted(network, rng):
    """The same network with its channels and neurons numbered anew, so that every sum has another order."""
    order = {p.name: rng.permutation(p.size) for p in network.populations}

    def numbered(population):
        new = order[population.name]
        adaptation = population.adaptation
        arrays = {
            key: getattr(population, key)[new]
            for key in ("tau_s", "bias", "threshold")
            if getattr(population, key).size
        }
        if adaptation is not None:
            arrays["adaptation"] = replace(adaptation, strength=adaptation.strength[new], tau_s=adaptation.tau_s[new])
        return replace(population, **arrays)

    populations = tuple(numbered(p) for p in network.populations)
    projections = tuple(
        replace(q, weight=q.weight[:, order[q.target]][:, :, order[q.source]]) for q in network.projections
    )
    return replace(network, populations=populations, projections=projections), order


def largest_difference(network, order, plain, other):
    """Over all potentials, and whether a spike differs, between a recording and that of the renumbered network."""
    worst, spikes_differ = 0.0, False
    for p in network.order:
        new = order[p.name]
        left = plain[p.name]["potential"].to_numpy()[:, :, new]
        worst = max(worst, float(np.abs(left - other[p.name]["potential"].to_numpy()).max()))
        if p.kind == "lif":
            same = np.array_equal(
                recording.dense_spikes(plain, p.name)[:, :, new], recording.dense_spikes(other, p.name)
            )
            spikes_differ |= not same
    return worst, spikes_differ


def trained_like(seed, channels=40, hidden=(32, 24)):
    """A dense network as training leaves it: signed weights, biases, hierarchical taus."""
    rng = np.random.default_rng(seed)
    populations, projections, size, source = [Population.input("input", channels)], [], channels, "input"
    for layer, (neurons, tau_s) in enumerate(zip(hidden, (0.02, 0.1), strict=True)):
        name = f"hidden{layer + 1}"
        tau = tau_s * rng.uniform(0.8, 1.2, neurons)
        populations.append(Population.lif(name, neurons, tau_s=tau, bias=rng.normal(-0.02, 0.03, neurons)))
        projections.append(Projection(source, name, rng.normal(0.05, 0.3, (neurons, size))))
        source, size = name, neurons
    populations.append(Population.readout("readout", 5, tau_s=0.05, bias=rng.normal(0, 0.1, 5)))
    projections.append(Projection(source, "readout", rng.normal(0, 0.5, (5, size))))
    return Network(0.01, tuple(populations), tuple(projections), "sum_of_softmax")


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(21).poisson(0.15, (4, 100, 40)).astype(np.uint8)


def assert_active(network, result):
    for name in names(network):
        assert 0.01 <= recording.dense_spikes(result, name).mean() <= 0.40, name


@pytest.mark.parametrize("precision", PRECISIONS)
def test_dense_networks_on_numpy_and_in_cpp(precision, counts):
    # Protects the promise on several networks that share a program: same bits on both devices, and in float64 those of
    # the reference.
    assert counts.max() > 1
    for seed in (1, 2, 3):
        circuit = brian.bitwise(trained_like(seed), precision, highest_count=int(counts.max()))
        compiled = run(circuit, counts, "cpp_standalone")
        assert_active(circuit.network, compiled)
        assert_same_bits(run(circuit, counts, "numpy"), compiled)
        if precision == "float64":
            expected = reference.simulate(circuit.network, counts, record_potential=names(circuit.network))
            assert_same_bits(expected, compiled)


@pytest.mark.parametrize("device", ["numpy", "cpp_standalone"])
def test_synapses_in_any_order_in_float32(device, counts):
    # Protects the reason of it all: the order of sums is the device's, and on a GPU differs from run to run.
    network = trained_like(1)
    circuit = brian.bitwise(network, "float32", highest_count=int(counts.max()))
    plain = run(circuit, counts, device)
    worst_of_twin = 0.0
    for seed in (0, 1):
        other, order = permuted(network, np.random.default_rng(seed))
        renumbered = brian.bitwise(other, "float32", highest_count=int(counts.max()))
        given = counts[:, :, order["input"]]
        assert largest_difference(network, order, plain, run(renumbered, given, device)) == (0.0, False)
        if seed == 0:
            twins = [
                brian.simulate(
                    n, c, device="numpy", precision="float32", record_potential=names(n), progress=False
                ) for n, c in ((network, counts), (other, given))
            ]  # fmt: skip
            worst_of_twin, _ = largest_difference(network, order, *twins)
    # The plain twin in float32 has other bits when its neurons are numbered anew: the test can fail.
    assert worst_of_twin > 1e-8


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_every_kind_on_numpy_and_in_cpp(precision, random_network, random_counts, made_lively, in_lively_range):
    # Protects every reset, adaptation, refractoriness, taps with delays, recurrent and top-down feedback and skips.
    structure = {
        "hidden": (9, 8, 7), "resets": ("subtract", "zero", "subtract_decayed"), "max_delay": 3,
        "recurrent": True, "topdown": True, "skip": True, "refractory": (0, 2, 1), "adaptation": True, "gain": 1.5,
    }  # fmt: skip
    rng = np.random.default_rng(1)
    given = random_counts(rng, 4, 80, 4)
    network = made_lively(random_network(rng, **structure), given)
    assert in_lively_range(network, given)
    circuit = brian.bitwise(network, precision, highest_count=int(given.max()))
    compiled = run(circuit, given, "cpp_standalone")
    assert_same_bits(run(circuit, given, "numpy"), compiled)
    if precision == "float64":
        assert_same_bits(reference.simulate(circuit.network, given, record_potential=names(network)), compiled)


@pytest.mark.slow
@pytest.mark.parametrize("precision", PRECISIONS)
def test_a_long_trial_in_blocks_of_time_keeps_its_bits(precision, monkeypatch):
    # Protects runs that go through the disk or through the state between two blocks, in both forms of it.
    rng = np.random.default_rng(5)
    network = Network.from_arrays(
        [rng.normal(0.1, 0.4, (12, 8)), rng.normal(0.1, 0.4, (10, 12))],
        recurrent=[rng.normal(0, 0.3, (12, 12)), rng.normal(0, 0.3, (10, 10))],
        delay_steps=[None, (2,)],
        tau_s=[0.02, 0.1],
        reset=["subtract", "zero"],
        dt_s=0.005,
    )
    given = rng.poisson(0.2, (1, 200, 8)).astype(np.uint8)
    circuit = brian.bitwise(network, precision, highest_count=int(given.max()))
    whole = run(circuit, given, "numpy")
    assert_active(network, whole)
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (8 + 22) * 64)
    assert_same_bits(whole, run(circuit, given, "cpp_standalone"))
    assert_same_bits(whole, run(circuit, given, "numpy"))


def test_generated_code_keeps_the_written_order(counts):
    # Protects the statements from what Brian2's optimiser or a compiler's flags might make of them.
    circuit = brian.bitwise(trained_like(1), "float32", highest_count=int(counts.max()))
    run(circuit, counts, "cpp_standalone")
    bodies = [
        path.read_text(encoding="utf-8").partition("MAIN CODE")[2]
        for path in program._cache().glob("*/code_objects/hidden1_before_threshold_codeobject.cpp")
    ]
    dense = [body for body in bodies if "float arrived" in body and "strength" not in body]
    assert dense
    for body in dense:
        statements = re.findall(r"^\s*((?:v|arrived|fired) [-+*]?= [^;]*);", body, flags=re.MULTILINE)
        assert statements == [
            "arrived += bias",
            "v = (alpha * v) + arrived",
            "v -= theta * fired",
            "fired = 0",
            "arrived = 0",
        ]
        # Neither a type nor a literal of float64, with which a sum would be rounded twice.
        assert "double" not in body
        assert not re.search(r"\d\.\d", body)
    assert "-ffp-contract=off" in cpp.COMPILER_FLAGS
    assert not {"-ffast-math", "-funsafe-math-optimizations", "-march=native"} & set(cpp.COMPILER_FLAGS)
