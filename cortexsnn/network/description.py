"""`Network`, `Population` and `Projection`: frozen descriptions that training writes and simulators read.

The meaning of every field is the difference equation that `cortexsnn.reference` executes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.network.validation import DECODERS, RESETS, Kind, update_order, validate

__all__ = ["DECODERS", "RESETS", "Adaptation", "Network", "Population", "Projection", "delay_in_steps"]

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
        """Channels whose spikes are given from outside; several spikes in one step are allowed."""
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
        """Leaky integrate-and-fire neurons; a single number stands for all neurons."""
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
        """Leaky integrators without spikes, whose potential is decoded."""
        where = f"of population '{name}'"
        return cls(
            name,
            "readout",
            size,
            _per_neuron(tau_s, size, f"tau_s {where}"),
            bias=_per_neuron(bias, size, f"bias {where}"),
        )

    def alpha(self, dt_s: float) -> FloatArray:
        """Decay of the membrane potential over one step, exp(-dt / tau), shape (size,)."""
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

    @property
    def name(self) -> str:
        """Source and target in one identifier."""
        return f"{self.source}_to_{self.target}"


@dataclass(frozen=True, eq=False)
class Network:
    """A whole network: time step, populations, projections, and how the readout is decoded.

    Parameters
    ----------
    dt_s : float
        Time step in seconds.
    populations : sequence of Population
    projections : sequence of Projection
        At most one for each pair of populations. Projections with a zero-delay tap must not form a cycle.
    decoder : {"sum_of_softmax", "per_step"}, optional
        How classes are read from the readout (`cortexsnn.decoding`).
    metadata : mapping
        What JSON can say: data set, seeds, versions, figures of merit.

    Raises
    ------
    InputError
        If any field cannot be simulated; the message names it.

    Examples
    --------
    >>> network = Network(
    ...     dt_s=0.01,
    ...     populations=(
    ...         Population.input("input", 2),
    ...         Population.lif("hidden1", 1, tau_s=0.02),
    ...         Population.readout("readout", 2, tau_s=0.1),
    ...     ),
    ...     projections=(
    ...         Projection("input", "hidden1", [[0.6, 0.8]]),
    ...         Projection("hidden1", "readout", [[1.0], [-1.0]]),
    ...     ),
    ...     decoder="per_step",
    ... )
    >>> [population.name for population in network.order]
    ['hidden1', 'readout']
    """

    dt_s: float
    populations: tuple[Population, ...]
    projections: tuple[Projection, ...]
    decoder: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "populations", tuple(self.populations))
        object.__setattr__(self, "projections", tuple(self.projections))
        validate(self)

    def __getitem__(self, name: str) -> Population:
        for population in self.populations:
            if population.name == name:
                return population
        known = ", ".join(population.name for population in self.populations)
        raise InputError("population", name, f"one of {known}")

    @property
    def inputs(self) -> tuple[Population, ...]:
        """Populations whose spikes come from outside."""
        return tuple(p for p in self.populations if p.kind == "input")

    @property
    def hidden(self) -> tuple[Population, ...]:
        """Spiking populations, from the first layer to the last."""
        return tuple(p for p in self.order if p.kind == "lif")

    @property
    def readouts(self) -> tuple[Population, ...]:
        """Leaky integrators."""
        return tuple(p for p in self.populations if p.kind == "readout")

    @property
    def order(self) -> tuple[Population, ...]:
        """Populations in the order in which one time step updates them; inputs are left out."""
        return update_order(self)

    @property
    def max_delay_steps(self) -> int:
        """The longest delay of any projection."""
        return max((max(p.delay_steps) for p in self.projections), default=0)

    def is_feedforward(self, projection: Projection) -> bool:
        """Whether the source is updated before the target within one time step."""
        position = {p.name: index for index, p in enumerate(self.inputs + self.order)}
        return position[projection.source] < position[projection.target]

    def arrays(self) -> dict[str, FloatArray]:
        """Every array of the description under a unique name, as it is stored."""
        named: dict[str, FloatArray] = {}
        for p in self.populations:
            if p.kind != "input":
                named[f"population.{p.name}.tau_s"] = p.tau_s
                named[f"population.{p.name}.bias"] = p.bias
            if p.kind == "lif":
                named[f"population.{p.name}.threshold"] = p.threshold
            if p.adaptation is not None:
                named[f"population.{p.name}.adaptation_strength"] = p.adaptation.strength
                named[f"population.{p.name}.adaptation_tau_s"] = p.adaptation.tau_s
        for projection in self.projections:
            named[f"projection.{projection.name}.weight"] = projection.weight
        return named

    def structure(self) -> dict[str, Any]:
        """Everything of the description that is not an array, as JSON can say it; without the metadata."""
        return {
            "dt_s": self.dt_s,
            "decoder": self.decoder,
            "populations": [
                {
                    "name": p.name,
                    "kind": p.kind,
                    "size": p.size,
                    **(
                        {
                            "reset": p.reset,
                            "refractory_steps": p.refractory_steps,
                            "adaptive": p.adaptation is not None,
                        }
                        if p.kind == "lif"
                        else {}
                    ),
                }
                for p in self.populations
            ],
            "projections": [
                {"source": p.source, "target": p.target, "delay_steps": list(p.delay_steps)} for p in self.projections
            ],
        }

    def fingerprint(self) -> str:
        """A short hash of structure and arrays: equal for networks that compute the same."""
        digest = hashlib.sha256(json.dumps(self.structure(), sort_keys=True).encode())
        for name, array in sorted(self.arrays().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: str | Path) -> None:
        """Write the network to one safetensors file; see `cortexsnn.network.save`."""
        from cortexsnn.network.storage import save

        save(self, path)

    @staticmethod
    def load(path: str | Path) -> Network:
        """Read a network; see `cortexsnn.network.load`."""
        from cortexsnn.network.storage import load

        return load(path)
