"""``entrepot audit purge``: removes old records; without --yes it only says which."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.audit.purge import AuditPurge
from entrepot.auth.host import host_operator
from entrepot.ops.audit_options import opened_audit_database
from entrepot.ops.backup_options import run_to_its_end
from entrepot.ops.errors import EXIT_OK
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags

if TYPE_CHECKING:
    from entrepot.audit.purge import PurgePlan
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
    """Remove records older than so many days; export them before. The rest of the log can still be proven."""
    settings = load_command_settings(config, make_flags(data)).settings
    plan = run_to_its_end(_purge(settings, older_than, change=yes))
    verb = "removed" if yes else "would be removed; nothing was changed (--yes)"
    print(f"{plan.records} records up to number {plan.last} {verb}")
    return EXIT_OK


async def _purge(settings: Settings, days: int, *, change: bool) -> PurgePlan:
    async with opened_audit_database(settings) as metadata:
        purge = AuditPurge(metadata, settings.audit_log.retention_days)
        return await (purge.run(host_operator(), days) if change else purge.plan(days))
