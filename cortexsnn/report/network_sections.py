"""What the page says of the networks: their task, their training, and whether Brian2 runs the same network."""

from __future__ import annotations

from collections.abc import Sequence

from cortexsnn import figures
from cortexsnn.report.drawings import drawing
from cortexsnn.report.methods import in_words
from cortexsnn.report.tables import Section, Table
from cortexsnn.report.tasks import task_of
from cortexsnn.runs import Run
from cortexsnn.summary import accuracy_rows, agreement_rows

__all__ = ["network_sections"]


def _time_constants(runs: Sequence[Run]) -> str:
    words = []
    for run in figures.examples(runs):
        values = ", ".join(f"{1000 * float(p.tau_s.mean()):.0f}" for p in run.network.hidden)
        words.append(f"Mean membrane time constants of {run.name}: {values} ms from first to last hidden layer.")
    return " ".join(words)


def _training(runs: Sequence[Run]) -> Section:
    curves = drawing(
        figures.training(runs),
        "training",
        "Validation accuracy over epochs for every network",
        "Validation accuracy over epochs, one line for each seed. The network of the best epoch is kept; the test "
        "split is looked at once.",
    )
    learning = figures.learning(runs)
    if learning is None:
        return Section(heading="Training", drawings=(curves,))
    emerging = drawing(
        learning,
        "learned_hierarchy",
        "Learned membrane time constants of every layer over epochs, and their slope over depth",
        "Membrane time constants of the layers as they are learned: medians and quartiles over neurons, from epoch to "
        "epoch; and the slope of the logarithm of the medians over relative depth, one line for each network. A slope "
        "of 0 is no hierarchy.",
    )
    return Section(heading="Training", drawings=(curves, emerging))


def network_sections(runs: Sequence[Run]) -> list[Section]:
    """The first sections of the page.

    Parameters
    ----------
    runs : sequence of Run

    Returns
    -------
    list of Section
    """
    first = runs[0]
    rasters = drawing(
        figures.rasters(runs),
        "one_trial",
        "Spike rasters of the input and of every hidden layer in one test trial, and readout potentials",
        "One test trial, as Brian2 fired it: input, hidden layers, and the potentials of the readout, one line for "
        "each class (the line of the right class is heavy where it is the right one).",
    )
    accuracy = Table(
        "accuracy",
        "Test accuracy in every simulator, and decoded classes that differ from the reference",
        *accuracy_rows(runs),
    )
    agreement = Table(
        "agreement",
        "Every spike and every class compared with the executable reference in float64",
        *agreement_rows(runs),
    )
    about = (task_of(first.network.metadata).description, in_words(first.network), _time_constants(runs))
    return [
        Section(heading="The networks and their task", paragraphs=tuple(filter(None, about)), drawings=(rasters,)),
        _training(runs),
        Section(
            heading="Is the Brian2 network the same network?",
            paragraphs=(
                "The trained network, with batch normalisation folded into its weights, ran on the test trials in "
                "every simulator that the table names. A spike differs if its trial, step or neuron does; potentials "
                "are compared at every step, as a part of the largest. 'active' is the part of all bins with a spike: "
                "a layer that hardly fires would prove little.",
            ),
            tables=(accuracy, agreement),
        ),
    ]
