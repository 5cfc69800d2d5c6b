"""Tables of users: what they may look like, and that a wrong one is refused with its line."""

import json

import numpy as np
import pytest
import xarray as xr

from cortexsnn.cortex import compare, measure_like
from cortexsnn.cortex.registering import open_table, register
from cortexsnn.cortex.tables import area_means, citation, joined, load, protocol
from cortexsnn.errors import InputError
from cortexsnn.timescales import ou_poisson_trains


def write(folder, text, name="mine.csv"):
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


GOOD = "area,rank,tau_ms\nMT,1,77\nLIP,2,138\nLPFC,3,127\n"


def test_a_table_of_a_user_is_like_those_of_the_package(tmp_path):
    lines = [
        "dataset,area,stream,rank,tau_ms,low_ms,high_ms,n,layer",
        "a,MT,dorsal,1,77,70,,12,4",
        "a,LIP,dorsal,2,138,,,30,",
        "",
        '"b, c",MT,dorsal,1,64,60,70.5,9,5',
    ]
    path = write(tmp_path, "\n".join(lines))
    about = {
        "title": "Mine", "doi": "10.1000/1", "modality": "spikes", "traps": ["few"],
        "protocol": {"intrinsic": {"estimator": "acf", "settings": {}, "per": "layer"}},
        "bibtex": {"type": "misc", "key": "me", "author": "Me"},
        "columns": {"layer": {"type": "float", "optional": True, "long_name": "cortical layer"}},
    }  # fmt: skip
    write(tmp_path, json.dumps(about), "mine.json")
    table = register(path)
    assert table["dataset"].to_numpy().tolist() == ["a", "a", "b, c"]
    assert set(table["measure"].to_numpy().tolist()) == {"intrinsic"}
    assert table["n"].to_numpy().tolist() == [12, 30, 9]
    np.testing.assert_array_equal(table["layer"], [4, np.nan, 5])
    np.testing.assert_array_equal(table["high_ms"], [np.nan, np.nan, 70.5])
    assert (table.attrs["table"], table.attrs["modality"], table.attrs["traps"]) == ("mine", "spikes", "few")
    assert protocol(table)["estimator"] == "acf"
    assert citation(table) == "@misc{me,\n  author = {Me},\n}"
    assert area_means(table)["tau_ms"].to_numpy().tolist() == [70.5, 138]
    assert register(path, about={"title": "Other"}).attrs["title"] == "Other"
    assert register(path, "other").attrs["table"] == "other"


def test_a_table_is_opened_by_name_or_by_file(tmp_path):
    # Protects --table and --like of the command line.
    assert open_table(write(tmp_path, GOOD)).attrs["table"] == "mine"
    assert open_table("siegle2021").attrs["table"] == "siegle2021"
    with pytest.raises(InputError, match="murray2014"):
        open_table("no-such-table")


def test_a_table_of_a_user_can_be_joined(tmp_path):
    table = register(write(tmp_path, GOOD))
    assert table.attrs["note"] == "3 areas: the smallest two-sided p of their order is 0.33"
    both = joined(load("murray2014"), table)
    assert both["area"].to_numpy().tolist() == ["MT", "LPFC", "LIP"]
    # Ties of either table count, and the order of the two does not.
    tied = register(write(tmp_path, "area,rank\nA,1\nB,1\nC,2\nD,2\n", "tied.csv"))
    plain = register(write(tmp_path, "area,tau_ms\nA,60\nB,80\nC,120\nD,130\n", "plain.csv"))
    said = "4 areas in 2 places: the smallest two-sided p of their order is 0.33"
    assert joined(tied, plain, ("rank", "tau_ms")).attrs["note"] == said
    assert joined(plain, tied, ("tau_ms", "rank")).attrs["note"] == said


