"""Diagnosis of training: every failure is said in words, once, and a healthy run is left alone."""

import json

import pytest

pytest.importorskip("torch")

from cortexsnn.errors import InputError
from cortexsnn.training.diagnosis import Finding, diagnose, new_findings

pytestmark = pytest.mark.torch


def healthy(epochs=20):
    """A run that goes well, with the noise and the slow start of real ones; two hidden layers."""
    rows = []
    for epoch in range(1, epochs + 1):
        loss = 0.3 + 2.4 * 0.8**epoch
        noise = 0.01 * (-1) ** epoch
        rows.append(
            {
                "epoch": epoch,
                "learning_rate": 0.01,
                "train_loss": loss,
                "train_accuracy": 0.95 - 0.8 * 0.8**epoch,
                "validation_loss": loss + 0.05 + noise,
                "validation_accuracy": 0.9 - 0.8 * 0.8**epoch - noise,
                "active_percent": [12.0, 1.0 if epoch == 1 else 9.0],
                "silent_percent": [0.0, 59.4 if epoch <= 2 else 12.5],
                "saturated_percent": [0.0, 3.1],
                "surrogate_percent": [12.0, 5.4],
                "gradient_norm": [5.6 / epoch, 1.9 / epoch],
                "tau_ms": [[20.0, 48.0, 100.0, 60.0, 495.0], [90.0, 110.0, 240.0, 300.0, 410.0]],
                "tau_bounds_ms": [[10.0, 495.0], [10.0, 495.0]],
            }
        )
    return rows


def changed(rows, since=1, **figures):
    """The same run with other figures from an epoch on."""
    return [row | figures if row["epoch"] >= since else row for row in rows]


def only(history, kind, layer, **options):
    """The single finding of a history, which has to survive JSON."""
    (finding,) = diagnose(json.loads(json.dumps(history)), **options)
    assert (finding.kind, finding.layer, finding.epoch) == (kind, layer, history[-1]["epoch"])
    return finding.message


def test_a_healthy_run_has_no_findings_in_any_epoch():
    # Protects users from false alarms, which teach them to read over the true ones.
    rows = healthy(40)
    for epochs in range(len(rows) + 1):
        assert diagnose(rows[:epochs], control_accuracy=0.5, scored=400) == ()


@pytest.mark.parametrize("last_epoch", [None, 1, 60])
def test_what_is_absent_is_not_judged(last_epoch):
    # Protects rows of older checkpoints, and of networks without learned time constants.
    rows = healthy(12)
    old = [{name: row[name] for name in ("epoch", "train_loss", "active_percent")} for row in rows]
    assert diagnose(old, control_accuracy=0.99, last_epoch=last_epoch) == ()
    assert diagnose([{"epoch": 1}], control_accuracy=0.99, last_epoch=last_epoch) == ()
    mixed = old[:-1] + changed(rows, tau_ms=None, silent_percent=[90.0, 90.0])[-1:]
    assert diagnose(mixed) == ()


