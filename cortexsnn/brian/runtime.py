"""Brian2's runtime mode: the network runs inside this process, with NumPy or compiled Cython code."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import brian2
import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from cortexsnn.brian.blocks import Counts, Monitored
from cortexsnn.brian.build import Plan, assemble
from cortexsnn.brian.layout import TrialState
from cortexsnn.brian.values import ValueName, set_values, start_values
from cortexsnn.errors import InputError

__all__ = ["monitored", "open_runtime", "preferences"]

_Values = Mapping[ValueName, NDArray[np.floating]]


@contextmanager
def preferences(target: str, precision: str) -> Iterator[None]:
    """Choose Brian2's code generation target and precision, and put the user's choice back afterwards.

    Parameters
    ----------
    target : {"numpy", "cython"}
    precision : {"float64", "float32"}

    Yields
    ------
    None
    """
    before = brian2.prefs.codegen.target, brian2.prefs.core.default_float_dtype
    brian2.prefs.codegen.target = target
    brian2.prefs.core.default_float_dtype = np.dtype(precision).type
    try:
        with warnings.catch_warnings():
            # Brian2 compares every state with 1e50, which float32 does not have.
            warnings.filterwarnings("ignore", message="overflow encountered in cast", category=RuntimeWarning)
            yield
    finally:
        brian2.prefs.codegen.target, brian2.prefs.core.default_float_dtype = before


@contextmanager
def _random_numbers(seed: int | None) -> Iterator[None]:
    """Seed Brian2, and give the user's global generator of NumPy its state back afterwards."""
    if seed is None:
        yield
        return
    before = np.random.get_state()  # noqa: NPY002
    brian2.seed(seed)
    try:
        yield
    finally:
        brian2.seed()
        np.random.set_state(before)  # noqa: NPY002


@contextmanager
def _units_named() -> Iterator[None]:
    """Say in which object units do not match; Brian2 says so at the end of a long story."""
    try:
        yield
    except brian2.BrianObjectException as error:
        if not isinstance(error.__cause__, brian2.DimensionMismatchError):
            raise
        name = re.search(r"object named '(\w+)'", str(error))
        raise InputError(f"units in '{name.group(1) if name else 'the circuit'}'", str(error.__cause__),
                         "units that match", "cortexsnn.brian.explain shows all code") from error  # fmt: skip


def monitored(plan: Plan, simulation: brian2.Network) -> Monitored:
    """Read the monitors of a network that has been run.

    Parameters
    ----------
    plan : Plan
    simulation : brian2.Network

    Returns
    -------
    Monitored
    """
    spikes = {}
    for population in plan.network.hidden:
        monitor = simulation[f"{population.name}_spikes"]
        spikes[population.name] = (
            np.rint(np.asarray(monitor.t) / plan.network.dt_s).astype(np.int64),
            np.asarray(monitor.i),
        )
    return Monitored(
        spikes,
        {name: np.asarray(simulation[f"{name}_potential"].v).T for name in plan.with_potential},
        {
            (name, variable): np.array(getattr(simulation[name], f"{variable}_")[:])
            for name, variables in plan.state.items()
            for variable in variables
        }
        if plan.continuing
        else {},
    )


class RuntimeRunner:
    """Runs blocks inside this process.

    Parameters
    ----------
    plan : Plan
    values : mapping from (object, variable) to array
        Numbers of the network (`cortexsnn.brian.values.circuit_values`).
    target : {"numpy", "cython"}
    precision : {"float64", "float32"}
    progress : bool
    """

    def __init__(self, plan: Plan, values: _Values, target: str, precision: str, progress: bool) -> None:
        self.plan, self.values, self.progress = plan, values, progress
        self.target, self.precision = target, precision

    def run(
        self,
        counts: Counts,
        before: Counts | None = None,
        state: TrialState | None = None,
        seed: int | None = None,
    ) -> Monitored:
        """Run one block (`cortexsnn.brian.blocks.Runner`)."""
        plan = self.plan
        total = plan.layout.total_steps
        rasters = {n: plan.layout.raster(c, None if before is None else before[n]) for n, c in counts.items()}
        with (
            preferences(self.target, self.precision),
            _random_numbers(seed),
            tqdm(total=total, desc=f"brian2 {self.target}", unit="step", delay=2, disable=not self.progress) as bar,
        ):
            assembled = assemble(plan, rasters)
            set_values(assembled.simulation, {**self.values, **start_values(plan.models, plan.started, state)})
            if state is not None:
                for name, table in assembled.replays.items():
                    table.values[:-1] = state.spikes.get(name, 0)

            def show(
                elapsed: brian2.Quantity, completed: float, start: brian2.Quantity, duration: brian2.Quantity
            ) -> None:
                bar.update(round(completed * total) - bar.n)

            with _units_named():
                assembled.simulation.run(
                    total * plan.network.dt_s * brian2.second,
                    report=show,
                    report_period=1 * brian2.second,
                    namespace={},
                )
            return monitored(plan, assembled.simulation)

    def stop(self) -> None:
        """End the run after its current step (`cortexsnn.brian.blocks.Runner`)."""
        brian2.stop()


@contextmanager
def open_runtime(
    plan: Plan, values: _Values, target: str, precision: str, *, progress: bool
) -> Iterator[RuntimeRunner]:
    """A network ready to run inside this process.

    Parameters
    ----------
    plan : Plan
    values : mapping from (object, variable) to array
    target : {"numpy", "cython"}
    precision : {"float64", "float32"}
    progress : bool

    Yields
    ------
    RuntimeRunner
    """
    yield RuntimeRunner(plan, values, target, precision, progress)
