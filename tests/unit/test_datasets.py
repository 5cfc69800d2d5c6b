"""Generated tasks have the published structure; spike files are read right or refused by name."""

import h5py
import numpy as np
import pytest
from scipy.stats import binom

from cortexsnn import datasets
from cortexsnn.datasets import heidelberg, mts_xor
from cortexsnn.errors import InputError

# --- MTS-XOR (Moro et al. 2024): written from the paper, not from the constants of the module -----------------

STEP = np.arange(100)
PATTERN_ON = (STEP >= 10) & ((STEP - 10) % 15 >= 5)
SILENT_GAP = (STEP >= 10) & ~PATTERN_ON
BLOCKS = [np.arange(10 + 15 * k, 25 + 15 * k) for k in range(6)]


@pytest.fixture(scope="module")
def trials():
    return mts_xor.generate(600, np.random.default_rng(11), noise=0.01)


def within_binomial_bounds(spikes, probability):
    """Whether the number of spikes is within the central 99.99 % of a binomial distribution."""
    low, high = binom.interval(0.9999, spikes.size, probability)
    return low <= spikes.sum() <= high


def high_rate(rates):
    """'high' is 0.6, 'low' is 0.2 spikes a step: midway is 20 standard errors from neither, so classes are clear."""
    return rates > 0.4


def test_mts_xor_shapes(trials):
    assert trials.counts.shape == (600, 100, 40)
    assert trials.counts.dtype == np.uint8
    assert trials.counts.max() == 1
    assert trials.labels.shape == (600, 100)
    assert trials.labels.dtype == np.int64


def test_mts_xor_labels_are_the_xor_of_the_rates(trials):
    # Protects the task itself: labels are derived once more, from the spikes alone.
    cue = high_rate(trials.counts[:, :10, :20].mean(axis=(1, 2)))
    assert np.all(trials.labels[:, :10] == 0)
    for block in BLOCKS:
        pattern = high_rate(trials.counts[:, block[5:], 20:].mean(axis=(1, 2)))
        expected = (cue ^ pattern).astype(int)
        assert np.all(trials.labels[:, block] == expected[:, None])


def test_mts_xor_rates(trials):
    with_noise = {p: 1 - (1 - p) * 0.99 for p in (0.0, 0.2, 0.6)}
    counts = trials.counts
    cue = high_rate(counts[:, :10, :20].mean(axis=(1, 2)))
    assert within_binomial_bounds(counts[cue, :10, :20], with_noise[0.6])
    assert within_binomial_bounds(counts[~cue, :10, :20], with_noise[0.2])
    for block in BLOCKS:
        pattern = high_rate(counts[:, block[5:], 20:].mean(axis=(1, 2)))
        assert within_binomial_bounds(counts[pattern][:, block[5:], 20:], with_noise[0.6])
        assert within_binomial_bounds(counts[~pattern][:, block[5:], 20:], with_noise[0.2])
        assert within_binomial_bounds(pattern, 0.5)
    assert within_binomial_bounds(cue, 0.5)
    # Noise alone: pattern channels during the cue and in the gaps, cue channels after the cue.
    for silent in (counts[:, :10, 20:], counts[:, SILENT_GAP, :], counts[:, 10:, :20]):
        assert within_binomial_bounds(silent, 0.01)


def test_mts_xor_without_noise_is_silent_in_the_gaps():
    quiet = mts_xor.generate(50, np.random.default_rng(0), noise=0.0).counts
    assert quiet[:, SILENT_GAP].sum() == 0
    assert quiet[:, :10, 20:].sum() == 0
    assert quiet[:, 10:, :20].sum() == 0
    assert np.all(quiet[:, PATTERN_ON, 20:].any(axis=(0, 2)))
    assert np.all(mts_xor.generate(2, np.random.default_rng(0), noise=1.0).counts == 1)


def test_mts_xor_scores_sixty_steps():
    scored = mts_xor.scored_steps()
    np.testing.assert_array_equal(scored, PATTERN_ON)
    assert scored.sum() == 60


