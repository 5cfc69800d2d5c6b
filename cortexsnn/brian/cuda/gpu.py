"""Which GPU is here, and whether programs of a CUDA toolkit run on it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from cortexsnn.errors import InputError

__all__ = ["Driver", "Gpu", "driver_here", "require_gpu"]

_LIBRARY = "libcuda.so.1"
_VISIBLE = "CUDA_VISIBLE_DEVICES"
_ELSEWHERE = "or simulate with device='cpp_standalone'"
# Of CUresult in cuda.h; -1 is ours.
_REASONS = {
    -1: "no NVIDIA driver",
    34: "no NVIDIA driver but a stub of its library",
    100: "no NVIDIA GPU",
    803: "a driver whose library and kernel module are of different versions",
}


@dataclass(frozen=True)
class Gpu:
    """A GPU, as the driver describes it.

    Parameters
    ----------
    name : str
    capability : tuple of int
        Its compute capability, (9, 0) for 9.0.
    memory_bytes : float
        All of its memory.
    processors : int
        Streaming multiprocessors.
    bandwidth_bytes_s : float
        Of its memory, in bytes per second; 0 if the driver does not tell.

    Examples
    --------
    >>> Gpu("NVIDIA H100", (9, 0), 8e10, 132, 3.35e12).architecture
    'sm_90'
    """

    name: str
    capability: tuple[int, int]
    memory_bytes: float
    processors: int
    bandwidth_bytes_s: float

    @property
    def architecture(self) -> str:
        """Its name for nvcc."""
        return f"sm_{self.capability[0]}{self.capability[1]}"


@dataclass(frozen=True)
class Driver:
    """What the NVIDIA driver says.

    Parameters
    ----------
    missing : str
        Why there is no GPU; empty if there is one.
    cuda : tuple of int
        Newest release of CUDA that the driver supports, (13, 0) for 13.0.
    gpus : tuple of Gpu
        Those that ``CUDA_VISIBLE_DEVICES`` shows, in its order. The first one is used.
    """

    missing: str
    cuda: tuple[int, int]
    gpus: tuple[Gpu, ...]


def driver_here() -> Driver:
    """Ask the NVIDIA driver of this machine.

    Returns
    -------
    Driver

    Examples
    --------
    >>> driver = driver_here()
    >>> bool(driver.missing) == (len(driver.gpus) == 0)
    True
    """
    return _asked(_LIBRARY, os.environ.get(_VISIBLE))


@lru_cache
def _asked(library: str, visible: str | None) -> Driver:
    command = [sys.executable, "-I", str(Path(__file__).with_name("probe.py")), library]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return Driver(f"a driver that fails with exit code {done.returncode}", (0, 0), ())
    found = json.loads(done.stdout)
    gpus = tuple(Gpu(**{**gpu, "capability": tuple(gpu["capability"])}) for gpu in found["gpus"])
    missing = ""
    if found["error"] != 0 or not gpus:
        missing = _REASONS.get(found["error"] or 100, f"a driver that fails with CUDA error {found['error']}")
        if visible is not None:
            missing += f" that {_VISIBLE}={visible} shows"
    return Driver(missing, (found["driver"] // 1000, found["driver"] % 1000 // 10), gpus)


def require_gpu(release: tuple[int, int] | None = None, architectures: tuple[str, ...] = ()) -> Gpu:
    """Look for a GPU.

    Parameters
    ----------
    release : tuple of int, optional
        Of the CUDA toolkit whose programs it shall run.
    architectures : tuple of str
        For which the toolkit compiles.

    Returns
    -------
    Gpu
        The first that ``CUDA_VISIBLE_DEVICES`` shows.

    Raises
    ------
    InputError
        If there is none, or its driver is too old for the toolkit, or the toolkit does not compile for it.
    """
    driver = driver_here()
    if driver.missing:
        raise InputError("GPU", driver.missing, "an NVIDIA GPU and its driver",
                         f"nvidia-smi shows those that are here; {_ELSEWHERE}")  # fmt: skip
    gpu = driver.gpus[0]
    # Within one major release an older driver runs the programs of a newer toolkit.
    if release is not None and driver.cuda[0] < release[0]:
        raise InputError("driver of the GPU", f"for CUDA {_dotted(driver.cuda)}",
                         f"one for CUDA {release[0]}.0 or newer, as the toolkit is CUDA {_dotted(release)}",
                         f"update the driver or take an older toolkit; {_ELSEWHERE}")  # fmt: skip
    if architectures and gpu.architecture not in architectures:
        raise InputError(f"architecture of GPU '{gpu.name}'", gpu.architecture,
                         f"one for which this nvcc compiles: {', '.join(architectures)}",
                         f"take another CUDA toolkit; {_ELSEWHERE}")  # fmt: skip
    return gpu


def _dotted(release: tuple[int, int]) -> str:
    return f"{release[0]}.{release[1]}"
