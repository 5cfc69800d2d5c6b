"""What is refused before anything is sent to a GPU, and what is said; no GPU, no brian2cuda and no nvcc are needed."""

import logging
import shutil
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest

from cortexsnn import brian
from cortexsnn.brian.blocks import plan_of
from cortexsnn.brian.circuit import Circuit, SynapseModel, circuit
from cortexsnn.brian.cuda import device as cuda
from cortexsnn.brian.cuda import gpu as cuda_gpu
from cortexsnn.brian.cuda import limits as cuda_limits
from cortexsnn.brian.cuda.costs import step_on_gpu
from cortexsnn.brian.cuda.gpu import Driver, Gpu, driver_here, require_gpu
from cortexsnn.brian.program import Program
from cortexsnn.brian.standalone import StandaloneRunner
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection, spike_inputs

H100 = Gpu("NVIDIA H100", (9, 0), 80e9, 132, 3.35e12)

# Answers as the library of the driver does, with what was compiled in.
DRIVER = """
#include <cstddef>
#include <cstring>
extern "C" {
int cuInit(unsigned) { return ERROR; }
int cuDriverGetVersion(int *version) { *version = 12040; return 0; }
int cuDeviceGetCount(int *count) { *count = COUNT; return 0; }
int cuDeviceGet(int *device, int number) { *device = 10 + number; return 0; }
int cuDeviceGetName(char *name, int length, int device) {
    strncpy(name, device == 10 ? "First GPU" : "Second GPU", length); return 0;
}
int cuDeviceTotalMem_v2(size_t *bytes, int device) { *bytes = 85899345920UL; return 0; }
int cuDeviceGetAttribute(int *value, int attribute, int device) {
    switch (attribute) {
        case 16: *value = 108; break;
        case 36: *value = 1215000; break;
        case 37: *value = 5120; break;
        case 75: *value = 8; break;
        case 76: *value = 0; break;
    }
    return 0;
}
}
"""


@pytest.fixture
def driver(tmp_path, monkeypatch):
    """Function ``driver(error, count)`` that installs a library of the driver."""
    compiler = shutil.which("g++")
    if compiler is None:
        pytest.skip("no g++")
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)

    def install(error=0, count=2):
        library = tmp_path / f"libdriver_{error}_{count}.so"
        command = [compiler, "-shared", "-fPIC", "-x", "c++", "-", "-o", str(library)]
        subprocess.run([*command, f"-DERROR={error}", f"-DCOUNT={count}"], input=DRIVER, text=True, check=True)
        monkeypatch.setattr(cuda_gpu, "_LIBRARY", str(library))

    return install


def use(monkeypatch, gpu=H100, release=(13, 0), missing=""):
    """Let this be the machine's GPU."""
    monkeypatch.setattr(cuda_gpu, "driver_here", lambda: Driver(missing, release, (gpu,)))


def test_what_the_driver_says_is_read(driver):
    driver()
    found = driver_here()
    assert found.missing == ""
    assert found.cuda == (12, 4)
    assert [gpu.name for gpu in found.gpus] == ["First GPU", "Second GPU"]
    assert found.gpus[0] == Gpu("First GPU", (8, 0), 80 * 2**30, 108, pytest.approx(1.5552e12))
    assert require_gpu((12, 8)).architecture == "sm_80"


@pytest.mark.parametrize(
    ("error", "count", "visible", "said"),
    [
        (100, 0, None, "no NVIDIA GPU"),
        (0, 0, "3", "no NVIDIA GPU that CUDA_VISIBLE_DEVICES=3 shows"),
        (803, 0, None, "a driver whose library and kernel module are of different versions"),
        (999, 0, None, "a driver that fails with CUDA error 999"),
    ],
)
def test_why_there_is_no_gpu_is_told(driver, monkeypatch, error, count, visible, said):
    driver(error, count)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(InputError) as refused:
        require_gpu()
    assert refused.value.value == said
    assert "device='cpp_standalone'" in refused.value.hint


def test_without_a_driver_the_run_is_refused_before_anything_is_built(monkeypatch):
    monkeypatch.setattr(cuda_gpu, "_LIBRARY", "libnothing.so.1")
    network = Network.from_arrays([[[0.8]]], tau_s=0.02, dt_s=0.01)
    with pytest.raises(InputError, match=r"GPU is 'no NVIDIA driver'; expected an NVIDIA GPU.*cpp_standalone"):
        brian.simulate(network, np.ones((1, 5, 1)), device="cuda_standalone", progress=False)


def test_a_driver_that_is_too_old_is_refused_and_a_newer_minor_release_is_not(monkeypatch):
    use(monkeypatch, release=(12, 4))
    assert require_gpu((12, 8)) == H100
    with pytest.raises(InputError, match=r"driver of the GPU is 'for CUDA 12.4'; expected one for CUDA 13.0 or newer"):
        require_gpu((13, 0))


def test_a_gpu_that_the_toolkit_does_not_know_is_refused(monkeypatch):
    use(monkeypatch, gpu=replace(H100, capability=(7, 0)))
    with pytest.raises(InputError, match=r"architecture of GPU 'NVIDIA H100' is 'sm_70'; .*: sm_75, sm_90"):
        require_gpu((13, 0), ("sm_75", "sm_90"))


