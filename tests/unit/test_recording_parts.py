"""A long run is written in parts and joined into the file that one go would have made, in little memory."""

import shutil
import tracemalloc

import h5netcdf
import h5py
import numpy as np
import pytest
import xarray as xr

from cortexsnn import recording
from cortexsnn.errors import InputError
from cortexsnn.recording import RecordedPopulation

TRIALS, STEPS = 3, 30


def run(seed=0, trials=TRIALS, steps=STEPS):
    """Counts and potentials of a whole run, by population; the input has several spikes of a channel in a step."""
    rng = np.random.default_rng(seed)
    return {
        "input": ("input", rng.poisson(0.4, (trials, steps, 5)), None),
        "readout": ("readout", np.zeros((trials, steps, 2), dtype=int), rng.normal(size=(trials, steps, 2))),
    }


def deep_run(precision=np.float64):
    """With a layer that fires, in the precision of some simulator, and one that does not."""
    rng, shape, outer = np.random.default_rng(1), (TRIALS, STEPS, 4), run()
    return {
        "input": outer["input"],
        "hidden1": ("lif", rng.integers(0, 2, shape), rng.normal(size=shape).astype(precision)),
        "silent": ("lif", np.zeros((TRIALS, STEPS, 3), dtype=int), None),
        "readout": outer["readout"],
    }


def make(populations, trials=slice(None), steps=slice(None), dt_s=0.0007, network="0123456789abcdef", **options):
    """A recording of some trials and steps of a run."""
    cut = {
        name: (kind, counts[trials, steps], None if potential is None else potential[trials, steps])
        for name, (kind, counts, potential) in populations.items()
    }
    recorded = [RecordedPopulation.from_counts(name, *values) for name, values in cut.items()]
    shape = next(iter(cut.values()))[1].shape
    return recording.make_recording(
        recorded, dt_s=dt_s, trials=shape[0], steps=shape[1], source="reference", network=network,
        description={"seed": 1}, **options,
    )  # fmt: skip


def by_trials(*ends):
    """Parts of whole trials: (first trial, first step, trials, steps) of each."""
    starts = (0, *ends[:-1])
    return [(start, 0, slice(start, end), slice(None)) for start, end in zip(starts, ends, strict=True)]


def by_steps(*ends, trials=TRIALS):
    """Parts of some steps of one trial."""
    starts = (0, *ends[:-1])
    return [
        (trial, start, slice(trial, trial + 1), slice(start, end))
        for trial in range(trials)
        for start, end in zip(starts, ends, strict=True)
    ]


def save_parts(folder, populations, layout, **options):
    paths = []
    for first_trial, first_step, trials, steps in layout:
        part = recording.mark(
            make(populations, trials, steps, **options), first_trial=first_trial, first_step=first_step
        )
        paths.append(folder / f"part{len(paths)}.nc")
        recording.save(part, paths[-1])
    return paths


def assert_same_files(left, right):
    """Two netCDF files that say the same: structure, types, filters, attributes and values."""

    def walk(group, path=""):
        yield path, dict(group.attrs), {name: size.size for name, size in group.dimensions.items()}
        for name, variable in group.variables.items():
            filters = (variable.chunks, variable.compression, variable.compression_opts, variable.shuffle)
            attributes = {
                key: np.asarray(value).tolist() for key, value in variable.attrs.items() if key != "_FillValue"
            }
            yield f"{path}/{name}", variable.dimensions, variable.dtype, attributes, filters, variable[...].tolist()
            yield "_FillValue" in variable.attrs
        for name, child in group.groups.items():
            yield from walk(child, f"{path}/{name}")

    with h5netcdf.File(left) as one, h5netcdf.File(right) as other:
        assert list(walk(one)) == list(walk(other))


LAYOUTS = {
    "blocks of trials": by_trials(1, 3),
    "blocks of steps": by_steps(7, 30),
    "both": by_trials(2) + by_steps(7, 30)[4:],
}


