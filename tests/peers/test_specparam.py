"""specparam, the successor of fooof: knee timescales of the same spectra agree, and ours are nearer the truth.

Donoghue et al. 2020, https://doi.org/10.1038/s41593-020-00744-x.
"""

import numpy as np
import pytest

specparam = pytest.importorskip("specparam")

from cortexsnn.timescales.knee import fit_knee  # noqa: E402
from cortexsnn.timescales.processes import ornstein_uhlenbeck  # noqa: E402
from cortexsnn.timescales.spectrum import power_spectra  # noqa: E402

RANGE_HZ = (1.0, 125.0)


def spectra(tau_ms, seed, oscillation=0.0):
    """Power of 40 units, 60 s each, and its frequencies."""
    rng = np.random.default_rng(seed)
    values = ornstein_uhlenbeck(tau_ms=tau_ms, trials=1, steps=60_000, neurons=40, dt_ms=1.0, rng=rng)
    values += oscillation * np.sqrt(2) * np.sin(2 * np.pi * 10 * np.arange(60_000) / 1000)[None, :, None]
    found = power_spectra(values, 1.0)
    return found.curves(np.ones((1, found.blocks)))[0], found.frequency_hz


def theirs(power, frequency_hz, **settings):
    """Timescales in ms by specparam, shape (curve,); NaN where it fails or finds a knee below zero."""
    model = specparam.SpectralGroupModel(aperiodic_mode="knee", verbose=False, **settings)
    model.fit(frequency_hz, power, list(RANGE_HZ))
    _, knee, exponent = np.transpose(model.get_params("aperiodic"))
    f_knee_hz = np.where(knee > 0, knee, np.nan) ** (1 / exponent)
    return 1000 / (2 * np.pi * f_knee_hz)


@pytest.mark.parametrize("tau_ms", [5.0, 20.0, 60.0])
def test_clean_spectra_agree_and_ours_are_as_near_the_truth(tau_ms):
    power, frequency_hz = spectra(tau_ms, seed=1)
    peer = theirs(power, frequency_hz, max_n_peaks=0)
    ours = fit_knee(power, frequency_hz, model="knee", range_hz=RANGE_HZ)
    assert (ours.status == "ok").all()
    # The same least squares, but ours gives less weight to what is above the curve.
    np.testing.assert_allclose(ours.tau_ms, peer, rtol=0.1)
    assert ours.tau_ms.mean() == pytest.approx(np.nanmean(peer), rel=0.02)
    error, peers_error = (np.sqrt(np.nanmean((tau / tau_ms - 1) ** 2)) for tau in (ours.tau_ms, peer))
    assert error < 1.1 * peers_error
    exact = fit_knee(power, frequency_hz, model="ar1", step_ms=1.0)
    assert np.sqrt(np.mean((exact.tau_ms / tau_ms - 1) ** 2)) < 0.8 * peers_error


def test_an_oscillation_moves_ours_no_more_than_theirs():
    # specparam fits a Gaussian to the peak; here it loses its weight.
    tau_ms = 20.0
    power, frequency_hz = spectra(tau_ms, seed=2, oscillation=1.0)
    peer = theirs(power, frequency_hz, max_n_peaks=4)
    ours = fit_knee(power, frequency_hz, model="knee", range_hz=RANGE_HZ).tau_ms
    assert abs(ours.mean() / tau_ms - 1) < abs(np.nanmean(peer) / tau_ms - 1) + 0.02
