"""Who may do what after a sequence of changes, in plain sets; written from the documents and not from the product.

Everything that ends what was issued raises a `version`; what was issued keeps those that it was issued under. What
changes in a project ends nothing: bearer tokens are good for what they were issued for and may still be done.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final, Literal, TypeAlias

__all__ = [
    "ACTIONS",
    "ROLE_IDS",
    "Asker",
    "Bearer",
    "Credential",
    "GroupModel",
    "PersonModel",
    "ProjectModel",
    "RobotModel",
    "Session",
    "may_list",
    "may_read_project",
    "rights",
]

ACTIONS: Final = frozenset({"pull", "push", "delete", "create", "overwrite"})
_NONE: Final = frozenset[str]()
_PERMISSIONS: Final = {
    "pull": "repository:pull",
    "push": "repository:push",
    "delete": "repository:delete",
    "create": "repository:create",
    "overwrite": "tag:overwrite",
}
_ROLES: Final = {
    "project-admin": ACTIONS,
    "team-lead": ACTIONS - {"create"},
    "developer": frozenset({"pull", "push", "overwrite"}),
    "guest": frozenset({"pull"}),
    "limited-guest": frozenset({"pull"}),
    "auditor": _NONE,
    "operations-admin": ACTIONS,
}
ROLE_IDS: Final = {
    "project-admin": 1,
    "developer": 2,
    "guest": 3,
    "team-lead": 4,
    "limited-guest": 5,
    "auditor": 6,
}


@dataclass(eq=False, slots=True)
class GroupModel:
    """A group; one that is deleted and made again is another one."""

    name: str
    number: int
    system_roles: set[str] = field(default_factory=set[str])


@dataclass(eq=False, slots=True)
class PersonModel:
    """A person; one who is deleted and made again is another one, though of the same name."""

    name: str
    number: int
    password: str
    groups: set[GroupModel] = field(default_factory=set[GroupModel])
    system_roles: set[str] = field(default_factory=set[str])
    disabled: bool = False
    deleted: bool = False
    must_change: bool = False
    version: int = 0

    @property
    def present(self) -> bool:
        """Whether they can prove who they are at all."""
        return not (self.disabled or self.deleted)

    def every_system_role(self) -> set[str]:
        """Their own roles on the system, and those of their groups."""
        return self.system_roles.union(*(group.system_roles for group in self.groups))


@dataclass(eq=False, slots=True)
class ProjectModel:
    """A project and what was pushed to it: digests by tag by repository."""

    name: str
    number: int
    public: bool = False
    creation: str = "operators"
    members: dict[PersonModel | GroupModel, str] = field(
        default_factory=dict["PersonModel | GroupModel", str]
    )
    repositories: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])


@dataclass(eq=False, slots=True)
class RobotModel:
    """A robot of a project, or with `None` one of the system for every project. `sponsor` answers for it."""

    name: str
    number: int
    project: ProjectModel | None
    allowed: frozenset[str]
    sponsor: PersonModel
    disabled: bool = False
    deleted: bool = False
    version: int = 0

    @property
    def present(self) -> bool:
        """Whether it can prove who it is at all."""
        return not (self.disabled or self.deleted)


Asker: TypeAlias = PersonModel | RobotModel | None
"""`None` is anybody, without credentials."""


@dataclass(eq=False, slots=True)
class Credential:
    """Something that is presented by Basic, or a refresh token.

    Attributes:
        permissions, projects: the limits of an access token, `None` for none.
        version: of its owner; only refresh tokens end with it.
        parent: the access token that a refresh token came of.
    """

    kind: Literal["password", "token", "robot", "refresh"]
    owner: PersonModel | RobotModel
    secret: str
    public_id: str = ""
    permissions: frozenset[str] | None = None
    projects: frozenset[str] | None = None
    version: int = 0
    ended: bool = False
    parent: Credential | None = None

    @property
    def alive(self) -> bool:
        """Whether it still proves who its owner is."""
        if self.ended or not self.owner.present or (self.parent is not None and not self.parent.alive):
            return False
        return self.kind != "refresh" or self.version == self.owner.version

    @property
    def limits(self) -> Credential | None:
        """The access token, directly or behind a refresh token, that sets limits."""
        return self if self.kind == "token" else self.parent

    @property
    def must_change(self) -> bool:
        """Whether all that it opens is the change of the password."""
        return isinstance(self.owner, PersonModel) and self.owner.must_change


@dataclass(eq=False, slots=True)
class Session:
    """A browser's; whatever changes what its person may ends it."""

    owner: PersonModel
    cookie: str
    version: int
    public_id: str
    ended: bool = False

    @property
    def alive(self) -> bool:
        """Whether it still stands for its person."""
        return not self.ended and self.owner.present and self.version == self.owner.version


