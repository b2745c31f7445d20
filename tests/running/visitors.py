"""Who asks the registry of a setup: with accounts as a customer runs it, by tokens or by Basic, or without accounts.

Every run has each of them on one of the four setups, and tokens on two; on which changes with the commit, so that four
commits bring each of them to each setup. Tests are written once for all of them.
"""

from __future__ import annotations

import contextlib
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

import httpx
import pytest

from tests.running.authorising import TokenAuthorisation
from tests.running.entrepot import RunningEntrepot
from tests.running.with_accounts import ADMINISTRATOR, EntrepotWithAccounts

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.running.control_client import Account
    from tests.running.setups import Setup

__all__ = ["Access", "Visitor", "access", "access_of", "make_registry", "visited_registry", "visitor"]

_PROJECT_OF_SHORT_NAMES: Final = "library"


class Access(StrEnum):
    """How somebody is let in."""

    TOKENS = "tokens"
    BASIC = "basic"
    ANONYMOUS = "anonymous"
    """The registry has no accounts."""


_ROTATION: Final = (Access.TOKENS, Access.BASIC, Access.TOKENS, Access.ANONYMOUS)


def access_of(place: int, seed: int) -> Access:
    """Return how one is let in at the setup in this place when the seed is this one."""
    return _ROTATION[(place + seed) % len(_ROTATION)]


def make_registry(access: Access, directory: Path, settings: dict[str, dict[str, Any]]) -> RunningEntrepot:
    """Return a registry, not started yet, that lets in this way."""
    kind = RunningEntrepot if access is Access.ANONYMOUS else EntrepotWithAccounts
    return kind(directory, settings=settings)


@contextlib.contextmanager
def visited_registry(
    access: Access, directory: Path, settings: dict[str, dict[str, Any]]
) -> Iterator[tuple[RunningEntrepot, Visitor]]:
    """Run a registry that lets in this way, and yield it with its visitor; at the end it must stop cleanly."""
    with make_registry(access, directory, settings) as running:
        yield running, Visitor(running, access)
        running.stop()


class Visitor:
    """Somebody who may do everything in one registry, and how they prove it. Tokens are kept for all their clients.

    Attributes:
        access: how they are let in.
        account: what a client program logs in with; `None` when there are no accounts.
        auth: what a client of httpx is given.
    """

    def __init__(self, registry: RunningEntrepot, access: Access) -> None:
        self.access: Final = access
        self.account: Final[Account | None] = None if access is Access.ANONYMOUS else ADMINISTRATOR
        self.auth: Final = _authorisation(access)
        self._registry = registry
        self._projects: set[str] = set()

    @property
    def basic(self) -> httpx.Auth | None:
        """What a client of httpx is given that can't reach the token service."""
        return None if self.account is None else httpx.BasicAuth(self.account.name, self.account.secret)

    def make_project(self, name: str) -> None:
        """Make a project, unless it was made before; without accounts there are none to make."""
        if isinstance(self._registry, EntrepotWithAccounts) and name not in self._projects:
            self._registry.control().create_project(name)
            self._projects.add(name)

    def make_room(self, repository: str) -> str:
        """Make the project of a repository, and return the repository."""
        project, slash, _ = repository.partition("/")
        self.make_project(project if slash else _PROJECT_OF_SHORT_NAMES)
        return repository


def _authorisation(access: Access) -> httpx.Auth | None:
    match access:
        case Access.TOKENS:
            return TokenAuthorisation(ADMINISTRATOR)
        case Access.BASIC:
            return httpx.BasicAuth(ADMINISTRATOR.name, ADMINISTRATOR.secret)
        case Access.ANONYMOUS:
            return None


@pytest.fixture(scope="session")
def access(setup: Setup, rotating_seed: int) -> Access:
    """Return how one is let in at this setup."""
    return access_of(list(type(setup)).index(setup), rotating_seed)


@pytest.fixture(scope="session")
def visitor(registry: RunningEntrepot, access: Access) -> Visitor:
    """Return who asks the registry of this setup."""
    return Visitor(registry, access)
