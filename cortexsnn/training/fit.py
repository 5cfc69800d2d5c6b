"""Training: epochs until the best one by validation accuracy is known, one look at the test split at the end."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from textwrap import shorten
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from cortexsnn.datasets import Dataset, TrainingData
from cortexsnn.errors import InputError
from cortexsnn.files import write_text
from cortexsnn.network import Network
from cortexsnn.provenance import versions
from cortexsnn.training import checkpoint as checkpoints
from cortexsnn.training.architecture import Architecture
from cortexsnn.training.checkpoint import Checkpoint
from cortexsnn.training.control import memoryless_control
from cortexsnn.training.diagnosis import Finding, diagnose, new_findings
from cortexsnn.training.epoch import make_optimiser, train_epoch
from cortexsnn.training.evaluation import validate
from cortexsnn.training.export import export
from cortexsnn.training.model import SpikingNetwork
from cortexsnn.training.protocol import Protocol
from cortexsnn.training.tensorboard import TensorBoardLog

__all__ = ["Fit", "fit"]

_INITIAL_WEIGHTS = 0  # stream of random numbers
_MAY_DIFFER = {"folder"}  # of a run that goes on: the data may have moved
_PRECISIONS = {"float32": None, "bfloat16": torch.bfloat16}


@dataclass(frozen=True, eq=False)
class Fit:
    """What training leaves behind.

    Parameters
    ----------
    network : Network
        Folded, of the best epoch; its metadata tell how it was made and how well it does.
    history : list of dict
        Figures of every epoch (`cortexsnn.training.epoch.train_epoch`, `cortexsnn.training.evaluation.validate`).
    findings : tuple of Finding
        What went wrong, in words.
    """

    network: Network
    history: list[dict[str, Any]]
    findings: tuple[Finding, ...]


@dataclass(eq=False)
class _Run:
    """A model on its way: all that changes from epoch to epoch, and where it is kept."""

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
        write_text(self.folder / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in self.history))

    def resume(self) -> None:
        """Go on from the checkpoint of the same run, if there is one."""
        if self.folder is None or not (self.folder / "checkpoint.safetensors").exists():
            return
        path = self.folder / "checkpoint.safetensors"
        found = checkpoints.load(path)
        _check_same_run(found.description, self.description, self.folder)
        _restore(self.model, self.optimiser, found, path)
        self.history, self.best_state = found.history, found.part("best.")
        self.findings = [Finding(**finding) for finding in found.findings]
        write_text(self.folder / "metrics.jsonl", "".join(json.dumps(row) + "\n" for row in self.history))

    def is_over(self, protocol: Protocol) -> bool:
        """Whether all epochs are done, or the validation accuracy has not risen for too long."""
        if len(self.history) >= protocol.epochs:
            return True
        if protocol.patience is None or not self.history:
            return False
        return len(self.history) - self.best["epoch"] >= protocol.patience


def _as_in_a_file(description: Mapping[str, Any]) -> dict[str, Any]:
    """What is read back after it has been written as JSON; numbers of NumPy are numbers."""
    try:
        plain: dict[str, Any] = json.loads(json.dumps(dict(description), default=np.generic.item))
    except TypeError as error:
        raise InputError("description of the data set", description.get("dataset"), "what JSON can say",
                         str(error)) from None  # fmt: skip
    return plain


def _check_same_run(there: Mapping[str, Any], now: Mapping[str, Any], folder: Path) -> None:
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


def _new_model(architecture: Architecture, protocol: Protocol, device: str) -> SpikingNetwork:
    seed = int(np.random.SeedSequence([protocol.seed, _INITIAL_WEIGHTS]).generate_state(1)[0])
    model = SpikingNetwork(architecture, torch.Generator().manual_seed(seed))
    model.multiply_in(_PRECISIONS[protocol.precision])
    try:
        return model.to(device)
    except (RuntimeError, AssertionError) as error:  # what torch raises without CUDA, or for a word it does not know
        raise InputError("device", device, "'cpu', or 'cuda' where torch can use it", str(error)) from None


def _check_fits(dataset: Dataset, architecture: Architecture, protocol: Protocol) -> None:
    for name in ("channels", "classes", "dt_s"):
        if not np.isclose(getattr(architecture, name), getattr(dataset, name), rtol=1e-9, atol=0):
            raise InputError(f"{name} of the architecture", getattr(architecture, name),
                             f"{getattr(dataset, name)}, as in data set '{dataset.name}'")  # fmt: skip
    normalised = [dataset.train]
    if protocol.evaluation_statistics == "batch":
        normalised.append(dataset.validation)
    trials = [len(split) for split in normalised]
    alone = protocol.batch_size == 1 or any(n % protocol.batch_size == 1 for n in trials)
    if dataset.train.counts.shape[1] == 1 and alone:
        raise InputError("batch_size", protocol.batch_size, "batches of at least two trials where a trial has one step",
                         f"one value has no variance; there are {' and '.join(map(str, trials))} trials")  # fmt: skip


def _learn(
    run: _Run,
    data: TrainingData,
    protocol: Protocol,
    control: float,
    say: Callable[[str], None],
    log: TensorBoardLog | None,
) -> None:
    """One epoch: learn, look at the validation split, say what goes wrong, write it all down."""
    row = train_epoch(run.model, run.optimiser, data, protocol, len(run.history))
    row |= validate(run.model, data, protocol.batch_size, batch_statistics=protocol.evaluation_statistics == "batch")
    found = new_findings(
        [*run.history, row],
        run.findings,
        control_accuracy=control,
        scored=len(data.validation),
        last_epoch=protocol.epochs,
    )
    for finding in found:
        say(finding.message)
    # Not kept: from figures that are no numbers nothing can go on.
    if broken := [finding.message for finding in found if finding.kind == "not_a_number"]:
        raise FloatingPointError(broken[0])
    run.findings += found
    run.add(row)
    if log is not None:  # before it counts as done: twice is better than never
        log.write(row)
    run.save()


def _finished(run: _Run, test: bool) -> Network | None:
    """The network of the same run, if it was finished before, and tested if it is to be: there is no second look."""
    if run.folder is None or not (run.folder / "network.safetensors").exists():
        return None
    network = Network.load(run.folder / "network.safetensors")
    _check_same_run(network.metadata, run.description, run.folder)
    return network if not test or "test_accuracy" in network.metadata else None


def _judge(
    history: list[dict[str, Any]], data: TrainingData, protocol: Protocol, control: float
) -> tuple[Finding, ...]:
    return diagnose(
        history, control_accuracy=control, scored=len(data.validation), last_epoch=min(len(history), protocol.epochs)
    )


def fit(
    dataset: Dataset,
    architecture: Architecture,
    protocol: Protocol | None = None,
    *,
    folder: str | Path | None = None,
    device: str = "cpu",
    test: bool = True,
    tensorboard: bool = False,
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
        The sound default if not given.
    folder : path-like, optional
        Where ``checkpoint.safetensors`` and ``metrics.jsonl`` are written after every epoch, and
        ``network.safetensors`` at the end. A run that finds its own checkpoint there goes on from it.
    device : str
        Where torch computes, such as ``"cpu"`` or ``"cuda"``.
    test : bool
        Look at the test split, once, at the end. Leave it out while you choose between networks by their validation
        accuracy; the same call with it, in the same folder, tests the finished run.
    tensorboard : bool
        Write an event file for TensorBoard into `folder` too.
    progress : bool
        Show epochs, accuracy and time left, and what goes wrong.

    Returns
    -------
    Fit

    Raises
    ------
    InputError
        If data and architecture do not fit, or the folder holds another run.
    FloatingPointError
        If the loss or a gradient is no longer a number.

    Examples
    --------
    >>> from cortexsnn import datasets
    >>> from cortexsnn.training import stack
    >>> dataset = datasets.load("mts_xor", train=32, validation=8, test=8)
    >>> architecture = Architecture(40, 2, stack((4, 4), tau_s=(0.05, 0.5)), readout_tau_s=0.05, dt_s=0.01)
    >>> result = fit(dataset, architecture, Protocol(epochs=2, batch_size=16), progress=False)
    >>> [population.name for population in result.network.hidden]
    ['hidden1', 'hidden2']
    """
    protocol = protocol or Protocol()
    _check_fits(dataset, architecture, protocol)
    if tensorboard and folder is None:
        raise InputError("tensorboard without a folder", tensorboard, "a folder in which the event file is written")
    description = _as_in_a_file(
        {
            "architecture": asdict(architecture),
            "protocol": asdict(protocol),
            "dataset": dict(dataset.description) or {"name": dataset.name},
            "versions": versions("torch", "numpy"),
        }
    )
    model = _new_model(architecture, protocol, device)
    run = _Run(model, make_optimiser(model, protocol), description, None if folder is None else Path(folder))
    run.resume()
    if (network := _finished(run, test)) is not None:
        return Fit(network, run.history, tuple(run.findings))

    data = dataset.training_data
    control = memoryless_control(data.train, data.validation, data.classes, data.scored_steps)
    bar = tqdm(initial=len(run.history), total=protocol.epochs, desc="training", unit="epoch", disable=not progress)
    with contextlib.ExitStack() as stack:
        stack.enter_context(bar)
        log = stack.enter_context(_open_log(run)) if tensorboard else None
        say = bar.write if progress else _say_nothing
        while not run.is_over(protocol):
            _learn(run, data, protocol, control, say, log)
            bar.set_postfix(validation=f"{100 * run.history[-1]['validation_accuracy']:.1f} %")
            bar.update()

    model.load_state_dict(run.best_state)
    memory = architecture.effective_memory()
    holding = {(f.kind, f.layer) for f in _judge(run.history, data, protocol, control)}
    metadata = {
        **description,
        "best_epoch": run.best["epoch"],
        "validation_accuracy": run.best["validation_accuracy"],
        "memoryless_control_accuracy": control,
        "initial_effective_memory_s": memory.layer_s.tolist(),
        "findings": [asdict(f) | {"holds_at_the_end": (f.kind, f.layer) in holding} for f in run.findings],
    }
    network = export(model, dataset, protocol, metadata, test=test)
    if run.folder is not None:
        network.save(run.folder / "network.safetensors")
    return Fit(network, run.history, tuple(run.findings))


def _open_log(run: _Run) -> TensorBoardLog:
    """A log for TensorBoard in the folder of the run, with the epochs so far if there was none."""
    assert run.folder is not None
    is_new = not any(run.folder.glob("events.out.tfevents.*"))
    log = TensorBoardLog(run.folder)
    for row in run.history if is_new else []:
        log.write(row)
    return log


def _say_nothing(_: str) -> None:
    """Findings are in the result; a quiet run says nothing while it lasts."""
