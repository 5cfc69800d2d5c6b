"""Proof, not trust: the Brian2 twin against the executable reference, spike for spike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray

from cortexsnn import recording, reference
from cortexsnn.brian.bitwise import BitwiseCircuit, bitwise_for
from cortexsnn.brian.simulate import EXACT, simulate
from cortexsnn.checks import choice, generator
from cortexsnn.decoding import decode
from cortexsnn.network import Network, spike_inputs

__all__ = ["agreement", "compare_classes", "lively_input"]

_RATES_PER_STEP = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.4, 0.8)


def compare_classes(network: Network, expected: xr.DataTree, observed: xr.DataTree) -> dict[str, int]:
    """Count the decoded classes in which two recordings differ.

    Parameters
    ----------
    network : Network
        Its decoder reads the classes from the readout.
    expected, observed : xarray.DataTree
        Recordings of the same trials, with the potentials of the readout.

    Returns
    -------
    dict
        ``classes`` compared (trials, or trials x steps) and ``classes_differing``; empty without a decoder.
    """
    if network.decoder is None:
        return {}
    readout = network.readouts[0].name
    left, right = (decode(r[readout]["potential"].to_numpy(), network.decoder) for r in (expected, observed))
    return {"classes": int(left.size), "classes_differing": int(np.count_nonzero(left != right))}


def lively_input(
    network: Network, rng: np.random.Generator, *, trials: int = 20, steps: int = 200
) -> dict[str, NDArray[np.uint8]]:
    """Poisson input at the rate that brings the activity of the layers closest to 1 to 40 % of bins.

    Agreement about silence, or about neurons that always fire, would prove little.

    Parameters
    ----------
    network : Network
    rng : numpy.random.Generator
    trials, steps : int

    Returns
    -------
    dict of str to numpy.ndarray of uint8, shape (trial, time, channel)

    Examples
    --------
    >>> from cortexsnn.network import Network, Population, Projection
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 3), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.5, 0.5, 0.5]]),),
    ... )
    >>> lively_input(network, np.random.default_rng(0))["input"].shape
    (20, 200, 3)
    """
    generator(rng)
    best: dict[str, NDArray[np.uint8]] = {}
    least = np.inf
    for per_step in _RATES_PER_STEP:
        drawn = {p.name: rng.poisson(per_step, (trials, steps, p.size)).astype(np.uint8) for p in network.inputs}
        probe = reference.simulate(network, {name: counts[:4] for name, counts in drawn.items()})
        active = np.array([recording.dense_spikes(probe, p.name).mean() for p in network.hidden])
        # How far, in orders of magnitude, all layers together are from the range in which a comparison tells most.
        distance = np.maximum(np.log(0.01 / np.maximum(active, 1e-6)), 0) + np.maximum(np.log(active / 0.4 + 1e-9), 0)
        if distance.sum() < least:
            best, least = drawn, float(distance.sum())
    return best


def agreement(
    network: Network,
    counts: ArrayLike | Mapping[str, ArrayLike] | None = None,
    *,
    device: str = "cpp_standalone",
    precision: str = "float64",
    exact: str = "twin",
    rng: np.random.Generator | None = None,
    progress: bool = True,
) -> xr.Dataset:
    """Run the same trials in the reference and in Brian2 and compare every spike and every potential.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or mapping from input population to such an array, optional
        Random input that keeps the layers active (`lively_input`) if not given.
    device : str
        See `simulate`.
    precision : {"float64", "float32"}
        Of Brian2; the reference is in float64. In float32 some spikes differ, which this table counts.
    exact : {"twin", "bitwise"}
        See `simulate`. For ``"bitwise"`` the reference runs the network with snapped weights, and in float64 every
        potential has to be the same to the last bit.
    rng : numpy.random.Generator, optional
        For random input; one with seed 0 if not given.
    progress : bool

    Returns
    -------
    xarray.Dataset
        As `cortexsnn.recording.compare`: ``spikes``, ``differing``, the earliest difference (``first_trial``,
        ``first_step``, ``first_neuron``; -1 where there is none), ``active_percent``, ``rate_hz``,
        ``potential_difference`` and ``potential_scale`` of every population. Attributes ``device``, ``precision``,
        ``exact``, ``trials``, ``bins`` (places where a spike could have differed), ``classes`` and
        ``classes_differing``. A layer that hardly fires (``active_percent`` below 1) proves little.

        With ``exact="bitwise"`` also what snapping costs: ``grid_exponent``, ``largest_change`` and
        ``relative_change`` of the weights (`cortexsnn.brian.bitwise.Grid`), and ``differing_by_snapping``, the spikes
        in which the references of the network and of the snapped one differ; attribute
        ``classes_differing_by_snapping``.

    Examples
    --------
    >>> import numpy as np
    >>> from cortexsnn.network import Network, Population, Projection
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> table = agreement(network, np.ones((2, 5, 1)), device="numpy")
    >>> int(table["spikes"].sum()), int(table["differing"].sum())
    (4, 0)
    """
    if counts is None:
        counts = lively_input(network, np.random.default_rng(0) if rng is None else rng)
    choice("exact", exact, EXACT)
    runs = network if exact == "twin" else bitwise_for(network, precision, spike_inputs(network, counts))
    known = runs.network if isinstance(runs, BitwiseCircuit) else network
    names = [p.name for p in network.hidden]
    expected = reference.simulate(known, counts, record_potential=names)
    observed = simulate(runs, counts, device=device, precision=precision, record_potential=names, progress=progress)
    table = recording.compare(expected, observed)
    if isinstance(runs, BitwiseCircuit):
        table = _with_cost_of_snapping(table, runs, network, reference.simulate(network, counts), expected)
    steps = int(recording.steps_per_trial(expected).sum())
    table.attrs.update(
        device=device,
        precision=precision,
        exact=exact,
        trials=int(expected.sizes["trial"]),
        bins=steps * sum(p.size for p in network.hidden),
        **compare_classes(network, expected, observed),
    )
    return table


def _with_cost_of_snapping(
    table: xr.Dataset, circuit: BitwiseCircuit, network: Network, before: xr.DataTree, after: xr.DataTree
) -> xr.Dataset:
    """The table with what became of the network when its weights were snapped."""
    grids = [circuit.grids[name] for name in table["population"].to_numpy()]
    figures = {
        "grid_exponent": ("population", [grid.exponent for grid in grids]),
        "largest_change": ("population", [grid.largest_change for grid in grids]),
        "relative_change": ("population", [grid.relative_change for grid in grids]),
        "differing_by_snapping": recording.compare(before, after)["differing"],
    }
    classes = compare_classes(network, before, after)
    costs = {"classes_differing_by_snapping": classes["classes_differing"]} if classes else {}
    return table.assign(figures).assign_attrs(costs)
