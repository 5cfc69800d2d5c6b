"""How the results came about, in words for a paper: told by what the results say of themselves, nothing assumed."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import xarray as xr

from cortexsnn import cortex
from cortexsnn.network import Network
from cortexsnn.report.references import Reference, from_bibtex, from_doi, unique
from cortexsnn.report.tasks import task_of
from cortexsnn.runs import Run
from cortexsnn.summary import counted

__all__ = ["ESTIMATORS", "MethodsText", "in_words", "methods", "settings_in_words"]

_RESETS = {
    "subtract": "a reset that subtracts the threshold",
    "subtract_decayed": "a reset that subtracts the threshold before the decay",
    "zero": "a reset to zero",
}
#: What each estimator does, in a sentence. A test sees to it that none is missing.
ESTIMATORS: Mapping[str, str] = {
    "pearson_trials": "Spike counts of each neuron were correlated across trials between every two bins, and averaged "
    "over pairs of bins of equal lag and over neurons; an exponential with offset, A (exp(-lag/τ) + B), was fitted by "
    "least squares, weighted by the number of bin pairs, from the lag before the largest drop.",
    "acf": "Autocorrelations over time of each neuron were averaged over neurons, and a decay was fitted to the lags "
    "after 0.",
    "isttc": "The spike time tiling coefficient of each spike train with itself some time later was averaged over "
    "neurons, and a decay was fitted to it over lags.",
    "multistep": "The activity k bins later was regressed on the activity now, and a decay was fitted to the slopes "
    "over k, which sees the timescale even if few of the neurons are observed.",
    "knee": "Power spectra by Welch's method were averaged over neurons, and the timescale is that of the frequency at "
    "which they bend, τ = 1 / (2π f).",
    "integral": "The timescale is that of the exponential whose autocorrelation is as wide as the one measured, "
    "whatever its shape.",
}
# What is told in sentences, or of no interest to a reader.
_TOLD = {
    *("schema", "per", "estimator", "doi", "start_ms", "window_ms", "trials", "minimum_rate_hz", "exclude_empty_bins"),
    *("bootstrap", "confidence", "resampled", "noise_test", "source", "network", "input", "burn_in_ms", "seed"),
    *("protocol_table", "protocol_measure", "protocol_verdict", "protocol_matched", "protocol_unmatched"),
    "protocol_caution",
}
_INPUTS = {
    "spontaneous": "Networks were driven by stationary input: every channel fired at its mean rate of the training "
    "data, without structure in time, so that all variability comes from the input.",
    "test": "Networks were driven by the trials of the test split, so that structure of the stimulus is in the "
    "timescales too.",
}
# Ends an item about the study with what a network has.
_HERE = re.compile(r" \(here [^()]*\)$")
_SILENT = re.compile(r"\d+ of \d+ neurons? (is|are) silent$")
_VERDICTS = {
    "matched": "measured by the protocol of that study",
    "differs": "measured by a protocol that differs from that of the study (the table 'protocol' says in what)",
    "unknown": "measured by a protocol that cannot be held against that of the study (the table 'protocol' says why)",
}


@dataclass(frozen=True)
class MethodsText:
    """Methods of a report.

    Parameters
    ----------
    paragraphs : sequence of (str, str)
        Heading and text.
    references : sequence of Reference
        What the text and the results stand on.
    """

    paragraphs: Sequence[tuple[str, str]]
    references: Sequence[Reference]

    @property
    def text(self) -> str:
        """All of it as plain text."""
        return "\n\n".join(f"{heading}. {text}" for heading, text in self.paragraphs)

    @property
    def bibtex(self) -> str:
        """All references as a BibTeX file."""
        return "\n\n".join(reference.bibtex for reference in self.references) + "\n"


def in_words(network: Network) -> str:
    """What kind of network it is, in one sentence.

    Parameters
    ----------
    network : Network

    Returns
    -------
    str
    """
    kind = "Feed-forward" if all(map(network.is_feedforward, network.projections)) else "Recurrent"
    sizes = " - ".join(str(p.size) for p in network.inputs + network.order)
    resets = " or ".join(_RESETS[reset] for reset in dict.fromkeys(p.reset for p in network.hidden))
    extras = ""
    longest = max(max(p.delay_steps) for p in network.projections if p.source != p.target)
    if longest:
        extras += f", delays of up to {1000 * longest * network.dt_s:g} ms between layers"
    if any(p.adaptation is not None for p in network.hidden):
        extras += ", adaptive thresholds"
    return (
        f"{kind} networks of {sizes} neurons, leaky integrate-and-fire with {resets}{extras}, dt "
        f"{1000 * network.dt_s:g} ms, trained with surrogate gradients; leaky-integrator readout."
    )


def settings_in_words(values: Mapping[str, Any], prefix: str = "") -> list[str]:
    """Names and values of nested settings; what is switched off is left out.

    Parameters
    ----------
    values : mapping
    prefix : str
        Before each name.

    Returns
    -------
    list of str

    Examples
    --------
    >>> settings_in_words({"epochs": 3, "augmentation": None, "schedule": {"kind": "steps", "warm_up": 0}})
    ['epochs 3', 'schedule kind steps']
    """
    listed = []
    for name, value in values.items():
        if isinstance(value, Mapping):
            listed += settings_in_words(value, f"{prefix}{name} ")
        elif value is not None and value != 0:
            listed.append(f"{prefix}{name} {value}".replace("_", " "))
    return listed


def _number(value: Any) -> str:
    return f"{float(value):,g}" if isinstance(value, (int, float, np.number)) else str(value)


def _across(many: Iterable[Mapping[str, Any]], name: str) -> str:
    """A setting as all results have it, or from the least to the most of them."""
    values = [one[name] for one in many if name in one]
    if not values:
        return "an unknown number of"
    distinct = sorted(set(map(_plain, values)))
    return _number(distinct[0]) if len(distinct) == 1 else f"{_number(distinct[0])} to {_number(distinct[-1])}"


def _plain(value: Any) -> Any:
    """A value as it is compared: lists of a file come back as arrays."""
    return value.item() if isinstance(value, np.generic) else str(value) if np.ndim(value) else value


def _grouped(runs: Sequence[Run], say: Callable[[Run], str]) -> list[str]:
    """What is true of all runs, once; else what is true of each condition, with its name."""
    said: dict[str, list[str]] = {}
    for run in runs:
        said.setdefault(say(run), []).append(run.condition)
    if len(said) == 1:
        return [text for text in said if text]
    return [f"{', '.join(dict.fromkeys(of))}: {text}" for text, of in said.items() if text]


def _training_in_words(run: Run) -> str:
    """What the metadata of one network say of its training."""
    metadata, epochs = run.network.metadata, len(run.history)
    architecture, words = metadata.get("architecture", {}), [f"{epochs} epoch{'' if epochs == 1 else 's'} of training"]
    surrogate = architecture.get("surrogate", {}).get("kind")
    if surrogate:
        words.append(f"surrogate gradient {str(surrogate).replace('_', ' ')}")
    if any(layer.get("learned_tau") for layer in architecture.get("layers", [])):
        words.append("membrane time constants learned with the weights")
    if "best_epoch" in metadata:
        words.append("the network of the best epoch by validation accuracy was kept")
    return f"{', '.join(words)}."


def _networks(runs: Sequence[Run], cited: list[Reference]) -> str:
    surrogate, torch = (from_doi(doi) for doi in ("10.1109/MSP.2019.2931595", "10.48550/arXiv.1912.01703"))
    cited += [surrogate, torch]
    words = _grouped(runs, lambda run: in_words(run.network))
    for task in dict.fromkeys(task_of(run.network.metadata) for run in runs):
        references = [from_doi(doi) for doi in task.dois]
        cited += references
        words.append(f"The task was {task.title}{f' ({_cited(references)})' if references else ''}.")
    words.append(f"Networks were trained in PyTorch ({torch.short}) with surrogate gradients ({surrogate.short}).")
    words += [_sentence(text) for text in _grouped(runs, _training_in_words)]
    return " ".join(words)


def _cited(references: Iterable[Reference]) -> str:
    return "; ".join(reference.short or reference.key for reference in references)


def _simulation(runs: Sequence[Run], cited: list[Reference]) -> str:
    brian = from_doi("10.7554/eLife.47314")
    cited.append(brian)
    made = json.loads(runs[0].test.attrs.get("description", "{}"))
    version = made.get("versions", {}).get("brian2")
    precision = made.get("precision")
    agreement = runs[0].agreement
    compared = ", ".join(f"{name.item()} ({counted(int(agreement['trials'].sel(simulator=name)), 'trial')})"
                         for name in agreement["simulator"])  # fmt: skip
    spikes = sum(int(run.agreement["spikes"].sum()) for run in runs)
    differing = sum(int(run.agreement["differing"].sum()) for run in runs)
    folded = "test_accuracy_before_folding" in runs[0].network.metadata
    simulator = f"Brian 2 {version}" if version else "Brian 2"
    with_it = "; ".join(filter(None, (brian.short, str(precision or ""))))
    order = ", after batch normalisation had been folded into weights and biases" if folded else ""
    return (
        f"Trained networks were simulated in {simulator} ({with_it}){order}. Every spike and every class was compared "
        f"with an executable reference in float64 for {compared}: {differing:,} of {spikes:,} spikes differ."
    )


def _setting(name: str, value: str) -> str:
    """Name and value of a setting, with the unit that stands in its name."""
    for ending, unit in (("_ms", " ms"), ("_s", " s"), ("_hz", " Hz")):
        if name.endswith(ending):
            return f"{name.removesuffix(ending).replace('_', ' ')} {value}{unit}"
    return f"{name.replace('_', ' ')} {value}".replace("_", " ")


def _items(results: Sequence[Mapping[str, Any]], name: str) -> list[str]:
    """Items of an attribute, one a line: those of all results, then the others with how many results have them."""
    found: dict[str, list[str]] = {}
    for one in results:
        for item in dict.fromkeys(str(one.get(name, "")).splitlines()):
            # What a study does not tell is the same of all results, however many trials these have.
            found.setdefault(_SILENT.sub("some neurons are silent", _HERE.sub("", item)), []).append(item)
    told = {bare: items[0] if len(set(items)) == 1 else bare for bare, items in found.items()}
    shared = [text for bare, text in told.items() if len(found[bare]) == len(results)]
    networks = counted(len(results), "network")
    return shared + [
        f"in {len(found[bare])} of {networks}: {text}" for bare, text in told.items() if text not in shared
    ]


def _protocol(results: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of the protocols of studies was followed, in sentences; none where results followed no study."""
    words = []
    for table in dict.fromkeys(str(one.get("protocol_table", "")) for one in results):
        followed = [one for one in results if one.get("protocol_table", "") == table]
        if not table:
            continue
        some = f"{len(followed)} of {len(results)} networks {'was' if len(followed) == 1 else 'were'}"
        those = "All networks were" if len(followed) == len(results) else some
        words.append(
            f"{those} measured as the study of table '{table}' measured the cortex: recordings were cut into "
            "trials as long as those of the study, as far as they hold them."
        )
        for kind, said in (("matched", "As in the study"), ("unmatched", "Not as in the study, or not known of it")):
            items = _items(followed, f"protocol_{kind}")
            if items:
                words.append(f"{said}: {'; '.join(items)}.")
    return words


