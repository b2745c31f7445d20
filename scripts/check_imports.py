#!/usr/bin/env python3
"""Check the import contracts of pyproject.toml against the modules that exist.

import-linter refuses a contract that names a module which isn't there, or a library which nothing imports. Contracts
bind code that is yet to be written and libraries that must stay out, so such names are taken out first; those of this
project are printed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import tomllib
from pathlib import Path
from typing import Any, Final, cast

ROOT: Final = Path(__file__).resolve().parent.parent
_LISTS: Final = ("source_modules", "modules", "protected_modules", "allowed_importers", "forbidden_modules")


def module_exists(source: Path, name: str) -> bool:
    """Tell whether a module of this project lies below `source`, or a module of a library is imported there."""
    if name == "entrepot" or name.startswith("entrepot."):
        path = source.joinpath(*name.split("."))
        return path.with_suffix(".py").is_file() or (path / "__init__.py").is_file()
    importing = re.compile(rf"^\s*(?:import|from)\s+{re.escape(name)}\b", re.MULTILINE)
    return any(importing.search(file.read_text()) for file in source.rglob("*.py"))


def bind_to_existing_modules(contract: dict[str, Any], source: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the contract without its missing modules, and those modules."""
    bound, missing = dict(contract), list[str]()
    for key in _LISTS:
        names: list[str] = contract.get(key, [])
        absent = [name for name in names if not module_exists(source, name)]
        if absent:
            bound[key] = [name for name in names if name not in absent]
            missing += absent
    return bound, missing


def is_void(contract: dict[str, Any]) -> bool:
    """Tell whether a contract has nothing left to say (nobody allowed is still a rule)."""
    return any(contract.get(key) == [] for key in _LISTS if key != "allowed_importers")


def render(value: object) -> str:
    """Write a TOML value: text, number, boolean or a list of text."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(render(item) for item in cast("list[object]", value)) + "]"
    return f'"{value}"' if isinstance(value, str) else str(value)


def contracts_text(root: Path) -> tuple[str, list[str]]:
    """Return an import-linter configuration for the modules below `root`, and the names left out of it."""
    configuration = tomllib.loads((root / "pyproject.toml").read_text())["tool"]["importlinter"]
    contracts: list[dict[str, Any]] = configuration.pop("contracts")
    lines = ["[tool.importlinter]", *(f"{key} = {render(value)}" for key, value in configuration.items())]
    left_out: set[str] = set()
    for contract in contracts:
        bound, missing = bind_to_existing_modules(contract, root / "src")
        left_out.update(name for name in missing if name.startswith("entrepot."))
        if not is_void(bound):
            lines += [
                "[[tool.importlinter.contracts]]",
                *(f"{key} = {render(value)}" for key, value in bound.items()),
            ]
    return "\n".join(lines) + "\n", sorted(left_out)


def check(root: Path) -> int:
    """Run import-linter on the project at `root`; return its exit code."""
    text, left_out = contracts_text(root)
    if left_out:
        print("not there yet, so not bound by a contract:", ", ".join(left_out))
    with tempfile.NamedTemporaryFile("w", suffix=".toml") as file:
        file.write(text)
        file.flush()
        command = [
            str(Path(sys.executable).parent / "lint-imports"),
            "--config",
            file.name,
            "--no-logo",
            "--no-cache",
        ]
        environment = {**os.environ, "PYTHONPATH": str(root / "src")}
        return subprocess.run(command, cwd=root, env=environment, check=False).returncode


if __name__ == "__main__":
    sys.exit(check(ROOT if len(sys.argv) == 1 else Path(sys.argv[1])))
