"""Ways in for activity: recordings of this package, larger than memory too, counts, epochs of plain times."""

import sys
import tracemalloc

import numpy as np
import pytest
import xarray as xr
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsnn import recording as recordings_room
from cortexsnn.errors import InputError
from cortexsnn.recording import RecordedPopulation, dense_spikes
from cortexsnn.recording.files import opened
from cortexsnn.timescales import recordings
from cortexsnn.timescales.activity import SpikeTrains
from cortexsnn.timescales.counts import bin_counts
from cortexsnn.timescales.epochs import Epochs, signals_in_epochs, trains_in_epochs
from cortexsnn.timescales.neo_objects import from_neo
from cortexsnn.timescales.recordings import RecordedSpikes, from_recording, potential_of
from cortexsnn.timescales.sources import from_counts, from_nwb, from_pynapple


def make(counts, dt_s=0.001, steps=None, potential=None):
    """A recording of counts, shape (trial, time, neuron), of trials of these numbers of steps."""
    layer = RecordedPopulation.from_counts("hidden1", "lif", counts, potential)
    made = recordings_room.make_recording(
        [layer], dt_s=dt_s, trials=counts.shape[0], steps=counts.shape[1], source="test"
    )
    return made if steps is None else changed(made, "/", trial_duration_s=("trial", np.asarray(steps) * dt_s))


def changed(made, node, **variables):
    """The recording with other values of some variables of a node."""
    made[node].dataset = made[node].to_dataset(inherit=False).assign(variables)
    return made


def uneven(rng, *, dt_s=0.001, steps=(40, 25, 33), neurons=4, rate=0.3):
    """Trials of different lengths, with several spikes of a neuron in a step here and there."""
    counts = rng.poisson(rate, (len(steps), max(steps), neurons))
    for trial, length in enumerate(steps):
        counts[trial, length:] = 0
    return make(counts, dt_s, steps)


# A spike of step s is in bin s // n, whatever the rounding of s * dt and n * dt.


