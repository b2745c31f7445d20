"""A node on a loop of its own, for a state machine: every method makes one change by the product's own means."""

from __future__ import annotations

import asyncio
import base64
import collections
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import structlog

from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.system_actions import (
    CreateRoleAssignment,
    DeleteRoleAssignment,
    UpdateUser,
    UpdateUserGroup,
)
from entrepot.settings import metadata_url
from tests.drivers.metadata.raw_database import RawDatabase
from tests.stateful.node import basic, open_node

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType

    from entrepot.auth.access_tokens.access_tokens import IssuedAccessToken, NewAccessToken
    from entrepot.settings import Settings
    from tests.asgi.client import AsgiReply
    from tests.stateful.node import Node

__all__ = ["ATTEMPTS", "ENTRANCES", "IdentityWorld"]

T = TypeVar("T")

ATTEMPTS: Final = 12
"""How many wrong secrets for one name from one address lock it out there: `lockout.attempts` of this world."""

ENTRANCES: Final = ("data plane", "token service", "token form", "management", "session", "login form")
"""Where a name and a secret can be presented."""

_PASSWORD_GRANT: Final = {
    "grant_type": "password",
    "service": "entrepot",
    "client_id": "test",
    "scope": "registry:catalog:*",
}

_ENDINGS: Final = {
    "token": "UPDATE access_tokens SET expires_at = 1 WHERE public_id = '{}'",
    "robot": "UPDATE robots SET expires_at = 1 WHERE subject_id = {}",
    "session": "UPDATE web_sessions SET expires_at = 1 WHERE public_id = '{}'",
}