def make(network, steps=50, trials=2, **options):
    inputs = spike_inputs(network, np.zeros((trials, steps, network.inputs[0].size), dtype=np.uint8))
    return plan_of(network, inputs, {}, (), processes=1, compiled=True, **options)


@pytest.fixture(scope="module")
def plan():
    rng = np.random.default_rng(0)
    network = Network(
        0.004,
        (
            Population.input("input", 30),
            Population.lif("hidden1", 40, tau_s=0.05),
            Population.readout("readout", 5, tau_s=0.1),
        ),
        (
            Projection("input", "hidden1", rng.normal(size=(2, 40, 30)), (0, 3)),
            Projection("hidden1", "readout", rng.normal(size=(5, 40))),
        ),
    )
    return make(network)


def test_a_gpu_that_lacks_memory_is_refused(plan):
    needed = cuda_limits.gpu_bytes(plan, "float64")
    cuda_limits.require_fit(plan, "float64", replace(H100, memory_bytes=needed))
    with pytest.raises(InputError, match=r"memory of GPU 'NVIDIA H100' is '0.9 GB'; expected at least 1.0 GB"):
        cuda_limits.require_fit(plan, "float64", replace(H100, memory_bytes=0.9 * needed))


def test_memory_grows_with_synapses_and_halves_with_their_weights(plan):
    # Protects the estimate: 20 bytes a synapse in float64, 16 in float32.
    synapses = sum(projection.weight.size for projection in plan.network.projections)
    wider, narrow = (cuda_limits.gpu_bytes(plan, precision) for precision in ("float64", "float32"))
    steps = plan.layout.total_steps
    assert wider - narrow == 4 * (synapses + 5 * steps)  # weights, and the potentials of the readout
    assert wider - 1e9 == 20 * synapses + 8 * steps * (30 + 5)


def with_synapses(network, on_pre):
    models = {p.name: SynapseModel("w : 1", on_pre) for p in network.projections}
    made = circuit(network)
    return Circuit(made.network, made.neurons, models)


def test_code_that_brian2cuda_cannot_compile_is_refused(plan):
    made = replace(plan, circuit=with_synapses(plan.network, "v_post += w{count}*int(j > 2)"))
    with pytest.raises(
        InputError, match=r"on_pre of the synapses of 'input_to_hidden1' is .*; expected code without j"
    ):
        cuda_limits.require_fit(made, "float64", H100)
    fine = replace(made, circuit=with_synapses(plan.network, "v_post += w{count}*int(i > 2)"))
    cuda_limits.require_fit(fine, "float64", H100)


def rows_read(dt_s, step):
    """Row of a table that float32 code of brian2cuda reads in a step: its literals are float32, time is not."""
    epsilon = np.float64(np.float32(dt_s) / np.float32(8))
    return ((step * dt_s / epsilon + 0.5) / 8).astype(np.int64)


@pytest.mark.parametrize("dt_s", [0.0001, 0.001, 0.004, 0.01])
def test_float32_is_refused_where_it_would_read_its_input_from_the_wrong_step(dt_s):
    # Protects long runs: the time step is rounded, and the error adds up over some million steps.
    steps = np.arange(20_000_000)
    wrong = np.flatnonzero(rows_read(dt_s, steps) != steps)
    first = int(wrong[0]) if wrong.size else 20_000_000
    assert cuda_limits._tables_are_exact(dt_s, min(first, 200_000))
    if wrong.size:
        assert not cuda_limits._tables_are_exact(dt_s, 20_000_000)


def test_a_run_that_is_too_long_in_float32_is_refused(plan):
    long = replace(plan, layout=replace(plan.layout, steps=40_000_000))
    with pytest.raises(InputError, match=r"precision is 'float32'; expected float64 for runs of 400000\d+ steps"):
        cuda_limits.require_fit(long, "float32", H100)


def test_two_blocks_without_a_seed_do_not_draw_the_same_noise(plan, tmp_path, caplog):
    # Protects from programs of brian2cuda, which take the second in which they start as seed.
    (tmp_path / "program" / "static_arrays").mkdir(parents=True)
    main = tmp_path / "program" / "main"
    main.write_text('#!/bin/sh\necho "$CORTEXSNN_SEED 1" > "$2last_run_info.txt"\n')
    main.chmod(0o755)
    tables = {"input": ["input_raster", [plan.layout.total_steps, 30]]}
    manifest = {"values": {}, "tables": tables, "spikes": {}, "potentials": {}, "variables": {}}
    runner = StandaloneRunner(plan, Program(tmp_path / "program", manifest), {}, tmp_path, cuda.CUDA)
    counts = {"input": np.zeros((1, 50, 30), dtype=np.uint8)}
    with caplog.at_level(logging.DEBUG, logger="cortexsnn"):
        for seed in (None, None, 7, 7):
            runner.run(counts, seed=seed)
    first, second, third, fourth = (record.args[1] for record in caplog.records)
    assert first != second
    assert third == fourth == "7"


