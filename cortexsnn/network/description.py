"""`Network`: a frozen description that training writes and simulators read.

The meaning of every field is the difference equation that `cortexsnn.reference` executes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from cortexsnn.errors import InputError
from cortexsnn.hierarchy import mean_lag_s
from cortexsnn.network.parts import FloatArray, Population, Projection, seconds
from cortexsnn.network.validation import update_order, validate

__all__ = ["Network"]


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
    >>> from cortexsnn.network import Network, Population, Projection
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
        object.__setattr__(self, "dt_s", seconds(self.dt_s))
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

    def effective_memory_s(self, name: str) -> float:
        """Mean lag of the impulse response of a population without spikes.

        Membrane and feed-forward delays count, what recurrent connections add does not
        (`cortexsnn.hierarchy.mean_lag_s`).

        Parameters
        ----------
        name : str
            Of a LIF population or a readout.

        Returns
        -------
        float
            In seconds, the mean over neurons and over the taps of all projections that lead in from elsewhere.
        """
        taps = [p.delay_steps for p in self.projections if p.target == name and p.source != name]
        delay_steps = float(np.mean([np.mean(steps) for steps in taps])) if taps else 0.0
        return mean_lag_s(self[name].tau_s, self.dt_s) + delay_steps * self.dt_s

    def is_feedforward(self, projection: Projection) -> bool:
        """Whether the source is updated before the target within one time step.

        Parameters
        ----------
        projection : Projection
            Between populations of this network.

        Returns
        -------
        bool
        """
        position = {p.name: index for index, p in enumerate(self.inputs + self.order)}
        return position[projection.source] < position[projection.target]

    def arrays(self) -> dict[str, FloatArray]:
        """Every array of the description under a unique name, as it is stored.

        Returns
        -------
        dict of str to numpy.ndarray
        """
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
        """Everything of the description that is not an array, as JSON can say it; without the metadata.

        Returns
        -------
        dict
        """
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
        """A short hash of structure and arrays: equal for networks that compute the same.

        Returns
        -------
        str
            16 hexadecimal digits.
        """
        digest = hashlib.sha256(json.dumps(self.structure(), sort_keys=True).encode())
        for name, array in sorted(self.arrays().items()):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(array).tobytes())
        return digest.hexdigest()[:16]

    def save(self, path: str | Path) -> None:
        """Write the network to one safetensors file; see `cortexsnn.network.save`.

        Parameters
        ----------
        path : path-like
            Usually ends in ``.safetensors``.

        Examples
        --------
        >>> import tempfile
        >>> from cortexsnn.network import Network, Population
        >>> path = Path(tempfile.mkdtemp()) / "network.safetensors"
        >>> network = Network(0.01, (Population.input("input", 2), Population.readout("readout", 1, tau_s=0.1)), ())
        >>> network.save(path)
        >>> Network.load(path).fingerprint() == network.fingerprint()
        True
        """
        from cortexsnn.network.storage import save

        save(self, path)

    @staticmethod
    def load(path: str | Path) -> Network:
        """Read a network; see `cortexsnn.network.load`.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        Network

        Raises
        ------
        InputError
            If the file is missing, truncated, of another kind, or describes a network that cannot be simulated.
        """
        from cortexsnn.network.storage import load

        return load(path)