@dataclass(eq=False, slots=True)
class Bearer:
    """A bearer token, and what it was issued for and under.

    Attributes:
        limits: the access token that it was issued for, `None` for none.
        versions: of its owner, and of who answers for a robot.
    """

    owner: Asker
    limits: Credential | None
    token: str
    granted: dict[str, frozenset[str]]
    versions: dict[PersonModel | RobotModel, int]

    def good_for(self, project: ProjectModel) -> frozenset[str]:
        """Return what may be done with it in the project of that name that there is now."""
        if any(thing.version != version for thing, version in self.versions.items()):
            return _NONE
        return self.granted.get(project.name, _NONE) & rights(self.owner, project, self.limits)


def rights(asker: Asker, project: ProjectModel, limits: Credential | None = None) -> frozenset[str]:
    """Return what somebody may do with the repositories of a project, within the limits of what they presented."""
    allowed = {"pull"} if project.public else set[str]()
    if isinstance(asker, PersonModel):
        if not asker.present or asker.must_change:
            return _NONE
        for role in _roles_in(asker, project):
            allowed |= _ROLES[role]
    if isinstance(asker, RobotModel):
        if not asker.present:
            return _NONE
        if asker.project in (None, project):
            allowed |= asker.allowed
    if limits is not None:
        allowed = {action for action in allowed if _is_within(limits, _PERMISSIONS[action], project.name)}
    needed = {"developers": {"push"}, "team-leads": {"push", "delete"}}.get(project.creation)
    if needed is not None and needed <= allowed:
        allowed.add("create")
    if isinstance(asker, RobotModel):
        allowed &= rights(asker.sponsor, project)
    return frozenset(allowed)


def may_read_project(asker: Asker, project: ProjectModel, limits: Credential | None = None) -> bool:
    """Whether somebody sees that the project exists, and how it is set."""
    if limits is not None and not _is_within(limits, "project:read", project.name):
        return False
    if isinstance(asker, PersonModel):
        known = project.public or bool(_roles_in(asker, project))
        return asker.present and not asker.must_change and known
    if isinstance(asker, RobotModel):
        return asker.present and project.public and may_read_project(asker.sponsor, project)
    return project.public


def may_list(asker: Asker, permission: str, limits: Credential | None = None) -> bool:
    """Whether somebody has a permission on the system that administrators and auditors have, and nobody else."""
    if limits is not None and not _is_within(limits, permission, ""):
        return False
    if not isinstance(asker, PersonModel) or asker.must_change or not asker.present:
        return False
    return not asker.every_system_role().isdisjoint({"operations-admin", "auditor"})


def _roles_in(person: PersonModel, project: ProjectModel) -> set[str]:
    members = {member: role for member, role in project.members.items() if member in {person, *person.groups}}
    return set(members.values()) | person.every_system_role()


def _is_within(limits: Credential, permission: str, project: str) -> bool:
    if limits.permissions is not None and permission not in limits.permissions:
        return False
    return limits.projects is None or project in limits.projects
