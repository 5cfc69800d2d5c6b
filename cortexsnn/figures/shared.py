"""What figures share: which runs they show, in which colours, and which timescales."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from cortexsnn import plotting
from cortexsnn.runs import Run

__all__ = ["examples", "palette_of", "per_layer"]


def palette_of(runs: Sequence[Run]) -> dict[str, str]:
    """One colour for each condition.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    dict of str to str
    """
    return plotting.colours([run.condition for run in runs])


def examples(runs: Sequence[Run]) -> list[Run]:
    """The first run of each condition.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    list of Run
        In the order in which the conditions come.
    """
    first: dict[str, Run] = {}
    for run in runs:
        first.setdefault(run.condition, run)
    return list(first.values())


def per_layer(timescales: xr.Dataset) -> xr.Dataset:
    """Timescales of layers; those of single neurons as their geometric mean, with quartiles as its interval.

    Parameters
    ----------
    timescales : xarray.Dataset
        Of `cortexsnn.timescales.estimate`, per layer or per neuron.

    Returns
    -------
    xarray.Dataset
        On dimension ``layer``: tau_ms, tau_low_ms, tau_high_ms, and coordinate depth.

    Examples
    --------
    >>> single = xr.Dataset({"tau_ms": ("unit", [10.0, 40.0, np.nan, 30.0])}, {"layer": ("unit", ["a", "a", "a", "b"])})
    >>> per_layer(single)["tau_ms"].to_numpy().round(6)
    array([20., 30.])
    """
    if "layer" in timescales.dims:
        return timescales
    layer, tau = timescales["layer"].to_numpy().astype(str), timescales["tau_ms"].to_numpy()
    names = list(dict.fromkeys(layer.tolist()))
    known = [tau[(layer == name) & np.isfinite(tau)] for name in names]
    middle = [float(np.exp(np.log(one).mean())) if one.size else np.nan for one in known]
    low, high = ([float(np.quantile(one, share)) if one.size else np.nan for one in known] for share in (0.25, 0.75))
    return xr.Dataset(
        {"tau_ms": ("layer", middle), "tau_low_ms": ("layer", low), "tau_high_ms": ("layer", high)},
        {"layer": names, "depth": ("layer", np.arange(1, len(names) + 1))},
    )
