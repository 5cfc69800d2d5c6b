"""What adaptation, noise, lesions, other time constants and lost delays do to accuracy and timescales of a network.

python analyses/realism_deviations.py RUN/network.safetensors results/realism_deviations_NAME.nc [--folder DATA]
"""

from __future__ import annotations

import argparse
from functools import reduce
from pathlib import Path

import numpy as np

from cortexsnn import brian, cortex, datasets, trials
from cortexsnn.brian import Circuit
from cortexsnn.network import Network
from cortexsnn.results import save_dataset


def versions(network: Network, rng: np.random.Generator) -> dict[str, Circuit]:
    """The exact twin, and one circuit for each deviation."""
    twin, layers = brian.circuit(network), [p.name for p in network.hidden]
    middle = layers[len(layers) // 2]
    into = next(p.name for p in network.projections if p.target == middle)
    adapting = reduce(lambda one, name: brian.adaptation_current(one, name, 200.0, 0.1), layers, twin)
    circuits = {
        "exact twin": twin,
        "adaptation current, 200 ms, 0.1 of the threshold": adapting,
        "synaptic noise, cv 0.3": brian.synaptic_noise(twin, 0.3),
        f"a fifth of {middle} silent": brian.lesion(twin, middle, 0.2, rng),
        f"all of {middle} silent": brian.lesion(twin, middle),
        f"a fifth of {into} gone": brian.lesion_synapses(twin, into, 0.2, rng),
        "tau x 0.5 by the capacitance": brian.scale_tau(twin, 0.5),
        "tau x 2 by the capacitance": brian.scale_tau(twin, 2.0),
        "tau x 2 by the leak": brian.scale_tau(twin, 2.0, by="leak"),
    }
    if network.max_delay_steps:
        circuits["without delays"] = brian.without_delays(twin)
    return circuits


def main() -> None:
    """Measure one network with each deviation; a file that is there is left alone."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("network", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--folder", help="of the data set, if it is not where it was")
    parser.add_argument("--trials", type=int, default=200, help="trials of the test split")
    parser.add_argument("--spontaneous", type=int, default=300, help="trials for the timescales")
    parser.add_argument("--study", help="table of cortical timescales with whose trials tau is measured")
    parser.add_argument("--only", nargs="+", help="deviations; all that there are if not given")
    options = parser.parse_args()
    if options.out.exists():
        return
    network, rng = Network.load(options.network), np.random.default_rng(1)
    dataset = datasets.load_described(network.metadata["dataset"], options.folder)
    task = trials.task_trials(dataset, options.trials)
    # Five slow time constants of a fast network are too short a trial for bins of 50 ms; those of a study are not.
    study = cortex.open_table(options.study) if options.study else None
    spontaneous = trials.spontaneous_trials(network, dataset, options.spontaneous, rng, study=study)
    circuits = versions(network, rng)
    table = brian.effects(
        {name: one for name, one in circuits.items() if not options.only or name in ["exact twin", *options.only]},
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
