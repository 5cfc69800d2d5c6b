"""docs/training.md and analyses/: their Python runs, their commands exist, their settings can be used."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "training.md").read_text(encoding="utf-8")
SETTINGS = sorted((ROOT / "analyses").glob("*.toml"))


def test_python_of_the_page_runs(monkeypatch):
    blocks = re.findall(r"```python\n(.*?)```", PAGE, flags=re.DOTALL)
    assert len(blocks) == 3
    monkeypatch.chdir(ROOT)
    names = {"__name__": "page"}
    exec(compile("\n".join(blocks), "docs/training.md", "exec"), names)
    assert names["table"]["test_accuracy"].sizes["run"] == 30


def test_commands_of_the_page_exist():
    from cortexsnn.cli import _parser

    shell = "".join(re.findall(r"```sh\n(.*?)```", PAGE, flags=re.DOTALL)).replace("\\\n", " ")
    commands = re.findall(r"^cortexsnn (.*)$", shell, flags=re.MULTILINE)
    assert [command.split()[0] for command in commands] == ["train", "train", "train", "sweep"]
    for command in commands:
        _parser().parse_args(command.split())


def test_figures_of_the_page_are_there():
    for name in re.findall(r"\]\((figures/\S+)\)", PAGE):
        assert (ROOT / "docs" / name).is_file(), name


@pytest.mark.parametrize("path", SETTINGS, ids=lambda path: path.stem)
def test_every_committed_result_is_that_of_its_settings(path):
    # Protects results from settings that were changed after they had been run.
    from cortexsnn import sweeps
    from cortexsnn.arguments import read_sweep
    from cortexsnn.experiment import Experiment

    descriptions = sweeps.grid(*read_sweep(path))
    for description in descriptions:
        Experiment.described(description).check()
    table = sweeps.load_sweep(ROOT / "analyses" / "results" / f"{path.stem}.nc")
    assert (table["status"] == "done").all()
    assert table["hash"].to_numpy().tolist() == [sweeps.run_hash(description) for description in descriptions]
