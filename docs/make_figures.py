"""Draw the figures of the documentation from a finished demo: python docs/make_figures.py demo docs/figures."""

import sys
from pathlib import Path

from cortexsnn import cortex, figures
from cortexsnn.runs import load_runs


def main(demo: Path, folder: Path) -> None:
    """Write SVG files to `folder`."""
    runs = load_runs(demo, cortex.load_comparison(demo / "comparison.nc"))
    folder.mkdir(exist_ok=True)
    drawings = {
        "beside_cortex": figures.beside_cortex(runs, cortex.load("murray2014")),
        "autocorrelations": figures.autocorrelations(runs),
    }
    for name, figure in drawings.items():
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
