"""Synthetic speech: who says what is drawn once and for all; what is said becomes a data set."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from cortexsnn.datasets import layout
from cortexsnn.datasets.sound import espeak, speech
from cortexsnn.datasets.sound.audio import read
from cortexsnn.datasets.sound.basilar_membrane import BasilarMembrane
from cortexsnn.datasets.sound.cochlea import Cochlea
from cortexsnn.errors import InputError

for package in ("numba", "soundfile", "soxr"):
    pytest.importorskip(package)

SMALL = Cochlea(membrane=BasilarMembrane(channels=12))


@pytest.fixture(scope="module")
def synthesiser():
    try:
        return espeak.find_library()
    except InputError as error:
        pytest.skip(str(error))


def test_every_speaker_says_every_digit():
    said = speech.utterances("audio", speech.voices(4, seed=3), ("en", "de"), repeats=2, seed=3)
    words = Counter((Path(one.path).name.split("_")[0], one.voice.split("+")[1]) for one in said)
    assert len(words) == 4 * 20
    assert set(words.values()) == {2}
    assert {one.voice.split("+")[0].split("-")[0] for one in said} == {"en", "de"}
    assert len({one.path for one in said}) == len(said)
    assert all(80 <= one.words_per_minute <= 450 and 0 <= one.pitch <= 99 for one in said)


def test_speech_is_drawn_from_the_seed():
    one, again, other = (speech.utterances("a", speech.voices(3, seed), ("en",), 2, seed) for seed in (1, 1, 2))
    assert one == again
    assert one != other
    # A smaller data set is a part of a larger one.
    larger = speech.utterances("a", speech.voices(5, 1), ("en", "de"), 4, 1)
    assert set(one) <= set(larger)


def test_what_cannot_be_said_is_refused(tmp_path):
    with pytest.raises(InputError, match="different throats"):
        speech.voices(14)
    with pytest.raises(InputError, match="language"):
        speech.utterances("a", speech.voices(1), ("fr",), 1)
    with pytest.raises(InputError, match="languages"):
        speech.utterances("a", speech.voices(1), (), 1)
    with pytest.raises(InputError, match="test_speakers"):
        speech.speak(tmp_path, speakers=3, test_speakers=3)


def test_a_missing_synthesiser_is_told(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    monkeypatch.setattr("ctypes.util.find_library", lambda _: None)
    with pytest.raises(InputError, match=r"cortexsnn\[speech\]"):
        espeak.find_library()


def utterance(path, **changes):
    return espeak.Utterance(**{
        "path": str(path), "text": "seven", "voice": "en+f3", "words_per_minute": 160, "pitch": 50,
        "pitch_range": 50, "seed": 1, **changes,
    })  # fmt: skip


def test_words_are_spoken(synthesiser, tmp_path):
    asked = [
        utterance(tmp_path / "a.wav"),
        utterance(tmp_path / "b.wav", words_per_minute=300),
        utterance(tmp_path / "c.wav", text="fünf", voice="de+m1"),
    ]
    assert list(espeak.speak_to_files(asked)) == [one.path for one in asked]
    normal, fast, german = (read(one.path) for one in asked)
    assert 0.2 < normal.duration_s < 1.5
    assert fast.duration_s < 0.8 * normal.duration_s
    assert normal.rate_hz == german.rate_hz == 22_050
    # Silence was cut off.
    edge = round(0.015 * normal.rate_hz)
    assert np.abs(normal.samples[:edge]).max() > 0.005 * np.abs(normal.samples).max()


def test_the_same_is_spoken_the_same(synthesiser, tmp_path):
    said = [
        [utterance(tmp_path / f"{run}_{i}.wav", text=text, seed=i) for i, text in enumerate(("six", "zero", "eight"))]
        for run in range(2)
    ]
    for some in said:
        list(espeak.speak_to_files(some))
    for one, again in zip(*said, strict=True):
        assert Path(one.path).read_bytes() == Path(again.path).read_bytes()


def test_a_voice_that_is_not_there_is_an_error(synthesiser, tmp_path):
    with pytest.raises(InputError, match="xx-nowhere"):
        list(espeak.speak_to_files([utterance(tmp_path / "a.wav", voice="xx-nowhere")]))
    assert not (tmp_path / "a.wav").exists()


def test_speech_becomes_a_data_set(synthesiser, tmp_path):
    options = {"languages": ("de",), "speakers": 2, "test_speakers": 1, "repeats": 1, "cochlea": SMALL, "processes": 1}
    reports = speech.speak(tmp_path / "speech", **options)
    assert {name: report.converted for name, report in reports.items()} == {"train": 10, "test": 10}
    files = {name: layout.read(tmp_path / "speech" / f"{name}.h5", channels=12) for name in reports}
    assert files["train"].keys == files["test"].keys == (
        "null", "eins", "zwei", "drei", "vier", "fuenf", "sechs", "sieben", "acht", "neun"
    )  # fmt: skip
    assert not set(files["train"].speaker_names) & set(files["test"].speaker_names)
    assert sorted(files["train"].labels.tolist()) == list(range(10))
    # The same call finds everything there; another is refused.
    assert [report.made for report in speech.speak(tmp_path / "speech", **options).values()] == [0, 0]
    with pytest.raises(InputError, match="not said with these"):
        speech.speak(tmp_path / "speech", **options, seed=1)
    settings = json.loads((tmp_path / "speech" / "audio" / "settings.json").read_text(encoding="utf-8"))
    assert settings["languages"] == ["de"]


def test_interrupted_speech_goes_on(synthesiser, tmp_path):
    # A word that is missing is said again, like the first time.
    options = {"languages": ("en",), "speakers": 2, "test_speakers": 1, "repeats": 1, "audio_only": True}
    assert speech.speak(tmp_path, **options) == {}
    some = sorted((tmp_path / "audio" / "train").iterdir())[3]
    before = some.read_bytes()
    some.unlink()
    speech.speak(tmp_path, **options)
    assert some.read_bytes() == before
