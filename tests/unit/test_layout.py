"""Spike files: what is written is read, whatever storage HDF5 chose; what is damaged or hostile is refused by name."""

import shutil
import tracemalloc

import h5py
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cortexsnn.datasets import layout
from cortexsnn.datasets.global_heap import objects_of_heaps
from cortexsnn.errors import InputError

RNG = np.random.default_rng(5)
LENGTHS = [3, 0, 700, 1, 40, 0]
TIMES = [np.sort(RNG.uniform(0, 1.4, n)).astype(np.float16) for n in LENGTHS]
UNITS = [RNG.integers(0, 700, n).astype(np.uint16) for n in LENGTHS]
LABELS = np.array([4, 0, 1, 2, 3, 1])
SPEAKER = np.array([0, 1, 0, 1, 0, 1])


def h5py_file(path, *, time_type=np.float16, unit_type=np.uint16, storage=None, **file_options):
    """A file that h5py wrote, with chosen types and storage."""
    with h5py.File(path, "w", **file_options) as file:
        for name, trials, kind in (("times", TIMES, time_type), ("units", UNITS, unit_type)):
            made = file.create_dataset(f"spikes/{name}", (len(trials),), h5py.vlen_dtype(kind), **(storage or {}))
            for number, values in enumerate(trials):
                made[number] = values.astype(kind)
        file.create_dataset("labels", data=LABELS, **(storage or {}))
        file.create_dataset("extra/speaker", data=SPEAKER)
    return path


def changed(path, change):
    """The same file after a change by h5py."""
    with h5py.File(path, "a") as file:
        change(file)
    return path


def assert_is_what_was_written(found):
    assert len(found.trials) == len(TIMES)
    for trial, (times, units) in enumerate(zip(TIMES, UNITS, strict=True)):
        when, where = found.trials.trial(trial)
        np.testing.assert_array_equal(when, times.astype(np.float64))
        np.testing.assert_array_equal(where, units)
    np.testing.assert_array_equal(found.labels, LABELS)
    np.testing.assert_array_equal(found.speaker, SPEAKER)


@pytest.fixture
def path(tmp_path):
    target = tmp_path / "spikes.h5"
    layout.write(target, TIMES, UNITS, LABELS, speaker=SPEAKER)
    return target


# --- what is written is read ---------------------------------------------------------------------------------------


@settings(max_examples=40)
@given(
    lengths=st.lists(st.integers(0, 30), min_size=1, max_size=12),
    half=st.booleans(),
    seed=st.integers(0, 1000),
)
def test_round_trip(tmp_path_factory, lengths, half, seed):
    rng = np.random.default_rng(seed)
    kind = np.float16 if half else np.float32
    times = [rng.uniform(0, 2, n).astype(kind) for n in lengths]
    units = [rng.integers(0, 700, n) for n in lengths]
    labels = rng.integers(0, 9, len(lengths))
    path = tmp_path_factory.mktemp("round") / "spikes.h5"
    layout.write(path, iter(times), (trial for trial in units), labels)
    found = layout.read(path)
    assert found.trials.times_s.dtype == (kind if sum(lengths) and half else np.float32)
    assert found.trials.units.dtype == np.uint16
    np.testing.assert_array_equal(found.trials.times_s, np.concatenate(times))
    np.testing.assert_array_equal(found.trials.units, np.concatenate(units))
    np.testing.assert_array_equal(np.diff(found.trials.offsets), lengths)
    np.testing.assert_array_equal(found.labels, labels)
    assert found.speaker is None


