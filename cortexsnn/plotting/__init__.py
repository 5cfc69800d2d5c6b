"""Figures: functions that draw on an Axes and return it, in one house style."""

from cortexsnn.plotting.activity import raster, readout
from cortexsnn.plotting.estimates import calibration_curve, layer_profile, tau_distribution
from cortexsnn.plotting.hierarchy import LONGEST_LEVEL_LABEL, hierarchy_order, layers_and_areas
from cortexsnn.plotting.ladder import ladder
from cortexsnn.plotting.learning import learned_slopes, learned_time_constants, sweep_accuracy, training_curves
from cortexsnn.plotting.matrix import distance_matrix, probability_matrix
from cortexsnn.plotting.schematic import BRAINS, brain
from cortexsnn.plotting.slopes import SlopeRow, slopes
from cortexsnn.plotting.style import STYLE, colours, milliseconds, shades, style
from cortexsnn.plotting.timescales import autocorrelation, power_spectrum, tau_set_and_measured
from cortexsnn.plotting.trials import trial_raster

__all__ = [
    "BRAINS",
    "LONGEST_LEVEL_LABEL",
    "STYLE",
    "SlopeRow",
    "autocorrelation",
    "brain",
    "calibration_curve",
    "colours",
    "distance_matrix",
    "hierarchy_order",
    "ladder",
    "layer_profile",
    "layers_and_areas",
    "learned_slopes",
    "learned_time_constants",
    "milliseconds",
    "power_spectrum",
    "probability_matrix",
    "raster",
    "readout",
    "shades",
    "slopes",
    "style",
    "sweep_accuracy",
    "tau_distribution",
    "tau_set_and_measured",
    "training_curves",
    "trial_raster",
]
