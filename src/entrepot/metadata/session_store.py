"""The protocols of logins in a browser. A session lives as long as its person's epoch stays where it was (S14).

One that was begun or used later than now was so under a clock that has been put back (F27), and how long ago, nobody
knows any more. It is over: whoever meets it removes it, before the clock comes to where it would be good again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from entrepot.kernel.clock import LEEWAY_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "LEEWAY_MILLISECONDS",
    "EndedSession",
    "NewSession",
    "SessionReader",
    "SessionRow",
    "SessionWriterRows",
]

LEEWAY_MILLISECONDS: Final = 1000 * LEEWAY_SECONDS
"""How far a clock is put back without a login ending for it: that of tokens (decision 34)."""


@dataclass(frozen=True, slots=True)
class NewSession:
    """A session as it is added; it ends after `lifetime_milliseconds` in any case."""

    public_id: str
    secret_hash: str
    person_id: int
    epoch: int
    address: str
    user_agent: str
    lifetime_milliseconds: int


@dataclass(frozen=True, slots=True)
class SessionRow:
    """A session that is in time and in use.

    Attributes:
        idle_milliseconds: since the last request that was noted.
        password_age_milliseconds: `None` for somebody without a password.
        epoch: that of the person when it began, which is the present one while it is good.
    """

    id: int
    public_id: str
    person_id: int
    subject: str
    name: str
    address: str
    user_agent: str
    created_at: int
    last_seen_at: int
    expires_at: int
    idle_milliseconds: int
    must_change_password: bool
    password_age_milliseconds: int | None
    epoch: int

    @property
    def ahead_milliseconds(self) -> int:
        """How far ahead of the database's clock it was begun or used last; 0 where that is possible."""
        now = self.last_seen_at + self.idle_milliseconds
        ahead = max(self.created_at, self.last_seen_at) - now
        return ahead if ahead > LEEWAY_MILLISECONDS else 0


@dataclass(frozen=True, slots=True)
class EndedSession:
    """A session that was removed as it was dated so many milliseconds ahead of the database's clock."""

    public_id: str
    ahead_milliseconds: int


class SessionReader(Protocol):
    """Sessions that are good: in time, in use, and of a person who is not disabled and whose epoch did not move.

    Also those that are dated ahead: they are refused, and have to be seen by whoever may end them (F27).
    """

    async def find(self, secret_hash: str, idle_milliseconds: int) -> SessionRow | None:
        """Return the session with a secret, unless it was idle for longer than that; also one that is dated ahead."""
        ...

    async def find_public(self, public_id: str) -> SessionRow | None:
        """Return a session by public id, whether or not it is still good."""
        ...

    async def list_all(self, idle_milliseconds: int, limit: int, skip: int) -> Sequence[SessionRow]:
        """Return up to `limit` sessions of everybody, the oldest first, without the first `skip`."""
        ...

    async def count_all(self, idle_milliseconds: int) -> int:
        """Return how many sessions of everybody there are."""
        ...

    async def list_of(self, person_id: int, idle_milliseconds: int) -> Sequence[SessionRow]:
        """Return one person's, the oldest first."""
        ...


class SessionWriterRows(Protocol):
    """Sessions within a unit."""

    async def insert(self, session: NewSession, kept: int) -> None:
        """Add a session and end the person's oldest beyond the newest `kept`, and those of them that are dated ahead.

        Some of anybody's that are over, or dated ahead, are removed, too.
        """

    async def touch(self, session_id: int) -> None:
        """Note that the session was used just now."""

    async def find(self, public_id: str) -> SessionRow | None:
        """Return a session by public id, whether or not it was idle for long."""
        ...

    async def hold_good(self, public_id: str) -> bool:
        """Tell whether a session is there, in time and not dated ahead, and keep it there until the unit ends."""
        ...

    async def remove_dated_ahead(self, limit: int) -> Sequence[EndedSession]:
        """Remove up to `limit` sessions of anybody that are dated ahead, the oldest first, and return them."""
        ...

    async def delete(self, session_id: int) -> None:
        """End a session."""
