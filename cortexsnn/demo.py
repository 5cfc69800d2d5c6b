"""The whole way in one command: train, convert, simulate, measure, compare, report.

The demonstration uses the same verbs and files as everyone else, so each station can be run again by itself.
"""

from __future__ import annotations

import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

from cortexsnn import brian, cortex, datasets, pipeline, recording, timescales
from cortexsnn.errors import InputError
from cortexsnn.network import Network
from cortexsnn.report import write_report
from cortexsnn.runs import FILES, load_runs, save_agreement
from cortexsnn.summary import accuracy_rows, agreement_rows, correlation_rows, timescale_rows
from cortexsnn.terminal import show_table

__all__ = ["run_demo"]

_POLL_SECONDS = 0.3


@dataclass(frozen=True)
class _Settings:
    """What is trained, as options of ``cortexsnn train``."""

    tau_ms: float
    span_ms: float
    epochs: int
    options: tuple[str, ...]
    spontaneous_trials: int = 400

    def conditions(self) -> dict[str, tuple[str, ...]]:
        mean, span = f"--tau-ms={self.tau_ms:g}", f"--span-ms={self.span_ms:g}"
        return {
            "homogeneous": ("--hierarchy=homogeneous", mean),
            "hierarchical": ("--hierarchy=linear", mean, span),
        }


_MTS_XOR = _Settings(
    300, 500, 12, ("--first-decay-epoch=5", "--decay-every=2", "--batch-size=256", "--readout-tau-ms=50")
)
_SPEECH = _Settings(
    100,
    150,
    15,
    ("--first-decay-epoch=6", "--decay-every=2", "--batch-size=128", "--readout-tau-ms=200", "--width=64",
     "--learning-rate=0.005", "--dropout=0.2", "--channels-per-group=5"),
)  # fmt: skip


def _start_training(
    data: str, run: Path, seed: int, settings: _Settings, condition: tuple[str, ...]
) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "cortexsnn.cli", "train", "--quiet", f"--data={data}", f"--out={run}",
               f"--seed={seed}", f"--epochs={settings.epochs}", *settings.options, *condition]  # fmt: skip
    run.mkdir(parents=True, exist_ok=True)
    with (run / "train.log").open("wb") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _epochs_done(runs: list[Path]) -> int:
    lines = [(run / FILES["metrics"][0]) for run in runs]
    return sum(path.read_bytes().count(b"\n") for path in lines if path.exists())


def _train_all(data: str, runs: dict[Path, tuple[int, tuple[str, ...]]], settings: _Settings) -> None:
    """Train every network in a process of its own, as many at a time as there are cores."""
    waiting = {run: how for run, how in runs.items() if not (run / FILES["network"][0]).exists()}
    running: dict[Path, subprocess.Popen[bytes]] = {}
    total = settings.epochs * len(runs)
    bar = tqdm(initial=_epochs_done(list(runs)), total=total, desc=f"training {len(runs)} networks", unit="epoch")
    try:
        with bar:
            while waiting or running:
                while waiting and len(running) < (os.cpu_count() or 1):
                    run = next(iter(waiting))
                    seed, condition = waiting.pop(run)
                    running[run] = _start_training(data, run, seed, settings, condition)
                time.sleep(_POLL_SECONDS)
                bar.update(_epochs_done(list(runs)) - bar.n)
                for run, process in list(running.items()):
                    if process.poll() is None:
                        continue
                    del running[run]
                    if process.returncode == 2:
                        said = (run / "train.log").read_text(encoding="utf-8").strip().splitlines()
                        raise InputError(f"training of {run.name}", said[-1] if said else "", "a run that ends")
                    if process.returncode != 0:
                        raise RuntimeError(f"training of {run.name} failed; see {run / 'train.log'}")
    finally:
        for process in running.values():
            process.terminate()
        for process in running.values():
            process.wait()


def _simulate_and_measure(run: Path, seed: int, settings: _Settings) -> None:
    """What ``cortexsnn simulate`` and ``cortexsnn timescales`` do, for one network; files that are there are kept."""
    paths = {key: run / name for key, (name, _) in FILES.items()}
    network = Network.load(paths["network"])
    dataset = datasets.load_described(network.metadata["dataset"])
    if not (paths["test"].exists() and paths["agreement"].exists()):
        trials = pipeline.task_trials(dataset)
        recorded, agreement = pipeline.check_simulators(network, trials)
        save_agreement(agreement, paths["agreement"])
        recording.save(pipeline.annotated(recorded, "test", trials), paths["test"])
    streams = np.random.default_rng([seed, 1]).spawn(2)
    if not paths["spontaneous"].exists():
        trials = pipeline.spontaneous_trials(network, dataset, settings.spontaneous_trials, streams[0])
        recorded = brian.simulate(network, trials.counts)
        recording.save(pipeline.annotated(recorded, "spontaneous", trials), paths["spontaneous"])
    if not paths["timescales"].exists():
        recorded = recording.load(paths["spontaneous"])
        start_ms = pipeline.burn_in_ms(recorded)
        measured = timescales.estimate(recorded, start_ms=start_ms, max_lag_ms=1000.0, rng=streams[1])
        timescales.save(measured, paths["timescales"])


def run_demo(data: str, out: str | Path, *, seeds: int = 3) -> None:
    """Go the whole way and show what came out.

    An interrupted demonstration goes on where it stopped: finished files are kept.

    Parameters
    ----------
    data : str
        ``"mts_xor"``, or a folder with spike files in the layout of the Spiking Heidelberg Digits.
    out : path-like
        Folder to write: ``runs/CONDITION-seedN/``, ``comparison.nc`` and ``report.html``.
    seeds : int
        Networks of each condition.
    """
    started = time.monotonic()
    out = Path(out)
    settings = _MTS_XOR if data == "mts_xor" else _SPEECH
    if data != "mts_xor" and not Path(data).is_dir():
        raise InputError("--data", data, "'mts_xor' or a folder with spike files in the layout of SHD")
    runs = {
        out / "runs" / f"{condition}-seed{seed}": (seed, options)
        for condition, options in settings.conditions().items()
        for seed in range(seeds)
    }
    print(f"1/4 training {len(runs)} networks in PyTorch", flush=True)
    _train_all(data, runs, settings)
    print("2/4 running them in Brian2, spike for spike, and 3/4 measuring their timescales", flush=True)
    for run, (seed, _) in tqdm(runs.items(), desc="networks in Brian2", unit="network"):
        _simulate_and_measure(run, seed, settings)
    print("4/4 comparing with the cortex", flush=True)
    files = [run / FILES["timescales"][0] for run in runs]
    comparison = pipeline.compare_files(files, out / "comparison.nc", "murray2014", np.random.default_rng(0))
    write_report(out, out / "report.html")

    finished = load_runs(out)
    show_table("Test accuracy", *accuracy_rows(finished))
    show_table("Spikes against the reference", *agreement_rows(finished))
    show_table("Timescales", *timescale_rows(finished, comparison))
    show_table("Does timescale rise with depth?", *correlation_rows(comparison))
    print(cortex.citation("murray2014").splitlines()[0].removeprefix("@article{").rstrip(","), "values; see the report")
    print(f"report: {out / 'report.html'}  ({time.monotonic() - started:.0f} s)")
