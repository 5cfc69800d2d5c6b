"""What changes from the first hidden layer to the last: time constants, kernel sizes, dilations, effective memory."""

from cortexsnn.hierarchy.convolution import dilations, exponential_dilations, kernel_sizes
from cortexsnn.hierarchy.memory import EffectiveMemory, effective_memory_s, mean_lag_s, receptive_field_steps
from cortexsnn.hierarchy.time_constants import (
    PROFILES,
    geometric,
    homogeneous,
    linear,
    profile,
    reversed_linear,
    shuffled,
    tanh,
)
from cortexsnn.hierarchy.within_layer import DISTRIBUTIONS, draw_time_constants

__all__ = [
    "DISTRIBUTIONS",
    "PROFILES",
    "EffectiveMemory",
    "dilations",
    "draw_time_constants",
    "effective_memory_s",
    "exponential_dilations",
    "geometric",
    "homogeneous",
    "kernel_sizes",
    "linear",
    "mean_lag_s",
    "profile",
    "receptive_field_steps",
    "reversed_linear",
    "shuffled",
    "tanh",
]
