"""The chain covers the number by which a project's log finds its records, so none is hidden there. Both engines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Literal

import msgspec
import pytest

from entrepot.audit.database_verification import verify_database
from entrepot.audit.frames import encode_frame, read_frames
from entrepot.audit.proof import FaultKind
from entrepot.audit.queries import AuditLog
from entrepot.audit.sealer import NewChain, Sealer, add_sealed
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record, repeated
from entrepot.auth.grants import ProjectGrant
from entrepot.auth.project_actions import ListLog
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery, NewAuditRecord
from tests.asgi.identity import KeptNotes
from tests.running.audit_material import ALICE, BOB, add_team

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.audit.verdict import AuditVerdict
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_Kind = Literal["unit", "pull", "refusal", "refusal of nobody"]
_KINDS: Final[tuple[_Kind, ...]] = ("unit", "pull", "refusal", "refusal of nobody")
_ABOUT: Final = AuditObject("repository", "team/app", "team", "v1")


def _noted(action: AuditAction, outcome: Literal["success", "failure"], number: int | None) -> NewAuditRecord:
    """Return what a node noted, and read from its file again."""
    record = audit_record(ALICE, action, _ABOUT, outcome=outcome, project_id=number)
    dated = msgspec.structs.replace(record, at_milliseconds=1_790_000_000_000)
    (read,) = read_frames(encode_frame(dated)).records
    return read


async def _add(metadata: Metadata, kind: _Kind, number: int) -> None:
    if kind == "unit":
        deleted = audit_record(ALICE, AuditAction.TAG_DELETE, _ABOUT)
        await metadata.write(lambda tx: tx.audit.append(deleted))
        await Sealer(metadata).run()
        return
    note = {
        "pull": _noted(AuditAction.MANIFEST_PULL, "success", number),
        "refusal": _noted(AuditAction.ACCESS_DENIED, "failure", 0),
        "refusal of nobody": _noted(AuditAction.ACCESS_DENIED, "failure", None),
    }[kind]
    await metadata.write(lambda tx: add_sealed(tx, NewChain.make(), [note]))


async def _verdict(metadata: Metadata) -> AuditVerdict:
    return await verify_database(metadata, [], [])


async def _log_of(metadata: Metadata, project: int) -> Sequence[str]:
    grant = ProjectGrant(ListLog, project, "team", BOB)
    page = await AuditLog(metadata, KeptNotes()).list(grant, AuditPageQuery(AuditFilter(), 100))
    return [entry.action for entry in page.entries]


@pytest.mark.parametrize("kind", _KINDS)
@pytest.mark.parametrize("another", ["0", "NULL", "77", "former"])
async def test_a_record_that_is_hidden_from_its_projects_log_by_its_number_is_found_i11(
    metadata: Metadata, database: RawDatabase, kind: _Kind, another: str
) -> None:
    """Whichever number it gets, also that of a former project of the name, of which it could well have been."""
    former = await add_team(metadata, "a")
    await metadata.write(lambda tx: tx.projects.delete(former))
    project = await add_team(metadata, "b")
    await _add(metadata, kind, project)
    before = await database.value("SELECT coalesce(CAST(project_id AS text), 'NULL') FROM audit_records")
    assert (await _verdict(metadata)).faults == ()

    number = str(former) if another == "former" else another
    await database.fetch(f"UPDATE audit_records SET project_id = {number}")

    faults = [(fault.kind, fault.message) for fault in (await _verdict(metadata)).faults]
    expected = (FaultKind.CHANGED, "its column project_id is not what was sealed")
    assert faults == ([] if number == before else [expected])


async def test_what_a_unit_finds_as_it_adds_a_record_is_what_the_chain_covers_i11(
    metadata: Metadata, database: RawDatabase
) -> None:
    """Before there is a project, in a former one, after that was deleted, and in the one that comes next."""
    await _add(metadata, "unit", 0)
    former = await add_team(metadata, "a")
    await _add(metadata, "unit", 0)
    await metadata.write(lambda tx: tx.projects.delete(former))
    await _add(metadata, "unit", 0)
    project = await add_team(metadata, "b")
    await _add(metadata, "unit", 0)

    rows = await database.fetch("SELECT project_id, body FROM audit_records ORDER BY id")

    assert [number for number, _ in rows] == [None, former, former, project]
    assert [msgspec.json.decode(bytes(body))["project_id"] for _, body in rows] == [
        number for number, _ in rows
    ]
    assert (await _verdict(metadata)).faults == ()
    assert await _log_of(metadata, project) == ["tag.delete"]


async def test_a_row_that_waits_to_be_sealed_shows_the_number_that_it_will_seal(
    metadata: Metadata, database: RawDatabase
) -> None:
    await add_team(metadata, "a")
    record = audit_record(ALICE, AuditAction.TAG_DELETE, _ABOUT)
    await metadata.write(lambda tx: tx.audit.append(record))
    assert (await _verdict(metadata)).faults == ()

    await database.fetch("UPDATE audit_records SET project_id = 0")

    assert [fault.record_id for fault in (await _verdict(metadata)).faults] == [record.record_id]


@pytest.mark.parametrize(
    ("outcome", "number", "is_sound"),
    [
        ("success", "0", False),
        ("success", "77", True),
        ("success", "NULL", True),
        ("failure", "0", True),
        ("failure", "77", True),
    ],
)
async def test_records_of_former_programs_have_any_number_but_none_of_a_project_that_was_not_there(
    metadata: Metadata,
    database: RawDatabase,
    outcome: Literal["success", "failure"],
    number: str,
    *,
    is_sound: bool,
) -> None:
    """Their bodies tell no number. After a restore the projects of some notes are gone, which is nobody's fault."""
    record = audit_record(ALICE, AuditAction.TAG_DELETE, _ABOUT, outcome=outcome)
    body: dict[str, object] = msgspec.json.decode(record.body)
    del body["project_id"]
    former = msgspec.structs.replace(record, body=msgspec.json.encode(body))
    await metadata.write(lambda tx: tx.audit.append(former))
    await Sealer(metadata).run()
    assert await database.value("SELECT body FROM audit_records") == former.body

    await database.fetch(f"UPDATE audit_records SET project_id = {number}")

    assert (await _verdict(metadata)).is_sound is is_sound


async def test_records_of_no_project_and_those_that_stand_for_several_tell_no_number(
    metadata: Metadata,
) -> None:
    of_several = repeated(_noted(AuditAction.ACCESS_DENIED, "failure", None), 3, without_object=True)
    of_no_project = audit_record(BOB, AuditAction.USER_CREATE, AuditObject("user", "carol"), project_id=5)
    await metadata.write(lambda tx: add_sealed(tx, NewChain.make(), [of_several]))
    await metadata.write(lambda tx: tx.audit.append(of_no_project))
    await Sealer(metadata).run()

    for row in await metadata.audit.sealed(0, 10):
        assert "project_id" not in msgspec.json.decode(row.body)
        assert row.project_id is None
    assert (await _verdict(metadata)).faults == ()
