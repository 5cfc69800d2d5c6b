"""Tables, rank statistics and the comparison of networks with the cortex."""

import math

import numpy as np
import pytest
import xarray as xr
from scipy.stats import rankdata

from cortexsnn import cortex, timescales
from cortexsnn.errors import InputError


def rng():
    return np.random.default_rng(7)


def network(*tau_ms, status=None):
    """What `timescales.estimate` returns, as far as `compare` looks at it."""
    layers = len(tau_ms)
    return xr.Dataset(
        {"tau_ms": ("layer", np.array(tau_ms)), "status": ("layer", status or ["ok"] * layers)},
        {"layer": [f"hidden{k + 1}" for k in range(layers)], "depth": ("layer", np.arange(1, layers + 1))},
    )


@pytest.fixture(scope="module")
def table():
    return cortex.load("murray2014")


def test_table_states_its_source(table):
    # Protects: no number without a citation.
    assert cortex.names() == ["murray2014"]
    assert table.sizes["observation"] == 16
    assert table.attrs["doi"] == "10.1038/nn.3862"
    assert "10.1038/nn.3862" in cortex.citation("murray2014")
    assert cortex.citation("murray2014").count("{") == cortex.citation("murray2014").count("}")


def test_area_means_are_those_of_the_paper(table):
    means = cortex.area_means(table)
    expected = {"MT": 70.5, "LIP": 114.5, "LPFC": 169.6, "OFC": 182.0, "ACC": 303.33, "S1": 65.0, "S2": 149.0}
    assert (
        dict(zip(means["area"].to_numpy().tolist(), means["tau_ms"].to_numpy().round(2).tolist(), strict=True))
        == expected
    )
    assert means["datasets"].sum() == 16
    assert means["rank"].to_numpy().tolist() == [1, 2, 3, 4, 4, 1, 2]


@pytest.mark.parametrize("function", [cortex.load, cortex.citation])
def test_unknown_table_is_named(function):
    with pytest.raises(InputError, match=r"cortical table is '\.\./murray2014'; expected one of murray2014"):
        function("../murray2014")


@pytest.mark.parametrize(
    ("order", "rho", "p"),
    [
        # Exact two-sided p of Spearman's rho, as printed in tables of critical values.
        ([1, 2, 3], 1.0, 0.333),
        ([1, 2, 3, 4], 1.0, 0.083),
        ([1, 2, 3, 4, 5], 1.0, 0.0167),
        ([1, 2, 3, 5, 4], 0.9, 0.083),
        ([1, 2, 3, 4, 6, 5], 0.943, 0.0167),
        ([2, 1, 3, 4, 6, 5], 0.886, 0.033),
        ([1, 2, 4, 5, 6, 3], 0.657, 0.175),
        ([1, 3, 2, 4, 7, 5, 6], 0.857, 0.024),
        ([2, 1, 3, 4, 5, 7, 8, 6], 0.905, 0.0046),
    ],
)
def test_exact_p_of_spearman(order, rho, p):
    result = cortex.rank_correlation(range(len(order)), order, rng=rng())
    assert result.coefficient == pytest.approx(rho, abs=5e-4)
    assert result.p_value == pytest.approx(p, abs=5e-4)
    assert result.p_is_exact
    assert result.p_standard_error == 0.0


@pytest.mark.parametrize("method", ["spearman", "kendall"])
def test_largest_exact_n_agrees_with_sampling(method):
    # Protects the enumeration in chunks (heads and tails), which only runs above n = 8.
    values = [3, 1, 4, 1, 5, 9, 2, 6, 5, 8]
    exact = cortex.rank_correlation(range(10), values, method, rng=rng())
    assert exact.p_is_exact
    shuffled = rng().permuted(np.tile(values, (20_000, 1)), axis=1)
    ranks = rankdata(shuffled, axis=1)
    if method == "spearman":
        score = (ranks - 5.5) @ (np.arange(10) - 4.5)
        observed = (rankdata(values) - 5.5) @ (np.arange(10) - 4.5)
    else:
        i, j = np.triu_indices(10, 1)
        score = np.sign(ranks[:, j] - ranks[:, i]).sum(axis=1)
        observed = np.sign(np.array(values)[j] - np.array(values)[i]).sum()
    sampled = np.mean(np.abs(score) >= abs(observed) - 1e-9)
    assert exact.p_value == pytest.approx(sampled, abs=4 * math.sqrt(exact.p_value / 20_000))


