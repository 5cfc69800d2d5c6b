"""The trained network as an ordinary `brian2.Network` that fires the same spikes."""

from cortexsnn.brian.agreement import agreement
from cortexsnn.brian.build import build
from cortexsnn.brian.devices import DEVICES
from cortexsnn.brian.equations import NeuronModel, neuron_model
from cortexsnn.brian.run import run
from cortexsnn.brian.simulate import simulate

__all__ = ["DEVICES", "NeuronModel", "agreement", "build", "neuron_model", "run", "simulate"]
