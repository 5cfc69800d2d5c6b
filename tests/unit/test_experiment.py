"""Experiments in plain values: from settings files, the command line and sweeps to data, network and protocol."""

import argparse
import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from cortexsnn.arguments import add_experiment_options, experiment_description  # noqa: E402
from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.experiment import Experiment, run  # noqa: E402
from cortexsnn.network import Network  # noqa: E402
from cortexsnn.training import ChannelShift, LearnedTau, Protocol, Schedule, Surrogate, paper_protocol  # noqa: E402

pytestmark = [pytest.mark.torch, pytest.mark.usefixtures("one_thread")]

SMALL = {"name": "mts_xor", "train": 16, "validation": 8, "test": 4}


def test_an_experiment_without_a_word_is_the_default():
    experiment = Experiment.described({})
    assert experiment == Experiment()
    assert experiment.training_protocol() == Protocol()
    assert experiment.hierarchy.of_layers(4) == pytest.approx([0.05, 0.05 + 0.5 / 3, 0.05 + 1 / 3, 0.55])


def test_every_part_reaches_the_network_and_the_protocol():
    # Protects values that are read, and then forgotten.
    experiment = Experiment.described(
        {
            "data": SMALL,
            "network": {"layers": 3, "width": 7, "readout_tau_ms": 30, "dropout": 0.2, "surrogate": "arctan",
                        "surrogate_width": 0.5, "recurrent": True, "self_connections": True, "reset": "zero",
                        "adaptation_strength": 0.1, "adaptation_tau_ms": 90, "weight_bounds": [0.1, 0.2, 0.3, 0.4],
                        "alpha_bounds": [0.4, 0.99]},
            "hierarchy": {"tau_ms": 100, "span_ms": 100, "distribution": "gamma", "spread": 0.2, "learned": "layer",
                          "low_ms": 5, "high_ms": 900},
            "convolution": {"kernel_size": 3, "kernel_span": 2, "dilation": 2, "dilation_span": 2},
            "protocol": {"epochs": 7, "patience": 2, "optimiser": "adamw", "weight_decay": 0.1, "learning_rate": 1,
                         "schedule": {"kind": "cosine", "warm_up": 1}, "augmentation": {"mean": 2},
                         "regularisation": {"rate": 0.5}},
            "seed": 11,
        }
    )  # fmt: skip
    dataset = experiment.dataset()
    assert dataset.description["seed"] == 11
    assert len(dataset.train) == 16
    architecture = experiment.architecture(dataset)
    assert [layer.size for layer in architecture.layers] == [7, 7, 7]
    assert [layer.tau_s for layer in architecture.layers] == pytest.approx([0.05, 0.1, 0.15])
    assert [layer.kernel_size for layer in architecture.layers] == [2, 3, 4]
    assert [layer.dilation for layer in architecture.layers] == [1, 2, 3]
    first = architecture.layers[0]
    assert (first.reset, first.adaptation_strength, first.adaptation_tau_s) == ("zero", 0.1, 0.09)
    assert (first.recurrent, first.self_connections) == (True, True)
    assert (first.tau_distribution, first.tau_spread) == ("gamma", 0.2)
    assert first.learned_tau == LearnedTau("layer", 0.005, 0.9)
    assert architecture.surrogate == Surrogate("arctan", 0.5)
    assert (architecture.readout_tau_s, architecture.dropout) == (0.03, 0.2)
    assert (architecture.weight_bounds, architecture.alpha_bounds) == ((0.1, 0.2, 0.3, 0.4), (0.4, 0.99))
    protocol = experiment.training_protocol()
    assert (protocol.epochs, protocol.patience, protocol.seed) == (7, 2, 11)
    assert (protocol.optimiser, protocol.weight_decay, protocol.learning_rate) == ("adamw", 0.1, 1.0)
    assert protocol.schedule == Schedule("cosine", warm_up=1)
    assert protocol.augmentation == ChannelShift(mean=2.0)
    assert protocol.regularisation.rate == 0.5