def _measurement(runs: Sequence[Run], cited: list[Reference], known: Sequence[Reference]) -> str:
    results = [run.timescales.attrs for run in runs]
    words = []
    for kind in dict.fromkeys(str(one.get("input", "")) for one in results):
        words.append(_INPUTS.get(kind, "What drove the networks is not noted with the results."))
    words += _protocol(results)
    words.append(
        f"Timescales were measured on {_across(results, 'trials')} trials, in a window of "
        f"{_across(results, 'window_ms')} ms after {_across(results, 'start_ms')} ms that were left out."
    )
    for name in dict.fromkeys(str(one["estimator"]) for one in results):
        of_estimator = [one for one in results if one["estimator"] == name]
        reference = from_doi(str(of_estimator[0].get("doi", "")), known)
        cited.append(reference)
        words.append(f"Estimator '{name}' ({reference.short or reference.key}): {ESTIMATORS.get(name, '')}".strip())
        settings = [_setting(key, _across(of_estimator, key)) for key in of_estimator[0] if key not in _TOLD]
        words.append(f"Settings: {', '.join(settings)}.")
    first = results[0]
    per = "neuron" if first.get("per") == "neuron" else "layer"
    words.append(
        f"There is one timescale per {per}. Neurons that fired less than {_across(results, 'minimum_rate_hz')} Hz were "
        f"left out{', and those with an empty bin' if int(first.get('exclude_empty_bins', 0)) else ''}."
    )
    if int(first.get("bootstrap", 0)):
        words.append(
            f"{100 * float(first['confidence']):.0f} % intervals are percentiles of {_across(results, 'bootstrap')} "
            f"bootstrap replicates, drawn from {first['resampled']}; an end is open (0 or ∞) where the data set no "
            "bound."
        )
    words.append(f"A timescale was reported only if the decay is larger than noise would give ({first['noise_test']}).")
    return " ".join(words)


