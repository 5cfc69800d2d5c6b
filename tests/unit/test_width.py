"""Widths of exact curves are right to the bin, noise and short records have a status, and biases are as documented."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import fft

from cortexsnn.errors import InputError
from cortexsnn.timescales.processes import ornstein_uhlenbeck, ou_poisson_counts, white_poisson_counts
from cortexsnn.timescales.width import MEASURES, width

LAG = np.arange(1, 201)
WITH_TAU = [measure for measure in MEASURES if measure != "acw0"]


def autocovariance(values, lags):
    """Of values of shape (time, unit) at lags 0 to `lags`, shape (unit, lag)."""
    centred = values - values.mean(axis=0)
    length = len(values)
    size = fft.next_fast_len(length + lags)
    products = fft.irfft(np.abs(fft.rfft(centred, size, axis=0)) ** 2, size, axis=0)[: lags + 1]
    return (products / (length - np.arange(lags + 1))[:, None]).T


@pytest.mark.parametrize("zero_lag", ["one", "extrapolated"])
@pytest.mark.parametrize("measure", WITH_TAU)
@given(tau_in_bins=st.floats(2.0, 39.0), bin_ms=st.floats(0.1, 100.0), scale=st.sampled_from([-0.03, 0.2, 50.0]))
def test_an_exponential_has_its_tau_for_any_bin(measure, zero_lag, tau_in_bins, bin_ms, scale):
    curves = (1.0 if zero_lag == "one" else scale) * np.exp(-LAG / tau_in_bins)[None]
    found = width(curves, bin_ms, measure=measure, zero_lag=zero_lag)
    assert found.tau_ms[0] == pytest.approx(tau_in_bins * bin_ms, rel=0.006)
    assert found.zero_lag[0] == pytest.approx(1.0 if zero_lag == "one" else scale, rel=1e-3)
    assert found.status[0] == "ok"


@pytest.mark.parametrize("measure", WITH_TAU)
def test_what_each_measure_is(measure):
    # tau = 20 ms in bins of 5 ms.
    found = width(np.exp(-LAG / 4.0)[None], 5.0, measure=measure)
    expected = {
        "integral": 20.0,
        "sum": 5.0 / np.expm1(0.25),
        "acw50": 20.0 * np.log(2.0),
        "decay": 20.0,
    }[measure]
    assert found.value_ms[0] == pytest.approx(expected, rel=1e-3)
    assert found.tau_ms[0] == pytest.approx(20.0, rel=1e-3)


@pytest.mark.parametrize("measure", WITH_TAU)
@pytest.mark.parametrize("bin_ms", [1.0, 2.0, 4.0])
def test_gamma_renewal_of_shape_2(measure, bin_ms):
    # Its autocovariance -nu^2 exp(-4 nu |t|) is negative: tau = 1 / (4 nu).
    rate = 0.02
    found = width(-(rate**2) * np.exp(-4 * rate * bin_ms * LAG)[None], bin_ms, measure=measure, zero_lag="extrapolated")
    assert found.tau_ms[0] == pytest.approx(1 / (4 * rate), rel=2e-3)
    assert found.zero_lag[0] == pytest.approx(-(rate**2), rel=1e-3)


def test_integral_of_other_shapes():
    # Two exponentials have products of both; a Gaussian has no corner at lag 0 that the trapezoid rule would miss.
    both = 0.4 * np.exp(-LAG / 5.0) + 0.6 * np.exp(-LAG / 40.0)
    expected = 2 * (0.4**2 * 5 / 2 + 0.6**2 * 40 / 2 + 2 * 0.4 * 0.6 / (1 / 5 + 1 / 40))
    assert width(both[None], 1.0).value_ms[0] == pytest.approx(expected, rel=1e-3)
    gaussian = np.exp(-((LAG / 20.0) ** 2))
    assert width(gaussian[None], 1.0).value_ms[0] == pytest.approx(20 * np.sqrt(np.pi / 2), rel=1e-6)


def test_crossings_lie_between_lags():
    # A straight line from 1 at lag 0 to -1 at lag 8 is 0 at lag 4; a cosine of period 40 at lag 10.
    line = 1 - LAG[:8] / 4.0
    assert width(line[None], 2.0, measure="acw0").value_ms[0] == pytest.approx(8.0)
    cosine = width(np.cos(2 * np.pi * LAG / 40.0)[None], 1.0, measure="acw0")
    assert cosine.value_ms[0] == pytest.approx(10.0, abs=1e-3)
    assert np.isnan(cosine.tau_ms[0])
    # A drop below 0 within one bin has no logarithm to interpolate.
    dropped = width(np.array([[-1.0, 0.0, 0.0]]), 1.0, measure="acw50")
    assert dropped.value_ms[0] == pytest.approx(0.25)


def test_sum_ends_before_the_first_lag_that_is_not_positive():
    curves = np.array([[0.5, 0.25, -0.1, 0.9], [0.5, 0.25, 0.0, 0.9], [-0.1, 0.5, 0.5, 0.5]])
    found = width(curves, 10.0, measure="sum")
    np.testing.assert_allclose(found.value_ms, [7.5, 7.5, np.nan])
    assert found.status[2] == "no_decay"


@pytest.mark.parametrize("measure", MEASURES)
def test_a_curve_that_does_not_fall_within_its_lags(measure):
    found = width(np.stack([np.ones(50), np.full(50, 0.9)]), 1.0, measure=measure)
    assert found.status.tolist() == ["no_decay"] * 2
    assert np.isnan(found.value_ms).all()


@pytest.mark.parametrize("measure", ["integral", "sum"])
def test_lags_of_less_than_5_tau_are_too_short(measure):
    found = width(np.exp(-LAG / np.array([[38.0], [42.0], [80.0]])), 1.0, measure=measure)
    assert found.status.tolist() == ["ok", "too_short", "too_short"]
    assert np.isfinite(found.tau_ms).all()


def test_gaps_are_bridged_and_a_curve_without_lags_has_a_status():
    curves = np.tile(np.exp(-LAG / 10.0), (4, 1))
    curves[0, [0, 4, 30]] = np.nan
    curves[1, 100:] = np.nan
    curves[2] = np.nan
    curves[3, 2:] = np.nan
    for measure in WITH_TAU:
        for zero_lag in ("one", "extrapolated"):
            found = width(curves, 1.0, measure=measure, zero_lag=zero_lag)
            np.testing.assert_allclose(found.tau_ms[:2], 10.0, rtol=0.02)
            assert found.status.tolist() == ["ok", "ok", "no_variance", "no_variance"]
            assert np.isnan(found.tau_ms[2:]).all()


def test_only_the_first_lags_tell_the_value_at_lag_0():
    # A slow second decay, or whatever comes later, does not pull it.
    curves = np.tile(np.exp(-LAG / 4.0), (2, 1))
    curves[1, 10:] += 0.5
    np.testing.assert_allclose(width(curves, 1.0, zero_lag="extrapolated").zero_lag, 1.0, rtol=1e-6)


def test_silence_extrapolated_has_no_variance():
    found = width(np.zeros((1, 20)), 1.0, zero_lag="extrapolated")
    assert found.status.tolist() == ["no_variance"]


def test_variance_takes_the_noise_from_the_integral():
    # The integral of 400 lags of noise of variance v is 2 x 400 v too large; that of its curve's own noise is known.
    rng = np.random.default_rng(1)
    lag = np.arange(1, 401)
    curves = np.exp(-lag / 10.0) + 0.05 * rng.standard_normal((200, 400))
    biased = width(curves, 1.0).value_ms.mean()
    assert biased == pytest.approx(10.0 + 2 * 400 * 0.05**2, rel=0.03)
    for variance in (0.05**2, np.full(400, 0.05**2), np.full((200, 400), 0.05**2)):
        assert width(curves, 1.0, variance=variance).value_ms.mean() == pytest.approx(10.0, rel=0.02)
    # The same in units of an extrapolated value at lag 0.
    scaled = width(3 * curves, 1.0, zero_lag="extrapolated", variance=9 * 0.05**2)
    assert np.median(scaled.value_ms) == pytest.approx(10.0, rel=0.05)


def test_sampled_process_is_biased_as_documented():
    # 60 s: the noise of the squares up to 1 s adds 2 x 1 s / 60 s; the rest loses some 5 % to the estimated mean.
    rng = np.random.default_rng(2)
    values = ornstein_uhlenbeck(tau_ms=20.0, trials=1, steps=60_000, neurons=60, dt_ms=1.0, rng=rng)[0]
    found = autocovariance(values, 1000)
    curves = found[:, 1:] / found[:, :1]
    integral = width(curves, 1.0).tau_ms.mean() / 20.0
    assert integral == pytest.approx(1 + 2 * 1.0 / 60.0, abs=0.015)
    assert width(curves, 1.0, variance=curves.var(axis=0)).tau_ms.mean() == pytest.approx(20.0, rel=0.02)
    for measure, tolerance in (("acw50", 0.02), ("decay", 0.02), ("sum", 0.04)):
        assert width(curves, 1.0, measure=measure).tau_ms.mean() == pytest.approx(20.0, rel=tolerance)


def test_spike_counts_of_many_neurons():
    # Mean autocovariance of 60 neurons of 5 min: a tenth of the variance is the rate's, the rest stays at lag 0.
    rng = np.random.default_rng(3)
    counts = ou_poisson_counts(tau_ms=50.0, trials=1, bins=60_000, neurons=60, bin_ms=5.0, dt_ms=5.0, rng=rng)[0]
    curves = autocovariance(counts.astype(float), 80)[:, 1:].mean(axis=0)[None]
    for measure in WITH_TAU:
        found = width(curves, 5.0, measure=measure, zero_lag="extrapolated")
        assert found.tau_ms[0] == pytest.approx(50.0, rel=0.1)
        assert found.zero_lag[0] == pytest.approx((0.1 * 0.6) ** 2, rel=0.1)


def test_a_renewal_process_of_shape_2():
    # 20 Hz, so tau = 12.5 ms; 5 min of each of 40 neurons in bins of 2 ms.
    rng = np.random.default_rng(4)
    rate, bins = 0.02, 150_000
    times = np.cumsum(rng.gamma(2.0, 1 / (2 * rate), (40, 7000)), axis=1) / 2.0
    counts = np.stack([np.bincount(one[one < bins].astype(int), minlength=bins) for one in times], axis=1)
    curves = autocovariance(counts.astype(float), 40)[:, 1:]
    for measure in WITH_TAU:
        pooled = width(curves.mean(axis=0)[None], 2.0, measure=measure, zero_lag="extrapolated")
        assert pooled.tau_ms[0] == pytest.approx(12.5, rel=0.05)
    single = width(curves, 2.0, zero_lag="extrapolated", variance=curves.var(axis=0))
    assert (single.status == "ok").all()
    assert single.tau_ms.mean() == pytest.approx(12.5, rel=0.03)


@pytest.mark.parametrize("measure", WITH_TAU)
def test_white_noise_has_no_timescale(measure):
    rng = np.random.default_rng(5)
    signal = autocovariance(rng.standard_normal((10_000, 100)), 100)
    found = width(signal[:, 1:] / signal[:, :1], 1.0, measure=measure)
    assert not np.isin(found.status, ["ok", "too_short"]).any()
    counts = white_poisson_counts(trials=1, bins=10_000, neurons=100, bin_ms=5.0, rng=rng)[0]
    spikes = autocovariance(counts.astype(float), 100)[:, 1:]
    found = width(spikes, 5.0, measure=measure, zero_lag="extrapolated", variance=spikes.var(axis=0))
    assert np.isin(found.status, ["ok", "too_short"]).mean() <= 0.05


@pytest.mark.parametrize(
    ("settings", "field"),
    [
        ({"curves": np.ones(5)}, "shape of curves"),
        ({"curves": np.ones((2, 2))}, "shape of curves"),
        ({"bin_ms": 0.0}, "bin_ms"),
        ({"measure": "fwhm"}, "measure"),
        ({"zero_lag": "two"}, "zero_lag"),
        ({"variance": np.ones(4)}, "shape of variance"),
        ({"variance": -1.0}, "variance"),
    ],
)
def test_bad_input_is_named(settings, field):
    with pytest.raises(InputError) as caught:
        width(**{"curves": np.ones((2, 5)), "bin_ms": 1.0} | settings)
    assert caught.value.field == field
