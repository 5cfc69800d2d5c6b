"""The choice of a device: small runs must not wait for a compiler, large ones must, and the user must learn why."""

import logging
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from cortexsnn.brian import DEVICES, simulate
from cortexsnn.brian.choice import Choice, Estimate, choose_device
from cortexsnn.brian.costs import Costs, _line, _thinned, measure_costs, synapses_of
from cortexsnn.brian.cuda import gpu as cuda_gpu
from cortexsnn.brian.cuda.device import CUDA
from cortexsnn.errors import InputError
from cortexsnn.network import Network, Population, spike_inputs

# What an ordinary laptop needs; the tests do not depend on how busy this machine is.
LAPTOP = Costs(
    events_per_step=10_000,
    spikes_per_step=40,
    numpy_start_s=0.5,
    numpy_step_s=5e-4,
    numpy_event_s=4e-8,
    gather_add_s=3e-9,
    exp_s=2e-9,
    compile_s=0.6,
)


@pytest.fixture(scope="module")
def speech_sized():
    """The architecture of the speech experiments, 700-256-256-20; its weights do not matter here."""
    sizes = (700, 256, 256, 20)
    weights = [np.zeros((after, before)) for before, after in pairwise(sizes)]
    return Network.from_arrays(weights, tau_s=0.02, readout_tau_s=0.1, dt_s=0.004)


@pytest.fixture
def tiny(random_network):
    return random_network(np.random.default_rng(0))


@pytest.fixture
def no_compiler(monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))


def estimate(choice, device):
    return next(one for one in choice.estimates if one.device == device)


def choose(network, counts, **options):
    return choose_device(network, counts, **{"costs": LAPTOP, "progress": False, **options})


def test_a_tiny_run_does_not_wait_for_a_compiler(tiny):
    costs = replace(LAPTOP, events_per_step=20, spikes_per_step=2)
    assert choose(tiny, np.zeros((1, 20, 4)), costs=costs).device == "numpy"


def test_hundreds_of_trials_are_worth_compiling_for(speech_sized):
    choice = choose(speech_sized, np.zeros((300, 250, 700), dtype=np.uint8))
    assert choice.device == "cpp_standalone"
    assert estimate(choice, "numpy").run_s > 10 * estimate(choice, "cpp_standalone").run_s


def test_without_a_compiler_only_numpy_is_left_and_the_reason_is_told(speech_sized, no_compiler):
    choice = choose(speech_sized, np.zeros((300, 250, 700), dtype=np.uint8))
    assert choice.device == "numpy"
    for device in ("cpp_standalone", "cython"):
        assert not estimate(choice, device).available
        assert "no g++ or clang++ on the PATH" in estimate(choice, device).reason
    assert "numpy is the only device here" in str(choice)


def test_the_table_names_every_device_with_a_reason(tiny):
    choice = choose(tiny, np.zeros((2, 20, 4)))
    table = str(choice)
    assert {one.device for one in choice.estimates} == set(DEVICES)
    for one in choice.estimates:
        assert one.reason
        assert f"{one.device}" in table
        assert one.reason in table
    assert table.splitlines()[-1] == choice.reason


def test_why_there_is_no_gpu_is_told(tiny, monkeypatch):
    monkeypatch.setattr(cuda_gpu, "_LIBRARY", "libnothing.so.1")
    gpu = estimate(choose(tiny, np.zeros((1, 20, 4))), "cuda_standalone")
    assert not gpu.available
    assert gpu.reason == "no GPU here: no NVIDIA driver"


@pytest.fixture
def gpu(monkeypatch):
    """A machine on which everything is there; no program is in its cache."""
    h100 = cuda_gpu.Driver("", (13, 0), (cuda_gpu.Gpu("NVIDIA H100", (9, 0), 80e9, 132, 3.35e12),))
    ready = replace(CUDA, compiler=lambda: "nvcc", flags=list, libraries=list, ready=lambda plan, precision: None)
    monkeypatch.setattr("cortexsnn.brian.choice.CUDA", ready)
    monkeypatch.setattr("cortexsnn.brian.choice.driver_here", lambda: h100)
    monkeypatch.setattr("cortexsnn.brian.program._compiler_version", lambda compiler: compiler)


@pytest.mark.usefixtures("gpu")
def test_a_small_network_is_not_sent_to_the_gpu_and_the_table_says_why(speech_sized):
    # Protects from waiting for a compiler and for the starts of kernels, and from an estimate that sounds measured.
    choice = choose(speech_sized, np.zeros((300, 250, 700), dtype=np.uint8), costs=replace(LAPTOP, events_per_step=500))
    assert choice.device == "cpp_standalone"
    reason = estimate(choice, "cuda_standalone").reason
    assert "not yet measured on a GPU" in reason
    assert reason.endswith("a network this small is slower on the GPU")


@pytest.mark.usefixtures("gpu")
def test_a_run_that_the_gpu_does_faster_but_not_soon_enough_says_so(speech_sized):
    busy = replace(LAPTOP, events_per_step=1e7)
    choice = choose(speech_sized, np.zeros((1, 250, 700), dtype=np.uint8), costs=busy)
    gpu, cpu = (estimate(choice, name) for name in ("cuda_standalone", "cpp_standalone"))
    assert gpu.run_s < cpu.run_s
    assert choice.device != "cuda_standalone"
    assert gpu.reason.endswith("too short a run to compile for the GPU")


