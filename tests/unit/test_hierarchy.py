"""Profiles of time constants over depth: the numbers of the paper, and what is refused."""

import numpy as np
import pytest

from cortexsnn import hierarchy
from cortexsnn.errors import InputError


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
    assert sorted(hierarchy.PROFILES) == ["homogeneous", "linear", "reversed", "tanh"]
    for name in hierarchy.PROFILES:
        assert hierarchy.profile(name, 4, 100.0, 0.0).tolist() == [100] * 4


def test_a_negative_span_turns_tanh_round():
    assert hierarchy.tanh(4, 100.0, -150.0) == pytest.approx(hierarchy.tanh(4, 100.0, 150.0)[::-1])


@pytest.mark.parametrize(("centre", "largest_step"), [(0.0, 0), (0.5, 2), (1.0, 4)])
def test_the_centre_is_where_tanh_is_steepest(centre, largest_step):
    steps = np.diff(hierarchy.tanh(6, 100.0, 150.0, centre=centre, steepness=0.25))
    assert steps.argmax() == largest_step
    assert np.all(steps > 0)


def test_unknown_name_is_named():
    with pytest.raises(InputError, match="hierarchy profile is 'cubic'; expected one of homogeneous, linear, reversed"):
        hierarchy.profile("cubic", 3, 100.0)


@pytest.mark.parametrize(
    ("name", "mean", "span"),
    [
        ("linear", 100.0, 200.0),
        ("linear", 100.0, -200.0),
        ("tanh", 100.0, 250.0),
        ("reversed", 100.0, 200.0),
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
        hierarchy.profile(name, 3, mean, span)


@pytest.mark.parametrize("layers", [0, -1, 2.0, True, "3"])
def test_layers_are_counted(layers):
    for name in hierarchy.PROFILES:
        with pytest.raises(InputError, match=r"layers is .*; expected a whole number of hidden layers"):
            hierarchy.profile(name, layers, 100.0, 50.0)


@pytest.mark.parametrize("steepness", [0.0, -1.0, float("nan"), float("inf")])
def test_steepness_is_positive(steepness):
    with pytest.raises(InputError, match=r"steepness is .*; expected a positive number"):
        hierarchy.tanh(3, 100.0, 50.0, steepness=steepness)


def test_a_tanh_that_does_not_rise_is_refused():
    with pytest.raises(InputError, match=r"centre and steepness is .*; expected a tanh that rises"):
        hierarchy.tanh(3, 100.0, 50.0, centre=100.0, steepness=0.1)
