"""Exact p-values against brute force, and what must hold for any data, with or without ties."""

from itertools import pairwise, permutations, product

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cortexsnn.cortex.statistics import (
    cliffs_delta,
    hierarchical_draws,
    holm,
    least_squares_slopes,
    log_slope,
    nearest_areas,
    rank_biserial,
    rank_correlation,
    shuffled_layers,
    sign_flip_test,
    smallest_p_of_places,
)

METHODS = ("spearman", "kendall")


@st.composite
def pairs(draw, largest=6):
    """Two lists of equal length with many ties, neither of them constant."""
    n = draw(st.integers(3, largest))
    x, y = (draw(st.lists(st.integers(-3, 3), min_size=n, max_size=n)) for _ in range(2))
    assume(len(set(x)) > 1 and len(set(y)) > 1)
    return x, y


def by_scipy(x, y, method):
    function = scipy.stats.spearmanr if method == "spearman" else scipy.stats.kendalltau
    return float(function(x, y).statistic)


def correlate(x, y, method, alternative="two-sided"):
    return rank_correlation(x, y, method, alternative=alternative, rng=np.random.default_rng(0))


@pytest.mark.parametrize("method", METHODS)
@given(pairs(largest=5))
@settings(max_examples=25, deadline=None)
def test_exact_p_is_the_share_of_all_permutations(method, xy):
    # Protects p with ties, where closed formulas and shortcuts go wrong.
    x, y = xy
    observed = by_scipy(x, y, method)
    everything = np.array([by_scipy(x, order, method) for order in permutations(y)])
    result = correlate(x, y, method)
    assert result.coefficient == pytest.approx(observed, abs=1e-12)
    assert result.p_value == pytest.approx(np.mean(np.abs(everything) >= abs(observed) - 1e-9))
    largest = np.abs(everything).max()
    assert result.smallest_possible_p == pytest.approx(np.mean(np.abs(everything) >= largest - 1e-9))


@given(pairs())
@settings(max_examples=60, deadline=None)
def test_the_smallest_p_is_known_without_counting(xy):
    # Protects the notes of tables, which say it of any number of areas, ties in both included.
    x, y = xy
    assert smallest_p_of_places(x, y) == pytest.approx(correlate(x, y, "spearman").smallest_possible_p)
    assert smallest_p_of_places(x) == pytest.approx(correlate(x, range(len(x)), "spearman").smallest_possible_p)


@pytest.mark.parametrize("method", METHODS)
@given(pairs())
@settings(max_examples=40, deadline=None)
def test_it_does_not_matter_which_variable_is_permuted(method, xy):
    # Protects tied rows and tied columns of the tables that stand for permutations: both ways count the same.
    assert correlate(*xy, method) == correlate(*xy[::-1], method)


@pytest.mark.parametrize("method", METHODS)
@given(pairs())
@settings(max_examples=40, deadline=None)
def test_sides_share_the_permutations(method, xy):
    # Protects one-sided p: every permutation is at least as high, at least as low, or both if it is the same.
    up, down, both = (correlate(*xy, method, side) for side in ("greater", "less", "two-sided"))
    assert up.p_value + down.p_value > 1
    assert both.p_value >= min(up.p_value, down.p_value) - 1e-12
    assert correlate([-value for value in xy[0]], xy[1], method, "less").p_value == pytest.approx(up.p_value)


@given(st.lists(st.integers(0, 2), min_size=7, max_size=7), st.permutations(range(7)))
@settings(max_examples=10, deadline=None)
def test_few_arrangements_stand_for_all_permutations(x, y):
    # Protects counting only what looks different: 7! permutations of the variable without ties give the same p.
    assume(len(set(x)) > 1)
    orders = np.array(list(permutations(y)))
    covariance = orders @ scipy.stats.rankdata(x) - 21 * np.mean(scipy.stats.rankdata(x))
    observed = abs(np.dot(y, scipy.stats.rankdata(x)) - 21 * np.mean(scipy.stats.rankdata(x)))
    assert correlate(x, y, "spearman").p_value == pytest.approx(np.mean(np.abs(covariance) >= observed - 1e-9))


@pytest.mark.parametrize("method", METHODS)
def test_exact_p_of_six_with_ties(method):
    # The largest brute force of the suite, once: 720 permutations of two tied lists.
    x, y = [1, 2, 2, 3, 4, 4], [5, 1, 6, 6, 7, 9]
    observed = by_scipy(x, y, method)
    everything = np.array([by_scipy(x, order, method) for order in permutations(y)])
    assert correlate(x, y, method).p_value == pytest.approx(np.mean(np.abs(everything) >= abs(observed) - 1e-9))


@pytest.mark.parametrize("method", METHODS)
@given(pairs())
@settings(max_examples=40, deadline=None)
def test_only_order_counts(method, xy):
    # Protects the promise that tau and log tau give the same answer, and that direction only changes the sign.
    x, y = (np.array(values, dtype=float) for values in xy)
    plain = correlate(x, y, method)
    assert correlate(np.exp(x), 3 * y**3 + 7, method) == plain
    reversed_order = correlate(-x, y, method)
    assert reversed_order.coefficient == pytest.approx(-plain.coefficient)
    assert reversed_order.p_value == plain.p_value


