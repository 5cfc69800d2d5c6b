"""Tasks whose timescales are known, made from a seed: no files, no network."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

from cortexsnn.datasets.dataset import Dataset
from cortexsnn.datasets.tasks import accumulation, delayed_match, digits, mts_xor, parity
from cortexsnn.datasets.tasks.accumulation import Accumulation
from cortexsnn.datasets.tasks.delayed_match import DelayedMatch
from cortexsnn.datasets.tasks.parity import Parity

__all__ = [
    "LOADERS",
    "Accumulation",
    "DelayedMatch",
    "Parity",
    "accumulation",
    "delayed_match",
    "digits",
    "mts_xor",
    "parity",
]

LOADERS: Mapping[str, Callable[..., Dataset]] = MappingProxyType(
    {
        "mts_xor": mts_xor.load,
        "delayed_match": delayed_match.load,
        "parity": parity.load,
        "accumulation": accumulation.load,
        "digits": digits.load,
    }
)
"""By the name that `cortexsnn.datasets.load` takes."""
