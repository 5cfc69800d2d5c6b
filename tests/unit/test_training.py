"""Training: exact gradients, repeatable and resumable runs, an honest choice of the best epoch, exact folding."""

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax, softmax

torch = pytest.importorskip("torch")

from cortexsnn import datasets, reference, training  # noqa: E402
from cortexsnn.datasets import Dataset, Split  # noqa: E402
from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.network import Network, Population, Projection  # noqa: E402
from cortexsnn.training import Architecture, Protocol, SpikingNetwork, checkpoint  # noqa: E402
from cortexsnn.training import fit as fit_function  # noqa: E402
from cortexsnn.training.losses import cross_entropy  # noqa: E402
from cortexsnn.training.scan import leaky_integral, lif_loop, lif_scan  # noqa: E402

pytestmark = pytest.mark.torch


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in a fixed order, whatever else runs on the machine."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def fit_module():
    """The module `cortexsnn.training.fit`, which the function of that name hides."""
    import sys

    return sys.modules["cortexsnn.training.fit"]


# --- the scan over time ---------------------------------------------------------------------------------------


def currents(kind, steps, trials, neurons):
    drawn = torch.from_numpy(np.random.default_rng(4).normal(0.3, 0.8, (steps, trials, neurons)))
    return {"mixed": drawn, "silent": drawn * 0.01, "saturated": drawn.abs() + 20.0}[kind]


@pytest.mark.parametrize("kind", ["mixed", "silent", "saturated"])
@pytest.mark.parametrize("shape", [(1, 3, 4), (2, 1, 1), (40, 1, 1), (60, 3, 5)])
@pytest.mark.parametrize("width", [1.0, 0.3, 8.0])
def test_the_scan_is_the_loop_with_its_gradients(kind, shape, width):
    # Protects the hand-written backward pass against autograd through the plain loop, for currents and decays.
    generator = np.random.default_rng(1)
    weight = torch.from_numpy(generator.normal(size=shape))
    results = []
    for function in (lif_scan, lif_loop):
        current = currents(kind, *shape).requires_grad_()
        alpha = torch.linspace(0.3, 0.99, shape[2], dtype=torch.float64).requires_grad_()
        threshold = torch.linspace(0.7, 1.4, shape[2], dtype=torch.float64)
        spikes, potential = function(current, alpha, threshold, width)
        (spikes * weight).sum().backward()
        results.append((spikes.detach(), potential.detach(), current.grad, alpha.grad))
    (spikes, potential, by_current, by_alpha), expected = results
    assert torch.equal(spikes, expected[0])
    torch.testing.assert_close(potential, expected[1], rtol=1e-13, atol=1e-13)
    torch.testing.assert_close(by_current, expected[2], rtol=1e-11, atol=1e-12)
    torch.testing.assert_close(by_alpha, expected[3], rtol=1e-10, atol=1e-10)
    fired = float(spikes.mean())
    assert {"mixed": 0 <= fired < 1, "silent": fired == 0, "saturated": fired == 1}[kind]


def test_the_compared_gradients_are_not_all_zero():
    # Protects the test above from agreement on nothing.
    current = currents("mixed", 60, 3, 5).requires_grad_()
    alpha = torch.full((5,), 0.9, dtype=torch.float64, requires_grad=True)
    spikes, _ = lif_scan(current, alpha, torch.ones(5, dtype=torch.float64))
    spikes.sum().backward()
    assert 0.05 < float(spikes.detach().mean()) < 0.6
    assert (current.grad != 0).double().mean() > 0.3
    assert torch.all(alpha.grad != 0)


