"""Networks beside the cortex: slopes, intervals, nearest areas, conditions and contrasts, and what cannot be said."""

import math

import numpy as np
import pytest
import xarray as xr

from cortexsnn import cortex
from cortexsnn.cortex.comparing.area_errors import area_replicates
from cortexsnn.cortex.comparing.conditions import mean_slope
from cortexsnn.cortex.comparing.contrasts import contrast_part
from cortexsnn.cortex.comparing.layers import REPLICATES, read_layers, split_log_normal
from cortexsnn.cortex.comparing.layout import SCHEMA, VARIABLES
from cortexsnn.cortex.comparing.pairing import Pairing
from cortexsnn.cortex.statistics import residual_bootstrap_slope
from cortexsnn.errors import InputError
from cortexsnn.summary import slope_rows


def rng():
    return np.random.default_rng(7)


def network(*tau_ms, status=None, low=None, high=None, depth=None):
    """What `timescales.estimate` returns, as far as `compare` looks at it."""
    layers = len(tau_ms)
    variables = {"tau_ms": ("layer", np.array(tau_ms)), "status": ("layer", status or ["ok"] * layers)}
    if low is not None:
        variables |= {"tau_low_ms": ("layer", np.array(low)), "tau_high_ms": ("layer", np.array(high))}
    return xr.Dataset(
        variables,
        {
            "layer": [f"hidden{k + 1}" for k in range(layers)],
            "depth": ("layer", np.arange(1, layers + 1) if depth is None else depth),
        },
        {"confidence": 0.95},
    )


def neurons(taus):
    """Timescales of single neurons, by layer; NaN where there is none."""
    layer = [name for name, values in taus.items() for _ in values]
    tau_ms = np.concatenate([np.asarray(values, dtype=float) for values in taus.values()])
    status = np.where(np.isnan(tau_ms), "no_decay", "ok")
    return xr.Dataset(
        {"tau_ms": ("unit", tau_ms), "status": ("unit", status)}, {"layer": ("unit", layer)}, {"per": "neuron"}
    )


@pytest.fixture(scope="module")
def table():
    return cortex.load("murray2014")


def own_table(**columns):
    """A table as `cortex.register` makes it, of columns on observation."""
    size = len(columns["area"])
    columns = {"dataset": ["mine"] * size, "stream": ["all"] * size, "measure": ["timescale"] * size} | columns
    labels = ("area", "dataset", "stream", "measure", "rank", "score")
    return xr.Dataset(
        {name: ("observation", np.array(values)) for name, values in columns.items() if name not in labels},
        {name: ("observation", np.array(values)) for name, values in columns.items() if name in labels},
        {"table": "mine", "modality": "spikes"},
    )


def test_compare_one_network(table):
    result = cortex.compare(network(60.0, 120.0, 240.0, 480.0), table, rng=rng())
    one = result.sel(network="network")
    assert one["order_coefficient"].to_numpy().tolist() == [1.0, 1.0]
    assert one["order_p_value"].to_numpy() == pytest.approx(2 / 24)
    assert one["order_note"].sel(statistic="kendall").item().startswith("n too small")
    # Three doublings from the bottom to the top.
    assert one["slope"].item() == pytest.approx(3 * math.log(2))
    assert one["slope_theil_sen"].item() == pytest.approx(3 * math.log(2))
    assert (one["ratio"].item(), one["slope_status"].item()) == (pytest.approx(8.0), "ok")
    assert one["nearest_area"].to_numpy().tolist() == ["MT", "LIP", "ACC", "ACC"]
    assert one["nearest_area_ratio"].to_numpy()[1] == pytest.approx(120 / 114.5)
    assert result.attrs["doi"] == "10.1038/nn.3862"
    assert (result.attrs["stream"], result.attrs["place"]) == ("visual-prefrontal", "rank")


def test_the_result_is_described_and_nothing_else(table):
    # Protects the layout that the report draws from: every variable is there, says what it is, and times have units.
    result = cortex.compare({"a": network(60.0, 120.0), "b": network(60.0, 120.0, 240.0)}, table, rng=rng())
    assert set(result.data_vars) == set(VARIABLES)
    assert all(variable.attrs["long_name"] for variable in result.data_vars.values())
    assert all(variable.attrs["units"] == "ms" for name, variable in result.data_vars.items() if name.endswith("_ms"))


def test_compare_finds_the_cortex_in_order(table):
    result = cortex.compare(network(60.0, 120.0, 240.0), table, rng=rng())
    assert result["cortex"].to_numpy().tolist() == ["area means", "observations"]
    assert result["cortex_n"].to_numpy().tolist() == [5, 14]
    assert result["cortex_p_is_exact"].all()
    means, observations = (result.sel(cortex=sample) for sample in ("area means", "observations"))
    assert observations["cortex_coefficient"].to_numpy() == pytest.approx([0.8443, 0.7446], abs=1e-4)
    # Counted in another way too, choosing the observations of each rank: 430 and 316 of 14! / (2! 2! 5! 5!).
    assert observations["cortex_p_value"].to_numpy() == pytest.approx([430 / 1_513_512, 316 / 1_513_512], rel=1e-12)
    assert means["cortex_coefficient"].sel(statistic="spearman").item() == pytest.approx(0.9747, abs=1e-4)
    assert all("not exchangeable" in note for note in observations["cortex_note"].to_numpy().tolist())
    assert not any("exchangeable" in note for note in means["cortex_note"].to_numpy().tolist())
    # exp(slope): ACC and OFC are three to four times as slow as MT.
    assert np.all((np.exp(result["cortex_slope"]) > 3) & (np.exp(result["cortex_slope"]) < 4))
    assert np.all(result["cortex_slope_low"] > 0)
    assert "5 data sets drawn again" in observations["cortex_slope_note"].item()
    assert "residuals of 5 points" in means["cortex_slope_note"].item()


def test_slope_by_another_way(table):
    # Counted with numpy's least squares: areas by rank, 1 to 4 as 0 to 1.
    means = cortex.area_means(table)
    inside = means["stream"] == "visual-prefrontal"
    height = (means["rank"].to_numpy()[inside] - 1) / 3
    expected = np.polyfit(height, np.log(means["tau_ms"].to_numpy()[inside]), 1)[0]
    result = cortex.compare(network(80.0, 100.0, 250.0), table, rng=rng())
    assert result["cortex_slope"].sel(cortex="area means").item() == pytest.approx(expected)
    own = np.polyfit([0, 0.5, 1], np.log([80.0, 100.0, 250.0]), 1)[0]
    assert result["cortex_difference"].to_numpy()[0] == pytest.approx(own - result["cortex_slope"].to_numpy())
    assert result["cortex_distance"].to_numpy()[0] == pytest.approx(abs(own - result["cortex_slope"].to_numpy()))