def test_ties_make_p_exact_above_ten():
    # Protects counting permutations that look different, in chunks: 12! / (6! 6!) and 30! / (28! 2!) of them.
    half = cortex.rank_correlation([0] * 6 + [1] * 6, range(12), rng=rng())
    assert half.p_is_exact
    assert half.p_value == half.smallest_possible_p == 2 / math.comb(12, 6)
    rare = cortex.rank_correlation(range(30), [0] * 28 + [1] * 2, "kendall", rng=rng())
    assert rare.p_value == 2 / math.comb(30, 2)
    assert not cortex.rank_correlation(range(31), [0] * 29 + [1] * 2, permutations=99, rng=rng()).p_is_exact


def test_sampled_p_has_an_error_and_is_reproducible():
    x, y = np.arange(12), rng().permutation(12)
    first, again = (cortex.rank_correlation(x, y, permutations=999, rng=rng()) for _ in range(2))
    assert first == again
    assert not first.p_is_exact
    assert first.p_standard_error == pytest.approx(math.sqrt(first.p_value * (1 - first.p_value) / 1000))
    more = cortex.rank_correlation(x, y, permutations=99_999, rng=rng())
    assert abs(more.p_value - first.p_value) < 5 * first.p_standard_error


@pytest.mark.parametrize(
    ("x", "y", "note"),
    [
        ([1, 2], [1, 2], "n too small: 2 of the 3 pairs needed"),
        ([], [], "n too small: 0 of the 3 pairs needed"),
        ([1, 1, 1, 1], [1, 2, 3, 4], "not defined: all values of x are equal"),
        ([1, 2, 3, 4], [2, 2, 2, 2], "not defined: all values of y are equal"),
    ],
)
def test_no_coefficient_has_a_reason(x, y, note):
    result = cortex.rank_correlation(x, y, rng=rng())
    assert math.isnan(result.coefficient)
    assert math.isnan(result.p_value)
    assert result.note == note


def test_note_speaks_only_where_n_is_too_small():
    four, five = (cortex.rank_correlation(range(n), range(n), rng=rng()) for n in (4, 5))
    assert four.note == "n too small: with these 4 pairs the smallest possible two-sided p is 0.083"
    assert four.smallest_possible_p == pytest.approx(2 / 24)
    assert five.note == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([1, 2, 3], [1, 2]), "length of y is 2; expected 3"),
        (([1, 2, math.nan], [1, 2, 3]), r"x is \[1.0, 2.0, nan\]; expected finite"),
        (([1, 2, 3], [[1, 2, 3]]), r"shape of y is \(1, 3\)"),
        (([1, 2, 3], [1, 2, 3], "pearson"), "method is 'pearson'; expected one of spearman, kendall"),
    ],
)
def test_rank_correlation_names_bad_input(arguments, message):
    with pytest.raises(InputError, match=message):
        cortex.rank_correlation(*arguments, rng=rng())


def test_sign_flips_over_seeds():
    five, six = (cortex.sign_flip_test(np.linspace(0.5, 1, n), rng=rng()) for n in (5, 6))
    assert five.p_value == 2 / 32
    assert five.note.startswith("n too small: with these 5 values")
    assert (six.p_value, six.note) == (2 / 64, "")
    many = cortex.sign_flip_test(rng().normal(0.1, 1, 40), rng=rng())
    assert not many.p_is_exact
    assert 0.01 < many.p_value <= 1
    assert many == cortex.sign_flip_test(rng().normal(0.1, 1, 40), rng=rng())
    assert cortex.sign_flip_test([], rng=rng()).note == "n too small: no value at all"
    with pytest.raises(InputError, match=r"values is \[inf\]"):
        cortex.sign_flip_test([math.inf], rng=rng())


def test_compare_one_network(table):
    result = cortex.compare(network(60.0, 120.0, 240.0, 480.0), table, rng=rng())
    one = result.sel(network="network")
    assert one["order_coefficient"].to_numpy().tolist() == [1.0, 1.0]
    assert one["order_p_value"].to_numpy() == pytest.approx(2 / 24)
    assert one["order_note"].sel(statistic="kendall").item().startswith("n too small")
    # Three doublings from the bottom to the top.
    assert one["slope"].item() == pytest.approx(3 * math.log(2))
    assert one["nearest_area"].to_numpy().tolist() == ["MT", "LIP", "ACC", "ACC"]
    assert one["nearest_area_ratio"].to_numpy()[1] == pytest.approx(120 / 114.5)
    assert result.attrs["doi"] == "10.1038/nn.3862"


