"""Compiled programs in the cache: building them fast, never half, and not keeping too many.

A program is found by the hash of its generated sources, the flags, the compiler and the version of Brian2. Writing the
sources takes a second or two, so that a note under the hash of the plan says which program it led to.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from filelock import FileLock

import cortexsnn
from cortexsnn.brian.build import Plan
from cortexsnn.brian.cpp import CPP
from cortexsnn.brian.toolchain import Toolchain, compile_project
from cortexsnn.files import cache_folder, write_text
from cortexsnn.provenance import versions

__all__ = ["Program", "cached_program", "plan_key", "plan_lock", "store_program"]

_KEPT_PROGRAMS = 50
_MANIFEST = "manifest.json"


@dataclass(frozen=True, eq=False)
class Program:
    """A compiled program in the cache.

    Parameters
    ----------
    folder : pathlib.Path
    manifest : dict
        Names, types and sizes of what it reads and writes (`cortexsnn.brian.worker`).
    """

    folder: Path
    manifest: dict[str, Any]

    @property
    def binary(self) -> Path:
        """The program itself."""
        return self.folder / "main"


@lru_cache
def _compiler_version(compiler: str) -> str:
    shown = subprocess.run([compiler, "--version"], capture_output=True, text=True, check=False)
    return f"{compiler} {shown.stdout or 'of unknown version'}"


@lru_cache
def _own_source() -> str:
    """Hash of the code of this room, which decides what is generated."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _tools(toolchain: Toolchain) -> list[str]:
    compiler = _compiler_version(toolchain.compiler())
    found = versions(*toolchain.packages)
    packages = [f"{name} {found.get(name)}" for name in toolchain.packages]
    return [*toolchain.flags(), *toolchain.libraries(), compiler, *packages]


def plan_key(plan: Plan, precision: str, toolchain: Toolchain = CPP) -> str:
    """Hash of everything that decides the generated code; values of weights and time constants do not.

    Parameters
    ----------
    plan : Plan
    precision : {"float64", "float32"}
    toolchain : Toolchain

    Returns
    -------
    str
    """
    described = {
        **plan.described(),
        "precision": precision,
        "tools": _tools(toolchain),
        "versions": [np.__version__, cortexsnn.__version__, sys.version],
        "source": _own_source(),
    }
    return hashlib.sha256(json.dumps(described, sort_keys=True).encode()).hexdigest()[:24]


def _cache() -> Path:
    return cache_folder("brian2_programs")


def plan_lock(key: str) -> FileLock:
    """A lock that only one process holds while it builds the program of a plan.

    Parameters
    ----------
    key : str
        Of `plan_key`.

    Returns
    -------
    filelock.FileLock
    """
    return FileLock(_cache() / f"{key}.lock")


def cached_program(key: str) -> Program | None:
    """The program of a plan, if it has been built.

    Parameters
    ----------
    key : str
        Of `plan_key`.

    Returns
    -------
    Program or None
    """
    note = _cache() / f"{key}.txt"
    try:
        folder = _cache() / note.read_text(encoding="utf-8")
        manifest = json.loads((folder / _MANIFEST).read_text(encoding="utf-8"))
        os.utime(folder / _MANIFEST)
    except (OSError, ValueError):
        return None
    return Program(folder, manifest)


def _sources_key(project: Path, toolchain: Toolchain) -> str:
    digest = hashlib.sha256(json.dumps(_tools(toolchain)).encode())
    endings = {*toolchain.sources, Path(toolchain.unity_name).suffix}
    for path in sorted(p for p in project.rglob("*") if p.suffix in endings):
        digest.update(path.relative_to(project).as_posix().encode() + b"\0")
        digest.update(path.read_bytes() + b"\0")
    return digest.hexdigest()[:24]


def store_program(
    key: str,
    manifest: dict[str, Any],
    generate: Callable[[Path], None],
    report: Callable[[int, int], None],
    toolchain: Toolchain,
) -> Program:
    """Build the program of a plan, or find that its sources lead to one that is there.

    Parameters
    ----------
    key : str
        Of `plan_key`; the caller holds its lock.
    manifest : dict
        Kept with the program.
    generate : callable
        Writes the project into a folder.
    report : callable
        See `cortexsnn.brian.toolchain.compile_project`.
    toolchain : Toolchain
        Of the device that wrote it.

    Returns
    -------
    Program
    """
    building = _cache() / f".{key}.building"
    shutil.rmtree(building, ignore_errors=True)  # of a build that was killed
    building.mkdir()
    try:
        generate(building)
        toolchain.amend(building)
        (building / toolchain.unity_name).write_text(toolchain.unity(building), encoding="utf-8")
        sources = _sources_key(building, toolchain)
        folder = _cache() / sources
        with FileLock(_cache() / f"{sources}.lock"):
            if not (folder / _MANIFEST).exists():
                manifest = {**manifest, "built_as": compile_project(building, toolchain, report)}
                for path in building.rglob("*.o"):
                    path.unlink()
                write_text(building / _MANIFEST, json.dumps(manifest))
                shutil.rmtree(folder, ignore_errors=True)
                os.replace(building, folder)
        write_text(_cache() / f"{key}.txt", sources)
    finally:
        shutil.rmtree(building, ignore_errors=True)
    _discard_old_programs()
    return Program(folder, json.loads((folder / _MANIFEST).read_text(encoding="utf-8")))


def _last_used_s(manifest: Path) -> float:
    """When a program was used last; 0 if another run has just removed it."""
    try:
        return manifest.stat().st_mtime
    except FileNotFoundError:
        return 0.0


def _discard_old_programs() -> None:
    """Remove the programs that were not used for longest; runs work on copies, so that none is in use."""
    manifests = sorted(_cache().glob(f"*/{_MANIFEST}"), key=_last_used_s, reverse=True)
    for manifest in manifests[_KEPT_PROGRAMS:]:
        manifest.unlink(missing_ok=True)  # first, so that nobody finds half a program
        shutil.rmtree(manifest.parent, ignore_errors=True)
