"""Generated tasks need the timescales they state: an observer who remembers as long solves them, a forgetful one fails.

Observers are written from the documented models, not from the code of the tasks.
"""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.special import expit
from scipy.stats import binom

from cortexsnn.datasets.tasks import LOADERS, Accumulation, DelayedMatch, Parity, digits, mts_xor
from cortexsnn.datasets.tasks.trials import balanced, three_splits, whole_steps
from cortexsnn.errors import InputError

TRIALS = 600
NOISE = 0.01  # of 1 Hz in 10 ms
CHANCE_OF = {rate: 1 - (1 - rate) * (1 - NOISE) for rate in (0.0, 0.2, 0.6)}
GENERATED = ("delayed_match", "parity", "accumulation")


def at_chance(right):
    """Whether decisions (trial, step) are right as often as by tossing coins; steps of a trial hang together."""
    mean = right.mean()
    return abs(mean - 0.5) < 4 * 0.5 / np.sqrt(len(right))


def spikes_of_groups(counts, groups):
    """Spikes of each group of channels, shape (trial, step, group)."""
    return counts.reshape(*counts.shape[:2], groups, -1).sum(axis=3)


def high_against_low(spikes, channels):
    """Log-likelihood ratio of 'all channels at 0.6' over 'all at 0.2', noise included."""
    high, low = CHANCE_OF[0.6], CHANCE_OF[0.2]
    return spikes * np.log(high / low) + (channels - spikes) * np.log((1 - high) / (1 - low))


def seen(evidence, first, last, now, memory):
    """Evidence of the steps from first to last (excluded) that an observer with so many steps of memory has at now."""
    start, stop = max(first, now - memory + 1), min(last, now + 1)
    return evidence[:, start:stop].sum(axis=1) if stop > start else np.zeros_like(evidence[:, 0])


# --- Ideal observers of delayed match to sample -----------------------------------------------------------------


def match_observer(counts, task, memory, sample_start):
    """Exact Bayesian answers in the steps of the test stimulus, from the last `memory` steps; delays of one length."""
    stimulus = round(task.stimulus_ms / 10)
    evidence = high_against_low(spikes_of_groups(counts, task.stimuli), task.channels_per_group)
    answers = []
    for now in range(task.steps - stimulus, task.steps):
        sample = np.exp(seen(evidence, sample_start, sample_start + stimulus, now, memory))
        probe = np.exp(seen(evidence, task.steps - stimulus, task.steps, now, memory))
        both = (sample * probe).sum(axis=1)
        different = (sample.sum(axis=1) * probe.sum(axis=1) - both) / (task.stimuli - 1)
        answers.append(both > different * (1 + 1e-9))
    return np.stack(answers, axis=1)


@pytest.mark.parametrize("delay_ms", [200, 500])
def test_delayed_match_needs_memory_as_long_as_its_delay(delay_ms):
    task = DelayedMatch(delay_ms=delay_ms)
    split = task.generate(TRIALS, np.random.default_rng(1))
    labels = split.labels[:, task.scored_steps()] == 1
    delay, stimulus = round(task.timescales_ms["longest_delay"] / 10), round(task.timescales_ms["stimulus"] / 10)
    assert delay * 10 == delay_ms
    whole_trial = match_observer(split.counts, task, task.steps, 0) == labels
    assert whole_trial.mean() > 0.98
    assert whole_trial[:, 3:].mean() > 0.995
    spanning_the_delay = match_observer(split.counts, task, delay + stimulus, 0) == labels
    assert spanning_the_delay[:, 1:-2].mean() > 0.97
    assert at_chance(match_observer(split.counts, task, delay, 0) == labels)
    assert at_chance(match_observer(split.counts, task, 1, 0) == labels)


def test_a_leaky_memory_as_slow_as_the_delay_solves_delayed_match():
    # Protects the stated timescale as a time constant: traces of spikes that fade with the delay still tell the sample.
    task = DelayedMatch(delay_ms=500)
    split = task.generate(TRIALS, np.random.default_rng(2))
    spikes = spikes_of_groups(split.counts, 4)
    probe = spikes[:, -10:].sum(axis=1).argmax(axis=1)
    right = {}
    for tau_ms in (500, 50):
        trace = (spikes[:, :-10] * np.exp(-np.arange(59, -1, -1) * 10 / tau_ms)[:, None]).sum(axis=1)
        right[tau_ms] = (trace.argmax(axis=1) == probe) == (split.labels[:, -1] == 1)
    assert right[500].mean() > 0.98
    assert right[50].mean() < 0.6


