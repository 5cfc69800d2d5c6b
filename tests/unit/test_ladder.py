"""The ladder and the measures below it: each number is what its words say, rung 1 is the twin, the figure shows all."""

import json
from dataclasses import asdict, replace

import numpy as np
import pytest
import xarray as xr
from matplotlib import pyplot as plt

from cortexsnn import brian, plotting, recording, reference, timescales
from cortexsnn.brian import RUNGS, Realism
from cortexsnn.brian.biophysics.likeness import count_correlation, on_input_steps, shared_spikes, wilson_interval
from cortexsnn.decoding import accuracy, decode
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection
from cortexsnn.recording import RecordedPopulation, make_recording

TRIALS, STEPS = 4, 40
SCORED = np.arange(STEPS) >= 20


@pytest.fixture(scope="module")
def network():
    rng = np.random.default_rng(3)
    return Network(
        0.01,
        (
            Population.input("input", 6),
            Population.lif("hidden1", 8, tau_s=0.03, bias=rng.normal(0, 0.1, 8)),
            Population.lif("hidden2", 5, tau_s=0.08),
            Population.readout("readout", 2, tau_s=0.1),
        ),
        (
            Projection("input", "hidden1", rng.normal(0.25, 0.3, (8, 6))),
            Projection("hidden1", "hidden2", rng.normal(0.15, 0.3, (5, 8))),
            Projection("hidden2", "readout", rng.normal(0, 1, (2, 5))),
        ),
        decoder="per_step",
    )


@pytest.fixture(scope="module")
def counts():
    return np.random.default_rng(4).poisson(0.2, (TRIALS, STEPS, 6)).astype(np.uint8)


@pytest.fixture(scope="module")
def table(network, counts):
    """Four rungs on a task that the twin does in three of four steps by definition."""
    return brian.ladder(
        network,
        counts,
        rungs=(0, 1, 2, 6),
        labels=right_answers(network, counts),
        scored_steps=SCORED,
        device="numpy",
        bootstrap=10,
        rng=np.random.default_rng(1),
        progress=False,
    )


def right_answers(network, counts):
    """The classes of the reference, but for every fourth step."""
    classes = decode(reference.simulate(network, counts)["readout"]["potential"].to_numpy(), "per_step")
    classes[:, ::4] = 1 - classes[:, ::4]
    return classes


# Measures


def test_shared_spikes_of_random_trains_is_the_index_of_dice():
    rng = np.random.default_rng(1)
    left, right = (rng.poisson(0.4, (3, 20, 4)) for _ in range(2))
    pairs = sum(min(a, b) for a, b in zip(left.ravel(), right.ravel(), strict=True))
    assert shared_spikes(left, right) == pytest.approx(2 * pairs / (left.sum() + right.sum()))
    assert shared_spikes(left, left) == 1
    assert shared_spikes(left, 0 * left) == 0
    assert np.isnan(shared_spikes(0 * left, 0 * left))
    # Counts of uint8 must not run over.
    many = np.full((100, 100, 1), 255, dtype=np.uint8)
    assert shared_spikes(many, many) == 1


def test_count_correlation_is_that_of_numpy_and_knows_silence():
    rng = np.random.default_rng(1)
    left, right = (rng.poisson(0.4, (3, 23, 4)).astype(np.uint8) for _ in range(2))
    right[:, :, 2] = 0
    binned = [a[:, :20].reshape(3, 4, 5, 4).sum(axis=2).reshape(12, 4) for a in (left, right)]
    found = count_correlation(left, right, 5)
    for neuron in (0, 1, 3):
        assert found[neuron] == pytest.approx(np.corrcoef(binned[0][:, neuron], binned[1][:, neuron])[0, 1])
    assert np.isnan(found[2])
    with pytest.raises(InputError, match="time steps of a bin is 24; expected at most 23"):
        count_correlation(left, right, 24)


@pytest.mark.parametrize(("right", "trials", "low", "high"), [(0, 10, 0.0, 0.2775), (81, 263, 0.2553, 0.3662)])
def test_wilson_interval_has_the_published_ends(right, trials, low, high):
    # Newcombe 1998, https://doi.org/10.1002/(SICI)1097-0258(19980430)17:8<857::AID-SIM777>3.0.CO;2-E, table I, method 3
    assert wilson_interval(right / trials, trials) == pytest.approx((low, high), abs=6e-5)


