"""Populations and projections from the nodes of a NIR graph."""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import chain, count
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.errors import InputError
from cortexsnn.exchange.decay import FloatArray, require_leak, shown, time_constant
from cortexsnn.exchange.nir_graph import FlatGraph, of
from cortexsnn.network import Network, Population, Projection, delay_in_steps

__all__ = ["DECAYS", "network_from"]

DECAYS = ("exp", "euler")
# Time constants are often float32, so dt / tau_syn can miss 1 by that much.
_MOST_CURRENT_LEFT = 1e-6
_INTEGRATES = "without leak there is no time constant for a readout; an LI whose tau is long beside a trial is near"
# A neuron without leak loses so little in a step that no trial shows it; time constants have to be finite.
_STEPS_WITHOUT_LEAK = 1e15


@dataclass(frozen=True)
class _Current:
    """What a node passes on: weights from populations, by name and delay in steps, and a constant."""

    weights: dict[tuple[str, int], FloatArray]
    bias: FloatArray


@dataclass(frozen=True)
class _Membrane:
    """What a step does to the potential of one node's neurons."""

    tau_s: FloatArray
    alpha: FloatArray
    gain: FloatArray


class _Reader:
    """One graph under one rule of time steps."""

    def __init__(self, graph: FlatGraph, nir: Any, dt_s: float, decay: str) -> None:
        self.nodes, self.sources = graph.nodes, graph.sources
        self.nir, self.dt_s, self.decay = nir, dt_s, decay
        self.channels = [
            name for name, node in graph.nodes.items() if isinstance(node, nir.Input) and name in graph.outermost
        ]

    def kind(self, name: str) -> str:
        """What a node is in a network; ``""`` for what stands between neurons."""
        node, nir = self.nodes[name], self.nir
        if name in self.channels:
            return "input"
        if isinstance(node, nir.LIF | nir.CubaLIF | nir.IF):
            return "lif"
        if isinstance(node, nir.LI | nir.CubaLI):
            return "readout"
        if isinstance(node, nir.I):
            raise InputError("node", of(name, node), "neurons that leak", _INTEGRATES)
        if not isinstance(node, nir.Linear | nir.Affine | nir.Scale | nir.Delay | nir.Flatten | nir.Input | nir.Output):
            raise InputError("node", of(name, node), "Linear, Affine, Scale, Delay, Flatten, IF, (Cuba)LIF or (Cuba)LI",
                             "convolutions can be written as Linear; pooling has no counterpart")  # fmt: skip
        return ""

    def size(self, name: str, seen: frozenset[str] = frozenset()) -> int:
        """Number of channels that a node passes on; parameters of length 1 stand for any number."""
        node, nir = self.nodes[name], self.nir
        if isinstance(node, nir.Linear | nir.Affine):
            return int(node.weight.shape[0])
        if name in self.channels:
            return int(np.prod(node.input_type["input"]))
        values = next(
            (getattr(node, key) for key in ("v_threshold", "v_leak", "scale", "delay") if hasattr(node, key)),
            np.ones(1),
        )
        if np.size(values) > 1:
            return int(np.size(values))
        before = (self.size(source, seen | {name}) for source in self.sources[name] if source not in seen)
        return max(before, default=1)

    def values(self, name: str, parameter: str, size: int) -> FloatArray:
        """One parameter, a value for every neuron."""
        array = np.asarray(getattr(self.nodes[name], parameter), dtype=np.float64).reshape(-1)
        if array.size not in (1, size):
            raise InputError(
                f"shape of {parameter} of {of(name, self.nodes[name])}", array.shape, f"({size},), one for each channel"
            )
        return np.broadcast_to(array, (size,))

    def arriving(self, name: str, on_the_way: tuple[str, ...] = ()) -> _Current:
        """The sum of what all sources of a node pass on to it."""
        size = self.size(self.sources[name][0]) if self.sources[name] else 0
        weights: dict[tuple[str, int], FloatArray] = {}
        bias = np.zeros(size)
        for source in self.sources[name]:
            current = self.passed_on(source, on_the_way)
            if current.bias.shape != bias.shape:
                raise InputError(f"channels that lead into {of(name, self.nodes[name])}", current.bias.size,
                                 f"{size}, as from the other sources")  # fmt: skip
            bias = bias + current.bias
            for key, weight in current.weights.items():
                weights[key] = weights.get(key, 0.0) + weight
        return _Current(weights, bias)

    def passed_on(self, name: str, on_the_way: tuple[str, ...]) -> _Current:
        """What a node makes of what arrives."""
        node, nir, kind = self.nodes[name], self.nir, self.kind(name)
        if kind == "readout":
            raise InputError("source", of(name, node), "a node that fires", "its potential would lead on")
        if kind:
            size = self.size(name)
            return _Current({(name, 0): np.eye(size)}, np.zeros(size))
        if name in on_the_way:
            raise InputError("cycle", " -> ".join((*on_the_way, name)), "neurons within every cycle")
        current = self.arriving(name, (*on_the_way, name))
        if isinstance(node, nir.Linear | nir.Affine):
            return self.weighted(name, current)
        if isinstance(node, nir.Scale):
            scale = self.values(name, "scale", current.bias.size)
            weights = {key: scale[:, np.newaxis] * weight for key, weight in current.weights.items()}
            return _Current(weights, scale * current.bias)
        return self.delayed(name, current) if isinstance(node, nir.Delay) else current

    def weighted(self, name: str, current: _Current) -> _Current:
        """Linear and Affine."""
        node = self.nodes[name]
        matrix = np.asarray(node.weight, dtype=np.float64)
        if matrix.ndim != 2 or matrix.shape[1] != current.bias.size:
            raise InputError(f"shape of weight of {of(name, node)}", matrix.shape,
                             f"(target, {current.bias.size}), since that many channels lead into it")  # fmt: skip
        constant = self.values(name, "bias", len(matrix)) if isinstance(node, self.nir.Affine) else 0.0
        weights = {key: matrix @ weight for key, weight in current.weights.items()}
        return _Current(weights, matrix @ current.bias + constant)

    def delayed(self, name: str, current: _Current) -> _Current:
        """Delay, of which every channel may have its own."""
        label = of(name, self.nodes[name])
        if np.any(current.bias != 0):
            raise InputError(
                f"constant that leads into {label}", shown(current.bias), "0", "put the Affine behind the Delay"
            )
        delays = self.values(name, "delay", current.bias.size)
        try:
            steps = np.array([delay_in_steps(float(delay), self.dt_s) for delay in delays])
        except InputError as error:
            raise InputError(f"delay of {label}", error.value, error.expected, error.hint) from None
        weights: dict[tuple[str, int], FloatArray] = {}
        for (source, before), weight in current.weights.items():
            for step in np.unique(steps):
                key = (source, before + int(step))
                weights[key] = weights.get(key, 0.0) + np.where(steps[:, np.newaxis] == step, weight, 0.0)
        return _Current(weights, current.bias)

    def membrane(self, name: str, size: int) -> _Membrane:
        """Decay and gain of IF, LIF, LI, and their kinds with a synaptic current that is gone after a step."""
        node, label = self.nodes[name], of(name, self.nodes[name])
        scale = self.values(name, "r", size)
        if isinstance(node, self.nir.IF):
            return _Membrane(np.full(size, _STEPS_WITHOUT_LEAK * self.dt_s), np.ones(size), self.dt_s * scale)
        has_current = hasattr(node, "tau_syn")
        if has_current:
            left, _ = self.decayed(self.values(name, "tau_syn", size))
            if np.any(np.abs(left) > _MOST_CURRENT_LEFT):
                raise InputError(f"tau_syn of {label}", shown(node.tau_syn), f"dt = {self.dt_s:g} s with decay 'euler'",
                                 "a current that decays by itself is a second filter; use LIF or LI")  # fmt: skip
            scale = scale * self.values(name, "w_in", size)
        tau = self.values(name, "tau_mem" if has_current else "tau", size)
        alpha, lost = self.decayed(tau)
        require_leak(f"tau of {label}", alpha, tau)
        return _Membrane(tau if self.decay == "exp" else time_constant(alpha, self.dt_s), alpha, lost * scale)

    def decayed(self, tau: FloatArray) -> tuple[FloatArray, FloatArray]:
        """What a step keeps, and what it loses."""
        with np.errstate(divide="ignore", over="ignore"):
            per_step = self.dt_s / tau
            return (1 - per_step, per_step) if self.decay == "euler" else (np.exp(-per_step), -np.expm1(-per_step))

    def spiking(self, name: str, size: int, given: str | None) -> tuple[FloatArray, str, FloatArray]:
        """Threshold above rest, reset, and what a spike leaves for the next step per unit of alpha."""
        node, label = self.nodes[name], of(name, self.nodes[name])
        rest = np.zeros(size) if isinstance(node, self.nir.IF) else self.values(name, "v_leak", size)
        above, after = (self.values(name, key, size) for key in ("v_threshold", "v_reset"))
        if not np.all(above > rest):
            raise InputError(
                f"v_threshold of {label}", shown(above), "values above v_leak", "the neuron would fire at rest"
            )
        reset = node.metadata.get("reset", "zero") if given is None else given
        if reset == "zero":
            return above - rest, reset, after - rest
        for parameter, values in (("v_leak", rest), ("v_reset", after)):
            if np.any(values != 0):
                raise InputError(f"{parameter} of {label}", shown(values), f"0 where the reset is '{reset}'",
                                 "reset='zero' takes v_reset as it stands")  # fmt: skip
        return above, reset, after

    def require_rest_at_zero(self, name: str, size: int) -> None:
        """Refuse readouts that rest elsewhere."""
        rest = self.values(name, "v_leak", size)
        if np.any(rest != 0):
            raise InputError(f"v_leak of {of(name, self.nodes[name])}", shown(rest), "0",
                             "a readout rests at 0; add what it rests at to what you decode")  # fmt: skip


