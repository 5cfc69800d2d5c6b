"""Sound from files, at the rate and loudness that the cochlea hears."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from cortexsnn.checks import positive, whole
from cortexsnn.datasets.sound.compiling import needed
from cortexsnn.errors import InputError
from cortexsnn.files import existing_file

__all__ = ["LONGEST_S", "SUFFIXES", "Sound", "read", "resampled", "windowed"]

SUFFIXES = (".wav", ".flac", ".ogg")
# One window spans a whole utterance, so anything longer is no utterance; it would also fill the memory.
LONGEST_S = 60.0
_LOWEST_RATE_HZ, _HIGHEST_RATE_HZ = 4_000, 768_000
_SHORTEST_S = 0.005


@dataclass(frozen=True, eq=False)
class Sound:
    """One utterance.

    Parameters
    ----------
    samples : array of float64, shape (sample,)
    rate_hz : int
        Samples per second, 4,000 to 768,000.

    Raises
    ------
    InputError
        If it is shorter than 5 ms or longer than a minute, a sample is not finite, or all samples are the same.

    Examples
    --------
    >>> Sound(np.sin(np.arange(8000)), 16_000).duration_s
    0.5
    >>> Sound(np.zeros(8000), 16_000)
    Traceback (most recent call last):
    ...
    cortexsnn.errors.InputError: range of the samples is 0.0; expected a positive one. this is silence
    """

    samples: NDArray[np.float64]
    rate_hz: int

    def __post_init__(self) -> None:
        rate = whole("rate_hz of the sound", self.rate_hz, _LOWEST_RATE_HZ, "samples per second")
        if rate > _HIGHEST_RATE_HZ:
            raise InputError("rate_hz of the sound", rate, f"at most {_HIGHEST_RATE_HZ} samples per second")
        samples = np.asarray(self.samples)
        if samples.ndim != 1 or samples.dtype.kind not in "iuf":
            raise InputError("samples of the sound", f"{samples.dtype}, shape {samples.shape}", "one row of numbers")
        _check_duration(samples.size / rate)
        samples = samples.astype(np.float64)
        if not np.isfinite(samples).all():
            place = int(np.argmin(np.isfinite(samples)))
            raise InputError(f"sample {place} of the sound", float(samples[place]), "a finite number")
        if not np.ptp(samples):
            raise InputError("range of the samples", 0.0, "a positive one", "this is silence")
        object.__setattr__(self, "samples", samples)

    @property
    def duration_s(self) -> float:
        """Seconds from the first sample to the end of the last."""
        return self.samples.size / self.rate_hz


def _check_duration(duration_s: float) -> None:
    if not _SHORTEST_S <= duration_s <= LONGEST_S:
        raise InputError("duration of the sound in s", duration_s, f"{_SHORTEST_S:g} to {LONGEST_S:g}",
                         "" if duration_s < _SHORTEST_S else "cut recordings into utterances first")  # fmt: skip


def _claims_more(description: str) -> bool:
    """Whether libsndfile's log of a WAV file says that its header promises more data than there are."""
    for line in description.splitlines():
        name, _, rest = line.strip().partition(":")
        if name.strip() == "data" and "should be" in rest:
            claimed, _, there = rest.partition("(should be")
            numbers = [int("".join(filter(str.isdigit, part)) or 0) for part in (claimed, there)]
            return numbers[0] > numbers[1]
    return False


def read(path: str | Path) -> Sound:
    """Read a WAV, FLAC or Ogg file; its channels are averaged.

    Parameters
    ----------
    path : path-like

    Returns
    -------
    Sound
        At the rate of the file.

    Raises
    ------
    InputError
        If it is missing, no sound, cut off, silent, shorter than 5 ms or longer than a minute, or the extra ``audio``
        is not installed.
    """
    soundfile = needed("soundfile")
    checked = existing_file(path, "sound file")
    try:
        with soundfile.SoundFile(checked) as file:
            # The header is believed only in what it admits.
            _check_duration(file.frames / max(file.samplerate, 1))
            claimed, rate, cut = file.frames, file.samplerate, _claims_more(file.extra_info)
            samples = file.read(dtype="float64", always_2d=True)
    except (soundfile.SoundFileError, RuntimeError, OSError) as error:
        raise InputError("sound file", str(checked), "a complete sound file", str(error)) from None
    if cut or len(samples) < claimed:
        raise InputError("sound file", str(checked), "a complete sound file", "it ends before its header says")
    return Sound(samples.mean(axis=1), rate)


def resampled(sound: Sound, rate_hz: int) -> Sound:
    """Band-limited interpolation to another rate.

    Nothing appears above the highest frequency that the sound had: what an ordinary interpolation leaves there would
    excite places of the cochlea that should rest.

    Parameters
    ----------
    sound : Sound
    rate_hz : int

    Returns
    -------
    Sound
        Of the same duration to within a sample.

    Raises
    ------
    InputError
        If the extra ``audio`` is not installed.
    """
    if sound.rate_hz == rate_hz:
        return sound
    return Sound(needed("soxr").resample(sound.samples, sound.rate_hz, rate_hz, quality="VHQ"), rate_hz)


def windowed(samples: ArrayLike, loudness: float) -> NDArray[np.float64]:
    """Scale an utterance to a root mean square, and let it rise and fall by a Hann window that spans all of it.

    Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364.

    Parameters
    ----------
    samples : array, shape (sample,)
        At least two, not all zero.
    loudness : float
        Root mean square before the window is applied.

    Returns
    -------
    numpy.ndarray, shape (sample,)

    Examples
    --------
    >>> windowed([1.0, -1.0, 1.0, -1.0], 0.3).round(3)
    array([ 0.   , -0.225,  0.225, -0.   ])
    """
    values = np.asarray(samples, dtype=np.float64)
    # Squares of very small numbers would be 0.
    values = values / np.abs(values).max()
    root_mean_square = float(np.sqrt(np.mean(np.square(values))))
    positive("loudness", loudness, "a positive number")
    half = values.size // 2
    rise = np.hanning(2 * half)[:half]
    window = np.ones(values.size)
    window[:half], window[values.size - half :] = rise, rise[::-1]
    return values * window * (loudness / root_mean_square)
