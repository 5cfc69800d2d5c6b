"""A training run in plain values: what a settings file, the command line and a sweep describe it by.

An `Experiment` knows time constants as a hierarchy over depth, not layer by layer, so that one number can be varied.
Times are in milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from cortexsnn import datasets, hierarchy, training
from cortexsnn.checks import choice, whole
from cortexsnn.datasets import Dataset
from cortexsnn.datasets.augmentation import AUGMENTATIONS, Augmentation
from cortexsnn.errors import InputError
from cortexsnn.training import Architecture, Layer, LearnedTau, Protocol, Surrogate

Described = TypeVar("Described")

# Those of the initial values and of every step together, https://doi.org/10.48550/arXiv.2407.18838
_ALPHA_BOUNDS_OF_THE_PAPER = (0.1, 0.98)

__all__ = ["Convolution", "Experiment", "Shape", "TimeConstants", "changed", "run"]


@dataclass(frozen=True)
class TimeConstants:
    """Membrane time constants over depth and within layers.

    Parameters
    ----------
    profile : str
        One of `cortexsnn.hierarchy.PROFILES`.
    tau_ms, span_ms : float
        Mean over layers, and last minus first.
    centre, steepness : float
        Of the profile ``"tanh"``.
    shuffle_seed : int
        Of the profile ``"shuffled"``.
    distribution, spread
        Differences within a layer, see `cortexsnn.hierarchy.draw_time_constants`.
    learned : {"no", "neuron", "layer"}
        Whether they are learned, from these values on, and what has one of its own.
    low_ms, high_ms : float
        Bounds of learned time constants.
    """

    profile: str = "linear"
    tau_ms: float = 300.0
    span_ms: float = 500.0
    centre: float = 0.5
    steepness: float = 0.5
    shuffle_seed: int = 0
    distribution: str = "none"
    spread: float = 0.0
    learned: str = "no"
    low_ms: float = 2.0
    high_ms: float = 2000.0

    def of_layers(self, layers: int) -> list[float]:
        """Time constant of every layer in seconds."""
        shape: dict[str, Any] = {}
        if self.profile == "tanh":
            shape = {"centre": self.centre, "steepness": self.steepness}
        elif self.profile == "shuffled":
            shape = {"seed": self.shuffle_seed}
        tau_ms = hierarchy.profile(self.profile, layers, self.tau_ms, self.span_ms, **shape)
        return [float(tau) / 1000 for tau in tau_ms]

    def learning(self) -> LearnedTau | None:
        """How they are learned."""
        if self.learned not in ("no", "neuron", "layer"):
            raise InputError("learned of the time constants", self.learned, "'no', 'neuron' or 'layer'")
        return None if self.learned == "no" else LearnedTau(self.learned, self.low_ms / 1000, self.high_ms / 1000)


@dataclass(frozen=True)
class Convolution:
    """Kernel sizes and dilations over depth (`cortexsnn.hierarchy.kernel_sizes`, `cortexsnn.hierarchy.dilations`).

    Parameters
    ----------
    kernel_size, kernel_span : int
        Mean over layers, and last minus first. A kernel of 1 is an ordinary dense connection.
    dilation, dilation_span : int
        Likewise, in steps between taps.
    profile : {"linear", "exponential"}
        ``"exponential"`` doubles the dilation from layer to layer, beginning with 1, whatever `dilation` says.
    """

    kernel_size: int = 1
    kernel_span: int = 0
    dilation: int = 1
    dilation_span: int = 0
    profile: str = "linear"

    def of_layers(self, layers: int) -> dict[str, tuple[int, ...]]:
        """Kernel size and dilation of every layer."""
        if self.profile == "exponential":
            steps = hierarchy.exponential_dilations(layers)
        elif self.profile == "linear":
            steps = hierarchy.dilations(layers, self.dilation, self.dilation_span)
        else:
            raise InputError("profile of the convolution", self.profile, "'linear' or 'exponential'")
        return {"kernel_size": hierarchy.kernel_sizes(layers, self.kernel_size, self.kernel_span), "dilation": steps}


@dataclass(frozen=True)
class Shape:
    """What the network is, but for its hierarchies.

    Parameters
    ----------
    layers, width : int
        Hidden layers and neurons of each.
    readout_tau_ms : float
    dropout : float
    surrogate : str
    surrogate_width : float
    recurrent, self_connections : bool
    reset : str
    adaptation_strength, adaptation_tau_ms : float
        As in `cortexsnn.training.Layer`.
    weight_bounds, alpha_bounds
        As in `cortexsnn.training.Architecture`; with the protocol ``"paper"``, alpha is cut to 0.1 to 0.98 unless
        bounds are given.
    """

    layers: int = 4
    width: int = 32
    readout_tau_ms: float = 50.0
    dropout: float = 0.1
    surrogate: str = "box"
    surrogate_width: float = 1.0
    recurrent: bool = False
    self_connections: bool = False
    reset: str = "subtract"
    adaptation_strength: float = 0.0
    adaptation_tau_ms: float = 200.0
    weight_bounds: tuple[float, ...] | None = None
    alpha_bounds: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Experiment:
    """Data, network, hierarchies, protocol and seed of a training run.

    Parameters
    ----------
    data : mapping
        ``name`` as in `cortexsnn.datasets.load`, and its other options.
    network : Shape
    hierarchy : TimeConstants
    convolution : Convolution
    protocol : mapping
        ``name`` is ``"default"`` or ``"paper"``; the rest are fields of `cortexsnn.training.Protocol`.
        ``augmentation`` is a table with ``kind`` (``"channel_shift"`` if it is left out, ``"time_jitter"``,
        ``"spike_dropout"`` or ``"background_noise"``) and its numbers, or a list of such tables.
    seed : int
        Of the data, unless they name their own, and of training.
    test : bool
        Whether the test split is looked at, at the end; not while settings are chosen by validation.

    Examples
    --------
    >>> experiment = Experiment.described({"network": {"layers": 2}, "hierarchy": {"span_ms": 400}, "seed": 3})
    >>> experiment.hierarchy.of_layers(2), experiment.training_protocol().seed
    ([0.1, 0.5], 3)
    """

    data: Mapping[str, Any] = field(default_factory=lambda: {"name": "mts_xor"})
    network: Shape = field(default_factory=Shape)
    hierarchy: TimeConstants = field(default_factory=TimeConstants)
    convolution: Convolution = field(default_factory=Convolution)
    protocol: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    test: bool = True

    @classmethod
    def described(cls, values: Mapping[str, Any]) -> Experiment:
        """An experiment from nested plain values, as read from TOML or JSON; the rest has its default."""
        return changed(cls(), values)

    def dataset(self) -> Dataset:
        """Load the data."""
        self.check()
        options = {"seed": self.seed, **self.data}
        name = options.pop("name", "mts_xor")
        try:
            return datasets.load(name, **options)
        except TypeError as error:
            raise InputError("data of the experiment", dict(self.data), f"options of {name}", str(error)) from None

    def layers(self) -> tuple[Layer, ...]:
        """Lay out the hidden layers."""
        shape = self.network
        return training.stack(
            (shape.width,) * shape.layers,
            self.hierarchy.of_layers(shape.layers),
            tau_distribution=self.hierarchy.distribution,
            tau_spread=self.hierarchy.spread,
            learned_tau=self.hierarchy.learning(),
            recurrent=shape.recurrent,
            self_connections=shape.self_connections,
            reset=shape.reset,
            adaptation_strength=shape.adaptation_strength,
            adaptation_tau_s=shape.adaptation_tau_ms / 1000,
            **self.convolution.of_layers(shape.layers),
        )

    def architecture(self, dataset: Dataset) -> Architecture:
        """Lay out the network for these data."""
        return self._network(dataset.channels, dataset.classes, dataset.dt_s)

    def check(self) -> None:
        """Raise an `InputError` if anything cannot be used that can be judged without the data."""
        whole("seed", self.seed, 0)
        self._network(channels=1, classes=1, dt_s=0.001)
        self.training_protocol()

    def _network(self, channels: int, classes: int, dt_s: float) -> Architecture:
        shape = self.network
        alpha_bounds = shape.alpha_bounds
        if alpha_bounds is None and self.protocol.get("name") == "paper":
            alpha_bounds = _ALPHA_BOUNDS_OF_THE_PAPER
        return Architecture(
            channels,
            classes,
            self.layers(),
            readout_tau_s=shape.readout_tau_ms / 1000,
            dt_s=dt_s,
            dropout=shape.dropout,
            surrogate=Surrogate(shape.surrogate, shape.surrogate_width),
            weight_bounds=shape.weight_bounds,
            alpha_bounds=alpha_bounds,  # type: ignore[arg-type]
        )

    def training_protocol(self) -> Protocol:
        """The protocol with its seed."""
        values = dict(self.protocol)
        name = values.pop("name", "default")
        if "seed" in values:
            raise InputError("seed of the protocol", values["seed"], "nothing here", "seed belongs to the experiment")
        if name not in ("default", "paper"):
            raise InputError("name of the protocol", name, "'default' or 'paper'")
        base = training.paper_protocol(seed=self.seed) if name == "paper" else Protocol(seed=self.seed)
        if "augmentation" in values:
            base = replace(base, augmentation=_augmentation(values.pop("augmentation"), "protocol.augmentation"))
        return changed(base, values, "protocol")


def _augmentation(given: Any, where: str) -> Augmentation | tuple[Augmentation, ...] | None:
    """One augmentation from a table, several from a list of tables."""
    if isinstance(given, list | tuple):
        return tuple(_one_augmentation(one, f"{where}[{place}]") for place, one in enumerate(given))
    return None if given is None else _one_augmentation(given, where)


def _one_augmentation(given: Any, where: str) -> Augmentation:
    if not isinstance(given, Mapping):
        raise InputError(where, given, "a table of names and values")
    values = dict(given)
    kind = values.pop("kind", "channel_shift")
    choice(f"{where}.kind", kind, AUGMENTATIONS)
    return changed(AUGMENTATIONS[kind](), values, where)


def _value(given: Any, before: Any, where: str) -> Any:
    """One value of a description, of the kind that stood there before."""
    if is_dataclass(before) or isinstance(before, Mapping):
        if not isinstance(given, Mapping):
            raise InputError(where, given, "a table of names and values")
        return dict(given) if isinstance(before, Mapping) else changed(before, given, where)
    kinds = {bool: "true or false", int: "a whole number", float: "a number", str: "a word"}
    kind = type(before)
    if kind in kinds:
        right = isinstance(given, int | float) if kind is float else isinstance(given, kind)
        if not right or (kind is not bool and isinstance(given, bool)):
            raise InputError(where, given, kinds[kind])
        return kind(given)
    return tuple(given) if isinstance(given, list | tuple) else given


def changed(base: Described, values: Mapping[str, Any], where: str = "experiment") -> Described:
    """A frozen description with some values changed; groups of values may be nested.

    Parameters
    ----------
    base : dataclass
    values : mapping
        As read from TOML or JSON.
    where : str
        What to call it in errors.

    Returns
    -------
    dataclass
        Of the type of `base`.

    Raises
    ------
    InputError
        If a name is unknown or a value of the wrong kind.

    Examples
    --------
    >>> changed(Experiment(), {"convolution": {"kernel_size": 5, "kernel_span": 3}}).convolution.of_layers(2)
    {'kernel_size': (3, 6), 'dilation': (1, 1)}
    >>> changed(Experiment(), {"hierarchy": {"tau": 300}})
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: hierarchy.tau is 300; expected one of profile, tau_ms, span_ms, ...
    """
    if not isinstance(values, Mapping):
        raise InputError(where, values, "a table of names and values")
    known = [f.name for f in fields(base)]  # type: ignore[arg-type]
    changes = {}
    for name, given in values.items():
        path = name if where == "experiment" else f"{where}.{name}"
        if name not in known:
            raise InputError(path, given, f"one of {', '.join(known)}")
        changes[name] = _value(given, getattr(base, name), path)
    return replace(base, **changes)  # type: ignore[type-var]


def run(description: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Train one experiment in a folder, and sum it up; what a sweep calls.

    A run that finds its own checkpoint in the folder goes on from it.

    Parameters
    ----------
    description : mapping
        Of an `Experiment`.
    folder : path

    Returns
    -------
    dict
        Accuracies, number of weights, epochs, and for each layer the median membrane time constant and the effective
        memory after training; what is still wrong at the end in ``findings``.
    """
    import torch

    torch.set_num_threads(1)
    experiment = Experiment.described(description)
    dataset = experiment.dataset()
    architecture = experiment.architecture(dataset)
    fit = training.fit(
        dataset, architecture, experiment.training_protocol(), folder=folder, test=experiment.test, progress=False
    )
    figures = ("test_accuracy", "test_accuracy_before_folding", "validation_accuracy",
               "validation_accuracy_after_folding", "memoryless_control_accuracy", "best_epoch")  # fmt: skip
    return {
        **{name: fit.network.metadata[name] for name in figures if name in fit.network.metadata},
        "epochs": len(fit.history),
        "weights": sum(int(projection.weight.size) for projection in fit.network.projections),
        "tau_median_ms": [1000 * float(np.median(population.tau_s)) for population in fit.network.hidden],
        "effective_memory_ms": [1000 * fit.network.effective_memory_s(p.name) for p in fit.network.hidden],
        "active_percent": fit.history[fit.network.metadata["best_epoch"] - 1]["active_percent"],
        "findings": "; ".join(f["message"] for f in fit.network.metadata["findings"] if f["holds_at_the_end"]),
    }