def _by_distance(graph: FlatGraph, first: list[str]) -> list[str]:
    """Nodes from the inputs on, as files keep them in the order of their names."""
    targets: dict[str, list[str]] = {name: [] for name in graph.nodes}
    for name, sources in graph.sources.items():
        for source in sources:
            targets[source].append(name)
    ordered = dict.fromkeys(first)
    frontier = list(ordered)
    while frontier:
        reached = dict.fromkeys(target for name in frontier for target in targets[name] if target not in ordered)
        ordered |= reached
        frontier = list(reached)
    return list(ordered | dict.fromkeys(graph.nodes))


def _population_name(name: str, taken: set[str]) -> str:
    """A name that Brian2 can carry too, as near to that of the node as possible."""
    legal = re.sub(r"\W", "_", name, flags=re.ASCII).replace("_to_", "_").strip("_")
    legal = legal if legal[:1].isalpha() else f"n{legal}"
    numbered = (f"{legal}_{number}" for number in count(2))
    return next(candidate for candidate in chain([legal], numbered) if candidate not in taken)


def network_from(
    graph: FlatGraph, nir: Any, *, dt_s: float, decay: str, reset: str | None, decoder: str | None
) -> Network:
    """Make a network of a graph.

    Parameters
    ----------
    graph : FlatGraph
    nir : module
    dt_s : float
        Time step in seconds.
    decay : {"exp", "euler"}
    reset : {"subtract", "subtract_decayed", "zero"}, optional
        For all neurons.
    decoder : {"sum_of_softmax", "per_step"}, optional

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If a node cannot be expressed.
    """
    reader = _Reader(graph, nir, dt_s, decay)
    names: dict[str, str] = {}
    for node in _by_distance(graph, reader.channels):
        if reader.kind(node):
            names[node] = _population_name(node, set(names.values()))
    populations, projections = [], []
    for node, name in names.items():
        kind, size = reader.kind(node), reader.size(node)
        if kind == "input":
            populations.append(Population.input(name, size))
            continue
        current, membrane = reader.arriving(node), reader.membrane(node, size)
        if current.bias.size not in (0, size):
            raise InputError(f"channels that lead into {of(node, graph.nodes[node])}", current.bias.size, f"{size}")
        bias = membrane.gain * current.bias if current.bias.size else np.zeros(size)
        gain, left = membrane.gain, np.zeros(size)
        if isinstance(graph.nodes[node], nir.IF) and np.any(bias != 0):
            raise InputError(f"constant that leads into {of(node, graph.nodes[node])}", shown(current.bias), "0",
                             "with a leak that is next to nothing it would grow for ever; take a LIF")  # fmt: skip
        if kind == "lif":
            threshold, does, after = reader.spiking(node, size, reset)
            left = membrane.alpha * after
            populations.append(
                Population.lif(name, size, tau_s=membrane.tau_s, threshold=threshold, bias=bias, reset=does)
            )
        else:
            reader.require_rest_at_zero(node, size)
            # A readout takes in (1 - alpha) of its input by itself.
            taken_in = reader.decayed(membrane.tau_s)[1] if decay == "exp" else 1 - membrane.alpha
            gain = membrane.gain / taken_in
            populations.append(Population.readout(name, size, tau_s=membrane.tau_s, bias=bias / taken_in))
        weights = {key: gain[:, np.newaxis] * weight for key, weight in current.weights.items()}
        projections += _projections(weights, node, left, names)
    for node in graph.outermost:
        _require_neurons_before_output(reader, node)
    return Network(dt_s, tuple(populations), tuple(projections), decoder, {"source": "nir"})


