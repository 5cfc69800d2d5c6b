"""Time and memory of what runs in this process and in the children that it starts."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

HERE = Path(__file__).parent
_POLL_S = 0.005


def seconds_of(call: Callable[..., Any], *arguments: Any, repeats: int = 1, **options: Any) -> tuple[float, Any]:
    """Shortest wall-clock time of several calls, in seconds, and what the last of them returned."""
    shortest, result = float("inf"), None
    for _ in range(repeats):
        start = time.perf_counter()
        result = call(*arguments, **options)
        shortest = min(shortest, time.perf_counter() - start)
    return shortest, result


def processor_seconds_of_children() -> float:
    """User and system time of all children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def peak_memory() -> float:
    """Largest resident memory of this process so far, in bytes."""
    return _high_water_mark(os.getpid()) or 0.0


def reset_peak_memory() -> float:
    """Start `peak_memory` anew, and return what is resident now, in bytes."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    return peak_memory()


def _field(process: int, name: str) -> str | None:
    try:
        lines = Path(f"/proc/{process}/status").read_text(encoding="ascii", errors="replace").splitlines()
    except OSError:
        return None
    return next((line.split()[1] for line in lines if line.startswith(f"{name}:")), None)


def _high_water_mark(process: int) -> float | None:
    kilobytes = _field(process, "VmHWM")
    return None if kilobytes is None else 1024.0 * float(kilobytes)


def _children(process: int) -> Iterator[int]:
    for listing in Path(f"/proc/{process}/task").glob("*/children"):
        try:
            yield from map(int, listing.read_text(encoding="ascii").split())
        except OSError:
            continue


@contextmanager
def memory_of_programs(name: str = "main") -> Iterator[dict[int, float]]:
    """While the context lasts, follow the peak memory in bytes of children with this command name.

    Yields
    ------
    dict of int to float
        By process; filled as it goes.
    """
    peaks: dict[int, float] = {}
    finished = threading.Event()

    def follow() -> None:
        while not finished.wait(_POLL_S):
            for child in _children(os.getpid()):
                # Between fork and exec a child still shows the memory of its parent, under its parent's name.
                if _field(child, "Name") == name and (peak := _high_water_mark(child)):
                    peaks[child] = max(peaks.get(child, 0.0), peak)

    follower = threading.Thread(target=follow, daemon=True)
    follower.start()
    try:
        yield peaks
    finally:
        finished.set()
        follower.join()


@contextmanager
def first_launch(name: str = "main") -> Iterator[list[float]]:
    """While the context lasts, note when programs of this name are started (`time.perf_counter`)."""
    launched: list[float] = []
    popen = subprocess.Popen

    def noting(command: list[str], *arguments: Any, **options: Any) -> subprocess.Popen:
        if Path(command[0]).name == name:
            launched.append(time.perf_counter())
        return popen(command, *arguments, **options)

    with mock.patch("subprocess.Popen", noting):
        yield launched


def child(script: str, *arguments: object, environment: dict[str, str] | None = None) -> dict[str, Any]:
    """Run a script of this folder in a fresh process and read the JSON object on its last line.

    Raises
    ------
    RuntimeError
        If the script fails; with the end of what it printed.
    """
    command = [sys.executable, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **(environment or {})}
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} failed:\n{(done.stdout + done.stderr)[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def exponent(sizes: list[float], values: list[float]) -> float:
    """Slope of a straight line through the logarithms."""
    return float(np.polyfit(np.log(sizes), np.log(values), 1)[0])