def test_compare_finds_the_cortex_in_order(table):
    result = cortex.compare(network(60.0, 120.0, 240.0), table, rng=rng())
    assert result["cortex"].to_numpy().tolist() == ["area means", "observations"]
    assert result["cortex_n"].to_numpy().tolist() == [5, 14]
    assert result["cortex_p_is_exact"].all()
    means, observations = (result.sel(cortex=sample) for sample in ("area means", "observations"))
    assert observations["cortex_coefficient"].to_numpy() == pytest.approx([0.8443, 0.7446], abs=1e-4)
    # Counted in another way too, choosing the observations of each rank: 430 and 316 of 14! / (2! 2! 5! 5!).
    assert observations["cortex_p_value"].to_numpy().tolist() == [430 / 1_513_512, 316 / 1_513_512]
    assert means["cortex_coefficient"].sel(statistic="spearman").item() == pytest.approx(0.9747, abs=1e-4)
    assert all("not exchangeable" in note for note in observations["cortex_note"].to_numpy().tolist())
    assert not any("exchangeable" in note for note in means["cortex_note"].to_numpy().tolist())
    # exp(slope): ACC and OFC are three to four times as slow as MT.
    assert np.all((np.exp(result["cortex_slope"]) > 3) & (np.exp(result["cortex_slope"]) < 4))


def test_layers_without_a_timescale_are_counted_not_hidden(table):
    # A missing layer must not stretch the depth axis, nor vanish from the notes.
    broken = network(60.0, math.nan, 240.0, math.nan, status=["ok", "no_decay", "too_short", "too_few_spikes"])
    result = cortex.compare({"a": network(60.0, 120.0, 240.0, 480.0), "b": broken}, table, rng=rng())
    one = result.sel(network="b")
    assert one["layers_used"].item() == 2
    assert math.isnan(one["order_coefficient"].sel(statistic="spearman").item())
    assert one["order_note"].sel(statistic="spearman").item() == (
        "only 2 of 4 layers have a timescale; n too small: 2 of the 3 pairs needed"
    )
    assert one["slope"].item() == pytest.approx(math.log(4) / (2 / 3))
    assert one["slope_note"].item() == (
        "only 2 of 4 layers have a timescale; n too small: tests over networks leave out slopes of fewer than 3 layers"
    )
    assert one["nearest_area"].to_numpy().tolist() == ["MT", "", "ACC", ""]


def test_networks_of_different_depth_and_none_usable(table):
    silent = network(math.nan, math.nan, status=["too_few_spikes"] * 2)
    result = cortex.compare({"deep": network(50.0, 60.0, 70.0), "silent": silent}, table, rng=rng())
    assert result["status"].sel(network="silent").to_numpy().tolist() == ["too_few_spikes", "too_few_spikes", ""]
    assert "a slope needs 2 layers" in result["slope_note"].sel(network="silent").item()
    assert result["condition_networks"].to_numpy().tolist() == [1, 0]
    assert result["condition_note"].to_numpy().tolist()[1].startswith("0 of 1 networks used")


def test_seeds_are_pooled_by_condition(table):
    rising = {f"linear{k}": network(50.0 + k, 100.0, 200.0 + k) for k in range(6)}
    flat = {f"flat{k}": network(100.0, 90.0, 100.0 + (-1) ** k) for k in range(3)}
    members = {name: name.rstrip("0123456789") for name in {**rising, **flat}}
    result = cortex.compare({**rising, **flat}, table, rng=rng(), conditions=members)
    assert result["condition"].to_numpy().tolist() == ["linear", "flat"]
    assert result["condition_networks"].to_numpy().tolist() == [6, 3]
    assert result["condition_rising"].to_numpy().tolist() == [6, 2]
    assert result["condition_p_value"].sel(condition="linear").item() == 2 / 64
    assert result["condition_note"].sel(condition="linear").item() == ""
    assert "n too small: with these 3 values" in result["condition_note"].sel(condition="flat").item()


def test_two_layers_are_no_slope_for_a_test(table):
    # Protects the count of rising networks: two layers rise or fall by chance.
    short = network(60.0, math.nan, 240.0, status=["ok", "no_decay", "ok"])
    named = {"a": network(60.0, 120.0, 240.0), "b": network(240.0, 120.0, 60.0), "c": short}
    result = cortex.compare(named, table, rng=rng(), conditions=dict.fromkeys(named, "all")).isel(condition=0)
    assert result["slope"].sel(network="c").item() > 0
    assert (result["condition_networks"].item(), result["condition_rising"].item()) == (2, 1)
    assert result["condition_slope"].item() == pytest.approx(0.0)
    assert result["condition_note"].item().startswith("2 of 3 networks used: the others fall short of 3 layers")
    assert result["condition_rising"].attrs["long_name"] == "networks with a positive slope"


def test_nearest_area_is_one_of_the_stream(table):
    result = cortex.compare(network(65.0, 149.0), table, rng=rng())
    assert result["nearest_area"].to_numpy().tolist() == [["MT", "LPFC"]]
    assert "only a pointer" in result["nearest_area"].attrs["long_name"]


