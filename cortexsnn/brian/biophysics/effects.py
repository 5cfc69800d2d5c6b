"""What changes do to a network: accuracy, spikes, rates and timescales of several circuits on the same trials."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike, NDArray
from tqdm.auto import tqdm

from cortexsnn import recording, timescales
from cortexsnn.brian.biophysics.likeness import count_correlation, on_input_steps, shared_spikes, wilson_interval
from cortexsnn.brian.circuit import Circuit, circuit_of
from cortexsnn.brian.simulate import simulate
from cortexsnn.checks import generator
from cortexsnn.decoding import accuracy, decode
from cortexsnn.errors import InputError
from cortexsnn.network import Network, SpikeInput
from cortexsnn.timescales.counts import whole_steps

__all__ = ["effects"]

SCHEMA = "cortexsnn-effects-1"

Input = ArrayLike | SpikeInput | Mapping[str, ArrayLike | SpikeInput]

_WORDS = {
    "accuracy": ("share of right classes, read from the readout at the time steps of the input", "1"),
    "accuracy_low": ("lower end of Wilson's interval of the accuracy", "1"),
    "accuracy_high": ("upper end of Wilson's interval of the accuracy", "1"),
    "agreement": ("share of spikes in the same trial, step and neuron as in the first circuit", "1"),
    "agreement_by_chance": ("the same with the trials of the first circuit shifted by one", "1"),
    "count_correlation": ("correlation of counts with the first circuit, mean over neurons", "1"),
    "neurons_correlated": ("neurons in that mean: their counts vary in both circuits", "1"),
    "rate_hz": ("mean rate of all neurons in the trials of the task", "Hz"),
    "tau_ms": ("timescale of the layer; NaN where the status is neither ok nor too_short", "ms"),
    "tau_low_ms": ("lower end of the interval of tau", "ms"),
    "tau_high_ms": ("upper end of the interval of tau", "ms"),
    "tau_rate_hz": ("mean rate of all neurons in the trials in which tau was measured", "Hz"),
    "status": ("what came of the estimate of tau", ""),
}
_OF_CIRCUIT = ("accuracy", "accuracy_low", "accuracy_high")
_FROM_ESTIMATE = {
    "tau_ms": "tau_ms",
    "tau_low_ms": "tau_low_ms",
    "tau_high_ms": "tau_high_ms",
    "tau_rate_hz": "rate_hz",
    "status": "status",
}


def _checked(circuits: Mapping[str, Circuit | Network]) -> dict[str, Circuit]:
    """Circuits of the same layers on input of the same time step."""
    if not isinstance(circuits, Mapping):
        raise InputError("circuits", type(circuits).__name__, "names with circuits", 'such as {"twin": network}')
    if not circuits:
        raise InputError("circuits", {}, "at least one")
    for name, one in circuits.items():
        if not isinstance(one, Circuit | Network):
            raise InputError(f"circuit '{name}'", type(one).__name__, "a Circuit or Network")
    checked = {str(name): circuit_of(one) for name, one in circuits.items()}
    first = next(iter(checked.values()))
    if not first.network.hidden:
        raise InputError("spiking populations of the first circuit", [], "at least one")
    layers = [(p.name, p.size) for p in first.network.hidden]
    bin_s = first.network.dt_s * first.steps_per_bin
    for name, one in checked.items():
        own = [(p.name, p.size) for p in one.network.hidden]
        if own != layers:
            raise InputError(f"layers and sizes of circuit '{name}'", own, f"{layers}, as in the first")
        own_s = one.network.dt_s * one.steps_per_bin
        if abs(own_s - bin_s) > 1e-9 * bin_s:
            raise InputError(f"time step of the input of circuit '{name}'", own_s, f"{bin_s:g} s, as in the first")
    return checked


def _accuracy(
    network: Network, recorded: xr.DataTree, labels: NDArray[np.int64] | None, scored: NDArray[np.bool_] | None
) -> float:
    if labels is None or network.decoder is None:
        return float("nan")
    return accuracy(decode(recorded[network.readouts[0].name]["potential"].to_numpy(), network.decoder), labels, scored)


def _usual_answer(labels: NDArray[np.int64] | None, scored: NDArray[np.bool_] | None) -> float:
    """Accuracy of always giving the most frequent class."""
    if labels is None:
        return float("nan")
    counted = labels[:, scored] if scored is not None and labels.ndim == 2 else labels
    return float(np.bincount(counted.ravel()).max() / counted.size)


def _of_layers(
    spikes: dict[str, NDArray[np.uint8]], first: dict[str, NDArray[np.uint8]], dt_s: float, steps_of_bin: int
) -> dict[str, list[float]]:
    """Agreement, correlation of counts and rate of each layer."""
    table: dict[str, list[float]] = {name: [] for name in _WORDS if name not in _OF_CIRCUIT + tuple(_FROM_ESTIMATE)}
    for name, own in spikes.items():
        correlation = count_correlation(first[name], own, steps_of_bin)
        known = correlation[np.isfinite(correlation)]
        shifted = shared_spikes(np.roll(first[name], 1, axis=0), own) if len(own) > 1 else float("nan")
        table["agreement"].append(shared_spikes(first[name], own))
        table["agreement_by_chance"].append(shifted)
        table["count_correlation"].append(float(known.mean()) if known.size else float("nan"))
        table["neurons_correlated"].append(known.size)
        table["rate_hz"].append(float(own.mean()) / dt_s)
    return table


def effects(
    circuits: Mapping[str, Circuit | Network],
    counts: Input,
    *,
    labels: ArrayLike | None = None,
    scored_steps: ArrayLike | None = None,
    spontaneous: Input | None = None,
    start_ms: float = 0.0,
    bin_ms: float | None = None,
    device: str = "cpp_standalone",
    processes: int | None = None,
    bootstrap: int = 200,
    confidence: float = 0.95,
    rng: np.random.Generator,
    progress: bool = True,
) -> xr.Dataset:
    """Run several circuits on the same trials and measure what they still do, and how they differ from the first.

    Everything is measured on the time steps of the input, so that circuits in finer steps can be compared
    (`biophysics.likeness.on_input_steps`). One circuit runs after the other, and only its figures are kept.

    Parameters
    ----------
    circuits : mapping from str to Circuit or Network
        Versions of one network. The first is the one that others are compared with.
    counts : array of int, shape (trial, time, channel), or SpikeInput, or mapping from input population to such
        Trials of the task, on the time step of training.
    labels : array of int, shape (trial,) or (trial, time), optional
        Right classes, for the accuracy.
    scored_steps : array of bool, shape (time,), optional
        Steps that count for the accuracy, where every step is decoded.
    spontaneous : as `counts`, optional
        Trials in which the timescales are measured; those of the task if not given.
    start_ms : float
        Burn-in of the trials in which the timescales are measured.
    bin_ms : float, optional
        Bins of timescales and of count correlations; about 50 ms in whole time steps of the input if not given.
    device : str
        As for `cortexsnn.brian.simulate`.
    processes : int, optional
        As for `cortexsnn.brian.simulate`.
    bootstrap : int
        Replicates for the intervals of the timescales; the same trials are drawn for every circuit.
    confidence : float
        Of all intervals.
    rng : numpy.random.Generator
        For noise in circuits, which is drawn anew for each, and for the intervals.
    progress : bool

    Returns
    -------
    xarray.Dataset
        On ``circuit``: ``accuracy`` with ``accuracy_low`` and ``accuracy_high`` (Wilson's interval for as many
        observations as there are trials, also where every step is decoded, since steps of a trial are not
        independent; NaN without labels), and what was changed (``changes``). On ``circuit`` and ``layer``:
        ``agreement`` (`shared_spikes` with the first circuit, per trial, step and neuron), ``agreement_by_chance``
        (the same with the next trial of the first circuit: what rates alone would give), ``count_correlation`` with
        ``neurons_correlated``, ``rate_hz``, ``tau_ms`` with its interval, ``status`` and ``tau_rate_hz``
        (`cortexsnn.timescales.estimate`). Attributes say what was done; ``usual_answer`` is the accuracy of always
        giving the most frequent class.

    Raises
    ------
    InputError
        If the circuits do not have the same layers and input, labels do not fit, or labels are given for a network
        without a decoder.

    Examples
    --------
    >>> from cortexsnn.network import Population, Projection
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> rng = np.random.default_rng(1)
    >>> counts = rng.poisson(0.5, (8, 60, 1))
    >>> table = effects({"twin": network, "again": network}, counts, device="numpy", bootstrap=0, rng=rng)
    >>> table["agreement"].sel(circuit="again").item(), table["count_correlation"].dims
    (1.0, ('circuit', 'layer'))
    """
    chosen = _checked(circuits)
    generator(rng)
    first = next(iter(chosen.values()))
    dt_s = first.network.dt_s * first.steps_per_bin
    bin_ms = timescales.usual_bin_ms("pearson_trials", 1000 * dt_s) if bin_ms is None else bin_ms
    steps_of_bin = whole_steps("bin_ms", bin_ms, 1000 * dt_s, fewest=1)
    right = None if labels is None else np.asarray(labels)
    if right is not None and first.network.decoder is None:
        raise InputError("labels", right.shape, "None for a network without a decoder")
    scored = None if scored_steps is None else np.asarray(scored_steps, dtype=bool)
    drawing = int(rng.integers(2**63))
    layers = [p.name for p in first.network.hidden]
    reference: dict[str, NDArray[np.uint8]] = {}
    rows: list[dict[str, Any]] = []
    with tqdm(total=len(chosen), desc="circuits", unit="circuit", delay=5, disable=not progress) as bar:

        def run(circuit: Circuit, given: Input) -> xr.DataTree:
            recorded = simulate(circuit, given, device=device, processes=processes, record_input=False, rng=rng,
                                progress=progress)  # fmt: skip
            return on_input_steps(recorded, circuit.steps_per_bin)

        for name, circuit in chosen.items():
            bar.set_postfix_str(name)
            of_task = run(circuit, counts)
            trials = of_task.sizes["trial"]
            spikes = {layer: recording.dense_spikes(of_task, layer) for layer in layers}
            reference = reference or spikes
            share = _accuracy(circuit.network, of_task, right, scored)
            low, high = wilson_interval(share, trials, confidence)
            measured_in = of_task if spontaneous is None else run(circuit, spontaneous)
            measured = timescales.estimate(
                measured_in,
                bin_ms=bin_ms,
                start_ms=start_ms,
                bootstrap=bootstrap,
                confidence=confidence,
                rng=np.random.default_rng(drawing),
                progress=progress,
            )
            rows.append(
                {"accuracy": share, "accuracy_low": low, "accuracy_high": high}
                | _of_layers(spikes, reference, dt_s, steps_of_bin)
                | {name: measured[there].to_numpy() for name, there in _FROM_ESTIMATE.items()}
            )
            spontaneous_trials = measured_in.sizes["trial"]
            bar.update()
    variables = {
        name: (
            ("circuit",) if name in _OF_CIRCUIT else ("circuit", "layer"),
            np.array([row[name] for row in rows]),
            {"long_name": words} | ({"units": units} if units else {}),
        )
        for name, (words, units) in _WORDS.items()
    }
    return xr.Dataset(
        variables,
        {
            "circuit": list(chosen),
            "layer": layers,
            "changes": ("circuit", ["; ".join(one.changes) for one in chosen.values()]),
        },
        {
            "schema": SCHEMA,
            "network": first.network.fingerprint(),
            "trials": trials,
            "tau_trials": spontaneous_trials,
            "tau_input": "trials of the task" if spontaneous is None else "spontaneous",
            "start_ms": float(start_ms),
            "bin_ms": float(bin_ms),
            "dt_ms": 1000 * dt_s,
            "estimator": "pearson_trials",
            "bootstrap": bootstrap,
            "confidence": confidence,
            "device": device,
            "usual_answer": _usual_answer(right, scored),
        },
    )
