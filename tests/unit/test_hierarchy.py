"""Hierarchies over depth: the numbers of the paper, the definitions, and what is refused."""

from collections import Counter
from itertools import permutations

import numpy as np
import pytest
import scipy.stats

from cortexsnn import hierarchy
from cortexsnn.errors import InputError

# What a profile needs besides layers, mean and span.
SHAPES = {"shuffled": {"seed": 0}}


@pytest.mark.parametrize(
    ("layers", "tau_ms"),
    [
        (1, [100]),
        (2, [25, 175]),
        (3, [25, 100, 175]),
        (4, [25, 68.3, 131.7, 175]),
        (5, [25, 54.5, 100, 145.5, 175]),
    ],
)
def test_tanh_profile_of_the_paper(layers, tau_ms):
    # Protects the SHD networks of Moro et al. 2024: mean 100 ms, span 150 ms, centre and steepness 0.5.
    assert hierarchy.tanh(layers, 100.0, 150.0).round(1).tolist() == tau_ms
    assert hierarchy.profile("tanh", layers, 100.0, 150.0, centre=0.5, steepness=0.5).round(1).tolist() == tau_ms


def test_linear_reversed_and_homogeneous():
    assert hierarchy.linear(5, 100.0, 150.0).tolist() == [25, 62.5, 100, 137.5, 175]
    assert hierarchy.linear(3, 300.0, -400.0).tolist() == [500, 300, 100]
    assert hierarchy.reversed_linear(3, 100.0, 150.0).tolist() == [175, 100, 25]
    assert hierarchy.homogeneous(3, 100.0).tolist() == [100, 100, 100]
    assert hierarchy.linear(1, 100.0, 150.0).tolist() == [100]
    assert sorted(hierarchy.PROFILES) == ["geometric", "homogeneous", "linear", "reversed", "shuffled", "tanh"]
    for name in hierarchy.PROFILES:
        assert hierarchy.profile(name, 4, 100.0, 0.0, **SHAPES.get(name, {})).tolist() == [100] * 4


def test_a_negative_span_turns_tanh_round():
    assert hierarchy.tanh(4, 100.0, -150.0) == pytest.approx(hierarchy.tanh(4, 100.0, 150.0)[::-1])


