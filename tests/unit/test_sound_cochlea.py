"""Each stage from sound to spikes obeys its equations, and the chain is repeatable."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cortexsnn.datasets.sound import cochlea as cochlea_module
from cortexsnn.datasets.sound.audio import Sound, windowed
from cortexsnn.datasets.sound.basilar_membrane import BasilarMembrane, MembraneFilter
from cortexsnn.datasets.sound.bushy_cell import BushyCell
from cortexsnn.datasets.sound.cochlea import Cochlea
from cortexsnn.datasets.sound.fibres import Fibres
from cortexsnn.datasets.sound.hair_cell import HairCell
from cortexsnn.errors import InputError

for package in ("numba", "soundfile", "soxr"):
    pytest.importorskip(package)

RATE_HZ = 24_000


@pytest.fixture(scope="module")
def small():
    return Cochlea(membrane=BasilarMembrane(channels=20))


def tone(frequency_hz, duration_s=0.3, rate_hz=48_000):
    return Sound(np.sin(2 * np.pi * frequency_hz * np.arange(round(duration_s * rate_hz)) / rate_hz), rate_hz)


# --- Loudness and window ----------------------------------------------------------------------------------------------


@given(st.integers(2, 200), st.floats(1e-3, 1e3))
def test_loudness_does_not_depend_on_the_recording(size, gain):
    samples = np.random.default_rng(size).normal(size=size)
    np.testing.assert_allclose(windowed(gain * samples, 0.3), windowed(samples, 0.3), rtol=1e-9)


def test_window_spans_the_utterance():
    # A square wave of +-1 shows the window itself; for an odd number the middle sample is untouched.
    for size in (100, 101):
        shape = np.abs(windowed(np.resize([1.0, -1.0], size), 1.0))
        half = size // 2
        expected = np.sin(np.pi * np.arange(half) / (2 * half - 1)) ** 2
        np.testing.assert_allclose(shape[:half], expected, atol=1e-12)
        np.testing.assert_allclose(shape, shape[::-1], atol=1e-12)
    assert shape[50] == 1.0


# --- Basilar membrane -------------------------------------------------------------------------------------------------


def test_phase_is_the_integral_of_the_wave_number():
    # Protects the closed form: its slope along the membrane is the wave number, at any place and frequency.
    membrane, step_cm = BasilarMembrane(), 1e-5
    frequency_hz = np.geomspace(50.0, 23_000.0, 40)[:, np.newaxis]
    place_cm = np.linspace(0.01, 3.4, 30)
    omega = 2 * np.pi * frequency_hz * np.ones_like(place_cm)

    def phase_and_number(place_cm):
        u = np.exp(-membrane.alpha_per_cm * place_cm / 2) * np.ones_like(omega)
        return membrane._phase(omega, u)[:2]

    ahead, behind = phase_and_number(place_cm + step_cm)[0], phase_and_number(place_cm - step_cm)[0]
    np.testing.assert_allclose((ahead - behind) / (2 * step_cm), phase_and_number(place_cm)[1], rtol=1e-4)


def test_a_tone_moves_its_place_most():
    membrane = BasilarMembrane(channels=701)
    for channel in (100, 300, 500):
        response = np.abs(membrane.response(membrane.resonance_hz[channel], membrane.places_cm))
        assert abs(int(np.argmax(response)) - channel) < 25
        # The wave dies beyond its place.
        assert response[channel + 150] < 1e-2 * response.max()


def test_table_is_right_to_a_millionth():
    membrane = BasilarMembrane(channels=9)
    size = 4800
    frequency_hz = np.linspace(1.0, RATE_HZ, size // 2 + 1)
    impulse = np.zeros(size)
    impulse[0] = 1.0
    found = MembraneFilter(membrane, 48_000).velocity(
        np.asarray(np.fft.rfft(impulse) * membrane._of_sound(frequency_hz))
    )
    exact = np.fft.ifft(membrane.response(frequency_hz, membrane.places_cm[:, np.newaxis])).real
    worst = np.abs(found - exact).max(axis=1) / np.abs(exact).max(axis=1)
    assert worst.max() < 1e-5


def test_steady_tone_has_the_amplitude_of_the_response():
    membrane = BasilarMembrane(channels=8)
    responses = MembraneFilter(membrane, 48_000)
    # Periods that divide the length; the response is that of a frequency shifted by at most 1 Hz.
    samples = np.sin(2 * np.pi * 600 * np.arange(9600) / 48_000)
    velocity = responses.velocity(responses.spectrum(samples))
    expected = np.abs(membrane.response(1 + 600 * (1 - 1 / 24_000), membrane.places_cm))
    strong = expected > 1e-2 * expected.max()
    found = np.sqrt(2 * np.mean(velocity**2, axis=1))
    assert strong.sum() >= 3
    np.testing.assert_allclose(found[strong], expected[strong], rtol=1e-3)


def test_membrane_that_cannot_be_is_refused():
    with pytest.raises(InputError, match="softness"):
        BasilarMembrane(softness=1e5)
    with pytest.raises(InputError, match="damping"):
        BasilarMembrane(damping=0.0)


# --- Hair cell --------------------------------------------------------------------------------------------------------


def test_hair_cell_rests_without_sound():
    cell = HairCell()
    probability = cell.firing_probability(np.zeros((1, 2000)), RATE_HZ)
    np.testing.assert_allclose(probability, cell.fire_hz / RATE_HZ * cell.at_rest()[1], rtol=1e-9)


def test_hair_cell_follows_the_differential_equations():
    # The equations of Meddis, integrated by SciPy, with a step that is far smaller than any time constant.
    from scipy.integrate import solve_ivp

    cell, rate_hz = HairCell(), 2_400_000
    time_s = np.arange(24_000) / rate_hz
    velocity = 200 * np.sin(2 * np.pi * 500 * time_s) * (time_s > 0.002)

    def slope(at_s, state):
        free, cleft, processed = state
        drive = 200 * np.sin(2 * np.pi * 500 * at_s) * (at_s > 0.002) + cell.offset
        permeability = cell.release_hz * drive / (drive + cell.half) if drive > 0 else 0.0
        return [
            cell.refill_hz * (cell.pool - free) + cell.reprocess_hz * processed - permeability * free,
            permeability * free - (cell.loss_hz + cell.reuptake_hz) * cleft,
            cell.reuptake_hz * cleft - cell.reprocess_hz * processed,
        ]

    solved = solve_ivp(slope, (0, time_s[-1]), cell.at_rest(), t_eval=time_s, rtol=1e-8, atol=1e-10, max_step=1e-5)
    expected = cell.fire_hz / rate_hz * solved.y[1]
    found = cell.firing_probability(velocity[np.newaxis], rate_hz)[0]
    np.testing.assert_allclose(found, expected, atol=2e-3 * expected.max())


def test_hair_cell_refuses_a_rate_at_which_it_would_explode():
    with pytest.raises(InputError, match="rate of the velocity"):
        HairCell().firing_probability(np.zeros((1, 10)), 4000)


# --- Fibres -----------------------------------------------------------------------------------------------------------


def bernoulli_fibres(probability, repeats, fibres, refractory_steps, rng):
    """Every fibre by itself: the definition."""
    last = np.full((repeats, fibres), -refractory_steps)
    fired = np.zeros((repeats, probability.size), dtype=int)
    for step, chance in enumerate(probability):
        now = (rng.random(last.shape) < chance) & (step - last >= refractory_steps)
        last[now] = step
        fired[:, step] = now.sum(axis=1)
    return fired


def test_fibres_are_those_of_the_definition():
    # Mean and variance of the number in each step, and over stretches, where refractoriness makes it less variable.
    rng = np.random.default_rng(0)
    probability = np.clip(0.3 * np.sin(np.arange(72) / 5) ** 2 + 0.002, 0, 1)
    probability[40:44] = 0.9
    repeats = 20_000
    expected = bernoulli_fibres(probability, repeats, 12, 24, rng)
    found = Fibres(number=12).fired(np.tile(probability, (repeats, 1)), RATE_HZ, rng).astype(int)
    for steps in (1, 6, 24):
        one, other = (fired.reshape(repeats, -1, steps).sum(axis=2) for fired in (found, expected))
        error = np.sqrt((one.var(axis=0) + other.var(axis=0)) / repeats)
        assert np.all(np.abs(one.mean(axis=0) - other.mean(axis=0)) <= 4.5 * error)
        assert np.all(np.abs(one.var(axis=0) - other.var(axis=0)) < 0.1 * np.maximum(other.var(axis=0), 0.2))


@given(st.integers(1, 255), st.floats(0, 1.5), st.integers(0, 2**31))
def test_no_fibre_fires_twice_within_a_millisecond(number, chance, seed):
    fired = Fibres(number=number).fired(np.full((2, 100), chance), RATE_HZ, np.random.default_rng(seed)).astype(int)
    within = np.array([fired[:, first : first + 24].sum(axis=1) for first in range(77)])
    assert within.max() <= number
    if chance >= 1:
        assert np.array_equal(np.flatnonzero(fired[0]), [0, 24, 48, 72, 96])


def test_fibres_repeat_with_the_generator_only():
    fibres, probability = Fibres(), np.full((3, 50), 0.1)
    one, two, other = (fibres.fired(probability, RATE_HZ, np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(one, two)
    assert not np.array_equal(one, other)
    with pytest.raises(InputError, match="rng"):
        fibres.fired(probability, RATE_HZ, 1)
    with pytest.raises(InputError, match="fibres"):
        Fibres(number=256)


# --- Bushy cell -------------------------------------------------------------------------------------------------------


def test_bushy_cell_charges_as_two_exponentials_say():
    # One volley: the potential k steps later is a sum of products of the decays; a spike where it first reaches 1.
    cell, steps = BushyCell(), np.arange(40)
    keep_current, keep_potential = np.exp(-1 / (RATE_HZ * 0.0005)), np.exp(-1 / (RATE_HZ * 0.001))
    gain = cell.weight_hz / 40 / RATE_HZ
    for volley in (5, 7, 12, 30):
        potential = gain * volley * np.array(
            [sum(keep_current**j * keep_potential ** (k - j) for j in range(k + 1)) for k in steps]
        )  # fmt: skip
        fired = np.zeros((1, 40), dtype=np.uint8)
        fired[0, 0] = volley
        found = cell.spikes(fired, 40, RATE_HZ)[1]
        assert found[:1].tolist() == np.flatnonzero(potential >= 1)[:1].tolist()


def test_bushy_cell_is_silent_for_a_millisecond():
    fired = np.full((2, 2400), 40, dtype=np.uint8)
    units, steps = BushyCell().spikes(fired, 40, RATE_HZ)
    assert np.bincount(units).tolist() == [96, 96]
    assert np.diff(steps[units == 0]).tolist() == [25] * 95
    assert BushyCell().spikes(np.zeros((3, 100), dtype=np.uint8), 40, RATE_HZ)[0].size == 0


# --- The chain --------------------------------------------------------------------------------------------------------


def test_high_tones_excite_low_channels(small):
    busiest = [
        np.bincount(small.spikes(tone(frequency_hz), np.random.default_rng(0))[1], minlength=20).argmax()
        for frequency_hz in (8000, 2000, 500)
    ]
    places_cm = small.membrane.places_cm
    expected = [np.abs(small.membrane.response(frequency_hz, places_cm)).argmax() for frequency_hz in (8000, 2000, 500)]
    assert busiest == sorted(busiest)
    assert np.abs(np.subtract(busiest, expected)).max() <= 1


def test_spikes_are_those_of_the_generator(small, monkeypatch):
    # Protects repeatability: neither how many channels are worked on at once nor the length of silence matters.
    sound = tone(700)
    times_s, units = small.spikes(sound, np.random.default_rng(5))
    monkeypatch.setattr(cochlea_module, "_VALUES_AT_ONCE", 20_000)
    again = small.spikes(sound, np.random.default_rng(5))
    assert np.array_equal(times_s, again[0])
    assert np.array_equal(units, again[1])
    assert not np.array_equal(times_s, small.spikes(sound, np.random.default_rng(6))[0])
    assert times_s.dtype == np.float64
    assert units.dtype == np.uint16
    assert np.all(np.diff(times_s) >= 0)
    assert 0 <= times_s.min() <= times_s.max() < sound.duration_s


def test_the_rate_of_the_file_hardly_matters(small):
    counts = [
        np.bincount(small.spikes(tone(700, rate_hz=rate_hz), np.random.default_rng(5))[1], minlength=20)
        for rate_hz in (8000, 22_050, 44_100, 48_000)
    ]
    for count in counts:
        assert abs(count.sum() / counts[-1].sum() - 1) < 0.05
        assert np.corrcoef(count, counts[-1])[0, 1] > 0.99


def test_description_is_complete():
    one, other = Cochlea(), Cochlea(hair_cell=HairCell(offset=6.0))
    assert one.describe() != other.describe()
    assert one.describe()["membrane"]["channels"] == 700
