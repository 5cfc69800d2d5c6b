"""One call for every device: trials in, recording out, in memory or on disk."""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Mapping
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import ArrayLike
from tqdm.auto import tqdm

from cortexsnn.brian.bitwise import INEXACT_DEVICES, BitwiseCircuit, bitwise_for, limited_input
from cortexsnn.brian.blocks import BlockResult, blocks_of, plan_of
from cortexsnn.brian.choice import choose_device
from cortexsnn.brian.circuit import Circuit, circuit_of
from cortexsnn.brian.collected import collect
from cortexsnn.brian.devices import PRECISIONS, device_named
from cortexsnn.brian.equations import NeuronModels
from cortexsnn.brian.execution import run_blocks
from cortexsnn.brian.fine_input import FineInput
from cortexsnn.brian.values import circuit_values
from cortexsnn.checks import choice, generator, whole
from cortexsnn.cores import usable_cores
from cortexsnn.errors import InputError
from cortexsnn.network import Network, SpikeInput, spike_inputs

__all__ = ["EXACT", "simulate"]

EXACT = ("twin", "bitwise")


def simulate(
    network: Network | Circuit,
    counts: ArrayLike | SpikeInput | Mapping[str, ArrayLike | SpikeInput],
    *,
    device: str = "cpp_standalone",
    models: NeuronModels | None = None,
    record_potential: Collection[str] = (),
    record_input: bool = True,
    precision: str = "float64",
    exact: str = "twin",
    processes: int | None = None,
    rng: np.random.Generator | None = None,
    path: str | Path | None = None,
    progress: bool = True,
) -> xr.DataTree:
    """Run a network in Brian2 on many trials, each from rest.

    Parameters
    ----------
    network : Network or Circuit
        A circuit says what else than the exact twin it shall be (`cortexsnn.brian.circuit`).
    counts : array of int, shape (trial, time, channel), or SpikeInput, or mapping from input population to such
        Input spikes; several spikes of a channel in one step are allowed. `cortexsnn.datasets.background` makes input
        of any duration while the run goes on.
    device : {"cpp_standalone", "numpy", "cython", "cuda_standalone", "auto"}
        A compiled program (needs a C++ compiler; the first run of an architecture compiles for some ten seconds), or
        Brian2's runtime with NumPy or Cython code. ``"auto"`` takes what will be ready first
        (`cortexsnn.brian.choose_device`).
    models : mapping from str to NeuronModel, optional
        Other equations for some populations (`cortexsnn.brian.neuron_model`).
    record_potential : collection of str
        Spiking populations whose V[t] before the reset is kept too; that of readouts always is. Its attribute
        ``units`` says in what: "V" of a circuit in physical units.
    record_input : bool
        Whether the recording has the input spikes.
    precision : {"float64", "float32"}
        Of Brian2's variables. Only float64 is the exact twin.
    exact : {"twin", "bitwise"}
        ``"twin"`` fires the spikes of the network in float64, up to potentials that differ in their last digits.
        ``"bitwise"`` snaps the weights (`cortexsnn.brian.bitwise`), and then every device gives the same bits, in
        float32 too. There the grid depends on the highest count of the input; give `network` as
        ``bitwise(network, "float32", highest_count=...)`` to have the same for every input.
    processes : int, optional
        Programs at once; as many as cores if not given. The runtime uses one.
    rng : numpy.random.Generator, optional
        For circuits with noise. The same generator gives the same noise again on the same device with the same number
        of `processes`; without one it cannot be drawn again.
    path : path-like, optional
        File for the recording (.nc). Blocks of trials are written as they come, so that little memory is needed, and
        an interrupted run goes on with the next block when it is called again.
    progress : bool
        Show progress and time left.

    Returns
    -------
    xarray.DataTree
        A recording (`cortexsnn.recording`).

    Raises
    ------
    InputError
        If the device is unknown, the input or a model does not fit the network, there is no compiler, another run is
        writing to `path`, or what is asked for cannot be the same on every device.

    Examples
    --------
    >>> import numpy as np
    >>> from cortexsnn.network import Network, Population, Projection
    >>> network = Network(
    ...     0.01,
    ...     (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02)),
    ...     (Projection("input", "hidden1", [[0.8]]),),
    ... )
    >>> recording = simulate(network, np.ones((2, 5, 1)), device="numpy")
    >>> recording["hidden1"]["spike_step"].values
    array([1, 3, 1, 3], dtype=int32)
    """
    choice("precision", precision, PRECISIONS)
    choice("exact", exact, EXACT)
    chosen_circuit = circuit_of(network, models)
    inputs = _inputs(chosen_circuit, counts)
    if exact == "bitwise":
        chosen_circuit = bitwise_for(_alone(network, models), precision, inputs)
    unfit = INEXACT_DEVICES if isinstance(chosen_circuit, BitwiseCircuit) else {}
    if device == "auto":
        # Judged by the exact twin in the same time steps, which asks for about as much.
        expected = choose_device(
            chosen_circuit.network,
            inputs,
            models=models if isinstance(network, Network) else None,
            record_potential=record_potential,
            precision=precision,
            processes=processes,
            progress=progress,
        )
        device = next(e.device for e in expected.estimates if e.device not in unfit)
    chosen = device_named(device)
    if isinstance(chosen_circuit, BitwiseCircuit):
        chosen_circuit.require(device, precision)
        inputs = limited_input(chosen_circuit, inputs)
    at_once = 1
    if chosen.parallel:
        at_once = usable_cores() if processes is None else whole("processes", processes, 1)
    plan = plan_of(chosen_circuit, inputs, {}, record_potential, processes=at_once, compiled=chosen.compiled)
    one = next(iter(inputs.values()))
    values = circuit_values(chosen_circuit)
    seed = None if rng is None else int(generator(rng).integers(2**63))
    with (
        collect(plan, inputs, path, f"brian2 {device}", precision, record_input=record_input, seed=seed) as collected,
        chosen.open(plan, values, precision, progress=progress) as runner,
    ):
        blocks = collected.missing(list(blocks_of(plan.layout, one.trials, one.steps)))
        with tqdm(
            total=len(blocks) if plan.continuing else sum(len(b.trials) for b in blocks),
            desc=f"brian2 {device}",
            unit="block" if plan.continuing else "trial",
            delay=2,
            disable=not progress or len(blocks) < 2,
        ) as bar:
            run_blocks(
                plan,
                runner,
                inputs,
                blocks,
                _counted(collected.add, bar, plan.continuing),
                processes=at_once,
                states=collected.states(),
                seed=seed,
            )
        return collected.recording()


