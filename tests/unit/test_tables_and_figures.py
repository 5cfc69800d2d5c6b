"""Tables of layers and sweeps, and the figures of training: they show the numbers that they were given."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from cortexsnn import plotting
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection
from cortexsnn.report import _flat, _in_words
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


def network(**options):
    tau_s = -0.01 / np.log(0.5)  # alpha = 0.5: a mean lag of one step
    return Network(
        0.01,
        (
            Population.input("input", 2),
            Population.lif("hidden1", 2, tau_s=tau_s, **options),
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


def test_the_report_says_what_kind_of_network_it_is():
    said = _in_words(network(reset="zero", adaptation_strength=0.1, adaptation_tau_s=0.2))
    assert said.startswith("Recurrent networks of 2 - 2 - 2 neurons")
    for words in ("reset to zero", "delays of up to 40 ms", "adaptive thresholds"):
        assert words in said


def test_settings_are_listed_without_what_is_switched_off():
    settings = {"epochs": 3, "augmentation": None, "regularisation": {"rate": 0.0, "target_rate_hz": 10.0}}
    assert _flat(settings) == ["epochs 3", "regularisation target rate hz 10.0"]


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