@settings(max_examples=100)
@given(
    dt_s=st.one_of(st.sampled_from([1e-4, 1e-3, 1 / 3000, 0.0007, 1 / 30000, 0.01]), st.floats(1e-5, 0.1)),
    width=st.integers(1, 10_000),
    steps=st.lists(st.integers(0, 10**8), min_size=1, max_size=50),
)
def test_a_step_lies_in_its_bin_however_long_the_recording(dt_s, width, steps):
    # At the edges of bins too, which is where rounding could move it.
    step = np.unique(
        np.concatenate([steps, np.array(steps) // width * width, np.array(steps) // width * width + width - 1])
    )
    last = (step.max() // width + 1) * width
    trains = SpikeTrains(
        step * dt_s, np.zeros_like(step), np.zeros_like(step), np.array([last * dt_s]), np.arange(1)
    )  # fmt: skip
    binned = trains.binned(1000 * width * dt_s)
    assert binned.bins[0] == last // width
    np.testing.assert_array_equal(np.repeat(binned.bin, binned.count), step // width)


@settings(max_examples=50)
@given(
    seed=st.integers(0, 2**32 - 1),
    dt_s=st.one_of(st.sampled_from([1e-4, 1e-3, 1 / 3000, 0.0007]), st.floats(1e-5, 0.1)),
    width=st.integers(1, 7),
    start=st.integers(0, 4),
)
def test_bins_of_trains_are_those_of_the_recording(seed, dt_s, width, start):
    made = uneven(np.random.default_rng(seed), dt_s=dt_s)
    bin_ms, start_ms = 1000 * width * dt_s, 1000 * start * dt_s
    binned = from_recording(made, "hidden1", start_ms=start_ms).binned(bin_ms)
    np.testing.assert_array_equal(binned.counts(), bin_counts(made, "hidden1", bin_ms, start_ms))


# Recordings.


def test_trains_hold_the_spikes_of_the_recording_in_order_of_neuron_trial_and_time():
    made = uneven(np.random.default_rng(1))
    trains = from_recording(made, "hidden1")
    order = np.lexsort((trains.time_s, trains.trial, trains.neuron))
    np.testing.assert_array_equal(order, np.arange(order.size))
    dense = np.zeros_like(dense_spikes(made, "hidden1"))
    np.add.at(dense, (trains.trial, np.rint(trains.time_s / 0.001).astype(int), trains.neuron), 1)
    np.testing.assert_array_equal(dense, dense_spikes(made, "hidden1"))
    np.testing.assert_allclose(trains.durations_s, [0.040, 0.025, 0.033], rtol=1e-12)
    assert trains.name == "hidden1"


def test_a_window_of_a_recording_is_that_of_its_trains():
    made = uneven(np.random.default_rng(2))
    cut, whole = from_recording(made, "hidden1", start_ms=5.0, stop_ms=30.0), from_recording(made, "hidden1")
    # The end of a window is half a step late there, where no spike is, so that rounding cannot tell them apart.
    expected = whole.between(0.0049999, 0.0299999)
    np.testing.assert_allclose(cut.time_s, expected.time_s - 1e-7, atol=1e-12)
    np.testing.assert_array_equal(cut.trial, expected.trial)
    np.testing.assert_array_equal(cut.neuron, expected.neuron)
    np.testing.assert_allclose(cut.durations_s, [0.025, 0.020, 0.025])


@pytest.mark.parametrize("block", [5, 10**6])
def test_groups_of_neurons_read_from_a_file_are_parts_of_the_whole(tmp_path, monkeypatch, block):
    monkeypatch.setattr(recordings, "_BLOCK", block)
    made = uneven(np.random.default_rng(3), rate=0.1)
    recordings_room.save(made, tmp_path / "run.nc")
    whole = from_recording(made, "hidden1", start_ms=2.0)
    with opened(tmp_path / "run.nc") as lazily:
        spikes = RecordedSpikes.of(lazily, "hidden1", start_ms=2.0)
        parts = {edges: spikes.part(*edges) for edges in [(0, 2), (2, 4), (1, 2), (0, 4), (3, 9)]}
    for (begin, end), part in parts.items():
        expected = whole.part(begin, end)
        for name in ("time_s", "trial", "neuron", "durations_s", "neurons"):
            np.testing.assert_array_equal(getattr(part, name), getattr(expected, name), err_msg=name)
    np.testing.assert_array_equal(spikes.rates_hz, whole.rates_hz)
    assert (spikes.name, spikes.durations_s.tolist()) == (whole.name, whole.durations_s.tolist())
    np.testing.assert_array_equal(spikes.neurons, whole.neurons)


def test_memory_does_not_grow_with_the_recording(tmp_path, monkeypatch):
    block = 2**15
    monkeypatch.setattr(recordings, "_BLOCK", block)
    number, steps, neurons = 12 * block, 10**5, 400
    rng = np.random.default_rng(4)
    layer = RecordedPopulation(
        "hidden1", "lif", neurons, np.zeros(number, dtype=int), np.sort(rng.integers(0, steps, number)),
        rng.integers(0, neurons, number),
    )  # fmt: skip
    made = recordings_room.make_recording([layer], dt_s=0.001, trials=1, steps=steps, source="test")
    recordings_room.save(made, tmp_path / "run.nc", compression=0)
    size = sum(made["hidden1"][f"spike_{v}"].nbytes for v in ("trial", "step", "neuron"))
    with opened(tmp_path / "run.nc") as lazily:
        tracemalloc.start()
        part = RecordedSpikes.of(lazily, "hidden1").part(0, 4)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert part.time_s.size > number / neurons
    # A block, its copies while it is checked, and the group of neurons itself.
    assert peak < 200 * block + 100 * part.time_s.size
    assert peak < size / 2


def test_a_file_whose_spikes_are_not_sorted_is_refused_even_across_blocks(tmp_path, monkeypatch):
    monkeypatch.setattr(recordings, "_BLOCK", 5)
    made = make(np.ones((1, 10, 1), dtype=int))
    step = made["hidden1"]["spike_step"].to_numpy().copy()
    # Each block is sorted, but the second starts over.
    changed(made, "hidden1", spike_step=("spike", np.concatenate([step[5:], step[:5]])))
    with pytest.raises(InputError, match="sorted by trial, step, neuron"):
        RecordedSpikes.of(made, "hidden1")


def test_a_file_that_breaks_while_it_is_read_is_named(tmp_path):
    path = tmp_path / "run.nc"
    recordings_room.save(make(np.ones((1, 50_000, 1), dtype=int)), path)
    with opened(path) as lazily:
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(InputError, match=r"run\.nc"):
            RecordedSpikes.of(lazily, "hidden1")


def test_a_recording_without_spikes_or_with_empty_neurons():
    made = make(np.zeros((2, 10, 3), dtype=int))
    trains = from_recording(made, "hidden1")
    assert trains.time_s.size == 0
    assert trains.rates_hz.tolist() == [0.0, 0.0, 0.0]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"population": "hidden7"}, "hidden7.*one of hidden1"),
        ({"start_ms": 0.5}, "start_ms is 0.5; expected a whole multiple of the time step of 1 ms"),
        ({"start_ms": -1.0}, "start_ms is -1.0; expected a number of at least 0"),
        ({"start_ms": 25.0}, "start_ms is 25.0; expected less than the 25 ms of the shortest trial"),
        ({"start_ms": 10.0, "stop_ms": 10.0}, "stop_ms is 10.0; expected more than start_ms = 10"),
        ({"stop_ms": float("nan")}, "stop_ms is nan"),
    ],
)
@pytest.mark.parametrize("read", [from_recording, potential_of])
def test_windows_and_names_that_a_recording_has_not(read, options, message):
    made = uneven(np.random.default_rng(5))
    changed(made, "hidden1", potential=(("trial", "time", "neuron"), np.zeros((3, 40, 4))))
    with pytest.raises(InputError, match=message):
        read(made, **({"population": "hidden1"} | options))


