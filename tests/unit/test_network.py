"""What a network may be, how it is written to a file, and what is refused with a message that names the field."""

import json
import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from cortexsnn import network as networks
from cortexsnn.errors import InputError
from cortexsnn.network import Adaptation, Network, Population, Projection, delay_in_steps, input_counts, storage


def lif(name="hidden1", size=3, **changes):
    return Population.lif(name, size, **{"tau_s": 0.02, **changes})


def network(**changes):
    """A small valid network, with `changes` to the arguments of `Network`."""
    parts = {
        "dt_s": 0.01,
        "populations": (Population.input("input", 2), lif(), Population.readout("readout", 2, tau_s=0.05)),
        "projections": (
            Projection("input", "hidden1", np.ones((2, 3, 2)), (0, 2)),
            Projection("hidden1", "readout", np.ones((2, 3))),
        ),
        "decoder": "per_step",
    }
    return Network(**{**parts, **changes})


def with_population(population):
    return network(populations=(Population.input("input", 2), population, Population.readout("readout", 2, tau_s=0.05)))


def with_projection(*projections):
    return network(projections=projections)


def rich_network():
    """Everything that a file must keep."""
    rng = np.random.default_rng(5)
    return Network(
        0.004,
        (
            Population.input("sound", 4),
            Population.lif("hidden1", 3, tau_s=rng.uniform(0.01, 0.1, 3), bias=rng.normal(size=3), reset="zero",
                           refractory_steps=2, adaptation_strength=0.1, adaptation_tau_s=[0.1, 0.2, 0.3]),
            Population.lif("hidden2", 2, tau_s=0.02, threshold=[0.5, 2.0], reset="subtract_decayed"),
            Population.readout("readout", 2, tau_s=0.05, bias=[0.1, -0.1]),
        ),
        (
            Projection("sound", "hidden1", rng.normal(size=(2, 3, 4)), (0, 3)),
            Projection("hidden1", "hidden2", rng.normal(size=(2, 3))),
            Projection("hidden2", "hidden1", rng.normal(size=(1, 3, 2)), (1,)),
            Projection("hidden2", "hidden2", rng.normal(size=(2, 2)), (4,)),
            Projection("hidden2", "readout", rng.normal(size=(2, 2))),
        ),
        "sum_of_softmax",
        {"seed": 3, "dataset": {"name": "mts_xor"}},
    )  # fmt: skip


# --- validation -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dt_s", [0, -0.01, float("nan"), float("inf"), "10 ms", None])
def test_dt_must_be_positive(dt_s):
    with pytest.raises(InputError, match=r"dt_s is .*; expected a positive number of seconds") as caught:
        network(dt_s=dt_s)
    assert caught.value.field == "dt_s"


@pytest.mark.parametrize("name", ["", "1st", "hidden-1", "hidden 1", "_hidden", "héden", "a" * 65, "a\n", 7, None])
def test_names_are_identifiers(name):
    # Protects generated code: names stand in equations and in C++.
    with pytest.raises(InputError, match=r"^population name is"):
        with_population(lif(name))


@pytest.mark.parametrize("size", [0, -1, 2.0, True, "3"])
def test_size_is_a_positive_whole_number(size):
    with pytest.raises(InputError, match=r"size of population 'input' is .*; expected a whole number of neurons"):
        network(populations=(Population.input("input", size),), projections=(), decoder=None)