def test_delayed_match_draws_every_delay_between_the_two():
    task = DelayedMatch(delay_ms=(100, 300), noise_hz=0.0)
    split = task.generate(TRIALS, np.random.default_rng(3))
    assert task.timescales_ms == {"stimulus": 100.0, "shortest_delay": 100.0, "longest_delay": 300.0}
    first = split.counts.any(axis=2).argmax(axis=1)
    # Without noise nothing fires before the sample; 40 channels of which none fires in the first step are rare.
    assert set(first.tolist()) >= set(range(21))
    assert np.bincount(first, minlength=21)[:21].min() > TRIALS / 21 / 3
    assert first.max() <= 21
    assert not split.counts[:, 30:40].any()


def test_delayed_match_labels_and_rates():
    task = DelayedMatch()
    split = task.generate(TRIALS, np.random.default_rng(4))
    assert split.counts.shape == (TRIALS, 70, 40)
    assert (split.counts.dtype, split.labels.dtype, int(split.counts.max())) == (np.uint8, np.int64, 1)
    np.testing.assert_array_equal(np.flatnonzero(task.scored_steps()), np.arange(60, 70))
    assert not split.labels[:, :60].any()
    assert np.all(split.labels[:, 60:] == split.labels[:, 60:61])
    assert split.labels[:, 69].sum() == TRIALS / 2

    spikes = spikes_of_groups(split.counts, 4)
    sample, probe = spikes[:, :10].sum(axis=1).argmax(axis=1), spikes[:, 60:].sum(axis=1).argmax(axis=1)
    np.testing.assert_array_equal(split.labels[:, 69], sample == probe)
    assert np.all(np.bincount(sample, minlength=4) > TRIALS / 4 * 0.7)
    for same in (True, False):
        assert np.all(np.bincount(probe[(sample == probe) == same], minlength=4) > TRIALS / 8 * 0.7)
    shown = spikes[np.arange(TRIALS), :10, sample]
    assert within_binomial_bounds(shown, shown.size * 10, CHANCE_OF[0.6])
    assert within_binomial_bounds(spikes[:, :10].sum() - shown.sum(), TRIALS * 10 * 30, CHANCE_OF[0.2])
    assert within_binomial_bounds(spikes[:, 10:60], TRIALS * 50 * 40, NOISE)


def within_binomial_bounds(spikes, chances, probability):
    """Whether the number of spikes is within the central 99.99 % of a binomial distribution."""
    low, high = binom.interval(0.9999, chances, probability)
    return low <= np.sum(spikes) <= high


# --- Ideal observers of parity ----------------------------------------------------------------------------------


