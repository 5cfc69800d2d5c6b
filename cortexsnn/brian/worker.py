"""The child process that builds programs: reads a job folder, writes, compiles and stores the program.

Started as ``python -m cortexsnn.brian.worker FOLDER`` by `cortexsnn.brian.standalone`, so that `brian2.set_device`
stays out of the user's process; it is not meant for users.
"""

from __future__ import annotations

import json
import sys
from functools import partial
from pathlib import Path
from typing import Any

import brian2
import numpy as np

from cortexsnn.brian.build import Assembled, Plan, assemble
from cortexsnn.brian.cpp import CPP
from cortexsnn.brian.cuda.device import CUDA
from cortexsnn.brian.program import cached_program, plan_lock, store_program
from cortexsnn.brian.values import circuit_values, start_values
from cortexsnn.network import Network

__all__ = ["main"]

_TOOLCHAINS = {toolchain.device: toolchain for toolchain in (CPP, CUDA)}


def _report(stage: str, unit: str, done: int, total: int) -> None:
    line = json.dumps({"stage": stage, "done": done, "total": total, "unit": unit})
    sys.stdout.write(f"@progress {line}\n")
    sys.stdout.flush()


def _written(variable: brian2.core.variables.ArrayVariable) -> list[str]:
    """File and type of an array that the program writes."""
    return [brian2.device.get_array_filename(variable), np.dtype(variable.dtype).name]


def _manifest(plan: Plan, assembled: Assembled) -> dict[str, Any]:
    """What the program reads and writes, by the names of the network."""
    simulation = assembled.simulation
    values = circuit_values(plan.circuit) | start_values(plan.models, plan.started, None)
    settable = {}
    for name, variable in values:
        described = simulation[name].variables[variable]
        # Brian2 does not know yet how many synapses there will be.
        size = int(described.size) if name in plan.models else values[name, variable].size
        settable[f"{name}.{variable}"] = [np.dtype(described.dtype).name, size]
    tables = {**assembled.rasters, **{f"{name} again": table for name, table in assembled.replays.items()}}
    return {
        "values": settable,
        "tables": {name: [f"{table.name}_values", list(table.values.shape)] for name, table in tables.items()},
        "spikes": {
            p.name: [_written(simulation[f"{p.name}_spikes"].variables[v]) for v in ("t", "i")]
            for p in plan.network.hidden
        },
        "potentials": {n: _written(simulation[f"{n}_potential"].variables["v"]) for n in plan.with_potential},
        "variables": {
            f"{name}.{variable}": _written(simulation[name].variables[variable])
            for name, variables in plan.state.items()
            for variable in variables
        },
    }


def _generate(plan: Plan, assembled: Assembled, folder: Path) -> None:
    brian2.device.build(directory=str(folder), compile=False, run=False, with_output=False)
    tables = {**assembled.rasters, **assembled.replays}
    for table in tables.values():  # every run brings its own
        (folder / "static_arrays" / f"{table.name}_values").unlink(missing_ok=True)


def main(folder: Path) -> None:
    """Build the program of the job in `folder`."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    plan = Plan.from_described(job["plan"], Network.load(folder / "network.safetensors"))
    key, toolchain = job["key"], _TOOLCHAINS[job["device"]]
    _report("waiting for another build of this program", "build", 0, 1)
    with plan_lock(key):
        if cached_program(key) is not None:
            return
        _report(f"writing {toolchain.language} code", "network", 0, 1)
        brian2.BrianLogger.suppress_name("brian2.codegen")
        toolchain.use(folder / "unused", job["precision"])
        silence = {p.name: np.zeros((plan.layout.total_steps, p.size), dtype=np.uint8) for p in plan.network.inputs}
        assembled = assemble(plan, silence)
        assembled.simulation.run(plan.layout.total_steps * plan.network.dt_s * brian2.second, namespace={})
        store_program(
            key,
            _manifest(plan, assembled),
            lambda project: _generate(plan, assembled, project),
            partial(_report, "compiling", "s"),
            toolchain,
        )


if __name__ == "__main__":
    main(Path(sys.argv[1]))