def test_the_scan_follows_the_reference(random_counts):
    # Protects the meaning of torch's spikes: those of the difference equations.
    rng = np.random.default_rng(2)
    tau_s, weight = rng.uniform(0.01, 0.2, 6), rng.normal(0.3, 0.5, (6, 3))
    network = Network(
        0.01,
        (Population.input("input", 3), Population.lif("hidden1", 6, tau_s=tau_s, threshold=rng.uniform(0.5, 1.5, 6))),
        (Projection("input", "hidden1", weight),),
    )
    counts = random_counts(rng, 4, 50, 3)
    expected = reference.simulate(network, counts, record_potential=["hidden1"])
    current = torch.from_numpy(counts.transpose(1, 0, 2) @ weight.T)
    population = network["hidden1"]
    _, potential = lif_scan(
        current, torch.from_numpy(population.alpha(0.01)), torch.from_numpy(population.threshold.copy())
    )
    np.testing.assert_allclose(
        potential.numpy().transpose(1, 0, 2), expected["hidden1"]["potential"], rtol=1e-11, atol=1e-12
    )
    assert expected["hidden1"].sizes["spike"] > 50


@pytest.mark.parametrize("steps", [1, 2, 50])
def test_leaky_integral_is_the_plain_loop(steps):
    current = currents("mixed", steps, 3, 4).requires_grad_()
    alpha = torch.tensor([0.0, 0.2, 0.9, 0.9999], dtype=torch.float64)
    potential, expected = torch.zeros(3, 4, dtype=torch.float64), []
    for now in current:
        potential = alpha * potential + (1 - alpha) * now
        expected.append(potential)
    torch.testing.assert_close(leaky_integral(current, alpha), torch.stack(expected), rtol=1e-11, atol=1e-13)


def test_gradients_of_the_leaky_integral():
    current = currents("mixed", 7, 2, 3).requires_grad_()
    alpha = torch.tensor([0.1, 0.6, 0.95], dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(leaky_integral, (current, alpha))


# --- losses ---------------------------------------------------------------------------------------------------


def test_losses_equal_their_formulas():
    rng = np.random.default_rng(3)
    potential = rng.normal(0, 2, (9, 6, 4))  # time, trial, class
    per_trial, per_step = rng.integers(0, 4, 6), rng.integers(0, 4, (6, 9))
    chances = log_softmax(softmax(potential, axis=2).sum(axis=0), axis=1)
    expected = -np.mean([chances[trial, per_trial[trial]] for trial in range(6)])
    found = cross_entropy(torch.from_numpy(potential), torch.from_numpy(per_trial), "sum_of_softmax")
    assert float(found) == pytest.approx(expected, rel=1e-12)
    chances = log_softmax(potential, axis=2)
    expected = -np.mean([chances[step, trial, per_step[trial, step]] for trial in range(6) for step in range(9)])
    found = cross_entropy(torch.from_numpy(potential), torch.from_numpy(per_step), "per_step")
    assert float(found) == pytest.approx(expected, rel=1e-12)
    with pytest.raises(InputError, match="decoder is 'vote'"):
        cross_entropy(torch.from_numpy(potential), torch.from_numpy(per_trial), "vote")


# --- architecture, protocol, model ----------------------------------------------------------------------------

ARCHITECTURE = Architecture(40, 2, (6, 5), (0.05, 0.4), readout_tau_s=0.05, dt_s=0.01)
PROTOCOL = Protocol(epochs=4, batch_size=16, first_decay_epoch=2, decay_every=1, seed=3)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"hidden": ()}, r"hidden is \(\); expected at least one hidden layer"),
        ({"hidden": (4, 0)}, r"hidden is \(4, 0\)"),
        ({"tau_s": (0.1,)}, r"tau_s is \(0.1,\); expected 2 values"),
        ({"tau_s": (0.1, 0.0)}, r"tau_s is \(0.1, 0.0\); expected positive seconds"),
        ({"tau_s": (float("nan"), 0.1)}, r"tau_s is \(nan, 0.1\); expected positive"),
        ({"tau_s": (0.1, float("nan"))}, r"tau_s is \(0.1, nan\); expected positive"),
        ({"readout_tau_s": -1.0}, "readout_tau_s is -1.0"),
        ({"dt_s": float("inf")}, "dt_s is inf"),
        ({"dropout": 1.0}, "dropout is 1.0; expected a probability"),
        ({"surrogate_width": 0.0}, "surrogate_width is 0.0"),
    ],
)
def test_architectures_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        replace(ARCHITECTURE, **change)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"epochs": 0}, "epochs is 0"),
        ({"batch_size": 1.5}, "batch_size is 1.5"),
        ({"decay_every": 0}, "decay_every is 0"),
        ({"seed": -1}, "seed is -1"),
        ({"learning_rate": 0.0}, "learning_rate is 0.0"),
        ({"learning_rate": float("nan")}, "learning_rate is nan"),
    ],
)
def test_protocols_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        replace(PROTOCOL, **change)


