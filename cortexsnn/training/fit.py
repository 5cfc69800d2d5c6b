"""Training: epochs until the best one by validation accuracy is known, one look at the test split at the end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from cortexsnn.datasets import Dataset, TrainingData
from cortexsnn.errors import InputError
from cortexsnn.network import Network
from cortexsnn.provenance import versions
from cortexsnn.training.architecture import Architecture
from cortexsnn.training.control import memoryless_control
from cortexsnn.training.diagnosis import Finding, diagnose, new_findings
from cortexsnn.training.epoch import make_optimiser, train_epoch
from cortexsnn.training.evaluation import validate
from cortexsnn.training.export import export
from cortexsnn.training.model import SpikingNetwork
from cortexsnn.training.protocol import Protocol
from cortexsnn.training.run import Run, as_in_a_file, check_same_run
from cortexsnn.training.tensorboard import TensorBoardLog

__all__ = ["Fit", "fit"]

_INITIAL_WEIGHTS = 0  # stream of random numbers
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
    if protocol.by_batch:
        normalised.append(dataset.validation)
    trials = [len(split) for split in normalised]
    alone = protocol.batch_size == 1 or any(n % protocol.batch_size == 1 for n in trials)
    if dataset.train.counts.shape[1] == 1 and alone:
        raise InputError("batch_size", protocol.batch_size, "batches of at least two trials where a trial has one step",
                         f"one value has no variance; there are {' and '.join(map(str, trials))} trials")  # fmt: skip


def _learn(
    run: Run,
    data: TrainingData,
    protocol: Protocol,
    against: Mapping[str, Any],
    say: Callable[[str], None],
    log: TensorBoardLog | None,
) -> None:
    """One epoch: learn, look at the validation split, say what goes wrong, write it all down."""
    row = train_epoch(run.model, run.optimiser, data, protocol, len(run.history))
    row |= validate(run.model, data, protocol.batch_size, batch_statistics=protocol.by_batch)
    found = new_findings([*run.history, row], run.findings, last_epoch=protocol.epochs, **against)
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


def _finished(run: Run, test: bool) -> Network | None:
    """The network of the same run, if it was finished before, and tested if it is to be: there is no second look."""
    if run.folder is None or not (run.folder / "network.safetensors").exists():
        return None
    network = Network.load(run.folder / "network.safetensors")
    check_same_run(network.metadata, run.description, run.folder)
    return network if not test or "test_accuracy" in network.metadata else None


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
    description = as_in_a_file(
        {
            "architecture": asdict(architecture),
            "protocol": asdict(protocol),
            "dataset": dict(dataset.description) or {"name": dataset.name},
            "versions": versions("torch", "numpy"),
        }
    )
    model = _new_model(architecture, protocol, device)
    run = Run(model, make_optimiser(model, protocol), description, None if folder is None else Path(folder))
    run.resume()
    if (network := _finished(run, test)) is not None:
        return Fit(network, run.history, tuple(run.findings))

    data = dataset.training_data
    control = memoryless_control(data.train, data.validation, data.classes, data.scored_steps)
    against: dict[str, Any] = {"control_accuracy": control, "scored": len(data.validation)}
    bar = tqdm(initial=len(run.history), total=protocol.epochs, desc="training", unit="epoch", disable=not progress)
    with contextlib.ExitStack() as stack:
        stack.enter_context(bar)
        log = stack.enter_context(_open_log(run)) if tensorboard else None
        say = bar.write if progress else _say_nothing
        while not run.is_over(protocol):
            _learn(run, data, protocol, against, say, log)
            bar.set_postfix(validation=f"{100 * run.history[-1]['validation_accuracy']:.1f} %")
            bar.update()

    model.load_state_dict(run.best_state)
    holding = {(f.kind, f.layer) for f in diagnose(run.history, last_epoch=len(run.history), **against)}
    metadata = {
        **description,
        "best_epoch": run.best["epoch"],
        "validation_accuracy": run.best["validation_accuracy"],
        "memoryless_control_accuracy": control,
        "initial_effective_memory_s": architecture.effective_memory().layer_s.tolist(),
        "findings": [asdict(f) | {"holds_at_the_end": (f.kind, f.layer) in holding} for f in run.findings],
    }
    network = export(model, dataset, protocol, metadata, test=test)
    if run.folder is not None:
        network.save(run.folder / "network.safetensors")
    return Fit(network, run.history, tuple(run.findings))


def _open_log(run: Run) -> TensorBoardLog:
    """A log for TensorBoard in the folder of the run, with the epochs so far if there was none."""
    assert run.folder is not None
    is_new = not any(run.folder.glob("events.out.tfevents.*"))
    log = TensorBoardLog(run.folder)
    for row in run.history if is_new else []:
        log.write(row)
    return log


def _say_nothing(_: str) -> None:
    """Findings are in the result; a quiet run says nothing while it lasts."""
