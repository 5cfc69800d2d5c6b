"""Sound files are read right or refused; folders of them become spike files, repeatably and without losing work."""

import json
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from cortexsnn.datasets import layout
from cortexsnn.datasets.sound import parts
from cortexsnn.datasets.sound.audio import LONGEST_S, Sound, read, resampled
from cortexsnn.datasets.sound.basilar_membrane import BasilarMembrane
from cortexsnn.datasets.sound.cochlea import Cochlea
from cortexsnn.datasets.sound.conversion import convert_folder
from cortexsnn.datasets.sound.labelling import class_numbers, recordings
from cortexsnn.errors import InputError

for package in ("numba", "soxr"):
    pytest.importorskip(package)
soundfile = pytest.importorskip("soundfile")

RATE_HZ = 16_000
SMALL = Cochlea(membrane=BasilarMembrane(channels=12))


def samples(seed=0, duration_s=0.15, rate_hz=RATE_HZ):
    """A loud chirp with a little noise: something that makes spikes."""
    time_s = np.arange(round(duration_s * rate_hz)) / rate_hz
    noise = np.random.default_rng(seed).normal(size=time_s.size)
    return 0.3 * np.sin(2 * np.pi * (300 + 100 * seed + 3000 * time_s) * time_s) + 0.01 * noise


def write_sound(path, seed=0, **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    soundfile.write(path, samples(seed), RATE_HZ, **options)
    return path


@pytest.fixture
def folder(tmp_path):
    for seed, name in enumerate(("one_anna_0.wav", "one_bert_0.flac", "two_anna_0.wav", "two_bert_0.wav")):
        write_sound(tmp_path / "sounds" / name, seed)
    return tmp_path / "sounds"


# --- Reading ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("suffix", "subtype", "error"),
    [("wav", "PCM_16", 1e-4), ("wav", "FLOAT", 1e-7), ("wav", "PCM_24", 1e-6), ("flac", "PCM_16", 1e-4)],
)
def test_files_are_read_as_they_were_written(tmp_path, suffix, subtype, error):
    path = write_sound(tmp_path / f"a.{suffix}", subtype=subtype)
    found = read(path)
    assert found.rate_hz == RATE_HZ
    assert np.abs(found.samples - samples()).max() < error


def test_channels_are_averaged(tmp_path):
    soundfile.write(tmp_path / "stereo.wav", np.stack([samples(0), samples(1)], axis=1), RATE_HZ, subtype="FLOAT")
    np.testing.assert_allclose(read(tmp_path / "stereo.wav").samples, (samples(0) + samples(1)) / 2, atol=1e-7)


def test_resampling_adds_nothing_above_the_old_limit():
    # White noise at 8 kHz has nothing above 4 kHz, where basal channels of the cochlea listen.
    sound = resampled(Sound(np.random.default_rng(0).normal(size=8000), 8000), 48_000)
    power = np.abs(np.fft.rfft(sound.samples * np.hanning(sound.samples.size))) ** 2
    frequency_hz = np.fft.rfftfreq(sound.samples.size, 1 / 48_000)
    assert sound.samples.size == 48_000
    assert power[frequency_hz > 4050].max() < 1e-9 * power[frequency_hz < 3500].mean()
    assert power[frequency_hz < 3500].mean() > 0


@pytest.mark.parametrize("suffix", ["wav", "flac"])
@pytest.mark.parametrize("kept", [0.99, 0.5, 0.02, 0.001])
def test_truncated_files_are_refused(tmp_path, suffix, kept):
    path = write_sound(tmp_path / f"a.{suffix}")
    content = path.read_bytes()
    path.write_bytes(content[: max(1, int(kept * len(content)))])
    with pytest.raises(InputError, match=r"sound file|duration"):
        read(path)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg"])
