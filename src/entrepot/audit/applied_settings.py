"""Finds which settings a node applied last, as the audit log tells, also when that record was purged.

A purge takes what nothing newer tells along into its own record. So the next start of a node that was off for years, or
ran without a change, compares with what was in force, and not with the defaults.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.acts_on_record import acts_on_record
from entrepot.audit.settings_marks import SecretMarks
from entrepot.auth.audit_actions import AuditAction

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.metadata.audit_store import AuditRow
    from entrepot.metadata.store import Metadata

__all__ = ["AppliedSettings", "last_applied", "settings_to_keep"]

_MOST_NODES: Final = 100
"""Whose settings a purge keeps: those that applied theirs last. Each may have a kilobyte, and nodes come and go."""


class AppliedSettings(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a record tells that is compared with later.

    Attributes:
        in_force: the settings that were not their defaults, by key, as people read them.
        secrets: the marks of secrets; `None` where there was none, or no master key.
    """

    in_force: dict[str, str]
    secrets: SecretMarks | None = None


class _Applied(msgspec.Struct, frozen=True):
    after: AppliedSettings


class _Kept(msgspec.Struct, frozen=True):
    settings: dict[str, AppliedSettings] = {}  # msgspec copies it for each instance


class _Purged(msgspec.Struct, frozen=True):
    after: _Kept


class _AppliedBody(msgspec.Struct, frozen=True):
    change: _Applied


class _PurgedBody(msgspec.Struct, frozen=True):
    change: _Purged


async def last_applied(metadata: Metadata, node: str) -> AppliedSettings:
    """Return what a node applied last; nothing where the log does not tell.

    Raises:
        MetadataError: the database can't be read.
    """

    def is_applied(row: AuditRow) -> bool:
        return row.object_name == node

    def is_kept(row: AuditRow) -> bool:
        return node in _kept_in(row)

    async for row in acts_on_record(metadata, AuditAction.SETTINGS_APPLY, is_applied, node):
        return _applied_in(row) or AppliedSettings({})
    async for row in acts_on_record(metadata, AuditAction.AUDIT_PURGE, is_kept):
        return _kept_in(row)[node]
    return AppliedSettings({})


async def settings_to_keep(metadata: Metadata, last: int) -> Mapping[str, AppliedSettings]:
    """Return, by node, the settings that only records up to the sequence `last` tell of, which are about to go.

    Raises:
        MetadataError: the database can't be read.
    """
    told: set[str] = set()
    going: dict[str, AppliedSettings] = {}

    def tell(row: AuditRow, node: str, applied: AppliedSettings | None) -> None:
        if node not in told and applied is not None and _goes(row, last) and len(going) < _MOST_NODES:
            going[node] = applied
        told.add(node)

    def is_news(row: AuditRow) -> bool:
        return not told.issuperset(_kept_in(row))

    async for row in acts_on_record(
        metadata, AuditAction.SETTINGS_APPLY, lambda row: row.object_name not in told
    ):
        tell(row, row.object_name, _applied_in(row))
    async for row in acts_on_record(metadata, AuditAction.AUDIT_PURGE, is_news):
        for node, applied in _kept_in(row).items():
            tell(row, node, applied)
    return going


def _goes(row: AuditRow, last: int) -> bool:
    return row.sequence is not None and row.sequence <= last


def _applied_in(row: AuditRow) -> AppliedSettings | None:
    try:
        return msgspec.json.decode(row.body, type=_AppliedBody).change.after
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def _kept_in(row: AuditRow) -> Mapping[str, AppliedSettings]:
    try:
        return msgspec.json.decode(row.body, type=_PurgedBody).change.after.settings
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return {}
