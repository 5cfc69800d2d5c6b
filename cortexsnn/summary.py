"""The tables that close a run, the same in the terminal and in the report: columns and rows of text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from cortexsnn.hierarchy import receptive_field_steps
from cortexsnn.runs import Run, relative_difference

if TYPE_CHECKING:
    from cortexsnn.training import Architecture

__all__ = [
    "accuracy_rows",
    "agreement_rows",
    "correlation_rows",
    "layer_rows",
    "sweep_rows",
    "timescale_rows",
    "verdict",
]

Rows = tuple[list[str], list[list[str]]]

_SHORT = {
    "torch float64": "torch",
    "brian2 numpy": "Brian2 runtime",
    "brian2 cpp_standalone": "Brian2 C++",
}


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %" if np.isfinite(share) else "-"


def layer_rows(architecture: Architecture) -> Rows:
    """What every hidden layer remembers before it is trained.

    Parameters
    ----------
    architecture : Architecture

    Returns
    -------
    columns : list of str
    rows : list of list of str
        With the effective memory (mean lag of the impulse response without spikes) of the layer and summed over depth.
    """
    columns = ["layer", "neurons", "τ (ms)", "kernel", "dilation", "receptive field (ms)"]
    columns += ["effective memory (ms)", "summed over depth (ms)"]
    memory, step_ms = architecture.effective_memory(), 1000 * architecture.dt_s
    tau_ms = 1000 * architecture.initial_tau_s()
    rows = []
    for index, layer in enumerate(architecture.layers):
        field_ms = step_ms * receptive_field_steps(layer.kernel_size, layer.dilation)
        figures = (tau_ms[index], 1000 * memory.layer_s[index], 1000 * memory.cumulative_s[index])
        tau, own, summed = (f"{figure:.0f}" for figure in figures)
        tau += ", learned" if layer.learned_tau else ""
        counted = (str(layer.size), tau, str(layer.kernel_size), str(layer.dilation))
        rows.append([f"hidden{index + 1}", *counted, f"{field_ms:.0f}", own, summed])
    return columns, rows


def _finite(table: xr.Dataset, name: str, runs: list[int]) -> NDArray[np.float64]:
    """A result of some runs, of those that have it; one that is no number if none has."""
    values = table[name].to_numpy()[runs] if name in table else np.array([])
    values = values[np.isfinite(values)]
    return values if values.size else np.array([np.nan])


def sweep_rows(table: xr.Dataset) -> Rows:
    """Accuracies of a sweep: one row for each setting, its seeds together.

    Choose between settings by the validation accuracy. The test accuracy is that of the networks as they were trained;
    "folded" is that of the exported networks, which differs after training with batch statistics.

    Parameters
    ----------
    table : xarray.Dataset
        Of `cortexsnn.sweeps.run_sweep`.

    Returns
    -------
    columns : list of str
    rows : list of list of str
    """
    varied = [str(name) for name in table.coords if name not in ("hash", "seed", "run")]
    columns = [*varied, "runs", "failed", "validation", "test, median", "mean", "lowest", "highest", "folded, median"]
    settings: dict[tuple[str, ...], list[int]] = {}
    for index in range(table.sizes["run"]):
        settings.setdefault(tuple(str(table[name].values[index]) for name in varied), []).append(index)
    rows = []
    for setting, members in settings.items():
        failed = int((table["status"].values[members] == "failed").sum())
        validation, test, folded = (
            _finite(table, name, members)
            for name in ("validation_accuracy", "test_accuracy_before_folding", "test_accuracy")
        )
        figures = [_percent(float(statistic(test))) for statistic in (np.median, np.mean, np.min, np.max)]
        figures = [_percent(float(np.median(validation))), *figures, _percent(float(np.median(folded)))]
        rows.append([*setting, str(len(members)), str(failed), *figures])
    return columns, rows


def accuracy_rows(runs: Sequence[Run]) -> Rows:
    """Test accuracy of every network in every simulator, and how many decoded classes differ from the reference.

    Parameters
    ----------
    runs : sequence of Run
        All checked in the same simulators.

    Returns
    -------
    columns : list of str
    rows : list of list of str
    """
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
    """Spikes compared and differing, and the largest difference of potentials, layer by layer.

    Parameters
    ----------
    runs : sequence of Run
        All checked in the same simulators.

    Returns
    -------
    columns : list of str
    rows : list of list of str
    """
    simulators = runs[0].agreement["simulator"].to_numpy().astype(str).tolist()
    columns = ["network", "layer", "active", "rate (Hz)"]
    columns += [f"{_SHORT.get(simulator, simulator)}: spikes / differing" for simulator in simulators]
    columns.append("potentials differ by")
    rows = []
    for run in runs:
        largest = relative_difference(run.agreement).max("simulator")
        for index, population in enumerate(run.network.order):
            one = run.agreement.sel(population=population.name)
            row = [run.name if index == 0 else "", population.name]
            if population.kind == "readout":
                row += ["-"] * (2 + len(simulators))
            else:
                row += [f"{float(one['active_percent'][0]):.1f} %", f"{float(one['rate_hz'][0]):.1f}"]
                for simulator in simulators:
                    spikes, differing = (int(one[name].sel(simulator=simulator)) for name in ("spikes", "differing"))
                    row.append(f"{spikes:,} / {differing:,}")
            rows.append([*row, f"{float(largest.sel(population=population.name)):.0e}"])
    return columns, rows


def _interval(one: xr.Dataset) -> str:
    """Interval of a timescale; 0 and infinity where it has no end."""
    low, high = float(one["tau_low_ms"]), float(one["tau_high_ms"])
    if np.isnan(low):
        return "none"
    return f"{low:.0f} to {f'{high:.0f}' if np.isfinite(high) else '∞'}"


def timescale_rows(runs: Sequence[Run], comparison: xr.Dataset) -> Rows:
    """Membrane time constant and measured timescale of every layer, and the cortical area nearest in milliseconds.

    Parameters
    ----------
    runs : sequence of Run
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.

    Returns
    -------
    columns : list of str
    rows : list of list of str
    """
    columns = [
        "network",
        "layer",
        "membrane (ms)",
        "memory (ms)",
        "measured (ms)",
        "interval (ms)",
        "rate (Hz)",
        "area",
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
                    f"{1000 * run.network.effective_memory_s(population.name):.0f}",
                    f"{float(one['tau_ms']):.0f}" if has else "-",
                    _interval(one) if has else "-",
                    f"{float(one['rate_hz']):.1f}",
                    str(comparison["nearest_area"].sel(network=run.name, layer=index + 1).item()) or "-",
                    str(one["status"].item()).replace("_", " "),
                ]
            )
    return columns, rows


def _p_value(value: float, exact: bool, error: float) -> str:
    if not np.isfinite(value):
        return "-"
    return f"{value:.3g} (exact)" if exact else f"{value:.2g} ± {error:.1g} (sampled)"


def correlation_rows(comparison: xr.Dataset) -> Rows:
    """Rank correlations of the networks and of the cortex, each with n, p and a word of caution.

    Parameters
    ----------
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.

    Returns
    -------
    columns : list of str
    rows : list of list of str
    """
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


def verdict(runs: Sequence[Run], comparison: xr.Dataset) -> list[str]:
    """What came out, in sentences that are computed from the results.

    Parameters
    ----------
    runs : sequence of Run
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.

    Returns
    -------
    list of str
    """
    sentences = []
    for condition in comparison["condition"].to_numpy().astype(str):
        members = [run for run in runs if run.condition == condition]
        found = sum(int(np.isfinite(run.timescales["tau_ms"]).sum()) for run in members)
        layers = sum(len(run.network.hidden) for run in members)
        one = comparison.sel(condition=condition)
        tested = int(one["condition_networks"])
        sentence = f"{condition}: {found} of {layers} layers have a measurable timescale"
        if tested:
            sentence += (
                f"; the slope over depth is positive in {int(one['condition_rising'])} of {tested} networks with "
                f"enough layers (mean {float(one['condition_slope']):+.2f} in ln τ from bottom to top, sign-flip p = "
                f"{float(one['condition_p_value']):.2g})"
            )
        sentences.append(_ended(sentence, str(one["condition_note"].item())))
    for contrast in comparison["contrast"].to_numpy().astype(str):
        one = comparison.sel(contrast=contrast)
        pairs = int(one["contrast_pairs"])
        sentence = f"{contrast}: "
        if pairs:
            sentence += (
                f"slopes differ by {float(one['contrast_slope_difference']):+.2f} in {pairs} pairs of seeds "
                f"(sign-flip p = {float(one['contrast_p_value']):.2g})"
            )
        else:
            sentence += "no pair of networks has a slope in both conditions"
        sentences.append(_ended(sentence, str(one["contrast_note"].item())))
    slopes = [f"{float(comparison['cortex_slope'].sel(cortex=s)):+.2f} ({s})" for s in comparison["cortex"].to_numpy()]
    sentences.append(f"Cortex, visual-prefrontal hierarchy: slope in ln τ from bottom to top {', '.join(slopes)}.")
    return sentences


def _ended(sentence: str, note: str) -> str:
    return f"{sentence}. Note: {note}." if note else f"{sentence}."
