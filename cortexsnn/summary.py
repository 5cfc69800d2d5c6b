"""The tables that close a run, the same in the terminal and in the report: columns and rows of text."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from cortexsnn.runs import Run
from cortexsnn.timescales import LONGEST_TAU_IN_WINDOWS, SHORTEST_TAU_IN_BINS

__all__ = ["accuracy_rows", "agreement_rows", "correlation_rows", "timescale_rows"]

Rows = tuple[list[str], list[list[str]]]

_SHORT = {
    "torch float64": "torch",
    "brian2 numpy": "Brian2 runtime",
    "brian2 cpp_standalone": "Brian2 C++",
}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "-"


def accuracy_rows(runs: Sequence[Run]) -> Rows:
    """Test accuracy of every network in every simulator, and how many decoded classes differ from the reference."""
    simulators = runs[0].agreement["simulator"].to_numpy().astype(str).tolist()
    columns = ["network", "as trained"]
    for simulator in simulators:
        trials = int(runs[0].agreement["trials"].sel(simulator=simulator))
        columns.append(f"{_SHORT.get(simulator, simulator)} ({trials} trials)")
    columns.append("classes differing")
    rows = []
    for run in runs:
        differing = run.agreement.get("classes_differing")
        rows.append(
            [
                run.name,
                _percent(run.network.metadata.get("test_accuracy_before_folding", np.nan)),
                *(_percent(float(run.agreement["accuracy"].sel(simulator=s))) for s in simulators),
                "-" if differing is None else f"{int(differing.sum()):,} of {int(run.agreement['classes'].sum()):,}",
            ]
        )
    return columns, rows


def agreement_rows(runs: Sequence[Run]) -> Rows:
    """Spikes compared and differing, layer by layer."""
    simulators = runs[0].agreement["simulator"].to_numpy().astype(str).tolist()
    columns = ["network", "layer", "active", "rate (Hz)"]
    columns += [f"{_SHORT.get(simulator, simulator)}: spikes / differing" for simulator in simulators]
    rows = []
    for run in runs:
        for index, population in enumerate(run.network.hidden):
            one = run.agreement.sel(population=population.name)
            row = [
                run.name if index == 0 else "",
                population.name,
                f"{float(one['active_percent'][0]):.1f} %",
                f"{float(one['rate_hz'][0]):.1f}",
            ]
            for simulator in simulators:
                spikes, differing = (int(one[name].sel(simulator=simulator)) for name in ("spikes", "differing"))
                row.append(f"{spikes:,} / {differing:,}")
            rows.append(row)
    return columns, rows


def _nearest(comparison: xr.Dataset | None, run: Run, depth: int) -> str:
    if comparison is None:
        return ""
    return str(comparison["nearest_area"].sel(network=run.name, layer=depth).item()) or "-"


def _interval(one: xr.Dataset) -> str:
    """Interval of a timescale; an end that ran to the bound of the search says nothing and is 0 or infinite."""
    low, high = float(one["tau_low_ms"]), float(one["tau_high_ms"])
    if not np.isfinite(low):
        return "none"
    lowest = SHORTEST_TAU_IN_BINS * one.attrs["bin_ms"]
    highest = LONGEST_TAU_IN_WINDOWS * one.attrs["window_ms"]
    return f"{low if low > 1.01 * lowest else 0:.0f} to {f'{high:.0f}' if high < 0.99 * highest else '∞'}"


def timescale_rows(runs: Sequence[Run], comparison: xr.Dataset | None = None) -> Rows:
    """Membrane time constant and measured timescale of every layer."""
    columns = [
        "network",
        "layer",
        "membrane τ (ms)",
        "measured τ (ms)",
        "interval (ms)",
        "rate (Hz)",
        "nearest area",
        "status",
    ]
    rows = []
    for run in runs:
        for index, population in enumerate(run.network.hidden):
            one = run.timescales.sel(layer=population.name)
            has = np.isfinite(float(one["tau_ms"]))
            rows.append(
                [
                    run.name if index == 0 else "",
                    population.name,
                    f"{1000 * float(population.tau_s.mean()):.0f}",
                    f"{float(one['tau_ms']):.0f}" if has else "-",
                    _interval(one) if has else "-",
                    f"{float(one['rate_hz']):.1f}",
                    _nearest(comparison, run, index + 1),
                    str(one["status"].item()).replace("_", " "),
                ]
            )
    return columns, rows


def _p_value(value: float, exact: bool, error: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.3g} (exact)" if exact else f"{value:.2g} ± {error:.1g} (sampled)"


def correlation_rows(comparison: xr.Dataset) -> Rows:
    """Rank correlations of the networks and of the cortex, each with n, p and a word of caution."""
    columns = ["what", "n", "Spearman", "p", "Kendall", "p ", "note"]
    rows = []
    for kind, place, sizes in (("order", "network", "layers_used"), ("cortex", "cortex", "cortex_n")):
        for name in comparison[place].to_numpy().astype(str):
            one = comparison.sel({place: name})
            cells = [name if place == "network" else f"cortex, {name}", str(int(one[sizes]))]
            for statistic in ("spearman", "kendall"):
                at = one.sel(statistic=statistic)
                coefficient = float(at[f"{kind}_coefficient"])
                cells.append(f"{coefficient:+.2f}" if np.isfinite(coefficient) else "-")
                cells.append(
                    _p_value(
                        float(at[f"{kind}_p_value"]),
                        bool(at[f"{kind}_p_is_exact"]),
                        float(at[f"{kind}_p_standard_error"]),
                    )
                )
            notes = [str(one[f"{kind}_note"].sel(statistic=s).item()) for s in ("spearman", "kendall")]
            cells.append("; ".join(dict.fromkeys(note for note in notes if note)))
            rows.append(cells)
    return columns, rows