def _comparison(comparison: xr.Dataset, table: xr.Dataset, cited: list[Reference]) -> str:
    attributes = comparison.attrs
    source = "a table without a citation"
    if table.attrs.get("bibtex"):
        cited.append(from_bibtex(table.attrs["bibtex"]))
        source = cited[-1].short
    measured = str(table.attrs.get("measured", "")).rstrip(".")
    stream = str(attributes.get("stream", ""))
    words = [f"Cortical timescales are those of {source} (table '{attributes.get('table', '')}'"
             + (f", {attributes['measure']}" if attributes.get("measure") else "")
             + (f", {stream} stream" if stream not in ("", "all") else "")
             + (f"; {measured}" if measured else "") + ")."]  # fmt: skip
    if table.attrs.get("obtained"):
        words.append(f"How the numbers were obtained: {str(table.attrs['obtained']).rstrip('.')}.")
    verdicts = comparison["protocol"].to_numpy().astype(str).tolist()
    for verdict, said in _VERDICTS.items():
        number = verdicts.count(verdict)
        if number:
            one = f"{number} of {counted(len(verdicts), 'network')}"
            words.append(f"{one} {'was' if number == 1 else 'were'} {said}.")
    if attributes.get("absolute"):
        words.append(f"Milliseconds were not compared: {str(attributes['absolute']).rstrip('.')}.")
    return " ".join(words)


