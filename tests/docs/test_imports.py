"""Importing the package is cheap, and imports run one way (no room imports upward)."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parents[2] / "cortexsnn"

# A room may import those named here, itself, and the foundations below.
FOUNDATIONS = {"checks", "cores", "errors", "files", "provenance", "results"}
ALLOWED = {
    "hierarchy": set(),
    "network": {"hierarchy"},
    "exchange": {"network"},
    "models": {"network"},
    "decoding": {"network"},
    "recording": set(),
    "reference": {"network", "recording"},
    "datasets": set(),
    "training": {"network", "recording", "decoding", "datasets", "hierarchy"},
    # What a change does to a network is told by its timescales too.
    "brian": {"network", "recording", "decoding", "reference", "timescales"},
    "timescales": {"recording"},
    "cortex": {"recording", "timescales"},
    "plotting": {"network", "recording", "datasets", "timescales", "cortex"},
    "runs": {"network", "recording", "timescales"},
    "summary": {"hierarchy", "runs", "training"},
    "figures": {"runs", "plotting", "cortex"},
    "report": {"network", "runs", "summary", "figures", "cortex"},
    "sweeps": set(),
    "terminal": set(),
    "experiment": {"datasets", "hierarchy", "training"},
    "arguments": set(),
    "trials": {"cortex", "datasets", "network", "timescales"},
    "pipeline": {
        *("brian", "cortex", "datasets", "decoding", "network", "recording", "reference"),
        *("runs", "timescales", "training", "trials"),
    },
}  # fmt: skip


# Thin methods import the room that does their work only when they are called.
ALLOWED_WHEN_CALLED = {"network": {"exchange"}}


def _imported_rooms(tree: ast.AST) -> set[str]:
    rooms: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "cortexsnn":
            parts = node.module.split(".")
            rooms |= {parts[1]} if len(parts) > 1 else {alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            rooms |= {a.name.split(".")[1] for a in node.names if a.name.startswith("cortexsnn.")}
    return rooms


@pytest.mark.parametrize("room", sorted(ALLOWED))
def test_imports_run_one_way(room):
    files = sorted((PACKAGE / room).rglob("*.py")) if (PACKAGE / room).is_dir() else [PACKAGE / f"{room}.py"]
    assert files
    for path in files:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        allowed = ALLOWED[room] | FOUNDATIONS | {room}
        assert _imported_rooms(tree) <= allowed | ALLOWED_WHEN_CALLED.get(room, set()), path
        for function in [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)]:
            function.body = [ast.Pass()]
        assert _imported_rooms(tree) <= allowed, path


def test_importing_the_package_imports_no_framework():
    frameworks = {"torch", "brian2", "snntorch", "norse", "nir", "tonic", "sklearn", "numba"}
    code = f"import sys, cortexsnn, cortexsnn.cli, cortexsnn.exchange; sys.exit(bool({frameworks} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
