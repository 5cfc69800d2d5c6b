"""Sound to spikes: audio files through an artificial cochlea, and speech to try it with."""

from cortexsnn.datasets.sound.audio import Sound, read
from cortexsnn.datasets.sound.cochlea import Cochlea
from cortexsnn.datasets.sound.conversion import Report, convert_folder
from cortexsnn.datasets.sound.speech import speak

__all__ = ["Cochlea", "Report", "Sound", "convert_folder", "read", "speak"]
