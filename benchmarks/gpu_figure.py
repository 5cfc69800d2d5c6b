"""Draw what `brian_gpu.py` found: python benchmarks/gpu_figure.py [RESULTS.json] [FIGURE.svg]."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from cortexsnn.plotting.style import GREY, MARKERS, OKABE_ITO, style

__all__ = ["crossover", "draw"]

HERE = Path(__file__).parent
NAMES = {"cpp_standalone": "C++, one core", "cuda_standalone": "GPU"}


def crossover(points: list[dict[str, Any]], value: str, device: str, other: str) -> float | None:
    """Number of synapses from which `device` is faster than `other`, between measured sizes on logarithmic axes.

    Returns
    -------
    float or None
        None if it is so at none of the sizes, or at all.
    """
    of = {name: {p["synapses"]: p[value] for p in points if p["device"] == name} for name in (device, other)}
    sizes = sorted(of[device].keys() & of[other].keys())
    ratio = np.array([np.log(of[device][size] / of[other][size]) for size in sizes])
    turns = np.flatnonzero((ratio[:-1] > 0) & (ratio[1:] <= 0))
    if not turns.size:
        return None
    k = int(turns[-1])
    share = ratio[k] / (ratio[k] - ratio[k + 1])
    return float(np.exp((1 - share) * np.log(sizes[k]) + share * np.log(sizes[k + 1])))


def _lines(axes: Axes, points: list[dict[str, Any]], over: str, value: str) -> None:
    for index, device in enumerate(NAMES):
        own = [p for p in points if p["device"] == device]
        if own:
            axes.loglog([p[over] for p in own], [p[value] for p in own], MARKERS[index], linestyle="-",
                        color=OKABE_ITO[index], markersize=5, label=NAMES[device])  # fmt: skip


def draw(results: dict[str, Any], path: Path) -> None:
    """Time of a step and of a call over synapses, and of a trial over replicas."""
    sizes = results["sizes"]
    with style():
        figure, row = plt.subplots(1, 3, figsize=(8.0, 2.6))
        for axes, value, beside in zip(
            row, ("step_ms", "call_s"), ("time of a step (ms)", "time of a call (s)"), strict=False
        ):
            _lines(axes, sizes["points"], "synapses", value)
            turn = sizes.get("crossover_synapses", {}).get(value)
            if turn is not None:
                axes.axvline(turn, color=GREY, linewidth=1)
            axes.set(xlabel="synapses", ylabel=beside)
        if "replicas" in results:
            _lines(row[2], results["replicas"]["points"], "copies", "ms_per_trial")
        row[2].set(xlabel="copies in one program", ylabel="time of a trial (ms)")
        row[0].legend()
        figure.suptitle(results["machine"]["sizes"]["gpu"], fontsize=9)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    given = [Path(argument) for argument in sys.argv[1:]]
    source = given[0] if given else HERE / "results" / "brian_gpu.json"
    target = given[1] if len(given) > 1 else HERE.parent / "docs" / "figures" / "gpu_crossover.svg"
    draw(json.loads(source.read_text(encoding="utf-8")), target)
    print(f"written to {target}")


if __name__ == "__main__":
    main()
