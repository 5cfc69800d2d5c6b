"""The result of an estimate: one layout for all estimators, on layers or on single neurons, saved and checked."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn.errors import InputError
from cortexsnn.results import load_dataset, save_dataset
from cortexsnn.timescales.estimators.contract import Estimator, Plan
from cortexsnn.timescales.status import Status

__all__ = ["SCHEMA", "layer_table", "load", "neuron_table", "save"]

SCHEMA = "cortexsnn-timescales-2"

_OF_A_UNIT: dict[str, tuple[str, str]] = {
    "tau_ms": ("timescale; NaN unless the status is ok or too_short", "ms"),
    "tau_low_ms": ("lower end of the interval of tau; 0 if there is no lower bound", "ms"),
    "tau_high_ms": ("upper end of the interval of tau; infinite if there is no upper bound", "ms"),
    "replicates_fitted": (
        "bootstrap replicates that fall at all; in the interval the others count as 0 below and as infinity above",
        "1",
    ),
    "noise_p_value": ("chance of at least this much decay without a timescale", "1"),
    "status": ("what came of the estimate", ""),
    "reason": ("the status in words", ""),
    "rate_hz": ("mean rate of all neurons within the window", "Hz"),
}
_OF_A_LAYER: dict[str, tuple[str, str]] = {
    "neurons_used": ("neurons in the mean", "1"),
    "neurons_excluded": ("neurons that were left out; exclusion says why", "1"),
}


def _described(dims: tuple[str, ...], values: Any, long_name: str, units: str) -> tuple[Any, ...]:
    return dims, np.asarray(values), {"long_name": long_name} | ({"units": units} if units else {})


def _axis(estimator: Estimator, plan: Plan, bin_ms: float) -> tuple[str, dict[str, Any]]:
    """Dimension of the curves and its coordinates."""
    if estimator.axis_name == "frequency":
        return "frequency", {"frequency": ("frequency", plan.axis, {"long_name": "frequency", "units": "Hz"})}
    lag = np.rint(plan.axis / bin_ms).astype(np.int64)
    return "lag", {
        "lag": ("lag", lag, {"long_name": "lag in bins"}),
        "lag_ms": ("lag", plan.axis, {"long_name": "lag", "units": "ms"}),
    }


def _dataset(
    units: Mapping[str, Any], dimension: str, estimator: Estimator, plan: Plan, names: Mapping[str, tuple[str, str]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Variables and coordinates that layers and neurons have in common."""
    axis, coordinates = _axis(estimator, plan, float(estimator.bin_ms))
    variables = {name: _described((dimension,), units[name], *words) for name, words in names.items()}
    for name, parameter in estimator.parameters.items():
        variables[name] = _described((dimension,), units[name], parameter.long_name, parameter.units)
    curve = "power" if axis == "frequency" else "autocorrelation"
    variables[curve] = _described((dimension, axis), units["curve"], estimator.curve_name, "1")
    variables["fitted"] = _described((dimension, axis), units["fitted"], "fit, where it was fitted", "1")
    coordinates["estimator"] = ((), estimator.name)
    return variables, coordinates


def layer_table(
    rows: Mapping[str, Any],
    layers: list[str],
    neurons: Mapping[str, Any],
    estimator: Estimator,
    plan: Plan,
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Put the rows of layers together.

    Parameters
    ----------
    rows : mapping from variable to array, shape (layer, ...)
    layers : list of str
        In the order of depth.
    neurons : mapping
        ``layer``, ``neuron`` and ``exclusion`` of every neuron that was there.
    estimator : Estimator
    plan : Plan
    attributes : mapping
        Protocol and source.
    """
    variables, coordinates = _dataset(rows, "layer", estimator, plan, _OF_A_UNIT | _OF_A_LAYER)
    variables["exclusion"] = _described(
        ("unit",), neurons["exclusion"], "why the neuron was left out; empty if it was used", ""
    )
    coordinates |= {
        "layer": layers,
        "depth": ("layer", np.arange(1, len(layers) + 1), {"long_name": "position from the input, 1 is the first"}),
        "unit_layer": ("unit", neurons["layer"], {"long_name": "layer of the neuron"}),
        "unit_neuron": ("unit", neurons["neuron"], {"long_name": "label of the neuron"}),
    }
    return xr.Dataset(variables, coordinates, {"schema": SCHEMA, "per": "layer", **attributes})


def neuron_table(
    rows: Mapping[str, Any],
    neurons: Mapping[str, Any],
    estimator: Estimator,
    plan: Plan,
    attributes: Mapping[str, Any],
) -> xr.Dataset:
    """Put the rows of single neurons together, of all layers in a row.

    Parameters
    ----------
    rows : mapping from variable to array, shape (unit, ...)
    neurons : mapping
        ``layer`` and ``neuron`` (its label) of every one.
    estimator : Estimator
    plan : Plan
    attributes : mapping
    """
    variables, coordinates = _dataset(rows, "unit", estimator, plan, _OF_A_UNIT)
    coordinates |= {
        "layer": ("unit", neurons["layer"], {"long_name": "layer or area"}),
        "neuron": ("unit", neurons["neuron"], {"long_name": "label of the neuron"}),
    }
    return xr.Dataset(variables, coordinates, {"schema": SCHEMA, "per": "neuron", **attributes})


def save(dataset: xr.Dataset, path: str | Path) -> None:
    """Write the result of `estimate` to netCDF, all of it or nothing.

    Parameters
    ----------
    dataset : xarray.Dataset
    path : path-like
    """
    save_dataset(dataset, path)


def load(path: str | Path) -> xr.Dataset:
    """Read a result of `estimate` and check it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    xarray.Dataset

    Raises
    ------
    InputError
        If the file is missing, truncated, or not such a result.
    """
    dataset = load_dataset(path, what="timescales file", schema=SCHEMA, required={})
    dimension = "layer" if dataset.attrs.get("per") == "layer" else "unit"
    for name in (*_OF_A_UNIT, *(_OF_A_LAYER if dimension == "layer" else ())):
        if name not in dataset.variables:
            raise InputError(f"variables of timescales file {path}", list(map(str, dataset.variables)),
                             f"one named '{name}'")  # fmt: skip
        if dataset[name].dims != (dimension,):
            raise InputError(f"dimensions of '{name}' in timescales file {path}", dataset[name].dims,
                             f"('{dimension}',)")  # fmt: skip
    for name in ("layer", *(("depth",) if dimension == "layer" else ("neuron",))):
        if name not in dataset.coords:
            raise InputError(f"coordinates of timescales file {path}", list(map(str, dataset.coords)), f"'{name}'")
    unknown = sorted(set(dataset["status"].to_numpy().tolist()) - {status.value for status in Status})
    if unknown:
        raise InputError(f"status in timescales file {path}", unknown[0], f"one of {', '.join(Status)}")
    return dataset
