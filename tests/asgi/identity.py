"""Small stand-ins, in memory, for what decides who somebody is and what they may do."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import msgspec

from entrepot.auth.decisions import NO_STANDING, NOTHING, ProjectStanding, RepositoryStanding
from entrepot.auth.errors import (
    AccessDeniedError,
    AuthenticationRequiredError,
    InsufficientScopeError,
    InvalidCredentialsError,
    LockedOutError,
)
from entrepot.auth.grants import Action, CatalogGrant, Delete, Grant, Pull, Push, RegistryGrant
from entrepot.auth.keys.key_pairs import SigningKey
from entrepot.auth.keys.key_ring import KeyRing
from entrepot.auth.principals import Principal
from entrepot.metadata.epoch_store import EpochsNamed
from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from entrepot.auth.principals import Origin
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.oci.names import RepositoryName

A = TypeVar("A", bound=Action)

__all__ = [
    "ALICE",
    "ISSUER",
    "SERVICE",
    "AccessAuthorizer",
    "Clock",
    "KeptNotes",
    "KnownPeople",
    "KnownRights",
    "Looks",
    "SettableEpochs",
    "ring_of",
]

SERVICE: Final = "registry.example"
ISSUER: Final = "entrepot"
ALICE: Final = Principal("alice-id", "", forwarded=False, name="alice", kind="user", epoch=3)


@dataclass(slots=True)
class Clock:
    """A clock that stands until it is moved; serves as the database's, too."""

    seconds: float = 1_800_000_000.0

    def __call__(self) -> float:
        """Return the time."""
        return self.seconds


def ring_of(clock: Clock, *keys: SigningKey) -> KeyRing:
    """Return a ring whose first key signs."""
    made = keys or (SigningKey.generate(),)
    ring = KeyRing(clock)
    ring.install(made[0], {key.key_id: key.public for key in made}, clock.seconds)
    return ring


