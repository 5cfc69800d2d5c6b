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
    assert names["measured"].attrs["protocol_verdict"] == "matched"
    result = names["result"]
    assert result["contrast"].to_numpy().tolist() == ["hierarchical - flat"]
    assert float(result["condition_slope"].sel(condition="hierarchical")) > 0.8
    assert np.all(result["toward_gain"] > 0)


def test_local_links_lead_somewhere():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert link.startswith("https://") or (DOCS / link).is_file(), link


def test_every_verb_of_the_page_exists_and_takes_one_study_by_itself():
    # Protects the promise that networks are measured like the table that they are compared with.
    from cortexsnn import cli, pipeline
    from cortexsnn.trials import USUAL_TRIALS

    shell = "".join(re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL))
    commands = [line.split("#")[0] for line in re.findall(r"^cortexsnn (.*)$", shell, flags=re.MULTILINE)]
    assert [command.split()[0] for command in commands] == ["simulate", "timescales", "timescales"]
    for command in commands:
        cli._parser().parse_args(command.split())
    assert f"(`{pipeline.USUAL_TABLE}`)" in PAGE
    assert f"and {USUAL_TRIALS} if nothing is said" in re.sub(r"\s+", " ", PAGE)
    for verb in ("simulate", "timescales", "compare"):
        for action in cli._parser()._subparsers._group_actions[0].choices[verb]._actions:
            if action.dest in ("like", "table"):
                assert action.default is None
                assert pipeline.USUAL_TABLE in action.help
