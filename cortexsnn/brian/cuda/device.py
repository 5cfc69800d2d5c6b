"""CUDA standalone: the same network on an NVIDIA GPU, written by brian2cuda, which is an extra (``cuda``).

Not yet run on a GPU; tests run its kernels on a processor. What was read in brian2cuda 1.0b1, and is taken care of here
and in `cortexsnn.brian.unity`:

- The kernels of one step are started in the order of Brian2's schedule, one after another. A pathway of delay d reads
  the spikes that its source fired d steps ago from a ring of at least d + 1 lists, which turns at the end of a step. So
  it has to come after the source's threshold. Here every pathway does: feed-forward ones because their source is
  updated first, all others in the slot at the end of the step.
- One delay for each pathway: delays that differ within one are slow (https://github.com/brian-team/brian2cuda/issues/269).
- Weights are added with atomic operations in any order, so that potentials differ in the last bits from run to run.
- ``store`` and network operations do not exist there, nor do they here.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import brian2
import numpy as np

from cortexsnn.brian.build import Plan
from cortexsnn.brian.cuda.gpu import driver_here, require_gpu
from cortexsnn.brian.cuda.limits import explain, require_fit
from cortexsnn.brian.toolchain import SEED_VARIABLE, Toolchain
from cortexsnn.brian.unity import cuda_unity_source
from cortexsnn.errors import InputError

__all__ = ["CUDA", "Toolkit", "require_toolkit"]

# IEEE arithmetic in the written order, as in C++: no fused multiply-add. exp is that of CUDA, which may differ in the
# last bit.
_FLAGS = ("-x", "cu", "-rdc=true", "-w", "-fmad=false", "-std=c++17", "-O2", "-Xcompiler", "-w,-O2,-ffp-contract=off")
_USUAL_FOLDER = "/usr/local/cuda"
_ARCHITECTURE = "sm_90"  # where there is no GPU to ask
_ELSEWHERE = "or simulate with device='cpp_standalone'"

_SEED = f"""
if (const char* _seed = std::getenv("{SEED_VARIABLE}"))
    brian::random_number_buffer.set_seed(std::strtoull(_seed, nullptr, 10));