def test_fine_steps_are_laid_on_those_of_the_input():
    rng = np.random.default_rng(1)
    spikes = rng.poisson(0.3, (2, 20, 3))
    potential = rng.normal(size=(2, 20, 3))
    fine = make_recording(
        [RecordedPopulation.from_counts("hidden1", "lif", spikes, potential)],
        dt_s=0.001, trials=2, steps=20, source="example", network="abc",
    )  # fmt: skip
    coarse = on_input_steps(fine, 5)
    expected = spikes.reshape(2, 4, 5, 3).sum(axis=2)
    np.testing.assert_array_equal(recording.dense_spikes(coarse, "hidden1"), expected)
    np.testing.assert_array_equal(coarse["hidden1"]["potential"], potential[:, ::5])
    assert coarse.attrs["dt_s"] == pytest.approx(0.005)
    assert recording.steps_per_trial(coarse).tolist() == [4, 4]
    assert coarse.attrs["network"] == "abc"


# Effects


def test_physical_units_change_nothing(table):
    one = table.sel(rung=1)
    assert table["rate_hz"].min() > 1
    np.testing.assert_array_equal(one["agreement"], 1.0)
    np.testing.assert_allclose(one["count_correlation"], 1.0)
    assert float(one["accuracy"]) == float(table["accuracy"].sel(rung=0)) == 0.75
    for name in ("rate_hz", "tau_ms", "status"):
        np.testing.assert_array_equal(one[name], table[name].sel(rung=0))


def test_other_rungs_change_something_and_say_what(table, network):
    assert (table["agreement"].sel(rung=6) < 1).all()
    assert (table["agreement"].sel(rung=6) > 0).all()
    assert table["adds"].values.tolist() == [RUNGS[n].adds for n in (0, 1, 2, 6)]
    assert "background current" in table["changes"].sel(rung=6).item()
    assert table["changes"].sel(rung=0).item() == ""
    assert table.attrs["network"] == network.fingerprint()
    assert json.loads(table.attrs["realism"])["steps_per_bin"] == 10


def test_figures_are_those_of_the_recordings(network, counts, table):
    # Each measured again, by the public functions, on a run of its own.
    coarse = on_input_steps(
        brian.simulate(brian.realistic(network, RUNGS[2].realism), counts, device="numpy", progress=False), 10
    )
    exact = reference.simulate(network, counts)
    own, twin = (recording.dense_spikes(r, "hidden2") for r in (coarse, exact))
    one = table.sel(rung=2, layer="hidden2")
    assert own.sum() != twin.sum()
    assert float(one["agreement"]) == shared_spikes(own, twin)
    assert float(one["agreement_by_chance"]) == shared_spikes(own, np.roll(twin, 1, axis=0))
    assert float(one["rate_hz"]) == pytest.approx(own.sum() / (TRIALS * 5 * STEPS * 0.01))
    correlation = count_correlation(twin, own, 5)
    assert float(one["count_correlation"]) == pytest.approx(np.nanmean(correlation))
    assert int(one["neurons_correlated"]) == np.isfinite(correlation).sum()
    labels = right_answers(network, counts)
    classes = decode(coarse["readout"]["potential"].to_numpy(), "per_step")
    share = accuracy(classes, labels, SCORED)
    assert float(table["accuracy"].sel(rung=2)) == share
    ends = [float(table[name].sel(rung=2)) for name in ("accuracy_low", "accuracy_high")]
    assert ends == pytest.approx(wilson_interval(share, TRIALS))
    assert table.attrs["usual_answer"] == np.bincount(labels[:, SCORED].ravel()).max() / labels[:, SCORED].size


