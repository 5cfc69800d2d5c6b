"""Trained networks that come with the package: they are what their cards say."""

import hashlib

import numpy as np
import pytest

from cortexsnn import datasets, decoding, models, reference, trials
from cortexsnn.errors import InputError

NAMES = models.names()


def test_there_are_networks_with_and_without_a_hierarchy_for_both_tasks():
    xor = [f"mts_xor_{kind}_seed{seed}" for kind in ("hierarchical", "homogeneous") for seed in range(3)]
    assert {*xor, "spoken_digits_hierarchical", "spoken_digits_homogeneous", "spoken_digits_delays"} == set(NAMES)


@pytest.mark.parametrize("name", NAMES)
def test_network_and_card_belong_together(name):
    network, card = models.load(name), models.card(name)
    assert card["name"] == name
    assert card["fingerprint"] == network.fingerprint()
    assert card["dataset"] == network.metadata["dataset"]
    assert "folder" not in card["dataset"]  # which would be a place on somebody's machine
    assert list(card["layers"]) == [p.name for p in network.hidden]
    assert [layer["neurons"] for layer in card["layers"].values()] == [p.size for p in network.hidden]
    for one in card["test"].values():
        assert one["differing_spikes"] == one["differing_classes"] == 0
        assert one["spikes"] > 0


@pytest.mark.parametrize("kind", ["hierarchical", "homogeneous"])
def test_the_accuracy_and_the_spikes_are_those_of_the_card(kind):
    # The first 32 test trials in the reference: what the card says of the simulator that ran as many.
    network, card = models.load(f"mts_xor_{kind}_seed0"), models.card(f"mts_xor_{kind}_seed0")
    few = card["test"]["brian2 numpy"]
    task = trials.task_trials(datasets.load_described(network.metadata["dataset"]), few["trials"])
    recorded = reference.simulate(network, task.counts)
    classes = decoding.decode(recorded["readout"]["potential"].to_numpy(), network.decoder)
    found = decoding.accuracy(classes, task.labels, task.scored_steps)
    assert found == pytest.approx(few["accuracy"], abs=1e-6)
    assert sum(recorded[p.name]["spike_step"].size for p in network.hidden) == few["spikes"]


def test_a_hierarchy_is_one():
    for name in NAMES:
        taus = np.array([p.tau_s.mean() for p in models.load(name).hidden])
        if "hierarchical" in name:
            assert (np.diff(taus) > 0).all()
        elif "homogeneous" in name:
            assert (taus == taus[0]).all()


def test_an_unknown_name_lists_the_known_ones():
    with pytest.raises(InputError, match="one of mts_xor_hierarchical_seed0, "):
        models.load("resnet")


def test_a_changed_file_is_refused(tmp_path, monkeypatch):
    source = models.path(NAMES[0]).parent
    folder = tmp_path / "trained" / NAMES[0]
    folder.mkdir(parents=True)
    (folder / "card.json").write_bytes((source / "card.json").read_bytes())
    changed = bytearray((source / "network.safetensors").read_bytes())
    changed[-1] ^= 1
    (folder / "network.safetensors").write_bytes(changed)
    monkeypatch.setattr(models, "_PLACES", (tmp_path / "trained",))
    with pytest.raises(InputError, match=hashlib.sha256(changed).hexdigest()):
        models.load(NAMES[0])


def test_networks_that_are_not_there_are_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr(models, "_PLACES", (tmp_path / "nowhere",))
    with pytest.raises(InputError, match="install again"):
        models.names()
