"""The figures of every epoch as curves in TensorBoard, for those who have it."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from cortexsnn.errors import InputError

__all__ = ["TensorBoardLog"]


def _scalars(row: Mapping[str, Any]) -> dict[str, float]:
    """Numbers of a row by their names in TensorBoard; layers are counted from 1.

    Examples
    --------
    >>> _scalars({"epoch": 3, "train_loss": 0.5, "active_percent": [2.0, 4.0]})
    {'train_loss': 0.5, 'active_percent/hidden1': 2.0, 'active_percent/hidden2': 4.0}
    """
    found = {}
    for name, value in row.items():
        layers = value if isinstance(value, list | tuple) else []
        named = {f"{name}/hidden{layer}": figure for layer, figure in enumerate(layers, start=1)} or {name: value}
        found.update({key: figure for key, figure in named.items() if isinstance(figure, int | float)})
    found.pop("epoch", None)
    return found


class TensorBoardLog:
    """Writes rows of a training history to an event file; a context manager.

    Parameters
    ----------
    folder : path-like
        Where the event file is made; what ``tensorboard --logdir`` is given.

    Raises
    ------
    InputError
        If the package tensorboard is not installed.

    Examples
    --------
    Where the package is installed::

        with TensorBoardLog("runs/first") as log:
            log.write({"epoch": 1, "train_loss": 0.5, "tau_ms": [[20.0, 30.0], [90.0, 200.0]]})
    """

    def __init__(self, folder: str | Path) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError as error:
            raise InputError("package tensorboard", "not there", "the extra 'tensorboard'",
                             f"pip install 'cortexsnn[tensorboard]' ({error})") from None  # fmt: skip
        self._writer = SummaryWriter(str(folder))

    def write(self, row: Mapping[str, Any]) -> None:
        """Add the figures of one epoch, and show them at once.

        Parameters
        ----------
        row : mapping
            Numbers become curves, lists of a number for each hidden layer become curves ``name/hidden1`` and so on,
            and ``tau_ms`` becomes a histogram for each layer. ``epoch`` is their place on the axis.
        """
        epoch = int(row["epoch"])
        for name, value in _scalars({key: value for key, value in row.items() if key != "tau_ms"}).items():
            self._writer.add_scalar(name, value, epoch)
        for layer, tau_ms in enumerate(row.get("tau_ms") or [], start=1):
            values = np.atleast_1d(np.array(tau_ms, dtype=np.float64))
            if np.isfinite(values).any():  # a histogram of nothing is refused
                self._writer.add_histogram(f"tau_ms/hidden{layer}", values[np.isfinite(values)], epoch)
        self._writer.flush()

    def close(self) -> None:
        """Finish the event file."""
        self._writer.close()

    def __enter__(self) -> TensorBoardLog:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
