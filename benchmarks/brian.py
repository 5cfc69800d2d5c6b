"""Speed, memory and agreement of cortexsnn.brian beside other ways to run the same network.

python benchmarks/brian.py                    all sections (about half an hour on an idle machine with two cores)
python benchmarks/brian.py build trials       some of them: build, trials, peers, synapses, scaling
python benchmarks/brian.py --quick            tiny sizes: whether everything runs, not how fast
"""

from __future__ import annotations

import argparse
import json
import os
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from machine import machine
from sections import SECTIONS, Settings
from targets import show_targets, show_trials

HERE = Path(__file__).parent


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=f"any of {', '.join(SECTIONS)}; all if none is given")
    parser.add_argument("--data", type=Path, default=Path("data/fsdd"), help="folder with the spikes of spoken digits")
    parser.add_argument("--output", type=Path, help="JSON file; benchmarks/results/brian.json if not given")
    parser.add_argument("--quick", action="store_true")
    options = parser.parse_args()
    unknown = set(options.sections) - set(SECTIONS)
    if unknown:
        parser.error(f"no section {', '.join(sorted(unknown))}; there are {', '.join(SECTIONS)}")
    output = options.output or HERE / "results" / ("quick.json" if options.quick else "brian.json")
    settings = Settings.quick(options.data) if options.quick else Settings(options.data)

    # What other runs found stays, section by section.
    results = json.loads(output.read_text(encoding="utf-8")) if output.exists() else {}
    with tempfile.TemporaryDirectory(prefix="cortexsnn-benchmark-") as cache:
        os.environ["CORTEXSNN_CACHE"] = cache
        for name in options.sections or SECTIONS:
            where, start = machine("brian2", "numpy", "torch"), time.monotonic()
            results[name] = SECTIONS[name](settings)
            results.setdefault("machine", {})[name] = {**where, "seconds": time.monotonic() - start}
            results["settings"] = {**asdict(settings), "data": settings.data.name}
            output.parent.mkdir(parents=True, exist_ok=True)
            output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    show_trials(results)
    results["targets"] = show_targets(results)
    output.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(f"written to {output}")


if __name__ == "__main__":
    main()
