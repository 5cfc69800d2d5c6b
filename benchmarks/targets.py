"""What the results are held against, and tables of both."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from cortexsnn.terminal import show_table


class Target(NamedTuple):
    """One number beside its limit."""

    what: str
    value: float
    limit: float
    unit: str
    at_least: bool = False

    @property
    def reached(self) -> bool:
        """Whether the value is on the right side of the limit."""
        return self.value >= self.limit if self.at_least else self.value <= self.limit


def targets(results: dict[str, Any]) -> Iterator[Target]:
    """All targets that the sections at hand can be held against."""
    limit_ms = {"dense": 8.0, "convolutional": 50.0}
    for kind, found in results.get("build", {}).items():
        yield Target(f"{kind}: build, processor time", found["processor_s"], 10.0, "s")
    for kind, found in results.get("trials", {}).items():
        yield Target(f"{kind}: trial, all cores", found["ms_per_trial"]["all_cores"], limit_ms[kind], "ms")
        yield Target(f"{kind}: first block of a second call", found["new_weights_first_block_s"], 2.0, "s")
        yield Target(f"{kind}: spikes that differ from the reference", found["agreement"]["differing"], 0, "")
    for kind, found in results.get("peers", {}).items():
        own = found["cortexsnn"]
        yield Target(f"{kind}: times faster than Brian2's NumPy runtime",
                     found["numpy_runtime"]["ms_per_trial"] / own["ms_per_trial"], 20.0, "x", True)  # fmt: skip
        for flags, by_hand in found["handwritten"].items():
            for name, key in (("one process", "one_process_ms_per_trial"), ("all cores", "ms_per_trial")):
                yield Target(f"{kind}: times as fast as hand-written, {flags}, {name}",
                             by_hand["ms_per_trial"] / own[key], 1.0, "x", True)  # fmt: skip
    if "synapses" in results:
        own, bare = (results["synapses"][way] for way in ("cortexsnn", "brian2"))
        yield Target(f"{own['synapses']:,} synapses built", own["seconds"], 10.0, "s")
        yield Target("memory of them beside bare Brian2", own["peak_bytes"] / bare["peak_bytes"], 2.0, "x")


def show_targets(results: dict[str, Any]) -> list[dict[str, Any]]:
    """Print every target with the ratio of what was measured to it; the same as JSON can say it."""
    found = list(targets(results))
    rows = [
        [
            t.what,
            f"{t.value:.3g} {t.unit}".strip(),
            f"{'≥' if t.at_least else '≤'} {t.limit:g} {t.unit}".strip(),
            f"{t.value / t.limit:.2f}" if t.limit else "",
            "reached" if t.reached else "NOT reached",
        ]
        for t in found
    ]
    show_table("Targets", ("what", "measured", "target", "ratio", "status"), rows)
    return [{**t._asdict(), "reached": t.reached} for t in found]


def show_trials(results: dict[str, Any]) -> None:
    """Print milliseconds per trial of all ways to run a network, as ratios to all cores of cortexsnn."""
    for kind, found in results.get("peers", {}).items():
        own = found["cortexsnn"]["ms_per_trial"]
        rows = [("cortexsnn, all cores", own, "whole call")]
        rows.append(("cortexsnn, one process", found["cortexsnn"]["one_process_ms_per_trial"], "whole call"))
        for flags, by_hand in found["handwritten"].items():
            note = f"program and reading alone; {by_hand['differing']} of {by_hand['spikes']} spikes differ; "
            note += f"building took {by_hand['write_s'] + by_hand['compile_s']:.0f} s"
            rows.append((f"hand-written Brian2, {flags}", by_hand["ms_per_trial"], note))
        numpy_runtime, inference = found["numpy_runtime"], found["torch"]
        rows.append(("Brian2 numpy runtime", numpy_runtime["ms_per_trial"], f"{numpy_runtime['trials']} trials"))
        note = f"{inference['precision']}, batches of {inference['batch']}, {inference['threads']} threads"
        rows.append(("torch", inference["ms_per_trial"], note))
        show_table(
            f"{kind}: milliseconds per trial",
            ("what", "ms", "times cortexsnn", "note"),
            [[what, f"{ms:.2f}", f"{ms / own:.2f}", note] for what, ms, note in rows],
        )
    for kind, found in results.get("trials", {}).items():
        rates = ", ".join(f"{name} {rate:.1f}" for name, rate in found["rates_hz"].items())
        print(f"{kind}: rates in Hz: {rates}; input {found['input_hz_per_channel']:.1f} per channel")
    if "scaling" in results:
        for name, slopes in results["scaling"]["exponents"].items():
            print(f"exponents {name}: " + ", ".join(f"{value} {slope:.2f}" for value, slope in slopes.items()))
