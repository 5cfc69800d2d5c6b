"""models/README.md: its table is that of the cards, and its Python runs."""

import re
from pathlib import Path

from cortexsnn import models

PAGE = (Path(__file__).parents[2] / "models" / "README.md").read_text(encoding="utf-8")


def between(values):
    """One number, or the lowest and the highest."""
    low, high = (f"{value:g}" for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"


def row(name):
    """What a card says, as a row of the table."""
    card = models.card(name)
    layers = card["layers"].values()
    taus = ", ".join(between([round(value) for value in layer["membrane_time_constant_ms"]]) for layer in layers)
    ran = {
        name: one
        for name, one in card["test"].items()
        if one["trials"] == max(t["trials"] for t in card["test"].values())
    }
    (accuracy,) = {f"{100 * one['accuracy']:.1f}" for one in ran.values()}
    ((spikes, differing),) = {(one["spikes"], one["differing_spikes"]) for one in ran.values()}
    found = ", ".join("-" if layer["timescale_ms"] is None else f"{layer['timescale_ms']:.0f}" for layer in layers)
    return f"| `{name}` | {taus} | {accuracy} | {spikes:,}, {differing} | {found} |"


def test_the_table_is_that_of_the_cards():
    assert re.findall(r"^\| `.*\|$", PAGE, flags=re.MULTILINE) == [row(name) for name in models.names()]


def test_python_of_the_page_runs(capsys):
    exec(
        compile(
            "\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)), "models", "exec"
        ),
        {},
    )
    assert "mts_xor_hierarchical_seed0" in capsys.readouterr().out