def paired(factors):
    """Networks whose seed makes them slow or fast at the top; condition 'steep' is steeper at every seed."""
    named = {f"steep-seed{k}": network(50.0, 100.0 * f, 200.0 * f**2) for k, f in enumerate(factors)}
    named |= {f"flat-seed{k}": network(50.0, 70.0 * f, 98.0 * f**2) for k, f in enumerate(factors)}
    return named, {n: n.split("-seed")[0] for n in named}, {n: n.split("-seed")[1] for n in named}


def test_conditions_are_compared_seed_by_seed(table):
    # Protects pairing: seeds differ by far more than conditions, and within a seed the difference is always the same.
    named, conditions, pairs = paired([0.2, 0.5, 0.8, 1.2, 1.8, 3.0])
    result = cortex.compare(named, table, rng=rng(), conditions=conditions, pairs=pairs)
    assert result["contrast"].to_numpy().tolist() == ["steep - flat"]
    one = result.sel(contrast="steep - flat")
    assert one["contrast_pairs"].item() == 6
    assert one["contrast_slope_difference"].item() == pytest.approx(math.log(200 / 98))
    assert one["contrast_p_value"].item() == one["contrast_smallest_possible_p"].item() == 2 / 64
    assert (one["contrast_p_is_exact"].item(), one["contrast_note"].item()) == (True, "")
    assert result["condition_p_value"].sel(condition="flat").item() > 0.05


def test_pairs_without_a_slope_or_a_partner_are_left_out(table):
    named, conditions, pairs = paired([1.0, 1.1, 1.2])
    named["flat-seed1"] = network(50.0, math.nan, 90.0, status=["ok", "no_decay", "ok"])
    named["third"], conditions["third"] = network(50.0, 60.0, 70.0), "third"
    del pairs["steep-seed2"]
    result = cortex.compare(named, table, rng=rng(), conditions=conditions, pairs=pairs)
    assert result["contrast"].to_numpy().tolist() == ["steep - flat", "steep - third", "flat - third"]
    assert result["contrast_pairs"].to_numpy().tolist() == [1, 0, 0]
    notes = result["contrast_note"].to_numpy().tolist()
    assert notes[0].startswith("1 of 2 pairs used: the others fall short of 3 layers with a timescale; n too small")
    assert notes[1] == "n too small: no value at all"


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ({"steep-seed9": "9"}, r"pairs is \['steep-seed9'\]; expected labels of networks: steep-seed0, "),
        (
            {"flat-seed0": "0", "flat-seed1": "0"},
            r"pairs is '0'; expected one network of that label in a condition.*'flat-seed0' and 'flat-seed1'",
        ),
    ],
)
def test_pairs_that_do_not_pair_are_refused(table, pairs, message):
    named, conditions, _ = paired([1.0, 1.1])
    with pytest.raises(InputError, match=message):
        cortex.compare(named, table, rng=rng(), conditions=conditions, pairs=pairs)


@pytest.mark.parametrize(("pairs", "contrasts"), [(None, 0), ({"a": "1", "b": "1"}, 1)])
def test_comparison_survives_a_file(table, tmp_path, pairs, contrasts):
    # Without pairs the dimension of contrasts is empty, on disk too.
    named = {"a": network(60.0, 120.0), "b": network(60.0, 120.0, 240.0)}
    result = cortex.compare(named, table, rng=rng(), pairs=pairs)
    assert result.sizes["contrast"] == contrasts
    cortex.save_comparison(result, tmp_path / "comparison.nc")
    back = cortex.load_comparison(tmp_path / "comparison.nc")
    xr.testing.assert_identical(back, result)
    assert all(variable.dtype != object for variable in back.variables.values())
    with pytest.raises(InputError, match="schema of timescales file"):
        timescales.load(tmp_path / "comparison.nc")


@pytest.mark.parametrize(
    ("given", "conditions", "message"),
    [
        ({}, None, r"timescales is \[\]"),
        (
            {"a": xr.Dataset({"tau": 1})},
            None,
            "timescales of network 'a' is .* expected a result of timescales.estimate",
        ),
        ({"a": network(1.0, status=["fine"])}, None, "status of network 'a' is 'fine'; expected one of ok"),
        ({"a": network(math.nan)}, None, r"tau_ms of network 'a' is \[nan\]; expected a positive number"),
        ({"a": network(1.0)}, {"b": "x"}, r"conditions is \['b'\]; expected one for each network: a"),
    ],
)
def test_compare_names_bad_input(table, given, conditions, message):
    with pytest.raises(InputError, match=message):
        cortex.compare(given, table, rng=rng(), conditions=conditions)


def test_compare_needs_a_table_with_the_stream(table):
    with pytest.raises(InputError, match=r"streams of the table is .*somatosensory"):
        cortex.compare(network(1.0), table.isel(observation=slice(14, 16)), rng=rng())
    with pytest.raises(InputError, match="table is"):
        cortex.compare(network(1.0), cortex.area_means(table), rng=rng())
