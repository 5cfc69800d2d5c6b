"""Many runs: described, run by worker processes, killed in every way, and gathered in one table."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from filelock import FileLock

from cortexsnn import sweeps
from cortexsnn.errors import InputError
from cortexsnn.results import save_dataset
from cortexsnn.sweeps import record, store
from cortexsnn.sweeps import sweep as sweep_module

TESTS = Path(__file__).parents[1]


@pytest.fixture
def functions(monkeypatch):
    """Put tests/sweep_functions.py where worker processes, too, find it."""
    pytest.importorskip("distributed", reason="sweeps need the extra 'sweep'")
    monkeypatch.syspath_prepend(TESTS)
    monkeypatch.setenv("PYTHONPATH", str(TESTS))


def starts(folder, descriptions):
    """How often each run was started, in the order of the descriptions."""
    runs = [record.run_folder(folder, sweeps.run_hash(description)) for description in descriptions]
    return [len(list(run.glob("started-*"))) for run in runs]


# Descriptions


def test_hash_of_a_description_never_changes():
    # Frozen: with another hash, no sweep could be resumed by a later version.
    description = {"task": "mts_xor", "network": {"width": 64, "tau_ms": 20.0}, "seed": 0, "bias": None, "τ": [1, True]}
    assert sweeps.canonical(description) == (
        r'{"bias":null,"network":{"tau_ms":20.0,"width":64},"seed":0,"task":"mts_xor","\u03c4":[1,true]}'
    )
    assert sweeps.run_hash(description) == "bde30511e6914a6b"
    assert sweeps.run_hash(dict(reversed(description.items()))) == "bde30511e6914a6b"


@pytest.mark.parametrize(
    ("description", "said"),
    [
        ({"a": {"b": [0, float("nan")]}}, r"'a\.b\[1\]' of the description is nan; expected a finite number"),
        ({"a": float("-inf")}, "'a' of the description is -inf"),
        ({"a": {"b": np.int64(3)}}, r"'a\.b' of the description is np\.int64\(3\).*tolist"),
        ({"a": {"b": Path("x")}}, r"'a\.b' of the description is PosixPath"),
        ({"a": {1: 2}}, "a key in 'a' of the description is 1"),
        ({"a.b": 2}, "a key in description of a run is 'a.b'"),
        ([1], "description of a run is"),
    ],
)
def test_what_json_would_change_is_refused_by_its_path(description, said):
    with pytest.raises(InputError, match=said):
        sweeps.run_hash(description)


def test_grid_is_the_full_product_and_its_runs_are_independent():
    base = {"hierarchy": {"kind": "linear", "sizes": [1, 2]}, "task": "mts_xor"}
    runs = sweeps.grid(base, {"hierarchy.span_ms": np.array([-400, 0]), "width": (32, 64)}, seeds=range(2))
    found = [(run["hierarchy"]["span_ms"], run["width"], run["seed"]) for run in runs]
    assert found == [(span, width, seed) for span in (-400, 0) for width in (32, 64) for seed in (0, 1)]
    runs[0]["hierarchy"]["sizes"].append(3)
    assert runs[1]["hierarchy"] == {"kind": "linear", "sizes": [1, 2], "span_ms": -400}
    assert base == {"hierarchy": {"kind": "linear", "sizes": [1, 2]}, "task": "mts_xor"}
    assert sweeps.grid(base, {}) == [base]


@pytest.mark.parametrize(
    ("varied", "said"),
    [
        ({"hierachy.span_ms": [0]}, "'hierachy' of 'hierachy.span_ms' in the grid is 'hierachy'; expected one of hier"),
        ({"hierarchy.inner.x": [0]}, "'inner' of 'hierarchy.inner.x'.*no groups"),
        ({"task.name": [0]}, "'task' of 'task.name'"),
        ({"width": []}, "values of 'width'"),
        ({"width": "wide"}, "values of 'width' in the grid is 'wide'; expected a list"),
        ({"width": 3}, "values of 'width'"),
        ({"hierarchy.kind": ["linear"], "hierarchy": [{}]}, "'hierarchy.kind' in the grid.*outside 'hierarchy'"),
        ({"seed": [0]}, "'seed' in the grid"),
        ({"width": [float("nan")]}, "'width' of the description is nan"),
    ],
)
def test_grid_refuses(varied, said):
    with pytest.raises(InputError, match=said):
        sweeps.grid({"hierarchy": {"kind": "linear"}, "task": "mts_xor"}, varied, seeds=[0])


def test_varied_keys_are_those_that_differ_or_are_missing():
    runs = [{"a": 1, "b": {"c": [1], "d": 0}}, {"a": 1, "b": {"c": [2], "d": 0}, "e": {}}]
    assert sweeps.varied_keys(runs) == ["b.c", "e"]
    assert sweeps.varied_keys(runs[:1]) == []


# What a run leaves


def test_damaged_files_of_a_run_are_named(tmp_path):
    description = {"x": 1}
    run = record.run_folder(tmp_path, sweeps.run_hash(description))
    assert record.read_record(run) is None
    record.write_description(run, description)
    assert record.read_record(run) is None
    record.write_failure(run, ValueError("no"), 0.5)
    assert record.read_record(run).status == "failed"
    assert record.read_record(run).traceback == "ValueError: no\n"
    record.write_result(run, {"y": float("nan")}, 0.5)
    assert record.read_record(run).status == "done"
    record.write_description(run, {"x": 2})
    with pytest.raises(InputError, match="changed by hand; remove this folder"):
        record.read_record(run)
    (run / "result.json").write_text('{"row": ')
    with pytest.raises(InputError, match=r"files of a run.*remove this folder"):
        record.read_record(run)


@pytest.mark.parametrize(
    "returned", [3, {"a": object()}, {"a": [[1]]}, {"a": None}, {"a/b": 1}, {"": 1}, {1: 1}, {"a": ["x"]}]
)
def test_rows_hold_numbers_lists_and_texts_only(returned):
    with pytest.raises(InputError):
        record.checked_row(returned)


def finished(description, row, traceback=""):
    status = "failed" if traceback else "done"
    return record.Record(sweeps.run_hash(description), description, status, row, traceback, 1.5, {"numpy": "2"})


def test_table_keeps_what_differs_and_what_came_out(tmp_path):
    records = [
        finished(
            {"n": {"tau": 20, "kind": "a"}, "seed": 0, "status": 1}, {"tau": [1.0, 2.0], "seed": 7.0, "note": "τ"}
        ),
        finished({"n": {"tau": 2.5, "kind": "a"}, "seed": 1, "status": 2}, {"tau": [], "note": 3.0, "hash": 1.0}),
        finished({"n": {"tau": None, "kind": None}, "seed": 2, "status": 3}, {}, "zero \0 and half \udc80"),
    ]
    table = store.tabulate(records, "module:function")
    save_dataset(table, tmp_path / "sweep.nc")
    xr.testing.assert_identical(sweeps.load_sweep(tmp_path / "sweep.nc"), table)
    assert list(table.coords) == ["hash", "n.tau", "n.kind", "seed", "description.status"]
    np.testing.assert_array_equal(table["n.tau"], [20, 2.5, np.nan])
    assert table["n.kind"].to_numpy().tolist() == ["a", "a", ""]
    assert table["seed"].dtype == np.int64
    assert table["tau"].dims == ("run", "tau_index")
    np.testing.assert_array_equal(table["tau"], [[1, 2], [np.nan, np.nan], [np.nan, np.nan]])
    assert table["note"].to_numpy().tolist() == ["τ", "3.0", ""]
    np.testing.assert_array_equal(table["result.seed"], [7, np.nan, np.nan])
    np.testing.assert_array_equal(table["result.hash"], [np.nan, 1, np.nan])
    assert table["status"].to_numpy().tolist() == ["done", "done", "failed"]
    assert table["traceback"].to_numpy().tolist() == ["", "", r"zero \0 and half \udc80"]
    assert json.loads(str(table["description"][2].item())) == records[2].description


@pytest.mark.parametrize("rows", [[], [{"lags": []}, {"lags": [], "lags_index": 2.0}]])
def test_tables_of_nothing_can_be_kept(rows, tmp_path):
    table = store.tabulate([finished({"x": x}, row) for x, row in enumerate(rows)], "module:function")
    save_dataset(table, tmp_path / "sweep.nc")
    xr.testing.assert_identical(sweeps.load_sweep(tmp_path / "sweep.nc"), table)
    assert table.sizes["run"] == len(rows)


# Sweeps that do not begin


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"function": "powers"}, "function of the sweep is 'powers'; expected 'module:function'"),
        ({"function": "sweep_functions:power"}, "'sweep_functions' has no function 'power'"),
        ({"function": "sweep_function:powers"}, "No module named 'sweep_function'; is it on PYTHONPATH"),
        ({"function": print}, "workers find it by name"),
        ({"descriptions": []}, "descriptions is"),
        ({"descriptions": {"x": 1}}, "expected a list of at least one description"),
        ({"workers": 0}, "workers is 0"),
        ({"workers": 2, "scheduler": "tcp://host:1"}, "it has its own workers"),
        ({"scheduler": "somewhere"}, "scheduler is 'somewhere'; expected the address of a running Dask scheduler"),
    ],
)
def test_what_cannot_be_swept_is_refused(arguments, said, functions, tmp_path):
    given = {"descriptions": [{"x": 1}], "function": "sweep_functions:powers", "folder": tmp_path} | arguments
    with pytest.raises(InputError, match=said):
        sweeps.run_sweep(**given, progress=False)


def test_one_driver_and_one_function_for_a_folder(functions, tmp_path):
    with FileLock(tmp_path / "sweep.lock"), pytest.raises(InputError, match="no other process is sweeping into"):
        sweeps.run_sweep([{"x": 1}], "sweep_functions:powers", tmp_path)
    (tmp_path / "sweep.json").write_text(json.dumps({"schema": store.SCHEMA, "function": "other:one", "runs": []}))
    with pytest.raises(InputError, match=r"expected 'other:one', as before\. choose another folder"):
        sweeps.run_sweep([{"x": 1}], "sweep_functions:powers", tmp_path)
    (tmp_path / "sweep.json").write_text("{}")
    with pytest.raises(InputError, match="a file that run_sweep wrote"):
        sweeps.collect(tmp_path)


def test_without_dask_the_message_says_what_to_install(functions, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'cortexsnn\[sweep\]'"):
        sweeps.run_sweep([{"x": 1}], "sweep_functions:powers", tmp_path)


# Sweeps with worker processes


def test_failures_are_kept_and_the_rest_goes_on_and_nothing_runs_twice(functions, tmp_path, monkeypatch):
    runs = sweeps.grid({"group": {}, "refused": 1}, {"group.x": [0, 1, 2]})
    function = "sweep_functions:powers"
    table = sweeps.run_sweep([*runs, runs[0]], function, tmp_path, workers=2, progress=False)
    assert table["group.x"].to_numpy().tolist() == [0, 1, 2]
    assert table["status"].to_numpy().tolist() == ["done", "failed", "done"]
    np.testing.assert_array_equal(table["square"], [0, np.nan, 4])
    np.testing.assert_array_equal(table["powers"][2], [1, 2, 4])
    assert "in powers\n" in table["traceback"][1].item()
    assert table["traceback"][1].item().endswith("ValueError: 1 is refused\n")
    assert np.isfinite(table["seconds"]).all()

    with monkeypatch.context() as patch:
        patch.setattr(sweep_module, "connected", lambda *_: pytest.fail("there is nothing to run"))
        xr.testing.assert_identical(sweeps.run_sweep(runs[::-1], function, tmp_path, progress=False), table)
    xr.testing.assert_identical(sweeps.load_sweep(tmp_path / "sweep.nc"), table)
    xr.testing.assert_identical(sweeps.collect(tmp_path), table)
    assert starts(tmp_path, runs) == [1, 1, 1]

    more = sweeps.grid({"group": {}, "refused": 1}, {"group.x": [1, 3]})
    table = sweeps.run_sweep(more, function, tmp_path, workers=1, retry_failed=True, progress=False)
    assert table["group.x"].to_numpy().tolist() == [0, 1, 2, 3]
    assert table["status"].to_numpy().tolist() == ["done", "failed", "done", "done"]
    assert starts(tmp_path, [*runs, more[1]]) == [1, 2, 1, 1]


def test_a_run_that_returns_something_else_fails(functions, tmp_path):
    table = sweeps.run_sweep([{"x": 1}], "sweep_functions:wrong", tmp_path, workers=1, progress=False)
    assert "result 'network' is <object object at" in table["traceback"].item()


def test_any_scheduler_by_address(functions, tmp_path):
    from distributed import LocalCluster

    with LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0") as cluster:
        address = cluster.scheduler_address
        table = sweeps.run_sweep(
            [{"x": 1}, {"x": 2}], "sweep_functions:looks_around", tmp_path, scheduler=address, progress=False
        )
        pids = {worker.pid for worker in cluster.workers.values()}
    assert set(table["process"].to_numpy()) == pids
    assert not table["asks_scheduler"].any()


def test_runs_have_one_thread_each(functions, tmp_path):
    table = sweeps.run_sweep([{"x": 1}], "sweep_functions:looks_around", tmp_path, workers=1, progress=False)
    assert table["threads"].item() == 1
    assert table["process"].item() != os.getpid()


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_a_run_whose_worker_is_killed_is_tried_again_and_others_are_not_blamed(workers, functions, tmp_path):
    runs = sweeps.grid({}, {"kills": [1, 9, 0]})
    import dask

    with dask.config.set({"distributed.scheduler.allowed-failures": 1}):
        table = sweeps.run_sweep(runs, "sweep_functions:kills_its_worker", tmp_path, workers=workers, progress=False)
    assert table["status"].to_numpy().tolist() == ["done", "failed", "done"]
    np.testing.assert_array_equal(table["tries"], [2, np.nan, 1])
    assert "2 workers were killed while they were at this run" in table["traceback"][1].item()
    assert starts(tmp_path, runs) == [2, 2, 1]


@pytest.mark.slow
def test_a_verdict_of_another_scheduler_is_kept(functions, tmp_path):
    import dask
    from distributed import LocalCluster

    with dask.config.set({"distributed.scheduler.allowed-failures": 0}):
        cluster = LocalCluster(n_workers=1, threads_per_worker=1, dashboard_address="127.0.0.1:0")
    with cluster:
        table = sweeps.run_sweep(
            sweeps.grid({}, {"kills": [9]}),
            "sweep_functions:kills_its_worker",
            tmp_path,
            scheduler=cluster.scheduler_address,
            progress=False,
        )
    assert "KilledWorker: Attempted to run task" in table["traceback"].item()
    assert np.isnan(table["seconds"].item())


@pytest.mark.slow
def test_a_run_that_leaves_the_process_is_a_failure_with_its_traceback(functions, tmp_path):
    table = sweeps.run_sweep([{"x": 1}], "sweep_functions:leaves", tmp_path, workers=1, progress=False)
    assert table["traceback"].item().endswith("SystemExit: no way on\n")
    assert starts(tmp_path, [{"x": 1}]) == [1]


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
def test_a_stopped_driver_loses_only_the_runs_in_flight(how, functions, tmp_path):
    gate = tmp_path / "gate"
    folder = tmp_path / "sweep"
    runs = [{"x": x, "waits": x > 1, "gate": str(gate)} for x in range(6)]
    code = (
        "import json, sys; from cortexsnn.sweeps import run_sweep;"
        f"run_sweep(json.loads(sys.argv[1]), 'sweep_functions:waits', {str(folder)!r}, workers=2)"
    )
    command = [sys.executable, "-W", "error", "-c", code, json.dumps(runs)]
    driver = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True)
    while starts(folder, runs) != [1, 1, 1, 1, 0, 0]:
        assert driver.poll() is None
        time.sleep(0.02)
    # As a terminal does: all of its processes are interrupted; only the driver is killed.
    (os.kill if how == signal.SIGKILL else os.killpg)(driver.pid, how)
    _, said = driver.communicate()
    assert driver.returncode == -how
    if how == signal.SIGINT:
        assert sweeps.load_sweep(folder / "sweep.nc")["x"].to_numpy().tolist() == [0, 1]
        assert "Warning" not in said
    assert sweeps.collect(folder)["x"].to_numpy().tolist() == [0, 1]

    gate.touch()
    table = sweeps.run_sweep(runs, "sweep_functions:waits", folder, workers=2, progress=False)
    assert table["x"].to_numpy().tolist() == list(range(6))
    assert set(table["status"].to_numpy()) == {"done"}
    counted = starts(folder, runs)
    # A worker that has not yet seen that its driver is gone may end its run, which is then taken as it is.
    assert counted[:2] + counted[4:] == [1, 1, 1, 1]
    assert set(counted[2:4]) <= {1, 2}
