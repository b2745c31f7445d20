"""The protocols of people: who exists, what logs them in, and what is left when they are removed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal, Protocol, get_args

from entrepot.metadata.list_filters import ANY_ROW, WantedRows

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "PERSON_ORDERS",
    "CredentialsRow",
    "EndedCredentials",
    "PersonIdentity",
    "PersonOrder",
    "PersonPage",
    "PersonQuery",
    "PersonRow",
    "UserReader",
    "UserWriterRows",
]

PersonOrder = Literal[
    "user_id",
    "-user_id",
    "username",
    "-username",
    "email",
    "-email",
    "realname",
    "-realname",
    "creation_time",
    "-creation_time",
    "update_time",
    "-update_time",
]
PERSON_ORDERS: Final[tuple[PersonOrder, ...]] = get_args(PersonOrder)
"""What a listing can be sorted by, as Harbor's API writes it; `-` for the greatest first."""


@dataclass(frozen=True, slots=True)
class PersonRow:
    """A person as everybody who may see them does; times are milliseconds since 1970 by the database's clock.

    Attributes:
        id: the number by which Harbor's API names the person.
        subject: the public id, which principals and audit records carry.
        is_administrator: whether the person was given the role operations-admin on the system, by name.
        administers_by_group: whether a group of theirs has it, that is not disabled.
    """

    id: int
    subject: str
    name: str
    epoch: int
    created_at: int
    disabled_at: int | None
    email: str
    realname: str
    comment: str
    must_change_password: bool
    last_login_at: int | None
    updated_at: int
    is_administrator: bool
    administers_by_group: bool

    @property
    def names(self) -> tuple[str, str, str]:
        """What the person is called, which their password may not hold."""
        return self.name, self.email, self.realname


@dataclass(frozen=True, slots=True)
class PersonIdentity:
    """What a person is told apart by; the e-mail address may be empty."""

    id: int
    name: str
    email: str


@dataclass(frozen=True, slots=True)
class CredentialsRow:
    """A person and what their password is checked against.

    Attributes:
        password_hash: `None` for somebody who never logs in by password.
        password_age_milliseconds: since it was set, `None` without one.
    """

    person: PersonRow
    password_hash: str | None
    password_age_milliseconds: int | None


@dataclass(frozen=True, slots=True)
class EndedCredentials:
    """How many of a person's credentials were deleted, of each kind."""

    sessions: int
    refresh_tokens: int
    access_tokens: int = 0


@dataclass(frozen=True, slots=True)
class PersonQuery:
    """Which people to list; empty texts filter nothing, parts are found anywhere and in either case."""

    name: str = ""
    name_part: str = ""
    email: str = ""
    email_part: str = ""
    order: PersonOrder = "username"
    skip: int = 0
    limit: int = 100
    wanted: WantedRows = ANY_ROW


@dataclass(frozen=True, slots=True)
class PersonPage:
    """A page of a listing, and how many people the filters leave in all."""

    people: Sequence[PersonRow]
    total: int


@dataclass(frozen=True, slots=True)
class OwnerlessProject:
    """A project that belongs to nobody: made on the host or before there were accounts, or its owner has left."""

    id: int
    name: str


class UserReader(Protocol):
    """People who exist; whoever was deleted is not found."""

    async def find(self, person_id: int) -> PersonRow | None:
        """Return a person by number."""
        ...

    async def find_named(self, name: str) -> PersonRow | None:
        """Return a person by login name."""
        ...

    async def find_subject(self, subject: str) -> PersonRow | None:
        """Return a person by public id."""
        ...

    async def credentials_named(self, name: str) -> CredentialsRow | None:
        """Return what a login needs."""
        ...

    async def credentials(self, person_id: int) -> CredentialsRow | None:
        """Return the same by number."""
        ...

    async def password_history(self, person_id: int, limit: int) -> Sequence[str]:
        """Return the hashes of the newest passwords, the present one first."""
        ...

    async def list_page(self, query: PersonQuery) -> PersonPage:
        """Return a page of people."""
        ...

    async def search(self, prefix: str, limit: int, skip: int) -> PersonPage:
        """Return a page of people whose name begins so, in either case, by name."""
        ...

    async def identities(self) -> Sequence[PersonIdentity]:
        """Return what all people are told apart by, by number."""
        ...

    async def any_exist(self) -> bool:
        """Whether there is anybody at all."""
        ...

    async def first_administrator(self) -> PersonRow | None:
        """Return the active operations administrator called `admin`, else the one made first; also by a group."""
        ...

    async def ownerless_projects(self, limit: int) -> Sequence[OwnerlessProject]:
        """Return projects that belong to nobody, the oldest first."""
        ...


class UserWriterRows(Protocol):
    """People within a unit. Whatever changes rights moves the person's epoch.

    A unit that gives a name or an e-mail address holds the order of changes (`EpochRows.hold_order`) before it looks
    whether somebody has it.
    """

    async def find(self, person_id: int) -> PersonRow | None:
        """Return a person by number; the row stays as it is until the unit ends."""
        ...

    async def any_exist(self) -> bool:
        """Whether there is anybody at all."""
        ...

    async def name_is_taken(self, name: str) -> bool:
        """Whether a person has the name, in whichever case."""
        ...

    async def address_is_taken(self, address: str, *, but: int = 0) -> bool:
        """Whether a person, other than the one of number `but`, has the e-mail address, in whichever case."""
        ...

    async def insert(self, subject: str, name: str, *, email: str, realname: str, comment: str) -> int | None:
        """Add a person without a password and return the number; `None` when somebody has the name."""
        ...

    async def update_profile(self, person_id: int, *, email: str, realname: str, comment: str) -> None:
        """Change what is known of a person."""

    async def set_password(self, person_id: int, password_hash: str, *, must_change: bool, kept: int) -> None:
        """Set the password now, and remember the newest `kept` ones, this one among them."""

    async def password_is(self, person_id: int, password_hash: str) -> bool:
        """Whether the password is still the one that was checked."""
        ...

    async def renew_hash(self, person_id: int, old_hash: str, new_hash: str) -> None:
        """Keep the same password under another hash, unless it was changed meanwhile."""

    async def note_login(self, person_id: int, password_hash: str) -> bool:
        """Note that the person logged in just now; `False` when meanwhile they may not, or the password is another."""
        ...

    async def disable(self, person_id: int) -> None:
        """Let the person log in no more, and end what they logged in with."""

    async def enable(self, person_id: int) -> None:
        """Let a disabled person log in again."""

    async def move_epoch(self, person_id: int) -> None:
        """Let what was issued to the person or remembered of them die."""

    async def end_logins(self, person_id: int) -> EndedCredentials:
        """Delete the person's sessions and refresh tokens, and tell how many there were."""
        ...

    async def end_credentials(self, person_id: int) -> EndedCredentials:
        """Delete the person's access tokens as well."""
        ...

    async def erase(self, person_id: int) -> None:
        """Delete all that was the person's; a nameless row stays, so that what was issued dies with its epoch."""

    async def make_administrator(self, person_id: int, creator: str) -> None:
        """Give the role operations-admin on the system."""

    async def unmake_administrator(self, person_id: int) -> None:
        """Take it away."""

    async def adopt_project(self, person_id: int, project_id: int, creator: str) -> bool:
        """Make the person owner and project-admin of a project that belongs to nobody; tell whether it did not yet."""
        ...

    async def take_over_projects(self, person_id: int, creator: str) -> int:
        """Make the person owner and project-admin of every project without an owner, and those private.

        Returns how many there were.
        """
        ...
