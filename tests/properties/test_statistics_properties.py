"""Exact p-values against brute force, for any small data with or without ties."""

from itertools import permutations, product
from unittest.mock import patch

import numpy as np
import pytest
import scipy.stats
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from cortexsnn.cortex import rank_correlation, sign_flip_test

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


def correlate(x, y, method):
    return rank_correlation(x, y, method, rng=np.random.default_rng(0))


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


@pytest.mark.parametrize("method", METHODS)
@given(pairs())
@settings(max_examples=40, deadline=None)
def test_chunks_do_not_matter(method, xy):
    # Protects the enumeration above n = 10, which comes in many chunks: none is lost, none is counted twice.
    whole = correlate(*xy, method)
    with patch("cortexsnn.cortex.statistics._ARRANGED_AT_ONCE", 3):
        assert correlate(*xy, method) == whole


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
