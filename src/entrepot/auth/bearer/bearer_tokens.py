"""Issues and verifies bearer tokens: JSON Web Tokens signed with ES256, and nothing else (T8, T11, S16)."""

from __future__ import annotations

import hashlib
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

import msgspec
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey

from entrepot.auth.bearer.claims import Claims, Header, access_entries, epochs_of, principal_of
from entrepot.auth.dead_tokens import EXPIRED, KEY_GONE
from entrepot.auth.errors import InvalidCredentialsError, InvalidTokenError
from entrepot.auth.principals import ANONYMOUS, Principal
from entrepot.kernel.clock import LEEWAY_SECONDS
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from entrepot.auth.keys.key_pairs import SigningKey
    from entrepot.auth.keys.key_ring import KeyRing

__all__ = ["MIN_LIFETIME_SECONDS", "BearerTokens", "IssuedToken", "VerifiedToken"]

MIN_LIFETIME_SECONDS: Final = 60
"""Clients take less for this, so that a shorter one would seem good to them after its end (T8): none is set up so, and
only one that ends with the credential it was issued for may be."""
_MOST_CHARACTERS: Final = 24 * 1024
_MOST_REMEMBERED: Final = 4096
_MOST_REMEMBERED_CHARACTERS: Final = 4 * 1024 * 1024
"""Of the tokens' texts; what is remembered takes two to four times as many bytes. 4,096 for one scope have 3 MiB."""
_ALGORITHMS: Final = ("ES256",)

_encoder: Final = msgspec.json.Encoder()
_header_decoder: Final = msgspec.json.Decoder(Header)
_claims_decoder: Final = msgspec.json.Decoder(Claims)


class IssuedToken(msgspec.Struct, frozen=True):
    """A token and what the client must know of it.

    Attributes:
        issued_at: seconds since 1970, by the database's clock.
        token_id: its claim `jti`, by which the audit log names it.
    """

    token: str
    token_id: str
    expires_in: int
    issued_at: int


class VerifiedToken(msgspec.Struct, frozen=True):
    """Whom a token speaks for, as long as its end is not reached; what is left when epochs moved is decided elsewhere.

    Attributes:
        principal: without an address; its `epoch` is the one that the token was issued under, as is its sponsor's.
        project_epochs: those that the access was decided under, by name of project.
        expires_at: seconds since 1970, by the database's clock; up to a minute after what the client was told (T11).
        token_id: its claim `jti`; no other token has it.
        characters: of the token.
    """

    principal: Principal
    project_epochs: Mapping[str, int]
    key_id: str
    expires_at: int
    token_id: str
    characters: int


