"""What a data set says of itself, against counts by hand, and its figure."""

import numpy as np
import pytest

from cortexsnn import datasets
from cortexsnn.datasets import Dataset, Split
from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.describing import describe, tally
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.datasets.spike_trials import SpikeTrials
from cortexsnn.errors import InputError

BINNING = Binning(steps=10, window_s=1.0, channels=6, channels_per_group=2)
TIMES = [[0.05, 0.06, 0.34], [0.5, 1.7, 1.8], [], [0.91]]
UNITS = [[0, 1, 4], [4, 0, 1], [], [0]]


def lazily(trials=slice(None)):
    counts = LazyCounts(SpikeTrials.from_list(TIMES, UNITS), BINNING)
    return Split(counts, np.array([0, 1, 1, 0]), np.array([7, 7, 8, 9])).take(trials)


def dataset(split):
    return Dataset("drawn", BINNING.dt_s, 3, "sum_of_softmax", split, split.take(slice(0, 2)), split.take(slice(2, 3)))


def test_sums_of_counts():
    sums = tally(lazily().counts)
    assert sums.spikes_of_channels.tolist() == [3, 0, 2]
    assert sums.spikes_of_trials.tolist() == [3, 1, 0, 1]
    assert sums.steps_of_trials.tolist() == [4, 6, 0, 10]
    assert sums.highest == 2
    assert sums.mean_counts().tolist() == [3 / 20, 0, 2 / 20]
    nothing = tally(np.zeros((0, 4, 2), dtype=np.uint8))
    assert (nothing.highest, nothing.spikes_of_trials.size, nothing.mean_counts().tolist()) == (0, 0, [0, 0])


def test_a_lazy_split_is_described_by_its_spikes():
    train, validation, test = describe(dataset(lazily())).splits
    assert (train.name, train.trials, train.classes, train.speakers) == ("train", 4, 2, 3)
    assert train.labels.tolist() == [2, 2, 0]
    assert train.last_spike_s == pytest.approx([0.34, 1.8, 0, 0.91])
    assert train.spikes_per_trial.tolist() == [3, 3, 0, 1]
    assert train.rate_hz == pytest.approx([1.5, 0, 1.0])
    assert (train.silent_channels, train.highest_count, train.dropped) == (1, 2, 2)
    assert (validation.trials, validation.dropped, test.trials) == (2, 2, 1)
    assert test.rate_hz.tolist() == [0, 0, 0]


def test_a_dense_split_is_described_by_its_steps():
    lazy = lazily()
    train = describe(dataset(Split(np.asarray(lazy.counts), lazy.labels))).splits[0]
    assert train.speakers is None
    assert train.last_spike_s == pytest.approx([0.4, 0.6, 0, 1.0])
    assert train.spikes_per_trial.tolist() == [3, 1, 0, 1]
    assert train.dropped == 0
    assert train.rate_hz == pytest.approx([1.5, 0, 1.0])


def test_a_description_prints_as_a_table():
    shown = str(dataset(lazily()).describe())
    rows = {line.split("  ")[0]: line for line in shown.splitlines()}
    assert shown.startswith("drawn: 10 steps of 100 ms, 3 channels, 3 classes, a label for each trial")
    assert rows["trials"].split()[1:] == ["4", "2", "1"]
    assert rows["speakers"].split()[1:] == ["3", "1", "1"]
    assert "0.00 / 0.62 / 1.80" in rows["last spike (s), min / median / max"]
    assert "0 / 2 / 3" in rows["spikes per trial, min / median / max"]
    assert rows["spikes after the window, dropped"].split()[-3:] == ["2", "2", "0"]
    assert len({len(line) for line in shown.splitlines()[1:]}) == 1  # columns are aligned


def test_labels_of_steps_are_said_to_be_so():
    description = datasets.load("mts_xor", train=8, validation=4, test=4).describe()
    assert description.labelled == "step"
    assert description.splits[0].labels.sum() == 800
    assert "steps of a class, min / max" in str(description)
    assert "speakers" in str(description)


# --- the figure -------------------------------------------------------------------------------------------------


def points(ax):
    return ax.collections[0].get_offsets().tolist(), ax.collections[0].get_sizes()


def test_the_raster_shows_the_spikes_of_the_trial_and_its_units():
    from matplotlib.figure import Figure

    from cortexsnn.plotting.trials import trial_raster

    lazy = lazily()
    # Protects parts of a data set from showing the spikes of another trial.
    part = lazy.take(np.array([3, 0]))
    ax = trial_raster(Figure().subplots(), part, BINNING.dt_s, 1)
    assert points(ax)[0] == [pytest.approx([50, 0]), pytest.approx([60, 1]), pytest.approx([340, 4])]
    assert ax.get_title("left") == "trial 1, class 0, speaker 7"
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("time (ms)", "channel")
    assert ax.get_xlim() == (0, 1000)
    assert ax.get_ylim() == (-1, 6)

    dense = Split(np.asarray(lazy.counts), lazy.labels)
    ax = trial_raster(Figure().subplots(), dense, BINNING.dt_s, -4)
    places, sizes = points(ax)
    assert places == [pytest.approx([0, 0]), pytest.approx([300, 2])]
    assert sizes[0] == 2 * sizes[1]
    assert ax.get_ylim() == (-1, 3)
    for beyond in (4, -5):
        with pytest.raises(InputError, match=f"trial is {beyond}; expected a number from 0 to 3"):
            trial_raster(Figure().subplots(), lazy, BINNING.dt_s, beyond)
