"""Fits of autocorrelation decays: exact, global, honest about what they cannot know; and which curves oscillate."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import least_squares, minimize_scalar
from scipy.signal import lfilter

from cortexsnn.errors import InputError
from cortexsnn.timescales import decay_models, sums_of_exponentials, variable_projection
from cortexsnn.timescales.decay import fit_decay
from cortexsnn.timescales.decay_models import MODELS
from cortexsnn.timescales.exponential import fit_exponential
from cortexsnn.timescales.oscillation import MARGIN, damped_cosine, oscillates
from cortexsnn.timescales.status import Status

LAGS = np.arange(1, 81)
PAIRS = 1000 - LAGS


def fitted(curves, *, lags=LAGS, weights=None, bin_ms=5.0, window_ms=5000.0, **other):
    weights = 1000 - lags if weights is None else weights
    return fit_decay(np.atleast_2d(curves), bin_ms=bin_ms, lags=lags, weights=weights, window_ms=window_ms, **other)


def noisy(number=5, noise=0.03, seed=1):
    """Two timescales, a level and independent errors; in bins."""
    rng = np.random.default_rng(seed)
    fast = 10 ** rng.uniform(-0.3, 1.0, (number, 1))
    slow = fast * 10 ** rng.uniform(0.2, 1.2, (number, 1))
    one, two, level = rng.uniform(0.0, 1.0, (3, number, 1))
    errors = noise * rng.standard_normal((number, LAGS.size))
    return one * np.exp(-LAGS / fast) + two * np.exp(-LAGS / slow) + 0.2 * level + errors


def first_order(tau, trials, bins, rng):
    """An AR(1) process, shape (trial, bin)."""
    keep = np.exp(-1.0 / tau)
    noise = rng.standard_normal((trials, bins))
    noise[:, 1:] *= np.sqrt(1 - keep**2)
    return lfilter([1.0], [1.0, -keep], noise, axis=1)


def autocorrelation(signals, lags):
    """Of the trials together, each less its mean."""
    centred = signals - signals.mean(axis=1, keepdims=True)
    bins = centred.shape[1]
    spectrum = np.abs(np.fft.rfft(centred, 2 * bins, axis=1)) ** 2
    sums = np.fft.irfft(spectrum, axis=1).sum(axis=0)[: lags + 1] / (bins - np.arange(lags + 1))
    return sums[1:] / sums[0]


# Exactness


@pytest.mark.parametrize("lags", [LAGS, np.arange(6, 90), np.array([0, 1, 2, 3, 5, 8, 13, 21, 34, 55, 80])])
@pytest.mark.parametrize("tau_ms", [3.0, 25.0, 180.0, 2000.0])
@pytest.mark.parametrize(("model", "level"), [("exponential", 0.0), ("exponential_offset", -0.1)])
def test_one_exponential_is_exact_without_noise(lags, tau_ms, model, level):
    curve = 0.3 * np.exp(-5.0 * lags / tau_ms) + level
    fit = fitted(curve, lags=lags, model=model)
    assert fit.tau_ms[0] == pytest.approx(tau_ms, rel=1e-4)
    assert fit.amplitude[0] == pytest.approx(0.3, rel=1e-3)
    assert fit.level[0] == pytest.approx(level, abs=1e-4)
    assert fit.offset[0] == pytest.approx(level / 0.3, abs=1e-3)
    assert fit.curve(lags)[0] == pytest.approx(curve, abs=1e-7)
    assert fit.explained_share[0] == pytest.approx(1.0)
    assert (fit.first_lag[0], fit.model[0]) == (lags[0], model)
    assert np.isnan(fit.tau_components_ms[0, 1])


@pytest.mark.parametrize("taus_ms", [(8.0, 40.0), (15.0, 300.0), (50.0, 90.0)])
@pytest.mark.parametrize(("model", "level"), [("two_exponentials", 0.0), ("two_exponentials_offset", 0.05)])
def test_two_exponentials_are_exact_without_noise(taus_ms, model, level):
    parts = np.array([0.4, 0.3])[:, None] * np.exp(-5.0 * LAGS / np.array(taus_ms)[:, None])
    fit = fitted(parts.sum(axis=0) + level, model=model)
    assert fit.tau_components_ms[0] == pytest.approx(taus_ms, rel=1e-3)
    assert fit.amplitude_components[0] == pytest.approx([0.4, 0.3], rel=1e-2)
    assert fit.contributions[0] == pytest.approx(parts[:, 0], rel=1e-2)
    assert fit.level[0] == pytest.approx(level, abs=1e-3)
    assert fit.curve(LAGS)[0] == pytest.approx(parts.sum(axis=0) + level, abs=1e-7)


def test_second_exponential_that_is_not_there_is_missing():
    fit = fitted(0.5 * np.exp(-LAGS / 9.0), model="two_exponentials")
    assert fit.tau_ms[0] == pytest.approx(45.0, rel=1e-4)
    assert np.isnan([fit.tau_components_ms[0, 1], fit.amplitude_components[0, 1], fit.contributions[0, 1]]).all()
    assert fit.model[0] == "two_exponentials"
    assert fit.curve(LAGS)[0] == pytest.approx(0.5 * np.exp(-LAGS / 9.0), abs=1e-7)


# The global optimum


def sum_of_squares(curve, components, level, rng, starts=6):
    """The smallest weighted sum of squares that a general optimiser finds from many starting points."""
    root = np.sqrt(PAIRS)
    low = [np.log(0.1)] * components + [0.0] * components + [-np.inf] * level
    high = [np.log(10_000.0)] * components + [np.inf] * components + [np.inf] * level

    def residuals(p):
        shapes = np.exp(-(LAGS - 1) / np.exp(p[:components, None]))
        return root * (p[components : 2 * components] @ shapes + (p[-1] if level else 0.0) - curve)

    guesses = [
        [*rng.uniform(-1.0, 5.0, components), *rng.uniform(0.1, 1.0, components), *[0.0] * level] for _ in range(starts)
    ]
    return min(2 * least_squares(residuals, guess, bounds=(low, high), max_nfev=200).cost for guess in guesses)


@pytest.mark.parametrize("model", MODELS)
def test_no_optimiser_finds_a_better_fit(model):
    # Protects the search over tau: it must never end in a local optimum.
    curves = noisy()
    fit = fitted(curves, model=model)
    found = (PAIRS * (curves - fit.curve(LAGS)) ** 2).sum(axis=1)
    for curve, squares in zip(curves, found, strict=True):
        best = sum_of_squares(curve, 1 + model.startswith("two"), model.endswith("offset"), np.random.default_rng(3))
        assert squares <= best * (1 + 1e-6)


def test_weak_second_exponential_is_found():
    # Protects the search beside the best single exponential: between the points of a grid of pairs these are lost.
    curves = np.exp(-LAGS / 10.3) + np.array([[0.008], [0.004]]) * np.exp(-LAGS / np.array([[60.0], [2.0]]))
    fit = fitted(curves, model="two_exponentials")
    assert fit.tau_components_ms == pytest.approx(np.array([[51.5, 300.0], [10.0, 51.5]]), rel=1e-3)
    curves = noisy(number=800, noise=0.02, seed=7)[[39, 155, 628]]
    squares = (PAIRS * (curves - fitted(curves, model=MODELS[3]).curve(LAGS)) ** 2).sum(axis=1)
    assert squares == pytest.approx([28.423736, 35.179473, 32.335938], rel=1e-6)


@pytest.mark.parametrize("noise", [0.001, 0.1])
def test_tau_is_that_of_a_dense_search(noise):
    # Protects the accuracy of the refinement, 1e-4.
    curves = noisy(number=15, noise=noise)
    fit = fitted(curves)

    def unexplained(log_tau, curve):
        design = np.stack([np.exp(-LAGS / np.exp(log_tau)), np.ones(LAGS.size)], axis=1) * np.sqrt(PAIRS)[:, None]
        target = np.sqrt(PAIRS) * curve
        return ((target - design @ np.linalg.lstsq(design, target, rcond=None)[0]) ** 2).sum()

    dense = np.linspace(np.log(0.11), np.log(9000.0), 400)
    for curve, tau_ms in zip(curves[fit.status != "at_bound"], fit.tau_ms[fit.status != "at_bound"], strict=True):
        best = dense[np.argmin([unexplained(u, curve) for u in dense])]
        exact = minimize_scalar(
            unexplained, bounds=(best - 0.03, best + 0.03), args=(curve,), method="bounded", options={"xatol": 1e-9}
        )
        assert tau_ms == pytest.approx(5.0 * np.exp(exact.x), rel=1e-4)


def test_explained_is_what_the_model_without_decay_leaves():
    curves = noisy()
    for model, flat in (("exponential", 0.0), ("exponential_offset", 1.0)):
        fit = fitted(curves, model=model)
        without = curves - flat * np.average(curves, axis=1, weights=PAIRS)[:, None]
        left = (PAIRS * (curves - fit.curve(LAGS)) ** 2).sum(axis=1)
        total = (PAIRS * without**2).sum(axis=1)
        assert fit.explained == pytest.approx(total - left, rel=1e-9)
        assert fit.explained_share == pytest.approx(1 - left / total, rel=1e-9)


# Lags, weights, chunks


@pytest.mark.parametrize("model", ["exponential_offset", "two_exponentials"])
def test_missing_lags_are_as_if_not_there(model):
    curves = noisy(number=4)
    missing = np.array([0, 7, 8, 30, 79])
    gaps, keep = curves.copy(), np.setdiff1d(np.arange(LAGS.size), missing)
    gaps[:, missing] = np.nan
    expected = fitted(curves[:, keep], lags=LAGS[keep], model=model)
    light = np.where(np.isin(np.arange(LAGS.size), missing), 0, PAIRS)
    for found in (fitted(gaps, model=model), fitted(curves, weights=light, model=model)):
        assert found.tau_components_ms == pytest.approx(expected.tau_components_ms, rel=1e-6, nan_ok=True)
        assert found.explained == pytest.approx(expected.explained, rel=1e-9)
        assert found.first_lag.tolist() == [2] * 4


def test_curves_do_not_see_each_other(monkeypatch):
    # Protects the grouping by first lag and gaps, and the cut into chunks.
    curves = noisy(number=14)
    curves[3, 5], curves[8, :2], curves[11] = np.nan, np.nan, np.nan
    curves[12:] = -curves[12:]
    settings_of_fits = {"start": "largest_drop", "model": MODELS}
    together = fitted(curves, **settings_of_fits)
    alone = [fitted(curve, **settings_of_fits) for curve in curves]
    own_weights = fitted(curves, weights=np.tile(PAIRS, (14, 1)), **settings_of_fits)
    for module in (decay_models, variable_projection):
        monkeypatch.setattr(module, "_NUMBERS_AT_A_TIME", 300)
    in_chunks = fitted(curves, **settings_of_fits)
    for other in (own_weights, in_chunks):
        assert other.tau_components_ms == pytest.approx(together.tau_components_ms, rel=1e-6, nan_ok=True)
        assert other.model.tolist() == together.model.tolist()
        assert other.status.tolist() == together.status.tolist()
    assert [fit.first_lag[0] for fit in alone] == together.first_lag.tolist()
    assert [fit.tau_ms[0] for fit in alone] == pytest.approx(together.tau_ms.tolist(), rel=1e-6, nan_ok=True)
    assert together.status[11] == "no_decay"


def test_weights_differ_between_curves():
    # Protects the slow path: a curve is fitted with its own weights, not with another's.
    curve = noisy(number=1)[0]
    weights = np.stack([PAIRS, np.where(LAGS > 40, 0, 1), LAGS])
    each = [fitted(curve, weights=row).tau_ms[0] for row in weights]
    assert fitted(np.tile(curve, (3, 1)), weights=weights).tau_ms == pytest.approx(each, rel=1e-6)
    assert len(set(np.round(each, 3))) == 3


@settings(max_examples=12)
@given(seed=st.integers(0, 10_000), scale=st.floats(1e-6, 1e6), of_weights=st.floats(1e-6, 1e6))
def test_tau_does_not_depend_on_scale(seed, scale, of_weights):
    curves = noisy(number=3, seed=seed)
    plain = fitted(curves, model=("exponential_offset", "two_exponentials"))
    scaled = fitted(scale * curves, weights=of_weights * PAIRS, model=("exponential_offset", "two_exponentials"))
    assert scaled.tau_ms == pytest.approx(plain.tau_ms, rel=1e-4, nan_ok=True)
    assert scaled.level == pytest.approx(scale * plain.level, rel=1e-3, abs=1e-6 * scale, nan_ok=True)
    assert scaled.model.tolist() == plain.model.tolist()


@settings(max_examples=30)
@given(
    values=st.lists(
        st.one_of(st.just(float("nan")), st.floats(-1e6, 1e6), st.sampled_from([0.0, 1.0])), min_size=8, max_size=25
    ),
    sign=st.sampled_from(["positive", "negative", "any"]),
)
def test_any_curve_gets_a_status_and_no_warning(values, sign):
    # Protects the user from NumPy's warnings (which fail tests here) and from values without meaning.
    lags = np.arange(1, len(values) + 1)
    fit = fitted(np.array(values), lags=lags, model=MODELS, sign=sign)
    assert Status(fit.status[0]) in (Status.OK, Status.TOO_SHORT, Status.AT_BOUND, Status.NO_DECAY)
    assert -1e-9 <= fit.explained_share[0] <= 1 + 1e-9
    none = fit.status[0] == "no_decay"
    assert np.isnan(fit.tau_ms[0]) == none
    assert (fit.model[0] == "") == none
    assert none or 0.49 <= fit.tau_ms[0] <= 50_001.0
    assert none or np.isfinite(fit.curve(lags[lags >= fit.first_lag[0]])).all()


def test_no_curves_are_no_problem():
    fit = fitted(np.empty((0, LAGS.size)), model=MODELS)
    assert fit.tau_ms.shape == (0,)
    assert fit.curve(LAGS).shape == (0, LAGS.size)


# Choice of the model


def test_without_noise_the_smallest_sufficient_model_is_chosen():
    one, two = np.exp(-LAGS / 5.0), 0.5 * np.exp(-LAGS / 5.0) + 0.5 * np.exp(-LAGS / 25.0)
    curves = np.stack([one, one + 0.1, two, two + 0.1])
    for criterion in ("bic", "aicc"):
        assert fitted(curves, model=MODELS, criterion=criterion).model.tolist() == list(MODELS)


def test_known_mixtures_are_told_apart():
    # Measured with independent errors: 96 % of mixtures and of single exponentials are taken for what they are.
    rng = np.random.default_rng(2)
    errors = 0.01 * rng.standard_normal((60, LAGS.size))
    two = fitted(0.5 * np.exp(-LAGS / 3.0) + 0.4 * np.exp(-LAGS / 30.0) + errors, model=MODELS)
    one = fitted(0.9 * np.exp(-LAGS / 10.0) + errors, model=MODELS)
    assert (two.model == "two_exponentials").mean() > 0.9
    assert np.median(two.tau_components_ms, axis=0) == pytest.approx([15.0, 150.0], rel=0.05)
    assert (one.model == "exponential").mean() > 0.9


def test_criteria_differ_as_they_should():
    # Protects the two formulas: with many data BIC asks for more, with hardly more data than parameters AICc does.
    rng = np.random.default_rng(5)
    many = np.exp(-LAGS / 10.0) + 0.05 * rng.standard_normal((60, LAGS.size))
    chosen = [(fitted(many, model=MODELS, criterion=name).model != "exponential").mean() for name in ("bic", "aicc")]
    assert chosen[0] < chosen[1]
    lags = LAGS[:8]
    few = np.exp(-lags / 3.0) + 0.1 * rng.standard_normal((200, 8))
    chosen = [
        (fitted(few, lags=lags, model=MODELS, criterion=name).model == "exponential").mean() for name in ("bic", "aicc")
    ]
    assert chosen[0] < chosen[1]


def test_model_that_needs_more_lags_than_there_are_is_passed_over():
    # Five lags are left: too few for two exponentials with offset.
    curve = np.where(LAGS <= 5, np.exp(-LAGS / 2.0), np.nan)
    assert fitted(curve, model=MODELS).model[0] in MODELS[:3]
    assert fitted(curve, model=MODELS[3]).status[0] == "no_decay"


# Which component is the timescale


def test_larger_component_at_the_first_fitted_lag_is_the_timescale():
    # At lag 0 the fast one is larger (3 against 1), at the first fitted lag it is not.
    lags = np.arange(10, 90)
    curve = 3.0 * np.exp(-lags / 4.0) + np.exp(-lags / 30.0)
    fit = fitted(curve, lags=lags, model="two_exponentials")
    assert fit.tau_ms[0] == pytest.approx(150.0, rel=1e-3)
    assert fit.amplitude[0] == pytest.approx(1.0, rel=1e-3)
    curve = 3.0 * np.exp(-LAGS / 4.0) + np.exp(-LAGS / 30.0)
    assert fitted(curve, model="two_exponentials").tau_ms[0] == pytest.approx(20.0, rel=1e-3)


def test_component_with_a_tiny_tau_and_a_huge_amplitude_is_not_the_timescale():
    # Protects against the choice by |A|: here A is 10^4 for a component that lives for one lag.
    curve = 0.3 * np.exp(-LAGS / 20.0)
    curve[0] += 0.5
    fit = fitted(curve, model="two_exponentials")
    assert fit.tau_components_ms[0, 0] < 2.5
    assert fit.amplitude_components[0, 0] > 100
    assert fit.contributions[0, 0] > fit.contributions[0, 1]
    assert fit.tau_ms[0] == pytest.approx(100.0, rel=1e-2)
    assert fit.status[0] == "ok"


def test_instantaneous_component_is_the_timescale_where_the_other_is_negligible():
    curve = 0.001 * np.exp(-LAGS / 20.0)
    curve[0] += 0.5
    assert fitted(curve, model="two_exponentials").tau_ms[0] < 2.5


# Sign


def test_negative_autocorrelation_of_a_renewal_process():
    # Gamma renewal process of shape 2 and rate 20 / s: tau = 1 / (4 * 20 / s) = 12.5 ms.
    curve = -0.05 * np.exp(-5.0 * LAGS / 12.5)
    negative, either = fitted(curve, sign="negative"), fitted(curve, sign="any")
    for fit in (negative, either):
        assert fit.tau_ms[0] == pytest.approx(12.5, rel=1e-4)
        assert fit.amplitude[0] == pytest.approx(-0.05, rel=1e-3)
        assert fit.curve(LAGS)[0] == pytest.approx(curve, abs=1e-7)
    assert fitted(curve).status[0] == "no_decay"
    assert fitted(-curve, sign="negative").status[0] == "no_decay"


@pytest.mark.parametrize("model", MODELS)
def test_sign_is_a_mirror(model):
    curves = noisy()
    plain = fitted(curves, model=model)
    mirrored = fitted(-curves, model=model, sign="negative")
    either = fitted(np.concatenate([curves, -curves]), model=model, sign="any")
    assert mirrored.tau_components_ms == pytest.approx(plain.tau_components_ms, nan_ok=True)
    assert mirrored.contributions == pytest.approx(-plain.contributions, nan_ok=True)
    assert mirrored.level == pytest.approx(-plain.level)
    assert either.tau_ms == pytest.approx(np.tile(plain.tau_ms, 2), rel=1e-9)


# Statuses


def test_statuses_say_what_was_found():
    shapes = {
        "ok": np.exp(-LAGS / 20.0),
        "too_short": np.exp(-LAGS / 30.0),
        "at_bound": 1.0 - 0.01 * LAGS,
        "no_decay": 0.01 * LAGS,
    }
    # 5 tau are 500 and 750 ms.
    fit = fitted(np.stack(list(shapes.values())), window_ms=500.1)
    assert fit.status.tolist() == list(shapes)
    assert np.isnan(fit.tau_ms[3])
    assert (fit.first_lag[3], fit.model[3], fit.explained[3], fit.explained_share[3]) == (0, "", 0.0, 0.0)
    assert fitted(1.0 * (LAGS == 1)).status[0] == "at_bound"
    assert fitted(np.full(LAGS.size, 0.2), model="exponential").status[0] == "at_bound"
    assert fitted(np.full((3, LAGS.size), [[0.1], [0.0], [np.nan]])).status.tolist() == ["no_decay"] * 3


def test_bounds_are_a_tenth_of_a_bin_and_ten_windows():
    fit = fitted(np.stack([1.0 * (LAGS == 1), 1.0 - 0.01 * LAGS]), window_ms=800.0)
    assert fit.tau_ms == pytest.approx([0.5, 8000.0], rel=1e-4)


# Start


def test_fit_starts_at_the_largest_drop():
    curve = np.exp(-LAGS / 8.0)
    curve[:3] = 0.2, 0.3, 0.5
    assert fitted(curve, start="largest_drop").first_lag[0] == 4
    assert fitted(curve, start="largest_drop").tau_ms[0] == pytest.approx(40.0, rel=1e-4)
    assert fitted(curve).first_lag[0] == 1
    assert fitted(-curve, start="largest_drop", sign="negative").first_lag[0] == 4


def test_start_may_be_kept_among_the_first_lags():
    curve = np.exp(-LAGS / 8.0)
    curve[29] += 0.5
    assert fitted(curve, start="largest_drop").first_lag[0] == 30
    assert fitted(curve, start="largest_drop", start_within=3).first_lag[0] == 1
    curve[:4] = 0.1, 0.2, 0.3, 0.4
    assert fitted(curve, start="largest_drop", start_within=3).first_lag[0] == 1


@pytest.mark.parametrize(("model", "lags_left"), [(MODELS[0], 4), (MODELS[1], 4), (MODELS[2], 5), (MODELS[3], 6)])
def test_start_leaves_lags_to_fit(model, lags_left):
    lags = np.arange(1, 13)
    curve = 100.0 + np.exp(-lags / 6.0) - 0.2 * np.arange(12) ** 2
    first = fitted(curve, lags=lags, start="largest_drop", model=(MODELS[0], model) if model != MODELS[0] else model)
    assert first.first_lag[0] == 12 - lags_left + 1


def test_fit_of_the_cortex_is_one_of_these():
    curves = noisy(number=20)
    old = fit_exponential(curves, bin_ms=5.0, bins=LAGS.size + 1)
    new = fitted(curves, weights=LAGS.size + 1 - LAGS, window_ms=5.0 * (LAGS.size + 1), start="largest_drop")
    assert np.array_equal(old.tau_ms, new.tau_ms)
    assert np.array_equal(old.status, new.status)
    usable = old.status != "at_bound"
    assert old.curve(80)[usable] == pytest.approx(new.curve(LAGS)[usable], nan_ok=True)


def test_grid_reaches_past_its_ends():
    # Protects the polynomial at the edges of the grid, where it needs points outside.
    for bins in (0.1, 0.104, 0.11, 9_900.0):
        fit = fitted(np.exp(-LAGS / bins), model="exponential")
        assert fit.tau_ms[0] == pytest.approx(5.0 * bins, rel=1e-3)
    assert sums_of_exponentials._BETWEEN.sum(axis=0) == pytest.approx(1.0)


# Bad input


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"curves": np.zeros(80)}, r"shape of curves is \(80,\); expected \(curve, lag\) with at least 4 lags"),
        ({"curves": np.zeros((2, 3))}, r"shape of curves is \(2, 3\)"),
        ({"curves": np.full((2, 80), "a")}, "type of curves is '<U1'; expected real numbers"),
        ({"lags": LAGS[:-1]}, "lags is .* expected 80 whole numbers of bins, rising"),
        ({"lags": LAGS[::-1]}, "expected 80 whole numbers of bins, rising"),
        ({"lags": LAGS - 5}, "expected 80 whole numbers of bins, rising"),
        ({"lags": LAGS / 2.0}, "expected 80 whole numbers of bins, rising"),
        ({"weights": np.ones(79)}, r"shape of weights is \(79,\); expected \(80,\) or \(2, 80\)"),
        ({"weights": -PAIRS}, "weights is .* expected finite numbers, at least 0"),
        ({"weights": np.full(80, np.nan)}, "expected finite numbers"),
        ({"bin_ms": 0.0}, "bin_ms is 0.0; expected a positive number of milliseconds"),
        ({"window_ms": np.inf}, "window_ms is inf; expected a positive"),
        ({"window_ms": 300.0}, "window_ms is 300.0; expected at least the largest lag, 400 ms"),
        ({"model": "exponentials"}, "model is 'exponentials'; expected one of exponential, exponential_offset, two_"),
        ({"model": None}, "model is None; expected one of"),
        ({"model": ()}, r"model is \(\); expected one or several different ones of"),
        ({"model": ("exponential", "exponential")}, "expected one or several different ones of"),
        ({"criterion": "aic"}, "criterion is 'aic'; expected one of bic, aicc"),
        ({"start": "drop"}, "start is 'drop'; expected one of first, largest_drop"),
        ({"start_within": 0}, "start_within is 0; expected a whole number of at least 1"),
        ({"sign": "both"}, "sign is 'both'; expected one of positive, negative, any"),
        ({"sign": "any", "start": "largest_drop"}, "sign is 'any'; expected positive or negative where the fit starts"),
        ({"curves": np.zeros((2, 5)), "model": MODELS}, "at least 6 lags"),
    ],
)
def test_bad_input_is_named(changed, message):
    arguments = {"curves": np.zeros((2, 80)), "lags": LAGS, "weights": PAIRS, "bin_ms": 5.0, "window_ms": 5000.0}
    with pytest.raises(InputError, match=message):
        fit_decay(**(arguments | changed))


# Oscillation


def oscillating(share, trials, bins, rng, tau=12.0, period=100.0):
    """An Ornstein-Uhlenbeck process and, with `share` of the variance, a sinusoid of random phase in each trial."""
    phase = rng.uniform(0, 2 * np.pi, (trials, 1))
    wave = np.sqrt(2 * share) * np.sin(phase + 2 * np.pi * np.arange(bins) / period)
    return np.sqrt(1 - share) * first_order(tau, trials, bins, rng) + wave


def judged(curves, bins):
    lags = np.arange(1, curves.shape[1] + 1)
    return oscillates(curves, bin_ms=5.0, lags=lags, weights=bins - lags)


@pytest.mark.parametrize(
    ("tau", "trials", "bins", "lags"),
    [(3, 1, 10_000, 20), (20, 1, 10_000, 100), (60, 1, 10_000, 100), (12, 100, 200, 180), (20, 1, 100_000, 50)],
)
def test_sampling_errors_are_no_oscillation(tau, trials, bins, lags):
    # Protects the model of correlated errors: with independent ones most of these curves would be "oscillations".
    rng = np.random.default_rng(7)
    curves = np.array([autocorrelation(first_order(tau, trials, bins, rng), lags) for _ in range(25)])
    assert judged(curves, bins).sum() == 0


def test_several_timescales_are_no_oscillation():
    rng = np.random.default_rng(8)
    curves = np.array(
        [
            autocorrelation(first_order(3, 1, 30_000, rng) + first_order(40, 1, 30_000, rng), 100),
            autocorrelation(rng.standard_normal((1, 30_000)), 100),
            autocorrelation(first_order(500, 1, 30_000, rng), 100),
            autocorrelation(lfilter([1.0], [1.0, -0.8], first_order(15, 1, 30_000, rng), axis=1), 100),
        ]
    )
    assert judged(curves, 30_000).tolist() == [False] * 4


@pytest.mark.parametrize(("share", "lags"), [(0.2, 110), (0.2, 180), (1.0, 150)])
def test_oscillations_are_found(share, lags):
    # 500 trials of 1 s, 5 ms bins, 60 ms and 2 Hz.
    rng = np.random.default_rng(9)
    curves = np.array([autocorrelation(oscillating(share, 500, 200, rng), lags) for _ in range(12)])
    assert judged(curves, 200).mean() > 0.9
    number = np.arange(1, lags + 1)
    frequency_hz, better_by = damped_cosine(curves, bin_ms=5.0, lags=number, weights=200 - number)
    assert np.median(frequency_hz) == pytest.approx(2.0, rel=0.1)
    assert better_by.min() > 0


def test_frequency_and_damping_are_recovered():
    lags = np.arange(1, 151)
    errors = 0.005 * np.random.default_rng(1).standard_normal((3, 150))
    hz = np.array([4.0, 10.0, 33.0])
    curves = np.exp(-lags / 100.0) * np.cos(2 * np.pi * hz[:, None] * 0.005 * lags) + errors
    frequency_hz, better_by = damped_cosine(curves, bin_ms=5.0, lags=lags, weights=1000 - lags)
    assert frequency_hz == pytest.approx(hz, rel=0.01)
    assert (better_by > MARGIN).all()


def test_a_full_period_must_fit_into_the_lags():
    lags = np.arange(1, 61)
    curves = np.cos(2 * np.pi * lags / np.array([[30.0], [200.0]]))
    assert oscillates(curves, bin_ms=5.0, lags=lags, weights=1000 - lags).tolist() == [True, False]


def test_oscillation_is_judged_with_gaps_and_not_without_data():
    lags = np.arange(1, 101)
    curves = np.tile(0.6 * np.exp(-lags / 12.0) + 0.4 * np.cos(2 * np.pi * lags / 40.0), (4, 1))
    curves[1, [0, 10, 11, 99]] = np.nan
    curves[2, 20:80] = np.nan
    curves[3] = 0.0
    assert oscillates(curves, bin_ms=5.0, lags=lags, weights=1000 - lags).tolist() == [True, True, False, False]
    frequency_hz, better_by = damped_cosine(curves, bin_ms=5.0, lags=lags, weights=1000 - lags)
    assert np.isnan([frequency_hz[2], better_by[2]]).all()
    assert not oscillates(curves[:, :15], bin_ms=5.0, lags=lags[:15], weights=lags[:15]).any()
    assert np.isnan(damped_cosine(curves[:, :15], bin_ms=5.0, lags=lags[:15], weights=lags[:15])[1]).all()


def test_curves_are_judged_alone(monkeypatch):
    rng = np.random.default_rng(11)
    curves = np.array(
        [autocorrelation(oscillating(share, 100, 200, rng, period=40.0), 50) for share in (0.0, 0.2, 0.5)]
    )
    lags = np.arange(1, 51)
    together = damped_cosine(curves, bin_ms=5.0, lags=lags, weights=200 - lags)
    monkeypatch.setattr("cortexsnn.timescales.oscillation._NUMBERS_AT_A_TIME", 1)
    assert damped_cosine(curves, bin_ms=5.0, lags=lags, weights=200 - lags)[1] == pytest.approx(together[1], rel=1e-6)
    scaled = damped_cosine(1e3 * curves, bin_ms=5.0, lags=lags, weights=5.0 * (200 - lags))
    assert scaled[1] == pytest.approx(together[1], rel=1e-6)


def test_many_lags_are_averaged():
    # Protects memory and time; what is slow against the averaged lags is found all the same.
    lags = np.arange(1, 1001)
    errors = 0.05 * np.random.default_rng(2).standard_normal((2, 1000))
    curves = np.exp(-lags / 60.0) + np.array([[0.0], [0.2]]) * np.cos(2 * np.pi * lags / 250.0) + errors
    assert oscillates(curves, bin_ms=1.0, lags=lags, weights=5000 - lags).tolist() == [False, True]


@pytest.mark.parametrize(
    ("changed", "message"),
    [({"bin_ms": -1.0}, "bin_ms is -1.0"), ({"lags": LAGS[1:]}, "lags is"), ({"weights": -PAIRS}, "weights is")],
)
def test_oscillation_names_bad_input(changed, message):
    arguments = {"curves": np.zeros((2, 80)), "lags": LAGS, "weights": PAIRS, "bin_ms": 5.0} | changed
    for function in (damped_cosine, oscillates):
        with pytest.raises(InputError, match=message):
            function(**arguments)
