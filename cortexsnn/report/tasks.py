"""What networks were trained on, in words, and after whom."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["TASKS", "Task", "task_of"]


@dataclass(frozen=True)
class Task:
    """A task in words.

    Parameters
    ----------
    title : str
        As part of a sentence.
    description : str
    dois : tuple of str
        Of the work that it comes from.
    """

    title: str
    description: str = ""
    dois: tuple[str, ...] = ()


TASKS: Mapping[str, Task] = {
    "mts_xor": Task(
        "multi-time-scale XOR",
        "Multi-time-scale XOR: at the start of a trial of 1 s, 20 cue channels fire at a low or a high rate for "
        "100 ms. Then 20 pattern channels show six patterns of 100 ms, each at a low or a high rate, with silences "
        "between. The answer at every moment is the XOR of cue and pattern, so that the cue has to be remembered for "
        "up to a second while patterns come and go. Accuracy counts the steps in which a pattern is on; chance is "
        "50 %.",
        ("10.1038/s41467-023-44614-z", "10.48550/arXiv.2407.18838"),
    ),
    "delayed_match": Task(
        "delayed match to sample",
        "Delayed match to sample: a stimulus is shown, and after a delay another. The answer is whether they are the "
        "same, so that the first has to be remembered over the delay. Accuracy counts the steps in which the second is "
        "shown; chance is 50 %.",
        ("10.1038/331068a0",),
    ),
    "parity": Task(
        "parity of pulses",
        "Parity: a sequence of pulses, each at a low or a high rate. The answer is whether the number of high ones "
        "among the last few is odd, so that all of these have to be remembered and those before them forgotten. Chance "
        "is 50 %.",
        ("10.48550/arXiv.2309.12927",),
    ),
    "accumulation": Task(
        "accumulation of evidence at two rates",
        "Accumulation: two streams of evidence for or against, one to be integrated with a short and one with a long "
        "time constant. The answer is the sign of the weighted sum when the evidence is over. Accuracy counts the "
        "steps after that; chance is 50 %.",
        ("10.1038/s41467-018-06561-y",),
    ),
    "digits": Task(
        "handwritten digits",
        "Handwritten digits of 8 x 8 pixels, one spike a pixel, the sooner the brighter; shown at once, or in rows or "
        "pixels one after another. The answer is the digit, read from the whole trial. Chance is 10 %.",
        ("10.24432/C50P49",),
    ),
    "heidelberg": Task(
        "spoken digits",
        "Spoken digits as spikes of cochlear channels, several in a time step where a channel is busy. The answer is "
        "the digit, read from the whole trial. With held-out speakers a few points of accuracy on one split are "
        "noise.",
        ("10.1109/TNNLS.2020.3044364",),
    ),
}


def task_of(metadata: Mapping[str, Any]) -> Task:
    """Task of a network, by what its metadata say.

    Parameters
    ----------
    metadata : mapping
        Of a `cortexsnn.network.Network`.

    Returns
    -------
    Task

    Examples
    --------
    >>> task_of({"dataset": {"name": "parity"}}).title, task_of({"dataset": {"name": "mine"}}).title
    ('parity of pulses', 'mine')
    """
    name = str(metadata.get("dataset", {}).get("name", "a task"))
    return TASKS.get(name, Task(name))