def test_little_is_needed_and_ties_are_fine(tmp_path):
    table = register(write(tmp_path, "\ufeffarea,tau_s,rank\r\nA,0.06,1\r\nB,0.077,1\r\n"))
    assert table["tau_ms"].to_numpy().tolist() == pytest.approx([60, 77])
    assert table["tau_ms"].attrs["units"] == "ms"
    assert {name: table[name].to_numpy()[0] for name in ("dataset", "stream", "measure")} == {
        "dataset": "mine", "stream": "all", "measure": "timescale",
    }  # fmt: skip
    assert table.attrs["modality"] == "unknown"
    assert protocol(table) == {}
    with pytest.raises(InputError, match="bibtex of table 'mine' is ''"):
        citation(table)
    scores = register(write(tmp_path, "area,score\nA,0.1\nB,-0.3\n"))
    assert scores["measure"].to_numpy().tolist() == ["hierarchy"] * 2
    unordered = register(write(tmp_path, "area,tau_ms\nA,60\nB,70\n"))
    assert unordered.attrs["note"].startswith("areas have neither rank nor score")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", r"table is '.*mine.csv'; expected a file with content"),
        ("area,tau_ms\n", "number of lines of table 'mine' is 1; expected a header and at least one observation"),
        ("area;tau_ms\nA;60\n", "header of table 'mine' is 'area;tau_ms'; .* separated by commas"),
        ("area,tau_ms,tau_ms\nA,60,60\n", "header of table 'mine' is 'tau_ms'; expected each column once"),
        ("area,tau_ms\nA,60\nB\n", "number of cells in line 3 of table 'mine' is 1; expected 2"),
        ("area,tau_ms\nA,60,1\n", "number of cells in line 2 of table 'mine' is 3; .* double quotes"),
        ('area,tau_ms\n"A,60\n', "expected a CSV file"),
        ("area,tau_ms,colour\nA,60,red\n", "column of table 'mine' is 'colour'; .*'columns' of the metadata"),
        ("tau_ms,rank\n60,1\n", "columns of table 'mine' is .* expected one named area"),
        ("area,n\nA,60\n", r"expected tau_ms \(or tau_s\), rank or score"),
        ("area,tau_ms\nA,60\n,70\n", "area in line 3 of table 'mine' is ''; expected a value"),
        ("area,tau_ms\nA,60\n\nB,\n", "tau_ms in line 4 of table 'mine' is ''; expected a value"),
        ("area,tau_ms\nA,nan\n", "tau_ms in line 2 of table 'mine' is 'nan'; expected a finite number above 0"),
        ("area,tau_ms\nA,inf\n", "tau_ms in line 2 of table 'mine' is 'inf'; expected a finite number"),
        ("area,tau_ms\nA,0\n", "tau_ms in line 2 of table 'mine' is '0'; expected a finite number above 0"),
        ("area,tau_ms\nA,-60\n", "tau_ms in line 2 of table 'mine' is '-60'"),
        ("area,tau_ms\nA,60 ms\n", "tau_ms in line 2 of table 'mine' is '60 ms'; expected a finite number"),
        ('area,tau_ms\nA,"60,5"\n', "is '60,5'; expected a finite number above 0. decimals have a point"),
        ("area,tau_ms\nA,6_0\n", "is '6_0'; expected a finite number"),
        ("area,rank,tau_ms\nA,1.5,60\n", "rank in line 2 of table 'mine' is '1.5'; expected a whole number of at"),
        ("area,rank,tau_ms\nA,0,60\n", "rank in line 2 of table 'mine' is '0'"),
        ("area,tau_ms,n\nA,60,99999999999999999999\n", "n in line 2 of table 'mine' is '99999999999999999999'"),
        ("area,tau_ms\nA,60\nB,70\nA,80\n", "area in line 4 of table 'mine' is 'A'; .* it is in line 2 too"),
        ("dataset,area,rank,tau_ms\nx,A,1,60\ny,A,2,70\n", "rank of area 'A' in line 3 .* is 2; expected 1, as in"),
        ("dataset,area,stream,tau_ms\nx,A,u,60\ny,A,v,70\n", "stream of area 'A' in line 3 .* is 'v'; expected 'u'"),
        ("area,tau_ms,tau_s\nA,60,0.06\n", r"units of the columns .* \['tau_ms', 'tau_s'\]; expected all times"),
        ("area,tau_ms,sem_s\nA,60,0.06\n", "expected all times in ms, or all in s"),
        ("area,tau_ms\nA,60\nB,0.07\n", "tau in line 3 of table 'mine' is '0.07 ms'; .* another unit"),
        ("area,tau_s\nA,0.06\nB,70\n", "tau in line 3 of table 'mine' is '70000 ms'; .* another unit"),
        ("area,tau_ms\nA,700\nB,3\n", "tau in lines 3 and 2 of table 'mine' is '3 ms and 700 ms'; .* factor of 100"),
        ("area,tau_ms,low_ms\nA,60,61\n", r"interval in line 2 of table 'mine' is \(61.0, nan\); expected one that"),
        ("area,tau_ms,low_ms,high_ms\nA,60,50,59\n", r"interval in line 2 of table 'mine' is \(50.0, 59.0\)"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_refused_with_its_line(tmp_path, text, message):
    with pytest.raises(InputError, match=message):
        register(write(tmp_path, text))


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"modality": "spike"}, "modality in the metadata of table 'mine' is 'spike'; expected one of spikes, field"),
        ({"units": "ms"}, "metadata of table 'mine' is 'units'; expected one of title, doi"),
        ({"traps": "many"}, "traps in the metadata of table 'mine' is 'many'; expected a list"),
        ({"bibtex": {"type": "article"}}, "bibtex in the metadata of table 'mine'"),
        ({"protocol": {"other": {}, "timescale": {}}}, "protocol in the metadata of table 'mine' is 'other'; exp"),
        ({"protocol": ["acf"]}, "expected a mapping from measure to its protocol"),
        ({"protocol": {"timescale": {"bins": np.zeros(2)}}}, "expected plain values, as JSON has them"),
        ({"protocol": {"timescale": {"estimator": "acf", "per": "layer"}}}, "keys of .* expected settings too"),
        ({"protocol": {"timescale": {"estimator": "acf", "settings": {}}}}, "keys of .* expected per too. .*'neuron'"),
        ({"protocol": {"timescale": {"per": "area"}}}, "per of .* is 'area'; expected one of layer, neuron"),
        ({"protocol": {"timescale": {"settings": 50}}}, "settings of .* is 50; expected a mapping from setting"),
        ({"protocol": {"timescale": {"trial_ms": 1000}}}, r"trial_ms of .* is 1000; .*stands in a list too: \[1000\]"),
        ({"protocol": {"timescale": {"trial_ms": []}}}, r"trial_ms of .* is \[\]; expected a list of positive numbers"),
        ({"protocol": {"timescale": {"trial_ms": [500, -1]}}}, "trial_ms of .* expected a list of positive numbers"),
        ({"protocol": {"timescale": {"trials": 2.5}}}, "trials of .* is 2.5; expected a whole number of at least 1"),
        ({"protocol": {"timescale": {"statistic": 1}}}, "statistic of .* is 1; expected words"),
        ({"protocol": {"timescale": {"trial": [5]}}}, "key of .* is 'trial'; expected one of estimator, settings, per"),
        (
            {"protocol": {"timescale": {"estimator": "fit", "settings": {}, "per": "layer"}}},
            "estimator of protocol 'timescale' .* is 'fit'; expected one of pearson_trials.* say under 'difference'",
        ),
        (
            {"protocol": {"timescale": {"estimator": "acf", "settings": {"width": 5}, "per": "layer"}}},
            "setting of acf in the settings of protocol 'timescale' .* is 'width'; expected one of bin_ms",
        ),
        (
            {"protocol": {"timescale": {"estimator": "acf", "settings": {"bin_ms": "5"}, "per": "layer"}}},
            "bin_ms in the settings of protocol 'timescale' .* is '5'; expected a positive number",
        ),
        (
            {"protocol": {"timescale": {"estimator": "acf", "settings": {"max_lag_ms": None}, "per": "layer"}}},
            "max_lag_ms in the settings of protocol 'timescale' .* is None; expected a value. leave out what is not",
        ),
        (
            {"protocol": {"timescale": {"estimator": "pearson_trials", "settings": {}, "per": "layer",
                                        "trial_ms": [1]}}},
            r"trial_ms of protocol 'timescale' .* is \[1\]; expected at least 150 ms each",
        ),
        (
            {"protocol": {"timescale": {"estimator": "acf", "settings": {"bin_ms": 10.0, "max_lag_ms": 500.0},
                                        "per": "layer", "trial_ms": [1000, 400]}}},
            r"trial_ms of protocol 'timescale' .* expected at least 510 ms each",
        ),
        ({"columns": {"x_mm": {"type": "str"}}}, "type of column 'x_mm' .* is 'str'; expected one of float"),
        ({"columns": ["tau_ms"]}, "columns in the metadata of table 'mine'"),
        ({"columns": {"depth": {"kind": "int"}}}, "column 'depth' in the metadata of table 'mine'"),
        ({"columns": {"depth": {"type": "complex"}}}, "type of column 'depth' .* is 'complex'; expected one of str"),
        ({"columns": {"depth": {"type": "int", "optional": True}}}, "optional of column 'depth' .* is True"),
        ({"columns": {"tau_ms": {"optional": True}}}, "optional of column 'tau_ms' .* is True"),
        ({"columns": {"depth": {"optional": "yes"}}}, "optional of column 'depth' .* is 'yes'"),
        ({"columns": {"tau_ms": {"type": "str"}}}, "type of column 'tau_ms' .* is 'str'; expected one of float"),
    ],
)  # fmt: skip
def test_wrong_metadata_are_refused(tmp_path, about, message):
    with pytest.raises(InputError, match=message):
        register(write(tmp_path, GOOD), about=about)


