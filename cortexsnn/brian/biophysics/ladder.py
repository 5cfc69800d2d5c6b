"""The ladder: the same trained network from the exact twin to biophysics, measured on every rung."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import asdict, replace
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn.brian.biophysics.effects import Input, effects
from cortexsnn.brian.biophysics.physical import mean_potential, realistic
from cortexsnn.brian.biophysics.realism import RUNGS, SYNAPSES, Realism, require_realism
from cortexsnn.errors import InputError
from cortexsnn.network import Network, spike_inputs

__all__ = ["ladder", "on_rung"]

_SWITCHES = ("steps_per_bin", "refractory_ms", "synapses", "noise_sd_mv")
_TOP = RUNGS[max(RUNGS)].realism or Realism()
_CALIBRATING_TRIALS = 10
_NUMBERS = ", ".join(map(str, RUNGS))


def on_rung(rung: int, top: Realism = _TOP) -> Realism | None:
    """What one rung has of all that the highest one has.

    Parameters
    ----------
    rung : int
        From 0 to 6 (`cortexsnn.brian.RUNGS`).
    top : Realism
        The highest rung: its constants are those of all rungs, and its switches are turned on one after another.

    Returns
    -------
    Realism or None
        None for the exact twin.

    Raises
    ------
    InputError
        If there is no such rung, or the highest one is no `Realism`.

    Examples
    --------
    >>> half = replace(_TOP, steps_per_bin=20, refractory_ms=5.0)
    >>> on_rung(2, half).steps_per_bin, on_rung(2, half).refractory_ms, on_rung(4, half).synapses
    (20, 0.0, 'current')
    """
    if isinstance(rung, bool) or not isinstance(rung, int | np.integer) or rung not in RUNGS:
        raise InputError("rung", rung, f"one of {_NUMBERS}")
    require_realism(top)
    usual = RUNGS[int(rung)].realism
    if usual is None:
        return None
    # A switch that this rung has as the highest one has it is on; any other is as this rung has it.
    off = {name: getattr(usual, name) for name in _SWITCHES if getattr(usual, name) != getattr(_TOP, name)}
    # Kinds of synapses have an order, and no rung goes beyond the highest.
    synapses = min(usual.synapses, top.synapses, key=SYNAPSES.index)
    return replace(top, **{**off, "synapses": synapses})


def _adds(rung: int, top: Realism) -> str:
    """What one rung adds to the one below it, in words."""
    here, below, usual = on_rung(rung, top), on_rung(max(rung - 1, 0), top), RUNGS[rung]
    if here is None or below is None or usual.realism is None:
        return usual.adds
    switched = [name for name in _SWITCHES if getattr(here, name) != getattr(below, name)]
    if not switched:
        return "nothing"
    if all(getattr(here, name) == getattr(usual.realism, name) for name in switched):
        return usual.adds
    words = {
        "steps_per_bin": f"the time step divided by {here.steps_per_bin}",
        "refractory_ms": f"a refractory period of {here.refractory_ms:g} ms",
        "noise_sd_mv": f"a background current that makes the potential fluctuate by {here.noise_sd_mv:g} mV",
    }
    return ", ".join(words[name] for name in switched)


def ladder(
    network: Network,
    counts: Input,
    *,
    rungs: Iterable[int] = tuple(RUNGS),
    realism: Realism = _TOP,
    calibration: Input | None = None,
    rng: np.random.Generator,
    **measuring: Any,
) -> xr.Dataset:
    """Measure a network on the rungs from the exact twin to biophysics (`cortexsnn.brian.RUNGS`).

    Nothing is tuned to the task on the way: weights, time constants and biases are those that were trained, and gains
    follow from formulas (`cortexsnn.brian.realistic`).

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or SpikeInput, or mapping from input population to such
        Trials of the task, on the time step of training.
    rungs : iterable of int
        The exact twin, rung 0, is always among them: the others are compared with it.
    realism : Realism
        The highest rung (`on_rung`), if constants shall be others than those of `RUNGS`.
    calibration : as `counts`, optional
        Trials for the mean potential that conductances start from; the first ten of `counts` if not given.
    rng : numpy.random.Generator
        For the noise, and for the intervals of timescales.
    **measuring
        Of `cortexsnn.brian.effects`: ``labels``, ``scored_steps``, ``spontaneous``, ``start_ms``, ``bin_ms``,
        ``device``, ``processes``, ``bootstrap``, ``confidence``, ``progress``.

    Returns
    -------
    xarray.Dataset
        As of `cortexsnn.brian.effects`, on ``rung`` and ``layer``, with what each rung adds to the one below it,
        whether that is among the rungs or not (``adds``).
        `cortexsnn.plotting.ladder` draws it.

    Raises
    ------
    InputError
        If there is no such rung, or one does not fit the network: the message names the constant and a way out.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> rng = np.random.default_rng(1)
    >>> counts = rng.poisson(0.5, (8, 60, 1))
    >>> table = ladder(network, counts, rungs=(0, 1), device="numpy", bootstrap=0, rng=rng)
    >>> table["adds"].values.tolist(), table["agreement"].values.ravel()
    (['the exact twin', 'physical units'], array([1., 1.]))
    """
    if isinstance(rungs, str) or not isinstance(rungs, Iterable):
        raise InputError("rungs", rungs, f"numbers among {_NUMBERS}", "rungs=(3,) is one rung")
    descriptions = {int(rung): on_rung(rung, realism) for rung in (0, *rungs)}
    chosen = sorted(descriptions)
    inputs = spike_inputs(network, counts if calibration is None else calibration)
    few = {name: one.counts(range(min(_CALIBRATING_TRIALS, one.trials)), range(one.steps))
           for name, one in inputs.items()}  # fmt: skip
    means = mean_potential(network, few)
    circuits = {str(n): realistic(network, descriptions[n], mean_potential=means) for n in chosen}
    table = effects(circuits, counts, rng=rng, **measuring)
    return (
        table.rename(circuit="rung")
        .assign_coords(rung=chosen, adds=("rung", [_adds(number, realism) for number in chosen]))
        .assign_attrs(realism=json.dumps(asdict(realism)), mean_potential=json.dumps(means))
    )
