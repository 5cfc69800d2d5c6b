"""On which machine, and with which versions, something was measured."""

from __future__ import annotations

import os
import platform
from pathlib import Path

from cortexsnn.provenance import versions

__all__ = ["machine"]


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    return next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")


def machine(*packages: str) -> dict[str, object]:
    """Processor, cores, load, Python and the versions of some packages."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "load_before": os.getloadavg()[0],
        "python": platform.python_version(),
        **versions(*packages),
    }