def test_profiles_over_depth():
    def of_layers(**values):
        return Experiment.described({"hierarchy": values}).hierarchy.of_layers(3)

    assert of_layers(profile="homogeneous", tau_ms=80) == pytest.approx([0.08] * 3)
    assert of_layers(profile="reversed", tau_ms=80, span_ms=40) == pytest.approx([0.1, 0.08, 0.06])
    steep, flat = (of_layers(profile="tanh", tau_ms=80, span_ms=40, steepness=s, centre=0.3) for s in (0.05, 5.0))
    assert steep != pytest.approx(flat)
    assert of_layers(profile="tanh", tau_ms=80, span_ms=40, centre=0.7) != pytest.approx(
        of_layers(profile="tanh", tau_ms=80, span_ms=40, centre=0.3)
    )
    shuffled = [tuple(of_layers(profile="shuffled", tau_ms=80, span_ms=40, shuffle_seed=s)) for s in range(12)]
    assert len(set(shuffled)) > 1
    assert all(sorted(s) == pytest.approx([0.06, 0.08, 0.1]) for s in shuffled)
    doubling = Experiment.described({"convolution": {"profile": "exponential", "kernel_size": 2}}).convolution
    assert doubling.of_layers(4) == {"kernel_size": (2, 2, 2, 2), "dilation": (1, 2, 4, 8)}


def test_the_paper_s_protocol_by_name():
    experiment = Experiment.described({"protocol": {"name": "paper", "schedule": {"every": 5}}, "seed": 4})
    assert experiment.training_protocol() == paper_protocol(seed=4, schedule=Schedule(first=26, every=5))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"layers": 3}, "layers is 3; expected one of data, network, hierarchy, convolution, protocol, seed"),
        ({"network": {"depth": 3}}, "network.depth is 3; expected one of layers, width"),
        ({"network": {"layers": 2.5}}, "network.layers is 2.5; expected a whole number"),
        ({"network": {"layers": True}}, "network.layers is True; expected a whole number"),
        ({"network": {"dropout": "some"}}, "network.dropout is 'some'; expected a number"),
        ({"network": {"dropout": True}}, "network.dropout is True; expected a number"),
        ({"network": {"recurrent": 1}}, "network.recurrent is 1; expected true or false"),
        ({"network": {"reset": 0}}, "network.reset is 0; expected a word"),
        ({"network": 3}, "network is 3; expected a table of names and values"),
        ({"data": "mts_xor"}, "data is 'mts_xor'; expected a table of names and values"),
        ({"protocol": "paper"}, "protocol is 'paper'; expected a table of names and values"),
        ({"seed": "one"}, "seed is 'one'; expected a whole number"),
    ],
)
def test_descriptions_are_checked(values, message):
    with pytest.raises(InputError, match=message):
        Experiment.described(values)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"protocol": {"pace": 3}}, "protocol.pace is 3; expected one of epochs, batch_size"),
        ({"protocol": {"schedule": {"first": "late"}}}, "protocol.schedule.first is 'late'; expected a whole number"),
        ({"protocol": {"schedule": "cosine"}}, "protocol.schedule is 'cosine'; expected a table"),
        ({"protocol": {"augmentation": 3}}, "protocol.augmentation is 3; expected a table"),
        ({"protocol": {"seed": 3}}, "seed of the protocol is 3; expected nothing here. seed belongs to the experiment"),
        ({"protocol": {"name": "fast"}}, "name of the protocol is 'fast'; expected 'default' or 'paper'"),
        ({"protocol": {"patience": "long"}}, "patience is 'long'"),
        ({"hierarchy": {"learned": "all"}}, "learned of the time constants is 'all'; expected 'no', 'neuron' or 'lay"),
        ({"hierarchy": {"profile": "pyramid"}}, "pyramid"),
        ({"convolution": {"profile": "cubic"}}, "profile of the convolution is 'cubic'; expected 'linear' or 'expone"),
        ({"network": {"weight_bounds": 0.1}}, "weight_bounds is 0.1"),
        ({"network": {"alpha_bounds": [0.1, 0.2, 0.3]}}, "alpha_bounds is"),
        ({"data": {"name": "mts_xor", "trials": 3}}, "data of the experiment is .*expected options of mts_xor"),
    ],
)
def test_what_only_shows_when_it_is_made_is_refused_by_name(values, message):
    def made():
        experiment = Experiment.described({"data": SMALL} | values)
        return experiment.architecture(experiment.dataset()), experiment.training_protocol()

    with pytest.raises(InputError, match=message):
        made()


# --- the command line ---------------------------------------------------------------------------------------------


