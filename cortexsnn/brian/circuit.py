"""What Brian2 is told about a network: equations of its neurons, code of its synapses, and the numbers in both.

The exact twin is one such description. A more biophysical version of the network (`cortexsnn.brian.realistic`), or one
that deviates from it (`cortexsnn.brian.biophysics.deviations`), is another, made from it by a function that changes
one thing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.equations import NeuronModel, NeuronModels, neuron_model, on_pre
from cortexsnn.checks import whole
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Projection

__all__ = ["Circuit", "SynapseModel", "circuit", "circuit_of", "synapse_model"]

COUNT = "{count}"


@dataclass(frozen=True, eq=False)
class SynapseModel:
    """What Brian2 is told about the synapses of one projection; change it with `dataclasses.replace`.

    Parameters
    ----------
    equations : str
        As for `brian2.Synapses`.
    on_pre : str
        What a spike does to its target. ``{count}`` stands behind every weight: where a channel of the input may have
        several spikes in a step, the weight is multiplied there by their number.
    weights : mapping from str to array, shape (tap, target, source)
        Values of parameters of `equations`, in SI units. ``w`` is the weight of the projection if it is not given.

    Examples
    --------
    Weights in millivolts:

    >>> projection = Projection("input", "hidden1", [[0.8]])
    >>> in_volts = SynapseModel("w : volt", "v_post += w{count}", {"w": 0.02 * projection.weight})
    >>> in_volts.code("")
    'v_post += w'
    """

    equations: str
    on_pre: str
    weights: Mapping[str, NDArray[np.float64]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        weights = {name: np.asarray(values, dtype=np.float64) for name, values in self.weights.items()}
        object.__setattr__(self, "weights", weights)

    def code(self, count: str) -> str:
        """The code of `on_pre` with weights that are multiplied by a variable, or by nothing if it is empty."""
        return self.on_pre.replace(COUNT, f"*{count}" if count else "")

    def values(self, projection: Projection) -> Mapping[str, NDArray[np.float64]]:
        """Weights by parameter, shape (tap, target, source), in SI units."""
        return self.weights or {"w": projection.weight}


@dataclass(frozen=True, eq=False)
class Circuit:
    """A network together with the models of all its neurons and synapses.

    Make one with `circuit` or `realistic`; change it with the functions of `cortexsnn.brian.biophysics.deviations`, or
    by hand with `with_neurons` and `with_synapses`. `cortexsnn.brian.build`, `simulate` and `explain` take it in place
    of a network.

    Parameters
    ----------
    network : Network
        Populations, projections and delays, in the time steps in which Brian2 runs.
    neurons : mapping from str to NeuronModel
        Of every population but the inputs, in the order in which a step updates them.
    synapses : mapping from str to SynapseModel
        Of every projection, by its name.
    steps_per_bin : int
        Time steps for each step of the input, which keeps the time step of training.
    changes : tuple of str
        What was changed, in words, in order.
    """

    network: Network
    neurons: Mapping[str, NeuronModel]
    synapses: Mapping[str, SynapseModel]
    steps_per_bin: int = 1
    changes: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "steps_per_bin", whole("steps_per_bin", self.steps_per_bin, 1))
        order = [p.name for p in self.network.order]
        if list(self.neurons) != order:
            raise InputError("neurons", list(self.neurons), f"a model of each of {', '.join(order)}, in this order")
        names = [p.name for p in self.network.projections]
        if sorted(self.synapses) != sorted(names):
            raise InputError("synapses", sorted(self.synapses), f"a model of each of {', '.join(names)}")
        for projection in self.network.projections:
            for name, weight in self.synapses[projection.name].weights.items():
                if weight.shape != projection.weight.shape:
                    raise InputError(f"shape of {name} in the synapses of '{projection.name}'", weight.shape,
                                     f"{projection.weight.shape}, as the projection has")  # fmt: skip
        for population in self.network.order:
            _require_known(population.name, population.size, self.neurons[population.name])

    def with_neurons(self, models: NeuronModels) -> Circuit:
        """The circuit with other models of some populations.

        Parameters
        ----------
        models : mapping from str to NeuronModel

        Returns
        -------
        Circuit

        Raises
        ------
        InputError
            If a name is no population, or what is given is no `NeuronModel` or lacks what the synapses use.
        """
        for name, model in models.items():
            if name not in self.neurons:
                raise InputError("population in models", name, f"one of {', '.join(self.neurons)}")
            if not isinstance(model, NeuronModel):
                raise InputError(f"models['{name}']", model, "a NeuronModel",
                                 f"start from neuron_model(network['{name}']) and dataclasses.replace")  # fmt: skip
            used = self._used(name)
            missing = sorted(used - set(brian2.Equations(model.equations).names))
            if missing:
                raise InputError(f"equations of population '{name}'", model.equations, f"a variable {missing[0]}",
                                 f"synapses of the network use {' and '.join(sorted(used))}")  # fmt: skip
        return replace(self, neurons={name: models.get(name) or model for name, model in self.neurons.items()})

    def with_synapses(self, models: Mapping[str, SynapseModel]) -> Circuit:
        """The circuit with other models of some projections.

        Parameters
        ----------
        models : mapping from str to SynapseModel

        Returns
        -------
        Circuit

        Raises
        ------
        InputError
            If a name is no projection, or weights do not have its shape.
        """
        unknown = sorted(set(models) - set(self.synapses))
        if unknown:
            raise InputError("projection in models", unknown[0], f"one of {', '.join(self.synapses)}")
        for name, model in models.items():
            if not isinstance(model, SynapseModel):
                raise InputError(f"models['{name}']", model, "a SynapseModel",
                                 "start from circuit.synapses and dataclasses.replace")  # fmt: skip
        return replace(self, synapses={**self.synapses, **models})

    def _used(self, population: str) -> set[str]:
        """Variables of a population that its synapses use."""
        used = {"v"}
        for projection in self.network.projections:
            if projection.target == population:
                words = brian2.utils.stringtools.get_identifiers(self.synapses[projection.name].code(""))
                used |= {word.removesuffix("_post") for word in words if word.endswith("_post")}
        return used


def _require_known(population: str, size: int, model: NeuronModel) -> None:
    """Refuse values and memory of variables that the equations do not have; nobody would hear of them."""
    equations = brian2.Equations(model.equations)
    for name in model.memory:
        if name not in equations.parameter_names:
            raise InputError(f"memory of population '{population}'", name, "a parameter in its equations",
                             f"it has {', '.join(sorted(equations.parameter_names))}")  # fmt: skip
    settable = {*equations.parameter_names, *equations.diff_eq_names}
    for name, value in model.initial.items():
        if name not in settable:
            raise InputError(f"name in initial of population '{population}'", name, "a variable of its equations",
                             f"those that can be set are {', '.join(sorted(settable))}")  # fmt: skip
        if np.shape(value) not in ((), (size,)):
            raise InputError(f"shape of initial['{name}'] of population '{population}'", np.shape(value),
                             f"a number, or ({size},), one for each neuron")  # fmt: skip


def synapse_model(network: Network, projection: Projection) -> SynapseModel:
    """The Brian2 model of the synapses of one projection that does what the difference equations do.

    Parameters
    ----------
    network : Network
    projection : Projection

    Returns
    -------
    SynapseModel

    Examples
    --------
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> synapse_model(network, network.projections[0]).on_pre
    'v_post += w{count}'
    """
    target = network[projection.target]
    return SynapseModel("w : 1", on_pre(target, feedforward=network.is_feedforward(projection)))


def circuit(network: Network, models: NeuronModels | None = None) -> Circuit:
    """What Brian2 is told about the exact twin of a network.

    Parameters
    ----------
    network : Network
    models : mapping from str to NeuronModel, optional
        Other equations for some populations.

    Returns
    -------
    Circuit

    Raises
    ------
    InputError
        If a model does not fit the network.

    Examples
    --------
    >>> network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    >>> list(circuit(network).neurons), list(circuit(network).synapses)
    (['hidden1'], ['input_to_hidden1'])
    """
    exact = Circuit(
        network,
        {p.name: neuron_model(p) for p in network.order},
        {p.name: synapse_model(network, p) for p in network.projections},
    )
    return exact.with_neurons(models) if models else exact


def circuit_of(given: Network | Circuit, models: NeuronModels | None = None) -> Circuit:
    """The circuit that is given, or the exact twin of a network; with other equations for some populations.

    Parameters
    ----------
    given : Network or Circuit
    models : mapping from str to NeuronModel, optional

    Returns
    -------
    Circuit
    """
    if isinstance(given, Network):
        return circuit(given, models)
    return given.with_neurons(models) if models else given
