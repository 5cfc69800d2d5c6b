"""Measure what the estimators make of known timescales: python docs/make_timescale_figures.py docs/figures [PART ...].

Draws the figures of timescales.md and estimators.md and writes timescales_numbers.json: the table rows and statements
of the two pages that rest on a measurement, word by word. All activity is made here, with fixed seeds; each part has
its own, so that parts can be made again alone.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from numpy.typing import NDArray

from cortexsnn import plotting
from cortexsnn import timescales as ts
from cortexsnn.files import replacing, write_text
from cortexsnn.plotting.style import GREY

Said = dict[str, str]

# Rates that are constant for so long are smooth to timescales of 25 ms and more.
DT_MS = 5.0
RATES = ts.noisy_rates(dt_ms=DT_MS)
TRUE_MS = (25.0, 50.0, 100.0, 200.0, 400.0)
REPLICATES = 100
TEN_MINUTES_S = 600.0


def save(figure: Figure, path: Path) -> None:
    """Write an SVG without a date, so that the same numbers give the same file."""
    with replacing(path) as temporary:
        figure.savefig(temporary, format="svg", metadata={"Date": None})
    plt.close(figure)


def calibration(
    protocol: ts.Protocol, estimator: str, seed: int, *, repeats: int = 8, tau_ms: Sequence[float] = TRUE_MS, **how: Any
) -> xr.Dataset:
    """A calibration curve with intervals."""
    chosen: dict[str, Any] = {"process": RATES, "bootstrap": REPLICATES, **how}
    rng = np.random.default_rng(seed)
    return ts.calibrate(protocol, estimator, tau_ms=tau_ms, repeats=repeats, rng=rng, progress=False, **chosen)


def row(label: str, curve: xr.Dataset) -> str:
    """A row of a table: median and central 68 % for each true timescale, and how many intervals hold the truth."""
    cells = []
    for tau in curve["true_tau_ms"].to_numpy():
        one = curve.sel(true_tau_ms=tau)
        if one["share_usable"] < 0.5:
            cells.append("none")
            continue
        median, low, high = (float(one[name]) for name in ("median_ms", "low_ms", "high_ms"))
        digits = 1 if low < 10 else 0
        cells.append(f"{median:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})")
    if "coverage" in curve:
        usable = curve["share_usable"] * curve.sizes["repeat"]
        held = (curve["coverage"].fillna(0) * usable).sum()
        cells.append(f"{int(held.round())} of {int(usable.sum().round())}")
    return f"| {label} | {' | '.join(cells)} |"


def starts(folder: Path) -> Said:
    """Neurons that pause after each spike: where each rule begins to fit."""
    rng = np.random.default_rng(1)
    trains = ts.ou_poisson_trains(
        tau_ms=100.0, trials=400, duration_s=1.0, neurons=40, rate_hz=20.0, dt_ms=DT_MS, rng=rng
    )
    same_train = (np.diff(trains.trial, prepend=-1) == 0) & (np.diff(trains.neuron, prepend=-1) == 0)
    kept = ~(same_train & (np.diff(trains.time_s, prepend=-1.0) < 0.010))
    pausing = replace(trains, time_s=trains.time_s[kept], trial=trains.trial[kept], neuron=trains.neuron[kept])
    panels: dict[str, tuple[str, dict[str, Any]]] = {
        "pearson_trials": ("pearson_trials", {}),
        "acf, start='first'": ("acf", {}),
        "acf, start='largest_drop'": ("acf", {"start": "largest_drop"}),
    }
    figure, axes = plt.subplots(1, 3, figsize=(8.6, 2.6))
    said = {}
    for ax, (title, (name, settings)) in zip(axes, panels.items(), strict=True):
        result = ts.estimate({title: pausing}, name, bin_ms=25.0, rng=rng, progress=False, **settings)
        plotting.autocorrelation(ax, result, title)
        with_start = title.replace("acf, ", "acf` with `").replace("'", '"')
        said[f"starts_{title}"] = f"`{with_start}` reads {float(result['tau_ms'].item()):.0f} ms"
    save(figure, folder / "timescales_starts.svg")
    return said


def trials(folder: Path) -> Said:
    """Many short trials, as in Murray et al. 2014."""
    curves = {
        f"200 trials of {duration_s:g} s": calibration(ts.Protocol(200, duration_s, 40, 10.0), "pearson_trials", 2)
        for duration_s in (1.0, 0.5)
    }
    figure, ax = plt.subplots(figsize=(3.6, 3.2))
    plotting.calibration_curve(ax, curves)
    save(figure, folder / "timescales_trials.svg")
    return {f"trials_{label}": row(label, curve) for label, curve in curves.items()}


def together(tau_ms: float, protocol: ts.Protocol, rng: np.random.Generator) -> ts.SpikeTrains:
    """Poisson neurons that all follow the same rate."""
    steps = round(protocol.duration_s * 1000.0 / DT_MS)
    shared = ts.ornstein_uhlenbeck(tau_ms=tau_ms, trials=protocol.trials, steps=steps, neurons=1, dt_ms=DT_MS, rng=rng)
    rates = ts.rectified_rates_hz(shared, rate_hz=float(protocol.rate_hz or 0), rate_variation=0.6)
    every = np.broadcast_to(rates, (*rates.shape[:2], protocol.neurons))
    return ts.poisson_trains(rates_hz=every, dt_ms=DT_MS, rng=rng)


def spontaneous(folder: Path) -> Said:
    """Ten minutes without trials."""
    cases = {
        "one neuron, 5 Hz": (ts.Protocol(1, TEN_MINUTES_S, 1, 5.0), RATES, 12),
        "20 neurons, 3 Hz, each its own rate": (ts.Protocol(1, TEN_MINUTES_S, 20, 3.0), RATES, 8),
        "20 neurons, 3 Hz, the same rate": (ts.Protocol(1, TEN_MINUTES_S, 20, 3.0), together, 8),
    }
    figure, axes = plt.subplots(1, 3, figsize=(8.6, 3.0), sharey=True)
    said: Said = {}
    for ax, (title, (protocol, process, repeats)) in zip(axes, cases.items(), strict=True):
        curves = {
            name: calibration(protocol, name, 3, repeats=repeats, tau_ms=TRUE_MS[1:], process=process, bin_ms=25.0)
            for name in ("acf", "isttc", "multistep")
        }
        plotting.calibration_curve(ax, curves)
        ax.set_title(title)
        said |= {f"spontaneous_{title}_{name}": row(title, curve) for name, curve in curves.items()}
    for ax in axes[1:]:
        ax.set_ylabel("")
        ax.get_legend().remove()
    save(figure, folder / "timescales_spontaneous.svg")
    return said


def signals(folder: Path) -> Said:
    """Signals: what the mean of each trial takes, and one long signal by all estimators for it."""
    short, true = ts.Protocol(500, 1.0, 1), (10.0, 20.0, 50.0, 100.0, 200.0)
    how: dict[str, Any] = {
        "process": ts.noisy_signals(2.0), "bin_ms": 2.0, "max_lag_ms": 100.0, "model": "exponential", "bootstrap": 0
    }  # fmt: skip
    centred = {
        label: calibration(short, "acf", 4, tau_ms=true, centre=centre, **how)
        for label, centre in (("mean over all trials", "all"), ("mean of each trial", "trial"))
    }
    long = ts.Protocol(1, 120.0, 1)
    how_long: dict[str, Any] = {"process": ts.noisy_signals(5.0), "tau_ms": true}
    by = {name: calibration(long, name, 5, bin_ms=5.0, **how_long) for name in ("acf", "knee", "integral")}
    figure, axes = plt.subplots(1, 2, figsize=(6.8, 3.2), sharey=True)
    panels = ((centred, "acf, 500 trials of 1 s, centred by the"), (by, "one signal of 2 min"))
    for ax, (curves, title) in zip(axes, panels, strict=True):
        plotting.calibration_curve(ax, curves)
        ax.set_title(title)
    axes[1].set_ylabel("")
    save(figure, folder / "timescales_signals.svg")
    wide = calibration(long, "integral", 5, bootstrap=0, **(how_long | {"tau_ms": (10.0, 20.0)}))[
        "median_ms"
    ].to_numpy()
    said = {f"signals_{label}": row(f"500 signals of 1 s, less the {label}", curve) for label, curve in centred.items()}
    said |= {f"signals_{label}": row("one signal of 2 min", curve) for label, curve in by.items()}
    exact = calibration(long, "knee", 5, bin_ms=5.0, model="ar1", bootstrap=0, **how_long)
    said["signals_ar1"] = row('the same, `model="ar1"`', exact)[:-1] + "| - |"
    said["signals_wide"] = f"reads 10 ms as {wide[0]:.0f} ms and 20 ms as {wide[1]:.0f} ms"
    return said | corrected(centred["mean of each trial"], short, how)


def corrected(biased: xr.Dataset, protocol: ts.Protocol, how: Mapping[str, Any]) -> Said:
    """Twenty data sets of 20 ms with the mean of each trial taken off, before and after correction."""
    rng, read = np.random.default_rng(6), []
    settings = {name: value for name, value in how.items() if name != "process"}
    for _ in range(20):
        data = how["process"](20.0, protocol, rng)
        result = ts.estimate(data, "acf", centre="trial", rng=rng, progress=False, **settings)
        turned = ts.correct(result, biased)
        read.append((float(turned["tau_ms"]), float(turned["corrected_tau_ms"])))
    before, after = np.mean(read, axis=0)
    return {
        "signals_biased": f"reads 20 ms as {before:.1f} ms",
        "signals_corrected": f"20 corrected values have a mean of {after:.1f} ms",
    }


def two_timescales(_: Path) -> Said:
    """Signals with a fast and a slow component, each half of the variance."""
    rng = np.random.default_rng(11)
    values = ts.two_timescale(tau_ms=(20.0, 200.0), share=0.5, trials=1, steps=60_000, neurons=20, dt_ms=5.0, rng=rng)
    data = ts.Signals.from_array(values, 5.0)
    one = ts.estimate(data, "acf", bin_ms=5.0, bootstrap=0, rng=rng).isel(layer=0)
    models = ("exponential_offset", "two_exponentials")
    both = ts.estimate(data, "acf", bin_ms=5.0, bootstrap=0, rng=rng, model=models).isel(layer=0)
    fast, slow = float(both["tau_fast_ms"]), float(both["tau_slow_ms"])
    return {
        "two_one": f"one exponential with offset reads {float(one['tau_ms']):.0f} ms",
        "two_both": f"{fast:.0f} and {slow:.0f} ms",
    }


def area(tau_ms: NDArray[np.float64], rate_hz: float, rng: np.random.Generator) -> ts.SpikeTrains:
    """Neurons with a timescale each, in one recording."""
    neurons = [
        ts.ou_poisson_trains(
            tau_ms=tau, trials=1, duration_s=TEN_MINUTES_S, neurons=1, rate_hz=rate_hz, dt_ms=DT_MS, rng=rng
        )
        for tau in tau_ms
    ]
    spikes = [one.time_s.size for one in neurons]
    return ts.SpikeTrains(
        np.concatenate([one.time_s for one in neurons]), np.zeros(sum(spikes), dtype=np.int64),
        np.repeat(np.arange(tau_ms.size), spikes), np.array([TEN_MINUTES_S]), np.arange(tau_ms.size),
    )  # fmt: skip


def neurons(folder: Path) -> Said:
    """Two areas of neurons that differ: the distribution over single neurons."""
    rng = np.random.default_rng(7)
    medians = {"fast area": 60.0, "slow area": 200.0}
    true = {name: median * np.exp(0.4 * rng.standard_normal(60)) for name, median in medians.items()}
    areas = {name: area(tau, 5.0, rng) for name, tau in true.items()}
    single = ts.estimate(areas, "isttc", per="neuron", bootstrap=0, rng=rng, progress=False)
    figure, ax = plt.subplots(figsize=(3.6, 2.8))
    plotting.tau_distribution(ax, single)
    ax.tick_params(axis="x", pad=9)  # below the marks of the medians
    save(figure, folder / "timescales_neurons.svg")
    said = {}
    for name, tau in true.items():
        found = single["tau_ms"].to_numpy()[single["layer"].to_numpy() == name]
        known = found[np.isfinite(found)]
        said[f"neurons_{name}"] = f"{np.median(known):.0f} ms in the {name} (truth {np.median(tau):.0f} ms)"
        spreads = [np.std(np.log10(values)) for values in (known, tau)]
        said[f"neurons_{name}_spread"] = f"{spreads[0]:.2f} decades in the {name} (truth {spreads[1]:.2f})"
    return said


def layers(folder: Path) -> Said:
    """The same four areas in full, and cut to what a laboratory had."""
    rng = np.random.default_rng(8)
    true = {"area 1": 50.0, "area 2": 100.0, "area 3": 200.0, "area 4": 400.0}
    model = {name: area(np.full(80, tau), 10.0, rng) for name, tau in true.items()}
    results = {"acf, 10 min": ts.estimate(model, "acf", rng=rng, progress=False)}
    for duration_s in (1.0, 0.5):
        protocol = ts.Protocol(trials=200, duration_s=duration_s, neurons=80, rate_hz=8.0)
        cut = {name: ts.match(one, protocol, rng=rng)["population"] for name, one in model.items()}
        label = f"pearson_trials, 200 trials of {duration_s:g} s"
        results[label] = ts.estimate(cut, "pearson_trials", rng=rng, progress=False)
    figure, ax = plt.subplots(figsize=(6.0, 2.8))
    plotting.layer_profile(ax, results)
    ax.plot(range(1, 5), list(true.values()), "_", color=GREY, markersize=18, label="truth")
    ax.legend(loc="center left", bbox_to_anchor=(1.02, 0.5))
    save(figure, folder / "timescales_layers.svg")
    return {
        f"layers_{label}": f"| {label} | {' | '.join(_interval(one.isel(layer=k)) for k in range(4))} |"
        for label, one in results.items()
    }


def _interval(one: xr.Dataset) -> str:
    tau, low, high = (float(one[name]) for name in ("tau_ms", "tau_low_ms", "tau_high_ms"))
    if not np.isfinite(tau):
        return str(one["status"].item())
    return f"{tau:.0f} ({low:.0f} to {'∞' if np.isinf(high) else f'{high:.0f}'})"


def each(_: Path) -> Said:
    """Neurons of 100 ms, of no timescale, and neurons that follow a wave, one by one, by every estimator."""
    said = {}
    for name in ts.ESTIMATORS:
        rng = np.random.default_rng(9)
        trials, duration_s = (200, 1.0) if name == "pearson_trials" else (1, TEN_MINUTES_S)
        size: dict[str, Any] = {"trials": trials, "duration_s": duration_s, "rate_hz": 10.0, "rng": rng}
        # The knee takes ten times as long as the others.
        slow = ts.ou_poisson_trains(tau_ms=100.0, dt_ms=DT_MS, neurons=50 if name == "knee" else 200, **size)
        white = ts.white_poisson_trains(neurons=100, **size)
        wave = ts.sinusoid(
            frequency_hz=4.0, trials=trials, steps=round(duration_s * 1000 / DT_MS), neurons=50, dt_ms=DT_MS, rng=rng
        )
        waving = ts.poisson_trains(rates_hz=10.0 * (1.0 + 0.6 * wave), dt_ms=DT_MS, rng=rng)
        found = ts.estimate(slow, name, per="neuron", bootstrap=REPLICATES, rng=rng, progress=False)
        tau, low, high = (found[which].to_numpy() for which in ("tau_ms", "tau_low_ms", "tau_high_ms"))
        usable = np.isfinite(tau)
        held = (low <= 100.0) & (high >= 100.0) & usable
        unbounded = usable & (np.isinf(high) | (low == 0))
        cells = [
            f"[{name}](estimators.md#{name})",
            f"{usable.sum()} of {tau.size}",
            "{1:.0f} ({0:.0f} to {2:.0f})".format(*np.quantile(tau[usable], [0.16, 0.5, 0.84])),
            f"{held.sum()} of {usable.sum()}",
            f"{unbounded.sum()}",
        ]
        for none in (white, waving):
            result = ts.estimate(none, name, per="neuron", bootstrap=0, rng=rng, progress=False)
            cells.append(f"{int(np.isfinite(result['tau_ms']).sum())} of {none.neurons.size}")
        said[f"each_{name}"] = f"| {' | '.join(cells)} |"
        if name == "integral":
            for measure in ("sum", "acw50", "decay"):
                other = ts.estimate(slow, name, measure=measure, per="neuron", bootstrap=0, rng=rng, progress=False)
                said[f"each_{measure}"] = f"`{measure}` has a median of {float(other['tau_ms'].median()):.0f} ms"
    return said


def subsampling(_: Path) -> Said:
    """A branching network of which less and less is seen."""
    m, bin_ms = float(np.exp(-4.0 / 100.0)), 4.0
    said = {}
    for seen in (1.0, 0.1, 0.01):
        rng = np.random.default_rng(10)
        counts = ts.branching_counts(reproduction=m, activity=400.0, trials=1, bins=75_000, subsampling=seen, rng=rng)
        result = ts.estimate(ts.from_counts(counts, bin_ms), "multistep", bin_ms=bin_ms, rng=rng, progress=False).isel(
            layer=0
        )
        first = float(result["autocorrelation"][0])
        said[f"subsampling_{seen:g}"] = (
            f"| {100 * seen:g} % | {first:.3f} | {-bin_ms / np.log(first):.1f} | {_interval(result)} |"
        )
    return said


PARTS: Mapping[str, Callable[[Path], Said]] = {
    part.__name__: part
    for part in (
        starts,
        trials,
        spontaneous,
        signals,
        two_timescales,
        neurons,
        layers,
        each,
        subsampling,
    )
}


def main() -> None:
    """Make all parts, or those that are named."""
    folder, chosen = Path(sys.argv[1]), sys.argv[2:] or list(PARTS)
    folder.mkdir(exist_ok=True)
    path = folder / "timescales_numbers.json"
    said: Said = json.loads(path.read_text(encoding="utf-8")) if path.exists() and sys.argv[2:] else {}
    with plotting.style():
        for name in chosen:
            said |= PARTS[name](folder)
    write_text(path, json.dumps(dict(sorted(said.items())), indent=1, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