def test_learning_rate_of_the_paper():
    # Protects the schedule of Moro et al. 2024: 0.01, times 0.75 from epoch 25 on and every 10 epochs.
    protocol = Protocol()
    rates = [protocol.learning_rate_at(epoch) for epoch in (0, 24, 25, 34, 35, 45, 55)]
    assert rates == pytest.approx([0.01, 0.01, 0.0075, 0.0075, 0.005625, 0.01 * 0.75**3, 0.01 * 0.75**4])


def test_dropout_scales_what_is_kept():
    network = SpikingNetwork(ARCHITECTURE, torch.Generator().manual_seed(0))
    spikes = torch.ones(100, 50, 6)
    dropped = network._dropped(spikes, np.random.default_rng(0))
    kept = dropped[dropped != 0]
    assert torch.allclose(kept, torch.tensor(1 / 0.9))
    assert float((dropped == 0).float().mean()) == pytest.approx(0.1, abs=0.01)
    with pytest.raises(ValueError, match="dropout in training mode needs a random generator"):
        network(torch.ones(3, 2, 40))
    assert torch.equal(network.eval()._dropped(spikes, None), spikes)


# --- runs -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def dataset():
    return datasets.load("mts_xor", seed=1, train=48, validation=24, test=8)


def run(dataset, protocol=PROTOCOL, architecture=ARCHITECTURE, **options):
    return fit_function(dataset, architecture, protocol, progress=False, **options)


def same_networks(first, second):
    """Bit for bit."""
    left, right = first.network.arrays(), second.network.arrays()
    return left.keys() == right.keys() and all(left[k].tobytes() == right[k].tobytes() for k in left)


def test_the_same_seed_gives_the_same_weights(dataset):
    first, second, other = run(dataset), run(dataset), run(dataset, replace(PROTOCOL, seed=4))
    assert same_networks(first, second)
    assert first.history == second.history
    assert not same_networks(first, other)


def test_torch_s_own_random_numbers_do_not_matter(dataset):
    torch.manual_seed(5)
    first = run(dataset)
    torch.manual_seed(6)
    assert same_networks(first, run(dataset))


def test_torch_s_own_random_numbers_are_left_alone():
    # Protects the random numbers of the user's other code.
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    SpikingNetwork(ARCHITECTURE, torch.Generator().manual_seed(0))
    assert torch.equal(torch.rand(3), expected)


def interrupt_after(monkeypatch, epochs, during=True):
    """Ctrl-C in the middle of an epoch, after that many whole ones."""
    module = fit_module()
    whole_epoch = module._train_epoch

    def train_epoch(model, optimiser, dataset, protocol, epoch):
        row = whole_epoch(model, optimiser, dataset, protocol, epoch)
        if epoch == epochs:
            raise KeyboardInterrupt  # the model has changed, the checkpoint has not
        return row

    monkeypatch.setattr(module, "_train_epoch", train_epoch)
    return lambda: monkeypatch.setattr(module, "_train_epoch", whole_epoch)


