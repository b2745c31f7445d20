"""Makes the facts that units record, for the journal and for later consumers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import msgspec

from entrepot.metadata.records import OutboxFact

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.grants import Action, Grant, ProjectGrant, RegistryGrant
    from entrepot.auth.project_actions import ProjectAction

__all__ = ["RecordedFact", "journalled_fact", "journalled_project_fact", "journalled_registry_fact"]


@dataclass(frozen=True, slots=True)
class RecordedFact:
    """A fact with the number that the outbox gave it."""

    sequence: int
    fact: OutboxFact


def journalled_fact(grant: Grant[Action], kind: str, payload: Mapping[str, object]) -> OutboxFact:
    """Return the fact that whoever holds the grant did this to its repository; it belongs into the journal."""
    return OutboxFact(
        kind,
        grant.repository.text,
        grant.principal.subject,
        msgspec.json.encode(payload),
        journalled=True,
    )


def journalled_project_fact(
    grant: ProjectGrant[ProjectAction], kind: str, repository: str, payload: Mapping[str, object]
) -> OutboxFact:
    """Return the fact that whoever holds the grant did this to a repository of its project, for the journal."""
    subject = grant.principal.subject
    return OutboxFact(kind, repository, subject, msgspec.json.encode(payload), journalled=True)


def journalled_registry_fact(grant: RegistryGrant, kind: str, payload: Mapping[str, object]) -> OutboxFact:
    """Return the fact that whoever holds the grant did this to the registry as a whole; it belongs into the journal."""
    return OutboxFact(kind, "", grant.principal.subject, msgspec.json.encode(payload), journalled=True)