@pytest.mark.parametrize("method", METHODS)
@given(pairs(), st.randoms(use_true_random=False))
@settings(max_examples=40, deadline=None)
def test_order_of_the_pairs_does_not_matter(method, xy, random):
    together = list(zip(*xy, strict=True))
    random.shuffle(together)
    shuffled = tuple(zip(*together, strict=True))
    assert correlate(*shuffled, method) == correlate(*xy, method)


@given(st.lists(st.integers(-4, 4), min_size=1, max_size=8))
@settings(max_examples=50, deadline=None)
def test_sign_flip_p_is_the_share_of_all_signs(values):
    # Protects the test over seeds, with zeros and equal sizes too.
    sums = np.array([abs(np.dot(signs, values)) for signs in product((-1, 1), repeat=len(values))])
    result = sign_flip_test(np.array(values) / 7, rng=np.random.default_rng(0))
    assert result.p_value == pytest.approx(np.mean(sums >= abs(sum(values))))
    assert result.p_value >= result.smallest_possible_p
    assert result.positive == sum(value > 0 for value in values)


@given(st.lists(st.lists(st.integers(1, 5), min_size=3, max_size=4), min_size=1, max_size=3))
@settings(max_examples=30, deadline=None)
def test_shuffled_layers_against_all_shufflings(taus):
    # Protects the sum over networks of different length, with ties, against every combination of orders.
    assume(all(len(set(tau)) > 1 for tau in taus))
    every = [[by_scipy(range(len(tau)), order, "spearman") for order in permutations(tau)] for tau in taus]
    total = sum(by_scipy(range(len(tau)), tau, "spearman") for tau in taus)
    sums = np.abs(np.add.reduce(np.meshgrid(*every, indexing="ij")))
    result = shuffled_layers(taus, rng=np.random.default_rng(0))
    assert result.p_value == pytest.approx(np.mean(sums >= abs(total) - 1e-9))
    assert result.mean == pytest.approx(total / len(taus))


@given(st.lists(st.floats(0.1, 1e4), min_size=3, max_size=9), st.floats(0.01, 100), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_slopes_know_no_unit_and_no_order(tau, unit, random):
    depth = np.linspace(0, 1, len(tau))
    order = random.sample(range(len(tau)), len(tau))
    for method in ("least squares", "theil-sen"):
        plain = log_slope(depth, tau, method)
        other = log_slope(depth[order], unit * np.array(tau)[order], method)
        assert other.slope == pytest.approx(plain.slope, abs=1e-9)
        assert other.low == pytest.approx(plain.low, abs=1e-6)
        assert plain.low <= plain.slope <= plain.high
    assert least_squares_slopes(depth, np.log([tau, tau]))[1] == pytest.approx(log_slope(depth, tau).slope, abs=1e-9)


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), min_size=1, max_size=20), st.integers(0, 99))
@settings(max_examples=50, deadline=None)
def test_draws_are_as_many_as_their_parents_have(labels, seed):
    # Protects unbalanced trees: in every resample as many seeds as there are, each copy with all its neurons.
    upper, lower = (np.array(column) for column in zip(*labels, strict=True))
    counts = hierarchical_draws({"seed": upper, "neuron": lower}, 20, rng=np.random.default_rng(seed))
    copies = np.zeros(20)
    for one in set(upper.tolist()):
        neurons = sorted(set(lower[upper == one].tolist()))
        drawn = sum(counts[:, np.flatnonzero((upper == one) & (lower == neuron))[0]] for neuron in neurons)
        assert np.all(drawn % len(neurons) == 0)
        copies += drawn // len(neurons)
    assert np.all(copies == len(set(upper.tolist())))


@given(st.lists(st.floats(0, 1), min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=50, deadline=None)
def test_holm_never_lowers_p_and_keeps_the_order(p_values, random):
    named = {str(k): p for k, p in enumerate(p_values)}
    corrected = holm(named)
    assert all(p <= corrected[name] <= 1 for name, p in named.items())
    ranked = sorted(named, key=named.__getitem__)
    assert all(corrected[a] <= corrected[b] for a, b in pairwise(ranked))
    mixed = random.sample(sorted(named), len(named))
    assert holm({name: named[name] for name in mixed}) == {name: corrected[name] for name in mixed}


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=10), st.lists(st.floats(-5, 5), min_size=1, max_size=10))
@settings(max_examples=50, deadline=None)
def test_effect_sizes_are_bounded_and_signed(first, second):
    delta = cliffs_delta(first, second)
    assert -1 <= delta <= 1
    assert cliffs_delta(second, first) == pytest.approx(-delta)
    if any(first):
        assert -1 <= rank_biserial(first) <= 1
        assert rank_biserial([-value for value in first]) == pytest.approx(-rank_biserial(first))


@given(
    st.dictionaries(st.text("abc", min_size=1), st.lists(st.floats(1, 1e3), min_size=1, max_size=4), min_size=1),
    st.lists(st.floats(1, 1e3), min_size=1, max_size=4),
)
@settings(max_examples=40, deadline=None)
def test_nearest_areas_are_a_probability(areas, layer):
    result = nearest_areas({"layer": layer}, areas, draws=200, rng=np.random.default_rng(0))
    assert result.probability.sum() == pytest.approx(1)
    assert result.nearest[0] in areas
