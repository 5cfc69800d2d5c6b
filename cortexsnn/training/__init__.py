"""Training of spiking networks in PyTorch, and their way into a `Network`."""

from cortexsnn.training.fit import Fit, Protocol, fit
from cortexsnn.training.folding import simulate, to_network
from cortexsnn.training.model import Architecture, SpikingNetwork
from cortexsnn.training.scan import lif_scan

__all__ = ["Architecture", "Fit", "Protocol", "SpikingNetwork", "fit", "lif_scan", "simulate", "to_network"]
