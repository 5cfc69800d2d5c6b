"""Data sets from spike files: official and drawn splits, presets, options that are kept, and who is held out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexsnn import datasets
from cortexsnn.datasets import heidelberg, layout
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.datasets.splits import held_out_speakers, held_out_trials
from cortexsnn.errors import InputError


def write(path, trials, *, seed, classes=5, speaker=True):
    rng = np.random.default_rng(seed)
    lengths = rng.integers(1, 30, trials)
    times = [np.sort(rng.uniform(0, 1.6, n)).astype(np.float16) for n in lengths]
    units = [rng.integers(0, 700, n) for n in lengths]
    layout.write(path, times, units, np.arange(trials) % classes, speaker=np.arange(trials) % 4 if speaker else None)
    return times, units


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "shd_train.h5", 20, seed=1)
    write(tmp_path / "shd_test.h5", 6, seed=2)
    return tmp_path


@pytest.fixture
def commands(tmp_path):
    write(tmp_path / "ssc_train.h5", 20, seed=1, speaker=False)
    write(tmp_path / "ssc_valid.h5", 7, seed=2, speaker=False)
    write(tmp_path / "ssc_test.h5", 6, seed=3, classes=6, speaker=False)
    return tmp_path


def test_counts_are_made_when_they_are_asked_for(folder):
    # Protects memory: SHD as dense counts would have 0.6 GB, the Spiking Speech Commands 10 GB.
    loaded = heidelberg.load_shd(folder, steps=40)
    for split in (loaded.train, loaded.validation, loaded.test):
        assert isinstance(split.counts, LazyCounts)
        assert np.asarray(split.counts).shape == (len(split), 40, 700)


def test_the_official_validation_file_is_the_validation_split(commands):
    loaded = heidelberg.load_ssc(commands, seed=3)
    assert [len(split) for split in (loaded.train, loaded.validation, loaded.test)] == [20, 7, 6]
    official, _ = heidelberg.read_split(commands / "ssc_valid.h5")
    np.testing.assert_array_equal(np.asarray(loaded.validation.counts), np.asarray(official.counts))
    assert loaded.train.speaker is None
    assert loaded.classes == 6
    assert set(loaded.description["dropped_spikes"]) == {"train", "valid", "test"}
    with pytest.raises(InputError, match=r"validation_speakers is 1; expected 0: .* has a validation file"):
        heidelberg.load_ssc(commands, validation_speakers=1)


@pytest.mark.parametrize("kind", ["commands", "folder"])
def test_training_sees_no_test_trial(kind, request):
    # Protects the test split from being used for a choice by accident.
    loaded = heidelberg.load(request.getfixturevalue(kind))
    seen = loaded.training_data
    assert not any(value is loaded.test for value in vars(seen).values())
    assert (seen.train, seen.validation) == (loaded.train, loaded.validation)
    assert not any("test" in name for name in vars(seen))


def test_speakers_must_be_known_to_be_held_out(commands):
    (commands / "ssc_valid.h5").unlink()
    with pytest.raises(InputError, match=r"validation_speakers is 1; expected 0\. the training file does not say"):
        heidelberg.load(commands, validation_speakers=1)
    assert len(heidelberg.load(commands).validation) == 4


def by_digitize(times, units, steps):
    """The counts of the paper, one spike at a time; None for spikes after the window."""
    counts = np.zeros((len(times), steps, 700), dtype=int)
    for trial, (when, where) in enumerate(zip(times, units, strict=True)):
        step = np.digitize(when.astype(np.float64), np.linspace(0, 1.4, steps))
        for at, unit in zip(step, where, strict=True):
            if at < steps:
                counts[trial, at, unit] += 1
    return counts


def test_preset_of_the_paper(folder, tmp_path):
    times, units = write(tmp_path / "again.h5", 6, seed=2)
    (tmp_path / "again.h5").unlink()
    loaded = heidelberg.load(folder, **heidelberg.MORO)
    np.testing.assert_array_equal(np.asarray(loaded.test.counts), by_digitize(times, units, 100))
    assert np.asarray(loaded.test.counts)[:, 0].sum() == 0
    assert loaded.dt_s == pytest.approx(0.014)


def test_preset_of_work_on_delays(folder):
    loaded = heidelberg.load(folder, **heidelberg.DELAYS)
    assert loaded.test.counts.shape == (6, 140, 140)
    assert loaded.dt_s == pytest.approx(0.01)
    full = heidelberg.load(folder, steps=140)
    summed = np.asarray(full.test.counts).reshape(6, 140, 140, 5).sum(axis=3)
    np.testing.assert_array_equal(np.asarray(loaded.test.counts), summed)


@pytest.mark.parametrize("rule", ["floor", "digitize"])
def test_a_description_makes_the_same_data_set_again(folder, rule):
    loaded = heidelberg.load(folder, seed=4, steps=30, rule=rule, channels_per_group=7, validation_speakers=2)
    again = datasets.load_described(loaded.description)
    for name in ("train", "validation", "test"):
        one, other = getattr(loaded, name), getattr(again, name)
        np.testing.assert_array_equal(np.asarray(one.counts), np.asarray(other.counts))
        np.testing.assert_array_equal(one.labels, other.labels)
        np.testing.assert_array_equal(one.speaker, other.speaker)


def test_descriptions_without_a_rule_mean_floor(folder):
    # Protects networks that were trained before there was a choice.
    description = dict(heidelberg.load(folder, seed=4).description)
    del description["rule"]
    assert datasets.load_described(description).test.counts.sum() == heidelberg.load(folder).test.counts.sum()


def test_options_are_checked(folder):
    with pytest.raises(InputError, match="rule of the binning is 'round'"):
        heidelberg.load(folder, rule="round")
    (folder / "shd_valid.h5").write_bytes((folder / "shd_test.h5").read_bytes())
    (folder / "other_valid.h5").write_bytes((folder / "shd_test.h5").read_bytes())
    with pytest.raises(InputError, match=r"valid file in .* is \['other_valid.h5', 'shd_valid.h5'\]; expected one"):
        heidelberg.load(folder)


# --- who is held out -------------------------------------------------------------------------------------------------


@given(trials=st.integers(2, 300), fraction=st.floats(0.01, 0.99), seed=st.integers(0, 20))
def test_held_out_trials(trials, fraction, seed):
    expected = max(1, round(fraction * trials))
    if expected >= trials:
        with pytest.raises(InputError, match=f"trials of the training file is {trials}; expected more than the"):
            held_out_trials(trials, fraction, np.random.default_rng(seed))
        return
    held = held_out_trials(trials, fraction, np.random.default_rng(seed))
    assert held.shape == (trials,)
    assert held.sum() == expected
    np.testing.assert_array_equal(held, held_out_trials(trials, fraction, np.random.default_rng(seed)))


def test_every_trial_is_held_out_as_often():
    often = sum(held_out_trials(10, 0.3, np.random.default_rng(seed)).astype(int) for seed in range(2000))
    # Binomial: 600 +- 20.5; five standard deviations.
    assert np.all(np.abs(often - 600) < 103)


@given(speakers=st.integers(1, 5), seed=st.integers(0, 20))
def test_held_out_speakers(speakers, seed):
    speaker = np.random.default_rng(9).integers(0, 6, 50) * 3
    held = held_out_speakers(speaker, speakers, np.random.default_rng(seed))
    assert len(set(speaker[held])) == speakers
    assert set(speaker[held]).isdisjoint(speaker[~held])


def test_what_cannot_be_held_out_is_named():
    rng = np.random.default_rng(0)
    for fraction in (0, 1, np.nan, "half"):
        with pytest.raises(InputError, match="validation_fraction"):
            held_out_trials(10, fraction, rng)
    for speakers in (0, 2, 1.0):
        with pytest.raises(InputError, match="validation_speakers"):
            held_out_speakers(np.array([0, 1]), speakers, rng)
    with pytest.raises(InputError, match="rng"):
        held_out_trials(10, 0.5, 3)


def test_files_that_number_classes_differently_are_refused(tmp_path):
    # Protects labels: a folder of sounds that lacks a word numbers the words after it otherwise.
    layout.write(tmp_path / "train.h5", [[0.1]] * 6, [[1]] * 6, [0, 1, 2] * 2, keys=["one", "three", "two"])
    layout.write(tmp_path / "test.h5", [[0.1]] * 2, [[1]] * 2, [0, 1], keys=["one", "two"])
    with pytest.raises(InputError, match=r"names of the classes of the test file.*--classes"):
        heidelberg.load(tmp_path)
    layout.write(tmp_path / "test.h5", [[0.1]] * 2, [[1]] * 2, [0, 1], keys=["one", "three"])
    assert heidelberg.load(tmp_path).classes == 3
