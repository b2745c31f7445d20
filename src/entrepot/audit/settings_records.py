"""Records what the host's operator changes of the settings, so that nobody switches a safeguard off and on unseen.

Each start and each reload compares what is in force with what the last record of this node says, so that a change made
between two runs has its record as well.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.principals import Principal
    from entrepot.metadata.store import Metadata

__all__ = ["SettingsRecorder"]


class _After(msgspec.Struct, frozen=True):
    in_force: dict[str, str]


class _Change(msgspec.Struct, frozen=True):
    after: _After


class _Body(msgspec.Struct, frozen=True):
    change: _Change


class SettingsRecorder:
    """Records the settings of one node, once in the life of the process that has them."""

    def __init__(
        self,
        metadata: Metadata,
        operator: Principal,
        node: str,
        in_force: Mapping[str, str],
        defaults: Mapping[str, str],
    ) -> None:
        """Take, by key, the values that are not their defaults, as people read them, and the defaults of all."""
        self._metadata = metadata
        self._operator = operator
        self._node = node
        self._in_force = dict(in_force)
        self._defaults = defaults
        self._is_done = False

    async def run(self) -> bool:
        """Record what differs from the last record, or without one from the defaults; return whether anything did.

        Raises:
            MetadataError: the database can't be read or written; call it again.
        """
        if self._is_done:
            return False
        former = await self._last()
        changed = sorted(
            key for key in {*former, *self._in_force} if former.get(key) != self._in_force.get(key)
        )
        if changed:
            record = audit_record(
                self._operator,
                AuditAction.SETTINGS_APPLY,
                AuditObject("settings", self._node),
                before={key: former.get(key, self._defaults.get(key, "")) for key in changed},
                after={
                    "changed": {key: self._in_force.get(key, self._defaults.get(key, "")) for key in changed},
                    "in_force": self._in_force,
                },
            )
            await self._metadata.write(lambda tx: tx.audit.append(record))
        self._is_done = True
        return bool(changed)

    async def _last(self) -> Mapping[str, str]:
        wanted = AuditFilter(action=AuditAction.SETTINGS_APPLY.value, object_name=self._node)
        rows = await self._metadata.audit.page(AuditPageQuery(wanted, 1))
        try:
            return msgspec.json.decode(rows[0].body, type=_Body).change.after.in_force if rows else {}
        except msgspec.MsgspecError:
            return {}