def test_kind_is_known():
    with pytest.raises(InputError, match="kind of population 'hidden1' is 'izhikevich'; expected one of input, lif"):
        with_population(Population("hidden1", "izhikevich", 3))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau_s": 0}, r"tau_s of population 'hidden1'\[0\] is 0.0; expected finite numbers above 0. 3 of 3 are bad"),
        ({"tau_s": [0.02, -0.1, 0.02]}, r"tau_s of population 'hidden1'\[1\] is -0.1;"),
        ({"tau_s": [0.02, 0.02, np.nan]}, r"tau_s of population 'hidden1'\[2\] is nan;"),
        ({"tau_s": np.inf}, r"tau_s of population 'hidden1'\[0\] is inf;"),
        ({"tau_s": [0.02, 0.02]}, r"shape of tau_s of population 'hidden1' is \(2,\); expected \(3,\)"),
        ({"tau_s": "fast"}, r"tau_s of population 'hidden1' is 'fast'; expected numbers"),
        ({"tau_s": [[0.1], [0.1, 0.2]]}, r"tau_s of population 'hidden1' is .*; expected numbers"),
        ({"threshold": 0}, r"threshold of population 'hidden1'\[0\] is 0.0; expected finite numbers above 0"),
        ({"threshold": [1, np.nan, 1]}, r"threshold of population 'hidden1'\[1\] is nan"),
        ({"threshold": np.ones((3, 1))}, r"shape of threshold of population 'hidden1' is \(3, 1\)"),
        ({"bias": [0, 0, np.inf]}, r"bias of population 'hidden1'\[2\] is inf; expected finite numbers"),
        ({"bias": [0.0]}, r"shape of bias of population 'hidden1' is \(1,\)"),
        ({"reset": "soft"}, r"reset of population 'hidden1' is 'soft'; expected one of subtract, subtract_decayed"),
        ({"refractory_steps": -1}, r"refractory_steps of population 'hidden1' is -1"),
        ({"refractory_steps": 1.5}, r"refractory_steps of population 'hidden1' is 1.5"),
        ({"refractory_steps": True}, r"refractory_steps of population 'hidden1' is True"),
        ({"adaptation_strength": 0.1}, r"adaptation of population 'hidden1' is \(0.1, None\); expected both"),
        ({"adaptation_tau_s": 0.1}, r"adaptation of population 'hidden1' is \(None, 0.1\); expected both"),
        ({"adaptation_strength": [0.1, -0.2, 0.1], "adaptation_tau_s": 0.1},
         r"adaptation_strength of population 'hidden1' is .*-0.2.*; expected values of at least 0"),
        ({"adaptation_strength": np.nan, "adaptation_tau_s": 0.1}, r"adaptation_strength of population 'hidden1'\[0\]"),
        ({"adaptation_strength": 0.1, "adaptation_tau_s": 0}, r"adaptation_tau_s of population 'hidden1'\[0\] is 0.0"),
        ({"adaptation_strength": [0.1], "adaptation_tau_s": 1}, r"shape of adaptation_strength of population"),
    ],
)  # fmt: skip
def test_lif_fields_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        with_population(lif(**change))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"tau_s": 0}, r"tau_s of population 'out'\[0\] is 0.0"),
        ({"tau_s": 0.1, "bias": [np.nan, 0]}, r"bias of population 'out'\[0\] is nan"),
    ],
)
def test_readout_fields_are_checked(change, message):
    with pytest.raises(InputError, match=message):
        network(
            populations=(Population.input("input", 2), Population.readout("out", 2, **change)),
            projections=(),
            decoder=None,
        )