@pytest.mark.parametrize(
    ("name", "measure", "place", "spearman", "p"),
    [
        ("siegle2021", "response_decay", "score", 0.881, 0.0072),
        ("siegle2021", "intrinsic", "score", -0.310, 0.462),
        ("gao2020_human", None, "score", 0.678, None),
    ],
)
def test_places_by_score_are_taken_too(name, measure, place, spearman, p):
    result = cortex.compare(network(60.0, 120.0, 240.0), cortex.load(name), measure=measure, rng=rng())
    assert result.attrs["place"] == place
    one = result.sel(cortex="area means", statistic="spearman")
    assert one["cortex_coefficient"].item() == pytest.approx(spearman, abs=1e-3)
    if p is not None:
        assert one["cortex_p_value"].item() == pytest.approx(p, abs=5e-4)
    assert result["area_height"].to_numpy()[[0, -1]].tolist() == [0.0, 1.0]
    assert "exchangeable" not in result["cortex_note"].sel(cortex="observations", statistic="kendall").item()


def test_milliseconds_are_compared_for_spikes_with_spikes_only(table):
    # Protects the rule that field potentials, fMRI and models are compared by order and slope alone.
    measured = network(60.0, 120.0, 240.0)
    field = cortex.compare(measured, cortex.load("gao2020_macaque"), rng=rng())
    assert (field["nearest_area"] == "").all()
    assert np.isnan(field["nearest_probability"]).all()
    assert np.isnan(field["log_ratio"]).all()
    assert "field potentials, not of spikes" in field["nearest_note"].to_numpy()[0, 0]
    assert np.isfinite(field["cortex_difference"]).all()
    unknown = cortex.compare(measured, table.assign_attrs(modality="unknown"), rng=rng())
    assert "does not say that its timescales are of spikes" in unknown.attrs["absolute"]
    signals = cortex.compare(measured.assign(rate_hz=("layer", [math.nan] * 3)), table, rng=rng())
    assert "of signals, not of spikes" in signals["nearest_note"].to_numpy()[0, 0]
    spikes = cortex.compare(measured.assign(rate_hz=("layer", [5.0] * 3)), table, rng=rng())
    assert (spikes.attrs["absolute"], (spikes["nearest_area"] != "").all().item()) == ("", True)


def test_nearest_area_has_a_probability(table):
    # Between MT (64, 77) and LIP (91, 138) an uncertain layer may be either; a sure one at 70 may not.
    sure = network(70.5, 300.0, low=[70.0, 290.0], high=[71.0, 310.0])
    unsure = network(85.0, 300.0, low=[50.0, 0.0], high=[150.0, math.inf])
    result = cortex.compare({"sure": sure, "unsure": unsure}, table, rng=rng())
    share = result["nearest_probability"].isel(layer=0)
    # Two data sets leave the mean of MT unsure: it may be as far as 90 ms.
    assert 0.95 < share.sel(network="sure", area="MT").item() < 1
    assert 0.1 < share.sel(network="unsure", area="MT").item() < 0.9
    assert share.sum("area").to_numpy() == pytest.approx([1.0, 1.0])
    assert result["nearest_area_probability"].to_numpy()[0, 0] == share.sel(network="sure", area="MT").item()
    assert "open at both ends" in result["nearest_note"].sel(network="unsure", layer=2).item()
    assert result["log_ratio"].sel(network="sure", layer=1, area="MT").item() == pytest.approx(0.0)


def test_the_nearest_by_mean_need_not_be_the_most_probable(table):
    result = cortex.compare(network(65.0, 149.0), table, rng=rng())
    assert result["nearest_area"].to_numpy().tolist() == [["MT", "LPFC"]]
    assert "only a pointer" in result["nearest_area"].attrs["long_name"]
    best = result["area"].to_numpy()[np.argmax(result["nearest_probability"].to_numpy()[0, 1])]
    note = result["nearest_note"].to_numpy()[0, 1]
    assert (f"{best} is nearest more often" in note) == (best != "LPFC")
    assert "no interval of the layer" in note


def test_split_log_normal_reaches_to_each_side_as_far_as_the_interval():
    drawn = split_log_normal(100.0, 90.0, 200.0, 0.95, 20_000, rng())
    assert np.percentile(drawn, [2.5, 50, 97.5]) == pytest.approx([90.0, 100.0, 200.0], rel=0.03)
    one_sided = split_log_normal(100.0, 50.0, math.inf, 0.95, 20_000, rng())
    assert np.percentile(one_sided, 97.5) == pytest.approx(200.0, rel=0.05)
    assert (split_log_normal(100.0, 0.0, math.inf, 0.95, 5, rng()) == 100.0).all()
    # The estimate may lie outside of its percentiles: that side has no spread, not a negative one.
    assert split_log_normal(100.0, 110.0, 200.0, 0.95, 1000, rng()).min() == pytest.approx(100.0)


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
    assert (one["slope_status"].item(), math.isnan(one["ratio"].item())) == ("two_layers", True)
    assert one["nearest_area"].to_numpy().tolist() == ["MT", "", "ACC", ""]
    assert one["nearest_note"].to_numpy()[1] == "the layer has no timescale"
    assert one["layer_height"].to_numpy() == pytest.approx([0, 1 / 3, 2 / 3, 1])


def test_networks_of_different_depth_and_none_usable(table):
    silent = network(math.nan, math.nan, status=["too_few_spikes"] * 2)
    result = cortex.compare({"deep": network(50.0, 60.0, 70.0), "silent": silent}, table, rng=rng())
    assert result["status"].sel(network="silent").to_numpy().tolist() == ["too_few_spikes", "too_few_spikes", ""]
    assert "a slope needs 2 layers" in result["slope_note"].sel(network="silent").item()
    assert result["condition_networks"].to_numpy().tolist() == [1, 0]
    assert result["condition_note"].to_numpy().tolist()[1].startswith("0 of 1 network used: it falls short of 3")
    assert result["cortex_difference_note"].sel(condition="silent").to_numpy()[0] == "no slope of the networks"
    assert "n too small" in result["shuffled_note"].sel(condition="silent", layer_statistic="slope").item()


def test_one_layer_is_said_to_be_too_few(table):
    one = cortex.compare(network(100.0), table, rng=rng()).isel(network=0, condition=0)
    assert one["slope_status"].item() == "too_few_layers"
    assert math.isnan(one["slope"].item())
    assert one["nearest_area"].to_numpy().tolist() == ["LIP"]
    assert "1 layer alone can never be significant" in one["condition_shows"].item()


