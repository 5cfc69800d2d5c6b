"""Which networks belong together: to one condition, and to one pair of networks of two conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeVar

from cortexsnn.cortex.statistics.inputs import several
from cortexsnn.errors import InputError

__all__ = ["Contrast", "Pairing", "by_name", "conditions_of", "contrasts_of"]

Contrast = tuple[str, str]
_Value = TypeVar("_Value")


@dataclass(frozen=True)
class Pairing:
    """Networks of two conditions, pair by pair.

    Parameters
    ----------
    pairs : tuple of (str, str)
        A network of the first condition and one of the second.
    alone : tuple of str
        Networks of either condition that have no partner in the other.
    """

    pairs: tuple[tuple[str, str], ...]
    alone: tuple[str, ...]

    @property
    def note(self) -> str:
        """Say how many networks have no partner, and which; empty if all have one."""
        if not self.alone:
            return ""
        return f"{several(len(self.alone), 'network')} without a partner left out: {', '.join(self.alone)}"


def by_name(field: str, given: Mapping[Any, _Value]) -> dict[str, _Value]:
    """What is given by the name of a network, with names as text: numbers are names too.

    Parameters
    ----------
    field : str
        What is given, for messages.
    given : mapping

    Returns
    -------
    dict

    Raises
    ------
    InputError
        If two names are the same text.

    Examples
    --------
    >>> by_name("timescales", {0: "a", 1: "b"})
    {'0': 'a', '1': 'b'}
    """
    named = {str(name): value for name, value in given.items()}
    if len(named) < len(given):
        raise InputError(f"names in {field}", list(given), "different names", "names are compared as text")
    return named


def conditions_of(networks: Sequence[str], conditions: Mapping[Any, Any] | None) -> dict[str, str]:
    """Condition of every network; without any given, each network stands for itself.

    Parameters
    ----------
    networks : sequence of str
    conditions : mapping of str to str, optional

    Returns
    -------
    dict from network to condition

    Raises
    ------
    InputError
        If they are not of these networks.

    Examples
    --------
    >>> conditions_of(["a", "b"], None)
    {'a': 'a', 'b': 'b'}
    """
    if conditions is None:
        return {network: network for network in networks}
    named = by_name("conditions", conditions)
    if set(named) != set(networks):
        raise InputError("conditions", sorted(named), f"one for each network: {', '.join(networks)}")
    return {network: str(named[network]) for network in networks}


def _partners(members: Mapping[str, str], pairs: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    """Network by its pair label, for every condition."""
    unknown = sorted(set(pairs) - set(members))
    if unknown:
        raise InputError("pairs", unknown, f"labels of networks: {', '.join(members)}")
    partners: dict[str, dict[str, str]] = {condition: {} for condition in members.values()}
    for network, label in pairs.items():
        other = partners[members[network]].setdefault(str(label), network)
        if other != network:
            raise InputError("pairs", label, "one network of that label in a condition",
                             f"'{other}' and '{network}' are both of condition '{members[network]}'")  # fmt: skip
    return partners


def contrasts_of(members: Mapping[str, str], pairs: Mapping[Any, Any] | None) -> dict[Contrast, Pairing]:
    """Pairs of networks of each contrast, a contrast being two conditions.

    Parameters
    ----------
    members : mapping of str to str
        Condition of every network.
    pairs : mapping of str to str, optional
        By the name of the network, what it shares with one network of each other condition.

    Returns
    -------
    dict from (first, second) condition to Pairing
        Empty without pairs.

    Raises
    ------
    InputError
        If a pair is of an unknown network, or two networks of one condition have the same label.

    Examples
    --------
    >>> members = {"t0": "trained", "t1": "trained", "u0": "untrained"}
    >>> found = contrasts_of(members, {"t0": "0", "t1": "1", "u0": 0})
    >>> found["trained", "untrained"]
    Pairing(pairs=(('t0', 'u0'),), alone=('t1',))
    """
    if not pairs:
        return {}
    partners = _partners(members, by_name("pairs", pairs))
    found = {}
    for first, second in combinations(partners, 2):
        left, right = partners[first], partners[second]
        both = tuple((network, right[label]) for label, network in left.items() if label in right)
        paired = {network for pair in both for network in pair}
        of_both = [network for network, condition in members.items() if condition in (first, second)]
        found[first, second] = Pairing(both, tuple(network for network in of_both if network not in paired))
    return found
