"""torch, the reference and Brian2 on NumPy and C++ standalone are one network; what compiled programs promise."""

import json
import os
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor

import brian2
import numpy as np
import pytest
import xarray as xr
from filelock import FileLock

from cortexsnn import brian, recording, reference
from cortexsnn.brian import blocks, collected, program, standalone
from cortexsnn.decoding import decode
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, Projection, spike_inputs

TRIALS, STEPS, CHANNELS = 3, 60, 20


def trained_like(seed, hidden=(24, 20, 20, 16)):
    """A dense network as training leaves it: hierarchical taus, signed weights, biases; all layers active."""
    rng = np.random.default_rng(seed)
    taus = np.linspace(0.02, 0.2, len(hidden))
    populations, projections, size, source = [Population.input("input", CHANNELS)], [], CHANNELS, "input"
    for layer, (neurons, tau_s) in enumerate(zip(hidden, taus, strict=True)):
        name = f"hidden{layer + 1}"
        tau = tau_s * rng.uniform(0.8, 1.2, neurons)
        populations.append(Population.lif(name, neurons, tau_s=tau, bias=rng.normal(-0.02, 0.03, neurons)))
        projections.append(Projection(source, name, rng.normal(0.06, 0.35, (neurons, size))))
        source, size = name, neurons
    populations.append(Population.readout("readout", 5, tau_s=0.05, bias=rng.normal(0, 0.1, 5)))
    projections.append(Projection(source, "readout", rng.normal(0, 0.5, (5, size))))
    return Network(0.01, tuple(populations), tuple(projections), "sum_of_softmax")


@pytest.fixture(scope="module")
def network():
    return trained_like(1)


def graded(seed, trials):
    """Input in which a channel may have several spikes in a step."""
    drawn = np.random.default_rng(seed).poisson(0.25, (trials, STEPS, CHANNELS)).astype(np.uint8)
    assert drawn.max() > 1
    return drawn


@pytest.fixture(scope="module")
def counts():
    return graded(2, TRIALS)


def names(network):
    return [p.name for p in network.hidden]


@pytest.fixture(scope="module")
def expected(network, counts):
    """The reference, of which every layer is active in 1 to 40 % of bins."""
    result = reference.simulate(network, counts, record_potential=names(network))
    assert_active(network, result)
    return result


def assert_active(network, result):
    for name in names(network):
        assert 0.01 <= recording.dense_spikes(result, name).mean() <= 0.40, name


def assert_agree(network, expected, observed):
    """0 differing spikes, potentials within 1e-9 of their scale, the same classes."""
    table = recording.compare(expected, observed)
    assert table["differing"].to_numpy().tolist() == [0] * (len(network.hidden) + 1)
    assert np.all(table["potential_difference"] <= 1e-9 * table["potential_scale"])
    left, right = (decode(r["readout"]["potential"].to_numpy(), network.decoder) for r in (expected, observed))
    np.testing.assert_array_equal(left, right)
    for name in recording.populations(expected, "input"):
        np.testing.assert_array_equal(recording.dense_spikes(observed, name), recording.dense_spikes(expected, name))


@pytest.mark.torch
def test_torch_is_the_reference(network, counts, expected):
    training = pytest.importorskip("cortexsnn.training")
    assert_agree(network, expected, training.simulate(network, counts))


@pytest.fixture(scope="module")
def every_kind():
    """A network of trainable layers of every kind, normalised to its input, and what the reference makes of it."""
    torch = pytest.importorskip("torch")
    from cortexsnn import training
    from cortexsnn.datasets import Split
    from cortexsnn.training.evaluation import recompute_statistics

    layers = training.stack(
        (12, 10, 10, 8),
        (0.02, 0.05, 0.1, 0.2),
        kernel_size=(3, 1, 2, 1),
        dilation=(4, 1, 7, 1),
        recurrent=(False, True, True, False),
        self_connections=(False, False, True, False),
        reset=("subtract", "zero", "subtract_decayed", "subtract"),
        adaptation_strength=(0.0, 0.0, 0.1, 0.2),
        tau_distribution="gamma",
        tau_spread=0.2,
        learned_tau=(None, training.LearnedTau(), None, training.LearnedTau("layer")),
    )
    architecture = training.Architecture(CHANNELS, 5, layers, readout_tau_s=0.05, dt_s=0.01)
    model = training.SpikingNetwork(architecture, torch.Generator().manual_seed(0))
    counts = graded(4, TRIALS)
    recompute_statistics(model, Split(counts, np.zeros(TRIALS, dtype=np.int64)), TRIALS)
    made = training.to_network(model, "sum_of_softmax")
    result = reference.simulate(made, counts, record_potential=names(made))
    assert_active(made, result)
    return made, counts, result


