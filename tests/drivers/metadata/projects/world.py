"""The services under test with what they need, and people who call them with grants that a test makes itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar

from entrepot.auth.cedar.engine import PolicyEngine
from entrepot.auth.decisions import ProjectStanding, RepositoryStanding
from entrepot.auth.grants import ProjectGrant, SelfGrant, SystemGrant
from entrepot.auth.modes import ModeGate, Modes
from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from entrepot.auth.principals import ANONYMOUS, BY_THE_HOST, CredentialLimits, Principal
from entrepot.auth.project_actions import ListRepository, ProjectAction, ReadProject
from entrepot.auth.robots.sponsored_decisions import SponsoredDecisions
from entrepot.auth.role_decisions import RoleDecisions
from entrepot.auth.system_actions import CreateProject, SystemAction
from entrepot.blobstore.memory import MemoryBlobStore
from entrepot.metadata.project_repository_store import RepositoryQuery
from entrepot.metadata.project_store import ProjectQuery
from entrepot.projects.configurations import Configurations
from entrepot.projects.labels import Labels
from entrepot.projects.members import Members
from entrepot.projects.project_metadata import ProjectMetadata
from entrepot.projects.projects import Projects
from entrepot.projects.visibility import Visibility
from entrepot.registry.journal.writer import Journal
from entrepot.registry.repositories import ProjectRepositories
from tests.asgi.identity import SettableEpochs
from tests.plumbing.identity_doubles import no_obstacle

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.principals import PrincipalKind
    from entrepot.metadata.store import Metadata
    from entrepot.oci.names import RepositoryName
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = ["ALICE", "BOB", "NOBODY", "Clock", "FixedDecisions", "World", "named"]

P = TypeVar("P", bound=ProjectAction)
S = TypeVar("S", bound=SystemAction)


def named(name: str, kind: PrincipalKind = "user", limits: CredentialLimits | None = None) -> Principal:
    """Return the principal of a subject that `World.add_subject` made; an operator of the host answers for robots."""
    sponsor = BY_THE_HOST if kind == "robot" else None
    return Principal(
        f"id-{name}", "192.0.2.1", forwarded=False, name=name, kind=kind, limits=limits, sponsor=sponsor
    )


ALICE: Final = named("alice")
BOB: Final = named("bob")
NOBODY: Final = Principal(ANONYMOUS, "192.0.2.1", forwarded=False)


class Clock:
    """Stands still until a test moves it."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


class FixedDecisions:
    """Implements `Decisions.on_project` by what a test says of each person; everybody else may do everything."""

    def __init__(self) -> None:
        self.permissions: dict[str, frozenset[str]] = {}
        self.roles: dict[str, frozenset[str]] = {}

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding:
        """Return what was said."""
        everything = frozenset(PROJECT_PERMISSIONS)
        return ProjectStanding(
            int(project),
            "",
            0,
            self.permissions.get(principal.name, everything),
            self.roles.get(principal.name, frozenset()),
        )

    async def in_every_project(self, principal: Principal) -> frozenset[str]:
        """Nobody here asks."""
        raise NotImplementedError

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
        """Nobody here asks."""
        raise NotImplementedError

    async def on_registry(self, principal: Principal) -> frozenset[str]:  # all may
        """Return everything."""
        return frozenset(SYSTEM_PERMISSIONS)