def parity_observer(counts, task, memory):
    """Exact Bayesian answers in all scored steps, from the last `memory` steps."""
    evidence = high_against_low(counts.sum(axis=2), counts.shape[2])
    period, gap = round((task.pulse_ms + task.gap_ms) / 10), round(task.gap_ms / 10)
    answers = []
    for now in range((task.last - 1) * period, task.steps):
        if now % period < gap:
            continue
        counted = range(now // period - task.last + 1, now // period + 1)
        of_pulses = [seen(evidence, p * period + gap, (p + 1) * period, now, memory) for p in counted]
        even = np.prod([1 - 2 * expit(ratio) for ratio in of_pulses], axis=0)
        answers.append(even < 0)
    return np.stack(answers, axis=1)


@pytest.mark.parametrize(("last", "pulses"), [(2, 5), (3, 6), (5, 5)])
def test_parity_needs_memory_of_all_pulses_that_count(last, pulses):
    task = Parity(last=last, pulses=pulses)
    split = task.generate(TRIALS, np.random.default_rng(5))
    labels = split.labels[:, task.scored_steps()] == 1
    memory, pulse = (round(task.timescales_ms[name] / 10) for name in ("memory", "pulse"))
    assert memory == (last - 1) * 10
    assert (parity_observer(split.counts, task, memory + pulse) == labels).mean() > 0.99
    assert at_chance(parity_observer(split.counts, task, memory - pulse) == labels)
    assert at_chance(parity_observer(split.counts, task, 1) == labels)


def test_parity_of_the_last_pulses_forgets_those_before():
    # Protects the second half of the timescale: memory of a pulse too many is wrong half of the time.
    split = Parity(last=3, pulses=6).generate(TRIALS, np.random.default_rng(6))
    high = high_against_low(split.counts.sum(axis=2), 20).reshape(TRIALS, 6, 10)[..., 4:].sum(axis=2) > 0
    for period in range(6):
        counted = high[:, max(0, period - 2) : period + 1].sum(axis=1) % 2
        assert np.all(split.labels[:, 10 * period : 10 * period + 10] == counted[:, None])
    assert at_chance((high[:, -4:].sum(axis=1) % 2 == split.labels[:, -1])[:, None])
    assert split.labels[:, -1].sum() == TRIALS / 2


def test_parity_at_the_end_has_one_label_a_trial():
    per_step = Parity(last=4, pulses=4).generate(50, np.random.default_rng(7))
    task = Parity(last=4, pulses=4, answer="end")
    at_end = task.generate(50, np.random.default_rng(7))
    np.testing.assert_array_equal(at_end.counts, per_step.counts)
    np.testing.assert_array_equal(at_end.labels, per_step.labels[:, -1])
    assert (task.decoder, task.scored_steps()) == ("sum_of_softmax", None)
    assert Parity().decoder == "per_step"


def test_parity_scores_pulses_from_the_first_that_completes_them():
    scored = np.flatnonzero(Parity(last=2, pulses=3, pulse_ms=30, gap_ms=20).scored_steps())
    assert scored.tolist() == [7, 8, 9, 12, 13, 14]


def test_parity_is_silent_in_the_gaps_without_noise():
    counts = Parity(noise_hz=0.0).generate(20, np.random.default_rng(8)).counts.reshape(20, 6, 10, 20)
    assert not counts[:, :, :4].any()
    assert counts[:, :, 4:].any(axis=(2, 3)).all()


# --- Ideal observers of accumulation ----------------------------------------------------------------------------


def evidence_of_spikes(counts, sample_steps, evidence_steps):
    """Expected evidence of both streams in every step, given the spikes of its sample."""
    spikes = spikes_of_groups(counts[:, :evidence_steps], 4)
    ratio = high_against_low(spikes[..., 0::2], 10) - high_against_low(spikes[..., 1::2], 10)
    samples = ratio.reshape(len(counts), -1, sample_steps, 2).sum(axis=2)
    return np.repeat(np.tanh(samples / 2), sample_steps, axis=1)


def integrate(evidence, tau_ms):
    """Leaky integral at the end, in units of its standard deviation."""
    integral = evidence @ np.exp(-np.arange(evidence.shape[1] - 1, -1, -1) * 10 / tau_ms)
    return integral / integral.std()


def test_accumulation_is_best_with_its_own_two_time_constants():
    task = Accumulation(fast_ms=50, slow_ms=500)
    assert task.timescales_ms == {"fast": 50.0, "slow": 500.0}
    split = task.generate(4000, np.random.default_rng(9))
    fast, slow = np.moveaxis(evidence_of_spikes(split.counts, 2, 100), 2, 0)
    taus = (10, 50, 150, 500, 1500)
    right = {
        (a, b): ((integrate(fast, a) + integrate(slow, b) > 0) == (split.labels[:, -1] == 1)).mean()
        for a in taus
        for b in taus
    }
    assert max(right, key=right.get) == (50, 500)
    assert right[50, 500] > 0.97
    # One timescale for both is not enough; the formula of the docstring says how far it takes.
    for tau in taus:
        assert right[tau, tau] < 0.85
        expected = np.mean([2 * np.sqrt(tau * own) / (tau + own) for own in (50, 500)])
        if 50 <= tau <= 150:
            assert right[tau, tau] == pytest.approx(0.5 + np.arcsin(expected) / np.pi, abs=0.05)
    # Nor is one of the streams: its correlation with the sum of both is sqrt(1/2).
    for only in (integrate(fast, 50), integrate(slow, 500)):
        assert ((only > 0) == (split.labels[:, -1] == 1)).mean() == pytest.approx(0.75, abs=0.03)


def test_a_leaky_integrator_of_spikes_answers_and_a_fast_one_has_forgotten():
    split = Accumulation().generate(2000, np.random.default_rng(10))
    spikes = spikes_of_groups(split.counts, 4).astype(float)
    labels = split.labels[:, -1] == 1
    for_and_against = spikes[..., 0::2] - spikes[..., 1::2]
    at_end = for_and_against[:, :100]
    assert ((integrate(at_end[..., 0], 50) + integrate(at_end[..., 1], 500) > 0) == labels).mean() > 0.85
    # The answer ends 50 ms after the evidence: five time constants of this one.
    forgot = integrate(for_and_against[..., 0], 10) + integrate(for_and_against[..., 1], 10)
    assert ((forgot > 0) == labels).mean() < 0.6


def test_accumulation_labels_are_the_running_answer():
    # Protects what is trained on before the answer: the answer if the evidence ended there.
    task = Accumulation(slow_weight=1.0, slow_ms=200, evidence_ms=400, sample_ms=50, answer_ms=30, noise_hz=0.0)
    split = task.generate(300, np.random.default_rng(11))
    assert split.counts.shape == (300, 43, 40)
    np.testing.assert_array_equal(np.flatnonzero(task.scored_steps()), [40, 41, 42])
    spikes = spikes_of_groups(split.counts, 4)
    samples = np.sign(spikes[:, :40, 2] - spikes[:, :40, 3].astype(int)).reshape(300, 8, 5).sum(axis=2)
    clear = np.all(samples != 0, axis=1)
    evidence = np.repeat(np.sign(samples), 5, axis=1)[clear]
    for step in (0, 4, 17, 39):
        z = evidence[:, : step + 1] @ np.exp(-np.arange(step, -1, -1) * 10 / 200)
        assert ((z > 0) == (split.labels[clear, step] == 1)).mean() > 0.99
    assert np.all(split.labels[:, 39:] == split.labels[:, 39:40])
    assert split.labels[:, -1].sum() == 150
    assert not split.counts[:, 40:].any()
    assert spikes[:, :40, :2].any()


# --- What all have in common ------------------------------------------------------------------------------------


@pytest.mark.torch
@pytest.mark.parametrize("name", [*GENERATED, "mts_xor"])
def test_the_spikes_of_the_very_step_say_nothing(name):
    # Protects 'this task needs memory', with the control that every training run is compared with.
    pytest.importorskip("torch")
    from cortexsnn.training.control import memoryless_control

    data = LOADERS[name](seed=2, train=1500, validation=1000, test=1)
    found = memoryless_control(data.train, data.validation, data.classes, data.scored_steps)
    assert found == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mts_xor", {"noise": 0.05}),
        ("delayed_match", {"delay_ms": (100, 400), "stimuli": 3}),
        ("delayed_match", {"delay_ms": 300, "dt_ms": 5.0}),
        ("parity", {"last": 2, "pulses": 4, "answer": "end"}),
        ("accumulation", {"slow_ms": 200, "channels_per_group": 3, "noise_hz": 5}),
    ],
)
def test_a_description_makes_the_same_data_again(name, options):
    # Protects evaluation of a trained network: it has nothing but this description, in JSON.
    data = LOADERS[name](seed=5, train=6, validation=4, test=3, **options)
    described = json.loads(json.dumps(data.description))
    assert described.pop("name") == data.name == name
    timescales = described.pop("timescales_ms")
    assert timescales
    assert all(isinstance(value, float) and value > 0 for value in timescales.values())
    again = LOADERS[name](**described)
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(again, part).counts, getattr(data, part).counts)
        np.testing.assert_array_equal(getattr(again, part).labels, getattr(data, part).labels)
    assert again.description == data.description