"""
# brian2cuda looks whether two neurons are connected twice, in a table that takes 64 bytes and a microsecond for each
# synapse whenever the program starts. It needs to know only where it adds without atomic operations, and here no two
# are.
_COUNTED = re.compile(r"(source_target_count;\s*for \(int _i=0; _i<)newsize\b")


@dataclass(frozen=True)
class Toolkit:
    """A CUDA toolkit.

    Parameters
    ----------
    nvcc : str
        Path of its compiler.
    folder : pathlib.Path
    release : tuple of int
        (13, 0) for CUDA 13.0.
    architectures : tuple of str
        For which it compiles, such as ``"sm_90"``.
    """

    nvcc: str
    folder: Path
    release: tuple[int, int]
    architectures: tuple[str, ...]


def require_toolkit() -> Toolkit:
    """Look for the CUDA toolkit: on the PATH, in the folder that CUDA_PATH or CUDA_HOME names, in /usr/local/cuda.

    Returns
    -------
    Toolkit

    Raises
    ------
    InputError
        If there is none.
    """
    named = [os.environ[name] for name in ("CUDA_PATH", "CUDA_HOME") if name in os.environ]
    places = [None, *(str(Path(folder) / "bin") for folder in [*named, _USUAL_FOLDER])]
    nvcc = next((found for place in places if (found := shutil.which("nvcc", path=place))), None)
    if nvcc is None:
        raise InputError("CUDA tool chain", "no nvcc on the PATH", "the CUDA toolkit",
                         "get it from https://developer.nvidia.com/cuda-downloads, or put the folder with nvcc on the "
                         f"PATH; {_ELSEWHERE}")  # fmt: skip
    return _described(nvcc)


@lru_cache
def _described(nvcc: str) -> Toolkit:
    release = re.search(r"release (\d+)\.(\d+)", _printed(nvcc, "--version"))
    # What is on the PATH may be a script that calls the compiler.
    home = re.search(r"_HERE_=(.*)", _printed(nvcc, "-dryrun", "-E", "-x", "cu", os.devnull))
    if release is None or home is None:
        raise InputError("CUDA tool chain", nvcc, "the compiler of a CUDA toolkit", "nvcc --version does not say which")
    codes = tuple(re.findall(r"sm_\d+", _printed(nvcc, "--list-gpu-code")))
    return Toolkit(nvcc, Path(home[1].strip()).parent, (int(release[1]), int(release[2])), codes)


def _printed(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def _curand(toolkit: Toolkit) -> tuple[list[str], list[str]]:
    """Arguments of nvcc for the headers and the library of cuRAND, from the toolkit or from a package beside it."""
    inside = [toolkit.folder / "include", *toolkit.folder.glob("targets/*/include")]
    if any((folder / "curand.h").is_file() for folder in inside):
        return [], ["-lcurand"]
    major = toolkit.release[0]
    spec = importlib.util.find_spec("nvidia")
    for root in (spec.submodule_search_locations or []) if spec else []:
        # The packages for CUDA 13 and later share a folder.
        package = Path(root) / (f"cu{major}" if major >= 13 else "curand")
        library = next((package / "lib").glob("libcurand.so*"), None)
        if library is not None and (package / "include" / "curand.h").is_file():
            where = str(library.parent)
            linked = ["-L", where, f"-l:{library.name}", "-Xlinker", "-rpath", "-Xlinker", where]
            return ["-I", str(package / "include")], linked
    wanted = "nvidia-curand" if major >= 13 else f"nvidia-curand-cu{major}"
    raise InputError("CUDA tool chain", "no cuRAND in the toolkit or beside it", "the headers and library of cuRAND",
                     f"pip install {wanted}; {_ELSEWHERE}")  # fmt: skip


def _require_compiler() -> str:
    """Path of nvcc, if everything is there that building takes."""
    if importlib.util.find_spec("brian2cuda") is None:
        older = sys.version_info < (3, 12)
        here = f"Python {sys.version_info[0]}.{sys.version_info[1]}" if older else "not installed"
        raise InputError("brian2cuda", here, "Python 3.12 and the extra 'cuda'" if older else "the extra 'cuda'",
                         f"in an environment of Python 3.12: pip install 'cortexsnn[cuda]'; {_ELSEWHERE}")  # fmt: skip
    toolkit = require_toolkit()
    _curand(toolkit)
    return toolkit.nvcc


def _architecture(toolkit: Toolkit) -> str:
    gpus = driver_here().gpus
    if gpus:
        return gpus[0].architecture
    known = toolkit.architectures or (_ARCHITECTURE,)
    return _ARCHITECTURE if _ARCHITECTURE in known else known[-1]


def _flags() -> list[str]:
    toolkit = require_toolkit()
    return [*_FLAGS, f"-arch={_architecture(toolkit)}", *_curand(toolkit)[0]]


def _libraries() -> list[str]:
    return _curand(require_toolkit())[1]


def _use(folder: Path, precision: str) -> None:
    """Make CUDA standalone the device of this process, with settings that no preferences file changes."""
    brian2.BrianLogger.suppress_hierarchy("brian2cuda")
    import brian2cuda  # noqa: F401  it makes the device known

    toolkit = require_toolkit()
    brian2.set_device("cuda_standalone", directory=str(folder), build_on_run=False)
    brian2.device.insert_code("before_network_run", _SEED)
    brian2.prefs.core.default_float_dtype = np.dtype(precision).type
    brian2.prefs.devices.cpp_standalone.openmp_threads = 0
    major, minor = _architecture(toolkit).removeprefix("sm_")[:-1], _architecture(toolkit)[-1]
    backend = {
        "detect_gpus": False,
        "detect_cuda": True,
        "gpu_id": 0,
        "compute_capability": float(f"{major}.{minor}"),
        "cuda_path": str(toolkit.folder),
        "cuda_runtime_version": float(".".join(map(str, toolkit.release))),
        "extra_compile_args_nvcc": [*_FLAGS],
        "gpu_heap_size": 128,
    }
    settings = {
        "SM_multiplier": 1,
        "parallel_blocks": 1,
        "launch_bounds": False,
        "syn_launch_bounds": False,
        "calc_occupancy": True,
        "extra_threshold_kernel": True,
        "use_atomics": True,
        "no_pre_references": False,
        "no_post_references": False,
        "default_functions_integral_convertion": np.float64,
        "random_number_generator_type": "CURAND_RNG_PSEUDO_DEFAULT",
        "random_number_generator_ordering": False,
        "profile_statemonitor_copy_to_host": None,
        "push_synapse_bundles": True,
        "threads_per_synapse_bundle": "{max}",
        "bundle_threads_warp_multiple": False,
        **{f"cuda_backend.{name}": value for name, value in backend.items()},
    }
    for name, value in settings.items():
        brian2.prefs[f"devices.cuda_standalone.{name}"] = value


def _amend(project: Path) -> None:
    """Take out the search for neurons that are connected twice."""
    for path in (project / "code_objects").glob("*_synapses_create_*.cu"):
        path.write_text(_COUNTED.sub(r"\g<1>0", path.read_text(encoding="utf-8")), encoding="utf-8")


def _expected_s(code_objects: int) -> float:
    return 30 + 0.3 * code_objects


def _ready(plan: Plan, precision: str) -> None:
    """Refuse what cannot run here, before anything is compiled."""
    require_gpu()
    _require_compiler()
    toolkit = require_toolkit()
    require_fit(plan, precision, require_gpu(toolkit.release, toolkit.architectures))


CUDA = Toolchain(
    device="cuda_standalone",
    language="CUDA",
    compiler=_require_compiler,
    flags=_flags,
    libraries=_libraries,
    packages=("brian2", "brian2cuda"),
    use=_use,
    amend=_amend,
    sources=(".cu", ".h"),
    unity_name="unity.cuh",
    unity=cuda_unity_source,
    makefile=False,  # it takes eight minutes, and does not know the standard of C++ that CUDA 13 wants
    expected_s=_expected_s,
    ready=_ready,
    explain=explain,
)