class BearerTokens:
    """Tokens of one issuer for one service; belongs to one event loop.

    A token that was verified is remembered until it ends: from then on it costs a hash, a dictionary and a look at the
    clock. What is remembered ends with the key that signed it, and when the clock was set back: then a token may begin
    in the future that did not (F27).
    """

    def __init__(self, ring: KeyRing, issuer: str, service: str, lifetime_seconds: int) -> None:
        """Take the ring of the purpose `token`.

        Args:
            ring: signs, verifies, and knows the time.
            issuer: the claim `iss`; the same on all nodes.
            service: the claim `aud`, which a challenge names as `service`.
            lifetime_seconds: at least 60.
        """
        self._ring = ring
        self._issuer = issuer
        self._service = service
        self._lifetime_seconds = max(lifetime_seconds, MIN_LIFETIME_SECONDS)
        self._remembered: dict[bytes, VerifiedToken] = {}
        self._remembered_characters = 0
        self._set_backs = ring.set_backs
        self._signer: tuple[str, ECKey] | None = None
        self._verifiers: dict[str, ECKey] = {}

    def issue(
        self,
        principal: Principal,
        access: Mapping[str, frozenset[str]],
        project_epochs: Mapping[str, int],
    ) -> IssuedToken:
        """Return a token for what was decided, which ends with the robot or access token that it was issued for.

        Args:
            principal: whom it speaks for; its epoch goes into the token, and that of who answers for a robot.
            access: actions by name of repository, and `catalog` under `*`.
            project_epochs: of the projects of these repositories, by name.

        Raises:
            InvalidCredentialsError: that one has ended meanwhile, or does within the second.
            MetadataUnavailableError: the keys are not known at present.
        """
        key = self._ring.signing_key()
        issued_at = int(self._ring.now())
        told_end, ends_at = self._ends_of(principal, issued_at)
        claims = Claims(
            iss=self._issuer,
            sub="" if principal.kind == "anonymous" else principal.subject,
            aud=self._service,
            exp=ends_at,
            nbf=issued_at,
            iat=issued_at,
            jti=new_public_id(),
            access=access_entries(access),
            epochs=epochs_of(principal, project_epochs),
            kind=principal.kind if principal.kind != "host" else "user",
            name=principal.name,
            cred=principal.limits.credential if principal.limits is not None else "",
        )
        header = {"typ": "JWT", "alg": "ES256", "kid": key.key_id}
        token = jws.serialize_compact(header, _encoder.encode(claims), self._signing(key), _ALGORITHMS)
        return IssuedToken(token, claims.jti, told_end - issued_at, issued_at)

    def verify(self, token: str) -> VerifiedToken:
        """Return whom a token speaks for; whether an epoch has moved since is for the caller to ask.

        It is the same object as long as the token is remembered.

        Raises:
            InvalidTokenError: it is not ours, is altered, has ended or has not begun.
            MetadataUnavailableError: the keys are not known at present.
        """
        if len(token) > _MOST_CHARACTERS:
            raise InvalidTokenError("the token is too long")
        now = self._ring.now()
        keys = self._ring.verification_keys()
        if self._set_backs != self._ring.set_backs:
            self._set_backs = self._ring.set_backs
            self._remembered.clear()
            self._remembered_characters = 0
        digest = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        verified = self._remembered.get(digest)
        if verified is None:
            verified = self._verify_anew(token, now)
            self._remember(digest, verified)
        if verified.key_id not in keys:
            self._forget(digest)
            raise InvalidTokenError(KEY_GONE, whose=verified.principal)
        if verified.expires_at <= now:
            self._forget(digest)
            raise InvalidTokenError(EXPIRED, whose=verified.principal)
        return verified

    def _ends_of(self, principal: Principal, issued_at: int) -> tuple[int, int]:
        """Return the end that the client is told, and the token's own, in whole seconds.

        A client counts by its own clock, and containers/image does not ask anew when a token is refused that it holds
        for good: so a token outlives what is told by as much as clocks may be apart, but never what it was issued for.
        """
        latest = float("inf") if principal.ends_at is None else int(principal.ends_at)
        told = min(issued_at + self._lifetime_seconds, latest)
        if told <= issued_at:
            raise InvalidCredentialsError("expired", principal)
        return int(told), int(min(told + LEEWAY_SECONDS, latest))

    def _verify_anew(self, token: str, now: float) -> VerifiedToken:
        header = _read_header(token)
        key = self._ring.verification_keys().get(header.kid)
        if key is None:
            raise InvalidTokenError("no key of this registry has its kid")
        verifier = self._verifiers.get(header.kid)
        if verifier is None:
            verifier = ECKey.import_key(dict(key.as_jwk()))
            # Keys change a few times a year; what is held here is no more than what the ring held since the start.
            self._verifiers[header.kid] = verifier
        try:
            payload = jws.deserialize_compact(token, verifier, _ALGORITHMS).payload
            claims = _claims_decoder.decode(payload or b"")
        except (JoseError, ValueError, msgspec.MsgspecError) as error:
            raise InvalidTokenError("its signature or its claims are wrong") from error
        principal = principal_of(claims)
        fault = self._fault_of(claims, now)
        if fault:
            raise InvalidTokenError(fault, whose=principal)
        return VerifiedToken(
            principal, claims.epochs.projects, header.kid, claims.exp, claims.jti, len(token)
        )

    def _fault_of(self, claims: Claims, now: float) -> str:
        """Return what is wrong with claims that were signed here; empty where nothing is."""
        if claims.iss != self._issuer or claims.aud != self._service:
            return "it is another registry's or another service's"
        if max(claims.nbf, claims.iat) > now + LEEWAY_SECONDS:
            return "it begins in the future"
        if (claims.kind == "anonymous") != (claims.sub == "") or claims.sub == ANONYMOUS:
            return "it does not say whom it speaks for"
        # Nothing is granted to a robot that nobody answers for. Former programs left out the host, too: who has such a
        # token fetches another one.
        if claims.kind == "robot" and claims.access and claims.epochs.sponsor is None:
            return "it does not say who answers for the robot"
        return ""

    def _remember(self, digest: bytes, verified: VerifiedToken) -> None:
        most = _MOST_REMEMBERED_CHARACTERS - verified.characters
        while len(self._remembered) >= _MOST_REMEMBERED or self._remembered_characters > most:
            self._forget(next(iter(self._remembered)))
        self._remembered[digest] = verified
        self._remembered_characters += verified.characters

    def _forget(self, digest: bytes) -> None:
        self._remembered_characters -= self._remembered.pop(digest).characters

    def _signing(self, key: SigningKey) -> ECKey:
        if self._signer is None or self._signer[0] != key.key_id:
            self._signer = (key.key_id, ECKey.import_key(key.reveal_pem()))
        return self._signer[1]


def _read_header(token: str) -> Header:
    """Read the header by ourselves before any library may act on it."""
    encoded, dot, rest = token.partition(".")
    if not dot or rest.count(".") != 1 or not token.isascii():
        raise InvalidTokenError("it is no JSON Web Token")
    try:
        return _header_decoder.decode(urlsafe_b64decode(encoded + "=" * (-len(encoded) % 4)))
    except (ValueError, msgspec.MsgspecError) as error:
        raise InvalidTokenError("its header is not one that we write") from error
