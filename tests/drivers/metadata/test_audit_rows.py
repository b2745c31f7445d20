"""Records: kept once, found by what one looks for, in pages that go both ways."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery, NewAuditRecord, SealedNewRecord
from tests.running.audit_material import ALICE, BOB, pull_record

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.metadata.audit_store import AuditRow
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.raw_database import RawDatabase


async def _tags(metadata: Metadata, wanted: AuditFilter, **options: int) -> list[str]:
    rows = await metadata.audit.page(AuditPageQuery(wanted, 10, **options))  # type: ignore[arg-type]  # numbers only
    return [_tag(row) for row in rows]


def _tag(row: AuditRow) -> str:
    return row.body.decode().partition('"tag":"')[2].partition('"')[0]


async def _add(metadata: Metadata, count: int) -> Sequence[AuditRow]:
    """Add records of Alice with even numbers and of Bob with odd ones, in two projects."""
    records = [
        pull_record(number, (ALICE, BOB)[number % 2], ("team/app", "other/app")[number % 3 == 0])
        for number in range(count)
    ]
    await metadata.write(lambda tx: tx.audit.extend(records))
    return await metadata.audit.page(AuditPageQuery(AuditFilter(), count))


async def test_a_record_that_is_added_twice_is_kept_once_i11(metadata: Metadata) -> None:
    record = pull_record()
    await metadata.write(lambda tx: tx.audit.append(record))
    await metadata.write(lambda tx: tx.audit.extend([record, record]))
    await metadata.write(lambda tx: tx.audit.extend([]))

    (row,) = await metadata.audit.page(AuditPageQuery(AuditFilter(), 10))
    assert (row.record_id, row.action, row.user_name) == (record.record_id, "manifest.pull", "alice")
    assert (row.body, row.disclosure, row.sequence) == (record.body, record.disclosure, None)
    assert row.at > 1_600_000_000_000


async def test_a_record_that_is_added_with_its_place_has_each_value_in_its_column_i11(
    metadata: Metadata,
) -> None:
    values: dict[str, Any] = {name: f"its {name}" for name in NewAuditRecord.__struct_fields__}
    values |= {"body": b"{}", "disclosure": b'{"a":1}', "at_milliseconds": 1_700_000_000_000, "project_id": 7}
    record = NewAuditRecord(**values)

    async def unit(tx: Transaction) -> None:
        await tx.audit_chain.hold("chain", "sha256", "0" * 64)
        await tx.audit_chain.extend([SealedNewRecord(record, 1, "1" * 64)])

    await metadata.write(unit)

    (row,) = await metadata.audit.page(AuditPageQuery(AuditFilter(), 10))
    kept = {
        name: getattr(row, name) for name in NewAuditRecord.__struct_fields__ if name != "at_milliseconds"
    }
    assert msgspec.structs.asdict(record) == kept | {"at_milliseconds": row.at}
    assert (row.sequence, row.chain_hash) == (1, "1" * 64)


async def test_a_record_of_a_failed_unit_never_happened_i11(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.audit.append(pull_record())
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await metadata.write(unit)
    assert await metadata.audit.count(AuditFilter()) == 0


@pytest.mark.parametrize(
    ("wanted", "tags"),
    [
        (AuditFilter(), ["v5", "v4", "v3", "v2", "v1", "v0"]),
        (AuditFilter(user="bob"), ["v5", "v3", "v1"]),
        (AuditFilter(address="192.0.2.1"), ["v4", "v2", "v0"]),
        (AuditFilter(project="other"), ["v3", "v0"]),
        (AuditFilter(action="manifest.pull", object_name="team/app"), ["v5", "v4", "v2", "v1"]),
        (AuditFilter(user="alice", project="team"), ["v4", "v2"]),
        (AuditFilter(outcome="failure"), []),
        (AuditFilter(action="manifest.push"), []),
        (AuditFilter(actions=("manifest.push", "manifest.pull"), user="bob"), ["v5", "v3", "v1"]),
        (AuditFilter(actions=("manifest.push", "audit.read")), []),
        (AuditFilter(since=2_000_000_000_000_000), []),
        (AuditFilter(until=1), []),
        (AuditFilter(user_part="OB"), ["v5", "v3", "v1"]),
        (AuditFilter(user_part="%"), []),
        (AuditFilter(user_part="b_b"), []),
        (AuditFilter(object_part="m/App", user="bob"), ["v5", "v1"]),
        (AuditFilter(project_part="THE"), ["v3", "v0"]),
        (AuditFilter(object_kind_part="posit"), ["v5", "v4", "v3", "v2", "v1", "v0"]),
        (AuditFilter(object_kind_part="robot"), []),
        (AuditFilter(object_kind="repository", outcome="success", project="other"), ["v3", "v0"]),
        (AuditFilter(object_kind="project"), []),
        (AuditFilter(users=("bob", "carol")), ["v5", "v3", "v1"]),
        (AuditFilter(objects=("other/app", "x")), ["v3", "v0"]),
        (AuditFilter(projects=("team", "other"), address="192.0.2.2"), ["v5", "v3", "v1"]),
        (AuditFilter(object_kinds=("robot", "project")), []),
        (AuditFilter(addresses=("192.0.2.1", "192.0.2.9")), ["v4", "v2", "v0"]),
        (AuditFilter(subject="a" * 32), ["v4", "v2", "v0"]),
        (AuditFilter(object_name="other/app"), ["v3", "v0"]),
    ],
)
async def test_records_are_found_by_what_one_looks_for(
    metadata: Metadata, wanted: AuditFilter, tags: list[str]
) -> None:
    await _add(metadata, 6)

    assert await _tags(metadata, wanted) == tags
    assert await metadata.audit.count(wanted) == len(tags)


async def test_pages_go_both_ways_from_an_edge_and_by_number(metadata: Metadata) -> None:
    rows = await _add(metadata, 6)
    middle = rows[2].id  # v3

    older = await metadata.audit.page(AuditPageQuery(AuditFilter(), 2, middle))
    newer = await metadata.audit.page(AuditPageQuery(AuditFilter(user="bob"), 2, middle, "newer"))
    second = await metadata.audit.page(AuditPageQuery(AuditFilter(), 2, offset=2))
    upto = AuditFilter(newest=middle)

    assert [_tag(row) for row in older] == ["v2", "v1"]
    assert [_tag(row) for row in newer] == ["v5"]
    assert [_tag(row) for row in second] == ["v3", "v2"]
    assert [_tag(row) for row in await metadata.audit.page(AuditPageQuery(upto, 2))] == ["v3", "v2"]
    assert [_tag(row) for row in await metadata.audit.page(AuditPageQuery(upto, 9, 0, "newer"))] == [
        *("v0", "v1", "v2", "v3")
    ]
    assert await metadata.audit.count(upto) == 4


async def test_cursors_of_a_nodes_files_are_kept_and_forgotten(metadata: Metadata) -> None:
    async def unit(tx: Transaction) -> None:
        await tx.audit_chain.move_spool_cursor("node", "one", 10)
        await tx.audit_chain.move_spool_cursor("node", "one", 20)
        await tx.audit_chain.move_spool_cursor("node", "two", 5)
        await tx.audit_chain.move_spool_cursor("other", "one", 7)

    await metadata.write(unit)
    await metadata.write(lambda tx: tx.audit_chain.forget_spool("node", "two"))

    assert await metadata.audit.spool_cursors("node") == {"one": 20}


async def test_records_are_not_numbered_like_purged_ones(metadata: Metadata, database: RawDatabase) -> None:
    last = (await _add(metadata, 2))[0].id
    await database.fetch("DELETE FROM audit_records")

    assert (await _add(metadata, 1))[0].id > last