def described(*arguments):
    parser = argparse.ArgumentParser()
    add_experiment_options(parser)
    parser.add_argument("--seed", type=int, default=None)
    return experiment_description(parser.parse_args(arguments))


def test_options_change_the_settings_file_and_set_changes_both(tmp_path):
    path = tmp_path / "settings.toml"
    path.write_text('seed = 5\n[network]\nlayers = 3\nwidth = 9\n[protocol]\nname = "paper"\n', encoding="utf-8")
    found = described(f"--settings={path}", "--width=11", "--tau-ms=80", "--recurrent", "--set", "network.width=13",
                      "--set", "hierarchy.distribution=gamma", "--set", "network.alpha_bounds=[0.4, 0.9]",
                      "--set", "data.noise=0.5")  # fmt: skip
    assert found == {
        "seed": 5,
        "network": {"layers": 3, "width": 13, "recurrent": True, "alpha_bounds": [0.4, 0.9]},
        "protocol": {"name": "paper"},
        "hierarchy": {"tau_ms": 80.0, "distribution": "gamma"},
        "data": {"noise": 0.5},
    }
    assert described(f"--settings={path}", "--seed=6")["seed"] == 6
    assert described() == {}
    Experiment.described(found)


def test_every_named_option_is_a_field_with_its_default():
    # Protects the help text and the table of options from the experiment they stand for.
    from cortexsnn.arguments import _OPTIONS

    default = Experiment()
    protocol = default.training_protocol()
    for option, path, kind, shown, _ in _OPTIONS:
        group, *rest = path.split(".")
        value = {"data": {"name": "mts_xor", "channels_per_group": 1}, "protocol": {"name": "default"}}.get(group, {})
        for name in rest:
            if isinstance(value, dict) and name in value:
                value = value[name]
            else:
                value = getattr(protocol if group == "protocol" and name == rest[0] else
                                getattr(default, group) if name == rest[0] else value, name)  # fmt: skip
        assert kind(shown) == value, option
        Experiment.described(described(f"{option}={shown}")).training_protocol()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--set", "network.width"), "--set is 'network.width'; expected NAME=VALUE"),
        (("--set", "=3"), "--set is '=3'; expected NAME=VALUE"),
        (("--set", "seed=3", "--set", "seed.x=3"), "--set seed.x is 3; expected a path through groups, but 'seed'"),
        (("--settings", "nowhere.toml"), "settings file is 'nowhere.toml'; expected"),
    ],
)
def test_options_are_checked(arguments, message):
    with pytest.raises(InputError, match=message):
        described(*arguments)


def test_settings_that_are_no_toml_are_refused(tmp_path):
    path = Path(tmp_path / "settings.toml")
    for content in (b"seed = = 3", b"\xff\xfe"):
        path.write_bytes(content)
        with pytest.raises(InputError, match=r"settings file is .*; expected a TOML file"):
            described(f"--settings={path}")


# --- one run of a sweep -------------------------------------------------------------------------------------------


def test_a_run_is_summed_up_in_plain_numbers(tmp_path):
    description = {
        "data": SMALL,
        "network": {"layers": 2, "width": 4},
        "hierarchy": {"tau_ms": 60, "span_ms": 40},
        "convolution": {"kernel_size": 2},
        "protocol": {"epochs": 3, "batch_size": 8},
        "seed": 2,
    }
    result = run(description, tmp_path)
    assert json.loads(json.dumps(result)) == result
    network = Network.load(tmp_path / "network.safetensors")
    assert result["epochs"] == 3
    assert result["weights"] == 2 * 4 * 40 + 2 * 4 * 4 + 2 * 4
    assert result["tau_median_ms"] == pytest.approx([40, 80])
    membrane_ms = 10 / np.expm1([10 / 40, 10 / 80])
    assert result["effective_memory_ms"] == pytest.approx(5 + membrane_ms)  # and half of a kernel of two taps
    rows = [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]
    best = rows[result["best_epoch"] - 1]
    assert result["active_percent"] == best["active_percent"]
    assert result["validation_accuracy"] == best["validation_accuracy"]
    assert result["test_accuracy"] == network.metadata["test_accuracy"]
    assert network.metadata["protocol"]["seed"] == network.metadata["dataset"]["seed"] == 2
    assert run(description, tmp_path) == result
