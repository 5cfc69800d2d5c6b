"""The cochlea beside lauscher, the implementation of the authors of the Spiking Heidelberg Digits.

lauscher (LGPL-2.1) has an environment of its own, `make test-lauscher`; it is slow, so there are few channels. What it
computes on given inputs is compared stage by stage, then the spikes of the whole chain over repeats.
"""

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from cortexsnn.datasets.sound.audio import Sound
from cortexsnn.datasets.sound.basilar_membrane import BasilarMembrane, MembraneFilter
from cortexsnn.datasets.sound.bushy_cell import BushyCell
from cortexsnn.datasets.sound.cochlea import Cochlea
from cortexsnn.datasets.sound.fibres import Fibres
from cortexsnn.datasets.sound.hair_cell import HairCell

pytest.importorskip("numba")
pytestmark = pytest.mark.slow

ROOT = Path(__file__).parents[2]
LAUSCHER = Path(os.environ.get("CORTEXSNN_LAUSCHER", ROOT / ".venv-lauscher" / "bin" / "python"))
CHANNELS, LIVELY, RATE_HZ = 350, 24, 48_000
CHAIN_REPEATS, STRONG_REPEATS = 6, 64

# Runs in the other environment; reads what it is given, writes what lauscher makes of it.
ORACLE = """
import sys
import numpy as np
from lauscher.audiowaves import MonoAudioWave
from lauscher.firing_probability import FiringProbability
from lauscher.membranevelocity import MembraneVelocity
from lauscher.transformations import BasilarMembrane, BushyCell, HairCell, HanningWindow, RmsNormalizer

given = np.load(sys.argv[1])
channels, rate = int(given["channels"]), int(given["rate"])
found = {}
wave = MonoAudioWave(given["sound"].copy(), rate)
heard = wave.transform(RmsNormalizer(0.3)).transform(HanningWindow())
found["heard"] = np.array(heard.samples)
moved = BasilarMembrane(channels=channels)(MonoAudioWave(given["heard"].copy(), rate))
found["velocity"] = np.array(moved.channels)
found["velocity_rate"] = moved.sample_rate
cells = HairCell()(MembraneVelocity(given["velocity"], rate // 2))
found["probability"] = np.array(cells.channels)
strong = FiringProbability(given["strong"], rate // 2)
lively = HairCell()(MembraneVelocity(moved.channels[given["lively"]], rate // 2))
bushy = BushyCell()
found["bushy"] = np.array([bushy._lif(fibres, rate // 2) for fibres in given["fibres"]])
np.random.seed(1)
for name, chances, repeats in (("chain", lively, given["chain_repeats"]), ("strong", strong, given["strong_repeats"])):
    for repeat in range(int(repeats)):
        spikes = bushy(chances)
        found[f"{name}{repeat}"] = np.array([spikes.spike_times, spikes.spike_labels])
np.savez(sys.argv[2], **found)
"""


@pytest.fixture(scope="module")
def word():
    """A third of a second: three gliding formants and some noise."""
    time_s = np.arange(16_000) / RATE_HZ
    formants = ((1.0, 400, 1.5), (0.7, 1300, -1.0), (0.4, 2600, 0.5))
    tones = [
        height * np.sin(2 * np.pi * np.cumsum(hz * (1 + glide * time_s)) / RATE_HZ) for height, hz, glide in formants
    ]
    return Sound(sum(tones) + 0.02 * np.random.default_rng(3).normal(size=time_s.size), RATE_HZ)


@pytest.fixture(scope="module")
def cochlea():
    return Cochlea(membrane=BasilarMembrane(channels=CHANNELS))