def test_what_four_layers_cannot_show_is_said(table):
    result = cortex.compare(network(60.0, 120.0, 240.0, 480.0), table, rng=rng())
    sentences = result["condition_shows"].item().splitlines()
    assert "4 layers alone can never be significant at 0.05" in sentences[0]
    # OFC and ACC are tied: the coefficient that 5 areas without ties need is another one.
    assert not any("a Spearman coefficient must be" in sentence for sentence in sentences)
    mouse = cortex.load("siegle2021", "response_decay")
    beside_mouse = cortex.compare(network(60.0, 120.0, 240.0, 480.0), mouse, rng=rng())
    assert "with 8 pairs a Spearman coefficient must be" in beside_mouse["condition_shows"].item()


def test_a_network_of_one_layer_has_no_ratio(table):
    # Protects the mean ratio of a condition from layers that are first and last at once.
    named = {"a": network(50.0, 100.0, 200.0), "b": network(100.0)}
    result = cortex.compare(named, table, conditions={"a": "all", "b": "all"}, rng=rng())
    assert result["condition_ratio"].item() == pytest.approx(4.0)


def test_a_layer_without_an_interval_is_not_taken_for_exact(table):
    partly = network(50.0, 100.0, 200.0).assign(
        tau_low_ms=("layer", [np.nan, 80.0, np.nan]), tau_high_ms=("layer", [np.nan, 120.0, np.nan])
    )
    one = cortex.compare(partly, table, rng=rng()).isel(network=0)
    assert np.isnan(one["slope_measured_low"].item())


def test_ties_share_a_rank_and_are_named(table):
    one = cortex.compare(network(60.0, 100.0, 100.0, 200.0), table, rng=rng()).sel(statistic="spearman")
    assert "layers with equal timescales share a rank" in one["order_note"].item()
    assert one["order_coefficient"].item() == pytest.approx(0.9487, abs=1e-4)
    flat = cortex.compare(network(100.0, 100.0, 100.0), table, rng=rng())
    assert "all values of y are equal" in flat["order_note"].to_numpy()[0, 0]
    assert flat["slope"].item() == pytest.approx(0.0)
    assert "not tested" in flat["shuffled_note"].sel(layer_statistic="spearman").item()


def test_layers_side_by_side_have_one_depth(table):
    # Protects networks with branches: equal depths must not be put into an order by chance.
    branched = network(50.0, 100.0, 110.0, 200.0, depth=[1, 2, 2, 3])
    one = cortex.compare(branched, table, rng=rng()).isel(network=0)
    assert one["layer_height"].to_numpy().tolist() == [0.0, 0.5, 0.5, 1.0]
    assert "side by side" in one["slope_note"].item()
    assert one["slope"].item() == pytest.approx(math.log(4))
    assert math.isfinite(one["order_coefficient"].to_numpy()[0])


def test_ratios_do_not_depend_on_the_order_in_the_file(table):
    # Protects networks with branches at either end: any layer of them may come last in a file.
    one = network(50.0, 100.0, 90.0, 400.0, depth=[1, 2, 3, 3])
    other = network(50.0, 100.0, 400.0, 90.0, depth=[1, 2, 3, 3])
    expected = math.sqrt(90.0 * 400.0) / 50.0
    for measured in (one, other, one.isel(layer=[3, 1, 0, 2])):
        result = cortex.compare(measured, table, rng=rng())
        assert result["ratio"].item() == pytest.approx(expected)
        assert result["condition_ratio"].item() == pytest.approx(expected)
    branched = own_table(area=["a", "b", "c"], rank=[1, 2, 2], tau_ms=[50.0, 90.0, 400.0])
    beside = cortex.compare(one, branched, rng=rng())
    assert beside["cortex_ratio"].to_numpy()[0] == pytest.approx(expected)


def test_the_interval_of_a_ratio_takes_in_all_layers_at_an_end(table):
    tau = np.array([50.0, 100.0, 90.0, 400.0])
    measured = network(*tau, low=tau / 1.3, high=tau * 1.3, depth=[1, 2, 3, 3])
    one = cortex.compare(measured, table, rng=rng()).isel(network=0)
    # The mean of two at the top has half the variance of one at the bottom.
    width = math.log(one["ratio_high"].item() / one["ratio_low"].item())
    assert width == pytest.approx(2 * math.log(1.3) * math.sqrt(1.5), rel=0.1)
    openly = measured.assign(tau_high_ms=("layer", [65.0, 130.0, math.inf, 520.0]))
    assert cortex.compare(openly, table, rng=rng())["ratio_high"].item() == math.inf


def test_layers_that_were_cut_out_leave_the_others_in_their_place(table):
    # Protects depth: layers 2 and 4 of four are not the first and the last of two.
    names = [f"hidden{k}" for k in (1, 1, 2, 3, 4)]
    # What estimate returns still names the layers of all neurons where some were cut out.
    whole = network(60.0, 90.0, 150.0, 240.0).assign_coords(unit_layer=("unit", names))
    cut = cortex.compare(whole.isel(layer=[1, 3]), table, rng=rng()).isel(network=0)
    assert cut["layer_height"].to_numpy() == pytest.approx([1 / 3, 1])
    assert cut["slope"].item() == pytest.approx(math.log(240 / 90) / (2 / 3))
    assert "only layers at depth 2, 4 of 1 to 4" in cut["slope_note"].item()
    # There is no first layer to put the last over.
    assert math.isnan(cut["ratio"].item())
    full = cortex.compare(whole, table, rng=rng()).isel(network=0)
    assert "depth" not in full["slope_note"].item()
    lower = cortex.compare(whole.isel(layer=[0, 1]), table, rng=rng()).isel(network=0)
    assert lower["layer_height"].to_numpy() == pytest.approx([0, 1 / 3])
    assert "only layers at depth 1, 2 of 1 to 4" in lower["order_note"].to_numpy()[0]


