"""`Population` and `Projection`: frozen descriptions of the parts of a network."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.network.validation import Kind

__all__ = ["Adaptation", "FloatArray", "Population", "Projection", "delay_in_steps", "seconds"]

FloatArray = NDArray[np.float64]


def _frozen_array(values: ArrayLike, field_name: str) -> FloatArray:
    """A read-only float64 copy, so that a description cannot change under a simulator."""
    try:
        array = np.array(values, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(field_name, values, "numbers") from None
    array.setflags(write=False)
    return array


def _per_neuron(values: ArrayLike, size: int, field_name: str) -> FloatArray:
    """One value for every neuron: a single number is repeated, anything else must have the right length."""
    array = _frozen_array(values, field_name)
    if array.ndim == 0 and isinstance(size, int) and size > 0:
        return _frozen_array(np.full(size, float(array)), field_name)
    return array


def seconds(value: Any) -> Any:
    """A plain number of seconds from a number, a NumPy scalar or a Brian2 quantity; anything else unchanged.

    Parameters
    ----------
    value : float or brian2.Quantity
        A time; plain numbers are in seconds.

    Returns
    -------
    float, or `value` itself if it is no number
        The validator refuses the latter.

    Examples
    --------
    >>> seconds(np.float32(0.5))
    0.5
    """
    try:
        return float(np.asarray(value))
    except (TypeError, ValueError):
        return value


def delay_in_steps(delay_s: float, dt_s: float) -> int:
    """Convert a delay to whole time steps.

    Parameters
    ----------
    delay_s, dt_s : float
        Delay and time step in seconds.

    Returns
    -------
    int

    Raises
    ------
    InputError
        If the time step does not divide the delay.

    Examples
    --------
    >>> delay_in_steps(0.030, 0.010)
    3
    >>> delay_in_steps(0.025, 0.010)
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: delay is 0.025; expected a multiple of dt = 0.01 s. 0.02 s or 0.03 s would do
    """
    if not np.isfinite(dt_s) or dt_s <= 0:
        raise InputError("dt_s", dt_s, "a positive number of seconds")
    if not np.isfinite(delay_s) or delay_s < 0:
        raise InputError("delay", delay_s, "a number of seconds, at least 0")
    steps = delay_s / dt_s
    nearest = round(steps)
    if abs(steps - nearest) > 1e-6:
        below, above = int(steps) * dt_s, (int(steps) + 1) * dt_s
        raise InputError("delay", delay_s, f"a multiple of dt = {dt_s:g} s", f"{below:g} s or {above:g} s would do")
    return nearest


@dataclass(frozen=True, eq=False)
class Adaptation:
    """Threshold that rises with every spike: theta[t] = threshold + strength * a[t], a[t] = rho a[t-1] + S[t-1].

    Parameters
    ----------
    strength : array, shape (size,)
        Rise of the threshold per spike (beta).
    tau_s : array, shape (size,)
        Time constant of its return in seconds; rho = exp(-dt / tau).
    """

    strength: FloatArray
    tau_s: FloatArray


@dataclass(frozen=True, eq=False)
class Population:
    """A group of neurons of one kind. Use `input`, `lif` or `readout` to make one.

    Parameters
    ----------
    name : str
        Letters, digits and underscores; Brian2 objects carry this name.
    kind : {"input", "lif", "readout"}
        Where spikes come from, spiking leaky integrate-and-fire neurons, or leaky integrators that never fire.
    size : int
        Number of neurons.
    tau_s, threshold, bias : array, shape (size,)
        Membrane time constant in seconds, firing threshold, constant input per step. Empty where the kind has
        none.
    reset : {"subtract", "subtract_decayed", "zero"}
        What a spike does to the membrane potential.
    refractory_steps : int
        Steps after a spike in which the neuron cannot fire.
    adaptation : Adaptation, optional

    Examples
    --------
    >>> hidden = Population.lif("hidden1", 2, tau_s=[0.02, 0.04])
    >>> hidden.alpha(dt_s=0.01).round(3)
    array([0.607, 0.779])
    """

    name: str
    kind: Kind
    size: int
    tau_s: FloatArray = field(default_factory=lambda: _frozen_array([], "tau_s"))
    threshold: FloatArray = field(default_factory=lambda: _frozen_array([], "threshold"))
    bias: FloatArray = field(default_factory=lambda: _frozen_array([], "bias"))
    reset: str = "subtract"
    refractory_steps: int = 0
    adaptation: Adaptation | None = None

    @classmethod
    def input(cls, name: str, size: int) -> Population:
        """Channels whose spikes are given from outside; several spikes in one step are allowed.

        Parameters
        ----------
        name : str
        size : int
            Number of channels.

        Returns
        -------
        Population
        """
        return cls(name, "input", size)

    @classmethod
    def lif(
        cls,
        name: str,
        size: int,
        *,
        tau_s: ArrayLike,
        threshold: ArrayLike = 1.0,
        bias: ArrayLike = 0.0,
        reset: str = "subtract",
        refractory_steps: int = 0,
        adaptation_strength: ArrayLike | None = None,
        adaptation_tau_s: ArrayLike | None = None,
    ) -> Population:
        """Leaky integrate-and-fire neurons; a single number stands for all neurons.

        Parameters
        ----------
        name : str
        size : int
            Number of neurons.
        tau_s : float or array, shape (neuron,)
            Membrane time constant in seconds.
        threshold : float or array, shape (neuron,)
            The neuron fires when its membrane potential, which has no unit, is above it.
        bias : float or array, shape (neuron,)
            Constant input per step.
        reset : {"subtract", "subtract_decayed", "zero"}
            What a spike does to the membrane potential.
        refractory_steps : int
            Steps after a spike in which the neuron cannot fire.
        adaptation_strength, adaptation_tau_s : float or array, shape (neuron,), optional
            Rise of the threshold per spike, and time constant of its return in seconds; both or neither.

        Returns
        -------
        Population

        Raises
        ------
        InputError
            If only one of the two parameters of the adaptation is given, or values are no numbers.

        Examples
        --------
        >>> Population.lif("hidden1", 3, tau_s=0.02, bias=[0.0, 0.1, 0.2]).tau_s
        array([0.02, 0.02, 0.02])
        """
        where = f"of population '{name}'"
        adaptation = None
        if (adaptation_strength is None) != (adaptation_tau_s is None):
            raise InputError(f"adaptation {where}", (adaptation_strength, adaptation_tau_s),
                             "both adaptation_strength and adaptation_tau_s, or neither")  # fmt: skip
        if adaptation_strength is not None and adaptation_tau_s is not None:
            adaptation = Adaptation(
                _per_neuron(adaptation_strength, size, f"adaptation_strength {where}"),
                _per_neuron(adaptation_tau_s, size, f"adaptation_tau_s {where}"),
            )
        return cls(
            name,
            "lif",
            size,
            _per_neuron(tau_s, size, f"tau_s {where}"),
            _per_neuron(threshold, size, f"threshold {where}"),
            _per_neuron(bias, size, f"bias {where}"),
            reset,
            refractory_steps,
            adaptation,
        )

    @classmethod
    def readout(cls, name: str, size: int, *, tau_s: ArrayLike, bias: ArrayLike = 0.0) -> Population:
        """Leaky integrators without spikes, whose potential is decoded.

        Parameters
        ----------
        name : str
        size : int
            Number of integrators, one for each class.
        tau_s : float or array, shape (neuron,)
            Time constant in seconds.
        bias : float or array, shape (neuron,)
            Constant input per step.

        Returns
        -------
        Population

        Raises
        ------
        InputError
            If values are no numbers.
        """
        where = f"of population '{name}'"
        return cls(
            name,
            "readout",
            size,
            _per_neuron(tau_s, size, f"tau_s {where}"),
            bias=_per_neuron(bias, size, f"bias {where}"),
        )

    def alpha(self, dt_s: float) -> FloatArray:
        """Decay of the membrane potential over one step, exp(-dt / tau).

        Parameters
        ----------
        dt_s : float
            Time step in seconds.

        Returns
        -------
        numpy.ndarray, shape (neuron,)
            From 0 to 1.
        """
        return np.exp(-dt_s / self.tau_s)


@dataclass(frozen=True, eq=False)
class Projection:
    """Connections from one population to another, one weight matrix for each delay.

    Parameters
    ----------
    source, target : str
        Names of populations; the same name makes a recurrent projection.
    weight : array, shape (taps, target size, source size)
        A two-dimensional array stands for a single tap.
    delay_steps : sequence of int
        Delay of each tap in whole steps; 0 means that a spike acts in the step in which it is fired.

    Notes
    -----
    A causal convolution over time with kernel size K and dilation d is a projection with taps k = 0..K-1 and
    delays k*d, where k = 0 is the newest bin (``conv1d.weight[..., K-1-k]`` in torch).
    """

    source: str
    target: str
    weight: FloatArray
    delay_steps: tuple[int, ...] = (0,)

    def __post_init__(self) -> None:
        weight = _frozen_array(self.weight, f"weight of projection '{self.name}'")
        if weight.ndim == 2:
            weight = weight[np.newaxis]
            weight.setflags(write=False)
        object.__setattr__(self, "weight", weight)
        delays = self.delay_steps if isinstance(self.delay_steps, Iterable) else (self.delay_steps,)
        object.__setattr__(self, "delay_steps", tuple(delays))

    @classmethod
    def with_delays(
        cls, source: str, target: str, weight: ArrayLike, *, delays_s: Iterable[float], dt_s: float
    ) -> Projection:
        """A projection whose delays are given in seconds (or as Brian2 quantities), one for each tap.

        Parameters
        ----------
        source, target : str
            Names of populations.
        weight : array, shape (taps, target size, source size)
        delays_s : iterable of float
            Delay of each tap in seconds.
        dt_s : float
            Time step of the network in seconds.

        Returns
        -------
        Projection

        Raises
        ------
        InputError
            If the time step does not divide a delay.

        Examples
        --------
        >>> Projection.with_delays("input", "hidden1", [[[1.0]], [[0.5]]], delays_s=[0, 0.03], dt_s=0.01).delay_steps
        (0, 3)
        """
        steps = tuple(delay_in_steps(seconds(delay), seconds(dt_s)) for delay in delays_s)
        return cls(source, target, _frozen_array(weight, f"weight of projection '{source}_to_{target}'"), steps)

    @property
    def name(self) -> str:
        """Source and target in one identifier."""
        return f"{self.source}_to_{self.target}"