def test_mts_xor_can_be_repeated_and_splits_are_independent():
    first = datasets.load("mts_xor", seed=3, train=20, validation=20, test=20)
    again = datasets.load_described(first.description)
    other = datasets.load("mts_xor", seed=4, train=20, validation=20, test=20)
    larger = datasets.load("mts_xor", seed=3, train=30, validation=20, test=20)
    splits = ("train", "validation", "test")
    for split in splits:
        np.testing.assert_array_equal(getattr(first, split).counts, getattr(again, split).counts)
        np.testing.assert_array_equal(getattr(first, split).labels, getattr(again, split).labels)
        assert not np.array_equal(getattr(first, split).counts, getattr(other, split).counts)
    for one, two in (("train", "validation"), ("train", "test"), ("validation", "test")):
        assert not np.array_equal(getattr(first, one).counts, getattr(first, two).counts)
    # The number of training trials does not change the trials on which the network is tested.
    np.testing.assert_array_equal(first.test.counts, larger.test.counts)
    assert (first.dt_s, first.classes, first.decoder, first.channels) == (0.01, 2, "per_step", 40)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"train": 0}, "trials is 0; expected at least 1"),
        ({"noise": -0.1, "train": 1}, "noise is -0.1; expected a probability"),
        ({"noise": 1.1, "train": 1}, "noise is 1.1; expected a probability"),
        ({"noise": float("nan"), "train": 1}, "noise is nan; expected a probability"),
    ],
)
def test_mts_xor_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        mts_xor.load(**options)


# --- names and helpers ----------------------------------------------------------------------------------------


def test_unknown_data_sets_are_named(tmp_path):
    with pytest.raises(InputError, match=r"data set is 'mnist'; expected one of mts_xor, .*, or a folder"):
        datasets.load("mnist")
    with pytest.raises(InputError, match="data set in the network's metadata is 'mnist'"):
        datasets.load_described({"name": "mnist"})
    with pytest.raises(InputError, match="data set in the network's metadata is None"):
        datasets.load_described({})
    with pytest.raises(InputError, match="description of the data set"):
        datasets.load_described({"name": "mts_xor", "colour": "red"})
    with pytest.raises(InputError, match="description of the data set"):
        datasets.load_described({"name": "heidelberg"})


def test_mean_counts_stop_at_the_last_spike():
    # Protects the rate of spontaneous input from the silence that pads short trials.
    counts = np.zeros((3, 10, 2), dtype=np.uint8)
    counts[0, 3, 0] = 4
    counts[1, 1, 1] = 3  # trial 2 is empty
    assert datasets.mean_counts(datasets.Split(counts, np.zeros(3))).tolist() == [4 / 6, 3 / 6]
    with pytest.raises(InputError, match="spikes of the split is 0; expected at least one spike"):
        datasets.mean_counts(datasets.Split(counts[2:], np.zeros(1)))


@pytest.mark.parametrize("most", [1, 4])
def test_spontaneous_input_has_the_rates_of_the_data(most):
    # Bernoulli where the data have at most one spike a step, as multi-time-scale XOR; else Poisson, as speech.
    rng = np.random.default_rng(1)
    counts = np.minimum(rng.poisson([0.0, 0.3, 0.9], (50, 60, 3)), most).astype(np.uint8)
    counts[:, -1, 1] = 1  # every trial lasts to its end
    split = datasets.Split(counts, np.zeros(50, dtype=int))
    mean = datasets.mean_counts(split)
    assert mean == pytest.approx(counts.mean(axis=(0, 1)))
    drawn = datasets.spontaneous(split, 40, 500, np.random.default_rng(2)).reshape(-1, 3)
    assert drawn[:, 0].sum() == 0
    for channel in (1, 2):
        variance = mean[channel] * (1 - mean[channel]) if most == 1 else mean[channel]
        assert drawn[:, channel].mean() == pytest.approx(mean[channel], rel=0.05)
        assert drawn[:, channel].var() == pytest.approx(variance, rel=0.06)
    assert drawn.max() == 1 if most == 1 else drawn.max() > 1
    for trials, steps in ((0, 1), (1, 0)):
        with pytest.raises(InputError, match="trials and steps"):
            datasets.spontaneous(split, trials, steps, rng)


def test_take_keeps_trials_together():
    split = datasets.Split(np.arange(4, dtype=np.uint8).reshape(4, 1, 1), np.arange(4), np.arange(4) + 10)
    part = split.take(np.array([2, 0]))
    assert len(part) == 2
    assert part.counts.ravel().tolist() == part.labels.tolist() == [2, 0]
    assert part.speaker.tolist() == [12, 10]


# --- spike files ----------------------------------------------------------------------------------------------


