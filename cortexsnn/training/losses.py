"""Training losses of the two decoders; `cortexsnn.decoding` reads classes from the same potentials.

Both are those of Moro et al. 2024, https://doi.org/10.48550/arXiv.2407.18838.
"""

from __future__ import annotations

import torch
from torch.nn import functional

from cortexsnn.errors import InputError
from cortexsnn.network import DECODERS

__all__ = ["cross_entropy"]


def cross_entropy(potential: torch.Tensor, labels: torch.Tensor, decoder: str) -> torch.Tensor:
    """Cross-entropy of decoded readout potentials.

    Parameters
    ----------
    potential : torch.Tensor, shape (time, trial, class)
    labels : torch.Tensor of int, shape (trial,) or (trial, time)
    decoder : {"sum_of_softmax", "per_step"}
        ``"sum_of_softmax"`` takes the sum over time of softmax(V) as logits, ``"per_step"`` averages the
        cross-entropy of V over all steps.

    Returns
    -------
    torch.Tensor
        A scalar.

    Examples
    --------
    >>> potential = torch.zeros(5, 3, 2)
    >>> round(float(cross_entropy(potential, torch.zeros(3, 5, dtype=torch.long), "per_step")), 4)
    0.6931
    """
    if decoder == "per_step":
        return functional.cross_entropy(potential.flatten(0, 1), labels.T.flatten())
    if decoder == "sum_of_softmax":
        return functional.cross_entropy(potential.softmax(dim=-1).sum(dim=0), labels)
    raise InputError("decoder", decoder, f"one of {', '.join(DECODERS)}")
