"""Checkpoints: one safetensors file after every epoch, from which a killed run goes on identically."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from cortexsnn.errors import InputError
from cortexsnn.files import existing_file, replacing

__all__ = ["Checkpoint", "load", "save"]

_KEY = "cortexsnn-checkpoint"


@dataclass(frozen=True, eq=False)
class Checkpoint:
    """State of a run after an epoch.

    Parameters
    ----------
    description : mapping
        Architecture, protocol, data set and versions of the run.
    history : list of dict
        Figures of every epoch so far.
    tensors : mapping of str to torch.Tensor
        Named tensors of the model, of the best model, and of the optimiser.
    findings : list of dict
        What has been said to go wrong.
    """

    description: Mapping[str, Any]
    history: list[dict[str, Any]]
    tensors: Mapping[str, torch.Tensor]
    findings: list[dict[str, Any]] = field(default_factory=list)

    def part(self, prefix: str) -> dict[str, torch.Tensor]:
        """The tensors of one part, without its prefix."""
        return {name.removeprefix(prefix): t for name, t in self.tensors.items() if name.startswith(prefix)}


def save(checkpoint: Checkpoint, path: str | Path) -> None:
    """Write a checkpoint under a temporary name, then rename it.

    Parameters
    ----------
    checkpoint : Checkpoint
    path : path-like
    """
    known = {"history": checkpoint.history, "findings": checkpoint.findings}
    header = json.dumps({"description": dict(checkpoint.description), **known})
    tensors = {name: tensor.detach().cpu().contiguous() for name, tensor in checkpoint.tensors.items()}
    with replacing(path) as temporary:
        save_file(tensors, str(temporary), metadata={_KEY: header})


def load(path: str | Path) -> Checkpoint:
    """Read a checkpoint.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Checkpoint
        With its tensors on the CPU.

    Raises
    ------
    InputError
        If the file is missing, truncated or something else.

    Examples
    --------
    >>> import tempfile
    >>> path = Path(tempfile.mkdtemp()) / "checkpoint.safetensors"
    >>> save(Checkpoint({"seed": 0}, [], {"model.weight": torch.ones(2)}), path)
    >>> load(path).part("model.")
    {'weight': tensor([1., 1.])}
    """
    checked = existing_file(path, "checkpoint")
    try:
        with safe_open(str(checked), framework="pt") as file:
            header = json.loads((file.metadata() or {})[_KEY])
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Checkpoint(header["description"], header["history"], tensors, header["findings"])
    except (SafetensorError, OSError, ValueError, KeyError, TypeError) as error:
        raise InputError("checkpoint", str(checked), "a complete checkpoint of cortexsnn",
                         f"remove it to train from the start ({type(error).__name__}: {error})") from None  # fmt: skip