@pytest.mark.parametrize(("layout", "precision"), [*((layout, np.float64) for layout in LAYOUTS), ("both", np.float32)])
def test_joined_parts_are_the_recording_in_one_go(tmp_path, layout, precision):
    # Protects every result of a long run: nothing may depend on how it was cut.
    populations = deep_run(precision)
    made = make(populations)
    recording.save(made, tmp_path / "one_go.nc")
    parts = save_parts(tmp_path, populations, LAYOUTS[layout])
    recording.join(parts, tmp_path / "joined.nc", trials=TRIALS, steps=STEPS)
    joined = recording.load(tmp_path / "joined.nc")
    xr.testing.assert_identical(joined, made)
    assert recording.populations(joined) == recording.populations(made)
    for name in made.children:
        assert {v: d.dtype for v, d in joined[name].variables.items()} == {
            v: d.dtype for v, d in made[name].variables.items()
        }
    assert joined["hidden1"]["potential"].dtype == precision
    assert_same_files(tmp_path / "joined.nc", tmp_path / "one_go.nc")


@pytest.mark.parametrize("compression", [0, 4])
def test_compression_is_that_of_save(tmp_path, compression):
    populations = run()
    recording.save(make(populations), tmp_path / "one_go.nc", compression=compression)
    parts = save_parts(tmp_path, populations, by_trials(1, 3))
    recording.join(parts, tmp_path / "joined.nc", trials=TRIALS, steps=STEPS, compression=compression)
    assert_same_files(tmp_path / "joined.nc", tmp_path / "one_go.nc")


def test_blocks_smaller_than_a_part_change_nothing(tmp_path, monkeypatch):
    # Protects the copying in blocks, which parts of this size would not need.
    monkeypatch.setattr(recording.parts, "_BLOCK", 37)
    populations = deep_run()
    parts = save_parts(tmp_path, populations, by_steps(13, 30))
    recording.join(parts, tmp_path / "joined.nc", trials=TRIALS, steps=STEPS)
    xr.testing.assert_identical(recording.load(tmp_path / "joined.nc"), make(populations))


def labelled(made, label, **attributes):
    nodes = {f"/{name}": node.to_dataset(inherit=False) for name, node in made.children.items()}
    root = made.to_dataset().assign(label=("trial", label)).assign_attrs(attributes)
    return xr.DataTree.from_dict({"/": root} | nodes)


def test_what_else_is_noted_of_trials_is_kept(tmp_path):
    # Labels and the burn-in are added to recordings for the measurement of timescales.
    populations, label = run(), np.array([3, 1, 2])
    paths = []
    for first_trial, first_step, trials, steps in by_trials(2) + by_steps(9, 30)[4:]:
        part = labelled(make(populations, trials, steps), label[trials], burn_in_ms=2.5)
        paths.append(tmp_path / f"part{len(paths)}.nc")
        recording.save(recording.mark(part, first_trial=first_trial, first_step=first_step), paths[-1])
    recording.join(paths, tmp_path / "joined.nc", trials=TRIALS, steps=STEPS)
    xr.testing.assert_identical(
        recording.load(tmp_path / "joined.nc"), labelled(make(populations), label, burn_in_ms=2.5)
    )
    with h5py.File(paths[-1], "a") as file:
        file["label"][0] = 7
    with pytest.raises(InputError, match=r"label of .*part2.nc is \[7\]; expected \[2\], as in the steps before"):
        recording.join(paths, tmp_path / "joined.nc", trials=TRIALS, steps=STEPS)


def test_a_mark_leaves_the_recording_as_it_was():
    made = make(run())
    marked = recording.mark(made, first_trial=3, first_step=12)
    assert (marked.attrs["first_trial"], marked.attrs["first_step"]) == (3, 12)
    assert "first_trial" not in made.attrs
    with pytest.raises(InputError, match="first_trial is -1; expected a whole number of at least 0"):
        recording.mark(made, first_trial=-1)
    with pytest.raises(InputError, match=r"first_step is 0.5"):
        recording.mark(made, first_step=0.5)


def test_joining_takes_far_less_memory_than_the_whole(tmp_path):
    # Protects long runs: an hour of activity does not fit in memory, its parts do.
    rng, steps = np.random.default_rng(0), 20_000
    counts = (rng.random((1, steps, 50)) < 0.1).astype(np.uint8)
    populations = {"hidden1": ("lif", counts, rng.normal(size=(1, steps, 50)).astype(np.float32))}
    part = make(populations)
    recording.save(part, tmp_path / "part0.nc", compression=0)
    parts = [tmp_path / f"part{number}.nc" for number in range(8)]
    for number, path in enumerate(parts):
        if number:
            shutil.copy(parts[0], path)
        with h5py.File(path, "a") as file:
            file.attrs["first_step"] = steps * number
    whole_bytes = 8 * part["hidden1"].nbytes
    tracemalloc.start()
    recording.join(parts, tmp_path / "joined.nc", trials=1, steps=8 * steps)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    with h5py.File(tmp_path / "joined.nc") as file:
        assert file["hidden1/spike_step"].shape == (8 * counts.sum(),)
        assert file["hidden1/spike_step"][-1] == part["hidden1"]["spike_step"][-1] + 7 * steps
    assert whole_bytes > 45e6
    assert peak < whole_bytes / 6


