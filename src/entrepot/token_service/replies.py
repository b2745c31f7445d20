"""Answers of the token service: a token, or an error in the form in which the client asked."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.errors import (
    AccessDeniedError,
    AccountChangingError,
    AuditUnavailableError,
    InvalidCredentialsError,
    LockedOutError,
    PasswordChangeRequiredError,
)
from entrepot.auth.keys.errors import SigningKeyUnavailableError
from entrepot.auth.people.errors import PasswordsBusyError
from entrepot.auth.scopes import ScopeLimitError
from entrepot.kernel.address_budget import TooManyRequestsError
from entrepot.metadata.errors import MetadataError, MetadataFullError, MetadataUnavailableError
from entrepot.oci.error_codes import ErrorCode
from entrepot.token_service.errors import (
    GrantTypeError,
    TokenFormTooLargeError,
    TokenRequestError,
    TooManyTokensError,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.kernel.errors import EntrepotError
    from entrepot.token_service.issuing import GrantedToken
    from entrepot.token_service.requests import TokenRequest

__all__ = ["ERROR_TABLE", "Header", "Reply", "error_reply", "keys_reply", "plain_error", "token_reply"]

Header = tuple[bytes, bytes]

_JSON: Final[Header] = (b"content-type", b"application/json")
_NOT_STORED: Final[tuple[Header, ...]] = ((b"cache-control", b"no-store"), (b"pragma", b"no-cache"))
_KEYS_CACHING: Final[Header] = (b"cache-control", b"public, max-age=60")
_RETRY_AFTER_SECONDS: Final = 1

ERROR_TABLE: Final[Mapping[type[EntrepotError], tuple[int, ErrorCode, str]]] = {
    InvalidCredentialsError: (401, ErrorCode.UNAUTHORIZED, "invalid_grant"),
    TooManyRequestsError: (429, ErrorCode.TOOMANYREQUESTS, "temporarily_unavailable"),
    LockedOutError: (429, ErrorCode.TOOMANYREQUESTS, "invalid_grant"),
    PasswordsBusyError: (503, ErrorCode.TOOMANYREQUESTS, "temporarily_unavailable"),
    AccountChangingError: (503, ErrorCode.UNAVAILABLE, "temporarily_unavailable"),
    TooManyTokensError: (429, ErrorCode.TOOMANYREQUESTS, "temporarily_unavailable"),
    PasswordChangeRequiredError: (403, ErrorCode.DENIED, "invalid_grant"),
    AccessDeniedError: (403, ErrorCode.DENIED, "access_denied"),
    SigningKeyUnavailableError: (503, ErrorCode.UNAVAILABLE, "temporarily_unavailable"),
    AuditUnavailableError: (503, ErrorCode.UNAVAILABLE, "temporarily_unavailable"),
    ScopeLimitError: (400, ErrorCode.UNSUPPORTED, "invalid_scope"),
    TokenRequestError: (400, ErrorCode.UNSUPPORTED, "invalid_request"),
    TokenFormTooLargeError: (413, ErrorCode.SIZE_INVALID, "invalid_request"),
    GrantTypeError: (400, ErrorCode.UNSUPPORTED, "unsupported_grant_type"),
    MetadataFullError: (507, ErrorCode.STORAGE_FULL, "temporarily_unavailable"),
    MetadataUnavailableError: (503, ErrorCode.UNAVAILABLE, "temporarily_unavailable"),
    MetadataError: (500, ErrorCode.UNKNOWN, "server_error"),
}
"""Status, code of the OCI body, and code of OAuth 2.0 (RFC 6749); a class takes the row of its nearest ancestor."""

_INTERNAL: Final = frozenset({ErrorCode.UNKNOWN, ErrorCode.UNAVAILABLE, ErrorCode.STORAGE_FULL})


class Reply(msgspec.Struct, frozen=True):
    """A status, headers and a body."""

    status: int
    headers: tuple[Header, ...]
    body: bytes


def token_reply(request: TokenRequest, granted: GrantedToken) -> Reply:
    """Return the reply with a token under both of its names (T8)."""
    issued = granted.issued
    fields: dict[str, object] = {
        "token": issued.token,
        "access_token": issued.token,
        "expires_in": issued.expires_in,
        "issued_at": datetime.fromtimestamp(issued.issued_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if request.form == "oauth2":
        fields |= {"scope": granted.scope, "token_type": "Bearer"}
    if granted.refresh_token:
        fields["refresh_token"] = granted.refresh_token
    return Reply(200, (_JSON, *_NOT_STORED), msgspec.json.encode(fields))


def keys_reply(keys: list[dict[str, str]]) -> Reply:
    """Return a JSON Web Key Set."""
    return Reply(200, (_JSON, _KEYS_CACHING), msgspec.json.encode({"keys": keys}))


def error_reply(method: str, error: EntrepotError) -> Reply:
    """Return the reply for a domain error: to a POST as OAuth 2.0 has it, else with an OCI error body."""
    status, code, oauth_code = _row(type(error))
    told = code not in _INTERNAL or isinstance(error, AccountChangingError)
    message = str(error) if told else f"{code.message} {code.remedy}"
    return plain_error(method, status, code, oauth_code, message, _headers(error, status))


def plain_error(
    method: str,
    status: int,
    code: ErrorCode,
    oauth_code: str,
    message: str,
    headers: tuple[Header, ...] = (),
) -> Reply:
    """Return an error reply."""
    body: object = (
        {"error": oauth_code, "error_description": message}
        if method == "POST"
        else {"errors": [{"code": code.code, "message": message, "detail": None}]}
    )
    return Reply(status, (_JSON, *_NOT_STORED, *headers), msgspec.json.encode(body))


def _row(kind: type[BaseException]) -> tuple[int, ErrorCode, str]:
    for ancestor in kind.__mro__:
        row = ERROR_TABLE.get(ancestor)
        if row is not None:
            return row
    return 500, ErrorCode.UNKNOWN, "server_error"


def _headers(error: EntrepotError, status: int) -> tuple[Header, ...]:
    if isinstance(error, LockedOutError | TooManyTokensError):
        return ((b"retry-after", b"%d" % error.retry_after_seconds),)
    if status in {429, 503}:
        return ((b"retry-after", b"%d" % _RETRY_AFTER_SECONDS),)
    if status == 401:
        return ((b"www-authenticate", b'Basic realm="Entrepot", charset="UTF-8"'),)
    return ()
