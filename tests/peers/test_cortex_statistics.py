"""SciPy and statsmodels: the same statistics from other hands."""

import warnings

import numpy as np
import pytest
import scipy.stats

statsmodels = pytest.importorskip("statsmodels.api")
from statsmodels.stats.multitest import multipletests  # noqa: E402

from cortexsnn.cortex import statistics  # noqa: E402


def rng(seed=3):
    return np.random.default_rng(seed)


@pytest.mark.parametrize("alternative", ["two-sided", "greater", "less"])
@pytest.mark.parametrize("n", [4, 7])
def test_exact_spearman_of_scipy(n, alternative):
    # SciPy goes through all permutations one by one.
    x, y = rng().permutation(n), np.round(rng(n).normal(0, 1, n), 0)
    y[0] += 0.5
    ours = statistics.rank_correlation(x, y, alternative=alternative, rng=rng())
    theirs = scipy.stats.permutation_test(
        (x,), lambda order: scipy.stats.spearmanr(order, y).statistic, permutation_type="pairings",
        alternative=alternative, n_resamples=np.inf,
    )  # fmt: skip
    assert ours.coefficient == pytest.approx(theirs.statistic)
    if alternative == "two-sided":
        # SciPy doubles the smaller side, which with ties is not the share of larger sizes.
        sizes = np.abs(theirs.null_distribution)
        assert ours.p_value == pytest.approx(np.mean(sizes >= abs(theirs.statistic) - 1e-9))
    else:
        assert ours.p_value == pytest.approx(theirs.pvalue)


@pytest.mark.parametrize("n", [5, 8, 10, 14])
def test_exact_kendall_of_scipy(n):
    # A recursion of its own, for data without ties.
    x, y = rng().permutation(n), rng(n).permutation(n)
    ours = statistics.rank_correlation(x, y, "kendall", rng=rng())
    theirs = scipy.stats.kendalltau(x, y, method="exact")
    assert (ours.coefficient, ours.p_value) == pytest.approx((theirs.statistic, theirs.pvalue))


def test_sign_flips_of_scipy():
    values = rng().normal(0.4, 1, 9)
    ours = statistics.sign_flip_test(values, rng=rng())
    theirs = scipy.stats.permutation_test(
        (values,),
        lambda one, axis: one.mean(axis=axis),
        permutation_type="samples",
        n_resamples=np.inf,
        vectorized=True,
    )
    assert ours.p_value == pytest.approx(theirs.pvalue)


def test_slopes_of_statsmodels_and_scipy():
    depth = np.array([0, 0.2, 0.2, 0.5, 0.9, 1.0])
    log_tau = 4 + depth + rng().normal(0, 0.3, 6)
    ours = statistics.log_slope(depth, np.exp(log_tau))
    theirs = statsmodels.OLS(log_tau, statsmodels.add_constant(depth)).fit()
    assert (ours.intercept, ours.slope) == pytest.approx(tuple(theirs.params))
    assert ours.standard_error == pytest.approx(theirs.bse[1])
    assert (ours.low, ours.high) == pytest.approx(tuple(theirs.conf_int()[1]))
    robust = statistics.log_slope(depth, np.exp(log_tau), "theil-sen")
    assert robust.slope == pytest.approx(scipy.stats.theilslopes(log_tau, depth).slope)


def test_residual_bootstrap_is_hc2_of_statsmodels():
    # The wild bootstrap is a simulation of this standard error.
    depth = np.linspace(0, 1, 7)
    log_tau = 4 + depth + rng().normal(0, 0.3, 7)
    ours = statistics.residual_bootstrap_slope(depth, np.exp(log_tau), resamples=50_000, rng=rng())
    theirs = statsmodels.OLS(log_tau, statsmodels.add_constant(depth)).fit(cov_type="HC2")
    assert ours.standard_error == pytest.approx(theirs.bse[1], rel=0.02)


