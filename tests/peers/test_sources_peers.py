"""Activity in the objects of Neo, pynapple and NWB comes out as it went in; each test needs the package of its name."""

import doctest
import warnings
from datetime import UTC, datetime
from itertools import pairwise

import numpy as np
import pytest

from cortexsnn.errors import InputError
from cortexsnn.timescales import neo_objects, sources
from cortexsnn.timescales.neo_objects import from_neo
from cortexsnn.timescales.sources import from_nwb, from_pynapple


def package(name):
    """A package of others, whose own warnings while it is imported are not ours."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return pytest.importorskip(name)


@pytest.fixture(scope="module")
def neo():
    return package("neo")


@pytest.fixture(scope="module")
def pq():
    return package("quantities")


@pytest.fixture(scope="module")
def nap():
    return package("pynapple")


@pytest.fixture(scope="module")
def pynwb():
    return package("pynwb")


# Neo.


def segment_of(neo, trains, signals=()):
    segment = neo.Segment()
    segment.spiketrains.extend(trains)
    segment.analogsignals.extend(signals)
    return segment


def test_segments_of_a_block_are_trials_and_names_are_labels(neo, pq):
    rng = np.random.default_rng(1)
    times = [[np.sort(rng.uniform(0, 2, number)) for number in row] for row in [(5, 0, 3), (2, 4, 0)]]
    block = neo.Block()
    for trial, row in enumerate(times):
        start = 10.0 * trial
        trains = [
            neo.SpikeTrain((one + start) * pq.s, t_start=start * pq.s, t_stop=(start + 2) * pq.s, name=name)
            for one, name in zip(row, ["a", "b", "c"], strict=True)
        ]
        # A segment may hold its trains in another order.
        block.segments.append(segment_of(neo, trains[::-1] if trial else trains))
    trains = from_neo(block, name="V1")
    assert (trains.neurons.tolist(), trains.name) == (["a", "b", "c"], "V1")
    np.testing.assert_allclose(trains.durations_s, [2.0, 2.0])
    for trial, row in enumerate(times):
        for neuron, one in enumerate(row):
            mine = trains.time_s[(trains.trial == trial) & (trains.neuron == neuron)]
            np.testing.assert_allclose(mine, one, atol=1e-12)
    for same in (block.segments, list(block.segments)):
        np.testing.assert_array_equal(from_neo(same).time_s, trains.time_s)
    assert from_neo(block.segments[0]).durations_s.tolist() == [2.0]


def test_any_units_of_time_become_seconds_even_mixed_in_one_trial(neo, pq):
    window = {"t_start": 1.0 * pq.s, "t_stop": 3.0 * pq.s}
    trains = from_neo(
        [
            neo.SpikeTrain([1.1, 2.0] * pq.s, **window),
            neo.SpikeTrain([1100.0, 2000.0] * pq.ms, **window),
            neo.SpikeTrain([1.1e6, 2.0e6] * pq.us, **window),
            neo.SpikeTrain(np.array([33_000, 60_000]), units=pq.CompoundUnit("1/30000.0*s"), **window),
            neo.SpikeTrain(np.array([1.1, 2.0], dtype=np.float32) * pq.s, **window),
        ]
    )
    np.testing.assert_allclose(trains.time_s.reshape(5, 2)[:4], [[0.1, 1.0]] * 4, rtol=1e-12)
    np.testing.assert_allclose(trains.time_s.reshape(5, 2)[4], [0.1, 1.0], rtol=1e-6)
    assert trains.time_s.dtype == np.float64
    np.testing.assert_allclose(trains.durations_s, [2.0], rtol=1e-12)
    assert trains.neurons.tolist() == [0, 1, 2, 3, 4]


def test_spikes_at_the_edges_of_a_train_survive_the_rounding_of_units(neo, pq):
    # 0.7 s are a little more than 700 ms times 0.001, and so on.
    edges = np.arange(1, 60) * 0.1
    for start, stop in pairwise(edges):
        seconds = neo.SpikeTrain([start, stop] * pq.s, t_start=start * pq.s, t_stop=stop * pq.s)
        trains = from_neo([seconds, seconds.rescale("ms"), seconds.rescale("us")])
        assert trains.time_s.size == 6
        assert trains.time_s.min() == 0


def test_lists_of_trains_are_one_trial_and_lists_of_lists_several(neo, pq):
    def train(*times):
        return neo.SpikeTrain(list(times) * pq.s, t_stop=1.0 * pq.s)

    assert from_neo(train(0.1, 0.2)).durations_s.size == 1
    assert from_neo([train(0.1), train(0.2)]).neuron.tolist() == [0, 1]
    several = from_neo([[train(0.1), train(0.2)], [train(0.3), train()]], neurons=["x", "y"])
    assert (several.trial.tolist(), several.neuron.tolist()) == ([0, 1, 0], [0, 0, 1])
    assert several.neurons.tolist() == ["x", "y"]


def test_trains_of_neo_that_are_no_trials(neo, pq):
    def train(times=(), stop=1.0, name=None, start=0.0):
        return neo.SpikeTrain(list(times) * pq.s, t_start=start * pq.s, t_stop=stop * pq.s, name=name)

    one, two = segment_of(neo, [train([0.1], name="a")]), segment_of(neo, [train([0.1], name="b")])
    refused = {
        r"number of spike trains in a segment is 0; expected at least 1": neo.Block(),
        r"is 0; expected at least 1. a silent neuron has an empty train": segment_of(neo, []),
        r"t_start and t_stop of neuron 1 in trial 0 in s is \(0.0, 2.0\); expected 0 and 1.*hold 0 to 1": [
            train(), train(stop=2.0),
        ],
        r"names of the trains of trial 1 is \['b'\]; expected \['a'\], as in trial 0": [one, two],
        r"number of neurons of trial 1 is 1; expected 2": [[train(), train()], [train()]],
        r"a list of trains of 2 segments'; expected the trains of one segment": [*one.spiketrains, *two.spiketrains],
        r"a neo Group'; expected a Block, or Segments": neo.Group([train()]),
        r"expected a neo Block": [one, 3],
    }  # fmt: skip
    for message, data in refused.items():
        with pytest.raises(InputError, match=message):
            from_neo(data)
    unsorted = train([0.7, 0.2])
    with pytest.raises(InputError, match=r"neuron 0 in trial 0 is 'times out of order'.*numpy\.sort"):
        from_neo(unsorted)
    broken = train([0.2, 0.7])
    broken[1] = np.nan * pq.s
    with pytest.raises(InputError, match="NaN"):
        from_neo(broken)


def test_analog_signals_are_trials_in_the_units_of_the_first(neo, pq):
    rng = np.random.default_rng(2)
    values = rng.normal(size=(3, 50, 4))
    signals = [
        neo.AnalogSignal(values[0] * pq.mV, sampling_rate=1250 * pq.Hz),
        # One sample more, as comes of windows that begin between two.
        neo.AnalogSignal(np.vstack([values[1], values[1, :1]]) * 1e-3 * pq.V, sampling_period=0.8 * pq.ms),
        neo.AnalogSignal(values[2] * pq.mV, sampling_rate=1.25 * pq.kHz, t_start=7 * pq.s),
    ]
    made = from_neo(signals, neurons=list("abcd"), name="LFP")
    np.testing.assert_allclose(made.values, values, rtol=1e-12)
    assert (made.step_ms, made.neurons.tolist(), made.name) == (0.8, ["a", "b", "c", "d"], "LFP")
    assert from_neo(signals[0]).values.shape == (1, 50, 4)


def test_signals_of_neo_that_do_not_go_together(neo, pq):
    def signal(samples=10, channels=2, rate=1000.0, units="mV"):
        return neo.AnalogSignal(np.zeros((samples, channels)), units=units, sampling_rate=rate * pq.Hz)

    uneven = neo.IrregularlySampledSignal([0, 1, 3] * pq.ms, [1, 2, 3], units="mV")
    refused = {
        "IrregularlySampledSignal'; expected an AnalogSignal. resample": [uneven],
        "number of channels in trial 1 is 3; expected 2": [signal(), signal(channels=3)],
        "sampling periods of the trials in ms": [signal(), signal(rate=500.0)],
        "samples of the trials is \\(10, 12\\)": [signal(), signal(samples=12)],
        "units of the signal of trial 1 is .*s.*; expected units that convert to": [signal(), signal(units="s")],
        "signals come as a list of AnalogSignals": segment_of(neo, [], [signal()]),
    }
    for message, data in refused.items():
        with pytest.raises(InputError, match=message):
            from_neo(data)


# pynapple.


def test_epochs_of_a_group_are_trials(nap):
    rng = np.random.default_rng(3)
    times = {7: np.sort(rng.uniform(0, 100, 400)), 9: np.sort(rng.uniform(0, 100, 300))}
    support = nap.IntervalSet(0, 100)
    group = nap.TsGroup({key: nap.Ts(one, time_support=support) for key, one in times.items()}, time_support=support)
    starts = np.arange(5.0, 95.0, 10.0)
    trains = from_pynapple(group, nap.IntervalSet(starts, starts + 2.5), name="V1")
    assert (trains.neurons.tolist(), trains.name) == ([7, 9], "V1")
    np.testing.assert_allclose(trains.durations_s, 2.5)
    for neuron, key in enumerate(times):
        for trial, start in enumerate(starts):
            mine = trains.time_s[(trains.trial == trial) & (trains.neuron == neuron)]
            # pynapple's own cut, which rounds times to nanoseconds.
            expected = group[key].restrict(nap.IntervalSet(start, start + 2.5)).times() - start
            np.testing.assert_allclose(mine, expected, atol=1e-9)
    plain = from_pynapple(group, (starts, starts + 2.5))
    np.testing.assert_array_equal(plain.time_s, trains.time_s)
    one = from_pynapple(group[9], nap.IntervalSet(starts, starts + 2.5))
    np.testing.assert_array_equal(one.time_s, trains.time_s[trains.neuron == 1])


def test_a_time_support_that_was_given_is_the_trials_and_their_limit(nap):
    support = nap.IntervalSet([0.0, 20.0], [10.0, 30.0])
    group = nap.TsGroup({0: nap.Ts([1.0, 5.0, 15.0, 25.0]), 1: nap.Ts([2.0, 15.0])}, time_support=support)
    trains = from_pynapple(group)
    assert trains.durations_s.tolist() == [10.0, 10.0]
    assert (trains.trial.tolist(), trains.time_s.tolist()) == ([0, 0, 1, 0], [1.0, 5.0, 5.0, 2.0])
    with pytest.raises(
        InputError, match=r"epoch 1 in s is \(8.0, 12.0\); expected one inside the time_support. 1 of 2"
    ):
        from_pynapple(group, ([0.0, 8.0], [8.0, 12.0]))


def test_a_time_support_made_of_the_spikes_does_not_limit_epochs(nap):
    group = nap.TsGroup({0: nap.Ts([1.0, 5.0]), 1: nap.Ts([2.0, 8.0])})
    assert from_pynapple(group, ([0.0], [10.0])).rates_hz.tolist() == [0.2, 0.2]
    assert from_pynapple(nap.Ts([1.0, 5.0, 9.0])).durations_s.tolist() == [8.0]
    apart = nap.TsGroup({0: nap.Ts([1.0, 2.0]), 1: nap.Ts([5.0, 8.0])})
    with pytest.raises(InputError, match="pynapple made the time_support of the spikes, in 2 pieces"):
        from_pynapple(apart)


@pytest.mark.parametrize("rate_hz", [30_000.0, 1250.0])
def test_frames_are_cut_at_epochs_whatever_the_rounding_of_their_times(nap, rate_hz):
    values = np.random.default_rng(4).normal(size=(int(6 * rate_hz), 2))
    frame = nap.TsdFrame(t=np.arange(len(values)) / rate_hz, d=values, columns=["x", "y"])
    signals = from_pynapple(frame, nap.IntervalSet([1.0, 3.0], [2.0, 4.0]))
    samples = int(rate_hz)
    np.testing.assert_array_equal(
        signals.values, np.stack([values[samples : 2 * samples], values[3 * samples : 4 * samples]])
    )  # fmt: skip
    np.testing.assert_allclose(signals.step_ms, 1000 / rate_hz, rtol=1e-7)
    assert signals.neurons.tolist() == ["x", "y"]
    one = from_pynapple(frame["y"], nap.IntervalSet([1.0, 3.0], [2.0, 4.0]))
    np.testing.assert_array_equal(one.values[..., 0], signals.values[..., 1])
    assert from_pynapple(frame).values.shape[0] == 1


def test_objects_of_pynapple_that_cannot_be_trials(nap):
    time = np.arange(0, 10, 0.1)
    refused = {
        r"shape of data is \(100, 2, 2\); expected \(time, neuron\)": nap.TsdTensor(t=time, d=np.zeros((100, 2, 2))),
        r"time between the samples at 4.9 and 5.1 s in ms": nap.Tsd(t=np.delete(time, 50), d=np.zeros(99)),
    }
    for message, data in refused.items():
        with pytest.raises(InputError, match=message):
            from_pynapple(data, ([0.0], [9.0]))
    with pytest.raises(InputError, match="epochs is 5; expected a pair of arrays"):
        from_pynapple(nap.Ts(time), 5)
    with pytest.raises(InputError, match=r"epochs that do not overlap"):
        from_pynapple(nap.Ts(time), ([0.0, 1.0], [2.0, 3.0]))
    with pytest.raises(InputError, match="milliseconds"):
        from_pynapple(nap.Ts(time), ([2000.0, 4000.0], [3000.0, 5000.0]))


# NWB.


@pytest.fixture
def session(pynwb):
    """A file of three units in two areas, the last one observed later and silent, with trials and a table of gaps."""
    file = pynwb.NWBFile("a session", "id", datetime(2024, 1, 1, tzinfo=UTC))
    group = file.create_electrode_group("probe", "a probe", "cortex", file.create_device("device"))
    for area in ("V1", "V1", "V2", "V2"):
        file.add_electrode(group=group, location=area)
    file.add_unit_column("quality", "by hand")
    rng = np.random.default_rng(5)
    times = [np.sort(rng.uniform(0, 50, 500)), np.sort(rng.uniform(0, 50, 300)), np.empty(0)]
    for row, (one, since) in enumerate(zip(times, [0.0, 0.0, 20.0], strict=True)):
        file.add_unit(
            spike_times=one, obs_intervals=[[since, 30.0], [30.0, 50.0]], electrodes=[[0], [1], [2, 3]][row],
            quality=["good", "good", "noise"][row], id=100 + row,
        )  # fmt: skip
    for start in np.arange(2.0, 48.0, 4.0):
        file.add_trial(start_time=start, stop_time=start + 1.5)
    quiet = pynwb.epoch.TimeIntervals(name="quiet", description="no stimulus")
    quiet.add_interval(start_time=25.0, stop_time=35.0)
    file.add_time_intervals(quiet)
    return file, times


@pytest.fixture
def path(pynwb, session, tmp_path):
    with pynwb.NWBHDF5IO(str(tmp_path / "session.nwb"), "w") as io:
        io.write(session[0])
    return tmp_path / "session.nwb"


def test_trials_and_good_units_of_a_file(session, path):
    file, times = session
    starts = np.arange(2.0, 48.0, 4.0)
    chosen = np.array([True, True, False])
    trains = from_nwb(path, units=chosen, epochs="trials", name="V1")
    assert (trains.neurons.tolist(), trains.name) == ([100, 101], "V1")
    np.testing.assert_allclose(trains.durations_s, np.full(12, 1.5))
    for neuron in range(2):
        for trial, start in enumerate(starts):
            mine = trains.time_s[(trains.trial == trial) & (trains.neuron == neuron)]
            inside = (times[neuron] >= start) & (times[neuron] < start + 1.5)
            np.testing.assert_allclose(mine, times[neuron][inside] - start, atol=1e-12)
    # The file in memory and on the disk, and arrays in place of its table, are the same.
    for source, epochs in [(file, "trials"), (str(path), (starts, starts + 1.5))]:
        np.testing.assert_array_equal(from_nwb(source, units=chosen, epochs=epochs).time_s, trains.time_s)


def test_areas_come_apart_by_the_column_of_units_or_of_their_electrodes(path):
    by_location = from_nwb(path, epochs="quiet", area_column="location")
    assert {area: (trains.name, trains.neurons.tolist()) for area, trains in by_location.items()} == {
        "V1": ("V1", [100, 101]),
        "V2": ("V2", [102]),
    }
    assert by_location["V2"].rates_hz.tolist() == [0.0]
    whole = from_nwb(path, epochs="quiet")
    np.testing.assert_array_equal(by_location["V1"].time_s, whole.part(0, 2).time_s)
    by_quality = from_nwb(path, units=[True, False, True], epochs="quiet", area_column="quality")
    assert {area: trains.neurons.tolist() for area, trains in by_quality.items()} == {"good": [100], "noise": [102]}


def test_epochs_when_a_unit_was_not_observed_are_refused_with_numbers(path):
    message = (
        r"epoch 0 in s is \(2.0, 3.5\); expected one inside the obs_intervals of unit 2\. "
        r"7 of 12 epochs were observed in full for all units; 2 of 3 units were in all epochs"
    )
    with pytest.raises(InputError, match=message):
        from_nwb(path, epochs="trials")


def test_without_epochs_the_observed_intervals_are_the_trials(session, path):
    trains = from_nwb(path, units=[True, True, False])
    np.testing.assert_allclose(trains.durations_s, [50.0])
    np.testing.assert_allclose(trains.time_s, np.concatenate(session[1]))
    with pytest.raises(InputError, match="the units have different obs_intervals"):
        from_nwb(path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": "stimulus"}, "epochs is 'stimulus'; expected one of the tables of intervals: .*trials.*quiet"),
        ({"epochs": 3}, "a pair of arrays, the starts and the ends in seconds"),
        ({"epochs": ([30.0, 31.0], [32.0, 33.0])}, "epochs that do not overlap"),
        ({"epochs": "quiet", "area_column": "region"}, "area_column is 'region'; expected a column .*quality"),
        ({"epochs": "quiet", "units": [True, False]}, "True or False for each of the 3 units"),
        ({"epochs": "quiet", "units": [0, 1, 2]}, "True or False for each of the 3 units"),
        ({"epochs": "quiet", "units": np.zeros(3, dtype=bool)}, "number of units chosen is 0"),
    ],
)
def test_what_a_file_has_not(session, options, message):
    with pytest.raises(InputError, match=message):
        from_nwb(session[0], **options)


def test_units_between_areas_and_files_without_units(pynwb, session):
    file, _ = session
    file.add_unit(spike_times=[30.0], obs_intervals=[[0.0, 50.0]], electrodes=[1, 2], quality="good", id=103)
    with pytest.raises(InputError, match=r"area of the electrodes of unit 3 is \['V1', 'V2'\]; expected one area"):
        from_nwb(file, epochs="quiet", area_column="location")
    empty = pynwb.NWBFile("a session", "id", datetime(2024, 1, 1, tzinfo=UTC))
    with pytest.raises(InputError, match="units of the NWB file is None; expected a table of units with spike_times"):
        from_nwb(empty)
    empty.add_unit(spike_times=[0.3, 0.1])
    with pytest.raises(InputError, match="the units have no obs_intervals"):
        from_nwb(empty)
    with pytest.raises(InputError, match="spike times of neuron 0 is 'times out of order'"):
        from_nwb(empty, epochs=([0.0], [1.0]))


def test_a_file_that_is_no_nwb_file_says_so(pynwb, tmp_path):
    (tmp_path / "notes.nwb").write_text("no HDF5")
    with pytest.raises(InputError, match=r"notes\.nwb'; expected a file that pynwb reads"):
        from_nwb(tmp_path / "notes.nwb")


# Docs.


@pytest.mark.parametrize(("module", "function"), [(neo_objects, "from_neo"), (sources, "from_pynapple")])
def test_examples_that_need_a_package_run_with_it(neo, nap, module, function):
    text = getattr(module, function).__doc__.replace("# doctest: +SKIP", "")
    test = doctest.DocTestParser().get_doctest(text, vars(module).copy(), function, None, 0)
    options = doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS | doctest.IGNORE_EXCEPTION_DETAIL
    result = doctest.DocTestRunner(optionflags=options).run(test)
    assert result.attempted >= 4
    assert result.failed == 0
