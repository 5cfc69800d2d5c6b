"""Runs: repeatable, resumable, honest about the best epoch and the test split, and the way out of torch."""

import json
import sys
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cortexsnn import datasets, recording, reference, training  # noqa: E402
from cortexsnn.datasets import Dataset, Split  # noqa: E402
from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.network import Network  # noqa: E402
from cortexsnn.training import (  # noqa: E402
    Architecture,
    ChannelShift,
    LearnedTau,
    Protocol,
    Regularisation,
    Schedule,
    SpikingNetwork,
    Surrogate,
    checkpoint,
    paper_protocol,
    stack,
)
from cortexsnn.training.epoch import make_optimiser, train_epoch  # noqa: E402
from cortexsnn.training.evaluation import potentials, recompute_statistics, validate  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

STEPS, CHANNELS, CLASSES, DT_S = 16, 6, 3, 0.01
ARCHITECTURE = Architecture(CHANNELS, CLASSES, stack((6, 5), (0.03, 0.1)), readout_tau_s=0.05, dt_s=DT_S)
PROTOCOL = Protocol(epochs=4, batch_size=8, schedule=Schedule(first=2, every=1), seed=2)

# Every kind of layer that can be trained.
KINDS = {
    "dense": {},
    "convolution": {"kernel_size": 3, "dilation": 2},
    "recurrent": {"recurrent": True},
    "self_connections": {"recurrent": True, "self_connections": True},
    "adaptive": {"adaptation_strength": 0.2, "adaptation_tau_s": 0.05},
    "subtract_decayed": {"reset": "subtract_decayed"},
    "zero": {"reset": "zero"},
    "drawn_tau": {"tau_distribution": "gamma", "tau_spread": 0.3},
    "learned_tau": {"learned_tau": LearnedTau("neuron")},
    "learned_tau_of_the_layer": {"learned_tau": LearnedTau("layer")},
    "all": {"kernel_size": 2, "dilation": 3, "recurrent": True, "adaptation_strength": 0.1, "reset": "zero",
            "tau_distribution": "normal", "tau_spread": 0.2, "learned_tau": LearnedTau("neuron")},
}  # fmt: skip


def of_kind(kind):
    return replace(ARCHITECTURE, layers=stack((6, 5), (0.03, 0.1), **KINDS[kind]))


def rates(trials, seed, per_step=False):
    """A task for beginners: each class has channels that fire more."""
    rng = np.random.default_rng(seed)
    labels = np.arange(trials) % CLASSES
    chance = np.where(labels[:, None] == np.arange(CHANNELS) % CLASSES, 0.5, 0.15)
    counts = (rng.random((trials, STEPS, CHANNELS)) < chance[:, None]).astype(np.uint8)
    return Split(counts, np.tile(labels[:, None], STEPS) if per_step else labels)


@pytest.fixture(scope="module")
def dataset():
    parts = rates(40, 1), rates(21, 2), rates(12, 3)
    return Dataset("rates", DT_S, CLASSES, "sum_of_softmax", *parts, description={"name": "rates", "seed": 1})


def fit_module():
    """The module `cortexsnn.training.fit`, which the function of that name hides."""
    return sys.modules["cortexsnn.training.fit"]


def run(dataset, protocol=PROTOCOL, architecture=ARCHITECTURE, **options):
    return training.fit(dataset, architecture, protocol, progress=False, **options)


def new_model(architecture=ARCHITECTURE, seed=1):
    return SpikingNetwork(architecture, torch.Generator().manual_seed(seed))


def same_networks(first, second):
    """Bit for bit."""
    left, right = first.network.arrays(), second.network.arrays()
    return left.keys() == right.keys() and all(left[k].tobytes() == right[k].tobytes() for k in left)


# --- the same again -------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_weights(dataset):
    first, second, other = run(dataset), run(dataset), run(dataset, replace(PROTOCOL, seed=4))
    assert same_networks(first, second)
    assert first.history == second.history
    assert not same_networks(first, other)


def test_torch_s_own_random_numbers_neither_matter_nor_change(dataset):
    # Protects repeatable runs, and the random numbers of the user's other code.
    architecture = of_kind("all")
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    first = run(dataset, architecture=architecture)
    assert torch.equal(torch.rand(3), expected)
    torch.manual_seed(6)
    assert same_networks(first, run(dataset, architecture=architecture))


def interrupt_after(monkeypatch, epochs):
    """Ctrl-C in the middle of an epoch, after that many whole ones; returns what mends it."""
    module = fit_module()
    whole_epoch = module.train_epoch

    def broken_epoch(model, optimiser, data, protocol, epoch):
        row = whole_epoch(model, optimiser, data, protocol, epoch)
        if epoch == epochs:
            raise KeyboardInterrupt  # the model has changed, the checkpoint has not
        return row

    monkeypatch.setattr(module, "train_epoch", broken_epoch)
    return lambda: monkeypatch.setattr(module, "train_epoch", whole_epoch)


