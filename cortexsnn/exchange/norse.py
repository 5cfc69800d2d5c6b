"""Norse: which of its cells are those of a `Network`, and which are not.

Norse takes Euler steps. With k = dt tau_mem_inv, as in Norse 1.1, the potential above rest u = v - v_leak obeys::

    LIFBoxCell    u[t] = (1 - k) u[t-1] + k I[t]      fires where v > v_th, then v = v_reset, or v -= v_th
    LIFCell       I[t] replaced by a current that decays by 1 - dt tau_syn_inv; with tau_syn = dt it is LIFBoxCell
    LIFRecurrentCell    LIFCell with weights of its own, and recurrent(S[t-1]) added to the current
    LIBoxCell     the same potential, never fires; LICell is to it as LIFCell is to LIFBoxCell

So alpha = 1 - k, not exp(-k), and k goes into the weights. A reset to another value than rest leaves
alpha (v_reset - v_leak) for the next step, which is a connection of each neuron onto itself, one step late.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cortexsnn.errors import InputError
from cortexsnn.exchange.decay import FloatArray, require_leak, shown
from cortexsnn.exchange.frameworks import framework
from cortexsnn.exchange.layers import Affine, Layer, Neurons, network_of
from cortexsnn.exchange.torch_modules import affine, leaves, passes_through, values, where
from cortexsnn.network import Network

__all__ = ["from_norse"]

# Time constants are often float32, so dt / tau_syn can miss 1 by that much.
_MOST_CURRENT_LEFT = 1e-6


def from_norse(module: Any, *, dt_s: float, decoder: str | None = None) -> Network:
    """The network that a trained Norse module is.

    Parameters
    ----------
    module : torch.nn.Module
        ``nn.Linear`` and ``LIFBoxCell``, ``LIBoxCell``, or LIF and LI with tau_syn = dt, in a ``SequentialState``, or
        as children in the order in which they act (``forward`` is not read). ``Lift`` is looked through.
    dt_s : float
        How long a time step lasts, in seconds. The decay is that of the cells, 1 - dt tau_mem_inv with their own
        ``dt``; this says what it amounts to in seconds.
    decoder : {"sum_of_softmax", "per_step"}, optional
        How classes are read from the readout (`cortexsnn.decoding`).

    Returns
    -------
    Network
        Layers of neurons are called hidden1, hidden2, ..., and readout. Potentials are counted from ``v_leak``.

    Raises
    ------
    InputError
        If a layer does what a `Network` cannot say, or Norse is not installed; the message names layer and parameter.

    Examples
    --------
    >>> import torch, norse.torch as norse  # doctest: +SKIP
    >>> module = norse.SequentialState(
    ...     torch.nn.Linear(20, 30), norse.LIFBoxCell(), torch.nn.Linear(30, 2), norse.LIBoxCell()
    ... )  # doctest: +SKIP
    >>> from_norse(module, dt_s=0.001)["hidden1"].tau_s[0].round(5)  # doctest: +SKIP
    0.00949
    """
    norse = framework("norse.torch", "pip install norse")
    nn = framework("torch", "pip install torch").nn
    layers: list[Layer] = []
    for name, leaf in leaves(module, (nn.Sequential, norse.SequentialState)):
        layers.extend(_layers(name, leaf, norse))
    return network_of(layers, dt_s=dt_s, decoder=decoder, metadata={"source": "norse"})


def _layers(name: str, module: Any, norse: Any) -> list[Layer]:
    """Weights and neurons of one module, or a refusal."""
    if type(module) is norse.Lift:
        return _layers(name, module.lifted_module, norse)
    if passes_through(module):
        return []
    weights = affine(name, module)
    if weights is not None:
        return [weights]
    label = where(name, module)
    if type(module) in (norse.LIF, norse.LIFCell, norse.LIFBoxCell):
        return [_spiking(label, module, None)]
    if type(module) in (norse.LIFRecurrent, norse.LIFRecurrentCell):
        weight = values(module.input_weights)
        return [
            Affine(label, weight, np.zeros(len(weight))),
            _spiking(label, module, values(module.recurrent_weights)),
        ]
    if type(module) in (norse.LI, norse.LICell, norse.LIBoxCell):
        return [_readout(label, module)]
    if type(module) in (norse.IAF, norse.IAFCell):
        raise InputError("module", label, "neurons that leak",
                         "without leak there is no finite time constant; a small tau_mem_inv comes near")  # fmt: skip
    raise InputError("module", label, "nn.Linear, nn.BatchNorm1d, nn.Flatten, or LIF, LI and their cells of norse",
                     "convolutions can be written as nn.Linear; other neurons have no counterpart")  # fmt: skip


def _euler(label: str, module: Any) -> tuple[FloatArray, FloatArray]:
    """Decay per step, and by what input is multiplied."""
    torch = framework("torch", "pip install torch")
    parameters = module.p
    if hasattr(parameters, "tau_syn_inv"):
        left = 1.0 - values(module.dt * torch.as_tensor(parameters.tau_syn_inv))
        if np.any(np.abs(left) > _MOST_CURRENT_LEFT):
            given = shown(values(parameters.tau_syn_inv))
            raise InputError(f"tau_syn_inv of {label}", given, f"{1 / module.dt:g}, which is 1 / dt",
                             "a current that decays by itself is a second filter; use the Box cells")  # fmt: skip
    # In torch, so that it is rounded as Norse rounds it.
    step = values(module.dt * torch.as_tensor(parameters.tau_mem_inv))
    return require_leak(f"1 - dt tau_mem_inv of {label}", 1.0 - step, 1.0 - step), step


def _spiking(label: str, module: Any, recurrent: FloatArray | None) -> Neurons:
    """Neurons that fire."""
    resets = framework("norse.torch.functional.reset", "pip install norse")
    alpha, step = _euler(label, module)
    rest, above, after = (values(getattr(module.p, name)) for name in ("v_leak", "v_th", "v_reset"))
    if not np.all(above > rest):
        raise InputError(
            f"v_th of {label}", shown(above), f"above v_leak = {shown(rest)}", "the neuron would fire at rest"
        )
    method = getattr(module.p, "reset_method", resets.reset_value)
    if method is resets.reset_value:
        reset, left = "zero", alpha * (after - rest)
    elif method is resets.reset_subtract:
        # It takes v_th away, of which v_leak is more than from threshold to rest.
        reset, left = "subtract_decayed", -alpha * rest
    else:
        raise InputError(f"reset_method of {label}", method, "reset_value or reset_subtract of norse")
    return Neurons(label, alpha, step, above - rest, reset, recurrent, after_spike=left)


def _readout(label: str, module: Any) -> Neurons:
    """Leaky integrators."""
    alpha, step = _euler(label, module)
    if np.any(values(module.p.v_leak) != 0):
        raise InputError(f"v_leak of {label}", shown(values(module.p.v_leak)), "0",
                         "a readout rests at 0; add what it rests at to what you decode")  # fmt: skip
    return Neurons(label, alpha, step, reset=None)
