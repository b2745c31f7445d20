"""Makes of stored facts what policies know of a subject: its roles and its own permissions, where it asks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from entrepot.auth.cedar.questions import Subject
from entrepot.auth.cedar.schema import SYSTEM_PREFIX
from entrepot.auth.decisions import NOTHING
from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from entrepot.auth.principals import ANONYMOUS
from entrepot.auth.roles import BUILT_IN_ROLES
from entrepot.auth.stored_permissions import UNREADABLE, stored_names

if TYPE_CHECKING:
    from collections.abc import Iterator

    from entrepot.auth.permissions import Level
    from entrepot.auth.principals import Principal
    from entrepot.metadata.standing_store import HeldRole, ProjectFacts, SubjectFacts

__all__ = ["NOBODY", "robot_reach", "subject_in_project", "subject_on_system"]

_log: Any = structlog.get_logger()

NOBODY: Final = Subject("Anonymous", ANONYMOUS)
_EVERY_PROJECT: Final = "*"
_NOTHING_STORED: Final = b"[]"


class _RobotAccess(msgspec.Struct, frozen=True):
    """One entry of a robot's permissions, as it is stored."""

    kind: str
    namespace: str
    access: tuple[str, ...]


_robot_decoder: Final = msgspec.json.Decoder(tuple[_RobotAccess, ...])


def subject_in_project(
    principal: Principal, facts: SubjectFacts | None, project: ProjectFacts
) -> Subject | None:
    """Return the subject as it stands in a project; `None` for one who is not there any more, or may do nothing."""
    if principal.kind == "anonymous":
        return NOBODY
    found = _present(principal, facts)
    if found is None:
        return None
    if found.kind == "robot":
        return Subject("Robot", principal.subject, _robot_in_project(principal.name, found, project))
    return Subject(
        "User",
        principal.subject,
        _custom_permissions(found, on_system=False),
        frozenset(role.name for role in found.roles if not role.on_system),
        frozenset(role.name for role in found.roles if role.on_system),
    )


def subject_on_system(principal: Principal, facts: SubjectFacts | None, level: Level) -> Subject | None:
    """Return the subject as it stands on the system; the level tells which of a robot's permissions count."""
    if principal.kind == "anonymous":
        return NOBODY
    found = _present(principal, facts)
    if found is None:
        return None
    if found.kind == "robot":
        return Subject("Robot", principal.subject, _robot_on_system(principal.name, found, level))
    return Subject(
        "User",
        principal.subject,
        _custom_permissions(found, on_system=True) if level == "system" else NOTHING,
        system_roles=frozenset(role.name for role in found.roles),
    )


def robot_reach(name: str, facts: SubjectFacts, permission: str) -> frozenset[str] | None:
    """Return the names of the projects in which a robot was given a permission; `None` when that is every one."""
    names = {
        entry.namespace
        for entry in _robot_entries(name, facts)
        if entry.kind == "project" and permission in entry.access
    }
    if _EVERY_PROJECT in names and facts.robot_project_id is None:
        return None
    return frozenset(names - {_EVERY_PROJECT})


def _present(principal: Principal, facts: SubjectFacts | None) -> SubjectFacts | None:
    """Only people and robots have rights, and only as what they were authenticated as."""
    if facts is None or facts.must_change_password or facts.kind != principal.kind:
        return None
    return facts if facts.kind in {"user", "robot"} else None


def _custom_permissions(facts: SubjectFacts, *, on_system: bool) -> frozenset[str]:
    """A custom role counts where its level says, and never in place of a built-in one of its name."""
    level: Level = "system" if on_system else "project"
    permissions: set[str] = set()
    for role in facts.roles:
        if role.level == level and role.on_system == on_system and role.name not in BUILT_IN_ROLES:
            permissions |= _decode_names(role)
    if on_system:
        return frozenset(SYSTEM_PREFIX + name for name in permissions & SYSTEM_PERMISSIONS.keys())
    return frozenset(permissions & PROJECT_PERMISSIONS.keys())


def _decode_names(role: HeldRole) -> frozenset[str]:
    names = stored_names(_NOTHING_STORED if role.permissions is None else role.permissions)
    if names is None:
        _log.error("permissions.unreadable", role=role.name)
        return NOTHING
    return names


def _robot_in_project(name: str, facts: SubjectFacts, project: ProjectFacts) -> frozenset[str]:
    own = facts.robot_project_id
    if own is not None and own != project.project_id:
        return NOTHING
    names: set[str] = set()
    for entry in _robot_entries(name, facts):
        everywhere = entry.namespace == _EVERY_PROJECT and own is None
        if entry.kind == "project" and (everywhere or entry.namespace == project.name):
            names.update(entry.access)
    return frozenset(names & PROJECT_PERMISSIONS.keys())


def _robot_on_system(name: str, facts: SubjectFacts, level: Level) -> frozenset[str]:
    if facts.robot_project_id is not None:
        return NOTHING
    entries = list(_robot_entries(name, facts))
    if level == "project":
        everywhere = [each for each in entries if (each.kind, each.namespace) == ("project", _EVERY_PROJECT)]
        return frozenset(each for entry in everywhere for each in entry.access) & PROJECT_PERMISSIONS.keys()
    names = {each for entry in entries if entry.kind == "system" for each in entry.access}
    return frozenset(SYSTEM_PREFIX + each for each in names & SYSTEM_PERMISSIONS.keys())


def _robot_entries(name: str, facts: SubjectFacts) -> Iterator[_RobotAccess]:
    try:
        stored = facts.robot_permissions
        yield from _robot_decoder.decode(_NOTHING_STORED if stored is None else stored)
    except UNREADABLE:
        _log.error("permissions.unreadable", robot=name)
