"""docs/exchange.md: its Python runs, block by block, where the framework of the block is installed."""

import re
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[2] / "docs" / "exchange.md").read_text(encoding="utf-8")
HEADINGS = re.findall(r"^## (.*)$", PAGE, flags=re.MULTILINE)
SECTIONS = dict(zip(HEADINGS, re.split(r"^## .*$", PAGE, flags=re.MULTILINE)[1:], strict=True))


def run(*headings, names=None):
    """The blocks of some sections, one after another, as a reader would run them."""
    names = names or {"__name__": "page"}
    for heading in headings:
        blocks = re.findall(r"```python\n(.*?)```", SECTIONS[heading], flags=re.DOTALL)
        assert blocks
        exec(compile("\n".join(blocks), f"docs/exchange.md, {heading}", "exec"), names)
    return names


def test_every_block_belongs_to_a_test():
    with_python = [heading for heading, text in SECTIONS.items() if "```python" in text]
    assert with_python == ["Weight matrices", "snnTorch", "Norse", "NIR"]


def test_weight_matrices():
    network = run("Weight matrices")["network"]
    assert [population.size for population in network.populations] == [20, 30, 10, 2]


def test_nir(tmp_path, monkeypatch):
    pytest.importorskip("nir")
    monkeypatch.chdir(tmp_path)
    names = run("Weight matrices", "NIR")
    assert names["again"].structure() == names["network"].structure()
    assert [population.reset for population in names["theirs"].hidden] == ["zero", "zero"]


@pytest.mark.torch
@pytest.mark.frameworks
def test_snntorch():
    pytest.importorskip("snntorch")
    network = run("Weight matrices", "snnTorch")["network"]
    assert [population.name for population in network.order] == ["hidden1", "readout"]


@pytest.mark.torch
@pytest.mark.frameworks
def test_norse():
    pytest.importorskip("norse")
    nn = pytest.importorskip("torch").nn
    network = run("Weight matrices", "Norse", names={"__name__": "page", "nn": nn})["network"]
    assert network["hidden1"].tau_s[0] == pytest.approx(0.00949, abs=1e-5)  # as the page says
