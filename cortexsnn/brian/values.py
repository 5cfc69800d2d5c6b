"""Numbers of a Brian2 network: everything that may differ between two networks that share one program."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.circuit import Circuit
from cortexsnn.brian.equations import NeuronModel, parameters
from cortexsnn.brian.layout import TrialState, start_name
from cortexsnn.network import Projection

__all__ = ["ValueName", "circuit_values", "set_values", "start_values", "started_variables", "synapses_name"]

ValueName = tuple[str, str]
"""A Brian2 object and one of its variables."""


def synapses_name(projection: Projection, tap: int) -> str:
    """Name of the Brian2 object with the synapses of one tap.

    Parameters
    ----------
    projection : Projection
    tap : int

    Returns
    -------
    str

    Examples
    --------
    >>> synapses_name(Projection("input", "hidden1", np.ones((2, 1, 1)), (0, 3)), 1)
    'input_to_hidden1_delay3'
    """
    several = len(projection.delay_steps) > 1
    return f"{projection.name}_delay{projection.delay_steps[tap]}" if several else projection.name


def circuit_values(circuit: Circuit) -> dict[ValueName, NDArray[np.floating]]:
    """Parameters of all neurons and weights of all synapses, in SI units and in Brian2's order.

    Parameters
    ----------
    circuit : Circuit
        A parameter of the network that the equations of a population no longer have is left out.

    Returns
    -------
    dict of (object, variable) to array
        Weights are numbered source by source.

    Examples
    --------
    >>> from cortexsnn.brian.circuit import circuit
    >>> from cortexsnn.network import Network, Population
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 2), Population.readout("readout", 2, tau_s=0.1)),
    ...     (Projection("input", "readout", [[1.0, 2.0], [3.0, 4.0]]),),
    ... )
    >>> circuit_values(circuit(network))["input_to_readout", "w"]
    array([1., 3., 2., 4.])
    """
    values: dict[ValueName, NDArray[np.floating]] = {}
    network = circuit.network
    for population in network.order:
        model = circuit.neurons[population.name]
        known = brian2.Equations(model.equations)
        own = {k: v for k, v in parameters(population, network.dt_s).items() if k in known.parameter_names}
        extra = {k: np.asarray(v, dtype=np.float64) for k, v in model.initial.items() if k in known.parameter_names}
        values.update({(population.name, name): value for name, value in {**own, **extra}.items()})
    for projection in network.projections:
        for name, weight in circuit.synapses[projection.name].values(projection).items():
            for tap in range(len(projection.delay_steps)):
                values[synapses_name(projection, tap), name] = weight[tap].T.ravel()
    return values


def started_variables(model: NeuronModel, state: Collection[str], *, continuing: bool) -> list[str]:
    """State variables of one population that do not start at 0: all of a block that goes on, else the given ones."""
    return [name for name in state if continuing or name in model.initial]


def start_values(
    models: Mapping[str, NeuronModel], started: Mapping[str, list[str]], state: TrialState | None
) -> dict[ValueName, NDArray[np.floating]]:
    """Values with which the neurons start.

    Parameters
    ----------
    models : mapping from str to NeuronModel
    started : mapping from str to list of str
        State variables that have a value at the start, by population.
    state : TrialState, optional
        Where the block before ended; a trial starts with the values of the models.

    Returns
    -------
    dict of (object, variable) to array
    """
    values: dict[ValueName, NDArray[np.floating]] = {}
    for population, names in started.items():
        for name in names:
            given = np.asarray(models[population].initial.get(name, 0.0), dtype=np.float64)
            values[population, start_name(name)] = (
                state.variables[population, name] if state is not None and state.variables else given
            )
    return values


def set_values(simulation: brian2.Network, values: Mapping[ValueName, NDArray[np.floating]]) -> None:
    """Give a Brian2 network its numbers.

    Parameters
    ----------
    simulation : brian2.Network
    values : mapping from (object, variable) to array
        In SI units.
    """
    for (name, variable), value in values.items():
        # With an underscore, Brian2 takes plain numbers in SI units.
        setattr(simulation[name], f"{variable}_", value if value.ndim else float(value))
