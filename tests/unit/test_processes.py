"""Processes of known timescale: their moments and autocorrelations against theory, with fixed seeds."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import kstest, norm

from cortexsnn.errors import InputError
from cortexsnn.timescales.activity import SpikeTrains
from cortexsnn.timescales.processes import (
    autoregressive,
    branching_counts,
    gamma_timescale_ms,
    gamma_trains,
    geometric_timescale_ms,
    hawkes_timescale_ms,
    hawkes_trains,
    ornstein_uhlenbeck,
    oscillating,
    oscillating_autocorrelation,
    ou_poisson_counts,
    ou_poisson_trains,
    point_processes,
    poisson_trains,
    rectified_rates_hz,
    silence,
    silent_trains,
    sinusoid,
    two_timescale,
    two_timescale_autocorrelation,
    two_timescale_poisson_counts,
    two_timescale_poisson_trains,
    units,
    white_noise,
    white_poisson_counts,
    white_poisson_trains,
)

STANDARD_ERRORS = 4.0


def agrees(samples, truth, within):
    """Independent samples have the true mean within 4 standard errors, and these are small enough to tell."""
    samples = np.ravel(samples)
    margin = STANDARD_ERRORS * samples.std() / math.sqrt(samples.size)
    assert margin < within * abs(truth)
    assert samples.mean() == pytest.approx(truth, abs=margin)


def products(x, lag, mean=0.0):
    """Mean product of values `lag` steps apart about the true mean: one unbiased number per trial and neuron."""
    x = x - mean
    return (x[:, : x.shape[1] - lag] * x[:, lag:]).mean(axis=1)


def in_bins(tau_ms, bin_ms):
    """By how much bins lift an autocovariance density exp(-lag / tau) at whole lags, per squared bin."""
    half = bin_ms / (2 * tau_ms)
    return (math.sinh(half) / half) ** 2


def units_of(trains):
    """Spike times of each neuron and trial."""
    unit = trains.neuron * trains.durations_s.size + trains.trial
    return np.split(trains.time_s, np.searchsorted(unit, np.arange(1, trains.neurons.size * trains.durations_s.size)))


def rng(seed=1):
    return np.random.default_rng(seed)


# Signals


@pytest.mark.parametrize("coefficient", [0.9, 0.3, 0.0, -0.6])
def test_autoregressive_process_has_its_coefficient(coefficient):
    x = autoregressive(coefficient=coefficient, trials=400, steps=300, neurons=5, rng=rng())
    agrees(products(x, 0), 1.0, within=0.05)
    for lag in (1, 2, 5):
        samples = products(x, lag)
        margin = STANDARD_ERRORS * samples.std() / math.sqrt(samples.size)
        assert samples.mean() == pytest.approx(coefficient**lag, abs=margin)


def test_geometric_timescale_matches_the_exact_process():
    # An Ornstein-Uhlenbeck process of 20 ms seen every 3 ms is autoregressive.
    assert geometric_timescale_ms(factor=math.exp(-3 / 20), step_ms=3.0) == pytest.approx(20.0)
    same = {"trials": 2, "steps": 50, "neurons": 3}
    from_tau = ornstein_uhlenbeck(tau_ms=20.0, dt_ms=3.0, rng=rng(), **same)
    assert autoregressive(coefficient=math.exp(-3 / 20), rng=rng(), **same) == pytest.approx(from_tau)


def test_results_of_a_seed_stay():
    # Other tests, doctests and docs rely on these numbers.
    x = ornstein_uhlenbeck(tau_ms=20.0, trials=5, steps=300, neurons=3, dt_ms=1.0, rng=rng(3))
    assert x[[0, 4], [0, 299], [0, 2]] == pytest.approx([2.0409191213851825, 0.048642128643143254])
    counts = ou_poisson_counts(tau_ms=100.0, trials=5, bins=30, neurons=3, bin_ms=50.0, rng=rng(3))
    assert counts.sum(axis=(0, 1)).tolist() == [145, 126, 166]
    assert white_poisson_counts(trials=5, bins=30, neurons=3, bin_ms=50.0, rng=rng(3)).sum() == 436


def test_two_timescales_have_their_autocorrelation():
    given_ = {"tau_ms": (5.0, 80.0), "share": 0.4}
    x = two_timescale(**given_, trials=500, steps=600, neurons=10, dt_ms=1.0, rng=rng())
    for lag in (0, 3, 10, 60):
        agrees(products(x, lag), float(two_timescale_autocorrelation(lag, **given_)), within=0.06)
    # The share belongs to the first of the two, whichever is the slower.
    assert two_timescale_autocorrelation(50.0, tau_ms=(80.0, 5.0), share=0.6) == pytest.approx(
        two_timescale_autocorrelation(50.0, **given_)
    )


def test_oscillating_signal_has_its_autocorrelation():
    given_ = {"tau_ms": 60.0, "frequency_hz": 2.0, "share": 0.8}
    x = oscillating(**given_, trials=2000, steps=400, neurons=5, dt_ms=1.0, rng=rng())
    for lag in (0, 30, 250):
        agrees(products(x, lag), float(oscillating_autocorrelation(lag, **given_)), within=0.15)


def test_sinusoid_has_its_frequency_variance_and_a_phase_of_its_own_in_each_trial():
    x = sinusoid(frequency_hz=5.0, trials=300, steps=2000, neurons=4, dt_ms=0.5, rng=rng())
    assert x.var(axis=1) == pytest.approx(1.0)
    power = np.abs(np.fft.rfft(x, axis=1)).mean(axis=(0, 2))
    assert power.argmax() == 5  # 5 Hz in 1 s
    # Uniform phases: the mean over trials vanishes at each time.
    assert np.abs(x.mean(axis=(0, 2))).max() < 4.5 / math.sqrt(1200)


@pytest.mark.parametrize(
    "make",
    [
        lambda **sizes: autoregressive(coefficient=0.95, rng=rng(), **sizes),
        lambda **sizes: ornstein_uhlenbeck(tau_ms=50.0, dt_ms=1.0, rng=rng(), **sizes),
        lambda **sizes: two_timescale(tau_ms=(5.0, 80.0), share=0.4, dt_ms=1.0, rng=rng(), **sizes),
        lambda **sizes: oscillating(tau_ms=60.0, frequency_hz=2.0, share=0.5, dt_ms=1.0, rng=rng(), **sizes),
        lambda **sizes: sinusoid(frequency_hz=2.0, dt_ms=1.0, rng=rng(), **sizes),
        lambda **sizes: white_noise(rng=rng(), **sizes),
    ],
)
def test_signals_are_stationary_from_the_first_step(make):
    # Protects against a start from zero or from noise of another variance.
    x = make(trials=4000, steps=40, neurons=3)
    assert x.shape == (4000, 40, 3)
    for step in (0, 1, 39):
        agrees(x[:, step] ** 2, 1.0, within=0.08)
        assert abs(x[:, step].mean()) < STANDARD_ERRORS / math.sqrt(12000)


def test_white_noise_and_silence_have_no_correlations():
    x = white_noise(trials=50, steps=1000, neurons=4, rng=rng())
    for lag in (1, 2, 10):
        assert abs(products(x, lag).mean()) < STANDARD_ERRORS / math.sqrt(x.size)
    assert silence(trials=2, steps=3, neurons=4).shape == (2, 3, 4)
    assert not silence(trials=2, steps=3, neurons=4).any()


# Counts


def test_two_timescale_counts_have_their_autocovariance():
    # Protects the weights that the bins give to both parts. At a variation of 0.3 rates hardly ever reach zero.
    taus, share, width = (10.0, 80.0), 0.5, 10.0
    counts = two_timescale_poisson_counts(tau_ms=taus, share=share, trials=2000, bins=40, neurons=10, bin_ms=width,
                                          rate_hz=200.0, rate_variation=0.3, rng=rng())  # fmt: skip
    agrees(counts.mean(axis=1), 2.0, within=0.01)
    for lag in (1, 2, 8):
        truth = sum(
            part * in_bins(tau, width) * math.exp(-lag * width / tau)
            for part, tau in zip((share, 1 - share), taus, strict=True)
        )
        agrees(products(counts, lag, mean=2.0), (2.0 * 0.3) ** 2 * truth, within=0.25)


# Poisson trains


def test_white_trains_are_poisson():
    trains = white_poisson_trains(trials=30, duration_s=20.0, neurons=20, rate_hz=5.0, rng=rng())
    number = np.array([times.size for times in units_of(trains)])
    agrees(number, 100.0, within=0.02)
    agrees((number - 100.0) ** 2, 100.0, within=0.3)
    assert kstest(trains.time_s / 20.0, "uniform").pvalue > 0.001
    # Gaps in units of their mean. (In short trials long gaps would be missing.)
    trains = white_poisson_trains(trials=1, duration_s=5000.0, neurons=1, rate_hz=5.0, rng=rng())
    assert kstest(np.diff(trains.time_s) * 5.0, "expon").pvalue > 0.001


def test_poisson_trains_follow_the_rates_given():
    # Protects which rate belongs to which trial, step and neuron, in batches of any size.
    rates = rng().uniform(0.0, 400.0, (3, 5, 4)) * (rng(2).random((3, 5, 4)) < 0.7)
    total = np.zeros((3, 5, 4))
    repeats = 300
    for seed in range(repeats):
        trains = poisson_trains(rates_hz=rates, dt_ms=40.0, rng=rng(seed))
        total += trains.binned(40.0).counts()
    assert not total[rates == 0].any()
    expected = repeats * rates * 0.04
    apart = (total - expected)[rates > 0] / np.sqrt(expected[rates > 0])
    assert np.abs(apart).max() < 4.0
    assert apart.std() == pytest.approx(1.0, abs=0.35)


def test_spikes_are_spread_evenly_within_a_step():
    steps = np.where(np.arange(50) % 2, 300.0, 100.0)[None, :, None]
    trains = poisson_trains(rates_hz=steps, dt_ms=1000.0, rng=rng())
    assert kstest(trains.time_s % 1.0, "uniform").pvalue > 0.01


@pytest.mark.parametrize("numbers", [1, 7, 64])
def test_batches_keep_neurons_and_trials_apart(monkeypatch, numbers):
    # Neuron n fires in trial t only in step n + t.
    monkeypatch.setattr(units, "_NUMBERS_AT_A_TIME", numbers)
    rates = np.zeros((3, 6, 4))
    trial, neuron = np.indices((3, 4))
    rates[trial, trial + neuron, neuron] = 1000.0
    trains = poisson_trains(rates_hz=rates, dt_ms=50.0, rng=rng())
    assert np.array_equal(np.unique(trains.time_s // 0.05), np.arange(6))
    assert np.array_equal(trains.time_s // 0.05, trains.trial + trains.neuron)
    assert trains.binned(300.0).counts().min() > 20
    valid(trains)


def test_units_are_made_in_batches_of_bounded_size(monkeypatch):
    monkeypatch.setattr(units, "_NUMBERS_AT_A_TIME", 1000)
    asked = []

    def make(begin, number):
        asked.append((begin, number))
        return np.arange(number), np.full(number, 0.5)

    trains = units.trains_of_units(make, neurons=7, trials=3, duration_s=1.0, numbers_per_unit=120.0)
    assert asked == [(0, 8), (8, 8), (16, 5)]
    assert np.array_equal(trains.neuron * 3 + trains.trial, np.arange(21))
    asked.clear()
    units.trains_of_units(make, neurons=2, trials=1, duration_s=1.0, numbers_per_unit=1e9)
    assert asked == [(0, 1), (1, 1)]


@pytest.mark.parametrize("slow_only", [True, False])
def test_driven_trains_have_their_autocovariance(slow_only):
    rate, variation, width = 100.0, 0.3, 20.0
    taus, share = ((60.0, 60.0), 0.5) if slow_only else ((15.0, 100.0), 0.5)
    same = {"trials": 400, "duration_s": 2.0, "neurons": 8, "rate_hz": rate, "rate_variation": variation}
    if slow_only:
        trains = ou_poisson_trains(tau_ms=taus[0], **same, rng=rng())
    else:
        trains = two_timescale_poisson_trains(tau_ms=taus, share=share, **same, rng=rng())
    counts = trains.binned(width).counts()
    # Rates below zero are set to zero: the mean rises, what is left of the variance follows Phi(1 / variation).
    lifted = norm.cdf(1 / variation) + variation * norm.pdf(1 / variation)
    mean = rate * lifted * width / 1000.0
    agrees(counts.mean(axis=1), mean, within=0.02)
    for lag in (1, 3, 6):
        truth = sum(
            part * in_bins(tau, width) * math.exp(-lag * width / tau)
            for part, tau in zip((share, 1 - share), taus, strict=True)
        )
        deviation = rate * variation * norm.cdf(1 / variation) * width / 1000.0
        agrees(products(counts, lag, mean=mean), deviation**2 * truth, within=0.4)


def test_trials_may_end_within_a_step():
    trains = ou_poisson_trains(tau_ms=50.0, trials=50, duration_s=0.25, neurons=20, rate_hz=100.0, dt_ms=100.0,
                               rng=rng())  # fmt: skip
    assert 0.24 < trains.time_s.max() < 0.25
    agrees(trains.binned(250.0).counts(), 25.0 * 1.012, within=0.1)


def test_silent_trains_keep_their_neurons_and_trials():
    trains = silent_trains(trials=2, duration_s=3.0, neurons=4)
    assert trains.rates_hz.tolist() == [0.0] * 4
    assert trains.binned(50.0).counts().shape == (2, 60, 4)
    assert not poisson_trains(rates_hz=np.zeros((1, 5, 2)), dt_ms=1.0, rng=rng()).time_s.size


# Gamma renewal


@pytest.mark.parametrize("shape", [0.5, 1.0, 2.0, 5.5])
def test_gamma_intervals_have_their_mean_and_variation(shape):
    trains = gamma_trains(shape=shape, rate_hz=20.0, trials=4, duration_s=50.0, neurons=25, rng=rng())
    agrees([times.size / 50.0 for times in units_of(trains)], 20.0, within=0.03)
    gaps = np.concatenate([np.diff(times) for times in units_of(trains)])
    assert gaps.mean() == pytest.approx(1 / 20.0, rel=0.02)
    assert gaps.std() / gaps.mean() == pytest.approx(1 / math.sqrt(shape), rel=0.02)
    assert kstest(gaps, "gamma", args=(shape, 0.0, 1 / (shape * 20.0))).pvalue > 0.001


@pytest.mark.parametrize("shape", [0.5, 2.0, 8.0])
def test_gamma_trains_are_stationary_from_the_start(shape):
    # Protects against a spike at t = 0, and against a first interval drawn like the others.
    trains = gamma_trains(shape=shape, rate_hz=20.0, trials=1, duration_s=0.2, neurons=20_000, rng=rng())
    counts = trains.binned(10.0).counts()[0]
    for bin_ in (0, 1, 4, 19):
        agrees(counts[bin_], 0.2, within=0.11)


def test_gamma_trains_of_shape_2_have_the_autocovariance_of_theory():
    # Negative: -rate^2 exp(-4 rate lag).
    rate, width = 20.0, 2.0
    trains = gamma_trains(shape=2.0, rate_hz=rate, trials=1, duration_s=20.0, neurons=2000, rng=rng())
    counts = trains.binned(width).counts().transpose(2, 1, 0)
    mean = rate * width / 1000.0
    tau = gamma_timescale_ms(shape=2, rate_hz=rate)
    assert tau == pytest.approx(1000.0 / (4 * rate))
    for lag in (1, 3, 6):
        truth = -(mean**2) * in_bins(tau, width) * math.exp(-lag * width / tau)
        agrees(products(counts, lag, mean=mean), truth, within=0.1)


@pytest.mark.parametrize("shape", [2, 3, 4, 7])
def test_gamma_timescale_is_that_of_the_slowest_pole(shape):
    # The renewal density has a pole where the Laplace transform of the intervals is 1; the one at 0 is the mean.
    step = np.roots(np.polysub([1.0 / shape, 1.0] if shape == 1 else np.poly1d([1.0 / shape, 1.0]) ** shape, [1.0]))
    slowest = max(pole.real for pole in step if abs(pole) > 1e-6)
    assert gamma_timescale_ms(shape=shape, rate_hz=1.0) == pytest.approx(-1000.0 / slowest, rel=1e-6)


def test_gamma_trains_go_on_where_too_few_intervals_were_drawn(monkeypatch):
    monkeypatch.setattr(point_processes, "_MORE_INTERVALS", 0.0)
    trains = gamma_trains(shape=2.0, rate_hz=10.0, trials=2, duration_s=1.0, neurons=4000, rng=rng())
    valid(trains)
    counts = trains.binned(100.0).counts().transpose(0, 2, 1).reshape(-1, 10)
    for bin_ in (0, 8, 9):
        agrees(counts[:, bin_], 1.0, within=0.05)


# Hawkes


def hawkes_theory(a, kernel_tau_ms, rate_hz, bin_ms):
    """Mean, variance and autocovariance (a function of the lag) of counts in bins."""
    tau = kernel_tau_ms / (1 - a)
    height = rate_hz / 1000.0 * a * (2 - a) / (2 * kernel_tau_ms * (1 - a))
    mean = rate_hz * bin_ms / 1000.0
    variance = mean + 2 * height * tau**2 * (bin_ms / tau + math.expm1(-bin_ms / tau))

    def covariance(lag):
        return height * bin_ms**2 * in_bins(tau, bin_ms) * math.exp(-lag * bin_ms / tau)

    return mean, variance, covariance


@pytest.mark.parametrize(("a", "kernel_tau_ms"), [(0.7, 30.0), (0.3, 20.0), (0.9, 10.0)])
def test_hawkes_trains_have_the_moments_of_theory(a, kernel_tau_ms):
    trains = hawkes_trains(reproduction=a, kernel_tau_ms=kernel_tau_ms, rate_hz=5.0, trials=2, duration_s=100.0,
                           neurons=500, rng=rng())  # fmt: skip
    mean, variance, covariance = hawkes_theory(a, kernel_tau_ms, 5.0, bin_ms=10.0)
    counts = trains.binned(10.0).counts()
    agrees(counts.mean(axis=1), mean, within=0.1)
    agrees(products(counts, 0, mean=mean), variance, within=0.15)
    found = {}
    for lag in (1, 2, 4, 8):
        found[lag] = products(counts, lag, mean=mean)
        agrees(found[lag], covariance(lag), within=1.0 if a < 0.5 else 0.3)
    # And their timescale, from lags 1 and 4.
    fall = math.log(found[1].mean() / found[4].mean())
    assert 30.0 / fall == pytest.approx(hawkes_timescale_ms(reproduction=a, kernel_tau_ms=kernel_tau_ms), rel=0.2)


def test_hawkes_trains_are_stationary_from_the_start():
    # Without what came before the trial, the rate would begin at 30 % of its mean.
    trains = hawkes_trains(reproduction=0.7, kernel_tau_ms=30.0, rate_hz=20.0, trials=2, duration_s=0.5,
                           neurons=20_000, rng=rng())  # fmt: skip
    mean, variance, _ = hawkes_theory(0.7, 30.0, 20.0, bin_ms=25.0)
    counts = trains.binned(25.0).counts()
    for bin_ in (0, 1, 10, 19):
        agrees(counts[:, bin_], mean, within=0.06)
        agrees((counts[:, bin_] - mean) ** 2, variance, within=0.2)


def test_hawkes_trains_without_any_spike():
    trains = hawkes_trains(reproduction=0.5, kernel_tau_ms=5.0, rate_hz=1e-9, trials=2, duration_s=1.0, neurons=2,
                           rng=rng())  # fmt: skip
    assert trains.time_s.size == 0
    assert trains.binned(100.0).counts().shape == (2, 10, 2)


# Branching


@pytest.mark.parametrize("subsampling", [1.0, 0.1, 0.05])
def test_branching_process_keeps_its_timescale_when_subsampled(subsampling):
    m, activity = 0.95, 500.0
    counts = branching_counts(reproduction=m, activity=activity, trials=500, bins=2000, subsampling=subsampling,
                              rng=rng())  # fmt: skip
    assert counts.shape == (500, 2000, 1)
    mean = activity * subsampling
    agrees(counts.mean(axis=1), mean, within=0.01)
    whole = activity / (1 - m**2)
    variance = subsampling**2 * whole + subsampling * (1 - subsampling) * activity
    agrees(products(counts, 0, mean=mean), variance, within=0.05)
    seen = subsampling / (subsampling + (1 - subsampling) * (1 - m**2))
    assert seen * variance == pytest.approx(subsampling**2 * whole)
    for lag in (1, 2, 10, 30):
        agrees(products(counts, lag, mean=mean), variance * seen * m**lag, within=0.15)


def test_branching_coefficient_is_found_by_regression():
    # Protects m itself: the regression of A[t + 1] on A[t] has the slope m and the intercept h.
    counts = branching_counts(reproduction=0.98, activity=100.0, trials=100, bins=5000, rng=rng())[:, :, 0]
    slope, intercept = np.polyfit(counts[:, :-1].ravel(), counts[:, 1:].ravel(), 1)
    assert slope == pytest.approx(0.98, abs=STANDARD_ERRORS * math.sqrt((1 - 0.98**2) / counts.size))
    assert intercept == pytest.approx(2.0, rel=0.1)


@pytest.mark.parametrize("m", [0.0, 0.5, 0.98])
def test_branching_process_is_stationary_from_the_start(m):
    counts = branching_counts(reproduction=m, activity=50.0, trials=8000, bins=12, rng=rng())[:, :, 0]
    for bin_ in (0, 1, 11):
        agrees(counts[:, bin_], 50.0, within=0.04)
        agrees((counts[:, bin_] - 50.0) ** 2, 50.0 / (1 - m**2), within=0.12)


def test_subsampling_shows_another_part_of_the_same_activity():
    whole, part = (
        branching_counts(reproduction=0.9, activity=40.0, trials=3, bins=200, subsampling=p, rng=rng())
        for p in (1.0, 0.3)
    )
    assert np.all(part <= whole)
    assert part.sum() == pytest.approx(0.3 * whole.sum(), rel=0.05)


# All


TRAINS = {
    "ou": lambda **sizes: ou_poisson_trains(tau_ms=30.0, dt_ms=7.0, **sizes),
    "two_timescale": lambda **sizes: two_timescale_poisson_trains(tau_ms=(5.0, 80.0), share=0.4, dt_ms=7.0, **sizes),
    "white": white_poisson_trains,
    "gamma": lambda **sizes: gamma_trains(shape=1.5, **sizes),
    "hawkes": lambda **sizes: hawkes_trains(reproduction=0.6, kernel_tau_ms=20.0, **sizes),
}


def valid(trains):
    """Spikes keep the contract of `SpikeTrains`: sorted by neuron, trial and time, inside their trial."""
    assert np.array_equal(np.lexsort((trains.time_s, trains.trial, trains.neuron)), np.arange(trains.time_s.size))
    assert trains.neuron.dtype == trains.trial.dtype == np.int64
    assert trains.time_s.dtype == np.float64
    if trains.time_s.size:
        assert trains.time_s.min() >= 0
        assert np.all(trains.time_s < trains.durations_s[trains.trial])
        assert 0 <= trains.neuron.min() <= trains.neuron.max() < trains.neurons.size
    trials = [
        [trains.time_s[(trains.neuron == n) & (trains.trial == t)] for n in range(min(3, trains.neurons.size))]
        for t in range(trains.durations_s.size)
    ]
    SpikeTrains.from_times(trials, trains.durations_s)


@settings(max_examples=40, deadline=None)
@given(
    kind=st.sampled_from(sorted(TRAINS)),
    trials=st.integers(1, 4),
    neurons=st.integers(1, 4),
    duration_s=st.floats(1e-3, 5.0),
    rate_hz=st.floats(1e-3, 200.0),
    seed=st.integers(0, 99),
)
def test_trains_are_always_valid_and_belong_to_their_seed(kind, trials, neurons, duration_s, rate_hz, seed):
    asked = {"trials": trials, "neurons": neurons, "duration_s": duration_s, "rate_hz": rate_hz}
    trains, again = (TRAINS[kind](**asked, rng=rng(seed)) for _ in range(2))
    valid(trains)
    assert trains.durations_s.tolist() == [duration_s] * trials
    assert trains.neurons.size == neurons
    for name in ("time_s", "trial", "neuron"):
        assert np.array_equal(getattr(trains, name), getattr(again, name))


@pytest.mark.parametrize("kind", sorted(TRAINS))
def test_another_seed_gives_other_spikes(kind):
    asked = {"trials": 2, "neurons": 2, "duration_s": 5.0, "rate_hz": 20.0}
    one, other = (TRAINS[kind](**asked, rng=rng(seed)) for seed in (1, 2))
    assert not np.isin(one.time_s, other.time_s).any()


SIGNAL = {"trials": 2, "steps": 3, "neurons": 1}
TRAIN = {"trials": 2, "duration_s": 1.0, "neurons": 1}
PART = r"a number from 0 \(excluded\) to 1 \(excluded\)"
BAD = [
    (autoregressive, SIGNAL | {"coefficient": 1.0}, "coefficient is 1.0; expected a number between -1 and 1"),
    (autoregressive, SIGNAL | {"coefficient": math.nan}, "coefficient is nan; expected a finite number"),
    (autoregressive, SIGNAL | {"coefficient": 0.5, "steps": 0}, "steps is 0; expected a whole number"),
    (ornstein_uhlenbeck, SIGNAL | {"tau_ms": -1.0, "dt_ms": 1.0}, "tau_ms is -1.0; expected a positive number"),
    (two_timescale, SIGNAL | {"tau_ms": 5.0, "share": 0.5, "dt_ms": 1.0}, "tau_ms is 5.0; expected a pair"),
    (two_timescale, SIGNAL | {"tau_ms": (5.0, -1.0), "share": 0.5, "dt_ms": 1.0}, r"tau_ms is \(5.0, -1.0\)"),
    (two_timescale, SIGNAL | {"tau_ms": (5.0, 9.0), "share": 1.5, "dt_ms": 1.0}, f"share is 1.5; expected {PART}"),
    (sinusoid, SIGNAL | {"frequency_hz": 0.0, "dt_ms": 1.0}, "frequency_hz is 0.0; expected a positive"),
    (oscillating, SIGNAL | {"tau_ms": 5.0, "frequency_hz": 2.0, "share": 0, "dt_ms": 1.0}, "share is 0; expected"),
    (white_noise, SIGNAL | {"neurons": True}, "neurons is True; expected a whole number"),
    (two_timescale_poisson_counts, {"tau_ms": (5.0, 9.0), "share": 0.5, "trials": 1, "bins": 2, "neurons": 1,
                                    "bin_ms": 2.5}, "bin_ms is 2.5; expected a whole multiple of dt_ms = 1"),
    (ou_poisson_trains, TRAIN | {"tau_ms": 0.0}, "tau_ms is 0.0; expected a positive"),
    (ou_poisson_trains, TRAIN | {"tau_ms": 9.0, "duration_s": math.inf}, "duration_s is inf; expected a positive"),
    (two_timescale_poisson_trains, TRAIN | {"tau_ms": (1.0,), "share": 0.5}, r"tau_ms is \(1.0,\); expected a pair"),
    (white_poisson_trains, TRAIN | {"rate_hz": -2.0}, "rate_hz is -2.0; expected a positive"),
    (white_poisson_trains, TRAIN | {"trials": 1.0}, "trials is 1.0; expected a whole number"),
    (poisson_trains, {"rates_hz": np.zeros((2, 3)), "dt_ms": 1.0}, r"shape of rates_hz is \(2, 3\); expected \(trial"),
    (poisson_trains, {"rates_hz": [[[1.0], [1.0, 2.0]]], "dt_ms": 1.0}, "rates_hz is .* expected an array of numbers"),
    (poisson_trains, {"rates_hz": np.array([[["a"]]]), "dt_ms": 1.0}, "dtype of rates_hz is '<U1'; expected real"),
    (poisson_trains, {"rates_hz": np.array([[[1.0, 1.0], [1.0, -3.0]]]), "dt_ms": 1.0},
     "rate at trial 0, time 1, neuron 1 is -3.0; expected a number of at least 0"),
    (poisson_trains, {"rates_hz": np.array([[[math.nan]]]), "dt_ms": 1.0}, "rate at trial 0, time 0, neuron 0 is nan"),
    (gamma_trains, TRAIN | {"rate_hz": 2.0, "shape": 0.0}, "shape is 0.0; expected a positive"),
    (hawkes_trains, TRAIN | {"rate_hz": 2.0, "reproduction": 1.0, "kernel_tau_ms": 30.0},
     f"reproduction is 1.0; expected {PART}"),
    (hawkes_trains, TRAIN | {"rate_hz": 2.0, "reproduction": 0.5, "kernel_tau_ms": 0.0}, "kernel_tau_ms is 0.0"),
    (branching_counts, {"reproduction": 1.0, "activity": 5.0, "trials": 1, "bins": 2},
     r"reproduction is 1.0; expected a number from 0 to 1 \(excluded\)"),
    (branching_counts, {"reproduction": False, "activity": 5.0, "trials": 1, "bins": 2}, "reproduction is False"),
    (branching_counts, {"reproduction": 0.5, "activity": -5.0, "trials": 1, "bins": 2}, "activity is -5.0"),
    (branching_counts, {"reproduction": 0.5, "activity": 5.0, "trials": 1, "bins": 2, "subsampling": 0.0},
     r"subsampling is 0.0; expected a number from 0 \(excluded\) to 1$"),
]  # fmt: skip


@pytest.mark.parametrize(("make", "arguments", "message"), BAD)
def test_bad_input_is_named(make, arguments, message):
    with pytest.raises(InputError, match=message):
        make(**arguments, rng=rng())


def test_bad_input_of_what_needs_no_random_numbers():
    with pytest.raises(InputError, match=f"factor is 1.2; expected {PART}"):
        geometric_timescale_ms(factor=1.2, step_ms=1.0)
    with pytest.raises(InputError, match="shape is 1; expected a whole number of at least 2"):
        gamma_timescale_ms(shape=1, rate_hz=2.0)
    with pytest.raises(InputError, match=f"reproduction is 0; expected {PART}"):
        hawkes_timescale_ms(reproduction=0, kernel_tau_ms=30.0)
    with pytest.raises(InputError, match="duration_s is 0; expected a positive"):
        silent_trains(trials=1, duration_s=0, neurons=1)
    with pytest.raises(InputError, match="steps is -1; expected a whole number"):
        silence(trials=1, steps=-1, neurons=1)


@pytest.mark.parametrize(
    ("make", "arguments"),
    [
        (white_noise, SIGNAL),
        (ornstein_uhlenbeck, SIGNAL | {"tau_ms": 5.0, "dt_ms": 1.0}),
        (white_poisson_trains, TRAIN),
        (gamma_trains, TRAIN | {"shape": 2.0, "rate_hz": 2.0}),
        (hawkes_trains, TRAIN | {"reproduction": 0.5, "kernel_tau_ms": 30.0, "rate_hz": 2.0}),
        (branching_counts, {"reproduction": 0.5, "activity": 5.0, "trials": 1, "bins": 2}),
    ],
)
def test_a_seed_is_not_a_generator(make, arguments):
    with pytest.raises(InputError, match=r"rng is 1; expected a numpy\.random\.Generator"):
        make(**arguments, rng=1)


def test_rates_below_zero_are_set_to_zero():
    rates = rectified_rates_hz(np.array([-3.0, -2.0, 0.0, 1.0]), rate_hz=10.0, rate_variation=0.5)
    assert rates.tolist() == [0.0, 0.0, 10.0, 15.0]
