"""`cortexsnn sweep` and what goes wrong in training, as the command line says it."""

import re
import sys

import numpy as np
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from cortexsnn import sweeps  # noqa: E402
from cortexsnn.cli import main  # noqa: E402

SETTINGS = """
seeds = [0, 1]
[base]
test = false
[base.data]
name = "mts_xor"
train = 32
validation = 16
test = 8
[base.network]
layers = 2
width = 4
[base.protocol]
epochs = 1
batch_size = 16
[vary]
"hierarchy.learned" = ["no", "neuron"]
"""


def write(path, text):
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_a_sweep_leaves_a_table_and_the_test_split_alone(tmp_path, capsys):
    # Protects choosing by validation: no run of this sweep has looked at the test split.
    pytest.importorskip("distributed")
    arguments = ["sweep", write(tmp_path / "s.toml", SETTINGS), "--out", str(tmp_path / "out"), "--quiet"]
    assert main([*arguments, "--workers=1"]) == 0
    table = sweeps.load_sweep(tmp_path / "out" / "sweep.nc")
    assert table.sizes["run"] == 4
    assert table["hierarchy.learned"].to_numpy().tolist() == ["no", "no", "neuron", "neuron"]
    assert "test_accuracy" not in table
    assert np.isfinite(table["validation_accuracy"]).all()
    assert "4 runs done, 0 failed" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("before", "after", "message"),
    [
        ("[vary]", "[varied]", "'varied' in .* expected the tables"),
        ('"hierarchy.learned"', "hierarchy.learned", r"'hierarchy' under \[vary\] .*quote dotted names: \"hierarchy"),
        ("seeds = [0, 1]", "seeds = [0, -1]", "'seeds' in .*at least 0"),
        ("seeds = [0, 1]", "seeds = 3", "'seeds' in .*a list"),
        ("epochs = 1", "epoch = 1", "protocol.epoch is 1; expected one of epochs"),
        ("layers = 2", "layers = 0", "sizes of the layers|layers"),
        ("layers = 2", "layers = [2]", r"network.layers is \[2\]; expected a whole number"),
        ('["no", "neuron"]', '["no", "both"]', "learned of the time constants is 'both'"),
        ("[base]\n", "[base]\nseed = -1\n", "seed"),
    ],
)
def test_settings_are_checked_before_any_run(tmp_path, capsys, before, after, message):
    # Protects hours of a sweep from a slip of the pen that would fail every run.
    assert before in SETTINGS
    text = SETTINGS.replace(before, after).replace("seeds = [0, 1]", "" if "seed = -1" in after else "seeds = [0, 1]")
    assert main(["sweep", write(tmp_path / "s.toml", text), "--out", str(tmp_path / "out"), "--quiet"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("cortexsnn sweep: ")
    assert re.search(message, said), said
    assert not (tmp_path / "out").exists()


def test_a_sweep_without_dask_says_what_to_install(tmp_path, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert main(["sweep", write(tmp_path / "s.toml", SETTINGS), "--out", str(tmp_path / "out"), "--quiet"]) == 2
    assert "pip install 'cortexsnn[sweep]'" in capsys.readouterr().err


def test_a_run_that_breaks_down_says_so_in_one_line(tmp_path, capsys):
    arguments = ["train", "--out", str(tmp_path), "--settings", write(tmp_path / "s.toml", "[data]\ntrain = 32")]
    options = ["--layers=1", "--width=4", "--epochs=3", "--learning-rate=1e35", "--batch-size=8", "--quiet"]
    assert main([*arguments, *options]) == 1
    said = capsys.readouterr().err.strip()
    assert said.count("\n") == 0
    assert said.startswith("cortexsnn train: the ")
    assert "learning rate" in said


def test_batches_of_one_value_are_refused_by_name(tmp_path):
    from cortexsnn.datasets import Dataset, Split
    from cortexsnn.errors import InputError
    from cortexsnn.training import Architecture, Protocol, fit, paper_protocol, stack

    rng = np.random.default_rng(0)

    def split(trials):
        return Split(rng.poisson(1, (trials, 1, 3)).astype(np.uint8), np.arange(trials) % 2)

    architecture = Architecture(3, 2, stack((4,), 0.02), readout_tau_s=0.05, dt_s=0.01)
    data = Dataset("one step", 0.01, 2, "sum_of_softmax", split(6), split(5), split(4))
    with pytest.raises(InputError, match="batch_size is 5; expected batches of at least two trials"):
        fit(data, architecture, Protocol(epochs=1, batch_size=5), progress=False)
    with pytest.raises(InputError, match=r"batch_size is 2; .*there are 6 and 5 trials"):
        fit(data, architecture, paper_protocol(epochs=1, batch_size=2), progress=False)
    assert len(fit(data, architecture, Protocol(epochs=1, batch_size=2), progress=False).history) == 1
