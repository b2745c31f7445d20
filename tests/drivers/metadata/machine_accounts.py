"""People, projects and grants for tests of robots and access tokens, and the services over a store."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import msgspec
import pytest

from entrepot.audit.direct_notes import DirectNotes
from entrepot.auth.access_tokens.access_tokens import AccessTokenLimits, AccessTokens
from entrepot.auth.authenticator import CredentialAuthenticator
from entrepot.auth.credential_memory import CredentialMemory
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.grants import OwnCredentialGrant, ProjectGrant, SelfGrant, SystemGrant
from entrepot.auth.last_uses import LastUses
from entrepot.auth.principals import Origin, Principal
from entrepot.auth.project_actions import CreateRobot
from entrepot.auth.rights_of_others import RightsOfOthers
from entrepot.auth.robots.permissions import AskedPermissions
from entrepot.auth.robots.records import NewRobot, RobotLimits
from entrepot.auth.robots.robots import Robots
from entrepot.auth.system_actions import CreateSystemRobot
from entrepot.auth.typed_names import TypedNames
from tests.plumbing.identity_doubles import (
    CountedFailures,
    OnePassword,
    QuickHasher,
    ScriptedEpochs,
    TableOfDecisions,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from entrepot.auth.login_watch import LoginWatch
    from entrepot.auth.robots.records import IssuedRobot
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = [
    "ADDRESS",
    "ALICE",
    "BOB",
    "CHOSEN",
    "ORIGIN",
    "OTHER",
    "PASSWORD",
    "PULL",
    "ROBOT",
    "TEAM",
    "Accounts",
    "asked_robot",
    "audit_of",
    "credential_grant",
    "make_people",
    "new_robot",
    "on_sqlite",
    "project_grant",
    "refused",
    "self_grant",
    "system_grant",
]

TEAM: Final = 1
OTHER: Final = 2
ADDRESS: Final = "192.0.2.10"
ORIGIN: Final = Origin("request1", "docker/29", "GET", "/v2/")
PASSWORD: Final = "Right-Password-1"
ROBOT: Final = "robot$team+ci"
CHOSEN: Final = "Chosen-Secret-1"

ALICE: Final = Principal("alice-id", ADDRESS, forwarded=False, name="alice", kind="user")
BOB: Final = Principal("bob-id", ADDRESS, forwarded=False, name="bob", kind="user")

PULL: Final = (AskedPermissions("project", "team", (("repository", "pull"),)),)

on_sqlite = pytest.mark.parametrize("engine", ["sqlite"], indirect=True)
"""For what no engine decides: a rule of a service needs one database under it, not two."""

_PEOPLE: Final = """
    INSERT INTO subjects (id, public_id, kind, name, created_at) {explicit} VALUES
        (1, 'alice-id', 'user', 'alice', 1), (2, 'bob-id', 'user', 'bob', 1), (3, 'group-id', 'group', 'staff', 1);
    INSERT INTO users (subject_id, updated_at) VALUES (1, 1), (2, 1);
    INSERT INTO projects (id, public_id, name, created_at, creator) {explicit} VALUES
        (1, 'p1', 'team', 1, 'alice-id'), (2, 'p2', 'other', 1, 'alice-id')