def test_h5py_reads_what_is_written(path):
    # Protects the layout for the readers of others.
    with h5py.File(path) as file:
        assert h5py.check_vlen_dtype(file["spikes/times"].dtype) == np.float16
        assert h5py.check_vlen_dtype(file["spikes/units"].dtype) == np.uint16
        assert file["labels"].dtype == file["extra/speaker"].dtype == np.uint16
        for trial in range(len(TIMES)):
            np.testing.assert_array_equal(file["spikes/times"][trial], TIMES[trial])
            np.testing.assert_array_equal(file["spikes/units"][trial], UNITS[trial])


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"libver": "latest"},
        {"userblock_size": 512},
        {"storage": {"chunks": (4,)}},
        {"storage": {"chunks": (4,), "maxshape": (None,)}, "libver": "latest"},
        {"storage": {"chunks": (100,), "maxshape": (None,)}},
        {"storage": {"chunks": (4,)}, "userblock_size": 1024},
        {"storage": {"chunks": (4,), "compression": "gzip"}},
        {"storage": {"chunks": (4,), "compression": "gzip", "shuffle": True}},
        {"storage": {"chunks": (4,), "shuffle": True}, "libver": "latest"},
        {"time_type": np.float64, "unit_type": np.int32},
        {"time_type": ">f4", "unit_type": ">u2"},
        {"time_type": np.float32, "unit_type": np.uint64},
    ],
)
def test_all_ways_to_store_are_read_alike(tmp_path, options):
    # Protects the reading of bytes without the HDF5 library from every choice that h5py and PyTables offer.
    assert_is_what_was_written(layout.read(h5py_file(tmp_path / "s.h5", **options)))


def test_many_heaps_and_trials(tmp_path):
    # Protects the search for entries where there are more heaps than one, each with many entries.
    rng = np.random.default_rng(0)
    lengths = rng.integers(0, 50, 5000)
    times = [rng.uniform(0, 1, n).astype(np.float32) for n in lengths]
    units = [rng.integers(0, 700, n) for n in lengths]
    layout.write(tmp_path / "s.h5", times, units, np.zeros(5000, dtype=int))
    found = layout.read(tmp_path / "s.h5")
    np.testing.assert_array_equal(found.trials.times_s, np.concatenate(times))
    np.testing.assert_array_equal(found.trials.units, np.concatenate(units))
    assert (tmp_path / "s.h5").read_bytes().count(b"GCOL") > 1


@pytest.mark.parametrize("at_once", [1, 3, 41, 700])
def test_spikes_are_read_in_pieces(path, monkeypatch, at_once):
    # Protects files of more spikes than are checked at once: none is left out, and the right trial is named.
    monkeypatch.setattr(layout, "_SPIKES_AT_ONCE", at_once)
    assert_is_what_was_written(layout.read(path))
    changed(path, lambda file: file["spikes/units"].__setitem__(3, np.array([700])))
    with pytest.raises(InputError, match=r"'spikes/units' of trial 3 .* is 700; expected 0 to 699"):
        layout.read(path)


def test_names_and_meta(tmp_path):
    path = tmp_path / "s.h5"
    meta = {"age": [30, 41], "gender": ["f", "männlich"], "rate_hz": 48_000, "model": "cochlea 1"}
    layout.write(path, TIMES, UNITS, LABELS, speaker=SPEAKER, keys=["zero", "", "two", "drei", "vier"],
                 speaker_names=["a", "b"], source_files=[f"{n}.wav" for n in range(6)], meta=meta)  # fmt: skip
    found = layout.read(path)
    assert found.keys == ("zero", "", "two", "drei", "vier")
    assert found.speaker_names == ("a", "b")
    assert found.source_files[5] == "5.wav"
    assert found.meta["age"].tolist() == [30, 41]
    assert found.meta["gender"] == ("f", "männlich")
    assert (found.meta["rate_hz"].tolist(), found.meta["model"]) == ([48_000], ("cochlea 1",))
    with h5py.File(path) as file:
        assert file["extra/keys"].asstr()[3] == "drei"


def test_texts_of_variable_length_are_read(tmp_path):
    def add(file):
        file["extra/keys"] = ["null", "eins", "zweiundzwanzig"]
        file["extra/meta_info/picture"] = np.zeros((2, 2))  # nothing depends on it

    found = layout.read(changed(h5py_file(tmp_path / "s.h5"), add))
    assert found.keys == ("null", "eins", "zweiundzwanzig")
    assert not found.meta


