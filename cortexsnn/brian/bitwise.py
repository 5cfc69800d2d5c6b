"""A twin whose sums are exact: every device gives the same bits, in float64 and in float32, in whatever order it adds.

A sum of floating-point numbers depends on its order, and the order is the device's: a GPU adds the spikes that arrive
at a neuron as they come. Here weights and biases are whole multiples of a power of two, so coarse that no sum of them
needs more bits than a number has: then no sum is rounded. What a step does beyond that is said in the order of
`cortexsnn.reference`, one rounding at a time, with numbers in place of functions such as exp, whose last bit differs
between libraries.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.circuit import Circuit, SynapseModel
from cortexsnn.brian.devices import PRECISIONS
from cortexsnn.brian.equations import NeuronModel
from cortexsnn.checks import choice, whole
from cortexsnn.errors import InputError
from cortexsnn.network import ArrayInput, Network, Population, Projection, SpikeInput

__all__ = ["INEXACT_DEVICES", "BitwiseCircuit", "Grid", "bitwise", "bitwise_for", "limited_input"]

MOST_SPIKES = 255  # of a channel in a step: counts are bytes
# Fewer steps between 0 and the largest weight than those of a byte are no trained network any more.
_FEWEST_STEPS = 256

_LIF = """v : 1
arrived : 1
fired : 1
alpha : 1 (constant)
bias : 1 (constant)
"""
_READOUT = """v : 1
arrived : 1
alpha : 1 (constant)
gain : 1 (constant)
bias : 1 (constant)
"""
_FIXED_THRESHOLD = "theta : 1 (constant)\n"
_ADAPTIVE_THRESHOLD = """theta = theta_rest + strength*a : 1
a : 1
theta_rest : 1 (constant)
strength : 1 (constant)
rho : 1 (constant)
"""
# Brian2 may arrange the terms of a sum anew, so that no statement has two sums that are rounded. `fired` is 0 or 1, so
# that a product with it is exact. There are no fractions: a literal could be float64 where all else is float32.
_ARRIVAL = "arrived += bias"
_STEP = "v = alpha*v + arrived"
_STEPS = {
    "subtract": (_STEP, "v -= theta*fired"),
    "subtract_decayed": ("v -= theta*fired", _STEP),
    "zero": ("v -= v*fired", _STEP),
}
_ADAPT = "a = rho*a + fired"
_READOUT_STEP = "v = alpha*v + gain*arrived"

INEXACT_DEVICES = {
    "cython": "Brian2 compiles it with flags that fuse and rearrange operations; numpy and cpp_standalone do not"
}
"""Devices that do not keep the written order of operations, and why."""


@dataclass(frozen=True)
class Grid:
    """The power of two of which all weights and biases of one population are whole multiples.

    Parameters
    ----------
    exponent : int
        They are multiples of 2**exponent.
    largest_change : float
        Largest difference between a weight or a bias and its multiple.
    relative_change : float
        The same, divided by the largest weight or bias.
    largest_sum : float
        What may arrive at a neuron in a step at most: its bias and all its weights without their signs, those of input
        channels times the highest count.
    room : float
        Sums are exact up to this many times `largest_sum`; above 1.
    """

    exponent: int
    largest_change: float
    relative_change: float
    largest_sum: float
    room: float


@dataclass(frozen=True, eq=False)
class BitwiseCircuit(Circuit):
    """A circuit that gives the same bits on every device; `bitwise` makes it.

    Its ``network`` is the one with snapped weights, which `cortexsnn.reference` runs too.

    Parameters
    ----------
    grids : mapping from str to Grid
        Of every population but the inputs: what was changed, and the room that is left.
    precision : {"float64", "float32"}
        For which it was made.
    highest_count : int
        Most spikes of an input channel in a step.
    """

    grids: Mapping[str, Grid] = field(default_factory=dict)
    precision: str = "float64"
    highest_count: int = MOST_SPIKES

    def require(self, device: str, precision: str) -> None:
        """Refuse what would not give the same bits.

        Parameters
        ----------
        device : str
        precision : {"float64", "float32"}

        Raises
        ------
        InputError
            If the device rearranges operations, or the circuit was made for another precision.
        """
        if device in INEXACT_DEVICES:
            raise InputError("device", device, "one that keeps the written order of operations",
                             INEXACT_DEVICES[device])  # fmt: skip
        if precision != self.precision:
            raise InputError("precision", precision, f"{self.precision}, for which the circuit was made",
                             f"make another with bitwise(network, precision='{precision}')")  # fmt: skip


def bitwise(network: Network, precision: str = "float64", *, highest_count: int = MOST_SPIKES) -> BitwiseCircuit:
    r"""The circuit of a network that gives the same bits on every device and in every order of its synapses.

    Weights and biases are rounded to whole multiples of :math:`g = 2^e`, with the smallest e for each population that
    keeps every sum exact. Thresholds and what adaptation adds to them are rounded to `precision`; nothing is summed of
    them.

    Why the sums are exact: let a float have p significant bits (53 or 24), so that every whole multiple of g below
    :math:`2^p g` is a float. A spike adds :math:`c\,w`, with a weight :math:`w = m g` and a count c of at most C
    (`highest_count` for inputs, 1 for neurons). All that arrives at a neuron in a step, any part of it, and the bias
    are such multiples, and no larger than

    .. math:: L = |b| + \sum_{projections, taps, sources} C\,|w| .

    If :math:`L < 2^p g`, no product and no partial sum is rounded, whatever the order. The largest L of the population,
    computed from the rounded weights, is held against this bound; that sum itself is exact in float64 below the bound
    and not below it above, since rounding never turns the order of two numbers round.

    Parameters
    ----------
    network : Network
    precision : {"float64", "float32"}
        Of the variables of Brian2 when it runs.
    highest_count : int
        Most spikes of an input channel in a step. A lower number leaves more bits to the weights, which matters in
        float32.

    Returns
    -------
    BitwiseCircuit
        In float64 its potentials are those of `cortexsnn.reference.simulate` on its ``network``, bit for bit. In
        float32 every device gives the same, in which every step is rounded to 24 bits.

    Raises
    ------
    InputError
        If fewer than 256 steps of the grid were left to the largest weight of a population.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.8, 0.3]]], tau_s=0.02, dt_s=0.01)
    >>> circuit = bitwise(network, "float32", highest_count=1)
    >>> grid = circuit.grids["hidden1"]
    >>> grid.exponent, f"{grid.largest_change:.1e}", f"{grid.room:.2f}"
    (-23, '4.8e-08', '1.82')
    >>> circuit.neurons["hidden1"].before_threshold.splitlines()
    ['arrived += bias', 'v = alpha*v + arrived', 'v -= theta*fired', 'fired = 0', 'arrived = 0']
    """
    choice("precision", precision, PRECISIONS)
    highest_count = whole("highest_count", highest_count, 1)
    if highest_count > MOST_SPIKES:
        raise InputError("highest_count", highest_count, f"at most {MOST_SPIKES}", "counts are bytes")
    populations: dict[str, Population] = {p.name: p for p in network.inputs}
    projections: dict[str, Projection] = {}
    grids: dict[str, Grid] = {}
    for population in network.order:
        incoming = [q for q in network.projections if q.target == population.name]
        most = {q.name: highest_count if network[q.source].kind == "input" else 1 for q in incoming}
        grid = _grid(population, incoming, most, precision)
        grids[population.name] = grid
        populations[population.name] = _snapped_population(population, grid.exponent, precision)
        projections.update({q.name: replace(q, weight=_snapped(q.weight, grid.exponent)) for q in incoming})
    snapped = replace(
        network,
        populations=tuple(populations[p.name] for p in network.populations),
        projections=tuple(projections[q.name] for q in network.projections),
    )
    largest = max((grid.largest_change for grid in grids.values()), default=0.0)
    return BitwiseCircuit(
        snapped,
        {p.name: _neuron_model(p, snapped.dt_s) for p in snapped.order},
        {q.name: SynapseModel("w : 1", "arrived_post += w{count}") for q in snapped.projections},
        changes=(
            f"the same bits on every device, in {precision}: weights and biases are whole multiples of powers of two, "
            f"changed by at most {largest:.2g}",
        ),
        grids=grids,
        precision=precision,
        highest_count=highest_count,
    )


def _snapped(values: NDArray[np.float64], exponent: int) -> NDArray[np.float64]:
    """The nearest whole multiples of a power of two."""
    return np.ldexp(np.rint(np.ldexp(values, -exponent)), exponent)


def _snapped_population(population: Population, exponent: int, precision: str) -> Population:
    """A population with its bias on the grid, and numbers that the precision has."""

    def rounded(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return values.astype(precision).astype(np.float64)

    bias = _snapped(population.bias, exponent)
    if population.kind == "readout":
        return replace(population, bias=bias)
    adaptation = population.adaptation
    return replace(
        population,
        bias=bias,
        threshold=rounded(population.threshold),
        adaptation=adaptation and replace(adaptation, strength=rounded(adaptation.strength)),
    )


def _grid(population: Population, incoming: list[Projection], most: Mapping[str, int], precision: str) -> Grid:
    """The finest grid on which nothing that arrives at the population is rounded."""
    bits = np.finfo(precision).nmant + 1
    lowest = int(np.finfo(precision).minexp)
    given = [population.bias, *(q.weight for q in incoming)]
    largest = max(float(np.abs(values).max()) for values in given)

    def largest_sum(bias: NDArray[np.float64], *weights: NDArray[np.float64]) -> float:
        arriving = (most[q.name] * np.abs(w).sum(axis=(0, 2)) for q, w in zip(incoming, weights, strict=True))
        return float(sum(arriving, np.abs(bias)).max())

    exponent = max(math.frexp(largest_sum(*given))[1] - bits, lowest)
    while True:
        if 0 < largest < math.ldexp(_FEWEST_STEPS, exponent):
            raise InputError(
                f"grid of the weights of population '{population.name}'",
                math.ldexp(1.0, exponent),
                f"at most 1/{_FEWEST_STEPS} of its largest weight or bias, {largest:.3g}",
                _finer(most, precision),
            )
        rounded = [_snapped(values, exponent) for values in given]
        highest = largest_sum(*rounded)
        bound = math.ldexp(1.0, bits + exponent)
        if highest < bound:
            break
        exponent += 1
    change = max(float(np.abs(after - before).max()) for before, after in zip(given, rounded, strict=True))
    return Grid(
        exponent,
        change,
        change / largest if largest else 0.0,
        highest,
        bound / highest if highest else math.inf,
    )


def _finer(most: Mapping[str, int], precision: str) -> str:
    """The way to a finer grid."""
    ways = ["take precision='float64'"] if precision == "float32" else ["scale the weights of this population"]
    if max(most.values(), default=1) > 1:
        ways.append(f"or a highest_count below {max(most.values())}")
    return " ".join(ways)


def _neuron_model(population: Population, dt_s: float) -> NeuronModel:
    """One step in the order of the reference; what arrives after it waits for the next."""
    alpha = population.alpha(dt_s)
    if population.kind == "readout":
        return NeuronModel(
            _READOUT,
            method=None,
            initial={"alpha": alpha, "gain": -np.expm1(-dt_s / population.tau_s)},
            before_threshold="\n".join((_ARRIVAL, _READOUT_STEP, "arrived = 0")),
            memory=("arrived",),
        )
    adaptation = population.adaptation
    code = [_ARRIVAL, *_STEPS[population.reset]]
    if adaptation is not None:
        code.append(_ADAPT)
    return NeuronModel(
        _LIF + (_FIXED_THRESHOLD if adaptation is None else _ADAPTIVE_THRESHOLD),
        "v > theta",
        "fired = 1",
        method=None,
        initial={"alpha": alpha} | ({} if adaptation is None else {"rho": np.exp(-dt_s / adaptation.tau_s)}),
        before_threshold="\n".join((*code, "fired = 0", "arrived = 0")),
        memory=("arrived", "fired") if adaptation is None else ("a", "arrived", "fired"),
    )


def bitwise_for(network: Network, precision: str, inputs: Mapping[str, SpikeInput]) -> BitwiseCircuit:
    """The bitwise circuit for some input: in float64 the same for any, in float32 by its highest count.

    Parameters
    ----------
    network : Network
    precision : {"float64", "float32"}
    inputs : mapping from str to SpikeInput

    Returns
    -------
    BitwiseCircuit
    """
    highest = MOST_SPIKES if precision == "float64" else max(_highest_count(one) for one in inputs.values())
    return bitwise(network, precision, highest_count=max(1, highest))


def _highest_count(given: SpikeInput) -> int:
    """Most spikes of a channel in a step, as far as it can be known before the input is made."""
    if isinstance(given, ArrayInput):
        return int(given.array.max(initial=0))
    return MOST_SPIKES if given.graded else 1


def limited_input(circuit: BitwiseCircuit, inputs: Mapping[str, SpikeInput]) -> dict[str, SpikeInput]:
    """Input with no more spikes of a channel in a step than a circuit was made for.

    Parameters
    ----------
    circuit : BitwiseCircuit
    inputs : mapping from str to SpikeInput

    Returns
    -------
    dict of str to SpikeInput
        Input that is made while the run goes on is checked when it is made.

    Raises
    ------
    InputError
        If an array has more.
    """
    limited: dict[str, SpikeInput] = {}
    for name, given in inputs.items():
        if isinstance(given, ArrayInput):
            _require_at_most(circuit.highest_count, _highest_count(given), name)
            limited[name] = given
        else:
            limited[name] = _LimitedInput(given, circuit.highest_count, name)
    return limited


def _require_at_most(allowed: int, highest: int, name: str) -> None:
    if highest > allowed:
        raise InputError(f"highest count of the input for '{name}'", highest, f"at most {allowed}",
                         f"make the circuit with bitwise(network, highest_count={highest})")  # fmt: skip


@dataclass(frozen=True, eq=False)
class _LimitedInput:
    """Input (`cortexsnn.network.SpikeInput`) that is refused where a channel has too many spikes in a step."""

    given: SpikeInput
    highest_count: int
    name: str

    @property
    def trials(self) -> int:
        return self.given.trials

    @property
    def steps(self) -> int:
        return self.given.steps

    @property
    def channels(self) -> int:
        return self.given.channels

    @property
    def graded(self) -> bool:
        return self.given.graded

    def counts(self, trials: range, steps: range) -> NDArray[np.uint8]:
        made = self.given.counts(trials, steps)
        _require_at_most(self.highest_count, int(made.max(initial=0)), self.name)
        return made

    def describe(self) -> dict[str, Any]:
        return self.given.describe()
