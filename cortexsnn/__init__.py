"""Timescale hierarchies of spiking networks: train in PyTorch, run in Brian2, measure, compare with cortex."""

__version__ = "0.1.0"
