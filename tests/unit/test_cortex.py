"""The public face of the cortex: its names, the table that everything began with, and its area means."""

import pytest

from cortexsnn import cortex
from cortexsnn.errors import InputError


@pytest.fixture(scope="module")
def table():
    return cortex.load("murray2014")


def test_public_names_are_there():
    # Protects the names that pages and other rooms use; one that is missing shows only when somebody imports it.
    assert all(callable(getattr(cortex, name)) for name in cortex.__all__)
    assert {"compare", "measure_like", "register", "citation", "load_comparison", "save_comparison"} <= {
        *cortex.__all__
    }


def test_table_states_its_source(table):
    # Protects: no number without a citation.
    assert "murray2014" in cortex.names()
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
def test_unknown_table_lists_the_known(function):
    with pytest.raises(InputError, match=r"cortical table is '\.\./murray2014'; expected one of .*murray2014"):
        function("../murray2014")
