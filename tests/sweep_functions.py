"""What the sweeps of the tests run, in worker processes that find this module by name."""

import os
import signal
import sys
import time
import uuid
from pathlib import Path

import xarray as xr


def started(folder):
    """How often a run was started in its folder."""
    return len(list(folder.glob("started-*")))


def _start(folder):
    (folder / f"started-{uuid.uuid4().hex}").touch()


def powers(description, folder):
    _start(folder)
    x = description["group"]["x"]
    if x == description.get("refused"):
        raise ValueError(f"{x} is refused")
    return {"square": x**2, "powers": [float(x**k) for k in range(x + 1)], "label": f"x{x}", "x": -x}


def looks_around(description, folder):
    """What a run finds: threads for arithmetic, its process, and whether a file can be written without Dask."""
    from distributed import get_worker

    xr.Dataset({"x": ("i", [1.0])}).to_netcdf(folder / "x.nc", engine="h5netcdf")
    asks_scheduler = get_worker()._client is not None
    return {"threads": int(os.environ["OMP_NUM_THREADS"]), "process": os.getpid(), "asks_scheduler": asks_scheduler}


def wrong(description, folder):
    return {"network": object()}


def leaves(description, folder):
    """Run into what is not an ordinary exception."""
    _start(folder)
    sys.exit("no way on")


def kills_its_worker(description, folder):
    """Kill the worker as often as the description says, then succeed."""
    _start(folder)
    tries = started(folder)
    if tries <= description["kills"]:
        os.kill(os.getpid(), signal.SIGKILL)
    return {"tries": tries}


def waits(description, folder):
    """Return at once, or wait until a file is there."""
    _start(folder)
    while description["waits"] and not Path(description["gate"]).exists():
        time.sleep(0.01)
    return {"x": description["x"]}