@dataclass(frozen=True, slots=True)
class World:
    """What a test works with: services that decide as the test says, and real decisions of who sees what."""

    metadata: Metadata
    database: RawDatabase
    clock: Clock
    decisions: FixedDecisions
    by_roles: SponsoredDecisions
    visibility: Visibility
    configurations: Configurations
    projects: Projects
    project_metadata: ProjectMetadata
    members: Members
    labels: Labels
    repositories: ProjectRepositories
    blobs: MemoryBlobStore

    @classmethod
    def over(cls, metadata: Metadata, database: RawDatabase) -> World:
        """Build the services."""
        clock, decisions, blobs = Clock(), FixedDecisions(), MemoryBlobStore()
        configurations = Configurations(metadata, decisions, clock=clock)
        by_roles = SponsoredDecisions(RoleDecisions(metadata.standings, PolicyEngine(), SettableEpochs()))
        return cls(
            metadata,
            database,
            clock,
            decisions,
            by_roles,
            Visibility(metadata, by_roles),
            configurations,
            Projects(metadata, configurations, decisions),
            ProjectMetadata(metadata, decisions),
            Members(metadata, decisions),
            Labels(metadata),
            ProjectRepositories(
                metadata, Journal(blobs, "here"), ModeGate(Modes(), configurations, no_obstacle)
            ),
            blobs,
        )

    async def add_subject(self, name: str, kind: str = "user") -> int:
        """Make a subject whose public id is `id-` and its name; return its number."""
        await self.database.fetch(
            f"INSERT INTO subjects (public_id, kind, name, created_at) VALUES ('id-{name}', '{kind}', '{name}', 1)"
        )
        return int(await self.database.value(f"SELECT id FROM subjects WHERE public_id = 'id-{name}'"))

    async def give(self, name: str, role: str, project_id: int | None = None) -> None:
        """Give a person or group a role, in a project or on the system."""
        where = "NULL" if project_id is None else str(project_id)
        await self.database.fetch(
            "INSERT INTO role_assignments (subject_id, project_id, role, created_at, creator) "
            f"SELECT id, {where}, '{role}', 1, 'x' FROM subjects WHERE public_id = 'id-{name}'"
        )

    async def add_custom_role(self, name: str, permissions: list[str], level: str = "project") -> None:
        """Make a custom role."""
        await self.database.fetch(
            "INSERT INTO roles (name, level, permissions, created_at, updated_at) "
            f"VALUES ('{name}', '{level}', {self._bytes(json.dumps(permissions))}, 1, 1)"
        )

    async def join(self, group: str, person: str) -> None:
        """Put a person into a group."""
        await self.database.fetch(
            "INSERT INTO group_members (group_id, user_id) VALUES "
            f"({await self.number_of(group)}, {await self.number_of(person)})"
        )

    async def must_change(self, name: str) -> None:
        """Have a person's password be due."""
        await self.database.fetch(
            "INSERT INTO users (subject_id, email, realname, comment, must_change_password, updated_at) "
            f"VALUES ({await self.number_of(name)}, '', '', '', 1, 1)"
        )

    async def number_of(self, name: str) -> int:
        """Return a subject's number."""
        return int(await self.database.value(f"SELECT id FROM subjects WHERE public_id = 'id-{name}'"))

    async def add_project(self, name: str, owner: Principal = ALICE, **metadata: str) -> int:
        """Make a project as an operations administrator who owns it."""
        return await self.projects.create(SystemGrant(CreateProject, owner), name, metadata)

    async def add_robot(self, name: str, permissions: object, project_id: int | None = None) -> None:
        """Make a robot."""
        number = await self.add_subject(name, "robot")
        stored = json.dumps(permissions)
        literal = self._bytes(stored)
        project = "NULL" if project_id is None else str(project_id)
        await self.database.fetch(
            "INSERT INTO robots (subject_id, project_id, short_name, secret_hash, permissions, allowed_addresses, "
            "duration_days, creator, updated_at) VALUES "
            f"({number}, {project}, '{name}', 'x', {literal}, {literal}, 1, 'host:root', 1)"
        )

    def _bytes(self, text: str) -> str:
        return f"CAST('{text}' AS BLOB)" if self.database.is_sqlite else f"convert_to('{text}', 'UTF8')"

    async def seen(self, principal: Principal, **query: Any) -> list[str]:
        """Return the names of the projects that somebody sees, as they are listed."""
        sight = await self.visibility.sight(principal, ReadProject)
        page = await self.projects.list_visible(sight, ProjectQuery(limit=100, **query))
        assert page.total == len(page.projects)
        return [project.name for project in page.projects]

    async def roles_told(self, principal: Principal) -> dict[str, set[str]]:
        """Return the roles that a listing tells with each project that somebody sees."""
        sight = await self.visibility.sight(principal, ReadProject)
        page = await self.projects.list_visible(sight, ProjectQuery(limit=100))
        return {project.name: set(project.roles) for project in page.projects}

    async def exists(self, principal: Principal, name: str) -> bool:
        """Whether there is a project of this name that somebody sees."""
        return await self.projects.exists(await self.visibility.sight(principal, ReadProject), name)

    async def repositories_seen(self, principal: Principal) -> list[str]:
        """Return the names of the repositories that somebody sees, in all projects."""
        sight = await self.visibility.sight(principal, ListRepository)
        page = await self.repositories.list_visible(sight, RepositoryQuery(limit=100))
        assert page.total == len(page.repositories)
        return [one.name for one in page.repositories]

    async def epoch(self, project_id: int) -> int:
        """Return a project's epoch."""
        return int(await self.database.value(f"SELECT epoch FROM projects WHERE id = {project_id}"))

    async def records(self, action: str) -> list[dict[str, Any]]:
        """Return the bodies of the audit records of an action, oldest first."""
        rows = await self.database.fetch(
            f"SELECT body FROM audit_records WHERE action = '{action}' ORDER BY id"
        )
        return [json.loads(bytes(body)) for (body,) in rows]

    async def changes(self, action: str) -> list[Mapping[str, Any]]:
        """Return what the audit records of an action say of before and after."""
        return [record["change"] for record in await self.records(action)]

    @staticmethod
    def on(
        project_id: int, action: type[P], project: str = "team", principal: Principal = ALICE
    ) -> ProjectGrant[P]:
        """Return a grant."""
        return ProjectGrant(action, project_id, project, principal)

    @staticmethod
    def on_system(action: type[S], principal: Principal = ALICE) -> SystemGrant[S]:
        """Return a grant."""
        return SystemGrant(action, principal)

    @staticmethod
    def on_self(principal: Principal) -> SelfGrant:
        """Return a grant."""
        return SelfGrant(principal)
