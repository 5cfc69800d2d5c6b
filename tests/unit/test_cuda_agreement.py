"""On a GPU: the twenty fixed networks fire the spikes of the reference. Skipped where there is none."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from cortexsnn.brian.cuda.gpu import driver_here

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.slow,
    pytest.mark.skipif(bool(driver_here().missing), reason=f"no GPU here: {driver_here().missing}"),
]


@pytest.fixture(scope="module")
def networks(tmp_path_factory):
    """What the benchmark finds; it compiles five programs for each way of adding up."""
    output = tmp_path_factory.mktemp("gpu") / "found.json"
    command = [sys.executable, str(BENCHMARKS / "brian_gpu.py"), "agreement", "--output", str(output)]
    subprocess.run(command, check=True, cwd=BENCHMARKS)
    return json.loads(output.read_text())["agreement"]["networks"]


def test_twenty_networks_fire_the_spikes_of_the_reference(networks):
    twins = [one for one in networks if one["exact"] == "twin"]
    assert len(twins) == 20
    assert sum(one["spikes"] for one in twins) > 100_000
    assert all(1 <= share <= 40 for one in twins for share in one["active_percent"][:-1])
    assert [one["network"] for one in twins if one["differing"]] == []
    assert max(one["largest_potential_difference"] for one in twins) <= 1e-9
    assert sum(one["classes_differing"] for one in twins) == 0


def test_exact_sums_give_the_same_bits_whatever_the_order_of_threads(networks):
    exact = [one for one in networks if one["exact"] == "bitwise"]
    assert {one["precision"] for one in exact} == {"float64", "float32"}
    assert [one["network"] for one in exact if one["differing"]] == []
    assert {one["largest_potential_difference"] for one in exact if one["precision"] == "float64"} == {0.0}
