"""docs/realism.md: its Python runs, and every number in it is that of the tables in analyses/results."""

import re
from pathlib import Path

import numpy as np
import xarray as xr
from matplotlib import pyplot as plt

from cortexsnn import brian

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "realism.md").read_text(encoding="utf-8")
TEXT = re.sub(r"\s+", " ", PAGE)
XOR, DIGITS, DELAYS = "mts_hierarchical_seed0", "digits_hierarchical_seed0", "digits_delays"


def results(name):
    with xr.open_dataset(ROOT / "analyses" / "results" / f"realism_{name}.nc", engine="h5netcdf") as table:
        return table.load()


def rows(first):
    """Cells of the table on the page whose first heading begins with a word."""
    lines = PAGE[PAGE.index(f"\n| {first}") :].lstrip("\n").split("\n\n", 1)[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def percent(share):
    return f"{100 * float(share):.0f}"


def accuracy(one):
    """In percent, with its interval."""
    value, low, high = (percent(one[name]) for name in ("accuracy", "accuracy_low", "accuracy_high"))
    return f"{value} ({low} to {high})"


def tau(one):
    """In ms, with its interval; a dash where there is none."""
    value, low, high = (float(one[name]) for name in ("tau_ms", "tau_low_ms", "tau_high_ms"))
    if np.isnan(value):
        return "-"
    return f"{value:.0f} ({low:.0f} to {f'{high:.0f}' if np.isfinite(high) else '∞'})"


def ends(one, name):
    """Of the first and the last layer."""
    first, *_, last = one[name].to_numpy()
    return f"{first:.2f}, {last:.2f}"


def ladder_rows():
    xor, digits = results(f"ladder_{XOR}"), results(f"ladder_{DIGITS}")
    return [
        [
            str(rung),
            accuracy(xor.sel(rung=rung)),
            accuracy(digits.sel(rung=rung)),
            ends(xor.sel(rung=rung), "agreement"),
            ends(xor.sel(rung=rung), "count_correlation"),
            tau(xor.sel(rung=rung, layer="hidden4")),
        ]
        for rung in brian.RUNGS
    ]


def cause_rows():
    xor, digits = results(f"causes_{XOR}"), results(f"causes_{DIGITS}")
    return [
        [name, accuracy(xor.sel(circuit=name)), accuracy(digits.sel(circuit=name))] for name in xor["circuit"].values
    ]


def deviation_rows(name, layers):
    table = results(f"deviations_{name}")
    return [
        [str(one["circuit"].item()), accuracy(one), *(tau(one.sel(layer=layer)) for layer in layers)]
        for one in (table.sel(circuit=circuit) for circuit in table["circuit"].values)
    ]


def test_python_of_the_page_runs(capsys):
    names = {"__name__": "page"}
    exec(compile("\n".join(re.findall(r"^```python\n(.*?)^```", PAGE, flags=re.DOTALL | re.MULTILINE)),
                 "docs/realism.md", "exec"), names)  # fmt: skip
    plt.close("all")
    printed = capsys.readouterr().out
    table = names["table"]
    assert (table["agreement"].sel(rung=1) == 1).all()  # as the comment says
    assert (table["agreement"].sel(rung=4) < 1).all()
    assert len(names["axes"]) == 4
    assert "exponential currents in place of jumps" in printed
    assert names["changed"].changes[0] == "4 of 16 neurons of hidden1 silenced"
    assert (names["effects"]["agreement"].sel(circuit="changed") < 1).all()


def test_every_rung_and_deviation_is_on_the_page():
    assert [row[0] for row in rows("rung | adds")] == [str(number) for number in brian.RUNGS]
    calls = {re.match(r"`(\w+)\(", row[0])[1] for row in rows("function")}
    assert calls == {"adaptation_current", "synaptic_noise", "lesion", "lesion_synapses", "scale_tau", "without_delays"}
    assert all(hasattr(brian, name) for name in calls)


def test_the_tables_are_those_of_the_results():
    assert rows("rung | accuracy") == ladder_rows()
    assert rows("circuit") == cause_rows()
    assert rows("multi-timescale XOR | ") == deviation_rows(XOR, ["hidden3", "hidden4"])
    assert rows("spoken digits with delays | ") == deviation_rows(DELAYS, ["hidden1", "hidden2"])
