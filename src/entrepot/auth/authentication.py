"""Who is behind what was presented: the protocols by which edges ask, whatever kind of credential it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from entrepot.auth.principals import Origin, Principal
    from entrepot.metadata.store import Transaction

__all__ = ["Authenticator", "BeginningSession", "PasswordLogin"]


@dataclass(frozen=True, slots=True)
class BeginningSession:
    """A browser's session that begins if the password is right.

    Attributes:
        public_id: what the record of the login calls it.
        begin: adds it within the unit that records the login, given the person's number, and their epoch from before
            the password was checked. May be called again when a unit is run again.
    """

    public_id: str
    begin: Callable[[Transaction, int, int], Awaitable[None]]


class PasswordLogin(Protocol):
    """People who present their password."""

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
        """Return the person; success and failure are each audited by the unit that counts them (I11).

        A person who must choose a new password first is returned with `must_change_password`. A name that nobody has
        costs as much time as a wrong password (S19).

        Args:
            session: what begins if the password is right, in the unit of the record, which then tells its public id.

        Raises:
            InvalidCredentialsError: unknown, wrong, disabled or without a password.
            LockedOutError: too many wrong ones for this account came from this address.
        """
        ...


class Authenticator(Protocol):
    """Everybody: people, robots, access tokens."""

    async def by_basic(
        self, name: str, secret: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        """Return whom a name and a secret belong to (RFC 7617); remembered for 60 s, unless the subject changes.

        The name tells a robot (`robot$…`), the form of the secret an access token (`ept_…`); all else is a password.

        Raises:
            InvalidCredentialsError: they belong to nobody, or may not be used now or from here.
            LockedOutError: too many wrong ones for this account came from this address. Secrets that were made here
                never count among them: nobody guesses one.
        """
        ...

    async def by_token(self, token: str, address: str, origin: Origin, *, forwarded: bool) -> Principal:
        """Return whom an access token belongs to that came without a name (`Authorization: Bearer ept_…`).

        Raises:
            InvalidCredentialsError: it belongs to nobody, or may not be used now.
        """
        ...

    async def by_subject(
        self, subject: str, credential: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        """Return a subject that was authenticated before, as refresh tokens and sessions know it, as it is now.

        Args:
            subject: the public id.
            credential: the public id of the access token it was done with, whose limits hold (S15); empty for none.

        Raises:
            InvalidCredentialsError: it is disabled, deleted or expired, or its access token is gone.
        """
        ...