def write(path, times, units, labels=None, speaker=None, time_type=np.float64, unit_type=np.uint16):
    """A file in the layout of the Spiking Heidelberg Digits."""
    with h5py.File(path, "w") as file:
        for name, trials, kind in (("times", times, time_type), ("units", units, unit_type)):
            made = file.create_dataset(f"spikes/{name}", (len(trials),), h5py.vlen_dtype(kind))
            for number, values in enumerate(trials):
                made[number] = np.asarray(values, dtype=kind)
        file["labels"] = np.arange(len(times)) if labels is None else labels
        file["extra/speaker"] = np.zeros(len(times), dtype=int) if speaker is None else speaker
    return path


def test_binning_is_floor_and_late_spikes_are_counted(tmp_path):
    # Protects against an empty first bin (np.digitize) and against late spikes piled up in the last one.
    times = [[0.0, 0.0999, 0.1, 0.35, 0.3999, 0.4, 7.0], [], [0.25]]
    units = [[0, 699, 1, 2, 3, 4, 5], [], [6]]
    split, dropped = heidelberg.read_split(write(tmp_path / "s.h5", times, units), steps=4, window_s=0.4)
    assert split.counts.shape == (3, 4, 700)
    assert [tuple(map(int, where)) for where in np.argwhere(split.counts)] == [
        (0, 0, 0), (0, 0, 699), (0, 1, 1), (0, 3, 2), (0, 3, 3), (2, 2, 6),
    ]  # fmt: skip
    assert dropped == 2
    assert split.labels.tolist() == [0, 1, 2]


def test_multiplicities_are_summed_and_channels_grouped(tmp_path):
    path = write(tmp_path / "s.h5", [[0.01, 0.02, 0.03, 0.02, 0.11]], [[4, 4, 3, 5, 699]])
    split, _ = heidelberg.read_split(path, steps=2, window_s=0.2)
    assert [int(split.counts[0, 0, c]) for c in (3, 4, 5)] == [1, 2, 1]
    grouped, _ = heidelberg.read_split(path, steps=2, window_s=0.2, channels_per_group=5)
    assert grouped.counts.shape == (1, 2, 140)
    assert [int(grouped.counts[0, 0, c]) for c in (0, 1)] == [3, 1]
    assert int(grouped.counts[0, 1, 139]) == 1
    np.testing.assert_array_equal(grouped.counts, split.counts.reshape(1, 2, 140, 5).sum(axis=3))


def test_half_precision_times_are_widened(tmp_path):
    # Protects SHD itself, whose times are float16: the division by dt must not happen in half precision.
    times = np.random.default_rng(0).uniform(0, 1.4, 2000).astype(np.float16)
    path = write(tmp_path / "s.h5", [times], [np.zeros(2000)], time_type=np.float16)
    split, dropped = heidelberg.read_split(path, steps=700, window_s=1.4)
    exact = np.floor(times.astype(np.float64) / (1.4 / 700)).astype(int)
    np.testing.assert_array_equal(split.counts[0, :, 0], np.bincount(exact[exact < 700], minlength=700))
    assert int(split.counts.sum()) + dropped == 2000


def test_too_many_spikes_in_one_step_are_refused(tmp_path):
    path = write(tmp_path / "s.h5", [np.zeros(255), np.zeros(256)], [np.zeros(255), np.zeros(256)])
    with pytest.raises(InputError, match=r"spikes in one step of trial 1 .* is 256; expected at most 255"):
        heidelberg.read_split(path)


@pytest.mark.parametrize(
    ("times", "units", "message"),
    [
        ([[-0.1]], [[0]], "'spikes/times' of trial 0 .*; expected finite times of at least 0 s"),
        ([[0.1], [0.1, np.nan]], [[0], [0, 0]], "'spikes/times' of trial 1 .*nan.*; expected finite"),
        ([[np.inf]], [[0]], "'spikes/times' of trial 0 .*; expected finite times"),
        ([[0.1]], [[700]], "'spikes/units' of trial 0 .* is 700; expected 0 to 699"),
        ([[0.1, 0.2]], [[0]], r"spikes of trial 0 .* is \(2, 1\); expected as many times as units"),
        ([[0.1], [0.1]], [[0]], "trials of 'spikes/units' .* is 1; expected 2, as in 'spikes/times'"),
        ([], [], "trials of 'spikes/units' .* is 0; expected at least one"),
    ],
)
def test_bad_spikes_are_refused(tmp_path, times, units, message):
    with pytest.raises(InputError, match=message):
        heidelberg.read_split(write(tmp_path / "s.h5", times, units))


def test_a_time_beyond_all_integers_is_a_late_spike(tmp_path):
    split, dropped = heidelberg.read_split(write(tmp_path / "s.h5", [[0.1, 1e30]], [[0, 0]]))
    assert (int(split.counts.sum()), dropped) == (1, 1)


