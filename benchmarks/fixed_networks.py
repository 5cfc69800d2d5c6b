"""Twenty small networks that never change, to hold a device against the reference: five architectures, four each.

Together they have all that the simulators have to get right: several delays, recurrence, feedback, every reset,
adaptation, refractoriness, graded input, a skip connection.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn import recording, reference
from cortexsnn.network import Network, Population, Projection

__all__ = ["ARCHITECTURES", "Fixed", "fixed_networks"]

DT_S = 0.004
CHANNELS, SIZES, CLASSES = 30, (50, 40), 5
TRIALS, STEPS = 16, 250
SEEDS = range(4)
LOWEST, HIGHEST = 0.02, 0.25  # share of bins with a spike

ARCHITECTURES: dict[str, dict[str, Any]] = {
    "dense": {},
    "delays": {"delays": (0, 2, 7), "reset": "subtract_decayed"},
    "recurrent": {"recurrent": True, "feedback": True},
    "adaptive": {"reset": "zero", "adaptation": True, "refractory": 3, "recurrent": True},
    "graded": {"rate": 0.4, "delays": (0, 5), "skip": True},
}


@dataclass(frozen=True, eq=False)
class Fixed:
    """One of them with its input.

    Parameters
    ----------
    name : str
    network : Network
    counts : array of uint8, shape (trial, time, channel)
    """

    name: str
    network: Network
    counts: NDArray[np.uint8]


def _weight(rng: np.random.Generator, taps: int, target: int, source: int) -> NDArray[np.float64]:
    return 2.5 * rng.normal(0.5, 0.8, (taps, target, source)) / np.sqrt(taps * source)


def _network(
    rng: np.random.Generator,
    *,
    delays: tuple[int, ...] = (0,),
    reset: str = "subtract",
    recurrent: bool = False,
    feedback: bool = False,
    adaptation: bool = False,
    refractory: int = 0,
    skip: bool = False,
) -> Network:
    populations = [Population.input("input", CHANNELS)]
    projections = []
    source, before = "input", CHANNELS
    for layer, size in enumerate(SIZES):
        name = f"hidden{layer + 1}"
        adapts: dict[str, Any] = {}
        if adaptation:
            adapts = {"adaptation_strength": rng.uniform(0, 0.4, size), "adaptation_tau_s": 0.08}
        populations.append(
            Population.lif(name, size, tau_s=rng.uniform(0.01, 0.15, size), threshold=rng.uniform(0.6, 1.5, size),
                           bias=rng.normal(0.02, 0.05, size), reset=reset, refractory_steps=refractory, **adapts)
        )  # fmt: skip
        projections.append(Projection(source, name, _weight(rng, len(delays), size, before), delays))
        if recurrent:
            projections.append(Projection(name, name, 0.4 * _weight(rng, 1, size, size), (1 + 2 * layer,)))
        source, before = name, size
    populations.append(Population.readout("readout", CLASSES, tau_s=0.1, bias=rng.normal(0, 0.1, CLASSES)))
    projections.append(Projection(source, "readout", _weight(rng, 1, CLASSES, before)))
    if feedback:
        projections.append(Projection("hidden2", "hidden1", 0.4 * _weight(rng, 1, SIZES[0], SIZES[1]), (4,)))
    if skip:
        projections.append(Projection("input", "readout", _weight(rng, 1, CLASSES, CHANNELS)))
    return Network(DT_S, tuple(populations), tuple(projections), "sum_of_softmax")


def activity(network: Network, counts: NDArray[np.uint8]) -> dict[str, float]:
    """Share of bins with a spike, by spiking population."""
    result = reference.simulate(network, counts)
    return {p.name: float(recording.dense_spikes(result, p.name).mean()) for p in network.hidden}


def _lively(network: Network, counts: NDArray[np.uint8]) -> Network:
    """The network with weights scaled, layer by layer, until all layers are active and none always is."""
    for _ in range(30):
        shares = activity(network, counts[:1])
        wrong = next((name for name, share in shares.items() if not LOWEST <= share <= HIGHEST), None)
        if wrong is None:
            break
        gain = 1.4 if shares[wrong] < LOWEST else 0.8
        scaled = (replace(q, weight=gain * q.weight) if q.target == wrong else q for q in network.projections)
        network = replace(network, projections=tuple(scaled))
    return network


def fixed_networks(trials: int = TRIALS, steps: int = STEPS, seeds: range = SEEDS) -> Iterator[Fixed]:
    """All of them, or the first of each architecture.

    Parameters
    ----------
    trials, steps : int
        Fewer for a dry run.
    seeds : range

    Yields
    ------
    Fixed
        The four of one architecture one after another, so that they share a program.
    """
    for number, (name, structure) in enumerate(ARCHITECTURES.items()):
        options = {key: value for key, value in structure.items() if key != "rate"}
        for seed in seeds:
            rng = np.random.default_rng([number, seed])
            drawn = rng.poisson(structure.get("rate", 0.1), (TRIALS, STEPS, CHANNELS)).astype(np.uint8)
            counts = drawn if structure.get("rate") else np.minimum(drawn, 1)
            network = _lively(_network(rng, **options), counts)
            yield Fixed(f"{name} {seed + 1}", network, counts[:trials, :steps])
