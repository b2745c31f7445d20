"""Options that several commands share, and the settings they lead to."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from entrepot.ops.errors import EXIT_USAGE, CommandError
from entrepot.settings import LoadedSettings, SettingsError, load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "ConfigOption",
    "DataOption",
    "ListenOption",
    "load_command_settings",
    "load_with_flags",
    "make_flags",
    "problems_end_the_command",
]

ConfigOption: TypeAlias = Annotated[
    Path | None,
    Parameter(
        name="--config",
        help="TOML file of settings; else the one ENTREPOT_CONFIG names, else /etc/entrepot/entrepot.toml.",
    ),
]
DataOption: TypeAlias = Annotated[
    Path | None, Parameter(name="--data", help="Directory for everything this node keeps (data.directory).")
]
ListenOption: TypeAlias = Annotated[
    str | None,
    Parameter(name="--listen", help="Address and port for clients, as 0.0.0.0:5000 (http.listen)."),
]


def make_flags(data: Path | None = None, listen: str | None = None) -> dict[str, str | bool]:
    """Return the settings given as options, by dotted key; a relative directory is meant from here."""
    flags: dict[str, str | bool] = {}
    if data is not None:
        flags["data.directory"] = str(data.absolute())
    if listen is not None:
        flags["http.listen"] = listen
    return flags


def load_with_flags(config: Path | None, flags: dict[str, str | bool]) -> LoadedSettings:
    """Load the settings of this process's environment. Raises SettingsError."""
    return load_settings(environment=os.environ, user_id=os.geteuid(), config_file=config, flags=flags)


def load_command_settings(config: Path | None, flags: dict[str, str | bool]) -> LoadedSettings:
    """Load the settings, or end the command with all their problems and exit code 2."""
    with problems_end_the_command():
        return load_with_flags(config, flags)


@contextlib.contextmanager
def problems_end_the_command() -> Iterator[None]:
    """Let a SettingsError end the command, with all problems and exit code 2."""
    try:
        yield
    except SettingsError as error:
        lines = [f"entrepot: {problem}" for problem in error.problems]
        raise CommandError(EXIT_USAGE, *lines, "Nothing was started or changed.") from error
