"""Draw the ladder of two networks from analyses/results: python docs/make_ladder_figure.py docs/figures."""

import sys
from pathlib import Path

import xarray as xr
from matplotlib import pyplot as plt

from cortexsnn import plotting
from cortexsnn.files import replacing

RESULTS = Path(__file__).parents[1] / "analyses" / "results"
NETWORKS = {
    "multi-timescale XOR": "realism_ladder_mts_hierarchical_seed0.nc",
    "spoken digits": "realism_ladder_digits_hierarchical_seed0.nc",
}


def main(folder: Path) -> None:
    """Write ladder.svg to `folder`."""
    with plotting.style():
        figure, axes = plt.subplots(len(NETWORKS), 4, figsize=(10.5, 2.6 * len(NETWORKS)))
        for row, (name, file) in zip(axes, NETWORKS.items(), strict=True):
            with xr.open_dataset(RESULTS / file, engine="h5netcdf") as table:
                plotting.ladder(table.load(), list(row))
            row[0].set_title(name, fontweight="bold")
        for ax in axes[0]:
            ax.set_xlabel("")
        folder.mkdir(exist_ok=True)
        with replacing(folder / "ladder.svg") as temporary:
            figure.savefig(temporary, format="svg", metadata={"Date": None})


if __name__ == "__main__":
    main(Path(sys.argv[1]))
