"""The derivative that stands for that of the spike, which is zero or infinite.

All of them are 1 at the threshold and differ in how they fall; the spike itself is the same. Surrogate gradients are
reviewed in Neftci et al. 2019 (https://doi.org/10.1109/MSP.2019.2931595).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from cortexsnn.checks import choice, positive
from cortexsnn.training.plain import make_plain

__all__ = ["SURROGATES", "Surrogate"]


def _box(distance: torch.Tensor) -> torch.Tensor:
    """1 within half a width. With width 1: Moro et al. 2024 (https://doi.org/10.48550/arXiv.2407.18838)."""
    return (distance.abs() < 0.5).to(distance.dtype)


def _triangle(distance: torch.Tensor) -> torch.Tensor:
    """Falls to 0 at one width. Bellec et al. 2018 (https://doi.org/10.48550/arXiv.1803.09574)."""
    return (1 - distance.abs()).clamp_(min=0)


def _fast_sigmoid(distance: torch.Tensor) -> torch.Tensor:
    """1/(1 + |x|)^2, SuperSpike. Zenke and Ganguli 2018 (https://doi.org/10.1162/neco_a_01086)."""
    return distance.abs().add_(1).square_().reciprocal_()


def _arctan(distance: torch.Tensor) -> torch.Tensor:
    """1/(1 + (pi x/2)^2). Fang et al. 2021 (https://doi.org/10.1109/ICCV48922.2021.00266), scaled to 1 at 0."""
    return (distance * (np.pi / 2)).square_().add_(1).reciprocal_()


SURROGATES: dict[str, Callable[[torch.Tensor], torch.Tensor]] = {
    "box": _box,
    "triangle": _triangle,
    "fast_sigmoid": _fast_sigmoid,
    "arctan": _arctan,
}


@dataclass(frozen=True)
class Surrogate:
    """A surrogate derivative of the spike with respect to the membrane potential.

    Parameters
    ----------
    kind : {"box", "triangle", "fast_sigmoid", "arctan"}
    width : float
        The distance from the threshold is measured in this unit: the whole width of the box, half the base of the
        triangle, one over the slope of the fast sigmoid and of the arctan.

    Raises
    ------
    InputError
        If there is no such kind or the width is not positive.

    Examples
    --------
    >>> Surrogate("box", 1.0).derivative(torch.tensor([-0.6, -0.4, 0.4, 0.6]))
    tensor([0., 1., 1., 0.])
    >>> Surrogate("fast_sigmoid", 0.5).derivative(torch.tensor([0.0, 0.5]))
    tensor([1.0000, 0.2500])
    """

    kind: str = "box"
    width: float = 1.0

    def __post_init__(self) -> None:
        make_plain(self)
        choice("surrogate", self.kind, SURROGATES)
        positive("width of the surrogate", self.width, "a positive number", "one over the slope")

    def derivative(self, distance: torch.Tensor) -> torch.Tensor:
        """The derivative at a distance V - theta from the threshold.

        Parameters
        ----------
        distance : torch.Tensor

        Returns
        -------
        torch.Tensor
            Of the same shape, from 0 to 1.
        """
        return SURROGATES[self.kind](distance / self.width)
