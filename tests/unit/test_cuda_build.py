"""The CUDA project of a network is generated, compiled and started without a GPU; what it promises is read in it."""

import importlib.util
import json
import re
import shutil

import numpy as np
import pytest

from cortexsnn.brian.blocks import plan_of
from cortexsnn.brian.cuda.device import CUDA, require_toolkit
from cortexsnn.brian.cuda.gpu import driver_here
from cortexsnn.brian.program import plan_key
from cortexsnn.brian.standalone import StandaloneRunner, prepare_program
from cortexsnn.brian.values import circuit_values
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection, spike_inputs


def _missing():
    if importlib.util.find_spec("brian2cuda") is None:
        return "brian2cuda is not installed (extra 'cuda', Python 3.12)"
    try:
        CUDA.compiler()
    except InputError as error:
        return str(error)
    return "no C++ compiler for nvcc" if shutil.which("g++") is None else ""


pytestmark = [pytest.mark.cuda_build, pytest.mark.skipif(bool(_missing()), reason=_missing() or "everything is here")]
TRIALS, STEPS = 1, 20


@pytest.fixture(scope="module")
def network():
    """The smallest one with everything that is compiled in its own way: delays, feedback, adaptation, all resets.

    Capital letters in a name, because programs turn names of files into small ones.
    """
    rng = np.random.default_rng(0)
    return Network(
        0.004,
        (
            Population.input("input", 4),
            Population.lif("V1", 6, tau_s=0.1, bias=0.05, refractory_steps=2, reset="zero", adaptation_strength=0.1,
                           adaptation_tau_s=0.05),
            Population.readout("readout", 2, tau_s=0.05),
        ),
        (
            Projection("input", "V1", rng.uniform(0, 0.8, (2, 6, 4)), (0, 4)),
            Projection("V1", "V1", rng.normal(0, 0.4, (1, 6, 6)), (3,)),
            Projection("V1", "readout", rng.normal(size=(2, 6))),
        ),
        "per_step",
    )  # fmt: skip


@pytest.fixture(scope="module")
def plan(network):
    inputs = spike_inputs(network, np.full((TRIALS, STEPS, 4), 2))
    return plan_of(network, inputs, {}, ["V1"], processes=1, compiled=True)


@pytest.fixture(scope="module")
def program(plan):
    return prepare_program(plan, "float64", CUDA, progress=False)


def test_the_project_is_compiled_as_one_unit(program):
    # Protects the build: file by file it takes eight minutes.
    assert program.manifest["built_as"] == "one unit"
    assert program.binary.is_file()


def test_the_program_is_found_again(program, plan):
    again = prepare_program(plan, "float64", CUDA, progress=False)
    assert again.folder == program.folder
    assert plan_key(plan, "float64", CUDA) != plan_key(plan, "float32", CUDA) != plan_key(plan, "float32")


@pytest.mark.skipif(not driver_here().missing, reason="a GPU is here")
def test_without_a_gpu_the_program_says_what_is_missing(program, plan, network, tmp_path):
    # Protects the user from the text of a CUDA error.
    runner = StandaloneRunner(plan, program, circuit_values(plan.circuit), tmp_path, CUDA)
    with pytest.raises(InputError, match=r"GPU is .*driver.*expected .* device='cpp_standalone'"):
        runner.run({"input": np.full((TRIALS, STEPS, 4), 2, dtype=np.uint8)})
    assert not list(tmp_path.glob("run_*"))


def _order_of_kernels(program):
    """What `Network::run` calls in every step, in order."""
    return re.findall(r"network\.add\(&network_clock, _run_(\w+)\);", (program.folder / "main.cu").read_text())


def test_no_pathway_reads_its_source_before_it_fired(program, network, plan):
    # Protects from brian2cuda's ring of spike lists, which a pathway reads wrongly before the threshold of its source.
    order = _order_of_kernels(program)
    pathways = {f"{q.name}_delay{d}" if len(q.delay_steps) > 1 else q.name: q
                for q in network.projections for d in q.delay_steps}  # fmt: skip
    for name, projection in pathways.items():
        pushed, added = order.index(f"{name}_pre_push_spikes"), order.index(f"{name}_pre_codeobject")
        assert order.index(f"{projection.source}_spike_thresholder_codeobject") < pushed < added
        threshold = f"{projection.target}_spike_thresholder_codeobject"
        if network.is_feedforward(projection) and threshold in order:
            assert added < order.index(threshold)
        elif threshold in order:
            assert added > order.index(f"{projection.target}_spike_resetter_codeobject")


def test_delays_are_those_of_the_network(program):
    # Protects from a pathway that waits on another clock: feedback arrives a step early, in the slot at the end.
    main = (program.folder / "main.cu").read_text()
    delays = dict(re.findall(r"_dynamic_array_(\w+)_delay\[0\] = ([\d.e-]+);", main))
    assert {name: round(float(value) / 0.004) for name, value in delays.items()} == {
        "input_to_V1_delay0": 0,
        "input_to_V1_delay4": 4,
        "V1_to_V1": 2,
        "V1_to_readout": 0,
    }
    waiting = [path for path in (program.folder / "code_objects").glob("*_pre_codeobject.cu")
               if "defaultclock.timestep[0] >=" in path.read_text()]  # fmt: skip
    assert len(waiting) == len(delays)  # if brian2cuda no longer does this, unity.py need not redefine it
    assert (program.folder / "unity.cuh").read_text().startswith("#define defaultclock network_clock\n")


def test_nobody_counts_pairs_of_neurons_when_the_program_starts(program):
    # Protects from a minute for each ten million synapses.
    for path in (program.folder / "code_objects").glob("*_synapses_create_*.cu"):
        assert re.search(r"source_target_count;\s*for \(int _i=0; _i<0; _i\+\+\)", path.read_text())


def test_results_are_where_they_are_looked_for(program, network):
    # Protects reading back: the names of the files, their types, and the order of potentials, time by time.
    written = (program.folder / "objects.cu").read_text()
    manifest = json.loads((program.folder / "manifest.json").read_text())
    kinds = {"float64": "double", "int32": "int32_t"}
    entries = [*manifest["spikes"]["V1"], *manifest["potentials"].values(), *manifest["variables"].values()]
    for file, kind in entries:
        assert f'results_dir + "{file}"' in written
        array = re.search(rf'outfile_(\w+)\.open\(results_dir \+ "{re.escape(file)}"', written)[1]
        of_that_kind = rf"sizeof\({kinds[kind]}\)|thrust::(host|device)_vector<{kinds[kind]}>\*? brian::{array}"
        assert re.search(of_that_kind, written)
    for full in manifest["values"]:
        assert f'if (name == "{full}")' in written
    for file, shape in manifest["tables"].values():
        assert f'open("static_arrays/{file}"' in written
        assert f"reinterpret_cast<char*>({file}), {shape[0] * shape[1]}*sizeof(double)" in written
        assert not (program.folder / "static_arrays" / file).exists()
    # The inner loop runs over neurons.
    assert re.search(r"for\(int j = 0; j < temp_array\w+\[0\]\.size\(\); j\+\+\)\s*\{\s*for\(int i = 0;", written)


def test_settings_are_ours(program):
    # Protects the exact twin from brian2cuda's -use_fast_math, which is its default.
    makefile = (program.folder / "makefile").read_text()
    assert "fast_math" not in makefile
    assert "-fmad=false" in makefile
    assert "-fmad=false" in CUDA.flags()
    assert require_toolkit().release[0] >= 11
