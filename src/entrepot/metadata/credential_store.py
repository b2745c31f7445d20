"""The protocol by which an authenticator looks up what was presented to it. Each call is one point read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from typing import Literal

__all__ = [
    "CredentialReader",
    "StoredPerson",
    "StoredRobotCredential",
    "StoredSponsor",
    "StoredSubject",
    "StoredTokenCredential",
]


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """Which subject a login name is, and its epoch."""

    subject: str
    epoch: int


@dataclass(frozen=True, slots=True)
class StoredSponsor:
    """Who answers for a robot.

    Attributes:
        subject: the public id of a person, or of an operator of the host: `host:` and a login name.
        epoch: of the person; `None` when there is no such person, as for operators of the host.
    """

    subject: str
    epoch: int | None


@dataclass(frozen=True, slots=True)
class StoredRobotCredential:
    """What tells whether a robot may log in.

    Attributes:
        secret_hash: 64 hexadecimal digits of SHA-256, or an argon2id hash.
        expires_at: milliseconds since 1970 by the database's clock; `None` for never.
        remaining_milliseconds: until then.
    """

    subject: str
    name: str
    epoch: int
    disabled: bool
    expires_at: int | None
    remaining_milliseconds: int | None
    secret_hash: str = field(repr=False)
    allowed_addresses: bytes
    sponsor: StoredSponsor


@dataclass(frozen=True, slots=True)
class StoredTokenCredential:
    """What tells whether an access token is good, and whose it is; its end and the remaining time as for robots."""

    subject: str
    name: str
    epoch: int
    disabled: bool
    must_change_password: bool
    password_age_milliseconds: int | None
    credential: str
    scopes: bytes
    expires_at: int | None
    remaining_milliseconds: int | None
    secret_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class StoredSubject:
    """A subject as it is now, and the access token that it once came with, if it was asked for and is still there.

    Attributes:
        password_age_milliseconds: since it was set; `None` for who has none.
        expired, sponsor: of a robot.
        credential: the token's public id; `None` without one.
        credential_expired: of the token.
        ends_at: when the robot or the token expires, as for robots above.
    """

    kind: Literal["user", "robot"]
    subject: str
    name: str
    epoch: int
    disabled: bool
    must_change_password: bool
    password_age_milliseconds: int | None
    expired: bool
    allowed_addresses: bytes
    credential: str | None
    scopes: bytes
    credential_expired: bool
    sponsor: StoredSponsor | None
    ends_at: int | None


class CredentialReader(Protocol):
    """Looks up credentials."""

    async def find_person(self, name: str) -> StoredPerson | None:
        """Return a person who is not disabled, by login name."""
        ...

    async def find_robot(self, name: str) -> StoredRobotCredential | None:
        """Return a robot by full name."""
        ...

    async def find_token(self, secret_hash: str) -> StoredTokenCredential | None:
        """Return an access token and its person by the hash of its secret."""
        ...

    async def find_subject(self, subject: str, credential: str) -> StoredSubject | None:
        """Return a person or robot by public id, with the access token of that public id if it is theirs."""
        ...
