"""C++ standalone: the network becomes a compiled program, made and run in a child process.

The child keeps `brian2.set_device` out of the caller's process. Programs are kept in a cache, one folder for each
architecture; weights, time constants and inputs are data files of the program, so that another network of the same
architecture runs without compiling.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Collection
from pathlib import Path

import brian2
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

import cortexsnn
from cortexsnn import recording
from cortexsnn.brian.sources import Sources
from cortexsnn.brian.trials import TrialLayout
from cortexsnn.errors import InputError
from cortexsnn.files import cache_folder
from cortexsnn.network import Network

__all__ = ["COMPILERS", "COMPILER_FLAGS", "require_compiler", "run_standalone"]

# IEEE arithmetic in the written order, whatever the processor: no fused multiply-add, no fast-math.
COMPILER_FLAGS = ("-w", "-O3", "-ffp-contract=off", "-std=c++17")
COMPILERS = ("g++", "clang++")
_CHUNK_BYTES = 64_000_000


def require_compiler() -> None:
    """Look for the tools that C++ standalone needs.

    Raises
    ------
    InputError
        If there is no C++ compiler or no make.
    """
    for alternatives in (COMPILERS, ("make",)):
        if not any(shutil.which(tool) for tool in alternatives):
            raise InputError("C++ tool chain", f"no {' or '.join(alternatives)} on the PATH", "a C++ compiler and make",
                             "on Debian: apt install g++ make; or simulate with device='numpy'")  # fmt: skip


def _trials_per_chunk(network: Network, trials: int, steps: int, record_potential: Collection[str]) -> int:
    """As many trials as keep the raster and the potentials of one run within bounds."""
    monitored = sum(p.size for p in network.order if p.kind == "readout" or p.name in record_potential)
    width = sum(p.size for p in network.inputs) + monitored
    period = TrialLayout.for_network(network, 1, steps).period
    most = max(1, _CHUNK_BYTES // (8 * period * width))
    chunks = -(-trials // most)
    return -(-trials // chunks)  # equal chunks, so that the last one is not padded with much silence


def _program_key(
    network: Network, layout: TrialLayout, sources: dict[str, Sources], record_potential: Collection[str]
) -> str:
    """Hash of everything that decides the generated code; values of weights and time constants do not."""
    described = {
        "structure": network.structure(),
        "layout": [layout.trials, layout.steps, layout.gap],
        "sources": {name: [s.channel.tolist(), s.level.tolist()] for name, s in sources.items()},
        "record_potential": sorted(record_potential),
        "flags": COMPILER_FLAGS,
        "versions": [brian2.__version__, np.__version__, cortexsnn.__version__, sys.version],
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:20]


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
            bar.update(message["done"] - bar.n)
    if bar is not None:
        bar.close()
    return other


def _kill(process: subprocess.Popen[str]) -> None:
    """End the worker with everything that it started: make, the compiler, the program."""
    if hasattr(os, "killpg"):
        os.killpg(process.pid, signal.SIGKILL)
    else:
        process.kill()


def run_standalone(
    network: Network,
    counts: dict[str, NDArray[np.uint8]],
    *,
    record_potential: Collection[str],
    progress: bool,
) -> xr.DataTree:
    """Run all trials in a compiled program.

    Parameters
    ----------
    network : Network
    counts : dict of str to array, shape (trial, time, channel)
        Checked input spikes.
    record_potential : collection of str
    progress : bool

    Returns
    -------
    xarray.DataTree
        A recording.

    Raises
    ------
    InputError
        If there is no compiler.
    RuntimeError
        If the program cannot be built or run; the message ends with what Brian2 or the compiler printed.
    """
    require_compiler()
    trials, steps = next(iter(counts.values())).shape[:2]
    layout = TrialLayout.for_network(network, _trials_per_chunk(network, trials, steps, record_potential), steps)
    sources = {name: Sources.for_counts(values) for name, values in counts.items()}
    program = cache_folder("brian2_programs") / _program_key(network, layout, sources, record_potential)
    with tempfile.TemporaryDirectory(prefix="cortexsnn-") as name:
        folder = Path(name)
        network.save(folder / "network.safetensors")
        np.savez(folder / "counts.npz", allow_pickle=False, **counts)
        job = {
            "program": str(program),
            "trials_per_chunk": layout.trials,
            "record_potential": sorted(record_potential),
        }
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
        if process.returncode != 0:
            tail = "".join(printed[-40:]).rstrip()
            raise RuntimeError(f"the C++ standalone run failed with exit code {process.returncode}:\n{tail}")
        return recording.load(folder / "recording.nc")