def test_damaged_files_give_sound_or_a_clear_error(tmp_path, suffix):
    content = write_sound(tmp_path / f"good.{suffix}").read_bytes()
    path = tmp_path / f"bad.{suffix}"
    rng = np.random.default_rng(0)
    refused = 0
    for _ in range(200):
        damaged = bytearray(content)
        # Most damage hits the header, where it matters.
        for place in rng.integers(0, rng.choice([64, len(damaged)]), rng.integers(1, 6)):
            damaged[place] = rng.integers(256)
        path.write_bytes(bytes(damaged[: rng.choice([len(damaged), rng.integers(1, len(damaged))])]))
        try:
            assert read(path).duration_s <= LONGEST_S
        except InputError:
            refused += 1
    assert refused > 50


def test_what_is_no_utterance_is_refused(tmp_path):
    path = tmp_path / "a.wav"
    with pytest.raises(InputError, match="existing file"):
        read(path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match="empty"):
        read(path)
    path.write_bytes(b"this is no sound" * 100)
    with pytest.raises(InputError, match="complete sound file"):
        read(path)
    soundfile.write(path, np.zeros(1000), RATE_HZ)
    with pytest.raises(InputError, match="silence"):
        read(path)
    soundfile.write(path, samples()[:50], RATE_HZ)
    with pytest.raises(InputError, match="duration"):
        read(path)
    soundfile.write(path, np.where(np.arange(1000) == 7, np.nan, 0.1), RATE_HZ, subtype="FLOAT")
    with pytest.raises(InputError, match="sample 7"):
        read(path)


def test_a_long_file_is_refused_before_it_is_read(tmp_path):
    path = tmp_path / "long.flac"
    soundfile.write(path, np.zeros(int(1.1 * LONGEST_S * 8000)), 8000)
    assert path.stat().st_size < 100_000
    with pytest.raises(InputError, match="cut recordings into utterances"):
        read(path)


# --- Labels -----------------------------------------------------------------------------------------------------------


def test_labels_and_speakers_come_from_names(folder):
    found, without = recordings(folder)
    assert [(one.label, one.speaker) for one in found] == [
        ("one", "anna"), ("one", "bert"), ("two", "anna"), ("two", "bert")
    ]  # fmt: skip
    assert without == []
    assert {one.speaker for one in recordings(folder, without_speakers=["bert"])[0]} == {"anna"}


def test_labels_come_from_folders(tmp_path):
    for name in ("yes/0a7c_nohash_0.wav", "no/ffd2_nohash_1.wav"):
        write_sound(tmp_path / name)
    found, _ = recordings(tmp_path, "folder", pattern="(?P<speaker>[0-9a-f]+)_nohash_.*")
    assert [(one.label, one.speaker) for one in found] == [("no", "ffd2"), ("yes", "0a7c")]
    assert [one.speaker for one in recordings(tmp_path, "folder")[0]] == ["", ""]


@pytest.mark.parametrize("separator", [",", "\t"])
def test_labels_come_from_a_table(folder, separator):
    rows = [("file", "label", "speaker"), ("one_anna_0.wav", "A", "x"), ("one_bert_0.flac", "B", "y")]
    table = folder.parent / "table.csv"
    table.write_text("\n".join(separator.join(row) for row in rows), encoding="utf-8")
    found, without = recordings(folder, table)
    assert [(one.label, one.speaker) for one in found] == [("A", "x"), ("B", "y")]
    assert without == ["two_anna_0.wav", "two_bert_0.wav"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,label\na.wav,1", "columns"),
        ("file,label\nnowhere.wav,1", "file in the table"),
        ("file,label\none_anna_0.wav,", "line 2"),
        ("file,label\none_anna_0.wav,1\none_anna_0.wav,2", "line 3"),
        ("", "empty"),
    ],
)
def test_tables_that_cannot_be_used_are_refused(folder, text, message):
    table = folder.parent / "table.csv"
    table.write_text(text, encoding="utf-8")
    with pytest.raises(InputError, match=message):
        recordings(folder, table)


