"""Spectra equal Welch's, exact curves are recovered, noise has no knee, and neither peaks nor segments bias `ar1`."""

from functools import cache
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import signal

from cortexsnn.errors import InputError
from cortexsnn.timescales import knee_shapes
from cortexsnn.timescales.knee import MODELS, fit_knee
from cortexsnn.timescales.processes import ornstein_uhlenbeck, ou_poisson_counts, white_poisson_counts
from cortexsnn.timescales.spectrum import power_spectra

FREQUENCY_HZ = np.arange(1.0, 500.0)


def estimate(values, step_ms=1.0, **settings):
    """Power, shape (unit, frequency), and the step with the frequencies, as `fit_knee` takes them."""
    spectra = power_spectra(values, step_ms, **settings)
    return SimpleNamespace(
        power=spectra.curves(np.ones((1, spectra.blocks)))[0], step_ms=step_ms, frequency_hz=spectra.frequency_hz
    )


def fitted(estimated, model, **settings):
    return fit_knee(estimated.power, estimated.frequency_hz, model=model, step_ms=estimated.step_ms, **settings)


@cache
def process(tau_ms, seconds=60, units=16):
    rng = np.random.default_rng(int(tau_ms))
    return ornstein_uhlenbeck(tau_ms=tau_ms, trials=1, steps=1000 * seconds, neurons=units, dt_ms=1.0, rng=rng)


def oscillation(height, seconds=60):
    return height * np.sqrt(2) * np.sin(2 * np.pi * 10 * np.arange(1000 * seconds) / 1000)[None, :, None]


def exact(model, f_knee_hz, exponent, floor):
    """Power at `FREQUENCY_HZ` of a decaying part of height 1 and a floor."""
    if MODELS[model][0] == "ar1":
        sampled, white = knee_shapes.sampled_process(np.append(FREQUENCY_HZ, 499.0), 1000, 0.001)
        return sampled(np.log([[f_knee_hz]]))[0, :-1] + floor * white
    return 1.0 / (1.0 + (FREQUENCY_HZ / f_knee_hz) ** exponent) + floor


