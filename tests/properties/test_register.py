"""Tables of users: whatever is written is read back, or refused; nothing is dropped or made up."""

import csv
import io
import json
import math
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsnn.cortex.registering import register
from cortexsnn.cortex.tables import area_means, joined
from cortexsnn.errors import InputError

# Text that survives a CSV file: no control characters, and no space at the ends, which is cut.
NAMES = st.text(st.characters(exclude_categories=("Cs", "Cc", "Zs", "Zl", "Zp")), min_size=1, max_size=6)


@st.composite
def observations(draw):
    """Rows of a valid table: areas once in a data set, each with one rank; tau within a factor of 100."""
    areas = draw(st.lists(NAMES, min_size=1, max_size=6, unique=True))
    ranks = {area: draw(st.integers(1, 4)) for area in areas}
    datasets = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    pairs = draw(st.lists(st.tuples(st.sampled_from(datasets), st.sampled_from(areas)), min_size=1, unique=True))
    rows = []
    for dataset, area in pairs:
        tau_ms = draw(st.floats(30, 2900))
        sem_ms = draw(st.none() | st.floats(0.01, 50))
        rows.append((dataset, area, ranks[area], tau_ms, sem_ms))
    return rows


def text_of(rows, unit="ms"):
    """CSV of the rows, with times in ms or s."""
    file = io.StringIO()
    writer = csv.writer(file)
    writer.writerow(["dataset", "area", "rank", f"tau_{unit}", f"sem_{unit}"])
    factor = 1.0 if unit == "ms" else 1000.0
    for dataset, area, rank, tau_ms, sem_ms in rows:
        writer.writerow([dataset, area, rank, repr(tau_ms / factor), "" if sem_ms is None else repr(sem_ms / factor)])
    return file.getvalue()


def read(text, **more):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.csv"
        path.write_text(text, encoding="utf-8", newline="")
        return register(path, **more)


@given(observations())
def test_what_is_written_is_read_back(rows):
    table = read(text_of(rows))
    back = zip(*(table[name].to_numpy().tolist() for name in ("dataset", "area", "rank", "tau_ms")), strict=True)
    assert list(back) == [row[:4] for row in rows]
    expected = [math.nan if row[4] is None else row[4] for row in rows]
    np.testing.assert_array_equal(table["sem_ms"], expected)


@given(observations())
def test_seconds_are_milliseconds(rows):
    in_ms, in_s = read(text_of(rows)), read(text_of(rows, "s"))
    for name in ("tau_ms", "sem_ms"):
        np.testing.assert_allclose(in_s[name], in_ms[name], rtol=1e-12)
    assert in_s["tau_ms"].attrs == in_ms["tau_ms"].attrs


@given(observations(), st.randoms(use_true_random=False))
def test_order_of_lines_does_not_matter(rows, random):
    # Protects means and joins from the order in which somebody typed the table.
    shuffled = list(rows)
    random.shuffle(shuffled)
    one, other = read(text_of(rows)), read(text_of(shuffled))
    means = [area_means(table).to_dataframe()["tau_ms"].sort_index() for table in (one, other)]
    np.testing.assert_allclose(means[0].to_numpy(), means[1].to_numpy(), rtol=1e-12)
    assert means[0].index.tolist() == means[1].index.tolist()
    both = joined(one, other)
    assert both.sizes["area"] == len({row[1] for row in rows})
    np.testing.assert_allclose(both["first"], both["second"], rtol=1e-12)


@given(observations())
def test_means_are_in_order_of_rank(rows):
    means = area_means(read(text_of(rows)))
    assert np.all(np.diff(means["rank"].to_numpy()) >= 0)
    assert means["datasets"].sum() == len(rows)


@given(observations(), st.data())
def test_a_value_that_cannot_be_right_is_named_with_its_line(rows, data):
    place = data.draw(st.integers(0, len(rows) - 1))
    wrong = data.draw(st.sampled_from(["", "nan", "-1", "0", "inf", "1e999", "sixty", "60 ms", "6_0", "0.05", "1e9"]))
    lines = text_of(rows).splitlines()
    cells = next(csv.reader([lines[place + 1]]))
    cells[3] = wrong
    file = io.StringIO()
    csv.writer(file).writerow(cells)
    lines[place + 1] = file.getvalue().strip()
    with pytest.raises(InputError, match=rf"in lines? (\d+ and )?{place + 2}\b"):
        read("\n".join(lines))


@given(observations(), st.data())
def test_a_line_twice_is_refused(rows, data):
    again = data.draw(st.sampled_from(rows))
    with pytest.raises(InputError, match="expected each area once in data set"):
        read(text_of([*rows, again]))


@given(st.text(max_size=80) | st.text(st.sampled_from('area,tu_ms\n"1236;'), max_size=60))
@settings(max_examples=150)
def test_any_text_is_a_table_or_an_input_error(text):
    # Protects from tracebacks: a file of any content, metadata of any content.
    try:
        table = read("area,tau_ms\n" + text)
    except InputError:
        return
    assert np.all(table["tau_ms"] > 0)
    assert all(table["area"].to_numpy().astype(bool))


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
KEYS = st.sampled_from(["title", "traps", "protocol", "bibtex", "columns", "modality", "colour"])


@given(JSON | st.dictionaries(KEYS, JSON, max_size=4))
@settings(max_examples=100)
def test_any_metadata_are_taken_or_an_input_error(about):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "mine.csv"
        path.write_text("area,tau_ms\nV1,60\n", encoding="utf-8")
        path.with_suffix(".json").write_text(json.dumps(about), encoding="utf-8")
        try:
            table = register(path)
        except InputError:
            return
    assert all(isinstance(value, str) for value in table.attrs.values())
