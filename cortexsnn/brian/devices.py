"""Where a network can run in Brian2. A new device is one more entry here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from cortexsnn.brian.blocks import Runner
from cortexsnn.brian.build import Plan
from cortexsnn.brian.cpp import CPP
from cortexsnn.brian.cuda.device import CUDA
from cortexsnn.brian.runtime import open_runtime
from cortexsnn.brian.standalone import open_standalone
from cortexsnn.brian.values import ValueName
from cortexsnn.errors import InputError

__all__ = ["DEVICES", "PRECISIONS", "Device", "device_named"]

PRECISIONS = ("float64", "float32")


@dataclass(frozen=True)
class Device:
    """A way to run a network.

    Parameters
    ----------
    open : callable
        ``open(plan, values, precision, progress=...)`` is a context in which there is a
        `cortexsnn.brian.blocks.Runner`.
    parallel : bool
        Whether several threads may run blocks at once.
    compiled : bool
        Whether the number of trials and steps is compiled into a program.
    """

    open: Callable[..., AbstractContextManager[Runner]]
    parallel: bool
    compiled: bool


def _runtime(
    target: str, plan: Plan, values: Mapping[ValueName, NDArray[np.floating]], precision: str, *, progress: bool
) -> AbstractContextManager[Runner]:
    return open_runtime(plan, values, target, precision, progress=progress)


DEVICES: dict[str, Device] = {
    "cpp_standalone": Device(partial(open_standalone, CPP), True, True),
    "numpy": Device(partial(_runtime, "numpy"), False, False),
    "cython": Device(partial(_runtime, "cython"), False, False),
    "cuda_standalone": Device(partial(open_standalone, CUDA), False, True),
}


def device_named(name: str) -> Device:
    """Look a device up.

    Parameters
    ----------
    name : str

    Returns
    -------
    Device

    Raises
    ------
    InputError
        If there is none of that name.

    Examples
    --------
    >>> device_named("numpy").parallel
    False
    """
    if name not in DEVICES:
        hint = "the GPU is device='cuda_standalone'" if name in {"cuda", "gpu"} else ""
        raise InputError("device", name, f"one of {', '.join([*DEVICES, 'auto'])}", hint)
    return DEVICES[name]