@dataclass(slots=True)
class KnownPeople:
    """Implements `Authenticator` on two dictionaries."""

    by_secret: dict[tuple[str, str], Principal] = field(default_factory=lambda: {("alice", "s3cret"): ALICE})
    subjects: dict[tuple[str, str], Principal] = field(default_factory=lambda: {("alice-id", ""): ALICE})
    locked: set[str] = field(default_factory=set[str])
    asked: list[str] = field(default_factory=list[str])

    async def by_basic(
        self, name: str, secret: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        """See the protocol."""
        self.asked.append(name)
        if name in self.locked:
            raise LockedOutError(77)
        found = self.by_secret.get((name, secret))
        if found is None:
            raise InvalidCredentialsError("unknown")
        return msgspec.structs.replace(found, address=address, origin=origin, forwarded=forwarded)

    async def by_token(self, token: str, address: str, origin: Origin, *, forwarded: bool) -> Principal:
        """See the protocol."""
        return await self.by_basic("", token, address, origin, forwarded=forwarded)

    async def by_subject(
        self, subject: str, credential: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        """See the protocol."""
        found = self.subjects.get((subject, credential))
        if found is None:
            raise InvalidCredentialsError("gone")
        return msgspec.structs.replace(found, address=address, origin=origin, forwarded=forwarded)


@dataclass(slots=True)
class KnownRights:
    """Implements `Decisions`: actions by subject and repository; a project exists when it has an epoch."""

    actions: dict[tuple[str, str], frozenset[str]] = field(
        default_factory=dict[tuple[str, str], frozenset[str]]
    )
    projects: dict[str, int] = field(default_factory=lambda: {"team": 5, "other": 9})
    registry: dict[str, frozenset[str]] = field(default_factory=dict[str, frozenset[str]])
    epochs_by_repository: dict[str, int] = field(default_factory=dict[str, int])
    asked: list[tuple[Principal, str]] = field(default_factory=list["tuple[Principal, str]"])
    looked_at: list[str | int] = field(default_factory=list["str | int"])

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
        """See the protocol."""
        self.asked.append((principal, repository.text))
        epoch = self.projects.get(repository.project)
        if epoch is None:
            return NO_STANDING
        allowed = self.actions.get((principal.subject, repository.text), NOTHING)
        if (limits := principal.limits) is not None:
            allowed = frozenset(
                one for one in allowed if limits.allow(f"repository:{one}", repository.project)
            )
        return RepositoryStanding(
            repository.project, self.epochs_by_repository.get(repository.text, epoch), allowed
        )

    async def on_registry(self, principal: Principal) -> frozenset[str]:
        """See the protocol."""
        return self.registry.get(principal.subject, NOTHING)

    async def in_every_project(self, principal: Principal) -> frozenset[str]:
        """See the protocol."""
        return NOTHING

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding | None:
        """See the protocol."""
        self.looked_at.append(project)
        epoch = self.projects.get(str(project))
        return None if epoch is None else ProjectStanding(1, str(project), epoch, NOTHING)


@dataclass(slots=True)
class KeptNotes:
    """Implements `AuditNotes`."""

    records: list[NewAuditRecord] = field(default_factory=list["NewAuditRecord"])

    async def note(self, record: NewAuditRecord) -> None:
        """See the protocol."""
        self.records.append(record)


@dataclass(slots=True)
class SettableEpochs:
    """Implements `Epochs`: everything is current until it is said to have moved."""

    subjects: dict[str, int] = field(default_factory=dict[str, int])
    projects: dict[str, int] = field(default_factory=dict[str, int])
    forgotten: dict[str, int] = field(default_factory=dict[str, int])
    """What moved so long ago that only the database tells."""
    gone: set[str] = field(default_factory=set[str])
    is_fresh: bool = True
    asked: int = 0

    def require_fresh(self) -> None:
        """See the protocol."""
        if not self.is_fresh:
            raise MetadataUnavailableError("not heard of")

    def is_current(self, subject: str, subject_epoch: int, projects: Mapping[str, int]) -> bool:
        """See the protocol."""
        if self.subjects.get(subject, subject_epoch) > subject_epoch:
            return False
        return all(self.projects.get(name, epoch) <= epoch for name, epoch in projects.items())

    async def ask(self, subjects: Collection[str], projects: Collection[str]) -> EpochsNamed:
        """See the protocol."""
        self.asked += 1
        epochs = dict.fromkeys((*subjects, *projects), 0) | self.subjects | self.projects | self.forgotten
        return EpochsNamed(
            {name: epochs[name] for name in subjects if name not in self.gone},
            {name: epochs[name] for name in projects},
            frozenset(self.forgotten),
        )

    def moves(self) -> int:
        """See the protocol."""
        return sum(self.subjects.values()) + sum(self.projects.values())


_NEEDED: Final[dict[type[Action], str]] = {Pull: "pull", Push: "push", Delete: "delete"}


@dataclass(frozen=True, slots=True)
class AccessAuthorizer:
    """Implements `Authorizer` on what a token carries, and on `KnownRights` for everybody else."""

    rights: KnownRights

    async def authorize(self, principal: Principal, action: type[A], repository: RepositoryName) -> Grant[A]:
        """See the protocol."""
        needed = _NEEDED[action]
        if principal.access is not None:
            allowed = principal.access.get(repository.text, NOTHING)
        else:
            allowed = (await self.rights.on_repository(principal, repository)).actions
        if needed in allowed:
            return Grant(action, repository, principal, "create" in allowed, "overwrite" in allowed)
        if principal.access is not None:
            raise InsufficientScopeError(f"repository:{repository}:{needed}")
        if principal.kind == "anonymous":
            raise AuthenticationRequiredError
        raise AccessDeniedError("requested access to the resource is denied")

    async def authorize_registry(self, principal: Principal) -> RegistryGrant:
        """See the protocol."""
        if principal.kind == "anonymous" and principal.access is None:
            raise AuthenticationRequiredError
        return RegistryGrant(principal)

    async def authorize_catalog(self, principal: Principal) -> CatalogGrant:
        """See the protocol."""
        if principal.access is None or "catalog" not in principal.access.get("*", NOTHING):
            raise InsufficientScopeError("registry:catalog:*")
        return CatalogGrant(principal)


@dataclass(slots=True)
class Looks:
    """Stands in for the watch of epochs: counts looks, and does meanwhile what a test says."""

    count: int = 0
    meanwhile: Callable[[], object] = tuple

    async def again(self) -> None:
        """Look."""
        self.count += 1
        self.meanwhile()
