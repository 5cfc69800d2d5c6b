"""Tables of layers and sweeps, and the figures of training: they show the numbers that they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from cortexsnn import cortex, plotting
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection
from cortexsnn.recording import RecordedPopulation, make_recording
from cortexsnn.summary import sweep_rows


@pytest.fixture
def ax():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def test_learned_time_constants_draws_the_median_of_every_layer(ax):
    # Protects the figure of an emerging hierarchy: the line is the median, the band the quartiles.
    first = {"epoch": 1, "tau_ms": [[10.0, 20.0, 60.0], [100.0]]}
    second = {"epoch": 2, "tau_ms": [[20.0, 30.0, 70.0], [400.0]]}
    plotting.learned_time_constants(ax, [first, second])
    lines = {line.get_label(): line for line in ax.get_lines()}
    np.testing.assert_array_equal(lines["hidden1"].get_xydata(), [[1, 20], [2, 30]])
    np.testing.assert_array_equal(lines["hidden2"].get_xydata(), [[1, 100], [2, 400]])
    band = ax.collections[0].get_paths()[0].vertices
    assert band[:, 1].min() == 15
    assert band[:, 1].max() == 50
    assert "(ms)" in ax.get_ylabel()
    with pytest.raises(InputError, match=r"no tau_ms.*a run with learned time constants"):
        plotting.learned_time_constants(ax, [{"epoch": 1}])


def sweep_table():
    return xr.Dataset(
        {
            "test_accuracy": ("run", [0.5, 0.7, 0.9, np.nan, 0.8]),
            "status": ("run", ["done", "done", "done", "failed", "done"]),
        },
        {"hierarchy.span_ms": ("run", [0.0, 0.0, 0.0, 400.0, 400.0]), "seed": ("run", [0, 1, 2, 0, 1])},
    )


def test_the_figure_of_a_sweep_has_every_seed_and_their_median(ax):
    plotting.sweep_accuracy(ax, sweep_table(), "hierarchy.span_ms", "span (ms)", published={400.0: 0.75})
    lines = {line.get_label(): line.get_xydata().tolist() for line in ax.get_lines()}
    np.testing.assert_allclose(lines["one seed"], [[0, 50], [0, 70], [0, 90], [400, 80]])
    np.testing.assert_allclose(lines["median"], [[0, 70], [400, 80]])
    np.testing.assert_allclose(lines["published"], [[400, 75]])


def test_the_table_of_a_sweep_takes_seeds_together_and_counts_failures():
    table = sweep_table()
    table["test_accuracy_before_folding"] = table["test_accuracy"] + 0.01
    table["validation_accuracy"] = ("run", [0.4, 0.6, 0.7, np.nan, 0.9])
    columns, rows = sweep_rows(table)
    first, second = (dict(zip(columns, row, strict=True)) for row in rows)
    assert (first["hierarchy.span_ms"], first["runs"], first["failed"]) == ("0.0", "3", "0")
    assert (second["runs"], second["failed"], second["test, median"]) == ("2", "1", "81.0 %")
    assert (first["validation"], first["test, median"], first["folded, median"]) == ("60.0 %", "71.0 %", "70.0 %")
    assert (first["mean"], first["lowest"], first["highest"]) == ("71.0 %", "51.0 %", "91.0 %")
    assert sweep_rows(sweep_table())[1][0][3:5] == ["-", "-"]


def network():
    tau_s = -0.01 / np.log(0.5)  # alpha = 0.5: a mean lag of one step
    return Network(
        0.01,
        (
            Population.input("input", 2),
            Population.lif("hidden1", 2, tau_s=tau_s),
            Population.readout("readout", 2, tau_s=0.05),
        ),
        (
            Projection("input", "hidden1", np.ones((3, 2, 2)), (0, 2, 4)),
            Projection("hidden1", "hidden1", np.ones((2, 2)), (1,)),
            Projection("hidden1", "readout", np.ones((2, 2))),
        ),
    )


def test_effective_memory_of_a_layer_is_that_of_membrane_and_taps():
    assert network().effective_memory_s("hidden1") == pytest.approx(0.01 * (1 + 2))


def timescales_of(*tau_ms):
    tau = np.array(tau_ms)
    layers = [f"hidden{depth + 1}" for depth in range(tau.size)]
    return xr.Dataset(
        {
            "tau_ms": ("layer", tau),
            "tau_low_ms": ("layer", np.where(np.isfinite(tau), 0.0, np.nan)),
            "tau_high_ms": ("layer", np.where(np.isfinite(tau), np.inf, np.nan)),
        },
        {"layer": layers, "depth": ("layer", np.arange(1, tau.size + 1))},
    )


def marks_of(ax):
    """Places and heights of all marks, in order."""
    points = [line.get_xydata() for line in ax.get_lines() if line.get_marker() in set("os^DvP")]
    return np.concatenate(points)


@pytest.mark.parametrize("table", [cortex.load("murray2014"), cortex.load("siegle2021", "intrinsic"),
                                   cortex.load("gao2020_human"), cortex.load("chaudhuri2015", "noise_to_all")],
                         ids=lambda table: table.attrs["table"])  # fmt: skip
def test_layers_and_areas_of_any_table_stand_on_one_logarithmic_axis(ax, table):
    # Protects the main figure: every timescale that is there is drawn at its height, and none that is not.
    named = {"a-seed0": timescales_of(50.0, np.nan, 200.0), "b-seed0": timescales_of(30.0, 90.0)}
    plotting.layers_and_areas(ax, named, {"a-seed0": "a", "b-seed0": "b"}, {"cortex": table})
    heights = marks_of(ax)[:, 1]
    expected = [50.0, 200.0, 30.0, 90.0, *table["tau_ms"].to_numpy()]
    np.testing.assert_allclose(np.sort(heights), np.sort(expected))
    low, high = ax.get_ylim()
    assert low < min(expected) < max(expected) < high
    assert ax.get_yscale() == "log"
    assert "(ms)" in ax.get_ylabel()
    assert len(ax.get_xticks()) == 5 + len(set(table["area"].to_numpy().tolist()))


def test_no_line_goes_over_a_layer_without_a_timescale(ax):
    plotting.layers_and_areas(ax, {"a": timescales_of(50.0, np.nan, 200.0, 210.0)}, {"a": "a"}, {})
    assert sorted(line.get_xydata().shape[0] for line in ax.get_lines()) == [1, 2]


def test_areas_stand_in_the_order_of_the_hierarchy(ax):
    table = cortex.load("gao2020_macaque")
    plotting.layers_and_areas(ax, {}, {}, {"ECoG": table})
    order = [text.get_text() for text in ax.get_xticklabels()]
    assert order == ["MT", "LIP", "LPFC", "OFC", "ACC", "S1", "S2"]
    # Marks of another signal than spikes are open.
    assert {line.get_markerfacecolor() for line in ax.get_lines() if line.get_marker() == "o"} == {"#ffffff"}


@pytest.mark.parametrize(
    ("tables", "words"),
    [
        ({}, "networks and tables is 0"),
        ({"mouse": cortex.load("siegle2021")}, "measures of 'mouse'"),
        ({"macaque": cortex.load("froudistwalsh2021")}, "timescales"),
    ],
)
def test_what_cannot_be_drawn_is_said(ax, tables, words):
    with pytest.raises(InputError, match=words):
        plotting.layers_and_areas(ax, {}, {}, tables)


def test_slopes_stand_with_their_intervals_and_what_they_are_the_mean_of(ax):
    row = plotting.SlopeRow
    plotting.slopes(ax, [row("a", 1.0, 0.5, np.inf, (0.8, 1.2)), row("b", np.nan), row("c", -0.2, -0.5, 0.1)])
    low, high = ax.get_xlim()
    assert low < -0.5
    assert 1.2 < high < 10
    bars = [line.get_xydata() for line in ax.get_lines() if line.get_linestyle() == "-" and line.get_marker() == "None"]
    np.testing.assert_allclose(bars[0][0], [0.5, 0])
    assert bars[0][1][0] > high  # an open end leaves the axes
    np.testing.assert_allclose(bars[2], [[-0.5, 2], [0.1, 2]])
    points = [line.get_xdata().tolist() for line in ax.get_lines() if line.get_markersize() == 3]
    assert points[0] == [0.8, 1.2]
    assert "no slope" in [text.get_text() for text in ax.texts]
    with pytest.raises(InputError, match="rows is 0"):
        plotting.slopes(ax, [])


def test_the_matrix_frames_the_nearest_area_and_hatches_what_is_not_there(ax):
    plotting.distance_matrix(ax, [60.0, np.nan, 290.0], [77.0, 138.0, 303.0], ["1", "2", "3"], ["MT", "LIP", "ACC"])
    frames = [patch for patch in ax.patches if not patch.get_hatch()]
    assert [(round(patch.get_x()), round(patch.get_y())) for patch in frames] == [(0, 0), (2, 2)]
    (missing,) = [patch for patch in ax.patches if patch.get_hatch()]
    assert missing.get_y() == 1
    assert [text.get_text() for text in ax.texts] == ["1.3", "2.3", "5.0", "3.8", "2.1", "1.0"]
    with pytest.raises(InputError, match="shape of probabilities"):
        plotting.probability_matrix(ax, [[0.5, 0.5]], ["1"], ["MT"])


def test_slopes_of_learned_time_constants_are_those_of_their_medians(ax):
    rows = [{"epoch": epoch, "tau_ms": [[10.0], [10.0 * epoch], [10.0 * epoch**2]]} for epoch in (1, 2)]
    plotting.learned_slopes(ax, {"a": rows}, {"a": "a"})
    np.testing.assert_allclose(ax.get_lines()[1].get_ydata(), [0.0, 2 * np.log(2)])
    with pytest.raises(InputError, match=r"layers of 'a' is 1"):
        plotting.learned_slopes(ax, {"a": [{"epoch": 1, "tau_ms": [[1.0]]}]}, {"a": "a"})


def test_brains_show_the_areas_that_they_are_given(ax):
    table = cortex.area_means(cortex.load("murray2014"))
    tau = dict(zip(table["area"].to_numpy().tolist(), table["tau_ms"].to_numpy().tolist(), strict=True))
    plotting.brain(ax, tau, "macaque")
    assert {text.get_text() for text in ax.texts} >= set(tau)
    with pytest.raises(InputError, match="area of the macaque is 'V9'"):
        plotting.brain(ax, {"V9": 10.0}, "macaque")
    with pytest.raises(InputError, match="species is 'cat'"):
        plotting.brain(ax, tau, "cat")
    with pytest.raises(InputError, match="tau_ms"):
        plotting.brain(ax, {"MT": np.nan}, "macaque")


def test_areas_of_a_brain_do_not_cover_each_other():
    for brain in plotting.BRAINS.values():
        areas = list(brain.areas.values())
        for index, first in enumerate(areas):
            for second in areas[index + 1 :]:
                apart = np.hypot(*np.subtract(first.centre, second.centre))
                assert apart > (min(first.size) + min(second.size)) / 2


def test_a_raster_of_few_neurons_is_one_line_with_all_spikes(ax):
    counts = np.zeros((1, 20, 3), dtype=int)
    counts[0, [1, 5, 5, 19], [0, 0, 2, 1]] = 1
    layer = RecordedPopulation.from_counts("hidden1", "lif", counts)
    plotting.raster(ax, make_recording([layer], dt_s=0.01, trials=1, steps=20, source="test"), "hidden1")
    (line,) = ax.get_lines()
    places = line.get_xydata().reshape(-1, 3, 2)
    assert np.isnan(places[:, 2, 1]).all()
    spikes = {(round(x / 10), round(y)) for x, y in places[:, :2].mean(axis=1)}
    assert len(spikes) == 4
    assert {neuron for _, neuron in spikes} == {0, 1, 2}


@pytest.mark.torch
def test_the_table_before_training_shows_effective_memory():
    # Protects the figures that are shown before training: after the cut of alpha, with the delays of the taps.
    pytest.importorskip("torch")
    from cortexsnn.summary import layer_rows
    from cortexsnn.training import Architecture, LearnedTau, stack

    layers = stack((4, 5), (0.1, 10.0), kernel_size=(1, 3), dilation=2, learned_tau=[LearnedTau(), None])
    columns, rows = layer_rows(Architecture(3, 2, layers, 0.05, dt_s=0.01, alpha_bounds=(0.1, 0.98)))
    first, second = (dict(zip(columns, row, strict=True)) for row in rows)
    assert first["τ (ms)"] == "100, learned"
    assert second["τ (ms)"] == "495"
    assert second["receptive field (ms)"] == "50"
    assert second["effective memory (ms)"] == "510"  # alpha / (1 - alpha) = 49 steps, and 2 of the taps
    assert second["summed over depth (ms)"] == "605"