def test_depths_that_are_no_positions_give_their_order(table):
    halves = cortex.compare(network(60.0, 90.0, 150.0, depth=[0.0, 0.5, 1.0]), table, rng=rng()).isel(network=0)
    assert halves["layer_height"].to_numpy().tolist() == [0.0, 0.5, 1.0]
    assert halves["slope_note"].item() == ""
    for depth in ([10, 20, 30], [5, 6, 7], [2, 3, 4], [1, 3, 5]):
        # Positions in a network that nobody knows: 10 of 30 layers, or micrometres below the pia.
        own = cortex.compare(network(60.0, 90.0, 150.0, depth=depth), table, rng=rng()).isel(network=0)
        assert own["layer_height"].to_numpy().tolist() == [0.0, 0.5, 1.0]
        assert own["ratio"].item() == pytest.approx(150 / 60)
        assert "only their order is taken" in own["slope_note"].item()
    uneven = cortex.compare(network(60.0, 90.0, 150.0, depth=[0.0, 0.1, 1.0]), table, rng=rng()).isel(network=0)
    assert uneven["layer_height"].to_numpy().tolist() == [0.0, 0.5, 1.0]
    assert "only their order is taken" in uneven["slope_note"].item()
    by_order = cortex.compare(neurons({"V1": [50.0, 60.0], "V4": [90.0, 99.0]}), table, rng=rng())
    assert "its place in the order in which they appear" in by_order["slope_note"].item()


def test_the_interval_of_a_slope_follows_the_errors_of_the_timescales(table):
    tau = np.array([60.0, 120.0, 240.0])
    narrow, wide = (network(*tau, low=tau / factor, high=tau * factor) for factor in (1.05, 1.5))
    named = {"narrow": narrow, "wide": wide, "none": network(*tau)}
    result = cortex.compare(named, table, rng=rng())
    width = (result["slope_measured_high"] - result["slope_measured_low"]).to_numpy()
    # Two ends with independent errors: 2 * 1.96 * sqrt(2) * sigma, and ln(factor) = 1.96 sigma.
    assert width[:2] == pytest.approx(2 * math.sqrt(2) * np.log([1.05, 1.5]), rel=0.12)
    assert math.isnan(width[2])
    assert result["ratio_low"].to_numpy()[0] < 4 < result["ratio_high"].to_numpy()[0]
    openly = network(*tau, low=[50.0, 100.0, 200.0], high=[70.0, 140.0, math.inf])
    top = cortex.compare(openly, table, rng=rng()).isel(network=0)
    assert top["slope_measured_high"].item() == top["ratio_high"].item() == math.inf
    assert 0 < top["slope_measured_low"].item() < math.inf


def test_neurons_make_a_layer_and_are_drawn_again(table):
    # Protects: per-neuron estimates are pooled in order of appearance, and no neuron vanishes from the count.
    draws = rng()
    taus = {
        name: np.exp(math.log(middle) + draws.normal(0, 0.4, 30))
        for name, middle in (("V1", 60.0), ("V2", 120.0), ("V4", 240.0))
    }
    taus["V2"][:5] = math.nan
    result = cortex.compare(neurons(taus), table, rng=rng())
    one = result.isel(network=0)
    assert one["layer_name"].to_numpy().tolist() == ["V1", "V2", "V4"]
    assert one["neurons"].to_numpy().tolist() == [30, 30, 30]
    assert one["neurons_used"].to_numpy().tolist() == [30, 25, 30]
    assert one["tau_ms"].to_numpy()[0] == pytest.approx(np.exp(np.log(taus["V1"]).mean()))
    assert "85 of 90 neurons have a timescale" in one["slope_note"].item()
    # sigma / sqrt(30) of either end.
    width = one["slope_measured_high"].item() - one["slope_measured_low"].item()
    assert width == pytest.approx(2 * 1.96 * math.sqrt(2) * 0.4 / math.sqrt(30), rel=0.3)
    assert result.attrs["neuron_statistic"] == "geometric mean"
    as_siegle = cortex.compare(neurons(taus), cortex.load("siegle2021"), measure="intrinsic", rng=rng())
    assert as_siegle.attrs["neuron_statistic"] == "mean"
    assert as_siegle["tau_ms"].to_numpy()[0, 0] == pytest.approx(taus["V1"].mean())
    median = cortex.compare(neurons(taus), table, neuron_statistic="median", rng=rng())
    assert median["tau_ms"].to_numpy()[0, 2] == pytest.approx(np.median(taus["V4"]))


def test_a_layer_of_silent_neurons_says_why(table):
    layers = read_layers("mine", neurons({"V1": [50.0, 60.0], "V2": [math.nan] * 3}), "mean", rng())
    assert layers.status == ("ok", "no_decay")
    assert layers.replicates.shape == (2, REPLICATES)
    assert np.isnan(layers.replicates[1]).all()
    result = cortex.compare(neurons({"V1": [50.0, 60.0], "V2": [math.nan] * 3}), table, rng=rng())
    assert result["layers_used"].item() == 1


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
    assert "6 networks drawn again" in result["condition_slope_note"].sel(condition="linear").item()
    # Six networks in perfect order, of 3! orders each.
    shuffled = result.sel(condition="linear", layer_statistic="spearman")
    assert (shuffled["shuffled_mean"].item(), shuffled["shuffled_p_is_exact"].item()) == (pytest.approx(1.0), True)
    assert shuffled["shuffled_p_value"].item() == pytest.approx(2 / 6**6)
    ratios = [(200 + k) / (50 + k) for k in range(6)]
    assert result["condition_ratio"].sel(condition="linear").item() == pytest.approx(
        math.exp(np.log(ratios).mean()), rel=1e-9
    )


def test_mixed_model_and_bootstrap_agree_on_the_mean_slope(table):
    draws = rng()
    named = {
        f"net{k}": network(*np.exp(4 + draws.normal(1.0, 0.4) * np.linspace(0, 1, 4) + draws.normal(0, 0.05, 4)))
        for k in range(8)
    }
    result = cortex.compare(named, table, rng=rng(), conditions=dict.fromkeys(named, "all")).isel(condition=0)
    slopes = result["slope"].to_numpy()
    assert result["condition_slope"].item() == pytest.approx(slopes.mean())
    assert result["condition_mixed_slope"].item() == pytest.approx(slopes.mean(), abs=1e-6)
    # Without errors of measurement the hierarchical bootstrap has Student's interval.
    half = 2.3646 * slopes.std(ddof=1) / math.sqrt(8)
    for name in ("condition_slope", "condition_mixed"):
        assert result[f"{name}_high"].item() == pytest.approx(slopes.mean() + half, rel=0.03)
    assert result["cortex_difference_low"].to_numpy()[0] < result["cortex_difference"].to_numpy()[0]


def test_parallel_networks_on_exact_lines_are_no_reason_to_stop(table):
    # Without any scatter a mixed model has nothing to fit: it gives the slope, or says why not, and does not raise.
    named = {f"net{k}": network(50.0 * f, 100.0 * f, 200.0 * f) for k, f in enumerate((1.0, 1.5, 2.0))}
    one = cortex.compare(named, table, rng=rng(), conditions=dict.fromkeys(named, "all")).isel(condition=0)
    assert one["condition_mixed_note"].item()
    assert np.nan_to_num(one["condition_mixed_slope"].item(), nan=math.log(4)) == pytest.approx(math.log(4))
    assert one["condition_slope"].item() == pytest.approx(math.log(4))


