"""docs/timescales.md and docs/estimators.md: their Python runs, and every number in them was measured."""

import json
import re
import warnings
from dataclasses import fields
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from matplotlib import pyplot as plt

from cortexsnn import timescales
from cortexsnn.timescales import ESTIMATORS, Status

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / name).read_text(encoding="utf-8") for name in ("timescales.md", "estimators.md")}
GUIDE, REFERENCE = PAGES["timescales.md"], PAGES["estimators.md"]
SAID = json.loads((DOCS / "figures" / "timescales_numbers.json").read_text(encoding="utf-8"))
# Blocks that need a package which is no dependency, by a word in them.
NEEDS = {"neo": "import neo", "pynapple": "import pynapple", "pynwb": "session.nwb"}


def blocks(page):
    return re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)


def run(parts, name, names=None):
    names = {"__name__": "page"} | (names or {})
    exec(compile("\n".join(parts), f"docs/{name}", "exec"), names)
    return names


def one_line(text):
    return re.sub(r"\s+", " ", text)


def sections(page):
    headings = re.findall(r"^## (.*)$", page, flags=re.MULTILINE)
    return dict(zip(headings, re.split(r"^## .*$", page, flags=re.MULTILINE)[1:], strict=True))


def anchors(page):
    headings = re.findall(r"^#+ (.*)$", page, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


# Python


def test_python_of_the_guide_runs(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run([one for one in blocks(GUIDE) if not any(word in one for word in NEEDS.values())], "timescales.md")
    plt.close(names["figure"])
    printed = capsys.readouterr().out
    assert names["result"]["status"].item() == "ok"
    assert 60 < names["result"]["tau_ms"].item() < 160
    assert not Status(names["white"]["status"].item()).usable  # as its comment says
    assert f" - {names['white']['reason'].item()}" in printed
    assert "% low here" in printed or "% high here" in printed or "reads within 10 % here" in printed
    assert np.isfinite(names["corrected"]["corrected_tau_ms"]).all()
    assert names["late"].attrs["trials"] == 150  # as the comment says
    assert names["potentials"]["tau_ms"].item() == pytest.approx(50.0, rel=0.2)  # as its comment says
    assert timescales.protocol_of(names["matched"]["population"]).trials == 200
    assert names["neurons"]["tau_ms"].dims == ("unit",)
    assert names["again"].equals(names["result"])
    assert (tmp_path / "timescales.nc").is_file()


def test_python_of_the_reference_runs(capsys):
    names = run(blocks(REFERENCE), "estimators.md")
    assert names["by_name"]["tau_ms"].equals(names["by_object"]["tau_ms"])
    printed = capsys.readouterr().out
    for name in ESTIMATORS:
        assert re.search(rf"^{name} +\d", printed, flags=re.MULTILINE), name
    assert names["both"]["model"].item() == "two_exponentials"
    assert names["both"]["tau_fast_ms"].item() < 60 < names["both"]["tau_slow_ms"].item()


@pytest.mark.parametrize("package", NEEDS)
def test_python_for_the_objects_of_others_runs(package, tmp_path, monkeypatch):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs, while they are imported
        module = pytest.importorskip(package)
    monkeypatch.chdir(tmp_path)
    rng = np.random.default_rng(1)
    times_s = [np.sort(rng.uniform(0, 300, 100)) for _ in range(3)]
    if package == "pynwb":
        write_session(module, times_s)
    (block,) = [one for one in blocks(GUIDE) if NEEDS[package] in one]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # theirs
        names = run([block], "timescales.md", {"times_s": times_s, "timescales": timescales})
    if package == "pynwb":
        assert list(names["areas"]) == ["VISp", "VISl"]


def write_session(pynwb, times_s):
    """A file with two trials and a unit of each area."""
    file = pynwb.NWBFile("example", "example", datetime(2020, 1, 1, tzinfo=UTC))
    file.add_unit_column("location", "area")
    for times, location in zip(times_s, ["VISp", "VISl", "VISp"], strict=True):
        file.add_unit(spike_times=times, location=location)
    for start in (0.0, 150.0):
        file.add_trial(start_time=start, stop_time=start + 100.0)
    with pynwb.NWBHDF5IO("session.nwb", "w") as io:
        io.write(file)


# Completeness


def test_every_estimator_has_its_section():
    found = sections(REFERENCE)
    assert list(found) == list(ESTIMATORS)
    for name, kind in ESTIMATORS.items():
        text = found[name]
        assert f"https://doi.org/{kind.doi}" in text, name
        for part in ("| setting | default |", "**Assumes**", "**Bias", "**Fails**"):
            assert part in text, (name, part)
        settings = {field.name for field in fields(kind)}
        told = set(re.findall(r"`(\w+)`", "".join(re.findall(r"^\| (`.*?) \|", text, flags=re.MULTILINE))))
        assert settings == told, name
        for field in fields(kind):
            row = re.search(rf"^\| `{field.name}` \| (.*?) \|", text, flags=re.MULTILINE)
            if row and isinstance(field.default, str):
                assert row[1] == f'`"{field.default}"`', (name, field.name)
            elif row and isinstance(field.default, float):
                assert row[1] == f"{field.default:g}", (name, field.name)


def test_every_estimator_is_a_choice_of_the_guide():
    choices = sections(GUIDE)["Which estimator"]
    table = choices.split("One by one")[0]
    for name in ESTIMATORS:
        assert f"`{name}`" in table, name
        assert SAID[f"each_{name}"] in choices, name


def test_every_status_tells_what_to_do():
    told = re.findall(r"^\| `(\w+)` \|", sections(GUIDE)["Status, and what to do"], flags=re.MULTILINE)
    assert set(told) == {status.value for status in Status}


@pytest.mark.parametrize("name", PAGES)
def test_local_links_lead_somewhere(name):
    links = [re.sub(r"\s", "", link) for link in re.findall(r"\]\(([^)]*)\)", PAGES[name])]
    assert links
    for link in links:
        if link.startswith("https://"):
            continue
        target, _, anchor = link.partition("#")
        assert (DOCS / target).is_file(), link
        if anchor:
            assert anchor in anchors((DOCS / target).read_text(encoding="utf-8")), link


def test_every_figure_is_shown():
    shown = set(re.findall(r"\]\(figures/(timescales_\w+\.svg)\)", GUIDE))
    assert shown == {path.name for path in (DOCS / "figures").glob("timescales_*.svg")}


# Numbers


@pytest.mark.parametrize("name", SAID)
def test_pages_say_what_was_measured(name):
    assert any(SAID[name] in one_line(page) for page in PAGES.values()), SAID[name]


@pytest.mark.parametrize("name", PAGES)
def test_nothing_is_claimed_that_was_not_measured(name):
    # Rows of measurements, and sentences in which something reads so many ms, come from the script.
    text = re.sub(r"^```.*?^```", "", PAGES[name], flags=re.DOTALL | re.MULTILINE)
    rows = re.findall(r"^\|.*\d \(\d[\d.]* to .*\|$", text, flags=re.MULTILINE)
    assert rows
    assert set(rows) <= set(SAID.values())
    for statement in re.findall(r"reads \d+ ms(?: as [\d.]+ ms)?", one_line(text)):
        assert any(statement in said for said in SAID.values()), statement
    # Levels and limits that the code has, or that define something; the others were measured.
    nominal = {"95 %", "68 %", "10 %"}
    for share in re.findall(r"\d+ %", one_line(text)):
        assert share in nominal or any(share in said for said in SAID.values()), share
