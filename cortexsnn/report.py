"""One self-contained HTML page that says what was done, what came out, and what it can and cannot show."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jinja2 import Environment, PackageLoader, StrictUndefined
from matplotlib.figure import Figure

from cortexsnn import cortex, figures
from cortexsnn.files import write_text
from cortexsnn.network import Network
from cortexsnn.runs import Run, load_runs
from cortexsnn.summary import accuracy_rows, agreement_rows, correlation_rows, timescale_rows, verdict

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


_TASKS = {
    "mts_xor": (
        "multi-time-scale XOR",
        "Multi-time-scale XOR: at the start of a trial of 1 s, 20 cue channels fire at a low or a high rate for "
        "100 ms. Then 20 pattern channels show six patterns of 100 ms, each at a low or a high rate, with silences "
        "between. The answer at every moment is the XOR of cue and pattern, so that the cue has to be remembered for "
        "up to a second while patterns come and go. Accuracy counts the steps in which a pattern is on; chance is "
        "50 %.",
    ),
    "heidelberg": (
        "spoken digits",
        "Spoken digits as spikes of cochlear channels, several in a time step where a channel is busy. The answer is "
        "the digit, read from the whole trial. With held-out speakers a few points of accuracy on one split are "
        "noise.",
    ),
}


def _task(run: Run) -> tuple[str, str]:
    """Name and description of what the networks were trained on."""
    name = str(run.network.metadata.get("dataset", {}).get("name", "a task"))
    return _TASKS.get(name, (name, ""))


_RESETS = {
    "subtract": "a reset that subtracts the threshold",
    "subtract_decayed": "a reset that subtracts the threshold before the decay",
    "zero": "a reset to zero",
}


def _in_words(network: Network) -> str:
    """What kind of network it is, in one sentence."""
    kind = "Feed-forward" if all(map(network.is_feedforward, network.projections)) else "Recurrent"
    sizes = " - ".join(str(p.size) for p in network.inputs + network.order)
    resets = " or ".join(_RESETS[reset] for reset in dict.fromkeys(p.reset for p in network.hidden))
    extras = ""
    longest = max(max(p.delay_steps) for p in network.projections if p.source != p.target)
    if longest:
        extras += f", delays of up to {1000 * longest * network.dt_s:g} ms between layers"
    if any(p.adaptation is not None for p in network.hidden):
        extras += ", adaptive thresholds"
    return (
        f"{kind} networks of {sizes} neurons, leaky integrate-and-fire with {resets}{extras}, dt "
        f"{1000 * network.dt_s:g} ms, trained with surrogate gradients; leaky-integrator readout."
    )


def _flat(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names and values of nested settings; what is switched off is left out."""
    listed = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            listed += _flat(value, f"{prefix}{name} ")
        elif value is not None and value != 0:
            listed.append(f"{prefix}{name} {value}".replace("_", " "))
    return listed


def _network_sections(runs: Sequence[Run]) -> list[_Section]:
    first = runs[0]
    architecture = _in_words(first.network)
    tau = []
    for run in figures.examples(runs):
        values = ", ".join(f"{1000 * float(p.tau_s.mean()):.0f}" for p in run.network.hidden)
        tau.append(f"Membrane time constants, {run.condition}: {values} ms from first to last hidden layer.")
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
        _Section("The networks and their task", (_task(first)[1], architecture, " ".join(tau)), (rasters,)),
        _Section("Training", (), (curves,)),
        _Section(
            "Is the Brian2 network the same network?",
            (
                "The trained network, with batch normalisation folded into its weights, ran on the test trials in "
                "PyTorch and as a Brian2 C++ program, and on the first of them on Brian2's runtime (NumPy). A spike "
                "differs if its trial, step or neuron does; potentials are compared at every step, as a part of the "
                "largest. 'active' is the part of all bins with a spike: a layer that hardly fires would prove little.",
            ),
            (),
            (accuracy, agreement),
        ),
    ]


def _timescale_sections(runs: Sequence[Run], comparison: xr.Dataset, table: xr.Dataset) -> list[_Section]:
    protocol = runs[0].timescales.attrs
    columns, rows = timescale_rows(runs, comparison)
    measured = _Table(
        f"Timescale of every layer with its {100 * protocol['confidence']:.0f} % interval (0 or ∞: no end was found); "
        "membrane: mean membrane time constant; memory: mean lag of the impulse response without spikes, delays "
        "included; area: the nearest by milliseconds, which depend on the protocol: a pointer, no more",
        columns,
        rows,
        ("network", "layer", "area", "status"),
    )
    protocol_words = (
        f"Activity under stationary input: every channel fires at its mean rate of the training data, without "
        f"structure in time. {protocol['trials']} trials, window {protocol['window_ms']:g} ms after a burn-in of "
        f"{protocol['start_ms']:g} ms (first network; five and two times the slowest membrane time constant), bins of "
        f"{protocol['bin_ms']:g} ms, lags up to {protocol['max_lag_ms']:g} ms. Estimator of Murray et al. 2014: "
        f"correlation across trials between bins, averaged over bin pairs of equal lag and over neurons, exponential "
        f"with offset fitted from the largest drop, weighted by the number of bin pairs. Intervals: bootstrap over "
        f"trials ({protocol['bootstrap']} draws). A layer has a timescale if its decay is larger than with the bins in "
        f"random order."
    )
    kept_apart = (
        "The membrane time constant is set; the timescale is measured on spikes. They need not agree: what is measured "
        "is the network's, with its input, its weights and its resets. All variability across trials comes from "
        "the input here. In a foreperiod recording it also comes from the rest of the brain."
    )
    statistics_columns, statistics = correlation_rows(comparison)
    correlation = _Table(
        "Rank correlation of depth (or of the rank of the area) with log timescale; p two-sided, by permutation",
        statistics_columns,
        statistics,
        ("what", "note"),
    )
    return [
        _Section(
            "The timescale of every layer",
            (protocol_words, kept_apart),
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
        ),
    ]


