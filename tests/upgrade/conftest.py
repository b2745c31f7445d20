"""Every frozen directory on both engines, unpacked anew for each test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.upgrade.frozen_data import Thawed, frozen_names, thaw

if TYPE_CHECKING:
    from pathlib import Path

    from tests.drivers.postgres_server import PostgresServer


@pytest.fixture(params=["sqlite", "postgresql"])
def engine(request: pytest.FixtureRequest) -> str:
    """Return each engine in turn."""
    name: str = request.param
    return name


@pytest.fixture(params=frozen_names())
def frozen_name(request: pytest.FixtureRequest) -> str:
    """Return each frozen version in turn."""
    name: str = request.param
    return name


@pytest.fixture
def thawed(frozen_name: str, engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> Thawed:
    """Unpack one frozen directory; on PostgreSQL its dump is loaded into a database of its own."""
    postgres: PostgresServer | None = None
    if engine == "postgresql":
        postgres = request.getfixturevalue("postgres_server")
    return thaw(frozen_name, engine, tmp_path, postgres)