@pytest.mark.parametrize(
    ("projection", "message"),
    [
        (Projection("eye", "hidden1", np.ones((3, 2))), r"source of projection 'eye_to_hidden1' is 'eye'; expected"),
        (Projection("input", "hand", np.ones((3, 2))), r"target of projection 'input_to_hand' is 'hand'; expected one"),
        (Projection("readout", "hidden1", np.ones((3, 2)), (1,)), r"source .* is 'readout'; expected a population"),
        (Projection("hidden1", "input", np.ones((2, 3)), (1,)), r"target of .* is 'input'; expected a LIF or readout"),
        (Projection("input", "hidden1", np.ones((2, 3))), r"shape of weight .* is \(1, 2, 3\); expected \(1, 3, 2\)"),
        (Projection("input", "hidden1", np.ones(6)), r"shape of weight of projection 'input_to_hidden1' is \(6,\)"),
        (Projection("input", "hidden1", np.ones((1, 3, 2)), (0, 1)), r"shape of weight .*expected \(2, 3, 2\)"),
        (Projection("input", "hidden1", np.ones((0, 3, 2)), ()), r"delay_steps .* is \(\); expected one delay"),
        (Projection("input", "hidden1", np.ones((3, 2)), (-1,)), r"delay_steps .* is -1; expected whole time steps"),
        (Projection("input", "hidden1", np.ones((3, 2)), (0.5,)), r"delay_steps .* is 0.5; expected whole time steps"),
        (Projection("input", "hidden1", np.ones((3, 2)), (True,)), r"delay_steps .* is True; expected whole"),
        (Projection("input", "hidden1", np.ones((2, 3, 2)), (1, 1)), r"delay_steps .* is \(1, 1\); expected each"),
        (Projection("hidden1", "hidden1", np.ones((3, 3))), r"delay_steps .* is \(0,\); expected at least 1 in a rec"),
        (Projection("hidden1", "hidden1", np.ones((2, 3, 3)), (2, 0)), r"delay_steps .* is \(2, 0\); expected at"),
        (Projection("input", "hidden1", [[1, 1], [1, np.nan], [1, 1]]),
         r"weight\[0, 1, 1\] of projection 'input_to_hidden1' is nan; expected finite numbers. 1 of 6 are bad"),
        (Projection("input", "hidden1", np.full((3, 2), -np.inf)), r"weight\[0, 0, 0\] .* is -inf.* 6 of 6 are bad"),
    ],
)  # fmt: skip
def test_projections_are_checked(projection, message):
    with pytest.raises(InputError, match=message):
        with_projection(projection)


def test_weights_must_be_numbers():
    with pytest.raises(InputError, match="weight of projection 'input_to_hidden1' is 'strong'; expected numbers"):
        Projection("input", "hidden1", "strong")


def test_names_are_unique():
    with pytest.raises(InputError, match="population name is 'hidden1'; expected each name once"):
        network(populations=(Population.input("input", 2), lif(), lif()), projections=(), decoder=None)
    one = Projection("input", "hidden1", np.ones((3, 2)))
    with pytest.raises(InputError, match="projection is 'input_to_hidden1'; expected each name once"):
        with_projection(one, one)


def test_there_is_an_input():
    with pytest.raises(InputError, match=r"populations is \['hidden1'\]; expected at least one of kind 'input'"):
        network(populations=(lif(),), projections=(), decoder=None)


def test_cycles_need_a_delay():
    populations = (Population.input("input", 2), lif("a", 1), lif("b", 1), lif("c", 1))
    there, back = Projection("a", "b", [[1.0]]), Projection("b", "a", [[1.0]])
    with pytest.raises(InputError, match=r"projections without delay is \['a', 'b'\]; expected no cycle"):
        network(populations=populations, projections=(there, back), decoder=None)
    delayed = network(populations=populations, projections=(there, Projection("b", "a", [[1.0]], (1,))), decoder=None)
    assert delayed.is_feedforward(there)
    assert not delayed.is_feedforward(delayed.projections[1])


def test_order_follows_the_projections_and_not_the_list():
    populations = (lif("last", 1), Population.input("input", 1), lif("first", 1), lif("alone", 1))
    made = Network(0.01, populations, (Projection("first", "last", [[1.0]]), Projection("input", "first", [[1.0]])))
    assert [p.name for p in made.order] == ["first", "last", "alone"]


@pytest.mark.parametrize("decoder", ["argmax", "", 3])
def test_decoder_is_known(decoder):
    with pytest.raises(InputError, match=r"decoder is .*; expected one of sum_of_softmax, per_step"):
        network(decoder=decoder)


def test_a_decoder_needs_one_readout():
    with pytest.raises(InputError, match=r"readout populations is \[\]; expected exactly one"):
        network(populations=(Population.input("input", 2), lif()), projections=())


@pytest.mark.parametrize("metadata", [{"rate": float("nan")}, {"weights": np.ones(2)}, {"file": {1, 2}}])
def test_metadata_are_json(metadata):
    with pytest.raises(InputError, match=r"metadata is .*; expected what JSON can say"):
        network(metadata=metadata)


