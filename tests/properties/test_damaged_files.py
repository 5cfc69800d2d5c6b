"""A damaged spike file is refused by name or read as valid spikes: no crash, no other error, no absurd use of memory.

Files are damaged and read in another process, so that a crash of the HDF5 library is seen, and the number of the file
that it was.
"""

import subprocess
import sys
from pathlib import Path

import pytest

# Of the whole process, imports and all.
MOST_MB = 250

# Bytes are flipped, zeroed, set to 0xff, cut off, moved or put in again at places that are drawn evenly over the file
# or near its start, where the structure is.
READ_DAMAGED = """
import resource, sys, warnings
from pathlib import Path
import h5py, numpy as np
from cortexsnn.datasets import layout
from cortexsnn.errors import InputError

warnings.simplefilter("error")
# Far more than the package itself takes, far less than what a damaged length asks for.
resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))

def whole_file(path, kind):
    rng = np.random.default_rng(0)
    times = [np.sort(rng.uniform(0, 1.4, n)).astype(np.float16) for n in (20, 0, 7, 35)]
    units = [rng.integers(0, 700, len(t)) for t in times]
    if kind == "written":
        layout.write(path, times, units, [0, 1, 2, 1], speaker=[0, 0, 1, 1], keys=["a", "b", "c"],
                     meta={"age": [30, 40]})
        return
    storage = {"chunks": (2,), "maxshape": (None,), "compression": "gzip", "shuffle": True}
    with h5py.File(path, "w", libver=("latest" if kind == "latest" else "earliest")) as file:
        for name, trials, dtype in (("times", times, np.float16), ("units", units, np.uint16)):
            made = file.create_dataset("spikes/" + name, (4,), h5py.vlen_dtype(dtype), **storage)
            for trial, values in enumerate(trials):
                made[trial] = values.astype(dtype)
        file.create_dataset("labels", data=np.array([0, 1, 2, 1], np.uint16), **storage)
        file["extra/speaker"] = [0, 0, 1, 1]
        file["extra/keys"] = ["a", "b", "c"]

def damaged(content, rng):
    content = bytearray(content)
    for _ in range(rng.integers(1, 9)):
        place = int(rng.integers(len(content)) if rng.random() < 0.5 else rng.integers(min(len(content), 4096)))
        size = int(rng.integers(1, 17))
        way = rng.integers(6)
        if way == 0:
            content[place] ^= 1 << int(rng.integers(8))
        elif way == 1:
            content[place : place + size] = bytes(len(content[place : place + size]))
        elif way == 2:
            content[place : place + size] = b"\\xff" * len(content[place : place + size])
        elif way == 3:
            content[place : place + size] = rng.bytes(len(content[place : place + size]))
        elif way == 4:
            other = int(rng.integers(len(content)))
            content[place : place + size] = content[other : other + len(content[place : place + size])]
        elif rng.random() < 0.3:
            del content[max(place, 1) :]
    return bytes(content)

folder, kind, first, last = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
whole_file(folder / "whole.h5", kind)
content = (folder / "whole.h5").read_bytes()
refused = 0
for number in range(first, last):
    print(number, file=sys.stderr, flush=True)
    path = folder / "damaged.h5"
    path.write_bytes(damaged(content, np.random.default_rng(number)))
    try:
        found = layout.read(path, progress=False)
    except InputError as error:
        assert "damaged.h5" in str(error.field) + str(error.value), error
        refused += 1
        continue
    trials = found.trials
    assert np.all(np.isfinite(trials.times_s)) and np.all(trials.times_s >= 0)
    assert trials.units.max(initial=0) < 700
    assert len(trials) == len(found.labels) <= 10_000
    assert found.labels.min() >= 0
# What getrusage says is that of the process that started this one, if that was larger.
status = Path("/proc/self/status")
high = [line for line in status.read_text().splitlines() if line.startswith("VmHWM")] if status.exists() else []
print(refused, int(high[0].split()[1]) >> 10 if high else 0)
"""


def read_damaged(folder: Path, kind: str, first: int, last: int) -> int:
    """How many of these damaged files were refused; fails if one was neither refused nor read."""
    command = [sys.executable, "-c", READ_DAMAGED, str(folder), kind, str(first), str(last)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    assert done.returncode == 0, f"exit {done.returncode}, last files and error: {done.stderr[-2000:]}"
    refused, peak_mb = map(int, done.stdout.split())
    assert peak_mb < MOST_MB
    return refused


@pytest.mark.parametrize("kind", ["written", "chunked", "latest"])
def test_some_damaged_files(tmp_path, kind):
    refused = read_damaged(tmp_path, kind, 0, 40)
    # Else the damage would be too slight to tell anything.
    assert refused >= 10


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["written", "chunked", "latest"])
def test_a_thousand_damaged_files(tmp_path, kind):
    assert read_damaged(tmp_path, kind, 40, 1040) >= 250
