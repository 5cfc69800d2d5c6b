"""What is trained: frozen descriptions of layers and of the whole network, without any weights."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import choice, not_negative, positive, whole
from cortexsnn.errors import InputError
from cortexsnn.hierarchy import DISTRIBUTIONS, EffectiveMemory, effective_memory_s
from cortexsnn.network.validation import RESETS
from cortexsnn.training.plain import make_plain
from cortexsnn.training.surrogate import Surrogate

__all__ = ["Architecture", "Layer", "LearnedTau", "stack"]


def _positive_seconds(field: str, value: Any, *, dimensions: int = 0) -> None:
    positive(field, value, "positive seconds", dimensions=dimensions)


def _are_numbers(values: Any, count: int) -> bool:
    return isinstance(values, tuple) and len(values) == count and all(isinstance(v, int | float) for v in values)


@dataclass(frozen=True)
class LearnedTau:
    """Membrane time constants that are learned within bounds.

    tau = low (high / low)^sigmoid(p) with p free: the bounds are never reached, and no gradient is cut off.

    Parameters
    ----------
    per : {"neuron", "layer"}
        One time constant for each neuron or one for the whole layer.
    low_s, high_s : float
        Bounds in seconds.

    Examples
    --------
    >>> LearnedTau(per="layer").high_s
    2.0
    """

    per: str = "neuron"
    low_s: float = 0.002
    high_s: float = 2.0

    def __post_init__(self) -> None:
        make_plain(self)
        if self.per not in ("neuron", "layer"):
            raise InputError("per of the learned tau", self.per, "'neuron' or 'layer'")
        _positive_seconds("bounds of the learned tau", (self.low_s, self.high_s), dimensions=1)
        if not self.low_s < self.high_s:
            raise InputError("bounds of the learned tau", (self.low_s, self.high_s), "the lower one first")


@dataclass(frozen=True)
class Layer:
    """A layer of LIF neurons and the connections that lead into it.

    Parameters
    ----------
    size : int
        Number of neurons.
    tau_s : float
        Membrane time constant in seconds; where it is learned, the one to begin with.
    tau_distribution : {"none", "uniform", "normal", "gamma"}
        How time constants differ between the neurons (`cortexsnn.hierarchy.draw_time_constants`).
    tau_spread : float
        Relative width of that distribution.
    learned_tau : LearnedTau, optional
    kernel_size, dilation : int
        Taps of the causal convolution over time that leads into the layer, and steps between them. A kernel of 1
        is an ordinary dense connection.
    recurrent : bool
        Connections within the layer, one step late.
    self_connections : bool
        Whether a neuron of a recurrent layer may excite itself; by default the diagonal is 0.
    reset : {"subtract", "subtract_decayed", "zero"}
        What a spike does to the membrane potential (`cortexsnn.reference`).
    adaptation_strength : float
        Rise of the threshold per spike; 0 for a fixed threshold.
    adaptation_tau_s : float
        Time constant of its return in seconds.

    Raises
    ------
    InputError
        If any of it cannot be trained; the message names it.

    Examples
    --------
    >>> Layer(32, tau_s=0.02, kernel_size=3, dilation=4).delay_steps
    (0, 4, 8)
    """

    size: int
    tau_s: float
    tau_distribution: str = "none"
    tau_spread: float = 0.0
    learned_tau: LearnedTau | None = None
    kernel_size: int = 1
    dilation: int = 1
    recurrent: bool = False
    self_connections: bool = False
    reset: str = "subtract"
    adaptation_strength: float = 0.0
    adaptation_tau_s: float = 0.2

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("size", "kernel_size", "dilation"):
            whole(f"{name} of a layer", getattr(self, name), 1)
        _positive_seconds("tau_s of a layer", self.tau_s)
        _positive_seconds("adaptation_tau_s of a layer", self.adaptation_tau_s)
        choice("tau_distribution of a layer", self.tau_distribution, DISTRIBUTIONS)
        not_negative("tau_spread of a layer", self.tau_spread)
        choice("reset of a layer", self.reset, RESETS)
        not_negative("adaptation_strength of a layer", self.adaptation_strength)
        if self.self_connections and not self.recurrent:
            raise InputError("self_connections of a layer", True, "False in a layer that is not recurrent")
        learned = self.learned_tau
        if learned is not None and not learned.low_s < self.tau_s < learned.high_s:
            raise InputError("tau_s of a layer with learned tau", self.tau_s,
                             f"between its bounds {learned.low_s:g} and {learned.high_s:g}")  # fmt: skip

    @property
    def delay_steps(self) -> tuple[int, ...]:
        """Delay of each tap, the newest bin first."""
        return tuple(tap * self.dilation for tap in range(self.kernel_size))


def stack(sizes: Sequence[int], tau_s: float | Sequence[float], **values: Any) -> tuple[Layer, ...]:
    """Several layers at once.

    Parameters
    ----------
    sizes : sequence of int
        Number of neurons of each layer.
    tau_s : float or sequence of float
        Membrane time constant in seconds, one for all or one for each layer.
    **values
        Other fields of `Layer`; a list, a tuple or an array has one value for each layer.

    Returns
    -------
    tuple of Layer

    Raises
    ------
    InputError
        If a sequence does not have one value for each layer.

    Examples
    --------
    >>> [layer.kernel_size for layer in stack((10, 10), tau_s=(0.05, 0.5), kernel_size=(3, 6))]
    [3, 6]
    """
    columns = {"size": tuple(sizes), "tau_s": tau_s, **values}
    if not columns["size"]:
        raise InputError("sizes of the layers", sizes, "at least one hidden layer")
    several = {k: v for k, v in columns.items() if isinstance(v, list | tuple | np.ndarray)}
    for name, column in several.items():
        if len(column) != len(columns["size"]):
            raise InputError(name, column, f"{len(columns['size'])} values, one for each hidden layer")
    if unknown := sorted(values.keys() - {f.name for f in fields(Layer)}):
        raise InputError("fields of a layer", unknown, "fields of Layer")
    shared = {k: v for k, v in columns.items() if k not in several}
    rows = zip(*several.values(), strict=True)
    return tuple(Layer(**shared, **dict(zip(several, row, strict=True))) for row in rows)


@dataclass(frozen=True)
class Architecture:
    """A feed-forward chain of layers with a leaky-integrator readout.

    Parameters
    ----------
    channels, classes : int
        Number of input channels and of readout neurons.
    layers : sequence of Layer
        Hidden layers, the first one next to the input. `stack` makes several at once.
    readout_tau_s : float
        Time constant of the readout in seconds.
    dt_s : float
        Time step in seconds.
    dropout : float
        Probability that a hidden spike is dropped in training, each step on its own.
    surrogate : Surrogate
    weight_bounds : sequence of float, optional
        Initial weights are uniform within plus and minus this, one for each layer and one for the readout;
        one over the square root of the number of inputs of a neuron if not given.
    alpha_bounds : tuple of float, optional
        Lowest and highest exp(-dt/tau) of neurons whose tau is not learned. The tau that a `Network` stores is what
        is left after this cut.

    Raises
    ------
    InputError
        If any of it cannot be trained; the message names it.

    Examples
    --------
    >>> architecture = Architecture(40, 2, stack((10, 10), tau_s=(0.05, 0.5)), readout_tau_s=0.05, dt_s=0.01)
    >>> architecture.effective_memory().layer_s.round(3)
    array([0.045, 0.495])
    """

    channels: int
    classes: int
    layers: tuple[Layer, ...]
    readout_tau_s: float
    dt_s: float
    dropout: float = 0.1
    surrogate: Surrogate = field(default_factory=Surrogate)
    weight_bounds: tuple[float, ...] | None = None
    alpha_bounds: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("channels", "classes"):
            whole(name, getattr(self, name), 1)
        layers = self.layers
        if not isinstance(layers, tuple) or not layers or not all(isinstance(layer, Layer) for layer in layers):
            raise InputError("layers", self.layers, "at least one Layer", "training.stack makes several")
        for name in ("readout_tau_s", "dt_s"):
            _positive_seconds(name, getattr(self, name))
        if not isinstance(self.surrogate, Surrogate):
            raise InputError("surrogate", self.surrogate, "a Surrogate", "training.Surrogate('triangle')")
        if not 0 <= self.dropout < 1:
            raise InputError("dropout", self.dropout, "a probability from 0 to below 1")
        bounds = self.weight_bounds
        if bounds is not None and not (_are_numbers(bounds, len(layers) + 1) and all(0 < b < np.inf for b in bounds)):
            raise InputError("weight_bounds", bounds, f"{len(layers) + 1} positive numbers, one for the readout too")
        alphas = self.alpha_bounds
        if alphas is not None and not (_are_numbers(alphas, 2) and 0 < alphas[0] < alphas[1] < 1):
            raise InputError("alpha_bounds", alphas, "two numbers between 0 and 1, the lower one first")

    def within_alpha_bounds(self, tau_s: ArrayLike) -> NDArray[np.float64]:
        """Time constants in seconds after the cut by `alpha_bounds`, if there is one."""
        tau = np.asarray(tau_s, dtype=np.float64)
        if self.alpha_bounds is None:
            return tau
        low, high = (-self.dt_s / np.log(alpha) for alpha in self.alpha_bounds)
        return np.clip(tau, low, high)

    def initial_tau_s(self) -> NDArray[np.float64]:
        """Time constant that each layer begins with in seconds; only where it is not learned is it cut."""
        given = np.array([layer.tau_s for layer in self.layers])
        return np.where([layer.learned_tau is None for layer in self.layers], self.within_alpha_bounds(given), given)

    def effective_memory(self) -> EffectiveMemory:
        """Mean lag of the impulse response of each layer, before training (`cortexsnn.hierarchy`)."""
        return effective_memory_s(
            self.initial_tau_s(),
            self.dt_s,
            [layer.kernel_size for layer in self.layers],
            [layer.dilation for layer in self.layers],
        )
