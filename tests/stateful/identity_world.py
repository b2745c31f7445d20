"""A node on a loop of its own, for a state machine: every method makes one change by the product's own means."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from typing import TYPE_CHECKING, Any, Self, TypeVar

import structlog

from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.system_actions import (
    CreateRoleAssignment,
    DeleteRoleAssignment,
    UpdateUser,
    UpdateUserGroup,
)
from tests.stateful.node import basic, open_node

if TYPE_CHECKING:
    from collections.abc import Coroutine, Sequence
    from types import TracebackType

    from entrepot.auth.access_tokens.access_tokens import IssuedAccessToken, NewAccessToken
    from entrepot.settings import Settings
    from tests.asgi.client import AsgiReply
    from tests.stateful.node import Node

__all__ = ["IdentityWorld"]

T = TypeVar("T")


class IdentityWorld:
    """Owns an event loop and a node on it; use as context manager. After each change the node looks at the epochs."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._open: Node | None = None
        self._sequences = 0
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

    def new_password(self) -> str:
        """Return a password that the policy accepts."""
        return self._policy.generate()

    def request(
        self, method: str, target: str, headers: dict[str, str], chunks: Sequence[bytes] = (b"",)
    ) -> AsgiReply:
        """Send one request and return the answer."""
        return self.run(self.node.client.request(method, target, headers, chunks))

    def api(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> AsgiReply:
        """Ask the management API; as the first administrator unless told otherwise."""
        return self.run(self.node.api(method, path, body, headers))

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
        return self.run(self.node.token(scopes, headers, offline=offline))

    def redeem(self, refresh_token: str, scopes: Sequence[str]) -> AsgiReply:
        """Ask for a bearer token with a refresh token."""
        return self.run(self.node.redeem(refresh_token, scopes))

    def log_in(self, name: str, password: str) -> str | None:
        """Begin a browser's session and return its cookie; `None` when refused."""
        reply = self.api("POST", "sessions", {"username": name, "password": password}, {})
        if reply.status != 201:
            assert reply.status == 401
            return None
        return reply.headers["set-cookie"].partition(";")[0]

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

    def _then_look(self, work: Coroutine[Any, Any, T]) -> T:
        async def both() -> T:
            result = await work
            await self.node.refresh()
            return result

        return self._runner.run(both())
