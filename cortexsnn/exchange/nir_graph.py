"""A NIR graph without graphs in it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from cortexsnn.errors import InputError

__all__ = ["FlatGraph", "flattened", "of"]


def of(name: str, node: Any) -> str:
    """How messages call a node.

    Parameters
    ----------
    name : str
    node : nir.NIRNode

    Returns
    -------
    str

    Examples
    --------
    >>> of("fc1", 1.0)
    "node 'fc1' (float)"
    """
    return f"node '{name}' ({type(node).__name__})"


@dataclass(frozen=True)
class FlatGraph:
    """Nodes by name, and the names of the nodes that lead into each.

    Parameters
    ----------
    nodes : dict of str to nir.NIRNode
    sources : dict of str to list of str
    outermost : tuple of str
        Nodes that belong to the graph itself, not to a graph within it.
    """

    nodes: dict[str, Any]
    sources: dict[str, list[str]]
    outermost: tuple[str, ...]


def flattened(graph: Any, nir: Any) -> FlatGraph:
    """Put the nodes of inner graphs, such as recurrent layers, beside those of the outer one.

    Parameters
    ----------
    graph : nir.NIRGraph
    nir : module

    Returns
    -------
    FlatGraph
        Inner nodes have their graph's name and a dot before their own.

    Raises
    ------
    InputError
        If an edge names a node that is not there, or an inner graph has several ways in or out.
    """
    nodes: dict[str, Any] = {}
    edges: list[tuple[str, str]] = []
    entrance: dict[str, str] = {}
    exits: dict[str, str] = {}
    for name, node in graph.nodes.items():
        if not isinstance(node, nir.NIRGraph):
            nodes[name] = node
            entrance[name] = exits[name] = name
            continue
        inner = flattened(node, nir)
        nodes |= {f"{name}.{key}": value for key, value in inner.nodes.items()}
        edges += [(f"{name}.{source}", f"{name}.{key}") for key in inner.sources for source in inner.sources[key]]
        for ways, kind in ((entrance, nir.Input), (exits, nir.Output)):
            ends = [key for key in inner.outermost if isinstance(inner.nodes[key], kind)]
            if len(ends) != 1:
                raise InputError(f"{kind.__name__} nodes of {of(name, node)}", sorted(ends), "exactly one")
            ways[name] = f"{name}.{ends[0]}"
    for source, target in dict.fromkeys(map(tuple, graph.edges)):
        for end in (source, target):
            if end not in graph.nodes:
                raise InputError("edge", (source, target), f"names of nodes such as {', '.join(list(graph.nodes)[:3])}")
        edges.append((exits[source], entrance[target]))
    sources: dict[str, list[str]] = {name: [] for name in nodes}
    for source, target in edges:
        sources[target].append(source)
    outermost = tuple(name for name, node in graph.nodes.items() if not isinstance(node, nir.NIRGraph))
    return FlatGraph(nodes, sources, outermost)
