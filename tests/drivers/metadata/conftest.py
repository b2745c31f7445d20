"""An empty store per test, on each engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from tests.drivers.metadata.counting import CountingObserver
from tests.drivers.metadata.raw_database import RawDatabase

from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from tests.drivers.postgres_server import PostgresServer

    from entrepot.metadata.store import Metadata


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Return each engine in turn."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def shared_database_url(postgres_server: PostgresServer) -> str:
    """Return the address of one database that all tests empty before they use it."""
    return postgres_server.create_database()


@pytest.fixture
def empty_url(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """Return the address of a database that has no schema yet."""
    if engine == "sqlite":
        return f"sqlite://{tmp_path}/metadata.db"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture
async def database(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> RawDatabase:
    """Return a database with the schema and nothing in it."""
    if engine == "sqlite":
        raw = RawDatabase(f"sqlite://{tmp_path}/metadata.db")
        await initialise_if_empty(raw.url, str)
        return raw
    raw = RawDatabase(request.getfixturevalue("shared_database_url"))
    if not await initialise_if_empty(raw.url, str):
        await raw.clear()
    return raw


@pytest.fixture
def counts() -> CountingObserver:
    """Return what the store under test has done."""
    return CountingObserver()


@pytest.fixture
async def metadata(database: RawDatabase, counts: CountingObserver) -> AsyncIterator[Metadata]:
    """Open the store."""
    store = await open_metadata(database.url, 20, 10.0, counts)
    yield store
    await store.aclose()
