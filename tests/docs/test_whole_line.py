"""The whole line by its verbs, on a network small enough to train in seconds: every file, and the report."""

import runpy
from html.parser import HTMLParser
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from cortexsnn import cortex, recording, timescales  # noqa: E402
from cortexsnn.cli import main  # noqa: E402
from cortexsnn.network import Network  # noqa: E402
from cortexsnn.runs import load_agreement, load_run  # noqa: E402


class _Page(HTMLParser):
    """Counts what a reader would see, and collects what a browser would fetch."""

    def __init__(self):
        super().__init__()
        self.tags: dict[str, int] = {}
        self.fetched: list[str] = []
        self.cells: list[str] = []
        self._in_cell = False

    def handle_starttag(self, tag, attributes):
        self.tags[tag] = self.tags.get(tag, 0) + 1
        self._in_cell = tag == "td"
        for name, value in attributes:
            if name in {"src", "srcset", "data", "poster"} or (tag == "link" and name == "href"):
                self.fetched.append(value)

    def handle_data(self, data):
        if self._in_cell:
            self.cells.append(data)

    def handle_endtag(self, tag):
        self._in_cell = False


@pytest.fixture(scope="module")
def line(tmp_path_factory):
    """Run all verbs once, in the order of the README."""
    root = tmp_path_factory.mktemp("line")
    run = root / "runs" / "linear-seed0"
    network = run / "network.safetensors"

    def verb(*arguments):
        assert main([str(a) for a in arguments]) == 0

    verb("train", "--out", run, "--width=8", "--epochs=2", "--tau-ms=60", "--span-ms=80", "--quiet")
    verb("agree", network, "--out", run / "agreement.nc", "--recording", run / "test.nc", "--trials=64", "--quiet")
    verb("simulate", network, "--input=spontaneous", "--trials=60", "--out", run / "spontaneous.nc", "--quiet")
    verb("timescales", run / "spontaneous.nc", "--out", run / "timescales.nc", "--quiet")
    verb("compare", run / "timescales.nc", "--out", root / "comparison.nc")
    verb("report", root, "--out", root / "report.html")
    return root


def test_no_spike_and_no_class_differs_in_any_simulator(line):
    agreement = load_agreement(line / "runs" / "linear-seed0" / "agreement.nc")
    simulators = agreement["simulator"].to_numpy().tolist()
    assert simulators == ["torch float64", "brian2 cpp_standalone", "brian2 numpy"]
    hidden = agreement.sel(population=[f"hidden{layer}" for layer in range(1, 5)])
    assert (hidden["active_percent"] >= 1).all()
    assert int(agreement["differing"].sum()) == 0
    assert int(agreement["classes_differing"].sum()) == 0
    assert (agreement["potential_difference"] <= 1e-9 * agreement["potential_scale"]).all()


def test_recordings_tell_what_their_input_was(line):
    run = line / "runs" / "linear-seed0"
    test, spontaneous = recording.load(run / "test.nc"), recording.load(run / "spontaneous.nc")
    assert test.attrs["input"] == "test"
    assert test["label"].shape == (64, 100)
    assert spontaneous.attrs["input"] == "spontaneous"
    # Slowest layer 100 ms: burn-in 200 ms; 5 tau are less than the trials of the study, which last 1 s.
    assert spontaneous.attrs["burn_in_ms"] == pytest.approx(200)
    assert float(spontaneous["trial_duration_s"][0]) == pytest.approx(1.2)
    assert test.attrs["network"] == Network.load(run / "network.safetensors").fingerprint()


def test_the_network_is_measured_like_the_study_that_it_is_compared_with(line):
    # Protects the defaults of all verbs together: nothing was asked for, and all is matched.
    measured = timescales.load(line / "runs" / "linear-seed0" / "timescales.nc")
    comparison = cortex.load_comparison(line / "comparison.nc")
    assert measured.attrs["protocol_table"] == comparison.attrs["table"]
    assert measured.attrs["protocol_verdict"] == comparison["protocol"].item() == "matched"
    assert comparison.attrs["warning"] == ""
    assert "measured by the protocol of Murray et al. 2014." in (line / "report.html").read_text(encoding="utf-8")


def test_report_is_one_whole_page(line):
    page = _Page()
    text = (line / "report.html").read_text(encoding="utf-8")
    page.feed(text)
    assert page.tags["svg"] == 8
    assert page.tags["table"] == 6
    assert page.tags["tr"] > 12
    assert [source for source in page.fetched if not source.startswith("data:")] == []
    assert len(page.cells) > 50
    assert not {"", "nan", "None"} & {cell.strip() for cell in page.cells[:4]}
    assert not any("nan" in cell.lower() for cell in page.cells)
    for words in ("0 of", "n too small", "Murray", "Seeds", "torch 2."):
        assert words in text


def test_report_refuses_files_of_another_network(line, tmp_path, capsys):
    import shutil

    shutil.copytree(line, tmp_path / "copy")
    run = tmp_path / "copy" / "runs" / "linear-seed0"
    network = Network.load(run / "network.safetensors")
    populations = [p if p.kind != "lif" else type(p).lif(p.name, p.size, tau_s=0.02) for p in network.populations]
    Network(network.dt_s, populations, network.projections, network.decoder, network.metadata).save(
        run / "network.safetensors"
    )
    assert main(["report", str(tmp_path / "copy"), "--out", str(tmp_path / "report.html")]) == 2
    assert "make it again with" in capsys.readouterr().err
    assert not (tmp_path / "report.html").exists()


def test_run_is_read_back_whole(line):
    run = load_run(line / "runs" / "linear-seed0")
    assert (run.name, run.condition) == ("linear-seed0", "linear")
    assert [row["epoch"] for row in run.history] == [1, 2]


def test_figures_of_the_documentation_can_be_drawn_again(line, tmp_path):
    path = Path(__file__).parents[2] / "docs" / "make_figures.py"
    module = runpy.run_path(str(path))
    module["main"](line, tmp_path / "figures")
    for name in ("beside_cortex", "autocorrelations"):
        assert "</svg>" in (tmp_path / "figures" / f"{name}.svg").read_text(encoding="utf-8")
