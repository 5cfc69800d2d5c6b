"""The report as a page: whole, safe, and opened in a browser, in light and dark, on a desk and on a phone.

``CORTEXSNN_SCREENSHOTS`` may name a folder for pictures of the page.
"""

import csv
import html
import io
import json
import os
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote
from xml.etree import ElementTree

import numpy as np
import pytest

from cortexsnn import cortex, recording, reference, timescales
from cortexsnn.report import write_report
from cortexsnn.runs import AGREEMENT_SCHEMA, save_agreement

RUNS = ("plain-seed0", 'odd <b>&"name"-seed0')
FIGURES = ["one_trial", "training", "curves", "set_and_measured", "layers_and_areas", "slopes", "distances", "brain"]
TABLES = ["accuracy", "agreement", "timescales", "slopes", "correlations", "protocol", "contrasts"]


def write_run(folder, network, seed):
    """All files of a run, with a recording of the reference and timescales of made-up spike trains."""
    rng = np.random.default_rng(seed)
    folder.mkdir(parents=True)
    network.save(folder / "network.safetensors")
    rows = [{"epoch": epoch, "validation_accuracy": 0.5 + 0.1 * epoch} for epoch in (1, 2, 3)]
    (folder / "metrics.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    names = [population.name for population in network.hidden]
    test = reference.simulate(network, rng.poisson(0.4, (2, 50, 4)).astype(np.uint8), record_potential=names)
    agreement = recording.compare(test, test).assign(trials=2, accuracy=0.75, classes=2, classes_differing=0)
    agreement = agreement.expand_dims(simulator=["brian2 numpy"])
    agreement.attrs = {"schema": AGREEMENT_SCHEMA, "expected": "reference", "network": network.fingerprint()}
    save_agreement(agreement, folder / "agreement.nc")
    fingerprint = {"network": network.fingerprint()}
    test.attrs |= fingerprint
    for name in ("test", "spontaneous"):
        recording.save(test, folder / f"{name}.nc")
    trains = {
        name: timescales.ou_poisson_trains(
            tau_ms=60.0 * (depth + 1), trials=60, duration_s=1.0, neurons=8, rate_hz=25.0, rng=rng
        )
        for depth, name in enumerate(names)
    }
    measured = timescales.estimate(trains, bootstrap=20, rng=rng, progress=False)
    timescales.save(measured.assign_attrs(fingerprint, input="spontaneous", seed=seed), folder / "timescales.nc")
    return measured.assign_attrs(fingerprint)


@pytest.fixture(scope="module")
def page(tmp_path_factory, random_network):
    """Report of two small networks, one of them with a name that is no harmless word of HTML."""
    root = tmp_path_factory.mktemp("report")
    measured = {
        name: write_run(root / "runs" / name, random_network(np.random.default_rng(seed), hidden=(6, 6, 6)), seed)
        for seed, name in enumerate(RUNS)
    }
    comparison = cortex.compare(
        measured,
        cortex.load("murray2014"),
        rng=np.random.default_rng(0),
        conditions={name: name.rsplit("-seed", 1)[0] for name in RUNS},
        pairs={name: name.rsplit("-seed", 1)[1] for name in RUNS},
        resamples=200,
    )
    fingerprints = {name: one.attrs["network"] for name, one in measured.items()}
    cortex.save_comparison(comparison.assign_attrs(fingerprints=json.dumps(fingerprints)), root / "comparison.nc")
    write_report(root, root / "report.html")
    return root / "report.html"


class Parsed(HTMLParser):
    """What a page holds, by tag."""

    def __init__(self, text):
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.depth = 0
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def test_the_page_is_whole_and_fetches_nothing(page):
    parsed = Parsed(page.read_text(encoding="utf-8"))
    assert [drawing["data-name"] for drawing in parsed.of("div") if "data-name" in drawing] == FIGURES
    assert len(parsed.of("svg")) == len(FIGURES)
    assert len(parsed.of("table")) == len(TABLES)
    for _, attributes in parsed.elements:
        for name in ("src", "srcset", "poster", "data"):
            assert name not in attributes
        target = attributes.get("xlink:href", attributes.get("href", "#"))
        assert target.startswith(("#", "data:", "https://doi.org/")), target
    assert "link" not in {tag for tag, _ in parsed.elements}
    ids = [attributes["id"] for _, attributes in parsed.elements if "id" in attributes]
    assert len(ids) == len(set(ids))


def test_names_of_runs_are_text_and_no_markup(page):
    # Protects whoever opens the report of another: names of folders come from outside.
    text = page.read_text(encoding="utf-8")
    assert "odd <b>" not in text
    assert html.escape("odd <b>&", quote=False) in text
    assert "b" not in {tag for tag, attributes in Parsed(text).elements if "class" not in attributes}


def test_tables_and_references_can_be_taken_away(page):
    links = {a["download"]: a["href"] for a in Parsed(page.read_text(encoding="utf-8")).of("a") if "download" in a}
    assert set(links) == {*(f"{name}.csv" for name in TABLES), "methods.txt", "references.bib"}
    for name in TABLES:
        media, _, content = links[f"{name}.csv"].partition(",")
        assert media == "data:text/csv;charset=utf-8"
        columns, *rows = csv.reader(io.StringIO(unquote(content)))
        assert rows
        assert {len(row) for row in rows} == {len(columns)}
        assert all(row[0] for row in rows)
    assert RUNS[1].replace('"', '""') in unquote(links["timescales.csv"])
    bibtex = unquote(links["references.bib"])
    assert {"murray2014", "stimberg2019"} <= set(re.findall(r"@\w+{(\w+),", bibtex))
    assert "pearson_trials" in unquote(links["methods.txt"])


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    """Function that opens a page in headless Chromium: its document when all has run, and what the console said."""
    program = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if program is None:
        pytest.skip("no chromium found")
    switches = (
        *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars"),
        *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
        *("--enable-logging=stderr", "--allow-file-access-from-files", "--virtual-time-budget=5000"),
    )

    def opened(path, *more):
        profile = tmp_path_factory.mktemp("chromium")
        command = [program, *switches, f"--user-data-dir={profile}", *more, path.as_uri()]
        done = subprocess.run(command, capture_output=True, timeout=120, check=True)
        said = [line for line in done.stderr.decode("utf-8", "replace").splitlines() if ":CONSOLE" in line]
        return done.stdout.decode("utf-8"), said

    return opened


# What a reader would do and see, written into the page for the test to read.
PROBE = """
<script>
const probe = { theme: document.documentElement.dataset.theme || "", button: theme.textContent, files: {} };
probe.paper = getComputedStyle(document.body).backgroundColor;
probe.wide = document.documentElement.scrollWidth;
probe.window = innerWidth;
for (const drawing of document.querySelectorAll(".drawing")) {
  const box = drawing.querySelector("svg").getBoundingClientRect();
  probe.files[drawing.dataset.name] = { text: svgFile(drawing), wide: box.width, high: box.height };
}
probe.cells = [...document.querySelectorAll("td")].map((cell) => cell.textContent);
probe.buttons = [...document.querySelectorAll("button.take")].filter((one) => !one.hidden).length;
const ink = () => getComputedStyle(document.querySelector('.drawing [style*="fill: var(--c222222"]')).fill;
probe.ink = ink();
theme.click();
probe.after = { button: theme.textContent, paper: getComputedStyle(document.body).backgroundColor, ink: ink() };
theme.click();
document.body.innerHTML = "";
document.body.append(Object.assign(document.createElement("pre"), { id: "probe", textContent: JSON.stringify(probe) }));
</script>
"""


@pytest.fixture(scope="module")
def seen(page, browser, tmp_path_factory):
    """What the page is to a reader who asked for light paper, and to one who asked for dark paper."""
    copy = tmp_path_factory.mktemp("probed") / "probed.html"
    copy.write_text(page.read_text(encoding="utf-8").replace("</body>", PROBE + "</body>"), encoding="utf-8")
    found = {}
    for name, scheme in (("light", 1), ("dark", 0)):
        document, said = browser(copy, "--dump-dom", "--window-size=1200,900",
                                 f"--blink-settings=preferredColorScheme={scheme}")  # fmt: skip
        assert said == []
        found[name] = json.loads(html.unescape(re.search(r'<pre id="probe">(.*?)</pre>', document, re.DOTALL)[1]))
    return found


def brightness(colour):
    return sum(map(float, re.findall(r"[\d.]+", colour)[:3])) / 3


def test_a_browser_shows_it_without_complaint(seen):
    for found in seen.values():
        assert list(found["files"]) == FIGURES
        assert all(drawing["wide"] > 200 and drawing["high"] > 100 for drawing in found["files"].values())
        assert found["buttons"] == len(FIGURES)
        assert len(found["cells"]) > 100
        assert not any("nan" in cell.lower().split() for cell in found["cells"])
        assert sum(bool(cell.strip()) for cell in found["cells"]) > 0.7 * len(found["cells"])


@pytest.mark.parametrize("name", ["light", "dark"])
def test_drawings_leave_as_files_for_white_paper(seen, name):
    for drawing in seen[name]["files"].values():
        root = ElementTree.fromstring(drawing["text"].encode())
        assert root.get("width").endswith("pt")
        assert "var(" not in drawing["text"]
        assert "#222222" in drawing["text"]


@pytest.mark.parametrize(("name", "paper", "button"), [("light", 255, "Dark"), ("dark", 30, "Light")])
def test_light_and_dark_follow_the_reader_and_the_switch(seen, name, paper, button):
    found = seen[name]
    assert brightness(found["paper"]) == pytest.approx(paper, abs=10)
    assert found["button"] == button
    assert found["after"]["button"] != button
    dark, light = sorted((brightness(found["paper"]), brightness(found["after"]["paper"])))
    assert dark < 50 < 200 < light
    # Ink goes the other way.
    assert (brightness(found["ink"]) > brightness(found["after"]["ink"])) == (name == "dark")


def test_on_a_phone_only_boxes_scroll(page, browser, tmp_path):
    # A window of Chromium is at least 500 pixels wide; a frame can be as narrow as a phone.
    frame = tmp_path / "phone.html"
    frame.write_text(
        f"""<body style="margin:0"><iframe id="phone" src="{page.as_uri()}" style="width:360px;height:800px;border:0">
</iframe><script>onload = () => {{ const root = document.getElementById("phone").contentDocument.documentElement;
document.title = [root.clientWidth, root.scrollWidth, root.querySelectorAll("svg").length].join(" "); }}</script>""",
        encoding="utf-8",
    )
    document, said = browser(frame, "--dump-dom")
    assert said == []
    wide, scrolled, drawings = map(int, re.search(r"<title>(\d+) (\d+) (\d+)</title>", document).groups())
    assert drawings == len(FIGURES)
    assert scrolled <= wide <= 360


def test_a_complaint_of_the_console_would_be_seen(browser, tmp_path):
    # Protects the tests above from a browser that says nothing.
    broken = tmp_path / "broken.html"
    broken.write_text("<script>nothing.here()</script>", encoding="utf-8")
    assert "nothing is not defined" in browser(broken, "--dump-dom")[1][0]


@pytest.mark.skipif("CORTEXSNN_SCREENSHOTS" not in os.environ, reason="CORTEXSNN_SCREENSHOTS names no folder")
def test_pictures_of_the_page(page, browser):
    folder = Path(os.environ["CORTEXSNN_SCREENSHOTS"])
    folder.mkdir(parents=True, exist_ok=True)
    for name, scheme in (("light", 1), ("dark", 0)):
        picture = folder / f"{name}.png"
        browser(page, f"--screenshot={picture}", "--window-size=1100,11000",
                f"--blink-settings=preferredColorScheme={scheme}")  # fmt: skip
        assert picture.stat().st_size > 10_000
