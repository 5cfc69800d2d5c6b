"""Tables and sentences of a comparison: they say the numbers that they were given, and what is missing."""

import numpy as np
import pytest
import xarray as xr

from cortexsnn import cortex
from cortexsnn.summary import contrast_rows, correlation_rows, counted, protocol_sentences, slope_rows, verdict


def network(slope, draws):
    tau_ms = 60 * np.exp(np.linspace(0, slope, 4) + draws.normal(0, 0.05, 4))
    return xr.Dataset(
        {
            "tau_ms": ("layer", tau_ms),
            "tau_low_ms": ("layer", 0.9 * tau_ms),
            "tau_high_ms": ("layer", 1.2 * tau_ms),
            "status": ("layer", ["ok"] * 4),
        },
        {"layer": [f"hidden{k}" for k in range(1, 5)], "depth": ("layer", [1, 2, 3, 4])},
        {"confidence": 0.95},
    )


@pytest.fixture(scope="module")
def comparison():
    draws = np.random.default_rng(3)
    named = {f"{c}-seed{k}": network(s, draws) for c, s in (("flat", 0.1), ("steep", 1.2)) for k in range(6)}
    conditions = {name: name.split("-")[0] for name in named}
    pairs = {name: name.split("seed")[1] for name in named}
    return cortex.compare(named, cortex.load("murray2014"), rng=draws, conditions=conditions, pairs=pairs)


def as_mappings(table):
    columns, rows = table
    assert len(set(columns)) == len(columns)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def test_slopes_of_conditions_cortex_and_networks(comparison):
    rows = {row["what"]: row for row in as_mappings(slope_rows(comparison))}
    assert len(rows) == 2 + 2 + 12
    steep = comparison.sel(condition="steep", cortex="area means")
    assert rows["steep"]["n"] == "6 networks"
    assert rows["steep"]["slope"] == f"{steep['condition_slope'].item():+.2f}"
    assert rows["steep"]["less cortex"] == f"{steep['cortex_difference'].item():+.2f}"
    low, high = (float(end) for end in rows["steep"]["interval "].split(" to "))
    assert low < steep["cortex_difference"].item() < high
    assert rows["cortex, area means"]["slope"] == "+1.18"
    assert rows["flat-seed0"]["n"] == "4 layers"
    assert "drawn again" in rows["steep"]["note"]


def test_contrasts_have_a_row_for_each_question(comparison):
    slope, toward = as_mappings(contrast_rows(comparison))
    assert (slope["conditions"], slope["what"], slope["pairs"]) == ("flat - steep", "slope", "6")
    assert float(slope["difference"]) == pytest.approx(-1.1, abs=0.1)
    assert slope["p"] == "0.0312 (exact)"
    assert (slope["p (Holm)"], slope["rank-biserial"]) == ("0.031", "-1.00")
    assert toward["what"] == "nearer to the cortex by"
    # The flat networks are farther from the cortex, so the first is nearer by less than nothing.
    assert float(toward["difference"]) < 0


def test_rank_correlations_of_networks_and_cortex(comparison):
    rows = {row["what"]: row for row in as_mappings(correlation_rows(comparison))}
    assert rows["steep-seed0"]["Spearman"] == "+1.00"
    assert "n too small" in rows["steep-seed0"]["note"]
    assert (rows["cortex, observations"]["n"], rows["cortex, observations"]["Spearman"]) == ("14", "+0.84")


def test_the_verdict_is_computed_from_the_comparison(comparison):
    flat, steep, contrast, areas, warning = verdict(comparison)
    assert steep.startswith("steep: 24 of 24 layers have a measurable timescale; the slope over depth is positive in 6")
    assert "against the cortex (interval " in steep
    assert flat.startswith("flat: ")
    assert contrast.startswith("flat - steep: slopes differ by -1.")
    assert "the first is nearer to the slope of the cortex in 0 of them" in contrast
    assert areas.startswith("Cortex, visual-prefrontal hierarchy: slope in ln τ from bottom to top ")
    assert areas.endswith(" +1.18 (area means), +1.24 (observations).")
    assert warning.startswith("12 of 12 networks were not known to be measured by the protocol of murray2014")


def test_networks_of_one_protocol_are_named_together(comparison):
    (sentence,) = protocol_sentences(comparison)
    assert sentence.startswith("flat-seed0, flat-seed1")
    assert "not known whether measured by the protocol of murray2014" in sentence


def test_what_is_missing_is_a_dash():
    silent = xr.Dataset(
        {"tau_ms": ("layer", [np.nan, np.nan]), "status": ("layer", ["no_decay"] * 2)},
        {"layer": ["a", "b"], "depth": ("layer", [1, 2])},
    )
    comparison = cortex.compare(silent, cortex.load("ito2020"), rng=np.random.default_rng(1))
    assert {row["slope"] for row in as_mappings(slope_rows(comparison))} == {"-"}
    assert "a slope needs 2 layers" in as_mappings(slope_rows(comparison))[-1]["note"]
    assert verdict(comparison)[0].startswith("network: 0 of 2 layers have a measurable timescale.")


def test_networks_that_are_called_by_numbers_have_rows():
    # Protects seeds as names: what is looked up by its name as text is not there if the name is a number.
    draws = np.random.default_rng(3)
    named = {f"{c}{k}": network(s, draws) for c, s in ((1, 0.1), (2, 1.2)) for k in range(3)}
    conditions = {name: name[0] for name in named}
    pairs = {name: name[1] for name in named}
    comparison = cortex.compare(named, cortex.load("murray2014"), rng=draws, conditions=conditions, pairs=pairs)
    numbers = {name: comparison[name].to_numpy().astype(int) for name in ("network", "condition")}
    rows = [slope_rows(comparison), correlation_rows(comparison), contrast_rows(comparison)]
    said = verdict(comparison)
    comparison = comparison.assign_coords(numbers)
    assert [slope_rows(comparison), correlation_rows(comparison), contrast_rows(comparison)] == rows
    assert verdict(comparison) == said


def test_one_is_not_many():
    assert (counted(1, "network"), counted(2, "network")) == ("1 network", "2 networks")
    one = network(1.0, np.random.default_rng(3))
    comparison = cortex.compare({"a": one}, cortex.load("murray2014"), rng=np.random.default_rng(1))
    assert as_mappings(slope_rows(comparison))[0]["n"] == "1 network"
    assert "in 1 of 1 network with" in verdict(comparison)[0]


def test_contrasts_are_told_by_the_corrected_p(comparison):
    # Protects the reader of the verdict from the smaller p before correction for the number of tests.
    contrast = comparison.isel(contrast=0)
    assert f"sign-flip p = {contrast['contrast_p_holm'].item():.2g} after Holm's correction" in verdict(comparison)[2]
