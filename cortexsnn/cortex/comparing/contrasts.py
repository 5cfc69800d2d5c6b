"""Two conditions, one question: pair by pair, which rises more, and which is nearer to the cortex."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import combinations
from math import nan
from typing import Any

import numpy as np

from cortexsnn.checks import Values
from cortexsnn.cortex.comparing.areas import SAMPLES
from cortexsnn.cortex.comparing.conditions import left_out
from cortexsnn.cortex.comparing.layout import Part
from cortexsnn.cortex.statistics import Bootstrap, SignFlipTest, holm, paired_comparison, sign_flip_test
from cortexsnn.cortex.statistics.inputs import SIGNIFICANT, joined
from cortexsnn.errors import InputError

__all__ = ["Contrast", "conditions_of", "contrast_part", "contrasts_of"]

Contrast = tuple[str, str]

_UNDEFINED = ("low", "high", "d_z", "d_z_low", "d_z_high", "hedges_g", "rank_biserial", "cliffs_delta")
_OF_TOWARD = ("low", "high", "d_z", "d_z_low", "d_z_high", "rank_biserial")


def conditions_of(networks: Sequence[str], conditions: Mapping[str, str] | None) -> dict[str, str]:
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
    if set(conditions) != set(networks):
        raise InputError("conditions", sorted(conditions), f"one for each network: {', '.join(networks)}")
    return {network: str(conditions[network]) for network in networks}


def _partners(members: Mapping[str, str], pairs: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """Network by its pair label, for every condition."""
    unknown = sorted(set(pairs) - set(members))
    if unknown:
        raise InputError("pairs", unknown, f"labels of networks: {', '.join(members)}")
    partners: dict[str, dict[str, str]] = {condition: {} for condition in members.values()}
    for network, label in pairs.items():
        other = partners[members[network]].setdefault(label, network)
        if other != network:
            raise InputError("pairs", label, "one network of that label in a condition",
                             f"'{other}' and '{network}' are both of condition '{members[network]}'")  # fmt: skip
    return partners


def contrasts_of(members: Mapping[str, str], pairs: Mapping[str, str] | None) -> dict[Contrast, list[tuple[str, str]]]:
    """Pairs of networks of each contrast, a contrast being two conditions.

    Parameters
    ----------
    members : mapping of str to str
        Condition of every network.
    pairs : mapping of str to str, optional
        By the name of the network, what it shares with one network of each other condition.

    Returns
    -------
    dict from (first, second) condition to list of (network, network)
        Empty without pairs.

    Raises
    ------
    InputError
        If a pair is of an unknown network, or two networks of one condition have the same label.

    Examples
    --------
    >>> members = {"t0": "trained", "t1": "trained", "u0": "untrained"}
    >>> contrasts_of(members, {"t0": "0", "t1": "1", "u0": "0"})
    {('trained', 'untrained'): [('t0', 'u0')]}
    """
    partners = _partners(members, pairs or {})
    if not pairs:
        return {}
    return {
        (first, second): [
            (network, partners[second][label])
            for label, network in partners[first].items()
            if label in partners[second]
        ]
        for first, second in combinations(partners, 2)
    }


def _sides(first: Values, second: Values, confidence: float, rng: np.random.Generator) -> dict[str, float]:
    """Interval and effect sizes of the differences within pairs; NaN without any pair."""
    if not first.size:
        return dict.fromkeys(_UNDEFINED, nan) | {"greater": 0}
    found = paired_comparison(first, second, confidence=confidence, rng=rng)
    return {
        "low": found.difference.low,
        "high": found.difference.high,
        "greater": found.greater,
        "d_z": found.d_z,
        "d_z_low": found.d_z_low,
        "d_z_high": found.d_z_high,
        "hedges_g": found.hedges_g,
        "rank_biserial": found.rank_biserial,
        "cliffs_delta": found.cliffs_delta,
    }


def _test(found: SignFlipTest, *notes: str) -> dict[str, object]:
    return {
        "p_value": found.p_value,
        "p_is_exact": found.p_is_exact,
        "p_standard_error": found.p_standard_error,
        "smallest_possible_p": found.smallest_possible_p,
        "note": joined(*notes, found.note),
    }


def _cautions(found: SignFlipTest, sides: Mapping[str, float], contrasts: int) -> tuple[str, str]:
    """Say what there is no effect size of, and that Holm's correction alone keeps p above the level."""
    smallest = found.smallest_possible_p
    still = "no effect size: the differences do not scatter" if found.n > 1 and np.isnan(sides["d_z"]) else ""
    if not smallest <= SIGNIFICANT < contrasts * smallest:
        return still, ""
    least = min(1.0, contrasts * smallest)
    return still, f"n too small: over {contrasts} contrasts the smallest possible p by Holm is {least:.3f}"


