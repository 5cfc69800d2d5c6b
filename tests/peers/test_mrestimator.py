"""mrestimator: its coefficients and timescales of a branching process, seen in full and in part, are ours.

Spitzner et al. 2021, https://doi.org/10.1371/journal.pone.0249447.
"""

import warnings

import numpy as np
import pytest

with warnings.catch_warnings():
    # Its own warnings are not ours.
    warnings.simplefilter("ignore")
    mre = pytest.importorskip("mrestimator")

from cortexsnn.timescales.blocks import time_blocks
from cortexsnn.timescales.decay import fit_decay
from cortexsnn.timescales.multistep import METHODS, step_coefficients

STEPS = np.arange(1, 501)
FUNCTIONS = {"exponential": "f_exponential", "exponential_offset": "f_exponential_offset"}
# Of mrestimator 0.2.0 at 5 %: the first coefficients and tau by both fits.
KNOWN = {
    "trialseparated": ([0.565358, 0.552706, 0.541635, 0.529570, 0.520539], 48.9917, 51.8608),
    "stationarymean": ([0.566916, 0.554147, 0.543235, 0.531253, 0.522223], 49.5303, 52.0086),
}


@pytest.fixture(scope="module", params=[None, 0.1, 0.05], ids=["all", "10 %", "5 %"])
def activity(request):
    """Activity of a process with tau = 49.498 steps, shape (trial, step), and which part of it is seen."""
    seen = request.param
    return mre.simulate_branching(m=0.98, a=1000, subp=seen, length=20_000, numtrials=10, seed=43771), seen


def our_coefficients(activity, method):
    sums = step_coefficients(activity[:, :, None], STEPS, time_blocks(np.full(10, 20_000), 500), method=method)
    return sums.curves(np.ones((1, sums.blocks)))[0]


def our_fit(coefficients, model):
    return fit_decay(
        coefficients, bin_ms=1.0, lags=STEPS, weights=np.ones(500), window_ms=20_000.0, model=model, start="first"
    )


def their_fit(coefficients, function):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return mre.fit(coefficients, fitfunc=getattr(mre, function), numboot=0)


@pytest.mark.parametrize("method", METHODS)
def test_coefficients_and_timescales_are_the_same(activity, method):
    counts, seen = activity
    theirs = mre.coefficients(counts, method=method, steps=(1, 500), numboot=0)
    ours = our_coefficients(counts, method)
    np.testing.assert_allclose(ours[0], theirs.coefficients, rtol=0, atol=1e-6)
    taus = {model: their_fit(theirs, function).tau for model, function in FUNCTIONS.items()}
    for model, tau in taus.items():
        assert our_fit(ours, model).tau_ms[0] == pytest.approx(tau, rel=0.001)
    if seen == 0.05:
        # The process and the peer are those of the reference numbers.
        first, exponential, with_offset = KNOWN[method]
        np.testing.assert_allclose(theirs.coefficients[:5], first, rtol=0, atol=1e-6)
        assert list(taus.values()) == pytest.approx([exponential, with_offset], abs=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_two_timescales_do_not_end_in_one_that_is_over_before_the_first_step(activity, method):
    # Its rule, the larger |A|, may take a component of 0.03 steps, of which nothing is left at step 1.
    counts, seen = activity
    ours = our_fit(our_coefficients(counts, method), "two_exponentials").tau_ms[0]
    assert 42.0 < ours < 57.0
    if seen == 0.05 and method == "stationarymean":
        theirs = mre.coefficients(counts, method=method, steps=(1, 500), numboot=0)
        assert their_fit(theirs, "f_two_timescales").tau < 0.1