@pytest.mark.parametrize(("centre", "largest_step"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_the_centre_is_where_tanh_is_steepest(centre, largest_step):
    steps = np.diff(hierarchy.tanh(6, 100.0, 150.0, centre=centre, steepness=0.25))
    assert steps.argmax() == largest_step
    assert np.all(steps > 0)


def test_unknown_name_is_named():
    with pytest.raises(
        InputError, match="hierarchy profile is 'cubic'; expected one of geometric, homogeneous, linear"
    ):
        hierarchy.profile("cubic", 3, 100.0)


@pytest.mark.parametrize(
    ("name", "mean", "span"),
    [
        ("linear", 100.0, 200.0),
        ("linear", 100.0, -200.0),
        ("tanh", 100.0, 250.0),
        ("reversed", 100.0, 200.0),
        ("geometric", 100.0, 200.0),
        ("geometric", 100.0, -200.0),
        ("geometric", float("nan"), 1.0),
        ("shuffled", 100.0, 200.0),
        ("homogeneous", 0.0, 0.0),
        ("homogeneous", -5.0, 0.0),
        ("linear", float("nan"), 1.0),
        ("homogeneous", float("inf"), 0.0),
        ("tanh", 100.0, float("inf")),
    ],
)
def test_time_constants_are_positive(name, mean, span):
    # Protects from layers without memory, which the original code makes by clipping at 0.
    with pytest.raises(InputError, match=r"profile '\w+' with mean .* expected a positive time constant in every"):
        hierarchy.profile(name, 3, mean, span, **SHAPES.get(name, {}))


@pytest.mark.parametrize("layers", [0, -1, 2.0, True, "3"])
def test_layers_are_counted(layers):
    for name in hierarchy.PROFILES:
        with pytest.raises(InputError, match=r"layers is .*; expected a whole number of hidden layers"):
            hierarchy.profile(name, layers, 100.0, 50.0, **SHAPES.get(name, {}))


@pytest.mark.parametrize("steepness", [0.0, -1.0, float("nan"), float("inf")])
def test_steepness_is_positive(steepness):
    with pytest.raises(InputError, match=r"steepness is .*; expected a positive number"):
        hierarchy.tanh(3, 100.0, 50.0, steepness=steepness)


def test_a_tanh_that_does_not_rise_is_refused():
    with pytest.raises(InputError, match=r"centre and steepness is .*; expected a tanh that rises"):
        hierarchy.tanh(3, 100.0, 50.0, centre=100.0, steepness=0.1)


def test_geometric_shares_its_ends_with_linear():
    # Protects "same ends, other way between": only then are the two profiles comparable at equal mean and span.
    assert hierarchy.geometric(4, 45.0, 70.0) == pytest.approx([10, 20, 40, 80])
    for span in (150.0, -150.0, 0.0):
        tau, straight = hierarchy.geometric(5, 100.0, span), hierarchy.linear(5, 100.0, span)
        assert tau[[0, -1]].tolist() == straight[[0, -1]].tolist()
        assert tau == pytest.approx(np.geomspace(straight[0], straight[-1], 5))
    assert hierarchy.geometric(1, 100.0, 150.0).tolist() == [100]


@pytest.mark.parametrize("layers", [3, 4, 5])
def test_every_order_but_the_two_ordered_ones_is_equally_likely(layers):
    # Protects the control without a hierarchy from having one, and from a favourite order.
    rng = np.random.default_rng(0)
    straight = hierarchy.linear(layers, 100.0, 150.0).tolist()
    orders = list(permutations(straight))
    orders = [order for order in orders if order not in (tuple(straight), tuple(straight[::-1]))]
    draws = 100 * len(orders)
    seen = Counter(tuple(hierarchy.shuffled(layers, 100.0, 150.0, rng).tolist()) for _ in range(draws))
    assert set(seen) == set(orders)
    assert scipy.stats.chisquare([seen[order] for order in orders]).pvalue > 0.001


def test_a_shuffled_profile_of_one_two_or_equal_layers_ends():
    rng = np.random.default_rng(0)
    assert hierarchy.shuffled(1, 100.0, 150.0, rng).tolist() == [100]
    assert {tuple(hierarchy.shuffled(2, 100.0, 150.0, rng).tolist()) for _ in range(20)} == {(25, 175), (175, 25)}
    assert hierarchy.shuffled(4, 100.0, 0.0, rng).tolist() == [100] * 4


def test_a_seed_fixes_the_order():
    first = hierarchy.profile("shuffled", 6, 100.0, 150.0, seed=3)
    assert first.tolist() == hierarchy.profile("shuffled", 6, 100.0, 150.0, seed=3).tolist()
    assert first.tolist() == hierarchy.shuffled(6, 100.0, 150.0, np.random.default_rng(3)).tolist()
    assert any(first.tolist() != hierarchy.profile("shuffled", 6, 100.0, 150.0, seed=seed).tolist() for seed in (4, 5))


@pytest.mark.parametrize("seed", [None, -1, 1.0, "1", True])
def test_a_shuffled_profile_needs_a_seed(seed):
    with pytest.raises(InputError, match=r"seed of profile 'shuffled' is .*; expected a whole number, at least 0"):
        hierarchy.profile("shuffled", 3, 100.0, 50.0, seed=seed)
    with pytest.raises(InputError, match="seed of profile 'shuffled' is None"):
        hierarchy.profile("shuffled", 3, 100.0, 50.0)
    with pytest.raises(InputError, match=r"rng is .*; expected a numpy.random.Generator"):
        hierarchy.shuffled(3, 100.0, 50.0, seed)


@pytest.mark.parametrize(
    ("name", "shape"), [("linear", {"centre": 0.5}), ("tanh", {"seed": 1}), ("tanh", {"center": 0.5}),
                        ("geometric", {"seed": 1}), ("homogeneous", {"seed": 1}), ("shuffled", {"rng": 1})]
)  # fmt: skip
def test_a_shape_belongs_to_its_profile(name, shape):
    with pytest.raises(InputError, match=f"shape of profile '{name}' is .*; expected centre and steepness with 'tanh'"):
        hierarchy.profile(name, 3, 100.0, 50.0, **shape)


@pytest.mark.parametrize("value", ["100", None, [100.0], True, 1j, [[1.0], [1.0, 2.0]]])
def test_mean_and_span_are_numbers(value):
    for name in hierarchy.PROFILES:
        with pytest.raises(InputError, match=r"mean is .*; expected a finite number"):
            hierarchy.profile(name, 3, value, 0.0, **SHAPES.get(name, {}))
    with pytest.raises(InputError, match=r"span is .*; expected a finite number"):
        hierarchy.linear(3, 100.0, value)
    with pytest.raises(InputError, match=r"centre is .*; expected a finite number"):
        hierarchy.tanh(3, 100.0, 50.0, centre=value)


@pytest.mark.parametrize("name", hierarchy.PROFILES)
def test_every_profile_is_of_float64(name):
    for mean, span in ((100, 50), (np.float32(100), np.float32(50)), (np.array(100), np.int8(50))):
        for layers in (1, 3):
            tau = hierarchy.profile(name, layers, mean, span, **SHAPES.get(name, {}))
            assert tau.dtype == np.float64
            assert tau.shape == (layers,)


# Within a layer


@pytest.mark.parametrize(
    ("distribution", "spread", "law"),
    [
        ("uniform", 0.2, scipy.stats.uniform(80, 40)),
        ("uniform", 0.9, scipy.stats.uniform(10, 180)),
        ("normal", 0.1, scipy.stats.norm(100, 10)),
        ("normal", 0.5, scipy.stats.truncnorm(-2, np.inf, 100, 50)),
        ("gamma", 0.3, scipy.stats.gamma(1 / 0.09, scale=9)),
        ("gamma", 1.0, scipy.stats.expon(0, 100)),
    ],
)
def test_neurons_follow_the_distribution_that_is_named(distribution, spread, law):
    tau = hierarchy.draw_time_constants(100.0, 20_000, distribution, spread, np.random.default_rng(1))
    assert tau.dtype == np.float64
    assert tau.shape == (20_000,)
    assert tau.min() > 0
    assert scipy.stats.kstest(tau, law.cdf).pvalue > 0.001


def test_the_cut_of_the_normal_distribution_is_as_small_as_documented():
    # Protects the numbers of the docstring of draw_time_constants.
    law = scipy.stats.truncnorm(-2, np.inf, 1, 0.5)
    assert scipy.stats.norm.cdf(-5) == pytest.approx(3e-7, rel=0.05)
    assert scipy.stats.norm.cdf(-2) == pytest.approx(0.023, abs=0.0005)
    assert law.mean() == pytest.approx(1.028, abs=0.0005)
    assert law.std() / 0.5 == pytest.approx(0.94, abs=0.005)


def test_without_spread_all_neurons_are_alike():
    rng = np.random.default_rng(0)
    state = rng.bit_generator.state
    for distribution in hierarchy.DISTRIBUTIONS:
        assert hierarchy.draw_time_constants(0.1, 3, distribution, 0.0, rng).tolist() == [0.1] * 3
    assert hierarchy.draw_time_constants(0.1, 3, "none", 0.2, rng).tolist() == [0.1] * 3
    assert rng.bit_generator.state == state
    assert hierarchy.draw_time_constants(0.1, 3, "gamma", 1e-200, rng) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((0.0, 3, "none", 0.0), r"tau is 0.0; expected a positive number"),
        ((float("inf"), 3, "none", 0.0), "tau is inf"),
        (([0.1, 0.2], 2, "none", 0.0), r"tau is \[0.1, 0.2\]; expected a positive number. the time constant of one"),
        ((0.1, 0, "none", 0.0), "neurons is 0; expected a whole number of neurons, at least 1"),
        ((0.1, 3, "lognormal", 0.1), "distribution is 'lognormal'; expected one of none, uniform, normal, gamma"),
        ((0.1, 3, "uniform", 1.0), "spread of distribution 'uniform' is 1.0; expected a number below 1"),
        ((0.1, 3, "normal", 0.6), "spread of distribution 'normal' is 0.6; expected .* at most 0.5. 'gamma'"),
        ((0.1, 3, "gamma", 1.1), "spread of distribution 'gamma' is 1.1; expected .* at most 1"),
        ((0.1, 3, "normal", -0.1), "spread of distribution 'normal' is -0.1; expected a number of at least 0. .* 20 %"),
        ((0.1, 3, "gamma", float("nan")), "spread of distribution 'gamma' is nan; expected a finite number"),
    ],
)
def test_draws_that_cannot_be_made(arguments, match):
    with pytest.raises(InputError, match=match):
        hierarchy.draw_time_constants(*arguments, np.random.default_rng(0))
    with pytest.raises(InputError, match="rng is 0"):
        hierarchy.draw_time_constants(0.1, 3, "none", 0.0, 0)


