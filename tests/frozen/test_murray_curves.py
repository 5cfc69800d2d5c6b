"""The published timescales of cortex must follow from the published curves, and must not move."""

import json
from pathlib import Path

import numpy as np
import pytest

from cortexsnn import cortex
from cortexsnn.timescales import fit_exponential

CURVES = json.loads((Path(__file__).parent / "data" / "murray2014_curves.json").read_text(encoding="utf-8"))
NAMES = sorted(CURVES["printed_tau_ms"])


def refit(name):
    curve = np.array([CURVES["autocorrelation"][name]])
    return fit_exponential(curve, bin_ms=CURVES["bin_ms"], bins=curve.shape[1] + 1)


@pytest.mark.parametrize("name", NAMES)
def test_refit_agrees_with_the_printed_timescale(name):
    # Protects the whole rule (weights N - k, start at the largest drop): other variants reach 5 to 11 of 16.
    assert refit(name).tau_ms[0] == pytest.approx(CURVES["printed_tau_ms"][name], rel=0.10)


@pytest.mark.parametrize("name", NAMES)
def test_refit_does_not_move(name):
    # Protects numbers people will have published with an earlier version.
    fit = refit(name)
    assert fit.tau_ms[0] == pytest.approx(CURVES["refitted_tau_ms"][name], rel=0.005)
    assert fit.first_lag[0] == CURVES["first_fitted_lag"][name]


def test_curves_and_table_tell_the_same_story():
    # Protects against a typing error in either copy of the 16 values.
    table = cortex.load("murray2014")
    in_table = {
        f"{dataset}|{area}": tau
        for dataset, area, tau in zip(
            table["dataset"].to_numpy().tolist(),
            table["area"].to_numpy().tolist(),
            table["tau_ms"].to_numpy().tolist(),
            strict=True,
        )
    }
    assert in_table == CURVES["printed_tau_ms"]
    for name in NAMES:
        dataset, area = name.split("|")
        row = (table["dataset"] == dataset) & (table["area"] == area)
        lags = len(CURVES["autocorrelation"][name])
        assert table["foreperiod_ms"].to_numpy()[row] == [50.0 * (lags + 1)]


@pytest.mark.parametrize(("method", "coefficient"), [("spearman", 0.844), ("kendall", 0.745)])
def test_order_of_the_cortex(method, coefficient):
    # Protects the headline number of the cortical hierarchy: 14 observations of the visual-prefrontal stream.
    table = cortex.load("murray2014")
    stream = table["stream"].to_numpy() == "visual-prefrontal"
    result = cortex.rank_correlation(
        table["rank"].to_numpy()[stream], table["tau_ms"].to_numpy()[stream], method, rng=np.random.default_rng(1)
    )
    assert result.n == 14
    assert result.coefficient == pytest.approx(coefficient, abs=5e-4)
    assert result.p_value < 0.001
    assert result.p_is_exact
