"""People whose programs present an access token in place of the password."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Final

from entrepot.auth.access_tokens.scopes import limits_of
from entrepot.auth.credential_memory import Verified
from entrepot.auth.generated_secrets import has_form, hash_generated
from entrepot.auth.machine_logins import in_seconds
from entrepot.auth.principals import Principal

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.auth.machine_logins import Attempt, LoginBook
    from entrepot.metadata.credential_store import CredentialReader, StoredTokenCredential

__all__ = ["TOKEN_PREFIX", "TokenLogins", "account_of_token"]

TOKEN_PREFIX: Final = "ept_"  # noqa: S105 - how secrets begin is no secret
"""How access tokens begin; what begins so is never tried as a password."""

_KIND: Final = "user"
_SHOWN_DIGITS: Final = 12


class TokenLogins:
    """The name that comes with a token must be its person's, and a token waits while its person is locked out.

    No token is counted, neither for nor against its person: nobody guesses 256 random bits, a script that goes on with
    a token of yesterday would keep its owner out, and one that is right would buy its holder guesses at the password.
    """

    def __init__(
        self, credentials: CredentialReader, book: LoginBook, is_too_old: Callable[[int | None], bool]
    ) -> None:
        self._credentials = credentials
        self._book = book
        self._is_too_old = is_too_old

    async def verify(self, attempt: Attempt) -> Verified:
        """Return the person who is named, with the limits of the token (S15).

        Raises:
            InvalidCredentialsError: unknown, expired, of somebody else or of somebody disabled.
            LockedOutError: too many wrong passwords for this name came from this address.
        """
        await self._book.require_unlocked(attempt, _KIND)
        return await self._verify(attempt, attempt.name)

    async def verify_alone(self, attempt: Attempt) -> Verified:
        """Return the person of a token that came without a name; the attempt has that of :func:`account_of_token`.

        Raises:
            InvalidCredentialsError: unknown, expired, or of somebody disabled.
        """
        return await self._verify(attempt, None)

    async def _verify(self, attempt: Attempt, person: str | None) -> Verified:
        secret_hash = hash_generated(attempt.secret)
        row = None
        if has_form(attempt.secret, TOKEN_PREFIX):
            row = await self._credentials.find_token(secret_hash)
        if row is None or not hmac.compare_digest(row.secret_hash, secret_hash):
            await self._book.refuse_uncounted(attempt, _KIND, "unknown access token")
        principal = Principal(
            row.subject,
            attempt.address,
            attempt.forwarded,
            row.name,
            "user",
            origin=attempt.origin,
            limits=limits_of(row.credential, row.scopes),
            must_change_password=row.must_change_password or self._is_too_old(row.password_age_milliseconds),
            epoch=row.epoch,
            ends_at=in_seconds(row.expires_at),
        )
        obstacle = _obstacle(row, person)
        if obstacle:
            await self._book.refuse_uncounted(attempt, _KIND, obstacle, principal)
        await self._book.admit_uncounted(principal)
        return Verified(principal, row.epoch, in_seconds(row.remaining_milliseconds))


def account_of_token(token: str) -> str:
    """Return what the audit log calls a token without a name: no part of it, and no person (S27)."""
    return f"access token {hash_generated(token)[:_SHOWN_DIGITS]}"


def _obstacle(row: StoredTokenCredential, person: str | None) -> str:
    """Return why the token does not help, as the audit log tells it; empty when it does."""
    if person is not None and row.name.casefold() != person.casefold():
        return "access token of somebody else"
    if row.disabled:
        return "disabled"
    if row.remaining_milliseconds is not None and row.remaining_milliseconds <= 0:
        return "expired"
    return ""
