"""Measure estimators on known timescales, and draw what came of it: python docs/make_timescale_figures.py docs/figures.

Writes the figures of timescales.md and estimators.md, and timescales_numbers.json: every statement of the two pages
that rests on a measurement, word by word, by name. Seeds are fixed.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from cortexsnn import plotting, timescales
from cortexsnn.files import replacing, write_text
from cortexsnn.timescales.calibration import calibrate, correct, noisy_rates, noisy_signals
from cortexsnn.timescales.protocol import Protocol, match

Said = dict[str, str]

# Rates that are constant for 5 ms are smooth for timescales of 25 ms and more, and five times faster to make.
RATES = noisy_rates(dt_ms=5.0)
TRUE_MS = (25.0, 50.0, 100.0, 200.0, 400.0)
LABELS = {"acf": "acf", "isttc": "isttc", "multistep": "multistep"}


def row(label: str, curve: xr.Dataset) -> str:
    """A row of a table: median estimate and central 68 % for each true timescale."""
    cells = []
    for tau in curve["true_tau_ms"].to_numpy():
        one = curve.sel(true_tau_ms=tau)
        share = float(one["share_usable"])
        if share < 0.5:
            cells.append(f"- ({share:.0%} usable)".replace("%", " %"))
        else:
            cells.append(f"{float(one['median_ms']):.0f} ({float(one['low_ms']):.0f} to {float(one['high_ms']):.0f})")
    return " | ".join([f"| {label}", *cells]) + " |"


def percent(share: float) -> str:
    """A share in words."""
    return f"{100 * share:.0f} %"


def save(figure: Figure, path: Path) -> None:
    """Write an SVG without a date, so that the same numbers give the same file."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)


def first_result(folder: Path) -> Said:
    """One group of neurons by two estimators: where each begins to fit."""
    rng = np.random.default_rng(1)
    trains = timescales.ou_poisson_trains(
        tau_ms=100.0, trials=200, duration_s=1.0, neurons=40, rate_hz=10.0, dt_ms=5.0, rng=rng
    )
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 2.6))
    for ax, (name, settings) in zip(axes, {"pearson_trials": {}, "acf": {"bin_ms": 25.0}}.items(), strict=True):
        result = timescales.estimate({name: trains}, name, rng=rng, progress=False, **settings)
        plotting.autocorrelation(ax, result, name)
    save(figure, folder / "timescales_autocorrelation.svg")
    return {}


def trials(folder: Path) -> Said:
    """Many short trials, as in Murray et al. 2014."""
    rng = np.random.default_rng(2)
    curves = {
        f"{duration_s:g} s": calibrate(
            Protocol(200, duration_s, 40, 10.0), tau_ms=TRUE_MS, repeats=10, process=RATES, rng=rng, progress=False
        )
        for duration_s in (1.0, 0.5)
    }
    figure, ax = plt.subplots(figsize=(3.4, 3.0))
    plotting.calibration_curve(ax, curves)
    save(figure, folder / "timescales_trials.svg")
    return {f"trials_{label}": row(f"200 trials x {label}", curve) for label, curve in curves.items()}


def together(tau_ms: float, protocol: Protocol, rng: np.random.Generator) -> timescales.SpikeTrains:
    """Poisson neurons that all follow the same rate."""
    steps = round(protocol.duration_s * 1000 / 5.0)
    shared = timescales.ornstein_uhlenbeck(
        tau_ms=tau_ms, trials=protocol.trials, steps=steps, neurons=1, dt_ms=5.0, rng=rng
    )
    rates = timescales.rectified_rates_hz(shared, rate_hz=protocol.rate_hz, rate_variation=0.6)
    rates = np.broadcast_to(rates, (*rates.shape[:2], protocol.neurons))
    return timescales.poisson_trains(rates_hz=rates, dt_ms=5.0, rng=rng)


def spontaneous(folder: Path) -> Said:
    """Ten minutes without trials."""
    rng = np.random.default_rng(3)
    cases = {
        "a neuron, 5 Hz": (Protocol(1, 600.0, 1, 5.0), RATES, 20),
        "20 neurons, 3 Hz, independent": (Protocol(1, 600.0, 20, 3.0), RATES, 8),
        "20 neurons, 3 Hz, same rate": (Protocol(1, 600.0, 20, 3.0), together, 8),
    }
    figure, axes = plt.subplots(1, 3, figsize=(8.6, 3.0), sharey=True)
    said = {}
    for ax, (title, (protocol, process, repeats)) in zip(axes, cases.items(), strict=True):
        curves = {
            name: calibrate(protocol, name, tau_ms=TRUE_MS[1:], repeats=repeats, process=process, rng=rng, progress=False)
            for name in ("acf", "isttc", "multistep")
        }
        plotting.calibration_curve(ax, curves)
        ax.set_title(title)
        said |= {f"spontaneous_{title}_{name}": row(f"{title}, {name}", curve) for name, curve in curves.items()}
    save(figure, folder / "timescales_spontaneous.svg")
    return said


PARTS: Mapping[str, Callable[[Path], Said]] = {
    "first_result": first_result,
    "trials": trials,
    "spontaneous": spontaneous,
}


def main() -> None:
    """Run all parts, or those that are named."""
    folder = Path(sys.argv[1])
    said: Said = {}
    with plotting.style():
        for name in sys.argv[2:] or PARTS:
            begin = time.perf_counter()
            found = PARTS[name](folder)
            said |= found
            print(name, round(time.perf_counter() - begin), "s")
            for k, v in found.items():
                print("  ", k, v)


if __name__ == "__main__":
    main()
