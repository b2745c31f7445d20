"""Reads each source of settings into values and problems; which source wins is decided elsewhere."""

from __future__ import annotations

import difflib
import re
import tomllib
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar, cast

from entrepot.settings.catalogue import ENVIRONMENT_PREFIX, SettingField, SettingValue, setting_fields
from entrepot.settings.values import convert_text, convert_value

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["CONFIG_VARIABLE", "Origin", "SourceValues", "read_environment", "read_file", "read_flags"]

CONFIG_VARIABLE = "ENTREPOT_CONFIG"
_FILE_SUFFIX = "_FILE"
_SERVICE_LINK = re.compile(
    r"ENTREPOT(_[A-Z0-9_]+)?_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9_]+)?|PORT(_[0-9]+_(TCP|UDP)(_(PROTO|PORT|ADDR))?)?)"
)
_MAX_SECRET_BYTES = 65536
_Raw = TypeVar("_Raw")


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a value comes from; ``detail`` is the file's path, the variable's name or the flag."""

    kind: Literal["default", "file", "environment", "flag"]
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.kind} {self.detail}".rstrip()


@dataclass(slots=True)
class SourceValues:
    """What one source says, and every fault found in it."""

    values: dict[str, SettingValue] = field(default_factory=dict[str, SettingValue])
    origins: dict[str, Origin] = field(default_factory=dict[str, Origin])
    problems: list[str] = field(default_factory=list[str])

    def take(
        self,
        setting: SettingField,
        raw: _Raw,
        convert: Callable[[SettingField, _Raw], SettingValue],
        origin: Origin,
    ) -> None:
        """Convert and keep one value, or note what is wrong with it."""
        try:
            self.values[setting.key] = convert(setting, raw)
            self.origins[setting.key] = origin
        except ValueError as error:
            self.problems.append(f"{setting.key} ({origin}): {error}")


def read_file(path: Path) -> SourceValues:
    """Read a TOML file of settings."""
    source = SourceValues()
    try:
        document = tomllib.loads(path.read_bytes().decode())
    except OSError as error:
        source.problems.append(f"file {path} can't be read: {error.strerror}")
        return source
    except UnicodeDecodeError:
        source.problems.append(f"file {path} is not UTF-8 text")
        return source
    except tomllib.TOMLDecodeError as error:
        source.problems.append(f"file {path} is not TOML: {error}")
        return source
    fields = {setting.key: setting for setting in setting_fields()}
    for key, raw in _flatten_table(document, "", _section_keys()):
        if key in fields:
            source.take(fields[key], raw, convert_value, Origin("file", str(path)))
        elif key in _section_keys():
            source.problems.append(f"{key} (file {path}): expected a table [{key}], found a single value")
        else:
            source.problems.append(f"{key} (file {path}): no such setting{_suggest(key, fields)}")
    return source


def read_environment(environment: Mapping[str, str]) -> SourceValues:
    """Read ``ENTREPOT_*`` variables, and ``ENTREPOT_*_FILE`` for secrets."""
    source = SourceValues()
    fields = {setting.environment_variable: setting for setting in setting_fields()}
    files = {name + _FILE_SUFFIX: setting for name, setting in fields.items() if setting.is_secret}
    for name in sorted(environment):
        origin = Origin("environment", name)
        if name in fields:
            source.take(fields[name], environment[name], convert_text, origin)
        elif name in files:
            if files[name].environment_variable in environment:
                other = files[name].environment_variable
                source.problems.append(f"{files[name].key}: both {other} and {name} are set; keep one")
            else:
                source.take(files[name], environment[name], _convert_secret_file, origin)
        elif (
            name.startswith(ENVIRONMENT_PREFIX)
            and name != CONFIG_VARIABLE
            and not _is_service_link(name, environment)
        ):
            source.problems.append(
                f"{name} (environment): no such variable{_suggest(name, {**fields, **files})}"
            )
    return source


def read_flags(flags: Mapping[str, str | bool]) -> SourceValues:
    """Read values given on the command line, by dotted key."""
    source = SourceValues()
    fields = {setting.key: setting for setting in setting_fields()}
    for key, raw in flags.items():
        origin = Origin("flag", key)
        if key not in fields:
            source.problems.append(f"{key} (flag): no such setting{_suggest(key, fields)}")
        elif isinstance(raw, bool):
            source.take(fields[key], raw, convert_value, origin)
        else:
            source.take(fields[key], raw, convert_text, origin)
    return source


def _section_keys() -> frozenset[str]:
    parts = [setting.key.split(".") for setting in setting_fields()]
    return frozenset(".".join(words[:depth]) for words in parts for depth in range(1, len(words)))


def _flatten_table(
    table: Mapping[str, object], prefix: str, sections: frozenset[str]
) -> Iterator[tuple[str, object]]:
    for name, value in table.items():
        key = prefix + (f'"{name}"' if "." in name else name)
        if isinstance(value, dict):
            if value or key in sections:
                yield from _flatten_table(cast("dict[str, object]", value), key + ".", sections)
            else:
                yield key, cast("dict[str, object]", value)
        else:
            yield key, value


def _suggest(name: str, known: Mapping[str, object]) -> str:
    # the prefix that all variables share would make any two of them look alike
    distinct = {key.removeprefix(ENVIRONMENT_PREFIX): key for key in known}
    nearest = difflib.get_close_matches(name.removeprefix(ENVIRONMENT_PREFIX), distinct, n=1, cutoff=0.6)
    return f"; did you mean {distinct[nearest[0]]}?" if nearest else ""


def _convert_secret_file(setting: SettingField, text: str) -> SettingValue:
    try:
        with Path(text).open("rb") as stream:
            content = stream.read(_MAX_SECRET_BYTES + 1)
    except OSError as error:
        message = f"file {text} can't be read: {error.strerror}"
        raise ValueError(message) from error
    if len(content) > _MAX_SECRET_BYTES:
        message = f"file {text} is larger than {_MAX_SECRET_BYTES} bytes, so it holds no secret"
        raise ValueError(message)
    try:
        secret = content.decode().rstrip("\r\n")
    except UnicodeDecodeError as error:
        message = f"file {text} is not UTF-8 text"
        raise ValueError(message) from error
    if not secret:
        message = f"file {text} is empty"
        raise ValueError(message)
    return convert_text(setting, secret)


def _is_service_link(name: str, environment: Mapping[str, str]) -> bool:
    """Whether Kubernetes added the variable for a service called entrepot, as ENTREPOT_PORT."""
    return "KUBERNETES_SERVICE_HOST" in environment and _SERVICE_LINK.fullmatch(name) is not None
