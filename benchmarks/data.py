"""Speed of the loader of cortexsnn.datasets beside the training step that it feeds, and beside tonic, in one run.

python benchmarks/data.py --data data/fsdd      all sections (about a minute on an idle machine)
python benchmarks/data.py loader tonic ...      some of them: loader, training, tonic, augmentation, memory
python benchmarks/data.py --quick               tiny sizes: whether everything runs, not how fast

Without the folder of spikes, spikes of the same number and length are drawn. tonic (extra `data`) is left out where it
is not installed.
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import tracemalloc
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from machine import machine
from measure import seconds_of
from numpy.typing import NDArray

from cortexsnn.datasets import Split
from cortexsnn.datasets.augmentation import AUGMENTATIONS
from cortexsnn.datasets.binning import Binning
from cortexsnn.datasets.layout import read, write
from cortexsnn.datasets.lazy_counts import LazyCounts
from cortexsnn.datasets.spike_trials import SpikeTrials
from cortexsnn.terminal import show_table
from cortexsnn.training import Architecture, Protocol, SpikingNetwork, stack
from cortexsnn.training.epoch import make_optimiser
from cortexsnn.training.evaluation import TimeFirst
from cortexsnn.training.losses import cross_entropy

HERE = Path(__file__).parent
SEED = 20241122
CHANNELS, CLASSES, STEPS, WINDOW_S, BATCH = 700, 20, 100, 1.4, 256
HIDDEN = (128, 128)


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    trials: int = 2_000
    peer_trials: int = 512
    mapped_trials: int = 40_000
    repeats: int = 5


QUICK = Sizes(128, 64, 500, 1)


class Speech:
    """Spikes of spoken digits as a split, and as the file that tonic reads."""

    def __init__(self, folder: Path, sizes: Sizes) -> None:
        self.folder = folder
        self.sizes = sizes

    @property
    def source(self) -> str:
        """Where the spikes are from."""
        return "fsdd" if self.folder.is_dir() else "drawn"

    @cached_property
    def spikes(self) -> SpikeTrials:
        """All trials."""
        if not self.folder.is_dir():
            return drawn_trials(self.sizes.trials)
        trials = read(next(self.folder.glob("*train*.h5")), progress=False).trials
        # The file is sorted by class: spread what is taken over all of it.
        return trials.take(np.random.default_rng(SEED).permutation(len(trials))[: self.sizes.trials])

    @cached_property
    def counts(self) -> LazyCounts:
        """All trials on the time steps of training."""
        return LazyCounts(self.spikes, Binning(STEPS, WINDOW_S, CHANNELS), progress=False)

    @cached_property
    def split(self) -> Split:
        """All trials with some label."""
        return Split(self.counts, np.arange(len(self.counts)) % CLASSES)

    def write_for_tonic(self, root: Path, trials: int) -> None:
        """The first trials where tonic looks for SHD; the empty archive keeps it from downloading."""
        folder = root / "SHD"
        folder.mkdir()
        (folder / "shd_train.h5.zip").touch()
        parts = [self.spikes.trial(trial) for trial in range(trials)]
        write(
            folder / "shd_train.h5",
            [times.astype(np.float16) for times, _ in parts],
            [units for _, units in parts],
            self.split.labels[:trials],
            speaker=np.zeros(trials, dtype=np.int64),
            keys=[str(label) for label in range(CLASSES)],
        )


def drawn_trials(trials: int) -> SpikeTrials:
    """Random spikes, as many and as long as those of spoken digits."""
    rng = np.random.default_rng(SEED)
    sizes = rng.integers(500, 7_000, trials)
    offsets = np.concatenate([[0], np.cumsum(sizes)])
    times = rng.random(offsets[-1], dtype=np.float32) * np.float32(0.8)
    return SpikeTrials(times.astype(np.float16), rng.integers(0, CHANNELS, offsets[-1], dtype=np.uint16), offsets)


def batches(trials: int) -> Iterator[NDArray[np.int64]]:
    """Trials of one epoch in random order."""
    order = np.random.default_rng(SEED).permutation(trials)
    yield from (order[start : start + BATCH] for start in range(0, trials, BATCH))


def loader(speech: Speech) -> dict[str, Any]:
    """Samples per second of an epoch in random order: counts as bytes, as the tensor that the network takes, sparse."""
    counts = speech.counts
    trials = len(counts)
    time_first = TimeFirst("cpu")

    def dense() -> None:
        for batch in batches(trials):
            counts[batch]

    def tensors() -> None:
        for batch in batches(trials):
            time_first(counts[batch])

    def sparse() -> None:
        for batch in batches(trials):
            counts.sparse(batch)

    found: dict[str, Any] = {"trials": trials, "spikes_per_trial": float(counts.spikes_per_trial.mean())}
    seconds, _ = seconds_of(LazyCounts, speech.spikes, counts.binning, repeats=speech.sizes.repeats)
    found["making_s"] = seconds
    for name, epoch in (("counts", dense), ("tensors", tensors), ("sparse", sparse)):
        seconds, _ = seconds_of(epoch, repeats=speech.sizes.repeats)
        found[f"{name}_per_s"] = trials / seconds
    return found


def training(speech: Speech) -> dict[str, Any]:
    """Samples per second that the training step consumes when its tensor is there already, on all cores."""
    torch.set_num_threads(len(os.sched_getaffinity(0)))
    batch = next(batches(len(speech.split)))
    given, labels = TimeFirst("cpu")(speech.split.counts[batch]), torch.from_numpy(speech.split.labels[batch])
    architecture = Architecture(CHANNELS, CLASSES, stack(HIDDEN, tau_s=0.1), readout_tau_s=0.1, dt_s=WINDOW_S / STEPS)
    model = SpikingNetwork(architecture, torch.Generator().manual_seed(SEED))
    optimiser = make_optimiser(model, Protocol())
    rng = np.random.default_rng(SEED)

    def step() -> None:
        optimiser.zero_grad()
        cross_entropy(model.run(given, rng).readout, labels, "sum_of_softmax").backward()
        optimiser.step()

    step()  # compiles
    seconds, _ = seconds_of(step, repeats=2 * speech.sizes.repeats)
    return {"samples_per_s": len(batch) / seconds, "threads": torch.get_num_threads(), "batch": len(batch)}


def tonic(speech: Speech) -> dict[str, Any]:
    """Samples per second of tonic's SHD, ToFrame and torch's DataLoader, and whether the counts are the same."""
    import tonic as peer
    from torch.utils.data import DataLoader

    trials = min(speech.sizes.peer_trials, len(speech.split))
    found: dict[str, Any] = {"trials": trials}
    with tempfile.TemporaryDirectory() as root:
        speech.write_for_tonic(Path(root), trials)
        frames = peer.transforms.ToFrame(
            sensor_size=peer.datasets.SHD.sensor_size,
            time_window=1e6 * WINDOW_S / STEPS,
            start_time=0,
            end_time=1e6 * WINDOW_S,
        )
        data = peer.datasets.SHD(root, train=True, transform=frames)
        for workers in (0, len(os.sched_getaffinity(0))):

            def epoch(workers: int = workers) -> None:
                for _ in DataLoader(data, batch_size=BATCH, shuffle=True, num_workers=workers):
                    pass

            seconds, _ = seconds_of(epoch, repeats=min(speech.sizes.repeats, 2))
            found[f"{workers}_workers_per_s"] = trials / seconds
        some = range(min(trials, 64))
        theirs = np.stack([np.asarray(data[trial][0]).reshape(STEPS, CHANNELS) for trial in some])
    ours = speech.split.counts[: len(some)]
    found["spikes_compared"] = int(ours.sum())
    # tonic cuts times to whole microseconds, which moves a spike at the edge of a step.
    found["spikes_in_another_step"] = int(np.abs(theirs.astype(np.int64) - ours).sum()) // 2
    return found


def augmentation(speech: Speech) -> dict[str, Any]:
    """Samples per second of each augmentation, at its default."""
    batch = speech.split.counts[next(batches(len(speech.split)))]
    rng = np.random.default_rng(SEED)
    found = {}
    for name, kind in AUGMENTATIONS.items():
        seconds, _ = seconds_of(kind().apply, batch, WINDOW_S / STEPS, rng, repeats=speech.sizes.repeats)
        found[f"{name}_per_s"] = len(batch) / seconds
    return found


def memory(speech: Speech) -> dict[str, Any]:
    """Memory that is allocated for an epoch over spikes that stay in their files, beside their size as counts."""
    trials, part = speech.sizes.mapped_trials, drawn_trials(500)
    repeats = -(-trials // len(part))
    offsets = np.concatenate([[0], np.cumsum(np.tile(part.spikes_per_trial, repeats)[:trials])])
    with tempfile.TemporaryDirectory() as folder:
        paths = {name: Path(folder) / f"{name}.npy" for name in ("times", "units")}
        for name, values in (("times", part.times_s), ("units", part.units)):
            file = np.lib.format.open_memmap(paths[name], mode="w+", dtype=values.dtype, shape=(int(offsets[-1]),))
            for start in range(0, file.size, values.size):
                file[start : start + values.size] = values[: file.size - start]
            file.flush()
            del file
        times, units = (np.load(paths[name], mmap_mode="r") for name in ("times", "units"))

        def epoch() -> None:
            spikes = SpikeTrials(times, units, offsets)
            counts = LazyCounts(spikes, Binning(STEPS, WINDOW_S, CHANNELS), progress=False)
            for batch in batches(trials):
                counts[batch]

        seconds, _ = seconds_of(epoch)
        # Not resident memory: of that, parts of a mapped file are taken back when they are needed elsewhere.
        tracemalloc.start()
        epoch()
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        return {
            "trials": trials,
            "spikes": int(offsets[-1]),
            "file_bytes": sum(path.stat().st_size for path in paths.values()),
            "counts_bytes": trials * STEPS * CHANNELS,
            "peak_bytes": peak,
            "samples_per_s": trials / seconds,
        }


SECTIONS: dict[str, Callable[[Speech], dict[str, Any]]] = {
    "loader": loader,
    "training": training,
    "tonic": tonic,
    "augmentation": augmentation,
    "memory": memory,
}


def _rows(results: dict[str, Any]) -> list[list[str]]:
    """Speeds, and ratios where both sides were measured."""
    speeds = {
        f"{section}, {name.removesuffix('_per_s').replace('_', ' ')}": value
        for section in ("loader", "training", "tonic", "augmentation", "memory")
        for name, value in results.get(section, {}).items()
        if name.endswith("_per_s")
    }
    rows = [[name, f"{value:,.0f} /s", "", "", ""] for name, value in speeds.items()]
    if "loader" not in results:
        return rows
    ours = results["loader"]["tensors_per_s"]
    peers = {
        "training": ("times what training consumes", 3.0, [results.get("training", {}).get("samples_per_s")]),
        "tonic": ("times the faster of tonic", 10.0,
                  [v for n, v in results.get("tonic", {}).items() if n.endswith("_per_s")]),
    }  # fmt: skip
    for words, target, theirs in peers.values():
        if measured := [value for value in theirs if value]:
            ratio = ours / max(measured)
            verdict = "reached" if ratio >= target else "NOT reached"
            rows.append(["loader, tensors", f"{ratio:.1f}", words, f"≥ {target:g}", verdict])
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--data", type=Path, default=Path("data/fsdd"), help="folder with the spikes of spoken digits")
    parser.add_argument("--output", type=Path, help="JSON file; benchmarks/results/data.json if not given")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    name = "quick_data.json" if options.quick else "data.json"
    output = options.output or HERE / "results" / name
    speech = Speech(options.data, QUICK if options.quick else Sizes())
    results = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    results["settings"] = {**asdict(speech.sizes), "spikes": speech.source}
    for section in options.sections or SECTIONS:
        try:
            found = SECTIONS[section](speech)
        except ImportError as error:
            print(f"{section} is left out: {error}")
            continue
        results[section] = found
        results.setdefault("machine", {})[section] = machine("numpy", "scipy", "torch", "tonic")
        output.parent.mkdir(parents=True, exist_ok=True)
        output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    show_table("Samples", ("what", "speed or ratio", "of what", "target", ""), _rows(results))
    if "memory" in results:
        found = results["memory"]
        megabytes = {name: found[f"{name}_bytes"] / 1e6 for name in ("file", "counts", "peak")}
        print(f"{found['spikes']:,} mapped spikes, {megabytes['file']:,.0f} MB, as counts "
              f"{megabytes['counts']:,.0f} MB: peak {megabytes['peak']:,.0f} MB")  # fmt: skip
    print(f"written to {output}")


if __name__ == "__main__":
    main()