@pytest.mark.usefixtures("gpu")
def test_a_large_network_is_sent_to_the_gpu(speech_sized):
    busy = replace(LAPTOP, events_per_step=1e8)
    choice = choose(speech_sized, np.zeros((300, 250, 700), dtype=np.uint8), costs=busy)
    assert choice.device == "cuda_standalone"
    assert "slower" not in estimate(choice, "cuda_standalone").reason


def test_the_chosen_device_is_the_first_of_the_table():
    fast = Estimate("fast", True, 1.0, 1.0, 1e8, "nothing to do")
    slow = Estimate("slow", True, 1.0, 200.0, 1e8, "much to do")
    reason = Choice("fast", (fast, slow)).reason
    assert reason == "fast should be done after 2.0 s, slow after 3 min."


@pytest.mark.slow
def test_a_program_in_the_cache_starts_at_once(tiny):
    counts = np.zeros((2, 20, 4))
    before = choose(tiny, counts)
    simulate(tiny, counts, progress=False)
    after = choose(tiny, counts)
    assert estimate(before, "cpp_standalone").startup_s > 1
    assert estimate(after, "cpp_standalone").startup_s == 0
    assert "cache" in estimate(after, "cpp_standalone").reason


def test_more_programs_at_once_need_less_time_and_more_memory(speech_sized):
    counts = np.zeros((300, 250, 700), dtype=np.uint8)
    one, two = (estimate(choose(speech_sized, counts, processes=n), "cpp_standalone") for n in (1, 2))
    assert two.run_s < 0.7 * one.run_s
    assert two.memory_bytes > one.memory_bytes


def test_a_device_whose_memory_is_not_there_is_not_chosen(speech_sized, monkeypatch):
    counts = np.zeros((300, 250, 700), dtype=np.uint8)
    monkeypatch.setattr("cortexsnn.brian.choice._memory_here", lambda: 1e3)
    with pytest.raises(InputError, match="GB of memory"):
        choose(speech_sized, counts)


def test_the_choice_is_logged_and_printed_only_when_progress_is_shown(tiny, caplog, capsys):
    with caplog.at_level(logging.INFO, logger="cortexsnn"):
        choice = choose(tiny, np.zeros((1, 20, 4)))
    assert str(choice) in caplog.text
    assert capsys.readouterr().err == ""
    choose(tiny, np.zeros((1, 20, 4)), progress=True)
    assert str(choice) in capsys.readouterr().err


def test_a_device_that_cannot_be_estimated_is_listed_and_not_chosen(tiny, monkeypatch):
    monkeypatch.setitem(DEVICES, "another", DEVICES["numpy"])
    other = estimate(choose(tiny, np.zeros((1, 20, 4))), "another")
    assert not other.available
    assert "name it" in other.reason


def test_auto_runs_what_was_chosen(tiny, random_counts, monkeypatch, tmp_path):
    monkeypatch.setenv("CORTEXSNN_CACHE", str(tmp_path))  # no other test has compiled anything
    recording = simulate(tiny, random_counts(np.random.default_rng(0), 1, 20, 4), device="auto", progress=False)
    assert recording.attrs["source"] == "brian2 numpy"


def test_measured_events_are_those_of_the_spikes(random_network, random_counts):
    rng = np.random.default_rng(0)
    network = random_network(rng, hidden=(6, 5), taps=2, max_delay=3)
    counts = random_counts(rng, 4, 100, 4)
    recording = simulate(network, counts, device="numpy", progress=False)
    # Every spike reaches each neuron of the next population twice; several spikes of a channel in a step are one event.
    spikes = {name: recording[name].sizes["spike"] for name in ("hidden1", "hidden2")}
    expected = 2 * (6 * np.count_nonzero(counts) + 5 * spikes["hidden1"] + 2 * spikes["hidden2"]) / 400
    costs = measure_costs(network, spike_inputs(network, counts))
    assert costs.events_per_step == pytest.approx(expected, rel=0.2)
    assert costs.spikes_per_step == pytest.approx(sum(spikes.values()) / 400, rel=0.2)
    assert costs.numpy_step_s > 0
    assert costs.numpy_event_s >= costs.gather_add_s > 0


def test_a_thinned_network_keeps_its_structure_and_its_input(random_network):
    network = random_network(np.random.default_rng(0), hidden=(60, 40), recurrent=True, adaptation=True)
    small = _thinned(network, synapses_of(network) // 4)
    assert synapses_of(small) < 0.4 * synapses_of(network)
    assert [p.name for p in small.order] == [p.name for p in network.order]
    assert small["readout"].size == network["readout"].size
    assert _thinned(network, synapses_of(network)) is network


def test_the_mean_input_of_a_thinned_network_stays():
    weight = np.ones((100, 100))
    network = Network(
        0.01,
        (Population.input("input", 10), Population.lif("hidden1", 100, tau_s=0.02)),
        Network.from_arrays([np.ones((100, 10))], tau_s=0.02, dt_s=0.01, recurrent=[weight]).projections,
    )
    small = _thinned(network, 3000)
    recurrent = next(p for p in small.projections if p.source == p.target)
    np.testing.assert_allclose(recurrent.weight.sum(axis=2), 100.0)


def test_a_line_through_steps_is_not_bent_by_one_that_was_interrupted():
    events = np.arange(50.0)
    seconds = 1e-3 + 1e-5 * events
    seconds[7] = 1.0
    assert _line(events, seconds) == pytest.approx((1e-3, 1e-5))


def test_steps_without_differences_in_events_have_one_cost():
    assert _line(np.full(5, 3.0), np.full(5, 2e-3)) == pytest.approx((2e-3, 0.0))
