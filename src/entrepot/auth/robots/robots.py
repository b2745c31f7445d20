"""Makes, shows, changes and removes robots, on the system and in projects. Each change and its record are one unit."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.grants import ProjectGrant, SystemGrant
from entrepot.auth.principals import Principal
from entrepot.auth.project_actions import CreateRobot, DeleteRobot, ListRobot, ReadRobot, UpdateRobot
from entrepot.auth.robots.addresses import encode_networks, parse_networks
from entrepot.auth.robots.changing import changed_fields, decisive, gives_more
from entrepot.auth.robots.errors import RobotChangedError, RobotNameTakenError, RobotUnknownError
from entrepot.auth.robots.over_grants import missing_of, require_giver, require_held
from entrepot.auth.robots.permissions import (
    decode_permissions,
    encode_permissions,
    named_projects,
    parse_permissions,
)
from entrepot.auth.robots.records import IssuedRobot, RobotLimits, RobotPage, robot_from_row
from entrepot.auth.robots.rules import (
    full_name,
    lifetime_milliseconds,
    require_description,
    require_duration,
)
from entrepot.auth.robots.secrets import RobotSecrets
from entrepot.auth.robots.shown_names import meant_name, meant_part
from entrepot.auth.system_actions import (
    CreateSystemRobot,
    DeleteSystemRobot,
    DeleteUser,
    ListSystemRobot,
    ReadSystemRobot,
    UpdateSystemRobot,
    UpdateUser,
)
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.list_filters import ANY_ROW, WantedRows
from entrepot.metadata.robot_store import NewRobotRow, RobotQuery

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.chosen_secrets import SecretHasher
    from entrepot.auth.credential_memory import ForgetsCredentials
    from entrepot.auth.decisions import Decisions
    from entrepot.auth.robots.records import NewRobot, Robot, RobotChanges
    from entrepot.metadata.robot_store import RobotOrder, StoredRobot
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["Robots"]

_MOST_PER_PAGE: Final = 100

_CreateGrant = SystemGrant[CreateSystemRobot] | ProjectGrant[CreateRobot]
_ReadGrant = SystemGrant[ReadSystemRobot] | ProjectGrant[ReadRobot]
_ListGrant = SystemGrant[ListSystemRobot] | ProjectGrant[ListRobot]
_UpdateGrant = SystemGrant[UpdateSystemRobot] | ProjectGrant[UpdateRobot]
_DeleteGrant = SystemGrant[DeleteSystemRobot] | ProjectGrant[DeleteRobot]
_AnyGrant = _CreateGrant | _ReadGrant | _ListGrant | _UpdateGrant | _DeleteGrant


class Robots:
    """The service. A grant on the system is for robots of the system only, one in a project for that project's (S7).

    Whoever gives a robot rights, or gets a secret of it, must hold all of them and answers for the robot from then on.
    """

    def __init__(
        self,
        metadata: Metadata,
        decisions: Decisions,
        hasher: SecretHasher,
        memory: ForgetsCredentials,
        limits: RobotLimits,
    ) -> None:
        self._metadata = metadata
        self._decisions = decisions
        self._secrets = RobotSecrets(hasher)
        self._memory = memory
        self._limits = limits

    async def home(self, robot_id: int) -> int | None:
        """Return the number of the project that a robot is of, `None` for the system: which grant to ask for first.

        One whose project is deleted is the system's, so that somebody can see and remove it.

        Raises:
            RobotUnknownError: there is no such robot.
        """
        row = await self._metadata.robots.find(robot_id)
        if row is None:
            raise RobotUnknownError(robot_id)
        return None if row.is_stranded else row.project_id

    async def create(self, grant: _CreateGrant, asked: NewRobot) -> IssuedRobot:
        """Make a robot and return it with its secret, which nobody can see again.

        Raises:
            AccessDeniedError: it would be given what the principal does not hold (S9).
            InvalidRobotError: what is asked for is not possible.
            RobotNameTakenError: the name is taken.
            ProjectUnknownError: the project, or one that it is given something in, was deleted meanwhile.
        """
        require_giver(grant.principal)
        project = _project(grant)
        name = full_name(asked.name, project)
        permissions = parse_permissions(asked.permissions, "project" if project else "system", project)
        require_description(asked.description)
        days = self._limits.default_days if asked.duration_days is None else asked.duration_days
        require_duration(days, self._limits)
        networks = parse_networks(asked.allowed_addresses)
        await require_held(self._decisions, grant.principal, permissions)
        secret, secret_hash = await self._secrets.make(asked.secret)
        new = NewRobotRow(
            public_id=new_public_id(),
            name=name,
            short_name=asked.name,
            project_id=_project_id(grant),
            description=asked.description,
            secret_hash=secret_hash,
            permissions=encode_permissions(permissions),
            allowed_addresses=encode_networks(networks),
            duration_days=days,
            lifetime_milliseconds=lifetime_milliseconds(days),
            creator=grant.principal.subject,
            disabled=asked.disabled,
        )
        return IssuedRobot(await self._insert(grant, new, named_projects(permissions)), secret)

    async def get(self, grant: _ReadGrant, robot_id: int) -> Robot:
        """Return a robot.

        Raises:
            RobotUnknownError: there is none of this number here.
        """
        row = _require_seen(grant, await self._metadata.robots.find(robot_id), robot_id)
        return await self._shown(robot_from_row(row))

    async def list_page(
        self,
        grant: _ListGrant,
        *,
        limit: int,
        offset: int = 0,
        name: str = "",
        name_part: str = "",
        wanted: WantedRows = ANY_ROW,
        order: RobotOrder = "id",
    ) -> RobotPage:
        """Return a page of the robots of a place, 100 at most; unless told otherwise in the order they were made in.

        Args:
            name: only the robot of this name, as it is shown or its own.
            name_part: only those whose shown names hold this.
            wanted: only those of these names and times.
        """
        project = _project(grant)
        part = meant_part(name_part, project)
        names = tuple(meant_name(one, project) for one in wanted.names)
        query = RobotQuery(
            project_id=_project_id(grant),
            limit=max(0, min(limit, _MOST_PER_PAGE)),
            offset=max(0, offset),
            name=meant_name(name, project) or part.text or None,
            match="whole" if name else "beginning" if part.begins else "part",
            wanted=dataclasses.replace(wanted, names=names),
            order=order,
        )
        rows = await self._metadata.robots.list_page(query)
        total = await self._metadata.robots.count(query)
        return RobotPage(tuple([await self._shown(robot_from_row(row)) for row in rows]), total)

    async def count_of_person(
        self, grant: SystemGrant[UpdateUser] | SystemGrant[DeleteUser], person: str
    ) -> int:
        """Return how many robots that are enabled and not at their end a subject answers for: they stop with it."""
        del grant
        return await self._metadata.robots.count_of_creator(person)

    async def _shown(self, robot: Robot) -> Robot:
        """Return a robot with what whoever answers for it lacks. Decisions are remembered, a page asks few."""
        answerable = robot.answerable
        if answerable.state != "present":
            return robot
        person = Principal(robot.creator, "", forwarded=False, name=answerable.name, kind="user")
        lacks = [
            f"{entry.namespace}={name}"
            for entry in robot.permissions
            for name in await missing_of(self._decisions, person, entry)
        ]
        return dataclasses.replace(robot, answerable=dataclasses.replace(answerable, lacks=tuple(lacks)))

    async def update(self, grant: _UpdateGrant, robot_id: int, changes: RobotChanges) -> Robot:
        """Change a robot and return it.

        Describing and disabling it is anybody's who may update robots. Every other change gives it something, so it
        demands what making the robot would, and makes the principal the one who answers for it.

        Raises:
            RobotUnknownError: there is none of this number here.
            AccessDeniedError: the robot would have what the principal does not hold (S9).
            InvalidRobotError: what is asked for is not possible.
            RobotChangedError: somebody else changed it meanwhile.
            ProjectUnknownError: a project that it is given something in was deleted meanwhile.
        """
        require_giver(grant.principal)
        seen = _require_here(grant, await self._metadata.robots.find(robot_id), robot_id)
        fields = changed_fields(seen, changes, grant.principal.subject, _project(grant), self._limits)
        gives = gives_more(seen, fields)
        if gives:
            await require_held(self._decisions, grant.principal, decode_permissions(fields.permissions))
        record_id = new_public_id()

        async def unit(tx: Transaction) -> StoredRobot:
            if gives:
                await _keep_projects(tx, grant, named_projects(decode_permissions(fields.permissions)))
            before = _require_here(grant, await tx.robots.hold(robot_id), robot_id)
            if decisive(before) not in {decisive(seen), decisive(fields)}:
                raise RobotChangedError(seen.name)
            await tx.robots.change(robot_id, fields)
            if gives or fields.disabled != seen.disabled:
                await tx.robots.move_epoch(robot_id)
            if gives and not (seen.disabled or fields.disabled):
                await tx.refresh_tokens.carry_over(
                    robot_id
                )  # its secret stays as good, and so do logins with it
            after = _require_here(grant, await tx.robots.hold(robot_id), robot_id)
            record = audit_record(
                grant.principal,
                AuditAction.ROBOT_UPDATE,
                _about(grant, seen.name),
                before=robot_from_row(before).described(),
                after=robot_from_row(after).described(),
                record_id=record_id,
            )
            await tx.audit.append(record)
            return after

        try:
            return robot_from_row(await self._metadata.write(unit))
        finally:
            self._memory.forget(seen.public_id)

    async def replace_secret(self, grant: _UpdateGrant, robot_id: int, chosen: str = "") -> IssuedRobot:
        """Give a robot another secret and return it once; the former is worthless at once (S14).

        Raises:
            RobotUnknownError: there is none of this number here.
            AccessDeniedError: the robot may do what the principal may not (S9).
            InvalidRobotError: the chosen secret is too weak.
            RobotChangedError: somebody else changed what it may do meanwhile.
        """
        require_giver(grant.principal)
        seen = _require_here(grant, await self._metadata.robots.find(robot_id), robot_id)
        await require_held(self._decisions, grant.principal, decode_permissions(seen.permissions))
        secret, secret_hash = await self._secrets.make(chosen)
        record = audit_record(
            grant.principal,
            AuditAction.ROBOT_ROTATE,
            _about(grant, seen.name),
            before={"creator": seen.creator},
            after={"creator": grant.principal.subject},
        )

        async def unit(tx: Transaction) -> StoredRobot:
            held = _require_here(grant, await tx.robots.hold(robot_id), robot_id)
            if held.permissions != seen.permissions:
                raise RobotChangedError(seen.name)
            await tx.robots.replace_secret(robot_id, secret_hash, grant.principal.subject)
            await tx.robots.move_epoch(robot_id)
            await tx.audit.append(record)
            return _require_here(grant, await tx.robots.hold(robot_id), robot_id)

        try:
            return IssuedRobot(robot_from_row(await self._metadata.write(unit)), secret)
        finally:
            self._memory.forget(seen.public_id)

    async def delete(self, grant: _DeleteGrant, robot_id: int) -> None:
        """Remove a robot; its name can be given to another one.

        Raises:
            RobotUnknownError: there is none of this number here.
        """
        require_giver(grant.principal)
        seen = _require_seen(grant, await self._metadata.robots.find(robot_id), robot_id)
        record = audit_record(
            grant.principal,
            AuditAction.ROBOT_DELETE,
            _about(grant, seen.name),
            before=robot_from_row(seen).described(),
        )

        async def unit(tx: Transaction) -> None:
            # A unit that is repeated after a lost reply finds nothing more to do.
            if await tx.robots.hold(robot_id) is not None:
                await tx.robots.remove(robot_id)
            await tx.audit.append(record)

        try:
            await self._metadata.write(unit)
        finally:
            self._memory.forget(seen.public_id)

    async def _insert(self, grant: _CreateGrant, new: NewRobotRow, projects: Sequence[str]) -> Robot:
        record_id = new_public_id()

        async def unit(tx: Transaction) -> StoredRobot:
            await _keep_projects(tx, grant, projects)
            row = await tx.robots.create(new)
            if row is None:
                raise RobotNameTakenError(new.name)
            record = audit_record(
                grant.principal,
                AuditAction.ROBOT_CREATE,
                _about(grant, new.name),
                after=robot_from_row(row).described(),
                record_id=record_id,
            )
            await tx.audit.append(record)
            return row

        return robot_from_row(await self._metadata.write(unit))


def _require_here(grant: _AnyGrant, row: StoredRobot | None, robot_id: int) -> StoredRobot:
    if row is None or row.project_id != _project_id(grant):
        raise RobotUnknownError(robot_id)
    return row


def _require_seen(grant: _ReadGrant | _DeleteGrant, row: StoredRobot | None, robot_id: int) -> StoredRobot:
    """Return a robot that is here, or that a deleted project left behind for the system."""
    if row is not None and row.is_stranded and isinstance(grant, SystemGrant):
        return row
    return _require_here(grant, row, robot_id)


async def _keep_projects(
    tx: Transaction, grant: _CreateGrant | _UpdateGrant, projects: Sequence[str]
) -> None:
    """See to it that the projects that a robot is of, or gets something in, are there until the unit ends.

    The judgement about them is seconds old; what was given in a deleted one would be good for the next of its name.
    """
    if isinstance(grant, ProjectGrant):
        if await tx.projects.hold(grant.project_id) is None:
            raise ProjectUnknownError(grant.project)
        return
    for name in projects:
        if await tx.projects.share(name) is None:
            raise ProjectUnknownError(name)


def _project_id(grant: _AnyGrant) -> int | None:
    return grant.project_id if isinstance(grant, ProjectGrant) else None


def _project(grant: _AnyGrant) -> str:
    return grant.project if isinstance(grant, ProjectGrant) else ""


def _about(grant: _AnyGrant, name: str) -> AuditObject:
    return AuditObject("robot", name, project=_project(grant))
