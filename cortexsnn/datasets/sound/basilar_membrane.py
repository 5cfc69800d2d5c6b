"""How fast the basilar membrane moves at each place of the cochlea: a travelling wave in shallow water.

Cramer et al. 2020, https://doi.org/10.1109/TNNLS.2020.3044364, after the model with shallow water of Sieroka, Dosch &
Rupp 2006, https://doi.org/10.1121/1.2204438. At a distance x from the base the membrane has, per area, a mass m, a
stiffness and a resistance; together, for a time course exp(-i omega t) ::

    xi(x) = C u^2 - a - m omega^2 - i omega R u        u = exp(-alpha x / 2),  R = delta sqrt(C m)

In water of depth h the pressure obeys p'' + g^2 p = 0 with the wave number g = omega / sqrt(h xi). Where g changes
little over a wavelength ::

    p(x) = sqrt(Phi / g) H0(Phi)      Phi(x) = 2 g(0) / alpha + integral of g from 0 to x

with the Hankel function H0 of the first kind. With du = -alpha u dx / 2 the integral is elementary ::

    Phi(x) = 2 g(0) / alpha - 2 i omega / (alpha sqrt(h A)) log(Q(1) / Q(u))
    Q(u) = (2 A + i omega R u + 2 i sqrt(A xi)) / u    A = a + m omega^2

The velocity for a sound of amplitude 1 is 2 omega / xi(x) * p(x) / p(0) * z, where z is the input impedance ::

    z = i sqrt(2 C / h) K0(kappa) / K1(kappa)          kappa = 2 omega / alpha * sqrt(2 / (h C))

with the Hankel functions K of the second kind.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import fft, special

from cortexsnn.checks import not_negative, positive, whole
from cortexsnn.datasets.sound.compiling import compiled
from cortexsnn.errors import InputError

__all__ = ["BasilarMembrane", "MembraneFilter"]

# Tuning of the table of responses (MembraneFilter): with these it is right to 2e-6 of the largest response.
_POINTS = 1024
_HIGHEST_RELATIVE_FREQUENCY = 4.0
_LOWEST_HZ = 1.0


@dataclass(frozen=True)
class BasilarMembrane:
    """The membrane and the water around it, in centimetres, grams and seconds.

    Parameters
    ----------
    channels : int
        Places, evenly spaced; channel 0 is at the base and hears the highest frequency.
    length_cm : float
    stiffness : float
        C at the base, in g / (cm s)^2.
    softness : float
        a, what the stiffness lacks everywhere, in g / (cm s)^2.
    alpha_per_cm : float
        Decay of the stiffness along the membrane.
    mass : float
        m, in g / cm^2.
    damping : float
        delta, dimensionless: 1 over the quality of the resonance.
    depth_cm : float
        Of the water.

    Raises
    ------
    InputError
        If a number is not positive, or the membrane has no stiffness at its end.

    Examples
    --------
    >>> membrane = BasilarMembrane(channels=3)
    >>> membrane.places_cm
    array([0.  , 1.75, 3.5 ])
    >>> membrane.resonance_hz.round()
    array([22508.,  1630.,   110.])
    """

    channels: int = 700
    length_cm: float = 3.5
    stiffness: float = 1e9
    softness: float = 3500.0
    alpha_per_cm: float = 3.0
    mass: float = 0.05
    damping: float = 0.15
    depth_cm: float = 0.1

    def __post_init__(self) -> None:
        whole("channels", self.channels, 1)
        for name in ("length_cm", "stiffness", "alpha_per_cm", "mass", "damping", "depth_cm"):
            positive(f"{name} of the basilar membrane", getattr(self, name), "a positive number")
        at_the_end = self.stiffness * np.exp(-self.alpha_per_cm * self.length_cm)
        if not_negative("softness of the basilar membrane", self.softness) >= at_the_end:
            raise InputError("softness of the basilar membrane", self.softness,
                             f"less than the stiffness {at_the_end:g} that is left at its end")  # fmt: skip

    @property
    def places_cm(self) -> NDArray[np.float64]:
        """Distance of each channel from the base, shape (channel,)."""
        return np.linspace(0.0, self.length_cm, self.channels)

    @property
    def resonance_hz(self) -> NDArray[np.float64]:
        """Frequency at which stiffness and mass of a place balance, shape (channel,)."""
        stiffness = self.stiffness * np.exp(-self.alpha_per_cm * self.places_cm) - self.softness
        return np.asarray(np.sqrt(stiffness / self.mass) / (2 * np.pi))

    def response(self, frequency_hz: ArrayLike, place_cm: ArrayLike) -> NDArray[np.complex128]:
        """Velocity of the membrane for a tone of amplitude 1.

        Parameters
        ----------
        frequency_hz : array of float
            Positive.
        place_cm : array of float
            Distances from the base. Both are broadcast.

        Returns
        -------
        numpy.ndarray of complex128

        Examples
        --------
        >>> membrane = BasilarMembrane()
        >>> abs(membrane.response([800.0, 1600.0, 3200.0], 1.75)).round(1)
        array([ 62.1, 104.5,   0. ])
        """
        return self._of_sound(frequency_hz) * self._of_place(frequency_hz, place_cm)

    def _phase(self, omega: NDArray[np.float64], u: NDArray[np.float64]) -> tuple[NDArray[np.complex128], ...]:
        """Phi, wave number g and impedance xi."""
        offset = self.softness + self.mass * omega**2
        resistance = self.damping * np.sqrt(self.stiffness * self.mass) * omega

        def impedance(u: NDArray[np.float64]) -> NDArray[np.complex128]:
            return self.stiffness * u**2 - offset - 1j * resistance * u

        def log_argument(u: NDArray[np.float64]) -> NDArray[np.complex128]:
            # Both roots have real parts of at least 0, so nothing cancels.
            return (2 * offset + 1j * resistance * u + 2j * np.sqrt(offset) * np.sqrt(impedance(u))) / u

        def wave_number(u: NDArray[np.float64]) -> NDArray[np.complex128]:
            return omega * np.sqrt(1 / (self.depth_cm * impedance(u)))

        base = np.ones_like(u)
        travelled = np.log(log_argument(base) / log_argument(u)) / np.sqrt(self.depth_cm * offset)
        phase = 2 / self.alpha_per_cm * (wave_number(base) - 1j * omega * travelled)
        return phase, wave_number(u), impedance(u)

    def _of_place(self, frequency_hz: ArrayLike, place_cm: ArrayLike) -> NDArray[np.complex128]:
        """The part of the response that depends on the place, without the pressure at the base."""
        omega = 2 * np.pi * np.asarray(frequency_hz, dtype=np.float64)
        omega, u = np.broadcast_arrays(omega, np.exp(-self.alpha_per_cm / 2 * np.asarray(place_cm, dtype=np.float64)))
        phase, number, impedance = self._phase(omega, u)
        start, _, _ = self._phase(omega, np.ones_like(u))
        # Scaled functions and the difference of the exponents: far from the base, exp(-Im Phi) is too small by itself.
        ratio = special.hankel1e(0, phase) / special.hankel1e(0, start) * np.exp(1j * (phase - start))
        return np.asarray(ratio * np.sqrt(phase / number) / impedance)

    def _of_sound(self, frequency_hz: ArrayLike) -> NDArray[np.complex128]:
        """The part of the response that depends on the frequency only."""
        omega = 2 * np.pi * np.asarray(frequency_hz, dtype=np.float64)
        kappa = 2 * omega / self.alpha_per_cm * np.sqrt(2 / (self.depth_cm * self.stiffness))
        impedance = 1j * np.sqrt(2 * self.stiffness / self.depth_cm) * special.hankel2(0, kappa)
        # At the base Phi / g is 2 / alpha.
        return np.asarray(2 * omega * impedance / special.hankel2(1, kappa) / np.sqrt(2 / self.alpha_per_cm))


def _interpolate(spectrum, table, first_point, step_points, found):  # type: ignore[no-untyped-def]
    """Spectra of the real parts of one-sided spectra: the sound's times each channel's, which is read off a table.

    Cubic interpolation between points 0, 1, 2, ... of the table, asked for at first_point + k * step_points. Beyond the
    table the response is 0.
    """
    channels, points = table.shape
    frequencies = spectrum.size
    product = np.empty(frequencies, dtype=np.complex128)
    for channel in range(channels):
        product[:] = 0.0
        for k in range(frequencies):
            position = first_point + k * step_points[channel]
            if position > points - 1 + 1e-6:  # rounding must not cost the last point
                break
            left = min(max(int(position) - 1, 0), points - 4)
            t = position - left
            # Lagrange's polynomials for the points 0, 1, 2, 3.
            a, b, c = t - 1.0, t - 2.0, t - 3.0
            value = (
                table[channel, left] * (-a * b * c / 6.0)
                + table[channel, left + 1] * (t * b * c / 2.0)
                + table[channel, left + 2] * (-t * a * c / 2.0)
                + table[channel, left + 3] * (t * a * b / 6.0)
            )
            product[k] = spectrum[k] * value
        found[channel, 0] = product[0].real
        for k in range(1, found.shape[1]):
            found[channel, k] = (product[k] + product[frequencies - k].conjugate()) / 2.0


class MembraneFilter:
    """The membrane's answer to any sound of one rate, with the costly functions taken from a table.

    Parameters
    ----------
    membrane : BasilarMembrane
    rate_hz : int
        Of the sound.

    Notes
    -----
    The spectrum is taken as in the reference implementation of the authors of the Spiking Heidelberg Digits, so that
    spikes are alike: of the n frequencies of the sound the n // 2 + 1 from 0 to half the rate are kept, and stand for 1
    Hz to half the rate; what is transformed back has that many samples, so half the rate, and its real part is the
    velocity. The transform's time course is exp(+i omega t), so the wave's travel time is subtracted where nature adds
    it: apical channels lead. Both are the same everywhere in a data set.

    The response is computed at 1,024 frequencies of each channel, up to 4 times its resonance, where it has fallen to a
    millionth, and interpolated between them.
    """

    def __init__(self, membrane: BasilarMembrane, rate_hz: int) -> None:
        self.membrane = membrane
        self.rate_hz = rate_hz
        highest_hz = np.minimum(_HIGHEST_RELATIVE_FREQUENCY * membrane.resonance_hz, rate_hz // 2)
        self._spacing_hz = (highest_hz - _LOWEST_HZ) / (_POINTS - 1)
        self._table = np.empty((membrane.channels, _POINTS), dtype=np.complex128)
        for channel, place_cm in enumerate(membrane.places_cm):
            frequency_hz = np.linspace(_LOWEST_HZ, highest_hz[channel], _POINTS)
            self._table[channel] = membrane._of_place(frequency_hz, place_cm)

    @property
    def velocity_rate_hz(self) -> int:
        """Samples per second of the velocity: half of those of the sound."""
        return self.rate_hz // 2

    def spectrum(self, samples: ArrayLike) -> NDArray[np.complex128]:
        """What all channels share: the sound's spectrum times the response that does not depend on the place.

        Parameters
        ----------
        samples : array, shape (sample,)
            At least 8.

        Returns
        -------
        numpy.ndarray of complex128, shape (samples // 2 + 1,)
        """
        values = np.asarray(samples, dtype=np.float64)
        frequencies = values.size // 2 + 1
        frequency_hz = np.linspace(_LOWEST_HZ, self.rate_hz // 2, frequencies)
        return np.asarray(fft.rfft(values) * self.membrane._of_sound(frequency_hz))

    def velocity(self, spectrum: NDArray[np.complex128], channels: slice = slice(None)) -> NDArray[np.float64]:
        """Velocity of some channels.

        Parameters
        ----------
        spectrum : array of complex128, shape (frequency,)
            What `spectrum` returned.
        channels : slice

        Returns
        -------
        numpy.ndarray, shape (channel, frequency)
            As many samples as there are frequencies, at half the rate of the sound.
        """
        table = self._table[channels]
        step_hz = (self.rate_hz // 2 - _LOWEST_HZ) / (spectrum.size - 1)
        # The real part of a one-sided transform is the whole transform of what is symmetric in it: half the work.
        symmetric = np.empty((len(table), spectrum.size // 2 + 1), dtype=np.complex128)
        _interpolated(spectrum, table, 0.0, step_hz / self._spacing_hz[channels], symmetric)
        return np.asarray(fft.irfft(symmetric, n=spectrum.size, axis=1, overwrite_x=True))


_interpolated = compiled(_interpolate)