@pytest.mark.parametrize(
    ("figures", "kind", "message"),
    [
        (
            {"silent_percent": [0.0, 93.75]},
            "silent",
            "hidden2: 94 % of its neurons never fired in epoch 20 (over 50 % for 3 epochs); add a rate penalty or "
            "lower the learning rate",
        ),
        (
            {"active_percent": [12.0, 0.002]},
            "silent",
            "hidden2: its neurons fired in 0.002 % of all bins in epoch 20 (under 0.01 % for 3 epochs); add a rate",
        ),
        (
            {"saturated_percent": [0.0, 71.9]},
            "saturated",
            "hidden2: 72 % of its neurons fired in more than 90 % of the bins in epoch 20 (over 50 % for 3 epochs); "
            "add a rate penalty",
        ),
        (
            {"surrogate_percent": [12.0, 0.31]},
            "vanishing_gradient",
            "hidden2: the surrogate passed a gradient in 0.31 % of its potentials in epoch 20 (under 1 % for 3 epochs)",
        ),
        (
            {"gradient_norm": [0.2, 0.0]},
            "vanishing_gradient",
            "hidden2: it learns nothing, its gradient was zero in epoch 20 (exactly 0 for 3 epochs); widen",
        ),
        (
            {"tau_ms": [[20.0, 48.0, 100.0], [494.0, 480.0, 10.1, 60.0]]},
            "tau_at_bound",
            "hidden2: of its 4 time constants, 1 stood at the lower bound of 10 ms and 2 at the upper bound of 495 ms "
            "in epoch 20 (over 20 % of them for 3 epochs); widen the bounds",
        ),
    ],
)
def test_a_layer_is_judged_by_three_epochs(figures, kind, message):
    rows = healthy()
    assert diagnose(changed(rows, since=19, **figures)) == ()
    assert message in only(changed(rows, since=18, **figures), kind, 2)
    one_epoch = changed(rows[9:10], **figures)
    assert diagnose(one_epoch) == ()
    assert " epochs" not in only(one_epoch, kind, 2, last_epoch=1)


def test_a_gradient_that_fades_towards_the_input():
    rows = healthy()
    message = only(changed(rows, since=18, gradient_norm=[4e-6, 0.2]), "vanishing_gradient", 1)
    assert "hidden1: the norm of its gradient was 2e-05 of that of hidden2 in epoch 20 (under 0.001 for 3" in message
    assert diagnose(changed(rows, gradient_norm=[4e-4, 0.2])) == ()  # Adam copes
    assert diagnose(changed(rows, gradient_norm=[4e-6])) == ()  # one layer has nothing to be compared with


@pytest.mark.parametrize(
    ("tau_ms", "bounds_ms", "found"),
    [
        ([[495.0, 495.0, 48.0, 60.0, 70.0, 80.0, 90.0, 91.0, 92.0, 93.0]], [[10.0, 495.0]], False),  # one in five
        ([[495.0, 495.0, 495.0, 60.0, 70.0, 80.0, 90.0, 91.0, 92.0, 93.0]], [[10.0, 495.0]], True),
        ([[470.0]], [[10.0, 495.0]], True),  # 1.3 % of the range in ln tau
        ([[450.0]], [[10.0, 495.0]], False),  # 2.4 %
        ([600.0], [[10.0, 495.0]], True),  # one for the layer; beyond the bound
        ([[495.0]], [[10.0, float("inf")]], False),
        ([[495.0]], [None], False),
        ([None], [[10.0, 495.0]], False),
        ([[float("nan"), 495.0]], [[10.0, 495.0]], True),
    ],
)
def test_time_constants_at_a_bound(tau_ms, bounds_ms, found):
    rows = [{"epoch": epoch, "tau_ms": tau_ms, "tau_bounds_ms": bounds_ms} for epoch in (1, 2, 3)]
    assert [(f.kind, f.layer) for f in diagnose(rows)] == [("tau_at_bound", 1)] * found


@pytest.mark.parametrize(
    ("figures", "layer", "message"),
    [
        ({"train_loss": float("nan")}, None, "the training loss is nan in epoch 20; lower the learning rate"),
        ({"validation_loss": float("inf")}, None, "the validation loss is inf in epoch 20; lower"),
        ({"gradient_norm": [0.2, float("nan")]}, 2, "hidden2: the norm of its gradient is nan in epoch 20; lower"),
    ],
)
def test_figures_that_are_no_numbers(figures, layer, message):
    assert message in only(changed(healthy(), since=20, **figures), "not_a_number", layer)


def test_where_figures_are_no_numbers_nothing_else_is_judged():
    broken = changed(healthy(), since=10, train_loss=float("nan"), silent_percent=[100.0, 100.0])
    only(broken, "not_a_number", None, control_accuracy=0.95)


