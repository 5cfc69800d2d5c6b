"""The memoryless control: chance where the task needs memory, right where counts tell all, the same on every call."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cortexsnn import datasets  # noqa: E402
from cortexsnn.datasets import Split  # noqa: E402
from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.training import control  # noqa: E402
from cortexsnn.training.control import memoryless_control  # noqa: E402

pytestmark = pytest.mark.torch


def trials(labels, rates, steps=20, seed=0):
    """Bernoulli trials whose channels fire at the rates of their class, shape of rates (class, channel)."""
    rng = np.random.default_rng(seed)
    chance = np.asarray(rates)[labels][:, None]
    return Split((rng.random((len(labels), steps, chance.shape[2])) < chance).astype(np.uint8), labels)


def test_xor_over_time_is_at_chance():
    # Protects the meaning of the control: the label needs a cue that is over, and an XOR.
    data = datasets.load("mts_xor", seed=1, train=1024, validation=512, test=1)
    assert memoryless_control(data.train, data.validation, 2, data.scored_steps) == pytest.approx(0.5, abs=0.05)


def test_counts_of_the_very_step():
    # Protects the alignment of steps and labels: the label is which channel fires now.
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 3, (40, 30))
    split = Split(np.eye(3, dtype=np.uint8)[labels], labels)
    assert memoryless_control(split, split, 3) == 1.0
    late = Split(np.roll(split.counts, 1, axis=1), labels)
    assert memoryless_control(late, late, 3) < 0.45


def test_only_scored_steps_count():
    labels = np.random.default_rng(0).integers(0, 2, (200, 10))
    split = Split(np.eye(2, dtype=np.uint8)[labels], labels)
    split.counts[:, 5:] = 0
    scored = np.arange(10) < 5
    assert memoryless_control(split, split, 2, scored) == 1.0
    assert memoryless_control(split, split, 2) < 0.85
    assert memoryless_control(split, split, 2, ~scored) < 0.6


def test_trials_are_summed_over_time():
    labels = np.arange(400) % 4
    rates = 0.2 + 0.4 * np.eye(4)
    train, validation = trials(labels, rates), trials(labels, rates, seed=1)
    found = memoryless_control(train, validation, 4)
    assert found > 0.9
    # Neither the order of the steps matters, nor which of them are scored.
    backwards = Split(train.counts[:, ::-1], labels)
    assert memoryless_control(backwards, validation, 4, np.zeros(20, dtype=bool)) == found


def test_sums_of_large_counts_do_not_overflow():
    labels = np.arange(100) % 2
    split = Split(np.broadcast_to(128 * labels.astype(np.uint8)[:, None, None], (100, 2, 1)), labels)
    assert memoryless_control(split, split, 2) == 1.0


def test_order_within_a_trial_tells_nothing():
    # Protects against a control that sees time: two classes that differ by order alone.
    labels = np.arange(400) % 2
    counts = np.zeros((400, 20, 2), dtype=np.uint8)
    counts[labels == 0, :10, 0] = counts[labels == 0, 10:, 1] = 1
    counts[labels == 1, 10:, 0] = counts[labels == 1, :10, 1] = 1
    split = Split(counts, labels)
    assert memoryless_control(split, split, 2) == 0.5


def test_the_best_decoder_is_found():
    # Protects the optimiser: logistic regression is the optimal decoder of Bernoulli counts with known rates.
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.2, 0.4, (3, 6))
    train, validation = (trials(rng.integers(0, 3, 4000), rates, seed=seed) for seed in (1, 2))
    counts = validation.counts.sum(axis=1, dtype=np.int64)
    logits = counts @ np.log(rates).T + (20 - counts) @ np.log(1 - rates).T
    optimal = float(np.mean(logits.argmax(axis=1) == validation.labels))
    assert 0.5 < optimal < 0.95
    assert memoryless_control(train, validation, 3) == pytest.approx(optimal, abs=0.015)


def test_a_small_difference_of_two_channels_is_found():
    # Protects against an optimiser that stops early, or a ridge that is not weak.
    rng = np.random.default_rng(0)
    labels, common = rng.integers(0, 2, 2000), rng.integers(0, 40, 2000)
    counts = np.stack([common + labels, common], axis=1).astype(np.uint8)[:, None]
    assert memoryless_control(Split(counts, labels), Split(counts, labels), 2) == 1.0


def test_silent_and_constant_channels_do_no_harm():
    labels = np.arange(100) % 2
    split = trials(labels, [[0.1, 0.0, 1.0], [0.9, 0.0, 1.0]])
    assert memoryless_control(split, split, 2) == 1.0
    # A channel that only the validation split knows was given no weight.
    other = Split(split.counts.copy(), labels)
    other.counts[:, :, 1] = 1
    assert memoryless_control(split, other, 2) == 1.0
    silent = Split(np.zeros((10, 5, 3), dtype=np.uint8), (np.arange(10) > 2).astype(np.int64))
    assert memoryless_control(silent, silent, 2) == 0.7  # the more frequent class


def test_the_control_is_the_same_on_every_call():
    rng = np.random.default_rng(0)
    rates = rng.uniform(0.2, 0.3, (3, 6))
    train, validation = (trials(rng.integers(0, 3, 300), rates, seed=seed) for seed in (1, 2))
    torch.manual_seed(1)
    np.random.seed(1)  # noqa: NPY002
    first = memoryless_control(train, validation, 3, most_rows=100)
    torch.manual_seed(2)
    np.random.seed(2)  # noqa: NPY002
    expected = torch.rand(1)
    torch.manual_seed(2)
    assert memoryless_control(train, validation, 3, most_rows=100) == first
    assert torch.equal(torch.rand(1), expected)


def test_drawn_rows_hold_every_class():
    # Protects against labels that take turns, of which every tenth is the same.
    labels = np.arange(5000) % 10
    split = trials(labels, 0.1 + 0.8 * np.eye(10))
    assert memoryless_control(split, split, 10, most_rows=500) > 0.95


def test_a_long_validation_split_is_scored_in_parts(monkeypatch):
    labels = np.arange(100) % 2
    split = trials(labels, [[0.45, 0.55], [0.55, 0.45]])
    whole = memoryless_control(split, split, 2)
    assert 0.5 < whole < 1
    monkeypatch.setattr(control, "_ROWS_AT_ONCE", 33)
    assert memoryless_control(split, split, 2) == whole


def test_splits_are_left_as_they_are():
    split = trials(np.arange(50) % 2, [[0.1], [0.9]])
    before = split.counts.copy()
    memoryless_control(split, split, 2)
    np.testing.assert_array_equal(split.counts, before)


def test_what_cannot_be_learned_is_refused():
    labels = np.arange(20) % 3
    split = trials(labels, [[0.1], [0.5], [0.9]])
    with pytest.raises(InputError, match=r"labels of the training split is \(0, 2\); expected classes from 0 to 1"):
        memoryless_control(split, split, 2)
    with pytest.raises(InputError, match="scored steps or trials of the validation split is 0; expected at least one"):
        memoryless_control(split, split.take(slice(0)), 3)
    steps = Split(split.counts, np.zeros((20, 20), dtype=np.int64))
    with pytest.raises(InputError, match="scored steps or trials of the training split is 0"):
        memoryless_control(steps, steps, 2, np.zeros(20, dtype=bool))
    with pytest.raises(InputError, match="most_rows is 0; expected at least 1"):
        memoryless_control(split, split, 3, most_rows=0)


@pytest.mark.data
def test_spoken_digits(speech_folder):
    # Protects the yardstick of the speech results: far above 10 %, and far below what a network can reach.
    data = datasets.load(speech_folder, channels_per_group=5)
    assert 0.5 < memoryless_control(data.train, data.validation, data.classes) < 0.65
