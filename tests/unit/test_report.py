"""Parts of the report: drawings, tables, references and methods say what they were given, and nothing else."""

import re
from dataclasses import replace
from itertools import pairwise
from urllib.parse import unquote
from xml.etree import ElementTree

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from matplotlib.figure import Figure

from cortexsnn import cortex, figures, timescales
from cortexsnn.network import Network, Population, Projection
from cortexsnn.report.drawings import DARK_PAPER, dark, dark_rules, drawing
from cortexsnn.report.methods import ESTIMATORS, in_words, methods, settings_in_words
from cortexsnn.report.references import KNOWN, from_bibtex, from_doi, unique
from cortexsnn.report.tables import Section, Table
from cortexsnn.report.tasks import TASKS
from cortexsnn.runs import Run


def network(metadata=None, **options):
    return Network(
        0.01,
        (
            Population.input("input", 2),
            Population.lif("hidden1", 2, tau_s=0.02, **options),
            Population.readout("readout", 2, tau_s=0.05),
        ),
        (
            Projection("input", "hidden1", np.ones((3, 2, 2)), (0, 2, 4)),
            Projection("hidden1", "hidden1", np.ones((2, 2)), (1,)),
            Projection("hidden1", "readout", np.ones((2, 2))),
        ),
        metadata=metadata or {},
    )


def luminance(colour):
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels]
    return sum(weight * c for weight, c in zip((0.2126, 0.7152, 0.0722), linear, strict=True))


def test_the_report_says_what_kind_of_network_it_is():
    said = in_words(network(reset="zero", adaptation_strength=0.1, adaptation_tau_s=0.2))
    assert said.startswith("Recurrent networks of 2 - 2 - 2 neurons")
    for words in ("reset to zero", "delays of up to 40 ms", "adaptive thresholds"):
        assert words in said


def test_settings_are_listed_without_what_is_switched_off():
    settings = {"epochs": 3, "augmentation": None, "regularisation": {"rate": 0.0, "target_rate_hz": 10.0}}
    assert settings_in_words(settings) == ["epochs 3", "regularisation target rate hz 10.0"]


@pytest.mark.parametrize(
    "colour", ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#222222", "#5a5a5a"]
)
def test_colours_stand_out_on_dark_paper(colour):
    # Protects the reader at night: contrast by WCAG 2 of every colour of the house style.
    low, high = sorted((luminance(dark(colour)), luminance(DARK_PAPER)))
    assert (high + 0.05) / (low + 0.05) > 4.5


def test_drawings_have_names_of_their_own_and_colours_that_change():
    # Protects pages of several drawings: two of the same figure must not share ids, which clip and glyphs refer to.
    figure = Figure()
    ax = figure.subplots()
    ax.plot([0, 1], [0, 1], color="#123456")
    fixed = ax.text(0.5, 0.5, "fixed", color="#abcdef")
    fixed.set_gid("fixed-words")
    first, second = (drawing(figure, name, "alt", "caption") for name in ("one", "two"))
    ids = [re.findall(r'\bid="([^"]+)"', str(one.svg)) for one in (first, second)]
    assert len(ids[0]) > 5
    assert not set(ids[0]) & set(ids[1])
    for one, own in zip((first, second), ids, strict=True):
        targets = re.findall(r'(?:url\(#|href="#)([^")]+)', str(one.svg))
        assert targets
        assert set(targets) <= set(own)
        ElementTree.fromstring(str(one.svg))
        assert "<!--" not in str(one.svg)
    assert "var(--c123456, #123456)" in str(first.svg)
    assert "#123456" in first.colours
    assert "#abcdef" in str(first.svg)
    assert "var(--cabcdef" not in str(first.svg)
    assert re.search(r"--c123456: #[0-9a-f]{6};", dark_rules([first]))


def test_words_in_a_drawing_cannot_become_markup():
    figure = Figure()
    figure.subplots().set_title("--></svg><script>alert(1)</script>")
    assert "<script" not in str(drawing(figure, "one", "", "").svg)


def test_tables_leave_as_csv_with_every_cell():
    table = Table("t", "", ("network", "p ", "note"), [("a", "1", 'says "no", twice'), ("", "2", "")])
    assert unquote(table.href.split(",", 1)[1]) == 'network,p,note\na,1,"says ""no"", twice"\na,2,\n'


def test_sentences_stand_below_their_row_and_numbers_to_the_right():
    table = Table("t", "", ("what", "n", "note"), [("a", "-0.50", "x" * 60), ("b", "-", "short")])
    assert table.kinds == ["text", "number", "wide"]
    assert Table("t", "", ("a", "b"), []).kinds == ["text", "text"]
    assert Section(heading="Is it — the same?").anchor == "is-it-the-same"


