"""Augmentations by their formulas: what moves, what is lost, how often, and that nothing else changes."""

from dataclasses import asdict, replace

import numpy as np
import pytest
from scipy import stats

from cortexsnn.datasets.augmentation import (
    AUGMENTATIONS,
    BackgroundNoise,
    ChannelShift,
    SpikeDropout,
    TimeJitter,
    augment,
)
from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.datasets.spike_trials import SpikeTrials
from cortexsnn.errors import InputError

DT_S = 0.01


def shift(counts, given, rng):
    return given.apply(counts, DT_S, rng)


# --- what all have in common ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "one", [ChannelShift(2, 1), TimeJitter(0.02), SpikeDropout(0.3), BackgroundNoise(20.0)], ids=lambda one: one.kind
)
def test_the_given_batch_is_left_alone_and_a_seed_says_it_all(one):
    counts = np.random.default_rng(0).integers(0, 4, (6, 15, 8)).astype(np.uint8)
    before = counts.copy()
    changed, again = (one.apply(counts, DT_S, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(counts, before)
    np.testing.assert_array_equal(changed, again)
    assert (changed.shape, changed.dtype) == (counts.shape, np.uint8)
    assert not np.array_equal(changed, counts)
    assert not np.array_equal(changed, one.apply(counts, DT_S, np.random.default_rng(4)))
    assert one.apply(counts[:0], DT_S, np.random.default_rng(0)).shape == (0, 15, 8)
    # A view with its axes in another order is a batch like any other.
    turned = np.ascontiguousarray(counts.transpose(2, 1, 0)).transpose(2, 1, 0)
    np.testing.assert_array_equal(one.apply(turned, DT_S, np.random.default_rng(3)), changed)
    assert AUGMENTATIONS[one.kind](**asdict(one)) == one


@pytest.mark.parametrize(
    "none", [ChannelShift(0, 0), TimeJitter(0.0), SpikeDropout(0.0), BackgroundNoise(0.0)], ids=lambda one: one.kind
)
def test_at_zero_nothing_changes(none):
    counts = np.random.default_rng(0).integers(0, 255, (3, 5, 4)).astype(np.uint8)
    np.testing.assert_array_equal(none.apply(counts, DT_S, np.random.default_rng(0)), counts)


def test_several_are_applied_one_after_another():
    counts = np.random.default_rng(0).integers(0, 4, (6, 15, 8)).astype(np.uint8)
    rng = np.random.default_rng(5)
    expected = SpikeDropout(0.5).apply(ChannelShift(2, 0).apply(counts, DT_S, rng), DT_S, rng)
    found = augment(counts, (ChannelShift(2, 0), SpikeDropout(0.5)), DT_S, np.random.default_rng(5))
    np.testing.assert_array_equal(found, expected)
    rng = np.random.default_rng(5)
    assert augment(counts, None, DT_S, rng) is counts
    assert augment(counts, (), DT_S, rng) is counts
    assert rng.random() == np.random.default_rng(5).random()


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (ChannelShift, {"mean": -1.0}, "mean of the channel shift is -1.0"),
        (ChannelShift, {"sd": "wide"}, "sd of the channel shift is 'wide'"),
        (TimeJitter, {"sd_s": -0.1}, "sd_s of the time jitter is -0.1"),
        (TimeJitter, {"sd_s": float("nan")}, "sd_s of the time jitter is nan"),
        (SpikeDropout, {"probability": 1.1}, "probability of the spike dropout is 1.1; expected a number from 0 to 1"),
        (SpikeDropout, {"probability": -0.1}, "probability of the spike dropout is -0.1"),
        (BackgroundNoise, {"rate_hz": float("inf")}, "rate_hz of the background noise is inf"),
    ],
)
def test_numbers_are_checked(kind, values, message):
    with pytest.raises(InputError, match=message):
        kind(**values)


def test_numbers_of_numpy_become_plain():
    assert asdict(TimeJitter(np.float32(0.5))) == {"sd_s": 0.5}
    assert type(ChannelShift(np.int64(3)).mean) is float


# --- channel shift ----------------------------------------------------------------------------------------------


def test_trials_are_shifted_up_or_down_and_filled_with_silence():
    rng = np.random.default_rng(0)
    counts = rng.integers(1, 200, (60, 4, 10)).astype(np.uint8)
    shifted = shift(counts, ChannelShift(3, 0), np.random.default_rng(1))
    directions = []
    for trial, original in zip(shifted, counts, strict=True):
        up = not trial[:, :3].any()
        directions.append(up)
        if up:
            np.testing.assert_array_equal(trial[:, 3:], original[:, :-3])
        else:
            assert not trial[:, -3:].any()
            np.testing.assert_array_equal(trial[:, :-3], original[:, 3:])
    assert 15 < sum(directions) < 45


