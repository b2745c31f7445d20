"""The services of projects on an empty database of either engine."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.drivers.metadata.projects.world import World

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


@pytest.fixture
async def world(metadata: Metadata, database: RawDatabase) -> World:
    """Return the services, and Alice and Bob."""
    made = World.over(metadata, database)
    for name in ("alice", "bob"):
        await made.add_subject(name)
    return made
