"""The demonstration, small: interrupted, it ends its children, and the same call goes on to the end."""

import json

import pytest

pytest.importorskip("torch")
pytestmark = [pytest.mark.torch, pytest.mark.slow]

from cortexsnn import demo  # noqa: E402
from cortexsnn.errors import InputError  # noqa: E402
from cortexsnn.files import write_text  # noqa: E402

SMALL = demo._Settings(60, 80, 3, ("--width=8", "--layers=3", "--batch-size=512"), spontaneous_trials=60)


def test_an_interrupted_demo_goes_on(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(demo, "_MTS_XOR", SMALL)
    sleep, started = demo.time.sleep, []

    def sleep_until_one_network_is_trained(seconds):
        sleep(seconds)
        started.extend(tmp_path.glob("runs/*/network.safetensors"))
        if started:
            raise KeyboardInterrupt

    monkeypatch.setattr(demo.time, "sleep", sleep_until_one_network_is_trained)
    with pytest.raises(KeyboardInterrupt):
        demo.run_demo("mts_xor", tmp_path, seeds=1)
    monkeypatch.setattr(demo.time, "sleep", sleep)
    trained = {path: path.stat().st_mtime_ns for path in tmp_path.glob("runs/*/network.safetensors")}
    assert trained
    assert not (tmp_path / "report.html").exists()

    demo.run_demo("mts_xor", tmp_path, seeds=1)
    assert {path: path.stat().st_mtime_ns for path in trained} == trained  # not trained again
    assert "</html>" in (tmp_path / "report.html").read_text(encoding="utf-8")
    printed = capsys.readouterr().out
    for words in ("Test accuracy", "Spikes against the reference", "Timescales", "n too small", "report:",
                  "measured by the protocol of murray2014"):  # fmt: skip
        assert words in printed

    assert "not measured by" not in printed

    settings = json.loads((tmp_path / "settings.json").read_text(encoding="utf-8"))
    write_text(tmp_path / "settings.json", json.dumps(settings | {"epochs": 99}))
    with pytest.raises(InputError, match=r"epochs of the demo in .* is 99; expected 3, as now"):
        demo.run_demo("mts_xor", tmp_path, seeds=1)