def _toward(
    first: Values,
    second: Values,
    cortex: Bootstrap | None,
    few: str,
    contrasts: int,
    confidence: float,
    rng: np.random.Generator,
) -> dict[str, object]:
    """How much nearer to the slope of the cortex the first of each pair is than the second."""
    if cortex is None:
        none = sign_flip_test([], rng=rng)
        empty = dict.fromkeys(_OF_TOWARD, nan) | {"gain": nan, "nearer": 0, "holds": nan}
        return empty | _test(none) | {"note": "the cortex has no slope"}
    far, near = abs(second - cortex.estimate), abs(first - cortex.estimate)
    flips = sign_flip_test(far - near, rng=rng)
    sides = _sides(far, near, confidence, rng)
    drawn = cortex.replicates[np.isfinite(cortex.replicates)]
    gains = (abs(second[:, None] - drawn) - abs(first[:, None] - drawn)).mean(axis=0) if first.size else np.empty(0)
    same = float((np.sign(gains) == np.sign(flips.mean)).mean()) if gains.size else nan
    return (
        {key: sides[key] for key in _OF_TOWARD}
        | {"gain": flips.mean, "nearer": sides["greater"], "holds": same}
        | _test(flips, few, *_cautions(flips, sides, contrasts))
    )


def _holm(contrasts: Sequence[Contrast], p_values: Sequence[float]) -> Values:
    named = {f"{index}": float(p) for index, p in enumerate(p_values)}
    return np.array(list(holm(named).values()), dtype=np.float64).reshape(len(contrasts))


def contrast_part(
    contrasts: Mapping[Contrast, Sequence[tuple[str, str]]],
    slopes: Mapping[str, float],
    cortex: Mapping[str, Bootstrap | None],
    *,
    confidence: float,
    rng: np.random.Generator,
) -> Part:
    """Variables on contrast, and on contrast and cortex.

    Parameters
    ----------
    contrasts : mapping from contrast to pairs of networks
        Of `contrasts_of`.
    slopes : mapping of str to float
        Of the networks that have enough layers.
    cortex : mapping of str to Bootstrap
        Slope of each sample of the cortex.
    confidence : float
    rng : numpy.random.Generator

    Returns
    -------
    dict from variable to array
    """
    rows: list[dict[str, object]] = []
    toward: list[list[dict[str, object]]] = []
    for pairs in contrasts.values():
        both = [(slopes[a], slopes[b]) for a, b in pairs if a in slopes and b in slopes]
        first, second = np.array(both, dtype=np.float64).reshape(-1, 2).T
        few = left_out(len(both), len(pairs), "pairs")
        flips = sign_flip_test(first - second, rng=rng)
        sides = _sides(first, second, confidence, rng)
        numbers = {"pairs": flips.n, "slope_difference": flips.mean}
        rows.append(numbers | sides | _test(flips, few, *_cautions(flips, sides, len(contrasts))))
        toward.append(
            [_toward(first, second, cortex[sample], few, len(contrasts), confidence, rng) for sample in SAMPLES]
        )
    names = list(contrasts)
    values: Part = {}
    kinds: dict[str, Any] = {
        "pairs": np.int64,
        "greater": np.int64,
        "nearer": np.int64,
        "p_is_exact": np.bool_,
        "note": np.str_,
    }
    for key in (*_UNDEFINED, "greater", "pairs", "slope_difference", *_test(sign_flip_test([], rng=rng))):
        values[f"contrast_{key}"] = np.array([row[key] for row in rows], dtype=kinds.get(key, np.float64))
    for key in (*_OF_TOWARD, "gain", "nearer", "holds", *_test(sign_flip_test([], rng=rng))):
        flat = [one[key] for row in toward for one in row]
        values[f"toward_{key}"] = np.array(flat, dtype=kinds.get(key, np.float64)).reshape(len(names), len(SAMPLES))
    values["contrast_p_holm"] = _holm(names, values["contrast_p_value"])
    corrected = [_holm(names, values["toward_p_value"][:, sample]) for sample in range(len(SAMPLES))]
    values["toward_p_holm"] = np.stack(corrected, axis=1)
    return values
