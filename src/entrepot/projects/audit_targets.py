"""What an act that was refused, or failed, was meant for, named as by the record of its success.

Only what exists is named: what somebody typed stands in the path of the record, and is nothing to look others up by.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from entrepot.auth.audit_records import AuditObject, name_of_another
from entrepot.auth.role_catalog import row_number
from entrepot.auth.roles import FIRST_CUSTOM_ROLE_ID, ROLES_BY_ID
from entrepot.metadata.errors import MetadataError
from entrepot.projects.names import NO_PROJECT

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from entrepot.auth.principals import Principal
    from entrepot.metadata.store import Metadata

__all__ = ["AuditTarget", "AuditTargets", "NumberedKind"]

T = TypeVar("T")

NumberedKind = Literal["user", "group", "role", "role assignment", "robot", "label"]
"""What has a number that is no other project's, whatever path it stands in."""

_PATIENCE_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class AuditTarget:
    """Something that exists.

    Attributes:
        project_id: the number of the project that it concerns, `None` without one.
        subject: of a person the public id, else empty.
    """

    about: AuditObject
    project_id: int | None = None
    subject: str = ""


class AuditTargets:
    """Asks the database, by one statement, and by one more for what is in a project.

    Where that does not answer in time nothing is named: the act is on record, and answered, all the same (I11).
    """

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def project(self, project: str | int) -> AuditTarget | None:
        """Return a project by name or by number; a deleted one is none."""
        return await _in_time(self._project(project))

    async def member(
        self, principal: Principal, project: AuditTarget | None, number: int
    ) -> AuditTarget | None:
        """Return a member of a project; that of one who acts on themselves has no name, as with people.

        It is looked for also where there is no project: no time tells that there is none (S19).
        """
        home = None if project is None else project.project_id
        row = await _in_time(self._metadata.members.find(NO_PROJECT if home is None else home, number))
        if row is None or project is None:
            return None
        name = row.subject.name
        shown = name_of_another(principal, name) if row.subject.kind == "user" else name
        about = AuditObject("member", shown, project=project.about.project)
        return AuditTarget(about, project.project_id)

    async def numbered(self, kind: NumberedKind, number: int) -> AuditTarget | None:
        """Return what has a number."""
        return await _in_time(self._numbered(kind, number))

    async def _numbered(self, kind: NumberedKind, number: int) -> AuditTarget | None:
        readers: Mapping[NumberedKind, Callable[[int], Awaitable[AuditTarget | None]]] = {
            "user": self._person,
            "group": self._group,
            "role": self._role,
            "role assignment": self._assigned_role,
            "robot": self._robot,
            "label": self._label,
        }
        return await readers[kind](number)

    async def _person(self, number: int) -> AuditTarget | None:
        person = await self._metadata.users.find(number)
        return None if person is None else AuditTarget(AuditObject("user", person.name), None, person.subject)

    async def _group(self, number: int) -> AuditTarget | None:
        group = await self._metadata.user_groups.find(number)
        return None if group is None else AuditTarget(AuditObject("group", group.name))

    async def _role(self, number: int) -> AuditTarget | None:
        if number < FIRST_CUSTOM_ROLE_ID:
            built_in = ROLES_BY_ID.get(number)
            return None if built_in is None else AuditTarget(AuditObject("role", built_in.name))
        stored = await self._metadata.roles.find(row_number(number))
        return None if stored is None else AuditTarget(AuditObject("role", stored.name))

    async def _assigned_role(self, number: int) -> AuditTarget | None:
        assignment = await self._metadata.role_assignments.find_system(number)
        return None if assignment is None else AuditTarget(AuditObject("role", assignment.role))

    async def _robot(self, number: int) -> AuditTarget | None:
        robot = await self._metadata.robots.find(number)
        if robot is None:
            await self._look_nowhere()
            return None
        return await self._at_home("robot", robot.name, robot.project_id)

    async def _label(self, number: int) -> AuditTarget | None:
        label = await self._metadata.labels.find(number)
        if label is None:
            await self._look_nowhere()
            return None
        return await self._at_home("label", label.text.name, label.project_id)

    async def _look_nowhere(self) -> None:
        """Ask what is asked of something that exists: no time tells that there is none (S19)."""
        await self._project(NO_PROJECT)

    async def _at_home(self, kind: str, name: str, project_id: int | None) -> AuditTarget:
        """Return something of the system, as which counts what a deleted project left, or of a project."""
        home = await self._project(NO_PROJECT if project_id is None else project_id)
        if home is None:
            return AuditTarget(AuditObject(kind, name))
        return AuditTarget(AuditObject(kind, name, project=home.about.project), home.project_id)

    async def _project(self, project: str | int) -> AuditTarget | None:
        facts = (await self._metadata.standings.in_project("", project)).project
        if facts is None:
            return None
        return AuditTarget(AuditObject("project", facts.name, project=facts.name), facts.project_id)


async def _in_time(reading: Awaitable[T | None]) -> T | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await reading
    except (MetadataError, TimeoutError):
        return None
