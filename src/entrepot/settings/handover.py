"""Carries the effective settings from the parent process to its children, which don't read the sources."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from entrepot.settings.catalogue import SettingValue, build_settings, flatten_settings, setting_fields
from entrepot.settings.errors import SettingsError
from entrepot.settings.secret import Secret
from entrepot.settings.values import convert_value

if TYPE_CHECKING:
    from entrepot.settings.tree import Settings

__all__ = [
    "changed_keys",
    "dump_settings",
    "parse_dumped_settings",
    "read_settings_file",
    "write_settings_file",
]


def dump_settings(settings: Settings) -> bytes:
    """Return the settings as JSON by dotted key. **Secrets are in clear**: for a file of mode 0600 only."""
    return msgspec.json.encode({key: _plain(value) for key, value in flatten_settings(settings).items()})


def parse_dumped_settings(content: bytes) -> Settings:
    """Return the settings that ``dump_settings`` wrote. Raises SettingsError for anything else."""
    fields = {setting.key: setting for setting in setting_fields()}
    try:
        raw = msgspec.json.decode(content, type=dict[str, str | int | float | bool])
    except msgspec.DecodeError as error:
        raise SettingsError((f"the settings handed over can't be read: {error}",)) from error
    if raw.keys() != fields.keys():
        strange = ", ".join(sorted(raw.keys() ^ fields.keys()))
        raise SettingsError(
            (f"the settings handed over come from another version; they differ in {strange}",)
        )
    try:
        return build_settings({key: convert_value(fields[key], value) for key, value in raw.items()})
    except ValueError as error:
        raise SettingsError((f"the settings handed over hold a bad value: {error}",)) from error


def write_settings_file(settings: Settings, path: Path) -> None:
    """Write ``dump_settings`` to ``path`` with mode 0600, replacing an older file in one step."""
    temporary = path.with_name(f"{path.name}.{os.getpid()}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
    )
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(dump_settings(settings))
    temporary.replace(path)


def read_settings_file(path: Path) -> Settings:
    """Read what ``write_settings_file`` wrote. Raises SettingsError, also when the file can't be read."""
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SettingsError((f"file {path} can't be read: {error.strerror}",)) from error
    return parse_dumped_settings(content)


def changed_keys(old: Settings, new: Settings) -> tuple[str, ...]:
    """Return the dotted keys whose values differ; those not ``reloadable`` need a restart."""
    before, after = flatten_settings(old), flatten_settings(new)
    return tuple(key for key in before if before[key] != after[key])


def _plain(value: SettingValue) -> str | int | float | bool:
    if isinstance(value, Secret):
        return value.reveal()
    return str(value) if isinstance(value, Path) else value
