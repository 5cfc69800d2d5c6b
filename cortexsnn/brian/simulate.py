"""One call for every device: trials in, recording out."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import xarray as xr
from numpy.typing import ArrayLike

from cortexsnn.brian.runtime import run_in_process
from cortexsnn.brian.standalone import run_standalone
from cortexsnn.errors import InputError
from cortexsnn.network import Network, input_counts

__all__ = ["DEVICES", "simulate"]

DEVICES = ("cpp_standalone", "numpy", "cython")


def simulate(
    network: Network,
    counts: ArrayLike | Mapping[str, ArrayLike],
    *,
    device: str = "cpp_standalone",
    record_potential: Collection[str] = (),
    progress: bool = True,
) -> xr.DataTree:
    """Run a network in Brian2 on many trials, each from rest.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or mapping from input population to such an array
        Input spikes; several spikes of a channel in one step are allowed.
    device : {"cpp_standalone", "numpy", "cython"}
        A compiled program (needs a C++ compiler and make; the first run of an architecture compiles for half a
        minute), or Brian2's runtime with NumPy or Cython code.
    record_potential : collection of str
        Spiking populations whose V[t] before the reset is kept too; that of readouts always is.
    progress : bool
        Show progress and time left.

    Returns
    -------
    xarray.DataTree
        A recording (`cortexsnn.recording`).

    Raises
    ------
    InputError
        If the device is unknown, the input does not fit the network, or there is no compiler.

    Examples
    --------
    >>> import numpy as np
    >>> from cortexsnn.network import Network, Population, Projection
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> recording = simulate(network, np.ones((2, 5, 1)), device="numpy")
    >>> recording["hidden1"]["spike_step"].values
    array([1, 3, 1, 3], dtype=int32)
    """
    checked = input_counts(network, counts)
    unknown = sorted(set(record_potential) - {p.name for p in network.order})
    if unknown:
        raise InputError("record_potential", unknown[0], f"one of {', '.join(p.name for p in network.order)}")
    if device == "cpp_standalone":
        return run_standalone(network, checked, record_potential=record_potential, progress=progress)
    if device in DEVICES:
        return run_in_process(network, checked, target=device, record_potential=record_potential, progress=progress)
    raise InputError("device", device, f"one of {', '.join(DEVICES)}")
