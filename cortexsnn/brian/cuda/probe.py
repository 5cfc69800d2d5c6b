"""Which GPUs the NVIDIA driver shows, as JSON; a program of its own that needs the standard library alone.

Asking the driver binds a process to the GPUs that it sees at that moment, and a process that was forked from it cannot
use them. So the question is asked in a child, by `cortexsnn.brian.cuda.gpu`.
"""

from __future__ import annotations

import ctypes
import json
import sys
from typing import Any

__all__ = ["asked"]

# Of CUdevice_attribute in cuda.h.
_PROCESSORS, _MEMORY_CLOCK_KHZ, _BUS_WIDTH_BITS, _MAJOR, _MINOR = 16, 36, 37, 75, 76


def _attribute(driver: Any, attribute: int, device: int) -> int:
    value = ctypes.c_int(0)
    driver.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
    return value.value


def _described(driver: Any, number: int) -> dict[str, Any]:
    device, name, memory = ctypes.c_int(0), ctypes.create_string_buffer(256), ctypes.c_size_t(0)
    driver.cuDeviceGet(ctypes.byref(device), number)
    driver.cuDeviceGetName(name, len(name), device)
    driver.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    clock_khz, width = (_attribute(driver, which, device.value) for which in (_MEMORY_CLOCK_KHZ, _BUS_WIDTH_BITS))
    return {
        "name": name.value.decode(errors="replace"),
        "capability": [_attribute(driver, which, device.value) for which in (_MAJOR, _MINOR)],
        "memory_bytes": memory.value,
        "processors": _attribute(driver, _PROCESSORS, device.value),
        # Two transfers in a cycle.
        "bandwidth_bytes_s": 2 * 1000 * clock_khz * width / 8,
    }


def asked(library: str) -> dict[str, Any]:
    """Ask the driver.

    Parameters
    ----------
    library : str
        Its name, ``"libcuda.so.1"``.

    Returns
    -------
    dict
        ``error`` (0 is success, -1 that there is no such library), ``driver`` (version of CUDA that it supports, as
        1000*major + 10*minor) and ``gpus``.

    Examples
    --------
    >>> asked("libnothing.so")
    {'error': -1, 'driver': 0, 'gpus': []}
    """
    try:
        driver = ctypes.CDLL(library)
    except OSError:
        return {"error": -1, "driver": 0, "gpus": []}
    version, number = ctypes.c_int(0), ctypes.c_int(0)
    error = driver.cuInit(0)
    driver.cuDriverGetVersion(ctypes.byref(version))
    if error == 0:
        error = driver.cuDeviceGetCount(ctypes.byref(number))
    return {"error": error, "driver": version.value, "gpus": [_described(driver, n) for n in range(number.value)]}


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asked(sys.argv[1])))
