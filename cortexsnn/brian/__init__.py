"""The trained network as an ordinary `brian2.Network` that fires the same spikes."""

from cortexsnn.brian.agreement import agreement
from cortexsnn.brian.build import build
from cortexsnn.brian.simulate import DEVICES, simulate

__all__ = ["DEVICES", "agreement", "build", "simulate"]
