"""Makes, lists and removes access tokens. Each change and its record are one unit."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.access_tokens.errors import (
    AccessTokenNameTakenError,
    AccessTokenUnknownError,
    InvalidAccessTokenError,
    PasswordNotConfirmedError,
    TokenOwnerUnknownError,
    TooManyAccessTokensError,
)
from entrepot.auth.access_tokens.scopes import AccessTokenScopes, decode_scopes, encode_scopes, parse_scopes
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import AccessDeniedError, InvalidCredentialsError, PasswordChangeRequiredError
from entrepot.auth.generated_secrets import hash_generated, new_secret
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.access_token_store import NewAccessTokenRow

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.authentication import PasswordLogin
    from entrepot.auth.credential_memory import ForgetsCredentials
    from entrepot.auth.grants import OwnCredentialGrant, SelfGrant, SystemGrant
    from entrepot.auth.principals import Principal
    from entrepot.auth.rights_of_others import RightsOfOthers
    from entrepot.auth.system_actions import ReadUser, UpdateUser
    from entrepot.metadata.access_token_store import StoredAccessToken
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["AccessToken", "AccessTokenLimits", "AccessTokens", "IssuedAccessToken", "NewAccessToken"]

_DAY_MILLISECONDS: Final = 86_400_000
_MOST_NAME_CHARACTERS: Final = 64
_NOT_SHOWN: Final = (
    "a session makes access tokens with the password only: send it once more, as password in the body"
)


@dataclass(frozen=True, slots=True)
class AccessTokenLimits:
    """What tokens can be at most."""

    most_days: int = 365
    default_days: int = 30
    most_per_person: int = 100


@dataclass(frozen=True, slots=True)
class NewAccessToken:
    """A token that somebody asks for; `None` for `days` is the default, for the lists no limit.

    Attributes:
        password: the person's, which somebody in a browser's session has to show once more; `None` from all others.
    """

    name: str
    permissions: Sequence[str] | None = None
    projects: Sequence[str] | None = None
    days: int | None = None
    password: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A token. Times are milliseconds since 1970."""

    public_id: str
    name: str
    scopes: AccessTokenScopes
    created_at: int
    expires_at: int | None
    last_used_at: int | None

    def described(self) -> dict[str, object]:
        """Return what the audit log tells of it; nothing in it is secret (S27)."""
        return {
            "credential": self.public_id,
            "scopes": msgspec.to_builtins(self.scopes),
            "expires_at": self.expires_at,
        }


@dataclass(frozen=True, slots=True)
class IssuedAccessToken:
    """A token with its secret, which is shown this once."""

    token: AccessToken
    secret: str = field(repr=False)


