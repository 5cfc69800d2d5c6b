"""Make the Brian2 objects of a large network, in a fresh process: python many_synapses.py cortexsnn|brian2 SYNAPSES.

Both ways make 700-n-n-20 with the same neurons, synapses and weights; ``brian2`` makes only groups and synapses.
"""

from __future__ import annotations

import argparse
import json
import time

import brian2 as b2
import numpy as np
from cases import CHANNELS, DT_S, noise, square_network, synapses_of
from measure import peak_memory, reset_peak_memory

from cortexsnn.brian import build
from cortexsnn.network import Network


def with_cortexsnn(network: Network, counts: np.ndarray) -> b2.Network:
    return build(network, counts)


def with_brian2_alone(network: Network, counts: np.ndarray) -> b2.Network:
    b2.defaultclock.dt = DT_S * b2.second
    raster = b2.TimedArray(counts.astype(float), dt=DT_S * b2.second)
    groups = [
        b2.NeuronGroup(CHANNELS, "x = raster(t, i) : 1", threshold="x > 0.5", reset="", namespace={"raster": raster})
    ]
    parts: list = []
    for population in network.order:
        spiking = {"threshold": "v > 1", "reset": "v -= 1"} if population.kind == "lif" else {}
        group = b2.NeuronGroup(population.size, "dv/dt = -v/tau : 1\ntau : second", method="exact", **spiking)
        group.tau = population.tau_s * b2.second
        groups.append(group)
    for source, target, projection in zip(groups, groups[1:], network.projections, strict=False):
        synapses = b2.Synapses(source, target, "w : 1", on_pre="v_post += w")
        synapses.connect()
        synapses.w = projection.weight[0].T.ravel()
        parts.append(synapses)
    return b2.Network([*groups, *parts])


WAYS = {"cortexsnn": with_cortexsnn, "brian2": with_brian2_alone}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("way", choices=WAYS)
    parser.add_argument("synapses", type=int)
    options = parser.parse_args()
    b2.prefs.codegen.target = "numpy"  # no compiler in between
    network = square_network(options.synapses)
    counts = noise(1, 25)[0]
    before = reset_peak_memory()
    start = time.perf_counter()
    made = WAYS[options.way](network, counts)
    seconds = time.perf_counter() - start
    print(
        json.dumps(
            {
                "way": options.way,
                "synapses": synapses_of(network),
                "objects": len(made.objects),
                "seconds": seconds,
                "peak_bytes": peak_memory() - before,
                "whole_process_bytes": peak_memory(),
            }
        )
    )


if __name__ == "__main__":
    main()
