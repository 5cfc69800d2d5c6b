"""The page: what was done and found, put into the template, and written whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from cortexsnn import cortex, figures
from cortexsnn.files import write_text
from cortexsnn.report.cortex_sections import cortex_sections
from cortexsnn.report.drawings import DARK_PAPER, dark_rules
from cortexsnn.report.methods import methods, settings_in_words
from cortexsnn.report.network_sections import network_sections
from cortexsnn.report.tables import data_uri
from cortexsnn.report.tasks import task_of
from cortexsnn.runs import Run, load_runs
from cortexsnn.summary import counted, verdict

__all__ = ["write_report"]

_TITLE = "Timescales of spiking networks beside the cortex"


def _measured(comparison: xr.Dataset, table: xr.Dataset) -> str:
    """How networks were measured, as part of a sentence."""
    if set(comparison["protocol"].to_numpy().astype(str).tolist()) == {"matched"}:
        return f"measured by the protocol of {figures.name_of_table(table).split(', ')[-1]}"
    return "measured as physiologists measure cortical neurons"


def _summary(runs: Sequence[Run], comparison: xr.Dataset, table: xr.Dataset) -> tuple[str, list[dict[str, str]]]:
    """The sentence at the top, and its figures as tiles."""
    conditions = list(dict.fromkeys(run.condition for run in runs))
    layers = len(runs[0].network.hidden)
    spikes = sum(int(run.agreement["spikes"].max("simulator").sum()) for run in runs)
    differing = sum(int(run.agreement["differing"].sum()) for run in runs)
    sentence = (
        f"{counted(len(runs), 'spiking network')} with {counted(layers, 'hidden layer')} "
        f"({', '.join(conditions)}), trained on {task_of(runs[0].network.metadata).title} in PyTorch, run in Brian2, "
        f"and {_measured(comparison, table)}."
    )
    tiles = []
    for name in conditions:
        right = [run.network.metadata.get("test_accuracy", np.nan) for run in runs if run.condition == name]
        known = 100 * float(np.mean(right))
        tiles.append(
            {"value": f"{known:.1f} %" if np.isfinite(known) else "-", "text": f"test accuracy, {name}", "tone": ""}
        )
    tiles.append(
        {
            "value": f"{differing:,} of {spikes:,}",
            "text": f"spikes differ, each compared in {counted(runs[0].agreement.sizes['simulator'], 'simulator')}",
            "tone": "good" if differing == 0 else "bad",
        }
    )
    found, all_layers = int(comparison["layers_used"].sum()), int(comparison["layers"].sum())
    tiles.append({"value": f"{found} of {all_layers}", "text": "layers have a measurable timescale", "tone": ""})
    return sentence, tiles


def _listed(values: Mapping[str, Any]) -> str:
    return ", ".join(f"{key} {value}" for key, value in values.items() if key != "seed")


def _provenance(runs: Sequence[Run], comparison: xr.Dataset) -> list[tuple[str, str]]:
    metadata = runs[0].network.metadata
    made = json.loads(runs[0].test.attrs.get("description", "{}"))
    versions = dict(metadata.get("versions", {})) | dict(made.get("versions", {}))
    protocol = {k: v for k, v in metadata.get("protocol", {}).items() if k != "seed"}
    listed = [
        ("Networks", ", ".join(f"{run.name} ({run.network.fingerprint()})" for run in runs)),
        ("Seeds", ", ".join(str(run.network.metadata.get("protocol", {}).get("seed")) for run in runs)),
        ("Data", _listed(metadata.get("dataset", {}))),
        ("Training", ", ".join(settings_in_words(protocol))),
        ("Input and bootstrap seeds", ", ".join(str(run.timescales.attrs.get("seed", "not noted")) for run in runs)),
        ("Files", ", ".join(dict.fromkeys(str(one.attrs.get("schema", "")) for one in
                                          (runs[0].test, runs[0].agreement, runs[0].timescales, comparison)))),
        ("Versions", _listed(versions)),
    ]  # fmt: skip
    return [(name, value) for name, value in listed if value]


def _table_of(comparison: xr.Dataset) -> xr.Dataset:
    """The table that was compared with; of a user's own table the areas, as the comparison has them."""
    name, measure = str(comparison.attrs["table"]), str(comparison.attrs.get("measure", ""))
    if name in cortex.names():
        return cortex.load(name, measure or None)
    areas = comparison["area"].to_numpy().astype(str)
    of = {"dataset": name or "table", "stream": str(comparison.attrs.get("stream") or "all"), "measure": measure}
    columns = {
        column: ("observation", comparison[f"area_{column}"].to_numpy()) for column in ("tau_ms", "low_ms", "high_ms")
    }
    labels = {key: ("observation", np.full(areas.size, value)) for key, value in of.items()}
    place = {"score": ("observation", comparison["area_height"].to_numpy())}
    attributes = {key: comparison.attrs[key] for key in ("table", "doi", "modality") if key in comparison.attrs}
    return xr.Dataset(columns, {"area": ("observation", areas), **labels, **place}, attributes)


def _page(runs: Sequence[Run], comparison: xr.Dataset) -> str:
    """The page of runs that were compared."""
    table = _table_of(comparison)
    summary, tiles = _summary(runs, comparison, table)
    sections = [*network_sections(runs), *cortex_sections(runs, comparison, table)]
    told = methods(runs, comparison, table)
    environment = Environment(
        loader=PackageLoader("cortexsnn"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=_TITLE,
        summary=summary,
        tiles=tiles,
        verdict=verdict(comparison),
        sections=sections,
        methods=told,
        methods_href=data_uri(told.text + "\n", "text/plain"),
        bibtex_href=data_uri(told.bibtex, "text/x-bibtex"),
        provenance=_provenance(runs, comparison),
        # Nothing but colours is in it.
        dark_colours=Markup(dark_rules(one for section in sections for one in section.drawings)),
        dark_paper=DARK_PAPER,
    )


def write_report(folder: str | Path, out: str | Path) -> None:
    """Write the report of all runs in a folder.

    Parameters
    ----------
    folder : path-like
        Holds ``comparison.nc``, and ``runs/NAME/`` with the files of `cortexsnn.runs.FILES` for each network in it.
    out : path-like
        HTML file to write; it needs no other file and no network.

    Raises
    ------
    InputError
        If a file is missing or cannot be read.
    """
    folder = Path(folder)
    comparison = cortex.load_comparison(folder / "comparison.nc")
    write_text(out, _page(load_runs(folder, comparison), comparison))
