"""A project's log has all of its own records and none of a former project of its name, whatever clocks say (F27)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec
import pytest

from entrepot.audit.queries import AuditLog
from entrepot.audit.sealer import NewChain, add_sealed
from entrepot.auth.grants import ProjectGrant
from entrepot.auth.project_actions import ListLog
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery
from tests.asgi.identity import KeptNotes
from tests.running.audit_material import BOB, DAY, add_team, pull_record

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase

_CLOCKS: Final = (-2 * DAY, 0, 2 * DAY)
"""How far the clock behind a record's time was off."""


async def _make_again(metadata: Metadata, former: int) -> int:
    await metadata.write(lambda tx: tx.projects.delete(former))
    return await add_team(metadata, "b")


async def _now(metadata: Metadata) -> int:
    chain = await metadata.write(NewChain.make().hold)
    return chain.now


async def _note(metadata: Metadata, tags: range, at: int, project: int | None) -> None:
    """Take over what a node noted, each with a time of its own."""
    records = [
        msgspec.structs.replace(pull_record(tag), at_milliseconds=at + clock, project_id=project)
        for tag, clock in zip(tags, _CLOCKS, strict=True)
    ]
    await metadata.write(lambda tx: add_sealed(tx, NewChain.make(), records))


async def _tags(metadata: Metadata, project: int) -> list[int]:
    """Return the numbers in the tags of the records that a team lead finds, in the order of the log."""
    log, grant = AuditLog(metadata, KeptNotes()), ProjectGrant(ListLog, project, "team", BOB)
    page = await log.list(grant, AuditPageQuery(AuditFilter(), 100, 0, "newer"))
    assert await log.count(grant, AuditFilter()) == len(page.entries)
    return [int(str(entry.fields["container.image.tag"][0]).removeprefix("v")) for entry in page.entries]  # type: ignore[index]  # a list


async def test_records_of_units_are_of_the_project_that_was_there_whatever_the_clock_said_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """The clock of the database was ahead for the former project, and before that for the new one's making."""
    former = await add_team(metadata, "a")
    await metadata.write(lambda tx: tx.audit.extend([pull_record(1), pull_record(2)]))
    await database.fetch(f"UPDATE audit_records SET at = at + {DAY}")

    project = await _make_again(metadata, former)
    await metadata.write(lambda tx: tx.audit.extend([pull_record(3), pull_record(4, name="other/app")]))
    first = await _tags(metadata, project)
    await database.fetch(f"UPDATE projects SET created_at = created_at + {2 * DAY} WHERE id = {project}")
    await metadata.write(lambda tx: tx.audit.append(pull_record(5)))

    assert (first, await _tags(metadata, project)) == ([3], [3, 5])
    assert await _tags(metadata, former) == []


async def test_notes_that_are_taken_over_late_are_of_the_project_they_were_made_of_f27_i11(
    metadata: Metadata,
) -> None:
    """By nodes whose clocks are right, behind and ahead, and after the new project has records of its own."""
    former = await add_team(metadata, "a")
    now = await _now(metadata)
    await _note(metadata, range(3), now, former)

    project = await _make_again(metadata, former)
    await _note(metadata, range(10, 13), now, project)
    await _note(metadata, range(20, 23), now, former)
    await _note(metadata, range(30, 33), now, project)
    await _note(metadata, range(40, 43), now, 0)

    assert await _tags(metadata, project) == [10, 11, 12, 30, 31, 32]


async def test_a_project_that_a_push_makes_has_its_own_records_only_f27(
    metadata: Metadata, database: RawDatabase
) -> None:
    """As without accounts, and by commands on the host."""
    former = await add_team(metadata, "a")
    await metadata.write(lambda tx: tx.audit.append(pull_record(1)))
    await metadata.write(lambda tx: tx.projects.delete(former))
    await database.fetch(f"UPDATE audit_records SET at = at + {DAY}, project_id = NULL")

    async def push(tx: Transaction) -> None:
        await tx.repositories.ensure("team/app", "team", "host:root")
        await tx.audit.append(pull_record(2))

    await metadata.write(push)

    project = await metadata.projects.number_of("team")
    assert project not in (None, former)
    assert await _tags(metadata, project or 0) == [2]


@pytest.mark.parametrize("ahead", [0, DAY])
async def test_records_without_a_number_are_told_by_their_place_and_by_their_time_f27(
    metadata: Metadata, database: RawDatabase, ahead: int
) -> None:
    """As a program of the version before adds them: what was there when the project was made is not its own."""
    former = await add_team(metadata, "a")
    await metadata.write(lambda tx: tx.audit.append(pull_record(1)))
    await database.fetch(f"UPDATE audit_records SET at = at + {ahead}")
    project = await _make_again(metadata, former)
    await metadata.write(lambda tx: tx.audit.append(pull_record(2)))
    await _note(metadata, range(3, 6), await _now(metadata), None)
    await database.fetch("UPDATE audit_records SET project_id = NULL")

    assert await _tags(metadata, project) == [2, 4, 5]


async def test_a_project_from_before_goes_by_the_time_it_was_made(
    metadata: Metadata, database: RawDatabase
) -> None:
    former = await add_team(metadata, "a")
    await metadata.write(lambda tx: tx.audit.append(pull_record(1)))
    project = await _make_again(metadata, former)
    await metadata.write(lambda tx: tx.audit.append(pull_record(2)))
    made_at = await database.value(f"SELECT created_at FROM projects WHERE id = {project}")
    await database.fetch("UPDATE projects SET audit_mark = NULL")
    await database.fetch(
        f"UPDATE audit_records SET project_id = NULL, at = {made_at} - 2 + id - min_id".replace(
            "min_id", "(SELECT min(m.id) FROM audit_records m)"
        )
    )
    before = await _tags(metadata, project)
    await database.fetch(
        f"UPDATE audit_records SET at = {made_at} WHERE id = (SELECT max(id) FROM audit_records)"
    )

    assert (before, await _tags(metadata, project)) == ([], [2])


async def test_a_page_and_a_count_cost_a_statement_and_a_point_read_each(
    metadata: Metadata, counts: CountingObserver
) -> None:
    """The project is asked for once, not at each record: of a million that took longer than the rest."""
    project = await add_team(metadata, "a")
    counts.reset()

    await _tags(metadata, project)

    assert counts.statements == {
        "audit_records.beginning": 2,
        "audit_records.newer_by_project": 1,
        "audit_records.count_by_project": 1,
    }
