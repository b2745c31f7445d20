"""Records what the host's operator changes of the settings, so that nobody switches a safeguard off and on unseen.

Each start and each reload compares what is in force with what the last record of this node says, so that a change made
between two runs has its record as well. Of a secret it says that it is set, or was replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from entrepot.audit.applied_settings import AppliedSettings, last_applied
from entrepot.audit.settings_marks import differences_of_secrets, mark_secrets
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.keys.errors import MasterKeyError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.audit.settings_marks import MarkingKey
    from entrepot.auth.principals import Principal
    from entrepot.metadata.store import Metadata

__all__ = ["SettingsInForce", "SettingsRecorder"]

_log: Any = structlog.get_logger()


class SettingsInForce(msgspec.Struct, frozen=True):
    """The settings of a process by key.

    Attributes:
        shown: the values that are not their defaults, as people read them.
        defaults: those of all.
        secrets: the secrets that are set, in clear.
    """

    shown: Mapping[str, str]
    defaults: Mapping[str, str]
    secrets: Mapping[str, str]

    def __repr__(self) -> str:
        return "SettingsInForce()"  # S27


class SettingsRecorder:
    """Records the settings of one node, once in the life of the process that has them."""

    def __init__(
        self,
        metadata: Metadata,
        operator: Principal,
        node: str,
        settings: SettingsInForce,
        open_key: Callable[[], Awaitable[MarkingKey]],
    ) -> None:
        """Take what there is to record, and what opens the master key, which is asked only where a secret is set."""
        self._metadata = metadata
        self._operator = operator
        self._node = node
        self._settings = settings
        self._open_key = open_key
        self._is_done = False

    async def run(self) -> bool:
        """Record what differs from the last record, or without one from the defaults; return whether anything did.

        Raises:
            MetadataError: the database can't be read or written; call it again.
        """
        if self._is_done:
            return False
        key = await self._marking_key()
        former = await last_applied(self._metadata, self._node)
        changed = self._changed(former) | self._changed_secrets(former, key)
        if changed:
            before = {one: former.in_force.get(one, self._settings.defaults.get(one, "")) for one in changed}
            in_force = AppliedSettings(dict(self._settings.shown), mark_secrets(key, self._settings.secrets))
            record = audit_record(
                self._operator,
                AuditAction.SETTINGS_APPLY,
                AuditObject("settings", self._node),
                before=before,
                after={"changed": changed} | msgspec.to_builtins(in_force),
            )
            await self._metadata.write(lambda tx: tx.audit.append(record))
        self._is_done = True
        return bool(changed)

    def _changed(self, former: AppliedSettings) -> dict[str, str]:
        shown, defaults = self._settings.shown, self._settings.defaults
        return {
            one: shown.get(one, defaults.get(one, ""))
            for one in sorted({*former.in_force, *shown})
            if former.in_force.get(one) != shown.get(one)
        }

    def _changed_secrets(self, former: AppliedSettings, key: MarkingKey | None) -> dict[str, str]:
        """Return what to tell of secrets that were set before and are now; of the others :meth:`_changed` tells."""
        both = {one: value for one, value in self._settings.secrets.items() if one in former.in_force}
        return differences_of_secrets(former.secrets, key, both)

    async def _marking_key(self) -> MarkingKey | None:
        """Return the master key where there is a secret to mark; the rest is recorded also without one."""
        if not self._settings.secrets:
            return None
        try:
            return await self._open_key()
        except MasterKeyError as error:
            _log.warning("setting.unmarked", reason=str(error))
            return None
