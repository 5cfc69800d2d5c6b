"""Put a trained network among the models, with a card that tells what was measured on it.

python analyses/measure_model.py NAME RUN/network.safetensors [--folder DATA]
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn import brian, cortex, datasets, pipeline, trials
from cortexsnn.files import write_text
from cortexsnn.network import Network
from cortexsnn.provenance import versions

FOLDER = Path(__file__).parents[1] / "models"
# With fewer trials of one second, most layers of networks this small cannot be told from noise.
STUDY, TRIALS = "murray2014", 4000


def without_folder(network: Network) -> Network:
    """The network without the place of its data on the machine where it was trained."""
    described = {key: value for key, value in network.metadata["dataset"].items() if key != "folder"}
    return replace(network, metadata={**network.metadata, "dataset": described})


def simulator_cards(agreement: xr.Dataset) -> dict[str, Any]:
    """Of each simulator: accuracy, spikes, and how many of them the reference has not."""
    return {
        str(one["simulator"].item()): {
            "trials": int(one["trials"]),
            "accuracy": round(float(one["accuracy"]), 6),
            "spikes": int(one["spikes"].sum()),
            "differing_spikes": int(one["differing"].sum()),
            "differing_classes": int(one["classes_differing"]),
        }
        for one in (agreement.isel(simulator=index) for index in range(agreement.sizes["simulator"]))
    }


def layer_cards(measured: xr.Dataset, agreement: xr.Dataset, network: Network) -> dict[str, Any]:
    """What is known of each layer; None where there is no number, and "open" where an interval has no end."""

    def plain(layer: str, name: str) -> float | str | None:
        value = float(measured[name].sel(layer=layer))
        if np.isnan(value):
            return None
        return round(value, 1) if np.isfinite(value) else "open"

    return {
        p.name: {
            "neurons": p.size,
            "membrane_time_constant_ms": [round(1e3 * float(end), 3) for end in (p.tau_s.min(), p.tau_s.max())],
            "rate_hz": round(float(agreement["rate_hz"].sel(population=p.name)[0]), 2),
            "timescale_ms": plain(p.name, "tau_ms"),
            "timescale_interval_ms": [plain(p.name, "tau_low_ms"), plain(p.name, "tau_high_ms")],
            "status": str(measured["status"].sel(layer=p.name).item()),
        }
        for p in network.hidden
    }


def main() -> None:
    """Copy the network, measure it and write its card."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name")
    parser.add_argument("network", type=Path)
    parser.add_argument("--folder", help="of the data set, if it has files")
    options = parser.parse_args()
    network = without_folder(Network.load(options.network))
    dataset = datasets.load_described(network.metadata["dataset"], options.folder)
    task = trials.task_trials(dataset)
    study, rng = cortex.open_table(STUDY), np.random.default_rng(0)
    given = trials.spontaneous_trials(network, dataset, TRIALS, rng, study=study)
    start_ms = 1e3 * network.dt_s * given.burn_in_steps
    measured = cortex.measure_like(brian.simulate(network, given.counts), study, start_ms=start_ms, rng=rng)
    _, agreement = pipeline.check_simulators(network, task)
    folder = FOLDER / options.name
    folder.mkdir(exist_ok=True)
    network.save(folder / "network.safetensors")
    card = {
        "name": options.name,
        "fingerprint": network.fingerprint(),
        "sha256": hashlib.sha256((folder / "network.safetensors").read_bytes()).hexdigest(),
        "dataset": dict(network.metadata["dataset"]),
        "test": simulator_cards(agreement),
        "timescales": {
            "like": STUDY,
            "doi": measured.attrs["doi"],
            "verdict": measured.attrs["protocol_verdict"],
            "recorded": f"{given.counts.shape[0]} trials of spontaneous input; {given.reason}",
        },
        "layers": layer_cards(measured, agreement, network),
        "measured_with": versions("numpy", "torch", "brian2"),
    }
    write_text(folder / "card.json", json.dumps(card, indent=1) + "\n")


if __name__ == "__main__":
    main()
