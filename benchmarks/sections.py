"""The sections of the benchmark; each takes the settings and returns plain numbers."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from cases import speech, synapses_of, tuned_network
from measure import child, exponent, first_launch, processor_seconds_of_children, seconds_of
from numpy.typing import NDArray
from peers import differing, handwritten, torch_inference
from tqdm.auto import tqdm

from cortexsnn.brian import agreement, simulate
from cortexsnn.brian.blocks import plan_of
from cortexsnn.brian.standalone import prepare_program
from cortexsnn.cores import usable_cores
from cortexsnn.network import Network, spike_inputs

KINDS = ("dense", "convolutional")


@dataclass(frozen=True)
class Settings:
    """Sizes of everything, and where the speech is."""

    data: Path
    hidden: tuple[int, ...] = (256, 256)
    trials: int = 1000
    steps: int = 250
    numpy_trials: int = 20
    agreement_trials: int = 50
    torch_batch: int = 100
    build_synapses: int = 10_000_000
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000, 30_000_000, 100_000_000, 300_000_000)
    numbers_of_trials: tuple[int, ...] = (8, 64, 256, 1024, 4096)
    scaling_limit_s: float = 600.0
    repeats: int = 3
    by_hand: tuple[str, ...] = ("default flags", "same flags")

    @classmethod
    def quick(cls, data: Path) -> Settings:
        """Small enough to see in a minute or two whether everything runs; the times mean nothing."""
        return cls(
            data,
            hidden=(24, 24),
            trials=16,
            steps=50,
            numpy_trials=2,
            agreement_trials=4,
            torch_batch=8,
            build_synapses=200_000,
            sizes=(10_000, 100_000),
            numbers_of_trials=(8, 16),
            repeats=1,
            by_hand=("default flags",),
        )

    @cached_property
    def counts(self) -> NDArray[np.uint8]:
        """The trials, speech if it is there."""
        if self.data.is_dir():
            return speech(self.data, self.trials, self.steps)
        raise SystemExit(f"no folder {self.data}; give the folder of the Free Spoken Digit spikes with --data")

    def network(self, kind: str, seed: int = 0) -> Network:
        """A network of one kind."""
        return tuned_network(kind, self.hidden, self.counts, seed=seed)


def build(settings: Settings) -> dict[str, Any]:
    """Seconds from a network to a compiled program, with an empty cache."""
    found = {}
    for kind in tqdm(KINDS, desc="build", unit="network"):
        network = settings.network(kind)
        inputs = spike_inputs(network, settings.counts)
        plan = plan_of(network, inputs, {}, (), processes=usable_cores(), compiled=True)
        used = processor_seconds_of_children()
        seconds, _ = seconds_of(prepare_program, plan, "float64", progress=False)
        found[kind] = {
            "wall_s": seconds,
            "processor_s": processor_seconds_of_children() - used,
            "synapses": synapses_of(network),
        }
    return found


def _rates(network: Network, recording: Any) -> dict[str, float]:
    trials = recording.sizes["trial"]
    duration_s = float(recording["trial_duration_s"].mean())
    return {p.name: recording[p.name].sizes["spike"] / (p.size * trials * duration_s) for p in network.hidden}


def _compiled_call(settings: Settings, network: Network, **options: Any) -> tuple[float, Any]:
    """Seconds of a whole call of `simulate` whose program is in the cache, and its recording."""
    simulate(network, settings.counts, progress=False, **options)
    return seconds_of(simulate, network, settings.counts, progress=False, repeats=settings.repeats, **options)


def trials(settings: Settings) -> dict[str, Any]:
    """Seconds of whole calls of `simulate`, and agreement with the reference."""
    found = {}
    for kind in tqdm(KINDS, desc="trials", unit="network"):
        network, other = settings.network(kind), settings.network(kind, seed=1)
        counts = settings.counts
        number = len(counts)
        per_trial = {}
        for name, processes in (("all_cores", None), ("one_process", 1)):
            seconds, recording = _compiled_call(settings, network, processes=processes)
            per_trial[name] = 1000 * seconds / number
        start = time.perf_counter()
        with first_launch() as launched:
            second_s, _ = seconds_of(simulate, other, counts, progress=False)
        table = agreement(network, counts[: settings.agreement_trials], progress=False)
        found[kind] = {
            "trials": number,
            "steps": settings.steps,
            "cores": usable_cores(),
            "ms_per_trial": per_trial,
            "new_weights_ms_per_trial": 1000 * second_s / number,
            "new_weights_first_block_s": launched[0] - start,
            "rates_hz": _rates(network, recording),
            "input_hz_per_channel": float(counts.mean()) / network.dt_s,
            "agreement": {
                "trials": settings.agreement_trials,
                "spikes": int(table["spikes"].sum()),
                "differing": int(table["differing"].sum()),
            },
        }
    return found


def peers(settings: Settings) -> dict[str, Any]:
    """The same trials in a hand-written Brian2 program, Brian2's NumPy runtime and torch."""
    found: dict[str, Any] = {}
    for kind in tqdm(KINDS, desc="peers", unit="network"):
        network, counts = settings.network(kind), settings.counts
        number = len(counts)
        own_s, recording = _compiled_call(settings, network)
        one_s, _ = _compiled_call(settings, network, processes=1)
        few = counts[: settings.numpy_trials]
        numpy_s, _ = seconds_of(simulate, network, few, device="numpy", progress=False)
        torch_s, fired = seconds_of(torch_inference, network, counts, settings.torch_batch, repeats=settings.repeats)
        own = {name: int(recording[name].sizes["spike"]) for name in fired}
        by_hand = {}
        for name in settings.by_hand:
            other = handwritten(network, counts, same_flags=name == "same flags", jobs=usable_cores())
            unequal, total = differing(recording, other["spikes"], settings.steps)
            by_hand[name] = {
                **other["times"],
                "ms_per_trial": 1000 * other["times"]["run_s"] / number,
                "spikes": total,
                "differing": unequal,
            }
        found[kind] = {
            "cortexsnn": {"ms_per_trial": 1000 * own_s / number, "one_process_ms_per_trial": 1000 * one_s / number},
            "handwritten": by_hand,
            "numpy_runtime": {"ms_per_trial": 1000 * numpy_s / len(few), "trials": len(few)},
            "torch": {
                "ms_per_trial": 1000 * torch_s / number,
                "batch": settings.torch_batch,
                "threads": torch.get_num_threads(),
                "precision": "float32",
                "spikes": fired,
                "spikes_of_cortexsnn": own,
            },
        }
    return found


