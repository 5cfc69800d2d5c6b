"""Proof, not trust: the Brian2 twin against the executable reference, spike for spike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike

from cortexsnn import recording, reference
from cortexsnn.brian.simulate import simulate
from cortexsnn.decoding import decode
from cortexsnn.network import Network

__all__ = ["agreement", "compare_classes"]


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


def agreement(
    network: Network,
    counts: ArrayLike | Mapping[str, ArrayLike],
    *,
    device: str = "cpp_standalone",
    progress: bool = True,
) -> xr.Dataset:
    """Run the same trials in the reference and in Brian2 and compare every spike and every potential.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or mapping from input population to such an array
    device : str
        See `simulate`.
    progress : bool

    Returns
    -------
    xarray.Dataset
        As `cortexsnn.recording.compare`; attributes ``trials``, ``classes`` and ``classes_differing``. A layer
        that hardly fires (``active_percent`` below 1) proves little.

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
    names = [p.name for p in network.hidden]
    expected = reference.simulate(network, counts, record_potential=names)
    observed = simulate(network, counts, device=device, record_potential=names, progress=progress)
    table = recording.compare(expected, observed)
    table.attrs.update(trials=int(expected.sizes["trial"]), **compare_classes(network, expected, observed))
    return table