@pytest.mark.parametrize("name", GENERATED)
def test_splits_are_independent_of_one_another(name):
    first = LOADERS[name](seed=3, train=20, validation=20, test=20)
    larger = LOADERS[name](seed=3, train=30, validation=20, test=20)
    other = LOADERS[name](seed=4, train=20, validation=20, test=20)
    np.testing.assert_array_equal(first.test.counts, larger.test.counts)
    np.testing.assert_array_equal(first.validation.counts, larger.validation.counts)
    for different in (first.validation, first.test, other.train):
        assert not np.array_equal(first.train.counts, different.counts)


def test_spikes_do_not_depend_on_how_many_are_drawn_at_once(monkeypatch):
    whole = Parity().generate(7, np.random.default_rng(1)).counts
    monkeypatch.setattr("cortexsnn.datasets.tasks.trials._SPIKES_AT_ONCE", 1)
    np.testing.assert_array_equal(Parity().generate(7, np.random.default_rng(1)).counts, whole)


def test_rates_are_the_same_at_any_time_step():
    for dt_ms in (10.0, 1.0):
        task = Parity(last=1, pulses=1, pulse_ms=100, gap_ms=100, low_hz=30, high_hz=80, noise_hz=20, dt_ms=dt_ms)
        split = task.generate(400, np.random.default_rng(12))
        on = split.counts[:, split.counts.shape[1] // 2 :]
        for label, rate_hz in ((0, 30), (1, 80)):
            mean_hz = on[split.labels[:, -1] == label].mean() / dt_ms * 1000
            assert mean_hz == pytest.approx(rate_hz + 20 - rate_hz * 20 * dt_ms / 1000, rel=0.03)
        assert split.counts[:, : split.counts.shape[1] // 2].mean() / dt_ms * 1000 == pytest.approx(20, rel=0.03)


@given(trials=st.integers(1, 60), classes=st.integers(1, 7), seed=st.integers(0, 1000))
def test_balanced_answers(trials, classes, seed):
    found = np.bincount(balanced(trials, classes, np.random.default_rng(seed)), minlength=classes)
    assert found.sum() == trials
    assert found.max() - found.min() <= 1


@given(steps=st.integers(1, 10_000), dt_ms=st.sampled_from([0.1, 0.24, 1.0, 3.0, 10.0, 1000 / 784]))
def test_whole_steps_survive_rounding(steps, dt_ms):
    assert whole_steps("delay_ms", steps * dt_ms, dt_ms) == steps
    with pytest.raises(InputError, match=r"delay_ms is .*; expected a multiple of the time step"):
        whole_steps("delay_ms", (steps + 0.5) * dt_ms, dt_ms)


def test_numbers_of_mts_xor_have_not_moved():
    # Protects every result on this task: sums of positions of spikes and labels of a release before the move.
    split = mts_xor.generate(16, np.random.default_rng(0))
    assert (int(split.counts.sum()), int(split.labels.sum())) == (SPIKES, LABELS)
    assert int(np.flatnonzero(split.counts).sum()) == PLACES
    loaded = mts_xor.load(seed=7, train=4, validation=4, test=4)
    rng = np.random.default_rng(7).spawn(3)[1]
    np.testing.assert_array_equal(loaded.validation.counts, mts_xor.generate(4, rng).counts)


SPIKES, LABELS, PLACES = 9503, 690, 319674418


@pytest.mark.parametrize(
    ("task", "options", "message"),
    [
        (DelayedMatch, {"delay_ms": -10}, "delay_ms is -10; expected a multiple"),
        (DelayedMatch, {"delay_ms": 15}, "delay_ms is 15; expected a multiple of the time step of 10 ms"),
        (DelayedMatch, {"delay_ms": (300, 200)}, "delay_ms is .*in this order"),
        (DelayedMatch, {"delay_ms": (1, 2, 3)}, "delay_ms is .*one delay, or a shortest and a longest"),
        (DelayedMatch, {"delay_ms": "long"}, "delay_ms is 'long'; expected a finite number"),
        (DelayedMatch, {"delay_ms": float("nan")}, "delay_ms is nan"),
        (DelayedMatch, {"stimulus_ms": 0}, "stimulus_ms is 0"),
        (DelayedMatch, {"stimuli": 1}, "stimuli is 1; expected a whole number of at least 2"),
        (Parity, {"last": 0}, "last is 0"),
        (Parity, {"last": 4, "pulses": 3}, "pulses is 3; expected at least last = 4"),
        (Parity, {"pulse_ms": 0}, "pulse_ms is 0"),
        (Parity, {"gap_ms": -10}, "gap_ms is -10"),
        (Parity, {"answer": "never"}, "answer is 'never'; expected one of per_step, end"),
        (Accumulation, {"fast_ms": 0}, "fast_ms is 0"),
        (Accumulation, {"fast_ms": 600}, "fast_ms and slow_ms is .*shorter time constant first"),
        (Accumulation, {"slow_ms": float("inf")}, "slow_ms is inf"),
        (Accumulation, {"slow_weight": 1.5}, "slow_weight is 1.5; expected a number from 0 to 1"),
        (Accumulation, {"sample_ms": 30}, "evidence_ms is 1000.0; expected a multiple of sample_ms = 30"),
        (Accumulation, {"answer_ms": 0}, "answer_ms is 0"),
        (Parity, {"dt_ms": 0}, "dt_ms is 0"),
        (Parity, {"dt_ms": 20}, "high_hz is 60.0; expected at most 50 Hz"),
        (Parity, {"low_hz": 70}, "low_hz and high_hz is .*a lower and a higher rate"),
        (Parity, {"noise_hz": -1}, "noise_hz is -1"),
        (Parity, {"noise_hz": 101}, "noise_hz is 101; expected at most 100 Hz"),
        (Parity, {"channels_per_group": 0}, "channels_per_group is 0"),
    ],
)
def test_parameters_are_checked(task, options, message):
    with pytest.raises(InputError, match=message):
        task(**options)


@pytest.mark.parametrize("name", GENERATED)
def test_sizes_are_checked_before_anything_is_made(name):
    with pytest.raises(InputError, match="trials is 0"):
        LOADERS[name](train=0)
    with pytest.raises(InputError, match=r"trials is 10\*\*12|trials is 1000000000000; expected at most"):
        LOADERS[name](train=10**12)
    with pytest.raises(InputError, match="seed is -1"):
        LOADERS[name](seed=-1, train=1, validation=1, test=1)
    with pytest.raises(TypeError, match="colour"):
        LOADERS[name](colour="red")
    with pytest.raises(InputError, match="rng is 3"):
        three_splits(lambda trials, _: Parity().generate(trials, 3), 0, 1, 1, 1)


def test_a_task_can_be_varied():
    assert replace(DelayedMatch(), delay_ms=[100, 200]) == DelayedMatch(delay_ms=(100, 200))


# --- Digits -----------------------------------------------------------------------------------------------------


def latency(intensity, slot_steps):
    """As published for slots of 50 steps: 20 ln(x / (x - 0.2))."""
    x = intensity / 16
    return np.floor(20 / 50 * slot_steps * np.log(x / (x - 0.2))) if x > 0.2 else None


@pytest.mark.parametrize(("order", "slot_steps", "shape"),
                         [("static", 50, (50, 64)), ("rows", 10, (80, 8)), ("pixels", 5, (320, 1))])  # fmt: skip
def test_every_pixel_has_one_spike_at_its_latency(order, slot_steps, shape):
    rng = np.random.default_rng(13)
    images = rng.integers(0, 17, (3, 8, 8))
    counts = digits.encode(images, order=order, slot_steps=slot_steps)
    assert counts.shape == (3, *shape)
    expected = np.zeros_like(counts)
    for trial, row, column in np.ndindex(3, 8, 8):
        step = latency(images[trial, row, column], slot_steps)
        if step is not None:
            slot, channel = {"static": (0, 8 * row + column), "rows": (row, column), "pixels": (8 * row + column, 0)}[
                order
            ]
            expected[trial, slot * slot_steps + int(step), channel] = 1
    np.testing.assert_array_equal(counts, expected)


@given(intensity=st.floats(0, 16), slot_steps=st.integers(1, 60))
def test_brighter_pixels_are_never_later(intensity, slot_steps):
    image = np.zeros((1, 8, 8))
    image[0, 0, 0], image[0, 0, 1] = intensity, (intensity + 16) / 2
    counts = digits.encode(image, slot_steps=slot_steps)[0]
    assert counts.sum() == np.count_nonzero(image > 3.2)
    if counts[:, 0].any():
        assert counts[:, 1].argmax() <= counts[:, 0].argmax()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"images": np.zeros((8, 8))}, "shape of images"),
        ({"images": np.full((1, 8, 8), 17)}, "intensities of images"),
        ({"images": np.full((1, 8, 8), np.nan)}, "intensities of images"),
        ({"images": "nine"}, "images is 'nine'"),
        ({"order": "columns"}, "order is 'columns'; expected one of static, rows, pixels"),
        ({"slot_steps": 0}, "slot_steps is 0"),
        ({"slot_steps": 10**12}, "trials is 1; expected at most 0"),
    ],
)
def test_images_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        digits.encode(**{"images": np.zeros((1, 8, 8)), **options})