@pytest.mark.parametrize(("networks", "error"), [(3, 0.0), (5, 0.5), (10, 1.0)])
def test_intervals_of_the_mean_slope_hold_the_truth(networks, error):
    # Protects both: errors of measurement count (no interval too short), and count once (none much too long).
    draws, held = rng(), 0
    for _ in range(400):
        slopes = draws.normal(1, 0.3, networks) + draws.normal(0, 0.3 * error, networks)
        replicates = draws.normal(slopes, max(1e-9, 0.3 * error), (300, networks)).T
        found = mean_slope(slopes, replicates, 300, 0.95, draws)
        held += found.low < 1 < found.high
    assert 0.92 <= held / 400 <= 0.99


def _spread_of_errors(open_ends, table):
    """Width of the interval of a condition of six networks of the same slope, whose errors are a factor of two."""
    named = {}
    for k in range(6):
        tau = np.array([50.0, 100.0, 200.0]) * (1 + 0.001 * k)
        low, high = tau / 2, tau * 2
        if k in open_ends:
            low[2], high[2] = 0.0, math.inf
        named[f"net{k}"] = network(*tau, low=low, high=high)
    result = cortex.compare(named, table, rng=rng(), conditions=dict.fromkeys(named, "all")).isel(condition=0)
    return result["condition_slope_high"].item() - result["condition_slope_low"].item(), result


def test_an_interval_that_is_open_at_both_ends_is_not_no_error(table):
    # Protects the interval of a condition: an unknown error is taken to be like the others, and not to be none.
    closed, quiet = _spread_of_errors((), table)
    partly, told = _spread_of_errors((1, 3, 4), table)
    assert partly == pytest.approx(closed, rel=0.1)
    assert "open" not in quiet["condition_slope_note"].item()
    words = "3 of 6 networks have a layer without an interval, or with one that is open at both ends (net1, net3, net4)"
    assert words in told["condition_slope_note"].item()
    _, unknown = _spread_of_errors(range(6), table)
    assert "errors of the timescales are not known" in unknown["condition_slope_note"].item()


