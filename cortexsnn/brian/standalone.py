"""Standalone devices: the network becomes a compiled program, C++ or CUDA, that any number of processes run at once.

A child process builds the program, which keeps `brian2.set_device` out of the caller's. Running needs no Brian2: each
block gets a folder of its own with the numbers of the network and the input as files, in the forms that Brian2's
``device.run(run_args=...)`` uses, and the arrays that the program writes are read back.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from cortexsnn.brian.blocks import Counts, Monitored
from cortexsnn.brian.build import Plan
from cortexsnn.brian.cpp import CPP
from cortexsnn.brian.layout import TrialState
from cortexsnn.brian.program import Program, cached_program, plan_key
from cortexsnn.brian.toolchain import SEED_VARIABLE, Toolchain
from cortexsnn.brian.values import ValueName, start_values

__all__ = ["open_standalone", "prepare_program"]

_LOGGER = logging.getLogger("cortexsnn")
_FAULTS = ("Error", "ERROR", "Could not", "Cannot")
_Values = Mapping[ValueName, NDArray[np.floating]]


def _follow(process: subprocess.Popen[str], progress: bool) -> list[str]:
    """Show the worker's progress lines as bars; return everything else that it printed."""
    other: list[str] = []
    bar: tqdm | None = None
    stage = ""
    assert process.stdout is not None
    for line in process.stdout:
        if not line.startswith("@progress "):
            other.append(line)
            continue
        message = json.loads(line.removeprefix("@progress "))
        if message["stage"] != stage:
            if bar is not None:
                bar.close()
            stage = message["stage"]
            bar = tqdm(desc=stage, unit=message["unit"], total=message["total"], delay=2, disable=not progress)
        if bar is not None:
            bar.total = message["total"]
            bar.update(message["done"] - bar.n)
    if bar is not None:
        bar.close()
    return other