class IdentityWorld:
    """Owns an event loop and a node on it; use as context manager. After each change the node looks at the epochs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._open: Node | None = None
        self._sequences = 0
        self._addresses = 0
        self._wrong: collections.Counter[str] = collections.Counter()
        self._policy = PasswordPolicy(PasswordLimits())

    def __enter__(self) -> Self:
        """Start; thousands of requests are not worth a line in the log each."""
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
        self._open = self._runner.run(self._stack.enter_async_context(open_node(self._settings)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._runner.run(self._stack.aclose())
        self._runner.close()
        structlog.reset_defaults()

    @property
    def node(self) -> Node:
        """What answers."""
        assert self._open is not None
        return self._open

    def next_sequence(self) -> int:
        """Return a number that no sequence had before."""
        self._sequences += 1
        return self._sequences

    def new_password(self, name: str) -> str:
        """Return a password that the policy accepts for a person of this name."""
        return self._policy.generate((name,))

    def request(
        self, method: str, target: str, headers: dict[str, str], chunks: Sequence[bytes] = (b"",)
    ) -> AsgiReply:
        """Send one request and return the answer."""
        return self._without_lock(headers, self.node.client.request(method, target, headers, chunks))

    def api(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> AsgiReply:
        """Ask the management API; as the first administrator unless told otherwise."""
        return self._without_lock(headers or {}, self.node.api(method, path, body, headers))

    def make(self, path: str, body: object) -> int:
        """Make something as the first administrator, and return its number."""
        reply = self.api("POST", path, body)
        assert reply.status == 201, reply.body
        return int(reply.headers["location"].rpartition("/")[2])

    def change(self, method: str, path: str, body: object = None) -> None:
        """Change something as the first administrator."""
        reply = self.api(method, path, body)
        assert reply.status == 200, reply.body

    def issue(self, scopes: Sequence[str], headers: dict[str, str], *, offline: bool) -> AsgiReply:
        """Ask for a bearer token with Basic credentials, or without."""
        return self._without_lock(headers, self.node.token(scopes, headers, offline=offline))

    def redeem(self, refresh_token: str, scopes: Sequence[str]) -> AsgiReply:
        """Ask for a bearer token with a refresh token."""
        return self.run(self.node.redeem(refresh_token, scopes))

    def log_in(self, name: str, password: str) -> tuple[str, str] | None:
        """Begin a browser's session and return its cookie and its id; `None` when refused."""
        reply = self.api("POST", "sessions", {"username": name, "password": password}, {})
        if reply.status != 201:
            assert reply.status == 401
            self._note_wrong(name)
            return None
        return reply.headers["set-cookie"].partition(";")[0], reply.headers["location"].rpartition("/")[2]

    def next_address(self) -> str:
        """Return an address from which nobody asked before."""
        self._addresses += 1
        return f"10.{self._addresses >> 16}.{self._addresses >> 8 & 255}.{self._addresses & 255}"

    def knock(self, entrance: str, address: str, name: str, secret: str) -> int:
        """Present a name and a secret at one of the entrances, and return the status."""
        node, headers = self.node.seen_from(address), basic(name, secret)
        fields = {"username": name, "password": secret}
        requests = {
            "data plane": lambda: node.client.request("GET", "/v2/", headers),
            "token service": lambda: node.token(["registry:catalog:*"], headers),
            "management": lambda: node.api("GET", "users/current", None, headers),
            "session": lambda: node.api("POST", "sessions", fields, {}),
            "login form": lambda: node.submit("/c/login", {"principal": name, "password": secret}),
            "token form": lambda: node.submit("/service/token", _PASSWORD_GRANT | fields),
        }
        return self.run(requests[entrance]()).status

    def refresh_token_from_elsewhere(self, name: str, secret: str, scopes: Sequence[str]) -> str:
        """Ask for a refresh token from an address from which nobody asked before."""
        node = self.node.seen_from(self.next_address())
        reply = self.run(node.token(scopes, basic(name, secret), offline=True))
        return str(json.loads(reply.body)["refresh_token"])

    def end_session_as(self, path: str, name: str, password: str) -> int:
        """Let somebody end a session, and return the status."""
        return self.api("DELETE", path, None, basic(name, password)).status

    def let_end(self, kind: str, which: str) -> None:
        """Let the time of something be over, as only waiting would."""
        self.run(RawDatabase(metadata_url(self._settings)).fetch(_ENDINGS[kind].format(which)))

    def change_own_password(self, name: str, number: int, old: str, new: str) -> int:
        """Let somebody choose a new password, and return the status."""
        body = {"old_password": old, "new_password": new}
        return self.api("PUT", f"users/{number}/password", body, basic(name, old)).status

    def switch_person(self, number: int, *, enabled: bool) -> None:
        """Disable or enable a person."""

        async def switch() -> None:
            people, grant = self.node.accounts.people, await self.node.system(UpdateUser)
            await (people.enable(grant, number) if enabled else people.disable(grant, number))

        self._then_look(switch())

    def set_group_members(self, group: int, people: Sequence[int]) -> None:
        """Let exactly these be in a group."""

        async def replace() -> None:
            grant = await self.node.system(UpdateUserGroup)
            await self.node.accounts.groups.replace_members(grant, group, people)

        self._then_look(replace())

    def give_system_role(self, number: int, role: str) -> int:
        """Give a role on the system and return the number of the assignment."""

        async def give() -> int:
            grant = await self.node.system(CreateRoleAssignment)
            return await self.node.accounts.role_assignments.give(grant, number, role)

        return self._then_look(give())

    def take_system_role(self, assignment: int) -> None:
        """Take a role on the system."""

        async def take() -> None:
            grant = await self.node.system(DeleteRoleAssignment)
            await self.node.accounts.role_assignments.take(grant, assignment)

        self._then_look(take())

    def create_access_token(self, name: str, password: str, asked: NewAccessToken) -> IssuedAccessToken:
        """Let somebody make an access token."""

        async def create() -> IssuedAccessToken:
            return await self.node.accounts.access_tokens.create(await self.node.own(name, password), asked)

        return self._then_look(create())

    def delete_access_token(self, number: int, public_id: str) -> None:
        """Remove somebody's access token."""

        async def delete() -> None:
            grant = await self.node.system(UpdateUser)
            await self.node.accounts.access_tokens.delete_of(grant, number, public_id)

        self._then_look(delete())

    def own_number(self) -> int:
        """Return the number of the first administrator."""
        found: dict[str, Any] = json.loads(self.api("GET", "users/current").body)
        return int(found["user_id"])

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Run something on the loop of the node."""
        return self._runner.run(work)

    def _without_lock(self, headers: dict[str, str], work: Coroutine[Any, Any, AsgiReply]) -> AsgiReply:
        """Keep those from being locked out whose ended credentials are tried, again and again, from one address."""
        reply = self.run(work)
        scheme, _, encoded = headers.get("Authorization", "").partition(" ")
        if reply.status == 401 and scheme == "Basic":
            self._note_wrong(base64.b64decode(encoded).decode().partition(":")[0])
        return reply

    def _note_wrong(self, name: str) -> None:
        self._wrong[name] += 1
        if self._wrong[name] * 2 >= ATTEMPTS:
            del self._wrong[name]
            self.run(self.node.metadata.write(lambda tx: tx.login_failures.unlock(name)))

    def _then_look(self, work: Coroutine[Any, Any, T]) -> T:
        async def both() -> T:
            result = await work
            await self.node.refresh()
            return result

        return self._runner.run(both())
