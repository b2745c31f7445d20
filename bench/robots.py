"""The clients of Entrepot: robots of one project, made by its API, whose tokens come from its token service."""

from __future__ import annotations

import base64
import contextlib
import json
import threading
import time
import urllib.parse
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from bench.clients import CLIENT_COUNT, REPOSITORIES, bearer
from bench.material import PROJECT
from bench.servers import connect

if TYPE_CHECKING:
    import http.client
    from collections.abc import Sequence

__all__ = ["ADMINISTRATOR", "ADMINISTRATOR_PASSWORD", "Robots", "token_path"]

ADMINISTRATOR: Final = "admin"
ADMINISTRATOR_PASSWORD: Final = "Lantern+Orchard+58"  # noqa: S105  # of a registry that lives as long as the run

_PERMISSIONS: Final = ("repository:pull", "repository:push", "repository:create", "tag:overwrite")
_SERVICE: Final = "entrepot"
_GOOD_FOR_SECONDS: Final = 120.0
"""A token that is handed out does not end before: no round takes longer to send its last request."""
_TIMEOUT_SECONDS: Final = 60


@dataclass(slots=True)
class Robots:
    """Implements :class:`bench.clients.Clients`.

    Project and robots are made at the first call. Tokens are asked for anew when the ones before are about to end: the
    server's default of five minutes is not touched.
    """

    port: int
    is_encrypted: bool = False
    _secrets: list[str] = field(default_factory=list[str])
    _tokens: list[str] = field(default_factory=list[str])
    _renew_at: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def authorizations(self) -> Sequence[str]:
        """See the protocol."""
        with self._lock:
            if time.monotonic() >= self._renew_at:
                self._renew()
            return self._tokens

    def secrets(self) -> Sequence[str]:
        """Return values of Authorization with names and secrets, which the token service takes."""
        self.authorizations()
        return self._secrets

    def _renew(self) -> None:
        began = time.monotonic()
        connection = connect(self.port, _TIMEOUT_SECONDS, is_encrypted=self.is_encrypted)
        with contextlib.closing(connection):
            if not self._secrets:
                self._secrets = _make_robots(connection)
            replies = [
                _ask(connection, "GET", token_path(), authorization) for authorization in self._secrets
            ]
        for reply in replies:
            _require_granted(reply["token"])
        self._tokens = [bearer(reply["token"]) for reply in replies]
        lifetime = min(float(reply["expires_in"]) for reply in replies)
        self._renew_at = began + max(lifetime - _GOOD_FOR_SECONDS, 1.0)


def token_path() -> str:
    """Return path and query with which a token is asked for."""
    fields = [("service", _SERVICE), *(("scope", f"repository:{name}:pull,push") for name in REPOSITORIES)]
    return f"/service/token?{urllib.parse.urlencode(fields)}"


def _make_robots(connection: http.client.HTTPConnection) -> list[str]:
    administrator = _basic(ADMINISTRATOR, ADMINISTRATOR_PASSWORD)
    _ask(connection, "POST", "/api/v2.0/projects", administrator, {"project_name": PROJECT, "metadata": {}})
    pairs = [permission.split(":") for permission in _PERMISSIONS]
    access = [{"resource": resource, "action": action} for resource, action in pairs]
    robot = {
        "level": "project",
        "duration": 1,
        "permissions": [{"kind": "project", "namespace": PROJECT, "access": access}],
    }
    made = [
        _ask(connection, "POST", "/api/v2.0/robots", administrator, {**robot, "name": f"client-{number:03d}"})
        for number in range(CLIENT_COUNT)
    ]
    return [_basic(reply["name"], reply["secret"]) for reply in made]


def _basic(name: str, secret: str) -> str:
    return f"Basic {base64.b64encode(f'{name}:{secret}'.encode()).decode()}"


def _ask(
    connection: http.client.HTTPConnection,
    method: str,
    path: str,
    authorization: str,
    document: dict[str, Any] | None = None,
) -> dict[str, Any]:
    headers = {"Authorization": authorization, "Content-Type": "application/json"}
    connection.request(method, path, None if document is None else json.dumps(document), headers)
    response = connection.getresponse()
    body = response.read()
    if response.status not in {200, 201}:
        raise ConnectionError(f"{method} {path}: {response.status} {body[:300]!r}")
    answer: dict[str, Any] = json.loads(body or b"{}")
    return answer


def _require_granted(token: str) -> None:
    """A token for less than was asked for would measure refusals."""
    claims = token.split(".")[1]
    entries = json.loads(base64.urlsafe_b64decode(claims + "=" * (-len(claims) % 4)))["access"]
    granted = {entry["name"] for entry in entries if {"pull", "push"} <= set(entry["actions"])}
    if granted != set(REPOSITORIES):
        raise ConnectionError(f"a token is good for {sorted(granted)} only")
