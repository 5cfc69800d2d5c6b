"""Simulate one size in a fresh process, compiled first: scaling_point.py SYNAPSES TRIALS STEPS [PROCESSES]."""

from __future__ import annotations

import argparse
import json

from cases import noise, square_network, synapses_of
from measure import memory_of_programs, peak_memory, reset_peak_memory, seconds_of

from cortexsnn.brian import simulate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("synapses", "trials", "steps"):
        parser.add_argument(name, type=int)
    parser.add_argument("processes", type=int, nargs="?", help="as many as cores if not given")
    options = parser.parse_args()
    network = square_network(options.synapses)
    counts = noise(options.trials, options.steps)
    first_s, _ = seconds_of(simulate, network, counts, processes=options.processes, progress=False)
    before = reset_peak_memory()
    with memory_of_programs() as peaks:
        seconds, recording = seconds_of(simulate, network, counts, processes=options.processes, progress=False)
    duration_s = options.trials * options.steps * network.dt_s
    print(
        json.dumps(
            {
                "synapses": synapses_of(network),
                "trials": options.trials,
                "first_call_s": first_s,
                "seconds": seconds,
                "programs": len(peaks),
                "program_bytes": max(peaks.values(), default=0.0),
                "caller_bytes": peak_memory(),
                "caller_bytes_before": before,
                "rates_hz": {p.name: recording[p.name].sizes["spike"] / p.size / duration_s for p in network.hidden},
            }
        )
    )


if __name__ == "__main__":
    main()
