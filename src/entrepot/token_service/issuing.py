"""Turns a request for a token into one: finds out who asks, cuts the wish down to what is allowed, signs, records."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.basic_credentials import BasicCredentials
from entrepot.auth.bearer.bearer_tokens import IssuedToken
from entrepot.auth.condensed_refusals import TOO_FAST
from entrepot.auth.errors import AccountChangingError, InvalidCredentialsError, PasswordChangeRequiredError
from entrepot.auth.generated_secrets import new_secret
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.auth.scopes import CATALOG_SCOPE, EVERY_ACTION, repository_scope
from entrepot.auth.unmoved import CHANGED, epochs_of, require_unmoved
from entrepot.kernel.plain_addresses import subscriber
from entrepot.kernel.secret_forms import MOST_CHARACTERS, without_secrets
from entrepot.token_service.errors import TokenRequestError, TooManyTokensError
from entrepot.token_service.requests import RefreshGrant

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.authentication import Authenticator
    from entrepot.auth.bearer.bearer_tokens import BearerTokens
    from entrepot.auth.bearer.refresh_tokens import RefreshTokens
    from entrepot.auth.decisions import Decisions
    from entrepot.auth.scopes import ScopeRequest
    from entrepot.kernel.rate_budget import RateBudget
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.oci.names import RepositoryName
    from entrepot.token_service.requests import Peer, TokenRequest

__all__ = ["GrantedToken", "TokenService"]

_REQUESTABLE: Final = frozenset({"pull", "push", "delete"})
_WITH_PUSH: Final = frozenset({"create", "overwrite"})
"""Our own actions: no client knows to ask for them, so they come along with push."""
_CATALOG_PERMISSION: Final = "catalog:read"
_HARBORS_SERVICE: Final = "harbor-registry"
"""What Harbor's registry is always called; scripts that fetch tokens by themselves have it written in."""


class _Access(msgspec.Struct, frozen=True):
    """What was granted: actions by repository, the epochs of their projects, and the same as scopes."""

    actions: dict[str, frozenset[str]]
    project_epochs: dict[str, int]

    def scope(self) -> str:
        """Return what clients know of it, as canonical scopes."""
        return " ".join(
            CATALOG_SCOPE if name == EVERY_ACTION else repository_scope(name, actions & _REQUESTABLE)
            for name, actions in self.actions.items()
        )


class GrantedToken(msgspec.Struct, frozen=True):
    """What the reply tells.

    Attributes:
        refresh_token: empty for none.
        scope: what was granted, of what was asked for.
    """

    issued: IssuedToken
    refresh_token: str
    scope: str


