"""Why two rungs cost accuracy: spikes that come faster than in training, and potentials beyond reversal potentials.

python analyses/realism_causes.py RUN/network.safetensors analyses/results/realism_causes_NAME.nc [--folder DATA]
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn import brian, datasets, reference, trials
from cortexsnn.network import Network
from cortexsnn.results import save_dataset

_LOW_MV, _FAR_MV = -400.0, 4000.0


def potentials(network: Network, counts: np.ndarray, realism: brian.Realism) -> xr.Dataset:
    """How long the potentials of the exact twin are below the inhibitory reversal potential, and their 5 % quantile."""
    recording = reference.simulate(network, counts, record_potential=[p.name for p in network.hidden])
    in_mv = [
        realism.resting_mv + realism.height_mv * recording[p.name]["potential"].to_numpy() / p.threshold
        for p in network.hidden
    ]
    return xr.Dataset(
        {
            "below_reversal": ("layer", [float((v < realism.reversal_inhibitory_mv).mean()) for v in in_mv]),
            "low_potential_mv": ("layer", [float(np.quantile(v, 0.05)) for v in in_mv]),
        }
    )


def main() -> None:
    """Measure one network with one thing changed at a time; a file that is there is left alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder", help="of the data set, if it is not where it was")
    parser.add_argument("--trials", type=int, default=200, help="trials of the test split")
    options = parser.parse_args()
    if options.out.exists():
        return
    network = Network.load(options.network)
    dataset = datasets.load_described(network.metadata["dataset"], options.folder)
    task = trials.task_trials(dataset, options.trials)
    rungs = {number: rung.realism for number, rung in brian.RUNGS.items() if rung.realism is not None}
    slow: dict[str, Any] = {"refractory_ms": 1e3 * network.dt_s}
    versions: dict[str, brian.Realism | None] = {
        "exact twin": None,
        "fine steps": rungs[2],
        "fine steps, one spike in a trained step": replace(rungs[2], **slow),
        "currents, one spike in a trained step": replace(rungs[4], **slow),
        "conductances, one spike in a trained step": replace(rungs[5], **slow),
        "the same, inhibitory reversal at -400 mV": replace(rungs[5], **slow, reversal_inhibitory_mv=_LOW_MV),
        "the same, reversals at -4 V and 4 V": replace(
            rungs[5], **slow, reversal_inhibitory_mv=-_FAR_MV, reversal_excitatory_mv=_FAR_MV
        ),
    }
    means = brian.mean_potential(network, task.counts[:10])
    circuits = {name: brian.realistic(network, one, mean_potential=means) for name, one in versions.items()}
    table = brian.effects(
        circuits,
        task.counts,
        labels=task.labels,
        scored_steps=task.scored_steps,
        bootstrap=0,
        rng=np.random.default_rng(1),
    )
    save_dataset(table.merge(potentials(network, task.counts[:50], rungs[5])), options.out)


if __name__ == "__main__":
    main()
