"""The README promises that its Python runs: it is run, from top to bottom, as a reader would."""

import re
from pathlib import Path

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

README = Path(__file__).parents[2] / "README.md"


def test_python_of_the_readme_runs(tmp_path, monkeypatch, capsys):
    blocks = re.findall(r"```python\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL)
    assert len(blocks) == 5
    monkeypatch.chdir(tmp_path)
    import brian2

    target = brian2.prefs.codegen.target
    try:
        exec(compile("\n".join(blocks), str(README), "exec"), {"__name__": "readme"})
    finally:
        brian2.prefs.codegen.target = target
    printed = capsys.readouterr().out
    assert "array(0)" in printed  # no spike differs
    assert "n too small" in printed or "n is too small" in printed
    assert "@article{" in printed
    assert (tmp_path / "network.safetensors").exists()


def test_every_verb_of_the_readme_exists():
    from cortexsnn.cli import _parser

    shell = "".join(re.findall(r"```sh\n(.*?)```", README.read_text(encoding="utf-8"), flags=re.DOTALL))
    commands = re.findall(r"^cortexsnn (.*)$", shell, flags=re.MULTILINE)
    assert {command.split()[0] for command in commands} == {
        "train",
        "agree",
        "simulate",
        "timescales",
        "compare",
        "report",
    }
    for command in commands:
        _parser().parse_args(command.split())


def test_everything_lies_where_the_readme_says():
    # Protects newcomers from rooms that have moved: the first column of the table names real files and folders.
    table = README.read_text(encoding="utf-8").split("## Where everything lies")[1]
    cells = re.findall(r"^\| (`[^|]*) \|", table, flags=re.MULTILINE)
    said = [Path(path) for cell in cells for path in re.findall(r"`([^`]*)`", cell)]
    root = README.parent
    missing = [path for path in said if not (root / path).exists() and not (root / "cortexsnn" / path).exists()]
    assert not missing
    rooms = {part for path in said for part in path.parts}
    assert {path.parent.name for path in (root / "cortexsnn").glob("*/__init__.py")} <= rooms
