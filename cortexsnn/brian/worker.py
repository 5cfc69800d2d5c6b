"""The child process of C++ standalone: reads a job folder, builds and runs the program, writes a recording.

Started as ``python -m cortexsnn.brian.worker FOLDER`` by `cortexsnn.brian.standalone`; it is not meant for users.
"""

from __future__ import annotations

import json
import shutil
import sys
import threading
from pathlib import Path

import brian2
import numpy as np

from cortexsnn import network as networks
from cortexsnn import recording
from cortexsnn.brian.build import assemble
from cortexsnn.brian.sources import Sources
from cortexsnn.brian.standalone import COMPILER_FLAGS
from cortexsnn.brian.trials import TrialLayout, TrialResults, separate_trials

_POLL_SECONDS = 0.5


def _report(stage: str, done: int, total: int, unit: str) -> None:
    line = json.dumps({"stage": stage, "done": done, "total": total, "unit": unit})
    sys.stdout.write(f"@progress {line}\n")
    sys.stdout.flush()


def _report_compiling(program: Path, finished: threading.Event) -> None:
    """Count object files until the compiler is done."""
    while not finished.wait(_POLL_SECONDS):
        total = len(list(program.rglob("*.cpp")))
        _report("compiling for C++ standalone", len(list(program.rglob("*.o"))), total, "file")


def _compile(program: Path) -> None:
    """Build the program, or find that it is up to date; an interrupted build is thrown away first."""
    complete = program / "complete"
    if program.exists() and not complete.exists():
        shutil.rmtree(program)
    complete.unlink(missing_ok=True)
    finished = threading.Event()
    reporter = threading.Thread(target=_report_compiling, args=(program, finished), daemon=True)
    reporter.start()
    brian2.device.build(directory=str(program), compile=True, run=False, with_output=False)
    finished.set()
    reporter.join()
    complete.touch()


def _use_standalone(program: Path) -> None:
    brian2.BrianLogger.suppress_name("brian2.codegen")
    brian2.set_device("cpp_standalone", directory=str(program), build_on_run=False)
    brian2.prefs.codegen.cpp.extra_compile_args_gcc = list(COMPILER_FLAGS)
    brian2.prefs.devices.cpp_standalone.extra_make_args_unix = ["-j2"]


def main(folder: Path) -> None:
    """Run the job in `folder` and leave ``recording.nc`` there."""
    job = json.loads((folder / "job.json").read_text(encoding="utf-8"))
    network = networks.load(folder / "network.safetensors")
    with np.load(folder / "counts.npz", allow_pickle=False) as archive:
        counts = {name: archive[name] for name in archive.files}
    trials, steps = next(iter(counts.values())).shape[:2]
    program = Path(job["program"])
    layout = TrialLayout.for_network(network, job["trials_per_chunk"], steps)
    sources = {name: Sources.for_counts(values) for name, values in counts.items()}

    _use_standalone(program)
    silence = {name: layout.raster(values[:0]) for name, values in counts.items()}
    simulation, tables = assemble(network, silence, sources, job["record_potential"])
    separate_trials(simulation, network, layout)
    simulation.run(layout.total_steps * network.dt_s * brian2.second, namespace={})
    _compile(program)

    results = TrialResults(network, layout, job["record_potential"])
    for first in range(0, trials, layout.trials):
        _report("running on C++ standalone", first, trials, "trial")
        chunk = {name: values[first : first + layout.trials] for name, values in counts.items()}
        arguments = {tables[name]: layout.raster(values).astype(np.float64) for name, values in chunk.items()}
        brian2.device.run(run_args=arguments, results_directory="results_chunk", with_output=False)
        results.add(simulation, min(layout.trials, trials - first))
        for leftover in (program / "static_arrays").glob("init_*.dat"):
            leftover.unlink()
    _report("running on C++ standalone", trials, trials, "trial")
    shutil.rmtree(program / "results_chunk", ignore_errors=True)
    # Read back at once and thrown away: not worth compressing.
    recording.save(results.recording(counts, "brian2 cpp_standalone"), folder / "recording.nc", compression=0)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
