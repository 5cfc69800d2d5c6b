"""Many runs at once: each described by plain values, known by the hash of its description, run by Dask.

A run is any function that takes a description and a folder of its own and returns numbers; see `run_sweep`.
"""

from cortexsnn.sweeps.description import canonical, grid, run_hash, varied_keys
from cortexsnn.sweeps.store import load_sweep
from cortexsnn.sweeps.sweep import collect, run_sweep

__all__ = ["canonical", "collect", "grid", "load_sweep", "run_hash", "run_sweep", "varied_keys"]
