"""Figures: functions that draw on an Axes and return it, in one house style."""

from cortexsnn.plotting.activity import raster, readout
from cortexsnn.plotting.learning import learned_time_constants, sweep_accuracy, training_curves
from cortexsnn.plotting.style import STYLE, colours, milliseconds, style
from cortexsnn.plotting.timescales import (
    autocorrelation,
    cortical_timescales,
    layer_timescales,
    tau_set_and_measured,
)

__all__ = [
    "STYLE",
    "autocorrelation",
    "colours",
    "cortical_timescales",
    "layer_timescales",
    "learned_time_constants",
    "milliseconds",
    "raster",
    "readout",
    "style",
    "sweep_accuracy",
    "tau_set_and_measured",
    "training_curves",
]
