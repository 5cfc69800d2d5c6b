"""Background input does not depend on how it is cut, for any size, rate, correlation and partition."""

import dataclasses
import itertools

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from cortexsnn.datasets import Background, background


@st.composite
def backgrounds(draw):
    channels, repeats = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    rates = draw(st.lists(st.floats(0.0, 900.0), min_size=channels, max_size=channels))
    made = background(
        channels,
        rate_hz=[*rates[:-1], 300.0],
        dt_s=0.001,
        duration_s=draw(st.integers(1, 60)) / 1000,
        rng=np.random.default_rng(draw(st.integers(0, 2**32 - 1))),
        trials=repeats * draw(st.integers(1, 3)),
        correlation=draw(st.sampled_from([0.0, 0.01, 0.5, 1.0])),
        repeats=repeats,
    )
    # Blocks of a few steps, so that pieces lie across them.
    return dataclasses.replace(made, block_steps=draw(st.integers(1, 20)))


def cuts(length):
    return st.lists(st.integers(0, length), max_size=6).map(lambda inner: [0, *sorted(inner), length])


def whole(noise):
    return noise.counts(range(noise.trials), range(noise.steps))


@given(backgrounds(), st.data())
def test_any_partition_gives_the_same_counts(noise, data):
    # Protects runs in parts, on any number of processes: the input may not depend on who asks for which piece.
    expected = whole(noise)
    trials, steps = data.draw(cuts(noise.trials)), data.draw(cuts(noise.steps))
    pieces = [
        (range(first, last), range(start, end))
        for first, last in itertools.pairwise(trials)
        for start, end in itertools.pairwise(steps)
    ]
    found = np.full_like(expected, 255)
    for rows, columns in data.draw(st.permutations(pieces)):
        found[rows.start : rows.stop, columns.start : columns.stop] = noise.counts(rows, columns)
    np.testing.assert_array_equal(found, expected)


@given(backgrounds(), st.integers(1, 50), st.integers(1, 3))
def test_longer_runs_begin_the_same(noise, more_steps, more_inputs):
    # Protects a run that is prolonged, or given more trials: what was simulated stays valid.
    longer = dataclasses.replace(
        noise, steps=noise.steps + more_steps, trials=noise.trials + more_inputs * noise.repeats
    )
    np.testing.assert_array_equal(longer.counts(range(noise.trials), range(noise.steps)), whole(noise))


@given(backgrounds())
def test_descriptions_make_the_same_counts(noise):
    again = Background.described(noise.describe())
    assert again == noise
    np.testing.assert_array_equal(whole(again), whole(noise))


@given(backgrounds())
def test_repeats_are_equal(noise):
    counts = whole(noise)
    np.testing.assert_array_equal(counts, np.repeat(counts[:: noise.repeats], noise.repeats, axis=0))