def test_a_recording_without_trials():
    made = make(np.zeros((0, 10, 2), dtype=int))
    with pytest.raises(InputError, match="number of trials in the recording is 0"):
        from_recording(made, "hidden1")


def test_potentials_stay_in_the_file_and_end_with_the_shortest_trial(tmp_path):
    potential = np.random.default_rng(6).normal(size=(3, 40, 4))
    made = make(np.zeros((3, 40, 4), dtype=int), steps=(40, 25, 33), potential=potential)
    recordings_room.save(made, tmp_path / "run.nc")
    with opened(tmp_path / "run.nc") as lazily:
        signals = potential_of(lazily, "hidden1", start_ms=5.0)
        assert not isinstance(signals.values._data, np.ndarray)
        part = signals.part(1, 3)
    assert signals.step_ms == 1.0
    np.testing.assert_array_equal(part.values, potential[:, 5:25, 1:3])
    np.testing.assert_array_equal(part.neurons, [1, 2])
    np.testing.assert_array_equal(
        potential_of(made, "hidden1", stop_ms=7.0).part(0, 4).values, potential[:, :7]
    )  # fmt: skip


def test_a_population_without_potential_names_those_that_have_one():
    with pytest.raises(InputError, match=r"hidden1.*potential was recorded: none\. simulate with record_potential"):
        potential_of(make(np.zeros((1, 10, 2), dtype=int)), "hidden1")


# Counts.


@pytest.mark.parametrize("kind", [np.uint8, np.int64, np.float32, bool])
def test_counts_of_any_type_come_back(kind):
    counts = np.random.default_rng(7).integers(0, 2, (3, 10, 4)).astype(kind)
    binned = from_counts(counts, 5, neurons=list("abcd"), name="V1")
    np.testing.assert_array_equal(binned.counts(), counts.astype(int))
    assert (binned.bin_ms, binned.labels.tolist(), binned.name) == (5.0, ["a", "b", "c", "d"], "V1")


