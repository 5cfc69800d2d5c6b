"""From plain weight matrices to a feed-forward `Network`, with or without recurrence within its layers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.errors import InputError
from cortexsnn.network.description import Network
from cortexsnn.network.parts import FloatArray, Population, Projection

__all__ = ["from_arrays"]


def _plain(values: Any) -> Any:
    """A tensor that takes part in learning is no array before it is detached; anything else is left as it is."""
    return values.detach().cpu().numpy() if callable(getattr(values, "detach", None)) else values


def _weight(values: Any, field: str) -> FloatArray:
    """One weight array as float64, (target, source) or (tap, target, source)."""
    try:
        array = np.asarray(_plain(values), dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError(field, values, "numbers, shape (target, source) or (tap, target, source)") from None
    if array.ndim not in (2, 3) or array.size == 0:
        raise InputError(f"shape of {field}", array.shape, "(target, source) or (tap, target, source)",
                         "a row for each neuron that receives, as in torch.nn.Linear")  # fmt: skip
    return array


def _listed(values: Any, field: str, length: int, what: str) -> list[Any]:
    """A list with one entry for each of `what`; None leaves all of them out."""
    if values is None:
        return [None] * length
    entries = None if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
    if entries is None or len(entries) != length:
        raise InputError(field, values, f"a list with one entry for each of the {length} {what}",
                         "None stands for nothing")  # fmt: skip
    return [_plain(entry) for entry in entries]


def _for_each_layer(values: Any, field: str, layers: int, is_one: Callable[[Any], bool]) -> list[Any]:
    """One entry for every hidden layer: a single value is repeated."""
    given = _plain(values)
    return [given] * layers if is_one(given) else _listed(given, field, layers, "hidden layers")


def _is_number(value: Any) -> bool:
    return not isinstance(value, list | tuple) and np.ndim(value) == 0


def from_arrays(
    weights: Sequence[ArrayLike],
    *,
    tau_s: ArrayLike | Sequence[ArrayLike],
    dt_s: float,
    readout_tau_s: ArrayLike | None = None,
    bias: Sequence[ArrayLike | None] | None = None,
    threshold: ArrayLike | Sequence[ArrayLike] = 1.0,
    reset: str | Sequence[str] = "subtract",
    recurrent: Sequence[ArrayLike | None] | None = None,
    delay_steps: Sequence[Sequence[int] | None] | None = None,
    decoder: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Network:
    """A feed-forward network from its weight matrices; populations are named input, hidden1, ..., readout.

    Parameters
    ----------
    weights : sequence of array, shape (target, source) or (tap, target, source)
        From the input to the last layer, oriented as in ``torch.nn.Linear``. Tensors are welcome.
    tau_s : float, or sequence of float or array, shape (neuron,)
        Membrane time constants in seconds: one for all hidden layers, or an entry for each.
    dt_s : float
        Time step in seconds.
    readout_tau_s : float or array, shape (neuron,), optional
        Time constant in seconds of leaky integrators at the end, to which the last weights lead; without it all
        layers fire.
    bias : sequence of float or array, shape (neuron,), optional
        Constant input per step, an entry for each of the weights.
    threshold : float, or sequence of float or array, shape (neuron,)
        One for all hidden layers, or an entry for each.
    reset : {"subtract", "subtract_decayed", "zero"} or sequence of these
        One for all hidden layers, or an entry for each.
    recurrent : sequence of array, shape (neuron, neuron), optional
        Weights within each hidden layer, which act one step late; None for layers that have none.
    delay_steps : sequence of sequence of int, optional
        Delays of the taps in whole steps, an entry for each of the weights; None where spikes act at once.
    decoder : {"sum_of_softmax", "per_step"}, optional
        How classes are read from the readout (`cortexsnn.decoding`).
    metadata : mapping, optional
        What JSON can say.

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If lengths, shapes or values do not fit; the message names the argument or the population.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> network = from_arrays(
    ...     weights=[rng.normal(size=(30, 20)), rng.normal(size=(10, 30)), rng.normal(size=(2, 10))],
    ...     tau_s=[0.02, 0.05],
    ...     readout_tau_s=0.1,
    ...     dt_s=0.001,
    ... )
    >>> [(population.name, population.size) for population in network.populations]
    [('input', 20), ('hidden1', 30), ('hidden2', 10), ('readout', 2)]
    """
    given = list(weights) if isinstance(weights, Iterable) else []
    if not given:
        raise InputError("weights", weights, "a list of weight matrices, at least one")
    matrices = [_weight(matrix, f"weights[{index}]") for index, matrix in enumerate(given)]
    layers = len(matrices) - (readout_tau_s is not None)
    taus = _for_each_layer(tau_s, "tau_s", layers, _is_number)
    thresholds = _for_each_layer(threshold, "threshold", layers, _is_number)
    resets = _for_each_layer(reset, "reset", layers, lambda value: isinstance(value, str))
    biases = [0.0 if entry is None else entry for entry in _listed(bias, "bias", len(matrices), "weights")]
    delays = _listed(delay_steps, "delay_steps", len(matrices), "weights")
    within = _listed(recurrent, "recurrent", layers, "hidden layers")

    populations = [Population.input("input", matrices[0].shape[-1])]
    projections = []
    for index, matrix in enumerate(matrices):
        size = matrix.shape[-2]
        if index < layers:
            name = f"hidden{index + 1}"
            target = Population.lif(
                name, size, tau_s=taus[index], threshold=thresholds[index], bias=biases[index], reset=resets[index]
            )
        else:
            name = "readout"
            target = Population.readout(name, size, tau_s=_plain(readout_tau_s), bias=biases[index])
        steps = (0,) if delays[index] is None else delays[index]
        projections.append(Projection(populations[-1].name, name, matrix, steps))
        if index < layers and within[index] is not None:
            projections.append(Projection(name, name, _weight(within[index], f"recurrent[{index}]"), (1,)))
        populations.append(target)
    return Network(dt_s, tuple(populations), tuple(projections), decoder, dict(metadata or {}))