def _projections(
    weights: dict[tuple[str, int], FloatArray], node: str, left: ArrayLike, names: dict[str, str]
) -> list[Projection]:
    """Projections into one population; those from itself come at least one step late."""
    taps: dict[str, dict[int, FloatArray]] = {}
    for (source, delay), weight in weights.items():
        late = max(delay, 1) if source == node else delay
        of_source = taps.setdefault(source, {})
        of_source[late] = of_source.get(late, 0.0) + weight
    if np.any(left):
        of_itself = taps.setdefault(node, {})
        of_itself[1] = of_itself.get(1, 0.0) + np.diag(left)
    projections = []
    for source, by_delay in taps.items():
        delays = tuple(sorted(by_delay))
        weight = np.stack([by_delay[delay] for delay in delays])
        projections.append(Projection(names[source], names[node], weight, delays))
    return projections


def _require_neurons_before_output(reader: _Reader, name: str) -> None:
    """Refuse weights that lead out of the graph without neurons behind them."""
    node, nir = reader.nodes[name], reader.nir
    if not isinstance(node, nir.Output):
        return
    for source in reader.sources[name]:
        if isinstance(reader.nodes[source], nir.Linear | nir.Affine | nir.Scale | nir.Delay):
            raise InputError(f"source of {of(name, node)}", of(source, reader.nodes[source]), "neurons",
                             "weights alone have no state; end with LIF or LI")  # fmt: skip
