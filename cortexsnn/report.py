"""One self-contained HTML page that says what was done, what came out, and what it can and cannot show."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import xarray as xr
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from cortexsnn import cortex, figures
from cortexsnn.files import write_text
from cortexsnn.runs import Run, load_runs
from cortexsnn.summary import accuracy_rows, agreement_rows, correlation_rows, timescale_rows

__all__ = ["write_report"]


@dataclass(frozen=True)
class _Drawing:
    svg: str
    alt: str
    caption: str


@dataclass(frozen=True)
class _Table:
    caption: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]
    text: Sequence[str]


@dataclass(frozen=True)
class _Section:
    heading: str
    paragraphs: Sequence[str] = ()
    figures: Sequence[_Drawing] = ()
    tables: Sequence[_Table] = ()
    notes: Sequence[str] = field(default_factory=tuple)


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None}, dpi=200)
    text = buffer.getvalue()
    return text[text.index("<svg") :]


def _network_sections(runs: Sequence[Run]) -> list[_Section]:
    first = runs[0]
    sizes = " - ".join(str(p.size) for p in first.network.inputs + first.network.order)
    architecture = (
        f"Feed-forward networks of {sizes} neurons, leaky integrate-and-fire with subtractive reset, "
        f"dt {1000 * first.network.dt_s:g} ms, trained with surrogate gradients; leaky-integrator readout."
    )
    tau = []
    for run in figures.examples(runs):
        values = ", ".join(f"{1000 * float(p.tau_s.mean()):.0f}" for p in run.network.hidden)
        tau.append(f"Membrane time constants of '{run.condition}', first to last hidden layer: {values} ms.")
    rasters = _Drawing(
        _svg(figures.rasters(runs)),
        "Spike rasters of the input and of every hidden layer in one test trial, and readout potentials",
        "One test trial, as Brian2 fired it: input, hidden layers, and the potentials of the readout, one line for "
        "each class (the line of the right class is heavy where it is the right one).",
    )
    curves = _Drawing(
        _svg(figures.training(runs)),
        "Validation accuracy over epochs for every network",
        "Validation accuracy over epochs, one line for each seed. The network of the best epoch is kept; the test "
        "split is looked at once.",
    )
    columns, rows = accuracy_rows(runs)
    accuracy = _Table(
        "Test accuracy in every simulator, and decoded classes that differ from the reference",
        columns,
        rows,
        ("network",),
    )
    columns, rows = agreement_rows(runs)
    agreement = _Table(
        "Every spike and every class compared with the executable reference in float64",
        columns,
        rows,
        ("network", "layer"),
    )
    return [
        _Section("The networks and their task", (architecture, *tau), (rasters,)),
        _Section("Training", (), (curves,)),
        _Section(
            "Is the Brian2 network the same network?",
            (
                "The trained network, with batch normalisation folded into its weights, ran on the same test trials in "
                "PyTorch, on Brian2's runtime (NumPy) and as a Brian2 C++ program. A spike differs if its trial, step "
                "or neuron does. 'active' is the part of all bins with a spike: a layer that hardly fires would prove "
                "little.",
            ),
            (),
            (accuracy, agreement),
        ),
    ]


def _timescale_sections(runs: Sequence[Run], comparison: xr.Dataset, table: xr.Dataset) -> list[_Section]:
    protocol = runs[0].timescales.attrs
    columns, rows = timescale_rows(runs, comparison)
    measured = _Table(
        f"Timescale of every layer, {100 * protocol['confidence']:.0f} % interval; an interval that ran to an end "
        "of the range of search has 0 or ∞ there",
        columns,
        rows,
        ("network", "layer", "nearest area", "status"),
    )
    protocol_words = (
        f"Spontaneous activity under Poisson input without structure in time: {protocol['trials']} trials, window "
        f"{protocol['window_ms']:g} ms after a burn-in of {protocol['start_ms']:g} ms, bins of "
        f"{protocol['bin_ms']:g} ms, lags up to {protocol['max_lag_ms']:g} ms. "
        "Estimator of Murray et al. 2014: correlation across trials between "
        f"bins, averaged over bin pairs of equal lag and over neurons, exponential with offset fitted from the largest "
        f"drop, weighted by the number of bin pairs. Intervals: bootstrap over trials ({protocol['bootstrap']} draws)."
    )
    set_by_us = (
        "Three timescales are kept apart: the membrane time constant is set, the timescale is measured on spikes, and "
        "neither is the memory that a task needs. A neuron that subtracts its threshold with every spike removes the "
        "slow part of what it integrated, so a layer driven by input without memory can show no timescale at all, "
        "however slow its membrane. Such layers are reported with their status, not with a number."
    )
    statistics_columns, statistics = correlation_rows(comparison)
    correlation = _Table(
        "Rank correlation of depth (or of the rank of the area) with log timescale; p two-sided, by permutation",
        statistics_columns,
        statistics,
        ("what", "note"),
    )
    conditions = [
        f"{name}: {int(comparison['condition_rising'].sel(condition=name))} of "
        f"{int(comparison['condition_networks'].sel(condition=name))} networks have timescales that rise with depth "
        f"(mean slope {float(comparison['condition_slope'].sel(condition=name)):+.2f} in ln τ from bottom to top, "
        f"sign-flip p = {float(comparison['condition_p_value'].sel(condition=name)):.3g}). "
        f"{comparison['condition_note'].sel(condition=name).item()}"
        for name in comparison["condition"].to_numpy().astype(str)
    ]
    return [
        _Section(
            "The timescale of every layer",
            (protocol_words, set_by_us),
            (
                _Drawing(
                    _svg(figures.autocorrelations(runs)),
                    "Autocorrelation of every hidden layer with its exponential fit",
                    "Autocorrelation across trials of every hidden layer of the first seed. Filled points were fitted, "
                    "open points come before the largest drop; the line is the fit.",
                ),
                _Drawing(
                    _svg(figures.set_and_measured(runs)),
                    "Membrane time constant set against timescale measured",
                    "Membrane time constant against the measured timescale of the same layer, all networks.",
                ),
            ),
            (measured,),
        ),
        _Section(
            "Beside the cortex",
            (
                "Order and slope can be compared, absolute milliseconds hardly: they depend on estimator, bins and "
                "input, and where membrane time constants were set, agreement in ms would be by construction.",
            ),
            (
                _Drawing(
                    _svg(figures.beside_cortex(runs, table)),
                    "Timescales of the hidden layers beside those of cortical areas",
                    "Timescales of hidden layers (left, with intervals; layers without a timescale are left out) and "
                    "of areas of the macaque visual-prefrontal hierarchy (right, one mark for each data set), on one "
                    "axis.",
                ),
            ),
            (correlation,),
            conditions,
        ),
    ]


def _summary(runs: Sequence[Run]) -> tuple[str, list[dict[str, str]]]:
    """The sentence at the top, and its figures as tiles."""
    conditions = list(dict.fromkeys(run.condition for run in runs))
    data = runs[0].network.metadata.get("dataset", {})
    task = {
        "mts_xor": "multi-time-scale XOR",
        "heidelberg": f"spoken digits ({Path(data.get('folder', '')).name})",
    }.get(data.get("name", ""), str(data.get("name", "a task")))
    layers = len(runs[0].network.hidden)
    spikes = sum(int(run.agreement["spikes"].sum()) for run in runs)
    differing = sum(int(run.agreement["differing"].sum()) for run in runs)
    found = sum(int(np.isfinite(run.timescales["tau_ms"]).sum()) for run in runs)
    sentence = (
        f"{len(runs)} spiking networks with {layers} hidden layers ({' and '.join(conditions)} time constants) were "
        f"trained on {task} in PyTorch, run in Brian2, and measured as physiologists measure cortical neurons."
    )
    tiles = []
    for name in conditions:
        right = [run.network.metadata["test_accuracy"] for run in runs if run.condition == name]
        tiles.append({"value": f"{100 * np.mean(right):.1f} %", "text": f"test accuracy, {name}", "tone": ""})
    tiles.append(
        {
            "value": f"{differing:,} of {spikes:,}",
            "text": "spikes differ between the simulators",
            "tone": "good" if differing == 0 else "bad",
        }
    )
    tiles.append(
        {"value": f"{found} of {layers * len(runs)}", "text": "layers have a measurable timescale", "tone": ""}
    )
    return sentence, tiles


def _provenance(runs: Sequence[Run]) -> list[tuple[str, str]]:
    metadata = runs[0].network.metadata
    versions = dict(metadata.get("versions", {}))
    protocol = {k: v for k, v in metadata.get("protocol", {}).items() if k != "seed"}
    listed = [
        ("Networks", ", ".join(f"{run.name} ({run.network.fingerprint()})" for run in runs)),
        ("Seeds", ", ".join(str(run.network.metadata.get("protocol", {}).get("seed")) for run in runs)),
        ("Data", ", ".join(f"{k} {v}" for k, v in metadata.get("dataset", {}).items() if k != "seed")),
        ("Training", ", ".join(f"{k.replace('_', ' ')} {v}" for k, v in protocol.items())),
        ("Versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
    ]
    return [(name, value) for name, value in listed if value]


def write_report(folder: str | Path, out: str | Path) -> None:
    """Write the report of all runs in a folder.

    Parameters
    ----------
    folder : path-like
        Holds ``runs/NAME/`` with the files of `cortexsnn.runs.FILES`, and ``comparison.nc``.
    out : path-like
        HTML file to write; it needs no other file.

    Raises
    ------
    InputError
        If a file is missing or cannot be read.
    """
    folder = Path(folder)
    runs = load_runs(folder)
    comparison = cortex.load_comparison(folder / "comparison.nc")
    table = cortex.load(comparison.attrs["table"])
    summary, tiles = _summary(runs)
    sections = [*_network_sections(runs), *_timescale_sections(runs, comparison, table)]
    environment = Environment(loader=PackageLoader("cortexsnn"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("report.html").render(
        title="Timescales of spiking networks beside the cortex",
        summary=summary,
        tiles=tiles,
        sections=sections,
        provenance=_provenance(runs),
        sources=[
            "Moro et al. 2024, doi 10.48550/arXiv.2407.18838 (hierarchies of time constants)",
            f"Murray et al. 2014, doi {table.attrs['doi']} (estimator and cortical values)",
            "Stimberg et al. 2019, doi 10.7554/eLife.47314 (Brian 2)",
        ],
    )
    write_text(out, page)