# --- parts that are refused -----------------------------------------------------------------------------------


def refused(paths, message, trials=TRIALS, steps=STEPS):
    target = paths[0].parent / "joined.nc" if paths else None
    with pytest.raises(InputError, match=message):
        recording.join(paths, target, trials=trials, steps=steps)
    if target is not None:
        assert not list(target.parent.glob("*joined*"))  # neither a file nor a half of one


def test_parts_follow_each_other(tmp_path):
    parts = save_parts(tmp_path, run(), by_trials(1, 2, 3))
    missing, twice = "a part is missing before it", "this was there before; parts are in order"
    refused([parts[0], parts[2]], f"start of .*part2.nc is 'trial 2, step 0'; expected trial 1, step 0. {missing}")
    refused([parts[0], parts[0]], f"start of .*part0.nc is 'trial 0, step 0'; expected trial 1, step 0. {twice}")
    refused([parts[1], parts[0]], f"start of .*part1.nc is .*; expected trial 0, step 0. {missing}")
    refused(parts[:2], "end of the parts is 'trial 2, step 0'; expected trial 3, step 0, where the run ends")
    refused(parts, "trials of .*part2.nc is '1 from trial 2'; expected 2 in all", trials=2)
    with pytest.raises(InputError, match="end of the parts is 'trial 0, step 0'"):
        recording.join([], tmp_path / "joined.nc", trials=1, steps=1)


def test_steps_follow_each_other(tmp_path):
    parts = save_parts(tmp_path, run(), by_steps(10, 20, 30)[:4])
    refused([parts[0], parts[2]], "start of .*part2.nc is 'trial 0, step 20'; expected trial 0, step 10")
    refused([*parts[:2], parts[3]], "start of .*part3.nc is 'trial 1, step 0'; expected trial 0, step 20")
    refused([*parts[:2], parts[1]], "start of .*part1.nc is 'trial 0, step 10'; expected trial 0, step 20")
    refused(parts, "end of the parts is 'trial 1, step 10'; expected trial 3, step 0")
    refused(parts, "content of .*part2.nc is 'steps 20 to 29 of 1 trials'; expected whole trials of 25 steps", steps=25)


def test_steps_of_several_trials_are_no_part(tmp_path):
    # Protects the order of spikes: those of trial 0 in the next part would come after those of trial 1 in this one.
    layout = [(0, 0, slice(None), slice(0, 10)), (0, 10, slice(None), slice(10, 30))]
    refused(save_parts(tmp_path, run(), layout), "content of .*part0.nc is 'steps 0 to 9 of 3 trials'; expected whole")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"dt_s": 0.001}, "dt_s of .*part0.nc is 0.001; expected 0.0007, as in .*first.nc. all parts are of one run"),
        ({"network": "another"}, "network of .*part0.nc is 'another'; expected '0123456789abcdef', as in .*first.nc"),
    ],
)
def test_parts_are_of_one_run(tmp_path, options, message):
    populations = run()
    first, second = by_trials(1, 3)
    kept = save_parts(tmp_path, populations, [first])[0].rename(tmp_path / "first.nc")
    refused([kept, *save_parts(tmp_path, populations, [second], **options)], message)


def without(populations):
    return {name: values for name, values in populations.items() if name != "silent"}


def narrower(populations):
    return populations | {"silent": ("lif", np.zeros((TRIALS, STEPS, 2), dtype=int), None)}


def without_potential(populations):
    return populations | {"readout": (*populations["readout"][:2], None)}


def less_precise(populations):
    kind, counts, potential = populations["readout"]
    return populations | {"readout": (kind, counts, potential.astype(np.float32))}


