"""Draw the figures of the documentation from a finished demonstration: python docs/make_figures.py demo."""

import sys
from pathlib import Path

from cortexsnn import cortex, figures
from cortexsnn.runs import load_runs


def main(demo: Path) -> None:
    """Write SVG files to docs/figures."""
    runs = load_runs(demo)
    folder = Path(__file__).parent / "figures"
    folder.mkdir(exist_ok=True)
    drawings = {
        "beside_cortex": figures.beside_cortex(runs, cortex.load("murray2014")),
        "autocorrelations": figures.autocorrelations(runs),
    }
    for name, figure in drawings.items():
        figure.savefig(folder / f"{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
