"""What of a trained network survives biophysics: accuracy, spikes, rates and timescales on every rung of the ladder.

python analyses/realism_ladder.py RUN/network.safetensors analyses/results/realism_ladder_NAME.nc [--folder DATA]
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from cortexsnn import brian, datasets, trials
from cortexsnn.network import Network
from cortexsnn.results import save_dataset


def main() -> None:
    """Measure one network on all rungs; a file that is there is left alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder", help="of the data set, if it is not where it was")
    parser.add_argument("--trials", type=int, default=200, help="trials of the test split")
    parser.add_argument("--spontaneous", type=int, default=300, help="trials for the timescales")
    options = parser.parse_args()
    if options.out.exists():
        return
    network, rng = Network.load(options.network), np.random.default_rng(1)
    dataset = datasets.load_described(network.metadata["dataset"], options.folder)
    task = trials.task_trials(dataset, options.trials)
    spontaneous = trials.spontaneous_trials(network, dataset, options.spontaneous, rng)
    table = brian.ladder(
        network,
        task.counts,
        labels=task.labels,
        scored_steps=task.scored_steps,
        spontaneous=spontaneous.counts,
        start_ms=1e3 * network.dt_s * spontaneous.burn_in_steps,
        rng=rng,
    )
    save_dataset(table, options.out)


if __name__ == "__main__":
    main()
