"""Copies of a network side by side in one program, in a fresh process: gpu_replicas.py DEVICE COPIES SYNAPSES STEPS.

A small network leaves most of a GPU idle. Copies that do not know of each other fill it: each runs a trial of its own,
and a step starts no more kernels than for one. On a processor they win nothing. Prints a line of JSON.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import brian2
import numpy as np
from cases import noise, square_network, synapses_of
from numpy.typing import NDArray

from cortexsnn import recording, reference
from cortexsnn.brian.cpp import CPP
from cortexsnn.brian.cuda.device import CUDA
from cortexsnn.brian.equations import neuron_group, neuron_model, on_pre, parameters
from cortexsnn.brian.schedule import slot, slots
from cortexsnn.brian.sources import count_variable, source_group
from cortexsnn.brian.toolchain import Toolchain, compile_project
from cortexsnn.network import Network

TOOLCHAINS = {toolchain.device: toolchain for toolchain in (CPP, CUDA)}


def _tiled(network: Network, name: str, copies: int) -> Any:
    """A population as often as there are copies; only its size counts."""
    population = network[name]
    repeated: dict[str, Any] = {
        field: np.tile(getattr(population, field), copies) for field in ("tau_s", "threshold", "bias")
        if getattr(population, field, None) is not None
    }  # fmt: skip
    if population.kind == "readout":
        return type(population).readout(name, copies * population.size, tau_s=repeated["tau_s"], bias=repeated["bias"])
    return type(population).lif(name, copies * population.size, reset=population.reset, **repeated)


def side_by_side(network: Network, counts: NDArray[np.uint8]) -> brian2.Network:
    """Copies of a feed-forward network without delays; copy c gets trial c.

    Parameters
    ----------
    network : Network
    counts : array of uint8, shape (trial, time, channel)

    Returns
    -------
    brian2.Network
        Neurons of copy c follow those of copy c - 1. All is in it, weights too.
    """
    copies, steps, channels = counts.shape
    clock = brian2.Clock(network.dt_s * brian2.second, name="network_clock")
    raster = counts.transpose(1, 0, 2).reshape(steps, copies * channels)
    groups = {"input": source_group("input", raster, clock, [0])[0]}
    parts: list[Any] = [groups["input"]]
    for population in network.order:
        tiled = _tiled(network, population.name, copies)
        group = neuron_group(tiled, neuron_model(tiled), clock)
        group.state_updater.when = slot("decay", population.name)
        if population.kind == "lif":
            group.thresholder["spike"].when = slot("threshold", population.name)
            group.resetter["spike"].when = slot("reset", population.name)
            parts.append(brian2.SpikeMonitor(group, name=f"{population.name}_spikes"))
        for variable, value in parameters(tiled, network.dt_s).items():
            setattr(group, f"{variable}_", value)
        groups[population.name] = group
        parts.append(group)
    for projection in network.projections:
        before, after = (network[name].size for name in (projection.source, projection.target))
        count = f"*{count_variable(0)}_pre" if projection.source == "input" else ""
        code = on_pre(network[projection.target], feedforward=True).replace("{count}", count)
        synapses = brian2.Synapses(
            groups[projection.source], groups[projection.target], "w : 1", on_pre=code, delay=0 * brian2.second,
            clock=clock, name=projection.name,
        )  # fmt: skip
        synapses.connect(j=f"k for k in range({after}*(i//{before}), {after}*(i//{before}) + {after})")
        synapses.w_ = np.tile(projection.weight[0].T.ravel(), copies)
        synapses.pre.when = slot("synapses", projection.target)
        parts.append(synapses)
    simulation = brian2.Network(parts)
    simulation.schedule = slots(network)
    return simulation


def _no_report(passed: int, expected: int) -> None:
    """A benchmark tells its own progress."""


def _run(toolchain: Toolchain, make: Callable[[], brian2.Network], duration_s: float, folder: Path) -> dict[str, Any]:
    """Build and run; seconds, and where the spikes are."""
    brian2.BrianLogger.suppress_name("brian2.codegen")
    toolchain.use(folder / "unused", "float64")
    simulation = make()
    simulation.run(duration_s * brian2.second, namespace={})
    brian2.device.build(directory=str(folder), compile=False, run=False, with_output=False)
    toolchain.amend(folder)
    (folder / toolchain.unity_name).write_text(toolchain.unity(folder), encoding="utf-8")
    start = time.perf_counter()
    compile_project(folder, toolchain, _no_report)
    compiled = time.perf_counter()
    done = subprocess.run([str(folder / "main")], cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        printed = done.stdout + done.stderr
        raise toolchain.explain(printed) or RuntimeError(printed[-2000:])
    results = folder / "results"
    files = {
        part.name.removesuffix("_spikes"): [
            np.fromfile(results / Path(brian2.device.get_array_filename(part.variables[v])).name,
                        dtype=part.variables[v].dtype) for v in ("t", "i")
        ]
        for part in simulation.objects if isinstance(part, brian2.SpikeMonitor)
    }  # fmt: skip
    return {
        "compile_s": compiled - start,
        "program_s": time.perf_counter() - compiled,
        "steps_s": float((results / "last_run_info.txt").read_text().split()[0]),
        "spikes": files,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("device", choices=TOOLCHAINS)
    for name in ("copies", "synapses", "steps"):
        parser.add_argument(name, type=int)
    options = parser.parse_args()
    network = square_network(options.synapses)
    counts = noise(options.copies, options.steps)
    with tempfile.TemporaryDirectory(prefix="cortexsnn-benchmark-") as name:
        os.chdir(name)
        found = _run(TOOLCHAINS[options.device], lambda: side_by_side(network, counts), options.steps * network.dt_s,
                     Path(name) / "project")  # fmt: skip
    spikes = found.pop("spikes")
    # The first and the last copy stand for all.
    differing = 0
    for copy in sorted({0, options.copies - 1}):
        expected = reference.simulate(network, counts[copy : copy + 1])
        for population, (t, i) in spikes.items():
            size = network[population].size
            fired = np.zeros((options.steps, size), dtype=bool)
            own = i // size == copy
            fired[np.rint(t[own] / network.dt_s).astype(int), i[own] % size] = True
            differing += int(np.count_nonzero(fired != recording.dense_spikes(expected, population)[0]))
    counted = {population: len(i) for population, (_, i) in spikes.items()}
    print(json.dumps({"copies": options.copies, "synapses_of_one": synapses_of(network), "steps": options.steps,
                      "spikes": sum(counted.values()), "differing": differing, **found}))  # fmt: skip


if __name__ == "__main__":
    main()
