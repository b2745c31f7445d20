"""The management API on the real services over an empty database, asked by Harbor's own client."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from harborapi import HarborAsyncClient

from entrepot.audit.ecs import ecs_fields
from entrepot.blobstore.filesystem.store import FilesystemBlobStore

# Fixtures are found by their names in the module of a test or of a conftest.
from tests.asgi.answered_statuses import AnsweredStatuses
from tests.drivers.metadata.conftest import (  # found by name
    counts,
    database,
    empty_url,
    engine,
    metadata,
    schema_url,
    shared_database_url,
)
from tests.integration.control_api.building import ADMIN_PASSWORD, ListedNotes, built_api
from tests.integration.control_api.cast import Cast

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.kernel.asgi import Application
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = [
    "Registry",
    "cast",
    "counts",
    "database",
    "empty_url",
    "engine",
    "metadata",
    "registry",
    "schema_url",
    "shared_database_url",
]


@dataclass(frozen=True, slots=True)
class Registry:
    """The application, the database under it, and what was noted beside that."""

    application: Application
    database: RawDatabase
    notes: ListedNotes

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
        yield Registry(statuses, database, api.notes)
        rows = await database.fetch("SELECT body, disclosure FROM audit_records")
        noted = [(note.body, note.disclosure) for note in api.notes.records]
        statuses.check_records(ecs_fields(0, body, disclosure) for body, disclosure in (*rows, *noted))
    await blobs.aclose()


@pytest.fixture
def cast(registry: Registry) -> Cast:
    """Return who makes people."""
    return Cast(registry)
