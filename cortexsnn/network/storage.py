"""A network as one safetensors file: arrays as tensors, everything else as JSON in the header."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from cortexsnn.errors import InputError
from cortexsnn.files import existing_file, replacing
from cortexsnn.network.description import Network
from cortexsnn.network.parts import Adaptation, Population, Projection

__all__ = ["SCHEMA", "load", "save"]

SCHEMA = 1
_KEY = "cortexsnn"


def save(network: Network, path: str | Path) -> None:
    """Write a network to one safetensors file.

    Parameters
    ----------
    network : Network
    path : path-like
        Usually ends in ``.safetensors``. Written under a temporary name first, then renamed.

    Raises
    ------
    InputError
        If `path` is a folder.

    Examples
    --------
    >>> import tempfile
    >>> from cortexsnn.network import Network, Population
    >>> path = Path(tempfile.mkdtemp()) / "network.safetensors"
    >>> network = Network(0.01, (Population.input("input", 2), Population.readout("readout", 1, tau_s=0.1)), ())
    >>> save(network, path)
    >>> load(path).fingerprint() == network.fingerprint()
    True
    """
    header = {"schema": SCHEMA, **network.structure(), "metadata": dict(network.metadata)}
    tensors = {name: np.ascontiguousarray(array) for name, array in network.arrays().items()}
    with replacing(path) as temporary:
        save_file(tensors, temporary, metadata={_KEY: json.dumps(header)})


def load(path: str | Path) -> Network:
    """Read a network and check every field of it.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Network

    Raises
    ------
    InputError
        If the file is missing, truncated, of another kind, or describes a network that cannot be simulated.

    Examples
    --------
    >>> load("nowhere.safetensors")
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: network file is 'nowhere.safetensors'; expected an existing file
    """
    checked = existing_file(path, "network file")
    try:
        with safe_open(checked, framework="numpy") as file:
            text = (file.metadata() or {}).get(_KEY)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (SafetensorError, OSError, ValueError, TypeError, KeyError) as error:
        raise InputError("network file", str(checked), "a complete safetensors file", str(error)) from None
    if text is None:
        raise InputError("network file", str(checked), "a file that cortexsnn wrote",
                         f"the header has no entry '{_KEY}'")  # fmt: skip
    try:
        header = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InputError(f"header of {checked}", text, "JSON", str(error)) from None
    return _network_from(header, tensors, checked)


def _field(header: Any, name: str, kind: type | tuple[type, ...], path: Path) -> Any:
    """One field of the header, of the right type."""
    if not isinstance(header, Mapping) or name not in header:
        raise InputError(f"header of {path}", header, f"a field '{name}'")
    value = header[name]
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        names = " or ".join(k.__name__ for k in (kind if isinstance(kind, tuple) else (kind,)))
        raise InputError(f"field '{name}' in the header of {path}", value, names)
    return value


def _network_from(header: Any, tensors: dict[str, NDArray[Any]], path: Path) -> Network:
    schema = _field(header, "schema", int, path)
    if schema != SCHEMA:
        raise InputError(f"schema of {path}", schema, str(SCHEMA), "update cortexsnn, or export the network again")

    def tensor(name: str) -> NDArray[np.float64]:
        if name not in tensors:
            raise InputError(f"tensors of {path}", sorted(tensors), f"one named '{name}'")
        if tensors[name].dtype != np.float64:
            raise InputError(f"tensor '{name}' of {path}", str(tensors[name].dtype), "float64")
        tensors[name].setflags(write=False)
        return tensors[name]

    populations = []
    for entry in _field(header, "populations", list, path):
        name, kind, size = (
            _field(entry, "name", str, path),
            _field(entry, "kind", str, path),
            _field(entry, "size", int, path),
        )
        prefix = f"population.{name}"
        if kind == "lif":
            adaptation = None
            if _field(entry, "adaptive", bool, path):
                adaptation = Adaptation(tensor(f"{prefix}.adaptation_strength"), tensor(f"{prefix}.adaptation_tau_s"))
            populations.append(
                Population(
                    name,
                    "lif",
                    size,
                    tensor(f"{prefix}.tau_s"),
                    tensor(f"{prefix}.threshold"),
                    tensor(f"{prefix}.bias"),
                    _field(entry, "reset", str, path),
                    _field(entry, "refractory_steps", int, path),
                    adaptation,
                )
            )
        elif kind == "readout":
            tau_s, bias = tensor(f"{prefix}.tau_s"), tensor(f"{prefix}.bias")
            populations.append(Population(name, "readout", size, tau_s, bias=bias))
        else:
            populations.append(Population(name, kind, size))
    projections = []
    for entry in _field(header, "projections", list, path):
        source, target = _field(entry, "source", str, path), _field(entry, "target", str, path)
        delays = tuple(_field(entry, "delay_steps", list, path))
        projections.append(Projection(source, target, tensor(f"projection.{source}_to_{target}.weight"), delays))
    dt_s = _field(header, "dt_s", float, path)
    decoder = _field(header, "decoder", (str, type(None)), path)
    return Network(dt_s, tuple(populations), tuple(projections), decoder, _field(header, "metadata", dict, path))