def test_digits_without_their_package_say_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "sklearn.datasets", None)
    with pytest.raises(InputError, match=r"pip install 'cortexsnn\[digits\]'"):
        digits.load()


@pytest.fixture(scope="module")
def images():
    return pytest.importorskip("sklearn.datasets", reason="needs the extra 'digits'").load_digits()


def test_splits_of_digits_are_stratified_and_share_no_image(images):
    data = digits.load(seed=1)
    sizes = [len(part) for part in (data.train, data.validation, data.test)]
    assert sizes == [1079, 359, 359]
    assert (data.classes, data.decoder, data.channels, data.scored_steps) == (10, "sum_of_softmax", 64, None)
    everything = np.concatenate([part.labels for part in (data.train, data.validation, data.test)])
    np.testing.assert_array_equal(np.sort(everything), np.sort(images.target))
    share = np.bincount(images.target) / 1797
    for part, size in zip((data.train, data.validation, data.test), sizes, strict=True):
        assert np.abs(np.bincount(part.labels, minlength=10) - share * size).max() < 3
    shown = np.concatenate([part.counts for part in (data.train, data.validation, data.test)])
    assert {c.tobytes() for c in shown} == {c.tobytes() for c in digits.encode(images.images)}
    small = digits.load(seed=1, train=40)
    np.testing.assert_array_equal(small.test.counts, data.test.counts)
    np.testing.assert_array_equal(small.train.counts, data.train.counts[:40])
    assert not np.array_equal(digits.load(seed=2).test.labels, data.test.labels)