class AccessTokens:
    """The service. People deal with their own tokens, and who may update people removes theirs.

    Somebody else's are removed by those who hold all that the person does (S9).
    """

    def __init__(
        self,
        metadata: Metadata,
        memory: ForgetsCredentials,
        limits: AccessTokenLimits,
        rights: RightsOfOthers,
        passwords: PasswordLogin,
    ) -> None:
        self._metadata = metadata
        self._rights = rights
        self._memory = memory
        self._limits = limits
        self._passwords = passwords

    async def create(self, grant: SelfGrant, asked: NewAccessToken) -> IssuedAccessToken:
        """Make a token for the person themselves and return it with its secret, which nobody can see again.

        Raises:
            AccessDeniedError: the principal is no person, or came with a token: no token begets others (S15).
            PasswordChangeRequiredError: the password has to be changed first.
            InvalidAccessTokenError: what is asked for is not possible.
            AccessTokenNameTakenError: the person has one of that name.
            TooManyAccessTokensError: the person has enough.
            InvalidCredentialsError: the person is not there any more, or was given another password meanwhile.
            PasswordNotConfirmedError: the password that a session takes is wrong.
            LockedOutError, PasswordsBusyError: that password is not checked now.
        """
        _require_person_in_person(grant.principal)
        if grant.principal.session:
            await self._require_password(grant.principal, asked.password)
        _require_name(asked.name)
        scopes = parse_scopes(asked.permissions, asked.projects)
        days = self._days(asked)
        secret = new_secret("ept_")
        new = NewAccessTokenRow(
            public_id=new_public_id(),
            subject=grant.principal.subject,
            name=asked.name,
            secret_hash=hash_generated(secret),
            scopes=encode_scopes(scopes),
            lifetime_milliseconds=days * _DAY_MILLISECONDS,
        )
        return IssuedAccessToken(await self._insert(grant.principal, new), secret)

    async def list_own(self, grant: SelfGrant) -> tuple[AccessToken, ...]:
        """Return the person's own tokens by name, expired ones too.

        Raises:
            AccessDeniedError: the principal is no person, or came with a token.
            PasswordChangeRequiredError: the password has to be changed first.
        """
        _require_person_in_person(grant.principal)
        rows = await self._metadata.access_tokens.list_of_subject(grant.principal.subject)
        return tuple(_token(row) for row in rows)

    async def delete_own(self, grant: OwnCredentialGrant, public_id: str) -> None:
        """Remove one of the person's own tokens, and what was issued for it (S14). A token may remove itself.

        Raises:
            AccessDeniedError: the principal is no person, or came with another token.
            PasswordChangeRequiredError: the password has to be changed first.
            AccessTokenUnknownError: the person has no such token.
        """
        principal = grant.principal
        own = "" if principal.limits is None else principal.limits.credential
        if public_id != own:
            _require_person_in_person(principal)
        await self._delete(principal, principal.subject, public_id)

    async def list_of(
        self,
        grant: SystemGrant[ReadUser],  # noqa: ARG002  # the proof that somebody asked
        person_id: int,
    ) -> tuple[AccessToken, ...]:
        """Return the tokens of any person, by number of the subject.

        Raises:
            TokenOwnerUnknownError: there is no such person.
        """
        rows = await self._metadata.access_tokens.list_of_person(person_id)
        if rows is None:
            raise TokenOwnerUnknownError(person_id)
        return tuple(_token(row) for row in rows)

    async def are_own(self, grant: SystemGrant[ReadUser], person_id: int) -> bool:
        """Whether the tokens of a person are those of the principal, who did not come with limits."""
        principal = grant.principal
        if principal.kind != "user" or principal.is_limited:
            return False
        return await self._metadata.access_tokens.find_person(person_id) == principal.subject

    async def delete_of(self, grant: SystemGrant[UpdateUser], person_id: int, public_id: str) -> None:
        """Remove a token of any person.

        Raises:
            TokenOwnerUnknownError: there is no such person.
            AccessTokenUnknownError: the token is not this person's (S7).
            AccessDeniedError: the person holds what the principal does not (S9).
        """
        await self._rights.require_held(grant.principal, person_id)
        subject = await self._metadata.access_tokens.find_person(person_id)
        if subject is None:
            raise TokenOwnerUnknownError(person_id)
        await self._delete(grant.principal, subject, public_id)

    async def _require_password(self, principal: Principal, password: str | None) -> None:
        """A token outlives the session, and a change of the password: a session that was stolen begets none (S15)."""
        if password is None:
            raise AccessDeniedError(_NOT_SHOWN)
        try:
            shown = await self._passwords.by_password(
                principal.name, password, principal.address, principal.origin, forwarded=principal.forwarded
            )
        except InvalidCredentialsError as error:
            raise PasswordNotConfirmedError from error
        if shown.subject != principal.subject:
            raise InvalidCredentialsError("changed meanwhile")

    async def _insert(self, principal: Principal, new: NewAccessTokenRow) -> AccessToken:
        record_id = new_public_id()

        async def unit(tx: Transaction) -> StoredAccessToken:
            if not await tx.access_tokens.hold_subject(new.subject):
                raise InvalidCredentialsError("the person is gone, disabled or was given a password")
            row = await tx.access_tokens.create(new)
            if row is None:
                raise AccessTokenNameTakenError(new.name)
            if await tx.access_tokens.count_good(new.subject) > self._limits.most_per_person:
                raise TooManyAccessTokensError(self._limits.most_per_person)
            record = audit_record(
                principal,
                AuditAction.ACCESS_TOKEN_CREATE,
                AuditObject("access-token", new.name),
                after=_token(row).described(),
                record_id=record_id,
            )
            await tx.audit.append(record)
            return row

        return _token(await self._metadata.write(unit))

    async def _delete(self, principal: Principal, subject: str, public_id: str) -> None:
        record_id = new_public_id()
        removed: list[StoredAccessToken] = []

        async def unit(tx: Transaction) -> None:
            row = await tx.access_tokens.remove(subject, public_id)
            if row is not None:
                removed[:] = [row]
            if not removed:
                raise AccessTokenUnknownError(public_id)
            # A unit that is repeated after a lost reply finds the token removed, by itself.
            record = audit_record(
                principal,
                AuditAction.ACCESS_TOKEN_DELETE,
                AuditObject("access-token", removed[0].name),
                before=_token(removed[0]).described() | {"person": subject},
                record_id=record_id,
            )
            await tx.audit.append(record)

        try:
            await self._metadata.write(unit)
        finally:
            self._memory.forget(subject)

    def _days(self, asked: NewAccessToken) -> int:
        days = min(self._limits.default_days, self._limits.most_days) if asked.days is None else asked.days
        if not 1 <= days <= self._limits.most_days:
            raise InvalidAccessTokenError("expires_in_days", f"1 to {self._limits.most_days}")
        return days


def _require_person_in_person(principal: Principal) -> None:
    if principal.kind != "user":
        raise AccessDeniedError("only people have access tokens")
    if principal.limits is not None or principal.access is not None:
        raise AccessDeniedError("access tokens are managed with the password, not with an access token")
    if principal.must_change_password:
        raise PasswordChangeRequiredError


def _require_name(name: str) -> None:
    if not name.strip() or len(name) > _MOST_NAME_CHARACTERS or not name.isprintable():
        raise InvalidAccessTokenError("name", f"1 to {_MOST_NAME_CHARACTERS} printable characters")


def _token(row: StoredAccessToken) -> AccessToken:
    return AccessToken(
        row.public_id,
        row.name,
        decode_scopes(row.public_id, row.scopes),
        row.created_at,
        row.expires_at,
        row.last_used_at,
    )
