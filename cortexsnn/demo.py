"""The whole way in one command: train, convert, simulate, measure, compare, report.

The demonstration uses the same verbs and files as everyone else, so each station can be run again by itself.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from tqdm.auto import tqdm

import cortexsnn
from cortexsnn import pipeline
from cortexsnn.brian.cpp import require_compiler
from cortexsnn.cores import usable_cores
from cortexsnn.errors import InputError
from cortexsnn.files import write_text
from cortexsnn.report import write_report
from cortexsnn.runs import FILES, load_runs
from cortexsnn.summary import (
    accuracy_rows,
    agreement_rows,
    correlation_rows,
    protocol_sentences,
    timescale_rows,
    verdict,
)
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
    spontaneous_trials: int = 4000

    def conditions(self) -> dict[str, tuple[str, ...]]:
        mean, span = f"--tau-ms={self.tau_ms:g}", f"--span-ms={self.span_ms:g}"
        return {
            "homogeneous": ("--hierarchy=homogeneous", mean),
            "hierarchical": ("--hierarchy=linear", mean, span),
        }


_MTS_XOR = _Settings(
    tau_ms=300,
    span_ms=500,
    epochs=12,
    options=("--first-decay-epoch=5", "--decay-every=2", "--batch-size=256", "--readout-tau-ms=50"),
)
_SPEECH = _Settings(
    tau_ms=100,
    span_ms=150,
    epochs=15,
    options=("--first-decay-epoch=6", "--decay-every=2", "--batch-size=128", "--readout-tau-ms=200", "--width=64",
             "--learning-rate=0.005", "--dropout=0.2", "--channels-per-group=5"),
)  # fmt: skip


@dataclass(frozen=True)
class _Step:
    """One verb of the command line, and the files that it leaves."""

    arguments: tuple[str, ...]
    makes: tuple[Path, ...]


def _training_steps(run: Path, data: str, seed: int, settings: _Settings, condition: tuple[str, ...]) -> list[_Step]:
    network = run / FILES["network"][0]
    arguments = ("train", f"--data={data}", f"--out={run}", f"--seed={seed}", f"--epochs={settings.epochs}")
    return [_Step((*arguments, *settings.options, *condition), (network,))]


def _measuring_steps(run: Path, seed: int, settings: _Settings) -> list[_Step]:
    network, test, agreement, spontaneous, timescales = (
        run / FILES[key][0] for key in ("network", "test", "agreement", "spontaneous", "timescales")
    )
    return [
        _Step(("agree", str(network), f"--out={agreement}", f"--recording={test}"), (test, agreement)),
        _Step(
            ("simulate", str(network), "--input=spontaneous", f"--trials={settings.spontaneous_trials}",
             f"--seed={seed}", f"--out={spontaneous}"),
            (spontaneous,),
        ),
        _Step(("timescales", str(spontaneous), f"--seed={seed}", f"--out={timescales}"), (timescales,)),
    ]  # fmt: skip


def _start(step: _Step, run: Path) -> subprocess.Popen[bytes]:
    """Run a verb in a process of its own, with its output in the log of the run."""
    run.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cortexsnn.cli", *step.arguments, "--quiet"]
    with (run / "log.txt").open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=subprocess.STDOUT)


def _check_ended_well(process: subprocess.Popen[bytes], run: Path, step: _Step) -> None:
    log = run / "log.txt"
    if process.returncode == 2:
        said = log.read_text(encoding="utf-8").strip().splitlines()
        raise InputError(
            f"exit code of '{step.arguments[0]}' for {run.name}", 2, "0", said[-1] if said else f"see {log}"
        )
    if process.returncode != 0:
        raise RuntimeError(f"'cortexsnn {step.arguments[0]}' of {run.name} failed; see {log}")


def _run_all(todo: dict[Path, list[_Step]], done: Callable[[], int], total: int, label: str, unit: str) -> None:
    """Run the steps of every run in order, as many runs at a time as there are cores, and show what is done.

    Steps whose files are there are left out, so that an interrupted demonstration goes on where it stopped.
    """
    waiting = {
        run: [step for step in steps if not all(path.exists() for path in step.makes)] for run, steps in todo.items()
    }
    running: dict[Path, tuple[subprocess.Popen[bytes], _Step]] = {}
    try:
        with tqdm(initial=done(), total=total, desc=label, unit=unit, smoothing=0) as bar:
            while running or any(waiting.values()):
                for run in [r for r, steps in waiting.items() if steps and r not in running]:
                    if len(running) < usable_cores():
                        step = waiting[run].pop(0)
                        running[run] = _start(step, run), step
                time.sleep(_POLL_SECONDS)
                bar.update(done() - bar.n)
                for run, (process, step) in list(running.items()):
                    if process.poll() is not None:
                        del running[run]
                        _check_ended_well(process, run, step)
    finally:
        for process, _ in running.values():
            process.terminate()
        for process, _ in running.values():
            process.wait()


def _epochs_done(runs: Iterable[Path]) -> int:
    metrics = [run / FILES["metrics"][0] for run in runs]
    return sum(path.read_bytes().count(b"\n") for path in metrics if path.exists())


def _files_done(steps: Iterable[_Step]) -> int:
    return sum(path.exists() for step in steps for path in step.makes)


def _remember(path: Path, data: str, settings: _Settings) -> None:
    """Note what a folder was made with, and refuse to go on in it with anything else."""
    source = data if data == "mts_xor" else str(Path(data).resolve())
    kept = {"data": source, "version": cortexsnn.__version__, "measured_like": pipeline.USUAL_TABLE}
    now = json.loads(json.dumps(kept | asdict(settings)))
    if not path.exists():
        write_text(path, json.dumps(now, indent=1))
        return
    way_out = f"remove {path.parent}, or choose another folder with --out"
    try:
        then = json.loads(path.read_text(encoding="utf-8"))
    except ValueError:
        then = None
    if not isinstance(then, dict):
        raise InputError("settings of the demo", str(path), "a file that cortexsnn demo wrote", way_out)
    # Settings that an older version did not write are None.
    differing = [name for name in now if then.get(name) != now[name]]
    if differing:
        old, new = ([of.get(name) for name in differing] for of in (then, now))
        given = old if len(old) > 1 else old[0]
        expected = ", ".join(map(repr, new))
        raise InputError(
            f"{' and '.join(differing)} of the demo in {path.parent}", given, f"{expected}, as now", way_out
        )


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
    if data != "mts_xor" and not Path(data).is_dir():
        raise InputError("--data", data, "'mts_xor' or a folder with spike files in the layout of SHD")
    require_compiler()
    settings = _MTS_XOR if data == "mts_xor" else _SPEECH
    _remember(out / "settings.json", data, settings)
    runs = {
        out / "runs" / f"{condition}-seed{seed}": (seed, options)
        for condition, options in settings.conditions().items()
        for seed in range(seeds)
    }
    train = {run: _training_steps(run, data, seed, settings, how) for run, (seed, how) in runs.items()}
    measure = {run: _measuring_steps(run, seed, settings) for run, (seed, _) in runs.items()}
    print(f"1/3 training {len(runs)} networks in PyTorch", flush=True)
    _run_all(train, lambda: _epochs_done(runs), settings.epochs * len(runs), "training", "epoch")
    print("2/3 running them in Brian2, checking every spike, measuring timescales", flush=True)
    steps = [step for several in measure.values() for step in several]
    files = sum(len(step.makes) for step in steps)
    _run_all(measure, lambda: _files_done(steps), files, "simulating and measuring", "file")
    print("3/3 comparing with the cortex", flush=True)
    measured = [run / FILES["timescales"][0] for run in runs]
    comparison = pipeline.compare_files(measured, out / "comparison.nc", pipeline.USUAL_TABLE, np.random.default_rng(0))
    write_report(out, out / "report.html")

    finished = load_runs(out, comparison)
    show_table("Test accuracy", *accuracy_rows(finished))
    show_table("Spikes against the reference", *agreement_rows(finished))
    show_table("Timescales", *timescale_rows(finished, comparison))
    show_table("Does timescale rise with depth?", *correlation_rows(comparison))
    for sentence in [*protocol_sentences(comparison), *verdict(comparison)]:
        print(sentence)
    disagreeing = [run.name for run in finished if not pipeline.agrees(run.agreement)]
    if disagreeing:
        raise RuntimeError(f"the simulators disagree on {', '.join(disagreeing)}; see {out / 'report.html'}")
    print(f"report: {out / 'report.html'}  ({time.monotonic() - started:.0f} s)")