def nearest_mean(data, steps=slice(None)):
    """Accuracy of the class whose mean spike train is nearest, seeing some steps only."""
    flat = {
        part: getattr(data, part).counts[:, steps].reshape(len(getattr(data, part)), -1) for part in ("train", "test")
    }
    means = np.stack([flat["train"][data.train.labels == label].mean(axis=0) for label in range(10)])
    distance = np.square(flat["test"][:, None, :] - means).sum(axis=2)
    return (distance.argmin(axis=1) == data.test.labels).mean()


def test_static_digits_need_no_memory_and_rows_need_all_of_theirs(images):
    # Protects the pair as a control: the same images, of which the last slot alone says little when shown in turn.
    static, rows = digits.load(), digits.load(order="rows", slot_ms=500)
    assert static.description["timescales_ms"] == {"slot": 500.0, "image": 500.0}
    assert rows.description["timescales_ms"] == {"slot": 500.0, "image": 4000.0}
    assert nearest_mean(static) > 0.8
    assert nearest_mean(rows) == pytest.approx(nearest_mean(static), abs=1e-9)
    assert nearest_mean(rows, slice(350, 400)) < 0.4


@pytest.mark.parametrize("order", ["static", "rows", "pixels"])
def test_description_of_digits_makes_them_again(images, order):
    data = digits.load(seed=4, train=30, validation=10, test=10, order=order)
    described = json.loads(json.dumps(data.description))
    del described["name"], described["timescales_ms"]
    again = digits.load(**described)
    np.testing.assert_array_equal(again.test.counts, data.test.counts)
    assert again.description == data.description
    assert data.dt_s == 0.01


def test_sizes_of_digits_are_checked(images):
    with pytest.raises(InputError, match=r"train, validation and test is .*1797 images at most"):
        digits.load(train=1500)
    for name in ("train", "validation", "test"):
        with pytest.raises(InputError, match=f"{name} is 0"):
            digits.load(**{name: 0})
    with pytest.raises(InputError, match="slot_ms is 15"):
        digits.load(slot_ms=15)
    with pytest.raises(InputError, match="order is 'spiral'"):
        digits.load(order="spiral")
