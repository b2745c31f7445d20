"""An export that takes long is one key's word from its first line to its last, whatever becomes of keys meanwhile."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.audit.export import AuditExport
from entrepot.audit.export_format import decode_signature
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind
from entrepot.auth.host import host_operator, host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.bootstrap.keys import build_signed_end, open_signing_keys
from entrepot.metadata.audit_store import END_OF_TIME
from tests.asgi.services import scratch_settings
from tests.running.audit_material import pull_record

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from entrepot.auth.keys.signing_keys import SigningKeys
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase


async def _export_while(
    metadata: Metadata, directory: Path, meanwhile: Callable[[SigningKeys], Awaitable[object]]
) -> tuple[list[bytes], bytes]:
    """Export five records, and do something with the keys behind the first; return the lines and the first key."""
    settings = scratch_settings(directory / "data")
    await metadata.write(lambda tx: tx.audit.extend([pull_record(number) for number in range(5)]))
    export = AuditExport(metadata, build_signed_end(settings, metadata))
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    keys = await open_signing_keys(settings, metadata, "audit")
    active = (await keys.table()).in_state("active")
    assert active is not None
    streamed = export.lines(begun)
    lines = [await anext(streamed) + b"\n"]
    await meanwhile(keys)
    lines += [line + b"\n" async for line in streamed]
    return lines, active.public_key


async def test_an_export_whose_key_is_rotated_meanwhile_verifies_with_the_key_that_it_began_with(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """More than once, so that the key of its end would be none that the auditor could know."""

    async def rotate(keys: SigningKeys) -> None:
        for _ in range(2):
            await database.fetch("UPDATE signing_keys SET created_at = created_at - 120000")
            await keys.rotate(host_operator())

    lines, key = await _export_while(metadata, tmp_path, rotate)

    verdict = verify_export(lines, [], [key])
    assert (verdict.faults, verdict.signed, verdict.unaccounted) == ((), 5, 0)


async def test_a_key_that_is_revoked_meanwhile_signs_no_end(metadata: Metadata, tmp_path: Path) -> None:
    """Somebody else may have it; the one that signs then does, and who was given both can verify it."""

    async def revoke(keys: SigningKeys) -> None:
        active = (await keys.table()).in_state("active")
        assert active is not None
        await keys.revoke(host_operator(), active.key_id)

    lines, key = await _export_while(metadata, tmp_path, revoke)

    ending = decode_signature(lines[-1].removesuffix(b"\n"))
    assert ending is not None
    assert ending.public_key != key
    faults = verify_export(lines, [], [key]).faults
    assert [(fault.kind, fault.message) for fault in faults] == [
        (FaultKind.SIGNATURE, "the export is signed with a key that was not given")
    ]
    assert verify_export(lines, [], [key, ending.public_key]).faults == ()
