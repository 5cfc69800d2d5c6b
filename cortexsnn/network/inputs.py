"""Input spikes for a network: one check that every simulator shares, and input that is made while a run goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.errors import InputError
from cortexsnn.network.description import Network

__all__ = ["ArrayInput", "CountsOnDemand", "SpikeInput", "input_counts", "spike_inputs"]

Counts = NDArray[np.uint8]


@runtime_checkable
class CountsOnDemand(Protocol):
    """Counts of uint8 that look like an array (trial, time, channel), and are made when an index asks for them.

    `cortexsnn.datasets.LazyCounts` is such. Simulators that go in blocks ask for one block after another.
    """

    @property
    def shape(self) -> tuple[int, int, int]:
        """(trial, time, channel)."""

    @property
    def ndim(self) -> int:
        """3."""

    @property
    def dtype(self) -> np.dtype[np.uint8]:
        """uint8."""

    def __getitem__(self, key: Any) -> Counts:
        """As of an array."""

    def __array__(self) -> Counts:
        """All of it."""

    def max(self, initial: int = 0) -> int:
        """Highest count."""

    def batches(self) -> Iterator[Counts]:
        """All of it, some trials at a time."""


def _checked(counts: ArrayLike, name: str, channels: int) -> Counts | CountsOnDemand:
    array = counts if isinstance(counts, CountsOnDemand) else np.asarray(counts)
    field = f"spike counts for '{name}'"
    if array.ndim != 3:
        raise InputError(f"shape of {field}", array.shape, "(trial, time, channel)")
    if array.shape[2] != channels:
        raise InputError(f"channels of {field}", array.shape[2], f"{channels}, the size of the population")
    if array.shape[0] == 0 or array.shape[1] == 0:
        raise InputError(f"shape of {field}", array.shape, "at least one trial and one time step")
    if array.dtype.kind not in "buif":
        raise InputError(f"type of {field}", str(array.dtype), "numbers")
    if isinstance(array, CountsOnDemand) or array.dtype == np.uint8:
        return array
    if array.dtype.kind == "f" and not np.all(np.isfinite(array)):
        raise InputError(field, "NaN or infinity", "whole numbers of spikes")
    within = array.dtype.kind == "b" or (array.min() >= 0 and array.max() <= 255)
    if not within or not np.array_equal(small := array.astype(np.uint8), array):
        raise InputError(field, [array.min(), array.max()], "whole numbers from 0 to 255",
                         "an input is the number of spikes of a channel in a time step")  # fmt: skip
    return small


def input_counts(network: Network, counts: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Counts]:
    """Check input spikes and name them by population.

    Parameters
    ----------
    network : Network
    counts : array of int, shape (trial, time, channel), or mapping from population name to such an array
        Number of spikes of each channel in each step. An array alone is enough if there is one input population.

    Returns
    -------
    dict of str to numpy.ndarray of uint8

    Raises
    ------
    InputError
        If an input population is missing, or shapes or values do not fit.

    Examples
    --------
    >>> from cortexsnn.network import Population
    >>> network = Network(0.01, (Population.input("input", 2),), ())
    >>> input_counts(network, np.zeros((1, 5, 3)))
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: channels of spike counts for 'input' is 3; expected 2, the size of the population
    """
    return {name: np.asarray(array) for name, array in _by_population(network, counts).items()}


def _by_population(network: Network, counts: ArrayLike | Mapping[str, ArrayLike]) -> dict[str, Counts | CountsOnDemand]:
    """Checked counts of each input population; those on demand are not asked for."""
    names = [p.name for p in network.inputs]
    if not isinstance(counts, Mapping):
        if len(names) != 1:
            raise InputError("spike counts", "one array", f"a mapping with the input populations {', '.join(names)}")
        counts = {names[0]: counts}
    if sorted(counts) != sorted(names):
        raise InputError("input populations", sorted(counts), f"{sorted(names)}")
    checked = {p.name: _checked(counts[p.name], p.name, p.size) for p in network.inputs}
    shapes = {array.shape[:2] for array in checked.values()}
    if len(shapes) > 1:
        raise InputError("trials and steps of the input populations", sorted(shapes), "the same for all")
    return checked


@runtime_checkable
class SpikeInput(Protocol):
    """Input spikes of one population that are asked for piece by piece, such as `cortexsnn.datasets.background`.

    The same piece always has the same spikes, however a run is cut.
    """

    @property
    def trials(self) -> int:
        """Number of trials."""

    @property
    def steps(self) -> int:
        """Time steps of each trial."""

    @property
    def channels(self) -> int:
        """Number of channels."""

    @property
    def graded(self) -> bool:
        """Whether a channel may have several spikes in a step."""

    def counts(self, trials: range, steps: range) -> Counts:
        """Spikes of some steps of some trials, shape (trial, time, channel)."""

    def describe(self) -> dict[str, Any]:
        """What JSON can say to make the same input again, or to tell it from another."""


@dataclass(frozen=True, eq=False)
class ArrayInput:
    """Input spikes that are there as an array, or look like one.

    Parameters
    ----------
    array : array of uint8 or CountsOnDemand, shape (trial, time, channel)
        Checked (`input_counts`).
    """

    array: Counts | CountsOnDemand

    @property
    def trials(self) -> int:
        """Number of trials."""
        return int(self.array.shape[0])

    @property
    def steps(self) -> int:
        """Time steps of each trial."""
        return int(self.array.shape[1])

    @property
    def channels(self) -> int:
        """Number of channels."""
        return int(self.array.shape[2])

    @property
    def graded(self) -> bool:
        """Whether a channel has several spikes in a step."""
        return bool(self.array.max(initial=0) > 1)

    def counts(self, trials: range, steps: range) -> Counts:
        """Spikes of some steps of some trials, shape (trial, time, channel)."""
        return self.array[trials.start : trials.stop, steps.start : steps.stop]

    def describe(self) -> dict[str, Any]:
        """Shape and hash."""
        digest = hashlib.sha256()
        for part in self.array.batches() if isinstance(self.array, CountsOnDemand) else [self.array]:
            digest.update(np.ascontiguousarray(part).data)
        return {"kind": "array", "shape": list(self.array.shape), "sha256": digest.hexdigest()}


def spike_inputs(
    network: Network,
    given: ArrayLike | SpikeInput | Mapping[str, ArrayLike | SpikeInput],
    *,
    dt_s: float | None = None,
) -> dict[str, SpikeInput]:
    """Check input spikes, arrays or objects that make them, and name them by population.

    Parameters
    ----------
    network : Network
    given : array of int, shape (trial, time, channel), or SpikeInput, or mapping from population name to such
        One alone is enough if there is one input population.
    dt_s : float, optional
        Time step of the input in seconds; that of the network if not given.

    Returns
    -------
    dict of str to SpikeInput

    Raises
    ------
    InputError
        If an input population is missing, or trials, steps, channels or values do not fit.

    Examples
    --------
    >>> from cortexsnn.network import Population
    >>> network = Network(0.01, (Population.input("input", 2),), ())
    >>> spike_inputs(network, np.zeros((1, 5, 2)))["input"].steps
    5
    """
    if isinstance(given, SpikeInput):
        given = {network.inputs[0].name: given} if len(network.inputs) == 1 else {"": given}
    if not isinstance(given, Mapping) or not any(isinstance(one, SpikeInput) for one in given.values()):
        return {name: ArrayInput(array) for name, array in _by_population(network, given).items()}  # type: ignore[arg-type]
    names = [p.name for p in network.inputs]
    if sorted(given) != sorted(names):
        raise InputError("input populations", sorted(given), f"{sorted(names)}")
    inputs = {
        p.name: one if isinstance(one := given[p.name], SpikeInput) else ArrayInput(_checked(one, p.name, p.size))
        for p in network.inputs
    }
    for population in network.inputs:
        channels = inputs[population.name].channels
        if channels != population.size:
            raise InputError(f"channels of spike counts for '{population.name}'", channels,
                             f"{population.size}, the size of the population")  # fmt: skip
    shapes = {(one.trials, one.steps) for one in inputs.values()}
    if len(shapes) > 1:
        raise InputError("trials and steps of the input populations", sorted(shapes), "the same for all")
    expected_s = network.dt_s if dt_s is None else dt_s
    for name, one in inputs.items():
        step_s = getattr(one, "dt_s", expected_s)
        if abs(step_s - expected_s) > 1e-9 * expected_s:
            raise InputError(f"dt_s of the input for '{name}'", step_s, f"{expected_s:g} s, as the network has")
    return inputs