@pytest.mark.torch
def test_every_kind_of_layer_is_the_same_in_torch_and_brian2(every_kind):
    # Protects the exact twin of what is trained: convolution, recurrence, adaptation, resets, drawn and learned tau.
    from cortexsnn import training

    made, counts, expected = every_kind
    assert_agree(made, expected, training.simulate(made, counts))
    observed = brian.simulate(made, counts, device="numpy", record_potential=names(made), progress=False)
    assert_agree(made, expected, observed)


def test_brian2_on_numpy_is_the_reference(network, counts, expected):
    observed = brian.simulate(network, counts, device="numpy", record_potential=names(network), progress=False)
    assert_agree(network, expected, observed)
    assert observed.attrs["source"] == "brian2 numpy"


def brian2_state():
    """What a simulation must leave as it was."""
    return (
        brian2.get_device(),
        brian2.prefs.codegen.target,
        float(brian2.defaultclock.dt),
        float(brian2.defaultclock.variables["t"].get_value().item()),
        list(brian2.prefs.codegen.cpp.extra_compile_args_gcc),
    )


@pytest.fixture
def user_state():
    """Settings of a user that differ from Brian2's own and from ours."""
    before = brian2.prefs.codegen.target, brian2.defaultclock.dt
    brian2.prefs.codegen.target = "numpy"
    brian2.defaultclock.dt = 0.25 * brian2.ms
    yield brian2_state()
    brian2.prefs.codegen.target, brian2.defaultclock.dt = before


@pytest.fixture(scope="module")
def compiled(network, counts):
    """One run on C++ standalone, which compiles the program; and Brian2's state before and after."""
    before = brian2_state()
    observed = brian.simulate(network, counts, device="cpp_standalone", record_potential=names(network), progress=False)
    return observed, before, brian2_state()


def programs():
    """Compiled programs in the cache of this session, and when each was made."""
    return {path: path.stat().st_mtime_ns for path in program._cache().glob("*/main")}


def test_cpp_standalone_is_the_reference(network, expected, compiled):
    observed, before, after = compiled
    assert_agree(network, expected, observed)
    assert observed.attrs["source"] == "brian2 cpp_standalone"
    assert before == after


def run_compiled(network, counts):
    return brian.simulate(network, counts, device="cpp_standalone", record_potential=names(network), progress=False)


def test_programs_are_compiled_as_one_unit(compiled):
    # Protects the fast build from a version of Brian2 with which only its own makefile works.
    built = [json.loads(path.read_text())["built_as"] for path in program._cache().glob("*/manifest.json")]
    assert set(built) == {"one unit"}


def test_a_second_network_runs_in_the_same_program(compiled, counts, network):
    # Protects both promises of the cache: nothing is compiled again, and nothing is left of the first network.
    found = programs()
    assert found
    second = trained_like(8)
    assert second.fingerprint() != network.fingerprint()
    other = reference.simulate(second, counts, record_potential=names(second))
    assert_active(second, other)
    assert_agree(second, other, run_compiled(second, counts))
    assert programs() == found


def test_blocks_of_trials_are_one_run(compiled, network):
    # Protects long data sets: blocks of 4, 4, 4, 4 and 3 trials, of which the last is padded with silence, in several
    # processes.
    found, many = programs(), graded(3, 19)
    expected = reference.simulate(network, many, record_potential=names(network))
    observed = brian.simulate(network, many, processes=2, record_potential=names(network), progress=False)
    plan = blocks.plan_of(network, spike_inputs(network, many), {}, names(network), processes=3, compiled=True)
    assert plan.layout.trials == 4
    assert_agree(network, expected, observed)
    one = brian.simulate(network, many, processes=3, record_potential=names(network), progress=False)
    assert_agree(network, expected, one)
    assert set(found) <= set(programs())


def test_the_user_s_brian2_is_left_alone(network, counts, compiled, user_state):
    run_compiled(network, counts)
    assert brian2_state() == user_state
    brian.simulate(network, counts[:1, :5], device="numpy", progress=False)
    assert brian2_state() == user_state


