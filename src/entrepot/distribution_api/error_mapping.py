"""The one table that turns domain errors into OCI error replies (distribution-spec, "Error Codes").

A test walks every domain error class that can reach this edge and fails when one is not mapped.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.auth.access_tokens.errors import AccessTokenError
from entrepot.auth.errors import (
    AccessDeniedError,
    ActionDisabledError,
    AuditUnavailableError,
    AuthenticationRequiredError,
    InsufficientScopeError,
    InvalidCredentialsError,
    InvalidTokenError,
    LockedOutError,
    PasswordChangeRequiredError,
    ProjectMissingError,
    ProjectUnknownError,
)
from entrepot.auth.people.errors import PasswordsBusyError, PeopleError
from entrepot.auth.robots.errors import RobotError
from entrepot.auth.role_errors import RoleError
from entrepot.auth.scopes import ScopeLimitError
from entrepot.blobstore.errors import (
    BlobStoreError,
    StorageFullError,
    StorageUnavailableError,
    UploadBusyError,
)
from entrepot.distribution_api.errors import (
    BodyLengthError,
    BodyTooLargeError,
    BodyTooSlowError,
    HeadTooLargeError,
    MethodNotAllowedError,
    OverloadedError,
    RequestError,
    RouteUnknownError,
)
from entrepot.distribution_api.responses import Header, Response
from entrepot.kernel.address_budget import TooManyRequestsError
from entrepot.metadata.errors import MetadataError, MetadataFullError, MetadataUnavailableError
from entrepot.oci.digest import InvalidDigestError
from entrepot.oci.error_codes import ErrorCode
from entrepot.oci.manifest import InvalidManifestError, ManifestTooLargeError, UnsupportedManifestError
from entrepot.oci.names import InvalidRepositoryNameError, InvalidTagNameError
from entrepot.oci.pagination import InvalidPageSizeError
from entrepot.oci.ranges import InvalidContentRangeError, UnsatisfiableRangeError
from entrepot.registry.errors import (
    BlobUnknownError,
    ContentDamagedError,
    ContentInUseError,
    DigestMismatchError,
    ManifestBytesGoneError,
    ManifestReferencesMissingError,
    ManifestUnknownError,
    RepositoryDescriptionError,
    RepositoryExistsError,
    RepositoryUnknownError,
    SourceInterruptedError,
    TagConditionError,
    UploadConflictError,
    UploadOffsetError,
    UploadUnknownError,
)

if TYPE_CHECKING:
    from entrepot.kernel.errors import EntrepotError

__all__ = ["ERROR_TABLE", "error_response", "render_error"]

_RETRY_AFTER_SECONDS: Final = b"1"

ERROR_TABLE: Final[dict[type[EntrepotError], tuple[int, ErrorCode]]] = {
    AccessDeniedError: (403, ErrorCode.DENIED),
    AccessTokenError: (400, ErrorCode.UNSUPPORTED),
    ActionDisabledError: (405, ErrorCode.UNSUPPORTED),
    AuditUnavailableError: (503, ErrorCode.UNAVAILABLE),
    AuthenticationRequiredError: (401, ErrorCode.UNAUTHORIZED),
    InsufficientScopeError: (401, ErrorCode.UNAUTHORIZED),
    InvalidCredentialsError: (401, ErrorCode.UNAUTHORIZED),
    InvalidTokenError: (401, ErrorCode.UNAUTHORIZED),
    LockedOutError: (429, ErrorCode.TOOMANYREQUESTS),
    PasswordChangeRequiredError: (403, ErrorCode.DENIED),
    PasswordsBusyError: (503, ErrorCode.TOOMANYREQUESTS),
    PeopleError: (400, ErrorCode.UNSUPPORTED),
    ProjectMissingError: (404, ErrorCode.NAME_UNKNOWN),
    ProjectUnknownError: (404, ErrorCode.NAME_UNKNOWN),
    RoleError: (400, ErrorCode.UNSUPPORTED),
    RobotError: (400, ErrorCode.UNSUPPORTED),
    ScopeLimitError: (400, ErrorCode.UNSUPPORTED),
    BlobStoreError: (500, ErrorCode.UNKNOWN),
    StorageFullError: (507, ErrorCode.STORAGE_FULL),
    StorageUnavailableError: (503, ErrorCode.UNAVAILABLE),
    UploadBusyError: (409, ErrorCode.BLOB_UPLOAD_INVALID),
    BodyLengthError: (400, ErrorCode.SIZE_INVALID),
    BodyTooLargeError: (413, ErrorCode.SIZE_INVALID),
    BodyTooSlowError: (408, ErrorCode.BLOB_UPLOAD_INVALID),
    HeadTooLargeError: (431, ErrorCode.UNSUPPORTED),
    MethodNotAllowedError: (405, ErrorCode.UNSUPPORTED),
    OverloadedError: (503, ErrorCode.TOOMANYREQUESTS),
    RequestError: (400, ErrorCode.UNSUPPORTED),
    RouteUnknownError: (404, ErrorCode.UNSUPPORTED),
    TooManyRequestsError: (429, ErrorCode.TOOMANYREQUESTS),
    MetadataError: (500, ErrorCode.UNKNOWN),
    MetadataUnavailableError: (503, ErrorCode.UNAVAILABLE),
    MetadataFullError: (507, ErrorCode.STORAGE_FULL),
    InvalidDigestError: (400, ErrorCode.DIGEST_INVALID),
    InvalidManifestError: (400, ErrorCode.MANIFEST_INVALID),
    ManifestTooLargeError: (413, ErrorCode.SIZE_INVALID),
    UnsupportedManifestError: (400, ErrorCode.MANIFEST_INVALID),
    InvalidRepositoryNameError: (400, ErrorCode.NAME_INVALID),
    InvalidTagNameError: (400, ErrorCode.TAG_INVALID),
    InvalidPageSizeError: (400, ErrorCode.PAGINATION_NUMBER_INVALID),
    InvalidContentRangeError: (416, ErrorCode.RANGE_INVALID),
    UnsatisfiableRangeError: (416, ErrorCode.RANGE_INVALID),
    BlobUnknownError: (404, ErrorCode.BLOB_UNKNOWN),
    ContentDamagedError: (500, ErrorCode.UNKNOWN),
    ContentInUseError: (409, ErrorCode.DENIED),
    DigestMismatchError: (400, ErrorCode.DIGEST_INVALID),
    ManifestBytesGoneError: (503, ErrorCode.UNAVAILABLE),
    ManifestReferencesMissingError: (404, ErrorCode.MANIFEST_BLOB_UNKNOWN),
    ManifestUnknownError: (404, ErrorCode.MANIFEST_UNKNOWN),
    RepositoryDescriptionError: (400, ErrorCode.UNSUPPORTED),
    RepositoryExistsError: (409, ErrorCode.DENIED),
    RepositoryUnknownError: (404, ErrorCode.NAME_UNKNOWN),
    SourceInterruptedError: (400, ErrorCode.BLOB_UPLOAD_INVALID),
    TagConditionError: (412, ErrorCode.DENIED),
    UploadConflictError: (409, ErrorCode.BLOB_UPLOAD_INVALID),
    UploadOffsetError: (416, ErrorCode.RANGE_INVALID),
    UploadUnknownError: (404, ErrorCode.BLOB_UPLOAD_UNKNOWN),
}
"""Status and code by error class; a class that is not listed takes the row of its nearest listed ancestor."""

_INTERNAL: Final = frozenset({ErrorCode.UNKNOWN, ErrorCode.UNAVAILABLE, ErrorCode.STORAGE_FULL})
"""Codes whose cause lies within: a client is told what it can do, not which path or part failed (CWE-209)."""
_ALWAYS_ALLOWED: Final = b"GET, HEAD"
"""What no mode forbids (RFC 9110 wants 405 to name it)."""
_RETRYABLE: Final = frozenset({409, 429, 503})
_ENDS_CONNECTION: Final = (BodyTooSlowError, HeadTooLargeError)


def error_response(error: EntrepotError) -> Response:
    """Return the reply for a domain error."""
    status, code = _row(type(error))
    message = f"{code.message} {code.remedy}" if code in _INTERNAL else str(error)
    return render_error(status, code, message, _headers(error, status), _detail(error))


def render_error(
    status: int, code: ErrorCode, message: str, headers: tuple[Header, ...] = (), detail: object = None
) -> Response:
    """Return a reply with an OCI error body."""
    entry = {"code": code.code, "message": message, "detail": detail}
    body = msgspec.json.encode({"errors": [entry]})
    return Response(status, ((b"content-type", b"application/json"), *headers), body)


def _row(kind: type[BaseException]) -> tuple[int, ErrorCode]:
    for ancestor in kind.__mro__:
        row = ERROR_TABLE.get(ancestor)
        if row is not None:
            return row
    return 500, ErrorCode.UNKNOWN


def _headers(error: EntrepotError, status: int) -> tuple[Header, ...]:
    if isinstance(error, MethodNotAllowedError):
        return ((b"allow", ", ".join(error.allowed).encode("ascii")),)
    if isinstance(error, UploadOffsetError):
        return (
            (b"location", f"/v2/{error.repository}/blobs/uploads/{error.session}".encode("ascii")),
            (b"range", b"0-%d" % max(error.offset - 1, 0)),
            (b"docker-upload-uuid", error.session.encode("ascii")),
        )
    if isinstance(error, UnsatisfiableRangeError):
        return ((b"content-range", b"bytes */%d" % error.size),)
    if isinstance(error, ActionDisabledError):
        return ((b"allow", _ALWAYS_ALLOWED),)
    if isinstance(error, LockedOutError):
        return ((b"retry-after", b"%d" % error.retry_after_seconds),)
    if isinstance(error, _ENDS_CONNECTION):
        return ((b"connection", b"close"),)
    if status in _RETRYABLE and not isinstance(error, ContentInUseError):
        return ((b"retry-after", _RETRY_AFTER_SECONDS),)
    return ()


def _detail(error: EntrepotError) -> object:
    if isinstance(error, ManifestReferencesMissingError):
        return [{"digest": str(digest)} for digest in (*error.blobs, *error.manifests)]
    if isinstance(error, ContentInUseError):
        return [{"digest": str(digest)} for digest in error.referrers]
    if isinstance(error, BlobUnknownError):
        return {"digest": str(error.digest)}
    if isinstance(error, ManifestUnknownError):
        return {"reference": error.reference}
    return None
