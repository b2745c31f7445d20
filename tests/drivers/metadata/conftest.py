"""An empty store per test, on each engine."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.counting import CountingObserver
from tests.drivers.metadata.machine_accounts import Accounts, make_people
from tests.drivers.metadata.raw_database import RawDatabase, unheard
from tests.running.laid_schema import lay_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.metadata.store import Metadata
    from tests.drivers.postgres_server import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Return each engine in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def shared_database_url(postgres_server: PostgresServer) -> str:
    """Return the address of one database with the schema, which all tests empty before they use it."""
    url = postgres_server.create_database()
    asyncio.run(initialise_if_empty(url, unheard))
    return url


@pytest.fixture
def empty_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of a database that has no schema yet."""
    if engine == "sqlite":
        return f"sqlite://{tmp_path}/metadata.db"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture
def schema_url(engine: str, request: pytest.FixtureRequest) -> str | None:
    """Return the address of the shared database, made before a test's event loop runs; SQLite has none."""
    return None if engine == "sqlite" else request.getfixturevalue("shared_database_url")


@pytest.fixture
async def database(schema_url: str | None, tmp_path: Path) -> RawDatabase:
    """Return a database with the schema and nothing in it."""
    if schema_url is None:
        raw = RawDatabase(f"sqlite://{tmp_path}/metadata.db")
        lay_schema(raw.path)
        return raw
    raw = RawDatabase(schema_url)
    await raw.clear()
    return raw


@pytest.fixture
def counts() -> CountingObserver:
    """Return what the store under test has done."""
    return CountingObserver()


@pytest.fixture
async def metadata(database: RawDatabase, counts: CountingObserver) -> AsyncIterator[Metadata]:
    """Open the store."""
    store = await open_metadata(database.url, 20, 60.0, counts)
    yield store
    await store.aclose()


@pytest.fixture
async def store(database: RawDatabase) -> AsyncIterator[Metadata]:
    """Open the store as a process does that soon gives up, and have it look for its file once."""
    store = await open_metadata(database.url, 1, 5.0)
    assert await store.lost_file() == ""
    yield store
    await store.aclose()


@pytest.fixture
async def accounts(metadata: Metadata, database: RawDatabase) -> Accounts:
    """Return the services with people and projects."""
    await make_people(database)
    return Accounts(metadata)
