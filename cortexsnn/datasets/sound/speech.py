"""Spoken digits in English and German, said by eSpeak NG with many voices, some of them for the test only.

The same words as in the Spiking Heidelberg Digits (https://doi.org/10.1109/TNNLS.2020.3044364), in classes with the
same numbers: 0 to 9 English, 10 to 19 German. Synthetic speech is far more regular than that of people: accuracies on
the two say nothing about each other.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from cortexsnn.checks import choice, whole
from cortexsnn.datasets.sound.cochlea import Cochlea
from cortexsnn.datasets.sound.conversion import Report, convert_folder
from cortexsnn.datasets.sound.espeak import Utterance, speak_to_files
from cortexsnn.errors import InputError
from cortexsnn.files import write_text

__all__ = ["DIGITS", "Voice", "speak", "utterances", "voices"]

DIGITS = {
    "en": ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"),
    "de": ("null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"),
}
# Variants that eSpeak NG has had since its first release: throats of men and women.
_VARIANTS = ("f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8")
# British (which it calls en), American, Scottish, received pronunciation, Caribbean.
_ACCENTS = {"en": ("en", "en-us", "en-gb-scotland", "en-gb-x-rp", "en-029"), "de": ("de",)}
_VOICES_STREAM, _UTTERANCES_STREAM = 0, 1


@dataclass(frozen=True)
class Voice:
    """A speaker.

    Parameters
    ----------
    name : str
        That of the variant of eSpeak NG, which says how long the throat is.
    accents : dict of str to str
        How the speaker says each language.
    words_per_minute, pitch, pitch_range : int
        On average, as in `cortexsnn.datasets.sound.espeak.Utterance`.
    """

    name: str
    accents: dict[str, str]
    words_per_minute: int
    pitch: int
    pitch_range: int


def voices(speakers: int, seed: int = 0) -> list[Voice]:
    """Draw speakers that differ in throat, accent, rate and pitch.

    Parameters
    ----------
    speakers : int
        1 to 13.
    seed : int

    Returns
    -------
    list of Voice

    Raises
    ------
    InputError
        If there are not so many throats.

    Examples
    --------
    >>> len({voice.name for voice in voices(12)})
    12
    """
    if whole("speakers", speakers, 1) > len(_VARIANTS):
        raise InputError("speakers", speakers, f"at most {len(_VARIANTS)}", "eSpeak NG has no more different throats")
    rng = np.random.default_rng([whole("seed", seed, 0), _VOICES_STREAM])
    return [
        Voice(
            str(variant),
            {language: str(rng.choice(accents)) for language, accents in _ACCENTS.items()},
            int(rng.integers(130, 200)),
            int(rng.integers(30, 70)),
            int(rng.integers(30, 70)),
        )
        for variant in rng.permutation(_VARIANTS)[:speakers]
    ]


def _spelled(word: str) -> str:
    """The name of a class, in ASCII as in the Spiking Heidelberg Digits."""
    return word.replace("ü", "ue")


def utterances(
    folder: str | Path, speakers: Sequence[Voice], languages: Sequence[str], repeats: int, seed: int = 0
) -> list[Utterance]:
    """What speakers say: each digit of each language so many times, a little differently each time.

    Parameters
    ----------
    folder : path-like
        For the sound files, ``seven_f3_02.wav``.
    speakers : sequence of Voice
    languages : sequence of {"en", "de"}
    repeats : int
    seed : int

    Returns
    -------
    list of Utterance

    Raises
    ------
    InputError
        If a language is another one or is named twice, or there is nothing to say.

    Examples
    --------
    >>> said = utterances("audio", voices(2), ["de"], repeats=3)
    >>> len(said), said[0].text, Path(said[0].path).name.startswith("null_")
    (60, 'null', True)
    """
    whole("repeats", repeats, 1)
    for language in languages:
        choice("language", language, DIGITS)
    if not languages or len(set(languages)) < len(languages):
        raise InputError("languages", list(languages), "en, de, or both")
    said = []
    for voice in speakers:
        # Each speaker has random numbers of its own, so that fewer repeats of fewer speakers are a part of more.
        rng = np.random.default_rng([seed, _UTTERANCES_STREAM, _VARIANTS.index(voice.name)])
        for repeat in range(repeats):
            for language, words in DIGITS.items():
                for word in words:
                    rate, pitch = rng.uniform(0.85, 1.2), int(rng.integers(-8, 9))
                    noise = int(rng.integers(2**31))
                    if language in languages:
                        said.append(
                            Utterance(
                                str(Path(folder) / f"{_spelled(word)}_{voice.name}_{repeat:02d}.wav"),
                                word,
                                f"{voice.accents[language]}+{voice.name}",
                                round(rate * voice.words_per_minute),
                                voice.pitch + pitch,
                                voice.pitch_range,
                                noise,
                            )
                        )
    return said


def _say(folder: Path, said: Sequence[Utterance], settings: dict[str, Any], *, progress: bool) -> None:
    """Write the sound files, all of them unless they are there."""
    note = folder / "settings.json"
    text = json.dumps(settings, indent=2) + "\n"
    if folder.exists() and any(folder.iterdir()) and not (note.exists() and note.read_text(encoding="utf-8") == text):
        raise InputError("folder of the speech", str(folder), "a new or empty one",
                         "what is there was not said with these settings")  # fmt: skip
    if all(Path(utterance.path).exists() for utterance in said):
        return
    write_text(note, text)
    for utterance in said:
        Path(utterance.path).parent.mkdir(parents=True, exist_ok=True)
    with tqdm(desc="speaking", unit="word", total=len(said), delay=5, disable=not progress) as bar:
        for _ in speak_to_files(said):
            bar.update()


def speak(
    out: str | Path,
    *,
    languages: Sequence[str] = ("en", "de"),
    speakers: int = 12,
    test_speakers: int = 3,
    repeats: int = 10,
    seed: int = 0,
    cochlea: Cochlea | None = None,
    processes: int | None = None,
    audio_only: bool = False,
    progress: bool = True,
) -> dict[str, Report]:
    """Make a data set of spoken digits that needs no network: sound files, and their spikes.

    ``out/audio/train`` and ``out/audio/test`` have the sound, by different speakers; ``out/train.h5`` and
    ``out/test.h5`` the spikes. If it is interrupted, the same call goes on from what is there.

    Parameters
    ----------
    out : path-like
        Folder to write.
    languages : sequence of {"en", "de"}
    speakers : int
        2 to 13.
    test_speakers : int
        Those of them whom only the test file has.
    repeats : int
        How often each speaker says each digit.
    seed : int
    cochlea, processes
        As in `cortexsnn.datasets.sound.convert_folder`.
    audio_only : bool
        Write the sound files only.
    progress : bool
        Show bars if it takes longer than five seconds.

    Returns
    -------
    dict of str to Report
        Of ``"train"`` and ``"test"``; empty if `audio_only`.

    Raises
    ------
    InputError
        If a number is out of its range, the folder has other speech, or the extra ``speech`` (or ``audio``) is not
        installed.
    """
    folder = Path(out)
    if not 1 <= whole("test_speakers", test_speakers, 1) < whole("speakers", speakers, 2):
        raise InputError("test_speakers", test_speakers, f"fewer than the {speakers} speakers")
    everyone = voices(speakers, seed)
    parts = {"train": everyone[test_speakers:], "test": everyone[:test_speakers]}
    audio = folder / "audio"
    said = [
        utterance
        for name, some in parts.items()
        for utterance in utterances(audio / name, some, languages, repeats, seed)
    ]
    settings = {
        "languages": list(languages),
        "repeats": repeats,
        "seed": seed,
        "speakers": {name: [asdict(voice) for voice in some] for name, some in parts.items()},
    }
    _say(audio, said, settings, progress=progress)
    if audio_only:
        return {}
    classes = [_spelled(word) for language, words in DIGITS.items() if language in languages for word in words]
    return {
        name: convert_folder(
            audio / name,
            folder / f"{name}.h5",
            classes=classes,
            seed=seed,
            cochlea=cochlea,
            processes=processes,
            progress=progress,
        )
        for name in parts
    }
