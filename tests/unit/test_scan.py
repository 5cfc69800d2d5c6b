"""The scan over time and the current through delays: hand-written gradients against autograd and finite differences."""

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from torch.nn import functional  # noqa: E402

from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.network import RESETS  # noqa: E402
from cortexsnn.training import LearnedTau, Surrogate, lif_scan  # noqa: E402
from cortexsnn.training.delayed import delayed_current  # noqa: E402
from cortexsnn.training.loop import lif_loop  # noqa: E402
from cortexsnn.training.scan import AdaptiveThreshold, leaky_integral, thresholds  # noqa: E402
from cortexsnn.training.surrogate import SURROGATES  # noqa: E402
from cortexsnn.training.time_constants import LearnedTimeConstants  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

TRIALS, NEURONS = 3, 4
ADAPTATION = AdaptiveThreshold(
    torch.linspace(0.1, 0.6, NEURONS, dtype=torch.float64), torch.linspace(0.5, 0.95, NEURONS, dtype=torch.float64)
)


def currents(kind, steps, trials=TRIALS, neurons=NEURONS):
    drawn = torch.from_numpy(np.random.default_rng(4).normal(0.3, 0.8, (steps, trials, neurons)))
    return {"mixed": drawn, "silent": drawn * 0.01, "saturated": drawn.abs() + 40.0}[kind]


def decays():
    return torch.linspace(0.3, 0.99, NEURONS, dtype=torch.float64)


def resting():
    return torch.linspace(0.7, 1.4, NEURONS, dtype=torch.float64)


def connections():
    return torch.from_numpy(np.random.default_rng(5).normal(0, 0.5, (NEURONS, NEURONS)))


def outcome(function, kind, steps, used, *, recurrent, **options):
    """Spikes, potentials and the gradients of a loss that looks at one of them or both."""
    leaves = {"current": currents(kind, steps), "alpha": decays()}
    if recurrent:
        leaves["recurrent"] = connections()
    leaves = {name: leaf.clone().requires_grad_() for name, leaf in leaves.items()}
    rest = {"recurrent": leaves["recurrent"]} if recurrent else {}
    spikes, potential = function(leaves["current"], leaves["alpha"], resting(), **options, **rest)
    rng = np.random.default_rng(6)
    by_spikes, by_potential = (torch.from_numpy(rng.normal(size=spikes.shape)) for _ in range(2))
    loss = 0.0
    if used != "potentials":
        loss = loss + (spikes * by_spikes).sum()
    if used != "spikes":
        loss = loss + (potential * by_potential).sum()
    loss.backward()
    return spikes.detach(), potential.detach(), {name: leaf.grad for name, leaf in leaves.items()}


CASES = [("mixed", 1, "both"), ("mixed", 2, "both"), ("mixed", 40, "both"), ("mixed", 40, "spikes"),
         ("mixed", 40, "potentials"), ("silent", 1, "both"), ("silent", 12, "both"), ("saturated", 2, "both"),
         ("saturated", 12, "both")]  # fmt: skip


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("recurrent", [False, True])
@pytest.mark.parametrize("adaptation", [None, ADAPTATION], ids=["fixed", "adaptive"])
def test_the_scan_is_the_loop_with_its_gradients(reset, surrogate, recurrent, adaptation):
    # Protects the hand-written backward pass against autograd through the plain loop: for currents, decays and
    # recurrent weights, whatever the layers above look at.
    options = {"reset": reset, "surrogate": Surrogate(surrogate, 0.7), "recurrent": recurrent, "adaptation": adaptation}
    for kind, steps, used in CASES:
        spikes, potential, gradients = outcome(lif_scan, kind, steps, used, **options)
        expected_spikes, expected_potential, expected = outcome(lif_loop, kind, steps, used, **options)
        assert torch.equal(spikes, expected_spikes)
        torch.testing.assert_close(potential, expected_potential, rtol=1e-12, atol=1e-12)
        for name, gradient in gradients.items():
            scale = 1 + float(expected[name].abs().max())
            assert float((gradient - expected[name]).abs().max()) <= 1e-11 * scale, (kind, steps, used, name)
        fired = float(spikes.mean())
        assert {"mixed": fired < 1, "silent": fired == 0, "saturated": fired == 1}[kind]
        if steps == 40 and kind == "mixed":
            # Agreement on nothing would prove nothing.
            assert 0.05 < fired < 0.7
            assert (gradients["current"] != 0).double().mean() > 0.2
            assert all(bool((gradient != 0).all()) for name, gradient in gradients.items() if name != "current")