def test_every_estimator_has_words_and_a_full_reference():
    # Protects the methods text: an estimator that is added has to be described.
    assert set(ESTIMATORS) == set(timescales.ESTIMATORS)
    tables = [from_bibtex(cortex.citation(name)) for name in cortex.names()]
    for estimator in timescales.ESTIMATORS.values():
        assert from_doi(estimator.doi, tables).field("title")


@pytest.mark.parametrize("reference", [*KNOWN.values(), *(from_bibtex(cortex.citation(n)) for n in cortex.names())])
def test_references_are_whole(reference):
    assert re.fullmatch(r"[A-Z].* (\d{4})", reference.short), reference.short
    assert reference.field("title") in reference.long
    assert reference.url.startswith("https://doi.org/10.")
    assert reference.bibtex.count("{") == reference.bibtex.count("}")


def test_tasks_cite_work_that_is_known_and_references_come_once():
    assert all(doi in KNOWN for task in TASKS.values() for doi in task.dois)
    first, second = list(KNOWN.values())[:2]
    assert len(unique([second, first, second])) == 2


def measured(estimator, seed, **settings):
    rng = np.random.default_rng(seed)
    trains = timescales.ou_poisson_trains(tau_ms=50.0, trials=40, duration_s=1.0, neurons=8, rate_hz=20.0, rng=rng)
    layers = dict.fromkeys(("hidden1", "hidden2"), trains)
    return timescales.estimate(layers, estimator, bootstrap=20, rng=rng, progress=False, **settings)


def run_of(name, result, metadata=None):
    agreement = xr.Dataset(
        {
            "trials": ("simulator", [7]),
            "spikes": (("simulator", "population"), [[5]]),
            "differing": (("simulator", "population"), [[1]]),
        },
        {"simulator": ["brian2 numpy"], "population": ["hidden1"]},
    )
    return Run(name, name.rsplit("-seed", 1)[0], network(metadata), [{"epoch": 1}], xr.DataTree(), agreement, result)


def text_of(runs, table):
    rng = np.random.default_rng(0)
    comparison = cortex.compare({run.name: run.timescales for run in runs}, table, rng=rng, resamples=100)
    return methods(runs, comparison, table)


def test_methods_follow_what_was_done():
    # Protects the methods text: estimator, settings, input and table are those of the results.
    table = cortex.load("siegle2021", "response_decay")
    result = measured("acf", 1, bin_ms=4.0, max_lag_ms=200.0).assign_attrs(input="test")
    told = text_of([run_of("plain-seed0", result)], table)
    for words in ("Estimator 'acf' (Zeraati et al. 2022)", "bin 4 ms", "max lag 200 ms", "40 trials", "20 bootstrap",
                  "trials of the test split", "Siegle et al. 2021", "response_decay", "1 of 5 spikes differ",
                  "brian2 numpy (7 trials)", "Recurrent networks", "1 epoch of training"):  # fmt: skip
        assert words in told.text, words
    for words in ("pearson", "Murray", "foreperiod", "batch normalisation", "learned", " nan", "None", "{"):
        assert words not in told.text, words
    keys = re.findall(r"@\w+{(\w+),", told.bibtex)
    assert keys == [reference.key for reference in told.references]
    assert {"zeraati2022", "siegle2021", "stimberg2019"} <= set(keys)
    assert "murray2014" not in keys


def test_methods_tell_conditions_and_protocols_apart():
    table = cortex.load("murray2014")
    learned = {"architecture": {"layers": [{"learned_tau": {"per": "neuron"}}]}, "dataset": {"name": "parity"}}
    first, second = measured("pearson_trials", 1), measured("pearson_trials", 2, bin_ms=25.0)
    told = text_of([run_of("plain-seed0", first), run_of("learned-seed0", second, learned)], table)
    assert "Learned: 1 epoch of training, membrane time constants learned with the weights." in told.text
    assert "bin 25 to 50 ms" in told.text
    assert "parity of pulses" in told.text
    assert "What drove the networks is not noted" in told.text
    assert {"khajehabdollahi2023", "murray2014"} <= {reference.key for reference in told.references}


