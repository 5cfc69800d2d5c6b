"""The TensorBoard log: what was written can be read back, and a missing package is said in words."""

import sys

import pytest

pytest.importorskip("torch")

from cortexsnn.errors import InputError
from cortexsnn.training.tensorboard import TensorBoardLog

pytestmark = pytest.mark.torch


def row(epoch):
    return {
        "epoch": epoch,
        "train_loss": 1.5 / epoch,
        "validation_accuracy": 0.25 * epoch,
        "active_percent": [8.0, 4.0 * epoch],
        "tau_ms": [[20.0, 30.0, float("nan")], [100.0 * epoch, 200.0]],
        "tau_bounds_ms": [[10.0, 495.0], [10.0, 495.0]],
        "note": None,
    }


def read(folder):
    accumulator = pytest.importorskip("tensorboard.backend.event_processing.event_accumulator")
    events = accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "histograms": 0})  # keep all
    events.Reload()
    return events


def test_rows_are_read_back(tmp_path):
    pytest.importorskip("tensorboard")
    with TensorBoardLog(tmp_path / "run") as log:
        for epoch in (1, 2):
            log.write(row(epoch))
    events = read(tmp_path / "run")
    assert sorted(events.Tags()["scalars"]) == [
        "active_percent/hidden1",
        "active_percent/hidden2",
        "train_loss",
        "validation_accuracy",
    ]
    assert [(e.step, e.value) for e in events.Scalars("train_loss")] == [(1, 1.5), (2, 0.75)]
    assert [(e.step, e.value) for e in events.Scalars("active_percent/hidden2")] == [(1, 4.0), (2, 8.0)]
    assert sorted(events.Tags()["histograms"]) == ["tau_ms/hidden1", "tau_ms/hidden2"]
    first, second = (e.histogram_value for e in events.Histograms("tau_ms/hidden2"))
    assert (first.min, first.max, first.num, second.sum) == (100.0, 200.0, 2, 400.0)
    assert events.Histograms("tau_ms/hidden1")[0].histogram_value.num == 2


def test_rows_can_be_seen_while_training_goes_on(tmp_path):
    pytest.importorskip("tensorboard")
    log = TensorBoardLog(tmp_path)
    log.write(row(1))
    assert [e.value for e in read(tmp_path).Scalars("train_loss")] == [1.5]
    log.close()


def test_time_constants_can_be_absent_or_one_for_each_layer(tmp_path):
    pytest.importorskip("tensorboard")
    with TensorBoardLog(tmp_path) as log:
        log.write({"epoch": 1, "tau_ms": None})
        log.write({"epoch": 2, "tau_ms": [20.0, None, float("nan")]})
    events = read(tmp_path)
    assert events.Tags()["histograms"] == ["tau_ms/hidden1"]
    assert events.Histograms("tau_ms/hidden1")[0].histogram_value.max == 20.0
    assert events.Tags()["scalars"] == []


@pytest.mark.parametrize("module", ["tensorboard", "torch.utils.tensorboard"])
def test_a_missing_package_is_said(tmp_path, monkeypatch, module):
    monkeypatch.delitem(sys.modules, "torch.utils.tensorboard", raising=False)
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(InputError, match=r"package tensorboard is .*pip install 'cortexsnn\[tensorboard\]'"):
        TensorBoardLog(tmp_path)


def test_a_log_that_is_turned_on_late_has_the_epochs_before(tmp_path):
    # Protects curves from a gap: a run that goes on with a log for the first time writes what it has done so far.
    pytest.importorskip("tensorboard")
    from dataclasses import replace

    from cortexsnn import datasets
    from cortexsnn.training import Architecture, Protocol, fit, stack

    data = datasets.load("mts_xor", train=16, validation=8, test=4)
    architecture = Architecture(40, 2, stack((3,), 0.05), readout_tau_s=0.05, dt_s=0.01)
    protocol = Protocol(epochs=3, batch_size=8)
    fit(data, architecture, protocol, folder=tmp_path, progress=False)
    (tmp_path / "network.safetensors").unlink()
    result = fit(data, architecture, protocol, folder=tmp_path, tensorboard=True, progress=False)
    losses = [(e.step, e.value) for e in read(tmp_path).Scalars("train_loss")]
    assert losses == [(row["epoch"], pytest.approx(row["train_loss"])) for row in result.history]
    with pytest.raises(InputError, match=r"epochs \(protocol\) of the run in .* is 3; expected 4, as now"):
        fit(data, architecture, replace(protocol, epochs=4), folder=tmp_path, tensorboard=True, progress=False)
