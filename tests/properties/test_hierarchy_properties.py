"""Hierarchies for any numbers: ends, order, positivity, and effective memory against the impulse response itself."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexsnn import hierarchy

LAYERS = st.integers(2, 12)
MEANS = st.floats(1e-3, 1e3)
# Span over mean; the ends are positive below 2.
RELATIVE_SPANS = st.floats(-1.99, 1.99)
SEEDS = st.integers(0, 2**32 - 1)


def by_name(name, layers, mean, span, seed=0):
    return hierarchy.profile(name, layers, mean, span, **({"seed": seed} if name == "shuffled" else {}))


@pytest.mark.parametrize("name", ["linear", "tanh", "geometric", "reversed"])
@given(LAYERS, MEANS, RELATIVE_SPANS)
def test_profiles_are_monotonic_between_their_ends(name, layers, mean, relative):
    span = relative * mean
    tau = by_name(name, layers, mean, span)
    direction = -np.sign(span) if name == "reversed" else np.sign(span)
    ends = [mean - direction * abs(span) / 2, mean + direction * abs(span) / 2]
    assert tau[[0, -1]] == pytest.approx(ends, rel=1e-12)
    assert np.all(tau > 0)
    # Equal neighbours are allowed: where tanh is flat, or the span hardly differs from 0.
    assert np.all(direction * np.diff(tau) >= -1e-12 * mean)


@given(LAYERS, MEANS, RELATIVE_SPANS)
def test_geometric_profiles_have_one_ratio_and_turn_round(layers, mean, relative):
    tau = hierarchy.geometric(layers, mean, relative * mean)
    ratio = tau[1:] / tau[:-1]
    assert ratio == pytest.approx(np.full(layers - 1, ratio[0]), rel=1e-9)
    assert hierarchy.geometric(layers, mean, -relative * mean) == pytest.approx(tau[::-1], rel=1e-9)
    assert tau.mean() <= mean * (1 + 1e-12)


@given(LAYERS, MEANS, RELATIVE_SPANS, SEEDS)
def test_shuffled_profiles_hold_the_linear_values_out_of_order(layers, mean, relative, seed):
    tau, straight = (
        by_name("shuffled", layers, mean, relative * mean, seed),
        by_name("linear", layers, mean, relative * mean),
    )
    assert sorted(tau) == sorted(straight)
    if layers > 2 and len(set(straight)) == layers:
        assert tau.tolist() not in (straight.tolist(), straight[::-1].tolist())


@pytest.mark.parametrize(
    ("distribution", "widest"), [("none", 9.0), ("uniform", 0.999), ("normal", 0.5), ("gamma", 1.0)]
)
@given(st.data(), MEANS, st.integers(1, 200), SEEDS)
def test_neurons_have_positive_time_constants(distribution, widest, data, tau, neurons, seed):
    spread = data.draw(st.floats(0.0, widest))
    drawn = hierarchy.draw_time_constants(tau, neurons, distribution, spread, np.random.default_rng(seed))
    again = hierarchy.draw_time_constants(tau, neurons, distribution, spread, np.random.default_rng(seed))
    assert drawn.shape == (neurons,)
    assert np.all((drawn > 0) & np.isfinite(drawn))
    assert drawn.tolist() == again.tolist()
    if distribution == "uniform":
        assert np.all(np.abs(drawn / tau - 1) <= spread + 1e-12)


@given(LAYERS, st.integers(1, 40), st.integers(-80, 80))
def test_kernels_and_dilations_are_the_formulas_in_exact_fractions(layers, mean, span):
    # Protects from rounding before fractions are cut off, at any depth.
    if mean - Fraction(abs(span), 2) < 1:
        return
    first, last = int(mean - Fraction(span, 2)), int(mean + Fraction(span, 2))
    kernels = [int(first + Fraction(layer * (last - first), layers - 1)) for layer in range(layers)]
    steps = [int(mean + (layer - Fraction(layers - 1, 2)) * Fraction(span, layers - 1)) for layer in range(layers)]
    assert hierarchy.kernel_sizes(layers, mean, span) == tuple(kernels)
    assert hierarchy.dilations(layers, mean, span) == tuple(steps)
    assert hierarchy.kernel_sizes(layers, mean, span, "homogeneous") == (mean,) * layers
    for name in hierarchy.PROFILES:
        shape = {"seed": 0} if name == "shuffled" else {}
        values = hierarchy.kernel_sizes(layers, mean, span, name, **shape)
        assert min(values) >= 1
        assert len(values) == layers


def impulse_response(tau_steps, kernel_size, dilation, weight):
    """Potential after one spike, without threshold and reset, until less than 1e-19 of it is left."""
    taps = np.zeros((kernel_size - 1) * dilation + 1)
    taps[::dilation] = weight
    return np.convolve(taps, np.exp(-np.arange(int(44 * tau_steps) + 2) / tau_steps))


def mean_lag(response):
    return np.arange(response.size) @ response / response.sum()


TAUS = st.floats(0.05, 30.0)  # in time steps
KERNELS = st.tuples(st.integers(1, 6), st.integers(1, 5))
STEPS_S = st.floats(1e-4, 1e-1)


@given(st.lists(TAUS, min_size=1, max_size=4), STEPS_S, KERNELS, st.data())
def test_mean_lag_is_that_of_the_impulse_response(taus, dt_s, kernel, data):
    size, dilation = kernel
    weight = data.draw(st.none() | st.lists(st.floats(0.01, 10), min_size=size, max_size=size))
    taps = np.ones(size) if weight is None else np.array(weight)
    expected = np.mean([mean_lag(impulse_response(tau, size, dilation, taps)) for tau in taus]) * dt_s
    lag = hierarchy.mean_lag_s(np.array(taus) * dt_s, dt_s, size, dilation, weight)
    assert lag == pytest.approx(expected, rel=1e-9, abs=1e-12 * dt_s)


@given(st.lists(st.tuples(TAUS, KERNELS), min_size=1, max_size=3), STEPS_S)
def test_lags_of_layers_in_series_add_up(layers, dt_s):
    # Protects `cumulative_s`: the impulse response of the whole chain is computed, not the sum of lags.
    response, expected = np.ones(1), []
    for tau, (size, dilation) in layers:
        response = np.convolve(response, impulse_response(tau, size, dilation, np.ones(size)))
        expected.append(mean_lag(response) * dt_s)
    memory = hierarchy.effective_memory_s(
        [tau * dt_s for tau, _ in layers], dt_s, [size for _, (size, _) in layers], [step for _, (_, step) in layers]
    )
    assert memory.cumulative_s == pytest.approx(expected, rel=1e-9, abs=1e-12 * dt_s)
    assert memory.layer_s == pytest.approx(np.diff(expected, prepend=0.0), rel=1e-7, abs=1e-7 * dt_s)


@given(KERNELS)
def test_receptive_field_is_the_length_of_the_dilated_kernel(kernel):
    size, dilation = kernel
    assert hierarchy.receptive_field_steps(size, dilation) == range(0, size * dilation, dilation)[-1] + 1
