"""What the endpoints of the management API may call."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.audit.export import AuditExport
    from entrepot.audit.queries import AuditLog
    from entrepot.auth.access_tokens.access_tokens import AccessTokens
    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.authentication import Authenticator
    from entrepot.auth.credential_memory import ForgetsCredentials
    from entrepot.auth.custom_roles import Roles
    from entrepot.auth.decisions import Decisions
    from entrepot.auth.grants import ControlAuthorizer
    from entrepot.auth.people.administrators import Administrators
    from entrepot.auth.people.groups import Groups
    from entrepot.auth.people.password_changes import PasswordChanges
    from entrepot.auth.people.people import People
    from entrepot.auth.robots.robots import Robots
    from entrepot.auth.role_assignments import RoleAssignments
    from entrepot.control_api.browser_sessions import BrowserSessions
    from entrepot.control_api.health_board import HealthBoard
    from entrepot.observability.metrics import Metrics
    from entrepot.projects.audit_targets import AuditTargets
    from entrepot.projects.configurations import Configurations
    from entrepot.projects.labels import Labels
    from entrepot.projects.members import Members
    from entrepot.projects.project_metadata import ProjectMetadata
    from entrepot.projects.projects import Projects
    from entrepot.projects.visibility import Visibility
    from entrepot.registry.repositories import ProjectRepositories

__all__ = ["ControlServices", "SystemFacts", "SystemFactsSource"]


class SystemFacts(msgspec.Struct, frozen=True):
    """What the registry tells about itself.

    Attributes:
        version: of this program.
        external_url: the address under which people reach it, as `https://registry.example`; empty when not set.
        storage: the kind of blob store, as `filesystem` or `s3`.
        project_creation: `everyone` or `adminonly`.
        now: the database's clock, in milliseconds.
    """

    version: str
    external_url: str
    storage: str
    read_only: bool
    project_creation: str
    banner: str
    now: int


class SystemFactsSource(Protocol):
    """Where these facts are found; some are settings that can change while the registry runs."""

    async def current(self) -> SystemFacts:
        """Return the facts as they are now."""
        ...


class WatchedEpochs(Protocol):
    """Whose rights changed of late; implemented by :class:`entrepot.auth.epoch_watch.EpochWatch`."""

    async def refresh(self) -> None:
        """Look now.

        Raises:
            MetadataError: the database did not answer.
        """

    def is_current(self, subject: str, subject_epoch: int, projects: Mapping[str, int]) -> bool:
        """Whether nothing moved beyond these epochs, as far as is known."""
        ...


@dataclass(frozen=True, slots=True)
class ControlServices:
    """What endpoints may call. Every method of a service demands a grant, but of what only records are made of.

    Attributes:
        targets: what refused requests were meant for, for their records.
        memory: told whose credentials were taken, so that none of them is taken from memory.
        epochs: looked at before a request may change something, and again when it has, before it is answered, so that
            this process decides by it at once: others learn of it within seconds.
    """

    authorizer: ControlAuthorizer
    authenticator: Authenticator
    sessions: BrowserSessions
    notes: AuditNotes
    targets: AuditTargets
    system: SystemFactsSource
    health: HealthBoard
    metrics: Metrics
    decisions: Decisions
    people: People
    password_changes: PasswordChanges
    administrators: Administrators
    groups: Groups
    projects: Projects
    visibility: Visibility
    project_metadata: ProjectMetadata
    members: Members
    labels: Labels
    configurations: Configurations
    repositories: ProjectRepositories
    robots: Robots
    access_tokens: AccessTokens
    roles: Roles
    role_assignments: RoleAssignments
    audit_log: AuditLog
    audit_export: AuditExport
    memory: ForgetsCredentials
    epochs: WatchedEpochs
