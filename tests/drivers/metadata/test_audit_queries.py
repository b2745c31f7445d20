"""The audit log on both engines: who finds which records."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from entrepot.audit.queries import AuditLog
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.grants import ProjectGrant, SystemGrant
from entrepot.auth.project_actions import ListLog
from entrepot.auth.system_actions import ListAuditLog
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery
from tests.asgi.identity import KeptNotes
from tests.running.audit_material import ALICE, BOB, add_team, pull_record

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata


async def test_users_of_the_host_are_found_apart_from_people_of_their_name(metadata: Metadata) -> None:
    """By the index on names, as before."""
    person = msgspec.structs.replace(ALICE, name="root")
    host = msgspec.structs.replace(ALICE, subject="host:root", name="root", kind="host")
    await metadata.write(
        lambda tx: tx.audit.extend([pull_record(1, person), pull_record(2, host), pull_record(3, BOB)])
    )

    found: dict[str, list[str]] = {}
    for user in ("root", "host:root", "host:bob", "bob"):
        wanted = AuditFilter(user=user)
        rows = await metadata.audit.page(AuditPageQuery(wanted, 10))
        found[user] = [row.subject for row in rows]
        assert await metadata.audit.count(wanted) == len(rows)

    assert found == {
        "root": ["host:root", "a" * 32],
        "host:root": ["host:root"],
        "host:bob": [],
        "bob": ["b" * 32],
    }


async def test_auditors_see_all_and_others_their_project_and_both_are_noted(metadata: Metadata) -> None:
    number = await add_team(metadata)
    records = [pull_record(1), pull_record(2, BOB, "other/app")]
    await metadata.write(lambda tx: tx.audit.extend(records))
    notes = KeptNotes()
    log = AuditLog(metadata, notes)

    everything = await log.list(SystemGrant(ListAuditLog, BOB), AuditPageQuery(AuditFilter(), 1))
    grant = ProjectGrant(ListLog, number, "team", BOB)
    theirs = await log.list(grant, AuditPageQuery(AuditFilter(project="other"), 10))

    assert ([entry.project for entry in everything.entries], everything.more) == (["other"], True)
    assert ([entry.project for entry in theirs.entries], theirs.more) == (["team"], False)
    assert await log.count(grant, AuditFilter()) == 1
    assert theirs.entries[0].fields["container.image.name"] == "team/app"
    assert [(note.action, note.project) for note in notes.records] == [
        (AuditAction.AUDIT_READ.value, ""),
        (AuditAction.AUDIT_READ.value, "team"),
    ]