def test_spikes_may_be_in_any_order(tmp_path):
    layout.write(tmp_path / "s.h5", [[0.3, 0.1, 0.2]], [[1, 2, 3]], [0])
    when, where = layout.read(tmp_path / "s.h5").trials.trial(0)
    assert when == pytest.approx([0.3, 0.1, 0.2])
    assert where.tolist() == [1, 2, 3]


def test_negative_zero_is_a_time(tmp_path):
    layout.write(tmp_path / "s.h5", [np.array([-0.0, 0.5], np.float16)], [[1, 2]], [0])
    assert layout.read(tmp_path / "s.h5").trials.times_s.tolist() == [0.0, 0.5]


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, ">f2", ">f8"])
@pytest.mark.parametrize("wrong", [np.nan, -np.nan, np.inf, -np.inf, -1e-7])
def test_times_that_cannot_be_are_named(tmp_path, kind, wrong):
    def change(file):
        file["spikes/times"][2] = np.array([0.0, 60000.0, wrong] + 697 * [0.1]).astype(kind)

    path = changed(h5py_file(tmp_path / "s.h5", time_type=kind), change)
    with pytest.raises(
        InputError, match=r"'spikes/times' of trial 2 .* is \[(-?nan|-?inf|-.*)\]; expected finite times"
    ):
        layout.read(path)


def test_other_numbers_of_channels(tmp_path):
    layout.write(tmp_path / "s.h5", [[0.1]], [[1023]], [0], channels=1024)
    assert layout.read(tmp_path / "s.h5", channels=1024).trials.units.tolist() == [1023]
    with pytest.raises(InputError, match=r"'spikes/units' of trial 0 .* is 1023; expected 0 to 699"):
        layout.read(tmp_path / "s.h5")


@pytest.mark.data
def test_spoken_digits_are_read_as_h5py_reads_them(speech_folder):
    for name, trials in (("train", 2000), ("test", 1000)):
        found = layout.read(speech_folder / f"{name}.h5")
        assert len(found.trials) == trials
        assert found.keys[3] == "three"
        assert len(found.speaker_names) == 6
        assert set(found.meta) == {"age", "body_height", "gender"}
        with h5py.File(speech_folder / f"{name}.h5") as file:
            np.testing.assert_array_equal(found.trials.times_s, np.concatenate(file["spikes/times"][:]))
            np.testing.assert_array_equal(found.trials.units, np.concatenate(file["spikes/units"][:]))
            np.testing.assert_array_equal(found.labels, file["labels"][:])
            np.testing.assert_array_equal(found.speaker, file["extra/speaker"][:])


# --- more than fits into memory ------------------------------------------------------------------------------------


def test_spikes_beyond_the_limit_are_mapped(path, tmp_path):
    cache = tmp_path / "cache"
    found = layout.read(path, memory_limit=0, cache=cache)
    assert_is_what_was_written(found)
    assert isinstance(found.trials.times_s.base, np.memmap) or isinstance(found.trials.times_s, np.memmap)
    assert not found.trials.times_s.flags.writeable
    (kept,) = (cache / "700").glob("*/")
    made = (kept / "times_s.npy").stat().st_mtime_ns
    assert_is_what_was_written(layout.read(path, memory_limit=0, cache=cache))
    assert (kept / "times_s.npy").stat().st_mtime_ns == made


def test_mapped_files_follow_the_file(path, tmp_path):
    # Protects from spikes of a file that was there before under the same name.
    layout.read(path, memory_limit=0, cache=tmp_path)
    layout.write(path, [[0.5]], [[9]], [0])
    assert layout.read(path, memory_limit=0, cache=tmp_path).trials.units.tolist() == [9]
    assert len(list((tmp_path / "700").glob("*/"))) == 1


def test_mapped_files_follow_a_file_of_the_same_size(path, tmp_path):
    layout.read(path, memory_limit=0, cache=tmp_path)
    size = path.stat().st_size
    other = [(units + 1) % 700 for units in UNITS]
    layout.write(path, TIMES, other, LABELS, speaker=SPEAKER)
    assert path.stat().st_size == size
    found = layout.read(path, memory_limit=0, cache=tmp_path)
    np.testing.assert_array_equal(found.trials.units, np.concatenate(other))