# Convolutions


@pytest.mark.parametrize(
    ("span", "expected"),
    [(-4, (7, 3)), (-3, (6, 3)), (-2, (6, 4)), (-1, (5, 4)), (0, (5, 5)),
     (1, (4, 5)), (2, (4, 6)), (3, (3, 6)), (4, (3, 7))],
)  # fmt: skip
def test_the_two_layers_of_the_paper(span, expected):
    # Protects the networks of figures 4b and 4d of Moro et al. 2024: mean 5, all nine pairs.
    assert hierarchy.kernel_sizes(2, 5, span) == expected
    assert hierarchy.dilations(2, 5, span) == expected
    assert all(type(value) is int for value in hierarchy.kernel_sizes(2, 5, span) + hierarchy.dilations(2, 5, span))


@pytest.mark.parametrize(
    ("layers", "mean", "span", "kernels", "steps"),
    [
        (3, 5, 3, (3, 4, 6), (3, 5, 6)),
        (3, 5, -3, (6, 4, 3), (6, 5, 3)),
        (3, 5, 1, (4, 4, 5), (4, 5, 5)),
        (4, 5, 4, (3, 4, 5, 7), (3, 4, 5, 7)),
        (5, 5, 3, (3, 3, 4, 5, 6), (3, 4, 5, 5, 6)),
        (3, 5.5, 0, (5, 5, 5), (5, 5, 5)),
        (1, 5, 4, (5,), (5,)),
    ],
)
def test_where_fractions_are_cut(layers, mean, span, kernels, steps):
    # Protects the one difference between the two formulas: kernels are cut at the ends first, dilations are not.
    assert hierarchy.kernel_sizes(layers, mean, span) == kernels
    assert hierarchy.dilations(layers, mean, span) == steps