@pytest.fixture(scope="module")
def small():
    """A network with everything that can leak from one trial into the next, quick to compile."""
    rng = np.random.default_rng(3)
    made = Network(
        0.004,
        (
            Population.input("input", 4),
            Population.lif("hidden1", 6, tau_s=0.1, threshold=0.8, bias=0.05, refractory_steps=3, reset="zero",
                           adaptation_strength=0.1, adaptation_tau_s=0.05),
            Population.readout("readout", 2, tau_s=0.05),
        ),
        (
            Projection("input", "hidden1", rng.uniform(0, 0.8, (2, 6, 4)), (0, 4)),
            Projection("hidden1", "hidden1", rng.normal(0, 0.4, (1, 6, 6)), (3,)),
            Projection("hidden1", "readout", rng.normal(size=(2, 6))),
        ),
        "per_step",
    )  # fmt: skip
    counts = rng.poisson(0.3, (7, 12, 4)).astype(np.uint8)
    result = reference.simulate(made, counts, record_potential=names(made))
    assert_active(made, result)
    return made, counts, result


def test_a_trial_gives_the_same_spikes_wherever_it_stands(small):
    # Protects the gap between trials in compiled programs: every order of the trials, and each trial alone.
    network, counts, expected = small
    assert_agree(network, expected, run_compiled(network, counts))
    order = [6, 2, 0, 5, 3, 1, 4]
    shuffled = run_compiled(network, counts[order])
    alone = run_compiled(network, counts[2:3])
    for name in names(network):
        spikes = recording.dense_spikes(expected, name)
        np.testing.assert_array_equal(recording.dense_spikes(shuffled, name), spikes[order])
        np.testing.assert_array_equal(recording.dense_spikes(alone, name), spikes[2:3])


def test_a_long_trial_is_cut_into_blocks(small, monkeypatch, tmp_path):
    # Protects activity of any duration: each block goes on exactly where the one before it ended, in memory, on disk,
    # and after an interruption.
    network, counts, _ = small
    counts = counts[:2]
    expected = reference.simulate(network, counts, record_potential=names(network))
    monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (4 + 6 + 2) * 5)
    options = {"record_potential": names(network), "progress": False}
    for device in ("numpy", "cpp_standalone"):
        observed = brian.simulate(network, counts, device=device, **options)
        assert_agree(network, expected, observed)
        path = tmp_path / f"{device}.nc"
        monkeypatch.setattr(collected.OnDisk, "add", interrupted_after(3, collected.OnDisk.add))
        with pytest.raises(KeyboardInterrupt):
            brian.simulate(network, counts, device=device, path=path, processes=2, **options)
        monkeypatch.undo()
        monkeypatch.setattr(blocks, "_BLOCK_BYTES", 8 * (4 + 6 + 2) * 5)
        parts = sorted((tmp_path / f"{device}.nc.parts").glob("part-*.nc"))
        assert len(parts) >= 3
        times = {part: part.stat().st_mtime_ns for part in parts[:3]}
        with pytest.raises(InputError, match=r"parts in .* is 'another network, input or setting'"):
            brian.simulate(network, counts[::-1], device=device, path=path, **options)
        assert {part: part.stat().st_mtime_ns for part in parts[:3]} == times
        streamed = brian.simulate(network, counts, device=device, path=path, **options)
        xr.testing.assert_identical(streamed, observed)
        assert [p.name for p in tmp_path.iterdir() if device in p.name] == [f"{device}.nc"]


def interrupted_after(blocks_done, add):
    """`add` of which the next call after some raises what Ctrl-C raises."""
    left = [blocks_done]

    def interrupted(collector, result):
        if left[0] == 0:
            raise KeyboardInterrupt
        left[0] -= 1
        add(collector, result)

    return interrupted


def test_two_runs_do_not_write_one_file(small, tmp_path):
    network, counts, _ = small
    with FileLock(tmp_path / ".out.nc.lock"), pytest.raises(InputError, match="expected a file that no other run"):
        brian.simulate(network, counts, device="numpy", path=tmp_path / "out.nc", progress=False)


