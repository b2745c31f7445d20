"""``entrepot audit purge``: removes old records; without --yes it only says which."""

from __future__ import annotations

import asyncio
import sys
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.audit.purge import AuditPurge
from entrepot.auth.host import host_operator
from entrepot.kernel.errors import EntrepotError
from entrepot.observability.logging import configure_logging
from entrepot.ops.audit.end_signer import end_signer
from entrepot.ops.audit.options import opened_audit_database, shown_time
from entrepot.ops.errors import EXIT_OK
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.progress import Progress
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.audit.purge import PurgePlan
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["purge_audit_log"]

_DaysOption = Annotated[
    int,
    Parameter(
        name="--older-than", help="Days; not fewer than 180, nor than the setting audit_log.retention_days."
    ),
]
_YesOption = Annotated[
    bool, Parameter(name="--yes", negative="", help="Remove them; without this nothing is changed.")
]


def purge_audit_log(
    *, older_than: _DaysOption, yes: _YesOption = False, config: ConfigOption = None, data: DataOption = None
) -> int:
    """Remove records older than so many days; export them before. The rest of the log can still be proven.

    How old a record is, the checkpoint says that covers it, and not its own time. What holds up the rest is told.

    The record of the purge is sealed and signed at once: so when it was stays proven, also when the clock is set back.
    Where that can't be, this is said on standard error; the exit code stays 0.
    """
    configure_logging("warning", "console", "audit")
    settings = load_command_settings(config, make_flags(data)).settings
    plan, unsigned_because = run_to_its_end(_purge(settings, older_than, change=yes))
    verb = "removed" if yes else "would be removed; nothing was changed (--yes)"
    print(f"{plan.records} records up to number {plan.last} {verb}")
    for line in _why_others_stay(plan, older_than):
        print(line)
    if unsigned_because:
        print(f"the record of the purge is not signed yet: {unsigned_because}", file=sys.stderr)
    return EXIT_OK


def _why_others_stay(plan: PurgePlan, days: int) -> Iterator[str]:
    """Yield what holds up the records behind those that go."""
    if plan.held_by:
        at = shown_time(plan.held_at)
        stay = f"the others stay: the checkpoint of record {plan.held_by} is of {at}"
        if plan.held_is_ahead:
            yield f"{stay}, which is still to come, and the log does not show yet that a clock was put right since"
        else:
            yield f"{stay}, less than {days} days ago"
    elif plan.unsigned:
        yield f"the others stay: no checkpoint covers the last {plan.unsigned} yet"


async def _purge(settings: Settings, days: int, *, change: bool) -> tuple[PurgePlan, str]:
    """Return what was or would be removed, and why the record of that could not be signed."""
    async with opened_audit_database(settings) as metadata:
        progress = Progress("verifying checkpoints")
        purge = AuditPurge(metadata, settings.audit_log.retention_days, progress.advance)
        plan = await (purge.run(host_operator(), days) if change else purge.plan(days))
        progress.finish()
        if not change:
            return plan, ""
        return plan, await _sign(settings, metadata) if plan.records else ""


async def _sign(settings: Settings, metadata: Metadata) -> str:
    """Seal and sign the end of the log; return why that can't be: what was removed is gone all the same."""
    try:
        return await (await asyncio.to_thread(end_signer, settings, metadata)).sign()
    except EntrepotError as error:
        return str(error)
