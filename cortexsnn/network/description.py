"""`Network`: a frozen description that training writes and simulators read.

The meaning of every field is the difference equation that `cortexsnn.reference` executes.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

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
                    "size": int(p.size),
                    **(
                        {
                            "reset": p.reset,
                            "refractory_steps": int(p.refractory_steps),
                            "adaptive": p.adaptation is not None,
                        }
                        if p.kind == "lif"
                        else {}
                    ),
                }
                for p in self.populations
            ],
            "projections": [
                {"source": p.source, "target": p.target, "delay_steps": [int(d) for d in p.delay_steps]}
                for p in self.projections
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

    @staticmethod
    def from_arrays(
        weights: Sequence[ArrayLike],
        *,
        tau_s: ArrayLike | Sequence[ArrayLike],
        dt_s: float,
        readout_tau_s: ArrayLike | None = None,
        bias: Sequence[ArrayLike | None] | None = None,
        threshold: ArrayLike | Sequence[ArrayLike] = 1.0,
        reset: str | Sequence[str] = "subtract",
        recurrent: Sequence[ArrayLike | None] | None = None,
        delay_steps: Sequence[Sequence[int] | None] | None = None,
        decoder: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Network:
        """A feed-forward network from its weight matrices; see `cortexsnn.network.arrays.from_arrays`.

        Parameters
        ----------
        weights : sequence of array, shape (target, source) or (tap, target, source)
            From the input to the last layer, oriented as in ``torch.nn.Linear``.
        dt_s, tau_s, readout_tau_s : float or array
            In seconds; without a readout all layers fire.
        threshold, reset, recurrent, tau_s : sequence
            An entry for each hidden layer; all but `recurrent` may be one for all.
        bias, delay_steps : sequence, optional
            An entry for each of the weights.
        decoder, metadata : optional
            As for `Network`.

        Returns
        -------
        Network

        Raises
        ------
        InputError
            If lengths, shapes or values do not fit; the message names the argument or the population.

        Examples
        --------
        >>> weights = [[[0.6, 0.8]], [[1.0], [-1.0]]]
        >>> network = Network.from_arrays(weights, tau_s=0.02, readout_tau_s=0.1, dt_s=0.01)
        >>> [population.size for population in network.populations]
        [2, 1, 2]
        """
        from cortexsnn.network.arrays import from_arrays

        return from_arrays(
            weights,
            tau_s=tau_s,
            dt_s=dt_s,
            readout_tau_s=readout_tau_s,
            bias=bias,
            threshold=threshold,
            reset=reset,
            recurrent=recurrent,
            delay_steps=delay_steps,
            decoder=decoder,
            metadata=metadata,
        )

    @staticmethod
    def from_snntorch(module: Any, *, dt_s: float, decoder: str | None = None) -> Network:
        """The network that a trained snnTorch module is; see `cortexsnn.exchange.from_snntorch`.

        Parameters
        ----------
        module : torch.nn.Module
            ``nn.Linear`` and neurons of snnTorch, in the order in which they act.
        dt_s : float
            How long a time step lasts, in seconds; snnTorch does not know.
        decoder : {"sum_of_softmax", "per_step"}, optional

        Returns
        -------
        Network

        Raises
        ------
        InputError
            If a layer does what a `Network` cannot say; the message names layer and parameter.
        """
        from cortexsnn.exchange import from_snntorch

        return from_snntorch(module, dt_s=dt_s, decoder=decoder)

    @staticmethod
    def from_norse(module: Any, *, dt_s: float, decoder: str | None = None) -> Network:
        """The network that a trained Norse module is; see `cortexsnn.exchange.from_norse`.

        Parameters
        ----------
        module : torch.nn.Module
            ``nn.Linear`` and cells of Norse, in the order in which they act.
        dt_s : float
            How long a time step lasts, in seconds.
        decoder : {"sum_of_softmax", "per_step"}, optional

        Returns
        -------
        Network

        Raises
        ------
        InputError
            If a layer does what a `Network` cannot say; the message names layer and parameter.
        """
        from cortexsnn.exchange import from_norse

        return from_norse(module, dt_s=dt_s, decoder=decoder)

    @staticmethod
    def from_nir(
        graph: Any,
        *,
        dt_s: float | None = None,
        decay: str | None = None,
        reset: str | None = None,
        decoder: str | None = None,
    ) -> Network:
        """Read a graph of the neuromorphic intermediate representation; see `cortexsnn.exchange.from_nir`.

        Parameters
        ----------
        graph : nir.NIRGraph or path-like
        dt_s : float, optional
            Time step in seconds; may be left out where `to_nir` wrote the graph.
        decay : {"exp", "euler"}, optional
            Whether a step multiplies the potential by exp(-dt / tau) or by 1 - dt / tau; as for `dt_s`.
        reset : {"subtract", "subtract_decayed", "zero"}, optional
            What a spike does, for all neurons; without it, what the graph says.
        decoder : {"sum_of_softmax", "per_step"}, optional

        Returns
        -------
        Network

        Raises
        ------
        InputError
            If a node cannot be expressed; the message names it and its type.
        """
        from cortexsnn.exchange import from_nir

        return from_nir(graph, dt_s=dt_s, decay=decay, reset=reset, decoder=decoder)

    def to_nir(self, path: str | Path | None = None, *, decay: str) -> Any:
        """Say the network in the neuromorphic intermediate representation; see `cortexsnn.exchange.to_nir`.

        Parameters
        ----------
        path : path-like, optional
            File to write; usually ends in ``.nir``.
        decay : {"exp", "euler"}
            Whether whoever reads the graph multiplies by exp(-dt / tau) or by 1 - dt / tau in each step.

        Returns
        -------
        nir.NIRGraph

        Raises
        ------
        InputError
            If NIR cannot say it; the message names the population or projection.
        """
        from cortexsnn.exchange import to_nir

        return to_nir(self, path, decay=decay)
