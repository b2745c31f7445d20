"""``entrepot version``: what is installed, in the words a bug report needs."""

from __future__ import annotations

import platform
import sqlite3
from importlib.metadata import version as installed_version

from entrepot import __version__
from entrepot.ops.output import OutputOption, format_json

__all__ = ["collect_versions", "show_version"]


def collect_versions() -> dict[str, str]:
    """Return the versions by name."""
    return {
        "entrepot": __version__,
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "httptools": installed_version("httptools"),
        "uvloop": installed_version("uvloop"),
    }


def show_version(*, output: OutputOption = "text") -> int:
    """Show the versions of Entrepot and of what it runs on."""
    versions = collect_versions()
    if output == "json":
        print(format_json(versions))
    else:
        print("\n".join(f"{name:<9} {version}" for name, version in versions.items()))
    return 0