def test_negative_units_are_refused(tmp_path):
    path = write(tmp_path / "s.h5", [[0.1]], [[-1]], unit_type=np.int32)
    with pytest.raises(InputError, match=r"'spikes/units' of trial 0 .*; expected 0 to 699"):
        heidelberg.read_split(path)


@pytest.mark.parametrize("name", ["spikes/times", "spikes/units", "labels", "spikes"])
def test_missing_fields_are_named(tmp_path, name):
    path = write(tmp_path / "s.h5", [[0.1]], [[0]])
    with h5py.File(path, "a") as file:
        del file[name]
    missing = "spikes/times" if name == "spikes" else name
    with pytest.raises(InputError, match=f"'{missing}'"):
        heidelberg.read_split(path)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("labels", np.array([0.0, 1.0]), r"'labels' in .* is \(2,\); expected 2 whole numbers"),
        ("labels", np.array([0]), r"'labels' in .* is \(1,\); expected 2 whole numbers"),
        ("labels", np.array([[0], [1]]), r"'labels' in .* is \(2, 1\); expected 2 whole numbers"),
        ("labels", np.array([0, -1]), "'labels' in .* is -1; expected classes from 0"),
        ("labels", np.array([b"one", b"two"]), "'labels' in .*; expected 2 whole numbers"),
        ("extra/speaker", np.array([0, 1, 2]), r"'extra/speaker' in .* is \(3,\); expected 2 whole numbers"),
        ("spikes/times", np.zeros((2, 5)), "type of 'spikes/times' in .*; expected one array of numbers of any length"),
        ("spikes/times", np.zeros(2), "type of 'spikes/times' in .*; expected one array"),
        ("spikes/units", np.array(3), "type of 'spikes/units' in .*; expected one array"),
    ],
)
def test_wrong_types_are_named(tmp_path, name, value, message):
    path = write(tmp_path / "s.h5", [[0.1], [0.2]], [[0], [1]])
    with h5py.File(path, "a") as file:
        del file[name]
        file[name] = value
    with pytest.raises(InputError, match=message):
        heidelberg.read_split(path)


def test_wrong_types_of_spikes_are_named(tmp_path):
    path = write(tmp_path / "i.h5", [[1]], [[0]], time_type=np.int32)
    with pytest.raises(InputError, match="type of 'spikes/times'"):
        heidelberg.read_split(path)
    path = write(tmp_path / "f.h5", [[0.1]], [[0.0]], unit_type=np.float32)
    with pytest.raises(InputError, match="type of 'spikes/units'"):
        heidelberg.read_split(path)
    with h5py.File(tmp_path / "text.h5", "w") as file:
        file.create_dataset("spikes/times", (1,), h5py.string_dtype())
    with pytest.raises(InputError, match="type of 'spikes/times'"):
        heidelberg.read_split(tmp_path / "text.h5")


def test_external_links_are_refused(tmp_path):
    write(tmp_path / "other.h5", [[0.1]], [[0]])
    path = write(tmp_path / "s.h5", [[0.1]], [[0]])
    with h5py.File(path, "a") as file:
        del file["labels"]
        file["labels"] = h5py.ExternalLink("other.h5", "labels")
    with pytest.raises(InputError, match=r"entry /labels is 'other.h5'; expected data inside the file itself"):
        heidelberg.read_split(path)


def test_broken_files_are_refused(tmp_path):
    path = write(tmp_path / "s.h5", [[0.1] * 500], [[0] * 500])
    content = path.read_bytes()
    for length in (10, len(content) // 2, len(content) - 100):
        path.write_bytes(content[:length])
        with pytest.raises(InputError, match=r"spike file is .*; expected a complete HDF5 file"):
            heidelberg.read_split(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="expected a file with content"):
        heidelberg.read_split(path)
    path.write_text("times,units")
    with pytest.raises(InputError, match="expected a complete HDF5 file"):
        heidelberg.read_split(path)
    with pytest.raises(InputError, match="expected an existing file"):
        heidelberg.read_split(tmp_path / "nowhere.h5")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps and window_s"),
        ({"window_s": 0}, "steps and window_s"),
        ({"window_s": float("nan")}, "steps and window_s"),
        ({"channels_per_group": 3}, "channels_per_group is 3; expected a divisor of 700"),
        ({"channels_per_group": 0}, "channels_per_group is 0"),
        ({"steps": 10**12}, "steps times channels is .*; expected at most 1073741824 in all. use fewer steps"),
    ],
)
def test_options_of_the_reader_are_checked(tmp_path, options, message):
    with pytest.raises(InputError, match=message):
        heidelberg.read_split(write(tmp_path / "s.h5", [[0.1]], [[0]]), **options)


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(2)

    def trials(n):
        lengths = rng.integers(1, 20, n)
        return [rng.uniform(0, 1.6, k) for k in lengths], [rng.integers(0, 700, k) for k in lengths]

    write(tmp_path / "shd_train.h5", *trials(10), labels=np.arange(10) % 4, speaker=np.arange(10))
    write(tmp_path / "shd_test.h5", *trials(5), labels=np.arange(5))
    return tmp_path