@pytest.mark.parametrize(
    ("counts", "bin_ms", "message"),
    [
        (np.zeros((3, 4)), 5.0, r"shape of counts is \(3, 4\); expected \(trial, bin, neuron\)"),
        (np.zeros((3, 0, 4)), 5.0, "none of them 0"),
        ([[[1], [2]], [[1]]], 5.0, "an array of equal trials"),
        (np.array([[[0, 1], [2, -1]]]), 5.0, r"counts\[0, 1, 1\] is -1; expected a whole number"),
        (np.array([[[0, np.nan]]]), 5.0, r"counts\[0, 0, 1\] is nan"),
        (np.array([[[np.inf, 0]]]), 5.0, r"counts\[0, 0, 0\] is inf"),
        (np.array([[[0.5, 0]]]), 5.0, r"counts\[0, 0, 0\] is 0.5.*rates are Signals"),
        (np.array([[["a"]]]), 5.0, "type of counts"),
        (np.zeros((1, 2, 3)), 0.0, "bin_ms is 0.0; expected a positive number of milliseconds"),
    ],
)
def test_counts_that_are_none(counts, bin_ms, message):
    with pytest.raises(InputError, match=message):
        from_counts(counts, bin_ms)


def test_labels_of_counts_are_one_for_each_neuron():
    with pytest.raises(InputError, match="one label for each of the 3 neurons"):
        from_counts(np.zeros((1, 2, 3)), 5.0, neurons=[1, 2])


# Epochs of a continuous recording.