@pytest.mark.parametrize("networks", [5, 10])
def test_unknown_errors_of_some_networks_leave_the_interval_right(networks):
    # Protects the statement that they are like those of the others: not shorter than where all are known.
    draws, held, width = rng(), 0, {"some": 0.0, "all": 0.0}
    for _ in range(400):
        slopes = draws.normal(1, 0.3, networks) + draws.normal(0, 0.6, networks)
        replicates = draws.normal(slopes, 0.6, (300, networks)).T
        some = replicates.copy()
        some[: networks // 2] = math.nan
        found = {
            "some": mean_slope(slopes, some, 300, 0.95, draws),
            "all": mean_slope(slopes, replicates, 300, 0.95, draws),
        }
        held += found["some"].low < 1 < found["some"].high
        width = {name: total + found[name].high - found[name].low for name, total in width.items()}
    assert 0.93 <= held / 400 <= 1
    assert width["some"] == pytest.approx(width["all"], rel=0.03)


def test_a_flat_network_does_not_take_the_order_of_the_others(table):
    named = {f"net{k}": network(50.0, 100.0 + k, 200.0) for k in range(3)} | {"flat": network(90.0, 90.0, 90.0)}
    result = cortex.compare(named, table, rng=rng(), conditions=dict.fromkeys(named, "all")).isel(condition=0)
    for statistic in ("spearman", "kendall"):
        one = result.sel(layer_statistic=statistic)
        assert (one["shuffled_mean"].item(), one["shuffled_p_value"].item()) == (1.0, pytest.approx(2 / 6**3))
        assert one["shuffled_note"].item().startswith("without networks whose layers are all equal: flat; ")
    # A flat network has a slope, which is 0.
    slope = result.sel(layer_statistic="slope")
    assert slope["shuffled_mean"].item() == pytest.approx(result["condition_slope"].item())
    assert "flat" not in slope["shuffled_note"].item()


def test_one_network_says_nothing_about_other_seeds(table):
    result = cortex.compare(network(60.0, 110.0, 260.0), table, rng=rng()).isel(condition=0)
    assert "one network" in result["condition_slope_note"].item()
    assert "needed" in result["condition_mixed_note"].item()


def test_two_layers_are_no_slope_for_a_test(table):
    # Protects the count of rising networks: two layers rise or fall by chance.
    short = network(60.0, math.nan, 240.0, status=["ok", "no_decay", "ok"])
    named = {"a": network(60.0, 120.0, 240.0), "b": network(240.0, 120.0, 60.0), "c": short}
    result = cortex.compare(named, table, rng=rng(), conditions=dict.fromkeys(named, "all")).isel(condition=0)
    assert result["slope"].sel(network="c").item() > 0
    assert (result["condition_networks"].item(), result["condition_rising"].item()) == (2, 1)
    assert result["condition_slope"].item() == pytest.approx(0.0)
    assert result["condition_note"].item().startswith("2 of 3 networks used: the other falls short of 3 layers")
    assert result["condition_rising"].attrs["long_name"] == "networks with a positive slope"


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
    assert (one["contrast_first"].item(), one["contrast_second"].item()) == ("steep", "flat")
    assert one["contrast_pairs"].item() == one["contrast_greater"].item() == 6
    assert one["contrast_slope_difference"].item() == pytest.approx(math.log(200 / 98))
    assert one["contrast_p_value"].item() == one["contrast_smallest_possible_p"].item() == 2 / 64
    assert one["contrast_p_holm"].item() == 2 / 64
    assert one["contrast_p_is_exact"].item()
    assert one["contrast_note"].item() == "no effect size: the differences do not scatter"
    assert one["contrast_rank_biserial"].item() == 1.0
    assert result["condition_p_value"].sel(condition="flat").item() > 0.05


def test_which_condition_is_nearer_to_the_cortex(table):
    # The cortex rises by 1.18; 'near' lies around it and 'far' does not, though it is steeper.
    slopes = {"near": [1.1, 1.3, 1.2, 1.15, 1.25, 1.0], "far": [2.9, 3.1, 2.6, 3.3, 2.8, 3.0]}
    named = {f"{c}-seed{k}": network(50.0, 50.0 * math.exp(s / 2), 50.0 * math.exp(s))
             for c, all_of in slopes.items() for k, s in enumerate(all_of)}  # fmt: skip
    conditions = {name: name.split("-")[0] for name in named}
    pairs = {name: name.split("seed")[1] for name in named}
    result = cortex.compare(named, table, rng=rng(), conditions=conditions, pairs=pairs)
    one = result.sel(contrast="near - far", cortex="area means")
    centre = one["cortex_slope"].item()
    gains = [abs(far - centre) - abs(near - centre) for near, far in zip(*slopes.values(), strict=True)]
    assert one["toward_gain"].item() == pytest.approx(np.mean(gains))
    assert one["toward_d_z"].item() == pytest.approx(np.mean(gains) / np.std(gains, ddof=1))
    assert (one["toward_nearer"].item(), one["toward_p_value"].item()) == (6, 2 / 64)
    assert one["toward_low"].item() > 0
    assert one["toward_holds"].item() > 0.9
    assert one["contrast_slope_difference"].item() < 0


def test_how_far_a_gain_holds_is_a_matter_of_the_interval_of_the_cortex():
    # Protects toward_holds: where the cortex lies just between two conditions, a gain that holds with 95 % is found in
    # a tenth of all cases; with bootstrap replicates as they are, in a quarter.
    height, draws, sure = np.array([0, 1 / 3, 2 / 3, 1, 1]), rng(), 0
    contrast = {("a", "b"): Pairing((("a", "b"),), ())}
    for _ in range(400):
        tau = np.exp(4 + 1.2 * height + draws.normal(0, 0.2, 5))
        cortex_slope = residual_bootstrap_slope(height, tau, resamples=100, rng=draws)
        means = {"area means": cortex_slope, "observations": None}
        part = contrast_part(contrast, {"a": 0.7, "b": 1.7}, means, confidence=0.95, rng=draws)
        sure += part["toward_holds"][0, 0] >= 0.95
    assert 0.07 < sure / 400 < 0.17
    # Two areas fix no slope.
    two = residual_bootstrap_slope([0.0, 1.0], [50.0, 100.0], resamples=100, rng=draws)
    part = contrast_part(contrast, {"a": 0.7, "b": 1.7}, dict.fromkeys(means, two), confidence=0.95, rng=draws)
    assert math.isnan(part["toward_holds"][0, 0])
    assert "the slope of the cortex has no interval" in part["toward_note"][0, 0]


def test_p_of_several_contrasts_is_corrected(table):
    draws = rng()
    named = {
        f"{condition}-seed{k}": network(*(50 * np.exp(np.linspace(0, s, 4) + draws.normal(0, 0.05, 4))))
        for condition, s in (("a", 0.2), ("b", 1.0), ("c", 2.0))
        for k in range(6)
    }
    conditions = {name: name.split("-")[0] for name in named}
    pairs = {name: name.split("seed")[1] for name in named}
    result = cortex.compare(named, table, rng=rng(), conditions=conditions, pairs=pairs)
    assert result["contrast_p_value"].to_numpy() == pytest.approx(2 / 64)
    assert result["contrast_p_holm"].to_numpy() == pytest.approx(3 * 2 / 64)
    assert "over 3 contrasts the smallest possible p by Holm is 0.094" in result["contrast_note"].to_numpy()[0]
    assert np.all(result["toward_p_holm"] >= result["toward_p_value"])


def test_pairs_without_a_slope_or_a_partner_are_left_out(table):
    named, conditions, pairs = paired([1.0, 1.1, 1.2])
    named["flat-seed1"] = network(50.0, math.nan, 90.0, status=["ok", "no_decay", "ok"])
    named["third"], conditions["third"] = network(50.0, 60.0, 70.0), "third"
    del pairs["steep-seed2"]
    result = cortex.compare(named, table, rng=rng(), conditions=conditions, pairs=pairs)
    assert result["contrast"].to_numpy().tolist() == ["steep - flat", "steep - third", "flat - third"]
    assert result["contrast_pairs"].to_numpy().tolist() == [1, 0, 0]
    notes = result["contrast_note"].to_numpy().tolist()
    assert notes[0].split("; ")[:2] == [
        "1 of 2 pairs used: the other falls short of 3 layers with a timescale",
        "2 networks without a partner left out: steep-seed2, flat-seed2",
    ]
    # The third condition has no pair with another.
    assert notes[1].startswith("4 networks without a partner left out: steep-seed0, steep-seed1, steep-seed2, third; n")
    assert result["toward_note"].sel(contrast="steep - flat").to_numpy()[0].split("; ")[:2] == notes[0].split("; ")[:2]
    assert np.isnan(result["contrast_p_holm"].to_numpy()[1:]).all()


def test_what_pairs_networks_is_compared_as_text(table):
    # Protects pairs from a seed that is a number in one condition and text in the other.
    named, conditions, pairs = paired([1.0, 1.1, 1.2])
    mixed = {name: int(label) if name.startswith("steep") else label for name, label in pairs.items()}
    result = cortex.compare(named, table, rng=rng(), conditions=conditions, pairs=mixed)
    assert result["contrast_pairs"].item() == 3
    assert "without a partner" not in result["contrast_note"].item()


def test_names_of_networks_are_text(table):
    # Protects tables and figures, which look networks up by name, from names that are numbers.
    named = {k: network(50.0, 70.0 + k, 120.0) for k in range(2)}
    result = cortex.compare(named, table, rng=rng(), conditions={0: "a", 1: "b"}, pairs={0: 7, 1: 7})
    assert result["network"].to_numpy().tolist() == ["0", "1"]
    assert result["contrast_pairs"].item() == 1
    assert {row[0] for row in slope_rows(result)[1]} >= {"0", "1", "a", "b"}
    with pytest.raises(InputError, match=r"names in timescales is \[1, '1'\]; expected different names"):
        cortex.compare({1: named[0], "1": named[1]}, table, rng=rng())


def test_contrasts_that_cannot_be_tested_are_not_counted_by_the_floor_of_holm(table):
    # Protects a significant result from "n too small: over 3 contrasts": Holm leaves the two without pairs out too.
    named, conditions, pairs = paired([1.0, 1.1, 1.2, 1.3, 1.4, 1.5])
    named["third"], conditions["third"] = network(50.0, 60.0, 70.0), "third"
    result = cortex.compare(named, table, rng=rng(), conditions=conditions, pairs=pairs)
    one = result.sel(contrast="steep - flat")
    assert one["contrast_p_holm"].item() == one["contrast_p_value"].item() == 2 / 64
    assert "by Holm" not in one["contrast_note"].item()
    assert not any("by Holm" in note for note in one["toward_note"].to_numpy().tolist())


def test_the_floor_of_holm_is_that_of_contrasts_of_different_size():
    # 7, 7 and 3 pairs: floors of 1/64, 1/64 and 1/4 are 3/64, 3/64 and 1/4 by Holm, and not 3/4.
    contrasts = {
        ("a", "b"): Pairing(tuple((f"a{k}", f"b{k}") for k in range(7)), ()),
        ("a", "c"): Pairing(tuple((f"a{k}", f"c{k}") for k in range(7)), ()),
        ("b", "c"): Pairing(tuple((f"b{k}", f"c{k}") for k in range(3)), ()),
    }
    slopes = {f"{c}{k}": s + 0.01 * k**2 * s for c, s in (("a", 3.0), ("b", 2.0), ("c", 1.0)) for k in range(7)}
    nothing = dict.fromkeys(("area means", "observations"))
    part = contrast_part(contrasts, slopes, nothing, confidence=0.95, rng=rng())
    assert part["contrast_p_holm"] == pytest.approx([3 / 64, 3 / 64, 1 / 4])
    assert not any("by Holm" in note for note in part["contrast_note"].tolist())


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


def test_files_of_another_kind_or_version_are_refused(tmp_path):
    # Protects the report from files without what it draws, and from the first version of comparisons.
    for schema in ("cortexsnn-comparison-1", "cortexsnn-timescales-2"):
        cortex.save_comparison(xr.Dataset(attrs={"schema": schema}), tmp_path / "other.nc")
        with pytest.raises(InputError, match=f"schema of comparison file .* is '{schema}'"):
            cortex.load_comparison(tmp_path / "other.nc")
    lacking = xr.Dataset(attrs={"schema": SCHEMA})
    cortex.save_comparison(lacking, tmp_path / "lacking.nc")
    with pytest.raises(InputError, match="variables of comparison file"):
        cortex.load_comparison(tmp_path / "lacking.nc")


def test_the_same_seed_gives_the_same_comparison(table):
    named = {"a": network(60.0, 110.0, 240.0, low=[50.0, 90.0, 200.0], high=[70.0, 130.0, 300.0])}
    first, again = (cortex.compare(named, table, rng=rng()) for _ in range(2))
    xr.testing.assert_identical(first, again)


@pytest.mark.parametrize(
    ("given", "conditions", "message"),
    [
        ({}, None, r"timescales is \[\]"),
        ([network(1.0)], None, "timescales is 'list'; expected at least one network, by name"),
        ({"a": "timescales.nc"}, None, "timescales of network 'a' is 'str'; expected an xarray.Dataset"),
        (
            {"a": xr.Dataset({"tau": 1})},
            None,
            "timescales of network 'a' is .* expected a result of timescales.estimate",
        ),
        ({"a": network(1.0, status=["fine"])}, None, "status of network 'a' is 'fine'; expected one of ok"),
        ({"a": network(math.nan)}, None, r"tau_ms of network 'a' is \[nan\]; expected a positive number"),
        ({"a": network(5.0, -5.0)}, None, r"tau_ms of network 'a' is \[5.0, -5.0\]; expected a positive number"),
        ({"a": network(5.0, 9.0, depth=[1, math.nan])}, None, r"depth of network 'a' is \[1.0, nan\]"),
        (
            {"a": network(5.0, 9.0).assign_coords(layer=["x", "x"])},
            None,
            "layers of network 'a' is 'x'; expected each layer once",
        ),
        ({"a": network(1.0)}, {"b": "x"}, r"conditions is \['b'\]; expected one for each network: a"),
    ],
)
def test_compare_names_bad_input(table, given, conditions, message):
    with pytest.raises(InputError, match=message):
        cortex.compare(given, table, rng=rng(), conditions=conditions)


def test_mixed_units_are_refused_or_named(table):
    seconds = network(0.06, 0.12, 0.24)
    labelled = seconds.assign(tau_ms=seconds["tau_ms"].assign_attrs(units="s"))
    with pytest.raises(InputError, match="unit of tau_ms of network 'network' is 's'"):
        cortex.compare(labelled, table, rng=rng())
    assert "are they in seconds?" in cortex.compare(seconds, table, rng=rng())["slope_note"].item()
    wrong = table.assign(tau_ms=table["tau_ms"].assign_attrs(units="s"))
    with pytest.raises(InputError, match="unit of tau_ms of the table is 's'"):
        cortex.compare(network(60.0), wrong, rng=rng())


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"tau_ms": [50.0, math.nan, 90.0]}, r"tau_ms of the table is \{'b': nan\}; expected a positive number"),
        ({"area": ["a", "b", "a"]}, "areas of the table is 'a'; expected each area once in data set 'mine'"),
        ({"area": ["a", "", "c"]}, "areas of the table is .* expected a name for each"),
        (
            {"area": ["a", "b", "a"], "dataset": ["x", "x", "y"]},
            r"rank of the table is \['a'\]; expected one number for each area",
        ),
        ({"measure": ["m", "n", "n"]}, "measures of .* expected one of them"),
        ({"stream": ["m", "n", "n"]}, "streams of the table .* choose with stream="),
    ],
)
def test_tables_made_by_hand_are_checked(columns, message):
    sound = {"area": ["a", "b", "c"], "rank": [1, 2, 3], "tau_ms": [50.0, 70.0, 90.0]}
    with pytest.raises(InputError, match=message):
        cortex.compare(network(60.0, 80.0), own_table(**(sound | columns)), rng=rng())


