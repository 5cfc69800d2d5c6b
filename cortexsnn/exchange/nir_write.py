"""A NIR graph of a `Network`."""

from __future__ import annotations

from typing import Any

import numpy as np

from cortexsnn.errors import InputError
from cortexsnn.exchange.decay import FloatArray
from cortexsnn.network import Network, Population, Projection

__all__ = ["graph_of"]


def graph_of(network: Network, nir: Any, *, decay: str) -> Any:
    """Make a graph whose nodes are the populations, with weights and delays between them.

    Parameters
    ----------
    network : Network
    nir : module
    decay : {"exp", "euler"}

    Returns
    -------
    nir.NIRGraph

    Raises
    ------
    InputError
        If a population adapts, is refractory or receives nothing.
    """
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    for population in network.populations:
        nodes[population.name] = _node(population, network.dt_s, decay, nir)
    for population in network.order:
        incoming = [p for p in network.projections if p.target == population.name]
        if not incoming:
            raise InputError("population", population.name, "one that receives something",
                             "NIR would make an input for it")  # fmt: skip
        for index, projection in enumerate(incoming):
            _connect(projection, population.bias if index == 0 else None, network.dt_s, nodes, edges, nir)
    for population in network.order:
        onward = [p for p in network.projections if p.source == population.name and network.is_feedforward(p)]
        if not onward:
            nodes[f"output_{population.name}"] = nir.Output(np.array([population.size]))
            edges.append((population.name, f"output_{population.name}"))
    return nir.NIRGraph(nodes, edges, metadata={"dt_s": network.dt_s, "decay": decay})


def _node(population: Population, dt_s: float, decay: str, nir: Any) -> Any:
    """Neurons of one population."""
    if population.kind == "input":
        return nir.Input(np.array([population.size]))
    where = f"of population '{population.name}'"
    if population.adaptation is not None:
        raise InputError(f"adaptation {where}", "a threshold that rises", "a fixed threshold", "NIR has no other")
    if population.refractory_steps:
        raise InputError(f"refractory_steps {where}", population.refractory_steps, "0", "NIR has no refractory period")
    lost = -np.expm1(-dt_s / population.tau_s)
    tau = population.tau_s if decay == "exp" else dt_s / lost
    rest = np.zeros(population.size)
    if population.kind == "readout":
        return nir.LI(tau=np.array(tau), r=np.ones(population.size), v_leak=rest)
    return nir.LIF(
        tau=np.array(tau),
        r=1.0 / lost,
        v_leak=rest,
        v_threshold=np.array(population.threshold),
        v_reset=np.zeros(population.size),
        metadata={"reset": population.reset},
    )


def _connect(
    projection: Projection,
    bias: FloatArray | None,
    dt_s: float,
    nodes: dict[str, Any],
    edges: list[tuple[str, str]],
    nir: Any,
) -> None:
    """Weights of every tap, behind a delay where it has one; the first also brings the constant."""
    recurrent = projection.source == projection.target
    for index, (weight, delay) in enumerate(zip(projection.weight, projection.delay_steps, strict=True)):
        name = projection.name if len(projection.delay_steps) == 1 else f"{projection.name}_tap{index}"
        constant = bias if index == 0 else None
        if constant is None or not constant.any():
            nodes[name] = nir.Linear(np.array(weight))
        else:
            nodes[name] = nir.Affine(np.array(weight), np.array(constant))
        source = projection.source
        # Recurrence is one step late without being said.
        if delay > recurrent:
            source = f"{name}_delay"
            nodes[source] = nir.Delay(np.full(weight.shape[1], delay * dt_s))
            edges.append((projection.source, source))
        edges += [(source, name), (name, projection.target)]