def test_two_runs_at_once_build_one_program(small, monkeypatch, tmp_path):
    # Protects the cache from two processes that build the same program, and the disk from what they leave.
    network, counts, expected = small
    monkeypatch.setenv("CORTEXSNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with ThreadPoolExecutor(2) as pool:
        for observed in pool.map(lambda _: run_compiled(network, counts), range(2)):
            assert_agree(network, expected, observed)
    assert len(programs()) == 1
    assert not [p.name for p in program._cache().iterdir() if "building" in p.name]
    assert list((tmp_path / "temporary").iterdir()) == []


def test_a_killed_build_is_forgotten(small, monkeypatch, tmp_path):
    # Protects the next run from half a program: what a killed build left is thrown away.
    network, counts, expected = small
    monkeypatch.setenv("CORTEXSNN_CACHE", str(tmp_path))
    folder = program._cache()
    plan = blocks.plan_of(network, spike_inputs(network, counts), {}, names(network), processes=2, compiled=True)
    broken = folder / f".{program.plan_key(plan, 'float64')}.building"
    (broken / "code_objects").mkdir(parents=True)
    (broken / "code_objects" / "half.cpp").write_text("void half(")
    brian_run = brian.simulate(network, counts, processes=2, record_potential=names(network), progress=False)
    assert_agree(network, expected, brian_run)
    assert not broken.exists()
    assert len(programs()) == 1


def test_an_interrupted_run_ends_its_program(small, monkeypatch):
    # Protects the machine from programs that go on after Ctrl-C: they do not get the signal of the terminal.
    network, counts, _ = small
    run_compiled(network, counts)
    children = []

    def interrupted(process, *_):
        children.append(process)
        raise KeyboardInterrupt

    communicate = subprocess.Popen.communicate
    monkeypatch.setattr(subprocess.Popen, "communicate", interrupted)
    with pytest.raises(KeyboardInterrupt):
        brian.simulate(network, counts, processes=1, record_potential=names(network), progress=False)
    monkeypatch.setattr(subprocess.Popen, "communicate", communicate)
    assert children
    assert all(child.returncode is not None for child in children)


@pytest.mark.slow
def test_one_translation_unit_and_brian2_s_own_makefile_give_the_same_files(small, monkeypatch, tmp_path):
    # Protects the fast build: where it fails, Brian2's makefile is used, and what is computed is the same to the bit.
    network, counts, _ = small
    fast = run_compiled(network, counts)
    monkeypatch.setenv("CORTEXSNN_CACHE", str(tmp_path))
    broken = tmp_path / "bin"
    broken.mkdir()
    compiler = shutil.which("g++") or shutil.which("clang++")
    (broken / "g++").write_text(f'#!/bin/sh\ncase "$*" in *unity.cxx*) exit 1;; esac\nexec {compiler} "$@"\n')
    (broken / "g++").chmod(0o755)
    monkeypatch.setenv("PATH", f"{broken}{os.pathsep}{os.environ['PATH']}")
    program._compiler_version.cache_clear()
    stock = run_compiled(network, counts)
    (manifest,) = program._cache().glob("*/manifest.json")
    assert json.loads(manifest.read_text())["built_as"] == "makefile"
    xr.testing.assert_identical(stock, fast)


def test_programs_are_run_from_copies(small, monkeypatch):
    # Protects a run from another one that tidies the cache.
    network, counts, expected = small
    opened = standalone.StandaloneRunner.run

    def tidied(runner, *arguments):
        monkeypatch.setattr(program, "_KEPT_PROGRAMS", 0)
        program._discard_old_programs()
        return opened(runner, *arguments)

    before = programs()
    run_compiled(network, counts)
    monkeypatch.setattr(standalone.StandaloneRunner, "run", tidied)
    assert_agree(network, expected, run_compiled(network, counts))
    assert before
    assert not programs()


@pytest.mark.slow
def test_brian2_on_cython_is_the_reference(small):
    network, counts, expected = small
    assert_agree(network, expected, brian.simulate(network, counts, device="cython", record_potential=names(network)))


def test_no_compiler_no_program(network, counts, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match=r"C\+\+ tool chain is 'no g\+\+ or clang\+\+ on the PATH'.*device='numpy'"):
        run_compiled(network, counts)


def test_a_failing_compiler_is_reported(network, counts, monkeypatch, tmp_path):
    # Protects the user from an empty recording, and the next run from half a program.
    for tool in ("g++", "make"):
        (tmp_path / tool).write_text("#!/bin/sh\necho disk full >&2\nexit 1\n")
        (tmp_path / tool).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("CORTEXSNN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    with pytest.raises(RuntimeError, match=r"building the C\+\+ program failed with exit code 1(.|\n)*disk full"):
        run_compiled(network, counts)
    assert [p.name for p in (tmp_path / "cache" / "brian2_programs").iterdir() if p.suffix != ".lock"] == []
    assert list((tmp_path / "temporary").iterdir()) == []


def test_bad_requests_are_named(network, counts):
    with pytest.raises(
        InputError, match="device is 'cuda'; expected one of cpp_standalone, numpy, cython, cuda_standalone, auto"
    ):
        brian.simulate(network, counts, device="cuda")
    with pytest.raises(InputError, match="record_potential is 'hidden9'; expected one of hidden1, hidden2"):
        brian.simulate(network, counts, device="numpy", record_potential=["hidden9"])
    with pytest.raises(InputError, match="channels of spike counts for 'input' is 19; expected 20"):
        brian.simulate(network, counts[:, :, :19], device="numpy")
    with pytest.raises(InputError, match=r"shape of spike counts for 'input' is \(20,\); expected \(trial, time"):
        brian.build(network, counts[0, 0])
    with pytest.raises(InputError, match="precision is 'half'; expected one of float64, float32"):
        brian.simulate(network, counts, device="numpy", precision="half")
    with pytest.raises(InputError, match="processes is 0; expected a whole number of at least 1"):
        brian.simulate(network, counts, processes=0)
    with pytest.raises(InputError, match="population in models is 'hidden9'"):
        brian.simulate(network, counts, device="numpy", models={"hidden9": brian.neuron_model(network["hidden1"])})
    with pytest.raises(InputError, match=r"equations of population 'hidden1' is .*; expected a variable v"):
        brian.simulate(
            network, counts, device="numpy", models={"hidden1": brian.NeuronModel("u : 1", "u > 1", "u = 0")}
        )


def test_the_built_network_is_an_ordinary_one(network, counts, expected, user_state):
    # Protects the promise of `build`: parts by name, the spikes of the trial, and a network that can be run by hand.
    simulation = brian.build(network, counts[1], record_potential=["hidden2"])
    simulation.run(STEPS * 10 * brian2.ms)
    for name in names(network):
        monitor, node = simulation[f"{name}_spikes"], expected[name]
        trial = node["spike_trial"].to_numpy() == 1
        fired = sorted(
            zip(np.rint(monitor.t / (10 * brian2.ms)).astype(int).tolist(), monitor.i[:].tolist(), strict=True)
        )
        assert fired == list(
            zip(
                node["spike_step"].to_numpy()[trial].tolist(),
                node["spike_neuron"].to_numpy()[trial].tolist(),
                strict=True,
            )
        )
    for name in ("hidden2", "readout"):
        potential = expected[name]["potential"].to_numpy()[1]
        np.testing.assert_allclose(simulation[f"{name}_potential"].v.T, potential, rtol=1e-9, atol=1e-12)
    assert simulation["input_to_hidden1"].w[:].shape[0] >= CHANNELS * 24
    assert brian2_state()[2:4] == user_state[2:4]


def test_agreement_reports_what_was_compared(small):
    network, counts, expected = small
    table = brian.agreement(network, counts, device="numpy", progress=False)
    assert int(table["differing"].sum()) == 0
    assert int(table["spikes"].sel(population="hidden1")) == expected["hidden1"].sizes["spike"] > 0
    assert (table.attrs["trials"], table.attrs["classes"], table.attrs["classes_differing"]) == (7, 84, 0)


@pytest.mark.parametrize("field", ["tau_s", "adaptation_tau_s"])
def test_neurons_without_memory_are_refused(field):
    # Protects from an overflow: with dt / tau = 1000, alpha is 0 in float64, and theta / alpha infinite.
    slow = {"tau_s": 0.1, "adaptation_strength": 0.1, "adaptation_tau_s": 0.1}
    made = Network(0.01, (Population.input("input", 1), Population.lif("hidden1", 1, **(slow | {field: 1e-5}))), ())
    reference.simulate(made, np.ones((1, 3, 1)))
    with pytest.raises(InputError, match=f"^{field} of population 'hidden1' is 1e-05; expected at least"):
        brian.build(made, np.ones((3, 1)))
