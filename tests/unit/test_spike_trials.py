"""Ragged spikes and the counts that are made of them: nothing is read or made that was not asked for."""

import tracemalloc

import numpy as np
import pytest

from cortexsnn import datasets
from cortexsnn.datasets import Dataset, Split
from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.lazy_counts import LazyCounts, in_batches
from cortexsnn.datasets.spike_trials import SpikeTrials
from cortexsnn.errors import InputError
from cortexsnn.network import ArrayInput, Network, Population, input_counts, spike_inputs
from cortexsnn.trials import task_trials

BINNING = Binning(steps=20, window_s=1.0, channels=12)


def drawn(trials=30, seed=0, kind=np.float16, most=80):
    """Trials of random spikes on 12 channels, some of them empty, some spikes after 1 s."""
    rng = np.random.default_rng(seed)
    sizes = rng.integers(0, most, trials)
    sizes[3] = 0
    times = [np.sort(rng.random(size) * 1.1).astype(kind) for size in sizes]
    units = [rng.integers(0, 12, size).astype(np.uint16) for size in sizes]
    return SpikeTrials.from_list(times, units)


# --- spikes -----------------------------------------------------------------------------------------------------


def test_trials_come_back_as_they_went_in():
    times, units = [[0.25, 0.5], [], [0.125]], [[3, 699], [], [0]]
    for kind in (np.float16, np.float32, np.float64):
        trials = SpikeTrials.from_list([np.array(t, dtype=kind) for t in times], units)
        assert trials.times_s.dtype == kind
        assert trials.units.dtype == np.uint16
        assert trials.offsets.tolist() == [0, 2, 2, 3]
        for index in range(-3, 3):
            when, where = trials.trial(index)
            assert (when.tolist(), where.tolist()) == (times[index], units[index])
            assert (when.dtype, where.dtype) == (np.float64, np.int64)
        with pytest.raises(IndexError):
            trials.trial(3)
    assert len(SpikeTrials.from_list([], [])) == 0


@pytest.mark.parametrize(
    "chosen", [slice(2, 9), slice(None, None, -1), [5, 5, 0], np.arange(30) % 3 == 0, [], [-1, 2], np.array([7])]
)
def test_a_part_has_its_trials_in_order(chosen):
    trials = drawn()
    part = trials.take(chosen)
    expected = np.arange(30)[chosen if len(np.atleast_1d(chosen)) or isinstance(chosen, slice) else slice(0)]
    assert len(part) == expected.size
    for mine, index in enumerate(expected):
        for found, there in zip(part.trial(mine), trials.trial(index), strict=True):
            np.testing.assert_array_equal(found, there)


def test_last_spikes_of_unsorted_and_empty_trials():
    trials = SpikeTrials.from_list([[], [0.5, 0.75, 0.25], [], [], [0.125], []], [[], [0, 1, 2], [], [], [3], []])
    assert trials.last_spikes_s().tolist() == [0, 0.75, 0, 0, 0.125, 0]
    assert trials.last_spikes_s(np.array([4, 2, 1])).tolist() == [0.125, 0, 0.75]