def test_a_registered_protocol_can_be_followed(tmp_path):
    # Protects measuring a network like a table of one's own: what is accepted here must not fail there.
    how = {"estimator": "acf", "settings": {"bin_ms": 20.0}, "per": "layer", "trial_ms": [2000]}
    table = register(write(tmp_path, GOOD), about={"modality": "spikes", "protocol": {"timescale": how}})
    draws = np.random.default_rng(1)
    trains = ou_poisson_trains(tau_ms=80.0, trials=1, duration_s=60.0, neurons=20, rate_hz=20.0, rng=draws)
    measured = measure_like({"hidden1": trains}, table, bootstrap=0, rng=draws)
    assert (measured.attrs["bin_ms"], measured.attrs["window_ms"]) == (20.0, 2000.0)
    only_words = {"timescale": {"difference": "by eye"}}
    with pytest.raises(InputError, match="by eye"):
        measure_like({"hidden1": trains}, register(write(tmp_path, GOOD), about={"protocol": only_words}), rng=draws)


def test_positions_are_numbers_without_being_described(tmp_path):
    # Protects the comparison, whose test against smooth maps takes them, from positions that are text.
    lines = [f"p{k},{k},{50 + 2 * k + k % 3},{k},{k % 4}" for k in range(1, 13)]
    table = register(write(tmp_path, "\n".join(["area,rank,tau_ms,x_mm,y_mm", *lines])))
    assert table["x_mm"].to_numpy().tolist() == [float(k) for k in range(1, 13)]
    assert table["y_mm"].attrs["units"] == "mm"
    measured = xr.Dataset(
        {"tau_ms": ("layer", [50.0, 60.0, 70.0]), "status": ("layer", ["ok"] * 3)},
        {"layer": ["a", "b", "c"], "depth": ("layer", [1, 2, 3])},
    )
    result = compare(measured, table, rng=np.random.default_rng(1))
    assert np.isfinite(result["cortex_spatial_p_value"]).all()
    with pytest.raises(InputError, match="x_mm in line 3 of table 'mine' is 'left'; expected a finite number"):
        register(write(tmp_path, "area,rank,tau_ms,x_mm\nA,1,60,1\nB,2,70,left\n"))