@pytest.mark.parametrize("average", ["mean", "median"])
@pytest.mark.parametrize(("length", "steps"), [(2000, 200), (2090, 200), (1500, 151)])
def test_spectra_equal_those_of_scipy(average, length, steps):
    values = np.random.default_rng(1).standard_normal((1, length, 3)).cumsum(axis=1)
    found = estimate(values, 2.0, segment_s=steps * 0.002, average=average)
    frequency, power = signal.welch(
        values, 500.0, window=signal.get_window("hamming", steps), noverlap=steps // 2, axis=1, average=average
    )
    inside = slice(1, (steps + 1) // 2)
    np.testing.assert_allclose(found.frequency_hz, frequency[inside])
    np.testing.assert_allclose(found.power, power[0, inside].T, rtol=1e-9)


def test_trials_are_segments_of_one_spectrum():
    # A segment never reaches over the end of a trial.
    values = np.random.default_rng(2).standard_normal((3, 100, 2))
    alone = [estimate(values[[trial]], segment_s=0.1, average="mean").power for trial in range(3)]
    np.testing.assert_allclose(estimate(values, segment_s=0.1, average="mean").power, np.mean(alone, axis=0))


@pytest.mark.parametrize("average", ["mean", "median"])
@pytest.mark.parametrize("trials", [7, 400])
def test_drawn_spectra_are_those_of_the_segments_drawn(average, trials):
    # 400 blocks take the short way to the median, and 400 times the first block the long way.
    rng = np.random.default_rng(3)
    spectra = power_spectra(rng.exponential(size=(trials, 24, 2)), 1.0, segment_s=0.024, average=average)
    drawn = rng.multinomial(spectra.blocks, np.full(spectra.blocks, 1 / spectra.blocks), size=5).astype(float)
    drawn[4] = spectra.blocks * (np.arange(spectra.blocks) == 0)
    found = spectra.curves(drawn)
    for weights, curves in zip(drawn, found, strict=True):
        pieces = np.repeat(spectra.power, weights.astype(int), axis=0)
        segments = int(weights @ spectra.segments)
        if average == "mean":
            expected = pieces.sum(axis=0) / segments
        else:
            expected = np.median(pieces, axis=0) / signal._spectral_py._median_bias(segments)
        np.testing.assert_allclose(curves, expected)


def test_the_mean_of_a_long_record_has_few_blocks_that_hold_every_segment():
    spectra = power_spectra(
        np.random.default_rng(4).standard_normal((1, 30_010, 1)), 1.0, segment_s=0.1, average="mean"
    )
    assert spectra.blocks == 100
    assert spectra.segments.sum() == 599


@pytest.mark.parametrize("steps", [40, 41])
@pytest.mark.parametrize("tau", [0.3, 5.0, 300.0])
def test_sampled_process_is_what_a_segment_has_on_average(steps, tau):
    # E|sum of w x|^2 is a quadratic form of the covariance matrix, here written out.
    time = np.arange(steps)
    covariance = np.exp(-np.abs(time[:, None] - time) / tau)
    place = np.arange(1, (steps + 1) // 2)
    window = signal.get_window("hamming", steps)
    transform = np.exp(-2j * np.pi * np.outer(place, time) / steps) * window
    transform -= transform.mean(axis=1, keepdims=True)
    expected = np.einsum("jt,ts,js->j", transform, covariance, transform.conj()).real / (window**2).sum()
    power, white = knee_shapes.sampled_process(np.append(place, 1) * 1000.0 / steps, steps, 0.001)
    a = np.exp(-1 / tau)
    found = power(np.log([[1000 / (2 * np.pi * tau)]]))[0, :-1] * (1 + a) / (1 - a)
    np.testing.assert_allclose(found, expected, rtol=1e-9)
    np.testing.assert_allclose(white, (np.abs(transform) ** 2).sum(axis=1) / (window**2).sum(), rtol=1e-9)


@pytest.mark.parametrize("model", MODELS)
def test_exact_curves_are_recovered_in_any_unit(model):
    rng = np.random.default_rng(10)
    kind, has_floor = MODELS[model]
    scale, f_knee_hz = 10.0 ** rng.uniform(-9, 9, 40), np.exp(rng.uniform(np.log(5.0), np.log(60.0), 40))
    exponent = rng.uniform(1.2, 3.0, 40) if kind == "knee" else np.full(40, 2.0)
    floor = 10.0 ** rng.uniform(-3, -1, 40) if has_floor else np.zeros(40)
    power = np.stack([exact(model, *one) for one in zip(f_knee_hz, exponent, floor, strict=True)]) * scale[:, None]
    fit = fit_knee(power, FREQUENCY_HZ, model=model, step_ms=1.0, range_hz=(1.0, 499.0))
    assert (fit.status == "ok").all()
    np.testing.assert_allclose(fit.f_knee_hz, f_knee_hz, rtol=1e-3)
    np.testing.assert_allclose(fit.tau_ms, 1000 / (2 * np.pi * f_knee_hz), rtol=1e-3)
    np.testing.assert_allclose(fit.exponent, exponent, rtol=1e-3)
    np.testing.assert_allclose(fit.level, scale, rtol=1e-3)
    np.testing.assert_allclose(fit.floor, scale * floor, rtol=1e-3)
    np.testing.assert_allclose(fit.curve(), power, rtol=1e-3)
    assert fit.explained.min() > 0.999


@pytest.mark.parametrize("model", MODELS)
def test_a_broad_peak_does_not_move_the_knee(model):
    power = np.stack([exact(model, 8.0, 2.0, 0.02 if MODELS[model][1] else 0.0)] * 3)
    power *= 10.0 ** (0.03 * np.random.default_rng(5).standard_normal(power.shape))
    power[1] *= 10.0 ** (1.0 * np.exp(-((FREQUENCY_HZ - 10.0) ** 2) / 2))
    power[2, 49:400:50] *= 100.0
    fit = fit_knee(power, FREQUENCY_HZ, model=model, step_ms=1.0)
    np.testing.assert_allclose(fit.tau_ms[1:], fit.tau_ms[0], rtol=0.05)


@pytest.mark.parametrize("model", ["lorentzian_floor", "ar1_floor"])
def test_a_decay_at_the_lowest_frequencies_is_not_taken_for_a_peak(model):
    # Few spikes and a long tau: 4 of 499 frequencies lie clearly above the floor.
    noise = 10.0 ** (0.03 * np.random.default_rng(12).standard_normal((60, FREQUENCY_HZ.size)))
    fit = fit_knee(exact(model, 1.6, 2.0, 1.0) * noise, FREQUENCY_HZ, model=model, step_ms=1.0)
    assert np.mean(fit.status == "no_decay") < (0.1 if model == "ar1_floor" else 0.25)
    assert np.nanmedian(fit.f_knee_hz) == pytest.approx(1.6, rel=0.15)


@pytest.mark.parametrize("model", ["knee", "knee_floor"])
def test_a_power_law_with_a_peak_is_not_taken_for_a_knee(model):
    # The rise towards 10 Hz looks like the bend of a knee.
    peak = 10.0 ** (0.8 * np.exp(-((FREQUENCY_HZ - 10.0) ** 2) / 4))
    noise = 10.0 ** (0.03 * np.random.default_rng(11).standard_normal((50, FREQUENCY_HZ.size)))
    for range_hz in ((1.0, 125.0), (2.0, 80.0)):
        fit = fit_knee(FREQUENCY_HZ**-1.3 * peak * noise, FREQUENCY_HZ, model=model, range_hz=range_hz)
        assert np.mean(fit.status == "ok") <= 0.05


@pytest.mark.parametrize(("tau_ms", "tolerance"), [(5.0, 0.02), (20.0, 0.04), (100.0, 0.08)])
def test_sampled_process_finds_tau_without_bias(tau_ms, tolerance):
    # 60 s each; the standard error of the mean over 16 units is .5, 1 and 3 %. The longest tau is a tenth of a segment.
    for model in ("ar1", "ar1_floor"):
        fit = fitted(estimate(process(tau_ms)), model)
        assert (fit.status == "ok").all()
        assert fit.tau_ms.mean() == pytest.approx(tau_ms, rel=tolerance)
        assert np.abs(fit.tau_ms / tau_ms - 1).max() < 6 * tolerance


def test_lorentzian_is_biased_by_short_segments_as_documented():
    # Segments of 10 tau shorten tau by a tenth, those of 40 tau by less than 5 %; the exact spectrum does not care.
    tau_ms = 50.0
    short, long = (estimate(process(tau_ms), segment_s=segment_s) for segment_s in (0.5, 2.0))
    fits = [fitted(power, "lorentzian") for power in (short, long)]
    assert min(np.mean(fit.status == "ok") for fit in fits) > 0.8
    bias = [np.nanmean(fit.tau_ms) / tau_ms - 1 for fit in fits]
    assert -0.2 < bias[0] < -0.08
    assert -0.08 < bias[1] < 0.02
    assert fitted(short, "ar1").tau_ms.mean() == pytest.approx(tau_ms, rel=0.04)


@pytest.mark.parametrize("model", ["lorentzian", "knee", "ar1"])
@pytest.mark.parametrize("height", [0.3, 3.0])
def test_an_oscillation_does_not_move_tau(model, height):
    # 10 Hz with up to 9 times the variance of the process itself, whose knee is at 8 Hz.
    quiet = fitted(estimate(process(20.0)), model)
    loud = fitted(estimate(process(20.0) + oscillation(height)), model)
    assert (loud.status == "ok").all()
    np.testing.assert_allclose(loud.tau_ms, quiet.tau_ms, rtol=0.12)
    assert loud.tau_ms.mean() == pytest.approx(quiet.tau_ms.mean(), rel=0.02)


@pytest.mark.parametrize("tau_ms", [20.0, 100.0])
def test_spike_counts_of_one_neuron(tau_ms):
    # 10 min at 20 Hz: the standard deviation of one is 20 %, that of the mean of 16 is 5 %.
    rng = np.random.default_rng(6)
    counts = ou_poisson_counts(tau_ms=tau_ms, trials=1, bins=120_000, neurons=16, bin_ms=5.0, dt_ms=5.0, rng=rng)
    fit = fitted(estimate(counts, 5.0, average="mean"), "ar1_floor")
    found = fit.tau_ms[fit.status == "ok"]
    assert found.size >= 12
    assert found.mean() == pytest.approx(tau_ms, rel=0.12)
    # The floor of a spectrum of counts is that of Poisson spikes: twice the rate per bin and Hz.
    np.testing.assert_allclose(fit.floor, 2 * 0.005 * counts.mean(axis=(0, 1)), rtol=0.1)


def test_the_sum_of_40_neurons_with_one_rate_is_far_more_precise():
    rng = np.random.default_rng(7)
    for tau_ms in (20.0, 100.0):
        x = ornstein_uhlenbeck(tau_ms=tau_ms, trials=1, steps=120_000, neurons=4, dt_ms=5.0, rng=rng)
        counts = rng.poisson(40 * 0.1 * np.maximum(1 + 0.6 * x, 0))
        fit = fitted(estimate(counts, 5.0, average="mean"), "ar1_floor")
        np.testing.assert_allclose(fit.tau_ms, tau_ms, rtol=0.15)
        assert (fit.status == "ok").all()


@pytest.mark.parametrize("model", MODELS)
def test_white_noise_has_no_timescale(model):
    rng = np.random.default_rng(8)
    white = rng.standard_normal((1, 15_000, 30))
    spikes = white_poisson_counts(trials=1, bins=15_000, neurons=30, bin_ms=1.0, rng=rng)
    found = [fitted(estimate(white), model), fitted(estimate(white + oscillation(1.0, 15)), model)]
    found.append(fitted(estimate(spikes, average="mean"), model))
    status = np.concatenate([fit.status for fit in found])
    assert np.mean(status == "ok") <= 0.03
    assert np.mean(status == "no_decay") >= 0.9
    assert np.isnan(found[0].tau_ms[found[0].status == "no_decay"]).all()


@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(("exponent", "noise"), [(1.0, 0.0), (1.5, 0.3)])
def test_a_power_law_has_no_timescale(model, exponent, noise):
    rng = np.random.default_rng(9)
    transform = np.fft.rfft(rng.standard_normal((15_000, 30)), axis=0)
    transform[1:] /= np.fft.rfftfreq(15_000, 0.001)[1:, None] ** (exponent / 2)
    values = np.fft.irfft(transform, axis=0)
    values = values / values.std(axis=0) + noise * rng.standard_normal(values.shape)
    assert np.mean(fitted(estimate(values[None]), model).status == "ok") <= 0.1


@pytest.mark.parametrize("model", MODELS)
def test_a_tau_beyond_the_segment_is_at_the_bound(model):
    fit = fitted(estimate(process(2000.0, 30, 12)), model)
    assert np.mean(fit.status == "at_bound") >= 0.9


def test_gaps_and_silence():
    # A frequency without power is left out, a silent or constant unit has a status, and neither disturbs the others.
    values = np.concatenate([process(20.0)[:, :, :2], np.full((1, 60_000, 1), 0.1), np.zeros((1, 60_000, 1))], axis=2)
    found = estimate(values)
    assert not found.power[2:].any()
    found.power[1, 49] = np.nan
    fit = fitted(found, "ar1")
    assert fit.status.tolist() == ["ok", "ok", "no_variance", "no_variance"]
    assert np.isnan(fit.tau_ms[2:]).all()
    assert np.isnan(fit.curve()[2:]).all()
    assert fit.tau_ms[0] == pytest.approx(fitted(estimate(values[:, :, :1]), "ar1").tau_ms[0], rel=1e-6)


def test_a_flat_curve_has_no_decay():
    # Exactly constant power leaves nothing to divide by.
    fit = fit_knee(np.ones((2, 499)), FREQUENCY_HZ, model="knee_floor")
    assert fit.status.tolist() == ["no_decay"] * 2
    assert fit.explained.tolist() == [0.0, 0.0]


@pytest.mark.parametrize("model", MODELS)
def test_curves_are_fitted_each_for_itself(model):
    found = estimate(process(20.0, 30, 12)[:, :, :4])
    together = fitted(found, model).tau_ms
    found.power = found.power[:1]
    assert together[0] == pytest.approx(fitted(found, model).tau_ms[0], rel=1e-6)
    found.power = found.power[:0]
    assert fitted(found, model).tau_ms.shape == (0,)


def test_range_and_default_range():
    power = exact("lorentzian", 10.0, 2.0, 0.0)[None]
    assert fit_knee(power, FREQUENCY_HZ, range_hz=(2.0, 80.0)).frequency_hz[[0, -1]].tolist() == [2.0, 80.0]
    assert fit_knee(power, FREQUENCY_HZ).frequency_hz[-1] == 499.0
    assert fit_knee(power, FREQUENCY_HZ, step_ms=1.0).frequency_hz[-1] == 125.0
    # A knee that the range does not hold is out of reach.
    assert fit_knee(power, FREQUENCY_HZ, range_hz=(20.0, 400.0)).status[0] == "at_bound"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (lambda: power_spectra(np.zeros((10, 3)), 1.0), "shape of values"),
        (lambda: power_spectra(np.full((1, 2000, 1), np.nan), 1.0), "values"),
        (lambda: power_spectra(np.zeros((1, 900, 1)), 1.0), "segment_s"),
        (lambda: power_spectra(np.zeros((1, 900, 1)), 1.0, segment_s=0.01), "segment_s"),
        (lambda: power_spectra(np.zeros((1, 900, 1)), 0.0), "step_ms"),
        (lambda: power_spectra(np.zeros((1, 900, 1)), 1.0, average="mode"), "average"),
        (lambda: fit_knee(np.ones((1, 499)), FREQUENCY_HZ, model="fooof"), "model"),
        (lambda: fit_knee(np.ones(499), FREQUENCY_HZ), "shape of power"),
        (lambda: fit_knee(np.ones((1, 499)), FREQUENCY_HZ - 1), "frequency_hz"),
        (lambda: fit_knee(np.ones((1, 499)), FREQUENCY_HZ[::-1]), "frequency_hz"),
        (lambda: fit_knee(np.ones((1, 499)), FREQUENCY_HZ, range_hz=(1.0, 5.0)), "frequencies in range"),
        (lambda: fit_knee(np.ones((1, 499)), FREQUENCY_HZ, model="ar1"), "step_ms"),
        (lambda: fit_knee(np.ones((1, 499)), FREQUENCY_HZ, step_ms=-1.0), "step_ms"),
        (lambda: fit_knee(np.ones((1, 499)), FREQUENCY_HZ, model="ar1", step_ms=5.0), "frequency_hz"),
        (lambda: fit_knee(np.ones((1, 499)), FREQUENCY_HZ**1.5, model="ar1", step_ms=0.01), "frequency_hz"),
    ],
)
def test_bad_input_is_named(call, field):
    with pytest.raises(InputError) as caught:
        call()
    assert caught.value.field == field
