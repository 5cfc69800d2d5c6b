"""The network on a GPU beside C++ standalone, on one machine and in one run: agreement, time over size, replicas.

python benchmarks/brian_gpu.py                            everything; wants an NVIDIA GPU, nvcc and the extra 'cuda'
python benchmarks/brian_gpu.py agreement                  some of it: agreement, sizes, replicas
python benchmarks/brian_gpu.py --device cpp_standalone --dry
                                                          tiny sizes without a GPU: whether everything runs
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from cases import noise, square_network, synapses_of
from fixed_networks import STEPS, TRIALS, fixed_networks
from gpu_figure import crossover, draw
from machine import machine
from measure import child, exponent, seconds_of
from tqdm.auto import tqdm

from cortexsnn import recording
from cortexsnn.brian import agreement, simulate
from cortexsnn.brian.cuda.gpu import driver_here
from cortexsnn.errors import InputError

HERE = Path(__file__).parent
OTHER = "cpp_standalone"


@dataclass(frozen=True)
class Settings:
    """Sizes of everything."""

    device: str
    seeds: int = 4
    trials: int = TRIALS
    steps: int = STEPS
    modes: tuple[tuple[str, str], ...] = (("twin", "float64"), ("bitwise", "float64"), ("bitwise", "float32"))
    sizes: tuple[int, ...] = (10_000, 100_000, 1_000_000, 10_000_000, 30_000_000, 100_000_000)
    timed_trials: int = 4
    timed_steps: int = 250
    replicas: tuple[int, ...] = (1, 4, 16, 64, 256)
    replicated_synapses: int = 250_000
    repeats: int = 3

    @classmethod
    def dry(cls, device: str) -> Settings:
        """Small enough to see in a minute or two whether everything runs; the times mean nothing."""
        return cls(device, 1, 2, 30, (("twin", "float64"),), (10_000, 20_000), 2, 20, (1, 2), 10_000, 1)

    @property
    def devices(self) -> list[str]:
        """The device that is measured and the one beside it."""
        return [OTHER, *([self.device] if self.device != OTHER else [])]


class _StepSeconds(logging.Handler):
    """Adds up what the programs say that their steps took."""

    def __init__(self) -> None:
        super().__init__(logging.DEBUG)
        self.seconds = 0.0

    def emit(self, record: logging.LogRecord) -> None:
        if "for the steps of a block" in record.msg:
            self.seconds += float(record.args[1])  # type: ignore[index, arg-type]


@contextmanager
def seconds_of_steps() -> Iterator[_StepSeconds]:
    """While the context lasts, follow the time of all steps, without start, files and synapses."""
    logger, handler = logging.getLogger("cortexsnn"), _StepSeconds()
    before, passed_on = logger.level, logger.propagate
    logger.setLevel(logging.DEBUG)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield handler
    finally:
        logger.removeHandler(handler)
        logger.setLevel(before)
        logger.propagate = passed_on


def compare_with_reference(settings: Settings) -> dict[str, Any]:
    """Spikes in which the device and the reference differ, as sets per step, on the fixed networks."""
    found = []
    fixed = list(fixed_networks(settings.trials, settings.steps, range(settings.seeds)))
    for exact, precision in settings.modes:
        for one in tqdm(fixed, desc=f"agreement, {exact} {precision}", unit="network"):
            start = time.perf_counter()
            table = agreement(one.network, one.counts, device=settings.device, precision=precision, exact=exact,
                              progress=False)  # fmt: skip
            found.append({
                "network": one.name,
                "exact": exact,
                "precision": precision,
                "spikes": int(table["spikes"].sum()),
                "differing": int(table["differing"].sum()),
                "active_percent": [float(share) for share in table["active_percent"].values],
                "largest_potential_difference": float(
                    (table["potential_difference"] / table["potential_scale"]).max(skipna=True)
                ),
                "classes_differing": int(table.attrs["classes_differing"]),
                "seconds": time.perf_counter() - start,
            })  # fmt: skip
    return {"device": settings.device, "networks": found}


def _timed(settings: Settings, device: str, size: int) -> tuple[dict[str, Any], Any]:
    network, counts = square_network(size), noise(settings.timed_trials, settings.timed_steps)
    first_s, _ = seconds_of(simulate, network, counts, device=device, processes=1, progress=False)
    with seconds_of_steps() as steps:
        call_s, seen = seconds_of(simulate, network, counts, device=device, processes=1, repeats=settings.repeats,
                                  progress=False)  # fmt: skip
    in_all = settings.timed_trials * settings.timed_steps
    return {
        "device": device,
        "synapses": synapses_of(network),
        "first_call_s": first_s,
        "call_s": call_s,
        "step_ms": 1000 * steps.seconds / settings.repeats / in_all,
        "spikes_per_step": sum(seen[p.name].sizes["spike"] for p in network.hidden) / in_all,
    }, seen


def time_over_sizes(settings: Settings) -> dict[str, Any]:
    """Whole calls and single steps over the number of synapses, both devices in turn."""
    points, left_out = [], []
    for size in tqdm(settings.sizes, desc="sizes", unit="size"):
        seen = {}
        for device in settings.devices:
            try:
                point, seen[device] = _timed(settings, device, size)
            except (InputError, MemoryError) as error:
                left_out.append({"device": device, "synapses": size, "why": str(error)})
                continue
            points.append(point)
        if len(seen) == 2:
            points[-1]["differing"] = int(recording.compare(*seen.values())["differing"].sum())
    found: dict[str, Any] = {"points": points, "left_out": left_out, "billion": {}}
    for device in settings.devices:
        own = [p for p in points if p["device"] == device][-3:]
        if len(own) < 2:
            continue
        x = [p["synapses"] for p in own]
        for value in ("call_s", "step_ms"):
            slope = exponent(x, [p[value] for p in own])
            at_billion = own[-1][value] * (1e9 / x[-1]) ** slope
            found["billion"].setdefault(device, {})[value] = {"exponent": slope, "value": at_billion}
    if len(settings.devices) == 2:
        found["crossover_synapses"] = {
            value: crossover(points, value, settings.device, OTHER) for value in ("call_s", "step_ms")
        }
    return found


def fill_with_replicas(settings: Settings) -> dict[str, Any]:
    """Time of a step for each copy, over the number of copies in one program."""
    points = []
    for device in settings.devices:
        for copies in tqdm(settings.replicas, desc=f"replicas, {device}", unit="number"):
            point = child("gpu_replicas.py", device, copies, settings.replicated_synapses, settings.timed_steps)
            per_trial_ms = 1000 * point["steps_s"] / copies
            points.append({"device": device, **point, "ms_per_trial": per_trial_ms})
    return {"points": points}


SECTIONS: dict[str, Callable[[Settings], dict[str, Any]]] = {
    "agreement": compare_with_reference,
    "sizes": time_over_sizes,
    "replicas": fill_with_replicas,
}


def _show(results: dict[str, Any]) -> None:
    for one in results.get("agreement", {}).get("networks", []):
        print(
            f"{one['network']:14} {one['exact']:8} {one['precision']}: {one['differing']} of {one['spikes']} spikes "
            f"differ, potentials by {one['largest_potential_difference']:.1e} of their scale"
        )
    sizes = results.get("sizes", {})
    for one in sizes.get("points", []):
        place = f"{one['synapses']:12,} synapses  {one['device']:16}"
        print(f"{place} call {one['call_s']:8.2f} s, step {one['step_ms']:8.3f} ms")
    for one in sizes.get("left_out", []):
        print(f"{one['synapses']:12,} synapses  {one['device']:16} left out: {one['why']}")
    for device, billion in sizes.get("billion", {}).items():
        step = billion["step_ms"]
        print(f"10^9 synapses, extrapolated: {device} {step['value']:.3g} ms a step (exponent {step['exponent']:.2f})")
    for one in results.get("replicas", {}).get("points", []):
        place = f"{one['copies']:5} copies  {one['device']:16}"
        print(f"{place} {one['ms_per_trial']:8.2f} ms a trial, {one['differing']} differ")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--device", default="cuda_standalone", choices=["cuda_standalone", OTHER])
    parser.add_argument("--dry", action="store_true", help="tiny sizes; the times mean nothing")
    parser.add_argument("--output", type=Path, help="JSON file; benchmarks/results/brian_gpu.json if not given")
    parser.add_argument("--figure", type=Path, help="SVG file; docs/figures/gpu_crossover.svg if not given and not dry")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    output = options.output or HERE / "results" / ("gpu_dry.json" if options.dry else "brian_gpu.json")
    settings = Settings.dry(options.device) if options.dry else Settings(options.device)

    # What other runs found stays, section by section.
    results = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    driver = driver_here()
    gpu = {"gpu": driver.gpus[0].name if driver.gpus else driver.missing, "driver_for_cuda": list(driver.cuda)}
    with tempfile.TemporaryDirectory(prefix="cortexsnn-benchmark-") as cache:
        os.environ["CORTEXSNN_CACHE"] = cache
        for name in options.sections or SECTIONS:
            where, start = machine("brian2", "brian2cuda", "numpy"), time.monotonic()
            results[name] = SECTIONS[name](settings)
            results.setdefault("machine", {})[name] = {**gpu, **where, "seconds": time.monotonic() - start}
            results["settings"] = asdict(settings)
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    _show(results)
    print(f"written to {output}")
    figure = options.figure or (None if options.dry else HERE.parent / "docs" / "figures" / "gpu_crossover.svg")
    if figure is not None and "sizes" in results:
        draw(results, figure)
        print(f"drawn in {figure}")


if __name__ == "__main__":
    main()
