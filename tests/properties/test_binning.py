"""Counts of spikes against a count by hand, for spikes and binnings that hypothesis finds."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.counting import counts_at
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.datasets.spike_trials import SpikeTrials
from cortexsnn.errors import InputError

KINDS = {"float16": 16, "float32": 32, "float64": 64}


@st.composite
def spikes(draw):
    """A kind of float, a binning, and trials of (time, unit)."""
    kind = draw(st.sampled_from(sorted(KINDS)))
    group = draw(st.integers(1, 4))
    rule = draw(st.sampled_from(["floor", "digitize"]))
    binning = Binning(
        steps=draw(st.integers(2, 30)),
        window_s=draw(st.sampled_from([0.1, 0.7, 1.0, 1.4, 2.0])),
        channels=group * draw(st.integers(1, 9)),
        channels_per_group=group,
        rule=rule,
    )
    # Edges of steps are where rounding shows.
    edges = np.arange(2 * binning.steps) * binning.dt_s
    times = st.one_of(st.floats(0, 4, width=KINDS[kind]), st.sampled_from(edges.tolist()))
    spike = st.tuples(times, st.integers(0, binning.channels - 1))
    trials = draw(st.lists(st.lists(spike, max_size=30), min_size=1, max_size=6))
    return kind, binning, trials


def made(kind, trials):
    return SpikeTrials.from_list(
        [np.array([time for time, _ in trial], dtype=kind) for trial in trials],
        [np.array([unit for _, unit in trial], dtype=np.uint16) for trial in trials],
    )


def by_hand(binning, kind, trials):
    """Counts and late spikes, one spike after another."""
    steps, groups = binning.shape
    counts, late = np.zeros((len(trials), steps, groups), dtype=int), 0
    edges = np.linspace(0, binning.window_s, steps)
    for number, trial in enumerate(trials):
        for time, unit in trial:
            time_s = float(np.array(time, dtype=kind))
            step = int(np.floor(time_s / (binning.window_s / steps)))
            if binning.rule == "digitize":
                step = int(np.digitize(time_s, edges))
            if step < steps:
                counts[number, step, unit // binning.channels_per_group] += 1
            else:
                late += 1
    return counts, late


@given(spikes(), st.data())
@settings(max_examples=150, deadline=None)
def test_lazy_counts_are_those_counted_by_hand(case, data):
    # Protects every way to the counts: as a whole, by any index, in batches, sparse, and of a part.
    kind, binning, trials = case
    expected, late = by_hand(binning, kind, trials)
    lazy = LazyCounts(made(kind, trials), binning)
    assert lazy.shape == expected.shape
    assert lazy.dropped == late
    assert lazy.sum() == expected.sum()
    assert lazy.max() == expected.max(initial=0)
    np.testing.assert_array_equal(np.asarray(lazy), expected)
    np.testing.assert_array_equal(np.concatenate([*lazy.batches(2)]), expected)
    np.testing.assert_array_equal(lazy.sparse().dense(), expected)

    order = data.draw(st.lists(st.integers(-len(trials), len(trials) - 1), max_size=8))
    part = lazy.take(order)
    np.testing.assert_array_equal(np.asarray(part), expected[order])
    np.testing.assert_array_equal(lazy[order], expected[order])
    assert part.dropped == sum(by_hand(binning, kind, [trials[index]])[1] for index in order)
    mask = np.array(data.draw(st.lists(st.booleans(), min_size=len(order), max_size=len(order))), dtype=bool)
    np.testing.assert_array_equal(np.asarray(part.take(mask)), expected[order][mask])


@given(spikes(), st.data())
@settings(max_examples=150, deadline=None)
def test_an_index_means_what_it_means_for_an_array(case, data):
    kind, binning, trials = case
    lazy = LazyCounts(made(kind, trials), binning)
    dense = np.asarray(lazy)
    number, steps, groups = dense.shape
    numbers = st.lists(st.integers(-number, number - 1), min_size=1, max_size=5).map(np.array)
    first = data.draw(
        st.one_of(
            st.slices(number), st.integers(-number, number - 1), numbers, numbers.map(lambda a: a.reshape(-1, 1)),
            st.lists(st.booleans(), min_size=number, max_size=number).map(lambda b: np.array(b, dtype=bool)),
            st.just(Ellipsis),
        )
    )  # fmt: skip
    second = data.draw(st.one_of(st.slices(steps), st.integers(0, steps - 1), st.none(), st.just(Ellipsis)))
    third = data.draw(st.one_of(st.slices(groups), st.integers(0, groups - 1)))
    keys = [first, (first,), (first, second) if first is not Ellipsis else (Ellipsis,)]
    if Ellipsis not in [k for k in (first, second) if not isinstance(k, np.ndarray)] and second is not None:
        keys.append((first, second, third))
    for key in keys:
        np.testing.assert_array_equal(lazy[key], dense[key])


@given(st.integers(0, 65535))
@settings(max_examples=500, deadline=None)
def test_the_table_of_float16_says_what_the_formula_says(bits):
    # Protects the shortcut for SHD's type: any bit pattern, negative, infinite and not a number too.
    time = np.array([bits], dtype=np.uint16).view(np.float16)
    for rule in ("floor", "digitize"):
        binning = Binning(steps=100, window_s=1.4, channels=10, rule=rule)
        wide = binning.places(time.astype(np.float64), np.array([7]))
        np.testing.assert_array_equal(binning.places(time, np.array([7], dtype=np.uint16)), wide)


@given(st.lists(st.lists(st.integers(0, 9), max_size=20), min_size=1, max_size=5))
@settings(max_examples=100, deadline=None)
def test_places_are_counted(rows):
    offsets = np.cumsum([0, *map(len, rows)])
    places = np.array([place for row in rows for place in row], dtype=np.int32)
    expected = [np.bincount(np.array(row, dtype=int), minlength=10) for row in rows]
    np.testing.assert_array_equal(counts_at(places, offsets, 10), expected)


@pytest.mark.parametrize("place", [-1, 10])
def test_a_place_that_is_not_there_is_refused(place):
    # Protects memory: the compiled sum would write wherever it is told.
    with pytest.raises(InputError, match="places of spikes"):
        counts_at(np.array([0, place], dtype=np.int32), np.array([0, 2]), 10)


def test_the_digitize_rule_is_the_paper_s():
    # Protects the comparison with published numbers: an empty step 0, and steps that are 1/99 of the window wide.
    times = np.linspace(0, 1.5, 1000)
    binning = Binning(rule="digitize")
    expected = np.digitize(times, np.linspace(0, 1.4, 100))
    np.testing.assert_array_equal(binning.step_of(times), expected)
    assert binning.step_of(np.zeros(1))[0] == 1
    lazy = LazyCounts(SpikeTrials.from_list([times], [np.zeros(1000, dtype=int)]), binning)
    assert not lazy[0][0].any()
    assert lazy.dropped == np.count_nonzero(times >= 1.4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"steps": 0}, "steps and window_s"),
        ({"steps": 2.0}, "steps and window_s"),
        ({"steps": True}, "steps and window_s"),
        ({"window_s": -1.0}, "steps and window_s"),
        ({"window_s": float("inf")}, "steps and window_s"),
        ({"channels": 0}, "channels is 0; expected a whole number of at least 1"),
        ({"channels_per_group": 3}, "channels_per_group is 3; expected a divisor of 700"),
        ({"channels_per_group": 0}, "channels_per_group is 0"),
        ({"rule": "round"}, "rule of the binning is 'round'; expected one of floor, digitize"),
        ({"rule": "digitize", "steps": 1}, "steps is 1; expected at least 2"),
        ({"steps": 10**8}, "steps times channels is .*expected at most .*use fewer steps or sum channels"),
    ],
)
def test_binnings_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        Binning(**values)
