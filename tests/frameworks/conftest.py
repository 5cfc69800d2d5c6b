"""What every framework is asked for: that a network of ours fires the spikes it fires itself."""

import numpy as np
import pytest

from cortexsnn.recording import dense_spikes
from cortexsnn.reference import simulate


def compare(network, counts, layers, readout=None, simulator=simulate):
    """Compare `layers`, one array (trial, time, neuron) of spikes each, with what the network fires.

    Returns the number of bins compared. A layer that hardly fires, or always, would prove nothing.
    """
    recording = simulator(network, counts)
    hidden = [population.name for population in network.hidden]
    assert len(hidden) == len(layers)
    for name, expected in zip(hidden, layers, strict=True):
        activity = np.mean(expected)
        assert 0.01 <= activity <= 0.4, f"{name} fires in {activity:.1%} of bins"
        differing = np.count_nonzero(dense_spikes(recording, name) != expected)
        assert differing == 0, f"{differing} of {expected.size} bins of {name} differ"
    if readout is not None:
        np.testing.assert_allclose(
            recording["readout"]["potential"], readout, rtol=0, atol=1e-9 * np.abs(readout).max()
        )
    return sum(layer.size for layer in layers)


@pytest.fixture(scope="session")
def same_spikes():
    return compare


def tune(weights, layer, run):
    """Scale the weights into a layer until it fires in 3 to 30 % of bins; `run` gives spikes of all layers."""
    low, high = 0.0, None
    for _ in range(40):
        activity = run()[layer].mean()
        if 0.03 <= activity <= 0.3:
            return
        factor = weights.scale
        if activity < 0.03:
            low = factor
        else:
            high = factor
        weights.rescale(2 * factor if high is None else (low + high) / 2)
    raise AssertionError(f"layer {layer} cannot be tuned")


class Scaled:
    """Weights of a layer in a framework, which can be made larger or smaller."""

    def __init__(self, *tensors):
        self.tensors, self.scale = tensors, 1.0

    def rescale(self, scale):
        for tensor in self.tensors:
            tensor.data *= scale / self.scale
        self.scale = scale


@pytest.fixture(scope="session")
def tuned():
    """Tune all layers of a module, from the first to the last."""

    def tune_all(tensors, run):
        for layer, of_layer in enumerate(tensors):
            tune(Scaled(*of_layer), layer, run)
        return run()

    return tune_all
