"""snnTorch: which of its neurons are those of a `Network`, and which are not.

With U the potential, as in snnTorch 1.0::

    Leaky     U[t] = beta U[t-1] + I[t] - threshold S[t-1]        reset_mechanism "subtract"
              U[t] = beta U[t-1] (1 - S[t-1]) + I[t]              reset_mechanism "zero"
    RLeaky    I[t] + recurrent(S[t-1]) in place of I[t]
    Lapicque  (1 - time_step / (R C)) in place of beta, I[t] time_step / C in place of I[t]
    Synaptic  its current decays by alpha; with alpha = 0 it is Leaky

and S[t] = 1 where U[t] > threshold. With "zero", all but Leaky also throw away the input of the step after a spike,
unless ``reset_delay=False``, which empties the neuron at once.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from cortexsnn.errors import InputError
from cortexsnn.exchange.decay import FloatArray, require_leak, shown
from cortexsnn.exchange.frameworks import framework
from cortexsnn.exchange.layers import Layer, Neurons, network_of
from cortexsnn.exchange.torch_modules import affine, leaves, passes_through, values, where
from cortexsnn.network import Network

__all__ = ["from_snntorch"]

_STATE_FUNCTIONS = {"subtract": "_base_sub", "zero": "_base_zero", "none": "_base_int"}


def from_snntorch(module: Any, *, dt_s: float, decoder: str | None = None) -> Network:
    """The network that a trained snnTorch module is.

    Parameters
    ----------
    module : torch.nn.Module
        ``nn.Linear`` and ``snn.Leaky``, ``snn.RLeaky``, ``snn.Lapicque``, in an ``nn.Sequential``, or as children in
        the order in which they act (``forward`` is not read). ``nn.BatchNorm1d`` is folded with its running
        statistics. A last layer with ``reset_mechanism="none"`` becomes the readout: its potential is the same.
    dt_s : float
        How long a time step lasts, in seconds: tau = -dt / log(beta). snnTorch itself does not know.
    decoder : {"sum_of_softmax", "per_step"}, optional
        How classes are read from the readout (`cortexsnn.decoding`).

    Returns
    -------
    Network
        Layers of neurons are called hidden1, hidden2, ..., and readout. A trial begins at rest.

    Raises
    ------
    InputError
        If a layer does what a `Network` cannot say, or snnTorch is not installed; the message names layer and
        parameter.

    Examples
    --------
    >>> import torch, snntorch  # doctest: +SKIP
    >>> module = torch.nn.Sequential(
    ...     torch.nn.Linear(20, 30), snntorch.Leaky(beta=0.9),
    ...     torch.nn.Linear(30, 2), snntorch.Leaky(beta=0.95, reset_mechanism="none"),
    ... )  # doctest: +SKIP
    >>> from_snntorch(module, dt_s=0.001, decoder="per_step")["hidden1"].tau_s[0].round(4)  # doctest: +SKIP
    0.0095
    """
    snn = framework("snntorch", "pip install snntorch")
    nn = framework("torch", "pip install torch").nn
    layers: list[Layer] = []
    seen: set[int] = set()
    for name, leaf in leaves(module, (nn.Sequential,)):
        if id(leaf) in seen and getattr(leaf, "init_hidden", False):
            raise InputError("module", where(name, leaf), "each layer of neurons once",
                             "with init_hidden=True two places share one potential")  # fmt: skip
        seen.add(id(leaf))
        if not passes_through(leaf):
            layers.append(affine(name, leaf) or _neurons(where(name, leaf), leaf, snn))
    return network_of(layers, dt_s=dt_s, decoder=decoder, metadata={"source": f"snntorch {snn.__version__}"})


def _neurons(label: str, module: Any, snn: Any) -> Neurons:
    """One layer of neurons, or a refusal."""
    if type(module) not in (snn.Leaky, snn.RLeaky, snn.Synaptic, snn.Lapicque):
        raise InputError("module", label, "nn.Linear, nn.BatchNorm1d, nn.Flatten, or snn.Leaky, RLeaky, Lapicque",
                         "convolutions can be written as nn.Linear; other neurons have no counterpart")  # fmt: skip
    _require_plain_spikes(label, module)
    if type(module) is snn.Synaptic and np.any(values(module.alpha) > 0):
        raise InputError(f"alpha of {label}", shown(values(module.alpha)), "0",
                         "a current that decays by itself is a second filter; train with snn.Leaky")  # fmt: skip
    alpha, gain = _membrane(label, module, snn)
    amplitude = values(module.graded_spikes_factor)
    recurrent, recurrent_bias = _recurrent(label, module) if type(module) is snn.RLeaky else (None, 0.0)
    reset = _reset(label, module, snn)
    if reset is None and recurrent is not None:
        raise InputError(f"reset_mechanism of {label}", "none", "'subtract' or 'zero'",
                         "without reset its potential is read, but it feeds its spikes back")  # fmt: skip
    threshold = values(module.threshold)
    if reset is not None and not np.all(threshold > 0):
        raise InputError(f"threshold of {label}", shown(threshold), "values above 0", "the neuron would fire at rest")
    return Neurons(label, alpha, gain, threshold, reset, recurrent, recurrent_bias, amplitude=amplitude)


def _require_plain_spikes(label: str, module: Any) -> None:
    """Refuse what changes spikes or potentials beyond a threshold that is strictly exceeded."""
    torch = framework("torch", "pip install torch")
    if module.inhibition:
        raise InputError(f"inhibition of {label}", module.inhibition, "False",
                         "one winner in each step is no property of single neurons")  # fmt: skip
    if module.state_quant:
        raise InputError(f"state_quant of {label}", module.state_quant, "False", "potentials are not quantised")
    with torch.no_grad():
        fired = values(module.spike_grad(torch.tensor([-1.0, -1e-6, 0.0, 1e-6, 1.0])))
    if not np.array_equal(fired, [0, 0, 0, 1, 1]):
        raise InputError(f"spike_grad of {label}", fired.tolist(), "[0, 0, 0, 1, 1] for -1, -1e-6, 0, 1e-6 and 1",
                         "a neuron fires when its potential is above threshold, not at it")  # fmt: skip


def _membrane(label: str, module: Any, snn: Any) -> tuple[FloatArray, FloatArray]:
    """Decay per step, and by what input is multiplied."""
    if type(module) is snn.Lapicque:
        # Not beta: snnTorch takes an Euler step of the circuit.
        per_step = values(module.time_step / (module.R * module.C))
        alpha = require_leak(f"1 - time_step / (R C) of {label}", 1.0 - per_step, 1.0 - per_step)
        return alpha, values(module.time_step / module.C)
    beta = values(module.beta)
    return require_leak(f"beta of {label}", np.clip(beta, 0.0, 1.0), beta), np.array(1.0)


def _recurrent(label: str, module: Any) -> tuple[FloatArray, FloatArray]:
    """Weights within a layer and the constant that comes with them."""
    nn = framework("torch", "pip install torch").nn
    if not module.all_to_all:
        return values(module.recurrent.V), np.array(0.0)
    if type(module.recurrent) is not nn.Linear:
        raise InputError(f"recurrent connections of {label}", module.recurrent, "nn.Linear, or one for each neuron",
                         "give linear_features; a convolution can be written as nn.Linear")  # fmt: skip
    bias = module.recurrent.bias
    return values(module.recurrent.weight), np.array(0.0) if bias is None else values(bias)


def _reset(label: str, module: Any, snn: Any) -> str | None:
    """What a spike does, in the words of a `Network`; None where it does nothing."""
    mechanism = module.reset_mechanism
    at_once = not getattr(module, "reset_delay", True)
    # Setting reset_mechanism later changes the name but not the function that a step calls.
    called = getattr(module.state_function, "__name__", "")
    if called != _STATE_FUNCTIONS[mechanism]:
        raise InputError(f"reset_mechanism of {label}", mechanism, f"what the layer was made with: {called}",
                         "make the layer anew with this reset_mechanism")  # fmt: skip
    if mechanism == "none":
        return None
    if mechanism == "subtract":
        if at_once:
            raise InputError(f"reset_delay of {label}", False, "True with reset_mechanism='subtract'",
                             "a potential above twice the threshold is treated in a way of its own")  # fmt: skip
        return "subtract"
    if type(module) is not snn.Leaky and not at_once:
        raise InputError(f"reset_mechanism of {label}", "zero", "'subtract', or reset_delay=False",
                         "as it is, the input of the step after a spike is lost too")  # fmt: skip
    return "zero"
