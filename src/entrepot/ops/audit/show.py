"""``entrepot audit show``: who did what, the newest first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec
from cyclopts import Parameter

from entrepot.audit.direct_notes import DirectNotes
from entrepot.audit.queries import MOST_ROWS, AuditLog
from entrepot.auth.audit_actions import AuditAction, near_actions
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import ListAuditLog
from entrepot.client.acts import actor_of, image_of_act, reason_of_act
from entrepot.client.times import FromOption, ToOption  # noqa: TC001  # read at run time
from entrepot.kernel.plain_addresses import written_address
from entrepot.metadata.audit_store import END_OF_TIME, AuditFilter, AuditPageQuery
from entrepot.ops.audit.options import opened_audit_database, read_times
from entrepot.ops.errors import EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags
from entrepot.ops.output import OutputOption, format_json, format_table
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.audit.queries import AuditEntry, AuditPage
    from entrepot.settings import Settings

__all__ = ["show_audit_log"]

_UserOption = Annotated[
    str,
    Parameter(
        name="--user", help="Only what this user or robot did, by name; host:root for a user of the host."
    ),
]
_ActionOption = Annotated[str, Parameter(name="--action", help="Only this action, as manifest.push.")]
_ObjectOption = Annotated[
    str, Parameter(name=["--object", "--resource"], help="Only what concerns this name.")
]
_RequestOption = Annotated[
    str, Parameter(name="--request-id", help="Only what a request did: the id that a refusal told.")
]
_ProjectOption = Annotated[str, Parameter(name="--project", help="Only what concerns this project.")]
_AddressOption = Annotated[str, Parameter(name="--address", help="Only what came from this address.")]
_OutcomeOption = Annotated[
    Literal["success", "failure"] | None,
    Parameter(name="--outcome", help="Only what was done, or only refusals."),
]
_LimitOption = Annotated[int, Parameter(name="--limit", help=f"How many records at most, up to {MOST_ROWS}.")]
_BeforeOption = Annotated[
    int, Parameter(name="--before", help="Only records before this id: where the page before ended.")
]


def show_audit_log(  # the options are the interface
    *,
    user: _UserOption = "",
    action: _ActionOption = "",
    about: _ObjectOption = "",
    project: _ProjectOption = "",
    address: _AddressOption = "",
    outcome: _OutcomeOption = None,
    request_id: _RequestOption = "",
    since: FromOption = "",
    until: ToOption = "",
    limit: _LimitOption = 50,
    before: _BeforeOption = END_OF_TIME,
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """Show who did what, the newest first. That the log was read is recorded in it."""
    if action and action not in set(AuditAction):
        message = f"entrepot: there is no action {action}; is one of these meant: {near_actions(action)}?"
        raise CommandError(EXIT_USAGE, message)
    if not 1 <= limit <= MOST_ROWS:
        message = f"entrepot: --limit is a number from 1 to {MOST_ROWS}; --before goes on where a page ended"
        raise CommandError(EXIT_USAGE, message)
    settings = load_command_settings(config, make_flags(data)).settings
    first, end = read_times(since, until)
    wanted = AuditFilter(
        user=user,
        action=action,
        project=project,
        address=_address(address),
        outcome=outcome or "",
        object_name=about,
        request_id=request_id,
        since=first,
        until=end,
    )
    page = run_to_its_end(_read(settings, AuditPageQuery(wanted, limit, before)))
    if output == "json":
        print(format_json(msgspec.to_builtins(page.entries)))
        return EXIT_OK
    header = ("ID", "TIME", "USER", "ADDRESS", "ACTION", "OUTCOME", "OBJECT", "IMAGE", "REASON")
    print(format_table(header, [_row(entry) for entry in page.entries]))
    if page.more:
        print(f"more: --before {page.entries[-1].id}")
    return EXIT_OK


async def _read(settings: Settings, query: AuditPageQuery) -> AuditPage:
    async with opened_audit_database(settings) as metadata:
        log = AuditLog(metadata, DirectNotes(metadata))
        return await log.list(host_system_grant(ListAuditLog), query)


def _address(text: str) -> str:
    """Return an address as records have it, and nothing for nothing.

    Raises:
        CommandError: it is none.
    """
    try:
        return text and written_address(text)
    except ValueError as error:
        message = f"entrepot: --address is one IP address, as 192.0.2.7, and not {text}"
        raise CommandError(EXIT_USAGE, message) from error


def _row(entry: AuditEntry) -> tuple[str, ...]:
    fields = entry.fields
    return (
        str(entry.id),
        str(fields.get("@timestamp", "")),
        actor_of(fields, entry.user_name),
        str(fields.get("source.ip", "")),
        entry.action,
        entry.outcome,
        " ".join(part for part in (entry.object_kind, entry.object_name) if part),
        image_of_act(fields),
        reason_of_act(fields),  # the last column, which pads no other: it may be long
    )