@settings(max_examples=100)
@given(
    seed=st.integers(0, 2**32 - 1),
    shuffled=st.booleans(),
    edges=st.lists(st.integers(-50, 50), min_size=2, max_size=12, unique=True),
)
def test_spikes_lie_in_the_epochs_that_hold_them(seed, shuffled, edges):
    rng = np.random.default_rng(seed)
    edges = np.sort(edges[: len(edges) // 2 * 2]) * 0.1
    starts, stops = edges[::2], edges[1::2]
    if shuffled:
        order = rng.permutation(starts.size)
        starts, stops = starts[order], stops[order]
    # Away from the edges, where rounding decides.
    times = [np.sort(rng.integers(-60, 60, number) + 0.37) * 0.1 for number in (0, 30, 50)]
    epochs = Epochs.of(starts, stops)
    if sum(epochs.cut(row)[0].size for row in times) == 0:
        return
    trains = trains_in_epochs(times, epochs, neurons=["a", "b", "c"], name="V1")
    expected = [
        (neuron, trial, time - starts[trial])
        for neuron in range(3)
        for trial in range(starts.size)
        for time in times[neuron]
        if starts[trial] <= time < stops[trial]
    ]
    neuron, trial, time = (np.array(axis) for axis in zip(*expected, strict=True))
    np.testing.assert_array_equal(trains.neuron, neuron)
    np.testing.assert_array_equal(trains.trial, trial)
    np.testing.assert_allclose(trains.time_s, time, atol=1e-12)
    np.testing.assert_allclose(trains.durations_s, stops - starts)
    assert (trains.neurons.tolist(), trains.name) == (["a", "b", "c"], "V1")


def test_a_spike_at_the_edge_of_two_epochs_belongs_to_the_later_one_despite_rounding():
    edges = np.arange(11) * 0.1
    # 0.3 is a little less than 3 * 0.1, and 0.7 than 7 * 0.1.
    spikes = np.array([0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9])
    trains = trains_in_epochs([spikes], Epochs.of(edges[:-1], edges[1:]))
    np.testing.assert_array_equal(trains.trial, np.arange(1, 10))
    np.testing.assert_allclose(trains.time_s, 0.0, atol=1e-12)
    assert trains.time_s.min() >= 0
    assert trains_in_epochs([[0.5, 1.0]], Epochs.of([0.0], [1.0])).time_s.tolist() == [0.5]


def test_epochs_inside_stretches_that_touch_or_overlap_were_observed():
    observed = Epochs(np.array([5.0, 0.0, 1.0, 6.0]), np.array([9.0, 1.0, 2.0, 7.0]))
    epochs = Epochs.of([0.5, 1.5, 5.0, 8.0, -1.0], [1.5, 3.0, 7.5, 9.0, -0.5])
    assert epochs.inside(observed).tolist() == [True, False, True, True, False]


@pytest.mark.parametrize(
    ("starts", "stops", "message"),
    [
        ([0.0, 2.0], [1.0], "number of ends of the epochs is 1; expected 2"),
        ([], [], "number of epochs is 0; expected at least 1"),
        ([0.0, np.nan], [1.0, 2.0], "starts of the epochs at place 1 is nan; expected a finite time in seconds"),
        ([0.0, 1.0], [1.0, np.inf], "ends of the epochs at place 1 is inf"),
        ([0.0, 3.0], [1.0, 2.0], r"epoch 1 is \(3.0, 2.0\); expected a start in seconds and an end after it"),
        ([5.0, 0.0, 2.0], [6.0, 1.0, 5.5], r"time that epochs 2 and 0 share is \(5.0, 5.5\); expected epochs that do "),
        ([[0.0]], [[1.0]], "shape of starts of the epochs"),
        (["a"], [1.0], "starts of the epochs is \\['a'\\]; expected a row of times in seconds"),
    ],
)
def test_epochs_that_are_none(starts, stops, message):
    with pytest.raises(InputError, match=message):
        Epochs.of(starts, stops)


@pytest.mark.parametrize(
    ("times", "message"),
    [
        ([], "number of neurons is 0; expected at least 1"),
        ([[0.1], [0.5, 0.2]], "spike times of neuron 1 is 'times out of order'.*numpy.sort"),
        ([[0.1], [0.5, np.nan]], "spike times of neuron 1 at place 1 is nan"),
        ([np.zeros((2, 2))], "shape of spike times of neuron 0"),
    ],
)
def test_spike_times_that_are_none(times, message):
    with pytest.raises(InputError, match=message):
        trains_in_epochs(times, Epochs.of([0.0], [1.0]))


def test_milliseconds_for_seconds_are_told():
    rng = np.random.default_rng(8)
    seconds = [np.sort(rng.uniform(0, 600, 3000)) for _ in range(3)]
    starts = np.arange(0.0, 600.0, 10.0)
    fitting = Epochs.of(starts, starts + 5.0)
    assert trains_in_epochs(seconds, fitting).durations_s.sum() == 300.0
    with pytest.raises(InputError, match="is one of the two in milliseconds"):
        trains_in_epochs(seconds, Epochs.of(1000 * starts, 1000 * starts + 5000.0))
    with pytest.raises(InputError, match="is one of the two in milliseconds"):
        trains_in_epochs([1000 * times for times in seconds], fitting)
    with pytest.raises(InputError, match="hold 0 of the spikes"):
        trains_in_epochs(seconds, Epochs.of([700.0], [800.0]))
    with pytest.raises(InputError, match="milliseconds"):
        SpikeTrains.from_times([1000 * seconds[0]], 600.0)


def test_a_lively_stretch_of_a_long_recording_is_not_taken_for_milliseconds():
    rng = np.random.default_rng(9)
    trains = trains_in_epochs([np.sort(rng.uniform(0, 3600, 7200))], Epochs.of([0.0], [10.0]))
    assert 0 < trains.time_s.size < 40


def test_silent_neurons_are_silent_in_epochs_too():
    trains = trains_in_epochs([[], []], Epochs.of([0.0], [1.0]))
    assert trains.rates_hz.tolist() == [0.0, 0.0]


# Signals in epochs.


@pytest.mark.parametrize("rate_hz", [30_000.0, 1250.0, 1000.0, 7.0])
def test_signals_whose_times_are_rounded_are_cut_where_they_should(rate_hz):
    count = int(8 * rate_hz) + 100
    # Nanoseconds are all that some packages keep.
    time, values = np.round(np.arange(count) / rate_hz, 9), np.arange(count, dtype=float)[:, None]
    signals = signals_in_epochs(values, time, Epochs.of([1.0, 5.0], [3.0, 7.0]))
    assert signals.values.shape == (2, int(2 * rate_hz), 1)
    np.testing.assert_array_equal(signals.values[:, 0, 0], [rate_hz, 5 * rate_hz])
    np.testing.assert_allclose(signals.step_ms, 1000 / rate_hz, rtol=1e-7)


def test_epochs_between_samples_differ_by_one_sample_at_most():
    time = np.arange(100) * 0.1
    signals = signals_in_epochs(np.zeros((100, 2)), time, Epochs.of([0.0, 3.05], [1.05, 4.1]), neurons=["a", "b"])
    assert signals.values.shape == (2, 10, 2)


def test_a_gap_between_epochs_is_no_matter_but_one_inside_is():
    time = np.concatenate([np.arange(0.0, 2.0, 0.1), np.arange(5.0, 7.0, 0.1)])
    values = np.arange(40.0)[:, None]
    signals = signals_in_epochs(values, time, Epochs.of([0.0, 5.0], [2.0, 7.0]))
    np.testing.assert_array_equal(signals.values[:, 0, 0], [0, 20])
    with pytest.raises(InputError, match=r"number of samples in epoch 1 is 10; expected 20.*from 4 to 6 s"):
        signals_in_epochs(values, time, Epochs.of([0.0, 4.0], [2.0, 6.0]))


@pytest.mark.parametrize(
    ("time", "values", "epochs", "message"),
    [
        (np.arange(10) * 0.1, np.zeros(10), ([0.0], [0.5]), r"shape of the signals is \(10,\); expected \(time, neuro"),
        (np.arange(9) * 0.1, np.zeros((10, 1)), ([0.0], [0.5]), "a value for each of the 9 times"),
        ([0.0, 0.2, 0.1, 0.3], np.zeros((4, 1)), ([0.0], [0.2]), "times of samples 1 and 2.*ascending"),
        ([0.0, 0.1, np.nan], np.zeros((3, 1)), ([0.0], [0.2]), "times of the samples at place 2 is nan"),
        (np.arange(20) * 0.1, np.zeros((20, 1)), ([0.0, 1.0], [0.5, 2.0]), "durations of the epochs.*one duration"),
        (np.arange(20) * 0.1, np.zeros((20, 1)), ([1.0], [3.0]), "number of samples in epoch 0 is 10; expected 20"),
        (np.delete(np.arange(20), 7) * 0.1, np.zeros((19, 1)), ([0.0], [2.0]), "between the samples at 0.6 and 0.8 s"),
    ],
)
def test_signals_that_are_not_even(time, values, epochs, message):
    with pytest.raises(InputError, match=message):
        signals_in_epochs(values, time, Epochs.of(*epochs))


# Objects of others, where the others are not installed.


def test_a_path_to_an_nwb_file_says_what_to_install(tmp_path, monkeypatch):
    path = tmp_path / "session.nwb"
    path.write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "pynwb", None)
    with pytest.raises(InputError, match="pip install pynwb"):
        from_nwb(path)
    with pytest.raises(InputError, match=r"a path or a pynwb\.NWBFile"):
        from_nwb(7)


@pytest.mark.parametrize("data", [[], [[0.1, 0.2]], np.zeros(3), "spikes", 3, [[]], xr.Dataset()])
def test_what_is_of_neither_package_is_pointed_to_the_right_door(data):
    with pytest.raises(InputError, match=r"neo Block|number of spike trains in a segment is 0"):
        from_neo(data)
    with pytest.raises(InputError, match="trains_in_epochs takes plain times"):
        from_pynapple(data)
