"""Pulls that ask PostgreSQL in the same turn of the event loop ask it once, and each gets what is its own."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.records import Missing, StoredBlob, StoredManifest
from entrepot.metadata.sql.postgres import PostgresReader
from tests.drivers.metadata.material import (
    REPOSITORY,
    digest_of,
    push_blob,
    push_manifest,
    tag_manifest,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from entrepot.metadata.sql.statements import Row
    from entrepot.metadata.store import Metadata
    from entrepot.oci.digest import Digest
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase

_END_ALL = "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'entrepot'"


@pytest.fixture
def engine() -> str:
    """Return the only engine whose reads cost a way there and back."""
    return "postgresql"


@dataclass(slots=True)
class _Sent:
    """How many statements have left for the server, to read, and what is to happen just before the first."""

    count: int = 0
    before_first: Callable[[], None] = lambda: None
    has_begun: asyncio.Event = field(default_factory=asyncio.Event)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> _Sent:
    """Count from now on."""
    seen = _Sent()
    fetch = PostgresReader._fetch

    async def counting(self: PostgresReader, sql: str, arguments: Sequence[object]) -> list[Row]:
        seen.count += 1
        if seen.count == 1:
            seen.before_first()
        seen.has_begun.set()
        return await fetch(self, sql, arguments)

    monkeypatch.setattr(PostgresReader, "_fetch", counting)
    return seen


async def _tagged(metadata: Metadata, count: int) -> dict[str, Digest]:
    return {
        f"t{number}": await push_manifest(metadata, f'{{"n":{number}}}', tag=f"t{number}")
        for number in range(count)
    }


async def test_each_gets_its_own_row_and_those_of_what_is_absent_none(
    metadata: Metadata, sent: _Sent, counts: CountingObserver
) -> None:
    digests = await _tagged(metadata, 3)
    before = sum(counts.statements.values())

    found = await asyncio.gather(
        metadata.manifests.find_by_tag(REPOSITORY, "t2"),
        metadata.manifests.find_by_tag(REPOSITORY, "absent"),
        metadata.manifests.find_by_tag(REPOSITORY, "t0"),
        metadata.manifests.find_by_tag("no/repository", "t0"),
        metadata.manifests.find_by_tag(REPOSITORY, "t2"),
        metadata.manifests.find_by_tag(REPOSITORY, "t1", known=digests["t1"]),
    )

    assert [_told(row) for row in found] == [
        (digests["t2"], b'{"n":2}'),
        Missing.CONTENT,
        (digests["t0"], b'{"n":0}'),
        Missing.REPOSITORY,
        (digests["t2"], b'{"n":2}'),
        (digests["t1"], b""),
    ]
    assert sent.count == 1
    assert sum(counts.statements.values()) - before == 6  # as requests are counted, however they were sent


async def test_reads_of_different_kinds_are_sent_beside_each_other(metadata: Metadata, sent: _Sent) -> None:
    digests = await _tagged(metadata, 2)
    await push_blob(metadata, "layer")

    by_digest, described, also_described, stored = await asyncio.gather(
        metadata.manifests.find_by_digest(REPOSITORY, digests["t1"]),
        metadata.manifests.describe_by_tag(REPOSITORY, "t0"),
        metadata.manifests.describe_by_tag(REPOSITORY, "t1"),
        metadata.blobs.find(REPOSITORY, digest_of("layer")),
    )

    assert _told(by_digest) == (digests["t1"], b'{"n":1}')
    assert [_digest(row) for row in (described, also_described)] == [digests["t0"], digests["t1"]]
    assert _digest(stored) == digest_of("layer")
    assert sent.count == 3


async def test_no_more_than_sixteen_come_with_one_answer(metadata: Metadata, sent: _Sent) -> None:
    """Each brings up to 4 MiB."""
    digests = await _tagged(metadata, 40)

    found = await asyncio.gather(*(metadata.manifests.find_by_tag(REPOSITORY, tag) for tag in digests))

    assert [_digest(row) for row in found] == list(digests.values())
    assert sent.count == 3


async def test_a_read_sees_what_was_committed_before_it_was_asked_for_i4(metadata: Metadata) -> None:
    """Also while others are under way that were sent before."""
    first, second = await push_manifest(metadata, '{"a":1}'), await push_manifest(metadata, '{"a":2}')
    for wanted in (second, first) * 10:
        earlier = [
            asyncio.ensure_future(metadata.manifests.find_by_tag(REPOSITORY, "moving")) for _ in range(5)
        ]
        await tag_manifest(metadata, "moving", wanted)
        later = await asyncio.gather(
            *(metadata.manifests.find_by_tag(REPOSITORY, "moving") for _ in range(5))
        )
        assert {_digest(row) for row in later} == {wanted}
        await asyncio.gather(*earlier)


async def test_who_stops_waiting_leaves_the_others_alone(metadata: Metadata, sent: _Sent) -> None:
    digests = await _tagged(metadata, 3)
    reads = [asyncio.ensure_future(metadata.manifests.find_by_tag(REPOSITORY, tag)) for tag in digests]
    await sent.has_begun.wait()

    reads[0].cancel()

    assert [_digest(row) for row in await asyncio.gather(*reads[1:])] == [digests["t1"], digests["t2"]]
    assert reads[0].cancelled()
    assert sent.count == 1


async def test_f13_reads_survive_the_end_of_their_connection_together(
    metadata: Metadata, database: RawDatabase, sent: _Sent
) -> None:
    digests = await _tagged(metadata, 3)
    sent.before_first = lambda: database.run_elsewhere(_END_ALL)

    found = await asyncio.gather(*(metadata.manifests.find_by_tag(REPOSITORY, tag) for tag in digests))

    assert [_digest(row) for row in found] == list(digests.values())
    assert sent.count == 2


async def test_everybody_is_told_what_failed(metadata: Metadata, database: RawDatabase) -> None:
    """With an error of one's own: what is raised to one is changed by whoever handles it."""
    await _tagged(metadata, 2)
    await database.fetch("ALTER TABLE manifest_bodies RENAME TO away")
    try:
        told = await asyncio.gather(
            *(metadata.manifests.find_by_tag(REPOSITORY, tag) for tag in ("t0", "t1")), return_exceptions=True
        )
    finally:
        await database.fetch("ALTER TABLE away RENAME TO manifest_bodies")

    assert [type(error) for error in told] == [MetadataUnavailableError] * 2
    assert told[0] is not told[1]


def _told(row: StoredManifest | Missing) -> tuple[Digest, bytes] | Missing:
    return (row.digest, row.body) if isinstance(row, StoredManifest) else row


def _digest(row: StoredManifest | StoredBlob | Missing) -> Digest:
    assert not isinstance(row, Missing)
    return row.digest
