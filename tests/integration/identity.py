"""A store with people, robots and projects in it, and what decides over them; SQLite, without a server."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.auth.cedar.engine import PolicyEngine
from entrepot.auth.epoch_watch import EpochWatch
from entrepot.auth.principals import ANONYMOUS, CredentialLimits, Principal
from entrepot.auth.role_authorizer import RoleAuthorizer
from entrepot.auth.role_decisions import RoleDecisions
from entrepot.metadata.sql.opening import open_metadata
from tests.drivers.metadata.counting import CountingObserver
from tests.drivers.metadata.identity_rows import IdentityRows
from tests.drivers.metadata.raw_database import RawDatabase
from tests.running.laid_schema import lay_schema

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.auth.principals import PrincipalKind
    from entrepot.metadata.store import Metadata

__all__ = ["ANYBODY", "Identity", "open_identity", "principal"]

ANYBODY = Principal(ANONYMOUS, "10.0.0.1", forwarded=False)


@dataclass(frozen=True)
class Identity:
    """What a test looks at."""

    database: RawDatabase
    rows: IdentityRows
    metadata: Metadata
    counts: CountingObserver
    epochs: EpochWatch
    decisions: RoleDecisions
    authorizer: RoleAuthorizer


@asynccontextmanager
async def open_identity(directory: Path) -> AsyncIterator[Identity]:
    """Make an empty store, and all that decides over it."""
    database = RawDatabase(f"sqlite://{directory}/metadata.db")
    lay_schema(database.path)
    counts = CountingObserver()
    metadata = await open_metadata(database.url, 20, 10.0, counts)
    epochs = EpochWatch(metadata.epochs, 300)
    await epochs.refresh()
    decisions = RoleDecisions(metadata.standings, PolicyEngine(), epochs)
    try:
        yield Identity(
            database, IdentityRows(database), metadata, counts, epochs, decisions, RoleAuthorizer(decisions)
        )
    finally:
        await metadata.aclose()


def principal(name: str, kind: PrincipalKind = "user", limits: CredentialLimits | None = None) -> Principal:
    """Return a subject that was made by :class:`IdentityRows`, as an edge finds it."""
    return Principal(f"id-{name}", "10.0.0.1", forwarded=False, name=name, kind=kind, limits=limits)