"""
_SEQUENCE: Final = "SELECT setval(pg_get_serial_sequence('subjects', 'id'), 100)"


async def make_people(database: RawDatabase) -> None:
    """Add alice, bob, a group, and the projects team and other."""
    explicit = "" if database.is_sqlite else "OVERRIDING SYSTEM VALUE"
    for statement in _PEOPLE.replace("{explicit}", explicit).split(";"):
        await database.fetch(statement)
    if not database.is_sqlite:
        await database.fetch(_SEQUENCE)


def _is_never_too_old(age: int | None) -> bool:
    del age
    return False


@dataclass(slots=True)
class Accounts:
    """Everything over one store, wired as in a process."""

    metadata: Metadata
    epochs: ScriptedEpochs = field(default_factory=ScriptedEpochs)
    hasher: QuickHasher = field(default_factory=QuickHasher)
    failures: CountedFailures = field(default_factory=CountedFailures)
    passwords: OnePassword = field(default_factory=lambda: OnePassword("alice-id", "alice", PASSWORD))
    decisions: TableOfDecisions = field(
        default_factory=lambda: TableOfDecisions(
            {
                ("alice-id", "team"): {"repository:pull", "repository:push", "robot:create", "log:list"},
                ("alice-id", "/"): {"catalog:read"},
                ("bob-id", "team"): {"repository:pull", "robot:create"},
            },
            {TEAM: "team", OTHER: "other"},
        )
    )
    is_too_old: Callable[[int | None], bool] = _is_never_too_old
    memory: CredentialMemory = field(init=False)
    uses: LastUses = field(init=False)
    robots: Robots = field(init=False)
    rights: RightsOfOthers = field(init=False)
    tokens: AccessTokens = field(init=False)
    authenticator: CredentialAuthenticator = field(init=False)

    def __post_init__(self) -> None:
        """Build what stands on the rest."""
        self.memory = CredentialMemory(self.epochs)
        self.uses = LastUses(self.metadata)
        self.robots = Robots(self.metadata, self.decisions, self.hasher, self.memory, RobotLimits())
        self.rights = RightsOfOthers(self.metadata.standings, self.decisions)
        limits = AccessTokenLimits(most_per_person=3)
        self.tokens = AccessTokens(self.metadata, self.memory, limits, self.rights, self.passwords)
        self.authenticator = self.another_authenticator(self.memory)

    def another_authenticator(
        self, memory: CredentialMemory, watch: LoginWatch | None = None
    ) -> CredentialAuthenticator:
        """Return an authenticator with a memory of its own, as another process has."""
        return CredentialAuthenticator(
            metadata=self.metadata,
            notes=DirectNotes(self.metadata),
            names=TypedNames(self.metadata, b"a key of the tests"),
            passwords=self.passwords,
            hasher=self.hasher,
            failures=self.failures,
            memory=memory,
            uses=self.uses,
            is_too_old=self.is_too_old,
            watch=watch,
        )

    async def login(
        self, name: str, secret: str, address: str = ADDRESS, *, forwarded: bool = False
    ) -> Principal:
        """Present a name and a secret."""
        return await self.authenticator.by_basic(name, secret, address, ORIGIN, forwarded=forwarded)

    async def bear(self, token: str, address: str = ADDRESS) -> Principal:
        """Present an access token without a name."""
        return await self.authenticator.by_token(token, address, ORIGIN, forwarded=False)

    async def refresh(self, subject: str, credential: str = "", address: str = ADDRESS) -> Principal:
        """Come back as a subject that was authenticated before."""
        return await self.authenticator.by_subject(subject, credential, address, ORIGIN, forwarded=False)


def asked_robot(name: str = "ci", **changed: Any) -> NewRobot:
    """Return a robot that pulls from team."""
    permissions: Sequence[AskedPermissions] = changed.pop("permissions", PULL)
    return NewRobot(name, permissions, **changed)


def project_grant(
    action: type[Any] = CreateRobot, principal: Principal = ALICE, project_id: int = TEAM
) -> ProjectGrant[Any]:
    """Return a grant in a project."""
    return ProjectGrant(action, project_id, {TEAM: "team", OTHER: "other"}[project_id], principal)


def system_grant(action: type[Any] = CreateSystemRobot, principal: Principal = ALICE) -> SystemGrant[Any]:
    """Return a grant on the system."""
    return SystemGrant(action, principal)


def self_grant(principal: Principal = ALICE) -> SelfGrant:
    """Return a grant to one's own things."""
    return SelfGrant(principal)


def credential_grant(principal: Principal = ALICE) -> OwnCredentialGrant:
    """Return a grant to give up what one came with."""
    return OwnCredentialGrant(principal)


async def audit_of(database: RawDatabase) -> list[dict[str, Any]]:
    """Return the records in order: action, outcome, who, about what and where, and the body."""
    rows = await database.fetch(
        "SELECT action, outcome, user_name, object_name, project, body FROM audit_records ORDER BY id"
    )
    return [
        {
            "action": action,
            "outcome": outcome,
            "user": user,
            "object": about,
            "project": project,
            "body": msgspec.json.decode(bytes(body)),
        }
        for action, outcome, user, about, project, body in rows
    ]


async def new_robot(accounts: Accounts, **changed: Any) -> IssuedRobot:
    """Make the robot `ROBOT`, changed as said."""
    return await accounts.robots.create(project_grant(), asked_robot(**changed))


async def refused(accounts: Accounts, name: str, secret: str, **where: Any) -> str:
    """Log in, which must be refused, and return why, as the audit log tells it."""
    with pytest.raises(InvalidCredentialsError) as caught:
        await accounts.login(name, secret, **where)
    assert str(caught.value) == "the user name or the secret is wrong"
    return caught.value.cause
