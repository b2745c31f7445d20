"""One HTTP process's worth of the product with accounts on, in this process, with its inner services at hand.

The management API has no endpoint yet for access tokens, groups' members and whom to disable, so tests reach the
services under it. Hashes of passwords cost next to nothing here: what they cost is tested elsewhere.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import dataclasses
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urlencode

from entrepot.auth.people.passwords import HashCost
from entrepot.auth.principals import NO_ORIGIN
from entrepot.bootstrap import (
    build_distribution,
    build_process_metrics,
    build_services,
    open_spool,
    open_stores,
)
from entrepot.bootstrap.control import build_control
from entrepot.bootstrap.edges import build_address_budget
from entrepot.bootstrap.identity import open_identity
from entrepot.registry.hashing import HashingPool
from entrepot.token_service.application import TokenApplication
from tests.asgi.client import AsgiClient, AsgiReply
from tests.asgi.services import scratch_settings
from tests.running.laid_schema import lay_schema_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence
    from pathlib import Path

    from entrepot.auth.grants import SelfGrant, SystemGrant
    from entrepot.auth.principals import Principal
    from entrepot.auth.system_actions import SystemAction
    from entrepot.bootstrap.identity import Accounts, Identity
    from entrepot.kernel.asgi import Application, Receive, Scope, Send
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["ADDRESS", "ADMINISTRATOR", "Node", "basic", "bearer", "node_settings", "open_node"]

ADMINISTRATOR: Final = ("admin", "Lantern+Orchard+58")
ADDRESS: Final = "127.0.0.1"
_CHEAP: Final = HashCost(memory_kibibytes=8, passes=1, lanes=1)
_JSON: Final = {"Content-Type": "application/json"}


def node_settings(directory: Path, **flags: str | bool) -> Settings:
    """Return settings with accounts on, under which nobody is locked out for the wrong guesses of a test."""
    chosen: dict[str, str | bool] = {
        "access.accounts": True,
        "admin.password": ADMINISTRATOR[1],
        "lockout.attempts": "1000",
        "web_session.concurrent": "1000",
    }
    return scratch_settings(directory, **(chosen | flags))


def basic(name: str, secret: str) -> dict[str, str]:
    """Return the header of Basic credentials."""
    return {"Authorization": "Basic " + base64.b64encode(f"{name}:{secret}".encode()).decode()}


def bearer(token: str) -> dict[str, str]:
    """Return the header of a bearer token."""
    return {"Authorization": f"Bearer {token}"}


@dataclass(frozen=True, slots=True)
class Node:
    """A process: what answers its requests, and what that was built from."""

    client: AsgiClient
    identity: Identity
    metadata: Metadata

    @property
    def accounts(self) -> Accounts:
        """The services by which people and machines are managed."""
        return self.identity.accounts

    def seen_from(self, address: str) -> Node:
        """Return the same process as somebody elsewhere asks it."""
        return dataclasses.replace(self, client=dataclasses.replace(self.client, address=address))

    async def refresh(self) -> None:
        """Look at the epochs now, as this process does by itself every five seconds."""
        await self.identity.epochs.refresh()

    async def principal(self, name: str, secret: str) -> Principal:
        """Return who presents these credentials."""
        return await self.identity.authenticator.by_basic(name, secret, ADDRESS, NO_ORIGIN, forwarded=False)

    async def system(self, action: type[SystemAction]) -> SystemGrant[Any]:
        """Return the first administrator's grant."""
        return await self.identity.authorizer.authorize_system(await self.principal(*ADMINISTRATOR), action)

    async def own(self, name: str, secret: str) -> SelfGrant:
        """Return somebody's grant to what is their own."""
        return await self.identity.authorizer.authorize_self(await self.principal(name, secret))

    async def api(
        self, method: str, path: str, body: object = None, headers: dict[str, str] | None = None
    ) -> AsgiReply:
        """Ask the management API, as the first administrator unless `headers` say otherwise."""
        sent = basic(*ADMINISTRATOR) if headers is None else headers
        chunks = [b""] if body is None else [json.dumps(body).encode()]
        return await self.client.request(method, f"/api/v2.0/{path}", sent | _JSON, chunks)

    async def token(
        self, scopes: Sequence[str], headers: dict[str, str] | None = None, *, offline: bool = False
    ) -> AsgiReply:
        """Ask for a bearer token, with a refresh token if `offline`."""
        query = [("service", "entrepot"), *(("scope", scope) for scope in scopes)]
        if offline:
            query.append(("offline_token", "true"))
        return await self.client.request("GET", f"/service/token?{urlencode(query)}", headers or {})

    async def submit(self, path: str, form: Mapping[str, str]) -> AsgiReply:
        """Submit a form."""
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        return await self.client.request("POST", path, headers, [urlencode(form).encode()])

    async def redeem(self, refresh_token: str, scopes: Sequence[str]) -> AsgiReply:
        """Ask for a bearer token with a refresh token."""
        form = {
            "grant_type": "refresh_token",
            "service": "entrepot",
            "client_id": "test",
            "refresh_token": refresh_token,
            "scope": " ".join(scopes),
        }
        return await self.submit("/service/token", form)


@contextlib.asynccontextmanager
async def open_node(settings: Settings) -> AsyncIterator[Node]:
    """Build what a process with accounts serves with, and close it in reverse."""
    async with contextlib.AsyncExitStack() as stack:
        await asyncio.to_thread(lay_schema_for, settings)
        stores = await stack.enter_async_context(open_stores(settings))
        executor = stack.enter_context(ThreadPoolExecutor(2))
        metrics = build_process_metrics()
        notes = open_spool(settings, metrics)
        stack.push_async_callback(notes.aclose)
        identity = await stack.enter_async_context(
            open_identity(settings, stores.metadata, notes, hash_cost=_CHEAP)
        )
        services = await build_services(
            settings, stores, HashingPool(executor), metrics=metrics, notes=notes, identity=identity
        )
        addresses = build_address_budget(settings, metrics)
        control = build_control(settings, stores, services, identity, addresses)
        applications: dict[str, Application] = {
            "/v2": build_distribution(settings, services, identity, addresses),
            "/service": TokenApplication(identity.token_service, identity.token_ring, addresses),
            "/api": control,
            "/c": control,
        }

        async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
            path: str = scope["path"]
            await next(app for prefix, app in applications.items() if path.startswith(prefix))(
                scope, receive, send
            )

        yield Node(AsgiClient(dispatch), identity, stores.metadata)
