"""Draw what `brian.py scaling` found: python benchmarks/figure.py [RESULTS.json] [FIGURE.svg]."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes

from cortexsnn.plotting.style import GREY, MARKERS, OKABE_ITO, style

HERE = Path(__file__).parent


def cost(axes: Axes, points: list[dict[str, Any]], over: str, value: str, *, unit: float = 1.0, index: int = 0) -> Axes:
    """Measured points on logarithmic axes, and the straight line through the largest three with its exponent.

    Parameters
    ----------
    axes : matplotlib.axes.Axes
    points : list of dict
        ``by_size`` or ``by_trials`` of the section ``scaling``.
    over, value : str
        Names of the numbers on the two axes.
    unit : float
        The values are divided by it.
    index : int
        Which colour and marker.

    Returns
    -------
    matplotlib.axes.Axes
    """
    x = np.array([point[over] for point in points], dtype=float)
    y = np.array([point[value] for point in points], dtype=float) / unit
    axes.loglog(x, y, MARKERS[index], color=OKABE_ITO[index], markersize=5)
    if len(x) > 1:
        slope, height = np.polyfit(np.log(x[-3:]), np.log(y[-3:]), 1)
        axes.loglog(x[-3:], np.exp(height) * x[-3:] ** slope, color=GREY, linewidth=1)
        axes.annotate(
            f"exponent {slope:.2f}",
            (x[-1], y[-1]),
            xytext=(-8, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=8,
            color=GREY,
        )
    return axes


def draw(results: dict[str, Any], path: Path) -> None:
    """Three panels: time and memory over synapses, time over trials."""
    scaling = results["scaling"]
    trials, synapses = scaling["by_size"][0]["trials"], round(scaling["by_trials"][0]["synapses"], -4)
    panels = (
        ("by_size", "synapses", "seconds", 1.0, "synapses", "time of a call (s)", f"{trials} trials, one core"),
        ("by_size", "synapses", "program_bytes", 1e9, "synapses", "peak memory (GB)", f"{trials} trials, one core"),
        (
            "by_trials",
            "trials",
            "seconds",
            1.0,
            "trials",
            "time of a call (s)",
            f"{synapses / 1e6:g} M synapses, all cores",
        ),
    )
    with style():
        figure, row = plt.subplots(1, 3, figsize=(8.0, 2.6))
        for index, (axes, panel) in enumerate(zip(row, panels, strict=True)):
            points, over, value, unit, below, beside, title = panel
            cost(axes, scaling[points], over, value, unit=unit, index=index)
            axes.set(xlabel=below, ylabel=beside, title=title)
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path, metadata={"Date": None})
        plt.close(figure)


def main() -> None:
    given = [Path(argument) for argument in sys.argv[1:]]
    source = given[0] if given else HERE / "results" / "brian.json"
    target = given[1] if len(given) > 1 else HERE.parent / "docs" / "figures" / "brian_cost.svg"
    draw(json.loads(source.read_text(encoding="utf-8")), target)
    print(f"written to {target}")


if __name__ == "__main__":
    main()
