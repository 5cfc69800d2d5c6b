"""The trained network as an ordinary `brian2.Network` that fires the same spikes."""

from cortexsnn.brian.agreement import agreement
from cortexsnn.brian.biophysics.deviations import (
    adaptation_current,
    lesion,
    lesion_synapses,
    synaptic_noise,
    without_delays,
)
from cortexsnn.brian.biophysics.effects import effects
from cortexsnn.brian.biophysics.ladder import ladder, on_rung
from cortexsnn.brian.biophysics.physical import mean_potential, realistic
from cortexsnn.brian.biophysics.realism import RUNGS, Realism, Rung
from cortexsnn.brian.biophysics.time_constants import scale_tau
from cortexsnn.brian.bitwise import BitwiseCircuit, bitwise
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
    "RUNGS",
    "BitwiseCircuit",
    "Circuit",
    "NeuronModel",
    "Realism",
    "Rung",
    "SynapseModel",
    "adaptation_current",
    "agreement",
    "bitwise",
    "build",
    "build_in_default_order",
    "choose_device",
    "circuit",
    "effects",
    "explain",
    "ladder",
    "lags",
    "lesion",
    "lesion_synapses",
    "mean_potential",
    "neuron_model",
    "on_rung",
    "realistic",
    "run",
    "run_in_default_order",
    "scale_tau",
    "simulate",
    "synapse_model",
    "synaptic_noise",
    "without_delays",
]