def test_mapped_files_are_whole_or_not_there(path, tmp_path):
    changed(path, lambda file: file["spikes/units"].__setitem__(4, np.array([700, *UNITS[4][1:]])))
    left_over = tmp_path / "cache" / "700"
    for _ in range(2):
        with pytest.raises(InputError, match=r"'spikes/units' of trial 4 .* is 700; expected 0 to 699"):
            layout.read(path, memory_limit=0, cache=tmp_path / "cache")
        assert list(left_over.glob("*/")) == []


def test_a_full_disk_is_noticed_before(path, tmp_path, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: shutil._ntuple_diskusage(10, 9, 1))
    with pytest.raises(InputError, match="free bytes of the disk"):
        layout.read(path, memory_limit=0, cache=tmp_path)


# --- what is refused -------------------------------------------------------------------------------------------------


def replaced(name, value):
    def change(file):
        del file[name]
        file[name] = value

    return change


def soft_link(file):
    file.move("labels", "kept")
    file["labels"] = h5py.SoftLink("/kept")


def soft_link_to_group(file):
    file.move("spikes", "kept")
    file["spikes"] = h5py.SoftLink("/kept")


def hidden_external_link(file):
    file["extra/more"] = h5py.ExternalLink("other.h5", "/")


def virtual_dataset(file):
    del file["labels"]
    parts = h5py.VirtualLayout((len(LABELS),), dtype=np.int64)
    parts[:] = h5py.VirtualSource("other.h5", "labels", (len(LABELS),))
    file.create_virtual_dataset("labels", parts)


def data_in_another_file(file):
    del file["labels"]
    file.create_dataset("labels", (len(LABELS),), np.int64, external=[("other.bin", 0, 48)])


def references(file):
    replaced("labels", np.array([file.ref] * len(LABELS), dtype=h5py.ref_dtype))(file)


def vlen_of(dtype):
    def change(file):
        del file["spikes/times"]
        file.create_dataset("spikes/times", (len(TIMES),), h5py.vlen_dtype(dtype))

    return change


def filtered(name, **options):
    def change(file):
        values = file[name][:]
        del file[name]
        file.create_dataset(name, data=values, **options)

    return change


def compact(file):
    del file["labels"]
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_layout(h5py.h5d.COMPACT)
    space = h5py.h5s.create_simple((len(LABELS),))
    h5py.h5d.create(file.id, b"labels", h5py.h5t.STD_U16LE, space, properties)


def without_storage(file):
    del file["labels"]
    file.create_dataset("labels", (len(LABELS),), np.uint16)


