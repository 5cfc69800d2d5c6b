"""Whether timescales were measured as in a study, and what is not known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn.cortex.statistics.inputs import several
from cortexsnn.cortex.tables import protocol

__all__ = ["ProtocolDifference", "protocol_difference"]

_PER = {"layer": "one fit to the mean curve of a layer", "neuron": "one fit for each neuron"}
_UNCHANGED = "none known"


@dataclass(frozen=True)
class ProtocolDifference:
    """How far timescales were measured as in a study.

    Parameters
    ----------
    verdict : {"matched", "differs", "unknown"}
        Of what changes a timescale: kind of activity, estimator, settings, per layer or neuron, length of trials.
        "matched" means as far as the estimators of this package go; `differs` says what they do not do.
    same : tuple of str
        What is as in the study.
    differs : tuple of str
        What is not. Numbers of trials and neurons stand here too; they change the error, and not the verdict.
    unknown : tuple of str
        What is not known of the study, or of the timescales.
    """

    verdict: str
    same: tuple[str, ...]
    differs: tuple[str, ...]
    unknown: tuple[str, ...]

    def in_words(self) -> str:
        """All of it in one line.

        Returns
        -------
        str

        Examples
        --------
        >>> ProtocolDifference("matched", ("bins of 50 ms",), (), ("number of trials",)).in_words()
        'as in the study: bins of 50 ms; not known: number of trials'
        """
        kinds = (("as in the study", self.same), ("differs", self.differs), ("not known", self.unknown))
        return "; ".join(f"{kind}: {', '.join(items)}" for kind, items in kinds if items)


def _listed(values: Any) -> str:
    return " to ".join(f"{value:.10g}" for value in dict.fromkeys((min(values), max(values))))


def _settings(how: Mapping[str, Any], attributes: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Settings of the estimator that are the same, and those that differ."""
    same, differs = [], []
    for name, wanted in how.get("settings", {}).items():
        found = attributes.get(name)
        words = f"{wanted:g}" if isinstance(wanted, int | float) else str(wanted)
        if isinstance(wanted, int | float) and isinstance(found, int | float | np.number):
            equal = bool(np.isclose(float(found), float(wanted), rtol=1e-6))
        else:
            equal = found == wanted
        if equal:
            same.append(f"{name} {words}")
        else:
            shown = "not set" if found is None else f"{found:g}" if isinstance(found, int | float) else str(found)
            differs.append(f"{name} {shown} (study: {words})")
    return same, differs


def _window(how: Mapping[str, Any], attributes: Mapping[str, Any]) -> tuple[list[str], list[str], list[str]]:
    """Length of trials: same, differs, unknown."""
    lengths, found = how.get("trial_ms"), attributes.get("window_ms")
    if not lengths:
        return [], [], ["length of trials of the study"]
    if found is None:
        return [], [], ["length of trials of the network"]
    # A window is made of whole bins: at least as many as the shortest trials of the study hold.
    bin_ms = float(attributes.get("bin_ms", 0.0))
    shortest = np.floor(min(lengths) / bin_ms + 1e-9) * bin_ms if bin_ms > 0 else min(lengths)
    if shortest - 1e-6 <= float(found) <= max(lengths) + 1e-6:
        return [f"trials of {float(found):.10g} ms (study: {_listed(lengths)} ms)"], [], []
    return [], [f"trials of {float(found):.10g} ms (study: {_listed(lengths)} ms)"], []


def _neurons(timescales: xr.Dataset) -> list[int]:
    """Neurons of each layer; empty if not said."""
    if {"neurons_used", "neurons_excluded"} <= set(map(str, timescales.variables)):
        return (timescales["neurons_used"] + timescales["neurons_excluded"]).to_numpy().astype(int).tolist()
    if timescales.attrs.get("per") == "neuron" and "layer" in timescales.coords:
        return np.unique(timescales["layer"].to_numpy().astype(str), return_counts=True)[1].tolist()
    return []