def _sentence(text: str) -> str:
    text = text.strip().replace("\n", "; ")
    return text[:1].upper() + text[1:] + ("" if text.endswith(".") else ".")


def _statistics(comparison: xr.Dataset, cited: list[Reference]) -> str:
    cited.append(from_doi("10.51628/001c.13927"))
    attributes = comparison.attrs
    words = [
        f"Slope: {attributes['slope']}.",
        f"Intervals of mean slopes ({100 * float(attributes['confidence']):.0f} %) are by a hierarchical bootstrap "
        f"over networks and what was measured in them ({cited[-1].short}; {int(attributes['resamples']):,} draws).",
        f"P values are {attributes['p_values']}.",
    ]
    if int(comparison["neurons"].max()):
        words.append(f"The timescale of a layer is the {attributes['neuron_statistic']} of those of its neurons.")
    if comparison.sizes["contrast"] and attributes.get("holm"):
        words.append(f"Holm's correction is {attributes['holm']}.")
    return " ".join(words)


def methods(runs: Sequence[Run], comparison: xr.Dataset, table: xr.Dataset) -> MethodsText:
    """Methods text and references of a report.

    Parameters
    ----------
    runs : sequence of Run
    comparison : xarray.Dataset
        Of `cortexsnn.cortex.compare`.
    table : xarray.Dataset
        The table of the comparison.

    Returns
    -------
    MethodsText
    """
    cited: list[Reference] = [from_doi("10.48550/arXiv.2407.18838")]
    known = tuple(from_bibtex(entry) for entry in _entries_of_estimators(table))
    parts = []
    for heading, write in (
        ("Networks", lambda own: _networks(runs, own)),
        ("Simulation", lambda own: _simulation(runs, own)),
        ("Timescales", lambda own: _measurement(runs, own, known)),
        ("Comparison with the cortex", lambda own: _comparison(comparison, table, own)),
        ("Statistics", lambda own: _statistics(comparison, own)),
    ):
        own: list[Reference] = []
        parts.append((heading, write(own)))
        cited += own
    return MethodsText(parts, unique(cited))


def _entries_of_estimators(table: xr.Dataset) -> list[str]:
    """Entries of tables, since those who published them often brought an estimator too."""
    own = [str(table.attrs["bibtex"])] if table.attrs.get("bibtex") else []
    return own + [cortex.citation(name) for name in cortex.names()]
