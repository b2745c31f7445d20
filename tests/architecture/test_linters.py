"""The linters are set up so that they catch what they are there for: each fault is planted and must be found."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from tests.architecture.source_files import ROOT

BIN = Path(sys.executable).parent

FAULTS = [
    ("TID251", "import pickle\n\nloaded = pickle.loads(b'')\n"),
    ("TID251", "from marshal import loads\n"),
    ("TID251", "import yaml\n\nloaded = yaml.load('a: 1')\n"),
    ("TID251", "import time as clock\n\nstored_at = clock.time()\n"),
    ("TID251", "from time import time\n\nstored_at = time()\n"),
    ("TID251", "import datetime\n\nstored_at = datetime.datetime.now(datetime.UTC)\n"),
    ("TID251", "from unittest.mock import Mock\n"),
    ("TID252", "from . import grants\n"),
    ("D100", "x = 1\n"),
    ("D103", "def answer() -> int:\n    return 42\n"),
    ("E722", "try:\n    x = 1\nexcept:\n    x = 2\n"),
    ("BLE001", "try:\n    x = 1\nexcept Exception:\n    x = 2\n"),
    ("FBT001", "def remove(name: str, force: bool) -> None: ...\n"),
    ("ANN001", "def remove(name) -> None: ...\n"),
    ("ASYNC230", "async def read(path: str) -> None:\n    open(path)\n"),
    ("S608", "def find(db, name):\n    db.run(f'SELECT digest FROM tags WHERE name = {name}')\n"),
    ("S105", "password = 'hunter2'\n"),
    ("T201", "print('x')\n"),
]


def codes_found(text: str, path: str) -> str:
    """Return what ruff says of a text as if it lay at `path`."""
    command = [
        str(BIN / "ruff"),
        "check",
        "--output-format=concise",
        "--no-cache",
        "--stdin-filename",
        path,
        "-",
    ]
    return subprocess.run(command, cwd=ROOT, input=text, capture_output=True, text=True, check=False).stdout


@pytest.mark.parametrize(("code", "text"), FAULTS)
def test_ruff_finds_the_planted_fault(code: str, text: str) -> None:
    """S25, S41 and the house habits: the fault is reported under the code meant for it."""
    assert f" {code} " in codes_found(text, "src/entrepot/registry/sample.py")


def test_every_rule_left_out_has_its_reason() -> None:
    """Each ignored rule in pyproject.toml stands on a line of its own that says why."""
    text = (ROOT / "pyproject.toml").read_text()
    ruff = tomllib.loads(text)["tool"]["ruff"]["lint"]
    ignored = {*ruff["ignore"], *(code for codes in ruff["per-file-ignores"].values() for code in codes)}
    explained = {
        line.split('"')[1]
        for line in text.splitlines()
        if line.startswith('  "') and len(line.partition("# ")[2]) > 5
    }

    assert sorted(ignored - explained) == []
    assert ruff["select"] == ["ALL"]


def test_types_are_strict() -> None:
    """Both type checkers are strict on product, tests and scripts."""
    tool = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]

    assert tool["mypy"]["strict"] is True
    assert tool["pyright"]["typeCheckingMode"] == "strict"
    assert tool["mypy"]["files"] == tool["pyright"]["include"] == ["src", "tests", "scripts", "bench"]
