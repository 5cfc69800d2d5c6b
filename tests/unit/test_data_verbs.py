"""The verb ``data``: from sounds to spikes and a table of what is there, with exit codes that tell."""

import numpy as np
import pytest

from cortexsnn.cli import main


def test_describe_prints_the_table_and_draws_a_raster(tmp_path, capsys):
    # A task needs no file.
    figure = tmp_path / "raster.svg"
    assert main(["data", "describe", "parity", "--figure", str(figure)]) == 0
    said = capsys.readouterr().out
    assert "trials" in said
    assert "spikes per trial" in said
    assert "<svg" in figure.read_text(encoding="utf-8")


def test_unknown_data_set_is_named(capsys):
    assert main(["data", "describe", "no-such-data"]) == 2
    assert "no-such-data" in capsys.readouterr().err


def test_sounds_become_a_spike_file_and_a_broken_one_is_told(tmp_path, capsys):
    # Protects the exit code: the rest goes on, and the shell learns that not all went well.
    soundfile = pytest.importorskip("soundfile", reason="the extra audio is not installed")
    pytest.importorskip("numba", reason="the extra audio is not installed")
    time = np.arange(1600) / 16_000
    for label, tone_hz in (("low", 300.0), ("high", 1500.0)):
        soundfile.write(tmp_path / f"{label}_anna.wav", np.sin(2 * np.pi * tone_hz * time), 16_000)
    (tmp_path / "low_broken.wav").write_bytes(b"RIFF no sound at all")
    out = tmp_path / "words.h5"
    code = main(["data", "from-audio", str(tmp_path), "--out", str(out), "--processes", "1", "--quiet"])
    said = capsys.readouterr()
    assert code == 1
    assert "low_broken.wav" in said.err
    assert "2 sounds, 1 skipped" in said.out
    assert out.is_file()
