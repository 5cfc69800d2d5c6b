"""docs/cortex.md: its Python runs, and says what its text says."""

import re
from pathlib import Path

import numpy as np

DOCS = Path(__file__).parents[2] / "docs"
PAGE = (DOCS / "cortex.md").read_text(encoding="utf-8")


def test_python_of_the_page_runs(capsys):
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 3
    names = {"__name__": "page"}
    exec(compile("\n".join(blocks), "docs/cortex.md", "exec"), names)
    said = capsys.readouterr().out
    assert "estimator pearson_trials" in said
    assert "can never be significant" in said
    assert names["measured"].attrs["protocol_table"] == "murray2014"
    result = names["result"]
    assert result["contrast"].to_numpy().tolist() == ["hierarchical - flat"]
    assert float(result["condition_slope"].sel(condition="hierarchical")) > 0.8
    assert np.all(result["toward_gain"] > 0)


def test_local_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert link.startswith("https://") or (DOCS / link).is_file(), link
