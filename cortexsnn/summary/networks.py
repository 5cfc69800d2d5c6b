"""Tables of networks: what their layers remember before training, and accuracies and spikes in every simulator."""

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

__all__ = ["Rows", "accuracy_rows", "agreement_rows", "counted", "layer_rows", "sweep_rows"]

Rows = tuple[list[str], list[list[str]]]

_SHORT = {
    "torch float64": "torch",
    "brian2 numpy": "Brian2 runtime",
    "brian2 cpp_standalone": "Brian2 C++",
    "brian2 cuda_standalone": "Brian2 CUDA",
}


def counted(number: int, noun: str) -> str:
    """A number of things, of which there may be one.

    Parameters
    ----------
    number : int
    noun : str
        In the singular, with a regular plural.

    Returns
    -------
    str

    Examples
    --------
    >>> counted(1, "network"), counted(1200, "trial")
    ('1 network', '1,200 trials')
    """
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


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
        columns.append(f"{_SHORT.get(simulator, simulator)} ({counted(trials, 'trial')})")
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
