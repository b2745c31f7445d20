"""Refresh tokens: opaque, without an end of their own, no better than what they were obtained with (T9, T10)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import InvalidCredentialsError
from entrepot.auth.generated_secrets import has_form, hash_generated
from entrepot.auth.principals import Principal
from entrepot.metadata.refresh_token_store import NewRefreshToken

if TYPE_CHECKING:
    from entrepot.auth.authentication import Authenticator
    from entrepot.auth.grants import SelfGrant
    from entrepot.auth.principals import Origin
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["RefreshTokens"]

KEPT: Final = 1000
"""Of an account, and of each of its access tokens, since each `docker login` asks for one. Hundreds of jobs a day must
not end the login of a machine that pulls once a day: it is many, and those that were unused for longest go first."""


class RefreshTokens:
    """Redeems and revokes refresh tokens, and adds new ones within a caller's unit."""

    def __init__(self, metadata: Metadata, authenticator: Authenticator, service: str) -> None:
        self._metadata = metadata
        self._authenticator = authenticator
        self._service = service

    def prepare(self, token: str, principal: Principal, client_id: str) -> NewRefreshToken:
        """Return the row of a new token, to be added by :meth:`add` in the unit that records it."""
        return NewRefreshToken(
            secret_hash=hash_generated(token),
            subject=principal.subject,
            credential=principal.limits.credential if principal.limits is not None else "",
            service=self._service,
            client_id=client_id,
            subject_epoch=principal.epoch,
        )

    async def add(self, tx: Transaction, row: NewRefreshToken) -> None:
        """Add a token within a unit.

        Raises:
            InvalidCredentialsError: the subject was deleted meanwhile.
        """
        if not await tx.refresh_tokens.add(row, KEPT):
            raise InvalidCredentialsError("the subject is gone")

    async def use(self, tx: Transaction, token: str) -> None:
        """Note within a unit that a token was used.

        Raises:
            InvalidCredentialsError: it was revoked meanwhile.
        """
        if not await tx.refresh_tokens.touch(hash_generated(token)):
            raise InvalidCredentialsError("the refresh token was revoked just now")

    async def redeem(
        self, token: str, service: str, address: str, origin: Origin, *, forwarded: bool
    ) -> Principal:
        """Return whom a token was issued to, as it is now, with the limits of the access token behind it (S15).

        Raises:
            InvalidCredentialsError: there is no such token, it is for another service, or anything about its subject
                has changed since (S14).
        """
        if not has_form(token, "epr_"):
            raise InvalidCredentialsError("no refresh token")
        row = await self._metadata.refresh_tokens.find(hash_generated(token))
        if row is None or row.service != service or service != self._service:
            raise InvalidCredentialsError("unknown refresh token, or for another service")
        changed = InvalidCredentialsError(
            "the subject has changed since the refresh token was issued",
            Principal(row.subject, address, forwarded, row.name, row.kind, origin=origin),
        )
        if row.subject_epoch != row.current_epoch:
            raise changed
        principal = await self._authenticator.by_subject(
            row.subject, row.credential, address, origin, forwarded=forwarded
        )
        if principal.epoch > row.subject_epoch:  # it moved since the row was read
            raise changed
        return principal

    async def revoke_all(self, grant: SelfGrant) -> int:
        """Revoke every refresh token of the one who asks; return how many there were."""
        principal = grant.principal
        record = audit_record(principal, AuditAction.TOKEN_REVOKE, AuditObject("refresh-token", ""))

        async def unit(tx: Transaction) -> int:
            count = await tx.refresh_tokens.delete_all(principal.subject)
            await tx.audit.append(record)
            return count

        return await self._metadata.write(unit)