def test_methods_tell_what_of_the_study_was_matched_and_what_was_not():
    # Protects the promise that networks are measured like the cortex: a reader sees in what, and in what not.
    table, rng = cortex.load("murray2014"), np.random.default_rng(1)
    trains = timescales.ou_poisson_trains(tau_ms=80.0, trials=1, duration_s=60.0, neurons=8, rate_hz=20.0, rng=rng)
    results = [
        cortex.measure_like({"hidden1": trains}, table, trials=trials, bootstrap=20, rng=rng, progress=False)
        for trials in (60, 50)
    ]
    first, second = (run_of(f"plain-seed{seed}", result) for seed, result in enumerate(results))
    told = text_of([first, second], table).text
    assert "All networks were measured as the study of table 'murray2014' measured the cortex" in told
    assert (
        "As in the study: estimator pearson_trials; bin_ms 50; one fit to the mean curve of a layer; trials of" in told
    )
    assert "rates of the study are not known" in told
    assert "number of trials of the study; " in told  # how many there were here differs between them
    assert "number of neurons of the study (here 8)" in told
    assert "50 to 60 trials" in told
    assert "2 of 2 networks were measured by the protocol of that study" in told
    assert "protocol verdict" not in told
    shorter = results[0].assign_attrs(protocol_matched="bin_ms 50", protocol_unmatched="trials of 400 ms")
    told = text_of([first, run_of("plain-seed1", shorter)], table).text
    assert "As in the study: bin_ms 50; in 1 of 2 networks: estimator pearson_trials; in 1 of 2" in told
    assert "in 1 of 2 networks: number of trials of the study (here 60); " in told
    assert "in 1 of 2 networks: trials of 400 ms." in told
    quiet = [results[0].assign_attrs(protocol_unmatched=f"'hidden1': {k} of 8 neurons {verb} silent")
             for k, verb in ((1, "is"), (2, "are"))]  # fmt: skip
    told = text_of([run_of(f"plain-seed{k}", one) for k, one in enumerate(quiet)], table).text
    assert "not known of it: 'hidden1': some neurons are silent." in told
    other = run_of("other-seed0", measured("acf", 1))
    assert "1 of 2 networks was measured as the study" in text_of([first, other], table).text
    assert "measured as the study" not in text_of([other], table).text


def test_every_mark_stands_at_the_tick_of_its_area_and_every_data_set_has_its_own():
    # Protects the figure of the README: narrow blocks stood beside their ticks, and Romo had the mark of Pasternak.
    ax = figures.beside_cortex([], cortex.load("murray2014")).axes[0]
    ticks = dict(zip([text.get_text() for text in ax.get_xticklabels()], ax.get_xticks(), strict=True))
    table = cortex.load("murray2014")
    shown = {(round(x, 6), y) for line in ax.get_lines() if line.get_marker() in set("os^DvP")
             for x, y in line.get_xydata().tolist()}  # fmt: skip
    expected = zip(table["area"].to_numpy().tolist(), table["tau_ms"].to_numpy().tolist(), strict=True)
    assert shown == {(round(float(ticks[area]), 6), tau_ms) for area, tau_ms in expected}
    handles, labels = ax.get_legend_handles_labels()
    assert set(labels) == set(table["dataset"].to_numpy().tolist())
    assert len({handle.lines[0].get_marker() for handle in handles}) == len(labels) == 6


def test_layers_without_a_timescale_are_crosses():
    result = measured("pearson_trials", 1)
    result["tau_ms"][1] = np.nan
    run = replace(run_of("plain-seed0", result), network=deep_network())
    ax = figures.beside_cortex([run], cortex.load("murray2014")).axes[0]
    crosses = [place for points in ax.collections for place in points.get_offsets().tolist() if place[1] == 0.02]
    assert [place[0] for place in crosses] == [ax.get_xticks()[1]]


def deep_network():
    layers = [Population.lif(f"hidden{depth}", 2, tau_s=0.02) for depth in (1, 2)]
    order = [Population.input("input", 2), *layers, Population.readout("readout", 2, tau_s=0.05)]
    joined = [Projection(first.name, then.name, np.ones((2, 2))) for first, then in pairwise(order)]
    return Network(0.01, tuple(order), tuple(joined))


@pytest.mark.parametrize(
    ("estimator", "settings", "label"),
    [
        ("pearson_trials", {}, "correlation across trials"),
        ("isttc", {}, "autocorrelation"),
        ("knee", {}, "power spectral density"),
        ("acf", {"per": "neuron"}, "share of neurons with a timescale"),
    ],
)
def test_curves_of_every_kind_of_result_can_be_drawn(estimator, settings, label):
    # Protects reports of other estimators than the usual one, whose results have other dimensions.
    run = replace(run_of("plain-seed0", measured(estimator, 1, **settings)), network=deep_network())
    figure = figures.autocorrelations([run])
    assert label in figure.axes[0].get_ylabel()
    assert "(" in figure.axes[-1].get_xlabel()
    assert len(figures.set_and_measured([run]).axes) == 1


def test_learning_is_shown_of_networks_that_learned_their_time_constants():
    plain = replace(run_of("plain-seed0", xr.Dataset()), network=deep_network())
    history = [{"epoch": epoch, "tau_ms": [[10.0], [10.0 * epoch]]} for epoch in (1, 2)]
    learned = replace(plain, name="learned-seed0", condition="learned", history=history)
    assert figures.learning([plain]) is None
    first, every = figures.learning([plain, learned]).axes
    assert first.get_title("left") == "learned-seed0"
    (line,) = (line for line in every.get_lines() if len(line.get_xdata()) == 2 and line.get_linestyle() == "-")
    np.testing.assert_allclose(line.get_ydata(), [0, np.log(2)], atol=1e-12)
    # The colour of the condition is that of the figures of all runs.
    assert line.get_color() == "#D55E00"


def teardown_module():
    plt.close("all")
