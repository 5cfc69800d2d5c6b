"""The neuromorphic intermediate representation (NIR, DOI 10.1038/s41467-024-52259-9): read, and written.

NIR states differential equations, not time steps. What a step is has to be said: its length, and its decay::

    alpha = exp(-dt / tau)       decay "exp"
    alpha = 1 - dt / tau         decay "euler"
    v[t] = alpha v[t-1] + (1 - alpha) (v_leak + r I[t])        LIF and LI, under either rule

I[t], the sum of weights over the spikes of the step, lasts for the whole step. A spike acts in the step in which it
is fired; along a connection of neurons onto their own layer, one step later; and after a ``Delay``, that much later.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from cortexsnn.checks import choice, positive
from cortexsnn.errors import InputError
from cortexsnn.exchange.frameworks import framework
from cortexsnn.exchange.nir_graph import flattened
from cortexsnn.exchange.nir_read import DECAYS, network_from
from cortexsnn.exchange.nir_write import graph_of
from cortexsnn.files import open_hdf5, replacing
from cortexsnn.network import RESETS, Network

__all__ = ["from_nir", "to_nir"]

_INSTALL = "pip install 'cortexsnn[nir]'"


def from_nir(
    graph: Any,
    *,
    dt_s: float | None = None,
    decay: str | None = None,
    reset: str | None = None,
    decoder: str | None = None,
) -> Network:
    """Read a NIR graph.

    Parameters
    ----------
    graph : nir.NIRGraph or path-like
        A graph, or the file of one.
    dt_s : float, optional
        Time step in seconds. NIR has none; it may be left out where `to_nir` wrote the graph.
    decay : {"exp", "euler"}, optional
        Whether a step multiplies the potential by exp(-dt / tau) or by 1 - dt / tau; as for `dt_s`.
    reset : {"subtract", "subtract_decayed", "zero"}, optional
        What a spike does, for all neurons. Without it, what `to_nir` noted, or else the reset to ``v_reset`` that NIR
        knows.
    decoder : {"sum_of_softmax", "per_step"}, optional
        How classes are read from the readout (`cortexsnn.decoding`).

    Returns
    -------
    Network
        A population for each Input, LIF and LI, named after its node.

    Raises
    ------
    InputError
        If a node cannot be expressed, the file is no NIR file, or ``nir`` is not installed.

    Examples
    --------
    >>> import numpy as np, nir
    >>> one = np.ones(1)
    >>> graph = nir.NIRGraph.from_list(
    ...     nir.Linear(np.array([[2.0]])),
    ...     nir.LIF(tau=0.02 * one, r=one, v_leak=0 * one, v_threshold=one),
    ... )
    >>> from_nir(graph, dt_s=0.001, decay="exp")["lif"].tau_s
    array([0.02])
    """
    nir = framework("nir", _INSTALL)
    if not isinstance(graph, nir.NIRGraph):
        graph = _file(graph, nir)
    noted = graph.metadata
    dt_s = noted.get("dt_s") if dt_s is None else dt_s
    decay = noted.get("decay") if decay is None else decay
    step = positive("dt_s", dt_s, "a positive number of seconds", "NIR has no time steps, so the step has to be given")
    if decay is None:
        raise InputError("decay", decay, f"one of {', '.join(DECAYS)}",
                         "NIR does not say how a step decays; most frameworks take Euler steps")  # fmt: skip
    choice("decay", decay, DECAYS)
    if reset is not None:
        choice("reset", reset, RESETS)
    return network_from(flattened(graph, nir), nir, dt_s=float(step), decay=decay, reset=reset, decoder=decoder)


def _file(path: Any, nir: Any) -> Any:
    """A graph from a file that keeps all of its data inside."""
    if not isinstance(path, str | Path):
        raise InputError("graph", path, "a nir.NIRGraph or the path of a file")
    open_hdf5(path, "NIR file").close()
    try:
        graph = nir.read(path)
    except (KeyError, ValueError, TypeError, AssertionError, AttributeError) as error:
        raise InputError("NIR file", str(path), "a graph that nir can read", str(error)) from None
    if not isinstance(graph, nir.NIRGraph):
        raise InputError("NIR file", str(path), "a NIRGraph", f"it holds a {type(graph).__name__}")
    return graph


def to_nir(network: Network, path: str | Path | None = None, *, decay: str) -> Any:
    """Say a network in NIR.

    Parameters
    ----------
    network : Network
    path : path-like, optional
        File to write; usually ends in ``.nir``. Without it, nothing is written.
    decay : {"exp", "euler"}
        Whether whoever reads the graph multiplies by exp(-dt / tau) or by 1 - dt / tau in each step. The written
        tau is the one that gives the network's decay under that rule.

    Returns
    -------
    nir.NIRGraph
        Weights are kept as they are, since r = 1 / (1 - alpha). Time step, decay and resets are noted in the
        metadata, as NIR itself knows neither steps nor subtractive resets.

    Raises
    ------
    InputError
        If a population adapts, is refractory or receives nothing, or ``nir`` is not installed.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.6, 0.8]]], tau_s=0.02, dt_s=0.001)
    >>> graph = to_nir(network, decay="euler")
    >>> sorted(graph.nodes)
    ['hidden1', 'input', 'input_to_hidden1', 'output_hidden1']
    >>> from_nir(graph)["hidden1"].tau_s
    array([0.02])
    """
    nir = framework("nir", _INSTALL)
    choice("decay", decay, DECAYS)
    graph = graph_of(network, nir, decay=decay)
    if path is not None:
        with replacing(path) as temporary:
            nir.write(temporary, graph)
    return graph