def without_chunks(file):
    del file["labels"]
    file.create_dataset("labels", (len(LABELS),), np.uint16, chunks=(2,))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (soft_link, "'labels' in .* is 'SoftLink'; expected the data themselves"),
        (soft_link_to_group, "'spikes/times' in .* is 'SoftLink'"),
        (hidden_external_link, "entry /extra/more is 'other.h5'; expected data inside the file itself"),
        (virtual_dataset, "entry /labels is 'virtual or external storage'"),
        (data_in_another_file, "entry /labels is 'virtual or external storage'"),
        (references, "'labels' in .*; expected 6 whole numbers"),
        (replaced("labels", np.zeros(6, dtype=[("a", "u2"), ("b", "u2")])), "'labels' in .*; expected 6 whole numbers"),
        (replaced("labels", np.arange(5)), r"'labels' in .* is \(5,\); expected 6 whole numbers"),
        (replaced("labels", np.array([0, 1, 2, 3, 4, 65536])), "'labels' in .* is 65536; expected classes from 0"),
        (replaced("labels", np.array([0, 1, 2, 3, -7, 5])), "'labels' in .* is -7; expected classes from 0"),
        (replaced("labels", np.full(6, 2**63, dtype=np.uint64)), "'labels' in .*; expected numbers below"),
        (replaced("extra/speaker", np.arange(7)), r"'extra/speaker' in .* is \(7,\); expected 6 whole numbers"),
        (replaced("extra/speaker", np.arange(6) * 1.0), "'extra/speaker' in .*; expected 6 whole numbers"),
        (vlen_of(np.dtype([("a", "f4")])), "type of 'spikes/times' in .*; expected one array of numbers"),
        (vlen_of(h5py.vlen_dtype(np.float32)), "type of 'spikes/times' in .*; expected one array of numbers"),
        (vlen_of(np.longdouble), "type of 'spikes/times' in .*; expected one array of numbers"),
        (vlen_of(np.bool_), "type of 'spikes/times' in .*; expected one array of numbers"),
        (vlen_of(h5py.ref_dtype), "type of 'spikes/times' in .*; expected one array of numbers"),
        (filtered("labels", compression="lzf"), "filters of 'labels' in .*lzf.*; expected gzip and shuffle, or none"),
        (filtered("labels", fletcher32=True), "filters of 'labels' in .*; expected gzip and shuffle, or none"),
        (compact, "storage of 'labels' in .* is 'compact'; expected contiguous or in chunks"),
        (without_storage, "end of 'labels' in .*; expected at most"),
        (without_chunks, "end of 'labels' in .*; expected at most"),
        (lambda file: file.__delitem__("labels"), "'labels' in .* is None; expected 6 whole numbers"),
        (lambda file: file.__delitem__("spikes"), "a dataset 'spikes/times'"),
    ],
)  # fmt: skip
def test_what_is_not_plain_data_is_refused(tmp_path, change, message):
    h5py_file(tmp_path / "other.h5")
    (tmp_path / "other.bin").write_bytes(bytes(48))
    with pytest.raises(InputError, match=message):
        layout.read(changed(h5py_file(tmp_path / "s.h5"), change))


def test_a_link_that_nothing_depends_on_may_lead_nowhere(tmp_path):
    path = h5py_file(tmp_path / "s.h5")
    assert_is_what_was_written(
        layout.read(changed(path, lambda file: file["extra"].__setitem__("more", h5py.SoftLink("/nowhere"))))
    )


def reference_of(content, trial, field):
    """Place in the file of the reference to the spikes of a trial: length, address of the heap, index."""
    address = content.index(b"GCOL")
    first = content.index(np.uint32(len(TIMES[0])).tobytes() + np.uint64(address).tobytes())
    if field == "units":
        first = content.index(np.uint32(len(TIMES[0])).tobytes() + np.uint64(address).tobytes(), first + 1)
    return first + 16 * trial


def test_a_bomb_is_refused_before_memory_is_taken(tmp_path):
    # A reference that says 4 billion times: the HDF5 library takes 8 GB for it.
    path = h5py_file(tmp_path / "s.h5")
    content = bytearray(path.read_bytes())
    place = reference_of(content, 2, "times")
    assert int.from_bytes(content[place : place + 4], "little") == len(TIMES[2])
    content[place : place + 4] = b"\xff\xff\xff\xff"
    path.write_bytes(content)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"size of 'spikes/times' in .*; expected no more bytes than the file has"):
            layout.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize(
    ("offset", "content", "message"),
    [
        (0, b"\x01\x00\x00\x00", r"bytes of trial 2 of 'spikes/times' in .* is 1400; expected 2, as the file says"),
        (4, b"\x08\x00\x00\x00\x00\x00\x00\x00", "address of a heap of 'spikes/times' in .* is 8; expected the byte"),
        (4, b"\xf0\xff\xff\xff\xff\xff\xff\xff", "address of a heap of 'spikes/times' in .*; expected the byte"),
        (12, b"\xff\xff\xff\xff", "bytes of trial 2 of 'spikes/times' in .* is -1; expected 1400"),
    ],
)
def test_references_that_lead_nowhere_are_refused(tmp_path, offset, content, message):
    path = h5py_file(tmp_path / "s.h5")
    damaged = bytearray(path.read_bytes())
    place = reference_of(damaged, 2, "times") + offset
    damaged[place : place + len(content)] = content
    path.write_bytes(damaged)
    with pytest.raises(InputError, match=message):
        layout.read(path)


