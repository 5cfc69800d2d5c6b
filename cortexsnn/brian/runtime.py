"""Brian2's runtime mode: the network runs inside this process, with NumPy or compiled Cython code."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager

import brian2
import numpy as np
import xarray as xr
from numpy.typing import NDArray
from tqdm.auto import tqdm

from cortexsnn.brian.build import assemble
from cortexsnn.brian.sources import Sources
from cortexsnn.brian.trials import TrialLayout, TrialResults, separate_trials
from cortexsnn.network import Network

__all__ = ["run_in_process"]


@contextmanager
def _preferences(target: str) -> Iterator[None]:
    """Choose Brian2's code generation target and float64, and put the user's choice back afterwards."""
    before = brian2.prefs.codegen.target, brian2.prefs.core.default_float_dtype
    brian2.prefs.codegen.target, brian2.prefs.core.default_float_dtype = target, np.float64
    try:
        yield
    finally:
        brian2.prefs.codegen.target, brian2.prefs.core.default_float_dtype = before


def run_in_process(
    network: Network,
    counts: dict[str, NDArray[np.uint8]],
    *,
    target: str,
    record_potential: Collection[str],
    progress: bool,
) -> xr.DataTree:
    """Run all trials in this process.

    Parameters
    ----------
    network : Network
    counts : dict of str to array, shape (trial, time, channel)
        Checked input spikes.
    target : {"numpy", "cython"}
    record_potential : collection of str
    progress : bool

    Returns
    -------
    xarray.DataTree
        A recording.
    """
    trials, steps = next(iter(counts.values())).shape[:2]
    layout = TrialLayout.for_network(network, trials, steps)
    rasters = {name: layout.raster(values) for name, values in counts.items()}
    sources = {name: Sources.for_counts(values) for name, values in counts.items()}
    with (
        _preferences(target),
        tqdm(total=layout.total_steps, desc=f"brian2 {target}", unit="step", delay=2, disable=not progress) as bar,
    ):
        simulation, _ = assemble(network, rasters, sources, record_potential)
        separate_trials(simulation, network, layout)

        def show(elapsed: brian2.Quantity, completed: float, start: brian2.Quantity, duration: brian2.Quantity) -> None:
            bar.update(round(completed * layout.total_steps) - bar.n)

        simulation.run(
            layout.total_steps * network.dt_s * brian2.second,
            report=show,
            report_period=1 * brian2.second,
            namespace={},
        )
    results = TrialResults(network, layout, record_potential)
    results.add(simulation, trials)
    return results.recording(counts, f"brian2 {target}")