def test_validation_is_drawn_from_the_training_file(folder):
    loaded = datasets.load(folder, seed=1)
    assert [len(s) for s in (loaded.train, loaded.validation, loaded.test)] == [8, 2, 5]
    speakers = loaded.train.speaker.tolist() + loaded.validation.speaker.tolist()
    assert sorted(speakers) == list(range(10))
    assert loaded.classes == 5
    assert (loaded.decoder, loaded.channels) == ("sum_of_softmax", 700)
    assert loaded.dt_s == pytest.approx(0.014)
    np.testing.assert_array_equal(datasets.load(folder, seed=1).validation.speaker, loaded.validation.speaker)
    draws = {tuple(datasets.load(folder, seed=seed).validation.speaker.tolist()) for seed in range(6)}
    assert len(draws) > 1
    again = datasets.load_described(loaded.description)
    np.testing.assert_array_equal(again.train.counts, loaded.train.counts)


def test_validation_by_speaker_shares_no_speaker_with_training(tmp_path):
    # Protects a choice of the best epoch by new speakers, where the test file has new speakers too.
    speaker = np.arange(12) % 4
    rng = np.random.default_rng(3)
    spikes = [rng.uniform(0, 1, 5) for _ in speaker], [rng.integers(0, 700, 5) for _ in speaker]
    write(tmp_path / "a_train.h5", *spikes, labels=np.arange(12) % 2, speaker=speaker)
    write(tmp_path / "a_test.h5", *spikes, labels=np.arange(12) % 2, speaker=speaker)
    chosen = set()
    for seed in range(6):
        loaded = heidelberg.load(tmp_path, seed=seed, validation_speakers=1)
        assert len(loaded.validation) == 3
        assert len(loaded.train) == 9
        held_out = set(loaded.validation.speaker.tolist())
        assert held_out.isdisjoint(loaded.train.speaker.tolist())
        again = datasets.load_described(loaded.description)
        np.testing.assert_array_equal(again.validation.counts, loaded.validation.counts)
        chosen |= held_out
    assert len(chosen) > 1
    with pytest.raises(InputError, match="validation_speakers is 4; expected fewer than the 4 speakers"):
        heidelberg.load(tmp_path, validation_speakers=4)


def test_folders_are_checked(folder):
    for fraction in (0, 1, -0.1, float("nan")):
        with pytest.raises(InputError, match="validation_fraction"):
            heidelberg.load(folder, validation_fraction=fraction)
    with pytest.raises(InputError, match="data folder is"):
        heidelberg.load(folder / "nowhere")
    (folder / "shd_train2.h5").write_bytes((folder / "shd_train.h5").read_bytes())
    with pytest.raises(InputError, match=r"train file in .* is \['shd_train.h5', 'shd_train2.h5'\]; expected one"):
        heidelberg.load(folder)
    (folder / "shd_train.h5").unlink()
    (folder / "shd_test.h5").unlink()
    with pytest.raises(InputError, match=r"test file in .* is \[\]; expected one file"):
        heidelberg.load(folder)


@pytest.mark.data
def test_spoken_digits(speech_folder):
    # Protects the real data: no spike is lost or doubled on the way into counts.
    loaded = datasets.load(speech_folder, channels_per_group=5)
    assert (len(loaded.train) + len(loaded.validation), len(loaded.test)) == (2000, 1000)
    assert loaded.classes == 10
    totals = {"train": int(loaded.train.counts.sum(dtype=np.int64) + loaded.validation.counts.sum(dtype=np.int64)),
              "test": int(loaded.test.counts.sum(dtype=np.int64))}  # fmt: skip
    for name, total in totals.items():
        with h5py.File(speech_folder / f"{name}.h5", "r") as file:
            in_file = sum(len(times) for times in file["spikes/times"][:])
        assert total == in_file - loaded.description["dropped_spikes"][name]
        assert total > 1e6
