"""The order of events in one time step that makes Brian2 fire the spikes of the difference equations.

In Brian2's default order (groups, thresholds, synapses, resets) a spike reaches the next layer one step late. Here
every population has slots of its own, in the order in which one step updates the populations, so that a spike
travels through all layers within its step. The standard slots stay, for objects that users add.
"""

from __future__ import annotations

from cortexsnn.network import Network

__all__ = ["INPUT_SLOT", "FEEDBACK_SLOT", "slot", "slots"]

INPUT_SLOT = "input_spikes"
FEEDBACK_SLOT = "feedback"
_PHASES = ("decay", "synapses", "threshold", "record", "reset")


def slot(phase: str, population: str) -> str:
    """Name of the slot of one phase of one population.

    Parameters
    ----------
    phase : {"decay", "synapses", "threshold", "record", "reset"}
    population : str

    Returns
    -------
    str

    Raises
    ------
    KeyError
        If there is no such phase.

    Examples
    --------
    >>> slot("decay", "hidden1")
    'decay_hidden1'
    """
    if phase not in _PHASES:
        raise KeyError(phase)
    return f"{phase}_{population}"


def slots(network: Network) -> list[str]:
    """The schedule of a whole network, for ``brian2.Network.schedule``.

    Parameters
    ----------
    network : Network

    Returns
    -------
    list of str
        Names of the slots, in the order of one time step.

    Examples
    --------
    >>> from cortexsnn.network import Population
    >>> network = Network(0.01, (Population.input("input", 1), Population.readout("readout", 1, tau_s=0.1)), ())
    >>> slots(network)[:4]
    ['start', 'input_spikes', 'decay_readout', 'synapses_readout']
    """
    own = [slot(phase, population.name) for population in network.order for phase in _PHASES]
    return ["start", INPUT_SLOT, *own, FEEDBACK_SLOT, "groups", "thresholds", "synapses", "resets", "end"]
