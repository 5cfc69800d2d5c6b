"""Speed of cortexsnn.timescales beside statsmodels, Elephant and mrestimator, in one run.

python benchmarks/timescales.py               all sections (some minutes on an idle machine)
python benchmarks/timescales.py acf isttc     some of them: pearson_trials, acf, isttc, multistep, memory
python benchmarks/timescales.py --quick       tiny sizes: whether everything runs, not how fast

Peers live in an environment of their own (make test-peers makes it); one that is not there is left out.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from machine import machine
from measure import peak_memory, reset_peak_memory, seconds_of

from cortexsnn import recording, timescales
from cortexsnn.terminal import show_table
from cortexsnn.timescales.autocorrelation import trial_autocorrelation
from cortexsnn.timescales.blocks import TimeBlocks, time_blocks
from cortexsnn.timescales.correlogram import spike_correlogram
from cortexsnn.timescales.multistep import step_coefficients
from cortexsnn.timescales.tiling import isttc

HERE = Path(__file__).parent
SEED = 20241122


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    neurons: int = 1_000
    trains: int = 10_000
    peer_trains: int = 200
    bins: int = 100_000
    tiling_trains: int = 200
    tiling_calls: int = 25
    branching_steps: int = 20_000
    recording_spikes: int = 20_000_000
    repeats: int = 5


QUICK = Sizes(50, 100, 5, 10_000, 5, 2, 2_000, 100_000, 1)


def pearson_trials(sizes: Sizes) -> dict[str, Any]:
    """Correlation across trials of many neurons against reading their counts once."""
    rng = np.random.default_rng(SEED)
    counts = rng.poisson(1.0, (500, 20, sizes.neurons))
    found = {}
    for kind in (np.int64, np.uint8):
        array = counts.astype(kind)
        read, _ = seconds_of(array.sum, repeats=sizes.repeats)
        own, _ = seconds_of(trial_autocorrelation, array, 19, repeats=sizes.repeats)
        found[np.dtype(kind).name] = {"read_s": read, "own_s": own, "ratio": own / read, "target": 5.0}
    return found


def acf(sizes: Sizes) -> dict[str, Any]:
    """Autocorrelation of sparse spike trains against statsmodels on the same counts."""
    from statsmodels.tsa.stattools import acf as peer

    rng = np.random.default_rng(SEED)
    trains = timescales.white_poisson_trains(
        trials=1, duration_s=sizes.bins * 0.005, neurons=sizes.trains, rate_hz=2.0, rng=rng
    )
    once = TimeBlocks(np.array([sizes.bins]), 1, 1)

    def own() -> Any:
        found = []
        for begin in range(0, sizes.trains, 2_000):
            binned = trains.part(begin, min(begin + 2_000, sizes.trains)).binned(5.0)
            sums = spike_correlogram(binned, 100, once, weighting="all")
            found.append(sums.curves(np.ones((1, 1)))[0])
        return np.concatenate(found)

    own_s, curves = seconds_of(own, repeats=min(sizes.repeats, 3))
    dense = trains.part(0, sizes.peer_trains).binned(5.0).counts()[0].T.astype(np.float64)
    peer_s, theirs = seconds_of(lambda: np.array([peer(x, nlags=100, fft=True)[1:] for x in dense]))
    scale = sizes.trains / sizes.peer_trains
    return {
        "own_s": own_s,
        "peer_s": peer_s * scale,
        "peer_measured_on": sizes.peer_trains,
        "ratio": peer_s * scale / own_s,
        "target": 10.0,
        "largest_difference": float(np.abs(curves[: sizes.peer_trains] - theirs).max()),
    }


def tiling(sizes: Sizes) -> dict[str, Any]:
    """iSTTC of Hawkes trains against Elephant's tiling coefficient, called lag by lag."""
    import neo
    import quantities as pq
    from elephant.spike_train_correlation import spike_time_tiling_coefficient

    rng = np.random.default_rng(SEED)
    trains = timescales.hawkes_trains(
        reproduction=0.7, kernel_tau_ms=30.0, rate_hz=2.0, trials=1, duration_s=600.0,
        neurons=sizes.tiling_trains, rng=rng,
    )  # fmt: skip
    lags_ms = 5.0 * np.arange(1, 101)
    own_s, _ = seconds_of(lambda: isttc(trains, lags_ms=lags_ms, window_ms=2.5), repeats=min(sizes.repeats, 3))

    def peer(neuron: int, lag_s: float) -> float:
        times, stop = trains.part(neuron, neuron + 1).time_s, 600.0 - lag_s
        a = neo.SpikeTrain(times[times <= stop], units="s", t_stop=stop)
        b = neo.SpikeTrain(times[times >= lag_s] - lag_s, units="s", t_stop=stop)
        return float(spike_time_tiling_coefficient(a, b, dt=2.5 * pq.ms))

    cases = [(int(rng.integers(sizes.tiling_trains)), float(rng.choice(lags_ms)) / 1000.0) for _ in
             range(sizes.tiling_calls)]  # fmt: skip
    peer_s, _ = seconds_of(lambda: [peer(*case) for case in cases])
    total = peer_s / len(cases) * sizes.tiling_trains * lags_ms.size
    return {"own_s": own_s, "peer_s": total, "peer_measured_on": len(cases), "ratio": total / own_s, "target": 10.0}


