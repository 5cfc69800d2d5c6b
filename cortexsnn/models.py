"""Trained networks that come with the package: load one by its name, and read what was measured on it.

They are those of the demo and of the documentation, and lie in `models/`: a folder for each, with the network and a
card. `analyses/measure_model.py` put them there.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from cortexsnn.checks import choice
from cortexsnn.errors import InputError
from cortexsnn.network import Network

__all__ = ["card", "load", "names", "path"]

# In an installed package, and in a copy of the repository.
_PLACES = (Path(__file__).parent / "trained", Path(__file__).parents[1] / "models")


def _folders() -> dict[str, Path]:
    place = next((one for one in _PLACES if one.is_dir()), None)
    if place is None:
        raise InputError("folder of the trained networks", str(_PLACES[0]), "one that is there", "install again")
    return {found.parent.name: found.parent for found in sorted(place.glob("*/card.json"))}


def names() -> tuple[str, ...]:
    """Of all networks that come with the package.

    Returns
    -------
    tuple of str

    Examples
    --------
    >>> "mts_xor_hierarchical_seed0" in names()
    True
    """
    return tuple(_folders())


def path(name: str) -> Path:
    """Where the file of a network is, for commands that take one.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    InputError
        If there is no such network; the message lists them.

    Examples
    --------
    >>> path("mts_xor_hierarchical_seed0").name
    'network.safetensors'
    """
    folders = _folders()
    choice("name of the trained network", name, folders)
    return folders[name] / "network.safetensors"


def load(name: str) -> Network:
    """Load a trained network.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    Network
        Its ``metadata`` say how it was trained, and on what.

    Raises
    ------
    InputError
        If there is no such network, or its file is not the one of which its card tells.

    Examples
    --------
    >>> network = load("mts_xor_hierarchical_seed0")
    >>> [round(1000 * population.tau_s[0]) for population in network.hidden]
    [50, 217, 383, 550]
    """
    file = path(name)
    expected, found = card(name)["sha256"], hashlib.sha256(file.read_bytes()).hexdigest()
    if found != expected:
        raise InputError(f"sha256 of {file}", found, f"{expected}, as its card says", "it was changed: install again")
    return Network.load(file)


def card(name: str) -> dict[str, Any]:
    """What was measured on a trained network.

    Parameters
    ----------
    name : str
        One of `names`.

    Returns
    -------
    dict
        ``dataset``; for each simulator of ``test`` its ``trials``, ``accuracy`` and ``spikes``, and how many of them
        the reference has not (``differing_spikes``); for each of the ``layers`` ``rate_hz`` in the test trials and
        ``timescale_ms`` with its interval, None where there is none and "open" where it has no end; by which protocol
        (``timescales``), and with which versions (``measured_with``).

    Raises
    ------
    InputError
        If there is no such network; the message lists them.

    Examples
    --------
    >>> measured = card("mts_xor_hierarchical_seed0")
    >>> measured["test"]["brian2 cpp_standalone"]["differing_spikes"]
    0
    """
    described: dict[str, Any] = json.loads((path(name).parent / "card.json").read_text(encoding="utf-8"))
    return described
