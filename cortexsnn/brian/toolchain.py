"""How what a standalone device of Brian2 writes becomes a program: compiler, flags, and what is special about it."""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from cortexsnn.brian.build import Plan

__all__ = ["SEED_VARIABLE", "Toolchain", "compile_project"]

SEED_VARIABLE = "CORTEXSNN_SEED"  # of the environment in which a program runs
_POLL_SECONDS = 0.5


@dataclass(frozen=True)
class Toolchain:
    """What is special about the programs of one standalone device.

    Parameters
    ----------
    device : str
        Name of the device, in Brian2 and here.
    language : str
        For messages.
    compiler : callable
        ``compiler()`` is the path of the compiler. Raises `cortexsnn.errors.InputError` if that, or anything else that
        building takes, is missing.
    flags, libraries : callable
        ``flags()`` and ``libraries()`` are lists of arguments of the compiler.
    packages : tuple of str
        Packages whose versions decide what is generated.
    use : callable
        ``use(folder, precision)`` makes the device that of this process.
    amend : callable
        ``amend(project)`` changes what is wrong or wasteful in what Brian2 has written.
    sources : tuple of str
        Endings of the files that are compiled.
    unity_name : str
        Name of the one file that includes the others.
    unity : callable
        ``unity(project)`` is its text.
    makefile : bool
        Whether Brian2's own makefile is tried when the one file does not compile.
    expected_s : callable
        ``expected_s(code_objects)`` is how many seconds compiling may take.
    ready : callable
        ``ready(plan, precision)`` raises `cortexsnn.errors.InputError` if the plan cannot run here.
    explain : callable
        ``explain(printed)`` is the exception for what a failed program has printed, or None.
    """

    device: str
    language: str
    compiler: Callable[[], str]
    flags: Callable[[], list[str]]
    libraries: Callable[[], list[str]]
    packages: tuple[str, ...]
    use: Callable[[Path, str], None]
    amend: Callable[[Path], None]
    sources: tuple[str, ...]
    unity_name: str
    unity: Callable[[Path], str]
    makefile: bool
    expected_s: Callable[[int], float]
    ready: Callable[[Plan, str], None]
    explain: Callable[[str], Exception | None]


def compile_project(project: Path, toolchain: Toolchain, report: Callable[[int, int], None]) -> str:
    """Compile what Brian2 has written, as one translation unit.

    Parameters
    ----------
    project : pathlib.Path
        Folder of the project, with the file `toolchain.unity_name` in it.
    toolchain : Toolchain
    report : callable
        Called with the seconds so far and the seconds that it may take, now and then.

    Returns
    -------
    str
        ``"one unit"``, or ``"makefile"`` if only Brian2's own makefile did it, file by file.

    Raises
    ------
    RuntimeError
        If it cannot be compiled; with the last lines of the compiler.
    """
    compiler = toolchain.compiler()
    expected = round(toolchain.expected_s(sum(1 for _ in (project / "code_objects").glob(f"*{toolchain.sources[0]}"))))
    finished = threading.Event()

    def follow() -> None:
        start = time.monotonic()
        while not finished.wait(_POLL_SECONDS):
            passed = round(time.monotonic() - start)
            report(passed, max(passed, expected))

    reporter = threading.Thread(target=follow, daemon=True)
    reporter.start()
    arguments = [*toolchain.flags(), "-I.", toolchain.unity_name, *toolchain.libraries(), "-o", "main"]
    try:
        made = _run([compiler, *arguments], project)
        if made.returncode == 0:
            return "one unit"
        if toolchain.makefile and shutil.which("make"):
            stock = _run(["make", f"-j{os.cpu_count() or 1}", f"CXX={compiler}"], project)
            if stock.returncode == 0:
                return "makefile"
        raise RuntimeError(f"compiling in {project} failed:\n{made.stderr[-2000:]}")
    finally:
        finished.set()
        reporter.join()


def _run(command: list[str], project: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
