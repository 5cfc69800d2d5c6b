"""Compiled programs in the cache: building them fast, never half, and not keeping too many.

Brian2 writes some fifty small C++ files, each of which includes the same large header. The header is compiled once
and loaded by all (a precompiled header), which gives the same object files in a third of the time.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import brian2
import numpy as np
from filelock import FileLock, Timeout

from cortexsnn.brian.standalone import COMPILER_FLAGS, COMPILERS

__all__ = ["build_program", "discard_old_programs", "locked"]

_HEADER = "objects.h"
_COMPLETE = "complete"
_KEPT_PROGRAMS = 20
_POLL_SECONDS = 0.5


def _lock(program: Path) -> FileLock:
    return FileLock(f"{program}.lock")


@contextmanager
def locked(program: Path) -> Iterator[None]:
    """Keep other processes out of the folder of a program; throw away what an interrupted build left there.

    Parameters
    ----------
    program : pathlib.Path

    Yields
    ------
    None
        While no other process builds or runs the program.
    """
    with _lock(program):
        if program.exists() and not (program / _COMPLETE).exists():
            shutil.rmtree(program)
        yield


def use_standalone(program: Path) -> None:
    """Make C++ standalone the device of this process, with settings that no preferences file changes."""
    brian2.BrianLogger.suppress_name("brian2.codegen")
    brian2.set_device("cpp_standalone", directory=str(program), build_on_run=False)
    brian2.prefs.core.default_float_dtype = np.float64
    brian2.prefs.devices.cpp_standalone.openmp_threads = 0
    brian2.prefs.codegen.cpp.extra_compile_args_gcc = list(COMPILER_FLAGS)


def _compiler() -> str:
    return next(found for found in map(shutil.which, COMPILERS) if found)


def _make(program: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    # The header has to come before anything else for its precompiled form to be taken.
    command = ["make", f"CXX={_compiler()} -include {_HEADER}", *arguments]
    return subprocess.run(command, cwd=program, capture_output=True, text=True, check=False)


def _precompile(program: Path) -> Path:
    """Precompile the common header. If that fails, the compiler reads the header itself, only more slowly."""
    target = program / f"{_HEADER}.gch"
    flags = [*COMPILER_FLAGS, "-Wno-write-strings", "-I."]
    command = [_compiler(), *flags, "-x", "c++-header", _HEADER, "-o", str(target)]
    subprocess.run(command, cwd=program, capture_output=True, check=False)
    return target


def _follow_files(program: Path, finished: threading.Event, report: Callable[[int, int], None]) -> None:
    while not finished.wait(_POLL_SECONDS):
        report(len(list(program.rglob("*.o"))), len(list(program.rglob("*.cpp"))))


def build_program(program: Path, report: Callable[[int, int], None]) -> None:
    """Write and compile the program of the current Brian2 device; what is up to date is not compiled again.

    Parameters
    ----------
    program : pathlib.Path
        Its folder, locked by the caller.
    report : callable
        Called with the number of compiled files and of all files now and then.

    Raises
    ------
    RuntimeError
        If it cannot be compiled; with the last lines of the compiler.
    """
    complete = program / _COMPLETE
    complete.unlink(missing_ok=True)
    brian2.device.build(directory=str(program), compile=False, run=False, with_output=False)
    if _make(program, "--question").returncode != 0:
        finished = threading.Event()
        reporter = threading.Thread(target=_follow_files, args=(program, finished, report), daemon=True)
        reporter.start()
        precompiled = _precompile(program)
        made = _make(program, f"-j{os.cpu_count() or 1}")
        precompiled.unlink(missing_ok=True)
        finished.set()
        reporter.join()
        if made.returncode != 0:
            raise RuntimeError(f"compiling in {program} failed:\n{made.stderr[-2000:]}")
    complete.touch()


def discard_old_programs(cache: Path) -> None:
    """Remove the programs that were not used for longest, beyond the last twenty; those in use are left alone.

    Parameters
    ----------
    cache : pathlib.Path
        Folder of all programs.
    """
    programs = sorted(cache.glob(f"*/{_COMPLETE}"), key=lambda path: path.stat().st_mtime, reverse=True)
    for complete in programs[_KEPT_PROGRAMS:]:
        try:
            with _lock(complete.parent).acquire(timeout=0):
                shutil.rmtree(complete.parent, ignore_errors=True)
        except Timeout:
            continue
