"""The tree as a table of dotted keys: the one list that sources, documentation and listings go by."""

from __future__ import annotations

import functools
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, TypeAlias, TypeVar

import msgspec

from entrepot.settings.secret import MASK, Secret
from entrepot.settings.sizes import format_size
from entrepot.settings.tree import Setting, Settings

if typing.TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = [
    "ENVIRONMENT_PREFIX",
    "SettingDocumentation",
    "SettingField",
    "SettingValue",
    "build_settings",
    "flatten_settings",
    "set_secrets",
    "setting_documentation",
    "setting_fields",
    "show_value",
    "shown_defaults",
    "shown_differences",
]

ENVIRONMENT_PREFIX = "ENTREPOT_"
SettingValue: TypeAlias = str | int | float | bool | Path | Secret

_Section = TypeVar("_Section", bound=msgspec.Struct)
_DATA_DIRECTORY_DEFAULT = "/var/lib/entrepot as root, else $XDG_DATA_HOME/entrepot"


@dataclass(frozen=True, slots=True)
class SettingField:
    """One leaf of the tree. ``default`` is None only where the default depends on the environment."""

    key: str
    value_type: type[SettingValue]
    choices: tuple[str, ...]
    default: SettingValue | None
    setting: Setting

    @property
    def is_secret(self) -> bool:
        """Whether the value must never be shown."""
        return self.value_type is Secret

    @property
    def is_size(self) -> bool:
        """Whether the value counts bytes, and may be written as 8MiB."""
        return self.key.endswith(("_bytes", "_bytes_per_second"))

    @property
    def environment_variable(self) -> str:
        """The variable that sets this field, as ENTREPOT_HTTP_LISTEN for http.listen."""
        return ENVIRONMENT_PREFIX + self.key.replace(".", "_").upper()


@dataclass(frozen=True, slots=True)
class SettingDocumentation:
    """One row of the settings table, every cell ready to print."""

    key: str
    environment_variable: str
    value_type: str
    default: str
    description: str
    reason: str
    secret: bool
    reloadable: bool


@functools.cache
def setting_fields() -> tuple[SettingField, ...]:
    """Return every leaf of the tree in the order of its definition."""
    return tuple(_walk(Settings, ""))


def _walk(section: type[msgspec.Struct], prefix: str) -> Iterator[SettingField]:
    hints = _types_of(section)
    for field in msgspec.structs.fields(section):
        hint: Any = hints[field.name]
        key = prefix + field.name
        if typing.get_origin(hint) is not Annotated:
            yield from _walk(hint, key + ".")
            continue
        base, setting = typing.get_args(hint)
        choices = typing.get_args(base) if typing.get_origin(base) is Literal else ()
        default = None if field.default is msgspec.NODEFAULT else field.default
        yield SettingField(key, str if choices else base, choices, default, setting)


def flatten_settings(settings: Settings) -> dict[str, SettingValue]:
    """Return every value by its dotted key."""
    return dict(_flatten(settings, ""))


def _flatten(section: msgspec.Struct, prefix: str) -> Iterator[tuple[str, SettingValue]]:
    for name in section.__struct_fields__:
        value: Any = getattr(section, name)
        if isinstance(value, msgspec.Struct):
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


def build_settings(values: Mapping[str, SettingValue]) -> Settings:
    """Build the tree from values by dotted key, each of its field's type; absent keys take their default."""
    return _build(Settings, "", values)


@functools.cache
def _types_of(section: type[msgspec.Struct]) -> Mapping[str, Any]:
    """Return the types of a section's fields; they never change, and take a while to work out."""
    return typing.get_type_hints(section, include_extras=True)


def _build(section: type[_Section], prefix: str, values: Mapping[str, SettingValue]) -> _Section:
    hints = _types_of(section)
    arguments: dict[str, Any] = {}
    for name in section.__struct_fields__:
        key = prefix + name
        if key in values:
            arguments[name] = values[key]
        elif any(given.startswith(key + ".") for given in values):
            arguments[name] = _build(hints[name], key + ".", values)
    return section(**arguments)


def show_value(field: SettingField, value: SettingValue) -> str:
    """Return a value as a person reads it: secrets masked, sizes with their unit."""
    if isinstance(value, Secret):
        return MASK if value else ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int) and field.is_size:
        return format_size(value)
    return f"{value:g}" if isinstance(value, float) else str(value)


def shown_defaults() -> dict[str, str]:
    """Return every default as a person reads it, by key; those that depend on the environment are not there."""
    return {
        field.key: show_value(field, field.default) for field in setting_fields() if field.default is not None
    }


def shown_differences(settings: Settings) -> dict[str, str]:
    """Return what is not its default as a person reads it, by key; of a secret only that there is one."""
    values, defaults = flatten_settings(settings), shown_defaults()
    shown = {field.key: show_value(field, values[field.key]) for field in setting_fields()}
    return {key: text for key, text in shown.items() if key in defaults and text != defaults[key]}


def set_secrets(settings: Settings) -> dict[str, str]:
    """Return the secrets that are set, by key. **In clear**: for digests of them only (S27)."""
    values = flatten_settings(settings).items()
    return {key: value.reveal() for key, value in values if isinstance(value, Secret) and value}


def setting_documentation() -> tuple[SettingDocumentation, ...]:
    """Return the table that the reference page and ``entrepot settings show`` are made from."""
    return tuple(_document(field) for field in setting_fields())


def _document(field: SettingField) -> SettingDocumentation:
    default = _DATA_DIRECTORY_DEFAULT if field.default is None else show_value(field, field.default)
    return SettingDocumentation(
        key=field.key,
        environment_variable=field.environment_variable,
        value_type=_name_type(field),
        default=default,
        description=field.setting.description,
        reason=field.setting.reason,
        secret=field.is_secret,
        reloadable=field.setting.reloadable,
    )


def _name_type(field: SettingField) -> str:
    if field.choices:
        return " or ".join(field.choices)
    if field.is_size:
        return "size"
    names = {
        str: "text",
        int: "whole number",
        float: "number",
        bool: "true or false",
        Path: "path",
        Secret: "secret",
    }
    return names[field.value_type]
