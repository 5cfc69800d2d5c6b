"""What a spiking network is, independent of any simulator: populations, projections, and a file for them."""

from cortexsnn.network.description import Network
from cortexsnn.network.inputs import ArrayInput, CountsOnDemand, SpikeInput, input_counts, spike_inputs
from cortexsnn.network.parts import Adaptation, Population, Projection, delay_in_steps
from cortexsnn.network.storage import load, save
from cortexsnn.network.validation import DECODERS, RESETS

__all__ = [
    "DECODERS",
    "RESETS",
    "Adaptation",
    "ArrayInput",
    "CountsOnDemand",
    "Network",
    "Population",
    "Projection",
    "SpikeInput",
    "delay_in_steps",
    "input_counts",
    "load",
    "save",
    "spike_inputs",
]
