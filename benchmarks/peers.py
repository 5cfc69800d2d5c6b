"""Other ways to run the same network on the same trials."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from measure import child
from numpy.typing import NDArray

from cortexsnn.network import Network
from cortexsnn.training.delayed import delayed_current
from cortexsnn.training.scan import leaky_integral, lif_scan


def handwritten(network: Network, counts: NDArray[np.uint8], *, same_flags: bool, jobs: int) -> dict[str, Any]:
    """Times of `handwritten_brian2` in a fresh process, and its spikes by layer as sets of (trial, step, neuron)."""
    arrays: dict[str, Any] = {"counts": counts, "dt_s": network.dt_s, "layers": len(network.order)}
    for layer, (population, projection) in enumerate(zip(network.order, network.projections, strict=True)):
        arrays[f"weight{layer}"] = projection.weight
        arrays[f"delays{layer}"] = np.array(projection.delay_steps)
        arrays[f"tau{layer}"], arrays[f"bias{layer}"] = population.tau_s, population.bias
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "network.npz", **arrays)
        flags = ["--same-flags"] if same_flags else []
        times = child("handwritten_brian2.py", folder, "--parallel-make", jobs, *flags)
        with np.load(folder / "spikes.npz") as stored:
            spikes = {}
            for layer, population in enumerate(network.hidden):
                trial, step = np.divmod(stored[f"step{layer}"], times["period_steps"])
                spikes[population.name] = _keys(trial, step, stored[f"neuron{layer}"], counts.shape[1])
    return {"times": times, "spikes": spikes}


def _keys(trial: NDArray, step: NDArray, neuron: NDArray, steps: int) -> NDArray[np.int64]:
    """One number for each spike."""
    return (trial.astype(np.int64) * steps + step) * (1 << 32) + neuron


def differing(recording: Any, spikes: dict[str, NDArray[np.int64]], steps: int) -> tuple[int, int]:
    """Spikes in one but not in the other, and spikes in the recording."""
    unequal = total = 0
    for name, other in spikes.items():
        node = recording[name]
        trial, step, neuron = (node[f"spike_{field}"].to_numpy() for field in ("trial", "step", "neuron"))
        own = _keys(trial, step, neuron, steps)
        unequal += np.setxor1d(own, other, assume_unique=True).size
        total += own.size
    return unequal, total


@torch.no_grad()
def torch_inference(network: Network, counts: NDArray[np.uint8], batch: int) -> dict[str, int]:
    """Run all trials in float32, a batch at a time; spikes of each hidden layer."""
    layers = [
        (
            population,
            torch.from_numpy(projection.weight.astype(np.float32)),
            projection.delay_steps,
            torch.from_numpy(population.alpha(network.dt_s).astype(np.float32)),
            torch.from_numpy(population.threshold.astype(np.float32)),
        )
        for population, projection in zip(network.order, network.projections, strict=True)
    ]
    fired = dict.fromkeys((p.name for p in network.hidden), 0)
    for start in range(0, len(counts), batch):
        spikes = torch.from_numpy(counts[start : start + batch]).permute(1, 0, 2).float()
        for population, weight, delays, alpha, threshold in layers:
            current = delayed_current(spikes, weight, delays)
            if population.kind == "lif":
                spikes, _ = lif_scan(current, alpha, threshold, reset=population.reset)
                fired[population.name] += int(spikes.sum())
            else:
                leaky_integral(current, alpha)
    return fired