def synapses(settings: Settings) -> dict[str, Any]:
    """Seconds and memory to make the Brian2 objects, beside bare Brian2, each in a fresh process."""
    ways = tqdm(("cortexsnn", "brian2"), desc="synapses", unit="process")
    return {way: child("many_synapses.py", way, settings.build_synapses) for way in ways}


def _fits(settings: Settings, synapses_wanted: int, last: dict[str, Any] | None) -> bool:
    """Whether memory and disk hold a network of this size, judged by the last one that ran."""
    if last is None:
        return True
    lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    available = 1024 * int(next(line for line in lines if line.startswith("MemAvailable")).split()[1])
    factor = synapses_wanted / last["synapses"]
    needed = factor * (last["program_bytes"] + last["caller_bytes"])
    # The program writes both ends and the weight of each synapse, beside the weights that it reads.
    on_disk = 24 * synapses_wanted
    return needed < 0.8 * available and on_disk < 0.8 * shutil.disk_usage(tempfile.gettempdir()).free


def scaling(settings: Settings) -> dict[str, Any]:
    """Seconds and memory over size, with 4 trials in one process, and over trials, with all cores."""
    start = time.monotonic()
    by_size: list[dict[str, Any]] = []
    left_out: list[int] = []
    for size in tqdm(settings.sizes, desc="scaling over synapses", unit="size"):
        spent = time.monotonic() - start
        last = by_size[-1] if by_size else None
        # The first call compiles, which takes as long for every size, and runs; so does the second.
        expected = last["first_call_s"] + 2 * last["seconds"] * size / last["synapses"] if last else 0.0
        if left_out or not _fits(settings, size, last) or spent + expected > settings.scaling_limit_s:
            left_out.append(size)
            continue
        by_size.append(child("scaling_point.py", size, 4, settings.steps, 1))
    small = 250_000
    by_trials = [
        child("scaling_point.py", small, number, settings.steps)
        for number in tqdm(settings.numbers_of_trials, desc="scaling over trials", unit="number")
    ]

    def slope(points: list[dict[str, Any]], over: str, value: str) -> float:
        return exponent([p[over] for p in points], [p[value] for p in points])

    found: dict[str, Any] = {"by_size": by_size, "by_trials": by_trials, "sizes_left_out": left_out, "exponents": {}}
    for name, points, over in (("by_size", by_size, "synapses"), ("by_trials", by_trials, "trials")):
        if len(points) < 2:
            continue
        upper = points[-3:]
        found["exponents"][name] = {
            "seconds": slope(points, over, "seconds"),
            "seconds_of_the_largest_three": slope(upper, over, "seconds"),
            "program_bytes": slope(points, over, "program_bytes"),
            "program_bytes_of_the_largest_three": slope(upper, over, "program_bytes"),
        }
    if by_size:
        found["program_bytes_per_synapse"] = by_size[-1]["program_bytes"] / by_size[-1]["synapses"]
    return found


SECTIONS = {"build": build, "trials": trials, "peers": peers, "synapses": synapses, "scaling": scaling}
