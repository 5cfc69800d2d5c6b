"""docs/realism.md: its Python runs, and every number in it is that of the tables in analyses/results."""

import json
import re
from pathlib import Path

import numpy as np
import pytest
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


def kinds():
    """Accuracies of the XOR networks with and without a hierarchy, in percent, of seed and rung."""
    return [
        np.array([100 * results(f"ladder_mts_{kind}_seed{seed}")["accuracy"].to_numpy() for seed in range(3)])
        for kind in ("hierarchical", "homogeneous")
    ]


def kind_rows():
    return [
        [str(rung), *(", ".join(f"{value:.0f}" for value in kind[:, rung]) for kind in kinds())] for rung in brian.RUNGS
    ]


def deviation_rows():
    table = results(f"deviations_{XOR}")
    return [
        [str(name), accuracy(one), *(tau(one.sel(layer=layer)) for layer in ("hidden3", "hidden4"))]
        for name, one in ((name, table.sel(circuit=name)) for name in table["circuit"].values)
    ]


def delay_rows():
    table = results(f"deviations_{DELAYS}")
    return [
        [str(name), accuracy(one), ends(one, "agreement")]
        for name, one in ((name, table.sel(circuit=name)) for name in table["circuit"].values)
    ]


@pytest.mark.slow
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
    assert rows("rung | time constants") == kind_rows()
    assert rows("circuit") == cause_rows()
    assert rows("multi-timescale XOR |") == deviation_rows()
    assert rows("spoken digits with delays |") == delay_rows()


def sentences():
    """What the text says in numbers, with those of the results."""
    xor, digits = results(f"ladder_{XOR}"), results(f"ladder_{DIGITS}")
    causes = {"XOR": results(f"causes_{XOR}"), "the digits": results(f"causes_{DIGITS}")}
    for name, table in causes.items():
        exact, fine, once = (percent(table["accuracy"][index]) for index in range(3))
        yield f"{name} from {exact} to {fine} %"
        yield f"{once} %"
    for table in (xor, digits):
        before, after = (f"{float(table['rate_hz'].sel(rung=rung, layer='hidden4')):.0f}" for rung in (1, 2))
        yield f"{after} instead of {before} Hz"
    yield f"XOR goes from {percent(xor['accuracy'].sel(rung=3))} to {percent(xor['accuracy'].sel(rung=4))} %"
    yield f"digits from {percent(digits['accuracy'].sel(rung=3))} to {percent(digits['accuracy'].sel(rung=4))} %"
    once, currents = (causes["XOR"].isel(circuit=index) for index in (2, 3))
    assert once["accuracy_low"] > currents["accuracy_high"]
    yield f"XOR goes from {percent(once['accuracy'])} to {percent(currents['accuracy'])} %, which is not"
    for name in ("agreement", "agreement_by_chance"):
        last = (float(table[name].sel(rung=4, layer="hidden4")) for table in (xor, digits))
        yield " and ".join(f"{value:.2f}" for value in last)
    for table in (xor, digits):
        assert set(json.loads(table.attrs["mean_potential"]).values()) == {0.0}  # below rest, so taken for it
    yield f"from {xor.attrs['tau_trials']} and {digits.attrs['tau_trials']} spontaneous trials"
    for table in causes.values():
        low, high = (percent(end) for end in (table["below_reversal"].min(), table["below_reversal"].max()))
        yield f"{low} to {high} % of the time"
        yield f"{percent(table['accuracy'][-1])} %"
    for table in (xor, digits):
        yield f"{100 * table.attrs['usual_answer']:.0f} %"
        assert np.isnan(table["tau_ms"].sel(rung=[5, 6])).all()
        np.testing.assert_array_equal(table["agreement"].sel(rung=1), 1.0)
        assert abs(float(table["accuracy"].sel(rung=6) - table["accuracy"].sel(rung=5))) < 0.01
    deepest = digits["tau_ms"].sel(rung=[1, 2, 3, 4])
    for layer in ("hidden3", "hidden4"):
        yield ", ".join(f"{value:.0f}" for value in deepest.sel(layer=layer).to_numpy()[:3]) + (
            f" and {float(deepest.sel(layer=layer, rung=4)):.0f} ms"
        )
    others = [results(f"ladder_mts_hierarchical_seed{seed}") for seed in (1, 2)]
    yield " % and ".join(", ".join(percent(value) for value in one["accuracy"]) for one in others) + " %"
    yield " and ".join(f"{float(one['tau_ms'].sel(rung=0, layer='hidden4')):.0f}" for one in others) + " ms"
    last = [float(one["tau_ms"].sel(rung=4, layer="hidden4")) for one in others]
    yield f"is {last[0]:.0f} ms on rung 4 in one"
    assert np.isnan(last[1])
    late = np.concatenate([one["tau_ms"].sel(rung=[5, 6]).to_numpy() for one in others])
    assert (np.isfinite(late).sum(axis=1) <= 1).all()
    yield f"{np.nanmin(late):.0f} to {np.nanmax(late):.0f} ms"
    yield f"{xor.attrs['trials']} test trials"
    lost = [kind[:, 0] - kind[:, 4] for kind in kinds()]
    words = [f"{one.min():.0f} to {one.max():.0f}" for one in lost]
    assert lost[0].max() > lost[1].min()  # they overlap
    assert lost[1].max() > lost[0].min()
    yield f"networks with a hierarchy lose {words[0]} points and those without one {words[1]}"


def test_what_the_text_says_is_what_was_measured():
    for words in sentences():
        assert words in TEXT, words
