"""The protocols of access tokens: what people give to programs in place of their password."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AccessTokenReader", "AccessTokenWriterRows", "NewAccessTokenRow", "StoredAccessToken"]


@dataclass(frozen=True, slots=True)
class NewAccessTokenRow:
    """A token as it is added; `subject` is the public id of its person."""

    public_id: str
    subject: str
    name: str
    secret_hash: str = field(repr=False)
    scopes: bytes
    lifetime_milliseconds: int


@dataclass(frozen=True, slots=True)
class StoredAccessToken:
    """A token; nothing in it is secret."""

    public_id: str
    name: str
    scopes: bytes
    created_at: int
    expires_at: int | None
    last_used_at: int | None


class AccessTokenReader(Protocol):
    """Tokens as people look at them. Each call is one statement."""

    async def list_of_subject(self, subject: str) -> Sequence[StoredAccessToken]:
        """Return the tokens of a person by public id, those that expired too."""
        ...

    async def list_of_person(self, person_id: int) -> Sequence[StoredAccessToken] | None:
        """Return the tokens of a person by number; `None` when there is no such person."""
        ...

    async def find_person(self, person_id: int) -> str | None:
        """Return the public id of a person by number."""
        ...


class AccessTokenWriterRows(Protocol):
    """Tokens within a unit. Each call holds the subject, so that limits of number are kept."""

    async def hold_subject(self, subject: str) -> bool:
        """Keep other units from a person's tokens until this one ends.

        `False` when the person is gone or disabled, or was given a password that has to be changed.
        """
        ...

    async def hold_good(self, public_id: str) -> bool:
        """Tell whether a token is there and has not expired, and keep it there until the unit ends."""
        ...

    async def count_good(self, subject: str) -> int:
        """Return how many tokens the person has that have not expired."""
        ...

    async def create(self, token: NewAccessTokenRow) -> StoredAccessToken | None:
        """Add a token and return it; the one that is there when it has the same public id.

        `None` when the person has another one of that name.
        """
        ...

    async def remove(self, subject: str, public_id: str) -> StoredAccessToken | None:
        """Remove a token of the person and let what was issued for it die; `None` without such a token (S7)."""
        ...

    async def note_uses(self, public_ids: Sequence[str]) -> None:
        """Put down that tokens were used just now."""
