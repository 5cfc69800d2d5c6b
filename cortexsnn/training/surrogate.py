"""The derivative that stands for that of the spike, which is zero or infinite."""

from __future__ import annotations

import torch

__all__ = ["box"]


def box(potential: torch.Tensor, threshold: torch.Tensor, width: float) -> torch.Tensor:
    """Derivative 1 within half a `width` of the threshold, 0 elsewhere.

    The surrogate of Moro et al. 2024 (https://doi.org/10.48550/arXiv.2407.18838), with width 1 there; surrogate
    gradients are reviewed in Neftci et al. 2019 (https://doi.org/10.1109/MSP.2019.2931595).

    Parameters
    ----------
    potential : torch.Tensor, shape (..., neuron)
    threshold : torch.Tensor, shape (neuron,)
    width : float

    Returns
    -------
    torch.Tensor
        Of the shape of `potential`.

    Examples
    --------
    >>> box(torch.tensor([0.4, 0.6, 1.4, 1.6]), torch.tensor(1.0), 1.0)
    tensor([0., 1., 1., 0.])
    """
    return (potential - threshold).abs_().lt_(width / 2)