@pytest.fixture(scope="module")
def both(word, cochlea, tmp_path_factory):
    """Inputs of the stages, and what lauscher makes of them."""
    if not LAUSCHER.is_file():
        pytest.skip(f"no lauscher in {LAUSCHER}; set CORTEXSNN_LAUSCHER to the Python of an environment that has it")
    folder = tmp_path_factory.mktemp("lauscher")
    rng = np.random.default_rng(4)
    velocity = rng.normal(scale=np.geomspace(1, 1000, 12)[:, np.newaxis], size=(12, 600))
    fibres = rng.random((30, 500, 40)) < rng.uniform(0, 0.02, (30, 1, 1))
    heard = cochlea.heard(word)
    responses = cochlea.membrane_filter
    probability = HairCell().firing_probability(responses.velocity(responses.spectrum(heard)), RATE_HZ // 2)
    time_s = np.arange(2400) / (RATE_HZ // 2)
    tones = np.geomspace(200, 1000, 12)[:, np.newaxis] * np.sin(
        2 * np.pi * np.geomspace(150, 2500, 12)[:, np.newaxis] * time_s
    )
    given = {
        "strong": HairCell().firing_probability(tones, RATE_HZ // 2),
        "lively": np.sort(np.argsort(probability.mean(axis=1))[-LIVELY:]),
        "sound": word.samples,
        "heard": heard,
        "velocity": velocity,
        "fibres": fibres,
        "channels": CHANNELS,
        "rate": RATE_HZ,
        "chain_repeats": CHAIN_REPEATS,
        "strong_repeats": STRONG_REPEATS,
    }
    np.savez(folder / "given.npz", **given)
    subprocess.run([LAUSCHER, "-c", ORACLE, folder / "given.npz", folder / "found.npz"], check=True)
    with np.load(folder / "found.npz") as file:
        return given, dict(file)


def test_loudness_and_window(both, word):
    given, found = both
    size = word.samples.size
    np.testing.assert_allclose(given["heard"][:size], found["heard"], rtol=1e-12, atol=1e-15)
    assert not given["heard"][size:].any()


def test_basilar_membrane(both, cochlea):
    # 1e-3 of the channel's own largest velocity, at every sample; measured 2e-5.
    given, found = both
    responses = MembraneFilter(cochlea.membrane, RATE_HZ)
    velocity = responses.velocity(responses.spectrum(given["heard"]))
    assert found["velocity_rate"] == responses.velocity_rate_hz
    assert velocity.shape == found["velocity"].shape
    worst = np.abs(velocity - found["velocity"]).max(axis=1) / np.abs(found["velocity"]).max(axis=1)
    print(f"largest difference of velocities {worst.max():.1e}")
    assert worst.max() < 1e-4


def test_hair_cell(both):
    given, found = both
    probability = HairCell().firing_probability(given["velocity"], RATE_HZ // 2)
    np.testing.assert_allclose(probability, found["probability"], rtol=1e-10, atol=0)


def test_bushy_cell(both):
    given, found = both
    fired = given["fibres"].sum(axis=2).astype(np.uint8)
    units, steps = BushyCell().spikes(fired, 40, RATE_HZ // 2)
    expected = np.argwhere(found["bushy"])
    assert len(expected) > 100
    # lauscher notices a spike one step late, so none of the last step.
    assert np.array_equal(np.stack([units, steps], axis=1)[steps < fired.shape[1] - 1], expected)


def repeats_of(found, name, number):
    return [found[f"{name}{i}"] for i in range(number)]


def compared(theirs, ours, channels, duration_s):
    """Spikes a repeat, with the standard error of their difference, and correlations of counts in bins of 10 ms."""

    def binned(times_s, units):
        return np.histogram2d(times_s, units, [np.arange(0, duration_s + 0.01, 0.01), np.arange(channels + 1)])[0]

    counts = np.array([[binned(*spikes) for spikes in side] for side in (theirs, ours)])
    repeats = len(theirs)
    numbers = counts.sum(axis=(2, 3))
    error = np.sqrt(numbers.var(axis=1, ddof=1).sum() / repeats)
    alike = np.corrcoef(counts.reshape(2 * repeats, -1))
    among = alike[:repeats, :repeats][np.triu_indices(repeats, 1)].mean()
    between = alike[:repeats, repeats:].mean()
    print(
        f"spikes: lauscher {numbers[0].mean():.1f}, here {numbers[1].mean():.1f}, standard error {error:.1f}; ", end=""
    )
    print(f"correlation: among lauscher's {among:.4f}, with those here {between:.4f}")
    return *numbers.mean(axis=1), error, among, between


def test_fibres_and_bushy_cells_over_repeats(both):
    # Equal firing probabilities, of cells that fire often. Over 300 repeats, numbers differ by 0.1 +- 0.3 %.
    given, found = both
    ours = []
    for seed in range(STRONG_REPEATS):
        fired = Fibres().fired(given["strong"], RATE_HZ // 2, np.random.default_rng(seed))
        units, steps = BushyCell().spikes(fired, 40, RATE_HZ // 2)
        ours.append((steps / (RATE_HZ // 2), units))
    theirs, here, error, among, between = compared(
        repeats_of(found, "strong", STRONG_REPEATS), ours, len(given["strong"]), 0.1
    )
    assert error < 0.01 * theirs
    assert abs(here - theirs) < max(0.01 * theirs, 3 * error)
    assert between > among - 0.02


def test_spikes_of_the_chain_over_repeats(both, cochlea, word):
    # From the sound to the spikes of the channels that fire most. So few spikes can only agree within their spread.
    given, found = both
    ours = []
    for seed in range(CHAIN_REPEATS):
        times_s, units = cochlea.spikes(word, np.random.default_rng(seed))
        inside = np.isin(units, given["lively"])
        ours.append((times_s[inside], np.searchsorted(given["lively"], units[inside])))
    theirs, here, error, among, between = compared(
        repeats_of(found, "chain", CHAIN_REPEATS), ours, LIVELY, word.duration_s
    )
    assert theirs > 200
    assert abs(here - theirs) < max(0.01 * theirs, 3 * error)
    assert between > among - 0.03
