"""The GPU benchmark runs from end to end without a GPU, and its fixed networks tell something."""

import importlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[2] / "benchmarks"


@pytest.fixture
def module(monkeypatch):
    """Function ``module(name)`` that imports a file of the benchmarks."""
    monkeypatch.syspath_prepend(str(BENCHMARKS))
    return importlib.import_module


def points(seconds):
    return [{"device": device, "synapses": size, "call_s": value}
            for device, values in seconds.items() for size, value in values.items()]  # fmt: skip


def test_the_crossover_lies_where_the_lines_meet(module):
    crossover = module("gpu_figure").crossover
    # 1e-6 s for each synapse, and 1 s however many there are: they meet at a million.
    each = {size: 1e-6 * size for size in (1e4, 1e5, 1e7)}
    found = points({"cpp_standalone": each, "cuda_standalone": dict.fromkeys(each, 1.0)})
    assert crossover(found, "call_s", "cuda_standalone", "cpp_standalone") == pytest.approx(1e6)
    assert crossover(found, "call_s", "cpp_standalone", "cuda_standalone") is None


def test_the_figure_is_drawn_of_what_is_there(module, tmp_path):
    found = points({"cpp_standalone": {1e4: 0.01, 1e5: 0.1}, "cuda_standalone": {1e4: 0.5, 1e5: 0.05}})
    results = {"sizes": {"points": [{**p, "step_ms": 1000 * p["call_s"]} for p in found],
                         "crossover_synapses": {"call_s": 5e4}},
               "machine": {"sizes": {"gpu": "No GPU"}}}  # fmt: skip
    module("gpu_figure").draw(results, tmp_path / "figure.svg")
    assert "No GPU" in (tmp_path / "figure.svg").read_text()


def test_fixed_networks_are_lively_and_do_not_change(module):
    # Protects the comparison from networks that are silent, and results from networks that differ from run to run.
    fixed = module("fixed_networks")
    one = next(f for f in fixed.fixed_networks(seeds=range(1)) if f.name == "dense 1")
    assert all(0.01 <= share <= 0.4 for share in fixed.activity(one.network, one.counts[:4]).values())
    again = next(f for f in fixed.fixed_networks(seeds=range(1)) if f.name == "dense 1")
    assert one.network.fingerprint() == again.network.fingerprint()
    assert len(fixed.ARCHITECTURES) * len(fixed.SEEDS) == 20


@pytest.mark.slow
def test_all_of_it_runs_without_a_gpu(tmp_path):
    output, figure = tmp_path / "found.json", tmp_path / "figure.svg"
    command = [sys.executable, "brian_gpu.py", "--device", "cpp_standalone", "--dry", "--output", str(output)]
    subprocess.run([*command, "--figure", str(figure)], check=True, cwd=BENCHMARKS)
    found = json.loads(output.read_text())
    assert {"agreement", "sizes", "replicas", "machine", "settings"} <= set(found)
    assert [one["differing"] for one in found["agreement"]["networks"]] == [0] * 5
    assert [one["differing"] for one in found["replicas"]["points"]] == [0] * 2
    assert all(one["step_ms"] > 0 for one in found["sizes"]["points"])
    assert found["machine"]["sizes"]["gpu"]
    assert figure.is_file()
