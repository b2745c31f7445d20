"""What a command on the host leaves in the audit log before it copies things out, or sets them right."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.audit_records import audit_record
from entrepot.auth.host import host_operator
from entrepot.kernel.errors import EntrepotError
from entrepot.ops.command_stores import open_command_metadata

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.audit_actions import AuditAction
    from entrepot.auth.audit_records import AuditObject, AuditOutcome
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["record_act", "record_act_on"]

_PATIENCE_SECONDS: Final = 10.0


async def record_act(
    settings: Settings,
    action: AuditAction,
    about: AuditObject,
    after: Mapping[str, object] | None = None,
    failure: str = "",
) -> None:
    """Record what the operator of the host is about to do; where that can't be, say so on standard error.

    With `failure`, which is a reason, record that what was on record as such came to nothing.

    A command that helps with a broken registry must go on without its database, or with one that can't be written.
    Who runs it owns the host, and could as well do the same without the command.
    """
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS), open_command_metadata(settings) as metadata:
            await _append(metadata, action, about, after, failure)
    except (EntrepotError, OSError, TimeoutError) as error:
        _complain(error)


async def record_act_on(
    metadata: Metadata, action: AuditAction, about: AuditObject, after: Mapping[str, object] | None = None
) -> None:
    """Record as :func:`record_act`, on a database that is open."""
    try:
        await _append(metadata, action, about, after)
    except EntrepotError as error:
        _complain(error)


async def _append(
    metadata: Metadata,
    action: AuditAction,
    about: AuditObject,
    after: Mapping[str, object] | None,
    failure: str = "",
) -> None:
    about = msgspec.structs.replace(about, name=_legible(about.name))
    told = {
        name: _legible(value) if isinstance(value, str) else value for name, value in (after or {}).items()
    }
    outcome: AuditOutcome = "failure" if failure else "success"
    operator = host_operator()
    record = audit_record(
        operator, action, about, outcome=outcome, reason=failure, status=0, after=told or None
    )
    await metadata.write(lambda tx: tx.audit.append(record))


def _legible(text: str) -> str:
    """Return text as UTF-8, which the name of a file need not be."""
    return text.encode("utf-8", "backslashreplace").decode()


def _complain(error: Exception) -> None:
    reason = str(error).removeprefix("entrepot: ") or "the database does not answer"
    print(f"entrepot: the audit log has no record of this: {reason}", file=sys.stderr)