def test_unknown_population_is_named():
    with pytest.raises(InputError, match="population is 'hidden9'; expected one of input, hidden1, readout"):
        network()["hidden9"]


def test_delays_lie_on_the_grid():
    # Protects physical time: a delay of 0.3 steps would otherwise be rounded to another network.
    assert [delay_in_steps(delay, 0.014) for delay in (0, 0.014, 0.042, 1.4)] == [0, 1, 3, 100]
    with pytest.raises(InputError, match=r"delay is 0.025; expected a multiple of dt = 0.01 s. 0.02 s or 0.03 s"):
        delay_in_steps(0.025, 0.01)
    for delay in (-0.01, np.nan, np.inf):
        with pytest.raises(InputError, match=r"delay is .*; expected a number of seconds, at least 0"):
            delay_in_steps(delay, 0.01)
    for dt_s in (0, -1, np.nan):
        with pytest.raises(InputError, match="dt_s is"):
            delay_in_steps(0.01, dt_s)


def test_arrays_are_copies_and_read_only():
    # Protects a simulator from a description that changes under it.
    tau_s, weight = np.full(3, 0.02), np.ones((3, 2))
    made = network(populations=(Population.input("input", 2), lif(tau_s=tau_s)), decoder=None,
                   projections=(Projection("input", "hidden1", weight),))  # fmt: skip
    before = made.fingerprint()
    tau_s[:] = weight[:] = 9.0
    assert made.fingerprint() == before
    for array in rich_network().arrays().values():
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0


def test_fingerprint_sees_every_value():
    made = [
        network(),
        network(dt_s=0.02),
        network(decoder="sum_of_softmax"),
        with_population(lif(reset="zero")),
        with_population(lif(bias=1e-9)),
        with_population(lif(refractory_steps=1)),
        with_population(lif(adaptation_strength=0.0, adaptation_tau_s=0.1)),
        with_projection(Projection("input", "hidden1", np.ones((2, 3, 2)), (0, 3))),
    ]
    assert len({n.fingerprint() for n in made}) == len(made)
    assert network(metadata={"seed": 1}).fingerprint() == network().fingerprint()


@pytest.mark.parametrize("name", ["hidden1_spikes", "readout_potential", "input_to_hidden1"])
def test_names_do_not_clash_with_those_of_the_twin(name):
    # Protects Brian2, which refuses two objects of one name with an error of its own; see brian.build.
    with pytest.raises(InputError, match="population name"):
        network(populations=(*network().populations, lif(name)))


# --- spikes into a network ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        (np.ones((4, 2)), r"shape of spike counts for 'input' is \(4, 2\); expected \(trial, time, channel\)"),
        (np.ones((1, 4, 3)), r"channels of spike counts for 'input' is 3; expected 2"),
        (np.ones((0, 4, 2)), r"shape of spike counts for 'input' is \(0, 4, 2\); expected at least one trial"),
        (np.ones((1, 0, 2)), r"shape of .* is \(1, 0, 2\); expected at least one trial and one time step"),
        (np.full((1, 4, 2), "1"), r"type of spike counts for 'input' is '<U1'; expected numbers"),
        (np.full((1, 4, 2), None), r"type of spike counts for 'input' is 'object'; expected numbers"),
        (np.full((1, 4, 2), np.nan), r"spike counts for 'input' is 'NaN or infinity'; expected whole"),
        (np.full((1, 4, 2), np.inf), r"spike counts for 'input' is 'NaN or infinity'; expected whole"),
        (np.full((1, 4, 2), 0.5), r"spike counts for 'input' is .*; expected whole numbers from 0 to 255"),
        (np.full((1, 4, 2), -1), r"spike counts for 'input' is .*; expected whole numbers from 0 to 255"),
        (np.full((1, 4, 2), 256), r"spike counts for 'input' is .*; expected whole numbers from 0 to 255"),
        ({"eye": np.ones((1, 4, 2))}, r"input populations is \['eye'\]; expected \['input'\]"),
    ],
)
def test_input_counts_are_checked(counts, message):
    with pytest.raises(InputError, match=message):
        input_counts(network(), counts)