def heap(size, *objects):
    """Bytes of a heap with objects of (index, size in bytes)."""
    content = b"GCOL\x01\x00\x00\x00" + size.to_bytes(8, "little")
    for index, held in objects:
        content += index.to_bytes(2, "little") + bytes(6) + held.to_bytes(8, "little") + bytes(-(-held // 8) * 8)
    return content.ljust(size, b"\0")


def found_in(content, *references):
    heaps, indices = (np.array(column) for column in zip(*references, strict=True))
    bytes_ = np.frombuffer(content, dtype=np.uint8)
    starts, sizes = objects_of_heaps(bytes_, 0, heaps.astype(np.uint64), indices.astype(np.uint32), "'spikes'")
    return starts.tolist(), sizes.tolist()


def test_objects_of_heaps():
    content = bytes(8) + heap(128, (1, 5), (7, 16), (65535, 1)) + heap(64, (1, 24))
    assert found_in(content, (136, 1), (8, 7), (8, 1), (8, 65535)) == ([168, 64, 40, 96], [24, 16, 5, 1])
    # No such object: an index that is free, one that was never given, one beyond all.
    assert found_in(content, (8, 0), (8, 3), (136, 7), (8, 65536 + 65535), (136, 1))[1] == [-1, -1, -1, -1, 24]
    # An object that says it is larger than its heap.
    assert found_in(heap(64, (1, 8), (2, 100))[:64], (0, 1), (0, 2))[1] == [8, -1]


def test_heaps_that_overlap_are_refused():
    # A file of many heaps inside each other could be made to take any time to read.
    inner = heap(48, (1, 8))
    outer = bytearray(heap(160, (1, 100)))
    outer[64 : 64 + len(inner)] = inner
    assert found_in(bytes(outer), (64, 1)) == ([96], [8])
    with pytest.raises(InputError, match=r"address of a heap of 'spikes' is 64; expected the byte at which a heap"):
        found_in(bytes(outer), (64, 1), (0, 1))


@pytest.mark.parametrize("options", [{"chunks": (1 << 20,)}, {"chunks": (1 << 20,), "compression": "gzip"}, {}])
def test_absurd_sizes_are_refused_before_memory_is_taken(tmp_path, options):
    def change(file):
        del file["labels"]
        file.create_dataset("labels", (1 << 40,), np.uint8, **options)

    path = changed(h5py_file(tmp_path / "s.h5"), change)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"unpacked size of spike file|length of 'labels'"):
            layout.read(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_a_chunk_that_unpacks_to_more_is_refused(tmp_path):
    # A gzip bomb in a chunk: the HDF5 library unpacks whatever is there.
    import zlib

    def change(file):
        del file["labels"]
        made = file.create_dataset("labels", (len(LABELS),), np.uint16, chunks=(6,), compression="gzip")
        made.id.write_direct_chunk((0,), zlib.compress(bytes(100 << 20)))

    path = changed(h5py_file(tmp_path / "s.h5"), change)
    tracemalloc.start()
    try:
        with pytest.raises(InputError, match=r"chunk 0 of 'labels' in .*; expected bytes that unpack to 12"):
            layout.read(path)
        assert tracemalloc.get_traced_memory()[1] < 2 << 20
    finally:
        tracemalloc.stop()


# --- writing ---------------------------------------------------------------------------------------------------------


def test_writing_is_whole_or_not_at_all(path):
    before = path.read_bytes()

    def interrupted():
        yield from TIMES[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        layout.write(path, interrupted(), UNITS, LABELS)
    with pytest.raises(InputError, match="times_s of trial 5"):
        layout.write(path, [*TIMES[:5], np.array([-1.0], np.float16)], [*UNITS[:5], np.array([1])], LABELS)
    assert path.read_bytes() == before
    assert [p.name for p in path.parent.iterdir()] == [path.name]


def test_the_same_spikes_make_the_same_bytes(tmp_path):
    # Protects files that are made again from differing where nothing changed.
    for name in ("a.h5", "b.h5"):
        layout.write(tmp_path / name, TIMES, UNITS, LABELS, keys=list("abcde"), meta={"rate_hz": 1.0})
    assert (tmp_path / "a.h5").read_bytes() == (tmp_path / "b.h5").read_bytes()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"times_s": [[0.1]]}, r"number of trials of times_s and units is \(1, 2\); expected 2, as in labels"),
        ({"times_s": [[0.1]] * 3, "units": [[1]] * 3}, r"number of trials .* is \(3, 3\); expected 2"),
        ({"times_s": [], "units": []}, r"number of trials .* is \(0, 0\); expected 2"),
        ({"times_s": [[0.1, 0.2], [0.1]]}, "spikes of trial 0 .*; expected as many times as units"),
        ({"times_s": [[[0.1]], [0.1]]}, "spikes of trial 0 .*; expected as many times as units"),
        ({"times_s": [[0.1], [np.nan]]}, "times_s of trial 1 .*nan.*; expected finite times"),
        ({"times_s": [[0.1], [1e39]]}, "times_s of trial 1 .*; expected finite times"),
        ({"times_s": [[0.1], ["x"]]}, "times_s of trial 1 .*; expected finite times"),
        ({"times_s": [np.array([0.1], np.float16), [0.1]]}, None),
        ({"units": [[1], [700]]}, "units of trial 1 .*; expected whole numbers from 0 to 699"),
        ({"units": [[1], [-1]]}, "units of trial 1 .*; expected whole numbers from 0 to 699"),
        ({"units": [[1], [1.0]]}, "units of trial 1 .*; expected whole numbers"),
        ({"labels": []}, "labels is .*; expected at least one trial"),
        ({"labels": [0.0, 1.0]}, "labels is .*; expected one whole number for each trial"),
        ({"labels": [0, 65536]}, "labels is 65536; expected 0 to 65535"),
        ({"labels": [0, -1]}, "labels is -1; expected 0 to 65535"),
        ({"speaker": [0]}, "number of speaker is 1; expected 2, one for each trial"),
        ({"keys": ["zero"]}, "number of keys is 1; expected at least 2"),
        ({"speaker": [0, 3], "speaker_names": ["a"]}, "number of speaker_names is 1; expected at least 4"),
        ({"source_files": ["a.wav"]}, "number of source_files is 1; expected 2, one for each trial"),
        ({"meta": {"a/b": 1}}, "name in meta is 'a/b'"),
        ({"meta": {"a": [[1]]}}, "extra/meta_info/a is .*; expected a number, a text, or a row"),
        ({"channels": 1 << 17}, "channels is 131072; expected at most 65536"),
    ],
)
def test_what_cannot_be_written_is_named(tmp_path, given, message):
    values = {"times_s": [[0.1], [0.2]], "units": [[1], [2]], "labels": [0, 1]} | given
    path = tmp_path / "s.h5"
    arguments = [values.pop(name) for name in ("times_s", "units", "labels")]
    if message is None:  # one of the first trials is not half precision: the file has float32
        layout.write(path, *arguments, **values)
        assert layout.read(path).trials.times_s.dtype == np.float32
        return
    with pytest.raises(InputError, match=message):
        layout.write(path, *arguments, **values)
    assert list(tmp_path.iterdir()) == []


def test_later_trials_do_not_lose_precision(tmp_path):
    # Protects from times that are rounded because the first trials were of half precision.
    half = [np.array([0.1], np.float16)] * 300
    units = [[1]] * 301
    with pytest.raises(InputError, match="type of times_s of trial 300 is 'float64'; expected float16"):
        layout.write(tmp_path / "s.h5", [*half, [0.1]], units, np.zeros(301, dtype=int))
