"""Draw the figures of the documentation from the tables in ``results/``."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib.pyplot as plt

from cortexsnn import plotting, sweeps
from cortexsnn.files import replacing

HERE = Path(__file__).parent
RESULTS = HERE / "results"
# Medians of ten seeds in Moro et al. 2024, figure 2b, two hidden layers, https://doi.org/10.48550/arXiv.2407.18838
PUBLISHED_XOR = {-400.0: 0.774, 0.0: 0.882, 400.0: 0.941}


def save(figure: plt.Figure, path: Path) -> None:
    """Write an SVG without a date, so that the same table gives the same file."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)


def mts_xor_hierarchy(folder: Path) -> None:
    """Accuracy over the span of the hierarchy."""
    table = sweeps.load_sweep(RESULTS / "mts_xor_hierarchy.nc")
    figure, ax = plt.subplots(figsize=(3.4, 2.6))
    label = "last minus first time constant (ms)"
    # Like with like: the published networks were tested by batch statistics, before any folding.
    result = "test_accuracy_before_folding"
    plotting.sweep_accuracy(ax, table, "hierarchy.span_ms", label, published=PUBLISHED_XOR, result=result)
    save(figure, folder / "mts_xor_hierarchy.svg")


def learned_time_constants(folder: Path) -> None:
    """Time constants of every layer from epoch to epoch."""
    lines = (RESULTS / "mts_xor_learned_tau_seed0.jsonl").read_text(encoding="utf-8").splitlines()
    figure, ax = plt.subplots(figsize=(3.4, 2.6))
    plotting.learned_time_constants(ax, [json.loads(line) for line in lines])
    save(figure, folder / "learned_time_constants.svg")


def digits(folder: Path) -> None:
    """Accuracy over the spans of kernel size and dilation."""
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.6), sharey=True)
    panels = (("kernels", "kernel_span", "kernel size (taps)"), ("dilations", "dilation_span", "dilation (steps)"))
    for ax, (name, varied, what) in zip(axes, panels, strict=True):
        table = sweeps.load_sweep(RESULTS / f"digits_{name}.nc")
        plotting.sweep_accuracy(ax, table, f"convolution.{varied}", f"last minus first {what}")
    axes[1].set_ylabel("")
    axes[1].get_legend().remove()  # as on the left
    save(figure, folder / "digits.svg")


def main() -> None:
    """Draw all of them into a folder, docs/figures if none is given."""
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "docs" / "figures"
    with plotting.style():
        for draw in (mts_xor_hierarchy, learned_time_constants, digits):
            draw(folder)


if __name__ == "__main__":
    main()
