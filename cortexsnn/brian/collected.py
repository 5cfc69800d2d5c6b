"""Results of blocks on their way to one recording: kept in memory, or on disk where an interrupted run finds them."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import xarray as xr
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from cortexsnn import recording
from cortexsnn.brian.blocks import Block, BlockResult
from cortexsnn.brian.build import Plan
from cortexsnn.brian.execution import Inputs
from cortexsnn.brian.fine_input import FineInput
from cortexsnn.brian.layout import TrialState
from cortexsnn.brian.values import circuit_values
from cortexsnn.errors import InputError
from cortexsnn.files import replacing, write_text
from cortexsnn.network import ArrayInput, SpikeInput
from cortexsnn.provenance import versions
from cortexsnn.recording import RecordedPopulation, make_recording

__all__ = ["Collector", "collect"]


class Collector(Protocol):
    """Takes the results of blocks in any order and makes a recording of them."""

    def missing(self, blocks: list[Block]) -> list[Block]:
        """Those blocks that have to be run."""

    def states(self) -> dict[int, TrialState]:
        """Where trials stand of which the first blocks are there."""

    def add(self, result: BlockResult) -> None:
        """Take a block over; one call at a time."""

    def recording(self) -> xr.DataTree:
        """All blocks as one recording."""


def _is_array(given: SpikeInput) -> bool:
    """Whether input was there before the run, on its own time steps or on finer ones."""
    return isinstance(given.given if isinstance(given, FineInput) else given, ArrayInput)


class _Run:
    """What all parts of a recording have in common."""

    def __init__(
        self, plan: Plan, inputs: Inputs, source: str, precision: str, record_input: bool, seed: int | None
    ) -> None:
        self.plan, self.inputs, self.source, self.record_input = plan, inputs, source, record_input
        one = next(iter(inputs.values()))
        self.trials, self.steps = one.trials, one.steps
        self.fingerprint = plan.network.fingerprint()
        self.description: dict[str, Any] = {
            "versions": versions("brian2", "numpy"),
            "precision": precision,
            "changes": list(plan.circuit.changes),
            # How to make input again that was made while the run went on; an array says nothing of that.
            "input": {n: given.describe() for n, given in inputs.items() if not _is_array(given)},
        }
        if seed is not None:
            self.description["seed"] = seed

    def with_input(self, result: BlockResult) -> list[RecordedPopulation]:
        """All populations of a block, inputs first where they are recorded."""
        if not self.record_input:
            return result.populations
        trials, steps = result.block.trials, result.block.steps
        given = [
            RecordedPopulation.from_counts(name, "input", one.counts(trials, steps))
            for name, one in self.inputs.items()
        ]
        return [*given, *result.populations]

    def recorded(self, populations: list[RecordedPopulation], trials: range, steps: range) -> xr.DataTree:
        """A recording of some trials or steps."""
        return make_recording(
            populations,
            dt_s=self.plan.network.dt_s,
            trials=len(trials),
            steps=len(steps),
            source=self.source,
            network=self.fingerprint,
            description=self.description,
        )


class InMemory:
    """Keeps all results in memory.

    Parameters
    ----------
    run : _Run
    """

    def __init__(self, run: _Run) -> None:
        self.run = run
        self._results: list[tuple[Block, list[RecordedPopulation]]] = []

    def missing(self, blocks: list[Block]) -> list[Block]:
        """All blocks."""
        return blocks

    def states(self) -> dict[int, TrialState]:
        """None: no block has been run before."""
        return {}

    def add(self, result: BlockResult) -> None:
        """Keep a block."""
        self._results.append((result.block, self.run.with_input(result)))

    def recording(self) -> xr.DataTree:
        """All blocks as one recording."""
        results = sorted(self._results, key=lambda result: (result[0].trials.start, result[0].steps.start))
        blocks = [block for block, _ in results]
        whole = []
        for parts in zip(*(populations for _, populations in results), strict=True):
            potential = None
            if parts[0].potential is not None:
                shape = (self.run.trials, self.run.steps, parts[0].size)
                potential = np.empty(shape, dtype=parts[0].potential.dtype)
                for block, part in zip(blocks, parts, strict=True):
                    trials, steps = block.trials, block.steps
                    potential[trials.start : trials.stop, steps.start : steps.stop] = part.potential
            whole.append(
                RecordedPopulation(
                    parts[0].name,
                    parts[0].kind,
                    parts[0].size,
                    np.concatenate([p.trial + block.trials.start for block, p in zip(blocks, parts, strict=True)]),
                    np.concatenate([p.step + block.steps.start for block, p in zip(blocks, parts, strict=True)]),
                    np.concatenate([p.neuron for p in parts]),
                    potential,
                    parts[0].potential_unit,
                )
            )
        return self.run.recorded(whole, range(self.run.trials), range(self.run.steps))


def _save_state(path: Path, state: TrialState, step: int) -> None:
    arrays: dict[str, NDArray[Any]] = {f"variable {p} {v}": a for (p, v), a in state.variables.items()}
    arrays |= {f"spikes {name}": fired for name, fired in state.spikes.items()}
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, allow_pickle=False, step=np.asarray(step), **arrays)


def _load_state(path: Path) -> tuple[int, TrialState]:
    variables, spikes = {}, {}
    with np.load(path, allow_pickle=False) as archive:
        for name in archive.files:
            words = name.split()
            if words[0] == "variable":
                variables[words[1], words[2]] = archive[name]
            elif words[0] == "spikes":
                spikes[words[1]] = archive[name]
        return int(archive["step"]), TrialState(variables, spikes)


class OnDisk:
    """Writes each block to a part file beside the recording, and joins them at the end.

    Parameters
    ----------
    run : _Run
    path : pathlib.Path
        Of the whole recording.
    parts : pathlib.Path
        Folder of the parts; removed when the recording is written.
    """

    def __init__(self, run: _Run, path: Path, parts: Path) -> None:
        self.run, self.path, self.parts = run, path, parts
        self._states = {
            int(file.stem.removeprefix("state-")): _load_state(file) for file in sorted(parts.glob("state-*.npz"))
        }

    def _part(self, block: Block) -> Path:
        return self.parts / f"part-{block.trials.start:09d}-{block.steps.start:012d}.nc"

    def missing(self, blocks: list[Block]) -> list[Block]:
        """Blocks without a part file, or whose state at the end was not saved."""
        if not self.run.plan.continuing:
            return [block for block in blocks if not self._part(block).exists()]
        reached = {trial: step for trial, (step, _) in self._states.items()}
        return [block for block in blocks if block.steps.stop > reached.get(block.trials.start, 0)]

    def states(self) -> dict[int, TrialState]:
        """Where trials stand of which the first blocks are there."""
        return {trial: state for trial, (_, state) in self._states.items()}

    def add(self, result: BlockResult) -> None:
        """Write a part, and then the state that makes it count."""
        block = result.block
        part = self.run.recorded(self.run.with_input(result), block.trials, block.steps)
        part = recording.mark(part, first_trial=block.trials.start, first_step=block.steps.start)
        recording.save(part, self._part(block), compression=0)
        if self.run.plan.continuing:
            _save_state(self.parts / f"state-{block.trials.start}.npz", result.state, block.steps.stop)

    def recording(self) -> xr.DataTree:
        """Join all parts, remove them, and read the recording."""
        recording.join(sorted(self.parts.glob("part-*.nc")), self.path, trials=self.run.trials, steps=self.run.steps)
        shutil.rmtree(self.parts)
        return recording.load(self.path)


def _hash(values: NDArray[np.floating]) -> str:
    return hashlib.sha256(np.ascontiguousarray(values).data).hexdigest()


def _identity(run: _Run) -> str:
    described = {**run.plan.described(), **run.description, "source": run.source, "network": run.fingerprint}
    described["values"] = {" ".join(name): _hash(value) for name, value in circuit_values(run.plan.circuit).items()}
    described["start"] = {
        f"{name} {variable}": _hash(np.asarray(value, dtype=np.float64))
        for name, model in run.plan.models.items()
        for variable, value in model.initial.items()
    }
    described["arrays"] = {n: given.describe() for n, given in run.inputs.items() if _is_array(given)}
    described["recorded"] = [run.trials, run.steps, run.record_input]
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()


@contextmanager
def collect(
    plan: Plan,
    inputs: Inputs,
    path: str | Path | None,
    source: str,
    precision: str,
    *,
    record_input: bool,
    seed: int | None = None,
) -> Iterator[Collector]:
    """A place for the results of a run.

    Parameters
    ----------
    plan : Plan
    inputs : mapping from str to SpikeInput
    path : path-like or None
        File for the recording; None keeps everything in memory.
    source : str
        What makes the recording.
    precision : str
    record_input : bool
    seed : int, optional
        Of the random numbers that the circuit asks for.

    Yields
    ------
    Collector

    Raises
    ------
    InputError
        If another run writes to `path`, or the parts there belong to another run.
    """
    run = _Run(plan, inputs, source, precision, record_input, seed)
    if path is None:
        yield InMemory(run)
        return
    target = Path(path)
    parts = target.with_name(f"{target.name}.parts")
    target.parent.mkdir(parents=True, exist_ok=True)
    lock = FileLock(target.with_name(f".{target.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except Timeout:
        raise InputError("path", str(target), "a file that no other run writes",
                         "wait for the other run, or give this one a file of its own") from None  # fmt: skip
    try:
        identity = _identity(run)
        note = parts / "run.txt"
        if note.exists() and note.read_text(encoding="utf-8") != identity:
            raise InputError(f"parts in {parts}", "another network, input or setting", "those of the same run",
                             f"remove {parts} to start anew")  # fmt: skip
        parts.mkdir(exist_ok=True)
        write_text(note, identity)
        yield OnDisk(run, target, parts)
    finally:
        lock.release()
        Path(lock.lock_file).unlink(missing_ok=True)
