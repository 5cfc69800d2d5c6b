"""The same network as someone who knows Brian2 well would write it by hand, for C++ standalone.

    python handwritten_brian2.py FOLDER [--same-flags] [--parallel-make N]

FOLDER holds ``network.npz``, written by `peers.handwritten`; spikes and times are written to ``spikes.npz`` there. All
trials run one after another in one run, input comes from a SpikeGeneratorGroup, and the compiler gets Brian2's default
flags unless told otherwise. One process, as Brian2 has it.
"""

from __future__ import annotations

import argparse
import json
import resource
import time
from pathlib import Path
from typing import Any

import brian2 as b2
import numpy as np

SAME_FLAGS = ["-w", "-O3", "-ffp-contract=off", "-std=c++17"]

EQUATIONS = """dv/dt = (bias/(1 - exp(-dt/tau)) - v)/tau : 1
tau : second (constant)
bias : 1 (constant)
"""
READOUT = """dv/dt = (bias - v)/tau : 1
tau : second (constant)
bias : 1 (constant)
"""


def build_network(given: dict[str, np.ndarray]) -> tuple[b2.Network, list[b2.SpikeMonitor], int, float]:
    """All Brian2 objects, the monitors, the steps from trial to trial, and the duration of the run in seconds."""
    counts, dt_s = given["counts"], float(given["dt_s"])
    layers = int(given["layers"])
    trials, steps, channels = counts.shape
    delays = [given[f"delays{layer}"] for layer in range(layers)]
    gap = max(1, max(int(d.max()) for d in delays))
    period = steps + gap
    b2.defaultclock.dt = dt_s * b2.second

    # A SpikeGeneratorGroup fires a neuron once in a step: the second spike of a channel comes from a second neuron.
    copies = int(counts.max())
    found = [np.nonzero(counts > copy) for copy in range(copies)]
    when = np.concatenate([trial * period + step for trial, step, _ in found])
    which = np.concatenate([channel + copy * channels for copy, (_, _, channel) in enumerate(found)])
    source = b2.SpikeGeneratorGroup(channels * copies, which, when * dt_s * b2.second, when="in")

    parts: list = [source]
    monitors = []
    schedule = ["start", "in"]
    for layer in range(layers):
        weight = given[f"weight{layer}"]
        last = layer == layers - 1
        size = weight.shape[1]
        spiking = {} if last else {
            "threshold": f"v > 1 and (t_in_timesteps % {period}) < {steps}",
            "reset": "v -= 1/exp(-dt/tau)",
        }  # fmt: skip
        group = b2.NeuronGroup(size, READOUT if last else EQUATIONS, method="exact", name=f"layer{layer}", **spiking)
        group.tau = given[f"tau{layer}"] * b2.second
        group.bias = given[f"bias{layer}"]
        group.state_updater.when = f"decay{layer}"
        # Every trial starts from rest; what still travels in the gap is forgotten with it.
        group.run_regularly(f"v = v*int(t_in_timesteps % {period} != 0)", when="start")
        parts.append(group)
        for tap, delay in enumerate(delays[layer]):
            on_pre = "v_post += (1 - exp(-dt/tau_post))*w" if last else "v_post += w"
            synapses = b2.Synapses(
                source,
                group,
                "w : 1",
                on_pre=on_pre,
                delay=int(delay) * dt_s * b2.second,
                name=f"synapses{layer}_{tap}",
            )
            synapses.connect()
            repeated = np.tile(weight[tap].T, (copies, 1)) if layer == 0 else weight[tap].T
            synapses.w = repeated.ravel()
            synapses.pre.when = f"arrive{layer}"
            parts.append(synapses)
        schedule += [f"decay{layer}", f"arrive{layer}"]
        if last:
            parts.append(b2.StateMonitor(group, "v", record=True, when="end"))
            continue
        group.thresholder["spike"].when = f"fire{layer}"
        group.resetter["spike"].when = f"reset{layer}"
        schedule += [f"fire{layer}", f"reset{layer}"]
        monitor = b2.SpikeMonitor(group, name=f"spikes{layer}")
        parts.append(monitor)
        monitors.append(monitor)
        source = group
    network = b2.Network(parts)
    network.schedule = [*schedule, "groups", "thresholds", "synapses", "resets", "end"]
    return network, monitors, period, trials * period * dt_s


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--same-flags", action="store_true", help="compile with the flags of cortexsnn")
    parser.add_argument("--parallel-make", type=int, default=1)
    options = parser.parse_args()

    start = time.perf_counter()
    project = options.folder / "project"
    b2.set_device("cpp_standalone", directory=str(project), build_on_run=False)
    b2.prefs.devices.cpp_standalone.extra_make_args_unix = [f"-j{options.parallel_make}"]
    if options.same_flags:
        b2.prefs.codegen.cpp.extra_compile_args_gcc = SAME_FLAGS
    with np.load(options.folder / "network.npz") as stored:
        given = dict(stored)
    network, monitors, period, duration_s = build_network(given)
    network.run(duration_s * b2.second)
    written = time.perf_counter()
    b2.device.build(directory=str(project), compile=True, run=False, with_output=False)
    compiled = time.perf_counter()
    compiler_s = resource.getrusage(resource.RUSAGE_CHILDREN).ru_utime
    b2.device.run(directory=str(project), with_output=False)
    dt_s = float(given["dt_s"])
    spikes: dict[str, Any] = {}
    for layer, monitor in enumerate(monitors):
        step = np.rint(np.asarray(monitor.t) / dt_s).astype(np.int64)
        spikes[f"step{layer}"], spikes[f"neuron{layer}"] = step, np.asarray(monitor.i)
    ran = time.perf_counter()
    np.savez(options.folder / "spikes.npz", **spikes)
    print(
        json.dumps(
            {
                "write_s": written - start,
                "compile_s": compiled - written,
                "compile_processor_s": compiler_s,
                "run_s": ran - compiled,
                "period_steps": period,
                "flags": "as cortexsnn" if options.same_flags else "Brian2's defaults",
            }
        )
    )


if __name__ == "__main__":
    main()
