"""Who asks: reads the Authorization header of a request to `/v2/`, and nothing else, so cookies have no say (S22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.basic_credentials import parse_basic
from entrepot.auth.bearer.present_access import PresentAccess
from entrepot.auth.errors import InvalidCredentialsError, InvalidTokenError, PasswordChangeRequiredError

if TYPE_CHECKING:
    from entrepot.auth.authentication import Authenticator
    from entrepot.auth.bearer.bearer_tokens import BearerTokens
    from entrepot.auth.decisions import Decisions
    from entrepot.auth.epochs import Epochs
    from entrepot.auth.principals import Principal
    from entrepot.distribution_api.challenges import Challenges
    from entrepot.distribution_api.requests import Request

__all__ = ["Identification"]

_OPAQUE_PREFIXES: Final = ("ept_", "epr_", "ers_")
"""Our other secrets: none of them is a bearer token (T10)."""


class Identification:
    """Finds the principal of a request, when there are accounts."""

    def __init__(
        self,
        authenticator: Authenticator,
        tokens: BearerTokens,
        epochs: Epochs,
        decisions: Decisions,
        challenges: Challenges,
    ) -> None:
        self._authenticator = authenticator
        self._tokens = tokens
        self._epochs = epochs
        self._access = PresentAccess(authenticator, decisions, epochs)
        self.challenges: Final = challenges

    async def identify(self, request: Request, peer: Principal) -> Principal:
        """Return who asks; `peer`, who carries the origin of the request, without credentials.

        For a bearer token that was seen before this asks two dictionaries, and a third one when rights in its projects
        have changed since it was issued: then the principal carries what is left of its actions.

        Raises:
            InvalidTokenError: the bearer token is wrong, has ended, or its subject has changed since (S14).
            InvalidCredentialsError: name or secret are wrong, or the header is malformed or of another scheme.
            LockedOutError: too many wrong ones for this account came from this address.
            PasswordChangeRequiredError: the password opens nothing but its own change; whose it is, is in the error.
            MetadataUnavailableError: what changed since the token was issued is not known at present (I6).
        """
        header = request.only_text_header(b"authorization")
        if header is None:
            return peer
        scheme, _, presented = header.partition(" ")
        match scheme.lower():
            case "bearer":
                return await self._by_token(presented.strip(), peer)
            case "basic":
                return await self._by_basic(presented, peer)
            case _:
                raise InvalidCredentialsError("another scheme than Basic and Bearer")

    async def _by_token(self, token: str, peer: Principal) -> Principal:
        if token.startswith(_OPAQUE_PREFIXES):
            raise InvalidTokenError("a secret that is no bearer token was presented as one")
        self._epochs.require_fresh()
        verified = self._tokens.verify(token)
        return msgspec.structs.replace(
            verified.principal,
            address=peer.address,
            forwarded=peer.forwarded,
            origin=peer.origin,
            access=await self._access.of(verified, peer),
        )

    async def _by_basic(self, encoded: str, peer: Principal) -> Principal:
        credentials = parse_basic(encoded)
        if credentials is None:
            raise InvalidCredentialsError("malformed Basic credentials")
        principal = await self._authenticator.by_basic(
            credentials.name,
            credentials.secret,
            peer.address,
            peer.origin,
            forwarded=peer.forwarded,
        )
        if principal.must_change_password:
            raise PasswordChangeRequiredError(principal)
        return principal
