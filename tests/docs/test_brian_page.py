"""docs/brian.md: its Python runs from top to bottom, and what it says of the output is so."""

import re
from pathlib import Path

import brian2
import numpy as np
import pytest

from cortexsnn import brian, recording
from cortexsnn.brian.schedule import slots

PAGE = (Path(__file__).parents[2] / "docs" / "brian.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)


@pytest.fixture
def target():
    """The page chooses a target for code; put it back."""
    before = brian2.prefs.codegen.target
    yield
    brian2.prefs.codegen.target = before


@pytest.mark.slow
@pytest.mark.usefixtures("target")
def test_python_of_the_page_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = {"__name__": "page"}
    exec(compile("\n".join(BLOCKS), "docs/brian.md", "exec"), names)
    printed = capsys.readouterr().out

    network = names["network"]
    table = names["table"]
    assert (table["differing"] == 0).all()
    assert (table["spikes"].sel(population=["hidden1", "hidden2"]) > 100).all()
    shown = re.search(r"```text\n(.*?)```", PAGE, flags=re.DOTALL)[1]
    for line in shown.splitlines():
        assert line.strip() in printed
    assert (names["edited"]["hidden1"]["spike_neuron"] >= 5).all()
    gaps = 2
    assert names["monitor"].v.shape == (2, 2 * 200 + gaps)
    assert 60 < names["tau_ms"]["as it was"] < 120
    assert 20 < names["tau_ms"]["adapting"] < 50
    assert int(recording.compare(names["whole"], names["same"])["differing"].sum()) == 0
    assert names["recording"]["hidden2"]["potential"].shape == (6, 100, 24)
    assert np.isfinite(names["recording"]["hidden2"]["potential"]).all()
    assert str(names["late"].schedule) in printed
    promised = re.search(r"print\(error\)  # (.*)", PAGE)[1]
    assert promised in printed
    assert set(re.findall(r'when="(\w+)"', PAGE)) <= set(slots(network))


def test_every_device_is_on_the_page():
    assert set(re.findall(r'^\| `"(\w+)"` \|', PAGE, flags=re.MULTILINE)) == {*brian.DEVICES, "auto"}