def test_table_without_timescales_or_order(table):
    with pytest.raises(InputError, match="only places in a hierarchy"):
        cortex.compare(network(1.0), cortex.load("harris2019"), measure="CreConf CC", rng=rng())
    with pytest.raises(InputError, match="table is"):
        cortex.compare(network(1.0), cortex.area_means(table), rng=rng())
    unordered = own_table(area=["a", "b", "c"], tau_ms=[50.0, 70.0, 90.0])
    result = cortex.compare(network(50.0, 60.0, 70.0), unordered, rng=rng())
    assert np.isnan(result["cortex_slope"]).all()
    assert "neither rank nor score" in result["cortex_slope_note"].to_numpy()[0]
    assert result["nearest_area"].to_numpy()[0].tolist() == ["a", "b", "b"]
    assert np.isnan(result["area_height"]).all()
    one = cortex.compare(network(50.0, 60.0), cortex.load("ito2020"), rng=rng())
    assert "a slope needs 2 areas" in one["cortex_slope_note"].to_numpy()[0]


def test_streams_and_measures_are_chosen(table):
    somato = cortex.compare(network(60.0, 90.0, 150.0), table, stream="somatosensory", rng=rng())
    assert somato["area"].to_numpy().tolist() == ["S1", "S2"]
    assert somato["cortex_slope_status"].to_numpy()[0] == "two_layers"
    assert "two areas always lie on a line" in somato["cortex_slope_note"].to_numpy()[0]
    only = cortex.compare(network(60.0, 90.0), table.isel(observation=slice(14, 16)), rng=rng())
    assert only.attrs["stream"] == "somatosensory"
    with pytest.raises(InputError, match="stream of the table is 'auditory'; expected one of"):
        cortex.compare(network(60.0), table, stream="auditory", rng=rng())
    with pytest.raises(InputError, match="choose with rows"):
        cortex.compare(network(60.0), cortex.load("siegle2021"), rng=rng())


