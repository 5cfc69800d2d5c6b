"""C++ standalone: which compiler, and with which settings."""

from __future__ import annotations

import shutil
from pathlib import Path

import brian2
import numpy as np

from cortexsnn.brian.build import Plan
from cortexsnn.brian.toolchain import SEED_VARIABLE, Toolchain
from cortexsnn.brian.unity import unity_source
from cortexsnn.errors import InputError

__all__ = ["COMPILERS", "COMPILER_FLAGS", "CPP", "require_compiler"]

# IEEE arithmetic in the written order, whatever the processor: no fused multiply-add, no fast-math. As exp need not set
# errno, the compiler may see that two equal calls have one result.
COMPILER_FLAGS = ("-w", "-O3", "-ffp-contract=off", "-fno-math-errno", "-std=c++17")
COMPILERS = ("g++", "clang++")

# Random numbers that differ from block to block, and are the same when a run is repeated.
_SEED = f"""
if (const char* _seed = std::getenv("{SEED_VARIABLE}"))
    for (size_t _i = 0; _i < brian::_random_generators.size(); _i++)
        brian::_random_generators[_i].seed(std::strtoul(_seed, nullptr, 10) + _i);
"""


def require_compiler() -> str:
    """Look for a C++ compiler.

    Returns
    -------
    str
        Its path.

    Raises
    ------
    InputError
        If there is none.
    """
    found = next((path for path in map(shutil.which, COMPILERS) if path), None)
    if found is None:
        raise InputError("C++ tool chain", f"no {' or '.join(COMPILERS)} on the PATH", "a C++ compiler",
                         "on Debian: apt install g++; or simulate with device='numpy'")  # fmt: skip
    return found


def _use(folder: Path, precision: str) -> None:
    """Make C++ standalone the device of this process, with settings that no preferences file changes."""
    brian2.set_device("cpp_standalone", directory=str(folder), build_on_run=False)
    brian2.device.insert_code("before_network_run", _SEED)
    brian2.prefs.core.default_float_dtype = np.dtype(precision).type
    brian2.prefs.devices.cpp_standalone.openmp_threads = 0
    brian2.prefs.codegen.cpp.extra_compile_args_gcc = list(COMPILER_FLAGS)


def _flags() -> list[str]:
    return list(COMPILER_FLAGS)


def _no_libraries() -> list[str]:
    return []


def _expected_s(code_objects: int) -> float:
    return 3 + 0.08 * code_objects


def _amend(project: Path) -> None:
    """Nothing in it is wrong."""


def _ready(plan: Plan, precision: str) -> None:
    """A program runs wherever it was built."""


def _explain(printed: str) -> None:
    """What a program prints stands for itself."""


CPP = Toolchain(
    device="cpp_standalone",
    language="C++",
    compiler=require_compiler,
    flags=_flags,
    libraries=_no_libraries,
    packages=("brian2",),
    use=_use,
    amend=_amend,
    sources=(".cpp", ".h"),
    unity_name="unity.cxx",
    unity=unity_source,
    makefile=True,
    expected_s=_expected_s,
    ready=_ready,
    explain=_explain,
)
