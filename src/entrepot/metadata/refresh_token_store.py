"""The protocols of refresh tokens: kept by their hash, each bound to one subject, one service and one credential."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["NewRefreshToken", "RefreshTokenReader", "RefreshTokenRow", "RefreshTokenRows"]


@dataclass(frozen=True, slots=True)
class NewRefreshToken:
    """A refresh token as it is stored.

    Attributes:
        secret_hash: SHA-256 of the token, in hexadecimal.
        subject: public id.
        credential: public id of the access token it was obtained with; empty for none.
        subject_epoch: of the subject when its credentials were checked.
    """

    secret_hash: str
    subject: str
    credential: str
    service: str
    client_id: str
    subject_epoch: int


@dataclass(frozen=True, slots=True)
class RefreshTokenRow:
    """A refresh token that is stored, with what its subject is now.

    Attributes:
        subject_epoch: when it was issued.
        current_epoch: of the subject now.
        kind: of the subject.
        name: what people call the subject now.
    """

    subject: str
    credential: str
    service: str
    subject_epoch: int
    current_epoch: int
    kind: Literal["user", "robot"]
    name: str


class RefreshTokenReader(Protocol):
    """Refresh tokens. Each call is one statement."""

    async def find(self, secret_hash: str) -> RefreshTokenRow | None:
        """Return a refresh token, `None` when there is none, or its subject is disabled."""
        ...


class RefreshTokenRows(Protocol):
    """Refresh tokens within a unit."""

    async def add(self, token: NewRefreshToken, kept: int) -> bool:
        """Add a token and remove those of its subject and credential beyond `kept` that were unused for longest.

        Those that were used later than now, by a clock that was ahead, count as used now from then on (F27).
        False when there is no such subject.
        """
        ...

    async def carry_over(self, subject_id: int) -> None:
        """Let the tokens that were good until the subject's epoch moved within this unit go on to be good."""
        ...

    async def touch(self, secret_hash: str) -> bool:
        """Note that the token was used; tell whether it is still there."""
        ...

    async def delete_all(self, subject: str) -> int:
        """Remove all tokens of a subject (public id); return how many."""
        ...
