"""The figures of the report: Axes of `cortexsnn.plotting` put together for a set of runs."""

from cortexsnn.figures.cortical import beside_cortex, distances, name_of_table, schematic, slopes
from cortexsnn.figures.networks import autocorrelations, learning, rasters, set_and_measured, training
from cortexsnn.figures.shared import examples, per_layer

__all__ = [
    "autocorrelations",
    "beside_cortex",
    "distances",
    "examples",
    "learning",
    "name_of_table",
    "per_layer",
    "rasters",
    "schematic",
    "set_and_measured",
    "slopes",
    "training",
]
