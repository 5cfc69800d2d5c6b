"""The end of a run: the best model becomes a `Network`, and the test split is looked at, this once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from cortexsnn.datasets import Dataset, Split
from cortexsnn.decoding import accuracy, decode
from cortexsnn.network import Network
from cortexsnn.training import evaluation, folding
from cortexsnn.training.model import SpikingNetwork
from cortexsnn.training.protocol import Protocol
from cortexsnn.training.simulation import simulate

__all__ = ["export"]

_TRIALS_AT_ONCE = 256


def _folded_accuracy(network: Network, split: Split, dataset: Dataset) -> float:
    """Accuracy of the folded network in float64, a part of the trials at a time: potentials take memory."""
    right = 0.0
    for start in range(0, len(split), _TRIALS_AT_ONCE):
        part = split.take(slice(start, start + _TRIALS_AT_ONCE))
        readout = simulate(network, part.counts)["readout"]["potential"].to_numpy()
        right += accuracy(decode(readout, dataset.decoder), part.labels, dataset.scored_steps) * len(part)
    return right / len(split)


def export(
    model: SpikingNetwork, dataset: Dataset, protocol: Protocol, metadata: Mapping[str, Any], *, test: bool = True
) -> Network:
    """Fold the best model and test it, before and after folding.

    A model that was chosen by batch statistics is tested by them, as it was chosen, then gets the running statistics
    of the training split, since batch statistics cannot be folded; that may change its accuracy, and both are
    noted.

    Parameters
    ----------
    model : SpikingNetwork
        The best one; changed if it was evaluated by batch statistics.
    dataset : Dataset
        The only place in training that reads its test split.
    protocol : Protocol
    metadata : mapping
        What is known of the run.
    test : bool
        Whether to look at the test split.

    Returns
    -------
    Network
        With ``validation_accuracy_after_folding`` and, if it was tested, ``test_accuracy`` (of this very network) and
        ``test_accuracy_before_folding`` in its metadata.
    """
    figures = {}
    if test:
        unfolded = evaluation.potentials(model, dataset.test, protocol.batch_size, batch_statistics=protocol.by_batch)
        classes = decode(unfolded, dataset.decoder)
        figures["test_accuracy_before_folding"] = accuracy(classes, dataset.test.labels, dataset.scored_steps)
    if protocol.by_batch:
        evaluation.recompute_statistics(model, dataset.train, protocol.batch_size)
    network = folding.to_network(model, dataset.decoder)
    if test:
        figures["test_accuracy"] = _folded_accuracy(network, dataset.test, dataset)
    figures["validation_accuracy_after_folding"] = _folded_accuracy(network, dataset.validation, dataset)
    return replace(network, metadata={**metadata, **figures})