@pytest.fixture
def no_toolkit(monkeypatch, tmp_path):
    """A machine without CUDA, and the function that puts a compiler on its PATH."""
    monkeypatch.setenv("PATH", str(tmp_path))
    for name in ("CUDA_PATH", "CUDA_HOME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(cuda, "_USUAL_FOLDER", str(tmp_path / "nowhere"))

    def install(release):
        folder = tmp_path / "toolkit" / "bin"
        folder.mkdir(parents=True)
        text = f"echo 'Cuda compilation tools, release {release}, V{release}.1'; echo '#$ _HERE_={folder}'; echo sm_90"
        (folder / "nvcc").write_text(f"#!/bin/sh\n{text}\n")
        (folder / "nvcc").chmod(0o755)
        monkeypatch.setenv("CUDA_HOME", str(folder.parent))
        return folder.parent

    return install


def test_no_nvcc_is_told(no_toolkit):
    with pytest.raises(InputError, match=r"CUDA tool chain is 'no nvcc on the PATH'; .*cuda-downloads.*cpp_standalone"):
        cuda.require_toolkit()


def test_a_toolkit_is_found_where_a_variable_says(no_toolkit):
    folder = no_toolkit("12.4")
    assert cuda.require_toolkit() == cuda.Toolkit(str(folder / "bin" / "nvcc"), folder, (12, 4), ("sm_90",))


def test_a_script_that_is_no_nvcc_is_told(no_toolkit):
    no_toolkit("unknown")
    with pytest.raises(InputError, match="expected the compiler of a CUDA toolkit"):
        cuda.require_toolkit()


def test_curand_comes_with_the_toolkit_or_with_the_package_that_fits(no_toolkit, monkeypatch, tmp_path):
    no_toolkit("12.4")
    toolkit = cuda.require_toolkit()
    monkeypatch.setattr(sys, "path", [str(tmp_path / "site")])
    monkeypatch.delitem(sys.modules, "nvidia", raising=False)
    (tmp_path / "site" / "nvidia").mkdir(parents=True)
    with pytest.raises(InputError, match=r"no cuRAND in the toolkit.*pip install nvidia-curand-cu12"):
        cuda._curand(toolkit)
    with pytest.raises(InputError, match=r"pip install nvidia-curand;"):
        cuda._curand(replace(toolkit, release=(13, 0)))
    for package, release in (("curand", (12, 4)), ("cu13", (13, 0))):
        folder = tmp_path / "site" / "nvidia" / package
        for file in ("include/curand.h", "lib/libcurand.so.10"):
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).touch()
        headers, libraries = cuda._curand(replace(toolkit, release=release))
        assert headers == ["-I", str(folder / "include")]
        assert "-l:libcurand.so.10" in libraries
        assert libraries.count(str(folder / "lib")) == 2  # to link, and to run
    (toolkit.folder / "include").mkdir()
    (toolkit.folder / "include" / "curand.h").touch()
    assert cuda._curand(toolkit) == ([], ["-lcurand"])


def test_a_missing_package_is_told_before_the_toolkit(no_toolkit, monkeypatch):
    monkeypatch.setattr(cuda.importlib.util, "find_spec", lambda name: None)
    expected = "the extra 'cuda'" if sys.version_info >= (3, 12) else "Python 3.12 and the extra 'cuda'"
    with pytest.raises(InputError, match=rf"brian2cuda is .*; expected {expected}.*pip install 'cortexsnn\[cuda\]'"):
        cuda.CUDA.compiler()


@pytest.mark.parametrize(
    ("printed", "said"),
    [
        ("ERROR: cudaSetDevice(0) failed at main.cu:94 : CUDA driver version is insufficient for CUDA runtime version",
         "GPU is 'without a driver, or with one that is too old'"),
        ("ERROR: cudaMalloc((void**)&d, 8) failed at objects.cu:7 : out of memory", "memory of the GPU is 'used up'"),
        ("terminate called after throwing an instance of 'std::bad_alloc'", "memory is 'used up'"),
        ("ERROR: x failed at y : no kernel image is available for execution on the device", "CORTEXSNN_CACHE"),
        ("main: error while loading shared libraries: libcurand.so.10: cannot open", "cuRAND is 'no longer where"),
    ],
)  # fmt: skip
def test_what_a_program_prints_is_translated(printed, said):
    message = str(cuda_limits.explain(printed))
    assert said in message
    assert "device='cpp_standalone'" in message


def test_what_is_not_known_is_not_translated():
    assert cuda_limits.explain("Segmentation fault") is None


def test_a_step_costs_its_kernels_however_small_the_network_is(plan):
    # Protects the estimate: 2 pathways from the input, 1 to the readout, and 3 groups; twice the bytes, twice the time.
    step = step_on_gpu(plan, 1000, "float64", H100)
    assert step.kernels == 3 + (3 + 4) + (3 + 1) + 3
    assert step.copies == 3 + 1
    assert step_on_gpu(plan, 0, "float64", H100).total_s == step.starting_s
    assert step.total_s - step.starting_s == pytest.approx(1000 * 32 / (0.5 * 3.35e12))
