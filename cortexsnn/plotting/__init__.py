"""Figures: functions that draw on an Axes and return it, in one house style."""

from cortexsnn.plotting.activity import raster, readout
from cortexsnn.plotting.estimates import calibration_curve, layer_profile, tau_distribution
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
    "calibration_curve",
    "colours",
    "cortical_timescales",
    "layer_profile",
    "layer_timescales",
    "learned_time_constants",
    "milliseconds",
    "raster",
    "readout",
    "style",
    "sweep_accuracy",
    "tau_distribution",
    "tau_set_and_measured",
    "training_curves",
]
