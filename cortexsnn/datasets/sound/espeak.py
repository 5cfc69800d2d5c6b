"""The speech synthesiser eSpeak NG, called through its library in a process of its own.

Its library keeps one voice, and more, in global variables; a process that ends takes them with it, and so does one that
crashes. The library comes with the package ``espeakng-loader`` from PyPI, or with the operating system (``apt install
libespeak-ng1``).
"""

from __future__ import annotations

import ctypes
import ctypes.util
import importlib
import importlib.util
import json
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray

from cortexsnn.errors import InputError
from cortexsnn.files import replacing

__all__ = ["Utterance", "find_library", "speak_to_files"]

# From its header, speak_lib.h.
_SYNCHRONOUS, _DO_NOT_EXIT, _UTF8 = 2, 0x8000, 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_EDGE_S, _AUDIBLE = 0.01, 0.01


@dataclass(frozen=True)
class Utterance:
    """What to say, and how.

    Parameters
    ----------
    path : str
        WAV file to write.
    text : str
    voice : str
        A language, perhaps with a variant: ``en-gb+f3``.
    words_per_minute : int
        80 to 450.
    pitch, pitch_range : int
        0 to 99; 50 is normal.
    seed : int
        Of its breath noise, 0 to 2**31 - 1.
    """

    path: str
    text: str
    voice: str
    words_per_minute: int
    pitch: int
    pitch_range: int
    seed: int


def find_library() -> tuple[str, str | None]:
    """Where the library is, and the folder of its voices if that is not the usual one.

    Returns
    -------
    library : str
    data : str or None

    Raises
    ------
    InputError
        If there is none.
    """
    if importlib.util.find_spec("espeakng_loader"):
        loader = importlib.import_module("espeakng_loader")
        return str(loader.get_library_path()), str(loader.get_data_path())
    if found := ctypes.util.find_library("espeak-ng"):
        return found, None
    raise InputError("speech synthesiser eSpeak NG", "not there", "the extra 'speech'",
                     "pip install 'cortexsnn[speech]', or apt install libespeak-ng1")  # fmt: skip


def trimmed(samples: NDArray[np.int16], rate_hz: int) -> NDArray[np.int16]:
    """Cut the silence off both ends.

    Parameters
    ----------
    samples : array of int16, shape (sample,)
    rate_hz : int

    Returns
    -------
    numpy.ndarray of int16
        From 10 ms before the first sample that is above 1 % of the loudest, to 10 ms after the last.

    Examples
    --------
    >>> trimmed(np.array([0, 0, 0, 100, -9, 0, 0, 0], dtype=np.int16), 100)
    array([  0, 100,  -9,   0], dtype=int16)
    """
    loudness = np.abs(samples.astype(np.int32))
    loud = np.flatnonzero(loudness > _AUDIBLE * loudness.max(initial=0))
    if not loud.size:
        return samples[:0]
    edge = round(_EDGE_S * rate_hz)
    return samples[max(0, loud[0] - edge) : loud[-1] + 1 + edge]


class _Synthesiser:
    """The library, made ready."""

    def __init__(self) -> None:
        path, data = find_library()
        self._library = ctypes.CDLL(path)
        self._c = ctypes.CDLL(None)
        self.rate_hz = self._library.espeak_Initialize(_SYNCHRONOUS, 0, data.encode() if data else None, _DO_NOT_EXIT)
        if self.rate_hz < 0:
            raise InputError("eSpeak NG", path, "a library with its voices", "it finds no espeak-ng-data")
        self._pieces: list[NDArray[np.int16]] = []
        # Kept here, since the library keeps only its address.
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)
        self._callback = kind(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: ctypes._Pointer[ctypes.c_short], number: int, _: int) -> int:
        if samples and number:
            self._pieces.append(np.ctypeslib.as_array(samples, (number,)).copy())
        return 0

    def say(self, utterance: Utterance) -> NDArray[np.int16]:
        if self._library.espeak_SetVoiceByName(utterance.voice.encode()):
            raise InputError("voice of eSpeak NG", utterance.voice, "a voice that it has")
        for parameter, value in (
            (_RATE, utterance.words_per_minute),
            (_PITCH, utterance.pitch),
            (_RANGE, utterance.pitch_range),
        ):
            self._library.espeak_SetParameter(parameter, value, 0)
        # Breath is noise from one of two generators, depending on the release.
        self._c.srand(utterance.seed)
        if hasattr(self._library, "espeak_ng_SetRandSeed"):
            self._library.espeak_ng_SetRandSeed(ctypes.c_long(utterance.seed))
        self._pieces.clear()
        text = utterance.text.encode() + b"\0"
        self._library.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, _UTF8, None, None)
        return np.concatenate([np.zeros(0, dtype=np.int16), *self._pieces])


def _write(utterance: Utterance, samples: NDArray[np.int16], rate_hz: int) -> None:
    with replacing(utterance.path) as temporary, wave.open(str(temporary), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate_hz)
        file.writeframes(samples.astype("<i2").tobytes())


def _main() -> int:
    """Say what standard input describes, a line of JSON for each; report each on standard output."""
    try:
        synthesiser = _Synthesiser()
        for line in sys.stdin:
            utterance = Utterance(**json.loads(line))
            samples = trimmed(synthesiser.say(utterance), synthesiser.rate_hz)
            if not samples.size:
                raise InputError("speech of eSpeak NG", utterance.text, "a text that it can say")
            _write(utterance, samples, synthesiser.rate_hz)
            print(utterance.path, flush=True)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


def speak_to_files(utterances: Sequence[Utterance]) -> Iterator[str]:
    """Say things one after another, each into a WAV file.

    Parameters
    ----------
    utterances : sequence of Utterance
        The sound of one depends a little on those before it: the same sequence sounds the same.

    Yields
    ------
    str
        Path of each file, as it is written.

    Raises
    ------
    InputError
        If there is no eSpeak NG, it has no such voice, or it broke down.
    """
    find_library()
    with tempfile.TemporaryFile("w+") as told, tempfile.TemporaryFile("w+") as complaints:
        told.writelines(json.dumps(asdict(utterance)) + "\n" for utterance in utterances)
        told.seek(0)
        # As a file, so that it need not import all that the package does.
        command = [sys.executable, "-P", __file__]
        with subprocess.Popen(command, stdin=told, stdout=subprocess.PIPE, stderr=complaints, text=True) as child:
            try:
                for line in child.stdout or ():
                    yield line.rstrip("\n")
            except BaseException:  # also where nobody asks for the next
                child.kill()
                raise
        if child.returncode:
            complaints.seek(0)
            said = complaints.read().strip().splitlines() or [f"it ended with code {child.returncode}"]
            raise InputError("speech of eSpeak NG", "broken off", "all utterances", said[-1])


if __name__ == "__main__":
    sys.exit(_main())