def test_the_distance_of_a_shift_is_drawn_for_each_batch():
    # Protects the distribution: normal, rounded down, never negative, never further than the channels go.
    counts = np.ones((1, 1, 40), dtype=np.uint8)
    rng = np.random.default_rng(0)
    distances = [40 - int(shift(counts, ChannelShift(10, 3), rng).sum()) for _ in range(400)]
    assert np.mean(distances) == pytest.approx(9.5, abs=0.5)
    assert np.std(distances) == pytest.approx(3, abs=0.4)
    near_zero = [40 - int(shift(counts, ChannelShift(0, 3), rng).sum()) for _ in range(200)]
    assert near_zero.count(0) > 90
    assert max(near_zero) > 2
    assert shift(counts, ChannelShift(100, 0), rng).sum() == 0


def test_a_shift_draws_its_random_numbers_in_the_same_order_as_ever():
    # Protects the results of training with a seed: one normal number for the batch, then one for each trial.
    counts = np.eye(9, dtype=np.uint8)[[4] * 5][:, None]
    found = shift(counts, ChannelShift(3, 1), np.random.default_rng(8))
    rng = np.random.default_rng(8)
    distance = int(rng.normal(3, 1))
    upwards = rng.random(5) < 0.5
    np.testing.assert_array_equal(found.argmax(axis=2).ravel(), np.where(upwards, 4 + distance, 4 - distance))


# --- time jitter ------------------------------------------------------------------------------------------------


def test_jitter_keeps_trials_channels_and_spikes_that_stay_within():
    counts = np.zeros((4, 201, 5), dtype=np.uint8)
    counts[:, 100] = np.random.default_rng(0).integers(9, 50, (4, 5))
    moved = TimeJitter(0.1).apply(counts, DT_S, np.random.default_rng(1))
    np.testing.assert_array_equal(moved.sum(axis=1), counts[:, 100])
    assert (moved[:, 100] < counts[:, 100]).all()


