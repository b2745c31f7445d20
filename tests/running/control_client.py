"""A small client of the control API, /api/v2.0, for tests that need people, projects and robots to begin with.

It is written from the interface, not with the product's own client or services, so that neither can hide the other's
faults. Whatever is not answered as it should be raises, with everything that was said.
"""

from __future__ import annotations

import base64
import http.client
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

__all__ = ["ROLES", "Account", "ControlClient", "ControlError", "Reply"]

_PATH: Final = "/api/v2.0"
_TIMEOUT_SECONDS: Final = 60

ROLES: Final = {
    "project-admin": 1,
    "developer": 2,
    "guest": 3,
    "team-lead": 4,
    "limited-guest": 5,
    "auditor": 6,
    "operations-admin": 7,
}
"""Numbers of the built-in roles, as Harbor's interface names its five and ours go on."""


@dataclass(frozen=True, slots=True)
class Account:
    """A name and the secret that proves it: of a person, a robot, or a person's access token."""

    name: str
    secret: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization header (RFC 7617)."""
        return f"Basic {base64.b64encode(f'{self.name}:{self.secret}'.encode()).decode()}"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the API answered; names of headers in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def document(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)

    @property
    def error_codes(self) -> list[str]:
        """The codes of an error reply."""
        return [error["code"] for error in self.document["errors"]]

    @property
    def created_id(self) -> int:
        """The number at the end of Location."""
        return int(self.headers["location"].rpartition("/")[2])


class ControlError(AssertionError):
    """The API answered otherwise than a test needs it to.

    Attributes:
        reply: what it answered.
    """

    def __init__(self, method: str, path: str, reply: Reply) -> None:
        super().__init__(f"{method} {path}: {reply.status} {reply.body.decode(errors='replace')}")
        self.reply = reply


class ControlClient:
    """Calls the API as one account, or as nobody. Safe from several threads: each call has its own connection."""

    def __init__(self, host: str, account: Account | None = None) -> None:
        self.host = host
        self.account = account

    def acting_as(self, account: Account | None) -> ControlClient:
        """Return a client of the same registry for somebody else."""
        return ControlClient(self.host, account)

    def request(
        self, method: str, path: str, document: object = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """Send one request below /api/v2.0 and return the answer, whatever it is."""
        sent = {} if self.account is None else {"Authorization": self.account.basic}
        body = None
        if document is not None:
            body = json.dumps(document).encode()
            sent["Content-Type"] = "application/json"
        connection = http.client.HTTPConnection(self.host, timeout=_TIMEOUT_SECONDS)
        try:
            connection.request(method, f"{_PATH}{path}", body, {**sent, **(headers or {})})
            response = connection.getresponse()
            found = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, found, response.read())
        finally:
            connection.close()

    def call(
        self, method: str, path: str, document: object = None, *, status: int = 200, **headers: str
    ) -> Reply:
        """Send a request that must be answered with `status`; `headers` are named with underscores for hyphens.

        Raises:
            ControlError: it was answered otherwise.
        """
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        reply = self.request(method, path, document, named)
        if reply.status != status:
            raise ControlError(method, path, reply)
        return reply

    def get(self, path: str) -> Any:
        """Return the document that a path answers with."""
        return self.call("GET", path).document

    def create_project(self, name: str, **metadata: str) -> int:
        """Make a project, private unless `public="true"`, and return its number."""
        document = {"project_name": name, "metadata": metadata}
        return self.call("POST", "/projects", document, status=201).created_id

    def create_user(self, account: Account) -> int:
        """Make a person and return the number."""
        document = {
            "username": account.name,
            "email": f"{account.name}@example.org",
            "realname": account.name.title(),
            "password": account.secret,
        }
        return self.call("POST", "/users", document, status=201).created_id

    def set_operations_admin(self, user_id: int, *, flag: bool) -> None:
        """Make somebody an operations administrator, or stop it: Harbor's `sysadmin_flag`."""
        self.call("PUT", f"/users/{user_id}/sysadmin", {"sysadmin_flag": flag})

    def add_member(self, project: str, user: str, role: str) -> int:
        """Give a person a role in a project and return the number of the membership."""
        document = {"role_id": ROLES[role], "member_user": {"username": user}}
        return self.call("POST", f"/projects/{_segment(project)}/members", document, status=201).created_id

    def remove_member(self, project: str, member_id: int) -> None:
        """Take it away again."""
        self.call("DELETE", f"/projects/{_segment(project)}/members/{member_id}")

    def assign_system_role(self, subject_id: int, role: str) -> None:
        """Give a person or a group a role on the system, which holds in every project."""
        self.call("POST", "/role-assignments", {"subject_id": subject_id, "role": role}, status=201)

    def create_robot(self, project: str, name: str, permissions: Sequence[str], **fields: object) -> Account:
        """Make a robot of a project with permissions such as `repository:pull`; it lives a day."""
        entry = {"kind": "project", "namespace": project, "access": _access(permissions)}
        return self._create_robot("project", name, [entry], fields)

    def create_system_robot(
        self, name: str, permissions: Mapping[str, Sequence[str]], **fields: object
    ) -> Account:
        """Make a robot of the system with project permissions by name of project."""
        entries = [
            {"kind": "project", "namespace": project, "access": _access(granted)}
            for project, granted in permissions.items()
        ]
        return self._create_robot("system", name, entries, fields)

    def _create_robot(
        self, level: str, name: str, permissions: list[dict[str, Any]], fields: Mapping[str, object]
    ) -> Account:
        document = {
            "name": name,
            "level": level,
            "duration": 1,
            "permissions": permissions,
            **fields,
        }
        made = self.call("POST", "/robots", document, status=201).document
        return Account(made["name"], made["secret"])

    def create_access_token(self, name: str, **limits: object) -> Account:
        """Make an access token of this client's own account; it is presented with the same name."""
        assert self.account is not None
        made = self.call("POST", "/access-tokens", {"name": name, **limits}, status=201).document
        return Account(self.account.name, made["secret"])


def _access(permissions: Sequence[str]) -> list[dict[str, str]]:
    pairs = [permission.split(":") for permission in permissions]
    return [{"resource": resource, "action": action} for resource, action in pairs]


def _segment(name: str) -> str:
    """Return a name as one segment of a path."""
    return quote(name, safe="")