RUNS = {
    **{kind: (of_kind(kind), PROTOCOL) for kind in ("dense", "recurrent", "convolution", "all")},
    "adamw": (ARCHITECTURE, replace(PROTOCOL, optimiser="adamw", weight_decay=0.1)),
    "accumulation": (ARCHITECTURE, replace(PROTOCOL, accumulate=2)),
    "augmentation": (ARCHITECTURE, replace(PROTOCOL, augmentation=ChannelShift(1, 1))),
    "paper": (replace(ARCHITECTURE, alpha_bounds=(0.37, 0.995)), paper_protocol(epochs=4, batch_size=16)),
    "tau_rate": (of_kind("learned_tau"), replace(PROTOCOL, tau_learning_rate=0.1, schedule=Schedule("cosine"),
                                                 regularisation=Regularisation(0.01, 0.1, 10, 0.1, 0.1))),
}  # fmt: skip


def test_the_runs_of_this_file_differ(dataset):
    # Protects the test below from options that do nothing.
    found = [run(dataset, protocol, architecture).network.fingerprint() for architecture, protocol in RUNS.values()]
    assert len(set(found)) == len(RUNS)


@pytest.mark.parametrize(("name", "epochs"), [("dense", 0), ("dense", 3), *((name, 1) for name in RUNS)])
def test_an_interrupted_run_goes_on_as_if_nothing_had_happened(dataset, tmp_path, monkeypatch, name, epochs):
    architecture, protocol = RUNS[name]
    expected = run(dataset, protocol, architecture, folder=tmp_path / "uninterrupted")
    folder = tmp_path / "run"
    mend = interrupt_after(monkeypatch, epochs)
    with pytest.raises(KeyboardInterrupt):
        run(dataset, protocol, architecture, folder=folder)
    mend()
    if epochs:
        assert len(checkpoint.load(folder / "checkpoint.safetensors").history) == epochs
        assert len((folder / "metrics.jsonl").read_text().splitlines()) == epochs
    assert not (folder / "network.safetensors").exists()
    resumed = run(dataset, protocol, architecture, folder=folder)
    assert same_networks(expected, resumed)
    assert resumed.history == expected.history
    assert resumed.findings == expected.findings
    assert Network.load(folder / "network.safetensors").fingerprint() == expected.network.fingerprint()
    for file in ("network.safetensors", "metrics.jsonl"):
        assert (folder / file).read_bytes() == (tmp_path / "uninterrupted" / file).read_bytes()
    states = [checkpoint.load(f / "checkpoint.safetensors").tensors for f in (folder, tmp_path / "uninterrupted")]
    assert states[0].keys() == states[1].keys()
    assert all(torch.equal(states[0][tensor], states[1][tensor]) for tensor in states[0])


# --- checkpoints ----------------------------------------------------------------------------------------------


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
    again = run(dataset, folder=tmp_path)
    assert same_networks(first, again)
    assert again.history == first.history
    assert again.findings == first.findings


