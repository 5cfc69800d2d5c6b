"""The table of timescales: what was set, what was measured, and which area is near."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from cortexsnn.runs import Run
from cortexsnn.summary.networks import Rows

__all__ = ["timescale_rows"]


def _interval(one: xr.Dataset) -> str:
    """Interval of a timescale; 0 and infinity where it has no end."""
    low, high = float(one["tau_low_ms"]), float(one["tau_high_ms"])
    if np.isnan(low):
        return "none"
    return f"{low:.0f} to {f'{high:.0f}' if np.isfinite(high) else '∞'}"


def _area(one: xr.Dataset) -> str:
    """Nearest area, and how often it is the nearest by the errors of both."""
    area, probability = str(one["nearest_area"].item()), float(one["nearest_area_probability"])
    if not area:
        return "-"
    return f"{area} ({100 * probability:.0f} %)" if np.isfinite(probability) else area


def timescale_rows(runs: Sequence[Run], comparison: xr.Dataset) -> Rows:
    """Membrane time constant and measured timescale of every layer, and the cortical area nearest in milliseconds.

    With the area stands the share of draws, by the errors of both, in which it is the nearest.

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
    networks = comparison["network"].to_numpy().astype(str).tolist()
    for run in runs:
        of_run = comparison.isel(network=networks.index(run.name))
        names = of_run["layer_name"].to_numpy().astype(str).tolist()
        layer_of_rate = run.timescales["layer"].to_numpy().astype(str)
        for index, population in enumerate(run.network.hidden):
            one = of_run.isel(layer=names.index(population.name))
            has = np.isfinite(float(one["tau_ms"]))
            rate_hz = run.timescales["rate_hz"].to_numpy()[layer_of_rate == population.name].mean()
            rows.append(
                [
                    run.name if index == 0 else "",
                    population.name,
                    f"{1000 * float(population.tau_s.mean()):.0f}",
                    f"{1000 * run.network.effective_memory_s(population.name):.0f}",
                    f"{float(one['tau_ms']):.0f}" if has else "-",
                    _interval(one) if has else "-",
                    f"{float(rate_hz):.1f}",
                    _area(one),
                    str(one["status"].item()).replace("_", " "),
                ]
            )
    return columns, rows