def test_timescales_come_from_the_spontaneous_trials(network, counts):
    spontaneous = np.random.default_rng(5).poisson(0.2, (30, 80, 6))
    measured = brian.effects(
        {"twin": network}, counts, spontaneous=spontaneous, start_ms=100.0, device="numpy", bootstrap=0,
        rng=np.random.default_rng(1), progress=False,
    )  # fmt: skip
    expected = timescales.estimate(
        reference.simulate(network, spontaneous), start_ms=100.0, bin_ms=50.0, bootstrap=0,
        rng=np.random.default_rng(int(np.random.default_rng(1).integers(2**63))), progress=False,
    )  # fmt: skip
    np.testing.assert_array_equal(measured["tau_ms"][0], expected["tau_ms"])
    np.testing.assert_array_equal(measured["tau_rate_hz"][0], expected["rate_hz"])
    assert measured.attrs["tau_trials"] == 30
    assert measured.attrs["trials"] == TRIALS
    assert np.isnan(measured["accuracy"]).all()


def test_the_same_generator_gives_the_same_noise(network, counts):
    noisy = {"first": network, "noisy": brian.synaptic_noise(brian.circuit(network), 0.5)}
    settings = {"device": "numpy", "bootstrap": 0, "progress": False}
    tables = [brian.effects(noisy, counts[:2], rng=np.random.default_rng(seed), **settings) for seed in (1, 1, 2)]
    agreement = [one["agreement"].sel(circuit="noisy").to_numpy() for one in tables]
    np.testing.assert_array_equal(agreement[0], agreement[1])
    assert (agreement[0] != agreement[2]).any()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"circuits": {}}, "circuits is {}; expected at least one"),
        ({"circuits": ["twin"]}, "circuits is 'list'; expected names with circuits"),
        ({"circuits": {"twin": "network"}}, "circuit 'twin' is 'str'; expected a Circuit or Network"),
        ({"labels": np.zeros((2, STEPS), dtype=int)}, "shape of labels"),
        ({"bin_ms": 55.0}, "bin_ms is 55.0"),
        ({"rng": 1}, "rng is 1"),
    ],
)
def test_bad_input_is_refused_by_name(network, counts, change, message):
    given = {"circuits": {"twin": network}, "rng": np.random.default_rng(1), "device": "numpy"} | change
    with pytest.raises(InputError, match=message):
        brian.effects(given.pop("circuits"), counts, progress=False, **given)


def test_circuits_that_cannot_be_compared_are_refused(network, counts):
    def with_first(**change):
        return replace(network, **change)

    other = Network.from_arrays([np.ones((2, 6))], tau_s=0.02, dt_s=0.01)
    settings = {"rng": np.random.default_rng(1), "device": "numpy", "progress": False}
    with pytest.raises(InputError, match="layers and sizes of circuit 'other'"):
        brian.effects({"twin": network, "other": other}, counts, **settings)
    with pytest.raises(InputError, match=r"time step of the input of circuit 'slow' is 0\.02"):
        brian.effects({"twin": network, "slow": with_first(dt_s=0.02)}, counts, **settings)
    with pytest.raises(InputError, match="None for a network without a decoder"):
        brian.effects({"twin": with_first(decoder=None)}, counts, labels=[0] * TRIALS, **settings)


# Rungs


def test_every_rung_is_part_of_the_highest():
    assert [brian.on_rung(n) for n in RUNGS] == [rung.realism for rung in RUNGS.values()]
    top = Realism(steps_per_bin=20, refractory_ms=3.0, synapses="conductance", noise_sd_mv=1.0, threshold_mv=-55.0)
    climbed = [brian.on_rung(n, top) for n in RUNGS]
    assert climbed[0] is None
    assert climbed[6] == top
    assert {one.threshold_mv for one in climbed[1:]} == {-55.0}
    assert [one.steps_per_bin for one in climbed[1:]] == [1, 20, 20, 20, 20, 20]
    assert [one.refractory_ms for one in climbed[1:]] == [0, 0, 3, 3, 3, 3]
    assert [one.synapses for one in climbed[1:]] == ["delta"] * 3 + ["current", "conductance", "conductance"]
    assert [one.noise_sd_mv for one in climbed[1:]] == [0] * 5 + [1]
    with pytest.raises(InputError, match="rung is 7; expected one of 0, 1, 2, 3, 4, 5, 6"):
        brian.on_rung(7)


