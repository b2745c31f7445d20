"""The file of logins: which registries this person is logged in to, with what, and which of them is meant by default.

It is written whole to a file beside it, synced and renamed, under a lock, and nobody but its owner can read it: a crash
or a second command at the same time leaves the old file or the new one.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import stat
import tempfile
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from entrepot.client.errors import EXIT_USAGE, ClientError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

__all__ = ["Login", "LoginFile", "Logins", "login_path"]

_FORMAT: Final = 1
_KINDS: Final = frozenset({"token", "password"})


@dataclass(frozen=True, slots=True)
class Login:
    """What is presented to one registry.

    Attributes:
        url: the registry.
        kind: `token` for an access token, `password` for a password or the secret of a robot.
        token_id: the id of a token that a login made, by which a logout removes it; else empty.
        expires_at: when the token ends, as the registry said; else empty.
        ca_file: the file of the authority that signed the registry's certificate, when it is not one of the system's.
    """

    url: str
    user: str
    kind: str
    secret: str = field(repr=False)
    token_id: str = ""
    expires_at: str = ""
    ca_file: str = ""


@dataclass(frozen=True, slots=True)
class Logins:
    """All logins by URL, and the URL of the registry that commands ask when none is named.

    That one stays the same when one logs out of it: else the next command would act on another registry, unasked.
    It is empty as long as there was no login.
    """

    current: str = ""
    by_url: Mapping[str, Login] = field(default_factory=dict[str, Login])

    @property
    def in_use(self) -> Login | None:
        """The login of the current registry; `None` when one is logged out of it."""
        return self.by_url.get(self.current)

    def with_login(self, login: Login) -> Logins:
        """Return these with another one, which is the current one from now on."""
        return Logins(login.url, {**self.by_url, login.url: login})

    def without(self, url: str) -> Logins:
        """Return these without one."""
        return replace(self, by_url={key: login for key, login in self.by_url.items() if key != url})

    def using(self, url: str) -> Logins:
        """Return these with another current one."""
        return replace(self, current=url)


def login_path(environment: Mapping[str, str]) -> Path:
    """Return where the file is: `$XDG_CONFIG_HOME/entrepot/client.json`, by default below `~/.config`."""
    base = environment.get("XDG_CONFIG_HOME", "")
    directory = Path(base) if base.startswith("/") else Path.home() / ".config"
    return directory / "entrepot" / "client.json"


class LoginFile:
    """The file itself."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def load(self) -> Logins:
        """Return what the file says; nothing when there is none.

        Raises:
            ClientError: it can't be read, others can read it, or it is not of this form.
        """
        try:
            descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return Logins()
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error
        with os.fdopen(descriptor, "rb") as file:
            if os.fstat(file.fileno()).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise ClientError(
                    EXIT_USAGE,
                    f"entrepot: others can open {self._path}, which holds your credentials",
                    f"If nobody did: chmod 600 {self._path}. Else log in anew and change what it held.",
                )
            try:
                return _decode(json.loads(file.read()))
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise self._unusable("it is not of the form that this program writes") from error

    def change(self, make: Callable[[Logins], Logins]) -> None:
        """Replace what the file says by what `make` returns of it.

        Raises:
            ClientError: the file can't be read or written.
        """
        try:
            self._path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with self._locked():
                self._write(make(self.load()))
        except OSError as error:
            raise self._unusable(error.strerror or str(error)) from error

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """Hold the directory's lock: the file itself is replaced, and a lock on it would be lost with it."""
        descriptor = os.open(self._path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    def _write(self, logins: Logins) -> None:
        """Write beside the file and rename: `mkstemp` makes files that only their owner can open."""
        content = json.dumps(_encode(logins), indent=2).encode() + b"\n"
        descriptor, name = tempfile.mkstemp(prefix=".client-", dir=self._path.parent)
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise

    def _unusable(self, reason: str) -> ClientError:
        return ClientError(
            EXIT_USAGE,
            f"entrepot: {self._path}: {reason}",
            "It holds the logins of this client. Put it right, or move it away and log in again.",
        )


def _encode(logins: Logins) -> dict[str, object]:
    servers: dict[str, object] = {}
    for url, login in sorted(logins.by_url.items()):
        servers[url] = {name: value for name, value in asdict(login).items() if value and name != "url"}
    return {"format": _FORMAT, "current": logins.current, "servers": servers}


def _decode(document: Any) -> Logins:  # noqa: ANN401  # whatever stands in the file
    if document["format"] != _FORMAT:
        raise ValueError(document["format"])
    logins = {url: Login(url=url, **fields) for url, fields in document["servers"].items()}
    for login in logins.values():
        if login.kind not in _KINDS or not all(isinstance(value, str) for value in asdict(login).values()):
            raise ValueError(login.kind)
    if not isinstance(document["current"], str):
        raise TypeError(document["current"])
    return Logins(document["current"], logins)
