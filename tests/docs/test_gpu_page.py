"""docs/gpu.md: its Python runs here, with or without a GPU, and what it says is so."""

import re
from pathlib import Path

import pytest

from cortexsnn.brian.cuda import limits as cuda_limits

PAGE = (Path(__file__).parents[2] / "docs" / "gpu.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "brian_gpu.json"


@pytest.mark.slow
def test_python_of_the_page_runs(capsys):
    exec(compile("\n".join(BLOCKS), "docs/gpu.md", "exec"), {"__name__": "page"})
    assert capsys.readouterr().out


def test_the_page_says_that_nothing_was_measured_until_something_was():
    # Protects from a claim without a run, and from a page that keeps quiet about one.
    assert ("Not yet measured on a GPU" in PAGE) == (not RESULTS.exists())


def test_limits_are_those_of_the_code():
    assert f"{cuda_limits._MOST_SYNAPSES:,}" in PAGE
    assert f"{cuda_limits._RESERVED_BYTES / 1e9:g} GB besides" in PAGE
