"""A chain of weights and neurons, in the words that PyTorch frameworks share, and the `Network` it makes.

Every neuron that is read obeys, with its potential counted from rest::

    V[t] = alpha V[t-1] + gain (weights and biases + recurrent S[t-1]) - reset + after_spike S[t-1]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from cortexsnn.checks import positive
from cortexsnn.errors import InputError
from cortexsnn.exchange.decay import FloatArray, time_constant
from cortexsnn.network import Network
from cortexsnn.network.arrays import from_arrays

__all__ = ["Affine", "Layer", "Neurons", "network_of"]


@dataclass(frozen=True)
class Affine:
    """Weights and a constant: ``weight @ x + bias``.

    Parameters
    ----------
    where : str
        The layer, for messages (``"layer '0' (Linear)"``).
    weight : array, shape (target, source)
    bias : array, shape (target,)
    """

    where: str
    weight: FloatArray
    bias: FloatArray


@dataclass(frozen=True)
class Neurons:
    """What one layer of neurons does in a step. Values are one for all neurons, or one each.

    Parameters
    ----------
    where : str
        The layer, for messages.
    alpha : float or array
        Decay per step, above 0 and below 1.
    gain : float or array
        By which all that comes in is multiplied.
    threshold : float or array
        Counted from rest.
    reset : {"subtract", "subtract_decayed", "zero"} or None
        None for neurons that never fire, a readout.
    recurrent : array, shape (neuron, neuron), optional
        Weights within the layer, one step late. A number or one for each neuron stands for the diagonal.
    recurrent_bias : float or array
        Constant that comes in with the recurrent input, in every step.
    after_spike : float or array
        What a spike adds to the potential of its neuron in the next step, beyond the reset.
    amplitude : float or array
        Size of a spike where it goes.
    """

    where: str
    alpha: ArrayLike
    gain: ArrayLike = 1.0
    threshold: ArrayLike = 1.0
    reset: str | None = "subtract"
    recurrent: ArrayLike | None = None
    recurrent_bias: ArrayLike = 0.0
    after_spike: ArrayLike = 0.0
    amplitude: ArrayLike = 1.0


Layer = Affine | Neurons


def _for_each(values: ArrayLike, size: int, field: str) -> FloatArray:
    """One value for every neuron, named in the message where they do not fit."""
    array = np.asarray(values, dtype=np.float64)
    try:
        return np.broadcast_to(array, (size,))
    except ValueError:
        raise InputError(f"shape of {field}", array.shape, f"one value, or {size}, one for each neuron") from None


def _within(neurons: Neurons, size: int, gain: FloatArray, amplitude: FloatArray) -> FloatArray | None:
    """Recurrent weights of a layer, with what is left of the reset on the diagonal; None if there is nothing."""
    weight = np.diag(_for_each(neurons.after_spike, size, f"reset of {neurons.where}"))
    if neurons.recurrent is not None:
        recurrent = np.asarray(neurons.recurrent, dtype=np.float64)
        if recurrent.ndim < 2:
            recurrent = np.diag(_for_each(recurrent, size, f"recurrent weights of {neurons.where}"))
        if recurrent.shape != (size, size):
            raise InputError(f"shape of the recurrent weights of {neurons.where}", recurrent.shape, f"({size}, {size})")
        weight = weight + gain[:, np.newaxis] * recurrent * amplitude
    return weight if neurons.recurrent is not None or weight.any() else None


def _after(first: Affine | None, second: Affine) -> Affine:
    """One affine map that does what two do in a row."""
    if first is None:
        return second
    if second.weight.shape[1] != first.weight.shape[0]:
        raise InputError(f"inputs of {second.where}", second.weight.shape[1],
                         f"{first.weight.shape[0]}, as many as come from {first.where}")  # fmt: skip
    return Affine(second.where, second.weight @ first.weight, second.weight @ first.bias + second.bias)


def network_of(layers: Sequence[Layer], *, dt_s: float, decoder: str | None, metadata: dict[str, Any]) -> Network:
    """Put a chain of weights and neurons together.

    Parameters
    ----------
    layers : sequence of Affine or Neurons
        In the order in which they act. Weights in a row are multiplied.
    dt_s : float
        Time step in seconds.
    decoder : {"sum_of_softmax", "per_step"}, optional
    metadata : dict

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If the chain neither begins with weights nor ends with neurons, or shapes do not fit.

    Examples
    --------
    >>> layers = [Affine("layer '0'", np.ones((2, 3)), np.zeros(2)), Neurons("layer '1'", alpha=0.9)]
    >>> network = network_of(layers, dt_s=0.001, decoder=None, metadata={})
    >>> network["hidden1"].alpha(0.001).round(12)
    array([0.9, 0.9])
    """
    dt_s = float(positive("dt_s", dt_s, "a positive number of seconds", "a step of 1 ms is dt_s=0.001"))
    leading: Affine | None = None
    fed = False
    weights, biases, taus, thresholds, resets, within = [], [], [], [], [], []
    readout_tau_s = None
    for layer in layers:
        if readout_tau_s is not None:
            raise InputError("layer after the readout", layer.where, "nothing",
                             "only the last neurons may go without a reset and be read")  # fmt: skip
        if isinstance(layer, Affine):
            leading, fed = _after(leading, layer), True
            continue
        if leading is None:
            raise InputError("first layer", layer.where, "weights such as nn.Linear",
                             "they say how many inputs there are")  # fmt: skip
        size = leading.weight.shape[0]
        gain = _for_each(layer.gain, size, f"gain of {layer.where}")
        amplitude = _for_each(layer.amplitude, size, f"size of the spikes of {layer.where}")
        tau_s = time_constant(_for_each(layer.alpha, size, f"decay of {layer.where}"), dt_s)
        bias = gain * (leading.bias + _for_each(layer.recurrent_bias, size, f"recurrent bias of {layer.where}"))
        weight = gain[:, np.newaxis] * leading.weight
        if layer.reset is None:
            # A readout takes in (1 - alpha) of its input.
            taken_in = -np.expm1(-dt_s / tau_s)
            weight, bias, readout_tau_s = weight / taken_in[:, np.newaxis], bias / taken_in, tau_s
        else:
            taus.append(tau_s)
            thresholds.append(_for_each(layer.threshold, size, f"threshold of {layer.where}"))
            resets.append(layer.reset)
            within.append(_within(layer, size, gain, amplitude))
        weights.append(weight)
        biases.append(bias)
        leading, fed = Affine(layer.where, np.diag(amplitude), np.zeros(size)), False
    if fed or leading is None:
        raise InputError("last layer", leading.where if leading else None, "neurons",
                         "weights alone have no state; end with a layer of neurons")  # fmt: skip
    return from_arrays(
        weights,
        tau_s=taus,
        dt_s=dt_s,
        readout_tau_s=readout_tau_s,
        bias=biases,
        threshold=thresholds,
        reset=resets,
        recurrent=within,
        decoder=decoder,
        metadata=metadata,
    )
