"""The tables that close a run, the same in the terminal and in the report: columns and rows of text."""

from cortexsnn.summary.comparison import contrast_rows, correlation_rows, protocol_sentences, slope_rows, verdict
from cortexsnn.summary.networks import accuracy_rows, agreement_rows, counted, layer_rows, sweep_rows
from cortexsnn.summary.timescales import timescale_rows

__all__ = [
    "accuracy_rows",
    "agreement_rows",
    "contrast_rows",
    "correlation_rows",
    "counted",
    "layer_rows",
    "protocol_sentences",
    "slope_rows",
    "sweep_rows",
    "timescale_rows",
    "verdict",
]
