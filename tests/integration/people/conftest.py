"""The services of people over an empty store on each engine, with hashes that cost next to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import pytest

from entrepot.audit.direct_notes import DirectNotes
from entrepot.auth.cedar.engine import PolicyEngine
from entrepot.auth.epoch_watch import EpochWatch
from entrepot.auth.grants import OwnPasswordGrant, SelfGrant, SystemGrant
from entrepot.auth.people.administrators import Administrators
from entrepot.auth.people.first_administrator import ensure_first_administrator
from entrepot.auth.people.groups import Groups
from entrepot.auth.people.lockout import LockoutLimits
from entrepot.auth.people.logins import PasswordLogins
from entrepot.auth.people.new_people import NewPerson
from entrepot.auth.people.password_changes import PasswordChanges
from entrepot.auth.people.password_policy import PasswordLimits, PasswordPolicy
from entrepot.auth.people.passwords import HashCost, PasswordHashing
from entrepot.auth.people.people import People
from entrepot.auth.people.sessions import SessionLimits, Sessions
from entrepot.auth.principals import Origin, Principal
from entrepot.auth.rights_of_others import RightsOfOthers
from entrepot.auth.role_decisions import RoleDecisions
from entrepot.auth.system_actions import SystemAction
from entrepot.auth.typed_names import NamedLogins, TypedNames

# Fixtures are found by their names in the module of a test or of a conftest.
from tests.drivers.metadata.conftest import (
    counts,
    database,
    empty_url,
    engine,
    metadata,
    schema_url,
    shared_database_url,
)

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from entrepot.auth.authentication import PasswordLogin
    from entrepot.metadata.store import Metadata
    from entrepot.metadata.user_store import PersonRow
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = [
    "ADDRESS",
    "ADMIN_PASSWORD",
    "ALICE_PASSWORD",
    "CHEAP",
    "ORIGIN",
    "Office",
    "counts",
    "database",
    "empty_url",
    "engine",
    "metadata",
    "own",
    "schema_url",
    "shared_database_url",
]

CHEAP: Final = HashCost(memory_kibibytes=8, passes=1, lanes=1)
ADDRESS: Final = "192.0.2.7"
ORIGIN: Final = Origin("request-1", "agent/1", "GET", "/v2/")
ADMIN_PASSWORD: Final = "Zw9!kvRt-canary-0"
ALICE_PASSWORD: Final = "Bq7#mxLp-canary-1"


@dataclass(frozen=True, slots=True)
class Office:
    """All services, and the administrator who uses them."""

    metadata: Metadata
    database: RawDatabase
    hashing: PasswordHashing
    policy: PasswordPolicy
    logins: PasswordLogin
    people: People
    changes: PasswordChanges
    administrators: Administrators
    groups: Groups
    sessions: Sessions
    rights: RightsOfOthers
    admin: Principal

    def grant(self, principal: Principal | None = None) -> SystemGrant[Any]:
        """Return what an authorizer would have given an administrator for whatever is asked."""
        return SystemGrant(SystemAction, principal or self.admin)

    async def make(self, name: str, password: str = ALICE_PASSWORD) -> PersonRow:
        """Make a person."""
        return await self.people.create(self.grant(), NewPerson(name), password)

    async def log_in(
        self, name: str, password: str, address: str = ADDRESS, *, forwarded: bool = False
    ) -> Principal:
        """Present a password."""
        return await self.logins.by_password(name, password, address, ORIGIN, forwarded=forwarded)

    async def epoch_of(self, person_id: int) -> int:
        """Return the epoch of a person, deleted or not."""
        epoch: int = await self.database.value(f"SELECT epoch FROM subjects WHERE id = {person_id}")
        return epoch

    async def records(self) -> list[tuple[str, str, str]]:
        """Return action, outcome and object of every record, in order."""
        return await self.database.fetch("SELECT action, outcome, object_name FROM audit_records ORDER BY id")


def own(principal: Principal) -> SelfGrant:
    """Return the grant to what is one's own."""
    return SelfGrant(principal)


def own_password(principal: Principal) -> OwnPasswordGrant:
    """Return the grant to change one's password."""
    return OwnPasswordGrant(principal)


@pytest.fixture
def hashing() -> Iterator[PasswordHashing]:
    """Two threads that hash cheaply."""
    made = PasswordHashing(CHEAP)
    yield made
    made.close()


@pytest.fixture
async def office(
    metadata: Metadata,
    database: RawDatabase,
    hashing: PasswordHashing,
    tmp_path: Path,
) -> Office:
    """A registry with its first administrator and nobody else."""
    policy = PasswordPolicy(PasswordLimits())
    limits = LockoutLimits(attempts=3, window_seconds=60, lock_seconds=60)
    assert await ensure_first_administrator(metadata, hashing, policy, tmp_path, ADMIN_PASSWORD)
    epochs = EpochWatch(metadata.epochs, 300)
    await epochs.refresh()
    decisions = RoleDecisions(metadata.standings, PolicyEngine(), epochs)
    rights = RightsOfOthers(metadata.standings, decisions)
    names = TypedNames(metadata, b"a key of the tests")
    logins = NamedLogins(PasswordLogins(metadata, DirectNotes(metadata), hashing, policy, limits), names)
    subject = await database.value("SELECT public_id FROM subjects WHERE name = 'admin'")
    return Office(
        metadata,
        database,
        hashing,
        policy,
        logins,
        People(metadata, hashing, policy, rights),
        PasswordChanges(metadata, DirectNotes(metadata), hashing, policy, limits, rights),
        Administrators(metadata, decisions),
        Groups(metadata, rights),
        Sessions(metadata, logins, policy, SessionLimits(concurrent=2), rights),
        rights,
        Principal(subject, ADDRESS, forwarded=False, name="admin", kind="user", origin=ORIGIN),
    )
