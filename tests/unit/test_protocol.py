"""How a network is trained: schedules, penalties and losses by their formulas, the paper's protocol."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

torch = pytest.importorskip("torch")

from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.training import (  # noqa: E402
    Architecture,
    ChannelShift,
    LearnedTau,
    Protocol,
    Regularisation,
    Schedule,
    SpikingNetwork,
    paper_protocol,
    stack,
)
from cortexsnn.training.losses import cross_entropy, penalty  # noqa: E402
from cortexsnn.training.model import Activity  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]


# --- descriptions -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs is 0; expected a whole number of at least 1"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"accumulate": 0}, "accumulate is 0"),
        ({"patience": 0}, "patience is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"seed": True}, "seed is True"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0; expected a positive number"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
        ({"learning_rate": "fast"}, "learning_rate is 'fast'"),
        ({"tau_learning_rate": 0.0}, "tau_learning_rate is 0.0"),
        ({"weight_decay": -0.1}, "weight_decay is -0.1; expected a number of at least 0"),
        ({"optimiser": "sgd"}, "optimiser is 'sgd'; expected one of adam, adamw"),
        ({"precision": "float16"}, "precision is 'float16'; expected one of float32, bfloat16"),
        ({"evaluation_statistics": "all"}, "evaluation_statistics is 'all'; expected one of running, batch"),
        ({"adam_step": "batch"}, "adam_step is 'batch'; expected one of iteration, epoch"),
        ({"schedule": "cosine"}, r"schedule is 'cosine'; expected training.Schedule\(...\)"),
        ({"regularisation": None}, r"regularisation is None; expected training.Regularisation\(...\)"),
        ({"augmentation": 3}, r"augmentation is 3; expected training.ChannelShift\(...\)"),
        ({"augmentation": (ChannelShift(), 3)}, r"augmentation is .*, 3\); expected training.ChannelShift\(...\)"),
    ],
)
def test_protocols_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        Protocol(**change)


@pytest.mark.parametrize(
    ("kind", "values", "message"),
    [
        (Schedule, {"kind": "linear"}, "kind of the schedule is 'linear'; expected one of steps, cosine, constant"),
        (Schedule, {"factor": 0.0}, "factor of the schedule is 0.0"),
        (Schedule, {"first": 0}, "first of the schedule is 0"),
        (Schedule, {"every": 0}, "every of the schedule is 0"),
        (Schedule, {"warm_up": -1}, "warm_up of the schedule is -1"),
        (Regularisation, {"weight": -1.0}, "weight of the regularisation is -1.0"),
        (Regularisation, {"tau_drift": float("inf")}, "tau_drift of the regularisation is inf"),
        (Regularisation, {"target_rate_hz": 0.0}, "target_rate_hz of the regularisation is 0.0"),
    ],
)
def test_parts_of_protocols_are_checked(kind, values, message):
    with pytest.raises(InputError, match=message):
        kind(**values)


def rates(protocol, epochs):
    return [protocol.learning_rate_at(epoch) for epoch in epochs]


def test_learning_rates_of_the_default_and_of_the_paper():
    # Protects the two schedules: by a quarter from epoch 25 on, counted from 0, and one epoch later as the paper's
    # code did it; every ten epochs.
    assert rates(Protocol(), (0, 24, 25, 34, 35, 45, 55)) == pytest.approx(
        [0.01, 0.01, 0.0075, 0.0075, 0.005625, 0.01 * 0.75**3, 0.01 * 0.75**4]
    )
    assert rates(paper_protocol(), (0, 25, 26, 35, 36, 46)) == pytest.approx(
        [0.01, 0.01, 0.0075, 0.0075, 0.005625, 0.01 * 0.75**3]
    )


def test_other_schedules():
    constant = Protocol(epochs=8, schedule=Schedule("constant", warm_up=4))
    assert rates(constant, range(6)) == pytest.approx([0.0025, 0.005, 0.0075, 0.01, 0.01, 0.01])
    cosine = Protocol(epochs=10, schedule=Schedule("cosine", warm_up=2))
    expected = [0.005, 0.01, *(0.005 * (1 + np.cos(np.pi * k / 8)) for k in range(8))]
    assert rates(cosine, range(10)) == pytest.approx(expected)
    assert rates(replace(cosine, epochs=2), range(2)) == pytest.approx([0.005, 0.01])  # nothing but the rise
    steps = Protocol(schedule=Schedule(factor=0.5, first=3, every=2, warm_up=1))
    assert rates(steps, (0, 2, 3, 4, 5)) == pytest.approx([0.01, 0.01, 0.005, 0.005, 0.0025])


def test_the_paper_s_protocol_can_be_changed():
    protocol = paper_protocol(epochs=3, evaluation_statistics="running")
    assert (protocol.epochs, protocol.evaluation_statistics, protocol.adam_step) == (3, "running", "epoch")
    with pytest.raises(InputError, match=r"fields of the protocol is \['pace'\]; expected fields of Protocol"):
        paper_protocol(pace=3)


# --- losses -----------------------------------------------------------------------------------------------------


def test_losses_equal_their_formulas():
    rng = np.random.default_rng(3)
    potential = rng.normal(0, 2, (9, 6, 4))  # time, trial, class
    per_trial, per_step = rng.integers(0, 4, 6), rng.integers(0, 4, (6, 9))
    chances = log_softmax(softmax(potential, axis=2).sum(axis=0), axis=1)
    expected = -np.mean([chances[trial, per_trial[trial]] for trial in range(6)])
    found = cross_entropy(torch.from_numpy(potential), torch.from_numpy(per_trial), "sum_of_softmax")
    assert float(found) == pytest.approx(expected, rel=1e-12)
    chances = log_softmax(potential, axis=2)
    expected = -np.mean([chances[step, trial, per_step[trial, step]] for trial in range(6) for step in range(9)])
    found = cross_entropy(torch.from_numpy(potential), torch.from_numpy(per_step), "per_step")
    assert float(found) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(InputError, match="decoder is 'vote'"):
        cross_entropy(torch.from_numpy(potential), torch.from_numpy(per_trial), "vote")


LEARNED = stack((6, 5, 4), (0.03, 0.1, 0.2), learned_tau=LearnedTau(), tau_distribution="uniform", tau_spread=0.3,
                recurrent=True)  # fmt: skip


def model_and_activity(layers=LEARNED, seed=0):
    """A model in float64 away from its beginning, and spikes at random that can be differentiated."""
    rng = np.random.default_rng(seed)
    model = SpikingNetwork(Architecture(3, 2, layers, 0.05, 0.01), torch.Generator().manual_seed(seed)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += torch.from_numpy(rng.normal(0, 0.1, parameter.shape))
    spikes = [torch.from_numpy((rng.random((20, 3, layer.size)) < 0.3).astype(float)).requires_grad_()
              for layer in layers]  # fmt: skip
    return model, Activity(torch.zeros(20, 3, 2), spikes, [])


def log_tau(model):
    return [np.log(layer.time_constants.tau_s().detach().numpy()) for layer in model.hidden]


def test_the_weight_penalty_is_a_norm():
    # Not squared; over weights, scales and shifts, and not over learned time constants.
    model, activity = model_and_activity()
    value = penalty(model, activity, Regularisation(weight=0.7))
    learned = [p for name, p in model.named_parameters() if "time_constants" in name]
    assert len(learned) == 3
    counted = [(name, p) for name, p in model.named_parameters() if "time_constants" not in name]
    norm = np.sqrt(sum((p.detach().numpy() ** 2).sum() for _, p in counted))
    assert float(value.detach()) == pytest.approx(0.7 * norm, rel=1e-12)
    value.backward()
    for _, p in counted:
        np.testing.assert_allclose(p.grad, 0.7 * p.detach() / norm, rtol=1e-12)
    assert all(p.grad is None for p in learned)


def test_the_rate_penalty_draws_every_layer_to_its_target():
    model, activity = model_and_activity()
    value = penalty(model, activity, Regularisation(rate=0.4, target_rate_hz=8.0))
    rates_hz = [float(s.detach().mean()) / 0.01 for s in activity.spikes]
    assert float(value.detach()) == pytest.approx(0.4 * np.mean([((r - 8) / 8) ** 2 for r in rates_hz]), rel=1e-6)
    value.backward()
    for spikes, rate in zip(activity.spikes, rates_hz, strict=True):
        expected = 0.4 / 3 * 2 * (rate - 8) / 8 / (8 * 0.01 * spikes.numel())
        np.testing.assert_allclose(spikes.grad, np.full(spikes.shape, expected), rtol=1e-6)


def test_penalties_on_learned_time_constants():
    model, activity = model_and_activity()
    begin = [layer.time_constants.initial_log_tau.numpy() for layer in model.hidden]
    now = log_tau(model)
    spread = penalty(model, activity, Regularisation(tau_spread=0.6))
    assert float(spread.detach()) == pytest.approx(0.6 * np.mean([v.std() for v in now]), rel=1e-6)
    drift = penalty(model, activity, Regularisation(tau_drift=0.3))
    expected = 0.3 * np.mean([((a - b) ** 2).mean() for a, b in zip(now, begin, strict=True)])
    assert float(drift.detach()) == pytest.approx(expected, rel=1e-6)
    both = penalty(model, activity, Regularisation(tau_spread=0.6, tau_drift=0.3))
    assert float(both.detach()) == pytest.approx(float((spread + drift).detach()), rel=1e-6)
    both.backward()
    for layer, value, first in zip(model.hidden, now, begin, strict=True):
        by_log_tau = 0.6 / 3 * (value - value.mean()) / value.std() / value.size
        by_log_tau += 0.3 / 3 * 2 * (value - first) / value.size
        p = layer.time_constants.position.detach().numpy()
        chance = 1 / (1 + np.exp(-p))
        expected = by_log_tau * np.log(2.0 / 0.002) * chance * (1 - chance)
        np.testing.assert_allclose(layer.time_constants.position.grad, expected, rtol=1e-5, atol=1e-9)


@pytest.mark.parametrize("per", ["neuron", "layer"])
def test_no_spread_no_slope(per):
    # Protects the first step: neurons that begin alike have a spread of 0, whose root has no slope.
    layers = stack((4, 3), 0.05, learned_tau=LearnedTau(per))
    model = SpikingNetwork(Architecture(3, 2, layers, 0.05, 0.01), torch.Generator().manual_seed(0))
    _, activity = model_and_activity(layers)
    value = penalty(model, activity, Regularisation(tau_spread=1.0, tau_drift=1.0))
    assert abs(float(value.detach())) < 1e-6
    value.backward()
    for layer in model.hidden:
        gradient = layer.time_constants.position.grad
        assert bool(torch.isfinite(gradient).all())
        assert float(gradient.abs().max()) < 1.0


def test_without_learned_time_constants_their_penalties_are_none():
    model, activity = model_and_activity(stack((6, 5), 0.05))
    assert penalty(model, activity, Regularisation(tau_spread=1.0, tau_drift=1.0)) == 0.0
    assert penalty(model, activity, Regularisation()) == 0.0
    # Layers with fixed time constants do not dilute the mean over those with learned ones.
    mixed = stack((6, 5), 0.05, learned_tau=(None, LearnedTau()))
    model, activity = model_and_activity(mixed)
    expected = log_tau(model)[1].std()
    found = penalty(model, activity, Regularisation(tau_spread=1.0))
    assert float(found.detach()) == pytest.approx(expected, rel=1e-6)
