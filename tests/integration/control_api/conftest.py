"""The management API on the real services over an empty database, asked by Harbor's own client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import msgspec
import pytest
from harborapi import HarborAsyncClient

from entrepot.blobstore.filesystem.store import FilesystemBlobStore

# Fixtures are found by their names in the module of a test or of a conftest.
from tests.drivers.metadata.conftest import (  # found by name
    counts,
    database,
    empty_url,
    engine,
    metadata,
    schema_url,
    shared_database_url,
)
from tests.integration.control_api.building import ADMIN_PASSWORD, built_api

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.kernel.asgi import Application, Receive, Scope, Send
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = [
    "Registry",
    "counts",
    "database",
    "empty_url",
    "engine",
    "metadata",
    "registry",
    "schema_url",
    "shared_database_url",
]


class AnsweredStatuses:
    """The application, and with which status it answered each request."""

    def __init__(self, application: Application) -> None:
        self._application = application
        self._by_request: dict[str, int] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on."""

        async def noting(message: Scope) -> None:
            if message["type"] == "http.response.start":
                request_id = dict(message["headers"])[b"x-request-id"].decode()
                self._by_request[request_id] = message["status"]
            await send(message)

        await self._application(scope, receive, noting)

    async def check_records(self, database: RawDatabase) -> None:
        """Check that every act on record has the status of its answer; a login is one by itself, whatever follows."""
        rows = await database.fetch(
            "SELECT action, request_id, body FROM audit_records WHERE outcome = 'success' AND request_id <> ''"
        )
        for action, request_id, body in rows:
            if action != "session.login":
                told = msgspec.json.decode(bytes(body))["http.response.status_code"]
                assert told == self._by_request[request_id], (action, told)


@dataclass(frozen=True, slots=True)
class Registry:
    """The application and the database under it."""

    application: Application
    database: RawDatabase

    def client(self, name: str = "admin", secret: str = ADMIN_PASSWORD) -> HarborAsyncClient:
        """Return Harbor's own client, which takes the application for a server."""
        client = HarborAsyncClient(url="http://registry.example/api/v2.0", username=name, secret=secret)
        transport: Any = httpx.ASGITransport(self.application)
        client.client = httpx.AsyncClient(transport=transport)
        return client

    def plain(self, name: str = "admin", secret: str = ADMIN_PASSWORD) -> httpx.AsyncClient:
        """Return a client for what Harbor's does not know; paths begin behind `/api/v2.0`."""
        transport: Any = httpx.ASGITransport(self.application)
        return httpx.AsyncClient(
            transport=transport, base_url="http://registry.example/api/v2.0", auth=(name, secret)
        )

    async def records(self) -> list[str]:
        """Return the actions in the audit log, in order."""
        rows = await self.database.fetch("SELECT action FROM audit_records ORDER BY id")
        return [row[0] for row in rows]


@pytest.fixture
async def registry(metadata: Metadata, database: RawDatabase, tmp_path: Path) -> AsyncIterator[Registry]:
    """Return the application with its first administrator."""
    blobs = FilesystemBlobStore(tmp_path / "blobs", min_free_bytes=0)
    await blobs.prepare()
    async with built_api(metadata, blobs, tmp_path) as api:
        statuses = AnsweredStatuses(api.application)
        yield Registry(statuses, database)
        await statuses.check_records(database)
    await blobs.aclose()