@pytest.mark.parametrize(
    "value",
    [
        -1.0,
        256.0,
        1e30,
    ],
)
def test_counts_outside_of_a_byte_are_refused_as_floats_too(value):
    # Protects against wrap-around, and against a warning of NumPy in place of a message.
    with pytest.raises(InputError, match="expected whole numbers from 0 to 255"):
        input_counts(network(), np.full((1, 4, 2), value))


def test_counts_of_several_inputs():
    two = Network(0.01, (Population.input("left", 1), Population.input("right", 2)), ())
    with pytest.raises(InputError, match=r"spike counts is 'one array'; expected a mapping with .* left, right"):
        input_counts(two, np.ones((1, 4, 1)))
    with pytest.raises(InputError, match=r"input populations is \['left'\]"):
        input_counts(two, {"left": np.ones((1, 4, 1))})
    with pytest.raises(InputError, match="trials and steps of the input populations"):
        input_counts(two, {"left": np.ones((1, 4, 1)), "right": np.ones((1, 5, 2))})
    checked = input_counts(two, {"right": np.full((1, 4, 2), 255), "left": np.ones((1, 4, 1), dtype=bool)})
    assert list(checked) == ["left", "right"]
    assert all(array.dtype == np.uint8 for array in checked.values())
    assert checked["right"].min() == 255


# --- files ----------------------------------------------------------------------------------------------------


def test_a_saved_network_is_the_same_network(tmp_path):
    made = rich_network()
    made.save(tmp_path / "new" / "network.safetensors")
    read = Network.load(tmp_path / "new" / "network.safetensors")
    assert read.fingerprint() == made.fingerprint()
    assert read.structure() == made.structure()
    assert dict(read.metadata) == dict(made.metadata)
    assert isinstance(read["hidden1"].adaptation, Adaptation)
    for name, array in made.arrays().items():
        np.testing.assert_array_equal(read.arrays()[name], array)
    assert [p.name for p in (tmp_path / "new").iterdir()] == ["network.safetensors"]


def test_a_loaded_network_is_read_only(tmp_path):
    # Protects a simulator from a description that changes under it, wherever that came from.
    rich_network().save(tmp_path / "n.safetensors")
    arrays = Network.load(tmp_path / "n.safetensors").arrays()
    assert [name for name, array in arrays.items() if array.flags.writeable] == []


def test_an_interrupted_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "network.safetensors"
    network().save(path)
    before = path.read_bytes()

    def half(tensors, file, metadata):
        file.write_bytes(before[:100])
        raise KeyboardInterrupt

    monkeypatch.setattr(storage, "save_file", half)
    with pytest.raises(KeyboardInterrupt):
        rich_network().save(path)
    assert path.read_bytes() == before
    assert [p.name for p in tmp_path.iterdir()] == [path.name]


def test_a_folder_is_no_place_for_a_file(tmp_path):
    with pytest.raises(InputError, match=r"output file is .*; expected a file name"):
        network().save(tmp_path)


def tampered(tmp_path, header=None, tensors=None, text=None):
    """The file of a small network, after functions have changed its header and its tensors."""
    made = network()
    content = {"schema": storage.SCHEMA, **made.structure(), "metadata": {}}
    arrays = {name: np.array(array) for name, array in made.arrays().items()}
    if header is not None:
        content = header(content) or content
    if tensors is not None:
        tensors(arrays)
    path = tmp_path / "tampered.safetensors"
    save_file(arrays, path, metadata={"cortexsnn": json.dumps(content) if text is None else text})
    return path


def test_the_untampered_file_loads(tmp_path):
    # Protects the tests below from refusing for another reason.
    assert networks.load(tampered(tmp_path)).fingerprint() == network().fingerprint()


