"""What an operator's examination asks, on each engine."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from entrepot.metadata.sql.engine_facts import read_engine_facts
from tests.drivers.metadata.material import push_blob

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def test_the_clock_is_the_database_s(metadata: Metadata) -> None:
    """On one machine both clocks are one."""
    here = time.time() * 1000  # noqa: TID251 - compared with the database's

    assert abs(await metadata.diagnosis.clock_milliseconds() - here) < 5000


async def test_growth_is_what_came_lately_and_looks_at_so_many_blobs_only(
    metadata: Metadata, database: RawDatabase
) -> None:
    """An old blob does not count, and of many young ones only the youngest are read."""
    nothing = await metadata.diagnosis.recent_growth(3600, 10)
    for content in ("1", "22", "333", "4444"):
        await push_blob(metadata, content)
    await database.fetch("UPDATE blobs SET created_at = 1 WHERE size_bytes = 4")

    of_all = await metadata.diagnosis.recent_growth(3600, 10)
    of_two = await metadata.diagnosis.recent_growth(3600, 2)

    assert (nothing.blobs, nothing.size_bytes, nothing.since_milliseconds) == (0, 0, 0)
    assert (of_all.blobs, of_all.size_bytes) == (3, 6)
    assert (of_two.blobs, of_two.size_bytes) == (1, 3)
    assert 0 <= await metadata.diagnosis.clock_milliseconds() - of_all.since_milliseconds < 60_000


async def test_the_engine_tells_version_size_options_and_rows(
    metadata: Metadata, database: RawDatabase, engine: str
) -> None:
    await push_blob(metadata, "some")

    facts = await read_engine_facts(database.url)

    assert facts.engine == engine
    assert facts.version[0].isdigit()
    assert facts.size_bytes > 4096
    assert {"blobs", "manifests", "outbox", "schema_migrations", "upload_sessions"} <= set(facts.rows)
    if engine == "sqlite":
        assert (facts.rows["blobs"], facts.options["journal_mode"]) == (1, "wal")
    else:
        assert {"fsync", "synchronous_commit", "is_standby", "standbys"} <= set(facts.options)
        assert facts.options["is_standby"] == "False"