def test_a_network_that_is_no_better_than_the_control():
    # Protects the claim that memory helps: an accuracy within the noise of the control is no gain.
    rows = changed(healthy(), validation_accuracy=0.52)
    rows[7]["validation_accuracy"] = 0.545
    message = only(rows, "no_gain", None, control_accuracy=0.5, scored=400)
    assert (
        "the best validation accuracy of 20 epochs is 54.5 % (epoch 8); a decoder without memory has 50.0 %" in message
    )
    assert "only above 55.0 % is there a gain" in message
    assert diagnose(rows, control_accuracy=0.5, scored=1000) == ()
    assert diagnose(rows, control_accuracy=0.5) == ()
    assert diagnose(rows) == ()


def test_a_network_has_ten_epochs_to_beat_the_control():
    rows = changed(healthy(), validation_accuracy=0.5)
    assert diagnose(rows[:9], control_accuracy=0.5, scored=400) == ()
    assert diagnose(rows[:9], control_accuracy=0.5, scored=400, last_epoch=60) == ()
    only(rows[:10], "no_gain", None, control_accuracy=0.5, scored=400)
    assert diagnose(rows[:4], control_accuracy=0.5, scored=400, last_epoch=5) == ()
    only(rows[:5], "no_gain", None, control_accuracy=0.5, scored=400, last_epoch=5)


def over_fitted(rise=0.05, gap=0.17):
    """The validation loss turns in epoch 8, the training loss does not."""
    rows = healthy()
    for row in rows[8:]:
        row["validation_loss"] = rows[7]["validation_loss"] + rise * (row["epoch"] - 8)
        row["validation_accuracy"] = row["train_accuracy"] - gap
    return rows


def test_over_fitting_names_the_best_epoch():
    message = only(over_fitted(), "over_fitting", None)
    assert "the validation loss has risen from 0.763 in epoch 8, the best, to a mean of 1.26 in epochs 16-20" in message
    assert "training accuracy is 17 points above validation accuracy; stop at epoch 8, or try more dropout" in message


def test_what_is_not_over_fitting():
    assert diagnose(over_fitted(rise=0.001)) == ()  # a plateau
    assert diagnose(over_fitted(gap=0.05)) == ()  # less sure, and yet as good
    assert diagnose(changed(over_fitted(), since=9, train_loss=3.0)) == ()  # both losses rise: another illness
    assert diagnose(over_fitted()[:12]) == ()  # four epochs
    assert diagnose(over_fitted()[8:16]) == ()  # too short a history to tell


def test_every_finding_is_said_once():
    rows = changed(healthy(), since=5, silent_percent=[93.8, 0.0])
    rows = changed(rows, since=12, silent_percent=[93.8, 90.6])
    said = []
    for epochs in range(1, len(rows) + 1):
        said += new_findings(rows[:epochs], said, control_accuracy=0.5, scored=400)
    assert [(f.kind, f.layer, f.epoch) for f in said] == [("silent", 1, 7), ("silent", 2, 14)]


def test_several_things_can_go_wrong_at_once():
    figures = {"silent_percent": [100.0, 100.0], "gradient_norm": [0.0, 0.0], "surrogate_percent": [0.4, 12.0]}
    found = diagnose(changed(healthy(), **figures, validation_accuracy=0.1), control_accuracy=0.1, scored=400)
    assert [(f.kind, f.layer) for f in found] == [
        ("silent", 1),
        ("silent", 2),
        ("vanishing_gradient", 1),
        ("vanishing_gradient", 2),
        ("no_gain", None),
    ]
    assert all(isinstance(f, Finding) for f in found)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"control_accuracy": 53.0}, "control_accuracy is 53.0; expected a fraction from 0 to 1"),
        ({"control_accuracy": float("nan")}, "control_accuracy is nan"),
        ({"scored": 0}, "scored is 0; expected at least 1"),
        ({"last_epoch": 0}, "last_epoch is 0; expected at least 1"),
    ],
)
def test_options_are_checked(options, message):
    with pytest.raises(InputError, match=message):
        diagnose(healthy(), **options)