def test_selections_that_cannot_be_are_refused(folder, tmp_path):
    with pytest.raises(InputError, match="speaker is 'carl'"):
        recordings(folder, speakers=["carl"])
    with pytest.raises(InputError, match="regular expression"):
        recordings(folder, pattern="(")
    with pytest.raises(InputError, match="label"):
        recordings(folder, pattern=".*")
    with pytest.raises(InputError, match="sound files with a label is 0"):
        recordings(folder, pattern="x(?P<label>.*)")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"at least one \.wav"):
        recordings(tmp_path / "empty")
    with pytest.raises(InputError, match="folder of sound files"):
        recordings(tmp_path / "nowhere")


def test_classes_have_the_numbers_that_were_given():
    assert class_numbers(["b", "a"], ["b", "c", "a"])[0].tolist() == [0, 2]
    with pytest.raises(InputError, match="label is 'd'"):
        class_numbers(["d"], ["a"])
    with pytest.raises(InputError, match="different names"):
        class_numbers(["a"], ["a", "a"])


# --- Conversion -------------------------------------------------------------------------------------------------------


def same(one, other):
    a, b = layout.read(one, channels=12), layout.read(other, channels=12)
    return (
        np.array_equal(a.trials.times_s, b.trials.times_s)
        and np.array_equal(a.trials.units, b.trials.units)
        and np.array_equal(a.trials.offsets, b.trials.offsets)
        and np.array_equal(a.labels, b.labels)
        and a.keys == b.keys
    )


def test_a_folder_becomes_a_spike_file(folder, tmp_path):
    report = convert_folder(folder, tmp_path / "spikes.h5", cochlea=SMALL, processes=1)
    assert (report.converted, report.made, report.skipped, report.exit_code) == (4, 4, {}, 0)
    file = layout.read(report.path, channels=12)
    assert file.keys == report.classes == ("one", "two")
    assert file.labels.tolist() == [0, 0, 1, 1]
    assert file.speaker_names == ("anna", "bert")
    assert file.speaker.tolist() == [0, 1, 0, 1]
    assert file.source_files == ("one_anna_0.wav", "one_bert_0.flac", "two_anna_0.wav", "two_bert_0.wav")
    assert file.meta["seed"] == ("0",)
    assert json.loads(file.meta["cochlea"][0])["membrane"]["channels"] == 12
    for trial, name in enumerate(file.source_files):
        times_s, units = file.trials.trial(trial)
        assert units.size > 0, name
        assert times_s.max() < 0.15
    assert not (tmp_path / ".spikes.h5.parts").exists()


def test_spikes_depend_on_seed_and_name_alone(folder, tmp_path):
    # Neither the order of files, nor the others in the folder, nor the number of processes changes a file's spikes.
    one = convert_folder(folder, tmp_path / "one.h5", cochlea=SMALL, processes=1).path
    assert same(one, convert_folder(folder, tmp_path / "again.h5", cochlea=SMALL, processes=1).path)
    assert not same(one, convert_folder(folder, tmp_path / "seed.h5", cochlea=SMALL, processes=1, seed=1).path)
    anna = convert_folder(folder, tmp_path / "anna.h5", cochlea=SMALL, processes=1, speakers=["anna"]).path
    for name in ("one_anna_0.wav", "two_anna_0.wav"):
        all_of, some = layout.read(one, channels=12), layout.read(anna, channels=12)
        a = all_of.trials.trial(all_of.source_files.index(name))
        b = some.trials.trial(some.source_files.index(name))
        assert np.array_equal(a[0], b[0])
        assert np.array_equal(a[1], b[1])


@pytest.mark.slow
def test_processes_give_the_same_spikes(folder, tmp_path):
    one = convert_folder(folder, tmp_path / "one.h5", cochlea=SMALL, processes=1).path
    assert same(one, convert_folder(folder, tmp_path / "two.h5", cochlea=SMALL, processes=2).path)