def setting(*keys, to):
    def change(header):
        place = header
        for key in keys[:-1]:
            place = place[key]
        place[keys[-1]] = to

    return change


def without(*keys):
    def change(header):
        place = header
        for key in keys[:-1]:
            place = place[key]
        del place[keys[-1]]

    return change


@pytest.mark.parametrize(
    ("header", "message"),
    [
        (lambda h: [h], "expected a field 'schema'"),
        (lambda h: "network", "expected a field 'schema'"),
        (setting("schema", to=99), "schema of .* is 99; expected 1. update cortexsnn"),
        (setting("schema", to=True), "field 'schema' in the header of .* is True; expected int"),
        (setting("schema", to="1"), "field 'schema' in the header of .* is '1'; expected int"),
        (without("schema"), "expected a field 'schema'"),
        (without("populations"), "expected a field 'populations'"),
        (setting("populations", to={}), "field 'populations' .*; expected list"),
        (setting("populations", to=["hidden1"]), "header of .* is 'hidden1'; expected a field 'name'"),
        (setting("populations", 1, "name", to=3), "field 'name' .* is 3; expected str"),
        (setting("populations", 1, "name", to="v; system()"), "tensors of .*; expected one named"),
        (setting("populations", 0, "name", to="v; system()"), "population name is 'v; system"),
        (setting("populations", 1, "size", to=3.0), "field 'size' .* is 3.0; expected int"),
        (setting("populations", 1, "size", to=-3), "size of population 'hidden1' is -3"),
        (setting("populations", 1, "size", to=10**15), "shape of tau_s of population 'hidden1'"),
        (setting("populations", 1, "kind", to="hodgkin"), "kind of population 'hidden1' is 'hodgkin'"),
        (setting("populations", 1, "kind", to=None), "field 'kind' .* is None; expected str"),
        (setting("populations", 1, "reset", to=["zero"]), r"field 'reset' .* is \['zero'\]; expected str"),
        (setting("populations", 1, "reset", to="v = 0"), "reset of population 'hidden1' is 'v = 0'"),
        (setting("populations", 1, "refractory_steps", to=False), "field 'refractory_steps' .* is False; expected int"),
        (setting("populations", 1, "adaptive", to=1), "field 'adaptive' .* is 1; expected bool"),
        (setting("populations", 1, "adaptive", to=True), "one named 'population.hidden1.adaptation_strength'"),
        (without("populations", 1, "reset"), "expected a field 'reset'"),
        (setting("projections", to=None), "field 'projections' .* is None; expected list"),
        (setting("projections", 0, "delay_steps", to=0), "field 'delay_steps' .* is 0; expected list"),
        (setting("projections", 0, "delay_steps", to=[0, "1"]), "delay_steps .* is '1'; expected whole"),
        (setting("projections", 0, "delay_steps", to=[0, [1]]), r"delay_steps .* is \[1\]; expected whole"),
        (setting("projections", 0, "source", to="other"), "one named 'projection.other_to_hidden1.weight'"),
        (setting("dt_s", to="0.01"), "field 'dt_s' .* is '0.01'; expected float"),
        (setting("dt_s", to=float("nan")), "dt_s is nan"),
        (setting("dt_s", to=-1.0), "dt_s is -1.0"),
        (setting("decoder", to=1), "field 'decoder' .* is 1; expected str or NoneType"),
        (setting("decoder", to="vote"), "decoder is 'vote'"),
        (setting("metadata", to=[]), r"field 'metadata' .* is \[\]; expected dict"),
        (without("metadata"), "expected a field 'metadata'"),
    ],
)
def test_every_field_of_the_header_is_checked(tmp_path, header, message):
    with pytest.raises(InputError, match=message):
        networks.load(tampered(tmp_path, header))


