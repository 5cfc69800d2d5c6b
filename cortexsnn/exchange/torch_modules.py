"""What snnTorch and Norse modules have in common: ordered children, and weights from `torch.nn`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from cortexsnn.errors import InputError
from cortexsnn.exchange.decay import FloatArray
from cortexsnn.exchange.frameworks import framework
from cortexsnn.exchange.layers import Affine

__all__ = ["affine", "leaves", "passes_through", "values", "where"]


def values(tensor: Any) -> FloatArray:
    """A float64 array of a tensor, a parameter or a number.

    Parameters
    ----------
    tensor : torch.Tensor or float

    Returns
    -------
    numpy.ndarray

    Examples
    --------
    >>> values(0.5)
    array(0.5)
    """
    plain = tensor.detach().cpu() if hasattr(tensor, "detach") else tensor
    return np.asarray(plain, dtype=np.float64)


def where(name: str, module: Any) -> str:
    """How messages call a layer.

    Parameters
    ----------
    name : str
        In its parent.
    module : torch.nn.Module

    Returns
    -------
    str

    Examples
    --------
    >>> where("2", 1.0)
    "layer '2' (float)"
    """
    return f"layer '{name}' ({type(module).__name__})"


def leaves(module: Any, containers: tuple[type, ...]) -> Iterator[tuple[str, Any]]:
    """Layers in the order in which they act.

    Parameters
    ----------
    module : torch.nn.Module
        Its children are taken in the order in which they were defined; what its own ``forward`` does is not read.
    containers : tuple of type
        Modules that do nothing but call their children in that order.

    Yields
    ------
    name : str
        With dots where containers stand in containers.
    module : torch.nn.Module

    Raises
    ------
    InputError
        If there are no layers.
    """
    torch = framework("torch", "pip install torch")
    if not isinstance(module, torch.nn.Module) or not next(module.children(), None):
        raise InputError("module", module, "a torch.nn.Module with layers, such as nn.Sequential")
    # named_children leaves out a module that is used a second time.
    for name, child in module.named_modules(remove_duplicate=False):
        if not name or "." in name:
            continue
        if type(child) in containers:
            for inner, leaf in leaves(child, containers):
                yield f"{name}.{inner}", leaf
        else:
            yield name, child


def passes_through(module: Any) -> bool:
    """Whether a layer leaves spikes as they are in a trained network.

    Parameters
    ----------
    module : torch.nn.Module

    Returns
    -------
    bool
    """
    nn = framework("torch", "pip install torch").nn
    return type(module) in (nn.Flatten, nn.Identity, nn.Dropout)


def affine(name: str, module: Any) -> Affine | None:
    """Weights of ``nn.Linear``, or of ``nn.BatchNorm1d`` with its running statistics; None for anything else.

    Parameters
    ----------
    name : str
    module : torch.nn.Module

    Returns
    -------
    Affine or None

    Raises
    ------
    InputError
        If batch normalisation keeps no running statistics.
    """
    nn = framework("torch", "pip install torch").nn
    label = where(name, module)
    if type(module) is nn.Linear:
        weight = values(module.weight)
        return Affine(label, weight, np.zeros(len(weight)) if module.bias is None else values(module.bias))
    if type(module) is nn.BatchNorm1d:
        if module.running_mean is None:
            raise InputError(f"track_running_stats of {label}", False, "True",
                             "statistics of each batch cannot be folded into weights")  # fmt: skip
        scale = 1.0 / np.sqrt(values(module.running_var) + module.eps)
        shift = np.zeros(len(scale))
        if module.affine:
            scale, shift = scale * values(module.weight), values(module.bias)
        return Affine(label, np.diag(scale), shift - scale * values(module.running_mean))
    return None
