"""What a run leaves behind: an `xarray.DataTree` with one node per population, whatever simulator made it.

Layout
------
Root: coordinate ``trial``, variable ``trial_duration_s(trial)``, attributes ``dt_s``, ``source``, ``network``.
One node per population: ``spike_trial``, ``spike_step``, ``spike_time`` (s from trial start), ``spike_neuron`` on
dimension ``spike``, sorted by trial, step, neuron; coordinate ``neuron``; optionally ``potential(trial, time,
neuron)``; attributes ``kind`` and ``layer`` (0 for inputs, then 1, 2, ... in order of depth).

A part of a long run is a recording of some of its trials, or of some steps of one trial, that says where it stands
(`mark`); `join` makes one file of all parts.

Examples
--------
>>> import tempfile
>>> from pathlib import Path
>>> import numpy as np
>>> layer = RecordedPopulation.from_counts("hidden1", "lif", np.ones((2, 5, 3), dtype=int))
>>> recording = make_recording([layer], dt_s=0.01, trials=2, steps=5, source="example")
>>> populations(recording), steps_per_trial(recording), dense_spikes(recording, "hidden1").shape
(['hidden1'], array([5, 5]), (2, 5, 3))
>>> path = Path(tempfile.mkdtemp()) / "recording.nc"
>>> save(without_potentials(recording, ["hidden1"]), path)
>>> int(compare(recording, load(path))["differing"].sum())
0
"""

from cortexsnn.recording.comparison import compare
from cortexsnn.recording.files import load, opened, save
from cortexsnn.recording.parts import join, mark
from cortexsnn.recording.tree import (
    RecordedPopulation,
    dense_spikes,
    make_recording,
    populations,
    steps_per_trial,
    without_potentials,
)

__all__ = [
    "RecordedPopulation",
    "compare",
    "dense_spikes",
    "join",
    "load",
    "make_recording",
    "mark",
    "opened",
    "populations",
    "save",
    "steps_per_trial",
    "without_potentials",
]