@pytest.mark.parametrize("epochs", [0, 1, 3])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(dataset, tmp_path, monkeypatch, epochs):
    expected = run(dataset, folder=tmp_path / "uninterrupted")
    folder = tmp_path / "run"
    mend = interrupt_after(monkeypatch, epochs)
    with pytest.raises(KeyboardInterrupt):
        run(dataset, folder=folder)
    mend()
    if epochs:
        assert len(checkpoint.load(folder / "checkpoint.safetensors").history) == epochs
        assert len((folder / "metrics.jsonl").read_text().splitlines()) == epochs
    assert not (folder / "network.safetensors").exists()
    resumed = run(dataset, folder=folder)
    assert same_networks(expected, resumed)
    assert resumed.history == expected.history
    assert Network.load(folder / "network.safetensors").fingerprint() == expected.network.fingerprint()
    for name in ("network.safetensors", "metrics.jsonl"):
        assert (folder / name).read_bytes() == (tmp_path / "uninterrupted" / name).read_bytes()
    states = [checkpoint.load(f / "checkpoint.safetensors").tensors for f in (folder, tmp_path / "uninterrupted")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_a_kill_while_the_checkpoint_is_written_leaves_the_last_one(dataset, tmp_path, monkeypatch):
    run(dataset, folder=tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()

    def half(tensors, name, metadata):
        with open(name, "wb") as file:  # noqa: PTH123
            file.write(before[:200])
        raise KeyboardInterrupt

    monkeypatch.setattr(checkpoint, "save_file", half)
    with pytest.raises(KeyboardInterrupt):
        checkpoint.save(checkpoint.load(tmp_path / "checkpoint.safetensors"), tmp_path / "checkpoint.safetensors")
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "checkpoint.safetensors",
        "metrics.jsonl",
        "network.safetensors",
    ]


def test_a_finished_run_is_not_trained_again(dataset, tmp_path, monkeypatch):
    first = run(dataset, folder=tmp_path)
    interrupt_after(monkeypatch, 0)
    assert same_networks(first, run(dataset, folder=tmp_path))


def test_another_run_in_the_same_folder_is_refused(dataset, tmp_path):
    run(dataset, folder=tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(
        InputError, match=r"learning_rate \(protocol\) of the run in .* is 0.01; expected 0.02.*choose another folder"
    ):
        run(dataset, replace(PROTOCOL, learning_rate=0.02), folder=tmp_path)
    with pytest.raises(InputError, match=r"dropout \(architecture\) of the run in"):
        run(dataset, architecture=replace(ARCHITECTURE, dropout=0.2), folder=tmp_path)
    with pytest.raises(InputError, match=r"seed \(dataset\) of the run in"):
        run(datasets.load("mts_xor", seed=2, train=48, validation=24, test=8), folder=tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before


def test_corrupted_checkpoints_are_refused(dataset, tmp_path):
    path = tmp_path / "checkpoint.safetensors"
    run(dataset, folder=tmp_path)
    content = path.read_bytes()
    for bad in (content[:100], content[:-10], b"\xff" * 300, b"\x00" * 300, b"{}"):
        path.write_bytes(bad)
        with pytest.raises(
            InputError, match=r"checkpoint is .*; expected a complete checkpoint of cortexsnn. remove it"
        ):
            run(dataset, folder=tmp_path)
    path.write_bytes(b"")
    with pytest.raises(InputError, match=r"checkpoint is .*; expected a file with content"):
        run(dataset, folder=tmp_path)
    # A network is a safetensors file too, but no checkpoint.
    path.write_bytes((tmp_path / "network.safetensors").read_bytes())
    with pytest.raises(InputError, match="expected a complete checkpoint of cortexsnn"):
        run(dataset, folder=tmp_path)
    assert path.read_bytes() == (tmp_path / "network.safetensors").read_bytes()


@pytest.mark.parametrize("missing", ["adam.exp_avg.maps.0.linear.weight", "model.maps.0.linear.weight"])
def test_incomplete_checkpoints_are_refused(dataset, tmp_path, missing):
    # Protects a user with a checkpoint of an older release from a KeyError.
    path = tmp_path / "checkpoint.safetensors"
    run(dataset, folder=tmp_path)
    whole = checkpoint.load(path)
    assert missing in whole.tensors
    tensors = {name: tensor for name, tensor in whole.tensors.items() if name != missing}
    checkpoint.save(replace(whole, history=whole.history[:2], tensors=tensors), path)
    with pytest.raises(InputError, match="checkpoint"):
        run(dataset, folder=tmp_path)


def test_the_best_epoch_is_that_of_the_validation_split(dataset):
    # Protects model selection: an export of the best epoch equals a run that stops there.
    long = run(dataset, replace(PROTOCOL, epochs=8))
    accuracies = [row["validation_accuracy"] for row in long.history]
    best = accuracies.index(max(accuracies)) + 1
    assert best < 8  # otherwise this test shows nothing; choose another seed
    assert long.network.metadata["best_epoch"] == best
    assert long.network.metadata["validation_accuracy"] == max(accuracies)
    assert same_networks(long, run(dataset, replace(PROTOCOL, epochs=best)))


def test_the_earliest_of_equally_good_epochs_is_kept(dataset):
    # Protects the agreement of best_epoch with the exported weights: one scored answer makes ties certain.
    one_answer = replace(dataset, validation=dataset.validation.take(slice(1)), scored_steps=np.arange(100) == 99)
    long = run(one_answer, replace(PROTOCOL, epochs=8))
    accuracies = [row["validation_accuracy"] for row in long.history]
    assert accuracies.count(max(accuracies)) > 1
    best = accuracies.index(max(accuracies)) + 1
    assert long.network.metadata["best_epoch"] == best
    assert same_networks(long, run(one_answer, replace(PROTOCOL, epochs=best)))


def test_test_data_never_influence_training(dataset):
    # Protects every reported accuracy.
    rng = np.random.default_rng(9)
    shuffled = Split(rng.permutation(dataset.test.counts), rng.integers(0, 2, dataset.test.labels.shape))
    other = replace(dataset, test=shuffled)
    first, second = run(dataset), run(other)
    assert same_networks(first, second)
    assert first.history == second.history
    assert first.network.metadata["test_accuracy"] != second.network.metadata["test_accuracy"]


def test_validation_data_choose_the_epoch_but_not_the_weights(dataset):
    other = replace(dataset, validation=Split(dataset.validation.counts, 1 - dataset.validation.labels))
    one_epoch = replace(PROTOCOL, epochs=1)
    assert same_networks(run(dataset, one_epoch), run(other, one_epoch))


def test_metadata_tell_how_the_network_was_made(dataset):
    metadata = run(dataset).network.metadata
    assert metadata["protocol"]["seed"] == 3
    assert metadata["architecture"]["hidden"] == (6, 5)
    assert metadata["dataset"] == dataset.description
    assert metadata["versions"]["torch"] == torch.__version__
    assert json.loads(json.dumps(dict(metadata)))["best_epoch"] == metadata["best_epoch"]


@pytest.mark.parametrize("change", [{"channels": 39}, {"classes": 3}, {"dt_s": 0.02}])
def test_the_architecture_fits_the_data(dataset, change):
    (name,) = change
    with pytest.raises(InputError, match=f"{name} of the architecture is .*, as in data set 'mts_xor'"):
        run(dataset, architecture=replace(ARCHITECTURE, **change))


def test_time_steps_that_print_alike_fit(dataset):
    # Protects users of SHD in 100 steps of 14 ms, who write dt_s=0.014.
    speech = replace(dataset, dt_s=1.4 / 100)
    one_epoch = replace(PROTOCOL, epochs=1)
    assert run(speech, one_epoch, replace(ARCHITECTURE, dt_s=0.014)).network.dt_s == pytest.approx(0.014)


def test_training_learns():
    # Protects the direction of the gradient: a task that one step of integration solves.
    rng = np.random.default_rng(0)

    def split(n):
        labels = rng.integers(0, 2, n)
        rates = np.where(labels[:, None] == np.repeat([0, 1], 4), 0.5, 0.1)
        return Split((rng.random((n, 20, 8)) < rates[:, None]).astype(np.uint8), labels)

    easy = Dataset("rates", 0.01, 2, "sum_of_softmax", split(256), split(64), split(64))
    architecture = Architecture(8, 2, (8,), (0.05,), readout_tau_s=0.05, dt_s=0.01)
    result = run(easy, Protocol(epochs=4, batch_size=32), architecture)
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert result.network.metadata["test_accuracy"] > 0.9


def test_a_loss_that_is_no_number_stops_the_run(dataset):
    with pytest.raises(RuntimeError, match=r"the training loss is .* in epoch .*; try a smaller learning rate"):
        run(dataset, replace(PROTOCOL, learning_rate=3e37))


# --- folding --------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def trained(dataset):
    """A model whose batch normalisation has statistics of its own, in float64 and with the exact decays."""
    module = fit_module()
    model = SpikingNetwork(replace(ARCHITECTURE, hidden=(12, 10)), torch.Generator().manual_seed(1))
    optimiser = torch.optim.Adam(model.parameters(), lr=0.01)
    for epoch in range(3):
        module._train_epoch(model, optimiser, dataset, PROTOCOL, epoch)
    model.double().eval()
    taus = [*model.architecture.tau_s, model.architecture.readout_tau_s]
    for name, tau_s in zip(("alpha0", "alpha1", "readout_alpha"), taus, strict=True):
        model.get_buffer(name).fill_(np.exp(-0.01 / tau_s))
    return model


def test_folding_changes_nothing(trained, dataset):
    # Protects the way out of torch: running statistics in weight and bias give the same network.
    network = training.to_network(trained, "per_step")
    counts = dataset.test.counts
    with torch.no_grad():
        unfolded = trained(torch.from_numpy(counts).permute(1, 0, 2).double()).permute(1, 0, 2).numpy()
    names = [p.name for p in network.hidden]
    folded = reference.simulate(network, counts, record_potential=names)
    scale = np.abs(unfolded).max()
    assert np.abs(unfolded - folded["readout"]["potential"].to_numpy()).max() <= 1e-10 * scale
    for share, name in zip(trained.active, names, strict=True):
        fired = folded[name].sizes["spike"] / (counts.shape[0] * 100 * network[name].size)
        assert fired == pytest.approx(share, abs=1e-12)
        assert 0.01 < fired < 0.6


def test_folded_names_and_fields(trained):
    network = training.to_network(trained, "per_step", {"seed": 1})
    assert [p.name for p in network.order] == ["hidden1", "hidden2", "readout"]
    assert network["hidden2"].tau_s.tolist() == [0.4] * 10
    assert network["hidden1"].reset == "subtract"
    assert dict(network.metadata) == {"seed": 1}
    assert np.abs(network["hidden1"].bias).max() > 0


@pytest.mark.parametrize(
    ("population", "delays", "message"),
    [
        ({}, (1,), r"delay_steps of projection 'input_to_hidden1' is \(1,\); expected \(0,\) in torch"),
        ({"reset": "zero"}, (0,), "reset of population 'hidden1' is 'zero'; expected 'subtract' in torch"),
        ({"refractory_steps": 2}, (0,), "refractory_steps of population 'hidden1' is 2; expected 0 in torch"),
        ({"adaptation_strength": 0.1, "adaptation_tau_s": 0.1}, (0,), "adaptation of population 'hidden1'"),
    ],
)
def test_torch_refuses_what_it_cannot_run(population, delays, message):
    network = Network(
        0.01,
        (Population.input("input", 1), Population.lif("hidden1", 1, tau_s=0.02, **population)),
        (Projection("input", "hidden1", [[1.0]], delays),),
    )
    with pytest.raises(InputError, match=message):
        training.simulate(network, np.ones((1, 3, 1)))
