"""Training of spiking networks in PyTorch, and their way into a `Network`."""

from cortexsnn.datasets.augmentation import BackgroundNoise, ChannelShift, SpikeDropout, TimeJitter
from cortexsnn.training.architecture import Architecture, Layer, LearnedTau, stack
from cortexsnn.training.diagnosis import Finding, diagnose
from cortexsnn.training.fit import Fit, fit
from cortexsnn.training.folding import to_network
from cortexsnn.training.model import SpikingNetwork
from cortexsnn.training.protocol import Protocol, Regularisation, Schedule, paper_protocol
from cortexsnn.training.scan import lif_scan
from cortexsnn.training.simulation import simulate
from cortexsnn.training.surrogate import Surrogate

__all__ = [
    "Architecture",
    "BackgroundNoise",
    "ChannelShift",
    "Finding",
    "Fit",
    "Layer",
    "LearnedTau",
    "Protocol",
    "Regularisation",
    "Schedule",
    "SpikeDropout",
    "SpikingNetwork",
    "Surrogate",
    "TimeJitter",
    "diagnose",
    "fit",
    "lif_scan",
    "paper_protocol",
    "simulate",
    "stack",
    "to_network",
]