@pytest.mark.parametrize("most", [1, 7, 1000])
def test_pieces_are_all_trials_and_no_more_spikes_than_asked(most):
    trials = drawn()
    pieces = [*trials.pieces(most_spikes=most)]
    assert [n for piece in pieces for n in range(piece.start, piece.stop)] == [*range(30)]
    for piece in pieces:
        assert piece.stop - piece.start == 1 or trials.spikes_per_trial[piece].sum() <= most


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(2, dtype=int), np.zeros(2, np.uint16), [0, 2]), "times_s of the spikes is 'int64"),
        ((np.zeros((2, 1)), np.zeros(2, np.uint16), [0, 2]), r"times_s of the spikes is 'float64, shape \(2, 1\)'"),
        ((np.zeros(2), np.zeros(2), [0, 2]), "units of the spikes is 'float64"),
        ((np.zeros(2), np.zeros(3, np.uint16), [0, 2]), "units of the spikes is 3; expected as many as times_s, 2"),
        ((np.zeros(2), np.zeros(2, np.uint16), [0.0, 2.0]), "offsets of the trials"),
        ((np.zeros(2), np.zeros(2, np.uint16), []), "offsets of the trials"),
        ((np.zeros(2), np.zeros(2, np.uint16), [1, 2]), "numbers that rise from 0 to the number of spikes, 2"),
        ((np.zeros(2), np.zeros(2, np.uint16), [0, 1]), "numbers that rise from 0 to the number of spikes, 2"),
        ((np.zeros(2), np.zeros(2, np.uint16), [0, 2, 1, 2]), "numbers that rise from 0 to the number of spikes, 2"),
        ((np.zeros(2), np.zeros(2, np.uint16), [0, 2], 0.0), "duration_s of the trials is 0.0"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(arguments, message):
    with pytest.raises(InputError, match=message):
        SpikeTrials(*arguments)


@pytest.mark.parametrize(
    ("times", "units", "message"),
    [
        ([[0.1]], [], "trials of units is 0; expected 1"),
        ([[0.1], [0.2, 0.3]], [[1], [1]], r"spikes of trial 1 is \(2, 1\); expected as many times as units"),
        ([["a"]], [[1]], "times_s of trial 0"),
        ([[[0.1]]], [[1]], "times_s of trial 0"),
        ([[0.1]], [[-1]], r"units of trial 0 is \[-1\]; expected one row of channels from 0 to 65535"),
        ([[0.1]], [[65536]], "units of trial 0"),
        ([[0.1]], [[0.5]], "units of trial 0"),
    ],
)
def test_lists_that_do_not_fit_are_refused(times, units, message):
    with pytest.raises(InputError, match=message):
        SpikeTrials.from_list(times, units)


# --- counts -----------------------------------------------------------------------------------------------------


def test_counts_look_like_an_array():
    counts = LazyCounts(drawn(), BINNING)
    dense = np.asarray(counts)
    assert (counts.shape, counts.ndim, counts.dtype, counts.size, len(counts)) == (
        dense.shape, dense.ndim, dense.dtype, dense.size, len(dense),
    )  # fmt: skip
    np.testing.assert_array_equal(np.stack([*counts]), dense)
    np.testing.assert_array_equal(counts[np.array([2, 9]), np.array([4, 5]), np.array([0, 3])],
                                  dense[np.array([2, 9]), np.array([4, 5]), np.array([0, 3])])  # fmt: skip
    assert counts[2, 4, 1] == dense[2, 4, 1]
    assert np.asarray(counts, dtype=np.float32).dtype == np.float32
    for axis in (None, 0, 1, 2, -1, (0, 1), (1, 2), (0, 2)):
        np.testing.assert_array_equal(counts.sum(axis=axis), dense.sum(axis=axis))
        np.testing.assert_array_equal(np.max(counts, axis=axis), dense.max(axis=axis))
    assert np.sum(counts, dtype=np.int64).dtype == np.int64
    assert counts[:0].sum() == counts.take([]).sum() == counts.take([]).max() == 0
    assert "shape=(30, 20, 12)" in repr(counts)
    with pytest.raises(ValueError, match="always a copy"):
        np.asarray(counts, copy=False)
    for unusual in (
        (),
        True,
        False,
        np.True_,
        np.zeros((0, 3), dtype=int),
        (np.zeros((0, 3), dtype=int), 4),
        (True, 2),
    ):
        np.testing.assert_array_equal(counts[unusual], dense[unusual], strict=True)
    for beyond in (30, -31, np.array([30])):
        with pytest.raises(IndexError):
            counts[beyond]
    for axis in (3, -4, (0, 0)):
        with pytest.raises(ValueError, match="axis"):
            counts.sum(axis=axis)
    with pytest.raises(IndexError, match="make an array of it first"):
        counts[dense > 0]


def test_one_batch_is_all_that_is_made(monkeypatch):
    # Protects memory: however many trials there are, only those of the index are binned.
    counts = LazyCounts(drawn(), BINNING)
    binned = []
    places = Binning.places

    def watched(self, times_s, units):
        binned.append(len(times_s))
        return places(self, times_s, units)

    monkeypatch.setattr(Binning, "places", watched)
    batch = np.array([4, 11, 8])
    counts[batch], counts.take(slice(20, 28)).take([1, 2])
    assert binned == [counts.spikes_per_trial[batch].sum()]


def test_parts_share_their_spikes():
    counts = LazyCounts(drawn(), BINNING)
    part = counts.take(np.arange(30) % 2 == 1).take([3, 0])
    assert part.spikes is counts.spikes
    assert part.trials.tolist() == [7, 1]
    np.testing.assert_array_equal(np.asarray(part), counts[[7, 1]])
    np.testing.assert_array_equal(part.spikes_per_trial, counts.spikes_per_trial[[7, 1]])


def test_a_sparse_batch_is_the_dense_one():
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    counts = LazyCounts(drawn(most=400), BINNING)
    batch = np.array([5, 2, 3, 5])
    sparse = counts.sparse(batch)
    assert sparse.count.max() > 1
    np.testing.assert_array_equal(sparse.dense(), counts[batch])
    keys = np.ravel_multi_index((sparse.trial, sparse.step, sparse.channel), sparse.shape)
    assert np.all(np.diff(keys) > 0)
    assert torch.equal(sparse.to_torch().to_dense(), torch.from_numpy(counts[batch]).float())


def test_more_than_255_spikes_in_a_step_are_refused_by_name():
    # Protects counts from wrapping around: 256 spikes would be none.
    def counts(highest):
        times = [[0.1], [], np.full(highest, 0.3), [0.2]]
        return LazyCounts(SpikeTrials.from_list(times, [np.full(len(t), 5) for t in times]), BINNING, source="a.h5")

    assert counts(255).max() == 255
    with pytest.raises(InputError, match=r"spikes in one step of trial 2 of a\.h5 is 256; expected at most 255"):
        counts(256)
    # Many spikes of a channel are no matter if they are spread over steps, nor are late ones.
    times = np.concatenate([(np.arange(5000) + 0.5) / 5000, np.full(300, 7.0)])
    spread = LazyCounts(SpikeTrials.from_list([times], [np.full(5300, 5)]), BINNING)
    assert (spread.max(), spread.dropped) == (250, 300)


@pytest.mark.parametrize(
    ("time", "unit"), [(-0.1, 0), (float("nan"), 0), (float("inf"), 0), (0.1, 12), (3.0, 12), (-1e-8, 3)]
)
@pytest.mark.parametrize("kind", [np.float16, np.float64])
def test_spikes_that_cannot_be_are_refused_by_name(time, unit, kind):
    times = [[0.1, 0.2], [], [0.3, time]]
    spikes = SpikeTrials.from_list([np.array(t, dtype=kind) for t in times], [[0, 1], [], [2, unit]])
    if kind == np.float16 and time == -1e-8:  # which is -0.0 in 16 bits
        assert LazyCounts(spikes, BINNING).dropped == 0
        return
    with pytest.raises(InputError, match="time in s and unit of a spike of trial 2 of the data"):
        LazyCounts(spikes, BINNING)


def test_what_would_not_fit_into_memory_is_refused_before_it_is_made():
    many = SpikeTrials(np.zeros(0), np.zeros(0, np.uint16), np.zeros(200_001, dtype=np.int64))
    counts = LazyCounts(many, Binning(steps=100, window_s=1.0, channels=700))
    assert counts.nbytes == 14_000_000_000
    with pytest.raises(InputError, match=r"trials at once is 200000; expected at most .* go in batches"):
        np.asarray(counts)
    assert counts[199_990:].shape == (10, 100, 700)


def test_batches_have_bounded_size():
    large = np.zeros((100, 1000, 1000), dtype=np.uint8)
    assert max(batch.nbytes for batch in in_batches(large)) <= 1 << 25
    assert sum(map(len, in_batches(large))) == 100
    with pytest.raises(InputError, match="trials of a batch is 0"):
        next(in_batches(large, 0))


def test_a_mapped_file_is_never_read_whole(tmp_path):
    # Protects data larger than memory: making, cutting, batching and describing take a small part of the file's size.
    trials, each = 4_000, 5_000
    rng = np.random.default_rng(0)
    for name, kind in (("times", np.float16), ("units", np.uint16)):
        file = np.lib.format.open_memmap(tmp_path / f"{name}.npy", mode="w+", dtype=kind, shape=(trials * each,))
        one = np.sort(rng.random(each)) if name == "times" else rng.integers(0, 700, each)
        file.reshape(trials, each)[:] = one.astype(kind)
        file.flush()
        del file
    size = sum(path.stat().st_size for path in tmp_path.iterdir())
    times, units = (np.load(tmp_path / f"{name}.npy", mmap_mode="r") for name in ("times", "units"))
    binning = Binning(steps=50, window_s=1.0, channels=700, channels_per_group=10)
    tracemalloc.start()
    spikes = SpikeTrials(times, units, np.arange(trials + 1) * each)
    split = Split(LazyCounts(spikes, binning), np.zeros(trials, dtype=np.int64)).take(np.arange(0, trials, 2))
    made = tracemalloc.get_traced_memory()[1]
    tracemalloc.reset_peak()
    batch = split.counts[np.arange(0, 2_000, 100)]
    for_a_batch = tracemalloc.get_traced_memory()[1]
    rates = datasets.mean_counts(split.take(slice(0, 400)))
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert size > 80e6
    assert batch.shape == (20, 50, 70)
    assert rates.sum() == pytest.approx(each / 50, rel=0.01)
    assert for_a_batch < 6e6
    assert max(made, most) < 50e6


# --- data sets --------------------------------------------------------------------------------------------------


def as_dataset(lazily):
    spikes = drawn(40, seed=1)
    counts = LazyCounts(spikes, BINNING)
    labels, speaker = np.arange(40) % 3, np.arange(40) // 10
    whole = Split(counts if lazily else np.asarray(counts), labels, speaker)
    parts = [whole.take(slice(0, 24)), whole.take(np.arange(24, 32)), whole.take(np.arange(40) >= 32)]
    return Dataset("drawn", BINNING.dt_s, 3, "sum_of_softmax", *parts)


def test_lazy_data_sets_say_the_same_as_dense_ones():
    lazy, dense = as_dataset(True), as_dataset(False)
    assert isinstance(lazy.train.counts, LazyCounts)
    for name in ("train", "validation", "test"):
        mine, other = getattr(lazy, name), getattr(dense, name)
        assert isinstance(mine.counts, LazyCounts)
        np.testing.assert_array_equal(mine.counts, other.counts)
        np.testing.assert_array_equal(mine.labels, other.labels)
        np.testing.assert_array_equal(mine.speaker, other.speaker)
        np.testing.assert_array_equal(datasets.mean_counts(mine), datasets.mean_counts(other))
    drawn_from = [datasets.spontaneous(one.train, 3, 9, np.random.default_rng(4)) for one in (lazy, dense)]
    np.testing.assert_array_equal(*drawn_from)


def test_training_on_lazy_counts_gives_the_same_network():
    # Protects results, bit for bit: weights, accuracies and the memoryless control.
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from cortexsnn.training import Architecture, Protocol, fit, stack

    torch.set_num_threads(1)
    architecture = Architecture(12, 3, stack((6,), tau_s=0.1), readout_tau_s=0.1, dt_s=BINNING.dt_s)
    networks = [
        fit(as_dataset(lazily), architecture, Protocol(epochs=2, batch_size=7), progress=False).network
        for lazily in (True, False)
    ]
    assert networks[0].fingerprint() == networks[1].fingerprint()
    figures = ("validation_accuracy", "test_accuracy", "memoryless_control_accuracy")
    assert [networks[0].metadata[name] for name in figures] == [networks[1].metadata[name] for name in figures]


def test_batches_reach_the_network_with_time_first():
    # Protects memory that is used again from leaving anything of the batch before, as where the last one is smaller.
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from cortexsnn.training.evaluation import TimeFirst

    counts = LazyCounts(drawn(), BINNING)
    time_first, places = TimeFirst("cpu"), []
    for batch in counts.batches(8):
        given = time_first(batch)
        assert (given.dtype, given.is_contiguous()) == (torch.float32, True)
        np.testing.assert_array_equal(given.numpy(), batch.transpose(1, 0, 2))
        places.append(given.data_ptr())
    assert len(places) == 4
    assert len(set(places[:3])) == 1


def test_simulators_get_lazy_counts_block_by_block():
    network = Network(BINNING.dt_s, (Population.input("input", 12), Population.lif("hidden1", 3, tau_s=0.02)), ())
    lazy, dense = as_dataset(True), as_dataset(False)
    trials = task_trials(lazy, 5)
    assert isinstance(trials.counts, LazyCounts)
    given = spike_inputs(network, trials.counts)["input"]
    plain = spike_inputs(network, dense.test.counts[:5])["input"]
    assert isinstance(given, ArrayInput)
    assert isinstance(given.array, LazyCounts)
    assert (given.trials, given.steps, given.channels, given.graded) == (5, 20, 12, plain.graded)
    np.testing.assert_array_equal(given.counts(range(1, 4), range(3, 11)), plain.counts(range(1, 4), range(3, 11)))
    assert given.describe() == plain.describe()
    assert isinstance(input_counts(network, trials.counts)["input"], np.ndarray)
    with pytest.raises(InputError, match="channels of spike counts for 'input' is 12; expected 4"):
        spike_inputs(Network(0.05, (Population.input("input", 4),), ()), trials.counts)