def of_another_kind(populations):
    return populations | {"silent": ("readout", *populations["silent"][1:])}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (without, "populations of .*part0.nc is .*; expected .*'silent'.*, as in .*first.nc"),
        (narrower, "number of neurons of 'silent' of .*part0.nc is 2; expected 3, as in .*first.nc"),
        (without_potential, "type of potential of 'readout' of .*part0.nc is None; expected 'float64 on trial, time"),
        (less_precise, "type of potential of 'readout' of .*part0.nc is 'float32 on trial, time, neuron'; expected"),
        (of_another_kind, "kind of 'silent' of .*part0.nc is 'readout'; expected 'lif', as in .*first.nc"),
    ],
)
def test_parts_have_the_same_populations(tmp_path, change, message):
    first, second = by_trials(1, 3)
    kept = save_parts(tmp_path, deep_run(), [first])[0].rename(tmp_path / "first.nc")
    refused([kept, *save_parts(tmp_path, change(deep_run()), [second])], message)


def test_other_neurons_are_named(tmp_path):
    parts = save_parts(tmp_path, run(), by_trials(1, 3))
    with h5py.File(parts[1], "a") as file:
        file["readout/neuron"][0] = 9
    refused(parts, r"neuron of 'readout' of .*part1.nc is \[9, 1\]; expected \[0, 1\]")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda file: file["input/spike_step"].__setitem__(21, 0),
            "spikes of 'input' in .*part1.nc is",
        ),
        (lambda file: file["input/spike_neuron"].__setitem__(0, 5), "spike_neuron of 'input' in .*part1.nc is 5"),
        (lambda file: file["input/spike_trial"].__setitem__(-1, 2), "spike_trial of 'input' in .*part1.nc is 2"),
        (lambda file: file.attrs.__setitem__("first_trial", -1), "first_trial of .*part1.nc is"),
        (lambda file: file.attrs.__setitem__("first_step", 0.5), "first_step of .*part1.nc is .*0.5"),
        (
            lambda file: file["trial_duration_s"].__setitem__(0, 0.007),
            "spike_step|steps of the trials of .*part1.nc is",
        ),
        (lambda file: file.attrs.__setitem__("schema", "x"), "schema of .*part1.nc is 'x'"),
        (lambda file: file.__delitem__("readout/spike_step"), "population 'readout' of .*part1.nc"),
    ],
)
@pytest.mark.parametrize("block", [21, 10**6])
def test_every_part_is_checked(tmp_path, monkeypatch, change, message, block):
    # Spike 21 is the first of a block of 21: the order is checked across blocks too.
    monkeypatch.setattr(recording.parts, "_BLOCK", block)
    parts = save_parts(tmp_path, run(), by_trials(1, 3))
    with h5py.File(parts[1], "a") as file:
        change(file)
    refused(parts, message)


def test_a_potential_covers_the_steps_of_its_part(tmp_path):
    # Protects the steps of the next part from being overwritten.
    populations = run()
    kind, counts, potential = populations["readout"]
    parts = save_parts(
        tmp_path, populations | {"readout": (kind, counts, np.repeat(potential, 2, axis=1))}, by_trials(4)
    )
    refused(parts, "steps of the potential of 'readout' in .*part0.nc is 60; expected 30")


def test_missing_and_truncated_parts_are_named(tmp_path):
    parts = save_parts(tmp_path, run(), by_trials(1, 3))
    refused([parts[0], tmp_path / "nowhere.nc"], r"recording file is .*nowhere.nc'; expected an existing file")
    parts[1].write_bytes(parts[1].read_bytes()[:2000])
    refused(parts, r"recording file is .*part1.nc'; expected a complete HDF5 file")


def test_an_interrupted_join_leaves_the_old_file(tmp_path, monkeypatch):
    parts = save_parts(tmp_path, run(), by_trials(1, 3))
    recording.join(parts, tmp_path / "joined.nc", trials=TRIALS, steps=STEPS)
    before = (tmp_path / "joined.nc").read_bytes()

    def stopped(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(recording.parts, "_copy", stopped)
    with pytest.raises(KeyboardInterrupt):
        recording.join(parts, tmp_path / "joined.nc", trials=TRIALS, steps=STEPS)
    assert (tmp_path / "joined.nc").read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 3


@pytest.mark.parametrize(("field", "value"), [("trials", 0), ("steps", 1.5)])
def test_sizes_of_the_whole_are_checked(tmp_path, field, value):
    sizes = {"trials": 1, "steps": 1} | {field: value}
    with pytest.raises(InputError, match=f"{field} is {value}; expected a whole number of at least 1"):
        recording.join([], tmp_path / "joined.nc", **sizes)
