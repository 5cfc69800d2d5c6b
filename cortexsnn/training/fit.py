"""Training: Adam on mini-batches, the best epoch by validation accuracy, one look at the test split at the end."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from cortexsnn.datasets import Dataset, Split
from cortexsnn.decoding import accuracy, decode
from cortexsnn.errors import InputError
from cortexsnn.files import write_text
from cortexsnn.network import Network
from cortexsnn.provenance import versions
from cortexsnn.training import checkpoint as checkpoints
from cortexsnn.training import folding
from cortexsnn.training.checkpoint import Checkpoint
from cortexsnn.training.losses import cross_entropy
from cortexsnn.training.model import Architecture, SpikingNetwork

__all__ = ["Fit", "Protocol", "fit"]

_INITIAL_WEIGHTS, _EPOCH = 0, 1  # streams of random numbers
_MAY_DIFFER = {"folder"}  # of a run that goes on: the data may have moved


@dataclass(frozen=True)
class Protocol:
    """How a network is trained.

    Parameters
    ----------
    epochs : int
    batch_size : int
        Trials in a mini-batch.
    learning_rate : float
        Of Adam, at the start.
    learning_rate_factor : float
        The learning rate is multiplied by this ...
    first_decay_epoch, decay_every : int
        ... after this epoch, and every so many epochs from then on.
    seed : int
        Of initial weights, order of trials and dropout.

    Examples
    --------
    >>> Protocol(first_decay_epoch=10, decay_every=5).learning_rate_at(15)
    0.005625
    """

    epochs: int = 60
    batch_size: int = 512
    learning_rate: float = 0.01
    learning_rate_factor: float = 0.75
    first_decay_epoch: int = 25
    decay_every: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("epochs", "batch_size", "first_decay_epoch", "decay_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(name, value, "a whole number of at least 1")
        if not isinstance(self.seed, int) or self.seed < 0:
            raise InputError("seed", self.seed, "a whole number of at least 0")
        for name in ("learning_rate", "learning_rate_factor"):
            value = getattr(self, name)
            if not (np.isfinite(value) and value > 0):
                raise InputError(name, value, "a positive number")

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        decays = 0 if epoch < self.first_decay_epoch else 1 + (epoch - self.first_decay_epoch) // self.decay_every
        return self.learning_rate * self.learning_rate_factor**decays


@dataclass(frozen=True, eq=False)
class Fit:
    """What training leaves behind.

    Parameters
    ----------
    network : Network
        Folded, of the best epoch; its metadata tell how it was made and how well it does.
    history : list of dict
        Figures of every epoch.
    """

    network: Network
    history: list[dict[str, Any]]


def _time_first(split: Split) -> tuple[torch.Tensor, torch.Tensor]:
    """Counts as (trial, time, channel) and labels as torch tensors, without a copy."""
    return torch.from_numpy(split.counts), torch.from_numpy(split.labels)


def _potentials(model: SpikingNetwork, split: Split, batch_size: int) -> torch.Tensor:
    """Readout potentials of a whole split, shape (trial, time, class), as the model stands after training."""
    model.eval()
    counts, _ = _time_first(split)
    with torch.no_grad():
        parts = [model(batch.permute(1, 0, 2).float()).permute(1, 0, 2) for batch in counts.split(batch_size)]
    return torch.cat(parts)


def _train_epoch(
    model: SpikingNetwork, optimiser: torch.optim.Adam, dataset: Dataset, protocol: Protocol, epoch: int
) -> dict[str, Any]:
    """One pass over the training split.

    Random numbers depend on seed and epoch alone, so that a resumed run equals an uninterrupted one.
    """
    rng = np.random.default_rng([protocol.seed, _EPOCH, epoch])
    for group in optimiser.param_groups:
        group["lr"] = protocol.learning_rate_at(epoch)
    counts, labels = _time_first(dataset.train)
    model.train()
    losses, active = [], []
    for batch in torch.from_numpy(rng.permutation(len(dataset.train))).split(protocol.batch_size):
        potential = model(counts[batch].permute(1, 0, 2).float(), rng)
        loss = cross_entropy(potential, labels[batch], dataset.decoder)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()) * len(batch))
        active.append(model.active)
    train_loss = sum(losses) / len(dataset.train)
    if not np.isfinite(train_loss):
        raise RuntimeError(f"the training loss is {train_loss} in epoch {epoch + 1}; try a smaller learning rate")
    return {
        "epoch": epoch + 1,
        "learning_rate": protocol.learning_rate_at(epoch),
        "train_loss": train_loss,
        "active_percent": [100 * share for share in np.mean(active, axis=0)],
    }


def _validate(model: SpikingNetwork, dataset: Dataset, batch_size: int) -> dict[str, float]:
    potential = _potentials(model, dataset.validation, batch_size)
    labels = torch.from_numpy(dataset.validation.labels)
    loss = cross_entropy(potential.permute(1, 0, 2), labels, dataset.decoder)
    classes = decode(potential.numpy(), dataset.decoder)
    right = accuracy(classes, dataset.validation.labels, dataset.scored_steps)
    return {"validation_loss": float(loss), "validation_accuracy": right}


def _adam_tensors(model: SpikingNetwork, optimiser: torch.optim.Adam) -> dict[str, torch.Tensor]:
    named = {}
    for name, parameter in model.named_parameters():
        for key, value in optimiser.state[parameter].items():
            named[f"adam.{key}.{name}"] = value
    return named


def _restore(model: SpikingNetwork, optimiser: torch.optim.Adam, found: Checkpoint, path: Path) -> None:
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
        optimiser.state[parameter] = {key: saved[f"{key}.{name}"] for key in ("step", "exp_avg", "exp_avg_sq")}


def _metrics(history: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in history)


def _resumed(path: Path, description: dict[str, Any]) -> Checkpoint | None:
    """The checkpoint of an earlier part of the same run, if there is one."""
    if not path.exists():
        return None
    found = checkpoints.load(path)
    for key, expected in json.loads(json.dumps(description)).items():
        given = found.description.get(key)
        for name in sorted(expected.keys() - _MAY_DIFFER):
            there = given.get(name) if isinstance(given, dict) else None
            if there != expected[name]:
                raise InputError(f"{name} ({key}) of the run in {path.parent}", there, f"{expected[name]!r}, as now",
                                 "choose another folder, or remove the old run")  # fmt: skip
    return found


def _export(model: SpikingNetwork, dataset: Dataset, description: dict[str, Any], best: dict[str, Any]) -> Network:
    """Fold the best model and look at the test split, once, before and after folding."""
    unfolded = decode(_potentials(model, dataset.test, description["protocol"]["batch_size"]).numpy(), dataset.decoder)
    network = folding.to_network(model, dataset.decoder)
    recording = folding.simulate(network, dataset.test.counts)
    folded = decode(recording["readout"]["potential"].to_numpy(), dataset.decoder)
    metadata = {
        **description,
        "best_epoch": best["epoch"],
        "validation_accuracy": best["validation_accuracy"],
        "test_accuracy": accuracy(folded, dataset.test.labels, dataset.scored_steps),
        "test_accuracy_before_folding": accuracy(unfolded, dataset.test.labels, dataset.scored_steps),
    }
    return Network(network.dt_s, network.populations, network.projections, network.decoder, metadata)


def fit(
    dataset: Dataset,
    architecture: Architecture,
    protocol: Protocol | None = None,
    *,
    folder: str | Path | None = None,
    progress: bool = True,
) -> Fit:
    """Train a network.

    The model of the epoch with the highest validation accuracy (the earliest of equals) is kept, folded, and tested
    once. The same seed on the same machine gives the same weights, bit for bit; call
    ``torch.set_num_threads(1)`` first if the number of threads may change.

    Parameters
    ----------
    dataset : Dataset
    architecture : Architecture
    protocol : Protocol, optional
    folder : path-like, optional
        Where ``checkpoint.safetensors`` and ``metrics.jsonl`` are written after every epoch, and
        ``network.safetensors`` at the end. A run that finds its own checkpoint there goes on from it.
    progress : bool
        Show epochs, accuracy and time left.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If data and architecture do not fit, or the folder holds another run.
    RuntimeError
        If the loss is no longer a number.

    Examples
    --------
    >>> from cortexsnn import datasets
    >>> dataset = datasets.load("mts_xor", train=32, validation=8, test=8)
    >>> architecture = Architecture(40, 2, (4, 4), (0.05, 0.5), readout_tau_s=0.05, dt_s=0.01)
    >>> result = fit(dataset, architecture, Protocol(epochs=2, batch_size=16), progress=False)
    >>> [population.name for population in result.network.hidden]
    ['hidden1', 'hidden2']
    """
    protocol = protocol or Protocol()
    for name in ("channels", "classes", "dt_s"):
        if not np.isclose(getattr(architecture, name), getattr(dataset, name), rtol=1e-9, atol=0):
            raise InputError(f"{name} of the architecture", getattr(architecture, name),
                             f"{getattr(dataset, name)}, as in data set '{dataset.name}'")  # fmt: skip
    description = {
        "architecture": asdict(architecture),
        "protocol": asdict(protocol),
        "dataset": dict(dataset.description) or {"name": dataset.name},
        "versions": versions("torch", "numpy"),
    }
    seed = int(np.random.SeedSequence([protocol.seed, _INITIAL_WEIGHTS]).generate_state(1)[0])
    model = SpikingNetwork(architecture, torch.Generator().manual_seed(seed))
    optimiser = torch.optim.Adam(model.parameters(), lr=protocol.learning_rate)
    history: list[dict[str, Any]] = []
    best_state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    folder = None if folder is None else Path(folder)
    if folder is not None and (found := _resumed(folder / "checkpoint.safetensors", description)):
        history = found.history
        _restore(model, optimiser, found, folder / "checkpoint.safetensors")
        best_state = found.part("best.")
        write_text(folder / "metrics.jsonl", _metrics(history))

    bar = tqdm(initial=len(history), total=protocol.epochs, desc="training", unit="epoch", disable=not progress)
    with bar:
        for epoch in range(len(history), protocol.epochs):
            row = _train_epoch(model, optimiser, dataset, protocol, epoch)
            row.update(_validate(model, dataset, protocol.batch_size))
            if row["validation_accuracy"] > max((r["validation_accuracy"] for r in history), default=-1.0):
                best_state = {name: tensor.clone() for name, tensor in model.state_dict().items()}
            history.append(row)
            if folder is not None:
                tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
                tensors |= {f"best.{name}": tensor for name, tensor in best_state.items()}
                tensors |= _adam_tensors(model, optimiser)
                checkpoints.save(Checkpoint(description, history, tensors), folder / "checkpoint.safetensors")
                write_text(folder / "metrics.jsonl", _metrics(history))
            bar.set_postfix(validation=f"{100 * row['validation_accuracy']:.1f} %")
            bar.update()

    model.load_state_dict(best_state)
    best = max(history, key=lambda r: r["validation_accuracy"])
    network = _export(model, dataset, description, best)
    if folder is not None:
        network.save(folder / "network.safetensors")
    return Fit(network, history)
