"""tonic 1.7: its reader of SHD and ours give equal tensors of the same file, by its ToFrame and by its events."""

import numpy as np
import pytest

from cortexsnn.datasets import heidelberg, layout
from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.datasets.tonic_events import from_tonic

tonic = pytest.importorskip("tonic", reason="tonic is not installed: pip install cortexsnn[data]")

STEPS, WINDOW_S = 100, 1.4
TRIALS = 12


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The folder of tonic with a small data set in it, and empty archives so that it does not download."""
    root = tmp_path_factory.mktemp("tonic")
    rng = np.random.default_rng(3)
    (root / "SHD").mkdir()
    for name in ("shd_train.h5", "shd_test.h5"):
        # Many spikes on the grid of half precision, several in a bin, some at bin edges as near as float16 comes, all
        # within the window: tonic refuses none, but its last frame would take in later ones.
        times = [np.sort(rng.uniform(0, 1.39, n)).astype(np.float16) for n in rng.integers(1, 900, TRIALS)]
        times[0] = np.sort(np.arange(99) * 0.014).astype(np.float16)
        units = [rng.integers(0, 700, len(trial)) for trial in times]
        units[1][:] = 5
        layout.write(root / "SHD" / name, times, units, rng.integers(0, 20, TRIALS), speaker=np.arange(TRIALS) % 3,
                     keys=[str(number) for number in range(20)])  # fmt: skip
        (root / "SHD" / f"{name}.zip").touch()
    return root


@pytest.mark.parametrize("train", [True, False])
def test_frames_of_tonic_equal_our_counts(folder, train):
    frame = tonic.transforms.ToFrame(
        sensor_size=tonic.datasets.SHD.sensor_size, time_window=14_000, start_time=0, end_time=1.4e6
    )
    theirs = tonic.datasets.SHD(str(folder), train=train, transform=frame)
    path = folder / "SHD" / ("shd_train.h5" if train else "shd_test.h5")
    ours, dropped = heidelberg.read_split(path, steps=STEPS, window_s=WINDOW_S)
    assert dropped == 0
    assert len(theirs) == len(ours) == TRIALS
    for trial in range(TRIALS):
        frames, label = theirs[trial]
        assert frames.shape == (STEPS, 1, 700)
        np.testing.assert_array_equal(frames[:, 0], ours.counts[trial])
        assert label == ours.labels[trial]
        assert theirs.speaker[trial] == ours.speaker[trial]


def test_events_of_tonic_equal_our_spikes(folder):
    trials, labels = from_tonic(tonic.datasets.SHD(str(folder), train=False))
    ours = layout.read(folder / "SHD" / "shd_test.h5")
    np.testing.assert_array_equal(labels, ours.labels)
    np.testing.assert_array_equal(trials.units, ours.trials.units)
    np.testing.assert_array_equal(trials.offsets, ours.trials.offsets)
    # tonic truncates to microseconds.
    late = ours.trials.times_s.astype(np.float64) - trials.times_s
    assert late.min() > -1e-9
    assert late.max() < 1e-6
    binning = Binning(steps=STEPS, window_s=WINDOW_S)
    np.testing.assert_array_equal(np.asarray(LazyCounts(trials, binning)),
                                  np.asarray(LazyCounts(ours.trials, binning)))  # fmt: skip