def test_another_run_in_the_same_folder_is_refused(dataset, tmp_path):
    run(dataset, folder=tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    with pytest.raises(
        InputError, match=r"learning_rate \(protocol\) of the run in .* is 0.01; expected 0.02.*choose another folder"
    ):
        run(dataset, replace(PROTOCOL, learning_rate=0.02), folder=tmp_path)
    with pytest.raises(InputError, match=r"dropout \(architecture\) of the run in"):
        run(dataset, architecture=replace(ARCHITECTURE, dropout=0.2), folder=tmp_path)
    with pytest.raises(InputError, match=r"layers \(architecture\) of the run in"):
        run(dataset, architecture=of_kind("zero"), folder=tmp_path)
    with pytest.raises(InputError, match=r"seed \(dataset\) of the run in"):
        run(replace(dataset, description={"name": "rates", "seed": 2}), folder=tmp_path)
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


@pytest.mark.parametrize("missing", ["adam.exp_avg.readout.weight", "model.readout.weight", "best.layers.0.recurrent"])
def test_incomplete_checkpoints_are_refused(dataset, tmp_path, missing):
    # Protects a user with a checkpoint of an older release from a KeyError.
    path = tmp_path / "checkpoint.safetensors"
    run(dataset, architecture=of_kind("recurrent"), folder=tmp_path)
    whole = checkpoint.load(path)
    assert missing in whole.tensors
    tensors = {name: tensor for name, tensor in whole.tensors.items() if name != missing}
    checkpoint.save(replace(whole, history=whole.history[:2], tensors=tensors), path)
    with pytest.raises(InputError, match=rf"checkpoint .*no '{missing}' of shape"):
        run(dataset, architecture=of_kind("recurrent"), folder=tmp_path)


# --- the best epoch, and when to stop -------------------------------------------------------------------------


def test_the_best_epoch_is_that_of_the_validation_split(dataset):
    # Protects model selection: an export of the best epoch equals a run that stops there.
    long = run(dataset, replace(PROTOCOL, epochs=7))
    accuracies = [row["validation_accuracy"] for row in long.history]
    best = accuracies.index(max(accuracies)) + 1
    assert best < 7  # otherwise this test shows nothing; choose another seed
    assert long.network.metadata["best_epoch"] == best
    assert long.network.metadata["validation_accuracy"] == max(accuracies)
    assert same_networks(long, run(dataset, replace(PROTOCOL, epochs=best)))


def test_the_earliest_of_equally_good_epochs_is_kept(dataset):
    # Protects the agreement of best_epoch with the exported weights: one scored answer makes ties certain.
    one_answer = replace(dataset, validation=dataset.validation.take(slice(1)))
    long = run(one_answer, replace(PROTOCOL, epochs=7))
    accuracies = [row["validation_accuracy"] for row in long.history]
    assert accuracies.count(max(accuracies)) > 1
    best = accuracies.index(max(accuracies)) + 1
    assert long.network.metadata["best_epoch"] == best
    assert same_networks(long, run(one_answer, replace(PROTOCOL, epochs=best)))


def scripted_accuracies(monkeypatch, accuracies):
    """Validation accuracies as they are wanted, one for each epoch."""
    module = fit_module()
    real = module.validate

    def validate(model, data, batch_size, **options):
        row = real(model, data, batch_size, **options)
        return row | {"validation_accuracy": accuracies.pop(0)}

    monkeypatch.setattr(module, "validate", validate)


@pytest.mark.parametrize(
    ("patience", "stops_after", "best"), [(1, 3, 2), (2, 4, 2), (3, 8, 5), (4, 9, 5), (None, 10, 5)]
)
def test_training_stops_when_patience_is_over(dataset, monkeypatch, patience, stops_after, best):
    # An accuracy that is only equalled does not count as progress.
    scripted_accuracies(monkeypatch, [0.5, 0.6, 0.6, 0.55, 0.7, 0.6, 0.7, 0.1, 0.2, 0.3])
    result = run(dataset, replace(PROTOCOL, epochs=10, patience=patience))
    assert len(result.history) == stops_after
    assert result.network.metadata["best_epoch"] == best


def test_early_stopping_goes_on_after_an_interruption(dataset, tmp_path, monkeypatch):
    # Protects the count of epochs without progress, and a run that is over from one epoch more.
    accuracies = [0.5, 0.6, 0.4, 0.3, 0.2, 0.9]
    protocol = replace(PROTOCOL, epochs=6, patience=3)
    with monkeypatch.context() as patched:
        scripted_accuracies(patched, accuracies.copy())
        expected = run(dataset, protocol)
    assert len(expected.history) == 5
    with monkeypatch.context() as patched:
        scripted_accuracies(patched, accuracies)
        mend = interrupt_after(patched, 3)
        with pytest.raises(KeyboardInterrupt):
            run(dataset, protocol, folder=tmp_path)
        mend()
        resumed = run(dataset, protocol, folder=tmp_path)
        assert same_networks(expected, resumed)
        (tmp_path / "network.safetensors").unlink()
        assert same_networks(expected, run(dataset, protocol, folder=tmp_path))
    assert accuracies == [0.9]


# --- the test split is sealed ---------------------------------------------------------------------------------


class SealedDataset(Dataset):
    """Counts how often its test split is looked at."""

    looks = 0

    def __getattribute__(self, name):
        if name == "test":
            type(self).looks += 1
        return super().__getattribute__(name)


@pytest.fixture
def sealed(dataset):
    names = ("name", "dt_s", "classes", "decoder", "train", "validation", "test", "scored_steps", "description")
    made = SealedDataset(**{name: getattr(dataset, name) for name in names})
    SealedDataset.looks = 0
    assert made.test is dataset.test
    assert SealedDataset.looks == 1  # the count counts
    SealedDataset.looks = 0
    return made


def test_the_test_split_is_read_once(sealed, tmp_path, monkeypatch):
    # Protects every reported accuracy: nothing reads it before the end, and a finished run not again.
    before_export = []
    real = fit_module().export

    def export(*arguments, **options):
        before_export.append(SealedDataset.looks)
        return real(*arguments, **options)

    monkeypatch.setattr(fit_module(), "export", export)
    mend = interrupt_after(monkeypatch, 2)
    with pytest.raises(KeyboardInterrupt):
        run(sealed, folder=tmp_path)
    assert SealedDataset.looks == 0
    mend()
    run(sealed, folder=tmp_path)
    assert before_export == [0]
    assert SealedDataset.looks > 0
    SealedDataset.looks = 0
    run(sealed, folder=tmp_path)
    assert SealedDataset.looks == 0
    assert not hasattr(sealed.training_data, "test")


def test_a_run_without_a_test_leaves_the_seal(sealed, tmp_path, monkeypatch):
    # Protects the choice between networks by validation accuracy, and the test of the chosen one without new training.
    untested = run(sealed, folder=tmp_path, test=False)
    assert SealedDataset.looks == 0
    assert not {"test_accuracy", "test_accuracy_before_folding"} & untested.network.metadata.keys()
    assert untested.network.metadata["validation_accuracy_after_folding"] > 0
    interrupt_after(monkeypatch, 0)  # not one epoch more
    run(sealed, folder=tmp_path, test=False)
    assert SealedDataset.looks == 0
    tested = run(sealed, folder=tmp_path)
    assert SealedDataset.looks > 0
    assert same_networks(tested, untested)
    assert tested.findings == untested.findings
    assert "test_accuracy" in Network.load(tmp_path / "network.safetensors").metadata


def test_test_data_never_influence_training(dataset):
    # Protects every reported accuracy.
    other = Split(dataset.test.counts[::-1].copy(), (1 + dataset.test.labels) % CLASSES)
    first, second = run(dataset), run(replace(dataset, test=other))
    assert same_networks(first, second)
    assert first.history == second.history
    assert first.network.metadata["test_accuracy"] != second.network.metadata["test_accuracy"]


def test_validation_data_choose_the_epoch_but_not_the_weights(dataset):
    other = replace(dataset, validation=Split(dataset.validation.counts, (1 + dataset.validation.labels) % CLASSES))
    one_epoch = replace(PROTOCOL, epochs=1)
    assert same_networks(run(dataset, one_epoch), run(other, one_epoch))


# --- one epoch ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("accumulate", [1, 2, 3])
def test_accumulated_gradients_are_averaged(dataset, accumulate):
    # Protects the size of a step: each of 5 mini-batches is normalised by itself, the last group may be smaller.
    protocol = replace(PROTOCOL, batch_size=8, accumulate=accumulate)
    architecture = replace(ARCHITECTURE, dropout=0.0)
    model, other = new_model(architecture), new_model(architecture)
    optimiser = torch.optim.SGD([{"params": list(model.parameters()), "name": "weights"}], lr=1.0)
    train_epoch(model, optimiser, dataset.training_data, protocol, 0)

    order = np.random.default_rng([protocol.seed, 1, 0]).permutation(40)
    batches = [order[start : start + 8] for start in range(0, 40, 8)]
    parameters = list(other.train().parameters())
    for first in range(0, 5, accumulate):
        group = batches[first : first + accumulate]
        total = [torch.zeros_like(p) for p in parameters]
        for batch in group:
            counts = torch.from_numpy(dataset.train.counts[batch]).permute(1, 0, 2).float()
            logits = other.run(counts).readout.softmax(-1).sum(0)
            loss = torch.nn.functional.cross_entropy(logits, torch.from_numpy(dataset.train.labels[batch]))
            total = [t + g for t, g in zip(total, torch.autograd.grad(loss, parameters), strict=True)]
        assert all(bool(t.any()) for t in total)
        with torch.no_grad():
            for p, t in zip(parameters, total, strict=True):
                p -= protocol.learning_rate * t / len(group)
    for found, expected in zip(model.parameters(), parameters, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("protocol", [PROTOCOL, paper_protocol(batch_size=16)], ids=["default", "paper"])
def test_adam_counts_iterations_or_epochs(dataset, monkeypatch, protocol):
    # Protects the paper's quirk, and the default from it: Adam by its formula from the gradients of each step.
    model = new_model()
    optimiser = make_optimiser(model, protocol)
    watched = model.readout.weight
    gradients, weights = [], [watched.detach().double().clone()]
    step = optimiser.step

    def spied_step():
        gradients.append(watched.grad.double().clone())
        step()
        weights.append(watched.detach().double().clone())

    monkeypatch.setattr(optimiser, "step", spied_step)
    for epoch in range(3):
        train_epoch(model, optimiser, dataset.training_data, protocol, epoch)
    of_an_epoch = len(gradients) // 3
    assert of_an_epoch >= 3
    mean = square = torch.zeros_like(gradients[0])
    for iteration, gradient in enumerate(gradients):
        epoch = iteration // of_an_epoch
        count = epoch + 1 if protocol.adam_step == "epoch" else iteration + 1
        mean, square = 0.9 * mean + 0.1 * gradient, 0.999 * square + 0.001 * gradient**2
        update = (mean / (1 - 0.9**count)) / ((square / (1 - 0.999**count)).sqrt() + 1e-8)
        found = weights[iteration] - weights[iteration + 1]
        torch.testing.assert_close(found, protocol.learning_rate_at(epoch) * update, rtol=1e-4, atol=1e-7)
    first = weights[0] - weights[1]
    torch.testing.assert_close(first, 0.01 * gradients[0].sign(), rtol=1e-3, atol=1e-5)


def test_only_connection_weights_decay_and_tau_has_a_rate_of_its_own(dataset):
    protocol = replace(PROTOCOL, optimiser="adamw", weight_decay=0.3, tau_learning_rate=0.002)
    model = new_model(of_kind("all"))
    optimiser = make_optimiser(model, protocol)
    assert isinstance(optimiser, torch.optim.AdamW)
    by_name = {group["name"]: group for group in optimiser.param_groups}
    assert {name: group["weight_decay"] for name, group in by_name.items()} == {
        "weights": 0.3,
        "normalisation": 0.0,
        "tau": 0.0,
    }
    assert [tuple(p.shape) for p in by_name["weights"]["params"]] == [(2, 6, 6), (2, 5, 6), (1, 3, 5), (6, 6), (5, 5)]
    assert [tuple(p.shape) for p in by_name["tau"]["params"]] == [(6,), (5,)]
    members = [p for group in optimiser.param_groups for p in group["params"]]
    assert {id(p) for p in members} == {id(p) for p in model.parameters()}
    train_epoch(model, optimiser, dataset.training_data, protocol, 3)  # after two falls by a quarter
    assert by_name["weights"]["lr"] == pytest.approx(0.01 * 0.75**2)
    assert by_name["tau"]["lr"] == pytest.approx(0.002 * 0.75**2)


@pytest.mark.parametrize("kind", ["learned_tau", "learned_tau_of_the_layer"])
def test_time_constants_are_learned_and_logged(dataset, kind):
    result = run(dataset, replace(PROTOCOL, tau_learning_rate=0.3), of_kind(kind))
    first, last = (result.history[epoch]["tau_ms"] for epoch in (0, -1))
    assert [len(layer) for layer in first] == ([6, 5] if kind == "learned_tau" else [1, 1])
    assert all(len(set(layer)) == len(layer) for layer in last)
    for before, after in zip(first, last, strict=True):
        assert all(a != b for a, b in zip(before, after, strict=True))
    assert result.history[0]["tau_bounds_ms"] == [[2.0, 2000.0]] * 2
    best = result.history[result.network.metadata["best_epoch"] - 1]["tau_ms"]
    for population, tau_ms in zip(result.network.hidden, best, strict=True):
        np.testing.assert_allclose(1000 * population.tau_s, np.resize(tau_ms, population.size), atol=1e-6)


def test_bfloat16_trains(dataset):
    first, other = run(dataset, replace(PROTOCOL, precision="bfloat16")), run(dataset)
    assert not same_networks(first, other)
    assert first.history[-1]["train_loss"] < first.history[0]["train_loss"]
    assert all(np.isfinite(array).all() for array in first.network.arrays().values())


def test_augmentation_and_penalties_take_part(dataset):
    # Protects options that are described, and then forgotten in the loop.
    one_epoch = replace(PROTOCOL, epochs=1)
    plain = run(dataset, one_epoch)
    for penalties in (Regularisation(weight=1.0), Regularisation(rate=1.0)):
        assert not same_networks(plain, run(dataset, replace(one_epoch, regularisation=penalties)))
    # Moved by more channels than there are, nothing is left to learn from; the validation split stays where it is.
    nothing_left = run(dataset, replace(one_epoch, augmentation=ChannelShift(CHANNELS, 0))).history[0]
    assert plain.history[0]["gradient_norm"][0] > 0
    assert nothing_left["gradient_norm"][0] == 0
    learned = of_kind("learned_tau")
    plain = run(dataset, one_epoch, learned)
    for penalties in (Regularisation(tau_spread=5.0), Regularisation(tau_drift=5.0)):
        assert not same_networks(plain, run(dataset, replace(one_epoch, regularisation=penalties), learned))


def test_training_learns(dataset):
    # Protects the direction of the gradient: a task that a few steps of integration solve.
    result = run(dataset, Protocol(epochs=12, batch_size=10))
    assert result.history[-1]["train_loss"] < 0.7 * result.history[0]["train_loss"]
    assert result.network.metadata["validation_accuracy"] > 0.8


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_layer_learns(dataset, kind):
    result = run(dataset, Protocol(epochs=6, batch_size=10), of_kind(kind))
    assert result.history[-1]["train_loss"] < result.history[0]["train_loss"]
    assert all(norm > 0 for row in result.history for norm in row["gradient_norm"])


# --- validation -----------------------------------------------------------------------------------------------


def test_with_batch_statistics_a_trial_depends_on_its_batch(dataset):
    # Protects the difference between the protocols: by running statistics, every trial is on its own.
    model = new_model()
    train_epoch(model, make_optimiser(model, PROTOCOL), dataset.training_data, PROTOCOL, 0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    by_batch = [potentials(model, dataset.validation, size, batch_statistics=True) for size in (4, 21)]
    alone = [potentials(model, dataset.validation, size) for size in (4, 21)]
    np.testing.assert_allclose(alone[0], alone[1], rtol=1e-5, atol=1e-6)
    assert np.abs(by_batch[0] - by_batch[1]).max() > 0.01
    assert np.abs(by_batch[1] - alone[1]).max() > 0.01
    rows = [validate(model, dataset.training_data, 21, batch_statistics=b) for b in (True, False)]
    assert rows[0]["validation_loss"] != rows[1]["validation_loss"]
    assert all(torch.equal(tensor, before[name]) for name, tensor in model.state_dict().items())


def test_figures_of_the_layers(dataset):
    # Protects the diagnosis: shares of bins and neurons counted by hand, in batches that do not divide the split.
    model = new_model(of_kind("adaptive"))
    protocol = replace(PROTOCOL, batch_size=2)
    train_epoch(model, make_optimiser(model, protocol), dataset.training_data, protocol, 0)
    row = validate(model, dataset.training_data, 8)
    with torch.no_grad():
        activity = model.run(torch.from_numpy(dataset.validation.counts).permute(1, 0, 2).float())
    for number, layer in enumerate(model.hidden):
        spikes, potential = activity.spikes[number].numpy(), activity.potentials[number].numpy()
        share = spikes.mean(axis=(0, 1))
        theta, rise = np.ones_like(spikes), np.zeros_like(spikes)
        for step in range(1, STEPS):
            rise[step] = np.exp(-DT_S / 0.05) * rise[step - 1] + spikes[step - 1]
        theta += 0.2 * rise
        assert row["active_percent"][number] == pytest.approx(100 * share.mean(), rel=1e-5)
        assert row["silent_percent"][number] == pytest.approx(100 * (share == 0).mean())
        assert row["saturated_percent"][number] == pytest.approx(100 * (share > 0.9).mean())
        near = np.abs(potential - theta) < 0.5
        assert row["surrogate_percent"][number] == pytest.approx(100 * near.mean(), abs=0.1)
        assert 0 < share.mean() < 1
        assert 0 < near.mean() < 1
        assert layer.surrogate == Surrogate("box", 1.0)


@pytest.mark.parametrize("batch_size", [7, 40])
def test_recomputed_statistics_are_those_of_the_training_split(dataset, batch_size):
    # Protects the export of a run by batch statistics: mean and variance of every current, layer by layer.
    model = new_model(of_kind("all"))
    train_epoch(model, make_optimiser(model, PROTOCOL), dataset.training_data, PROTOCOL, 0)
    before = model.readout.norm.running_var.clone()
    recompute_statistics(model, dataset.train, batch_size)
    assert not torch.allclose(before, model.readout.norm.running_var)
    spikes = torch.from_numpy(dataset.train.counts).permute(1, 0, 2).float()
    with torch.no_grad():
        fired = model.eval().run(spikes).spikes
    for connections, sources in zip(model.connections, [spikes, *fired], strict=True):
        current = connections.current(sources).detach().double().flatten(0, 1).numpy()
        np.testing.assert_allclose(connections.norm.running_mean, current.mean(axis=0), rtol=1e-5, atol=1e-6)
        np.testing.assert_allclose(connections.norm.running_var, current.var(axis=0), rtol=1e-5, atol=1e-6)


def test_a_run_by_batch_statistics_is_exported_with_those_of_the_training_split(dataset):
    result = run(dataset, paper_protocol(epochs=3, batch_size=16))
    metadata = result.network.metadata
    counts = dataset.train.counts
    simulated = reference.simulate(result.network, counts, record_potential=["hidden1"])
    # The folded current of hidden1 over the training split has the mean and the variance of its normalisation.
    (first, *_) = result.network.projections
    current = counts @ first.weight[0].T + result.network["hidden1"].bias
    assert np.abs(current.mean(axis=(0, 1))).max() < 0.2  # shifts have been learned for a while
    assert np.abs(current.std(axis=(0, 1)) - 1).max() < 0.2  # and scales
    assert simulated["hidden1"].sizes["spike"] > 100
    assert {"test_accuracy", "test_accuracy_before_folding", "validation_accuracy_after_folding"} <= metadata.keys()


# --- the way out ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_trained_network_survives_its_file(dataset, tmp_path, kind):
    # Protects the way from training to simulation: the saved network fires the same spikes everywhere.
    result = run(dataset, replace(PROTOCOL, epochs=1, batch_size=2), of_kind(kind), folder=tmp_path)
    loaded = Network.load(tmp_path / "network.safetensors")
    assert loaded.fingerprint() == result.network.fingerprint()
    names = [p.name for p in loaded.hidden]
    expected = reference.simulate(loaded, dataset.test.counts, record_potential=names)
    for network in (loaded, result.network):
        table = recording.compare(expected, training.simulate(network, dataset.test.counts))
        assert table["differing"].to_numpy().tolist() == [0, 0, 0]
        assert (table["potential_difference"] <= 1e-12 * table["potential_scale"]).all()
    assert all(0.01 < recording.dense_spikes(expected, name).mean() < 0.9 for name in names)
    projections = {p.name: p for p in loaded.projections}
    if "recurrent" in KINDS[kind]:
        diagonal = np.diag(projections["hidden1_to_hidden1"].weight[0])
        assert np.all(diagonal != 0) == ("self_connections" in KINDS[kind])
        assert np.any(diagonal) == ("self_connections" in KINDS[kind])
    assert (loaded["hidden1"].adaptation is not None) == ("adaptation_strength" in KINDS[kind])
    assert loaded["hidden2"].reset == KINDS[kind].get("reset", "subtract")
    steps = KINDS[kind].get("dilation", 1)
    delays = tuple(steps * k for k in range(KINDS[kind].get("kernel_size", 1)))
    assert projections["hidden1_to_hidden2"].delay_steps == delays


def test_accuracies_are_those_of_the_folded_network(dataset):
    # Protects the reported accuracy: of the network in the file, on trials counted by hand.
    from cortexsnn.decoding import decode

    network = run(dataset).network
    for part, name in ((dataset.test, "test_accuracy"), (dataset.validation, "validation_accuracy_after_folding")):
        readout = reference.simulate(network, part.counts)["readout"]["potential"].to_numpy()
        share = float(np.mean(decode(readout, network.decoder) == part.labels))
        assert network.metadata[name] == pytest.approx(share)
    assert network.metadata["test_accuracy"] == network.metadata["test_accuracy_before_folding"]


def test_metadata_tell_how_the_network_was_made(dataset):
    metadata = run(dataset).network.metadata
    assert metadata["protocol"]["seed"] == 2
    assert [layer["size"] for layer in metadata["architecture"]["layers"]] == [6, 5]
    assert metadata["dataset"] == dataset.description
    assert metadata["versions"]["torch"] == torch.__version__
    assert metadata["initial_effective_memory_s"] == pytest.approx(ARCHITECTURE.effective_memory().layer_s)
    assert 0.3 < metadata["memoryless_control_accuracy"] <= 1
    assert json.loads(json.dumps(dict(metadata)))["best_epoch"] == metadata["best_epoch"]


def test_numbers_of_numpy_are_as_good_as_others(dataset, tmp_path):
    # Protects loops over np.arange: descriptions are written as JSON.
    schedule = Schedule(first=np.int64(2), factor=np.float32(0.5))
    protocol = replace(PROTOCOL, epochs=np.int64(1), batch_size=np.int32(16), seed=np.int64(3),
                       learning_rate=np.float32(0.5), schedule=schedule)  # fmt: skip
    layers = stack(np.array([6, 5]), np.float32(0.03), kernel_size=np.int64(2), dilation=np.array([1, 2]))
    architecture = Architecture(np.int64(CHANNELS), np.int64(CLASSES), layers, np.float32(0.05), np.float64(DT_S),
                                weight_bounds=np.array([0.1, 0.1, 0.1]), alpha_bounds=np.array([0.4, 0.9]))  # fmt: skip
    numbered = replace(dataset, description={"name": "rates", "seed": np.int64(1)})
    result = run(numbered, protocol, architecture, folder=tmp_path)
    assert same_networks(result, run(numbered, protocol, architecture, folder=tmp_path))
    plain = replace(PROTOCOL, epochs=1, batch_size=16, seed=3, learning_rate=0.5,
                    schedule=Schedule(first=2, factor=0.5))  # fmt: skip
    assert protocol == plain


@pytest.mark.parametrize("change", [{"channels": 5}, {"classes": 4}, {"dt_s": 0.02}])
def test_the_architecture_fits_the_data(dataset, change):
    (name,) = change
    with pytest.raises(InputError, match=f"{name} of the architecture is .*, as in data set 'rates'"):
        run(dataset, architecture=replace(ARCHITECTURE, **change))


def test_time_steps_that_print_alike_fit(dataset):
    # Protects users of SHD in 100 steps of 14 ms, who write dt_s=0.014.
    speech = replace(dataset, dt_s=1.4 / 100)
    one_epoch = replace(PROTOCOL, epochs=1)
    assert run(speech, one_epoch, replace(ARCHITECTURE, dt_s=0.014)).network.dt_s == pytest.approx(0.014)


def test_labels_of_every_step():
    # Protects tasks that are scored in some steps only.
    data = datasets.load("mts_xor", seed=1, train=16, validation=8, test=4)
    architecture = Architecture(40, 2, stack((6,), 0.1, kernel_size=2), readout_tau_s=0.05, dt_s=0.01)
    result = run(data, replace(PROTOCOL, epochs=1), architecture)
    model_says = reference.simulate(result.network, data.test.counts)["readout"]["potential"].to_numpy().argmax(axis=2)
    right = (model_says == data.test.labels)[:, data.scored_steps].mean()
    assert result.network.metadata["test_accuracy"] == pytest.approx(right)


def test_tensorboard_needs_a_folder(dataset):
    with pytest.raises(InputError, match="tensorboard without a folder"):
        run(dataset, tensorboard=True)


# --- what goes wrong ------------------------------------------------------------------------------------------


def test_a_healthy_run_has_no_findings(dataset):
    data = replace(dataset, validation=rates(60, 5))
    findings = run(data, Protocol(epochs=6, batch_size=10)).findings
    assert [finding.kind for finding in findings if finding.kind != "no_gain"] == []


def test_a_surrogate_that_passes_nothing_is_found(dataset, tmp_path):
    # Protects the user from layers that only seem to learn.
    narrow = replace(ARCHITECTURE, surrogate=Surrogate("box", 1e-6))
    result = run(dataset, architecture=narrow, folder=tmp_path)
    found = {(f.kind, f.layer): f for f in result.findings}
    assert {("vanishing_gradient", 1), ("vanishing_gradient", 2)} <= found.keys()
    assert "widen the surrogate" in found["vanishing_gradient", 1].message
    assert result.history[-1]["gradient_norm"][0] == 0
    metadata = Network.load(tmp_path / "network.safetensors").metadata
    assert [f["message"] for f in metadata["findings"]] == [f.message for f in result.findings]
    assert all(f["holds_at_the_end"] for f in metadata["findings"] if f["kind"] == "vanishing_gradient")


def test_dead_layers_are_found(dataset):
    # Recordings without a spike, as an empty file gives them: nothing ever reaches a threshold.
    empty = {name: Split(np.zeros_like(getattr(dataset, name).counts), getattr(dataset, name).labels)
             for name in ("train", "validation", "test")}  # fmt: skip
    result = run(replace(dataset, **empty))
    assert {("silent", 1), ("silent", 2)} <= {(f.kind, f.layer) for f in result.findings}
    assert result.history[-1]["silent_percent"] == [100.0, 100.0]
    assert any("never fired" in f.message or "of all bins" in f.message for f in result.findings)


@pytest.mark.filterwarnings("ignore:invalid value encountered:RuntimeWarning")
@pytest.mark.parametrize("batch_size", [8, 64])
def test_a_loss_that_is_no_number_stops_the_run_and_keeps_the_checkpoint(dataset, tmp_path, batch_size):
    # From the third epoch on, the learning rate is infinite. In one batch the training loss is still a number, and
    # the validation split shows it first.
    protocol = replace(PROTOCOL, epochs=6, batch_size=batch_size, schedule=Schedule(first=2, every=1, factor=3e39))
    with pytest.raises(FloatingPointError, match=r"the (training|validation) loss is nan in epoch 3; .*learning rate"):
        run(dataset, protocol, folder=tmp_path)
    before = (tmp_path / "checkpoint.safetensors").read_bytes()
    kept = checkpoint.load(tmp_path / "checkpoint.safetensors")
    assert [row["epoch"] for row in kept.history] == [1, 2]
    assert all(torch.isfinite(tensor).all() for tensor in kept.tensors.values())
    assert not (tmp_path / "network.safetensors").exists()
    with pytest.raises(FloatingPointError, match="in epoch 3"):
        run(dataset, protocol, folder=tmp_path)
    assert (tmp_path / "checkpoint.safetensors").read_bytes() == before