def _alone(network: Network | Circuit, models: NeuronModels | None) -> Network:
    """The network of which all else follows."""
    if isinstance(network, Circuit):
        raise InputError("exact", "bitwise", "a Network with it, not a Circuit",
                         "a circuit says itself what it is: brian.bitwise(network) makes one")  # fmt: skip
    if models:
        raise InputError("models", sorted(models), "none with exact='bitwise'",
                         "change the circuit that brian.bitwise(network) gives: its with_neurons(models)")  # fmt: skip
    return network


def _inputs(
    circuit: Circuit, counts: ArrayLike | SpikeInput | Mapping[str, ArrayLike | SpikeInput]
) -> dict[str, SpikeInput]:
    """Checked input in the time steps in which the circuit runs."""
    steps_per_bin = circuit.steps_per_bin
    given = spike_inputs(circuit.network, counts, dt_s=circuit.network.dt_s * steps_per_bin)
    return given if steps_per_bin == 1 else {name: FineInput(one, steps_per_bin) for name, one in given.items()}


def _counted(add: Callable[[BlockResult], None], bar: tqdm, continuing: bool) -> Callable[[BlockResult], None]:
    lock = threading.Lock()

    def done(result: BlockResult) -> None:
        with lock:
            add(result)
            bar.update(1 if continuing else len(result.block.trials))

    return done
