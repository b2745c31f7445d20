"""Builds the management API on the real services over any store; every test of it in this package begins here."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from entrepot.audit.direct_notes import DirectNotes
from entrepot.audit.export import AuditExport
from entrepot.audit.queries import AuditLog
from entrepot.audit.signed_end import NoEndSigner
from entrepot.auth.access_tokens.access_tokens import AccessTokenLimits, AccessTokens
from entrepot.auth.authenticator import CredentialAuthenticator
from entrepot.auth.cedar.engine import PolicyEngine
from entrepot.auth.credential_memory import CredentialMemory
from entrepot.auth.custom_roles import Roles
from entrepot.auth.epoch_watch import EpochWatch
from entrepot.auth.errors import AuditUnavailableError
from entrepot.auth.last_uses import LastUses
from entrepot.auth.modes import ModeGate, Modes
from entrepot.auth.people.administrators import Administrators
from entrepot.auth.people.first_administrator import ensure_first_administrator
from entrepot.auth.people.groups import Groups
from entrepot.auth.people.lockout import LockoutLimits
from entrepot.auth.people.logins import PasswordLogins
from entrepot.auth.people.password_changes import PasswordChanges
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.people.passwords import HashCost, PasswordHashing
from entrepot.auth.people.people import People
from entrepot.auth.people.sessions import SessionLimits, Sessions
from entrepot.auth.rights_of_others import RightsOfOthers
from entrepot.auth.robots.records import RobotLimits
from entrepot.auth.robots.robots import Robots
from entrepot.auth.robots.sponsored_decisions import SponsoredDecisions
from entrepot.auth.role_assignments import RoleAssignments
from entrepot.auth.role_authorizer import RoleAuthorizer
from entrepot.auth.role_decisions import RoleDecisions
from entrepot.auth.typed_names import NamedLogins, TypedNames
from entrepot.control_api.application import build_control_api
from entrepot.control_api.health_board import HealthBoard
from entrepot.control_api.services import ControlServices, SystemFacts
from entrepot.control_api.web_sessions import WebSessions
from entrepot.kernel.address_budget import AddressBudget
from entrepot.observability.metrics import build_metrics
from entrepot.projects.audit_targets import AuditTargets
from entrepot.projects.configurations import Configurations, DecidingSwitch
from entrepot.projects.labels import Labels
from entrepot.projects.members import Members
from entrepot.projects.project_metadata import ProjectMetadata
from entrepot.projects.projects import Projects
from entrepot.projects.visibility import Visibility
from entrepot.registry.journal.writer import Journal
from entrepot.registry.repositories import ProjectRepositories
from tests.plumbing.identity_doubles import CountedFailures, QuickHasher, no_obstacle

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.blobstore.driver import BlobStore
    from entrepot.kernel.asgi import Application
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata

__all__ = ["ADMIN_PASSWORD", "BuiltApi", "built_api"]

ADMIN_PASSWORD = "Zw9!kvRt-canary-0"


class ListedNotes:
    """Keeps notes in memory."""

    def __init__(self) -> None:
        self.records: list[NewAuditRecord] = []
        self.is_full = False

    async def note(self, record: NewAuditRecord) -> None:
        """Keep a record."""
        if self.is_full:
            raise AuditUnavailableError("the disk is full")
        self.records.append(record)


class FixedFacts:
    """What the registry tells about itself in these tests."""

    async def current(self) -> SystemFacts:
        """Return the facts."""
        return SystemFacts("1.2.3", "", "filesystem", False, "adminonly", "", 1)


@dataclass(frozen=True, slots=True)
class BuiltApi:
    """The application, and what else can decide and recognise with the same parts."""

    application: Application
    services: ControlServices
    epochs: EpochWatch
    authorizer: RoleAuthorizer
    notes: ListedNotes


def _logins(
    metadata: Metadata,
    hashing: PasswordHashing,
    policy: PasswordPolicy,
    lockout: LockoutLimits,
    names: TypedNames,
) -> tuple[NamedLogins, NamedLogins]:
    """Return how people log in, and how they show their password once more in a session."""
    notes = DirectNotes(metadata)
    at_entrances = PasswordLogins(metadata, notes, hashing, policy, lockout)
    in_sessions = PasswordLogins(metadata, notes, hashing, policy, lockout, wrong_status=403)
    return NamedLogins(at_entrances, names), NamedLogins(in_sessions, names)


@contextlib.asynccontextmanager
async def built_api(metadata: Metadata, blobs: BlobStore, directory: Path) -> AsyncIterator[BuiltApi]:
    """Build the API with its first administrator, whose password need not be changed."""
    hashing = PasswordHashing(HashCost(memory_kibibytes=8, passes=1, lanes=1))
    policy, lockout = PasswordPolicy(PasswordLimits()), LockoutLimits()
    await ensure_first_administrator(metadata, hashing, policy, directory, ADMIN_PASSWORD)
    epochs = EpochWatch(metadata.epochs, 300)
    await epochs.refresh()
    decisions = SponsoredDecisions(RoleDecisions(metadata.standings, PolicyEngine(), epochs))
    authorizer, rights = RoleAuthorizer(decisions), RightsOfOthers(metadata.standings, decisions)
    names = TypedNames(metadata, b"a key of the tests")
    logins, in_sessions = _logins(metadata, hashing, policy, lockout, names)
    memory, hasher, notes = CredentialMemory(epochs), QuickHasher(), ListedNotes()
    configurations = Configurations(metadata, decisions)
    journal = Journal(blobs, await metadata.instance.incarnation())
    gate = ModeGate(Modes(), DecidingSwitch(configurations), no_obstacle)
    services = ControlServices(
        authorizer=authorizer,
        authenticator=CredentialAuthenticator(
            metadata=metadata,
            notes=DirectNotes(metadata),
            names=names,
            passwords=logins,
            hasher=hasher,
            failures=CountedFailures(),
            memory=memory,
            uses=LastUses(metadata),
            is_too_old=policy.is_too_old,
        ),
        sessions=WebSessions(Sessions(metadata, logins, policy, SessionLimits(), rights)),
        notes=notes,
        targets=AuditTargets(metadata),
        system=FixedFacts(),
        health=HealthBoard({"database": metadata.instance.ping}),
        metrics=build_metrics(CollectorRegistry()),
        decisions=decisions,
        people=People(metadata, hashing, policy, rights),
        password_changes=PasswordChanges(metadata, DirectNotes(metadata), hashing, policy, lockout, rights),
        administrators=Administrators(metadata, decisions),
        groups=Groups(metadata, rights),
        projects=Projects(metadata, configurations, decisions),
        visibility=Visibility(metadata, decisions),
        project_metadata=ProjectMetadata(metadata, decisions),
        members=Members(metadata, decisions),
        labels=Labels(metadata),
        configurations=configurations,
        repositories=ProjectRepositories(metadata, journal, gate),
        robots=Robots(metadata, decisions, hasher, memory, RobotLimits()),
        access_tokens=AccessTokens(metadata, memory, AccessTokenLimits(), rights, in_sessions),
        roles=Roles(metadata, decisions),
        role_assignments=RoleAssignments(metadata, decisions),
        audit_log=AuditLog(metadata, notes),
        audit_export=AuditExport(metadata, NoEndSigner("there are no keys in these tests")),
        memory=memory,
        epochs=epochs,
    )
    try:
        application = build_control_api(services, "", "1.2.3", AddressBudget(100))
        yield BuiltApi(application, services, epochs, authorizer, notes)
    finally:
        hashing.close()
