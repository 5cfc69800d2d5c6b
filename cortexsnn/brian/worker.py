"""The child process of C++ standalone: reads a job folder, builds and runs the program, writes a recording.

Started as ``python -m cortexsnn.brian.worker FOLDER`` by `cortexsnn.brian.standalone`; it is not meant for users.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from functools import partial
from pathlib import Path

import brian2
import numpy as np
from numpy.typing import NDArray

from cortexsnn import network as networks
from cortexsnn import recording
from cortexsnn.brian.build import assemble
from cortexsnn.brian.program import build_program, discard_old_programs, locked, use_standalone
from cortexsnn.brian.sources import Sources
from cortexsnn.brian.trials import TrialLayout, TrialResults, separate_trials
from cortexsnn.network import Network


def _report(stage: str, unit: str, done: int, total: int) -> None:
    line = json.dumps({"stage": stage, "done": done, "total": total, "unit": unit})
    sys.stdout.write(f"@progress {line}\n")
    sys.stdout.flush()


def _run(
    network: Network, counts: dict[str, NDArray[np.uint8]], layout: TrialLayout, names: list[str], program: Path
) -> TrialResults:
    """Build the program and run it on one chunk of trials after another."""
    trials = next(iter(counts.values())).shape[0]
    sources = {name: Sources.for_counts(values) for name, values in counts.items()}
    silence = {name: layout.raster(values[:0]) for name, values in counts.items()}
    simulation, tables = assemble(network, silence, sources, names)
    separate_trials(simulation, network, layout)
    simulation.run(layout.total_steps * network.dt_s * brian2.second, namespace={})
    build_program(program, partial(_report, "compiling for C++ standalone", "file"))

    report = partial(_report, "running on C++ standalone", "trial")
    results = TrialResults(network, layout, names)
    chunk_folder = f"results_{os.getpid()}"
    for first in range(0, trials, layout.trials):
        report(first, trials)
        chunk = {name: values[first : first + layout.trials] for name, values in counts.items()}
        arguments = {tables[name]: layout.raster(values).astype(np.float64) for name, values in chunk.items()}
        brian2.device.run(run_args=arguments, results_directory=chunk_folder, with_output=False)
        results.add(simulation, min(layout.trials, trials - first))
        for leftover in (program / "static_arrays").glob("init_*.dat"):
            leftover.unlink()
    report(trials, trials)
    # Data of this run: the next one writes its own.
    for leftover in (program / chunk_folder, program / "results", program / "static_arrays"):
        shutil.rmtree(leftover, ignore_errors=True)
    return results


def main(folder: Path) -> None:
    """Run the job in `folder` and leave ``recording.nc`` there."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    network = networks.load(folder / "network.safetensors")
    with np.load(folder / "counts.npz", allow_pickle=False) as archive:
        counts = {name: archive[name] for name in archive.files}
    program = Path(job["program"])
    steps = next(iter(counts.values())).shape[1]
    layout = TrialLayout.for_network(network, job["trials_per_chunk"], steps)
    _report("waiting for another run of this program", "run", 0, 1)
    with locked(program):
        use_standalone(program)
        results = _run(network, counts, layout, job["record_potential"], program)
    # Read back at once and thrown away: not worth compressing.
    recording.save(results.recording(counts, "brian2 cpp_standalone"), folder / "recording.nc", compression=0)
    discard_old_programs(program.parent)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