def test_jitter_of_counts_is_that_of_times_before_binning():
    # Protects the formula against the thing itself: spikes anywhere in their steps, moved, then binned.
    rng = np.random.default_rng(0)
    number, sd_s = 200_000, 0.007
    times = 0.5 + DT_S * rng.random(number)
    moved = np.floor((times + rng.normal(0, sd_s, number)) / DT_S).astype(int)
    expected = np.bincount(moved, minlength=101)
    counts = np.zeros((number // 200, 101, 1), dtype=np.uint8)
    counts[:, 50] = 200
    found = TimeJitter(sd_s).apply(counts, DT_S, rng).sum(axis=(0, 2))
    there = expected > 50
    assert stats.chi2_contingency(np.stack([expected, found])[:, there]).pvalue > 1e-3
    assert found[~there].sum() < 300


def test_jitter_loses_what_leaves_the_trial_and_nothing_comes_back_elsewhere():
    # Protects against spikes that leave one trial or channel and turn up in the next.
    counts = np.zeros((3, 4, 2), dtype=np.uint8)
    counts[1, :, 0] = 100
    moved = TimeJitter(0.05).apply(counts, DT_S, np.random.default_rng(0))
    assert not moved[[0, 2]].any()
    assert not moved[1, :, 1].any()
    assert 0 < moved.sum() < 400
    assert TimeJitter(1e300).apply(counts, DT_S, np.random.default_rng(0)).sum() < 20


def test_jittered_counts_do_not_wrap_around():
    counts = np.zeros((1, 3, 1), dtype=np.uint8)
    counts[0, :2] = 255
    moved = TimeJitter(0.01).apply(counts, 0.01, np.random.default_rng(0))
    assert moved.sum() > 255
    stays = np.full((1, 2, 1), 255, dtype=np.uint8)
    assert {int(TimeJitter(0.003).apply(stays, 0.01, np.random.default_rng(s)).max()) for s in range(9)} <= {
        *range(180, 256)
    }


# --- dropout and noise ------------------------------------------------------------------------------------------


def test_dropout_keeps_each_spike_with_its_probability():
    counts = np.full((50, 40, 10), 20, dtype=np.uint8)
    counts[:, ::2] = 0
    left = SpikeDropout(0.3).apply(counts, DT_S, np.random.default_rng(0))
    assert not left[:, ::2].any()
    kept = left[:, 1::2].ravel()
    expected = len(kept) * stats.binom.pmf(np.arange(21), 20, 0.7)
    observed = np.bincount(kept, minlength=21)
    likely = expected > 5
    chi2 = ((observed - expected)[likely] ** 2 / expected[likely]).sum()
    assert stats.chi2.sf(chi2, likely.sum()) > 1e-3
    assert not SpikeDropout(1.0).apply(counts, DT_S, np.random.default_rng(0)).any()


@pytest.mark.parametrize("rate_hz", [0.5, 30.0, 300.0])
def test_noise_has_its_rate_in_every_channel(rate_hz):
    counts = np.ones((200, 100, 5), dtype=np.uint8)
    added = BackgroundNoise(rate_hz).apply(counts, DT_S, np.random.default_rng(0)).astype(int) - 1
    mean = rate_hz * DT_S
    for axis in ((0, 1), (0, 2)):
        each = added.mean(axis=axis)
        error = np.sqrt(mean / (added.size / each.size))
        assert np.abs(each - mean).max() < 4.5 * error
    assert added.var() == pytest.approx(mean, rel=0.05)
    # Trials differ in how many spikes they get, as a Poisson process does.
    assert added.sum(axis=(1, 2)).var() == pytest.approx(mean * 500, rel=0.35)


def test_noise_does_not_wrap_around():
    counts = np.full((2, 10, 10), 250, dtype=np.uint8)
    noisy = BackgroundNoise(2000.0).apply(counts, DT_S, np.random.default_rng(0))
    assert noisy.min() >= 250
    assert noisy.max() == 255


# --- where they are used ----------------------------------------------------------------------------------------


def test_lazy_batches_are_augmented_like_dense_ones():
    rng = np.random.default_rng(0)
    spikes = SpikeTrials.from_list(rng.random((9, 60)), rng.integers(0, 12, (9, 60)))
    counts = LazyCounts(spikes, Binning(steps=20, window_s=1.0, channels=12))
    several = tuple(kind() for kind in AUGMENTATIONS.values())
    batch = np.array([4, 1, 7])
    found = augment(counts[batch], several, 0.05, np.random.default_rng(2))
    np.testing.assert_array_equal(found, augment(np.asarray(counts)[batch], several, 0.05, np.random.default_rng(2)))


def test_training_takes_one_or_several():
    # Protects augmentation from being described and then forgotten: all spikes dropped is training on nothing.
    torch = pytest.importorskip("torch", reason="needs the extra 'train'")
    from cortexsnn import datasets
    from cortexsnn.training import Architecture, Protocol, fit, stack

    torch.set_num_threads(1)
    dataset = datasets.load("mts_xor", train=32, validation=8, test=8)
    architecture = Architecture(40, 2, stack((6,), tau_s=0.1), readout_tau_s=0.1, dt_s=DT_S)
    protocol = Protocol(epochs=1, batch_size=32)

    def loss(augmentation):
        given = replace(protocol, augmentation=augmentation)
        return fit(dataset, architecture, given, progress=False).history[0]["train_loss"]

    plain, nothing_left = loss(None), loss(SpikeDropout(1.0))
    assert nothing_left == pytest.approx(np.log(2), abs=1e-5)
    assert plain != pytest.approx(np.log(2), abs=1e-3)
    assert loss((TimeJitter(0.0), ChannelShift(0.0, 0.0))) != plain  # random numbers were drawn
    assert loss((TimeJitter(0.0), TimeJitter(0.0))) == loss(()) == plain
    assert loss((BackgroundNoise(50.0), SpikeDropout(1.0))) == pytest.approx(np.log(2), abs=1e-5)
    assert loss([TimeJitter(0.02)]) not in (plain, nothing_left)


def test_a_settings_file_can_name_them():
    pytest.importorskip("torch", reason="needs the extra 'train'")
    from cortexsnn.experiment import Experiment

    def described(augmentation):
        return Experiment.described({"protocol": {"augmentation": augmentation}}).training_protocol().augmentation

    assert described({"mean": 2}) == ChannelShift(mean=2.0)
    assert described({"kind": "channel_shift", "sd": 1.0}) == ChannelShift(sd=1.0)
    assert described({"kind": "time_jitter", "sd_s": 0.02}) == TimeJitter(0.02)
    assert described([{"kind": "spike_dropout", "probability": 0.2}, {"kind": "background_noise"}]) == (
        SpikeDropout(0.2), BackgroundNoise(),
    )  # fmt: skip
    assert described(None) is None
    for given, message in (
        ({"kind": "noise"}, "protocol.augmentation.kind is 'noise'; expected one of channel_shift, time_jitter"),
        ({"kind": "time_jitter", "sd": 1.0}, "protocol.augmentation.sd is 1.0; expected one of sd_s"),
        ({"kind": "time_jitter", "sd_s": "1"}, "protocol.augmentation.sd_s is '1'; expected a number"),
        ([{"kind": "time_jitter"}, 3], r"protocol.augmentation\[1\] is 3; expected a table"),
        (3, "protocol.augmentation is 3; expected a table"),
    ):
        with pytest.raises(InputError, match=message):
            described(given)
