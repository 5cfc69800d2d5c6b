"""What all tests share: repeatable property tests, a throw-away cache of compiled programs, and builders."""

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import settings

from cortexsnn import recording, reference
from cortexsnn.network import Network, Population, Projection

os.environ.setdefault("MPLBACKEND", "Agg")

settings.register_profile("repeatable", derandomize=True, deadline=None)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def shared_cache(tmp_path_factory):
    """Compiled programs of this session, so that no test writes to, or profits from, the user's own cache."""
    before = os.environ.get("CORTEXSNN_CACHE")
    folder = tmp_path_factory.mktemp("cortexsnn_cache")
    os.environ["CORTEXSNN_CACHE"] = str(folder)
    yield folder
    if before is None:
        del os.environ["CORTEXSNN_CACHE"]
    else:
        os.environ["CORTEXSNN_CACHE"] = before


@pytest.fixture(scope="module")
def one_thread():
    """Sums of torch in a fixed order, whatever else runs on the machine."""
    torch = pytest.importorskip("torch")
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def speech_folder():
    """Folder of the Free Spoken Digit Dataset as spikes; the test is skipped where it is absent."""
    given = os.environ.get("CORTEXSNN_DATA")
    folder = Path(given) if given else Path(__file__).resolve().parents[2] / "shared" / "data" / "fsdd"
    if not (folder / "train.h5").is_file():
        pytest.skip(f"no spike files in {folder}; set CORTEXSNN_DATA")
    return folder


def _random_weight(rng, taps, target, source, gain):
    """Mostly exciting weights whose sum hardly depends on the number of sources."""
    return gain * rng.normal(0.5, 0.8, (taps, target, source)) / np.sqrt(taps * source)


def _random_delays(rng, taps, lowest, highest):
    candidates = np.arange(lowest, max(highest, lowest + taps - 1) + 1)
    return tuple(int(d) for d in np.sort(rng.choice(candidates, size=taps, replace=False)))


def _random_network(
    rng,
    *,
    channels=4,
    hidden=(6,),
    classes=2,
    dt_s=0.01,
    resets=("subtract",),
    taps=1,
    max_delay=0,
    bias=True,
    recurrent=False,
    topdown=False,
    skip=False,
    refractory=(0,),
    adaptation=False,
    gain=2.5,
    decoder="sum_of_softmax",
    shuffle=False,
):
    """A network with random weights, taus, thresholds and biases; what is given per layer is repeated in turn."""
    populations = [Population.input("input", channels)]
    sizes = {"input": channels}
    for layer, size in enumerate(hidden):
        name = f"hidden{layer + 1}"
        adapts = (
            {"adaptation_strength": rng.uniform(0, 0.5, size), "adaptation_tau_s": dt_s * rng.uniform(1, 30, size)}
            if adaptation and layer % 2 == 0
            else {}
        )
        populations.append(
            Population.lif(
                name,
                size,
                tau_s=dt_s * rng.uniform(0.5, 40, size),
                threshold=rng.uniform(0.5, 2, size),
                bias=rng.normal(0.02, 0.1, size) if bias else 0.0,
                reset=resets[layer % len(resets)],
                refractory_steps=int(refractory[layer % len(refractory)]),
                **adapts,
            )
        )
        sizes[name] = size
    tau_s = dt_s * rng.uniform(1, 20, classes)
    populations.append(
        Population.readout("readout", classes, tau_s=tau_s, bias=rng.normal(0, 0.1, classes) if bias else 0.0)
    )
    sizes["readout"] = classes

    def projection(source, target, lowest, strength=1.0):
        delays = _random_delays(rng, taps, lowest, max_delay)
        weight = _random_weight(rng, taps, sizes[target], sizes[source], strength * gain)
        return Projection(source, target, weight, delays)

    chain = list(sizes)
    projections = [projection(source, target, 0) for source, target in pairwise(chain)]
    spiking = chain[1:-1]
    if recurrent:
        projections += [projection(name, name, 1, 0.5) for name in spiking]
    if topdown:
        projections += [
            projection(source, target, 1, 0.5)
            for i, target in enumerate(spiking)
            for source in spiking[i + 1 :]
        ]  # fmt: skip
        # A readout that is fed late may stand before its source in the order of updates.
        populations.insert(1, Population.readout("late_readout", 2, tau_s=dt_s * 5))
        sizes["late_readout"] = 2
        projections.append(projection(spiking[-1], "late_readout", 1))
        decoder = None
    if skip:
        projections.append(projection("input", "readout", 0))
    if shuffle:
        populations = [populations[i] for i in rng.permutation(len(populations))]
    return Network(dt_s, tuple(populations), tuple(projections), decoder)


@pytest.fixture(scope="session")
def random_network():
    """Function ``random_network(rng, **structure)``."""
    return _random_network


@pytest.fixture(scope="session")
def random_counts():
    """Function ``random_counts(rng, trials, steps, channels, rate)``: Poisson counts, several in a step allowed."""

    def draw(rng, trials, steps, channels, rate=0.4):
        return rng.poisson(rate, (trials, steps, channels)).astype(np.uint8)

    return draw


LOWEST_ACTIVITY, HIGHEST_ACTIVITY = 0.01, 0.40


def _activity(network, counts, name):
    return float(recording.dense_spikes(reference.simulate(network, counts), name).mean())


def _with_gain(network, name, gain):
    """The network with all weights into one population multiplied."""
    projections = tuple(
        replace(q, weight=gain * q.weight) if q.target == name else q for q in network.projections
    )  # fmt: skip
    return replace(network, projections=projections)


def _in_lively_range(network, counts):
    """Whether every spiking population is active in 1 to 40 % of all bins, which makes a comparison tell something."""
    result = reference.simulate(network, counts)
    shares = [recording.dense_spikes(result, p.name).mean() for p in network.hidden]
    return all(LOWEST_ACTIVITY <= share <= HIGHEST_ACTIVITY for share in shares)


def _made_lively(network, counts):
    """Scale the weights into each population, from the first layer to the last, until it is active in 1 to 40 %."""
    probe = counts[:1]
    for _ in range(3):
        for population in network.hidden:
            for _ in range(12):
                share = _activity(network, probe, population.name)
                if 0.03 <= share <= 0.25:
                    break
                network = _with_gain(network, population.name, 1.6 if share < 0.03 else 0.7)
        if _in_lively_range(network, counts):
            return network
    return network


@pytest.fixture(scope="session")
def made_lively():
    """Function ``made_lively(network, counts)``: the network with gains that keep its layers active, not always."""
    return _made_lively


@pytest.fixture(scope="session")
def in_lively_range():
    """Function ``in_lively_range(network, counts)``."""
    return _in_lively_range
