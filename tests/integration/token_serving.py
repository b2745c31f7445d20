"""The token service over a database, with doubles of what lies beside it: for tests of what it gives to whom."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import pytest

from entrepot.auth.bearer.bearer_tokens import BearerTokens
from entrepot.auth.bearer.refresh_tokens import RefreshTokens
from entrepot.auth.keys.key_pairs import SigningKey
from entrepot.kernel.address_budget import AddressBudget
from entrepot.kernel.rate_budget import RateBudget
from entrepot.metadata.sql.opening import open_metadata
from entrepot.token_service.application import TokenApplication
from entrepot.token_service.issuing import TokenService
from tests.asgi.client import AsgiClient
from tests.asgi.identity import (
    ISSUER,
    SERVICE,
    Clock,
    KeptNotes,
    KnownPeople,
    KnownRights,
    Looks,
    ring_of,
)
from tests.drivers.metadata.raw_database import RawDatabase
from tests.running.laid_schema import lay_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.asgi.client import AsgiReply

BASIC = {"Authorization": f"Basic {base64.b64encode(b'alice:s3cret').decode()}"}
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
PULL = "/service/token?scope=repository:team/app:pull"
EVERYTHING = frozenset({"pull", "push", "delete", "create", "overwrite"})


@dataclass(frozen=True, slots=True)
class TokenServing:
    """A token service, and everything it asks."""

    client: AsgiClient
    people: KnownPeople
    rights: KnownRights
    tokens: BearerTokens
    database: RawDatabase
    clock: Clock
    keys: tuple[SigningKey, SigningKey]
    notes: KeptNotes
    refresh_tokens: RefreshTokens
    look: Looks

    async def get(self, query: str = "", headers: dict[str, str] | None = None) -> AsgiReply:
        """Ask by query."""
        return await self.client.request("GET", f"/service/token?{query}", headers)

    async def post(self, *more: tuple[str, str], **fields: str) -> AsgiReply:
        """Ask by form, as clients do, with a service and a client id."""
        form = {"service": SERVICE, "client_id": "containerd-client"} | fields
        body = urlencode([*((name, value) for name, value in form.items() if value), *more]).encode()
        return await self.client.request("POST", "/service/token", FORM, (body,))

    def access(self, reply: AsgiReply) -> dict[str, set[str]]:
        """Return what the token of a reply is good for."""
        assert reply.status == 200, reply.body
        principal = self.tokens.verify(json.loads(reply.body)["token"]).principal
        return {name: set(actions) for name, actions in (principal.access or {}).items()}

    async def audit(self) -> list[dict[str, Any]]:
        """Return the bodies of all audit records."""
        rows = await self.database.fetch("SELECT body FROM audit_records ORDER BY id")
        return [json.loads(body) for (body,) in rows]


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[TokenServing]:
    """Return a token service for alice, who may do everything in team/app and pull in team/base."""
    url = f"sqlite://{tmp_path}/metadata.db"
    lay_schema(tmp_path / "metadata.db")
    metadata = await open_metadata(url, 4, 5.0)
    database = RawDatabase(url)
    await database.fetch(
        "INSERT INTO subjects (public_id, kind, name, epoch, created_at) VALUES ('alice-id', 'user', 'alice', 3, 1)"
    )
    people, clock, notes, look = KnownPeople(), Clock(), KeptNotes(), Looks()
    rights = KnownRights(
        {
            ("alice-id", "team/app"): EVERYTHING,
            ("alice-id", "team/base"): frozenset({"pull"}),
            ("anonymous", "team/base"): frozenset({"pull"}),
        }
    )
    ring = ring_of(clock, *(keys := (SigningKey.generate(), SigningKey.generate())))
    tokens = BearerTokens(ring, ISSUER, SERVICE, 300)
    refreshing = RefreshTokens(metadata, people, SERVICE)
    service = TokenService(
        metadata, people, rights, tokens, refreshing, notes, SERVICE, RateBudget(0), look_for_moves=look.again
    )
    client = AsgiClient(TokenApplication(service, ring, AddressBudget(0)))
    yield TokenServing(client, people, rights, tokens, database, clock, keys, notes, refreshing, look)
    await metadata.aclose()
