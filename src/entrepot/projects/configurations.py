"""Settings that are changed at run time, through the API, and hold on all nodes within five seconds.

Harbor's clients ask for some that are fixed here; those are shown and can't be changed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final, Literal, cast

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.unit_guard import watch
from entrepot.projects.errors import ConfigurationInvalidError
from entrepot.projects.openings import require_creation_held

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from entrepot.auth.decisions import Decisions
    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.system_actions import ReadConfiguration, UpdateConfiguration
    from entrepot.metadata.store import Metadata, Transaction

__all__ = [
    "ConfigurationItem",
    "ConfigurationValue",
    "Configurations",
    "CurrentConfiguration",
    "DecidingSwitch",
    "ProjectCreation",
]

ConfigurationValue = bool | int | str
ProjectCreation = Literal["adminonly", "everyone"]

_REMEMBERED_SECONDS: Final = 4.0
"""Together with one statement less than the five seconds within which a change holds everywhere."""


class ConfigurationItem(msgspec.Struct, frozen=True):
    """A setting as it holds, and whether it can be changed at run time."""

    value: ConfigurationValue
    editable: bool


class CurrentConfiguration(msgspec.Struct, frozen=True):
    """What holds now, for the code that keeps to it."""

    project_creation_restriction: ProjectCreation
    read_only: bool
    banner_message: str


class _Rule(msgspec.Struct, frozen=True):
    """What a setting is when nobody set it, and what it can be."""

    default: ConfigurationValue
    choices: tuple[str, ...] = ()
    max_length: int = 0


_EDITABLE: Final = {
    "project_creation_restriction": _Rule("adminonly", choices=("adminonly", "everyone")),
    "read_only": _Rule(default=False),
    "banner_message": _Rule("", max_length=4096),
}
_FIXED: Final[dict[str, ConfigurationValue]] = {
    "auth_mode": "db_auth",
    "token_expiration": 5,
    "session_timeout": 30,
    "self_registration": False,
    "robot_name_prefix": "robot$",
    "storage_per_project": -1,
    "quota_per_project_enable": False,
    "notification_enable": False,
    "scanner_skip_update_pulltime": False,
    "skip_audit_log_database": False,
    "audit_log_forward_endpoint": "",
}


class Configurations:
    """Reads and changes the settings; implements :class:`entrepot.auth.modes.ReadOnlySwitch` for the data plane."""

    def __init__(
        self,
        metadata: Metadata,
        decisions: Decisions,
        *,
        token_minutes: int = 5,
        session_minutes: int = 30,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what holds of tokens and sessions by the settings of the node, which are changed there only."""
        self._metadata = metadata
        self._decisions = decisions
        self._defaults = {name: rule.default for name, rule in _EDITABLE.items()}
        self._fixed = _FIXED | {"token_expiration": token_minutes, "session_timeout": session_minutes}
        self._clock = clock
        self._remembered: tuple[float, CurrentConfiguration] | None = None

    async def read(self, _grant: SystemGrant[ReadConfiguration]) -> Mapping[str, ConfigurationItem]:
        """Return all settings by name."""
        fixed = {name: ConfigurationItem(value, editable=False) for name, value in self._fixed.items()}
        values = self._effective(await self._metadata.configurations.values())
        return fixed | {name: ConfigurationItem(value, editable=True) for name, value in values.items()}

    async def update(
        self, grant: SystemGrant[UpdateConfiguration], values: Mapping[str, ConfigurationValue | None]
    ) -> None:
        """Change some settings; the others stay, and so do those that are known and have no value here.

        Raises:
            ConfigurationInvalidError: one is unknown, fixed, or can't have this value; nothing was changed.
            AccessDeniedError: everybody could do what the principal may not (S9).
        """
        for name in values:
            _require_known(name)
        checked = {name: _check(name, value) for name, value in values.items() if value is not None}
        if checked.get("project_creation_restriction") == "everyone":
            await require_creation_held(self._decisions, grant)
        texts = {name: msgspec.json.encode(value).decode() for name, value in checked.items()}
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            before = self._effective(await tx.configurations.values())
            await tx.configurations.put(texts, grant.principal.subject)
            await tx.audit.append(
                audit_record(
                    grant.principal,
                    AuditAction.CONFIGURATION_UPDATE,
                    AuditObject("configuration", ", ".join(sorted(checked))),
                    before={name: before[name] for name in checked},
                    after=checked,
                    record_id=record_id,
                )
            )

        await self._metadata.write(unit)
        self._remembered = None

    async def everybody_makes_projects(self) -> bool:
        """Whether people make projects without a permission for it, as it was at most four seconds ago.

        Raises:
            MetadataUnavailableError: nobody can tell.
        """
        return (await self.current()).project_creation_restriction == "everyone"

    async def decide_creation(self) -> bool:
        """Whether they do now: read for who makes one, and watched until it is made.

        Raises:
            MetadataUnavailableError: nobody can tell.
        """
        return await self._decide("project_creation_restriction") == "everyone"

    async def decide_read_only(self) -> bool:
        """Whether nothing may be pushed or deleted now, for a change by the management API; watched like that.

        Raises:
            MetadataUnavailableError: nobody can tell (I6).
        """
        return bool(await self._decide("read_only"))

    async def _decide(self, name: str) -> ConfigurationValue:
        async def look(tx: Transaction) -> ConfigurationValue:
            return self._effective(await tx.configurations.values())[name]

        value = self._effective(await self._metadata.configurations.values())[name]
        watch(("configuration", name), look, value)
        return value

    async def current(self) -> CurrentConfiguration:
        """Return what holds, as it was at most four seconds ago.

        Raises:
            MetadataUnavailableError: nobody can tell (I6).
        """
        now = self._clock()
        if self._remembered is not None and now - self._remembered[0] < _REMEMBERED_SECONDS:
            return self._remembered[1]
        values = self._effective(await self._metadata.configurations.values())
        current = CurrentConfiguration(
            project_creation_restriction=cast("ProjectCreation", values["project_creation_restriction"]),
            read_only=bool(values["read_only"]),
            banner_message=str(values["banner_message"]),
        )
        self._remembered = (now, current)
        return current

    async def is_read_only(self) -> bool:
        """Whether nothing may be pushed or deleted at present.

        Raises:
            MetadataUnavailableError: nobody can tell (I6).
        """
        return (await self.current()).read_only

    def _effective(self, rows: Mapping[str, str]) -> dict[str, ConfigurationValue]:
        stored: dict[str, ConfigurationValue] = {
            name: msgspec.json.decode(text, type=bool | int | str)
            for name, text in rows.items()
            if name in _EDITABLE
        }
        return self._defaults | stored


