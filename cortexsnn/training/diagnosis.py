"""What goes wrong in training, said in words: silent and saturated layers, vanishing gradients, time constants at a
bound, figures that are no numbers, no gain over a memoryless control, over-fitting.

It reads the rows of a training history, one dict an epoch, and needs no network. What a row does not have is not
judged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError

__all__ = ["Finding", "diagnose", "new_findings"]

Row = Mapping[str, Any]

# Half of a layer is often silent in the first epoch of a deep network, and wakes up in the second.
PERSISTENT_EPOCHS = 3
# With more than half of its neurons lost, a layer is another network than the one that was asked for.
SILENT_PERCENT = 50.0
SATURATED_PERCENT = 50.0
# One spike in 10,000 bins: a neuron is heard in one of a hundred trials of 100 bins. Healthy layers have 1 to 30 %.
QUIET_PERCENT = 0.01
# Healthy layers have 5 to 30 %; below 1 % hardly a spike decision can be moved by a gradient.
SURROGATE_PERCENT = 1.0
# Healthy networks of two to five hidden layers have 0.5 to 3; Adam makes up for some of the rest, but not for this.
GRADIENT_RATIO = 1e-3
# Of ln(high / low), where a bounded time constant can hardly move any more.
BOUND_MARGIN = 0.02
# Among many neurons some belong at the bound; one in five says that the bound decides.
BOUND_SHARE = 0.2
# A network that integrates has mostly left the control behind by then.
CONTROL_EPOCHS = 10
CONTROL_STANDARD_ERRORS = 2.0
# Validation losses of single epochs are noisy; means over five are compared.
OVERFITTING_EPOCHS = 5
OVERFITTING_RISE = 1.05
OVERFITTING_GAP = 0.1


@dataclass(frozen=True)
class Finding:
    """Something that goes wrong.

    Parameters
    ----------
    kind : {"not_a_number", "silent", "saturated", "vanishing_gradient", "tau_at_bound", "no_gain", "over_fitting"}
    layer : int or None
        Hidden layer, counted from 1; None if it is the whole network.
    epoch : int
        Last epoch that was looked at, counted from 1.
    message : str
        What was seen, with figures, and what to try.
    """

    kind: str
    layer: int | None
    epoch: int
    message: str


def _when(history: Sequence[Row], epochs: int, limit: str) -> str:
    """The last epoch, and how long the figure has been beyond its limit."""
    return f"in epoch {history[-1]['epoch']}" + (f" ({limit} for {epochs} epochs)" if epochs > 1 else "")


def _series(history: Sequence[Row], name: str) -> NDArray[np.float64]:
    """One figure over the epochs, not a number where it is absent."""
    return np.array([row.get(name) for row in history], dtype=np.float64)


def _recent(history: Sequence[Row], name: str, epochs: int) -> NDArray[np.float64]:
    """A figure of every layer in the last epochs, shape (epoch, layer); no layers if an epoch lacks it."""
    rows = [row[name] for row in history[-epochs:] if row.get(name) is not None]
    return np.array(rows, dtype=np.float64) if len(rows) == epochs else np.empty((epochs, 0))


def _always(
    history: Sequence[Row], name: str, epochs: int, wrong: Callable[[NDArray[np.float64]], NDArray[np.bool_]]
) -> dict[int, float]:
    """Layers, counted from 1, whose figure was wrong in each of the last epochs, and its last value."""
    values = _recent(history, name, epochs)
    return {int(index) + 1: float(values[-1, index]) for index in np.flatnonzero(wrong(values).all(axis=0))}


def _not_numbers(history: Sequence[Row]) -> dict[int | None, str]:
    epoch = history[-1]["epoch"]
    found: dict[int | None, str] = {}
    for name, words in (("validation_loss", "validation loss"), ("train_loss", "training loss")):
        loss = history[-1].get(name)
        if loss is not None and not np.isfinite(loss):
            found[None] = f"the {words} is {loss} in epoch {epoch}; lower the learning rate"
    for layer, norm in _always(history, "gradient_norm", 1, lambda norms: ~np.isfinite(norms)).items():
        found[layer] = (f"hidden{layer}: the norm of its gradient is {norm} in epoch {epoch}; lower the learning "
                        "rate")  # fmt: skip
    return found


def _silent(history: Sequence[Row], epochs: int) -> dict[int | None, str]:
    # Not the initial weights: batch normalisation takes their scale away again.
    advice = "add a rate penalty or lower the learning rate"
    found: dict[int | None, str] = {}
    when = _when(history, epochs, f"under {QUIET_PERCENT:g} %")
    for layer, percent in _always(history, "active_percent", epochs, lambda p: p < QUIET_PERCENT).items():
        found[layer] = f"hidden{layer}: its neurons fired in {percent:.2g} % of all bins {when}; {advice}"
    when = _when(history, epochs, f"over {SILENT_PERCENT:g} %")
    for layer, percent in _always(history, "silent_percent", epochs, lambda p: p > SILENT_PERCENT).items():
        found[layer] = f"hidden{layer}: {percent:.0f} % of its neurons never fired {when}; {advice}"
    return found


def _saturated(history: Sequence[Row], epochs: int) -> dict[int | None, str]:
    when = _when(history, epochs, f"over {SATURATED_PERCENT:g} %")
    return {
        layer: f"hidden{layer}: {percent:.0f} % of its neurons fired in more than 90 % of the bins {when}; add a "
        "rate penalty, shorten its time constants or lower the learning rate"
        for layer, percent in _always(history, "saturated_percent", epochs, lambda p: p > SATURATED_PERCENT).items()
    }


def _vanishing(history: Sequence[Row], epochs: int) -> dict[int | None, str]:
    """No gradient through the surrogate, none at all, or hardly any left in the first layer."""
    found: dict[int | None, str] = {}
    norms = _recent(history, "gradient_norm", epochs)
    if norms.shape[1] > 1 and np.all(norms[:, 0] < GRADIENT_RATIO * norms[:, -1]):
        when = _when(history, epochs, f"under {GRADIENT_RATIO:g}")
        found[1] = (f"hidden1: the norm of its gradient was {norms[-1, 0] / norms[-1, -1]:.1g} of that of "
                    f"hidden{norms.shape[1]} {when}; widen the surrogate or use fewer layers")  # fmt: skip
    when = _when(history, epochs, "exactly 0")
    for layer in _always(history, "gradient_norm", epochs, lambda norm: norm == 0):
        found[layer] = (f"hidden{layer}: it learns nothing, its gradient was zero {when}; widen the surrogate or add a "
                        "rate penalty")  # fmt: skip
    when = _when(history, epochs, f"under {SURROGATE_PERCENT:g} %")
    for layer, percent in _always(history, "surrogate_percent", epochs, lambda p: p < SURROGATE_PERCENT).items():
        found[layer] = (f"hidden{layer}: the surrogate passed a gradient in {percent:.2g} % of its potentials {when}; "
                        "widen the surrogate or add a rate penalty")  # fmt: skip
    return found


def _at_bounds(tau_ms: Any, bounds_ms: Any) -> tuple[int, int, int]:
    """How many time constants of a layer are at the lower bound, at the upper one, and how many there are."""
    tau = np.atleast_1d(np.array(tau_ms, dtype=np.float64))
    tau = tau[np.isfinite(tau) & (tau > 0)]
    low, high = (np.nan, np.nan) if bounds_ms is None else bounds_ms
    if not 0 < low < high < np.inf:
        return 0, 0, tau.size
    place = np.log(tau / low) / np.log(high / low)
    return int((place <= BOUND_MARGIN).sum()), int((place >= 1 - BOUND_MARGIN).sum()), tau.size


def _tau_at_bound(history: Sequence[Row], epochs: int) -> dict[int | None, str]:
    rows = history[-epochs:]
    if len(rows) < epochs or any(row.get("tau_ms") is None or row.get("tau_bounds_ms") is None for row in rows):
        return {}
    when = _when(history, epochs, f"over {100 * BOUND_SHARE:g} % of them")
    counted = [[_at_bounds(*layer) for layer in zip(row["tau_ms"], row["tau_bounds_ms"], strict=True)] for row in rows]
    found: dict[int | None, str] = {}
    for layer, over_epochs in enumerate(zip(*counted, strict=True), start=1):
        if all(low + high > BOUND_SHARE * size for low, high, size in over_epochs):
            (low, high, size), (shortest, longest) = over_epochs[-1], rows[-1]["tau_bounds_ms"][layer - 1]
            found[layer] = (f"hidden{layer}: of its {size} time constants, {low} stood at the lower bound of "
                            f"{shortest:g} ms and {high} at the upper bound of {longest:g} ms {when}; "
                            "widen the bounds, or start further from them")  # fmt: skip
    return found


def _no_gain(history: Sequence[Row], control_accuracy: float, scored: int | None, patience: int) -> str | None:
    accuracies = _series(history, "validation_accuracy")
    if np.isfinite(accuracies).sum() < patience:
        return None
    best = int(np.nanargmax(accuracies))
    error = 0.0 if scored is None else np.sqrt(control_accuracy * (1 - control_accuracy) / scored)
    needed = control_accuracy + CONTROL_STANDARD_ERRORS * error
    if accuracies[best] > needed:
        return None
    at, last = history[best]["epoch"], history[-1]["epoch"]
    return (f"the best validation accuracy of {last} epochs is {100 * accuracies[best]:.1f} % (epoch {at}); a "
            f"decoder without memory has {100 * control_accuracy:.1f} %, and only above {100 * needed:.1f} % is there "
            "a gain; try longer time constants, more neurons or another learning rate, and ask whether the task needs "
            "memory")  # fmt: skip


def _over_fitting(history: Sequence[Row]) -> str | None:
    """The validation loss has turned, the training loss has not, and their accuracies have come apart."""
    known = np.isfinite(_series(history, "train_loss") + _series(history, "validation_loss"))
    rows = [row for row, is_known in zip(history, known, strict=True) if is_known]
    count = OVERFITTING_EPOCHS
    if len(rows) < 2 * count:  # two means that share no epoch
        return None
    losses, mean_of_some = _series(rows, "validation_loss"), np.ones(count) / count
    validation = np.convolve(losses, mean_of_some, "valid")
    train = np.convolve(_series(rows, "train_loss"), mean_of_some, "valid")
    lowest = int(validation[:-count].argmin())
    gap = float(np.mean(_series(rows, "train_accuracy")[-count:] - _series(rows, "validation_accuracy")[-count:]))
    turned = validation[-1] > OVERFITTING_RISE * validation[lowest] and train[-1] < train[lowest]
    if not (turned and gap > OVERFITTING_GAP):
        return None
    index = int(losses[:-count].argmin())
    best, recent = rows[index]["epoch"], f"epochs {rows[-count]['epoch']}-{rows[-1]['epoch']}"
    return (f"the validation loss has risen from {losses[index]:.3g} in epoch {best}, the best, to a mean of "
            f"{validation[-1]:.3g} in {recent}, while the training loss fell to {train[-1]:.3g}, and training accuracy "
            f"is {100 * gap:.0f} points above validation accuracy; stop at epoch {best}, or try more dropout, fewer "
            "neurons or more data")  # fmt: skip


def diagnose(
    history: Sequence[Row],
    *,
    control_accuracy: float | None = None,
    scored: int | None = None,
    last_epoch: int | None = None,
) -> tuple[Finding, ...]:
    """What goes wrong at the end of a history.

    A layer is judged by its last three epochs, so that a bad start is no finding. Where losses or gradients are no
    numbers, nothing else is judged.

    Parameters
    ----------
    history : sequence of mapping
        One row for each epoch so far: ``epoch``, ``train_loss``, ``validation_loss``, ``train_accuracy`` and
        ``validation_accuracy`` (0 to 1), and for every hidden layer ``active_percent``, ``silent_percent``,
        ``saturated_percent``, ``surrogate_percent``, ``gradient_norm``, ``tau_ms`` and ``tau_bounds_ms``. What is
        absent is not judged.
    control_accuracy : float, optional
        Validation accuracy, 0 to 1, of a decoder without memory (`cortexsnn.training.control`).
    scored : int, optional
        Number of independent validation trials, for the standard error of the control; none is allowed for if not
        given.
    last_epoch : int, optional
        Number of epochs of the run: one that is shorter than the three epochs a layer is given, or the ten until it is
        compared with the control, is judged at its end.

    Returns
    -------
    tuple of Finding

    Raises
    ------
    InputError
        If the accuracy of the control is not from 0 to 1, or `scored` or `last_epoch` is below 1.

    Examples
    --------
    >>> rows = [{"epoch": epoch, "silent_percent": [3.0, 94.0]} for epoch in (1, 2, 3)]
    >>> (finding,) = diagnose(rows)
    >>> finding.kind, finding.layer
    ('silent', 2)
    >>> print(finding.message)
    hidden2: 94 % of its neurons never fired in epoch 3 (over 50 % for 3 epochs); add a rate penalty or lower
    the learning rate
    """
    if control_accuracy is not None and not 0 <= control_accuracy <= 1:
        raise InputError("control_accuracy", control_accuracy, "a fraction from 0 to 1")
    for name, value in (("scored", scored), ("last_epoch", last_epoch)):
        if value is not None and value < 1:
            raise InputError(name, value, "at least 1")
    if not history:
        return ()
    persistent, patience = (min(n, last_epoch or n) for n in (PERSISTENT_EPOCHS, CONTROL_EPOCHS))
    found = {"not_a_number": _not_numbers(history)}
    if not found["not_a_number"]:
        found |= {
            "silent": _silent(history, persistent),
            "saturated": _saturated(history, persistent),
            "vanishing_gradient": _vanishing(history, persistent),
            "tau_at_bound": _tau_at_bound(history, persistent),
        }
        if control_accuracy is not None and (message := _no_gain(history, control_accuracy, scored, patience)):
            found["no_gain"] = {None: message}
        if message := _over_fitting(history):
            found["over_fitting"] = {None: message}
    epoch = history[-1]["epoch"]
    return tuple(Finding(kind, layer, epoch, text) for kind, texts in found.items() for layer, text in texts.items())


def new_findings(history: Sequence[Row], said: Iterable[Finding], **options: Any) -> tuple[Finding, ...]:
    """Findings of a kind and layer that has not been said yet; to be called after every epoch.

    Parameters
    ----------
    history : sequence of mapping
    said : iterable of Finding
        Findings of earlier epochs.
    **options
        See `diagnose`.

    Returns
    -------
    tuple of Finding

    Examples
    --------
    >>> rows = [{"epoch": epoch, "silent_percent": [94.0]} for epoch in (1, 2, 3, 4)]
    >>> said = []
    >>> for epochs in (1, 2, 3, 4):
    ...     said += new_findings(rows[:epochs], said)
    >>> [(finding.kind, finding.epoch) for finding in said]
    [('silent', 3)]
    """
    known = {(finding.kind, finding.layer) for finding in said}
    return tuple(f for f in diagnose(history, **options) if (f.kind, f.layer) not in known)
