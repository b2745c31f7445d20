"""Puts the sources together, later ones winning, and refuses to go on with anything doubtful."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

from entrepot.settings.catalogue import build_settings, flatten_settings, setting_fields
from entrepot.settings.errors import SettingsError
from entrepot.settings.sources import (
    CONFIG_VARIABLE,
    Origin,
    SourceValues,
    read_environment,
    read_file,
    read_flags,
)
from entrepot.settings.validation import find_problems

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.settings.tree import Settings

__all__ = ["DEFAULT_CONFIG_FILE", "LoadedSettings", "default_data_directory", "load_settings"]

DEFAULT_CONFIG_FILE = Path("/etc/entrepot/entrepot.toml")
_NO_FLAGS: Mapping[str, str | bool] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class LoadedSettings:
    """The effective settings, the origin of each value by dotted key, and the file that was read, if any."""

    settings: Settings
    origins: Mapping[str, Origin]
    config_file: Path | None


def default_data_directory(environment: Mapping[str, str], user_id: int) -> Path:
    """Return /var/lib/entrepot for root and users without a home, else the user's own data directory.

    Source: XDG Base Directory Specification.
    """
    system_wide = Path("/var/lib/entrepot")
    if user_id == 0:
        return system_wide
    data_home, home = environment.get("XDG_DATA_HOME", ""), environment.get("HOME", "")
    if data_home.startswith("/"):  # the specification has relative paths ignored
        return Path(data_home) / "entrepot"
    return Path(home) / ".local" / "share" / "entrepot" if home.startswith("/") else system_wide


def load_settings(
    *,
    environment: Mapping[str, str],
    user_id: int,
    config_file: Path | None = None,
    flags: Mapping[str, str | bool] = _NO_FLAGS,
    default_config_file: Path = DEFAULT_CONFIG_FILE,
) -> LoadedSettings:
    """Return the effective settings: defaults < file < environment < flags.

    ``config_file`` is the file named on the command line; without it ``ENTREPOT_CONFIG`` names one, and
    without that ``default_config_file`` is read if it exists. ``flags`` are by dotted key. Raises
    SettingsError, which lists every problem.
    """
    path = _find_file(environment, config_file, default_config_file)
    sources = [
        _read_defaults(environment, user_id),
        SourceValues() if path is None else read_file(path),
        read_environment(environment),
        read_flags(flags),
    ]
    merged = SourceValues()
    for source in sources:
        merged.values.update(source.values)
        merged.origins.update(source.origins)
        merged.problems.extend(source.problems)
    _follow_insecure_anonymous(merged)
    settings = build_settings(merged.values)
    for key, sentence in find_problems(settings, flatten_settings(settings)):
        merged.problems.append(f"{key} ({merged.origins[key]}): {sentence}")
    if merged.problems:
        raise SettingsError(tuple(merged.problems))
    return LoadedSettings(settings, MappingProxyType(merged.origins), path)


def _follow_insecure_anonymous(merged: SourceValues) -> None:
    """Who lets everybody in has no accounts, unless they say that they do, which is refused."""
    if merged.values["access.insecure_anonymous"] and merged.origins["access.accounts"].kind == "default":
        merged.values["access.accounts"] = False
        merged.origins["access.accounts"] = Origin("default", "with access.insecure_anonymous")


def _find_file(environment: Mapping[str, str], config_file: Path | None, default_file: Path) -> Path | None:
    if config_file is not None:
        return config_file
    if environment.get(CONFIG_VARIABLE):
        return Path(environment[CONFIG_VARIABLE])
    return default_file if default_file.exists() else None


def _read_defaults(environment: Mapping[str, str], user_id: int) -> SourceValues:
    source = SourceValues()
    for setting in setting_fields():
        computed = default_data_directory(environment, user_id)
        source.values[setting.key] = computed if setting.default is None else setting.default
        source.origins[setting.key] = Origin("default")
    return source
