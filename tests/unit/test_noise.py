"""White activity has no timescale: its curves vary as derived, and it rarely passes the test that decays must pass."""

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from scipy.signal import lfilter

from cortexsnn.errors import InputError
from cortexsnn.timescales.binned import BinnedSpikes
from cortexsnn.timescales.blocks import TimeBlocks
from cortexsnn.timescales.correlogram import signal_correlogram, spike_correlogram
from cortexsnn.timescales.exponential import fit_exponential
from cortexsnn.timescales.noise import WhiteNoise, effective_variance, noise_of_mean, noise_of_neurons, noise_p_values


def seeded(*parts):
    return np.random.default_rng(parts)


def binned_of(cells, neurons, trials, bins, bin_ms):
    """Spikes in cells (neuron * trials + trial) * bins + bin."""
    cells, count = np.unique(cells, return_counts=True)
    neuron, rest = np.divmod(cells, trials * bins)
    return BinnedSpikes(neuron, rest // bins, rest % bins, count, neurons, np.full(trials, bins), bin_ms)


def white_trains(rates_hz, bin_ms, duration_s, trials, rng, shared=0.0):
    """Poisson trains; `shared` is the variation of a factor common to all neurons, drawn anew in each bin."""
    bins = round(1000 * duration_s / bin_ms)
    expected = np.asarray(rates_hz) * bin_ms / 1000 * bins * trials
    if shared:
        level = np.cumsum(rng.gamma(shared**-2, shared**2, bins * trials))
        expected = expected * level[-1] / level.size
    spikes = rng.poisson(expected)
    if shared:
        place = np.searchsorted(level, rng.random(spikes.sum()) * level[-1])
    else:
        place = rng.integers(0, bins * trials, spikes.sum())
    neuron = np.repeat(np.arange(spikes.size), spikes)
    return binned_of(neuron * bins * trials + place, spikes.size, trials, bins, bin_ms)


def correlogram_of(activity, max_lag, centre="all", weighting="pairs"):
    bins = activity.bins if isinstance(activity, BinnedSpikes) else np.full(activity.shape[0], activity.shape[1])
    make = spike_correlogram if isinstance(activity, BinnedSpikes) else signal_correlogram
    return make(activity, max_lag, TimeBlocks(bins, 1, bins.size), centre=centre, weighting=weighting)


def largest_drop(curves, bins):
    return fit_exponential(curves, bin_ms=1.0, bins=bins).explained


def from_lag_1(curves, bins):
    """Explained sum of squares of a decay with offset from lag 1 on, with a timescale of at least a bin."""
    lag = np.arange(curves.shape[1])
    weight = (bins - 1.0 - lag)[:, None]
    decay = np.exp(-lag[:, None] / np.geomspace(1.0, 10.0 * bins, 100))
    decay -= (weight * decay).sum(axis=0) / weight.sum()
    covariance = (weight.T * (curves - (curves @ weight) / weight.sum())) @ decay
    return (np.maximum(covariance, 0.0) ** 2 / (weight * decay**2).sum(axis=0)).max(axis=1)


FITS = {"largest drop": largest_drop, "from lag 1": from_lag_1}


def lags_of(bins):
    return min(100 if bins > 1000 else 20, bins - 2)


def p_values(activity, rng, fit=largest_drop, *, draws=499, max_lag=None, **rules):
    """P values of each neuron."""
    bins = int(activity.bins[0]) if isinstance(activity, BinnedSpikes) else activity.shape[1]
    correlogram = correlogram_of(activity, max_lag or lags_of(bins), **rules)
    explained = partial(fit, bins=bins)
    noise = noise_of_neurons(activity, centre=rules.get("centre", "all"))
    curves = correlogram.curves(np.ones((1, 1)))[0]
    weighting = rules.get("weighting", "pairs")
    return noise_p_values(
        explained(curves), noise, correlogram.pairs[0], explained, rng, draws=draws, weighting=weighting
    )


def p_values_of_means(make, repeats, rng, fit=largest_drop, *, centre="all"):
    """P values of the means over neurons of repeats of an activity."""
    explained, noises = [], []
    for _ in range(repeats):
        activity = make()
        bins = int(activity.bins[0]) if isinstance(activity, BinnedSpikes) else activity.shape[1]
        correlogram = correlogram_of(activity, lags_of(bins), centre)
        explained.append(fit(correlogram.mean().curves(np.ones((1, 1)))[0], bins)[0])
        noises.append(noise_of_mean([activity], rng, centre=centre))
    noise = WhiteNoise(
        *(np.concatenate([getattr(one, name) for one in noises]) for name in ("coincidence", "variance"))
    )
    return noise_p_values(np.array(explained), noise, correlogram.pairs[0], partial(fit, bins=bins), rng, draws=999)


def assert_rare(found, level, at_most):
    """At most a share of `at_most`, as far as so many p values can tell (3 standard errors)."""
    share = (found <= level).mean()
    assert share <= at_most + 3 * np.sqrt(level * (1 - level) / found.size), f"{share:.2%} of {found.size}"


# ---- What is derived


@pytest.mark.parametrize(("shared", "expected"), [(0.0, 1 / 6), (1.0, 0.375)])
def test_variance_of_single_curves_and_of_their_mean(shared, expected):
    """1 / pairs and s / pairs, whether neurons share input or not; s from a longer recording of the same activity."""
    # Counts with a mean of 1 and a common factor of variance 1 are correlated by 1 / 2: s = 1/6 + 5/6 * 1/4.
    curves = []
    for repeat in range(250):
        trains = white_trains(np.full(6, 20.0), 50.0, 60.0, 1, seeded(1, repeat), shared)
        curves.append(correlogram_of(trains, 20).curves(np.ones((1, 1)))[0])
    curves = np.array(curves)
    pairs = 1200 - np.arange(1, 21)
    np.testing.assert_allclose((curves.var(axis=0) * pairs).mean(), 1.0, rtol=0.08)
    np.testing.assert_allclose((curves.mean(axis=1).var(axis=0) * pairs).mean(), expected, rtol=0.12)
    long = white_trains(np.full(6, 20.0), 50.0, 6000.0, 1, seeded(2), shared)
    assert effective_variance([long]) == pytest.approx(expected, rel=0.05)


def test_variance_of_the_mean_of_correlated_gaussian_signals():
    rng = seeded(3)
    mixing = rng.standard_normal((5, 8))
    means, expected = [], effective_variance([rng.standard_normal((1, 50_000, 5)) @ mixing])
    for _ in range(250):
        means.append(correlogram_of(rng.standard_normal((1, 500, 5)) @ mixing, 20).mean().curves(np.ones((1, 1)))[0, 0])
    size = np.sqrt((mixing**2).sum(axis=0))
    rho = mixing.T @ mixing / np.outer(size, size)
    assert expected == pytest.approx((rho**2).mean(), rel=0.03)
    found = (np.var(means, axis=0) * (500 - np.arange(1, 21))).mean()
    assert found == pytest.approx(expected, rel=0.1)


def test_variance_with_the_mean_of_each_trial_taken_off():
    """Which makes C(0) too small, by a fifth with trials of 5 bins, and R(k) differ the more."""
    x = seeded(24).standard_normal((200, 6, 3000))
    found = correlogram_of(x, 2, "trial").curves(np.ones((1, 1)))[0]
    # What all lags share does not matter to a decay.
    difference = (found[:, 0] - found[:, 1]).var() / (1 / 1000 + 1 / 800)
    np.testing.assert_allclose(difference, noise_of_neurons(x, centre="trial").variance.mean(), rtol=0.15)


def test_rates_that_differ_between_trials_add_variance():
    """If half of the trials hold all spikes, then only half of the pairs of bins average out."""
    trains = white_trains(np.full(3, 10.0), 5.0, 10.0, 100, seeded(25))
    same = noise_of_neurons(trains, centre="trial")
    half = replace(trains, bins=np.append(trains.bins, trains.bins))
    found = noise_of_neurons(half, centre="trial")
    assert np.all((found.coincidence > 0) & (found.coincidence < 0.5 * same.coincidence))
    np.testing.assert_allclose(found.variance, 2 * same.variance, rtol=0.02)


def test_curves_drawn_have_that_variance_and_the_skewness_of_their_coincidences():
    pairs = 2000.0 - np.arange(6)
    noise = WhiteNoise(np.array([1e-3, 0.05, np.inf]), np.array([1.0, 0.2, 0.5]))
    curves = noise.curves(pairs, 40_000, seeded(4))
    standard = curves * np.sqrt(pairs[1:])
    np.testing.assert_allclose(standard.var(axis=(1, 2)), noise.variance, rtol=0.05)
    skewness = (standard**3).mean(axis=(1, 2)) / noise.variance**1.5
    np.testing.assert_allclose(skewness, [(1e-3 * 2000) ** -0.5, 0.1, 0.0], atol=0.03)
    np.testing.assert_allclose(
        noise.curves(pairs, 3, seeded(5), weighting="all"), noise.curves(pairs, 3, seeded(5)) * pairs[1:] / 2000
    )


def test_coincidences_are_those_of_the_bins_that_are_filled():
    """Trains of known expectation; a burst in a bin is one event, and makes the null wider, not narrower."""
    trains = white_trains([5.0, 0.0, 5.0], 5.0, 600.0, 1, seeded(6))
    trains = replace(trains, count=np.where(trains.neuron == 2, seeded(7).geometric(0.3, trains.count.size), 1))
    found = noise_of_neurons(trains)
    assert found.coincidence[0] == pytest.approx(0.025**2, rel=0.1)
    assert found.coincidence[1] == 0.0
    assert found.coincidence[2] < 0.2 * found.coincidence[0]
    np.testing.assert_array_equal(found.variance, 1.0)


def test_signals_with_normal_values_have_gaussian_curves_and_others_not():
    rng = seeded(8)
    normal, uneven = rng.standard_normal((2, 1, 20_000, 1))
    rare = uneven * (rng.random(uneven.shape) < 0.01)
    found = noise_of_neurons(np.concatenate([normal, rare, np.ones_like(rare)], axis=2)).coincidence
    assert found[0] * 20_000 > 1e3
    assert found[1] * 20_000 < 10
    assert found[2] == 0.0


# ---- Effective variance


def test_effective_variance_of_independent_and_identical_neurons():
    trains = white_trains(np.full(10, 10.0), 5.0, 600.0, 1, seeded(9))
    assert effective_variance([trains]) == pytest.approx(0.1, abs=1e-3)
    first = trains.of(np.arange(10) == 0)
    assert effective_variance([first] * 7) == pytest.approx(1.0)
    silent = replace(first, neuron=first.neuron[:0], trial=first.trial[:0], bin=first.bin[:0], count=first.count[:0])
    assert effective_variance([first, silent]) == 1.0
    assert effective_variance([silent]) == 1.0


def test_spikes_and_the_same_counts_as_signals_agree():
    trains = white_trains(np.full(5, 20.0), 50.0, 1.0, 100, seeded(10), shared=1.0)
    for centre in ("all", "trial"):
        assert effective_variance([trains], centre=centre) == pytest.approx(
            effective_variance([trains.counts() - 65.0], centre=centre), rel=1e-9
        )


def test_many_independent_neurons_are_not_taken_for_correlated():
    """Squares of chance correlations, each 1 / bins, would add up to more than 1 / neurons."""
    trains = white_trains(np.full(200, 10.0), 50.0, 20.0, 1, seeded(11))
    assert effective_variance([trains]) < 1.3 / 200


def test_a_mean_over_parts_is_that_over_all_and_a_sample_stands_for_many():
    trains = white_trains(np.linspace(2, 20, 600), 20.0, 120.0, 1, seeded(12), shared=1.0)
    parts = [trains.part(0, 250), trains.part(250, 260), trains.part(260, 600)]
    whole, of_parts = noise_of_mean([trains], seeded(13)), noise_of_mean(parts, seeded(13))
    np.testing.assert_allclose(of_parts.variance, whole.variance, rtol=1e-9)
    np.testing.assert_allclose(of_parts.coincidence, whole.coincidence, rtol=1e-9)
    assert whole.variance[0] == pytest.approx(effective_variance([trains]), rel=0.15)


def test_a_mean_without_any_active_neuron_has_no_coincidences():
    silent = white_trains([0.0, 0.0], 5.0, 10.0, 1, seeded(14))
    assert noise_of_mean([silent], seeded(14)).coincidence[0] == 0.0


# ---- P values


def test_p_values_do_not_depend_on_the_unit_of_the_curve_but_on_its_size():
    pairs, lag = 1000.0 - np.arange(21), np.arange(1, 21)
    fit = partial(from_lag_1, bins=1000)
    curves = np.array([0.02, 0.05, 0.1, 0.3])[:, None] * np.exp(-lag / 4.0)
    found = noise_p_values(fit(curves), WhiteNoise(np.full(4, np.inf), np.ones(4)), pairs, fit, seeded(15))
    assert np.all(np.diff(found) <= 0)
    assert found[0] > 0.05
    assert found[-1] == 1 / 1000
    # A mean of a hundred independent neurons with a tenth of the amplitude stands out as much.
    mean = noise_p_values(fit(curves / 10), WhiteNoise(np.full(4, np.inf), np.full(4, 0.01)), pairs, fit, seeded(15))
    np.testing.assert_array_equal(mean, found)


def test_nothing_decays_in_silence_and_in_flat_curves():
    pairs, fit = 1000.0 - np.arange(21), partial(largest_drop, bins=1000)
    noise = WhiteNoise(np.array([0.0, 0.01, np.inf]), np.ones(3))
    np.testing.assert_array_equal(noise_p_values(np.zeros(3), noise, pairs, fit, seeded(16)), 1.0)


def test_one_coincidence_is_worth_what_its_chance_is():
    """With 0.05 pairs expected over all lags, a single one has p of 0.05, and two at the same lag much less."""
    pairs, fit = 10_000.0 - np.arange(21), partial(from_lag_1, bins=10_000)
    coincidence = 0.05 / 20 / 10_000
    curves = np.zeros((2, 20))
    curves[0, 0], curves[1, 0] = 1, 2
    noise = WhiteNoise(np.full(2, coincidence), np.ones(2))
    explained = fit(curves / pairs[1:] / np.sqrt(coincidence))
    one, two = noise_p_values(explained, noise, pairs, fit, seeded(17), draws=20_000)
    # Only the first of 20 lags decays from lag 1 at once, some others decay a little.
    assert 0.05 / 20 * 0.8 < one < 0.05 * 1.3
    assert two < 0.2 * one


def test_bad_input_is_named():
    pairs, fit = 1000.0 - np.arange(21), partial(largest_drop, bins=1000)
    noise = WhiteNoise(np.array([0.1]), np.ones(1))
    with pytest.raises(InputError, match="shape of explained"):
        noise_p_values(np.ones(2), noise, pairs, fit, seeded(1))
    with pytest.raises(InputError, match="draws"):
        noise_p_values(np.ones(1), noise, pairs, fit, seeded(1), draws=5)
    with pytest.raises(InputError, match="rng"):
        noise_p_values(np.ones(1), noise, pairs, fit, 1)
    with pytest.raises(InputError, match="centre"):
        noise_of_neurons(np.ones((1, 5, 1)), centre="mean")
    with pytest.raises(InputError, match="parts"):
        effective_variance([])


# ---- False positives and power


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize(
    ("rate_hz", "bin_ms", "duration_s", "trials", "centre"),
    [(1, 5, 60, 1, "all"), (1, 50, 60, 1, "all"), (5, 50, 1, 200, "trial")],
)
def test_white_trains_rarely_decay(rate_hz, bin_ms, duration_s, trials, centre, fit):
    rng = seeded(20, int(2 * rate_hz), bin_ms, trials)
    trains = white_trains(np.full(300, rate_hz), bin_ms, duration_s, trials, rng)
    found = p_values(trains, rng, FITS[fit], centre=centre)
    assert_rare(found, 0.01, 0.015)
    assert_rare(found, 0.05, 0.06)


def test_means_of_trains_that_share_white_input_rarely_decay():
    """Taken for independent, many of them would."""
    rng = seeded(21)
    found = p_values_of_means(lambda: white_trains(np.full(40, 5.0), 50.0, 60.0, 1, rng, shared=2.0), 40, rng)
    assert_rare(found, 0.01, 0.01)
    assert_rare(found, 0.05, 0.05)


@pytest.mark.parametrize("name", ["normal", "exponential", "rare"])
def test_white_signals_rarely_decay(name):
    rng = seeded(22)
    x = {
        "normal": rng.standard_normal((1, 2000, 250)) - 65.0,
        "exponential": rng.standard_exponential((1, 2000, 250)),
        "rare": rng.standard_normal((1, 2000, 250)) * (rng.random((1, 2000, 250)) < 0.01),
    }[name]
    assert_rare(p_values(x, rng, from_lag_1), 0.01, 0.015)
    assert_rare(p_values(x, rng, from_lag_1, weighting="all"), 0.01, 0.015)


def ou_trains(neurons, rng, rate_hz=5.0, duration_s=600.0, bin_ms=5.0):
    """Poisson trains whose rates have a timescale of 100 ms and vary by 60 %."""
    steps, keep = round(1000 * duration_s / bin_ms), np.exp(-bin_ms / 100)
    fresh = rng.standard_normal((1, steps, neurons)) * np.sqrt(1 - keep**2)
    fresh[:, 0] /= np.sqrt(1 - keep**2)
    rate = np.maximum(1 + 0.6 * lfilter([1.0], [1.0, -keep], fresh, axis=1), 0.0)
    return BinnedSpikes.from_counts(rng.poisson(rate * rate_hz * bin_ms / 1000), bin_ms)


def test_trains_with_a_timescale_decay():
    """Power at level 0.01: every neuron in 10 min if the fit begins at lag 1; in 1 min the mean of 40 slow neurons."""
    rng = seeded(23)
    trains = ou_trains(20, rng)
    assert (p_values(trains, rng, from_lag_1) <= 0.01).all()
    assert (p_values(trains, rng, largest_drop) <= 0.01).mean() < 0.6
    short = partial(ou_trains, 40, rng, rate_hz=2.0, duration_s=60.0)
    assert (p_values_of_means(short, 5, rng, from_lag_1) <= 0.01).mean() >= 0.8


@pytest.mark.slow
@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("bin_ms", [5, 50])
@pytest.mark.parametrize(
    ("duration_s", "trials", "centre"), [(60, 1, "all"), (1800, 1, "all"), (1, 500, "all"), (1, 500, "trial")]
)
def test_white_trains_rarely_decay_at_any_rate(duration_s, trials, centre, bin_ms, fit):
    for rate_hz in (0.5, 2, 10, 50):
        events = rate_hz * duration_s * trials
        neurons = int(np.clip(2e7 / (events * (1 + rate_hz / 2)), 10, 1000))
        rng = seeded(30, int(2 * rate_hz), bin_ms, trials)
        trains = white_trains(np.full(neurons, rate_hz), bin_ms, duration_s, trials, rng)
        found = p_values(trains, rng, FITS[fit], centre=centre)
        assert_rare(found, 0.01, 0.02)
        assert_rare(found, 0.05, 0.06)


@pytest.mark.slow
@pytest.mark.parametrize("shared", [0.0, 1.0])
@pytest.mark.parametrize("rates", ["equal", "unequal"])
@pytest.mark.parametrize(("bin_ms", "duration_s", "trials", "centre"), [(5, 60, 1, "all"), (50, 1, 500, "trial")])
def test_means_of_white_trains_rarely_decay(bin_ms, duration_s, trials, centre, rates, shared):
    rng = seeded(31, bin_ms, len(rates), int(shared))
    rates_hz = np.full(40, 2.0) if rates == "equal" else np.exp(rng.standard_normal(40))
    make = partial(white_trains, rates_hz, bin_ms, duration_s, trials, rng, shared)
    found = p_values_of_means(make, 200, rng, centre=centre)
    assert_rare(found, 0.01, 0.02)
    assert_rare(found, 0.05, 0.06)


@pytest.mark.slow
def test_regular_and_bursting_trains_without_memory_rarely_decay():
    """Gamma intervals in bins of many intervals; bursts of spikes within a bin."""
    rng = seeded(32)
    times = np.cumsum(rng.gamma(4.0, 1 / 80.0, (500, 7500)), axis=1)
    cells = np.arange(500)[:, None] * 600 + np.floor(times / 0.5).astype(np.int64)
    regular = binned_of(cells[times < 300.0], 500, 1, 600, 500.0)
    assert_rare(p_values(regular, rng), 0.01, 0.03)
    for rate_hz in (0.2, 1.0):
        bursts = white_trains(np.full(1000, rate_hz), 50.0, 600.0, 1, rng)
        bursts = replace(bursts, count=rng.geometric(0.3, bursts.count.size))
        assert_rare(p_values(bursts, rng), 0.01, 0.03)