@pytest.mark.parametrize("random", ["intercept and slope", "intercept"])
@pytest.mark.parametrize(("seeds", "layers", "missing"), [(6, 4, 0), (8, 5, 6), (12, 4, 9)])
def test_mixed_model_of_statsmodels(seeds, layers, missing, random):
    draw = rng(seeds)
    seed, depth = np.repeat(np.arange(seeds), layers), np.tile(np.linspace(0, 1, layers), seeds)
    log_tau = 4 + draw.normal(0, 0.3, seeds)[seed] + (1 + draw.normal(0, 0.4, seeds)[seed]) * depth
    log_tau += draw.normal(0, 0.1, depth.size)
    keep = np.sort(draw.permutation(depth.size)[missing:])
    seed, depth, log_tau = seed[keep], depth[keep], log_tau[keep]
    ours = statistics.mixed_slope(seed, depth, np.exp(log_tau), random=random)
    fixed = statsmodels.add_constant(depth)
    effects = fixed if random != "intercept" else np.ones((depth.size, 1))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = statsmodels.MixedLM(log_tau, fixed, groups=seed, exog_re=effects).fit(
            reml=True, method=["bfgs", "lbfgs"], maxiter=1000
        )
    assert (ours.intercept, ours.slope) == pytest.approx(tuple(theirs.fe_params), abs=1e-4)
    assert ours.residual_variance == pytest.approx(theirs.scale, abs=1e-4)
    between = np.asarray(theirs.cov_re)
    assert ours.intercept_variance == pytest.approx(between[0, 0], abs=1e-4)
    if random != "intercept":
        assert (ours.slope_variance, ours.covariance) == pytest.approx((between[1, 1], between[0, 1]), abs=1e-4)
    assert ours.log_likelihood == pytest.approx(theirs.llf, abs=1e-6)
    # Its own standard errors are of a numerical Hessian; these are of generalised least squares at its variances.
    information = np.zeros((2, 2))
    for one in np.unique(seed):
        x, z = fixed[seed == one], effects[seed == one]
        information += x.T @ np.linalg.solve(theirs.scale * np.eye(len(x)) + z @ between @ z.T, x)
    errors = np.sqrt(np.diag(np.linalg.inv(information)))
    assert (ours.intercept_standard_error, ours.slope_standard_error) == pytest.approx(tuple(errors), abs=1e-4)
    assert (ours.intercept_standard_error, ours.slope_standard_error) == pytest.approx(tuple(theirs.bse_fe), rel=0.05)


def test_holm_of_statsmodels():
    p_values = rng().random(9) ** 3
    ours = statistics.holm({str(k): p for k, p in enumerate(p_values)})
    assert list(ours.values()) == pytest.approx(multipletests(p_values, method="holm")[1].tolist())


def test_power_of_statsmodels():
    from statsmodels.stats.power import TTestPower

    for effect in (0.5, 1.0, 1.5):
        theirs = TTestPower().solve_power(effect_size=effect, power=0.8, alpha=0.05)
        assert statistics.pairs_needed(effect).value == np.ceil(theirs)
    theirs = TTestPower().solve_power(nobs=5, power=0.8, alpha=0.05)
    assert statistics.detectable_effect(5).value == pytest.approx(float(theirs), abs=1e-4)


def test_hierarchical_bootstrap_of_one_level_is_scipys():
    values = rng().gamma(2, 1, 40)
    ours = statistics.hierarchical_bootstrap(
        statistics.of_observations(lambda drawn: float(np.median(values[drawn]))), {"seed": range(40)},
        interval="percentile", resamples=5000, rng=rng(),
    )  # fmt: skip
    theirs = scipy.stats.bootstrap((values,), np.median, n_resamples=5000, method="percentile", rng=rng())
    interval = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=0.1)
    assert ours.replicates.std(ddof=1) == pytest.approx(theirs.standard_error, rel=0.05)
