"""How a network is trained: frozen descriptions, the sound protocol by default, and that of the paper beside it."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

import numpy as np

from cortexsnn.checks import choice, not_negative, positive, whole
from cortexsnn.datasets.augmentation import Augmentation
from cortexsnn.errors import InputError
from cortexsnn.training.plain import make_plain

__all__ = ["Protocol", "Regularisation", "Schedule", "paper_protocol"]


@dataclass(frozen=True)
class Schedule:
    """How the learning rate changes from epoch to epoch.

    Parameters
    ----------
    kind : {"steps", "cosine", "constant"}
        Falls by a factor at certain epochs, half a cosine from 1 to 0 over the run, or neither.
    factor : float
        Of a step down ...
    first, every : int
        ... with epoch number `first`, counted from 0, and every so many epochs from then on.
    warm_up : int
        Epochs of linear rise at the start; `first` counts them too.

    Examples
    --------
    >>> [round(Schedule(first=10, every=5).factor_at(epoch, 60), 4) for epoch in (9, 10, 15)]
    [1.0, 0.75, 0.5625]
    >>> [round(Schedule("cosine", warm_up=2).factor_at(epoch, 10), 2) for epoch in (0, 1, 2, 6)]
    [0.5, 1.0, 1.0, 0.5]
    """

    kind: str = "steps"
    factor: float = 0.75
    first: int = 25
    every: int = 10
    warm_up: int = 0

    def __post_init__(self) -> None:
        make_plain(self)
        choice("kind of the schedule", self.kind, ("steps", "cosine", "constant"))
        positive("factor of the schedule", self.factor, "a positive number")
        whole("first of the schedule", self.first, 1)
        whole("every of the schedule", self.every, 1)
        whole("warm_up of the schedule", self.warm_up, 0)

    def factor_at(self, epoch: int, epochs: int) -> float:
        """What the learning rate is multiplied by in an epoch, counted from 0, of so many."""
        if epoch < self.warm_up:
            return (epoch + 1) / self.warm_up
        if self.kind == "steps":
            steps = 0 if epoch < self.first else 1 + (epoch - self.first) // self.every
            return self.factor**steps
        if self.kind == "cosine":
            done = (epoch - self.warm_up) / max(epochs - self.warm_up, 1)
            return float((1 + np.cos(np.pi * done)) / 2)
        return 1.0


@dataclass(frozen=True)
class Regularisation:
    """Penalties that are added to the loss.

    Parameters
    ----------
    weight : float
        Times the Euclidean norm (not squared) of all weights, scales and shifts together.
    rate : float
        Times the mean over layers of ((rate - target) / target)^2.
    target_rate_hz : float
        Mean firing rate that a layer is drawn to.
    tau_spread : float
        Times the mean over layers of the standard deviation of ln tau within a layer; for learned tau.
    tau_drift : float
        Times the mean over layers of the squared distance of ln tau from where it began; for learned tau.
    """

    weight: float = 0.0
    rate: float = 0.0
    target_rate_hz: float = 10.0
    tau_spread: float = 0.0
    tau_drift: float = 0.0

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("weight", "rate", "tau_spread", "tau_drift"):
            not_negative(f"{name} of the regularisation", getattr(self, name))
        positive("target_rate_hz of the regularisation", self.target_rate_hz, "a positive number")


@dataclass(frozen=True)
class Protocol:
    """How a network is trained. The default is the sound one; see `paper_protocol` for the other.

    Parameters
    ----------
    epochs : int
    batch_size : int
        Trials in a mini-batch.
    accumulate : int
        Mini-batches whose gradients are averaged for one step of the optimiser; each is normalised by itself.
    optimiser : {"adam", "adamw"}
    learning_rate : float
        At the start.
    tau_learning_rate : float, optional
        Of learned time constants, if it is to be another.
    weight_decay : float
        Of weights; with ``"adamw"`` decoupled from the gradient.
    schedule : Schedule
    regularisation : Regularisation
    augmentation : augmentation or tuple of such, optional
        Of `cortexsnn.datasets.augmentation`; several are applied one after another.
    patience : int, optional
        Training stops when the validation accuracy has not risen for so many epochs.
    precision : {"float32", "bfloat16"}
        Type of the feed-forward matrix products and of their sum over taps, forward and backward; everything else,
        time integration included, stays float32. bfloat16 keeps 8 bits (0.4 %); it pays on a GPU.
    evaluation_statistics : {"running", "batch"}
        What normalises currents in validation and test. By ``"batch"`` a trial's class depends on the trials that
        are tested with it.
    adam_step : {"iteration", "epoch"}
        What Adam's bias correction counts. ``"epoch"`` makes the first epochs' steps larger.
    seed : int
        Of initial weights, order of trials, dropout and augmentation.

    Raises
    ------
    InputError
        If a value cannot be used; the message names it.

    Examples
    --------
    >>> Protocol(schedule=Schedule(first=10, every=5)).learning_rate_at(15)
    0.005625
    """

    epochs: int = 60
    batch_size: int = 256
    accumulate: int = 1
    optimiser: str = "adam"
    learning_rate: float = 0.01
    tau_learning_rate: float | None = None
    weight_decay: float = 0.0
    schedule: Schedule = field(default_factory=Schedule)
    regularisation: Regularisation = field(default_factory=Regularisation)
    augmentation: Augmentation | tuple[Augmentation, ...] | None = None
    patience: int | None = None
    precision: str = "float32"
    evaluation_statistics: str = "running"
    adam_step: str = "iteration"
    seed: int = 0

    def __post_init__(self) -> None:
        make_plain(self)
        for name in ("epochs", "batch_size", "accumulate"):
            whole(name, getattr(self, name), 1)
        whole("seed", self.seed, 0)
        if self.patience is not None:
            whole("patience", self.patience, 1)
        for name, kind in {"schedule": Schedule, "regularisation": Regularisation}.items():
            if not isinstance(given := getattr(self, name), kind):
                raise InputError(name, given, f"training.{kind.__name__}(...)")
        several = self.augmentation if isinstance(self.augmentation, tuple) else (self.augmentation,)
        if self.augmentation is not None and not all(isinstance(one, Augmentation) for one in several):
            raise InputError("augmentation", self.augmentation, "training.ChannelShift(...), another, or several",
                             "cortexsnn.datasets.augmentation has them all")  # fmt: skip
        positive("learning_rate", self.learning_rate, "a positive number")
        if self.tau_learning_rate is not None:
            positive("tau_learning_rate", self.tau_learning_rate, "a positive number")
        not_negative("weight_decay", self.weight_decay)
        choice("optimiser", self.optimiser, ("adam", "adamw"))
        choice("precision", self.precision, ("float32", "bfloat16"))
        choice("evaluation_statistics", self.evaluation_statistics, ("running", "batch"))
        choice("adam_step", self.adam_step, ("iteration", "epoch"))

    @property
    def by_batch(self) -> bool:
        """Whether validation and test are normalised by each batch."""
        return self.evaluation_statistics == "batch"

    def learning_rate_at(self, epoch: int) -> float:
        """Learning rate of an epoch, counted from 0."""
        return self.learning_rate * self.schedule.factor_at(epoch, self.epochs)


def paper_protocol(**changes: Any) -> Protocol:
    """The protocol of Moro et al. 2024 (https://doi.org/10.48550/arXiv.2407.18838) as its code ran it.

    Batch statistics at validation and test, Adam whose bias correction counts epochs, and a learning rate that falls
    by a quarter after 26 epochs and every 10 from then on. The original's cut of alpha (0.1 to 0.98) and its initial
    weights belong to the network: `Architecture` has `alpha_bounds` and `weight_bounds` for them. Use it to compare
    numbers like with like; the default `Protocol` is the sound one.

    Not repeated, since it hardly changes a number: the latest of equally good epochs (here the earliest), and an
    accuracy that gives a smaller last batch the same weight. Learned time constants have bounds of their own here
    (`LearnedTau`) where the original cuts alpha.

    Parameters
    ----------
    **changes
        Other values for fields of `Protocol`.

    Returns
    -------
    Protocol

    Examples
    --------
    >>> protocol = paper_protocol(seed=3)
    >>> protocol.evaluation_statistics, protocol.adam_step, protocol.seed
    ('batch', 'epoch', 3)
    """
    known: dict[str, Any] = {
        "schedule": Schedule(first=26, every=10),
        "evaluation_statistics": "batch",
        "adam_step": "epoch",
    }
    if unknown := sorted(changes.keys() - {f.name for f in fields(Protocol)}):
        raise InputError("fields of the protocol", unknown, "fields of Protocol")
    return Protocol(**(known | changes))
