"""Families of power spectra: power laws, Lorentzians, knees with any exponent, sampled exponential autocorrelations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["EXPONENTS", "Sampling", "Shape", "sampled_process", "shape_of"]

Values = NDArray[np.float64]
# Steps in a segment and duration of a step in s; None where the model does not depend on them.
Sampling = tuple[int, float] | None


# The search for a knee goes past the fitted frequencies, so that one outside shows itself.
_BELOW, _ABOVE = 1 / 8.0, 4.0
EXPONENTS, _SLOPES = (0.5, 6.0), (0.0, 6.0)
# Logarithm of the floor over the decaying part at the highest frequency. Below, it would make no difference.
_LOG_FLOORS = (-6.0, 30.0)
_KNEES, _EXPONENT_STEPS, _FLOOR_STEPS = 64, 12, 20
_SMALLEST_POWER = 1e-300


@dataclass(frozen=True, eq=False)
class Shape:
    """A family of spectra, up to their level.

    `decaying` maps parameters, shape (curve, parameter), to power, shape (curve, frequency), at one more frequency than
    the others, the highest. If there is a floor, the last parameter is the logarithm of its height over the power
    there, and `white` its shape. `axes` has the lowest and highest value of each parameter, and how many to try.
    """

    decaying: Callable[[Values], Values]
    white: Values
    floor: bool
    axes: tuple[tuple[float, float, int], ...]

    def parts(self, parameters: Values) -> tuple[Values, Values]:
        """Power of the decaying part, shape (curve, frequency), and height of the floor, shape (curve, 1)."""
        power = self.decaying(parameters[:, :-1] if self.floor else parameters)
        height = np.exp(parameters[:, -1:]) * power[:, -1:] if self.floor else np.zeros((len(power), 1))
        return power[:, :-1], height

    def log10(self, parameters: Values) -> Values:
        """log10 of the power for parameters of shape (curve, parameter)."""
        power, height = self.parts(parameters)
        return np.asarray(np.log10(np.maximum(power + height * self.white, _SMALLEST_POWER)))


def shape_of(kind: str, floor: bool, frequency_hz: Values, ends: tuple[float, float], sampling: Sampling) -> Shape:
    """The family `kind` at some of the frequencies of a fit that reaches over the frequencies `ends`."""
    frequency_hz = np.append(frequency_hz, ends[1])
    log_frequency, white = np.log(frequency_hz), np.ones(frequency_hz.size - 1)
    knees = (float(np.log(ends[0] * _BELOW)), float(np.log(ends[1] * _ABOVE)), _KNEES)
    floors = ((*_LOG_FLOORS, _FLOOR_STEPS),) if floor else ()

    def power_law(parameters: Values) -> Values:
        return np.asarray(np.exp(-parameters * (log_frequency - np.log(ends[0]))))

    def lorentzian(parameters: Values) -> Values:
        exponent = parameters[:, 1:] if kind == "knee" else 2.0
        return np.asarray(1.0 / (1.0 + np.exp(exponent * (log_frequency - parameters[:, :1]))))

    if kind == "power_law":
        return Shape(power_law, white, floor, ((*_SLOPES, _EXPONENT_STEPS), *floors))
    if kind == "lorentzian":
        return Shape(lorentzian, white, floor, (knees, *floors))
    if kind == "knee":
        return Shape(lorentzian, white, floor, ((*knees[:2], _KNEES // 2), (*EXPONENTS, _EXPONENT_STEPS), *floors))
    if sampling is not None:
        sampled, white = sampled_process(frequency_hz, *sampling)
        if kind == "ar1":
            return Shape(sampled, white, floor, (knees, *floors))
    return Shape(lambda parameters: np.tile(np.append(white, 1.0), (len(parameters), 1)), white, False, ())


def sampled_process(frequency_hz: Values, steps: int, step_s: float) -> tuple[Callable[[Values], Values], Values]:
    """What Welch's method finds on average for a sampled exponential autocorrelation, and (less the end) white noise.

    x[t] with autocovariance a^|k| has the spectrum (1 - a^2) / |D_j|^2 with D_j = 1 - a exp(-2 pi i j / N), aliasing
    included, but the ends of a segment of N steps do not fit together, and the window mixes the effects of that over
    neighbouring frequencies (Sykulski et al. 2019, https://doi.org/10.1093/biomet/asy071). It can be summed up: the
    transform of x is that of its innovations over D_j, with x[0] - a x[N - 1] as the first innovation, and the window
    adds up three neighbours, of which that at frequency 0 went with the mean. Power is relative to that of the process
    at frequency 0.
    """
    place = np.rint(frequency_hz * steps * step_s).astype(np.int64)
    neighbour = place + np.array([[-1], [0], [1]])
    share = np.where(neighbour == 0, 0.0, np.array([[-0.23], [0.54], [-0.23]]))
    angle = 2 * np.pi * neighbour / steps
    full = 0.54**2 + 2 * 0.23**2

    def power(parameters: Values) -> Values:
        rate = 2 * np.pi * np.exp(parameters) * step_s
        a, last, variance = np.exp(-rate), np.exp(-rate * steps), -np.expm1(-2 * rate)
        total, square, imaginary = np.zeros((3, len(parameters), place.size))
        for part, cosine, sine in zip(share, np.cos(angle), np.sin(angle), strict=True):
            mixed = part / (1.0 + a**2 - 2 * a * cosine)
            total += mixed
            square += part * mixed
            imaginary += a * sine * mixed
        # Real part of the mixture of a exp(-2 pi i j / N) / |D_j|^2.
        real = ((1.0 + a**2) * total - share.sum(axis=0)) / 2
        found = variance * steps * square + 2 * (a**2 - last) * ((total - real) ** 2 + imaginary**2)
        found -= 2 * variance * ((total - real) * (real - last * total) - imaginary**2)
        return np.asarray(found * (1.0 - a) / ((1.0 + a) * steps * full))

    return power, (share[:, :-1] ** 2).sum(axis=0) / full
