"""A client command starts quickly, since it loads nothing of the registry."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

_PROGRAM = """
import sys
from entrepot.ops.application import run_command_line
code = run_command_line(["whoami"])
print(code, *sys.modules)
"""
_PRODUCT = {"entrepot", "entrepot.kernel", "entrepot.kernel.errors", "entrepot.ops"}


def test_a_command_loads_its_own_module_and_no_library_of_the_server(tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("REGISTRY_CLIENT_")}
    done = subprocess.run(
        [sys.executable, "-c", _PROGRAM],
        env={**kept, "XDG_CONFIG_HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )

    code, *modules = done.stdout.split()
    of_product = {name for name in modules if name.split(".")[0] == "entrepot"}
    others = {name for name in of_product - _PRODUCT if not name.startswith("entrepot.client")}
    commands = {name for name in of_product if name.startswith("entrepot.client.commands.")}
    heavy = {
        "aiobotocore",
        "aiohttp",
        "asyncpg",
        "httptools",
        "litestar",
        "msgspec",
        "structlog",
        "sqlite3",
        "uvloop",
    }
    assert code == "3"
    assert others == {"entrepot.ops.application", "entrepot.ops.ending", "entrepot.ops.errors"}
    assert commands == {"entrepot.client.commands.whoami"}
    assert set(modules) & heavy == set()