def _require_known(name: str) -> None:
    if name not in _EDITABLE and name not in _FIXED:
        raise ConfigurationInvalidError(name, "is unknown")


def _check(name: str, value: ConfigurationValue) -> ConfigurationValue:
    rule = _EDITABLE.get(name)
    if rule is None:
        raise ConfigurationInvalidError(name, "can't be changed at run time")
    if type(value) is not type(rule.default):
        kind = "a text" if isinstance(rule.default, str) else "true or false"
        raise ConfigurationInvalidError(name, f"is {kind}")
    if isinstance(value, str):
        _check_text(name, value, rule)
    return value


def _check_text(name: str, value: str, rule: _Rule) -> None:
    if rule.choices and value not in rule.choices:
        raise ConfigurationInvalidError(name, f"is one of {', '.join(rule.choices)}")
    if not rule.choices and (len(value) > rule.max_length or "\0" in value):
        raise ConfigurationInvalidError(
            name, f"is a text of {rule.max_length} characters at most, without null characters"
        )


class DecidingSwitch:
    """Implements :class:`entrepot.auth.modes.ReadOnlySwitch` for the management API, which has no window."""

    def __init__(self, configurations: Configurations) -> None:
        self._configurations = configurations

    async def is_read_only(self) -> bool:
        """See the protocol."""
        return await self._configurations.decide_read_only()