@pytest.mark.parametrize(
    ("tensors", "message"),
    [
        (without("population.hidden1.tau_s"), "tensors of .*; expected one named 'population.hidden1.tau_s'"),
        (without("projection.hidden1_to_readout.weight"), "one named 'projection.hidden1_to_readout.weight'"),
        (setting("population.hidden1.bias", to=np.zeros(3, np.float32)), "'population.hidden1.bias' .*'float32'"),
        (setting("population.hidden1.bias", to=np.zeros(3, np.int64)), "'population.hidden1.bias' .*'int64'"),
        (setting("population.hidden1.bias", to=np.full(3, np.nan)), r"bias of population 'hidden1'\[0\] is nan"),
        (setting("population.hidden1.tau_s", to=np.ones(4)), r"shape of tau_s of population 'hidden1' is \(4,\)"),
        (setting("projection.hidden1_to_readout.weight", to=np.ones((2, 2, 3))), "shape of weight of projection"),
    ],
)
def test_every_tensor_is_checked(tmp_path, tensors, message):
    with pytest.raises(InputError, match=message):
        networks.load(tampered(tmp_path, tensors=tensors))


@pytest.mark.parametrize("text", ["{", "", "[" * 100_000, "NaN", "null"])
def test_the_header_must_be_json(tmp_path, text):
    with pytest.raises(InputError, match="header of"):
        networks.load(tampered(tmp_path, text=text))


@pytest.mark.parametrize("digits", [400, 5000])
def test_numbers_too_long_for_a_float_are_refused(tmp_path, digits):
    # Protects the promise that a hostile file gives an InputError and nothing else.
    path = tampered(tmp_path, text=json.dumps({"schema": 1, "populations": [], "projections": [], "metadata": {},
                                               "decoder": None})[:-1] + ', "dt_s": ' + "9" * digits + "}")  # fmt: skip
    with pytest.raises(InputError):
        networks.load(path)


def test_a_hostile_size_takes_no_memory(tmp_path):
    # Protects against a few bytes that ask for petabytes: a scalar tensor is not repeated 10**15 times.
    def enlarge(header):
        header["populations"][2]["size"] = 10**15

    def scalar(arrays):
        arrays["population.readout.tau_s"] = np.array(0.1)

    with pytest.raises(InputError, match="population 'readout'"):
        networks.load(tampered(tmp_path, enlarge, scalar))


def test_other_safetensors_are_refused(tmp_path):
    save_file({"weight": np.ones(3)}, tmp_path / "model.safetensors")
    with pytest.raises(InputError, match=r"a file that cortexsnn wrote. the header has no entry 'cortexsnn'"):
        networks.load(tmp_path / "model.safetensors")


BROKEN = {
    "truncated header": lambda content: content[:60],
    "truncated tensors": lambda content: content[:-8],
    "too long": lambda content: content + bytes(8),
    "huge header length": lambda content: struct.pack("<Q", 2**63) + content[8:],
    "header beyond the end": lambda content: struct.pack("<Q", len(content) * 2) + content[8:],
    "seven bytes": lambda content: content[:7],
    "text": lambda content: b"once upon a time there was a network",
    "pickle": lambda content: b"\x80\x04\x95\x0b\x00\x00\x00\x00\x00\x00\x00\x8c\x07network\x94.",
    "zeros": lambda content: bytes(1000),
}


@pytest.mark.parametrize("damage", BROKEN.values(), ids=BROKEN.keys())
def test_what_is_no_safetensors_file_is_refused(tmp_path, damage):
    path = tmp_path / "bad.safetensors"
    rich_network().save(path)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(InputError, match=r"network file is .*; expected a complete safetensors file"):
        networks.load(path)


def test_missing_empty_and_folders_are_told_apart(tmp_path):
    with pytest.raises(InputError, match=r"network file is .*nowhere.*; expected an existing file"):
        networks.load(tmp_path / "nowhere.safetensors")
    (tmp_path / "empty.safetensors").touch()
    with pytest.raises(InputError, match=r"expected a file with content. this one is empty \(0 bytes\)"):
        networks.load(tmp_path / "empty.safetensors")
    with pytest.raises(InputError, match=r"expected a file. this is a folder"):
        networks.load(tmp_path)