def test_two_at_once_make_one_file(folder, tmp_path):
    # The later one used to fail, as the earlier had removed the parts that both shared.
    out = tmp_path / "spikes.h5"
    with ThreadPoolExecutor(2) as pool:
        both = [pool.submit(convert_folder, folder, out, cochlea=SMALL, processes=1, progress=False) for _ in range(2)]
        assert sorted(one.result().made for one in both) == [0, 4]
    assert [path.name for path in tmp_path.iterdir() if "spikes" in path.name] == ["spikes.h5"]


def test_a_corrupt_file_is_skipped_and_told(folder, tmp_path):
    (folder / "three_anna_0.wav").write_bytes(b"RIFF" + bytes(100))
    soundfile.write(folder / "two_carl_0.wav", np.zeros(3000), RATE_HZ)
    report = convert_folder(folder, tmp_path / "spikes.h5", cochlea=SMALL, processes=1)
    assert report.converted == 4
    assert report.exit_code == 1
    assert sorted(report.skipped) == ["three_anna_0.wav", "two_carl_0.wav"]
    assert "silence" in report.skipped["two_carl_0.wav"]
    assert "complete sound file" in report.skipped["three_anna_0.wav"]
    # The finished file still says so.
    again = convert_folder(folder, tmp_path / "spikes.h5", cochlea=SMALL, processes=1)
    assert (again.converted, again.made, again.skipped) == (4, 0, report.skipped)


def test_nothing_but_corrupt_files_is_an_error(tmp_path):
    (tmp_path / "sounds").mkdir()
    (tmp_path / "sounds" / "one_a.wav").write_bytes(b"RIFF" + bytes(100))
    with pytest.raises(InputError, match=r"one_a\.wav"):
        convert_folder(tmp_path / "sounds", tmp_path / "spikes.h5", cochlea=SMALL, processes=1)
    assert not (tmp_path / "spikes.h5").exists()


def test_interrupted_work_goes_on(folder, tmp_path, monkeypatch):
    whole = convert_folder(folder, tmp_path / "whole.h5", cochlea=SMALL, processes=1).path
    made, make = [], parts._make

    def interrupted(part, cochlea):
        if len(made) == 2:
            raise KeyboardInterrupt
        made.append(part.name)
        return make(part, cochlea)

    monkeypatch.setattr(parts, "_make", interrupted)
    with pytest.raises(KeyboardInterrupt):
        convert_folder(folder, tmp_path / "spikes.h5", cochlea=SMALL, processes=1)
    assert not (tmp_path / "spikes.h5").exists()
    monkeypatch.setattr(parts, "_make", make)
    report = convert_folder(folder, tmp_path / "spikes.h5", cochlea=SMALL, processes=1)
    assert (report.converted, report.made) == (4, 2)
    assert same(whole, report.path)


def test_parts_of_other_sounds_are_not_used(folder, tmp_path):
    # Protects from stale parts: other content, seed or cochlea under the same name is another part.
    kept = tmp_path / "parts"
    path = folder / "one_anna_0.wav"
    first = parts.part_of(path, path.name, 0, SMALL, kept)
    assert parts.part_of(path, path.name, 1, SMALL, kept).path != first.path
    assert parts.part_of(path, path.name, 0, Cochlea(), kept).path != first.path
    write_sound(path, 9)
    assert parts.part_of(path, path.name, 0, SMALL, kept).path != first.path


def test_a_finished_file_is_kept_unless_told(folder, tmp_path):
    path = convert_folder(folder, tmp_path / "spikes.h5", cochlea=SMALL, processes=1).path
    before = path.read_bytes()
    assert convert_folder(folder, path, cochlea=SMALL, processes=1).made == 0
    with pytest.raises(InputError, match="overwrite"):
        convert_folder(folder, path, cochlea=SMALL, processes=1, seed=1)
    assert path.read_bytes() == before
    assert convert_folder(folder, path, cochlea=SMALL, processes=1, seed=1, overwrite=True).made == 4
    assert path.read_bytes() != before
