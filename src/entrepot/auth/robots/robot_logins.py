"""Robots that present their secret."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.credential_memory import Verified
from entrepot.auth.forwarding import place_of_address
from entrepot.auth.generated_secrets import is_unguessable
from entrepot.auth.login_watch import NOBODY
from entrepot.auth.machine_logins import in_seconds, is_storable_name
from entrepot.auth.people.errors import PasswordsBusyError
from entrepot.auth.principals import Principal
from entrepot.auth.robots.addresses import is_address_allowed
from entrepot.auth.robots.secrets import RobotSecrets
from entrepot.auth.robots.sponsors import sponsor_of

if TYPE_CHECKING:
    from typing import NoReturn

    from entrepot.auth.chosen_secrets import SecretHasher
    from entrepot.auth.machine_logins import Attempt, LoginBook
    from entrepot.metadata.credential_store import CredentialReader, StoredRobotCredential

__all__ = ["ROBOT_PREFIX", "RobotLogins"]

ROBOT_PREFIX: Final = "robot$"
"""How the names of robots begin, and nobody else's."""

_KIND: Final = "robot"


class RobotLogins:
    """Checks the secret first and everything else afterwards: without it nobody learns what is wrong with a robot.

    What was made here neither counts nor waits: nobody guesses 256 random bits, and builds that go on with the secret
    of yesterday would keep out all others behind their gateway. Chosen ones can be guessed; they count, and wait.
    """

    def __init__(self, credentials: CredentialReader, hasher: SecretHasher, book: LoginBook) -> None:
        self._credentials = credentials
        self._secrets = RobotSecrets(hasher)
        self._book = book

    async def verify(self, attempt: Attempt) -> Verified:
        """Return the robot.

        Raises:
            InvalidCredentialsError: unknown, wrong, disabled, expired, or not allowed from there.
            LockedOutError: too many failures for this name came from this address; not for a secret made here.
            PasswordsBusyError: too many wait to be checked; not for a secret made here.
        """
        if not is_unguessable(attempt.secret):
            await self._book.require_unlocked(attempt, _KIND)
        name = attempt.name
        row = await self._credentials.find_robot(name) if is_storable_name(name) else None
        matches = await self._matches(row, attempt)
        if row is None:
            await self._refuse(attempt, "unknown robot")
        if not matches:
            await self._refuse(attempt, "wrong secret", row.subject)
        principal = Principal(
            row.subject,
            attempt.address,
            attempt.forwarded,
            row.name,
            "robot",
            origin=attempt.origin,
            epoch=row.epoch,
            sponsor=sponsor_of(row.sponsor),
            ends_at=in_seconds(row.expires_at),
        )
        obstacle = _obstacle(row, attempt)
        if obstacle:
            await self._refuse(attempt, obstacle, row.subject, principal)
        may_be_guessed = not is_unguessable(attempt.secret)
        await self._book.admit(attempt, _KIND, principal, may_be_guessed=may_be_guessed)
        return Verified(principal, row.epoch, in_seconds(row.remaining_milliseconds))

    async def _matches(self, row: StoredRobotCredential | None, attempt: Attempt) -> bool:
        place = place_of_address(attempt.address, forwarded=attempt.forwarded)
        try:
            return await self._secrets.matches(
                None if row is None else row.secret_hash, attempt.secret, place
            )
        except PasswordsBusyError:
            await self._book.note_busy(attempt, _KIND)
            raise

    async def _refuse(
        self, attempt: Attempt, cause: str, subject: str = NOBODY, whose: Principal | None = None
    ) -> NoReturn:
        """Refuse an attempt, and count it where its secret can be a guess; only then anybody is locked out."""
        if is_unguessable(attempt.secret):
            await self._book.refuse_uncounted(attempt, _KIND, cause, whose)
        await self._book.refuse(attempt, _KIND, cause, subject, whose)


def _obstacle(row: StoredRobotCredential, attempt: Attempt) -> str:
    """Return why the right secret does not help, as the audit log tells it; empty when it does."""
    if row.disabled:
        return "disabled"
    if row.remaining_milliseconds is not None and row.remaining_milliseconds <= 0:
        return "expired"
    if not is_address_allowed(row.allowed_addresses, attempt.address, forwarded=attempt.forwarded):
        return "address not allowed"
    return ""