@pytest.mark.parametrize("wants", ["current", "alpha", "recurrent"])
def test_gradients_only_where_they_are_wanted(wants):
    # Protects training with frozen parts: what is asked for alone equals what is asked for with the rest.
    leaves = {"current": currents("mixed", 20), "alpha": decays(), "recurrent": connections()}
    found = []
    for wanted in ({wants}, set(leaves)):
        these = {name: leaf.clone().requires_grad_(name in wanted) for name, leaf in leaves.items()}
        spikes, potential = lif_scan(these["current"], these["alpha"], resting(), recurrent=these["recurrent"],
                                     adaptation=ADAPTATION)  # fmt: skip
        (spikes.sum() + potential.square().sum()).backward()
        found.append(these[wants].grad)
        assert all(leaf.grad is None for name, leaf in these.items() if name not in wanted)
    assert torch.equal(*found)
    assert bool(found[0].any())


def test_currents_in_any_layout():
    # Protects constant input, which is one value in memory, and data with the trial first.
    drawn = currents("mixed", 20)
    expected = lif_scan(drawn, decays(), resting())
    trial_first = drawn.transpose(0, 1).contiguous().transpose(0, 1)
    assert not trial_first.is_contiguous()
    for found, wanted in zip(lif_scan(trial_first, decays(), resting()), expected, strict=True):
        assert torch.equal(found, wanted)
    constant = torch.full((NEURONS,), 0.6, dtype=torch.float64).expand(20, TRIALS, NEURONS)
    spikes, potential = lif_scan(constant, decays(), resting())
    wanted_spikes, wanted = lif_scan(constant.contiguous(), decays(), resting())
    assert torch.equal(spikes, wanted_spikes)
    assert torch.equal(potential, wanted)
    assert 0 < float(spikes.mean()) < 1


@pytest.mark.parametrize("reset", RESETS)
@pytest.mark.parametrize("adaptation", [None, ADAPTATION], ids=["fixed", "adaptive"])
def test_potentials_by_finite_differences(reset, adaptation):
    # Protects scan and loop from being wrong alike. Spikes are far enough from their threshold to stay, and so narrow
    # a surrogate passes nothing: what is left is smooth.
    current, alpha, recurrent = currents("mixed", 8, trials=2), decays(), connections()
    options = {"reset": reset, "surrogate": Surrogate("box", 1e-9), "adaptation": adaptation}
    spikes, potential = lif_scan(current, alpha, resting(), recurrent=recurrent, **options)
    assert float((potential - thresholds(spikes, resting(), adaptation)).abs().min()) > 1e-4
    assert 0.1 < float(spikes.mean()) < 0.9

    def potentials(current, alpha, recurrent):
        return lif_scan(current, alpha, resting(), recurrent=recurrent, **options)[1]

    leaves = tuple(leaf.clone().requires_grad_() for leaf in (current, alpha, recurrent))
    assert torch.autograd.gradcheck(potentials, leaves)


@pytest.mark.parametrize("adaptation", [None, ADAPTATION], ids=["fixed", "adaptive"])
def test_thresholds_are_those_that_spikes_were_decided_by(adaptation):
    # Protects the figure of how many potentials the surrogate reaches.
    spikes, potential = lif_scan(currents("mixed", 40), decays(), resting(), adaptation=adaptation)
    theta = thresholds(spikes, resting(), adaptation)
    assert torch.equal(potential > theta, spikes.bool())
    assert bool((theta > resting()).any()) == (adaptation is not None)


def test_a_threshold_that_is_met_is_not_crossed():
    # Protects 'strictly greater', on which Brian2 agrees.
    spikes, _ = lif_scan(torch.ones(1, 1, 1), torch.tensor([0.5]), torch.ones(1))
    assert not spikes.any()


def test_unknown_resets_are_refused():
    with pytest.raises(InputError, match="reset is 'soft'; expected one of subtract, subtract_decayed, zero"):
        lif_scan(torch.ones(1, 1, 1), torch.ones(1), torch.ones(1), reset="soft")


# --- surrogates -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("box", [0, 0, 1, 1, 1]),
        ("triangle", [0, 0, 0.5, 0.75, 1]),
        ("fast_sigmoid", [1 / 16, 1 / 4, 1 / 2.25, 1 / 1.5625, 1]),
        ("arctan", [1 / (1 + (1.5 * np.pi) ** 2), 1 / (1 + (np.pi / 2) ** 2), 1 / (1 + (np.pi / 4) ** 2),
                    1 / (1 + (np.pi / 8) ** 2), 1]),
    ],
)  # fmt: skip
def test_surrogates_are_their_formulas(kind, expected):
    width = 0.4
    distance = width * torch.tensor([-3.0, -1.0, -0.5, -0.25, 0.0], dtype=torch.float64)
    if kind == "box":
        distance[2] = -0.499 * width  # its edge belongs to nobody
    before = distance.clone()
    surrogate = Surrogate(kind, width)
    np.testing.assert_allclose(surrogate.derivative(distance), expected, rtol=1e-12)
    np.testing.assert_allclose(surrogate.derivative(-distance), expected, rtol=1e-12)
    assert torch.equal(distance, before)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"kind": "step"}, "surrogate is 'step'; expected one of box, triangle, fast_sigmoid, arctan"),
        ({"width": 0.0}, "width of the surrogate is 0.0; expected a positive number"),
        ({"width": float("nan")}, "width of the surrogate is nan"),
    ],
)
def test_surrogates_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        Surrogate(**values)


