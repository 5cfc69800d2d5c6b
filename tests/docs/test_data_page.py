"""docs/data.md and docs/sound.md: their Python runs, their commands exist."""

import re
from pathlib import Path

import pytest

DOCS = Path(__file__).parents[2] / "docs"
PAGES = {name: (DOCS / f"{name}.md").read_text(encoding="utf-8") for name in ("data", "sound")}


@pytest.mark.torch
def test_python_of_the_page_runs():
    pytest.importorskip("torch")
    blocks = re.findall(r"```python\n(.*?)```", PAGES["data"], flags=re.DOTALL)
    assert len(blocks) == 3
    names = {"__name__": "page"}
    exec(compile("\n".join(blocks), "docs/data.md", "exec"), names)
    assert names["data"].description["timescales_ms"]["longest_delay"] == 800.0
    assert len(names["protocol"].augmentation) == 2


def test_one_sound_becomes_spikes():
    pytest.importorskip("numba", reason="the extra audio is not installed")
    pytest.importorskip("soxr", reason="the extra audio is not installed")
    block = re.findall(r"```python\n(.*?)```", PAGES["sound"], flags=re.DOTALL)[-1]
    names = {"__name__": "page"}
    exec(compile(block, "docs/sound.md", "exec"), names)
    assert names["times_s"].size == names["units"].size > 100


@pytest.mark.parametrize("name", PAGES)
def test_commands_of_the_page_exist(name):
    from cortexsnn.cli import _parser

    shell = "".join(re.findall(r"```sh\n(.*?)```", PAGES[name], flags=re.DOTALL)).replace("\\\n", " ")
    commands = re.findall(r"^cortexsnn (.*)$", shell, flags=re.MULTILINE)
    assert commands
    for command in commands:
        _parser().parse_args(command.split("#")[0].split())


@pytest.mark.parametrize("name", PAGES)
def test_local_links_lead_somewhere(name):
    for link in re.findall(r"\]\(([^)#]+)\)", PAGES[name]):
        assert link.startswith("https://") or (DOCS / link).is_file(), link
