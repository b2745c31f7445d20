"""The files around the source are what they claim to be: versions agree, fragments are well named, locks are whole."""

from __future__ import annotations

import re
import subprocess
import tomllib
from typing import Any

import pytest

import entrepot
from tests.architecture.source_files import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
KINDS = ("added", "changed", "deprecated", "removed", "fixed", "security")


def test_versions_agree() -> None:
    """The package states the version that it is built as."""
    assert entrepot.__version__ == PROJECT["project"]["version"]


def test_change_fragments_are_well_named() -> None:
    """Each fragment is <short-name>.<kind>.md with a text."""
    pattern = re.compile(rf"[a-z0-9-]+\.(?:{'|'.join(KINDS)})\.md")
    fragments = [path for path in (ROOT / "changes").iterdir() if path.name != "README.md"]

    assert [path.name for path in fragments if not pattern.fullmatch(path.name)] == []
    assert [path.name for path in fragments if not path.read_text().strip()] == []


def locked(name: str) -> dict[str, str]:
    """Return the version of each package in a lock."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    return dict(re.findall(r"^([a-z0-9._-]+)==([^ \\]+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", ["runtime", "dev", "build"])
def test_every_locked_package_has_hashes(name: str) -> None:
    """S45: pip is told the hash of each file it may install."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text()
    packages = re.split(r"^(?=[a-z0-9])", text, flags=re.MULTILINE)[1:]

    assert len(packages) == len(locked(name)) > 0
    assert [package.split()[0] for package in packages if "--hash=sha256:" not in package] == []


def test_locks_agree_and_cover_what_is_required() -> None:
    """An environment that holds several locks is consistent, and no requirement was forgotten (run `make lock`)."""
    dev, runtime, build = locked("dev"), locked("runtime"), locked("build")
    groups = PROJECT["dependency-groups"]
    required = [
        (PROJECT["project"]["dependencies"], runtime),
        (groups["build"], build),
        ([entry for entry in groups["dev"] if isinstance(entry, str)], dev),
    ]
    forgotten = [
        name
        for requirements, lock in required
        for name in re.findall(r"^[a-z0-9-]+", "\n".join(requirements), re.MULTILINE)
        if name not in lock
    ]

    assert forgotten == []
    assert {**dev, **runtime} == dev
    assert {**dev, **build} == dev


def test_make_help_lists_every_target() -> None:
    """`make help` names each target that a person may call, with a sentence."""
    makefile = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^\.PHONY: ([\w-]+)$", makefile, re.MULTILINE))
    printed = subprocess.run(
        ["make", "-s", "help"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    listed = set(re.findall(r"^  ([\w-]+) +\w", printed, re.MULTILINE))

    assert listed == targets
    assert {"run", "test", "check", "format", "bench", "test-long", "bundle", "lock", "clean"} <= listed
