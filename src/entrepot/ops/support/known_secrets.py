"""Finds the secrets of this machine's settings by value, also where the settings as a whole can't be used."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final, cast
from urllib.parse import unquote, urlsplit

from entrepot.settings import setting_fields
from entrepot.settings.loading import DEFAULT_CONFIG_FILE
from entrepot.settings.sources import CONFIG_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["known_secrets", "secrets_in_directory"]

_TELLING_NAME: Final = re.compile(
    r"PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|CREDENTIAL|AUTH|PRIVATE_?KEY|API_?KEY|ACCESS_?KEY",
    re.IGNORECASE,
)
_LEAST_LENGTH: Final = 8
"""Of the value of a variable that is no setting: SSH_AUTH=1 is no secret."""


def known_secrets(environment: Mapping[str, str], config_file: Path | None) -> frozenset[str]:
    """Return every secret that the sources of the settings hold, and passwords within them.

    `config_file` is the file named on the command line, None for the usual one. Nothing here fails: a file that can't
    be read has no secret to tell.
    """
    path = config_file or Path(environment.get(CONFIG_VARIABLE) or DEFAULT_CONFIG_FILE)
    found = {*_of_environment(environment), *_of_file(path)}
    return frozenset(part for secret in found for part in _with_parts(secret))


def secrets_in_directory(directory: Path) -> frozenset[str]:
    """Return what lies in `secrets` below a data directory: the master key, and an unchanged first password."""
    try:
        found = [text for path in sorted((directory / "secrets").iterdir()) for text in _content(path)]
    except OSError:
        return frozenset()
    return frozenset(text for text in found if text.strip())


def _of_environment(environment: Mapping[str, str]) -> Iterator[str]:
    secret = {field.environment_variable for field in setting_fields() if field.is_secret}
    plain = {field.environment_variable for field in setting_fields()} - secret
    for name, value in environment.items():
        if name in secret or (name not in plain and _tells_of_a_secret(name, value)):
            yield value
        if name.removesuffix("_FILE") in secret or (name.endswith("_FILE") and _TELLING_NAME.search(name)):
            yield from _content(Path(value))


def _tells_of_a_secret(name: str, value: str) -> bool:
    return len(value) >= _LEAST_LENGTH and _TELLING_NAME.search(name) is not None and not _is_path(value)


def _is_path(value: str) -> bool:
    """Whether something lies there; a secret may begin with a slash, too."""
    try:
        return value.startswith("/") and Path(value).exists()
    except PermissionError:
        return True  # it is asked of a directory that exists and is closed to us
    except (OSError, ValueError):
        return False


def _content(path: Path) -> Iterator[str]:
    try:
        yield path.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, ValueError):
        return


def _of_file(path: Path) -> Iterator[str]:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return
    for field in setting_fields():
        value = _look_up(document, field.key.split(".")) if field.is_secret else None
        if isinstance(value, str):
            yield value


def _look_up(table: Mapping[str, object], words: Sequence[str]) -> object:
    value = table.get(words[0])
    if len(words) == 1 or not isinstance(value, dict):
        return value
    return _look_up(cast("dict[str, object]", value), words[1:])


def _with_parts(secret: str) -> Iterator[str]:
    """Yield a secret and, of an address, its password, which appears by itself in messages."""
    if secret.strip():
        yield secret
    # By hand as well: an address that nobody could parse may still hold a password.
    authority = secret.partition("://")[2].rpartition("@")[0]
    if ":" in authority:
        password = authority.partition(":")[2]
        yield from {password, unquote(password)} - {""}
    try:
        query = urlsplit(secret).query if "://" in secret else ""
    except ValueError:
        return
    for pair in query.split("&"):
        name, _, value = pair.partition("=")
        if value and _TELLING_NAME.search(name):
            yield from {value, unquote(value)}