@pytest.mark.parametrize(
    ("synapses", "expected"),
    [("delta", ["delta"] * 6), ("current", ["delta"] * 3 + ["current"] * 3)],
)
def test_no_rung_has_more_than_the_highest(synapses, expected):
    # Protects the order of the rungs: none may have a mechanism that a higher one lacks.
    top = Realism(synapses=synapses)
    assert [brian.on_rung(n, top).synapses for n in range(1, 7)] == expected
    assert brian.on_rung(6, top) == top


def test_the_table_says_what_each_rung_adds(network, counts):
    # Protects the words of the table where the highest rung is not the usual one.
    top = Realism(steps_per_bin=5, refractory_ms=6.0, synapses="current", noise_sd_mv=0.5)
    table = brian.ladder(
        network, counts[:2], realism=top, device="numpy", bootstrap=0, rng=np.random.default_rng(1), progress=False
    )
    assert table["adds"].values.tolist() == [
        "the exact twin",
        "physical units",
        "the time step divided by 5",
        "a refractory period of 6 ms",
        "exponential synaptic currents",
        "nothing",
        "a background current that makes the potential fluctuate by 0.5 mV",
    ]


def test_a_realism_of_numpy_numbers_can_be_written(network, counts):
    # Protects the end of a long run: the realism goes into the table as JSON.
    top = Realism(steps_per_bin=np.int64(2), refractory_ms=np.float32(2.5), threshold_mv=np.float64(-50))
    assert {type(value) for value in asdict(top).values()} == {int, float, str}
    assert json.loads(json.dumps(asdict(top)))["refractory_ms"] == 2.5


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"rungs": 3}, r"rungs is 3; expected numbers among 0, 1, .* rungs=\(3,\) is one rung"),
        ({"rungs": "3"}, "rungs is '3'; expected numbers among 0, 1"),
        ({"rungs": [1, "3"]}, "rung is '3'; expected one of 0, 1"),
        ({"rungs": [True]}, "rung is True"),
        ({"realism": RUNGS[4]}, r"RUNGS\[4\]\.realism is one"),
        ({"realism": None}, "realism is None; expected a Realism"),
    ],
)
def test_slips_on_the_ladder_are_refused_by_name(network, counts, change, message):
    with pytest.raises(InputError, match=message):
        brian.ladder(network, counts, device="numpy", rng=np.random.default_rng(1), **change)


def test_a_rung_that_does_not_fit_is_refused_with_a_way_out(network, counts):
    short = replace(brian.on_rung(6), steps_per_bin=2)
    with pytest.raises(InputError, match=r"refractory_ms is 2\.0; .* take steps_per_bin >= 5"):
        brian.ladder(network, counts, realism=short, rng=np.random.default_rng(1))


# Figure


def test_the_figure_shows_every_number(table):
    axes = plotting.ladder(table)
    try:
        accuracy_line = axes[0].containers[0].lines[0]
        np.testing.assert_allclose(accuracy_line.get_ydata(), 100 * table["accuracy"])
        solid, dashed = axes[1].lines[0], axes[1].lines[1]
        np.testing.assert_allclose(solid.get_ydata(), table["agreement"].sel(layer="hidden1"))
        np.testing.assert_allclose(dashed.get_ydata(), table["count_correlation"].sel(layer="hidden1"))
        np.testing.assert_allclose(axes[2].lines[1].get_ydata(), table["rate_hz"].sel(layer="hidden2"))
        crosses = sum(len(line.get_xdata()) for line in axes[3].lines if line.get_marker() == "x")
        assert crosses == int(np.isnan(table["tau_ms"]).sum())
        assert [ax.get_xlabel() for ax in axes] == ["rung"] * 4
        assert axes[0].get_xticks().tolist() == [0, 1, 2, 6]
    finally:
        plt.close()


def test_the_figure_draws_on_given_axes_and_refuses_other_tables(table):
    figure, axes = plt.subplots(1, 4)
    drawn = plotting.ladder(table.assign(tau_ms=xr.full_like(table["tau_ms"], 100.0)), list(axes))
    assert drawn == list(axes)
    assert drawn[3].get_legend() is None
    plt.close(figure)
    with pytest.raises(InputError, match="axes is 3; expected 4 of them"):
        plotting.ladder(table, list(axes[:3]))
    with pytest.raises(InputError, match="expected one with rung"):
        plotting.ladder(table.rename(rung="circuit"))
