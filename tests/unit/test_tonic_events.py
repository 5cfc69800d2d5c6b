"""Events of tonic become spikes in the order of channels that tonic's frames have. No tonic is needed here."""

import numpy as np
import pytest

from cortexsnn.datasets.tonic_events import from_tonic
from cortexsnn.errors import InputError

VISION = np.dtype([("x", "<i2"), ("y", "<i2"), ("p", "?"), ("t", "<i8")])
SOUND = np.dtype([("t", "<i8"), ("x", "<i8"), ("p", "<i8")])


class Pairs:
    """What tonic offers: a sensor size, and pairs of events and label."""

    def __init__(self, size, *pairs):
        self.sensor_size, self.pairs = size, pairs

    def __len__(self):
        return len(self.pairs)

    def __getitem__(self, index):
        return self.pairs[index]


def test_vision():
    events = np.array([(0, 0, False, 5), (3, 1, True, 1_500_000), (2, 1, False, 7)], dtype=VISION)
    trials, labels = from_tonic(Pairs((4, 2, 2), (events, 3), (events[:0], np.int64(0))))
    times, units = trials.trial(0)
    np.testing.assert_allclose(times, [5e-6, 1.5, 7e-6], rtol=1e-12)
    frame = np.zeros((2, 2, 4), dtype=int)  # polarity, y, x
    np.add.at(frame, (events["p"].astype(int), events["y"], events["x"]), 1)
    np.testing.assert_array_equal(np.bincount(units, minlength=16), frame.ravel())
    assert trials.spikes_per_trial.tolist() == [3, 0]
    assert labels.tolist() == [3, 0]
    assert trials.units.dtype == np.uint16


def test_sound_has_one_polarity_that_is_called_one():
    events = np.array([(10, 699, 1), (20, 0, 1)], dtype=SOUND)
    trials, _ = from_tonic(Pairs((700, 1, 1), (events, np.array(2))))
    assert trials.units.tolist() == [699, 0]


def test_large_sensors():
    events = np.array([(639, 479, True, 1)], dtype=VISION)
    trials, _ = from_tonic(Pairs((640, 480, 2), (events, 0)))
    assert (trials.units.dtype, trials.units.tolist()) == (np.uint32, [640 * 480 * 2 - 1])


EVENTS = np.array([(0, 0, False, 5)], dtype=VISION)


def with_field(name, value):
    changed = EVENTS.copy()
    changed[name] = value
    return changed


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        ([], "sensor_size of the data set is None; expected three numbers"),
        (Pairs((4, 2), (EVENTS, 0)), "sensor_size of the data set"),
        (Pairs((0, 2, 1), (EVENTS, 0)), "sensor_size of the data set"),
        (Pairs((1 << 20, 1 << 20, 2), (EVENTS, 0)), "sensor_size of the data set .*; expected at most"),
        (Pairs((4, 2, 2)), "trials of the data set is 0"),
        (Pairs((4, 2, 2), (np.zeros((1, 2, 4)), 0)), "events of trial 0 .*; expected an array of events with t and x"),
        (Pairs((4, 2, 2), (EVENTS, 0), (with_field("x", 4), 0)), "x of trial 1 is 4; expected 0 to 3"),
        (Pairs((4, 2, 2), (with_field("y", -1), 0)), "y of trial 0 is -1; expected 0 to 1"),
        (Pairs((4, 2, 2), (with_field("t", -1), 0)), "t of trial 0 is -1; expected microseconds from 0"),
        (Pairs((4, 2, 2), (EVENTS, "seven")), "label of trial 0 is 'seven'; expected a class"),
        (Pairs((4, 2, 2), (EVENTS, -1)), "label of trial 0 is -1; expected a class"),
        (Pairs((4, 2, 2), (EVENTS, [1, 2])), "label of trial 0"),
    ],
)
def test_what_is_not_understood_is_named(dataset, message):
    with pytest.raises(InputError, match=message):
        from_tonic(dataset)
