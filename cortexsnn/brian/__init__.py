"""The trained network as an ordinary `brian2.Network` that fires the same spikes."""

from cortexsnn.brian.agreement import agreement
from cortexsnn.brian.build import build
from cortexsnn.brian.choice import choose_device
from cortexsnn.brian.circuit import Circuit, SynapseModel, circuit, synapse_model
from cortexsnn.brian.default_order import build_in_default_order, lags, run_in_default_order
from cortexsnn.brian.devices import DEVICES
from cortexsnn.brian.equations import NeuronModel, neuron_model
from cortexsnn.brian.explain import explain
from cortexsnn.brian.run import run
from cortexsnn.brian.simulate import simulate

__all__ = [
    "DEVICES",
    "Circuit",
    "NeuronModel",
    "SynapseModel",
    "agreement",
    "build",
    "build_in_default_order",
    "choose_device",
    "circuit",
    "explain",
    "lags",
    "neuron_model",
    "run",
    "run_in_default_order",
    "simulate",
    "synapse_model",
]