@pytest.mark.parametrize(("datasets", "error"), [((2, 2, 5, 2, 3), 0.0), ((2, 2, 5, 2, 3), 0.17), ((3, 1, 1, 1), 0.0)])
def test_intervals_of_areas_hold_their_mean(datasets, error):
    # Protects area_low_ms and the probability of the nearest area: single data sets drawn again hold it in half.
    draws, area = rng(), np.repeat(np.arange(len(datasets)), datasets)
    truth, names = 100 * np.exp(0.3 * np.arange(len(datasets))), [f"a{k}" for k in range(len(datasets))]
    held = np.zeros(len(datasets))
    for _ in range(200):
        tau_ms = truth[area] * np.exp(draws.normal(0, 0.17, area.size) + draws.normal(0, error, area.size))
        table = own_table(
            area=[f"a{k}" for k in area], tau_ms=tau_ms, sem_ms=np.where(error > 0, error, np.nan) * tau_ms
        )
        replicates, known = area_replicates(table, np.array(names), draws)
        assert known.all()
        low, high = np.percentile(replicates, [2.5, 97.5], axis=1)
        held += (low < truth) & (truth < high)
    assert np.all(held / 200 > 0.88)


def test_printed_errors_are_those_of_areas_that_were_recorded_once():
    once = own_table(area=["a", "b"], tau_ms=[100.0, 200.0], low_ms=[80.0, np.nan], high_ms=[160.0, np.nan])
    replicates, known = area_replicates(once, np.array(["a", "b"]), rng())
    assert known.tolist() == [True, False]
    assert np.percentile(replicates[0], [2.5, 50, 97.5]) == pytest.approx([80.0, 100.0, 160.0], rel=0.15)
    assert (replicates[1] == 200.0).all()
    # One more data set of another area leaves printed errors as they are, and data sets without one do not dilute them.
    more = own_table(
        area=["a", "a", "b"], dataset=["x", "y", "x"], tau_ms=[100.0, 102.0, 200.0], sem_ms=[8.0, np.nan, 16.0]
    )
    replicates, known = area_replicates(more, np.array(["a", "b"]), rng())
    assert known.all()
    spread = np.log(replicates).std(axis=1)
    assert spread == pytest.approx([0.08 / np.sqrt(2), 0.08], rel=0.15)
    # An error far beyond its timescale, such as one in other units, is as wide as numbers go.
    slip = own_table(area=["a", "b"], tau_ms=[60.0, 90.0], sem_ms=[50_000.0, 5.0])
    replicates, known = area_replicates(slip, np.array(["a", "b"]), rng())
    assert known.all()
    assert np.isfinite(replicates).all()
    # Data sets that agree exactly tell nothing of the error.
    equal = own_table(area=["a", "a", "b"], dataset=["x", "y", "x"], tau_ms=[60.0, 60.0, 90.0])
    assert area_replicates(equal, np.array(["a", "b"]), rng())[1].tolist() == [False, False]
    # Two data sets in all: one degree of freedom, whose widest draws no float could hold.
    twice = own_table(area=["a", "a", "b"], dataset=["x", "y", "x"], tau_ms=[50.0, 500.0, 90.0])
    assert np.isfinite(area_replicates(twice, np.array(["a", "b"]), rng())[0]).all()


def test_the_note_of_the_table_is_of_what_is_compared(table):
    # Protects from a note about all streams: somatosensory cortex has two areas, the other stream five.
    measured = network(60.0, 90.0, 150.0)
    assert cortex.compare(measured, table, rng=rng()).attrs["table_note"] == ""
    somato = cortex.compare(measured, table, stream="somatosensory", rng=rng())
    assert somato.attrs["table_note"] == "2 areas: the smallest two-sided p of their order is 1"
    tied = own_table(area=["a", "b", "c", "d"], rank=[1, 2, 3, 3], tau_ms=[50.0, 70.0, 90.0, 95.0])
    compared = cortex.compare(measured, tied, rng=rng())
    assert compared.attrs["table_note"] == "4 areas in 3 places: the smallest two-sided p of their order is 0.17"
    assert compared["cortex_smallest_possible_p"].to_numpy() == pytest.approx(2 / 12)


@pytest.mark.parametrize("column", ["x_mm", "sem_ms", "rank"])
def test_columns_that_must_be_numbers_are_refused_as_text(column):
    columns = {"area": ["a", "b", "c"], "rank": [1, 2, 3], "tau_ms": [50.0, 70.0, 90.0]} | {column: ["1", "2", "3"]}
    with pytest.raises(InputError, match=rf"{column} of the table is \['1', '2', '3'\]; expected numbers"):
        cortex.compare(network(60.0, 80.0), own_table(**columns), rng=rng())


def test_maps_with_positions_are_tested_against_smooth_maps():
    # Protects parcels: neighbours are alike, and the usual p is far too small.
    places = np.array([(x, y) for x in range(6) for y in range(5)], dtype=float)
    score = places[:, 0] + 0.2 * places[:, 1]
    tau_ms = 100 * np.exp(0.1 * places[:, 0])
    parcels = own_table(
        area=[f"p{k}" for k in range(30)], score=score, tau_ms=tau_ms, x_mm=places[:, 0], y_mm=places[:, 1]
    )
    result = cortex.compare(network(60.0, 80.0, 110.0), parcels, rng=rng()).sel(cortex="area means")
    assert result["cortex_p_value"].sel(statistic="spearman").item() < result["cortex_spatial_p_value"].item() < 1
    assert "Moran" in result["cortex_spatial_note"].item()
    few = cortex.compare(network(60.0, 80.0, 110.0), parcels.isel(observation=slice(5)), rng=rng())
    assert "5 of the 10 places needed" in few["cortex_spatial_note"].to_numpy()[0]
    gaps = parcels.assign(x_mm=parcels["x_mm"].where(parcels["x_mm"] > 0))
    partly = cortex.compare(network(60.0, 80.0, 110.0), gaps, rng=rng())
    assert "positions of some areas are not known" in partly["cortex_spatial_note"].to_numpy()[0]