def _counts(how: Mapping[str, Any], measured: xr.Dataset, table: xr.Dataset) -> tuple[list[str], list[str], list[str]]:
    """Numbers of trials and neurons: same, differs, unknown."""
    same: list[str] = []
    differs: list[str] = []
    unknown: list[str] = []
    trials, found = how.get("trials"), measured.attrs.get("trials")
    if trials is None:
        unknown.append("number of trials of the study" + ("" if found is None else f" (here {int(found)})"))
    elif found is not None:
        (same if int(found) == int(trials) else differs).append(
            f"{several(int(found), 'trial')} (study: {int(trials)})"
        )
    neurons = _neurons(measured)
    if "n" not in table.variables or table.attrs.get("modality") != "spikes":
        unknown.append("number of neurons of the study" + (f" (here {_listed(neurons)})" if neurons else ""))
    elif neurons:
        n = table["n"].to_numpy()
        inside = n.min() <= min(neurons) and max(neurons) <= n.max()
        what = "neuron" if max(neurons) == 1 else "neurons"
        (same if inside else differs).append(f"{_listed(neurons)} {what} of a layer (study: {_listed(n)} of an area)")
    return same, differs, unknown


def _driven(measured: xr.Dataset, table: xr.Dataset) -> list[str]:
    """That a stimulus of the task drove the activity, whose structure is in the timescales too."""
    if measured.attrs.get("input") != "test":
        return []
    said = str(table.attrs.get("measured", "")).rstrip(".") or "not known to be of such trials"
    return [f"driven by test trials (the study: {said})"]


def _is_of_signals(measured: xr.Dataset) -> bool:
    return "rate_hz" in measured.variables and bool(np.isnan(measured["rate_hz"].to_numpy()).all())


def protocol_difference(measured: xr.Dataset, table: xr.Dataset) -> ProtocolDifference:
    """Say how far timescales were measured as those of a table.

    Parameters
    ----------
    measured : xarray.Dataset
        Of `cortexsnn.timescales.estimate` or `measure_like`; its attributes are its protocol.
    table : xarray.Dataset
        Of `cortexsnn.cortex.load` or `cortexsnn.cortex.register`, of one measure.

    Returns
    -------
    ProtocolDifference

    Raises
    ------
    InputError
        If the table has several measures.

    Examples
    --------
    >>> from cortexsnn.cortex import load
    >>> attributes = {"estimator": "pearson_trials", "bin_ms": 10.0, "per": "layer", "window_ms": 3000.0}
    >>> found = protocol_difference(xr.Dataset(attrs=attributes), load("murray2014"))
    >>> found.verdict, found.differs
    ('differs', ('bin_ms 10 (study: 50)', 'trials of 3000 ms (study: 500 to 1000 ms)'))
    """
    how = protocol(table)
    known = measured.attrs
    if not how:
        return ProtocolDifference("unknown", (), (), ("how the study measured",))
    if how.get("estimator") is None:
        words = f"no estimator of this package does what the study did ({how.get('difference', '')})"
        return ProtocolDifference("differs", (), (words,), ())
    if "estimator" not in known:
        return ProtocolDifference("unknown", (), (), ("how the network was measured: its timescales do not say",))
    same: list[str] = []
    differs: list[str] = []
    unknown: list[str] = []
    modality = str(table.attrs.get("modality", "unknown"))
    if modality in ("field", "fmri", "model") or (modality == "spikes" and _is_of_signals(measured)):
        differs.append(f"{'signals' if _is_of_signals(measured) else 'spikes'} (study: {modality})")
    differs += _driven(measured, table)
    if known["estimator"] == how["estimator"]:
        same.append(f"estimator {how['estimator']}")
        equal, other = _settings(how, known)
        same += equal
        differs += other
    else:
        differs.append(f"estimator {known['estimator']} (study: {how['estimator']})")
    per, wanted = str(known.get("per", "layer")), str(how.get("per", "layer"))
    if per == wanted:
        same.append(_PER[per])
    else:
        differs.append(f"{_PER.get(per, per)} (study: {_PER[wanted]})")
    lengths = _window(how, known)
    same, differs, unknown = same + lengths[0], differs + lengths[1], unknown + lengths[2]
    verdict = "differs" if differs else "matched"
    counts = _counts(how, measured, table)
    said = str(how.get("difference", ""))
    beyond = (
        [f"the estimator does not do all that was done: {said}"] if said and not said.startswith(_UNCHANGED) else []
    )
    if how.get("inclusion"):
        unknown.append(f"whether neurons were chosen alike (study: {how['inclusion']})")
    return ProtocolDifference(
        verdict,
        tuple(same + counts[0]),
        tuple(differs + counts[1] + beyond),
        tuple(unknown + counts[2]),
    )
