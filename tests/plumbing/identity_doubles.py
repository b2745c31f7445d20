"""Stand-ins for what an authenticator and the services of robots and tokens ask: small, and counted."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
from collections import Counter
from typing import TYPE_CHECKING, Final

from entrepot.auth.decisions import NOTHING, ProjectStanding, RepositoryStanding
from entrepot.auth.errors import InvalidCredentialsError, LockedOutError
from entrepot.auth.failures import CountedFailure
from entrepot.auth.principals import Principal
from entrepot.metadata.epoch_store import EpochsNamed
from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from entrepot.auth.authentication import BeginningSession
    from entrepot.auth.principals import Origin
    from entrepot.metadata.store import Transaction
    from entrepot.oci.names import RepositoryName

__all__ = [
    "CountedFailures",
    "OnePassword",
    "QuickHasher",
    "ScriptedEpochs",
    "TableOfDecisions",
    "no_obstacle",
]

_LOCK_MILLISECONDS: Final = 900_000


class QuickHasher:
    """Implements `SecretHasher` with a salted SHA-256; counts checks, and suspends like the real one."""

    def __init__(self) -> None:
        self.checks = 0

    async def hash(self, secret: str, /, *, place: str = "") -> str:
        """Return something of the form that is stored."""
        del place
        await asyncio.sleep(0)
        return f"$argon2id$quick${hashlib.sha256(b'salt' + secret.encode()).hexdigest()}"

    async def verify(self, hashed: str | None, secret: str, /, *, place: str = "") -> bool:
        """Count, and compare."""
        del place
        self.checks += 1
        return hashed is not None and hmac.compare_digest(hashed, await self.hash(secret))


class ScriptedEpochs:
    """Implements `Epochs`: what moved is what a test says."""

    def __init__(self) -> None:
        self.seen: dict[str, int] = {}
        self.fresh = True
        self.moved = 0

    def require_fresh(self) -> None:
        """Fail when the test says so."""
        if not self.fresh:
            raise MetadataUnavailableError("not heard of for 60 s")

    def is_current(self, subject: str, subject_epoch: int, projects: Mapping[str, int]) -> bool:
        """Whether nothing was seen that is newer."""
        expected = {subject: subject_epoch, **projects}
        return all(self.seen.get(name, 0) <= epoch for name, epoch in expected.items())

    async def ask(self, subjects: Collection[str], projects: Collection[str]) -> EpochsNamed:
        """Return what was seen, and a first epoch for the rest."""
        return EpochsNamed(self._now(subjects), self._now(projects), frozenset())

    def _now(self, names: Collection[str]) -> dict[str, int]:
        return {name: self.seen.get(name, 0) for name in names}

    def moves(self) -> int:
        """Return what the test says."""
        return self.moved


class CountedFailures:
    """Implements `FailureCounter` in memory: three failures lock an account from one address."""

    def __init__(self, most: int = 3) -> None:
        self.most = most
        self.counts: Counter[tuple[str, str]] = Counter()

    async def require_unlocked(self, account: str, address: str, *, forwarded: bool) -> None:
        """Refuse whoever failed too often from there."""
        if self.counts[account, address] >= self.most:
            raise LockedOutError(_LOCK_MILLISECONDS // 1000)

    async def shorten(self, transaction: Transaction, account: str, address: str, *, forwarded: bool) -> None:
        """See the protocol: no clock runs here."""

    async def record_failure(
        self,
        transaction: Transaction,
        account: str,
        address: str,
        *,
        forwarded: bool,
    ) -> CountedFailure:
        """Count."""
        self.counts[account, address] += 1
        count = self.counts[account, address]
        return CountedFailure(_LOCK_MILLISECONDS if count > self.most else 0, locks=count == self.most)

    async def clear(
        self,
        transaction: Transaction,
        account: str,
        address: str,
        *,
        forwarded: bool,
    ) -> None:
        """Forget, unless it is locked."""
        if self.counts[account, address] < self.most:
            del self.counts[account, address]

    async def locked_meanwhile(
        self,
        transaction: Transaction,
        account: str,
        address: str,
        *,
        forwarded: bool,
    ) -> int:
        """Tell whether it is locked."""
        return _LOCK_MILLISECONDS if self.counts[account, address] >= self.most else 0


class OnePassword:
    """Implements `PasswordLogin` for one person."""

    def __init__(self, subject: str, name: str, password: str) -> None:
        self._person = (subject, name, password)
        self.checks = 0
        self.must_change_password = False

    async def by_password(
        self,
        name: str,
        password: str,
        address: str,
        origin: Origin,
        *,
        forwarded: bool,
        session: BeginningSession | None = None,
    ) -> Principal:
        """Count, suspend, and compare."""
        self.checks += 1
        await asyncio.sleep(0)
        subject, known, right = self._person
        if name != known or not hmac.compare_digest(password, right):
            raise InvalidCredentialsError("wrong password")
        return Principal(
            subject,
            address,
            forwarded,
            name,
            "user",
            origin=origin,
            must_change_password=self.must_change_password,
        )


class TableOfDecisions:
    """Implements `Decisions` by a table of subject and place: a project's name, `/` (system) or `*` (all projects)."""

    def __init__(self, table: Mapping[tuple[str, str], set[str]], projects: Mapping[int, str]) -> None:
        self.table = dict(table)
        self.projects = dict(projects)
        self.epochs: dict[str, int] = {}

    async def on_repository(self, principal: Principal, repository: RepositoryName) -> RepositoryStanding:
        """Return the actions of the permissions on repositories."""
        held = self._held(principal, repository.project)
        actions = frozenset(name.partition(":")[2] for name in held if name.startswith("repository:"))
        return RepositoryStanding(repository.project, self.epochs.get(principal.subject, 0), actions)

    async def on_registry(self, principal: Principal) -> frozenset[str]:
        """Return what the table says for the system."""
        return self._held(principal, "/")

    async def in_every_project(self, principal: Principal) -> frozenset[str]:
        """Return what the table says for `*`."""
        return self._held(principal, "*")

    async def on_project(self, principal: Principal, project: str | int) -> ProjectStanding | None:
        """Return what the table says for a project that exists."""
        numbers = {name: number for number, name in self.projects.items()}
        name = self.projects.get(project) if isinstance(project, int) else project
        if name is None or name not in numbers:
            return None
        return ProjectStanding(
            numbers[name], name, self.epochs.get(principal.subject, 0), self._held(principal, name)
        )

    def _held(self, principal: Principal, place: str) -> frozenset[str]:
        held = frozenset(self.table.get((principal.subject, place), NOTHING))
        project = "" if place in {"/", "*"} else place
        if principal.limits is None:
            return held
        return frozenset(name for name in held if principal.limits.allow(name, project))


def no_obstacle() -> str:
    """Tell a `ModeGate` that nothing stands in the way of a change."""
    return ""