def test_rounding_takes_no_tap_away():
    # Protects from int(numpy.linspace(1, 31, 23)), which makes 15.999... of the exact 16 in the middle and then 15.
    assert [int(value) for value in np.linspace(1, 31, 23)][11] == 15
    assert hierarchy.kernel_sizes(23, 16, 30) == tuple(1 + 30 * layer // 22 for layer in range(23))


def test_other_profiles_over_kernels_and_dilations():
    assert hierarchy.kernel_sizes(3, 5, 3, "homogeneous") == (5, 5, 5)
    assert hierarchy.kernel_sizes(3, 5, 9, "homogeneous") == (5, 5, 5)
    assert hierarchy.kernel_sizes(3, 5, 4, profile="reversed") == (7, 5, 3)
    assert hierarchy.dilations(4, 4.5, 7, "geometric") == (1, 2, 4, 8)
    assert hierarchy.dilations(4, 5, 8, "tanh", steepness=0.1) == (1, 1, 8, 9)
    assert sorted(hierarchy.kernel_sizes(4, 5, 6, "shuffled", seed=1)) == [2, 4, 6, 8]
    assert hierarchy.exponential_dilations(5) == (1, 2, 4, 8, 16)
    assert hierarchy.exponential_dilations(3, base=3) == (1, 3, 9)


@pytest.mark.parametrize("values", [hierarchy.kernel_sizes, hierarchy.dilations])
def test_kernels_and_dilations_that_cannot_be(values):
    # Protects from the 0 to which the original code cuts dilations.
    name = values.__name__.replace("_", " ")
    for mean, span in ((5, 9), (5, -9), (1, 1), (0.5, 0), (0, 0), (-3, 0)):
        with pytest.raises(InputError, match=rf"{name} with mean .*; expected at least 1 in every layer. choose"):
            values(2, mean, span)
    assert values(2, 5, 8) == (1, 9)
    with pytest.raises(InputError, match=f"mean of the {name} is nan; expected a finite number"):
        values(2, float("nan"), 0)
    with pytest.raises(InputError, match=f"span of the {name} is '2'; expected a finite number"):
        values(2, 5, "2")
    with pytest.raises(InputError, match="hierarchy profile is 'cubic'"):
        values(2, 5, 2, "cubic")
    with pytest.raises(InputError, match="layers is 0"):
        values(0, 5, 2)
    with pytest.raises(InputError, match="seed of profile 'shuffled'"):
        values(3, 5, 2, "shuffled")
    with pytest.raises(InputError, match="base is 0; expected a whole number, at least 1"):
        hierarchy.exponential_dilations(3, base=0)
    with pytest.raises(InputError, match=r"layers is 1\.0"):
        hierarchy.exponential_dilations(1.0)


# Effective memory


def test_effective_memory_of_the_convolutional_networks_of_the_paper():
    # alpha = exp(-14/20) in bins of 7 ms; receptive fields of 21, 9 and 31 bins.
    assert hierarchy.receptive_field_steps(5, 5) == 21
    assert hierarchy.receptive_field_steps(3, 4) == 9
    assert hierarchy.receptive_field_steps(6, 6) == 31
    alpha = np.exp(-14 / 20)
    membrane = alpha / (1 - alpha) * 0.007
    memory = hierarchy.effective_memory_s([0.010, 0.010], 0.007, kernel_sizes=(3, 6), dilations=(4, 6))
    assert memory.layer_s == pytest.approx([membrane + 4 * 0.007, membrane + 15 * 0.007], rel=1e-12)
    assert memory.cumulative_s == pytest.approx([membrane + 4 * 0.007, 2 * membrane + 19 * 0.007], rel=1e-12)


def test_the_membrane_alone():
    # Protects the digits of slow neurons, which 1 - alpha loses, and neurons far faster than a step.
    assert hierarchy.mean_lag_s(1e6, 1e-3) == pytest.approx(1e6 - 0.5e-3, rel=1e-15)
    assert hierarchy.mean_lag_s(1e-9, 1.0) == 0.0
    assert hierarchy.mean_lag_s([0.1, 0.3], 0.01) == pytest.approx(
        (hierarchy.mean_lag_s(0.1, 0.01) + hierarchy.mean_lag_s(0.3, 0.01)) / 2
    )


def test_weights_of_taps_start_with_the_newest():
    newest = hierarchy.mean_lag_s(0.1, 0.01, 3, 2, weight=[1, 0, 0])
    oldest = hierarchy.mean_lag_s(0.1, 0.01, 3, 2, weight=[0, 0, 1e-320])
    assert newest == hierarchy.mean_lag_s(0.1, 0.01)
    assert oldest - newest == pytest.approx(4 * 0.01)
    assert hierarchy.mean_lag_s(0.1, 0.01, 3, 2, [5, 5, 5]) == pytest.approx(hierarchy.mean_lag_s(0.1, 0.01, 3, 2))


def test_layers_may_have_neurons_of_their_own():
    memory = hierarchy.effective_memory_s([0.1, [0.1, 0.2], np.array([0.3])], 0.01)
    by_layer = [hierarchy.mean_lag_s(tau, 0.01) for tau in (0.1, [0.1, 0.2], 0.3)]
    assert memory.layer_s.tolist() == by_layer
    assert memory.cumulative_s.tolist() == np.cumsum(by_layer).tolist()
    assert hierarchy.effective_memory_s(np.array([0.1, 0.2]), 0.01, np.array([1, 3])).layer_s.shape == (2,)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        ((0.0, 0.01), "tau_s is 0.0; expected positive time constants in seconds"),
        (([], 0.01), "tau_s is "),
        (([[0.1]], 0.01), "tau_s is "),
        (("0.1", 0.01), "tau_s is '0.1'"),
        ((0.1, 0.0), "dt_s is 0.0; expected a positive number of seconds. a step of 1 ms is dt_s=0.001"),
        ((0.1, [0.01]), "dt_s is "),
        ((0.1, 0.01, 0), "kernel_size is 0; expected a whole number of taps, at least 1"),
        ((0.1, 0.01, 3, 0), "dilation is 0; expected a whole number of time steps, at least 1"),
        ((0.1, 0.01, 3, 1, [1, 1]), "weight is .*; expected 3 weights of the taps, newest first"),
        ((0.1, 0.01, 3, 1, [1, -1, 1]), "weight is .* both signs"),
        ((0.1, 0.01, 3, 1, [0, 0, 0]), "weight is "),
        ((0.1, 0.01, 3, 1, [1, 1, float("inf")]), "weight is "),
        ((0.1, 0.01, 3, 1, ["a", "b", "c"]), "weight is "),
    ],
)
def test_lags_that_cannot_be_computed(arguments, match):
    with pytest.raises(InputError, match=match):
        hierarchy.mean_lag_s(*arguments)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (([], 0.01), r"tau_s is \[\]; expected time constants in seconds, one or an array for each layer"),
        ((0.1, 0.01), "tau_s is 0.1; expected time constants"),
        (("0.1", 0.01), "tau_s is '0.1'; expected time constants"),
        ((np.array(0.1), 0.01), "tau_s is "),
        (([0.1, -0.1], 0.01), "tau_s is -0.1; expected positive"),
        (([0.1, 0.1], 0.01, (3,)), r"kernel_sizes is \(3,\); expected 2 whole numbers, one for each layer"),
        (([0.1, 0.1], 0.01, (3, 3), 2), "dilations is 2; expected 2 whole numbers"),
        (([0.1, 0.1], 0.01, (3, 2.5)), "kernel_size is 2.5"),
    ],
)
def test_memories_that_cannot_be_computed(arguments, match):
    with pytest.raises(InputError, match=match):
        hierarchy.effective_memory_s(*arguments)