def multistep(sizes: Sizes) -> dict[str, Any]:
    """Slopes for 1 to 500 steps against mrestimator."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import mrestimator

    counts = mrestimator.simulate_branching(
        m=0.98, a=1000, subp=0.05, length=sizes.branching_steps, numtrials=10, seed=43771
    )
    steps, blocks = np.arange(1, 501), time_blocks(np.full(10, sizes.branching_steps), 500)
    found = {}
    for method in ("trialseparated", "stationarymean"):

        def own(method: str = method) -> Any:
            sums = step_coefficients(counts[:, :, None], steps, blocks, method=method)
            return sums.curves(np.ones((1, sums.blocks)))[0, 0]

        def peer(method: str = method) -> Any:
            return mrestimator.coefficients(counts, method=method, steps=(1, 500), numboot=0).coefficients

        peer()  # compiles
        own_s, ours = seconds_of(own, repeats=sizes.repeats)
        peer_s, theirs = seconds_of(peer, repeats=sizes.repeats)
        found[method] = {
            "own_s": own_s,
            "peer_s": peer_s,
            "ratio": peer_s / own_s,
            "target": 10.0,
            "largest_difference": float(np.abs(ours - theirs).max()),
        }
    return found


def memory(sizes: Sizes) -> dict[str, Any]:
    """Peak memory of an estimate of a recording that stays in its file, beside the size of its spikes."""
    rng = np.random.default_rng(SEED)
    neurons, trials, steps = 500, 20, 100_000
    each = sizes.recording_spikes // trials
    place = np.sort(rng.integers(0, steps * neurons, (trials, each)), axis=1)
    layer = recording.RecordedPopulation(
        "hidden1", "lif", neurons,
        np.repeat(np.arange(trials, dtype=np.int32), each),
        (place // neurons).astype(np.int32).ravel(), (place % neurons).astype(np.int32).ravel(),
    )  # fmt: skip
    del place
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.nc"
        made = recording.make_recording([layer], dt_s=0.001, trials=trials, steps=steps, source="benchmark")
        recording.save(made, path)
        spikes_bytes = sum(int(one.nbytes) for one in made["hidden1"].data_vars.values())
        del made, layer
        before = reset_peak_memory()
        with recording.opened(path) as opened:
            seconds, result = seconds_of(
                timescales.estimate, opened, "acf", bin_ms=10.0, max_lag_ms=500.0, bootstrap=20,
                rng=np.random.default_rng(SEED), progress=False,
            )  # fmt: skip
        return {
            "spikes": sizes.recording_spikes,
            "spikes_bytes": int(spikes_bytes),
            "added_peak_bytes": peak_memory() - before,
            "seconds": seconds,
            "status": result["status"].item(),
        }


SECTIONS: dict[str, Callable[[Sizes], dict[str, Any]]] = {
    "pearson_trials": pearson_trials,
    "acf": acf,
    "isttc": tiling,
    "multistep": multistep,
    "memory": memory,
}


def _rows(results: dict[str, Any]) -> list[list[str]]:
    rows = []
    flat = {
        "pearson_trials, int64": (results.get("pearson_trials", {}).get("int64"), "times one read of the array", False),
        "pearson_trials, uint8": (results.get("pearson_trials", {}).get("uint8"), "times one read of the array", False),
        "acf": (results.get("acf"), "times as fast as statsmodels", True),
        "isttc": (results.get("isttc"), "times as fast as Elephant", True),
        "multistep, trialseparated": (results.get("multistep", {}).get("trialseparated"), "mrestimator", True),
        "multistep, stationarymean": (results.get("multistep", {}).get("stationarymean"), "mrestimator", True),
    }
    for name, (found, words, at_least) in flat.items():
        if not found or "ratio" not in found:
            continue
        reached = found["ratio"] >= found["target"] if at_least else found["ratio"] <= found["target"]
        target = f"{'≥' if at_least else '≤'} {found['target']:g}"
        verdict = "reached" if reached else "NOT reached"
        rows.append([name, f"{found['own_s']:.3g} s", f"{found['ratio']:.3g}", words, target, verdict])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--output", type=Path, help="JSON file; benchmarks/results/timescales.json if not given")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    name = "quick_timescales.json" if options.quick else "timescales.json"
    output = options.output or HERE / "results" / name
    results = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    for section in options.sections or SECTIONS:
        try:
            found = SECTIONS[section](QUICK if options.quick else Sizes())
        except ImportError as error:
            print(f"{section} is left out: {error}")
            continue
        results[section] = found
        results.setdefault("machine", {})[section] = machine("numpy", "scipy")
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    show_table("Speed", ("what", "time", "ratio", "of what", "target", ""), _rows(results))
    if "memory" in results:
        found = results["memory"]
        print(f"{found['spikes']:,} spikes, {found['spikes_bytes'] / 1e6:.0f} MB: peak "
              f"{found['added_peak_bytes'] / 1e6:.0f} MB above the start, {found['seconds']:.0f} s")  # fmt: skip
    print(f"written to {output}")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