def _summary(runs: Sequence[Run]) -> tuple[str, list[dict[str, str]]]:
    """The sentence at the top, and its figures as tiles."""
    conditions = list(dict.fromkeys(run.condition for run in runs))
    layers = len(runs[0].network.hidden)
    spikes = sum(int(run.agreement["spikes"].max("simulator").sum()) for run in runs)
    differing = sum(int(run.agreement["differing"].sum()) for run in runs)
    found = sum(int(np.isfinite(run.timescales["tau_ms"]).sum()) for run in runs)
    sentence = (
        f"{len(runs)} spiking networks with {layers} hidden layers ({' and '.join(conditions)} time constants) were "
        f"trained on {_task(runs[0])[0]} in PyTorch, run in Brian2, and measured as "
        f"physiologists measure cortical neurons."
    )
    tiles = []
    for name in conditions:
        right = [run.network.metadata.get("test_accuracy", np.nan) for run in runs if run.condition == name]
        tiles.append({"value": f"{100 * np.mean(right):.1f} %", "text": f"test accuracy, {name}", "tone": ""})
    tiles.append(
        {
            "value": f"{differing:,} of {spikes:,}",
            "text": "spikes differ, each compared in two or three simulators",
            "tone": "good" if differing == 0 else "bad",
        }
    )
    tiles.append(
        {"value": f"{found} of {layers * len(runs)}", "text": "layers have a measurable timescale", "tone": ""}
    )
    return sentence, tiles


def _provenance(runs: Sequence[Run]) -> list[tuple[str, str]]:
    metadata = runs[0].network.metadata
    made = json.loads(runs[0].test.attrs.get("description", "{}"))
    versions = dict(metadata.get("versions", {})) | dict(made.get("versions", {}))
    protocol = {k: v for k, v in metadata.get("protocol", {}).items() if k != "seed"}
    listed = [
        ("Networks", ", ".join(f"{run.name} ({run.network.fingerprint()})" for run in runs)),
        ("Seeds", ", ".join(str(run.network.metadata.get("protocol", {}).get("seed")) for run in runs)),
        ("Data", ", ".join(f"{k} {v}" for k, v in metadata.get("dataset", {}).items() if k != "seed")),
        ("Training", ", ".join(_flat(protocol))),
        ("Input and bootstrap seeds", ", ".join(str(run.timescales.attrs.get("seed", "not noted")) for run in runs)),
        ("Versions", ", ".join(f"{k} {v}" for k, v in versions.items())),
    ]
    return [(name, value) for name, value in listed if value]


def write_report(folder: str | Path, out: str | Path) -> None:
    """Write the report of all runs in a folder.

    Parameters
    ----------
    folder : path-like
        Holds ``comparison.nc``, and ``runs/NAME/`` with the files of `cortexsnn.runs.FILES` for each network in it.
    out : path-like
        HTML file to write; it needs no other file.

    Raises
    ------
    InputError
        If a file is missing or cannot be read.
    """
    folder = Path(folder)
    comparison = cortex.load_comparison(folder / "comparison.nc")
    runs = load_runs(folder, comparison)
    table = cortex.load(comparison.attrs["table"])
    summary, tiles = _summary(runs)
    sections = [*_network_sections(runs), *_timescale_sections(runs, comparison, table)]
    environment = Environment(loader=PackageLoader("cortexsnn"), autoescape=True, undefined=StrictUndefined)
    page = environment.get_template("report.html").render(
        title="Timescales of spiking networks beside the cortex",
        summary=summary,
        tiles=tiles,
        verdict=verdict(runs, comparison),
        sections=sections,
        provenance=_provenance(runs),
        sources=[
            "Moro et al. 2024, doi 10.48550/arXiv.2407.18838 (hierarchies of time constants)",
            f"Murray et al. 2014, doi {table.attrs['doi']} (estimator and cortical values)",
            "Stimberg et al. 2019, doi 10.7554/eLife.47314 (Brian 2)",
        ],
    )
    write_text(out, page)