class TokenService:
    """Issues tokens for one service. Stateless; may be called from many tasks at the same time.

    `look_for_moves` has this process learn at once whose epochs moved (:meth:`EpochWatch.refresh`).
    """

    def __init__(
        self,
        metadata: Metadata,
        authenticator: Authenticator,
        decisions: Decisions,
        tokens: BearerTokens,
        refresh_tokens: RefreshTokens,
        notes: AuditNotes,
        service: str,
        rate: RateBudget,
        *,
        look_for_moves: Callable[[], Awaitable[None]],
    ) -> None:
        self._metadata = metadata
        self._authenticator = authenticator
        self._decisions = decisions
        self._tokens = tokens
        self._refresh_tokens = refresh_tokens
        self._notes = notes
        self._service = service
        self._rate = rate
        self._look_for_moves = look_for_moves

    async def grant(self, request: TokenRequest, peer: Peer) -> GrantedToken:
        """Return a token for as much of what is asked for as is allowed, which may be nothing (T6).

        Raises:
            InvalidCredentialsError: they are wrong, nobody asks for nothing (T7), or who asks was deleted meanwhile.
            AccountChangingError: they are right, but who asks was changed while they were checked, and once more.
            LockedOutError: too many wrong ones for this account came from this address (T17).
            TooManyTokensError: so many were issued to this account at this address (T17).
            PasswordChangeRequiredError: the password opens nothing but its own change.
            TokenRequestError: it is for another service.
            MetadataUnavailableError: keys or rows can't be read or written.
        """
        if request.service == _HARBORS_SERVICE:
            request = msgspec.structs.replace(request, service=self._service)
        if request.service not in {"", self._service}:
            raise TokenRequestError(f"tokens are issued here for the service {self._service} only")
        principal = await self._principal(request, peer)
        await self._require_rate(principal)
        try:
            return await self._grant_to(principal, request)
        except (InvalidCredentialsError, AccountChangingError):
            # Another process changed something of theirs that this one did not hear of yet: look, and ask again.
            await self._look_for_moves()
        principal = await self._principal(request, peer)
        try:
            return await self._grant_to(principal, request)
        except InvalidCredentialsError as error:
            await self._note_failure(principal, "token", error.cause)
            raise
        except AccountChangingError:
            await self._note_failure(principal, "token", CHANGED, 503)
            raise

    async def _grant_to(self, principal: Principal, request: TokenRequest) -> GrantedToken:
        if principal.must_change_password:
            refusal = PasswordChangeRequiredError()
            await self._note_failure(principal, "token", str(refusal), 403)
            raise refusal
        access = await self._decide(principal, request.scopes)
        issued = self._tokens.issue(principal, access.actions, access.project_epochs)
        if (
            principal.kind == "anonymous"
        ):  # what is done with it leaves a record, its issue says nothing of anybody
            return GrantedToken(issued, "", access.scope())
        scope = access.scope()
        refresh_token = await self._record(request, principal, issued, scope)
        return GrantedToken(issued, refresh_token, scope)

    async def _require_rate(self, principal: Principal) -> None:
        """Bound what one account costs from one address: each of its tokens is a commit, and a record for years.

        Those of nobody are neither, and behind a proxy all of nobody's clients have one address.
        """
        if principal.kind == "anonymous":
            return
        wait = self._rate.seconds_to_wait(principal.subject, subscriber(principal.address))
        if wait:
            await self._note_failure(principal, "token", TOO_FAST, 429)
            raise TooManyTokensError(self._rate.per_minute, wait)

    async def _principal(self, request: TokenRequest, peer: Peer) -> Principal:
        presented = request.presented
        if isinstance(presented, BasicCredentials):
            return await self._authenticator.by_basic(
                presented.name, presented.secret, peer.address, peer.origin, forwarded=peer.forwarded
            )
        if isinstance(presented, RefreshGrant):
            return await self._redeem(presented.refresh_token, request, peer)
        if request.scopes.is_empty:
            raise InvalidCredentialsError("no credentials, and nothing asked for")
        return Principal(ANONYMOUS, peer.address, peer.forwarded, origin=peer.origin)

    async def _redeem(self, refresh_token: str, request: TokenRequest, peer: Peer) -> Principal:
        """Return whom a refresh token belongs to; a refusal is noted here, since nobody else knows of it (I11)."""
        try:
            return await self._refresh_tokens.redeem(
                refresh_token, request.service, peer.address, peer.origin, forwarded=peer.forwarded
            )
        except InvalidCredentialsError as error:
            nobody = Principal(ANONYMOUS, peer.address, peer.forwarded, origin=peer.origin)
            await self._note_failure(error.whose or nobody, "refresh-token", error.cause)
            raise

    async def _note_failure(self, principal: Principal, kind: str, reason: str, status: int = 401) -> None:
        about = AuditObject(kind, "")
        await self._notes.note(
            audit_record(
                principal, AuditAction.TOKEN_ISSUE, about, outcome="failure", reason=reason, status=status
            )
        )

    async def _decide(self, principal: Principal, scopes: ScopeRequest) -> _Access:
        """Cut down what is asked for, and tell by which epochs: what changes after them is decided anew."""
        access = _Access({}, {})
        for repository, asked in scopes.repositories.items():
            granted = await self._decide_repository(principal, repository, asked, access.project_epochs)
            if granted:
                access.actions[repository.text] = granted
        if scopes.catalog and _CATALOG_PERMISSION in await self._decisions.on_registry(principal):
            access.actions[EVERY_ACTION] = frozenset({"catalog"})
        return access

    async def _decide_repository(
        self,
        principal: Principal,
        repository: RepositoryName,
        asked: frozenset[str],
        epochs: dict[str, int],
    ) -> frozenset[str]:
        wanted = _REQUESTABLE if EVERY_ACTION in asked else asked & _REQUESTABLE
        if not wanted:
            return frozenset()
        standing = await self._decisions.on_repository(principal, repository)
        granted = wanted & standing.actions
        if granted:  # of two decisions in one project the older one counts
            epochs[standing.project] = min(standing.epoch, epochs.get(standing.project, standing.epoch))
        return granted | (standing.actions & _WITH_PUSH) if "push" in granted else granted

    async def _record(
        self, request: TokenRequest, principal: Principal, issued: IssuedToken, scope: str
    ) -> str:
        """Record the issue, and the refresh token with it, in one unit (I11); return the refresh token to reply."""
        record = _issue_record(request, principal, issued, scope)
        refresh_token = row = None
        if not isinstance(request.presented, RefreshGrant) and request.wants_refresh_token:
            refresh_token = new_secret("epr_")
            row = self._refresh_tokens.prepare(refresh_token, principal, request.client_id)

        async def unit(tx: Transaction) -> None:
            await require_unmoved(tx, epochs_of(principal))
            if isinstance(request.presented, RefreshGrant):
                await self._refresh_tokens.use(tx, request.presented.refresh_token)
            if row is not None:
                await self._refresh_tokens.add(tx, row)
            await tx.audit.append(record)

        await self._metadata.write(unit)
        if isinstance(request.presented, RefreshGrant):
            return request.presented.refresh_token
        return refresh_token or ""


def _asked_beyond(scopes: ScopeRequest, granted: str) -> Mapping[str, str]:
    """Return what was asked for, unless it is what was granted: who asks for more, and gets none, is looked for."""
    asked = scopes.text()
    return {} if asked == granted else {"asked": without_secrets(asked[:MOST_CHARACTERS])}


def _issue_record(
    request: TokenRequest, principal: Principal, issued: IssuedToken, scope: str
) -> NewAuditRecord:
    return audit_record(
        principal,
        AuditAction.TOKEN_ISSUE,
        AuditObject("token", issued.token_id),
        status=200,
        after={
            "scope": scope,
            **_asked_beyond(request.scopes, scope),
            "expires_in": issued.expires_in,
            "client_id": request.client_id,
            "refresh_token": "used"
            if isinstance(request.presented, RefreshGrant)
            else ("issued" if request.wants_refresh_token else "none"),
        },
    )