def _kill(process: subprocess.Popen[str]) -> None:
    """End a child with everything that it started: make, the compiler."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()
    process.wait()


def prepare_program(plan: Plan, precision: str, toolchain: Toolchain = CPP, *, progress: bool) -> Program:
    """The compiled program of a plan, from the cache or made now in a child process.

    Parameters
    ----------
    plan : Plan
    precision : {"float64", "float32"}
    toolchain : Toolchain
        Of the device.
    progress : bool

    Returns
    -------
    Program

    Raises
    ------
    InputError
        If there is no compiler, or something else is missing that building takes.
    RuntimeError
        If the program cannot be built; the message ends with what Brian2 or the compiler printed.
    """
    toolchain.compiler()
    key = plan_key(plan, precision, toolchain)
    cached = cached_program(key)
    if cached is not None:
        return cached
    with tempfile.TemporaryDirectory(prefix="cortexsnn-") as name:
        folder = Path(name)
        plan.network.save(folder / "network.safetensors")
        job = {"plan": plan.described(), "precision": precision, "key": key, "device": toolchain.device}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        command = [sys.executable, "-m", "cortexsnn.brian.worker", str(folder)]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
        ) as process:
            try:
                printed = _follow(process, progress)
            except BaseException:
                _kill(process)
                raise
    built = cached_program(key)
    if process.returncode != 0 or built is None:
        tail = "".join(printed[-40:]).rstrip()
        raise RuntimeError(
            f"building the {toolchain.language} program failed with exit code {process.returncode}:\n{tail}"
        )
    return built


class StandaloneRunner:
    """Runs blocks in a compiled program; several threads may use it at once.

    Parameters
    ----------
    plan : Plan
    program : Program
    values : mapping from (object, variable) to array
        Numbers of the network (`cortexsnn.brian.values.circuit_values`).
    folder : pathlib.Path
        Temporary folder for everything that is read and written.
    toolchain : Toolchain
        With which the program was made.
    """

    def __init__(self, plan: Plan, program: Program, values: _Values, folder: Path, toolchain: Toolchain = CPP) -> None:
        self.plan = plan
        self.toolchain = toolchain
        self.manifest = program.manifest
        self.folder = folder
        self._children: set[subprocess.Popen[str]] = set()
        self._lock = threading.Lock()
        self._runs = 0
        self._stopped = False
        # Copies, so that nobody who tidies the cache takes the program away.
        self.binary = Path(shutil.copy2(program.binary, folder / "main"))
        self.constants = Path(shutil.copytree(program.folder / "static_arrays", folder / "constants"))
        self.arguments = self._write_values(values, folder / "values")

    def _write_values(self, values: _Values, folder: Path) -> list[str]:
        folder.mkdir(exist_ok=True)
        # A CUDA program turns names of files into small letters, so that they may have no others.
        where = os.path.relpath(folder, self.folder / "run")
        arguments = []
        for number, ((name, variable), value) in enumerate(values.items()):
            full = f"{name}.{variable}"
            kind, size = self.manifest["values"][full]
            # The program would keep its old value if the size were wrong.
            np.broadcast_to(np.asarray(value, dtype=kind).ravel(), size).tofile(folder / str(number))
            arguments.append(f"{full}={where}{os.sep}{number}")
        return arguments

    def _write_table(self, name: str, rows: NDArray[np.float64], folder: Path) -> None:
        file, shape = self.manifest["tables"][name]
        if list(rows.shape) != shape:
            raise RuntimeError(f"the program takes a raster of shape {shape} for '{name}', this is {rows.shape}")
        rows.tofile(folder / file)

    def run(
        self,
        counts: Counts,
        before: Counts | None = None,
        state: TrialState | None = None,
        seed: int | None = None,
    ) -> Monitored:
        """Run one block (`cortexsnn.brian.blocks.Runner`)."""
        with self._lock:
            self._runs += 1
            folder = self.folder / f"run_{self._runs}"
        static, results = folder / "static_arrays", folder / "results"
        static.mkdir(parents=True)
        results.mkdir()
        try:
            for path in self.constants.iterdir():
                (static / path.name).symlink_to(path)
            for name, given in counts.items():
                earlier = None if before is None else before[name]
                self._write_table(name, self.plan.layout.raster(given, earlier, np.float64), static)
            arguments = self.arguments
            if self.plan.continuing:
                for population in self.plan.network.hidden:
                    fired = np.zeros((self.plan.layout.gap + 1, population.size))
                    if state is not None and state.spikes:
                        fired[:-1] = state.spikes[population.name]
                    self._write_table(f"{population.name} again", fired, static)
            if any(self.plan.started.values()):
                start = start_values(self.plan.models, self.plan.started, state)
                arguments = [*arguments, *self._write_values(start, folder / "start")]
            # Left alone, a CUDA program takes the second in which it starts, the same for two short blocks.
            drawn = int(np.random.SeedSequence().generate_state(1)[0]) if seed is None else seed
            environment = {**os.environ, SEED_VARIABLE: str(drawn)}
            self._execute(["--results_dir", f"{results}{os.sep}", *arguments], folder, environment)
            took_s = (results / "last_run_info.txt").read_text(encoding="utf-8").split()[0]
            _LOGGER.debug("%s program: %s s for the steps of a block", self.toolchain.language, took_s)
            return self._read(results)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _execute(self, arguments: list[str], folder: Path, environment: Mapping[str, str]) -> None:
        with self._lock:
            if self._stopped:
                raise RuntimeError("the run was stopped")
            process = subprocess.Popen(
                [str(self.binary), *arguments],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
            self._children.add(process)
        try:
            with process:
                try:
                    printed, _ = process.communicate()
                except BaseException:
                    _kill(process)
                    raise
        finally:
            with self._lock:
                self._children.discard(process)
        faults = [line for line in printed.splitlines() if line.startswith(_FAULTS)]
        if process.returncode != 0 or faults:
            language, code = self.toolchain.language, process.returncode
            raise self.toolchain.explain(printed) or RuntimeError(
                f"the {language} program failed with exit code {code}:\n{printed[-2000:]}"
            )

    def stop(self) -> None:
        """End every program that still runs."""
        with self._lock:
            self._stopped = True
            for process in self._children:
                _kill(process)

    def _read(self, results: Path) -> Monitored:
        manifest = self.manifest

        def array(entry: list[str]) -> NDArray[Any]:
            return np.fromfile(results / entry[0], dtype=entry[1])

        # Spikes of one step come in any order from a GPU; whoever makes a recording of them sorts them.
        dt_s = self.plan.network.dt_s
        sizes = {p.name: p.size for p in self.plan.network.order}
        variables: dict[ValueName, NDArray[np.floating]] = {}
        if self.plan.continuing:
            for full, entry in manifest["variables"].items():
                population, variable = full.split(".")
                variables[population, variable] = array(entry)
        return Monitored(
            {n: (np.rint(array(t) / dt_s).astype(np.int64), array(i)) for n, (t, i) in manifest["spikes"].items()},
            {name: array(entry).reshape(-1, sizes[name]) for name, entry in manifest["potentials"].items()},
            variables,
        )


@contextmanager
def open_standalone(
    toolchain: Toolchain, plan: Plan, values: _Values, precision: str, *, progress: bool
) -> Iterator[StandaloneRunner]:
    """A network ready to run in a compiled program.

    Parameters
    ----------
    toolchain : Toolchain
        Of the device.
    plan : Plan
    values : mapping from (object, variable) to array
    precision : {"float64", "float32"}
    progress : bool

    Yields
    ------
    StandaloneRunner
        Its programs are ended and its files removed at the end, whatever happened.

    Raises
    ------
    InputError
        If the device is not here, or the plan does not fit it; before anything is compiled.
    """
    toolchain.ready(plan, precision)
    program = prepare_program(plan, precision, toolchain, progress=progress)
    with tempfile.TemporaryDirectory(prefix="cortexsnn-") as name:
        runner = StandaloneRunner(plan, program, values, Path(name), toolchain)
        try:
            yield runner
        finally:
            runner.stop()
