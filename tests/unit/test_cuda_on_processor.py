"""The programs of brian2cuda, with their kernels run thread by thread on a processor, fire the spikes of the reference.

That is no proof for a GPU, where threads run at the same time. It is one for everything else: the order of events,
delays and feedback, what the program reads, and where its results are looked for.
"""

import importlib
import importlib.util
import os
import shutil
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from cortexsnn import brian, recording, reference
from cortexsnn.brian import blocks
from cortexsnn.brian.cuda.device import CUDA
from cortexsnn.brian.devices import DEVICES, Device
from cortexsnn.brian.standalone import open_standalone
from cortexsnn.network import Network, Population, Projection

HERE = Path(__file__).parent
THRUST = next((f for f in (Path("/usr/local/cuda/include/cccl"), Path("/usr/local/cuda/include"))
               if (f / "thrust" / "device_vector.h").is_file()), None)  # fmt: skip

pytestmark = [
    pytest.mark.cuda_build,
    pytest.mark.skipif(importlib.util.find_spec("brian2cuda") is None, reason="brian2cuda is not installed"),
    pytest.mark.skipif(THRUST is None or shutil.which("g++") is None, reason="no Thrust of a CUDA toolkit, or no g++"),
]


@pytest.fixture(autouse=True)
def processor(monkeypatch, tmp_path):
    """Let the device compile for the processor, and run without a GPU."""
    nvcc = tmp_path / "cuda" / "bin" / "nvcc"
    nvcc.parent.mkdir(parents=True)
    nvcc.write_text(f'#!/bin/sh\nexec {sys.executable} {HERE / "cuda_on_processor" / "compiler.py"} {THRUST} "$@"\n')
    nvcc.chmod(0o755)
    monkeypatch.setenv("PATH", f"{nvcc.parent}{os.pathsep}{os.environ['PATH']}")
    here = replace(CUDA, ready=lambda plan, precision: None)
    monkeypatch.setitem(DEVICES, "cuda_standalone", Device(partial(open_standalone, here), False, True))


@pytest.fixture(scope="module")
def network(counts, made_lively):
    """All at once: several delays, recurrence, feedback, adaptation, refractoriness, capital letters in names."""
    rng = np.random.default_rng(4)

    def weight(*shape):
        return rng.normal(0.35, 0.6, shape) / np.sqrt(shape[-1])

    drawn = Network(
        0.004,
        (
            Population.input("input", 12),
            Population.lif("V1", 14, tau_s=rng.uniform(0.02, 0.1, 14), bias=0.02, refractory_steps=2, reset="zero",
                           adaptation_strength=0.1, adaptation_tau_s=0.05),
            Population.lif("V4", 12, tau_s=rng.uniform(0.02, 0.2, 12)),
            Population.readout("readout", 3, tau_s=0.05),
        ),
        (
            Projection("input", "V1", 4 * weight(2, 14, 12), (0, 7)),
            Projection("V1", "V4", 3 * weight(1, 12, 14), (4,)),
            Projection("V4", "V4", weight(1, 12, 12), (1,)),
            Projection("V4", "V1", weight(1, 14, 12), (3,)),
            Projection("V4", "readout", weight(3, 12)),
        ),
        "per_step",
    )  # fmt: skip
    return made_lively(drawn, counts)


@pytest.fixture(scope="module")
def counts():
    drawn = np.random.default_rng(5).poisson(0.15, (5, 60, 12)).astype(np.uint8)
    assert drawn.max() > 1
    return drawn


def compare(network, counts, expected, **options):
    """Run on the device, with every potential; differing spikes, and potentials beside their scale."""
    names = [p.name for p in network.hidden]
    observed = brian.simulate(
        network, counts, device="cuda_standalone", record_potential=names, progress=False, **options
    )
    table = recording.compare(expected, observed)
    return int(table["differing"].sum()), float((table["potential_difference"] / table["potential_scale"]).max())


@pytest.fixture(scope="module")
def expected(network, counts):
    names = [p.name for p in network.hidden]
    made = reference.simulate(network, counts, record_potential=names)
    for name in names:
        assert 0.01 <= recording.dense_spikes(made, name).mean() <= 0.4, name
    return made


def test_it_fires_the_spikes_of_the_reference(network, counts, expected):
    differing, potential = compare(network, counts, expected)
    assert differing == 0
    assert potential <= 1e-9


@pytest.mark.slow
def test_it_goes_on_where_a_block_ended(network, counts, expected, monkeypatch):
    # Protects what is read back at the end of a run: potentials, adaptation, and spikes that come in any order.
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (12 + 14 + 12 + 3) * 20)
    first = reference.simulate(network, counts[:1], record_potential=[p.name for p in network.hidden])
    differing, potential = compare(network, counts[:1], first)
    assert differing == 0
    assert potential <= 1e-9


@pytest.mark.slow
def test_in_float32_it_is_close(network, counts, expected):
    differing, potential = compare(network, counts[:, :10], reference.simulate(
        network, counts[:, :10], record_potential=[p.name for p in network.hidden]), precision="float32")  # fmt: skip
    assert differing == 0
    assert 1e-9 < potential < 1e-3


@pytest.mark.slow
@pytest.mark.parametrize("precision", ["float64", "float32"])
def test_exact_sums_do_not_depend_on_the_order_of_threads(network, counts, precision):
    # Protects exact="bitwise" on a device that adds in another order than the reference: threads run backwards here.
    snapped = brian.agreement(network, counts, device="cuda_standalone", precision=precision, exact="bitwise",
                              progress=False)  # fmt: skip
    assert int(snapped["differing"].sum()) == 0
    if precision == "float64":
        assert float(snapped["potential_difference"].max()) == 0.0


@pytest.mark.slow
def test_twenty_fixed_networks_fire_the_spikes_of_the_reference(monkeypatch):
    # Protects what docs/gpu.md says: 1.4 million spikes, none of which differs.
    monkeypatch.syspath_prepend(str(HERE.parents[1] / "benchmarks"))
    benchmark = importlib.import_module("brian_gpu")
    settings = benchmark.Settings("cuda_standalone", modes=(("twin", "float64"),))
    found = benchmark.compare_with_reference(settings)["networks"]
    assert len(found) == 20
    assert sum(one["spikes"] for one in found) > 1_400_000
    assert [one["network"] for one in found if one["differing"] or one["classes_differing"]] == []
    assert max(one["largest_potential_difference"] for one in found) <= 1e-9
