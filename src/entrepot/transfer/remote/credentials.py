"""Who we are at a remote registry: a name and a password, or what `docker login` and `podman login` left in a file."""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from entrepot.transfer.errors import SourceUnusableError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Credentials", "default_login_files", "find_credentials", "read_login_file", "read_password"]

_DOCKER_HUB = ("https://index.docker.io/v1/", "index.docker.io", "docker.io", "registry-1.docker.io")


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password, or the refresh token that a login got instead. Never shown."""

    username: str
    password: str = field(repr=False)
    identity_token: str = field(default="", repr=False)

    def basic(self) -> str:
        """Return the value of an `Authorization` header (RFC 7617)."""
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


class _Login(msgspec.Struct, frozen=True):
    auth: str = ""
    identitytoken: str = ""


class _LoginFile(msgspec.Struct, frozen=True, rename="camel"):
    auths: dict[str, _Login] = {}
    creds_store: str = ""
    cred_helpers: dict[str, str] = {}


def default_login_files(environment: Mapping[str, str]) -> list[Path]:
    """Return where docker and podman keep logins, in the order in which podman looks."""
    files: list[Path] = []
    if named := environment.get("REGISTRY_AUTH_FILE"):
        files.append(Path(named))
    if runtime := environment.get("XDG_RUNTIME_DIR"):
        files.append(Path(runtime) / "containers" / "auth.json")
    if home := environment.get("HOME"):
        files.append(Path(home) / ".config" / "containers" / "auth.json")
    if docker := environment.get("DOCKER_CONFIG"):
        files.append(Path(docker) / "config.json")
    elif home:
        files.append(Path(home) / ".docker" / "config.json")
    return files


def find_credentials(
    host: str,
    username: str | None,
    password_file: Path | None,
    login_file: Path | None,
    environment: Mapping[str, str],
) -> Credentials | None:
    """Return who to be at a host (with its port): as named, else as logged in, else nobody.

    Raises:
        SourceUnusableError: only one of name and password is given, or a file can't be used.
    """
    if (username is None) != (password_file is None):
        raise SourceUnusableError("--username and --password-file belong together")
    if username is not None and password_file is not None:
        return Credentials(username, read_password(password_file))
    if login_file is not None:
        return read_login_file(login_file, host)
    for file in default_login_files(environment):
        if file.is_file() and (found := read_login_file(file, host)) is not None:
            return found
    return None


def read_password(file: Path) -> str:
    """Return what a file holds, without the line's end.

    Raises:
        SourceUnusableError: it can't be read, or is empty.
    """
    try:
        password = file.read_text(encoding="utf-8").rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        raise SourceUnusableError(f"the password file {file} can't be read: {error}") from None
    if not password:
        raise SourceUnusableError(f"the password file {file} is empty")
    return password


def read_login_file(file: Path, host: str) -> Credentials | None:
    """Return the login for a host (with its port) that `docker login` or `podman login` wrote into a file.

    Raises:
        SourceUnusableError: the file is unreadable, or keeps the login in a program of its own, which is not run.
    """
    try:
        logins = msgspec.json.decode(file.read_bytes(), type=_LoginFile)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise SourceUnusableError(f"the login file {file} can't be read: {error}") from None
    keys = [host, f"https://{host}", f"http://{host}", f"https://{host}/v1/", f"https://{host}/v2/"]
    if host in _DOCKER_HUB:
        keys.extend(_DOCKER_HUB)
    for key in keys:
        if key in logins.cred_helpers:
            raise SourceUnusableError(
                f"{file} keeps the login for {host} with docker-credential-{logins.cred_helpers[key]}, "
                "which is not run here: use --username and --password-file"
            )
        if (login := logins.auths.get(key)) is not None and (login.auth or login.identitytoken):
            return _decode(login, file)
    return None


def _decode(login: _Login, file: Path) -> Credentials:
    try:
        username, _, password = base64.b64decode(login.auth, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        raise SourceUnusableError(f"the login file {file} holds an unreadable login") from None
    return Credentials(username, password, login.identitytoken)