def test_what_so_few_areas_cannot_show_counts_ties_and_streams(tmp_path):
    tied = register(write(tmp_path, "area,rank,tau_ms\nA,1,50\nB,2,60\nC,3,70\nD,3,80\n"))
    assert tied.attrs["note"] == "4 areas in 3 places: the smallest two-sided p of their order is 0.17"
    lines = ["A,1,50,u", "B,2,60,u", "C,1,70,v", "D,2,80,v", "E,3,90,v", "F,4,91,v", "G,5,92,v"]
    streams = register(write(tmp_path, "\n".join(["area,rank,tau_ms,stream", *lines])))
    assert streams.attrs["note"] == "stream u, 2 areas: the smallest two-sided p of their order is 1"
    level = register(write(tmp_path, "area,rank,tau_ms\nA,1,50\nB,1,60\n"))
    assert level.attrs["note"] == "2 areas in one place: there is no order to compare"
    many = register(write(tmp_path, "\n".join(["area,rank,tau_ms", *(f"p{k},{1 + (k > 0)},50" for k in range(39))])))
    assert many.attrs["note"] == "39 areas in 2 places: the smallest two-sided p of their order is 0.051"


def test_files_that_are_no_tables_are_refused(tmp_path):
    with pytest.raises(InputError, match=r"table is '.*nowhere.csv'; expected an existing file"):
        register(tmp_path / "nowhere.csv")
    with pytest.raises(InputError, match=r"expected a file. this is a folder"):
        register(tmp_path)
    path = tmp_path / "mine.csv"
    path.write_bytes(b"area,tau_ms\nM\xe9,60\n")
    with pytest.raises(InputError, match=r"expected text in UTF-8. byte 13 is none"):
        register(path)
    path.write_bytes(b"area,tau_ms\n" + b"A,60\n" * 4_000_000)
    with pytest.raises(InputError, match=r"size of table .* is 20000012; expected at most"):
        register(path)
    write(tmp_path, GOOD)
    write(tmp_path, "{", "mine.json")
    with pytest.raises(InputError, match=r"metadata file is '.*mine.json'; expected a JSON file"):
        register(path)
    write(tmp_path, "[]", "mine.json")
    with pytest.raises(InputError, match="expected a JSON object"):
        register(path)


def test_names_of_the_package_are_taken(tmp_path):
    path = write(tmp_path, GOOD, "murray2014.csv")
    with pytest.raises(InputError, match=r"name of the table is 'murray2014'; .* pass name="):
        register(path)
    assert register(path, "mine").attrs["table"] == "mine"


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        ({"region": "area"}, "columns is 'region'; expected names that table 'mine' has: 'area', 'rank', 'tau_ms'"),
        ({"rank": "area"}, "columns is 'area'; expected each new name once"),
        ({"area": None}, "expected one named area"),
    ],
)
def test_columns_are_renamed_only_where_they_are(tmp_path, columns, message):
    with pytest.raises(InputError, match=message):
        register(write(tmp_path, GOOD), columns=columns)
