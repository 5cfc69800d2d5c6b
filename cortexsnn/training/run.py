"""A run on its way: model, optimiser and history, the file they are kept in, and going on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch

from cortexsnn.errors import InputError
from cortexsnn.files import write_text
from cortexsnn.training import checkpoint as checkpoints
from cortexsnn.training.checkpoint import Checkpoint
from cortexsnn.training.diagnosis import Finding
from cortexsnn.training.model import SpikingNetwork
from cortexsnn.training.protocol import Protocol

__all__ = ["Run", "as_in_a_file", "check_same_run"]

_MAY_DIFFER = {"folder", "timescales_ms"}  # the data may have moved; timescales follow from the rest


@dataclass(eq=False)
class Run:
    """A model on its way: all that changes from epoch to epoch, and where it is kept.

    Parameters
    ----------
    model : SpikingNetwork
    optimiser : torch.optim.Optimizer
    description : dict
        What the run is, as it is read back from a file.
    folder : path or None
        Where it is kept.
    history : list of dict
        Figures of every epoch.
    findings : list of Finding
        What has been said to go wrong.
    best_state : dict
        State of the model in its best epoch.
    """

    model: SpikingNetwork
    optimiser: torch.optim.Optimizer
    description: dict[str, Any]
    folder: Path | None
    history: list[dict[str, Any]] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    best_state: dict[str, torch.Tensor] = field(default_factory=dict)

    @property
    def best(self) -> dict[str, Any]:
        """Figures of the epoch with the highest validation accuracy, the earliest of equals."""
        return max(self.history, key=lambda row: row["validation_accuracy"])

    def add(self, row: dict[str, Any]) -> None:
        """Take in an epoch, and write it down."""
        self.history.append(row)
        if self.best is row:
            self.best_state = {name: tensor.clone() for name, tensor in self.model.state_dict().items()}

    def save(self) -> None:
        """Write checkpoint and metrics, if there is a folder."""
        if self.folder is None:
            return
        tensors = {f"model.{name}": tensor for name, tensor in self.model.state_dict().items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best_state.items()}
        for name, parameter in self.model.named_parameters():
            for key, value in self.optimiser.state[parameter].items():
                tensors[f"adam.{key}.{name}"] = value
        findings = [asdict(finding) for finding in self.findings]
        checkpoint = Checkpoint(self.description, self.history, tensors, findings)
        checkpoints.save(checkpoint, self.folder / "checkpoint.safetensors")
        self._write_metrics(self.folder)

    def resume(self) -> None:
        """Go on from the checkpoint of the same run, if there is one."""
        if self.folder is None or not (self.folder / "checkpoint.safetensors").exists():
            return
        path = self.folder / "checkpoint.safetensors"
        found = checkpoints.load(path)
        check_same_run(found.description, self.description, self.folder)
        _restore(self.model, self.optimiser, found, path)
        self.history, self.best_state = found.history, found.part("best.")
        self.findings = [Finding(**finding) for finding in found.findings]
        self._write_metrics(self.folder)

    def _write_metrics(self, folder: Path) -> None:
        write_text(folder / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in self.history))

    def is_over(self, protocol: Protocol) -> bool:
        """Whether all epochs are done, or the validation accuracy has not risen for too long."""
        if len(self.history) >= protocol.epochs:
            return True
        if protocol.patience is None or not self.history:
            return False
        return len(self.history) - self.best["epoch"] >= protocol.patience


def as_in_a_file(description: Mapping[str, Any]) -> dict[str, Any]:
    """What is read back after it has been written as JSON; numbers of NumPy are numbers.

    Parameters
    ----------
    description : mapping

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If JSON cannot say it.
    """
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(description), default=np.generic.item))
    except TypeError as error:
        raise InputError("description of the data set", description.get("dataset"), "what JSON can say",
                         str(error)) from None  # fmt: skip
    return plain


def check_same_run(there: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
    """Refuse to go on with another run.

    Parameters
    ----------
    there : mapping
        Description of the run in the folder.
    now : mapping
        Description of this run (`as_in_a_file`).
    folder : path

    Raises
    ------
    InputError
        If they differ; the value that does is named.
    """
    for key, expected in now.items():
        given = there.get(key)
        for name in sorted(expected.keys() - _MAY_DIFFER):
            found = given.get(name) if isinstance(given, dict) else None
            if found != expected[name]:
                now_given = shorten(repr(expected[name]), 80)
                raise InputError(f"{name} ({key}) of the run in {folder}", found, f"{now_given}, as now",
                                 "choose another folder, or remove the old run")  # fmt: skip


def _restore(model: SpikingNetwork, optimiser: torch.optim.Optimizer, found: Checkpoint, path: Path) -> None:
    """Put model and optimiser into the state of a checkpoint, which must have all of it."""
    shapes = {name: tensor.shape for name, tensor in model.state_dict().items()}
    expected = {f"{part}.{name}": shape for part in ("model", "best") for name, shape in shapes.items()}
    for name, parameter in model.named_parameters():
        expected |= {f"adam.{key}.{name}": parameter.shape for key in ("exp_avg", "exp_avg_sq")}
        expected[f"adam.step.{name}"] = torch.Size([])
    for name, shape in expected.items():
        if name not in found.tensors or found.tensors[name].shape != shape:
            raise InputError(f"checkpoint {path}", f"no '{name}' of shape {tuple(shape)}", "all tensors of the run",
                             "remove it to train from the start")  # fmt: skip
    model.load_state_dict(found.part("model."))
    saved = found.part("adam.")
    for name, parameter in model.named_parameters():
        averages = {key: saved[f"{key}.{name}"].to(parameter.device) for key in ("exp_avg", "exp_avg_sq")}
        optimiser.state[parameter] = {"step": saved[f"step.{name}"], **averages}