# --- currents through delays ----------------------------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 5, 9])
@pytest.mark.parametrize("delays", [(0,), (1,), (0, 1, 2), (0, 4), (7, 0, 3), (2, 2), (12,)])
def test_delayed_currents_and_their_gradients(steps, delays):
    # Protects taps in any order, delays of the whole trial and longer ones, against their sum and finite differences.
    rng = np.random.default_rng(1)
    spikes = torch.from_numpy(rng.poisson(0.7, (steps, 2, 3)).astype(float)).requires_grad_()
    weight = torch.from_numpy(rng.normal(size=(len(delays), 4, 3))).requires_grad_()
    expected = np.zeros((steps, 2, 4))
    for tap, delay in enumerate(delays):
        for step in range(delay, steps):
            expected[step] += spikes[step - delay].detach().numpy() @ weight[tap].detach().numpy().T
    found = delayed_current(spikes, weight, delays)
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-12, atol=1e-14)
    assert bool(found.any()) == (min(delays) < steps)
    assert torch.autograd.gradcheck(lambda s, w: delayed_current(s, w, delays), (spikes, weight))


def test_a_delayed_current_is_a_causal_dilated_convolution():
    # Protects weights that come from torch's conv1d: the newest bin is its last tap.
    rng = np.random.default_rng(2)
    spikes, weight = torch.from_numpy(rng.normal(size=(30, 2, 3))), torch.from_numpy(rng.normal(size=(4, 5, 3)))
    kernel = weight.flip(0).permute(1, 2, 0)  # target, source, tap
    padded = functional.pad(spikes.permute(1, 2, 0), (3 * 6, 0))
    expected = functional.conv1d(padded, kernel, dilation=6).permute(2, 0, 1)
    torch.testing.assert_close(delayed_current(spikes, weight, (0, 6, 12, 18)), expected, rtol=1e-12, atol=1e-12)


def test_delayed_currents_of_spikes_in_any_layout():
    # Protects input with the trial first, gradients included.
    drawn = torch.from_numpy(np.random.default_rng(3).normal(size=(2, 9, 3)))
    weight = torch.from_numpy(np.random.default_rng(4).normal(size=(2, 4, 3)))
    found = []
    for contiguous in (False, True):
        leaf = drawn.clone().requires_grad_()
        spikes = leaf.permute(1, 0, 2)
        current = delayed_current(spikes.contiguous() if contiguous else spikes, weight, (0, 3))
        current.square().sum().backward()
        found.append((current.detach(), leaf.grad))
    torch.testing.assert_close(found[0], found[1], rtol=1e-13, atol=1e-13)
    assert bool(found[0][1].any())


# --- leaky integrals and learned time constants -----------------------------------------------------------------


@pytest.mark.parametrize("steps", [1, 2, 50, 256, 700])
def test_the_leaky_integral_is_the_plain_loop(steps):
    current = currents("mixed", steps)
    alpha = torch.tensor([0.0, 0.2, 0.9, 0.9999], dtype=torch.float64)
    potential, expected = torch.zeros(TRIALS, NEURONS, dtype=torch.float64), []
    for now in current:
        potential = alpha * potential + (1 - alpha) * now
        expected.append(potential)
    torch.testing.assert_close(leaky_integral(current, alpha), torch.stack(expected), rtol=1e-11, atol=1e-13)


@pytest.mark.parametrize("steps", [1, 7])
def test_gradients_of_the_leaky_integral(steps):
    current = currents("mixed", steps, 2, 3).requires_grad_()
    alpha = torch.tensor([0.1, 0.6, 0.95], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(leaky_integral, (current, alpha))


@pytest.mark.parametrize("per", ["neuron", "layer"])
def test_gradients_of_learned_decays(per):
    # Protects the way from the loss to the time constants, close to their bounds too.
    constants = LearnedTimeConstants(np.array([0.0021, 0.02, 1.9]), LearnedTau(per, 0.002, 2.0)).double()
    position = constants.position.detach().clone().requires_grad_()

    def alpha(position):
        return torch.func.functional_call(_Alpha(constants), {"constants.position": position}, ())

    assert alpha(position).shape == (3,)
    assert torch.autograd.gradcheck(alpha, (position,))
    alpha(position).sum().backward()
    assert bool((position.grad > 0).all())


class _Alpha(torch.nn.Module):
    """The decays of time constants as a module that can be called."""

    def __init__(self, constants):
        super().__init__()
        self.constants = constants

    def forward(self):
        return self.constants.alpha(0.01, torch.float64)
