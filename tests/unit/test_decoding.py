"""Classes from potentials: the two decoders and the accuracy."""

import numpy as np
import pytest
from scipy.special import softmax

from cortexsnn.decoding import accuracy, decode
from cortexsnn.errors import InputError


def test_sum_of_softmax_weighs_every_step_alike():
    # Protects the difference to the sum of potentials: one huge potential is one vote of at most 1.
    potential = np.array([[[100.0, 0.0], [0.0, 2.0], [0.0, 2.0]]])
    assert potential.sum(axis=1).argmax() == 0
    assert decode(potential, "sum_of_softmax").tolist() == [1]
    assert decode(potential, "per_step").tolist() == [[0, 1, 1]]


def test_decoders_equal_their_formulas():
    potential = np.random.default_rng(1).normal(0, 3, (20, 7, 5))
    expected = softmax(potential, axis=2).sum(axis=1).argmax(axis=1)
    np.testing.assert_array_equal(decode(potential, "sum_of_softmax"), expected)
    np.testing.assert_array_equal(decode(potential, "per_step"), potential.argmax(axis=2))
    assert len(set(expected.tolist())) == 5


def test_large_potentials_do_not_overflow():
    assert decode(np.array([[[1e4, 0.0], [-1e4, 1e4]]]), "sum_of_softmax").tolist() == [0]
    assert decode(np.full((1, 2, 3), -1e308), "sum_of_softmax").tolist() == [0]


def test_single_precision_is_widened():
    close = np.array([[[1.0, 1.0 + 2**-23]]], dtype=np.float32)
    assert decode(close, "sum_of_softmax").tolist() == [1]


def test_bad_arguments_are_named():
    with pytest.raises(InputError, match=r"decoder is 'vote'; expected one of sum_of_softmax, per_step"):
        decode(np.zeros((1, 2, 3)), "vote")
    with pytest.raises(InputError, match=r"shape of potential is \(2, 3\); expected \(trial, time, class\)"):
        decode(np.zeros((2, 3)), "per_step")
    with pytest.raises(InputError, match=r"shape of labels is \(3,\); expected \(2,\)"):
        accuracy(np.zeros(2, int), np.zeros(3, int))


def test_accuracy_counts_scored_steps_only():
    classes, labels = np.array([[0, 1, 1, 0], [1, 1, 0, 0]]), np.array([[0, 0, 1, 1], [0, 1, 0, 1]])
    assert accuracy(classes, labels) == 0.5
    assert accuracy(classes, labels, np.array([True, False, True, False])) == 0.75
    assert accuracy(classes, labels, np.array([False, False, True, False])) == 1.0
    # Scored steps belong to answers in every step; one answer a trial is scored whole.
    assert accuracy(np.array([1, 2, 3, 4]), np.array([1, 2, 3, 0]), np.array([True, False])) == 0.75
