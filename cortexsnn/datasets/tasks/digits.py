"""Handwritten digits as spikes: at once, as the static control, or as a sequence of rows or pixels.

The 1,797 images of 8 x 8 pixels that come with scikit-learn are the test part of the Optical Recognition of
Handwritten Digits (Alpaydin & Kaynak 1998, https://doi.org/10.24432/C50P49): no download. Each pixel has one spike,
the sooner the brighter. Shown at once, an image has no structure in time that memory could serve, and a hierarchy of
timescales should be of no use (Moro et al. 2024, https://doi.org/10.48550/arXiv.2407.18838). Shown pixel by pixel (Le,
Jaitly & Hinton 2015, https://doi.org/10.48550/arXiv.1504.00941), it has to be remembered to its end.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import choice, positive, whole
from cortexsnn.datasets.dataset import Dataset, Split
from cortexsnn.datasets.tasks.trials import check_size, whole_steps
from cortexsnn.errors import InputError

__all__ = ["encode", "load"]

CLASSES = 10
SIDE = 8
BRIGHTEST = 16
# Moro et al. 2024: 20 ln(x / (x - 0.2)) of 50 steps.
THRESHOLD = 0.2
LATENCY_OF_SLOT = 0.4
SLOT_MS = {"static": 500.0, "rows": 100.0, "pixels": 50.0}
SLOTS = {"static": 1, "rows": SIDE, "pixels": SIDE * SIDE}


def encode(images: ArrayLike, *, order: str = "static", slot_steps: int = 50) -> NDArray[np.uint8]:
    """Turn pixels into spikes: one for each pixel, at a latency that falls with its intensity.

    The latency of a pixel of intensity x, from 0 to 1, is that of a leaky integrator with a constant drive x and a
    threshold of 0.2, in a slot of so many steps ::

        T = 0.4 slot_steps ln(x / (x - 0.2))

    rounded down. Pixels of 0.2 or less are silent. The slots follow one another.

    Parameters
    ----------
    images : array, shape (trial, 8, 8)
        Intensities from 0 to 16.
    order : {"static", "rows", "pixels"}
        ``"static"``: all pixels in one slot, 64 channels. ``"rows"``: 8 slots, one for each row from the top, and 8
        channels. ``"pixels"``: 64 slots, row by row from the top left, and one channel.
    slot_steps : int
        Time steps of a slot.

    Returns
    -------
    numpy.ndarray of uint8, shape (trial, time, channel)

    Raises
    ------
    InputError
        If the images have another shape or intensities out of range, or the counts exceed 8 GiB.

    Examples
    --------
    >>> image = np.zeros((1, 8, 8))
    >>> image[0, 2, 5] = 16
    >>> np.argwhere(encode(image, order="rows", slot_steps=50))  # step 4 of the third slot
    array([[  0, 104,   5]])
    """
    choice("order", order, SLOTS)
    whole("slot_steps", slot_steps, 1)
    try:
        intensity = np.asarray(images, dtype=np.float64)
    except (TypeError, ValueError):
        raise InputError("images", images, f"numbers, shape (trial, {SIDE}, {SIDE})") from None
    if intensity.ndim != 3 or intensity.shape[1:] != (SIDE, SIDE):
        raise InputError("shape of images", intensity.shape, f"(trial, {SIDE}, {SIDE})")
    if not np.all((intensity >= 0) & (intensity <= BRIGHTEST)):
        raise InputError("intensities of images", (intensity.min(), intensity.max()), f"0 to {BRIGHTEST}")
    intensity = intensity / BRIGHTEST
    steps, channels = SLOTS[order] * slot_steps, SIDE * SIDE // SLOTS[order]
    check_size(len(intensity), steps, channels)
    trial, row, column = np.nonzero(intensity > THRESHOLD)
    bright = intensity[trial, row, column]
    latency = LATENCY_OF_SLOT * slot_steps * np.log(bright / (bright - THRESHOLD))
    # The darkest pixels of images other than these may come too late for their slot.
    step = np.minimum(latency, slot_steps - 1).astype(np.int64)
    slot, channel = np.divmod(SIDE * row + column, channels)
    counts = np.zeros((len(intensity), steps, channels), dtype=np.uint8)
    counts[trial, slot * slot_steps + step, channel] = 1
    return counts


def _images() -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    try:
        datasets: Any = importlib.import_module("sklearn.datasets")
    except ModuleNotFoundError:
        raise InputError("data set", "digits", "the package scikit-learn, which has the images",
                         "pip install 'cortexsnn[digits]'") from None  # fmt: skip
    bundled = datasets.load_digits()
    return bundled.images, bundled.target.astype(np.int64)


def _stratified_order(labels: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Random order of the trials in which every stretch has the classes in nearly their proportions."""
    place = np.empty(len(labels))
    for label in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == label))
        place[members] = (np.arange(members.size) + rng.random(members.size)) / members.size
    return np.argsort(place, kind="stable")


def load(
    *,
    seed: int = 0,
    train: int = 1_079,
    validation: int = 359,
    test: int = 359,
    order: str = "static",
    slot_ms: float | None = None,
    dt_ms: float = 10.0,
) -> Dataset:
    """Handwritten digits as spikes; needs scikit-learn, which has the images.

    Parameters
    ----------
    seed : int
        Of the split, which is random and stratified: every class has nearly the same share in all three parts. The
        test split depends on the seed and its own size alone.
    train, validation, test : int
        Number of images; 1,797 at most, all of them by default.
    order : {"static", "rows", "pixels"}
        See `encode`.
    slot_ms : float, optional
        Duration of a slot; 500 ms (the whole image), 100 ms (a row) or 50 ms (a pixel) by default.
    dt_ms : float
        Time step.

    Returns
    -------
    Dataset
        ``description["timescales_ms"]`` has the duration of a slot and of the image: the first slot has to be
        remembered to the end of the last.

    Raises
    ------
    InputError
        If there are not so many images, or scikit-learn is missing.

    Examples
    --------
    >>> dataset = load(order="rows")  # doctest: +SKIP
    >>> dataset.train.counts.shape, dataset.description["timescales_ms"]  # doctest: +SKIP
    ((1079, 80, 8), {'slot': 100.0, 'image': 800.0})
    """
    choice("order", order, SLOTS)
    dt = float(positive("dt_ms", dt_ms, "a positive number of milliseconds"))
    slot = SLOT_MS[order] if slot_ms is None else slot_ms
    slot_steps = whole_steps("slot_ms", slot, dt)
    sizes = {"train": train, "validation": validation, "test": test}
    for name, size in sizes.items():
        whole(name, size, 1)
    images, labels = _images()
    if sum(sizes.values()) > len(labels):
        raise InputError("train, validation and test", tuple(sizes.values()), f"{len(labels)} images at most in all")
    chosen = _stratified_order(labels, np.random.default_rng(whole("seed", seed, 0)))
    parts = np.split(chosen, np.cumsum([test, validation, train]))[:3]
    tested, validated, trained = (
        Split(encode(images[part], order=order, slot_steps=slot_steps), labels[part]) for part in parts
    )
    return Dataset(
        "digits",
        dt / 1000,
        CLASSES,
        "sum_of_softmax",
        trained,
        validated,
        tested,
        description={
            "name": "digits",
            "seed": seed,
            **sizes,
            "order": order,
            "slot_ms": float(slot),
            "dt_ms": dt,
            "timescales_ms": {"slot": float(slot), "image": SLOTS[order] * float(slot)},
        },
    )
