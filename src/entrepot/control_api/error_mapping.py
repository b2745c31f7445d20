"""The one table that turns domain errors into Harbor's error replies.

A test walks every domain error class that can reach this edge and fails when one is not mapped.
"""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.audit.errors import (
    AuditExportBrokenOffError,
    AuditExportUnreadableError,
    AuditRetentionError,
    AuditSearchesBusyError,
    AuditSearchTooWideError,
)
from entrepot.auth.access_tokens.errors import (
    AccessTokenNameTakenError,
    AccessTokenUnknownError,
    InvalidAccessTokenError,
    PasswordNotConfirmedError,
    TokenOwnerUnknownError,
    TooManyAccessTokensError,
)
from entrepot.auth.errors import (
    AccessDeniedError,
    AccountChangingError,
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
from entrepot.auth.people.errors import (
    EmailTakenError,
    GroupMemberUnknownError,
    GroupUnknownError,
    InvalidPersonError,
    NameTakenError,
    OldPasswordWrongError,
    OwnAccountError,
    PasswordRejectedError,
    PasswordsBusyError,
    PersonUnknownError,
    SessionUnknownError,
)
from entrepot.auth.robots.errors import (
    InvalidRobotError,
    RobotChangedError,
    RobotNameTakenError,
    RobotUnknownError,
)
from entrepot.auth.role_errors import (
    AlreadyAssignedError,
    AssigneeUnknownError,
    AssignmentUnknownError,
    InvalidRoleError,
    LastOperationsAdminError,
    RoleInUseError,
    RoleNameTakenError,
    RoleUnknownError,
)
from entrepot.blobstore.errors import BlobStoreError, StorageFullError, StorageUnavailableError
from entrepot.control_api.errors import (
    ChangesAheadError,
    ForeignRequestError,
    InputBudgetSpentError,
    InputInterruptedError,
    InputTooLargeError,
    InputTooSlowError,
    InvalidFilterError,
    InvalidInputError,
    InvalidSortError,
    ItemUnknownError,
    MalformedRequestError,
    MethodNotOfferedError,
    PathUnknownError,
    UndeclaredActionError,
)
from entrepot.control_api.reply import Error, Errors, Reply
from entrepot.kernel.address_budget import TooManyRequestsError
from entrepot.metadata.errors import MetadataError, MetadataFullError, MetadataUnavailableError
from entrepot.oci.digest import InvalidDigestError
from entrepot.oci.names import InvalidRepositoryNameError, InvalidTagNameError
from entrepot.projects.errors import (
    ConfigurationInvalidError,
    LabelExistsError,
    LabelInvalidError,
    LabelUnknownError,
    MemberExistsError,
    MemberNeededError,
    MemberUnknownError,
    MetadataInvalidError,
    MetadataMissingError,
    ProjectExistsError,
    ProjectNameInvalidError,
    ProjectNotEmptyError,
    RoleNotAssignableError,
    SubjectUnknownError,
)
from entrepot.registry.errors import (
    BlobUnknownError,
    ContentInUseError,
    ManifestUnknownError,
    RepositoryDescriptionError,
    RepositoryExistsError,
    RepositoryUnknownError,
)

if TYPE_CHECKING:
    from entrepot.kernel.errors import EntrepotError

__all__ = ["CONTROL_ERROR_TABLE", "INTERNAL_MESSAGE", "HarborCode", "error_reply", "render_error"]


class HarborCode(StrEnum):
    """The codes that Harbor's clients know, and two of ours: they tell by the status, which two refusals share."""

    BAD_REQUEST = "BAD_REQUEST"
    UNAUTHORIZED = "UNAUTHORIZED"
    FORBIDDEN = "FORBIDDEN"
    DENIED = "DENIED"
    NOT_FOUND = "NOT_FOUND"
    METHOD_NOT_ALLOWED = "METHOD_NOT_ALLOWED"
    CONFLICT = "CONFLICT"
    PRECONDITION = "PRECONDITION"
    REQUEST_ENTITY_TOO_LARGE = "REQUEST_ENTITY_TOO_LARGE"
    UNPROCESSABLE_ENTITY = "UNPROCESSABLE_ENTITY"
    TOO_MANY_REQUEST = "TOO_MANY_REQUEST"
    LOCKED_OUT = "LOCKED_OUT"
    UNAVAILABLE = "UNAVAILABLE"
    UNKNOWN = "UNKNOWN"


INTERNAL_MESSAGE: Final = "internal server error"
"""What stands in replies from 500 on: their cause lies within and is told to the log only (CWE-209)."""

_UNAVAILABLE_MESSAGE: Final = "the registry can't do this at present; try again"
_UNAVAILABLE_MESSAGES: Final[dict[type[BaseException], str]] = {
    AuditUnavailableError: (
        "what was asked for can't be recorded in the audit log at present, so it is not done; try again, and if that "
        "does not help, look at what the registry's /readyz reports"
    ),
    StorageUnavailableError: (
        "the registry's storage does not answer; try again, and if that does not help, look at what the registry's "
        "/readyz reports"
    ),
    InputBudgetSpentError: "too many requests send bodies at present; try again",
    MetadataUnavailableError: (
        "the registry's database does not answer; try again, and if that does not help, look at what the registry's "
        "/readyz reports"
    ),
    AuditSearchesBusyError: str(AuditSearchesBusyError()),
    PasswordsBusyError: str(PasswordsBusyError()),
    AccountChangingError: str(AccountChangingError()),
    ChangesAheadError: str(ChangesAheadError()),
}
"""What a 503 says: which part it is and what helps, and never why."""

_RETRY_AFTER_SECONDS: Final = 1
_MOST_CHARACTERS: Final = 1_000
"""Of what an error says."""
_END_CHARACTERS: Final = 200
"""Of them, from the end, where it says what helps."""
_LEFT_OUT: Final = " [...] "

CONTROL_ERROR_TABLE: Final[dict[type[EntrepotError], tuple[int, HarborCode]]] = {
    AccessDeniedError: (403, HarborCode.FORBIDDEN),
    AccountChangingError: (503, HarborCode.UNAVAILABLE),
    ActionDisabledError: (403, HarborCode.DENIED),
    AuditUnavailableError: (503, HarborCode.UNAVAILABLE),
    AuthenticationRequiredError: (401, HarborCode.UNAUTHORIZED),
    InsufficientScopeError: (401, HarborCode.UNAUTHORIZED),
    InvalidCredentialsError: (401, HarborCode.UNAUTHORIZED),
    InvalidTokenError: (401, HarborCode.UNAUTHORIZED),
    LockedOutError: (429, HarborCode.LOCKED_OUT),
    PasswordChangeRequiredError: (403, HarborCode.FORBIDDEN),
    ProjectMissingError: (404, HarborCode.NOT_FOUND),
    ProjectUnknownError: (404, HarborCode.NOT_FOUND),
    BlobStoreError: (500, HarborCode.UNKNOWN),
    StorageFullError: (507, HarborCode.UNKNOWN),
    StorageUnavailableError: (503, HarborCode.UNAVAILABLE),
    TooManyRequestsError: (429, HarborCode.TOO_MANY_REQUEST),
    ChangesAheadError: (503, HarborCode.UNAVAILABLE),
    ForeignRequestError: (403, HarborCode.FORBIDDEN),
    InputBudgetSpentError: (503, HarborCode.UNAVAILABLE),
    InputInterruptedError: (400, HarborCode.BAD_REQUEST),
    InputTooLargeError: (413, HarborCode.REQUEST_ENTITY_TOO_LARGE),
    InputTooSlowError: (408, HarborCode.BAD_REQUEST),
    InvalidFilterError: (400, HarborCode.BAD_REQUEST),
    InvalidInputError: (422, HarborCode.UNPROCESSABLE_ENTITY),
    InvalidSortError: (400, HarborCode.BAD_REQUEST),
    ItemUnknownError: (404, HarborCode.NOT_FOUND),
    MalformedRequestError: (400, HarborCode.BAD_REQUEST),
    MethodNotOfferedError: (405, HarborCode.METHOD_NOT_ALLOWED),
    PathUnknownError: (404, HarborCode.NOT_FOUND),
    UndeclaredActionError: (500, HarborCode.UNKNOWN),
    MetadataError: (500, HarborCode.UNKNOWN),
    MetadataUnavailableError: (503, HarborCode.UNAVAILABLE),
    MetadataFullError: (507, HarborCode.UNKNOWN),
    InvalidDigestError: (400, HarborCode.BAD_REQUEST),
    InvalidRepositoryNameError: (400, HarborCode.BAD_REQUEST),
    InvalidTagNameError: (400, HarborCode.BAD_REQUEST),
    BlobUnknownError: (404, HarborCode.NOT_FOUND),
    ContentInUseError: (409, HarborCode.CONFLICT),
    ManifestUnknownError: (404, HarborCode.NOT_FOUND),
    RepositoryDescriptionError: (400, HarborCode.BAD_REQUEST),
    RepositoryExistsError: (409, HarborCode.CONFLICT),
    RepositoryUnknownError: (404, HarborCode.NOT_FOUND),
    AuditExportBrokenOffError: (409, HarborCode.CONFLICT),
    AuditExportUnreadableError: (400, HarborCode.BAD_REQUEST),
    AuditRetentionError: (400, HarborCode.BAD_REQUEST),
    AuditSearchesBusyError: (503, HarborCode.UNAVAILABLE),
    AuditSearchTooWideError: (400, HarborCode.BAD_REQUEST),
    AccessTokenNameTakenError: (409, HarborCode.CONFLICT),
    AccessTokenUnknownError: (404, HarborCode.NOT_FOUND),
    InvalidAccessTokenError: (400, HarborCode.BAD_REQUEST),
    PasswordNotConfirmedError: (403, HarborCode.FORBIDDEN),
    TokenOwnerUnknownError: (404, HarborCode.NOT_FOUND),
    TooManyAccessTokensError: (409, HarborCode.CONFLICT),
    GroupMemberUnknownError: (404, HarborCode.NOT_FOUND),
    GroupUnknownError: (404, HarborCode.NOT_FOUND),
    InvalidPersonError: (400, HarborCode.BAD_REQUEST),
    EmailTakenError: (409, HarborCode.CONFLICT),
    NameTakenError: (409, HarborCode.CONFLICT),
    OldPasswordWrongError: (403, HarborCode.FORBIDDEN),
    OwnAccountError: (403, HarborCode.FORBIDDEN),
    PasswordRejectedError: (400, HarborCode.BAD_REQUEST),
    PasswordsBusyError: (503, HarborCode.UNAVAILABLE),
    PersonUnknownError: (404, HarborCode.NOT_FOUND),
    SessionUnknownError: (404, HarborCode.NOT_FOUND),
    InvalidRobotError: (400, HarborCode.BAD_REQUEST),
    RobotChangedError: (409, HarborCode.CONFLICT),
    RobotNameTakenError: (409, HarborCode.CONFLICT),
    RobotUnknownError: (404, HarborCode.NOT_FOUND),
    AlreadyAssignedError: (409, HarborCode.CONFLICT),
    AssigneeUnknownError: (404, HarborCode.NOT_FOUND),
    AssignmentUnknownError: (404, HarborCode.NOT_FOUND),
    InvalidRoleError: (400, HarborCode.BAD_REQUEST),
    LastOperationsAdminError: (412, HarborCode.PRECONDITION),
    RoleInUseError: (412, HarborCode.PRECONDITION),
    RoleNameTakenError: (409, HarborCode.CONFLICT),
    RoleUnknownError: (404, HarborCode.NOT_FOUND),
    ConfigurationInvalidError: (400, HarborCode.BAD_REQUEST),
    LabelExistsError: (409, HarborCode.CONFLICT),
    LabelInvalidError: (400, HarborCode.BAD_REQUEST),
    LabelUnknownError: (404, HarborCode.NOT_FOUND),
    MemberExistsError: (409, HarborCode.CONFLICT),
    MemberNeededError: (412, HarborCode.PRECONDITION),
    MemberUnknownError: (404, HarborCode.NOT_FOUND),
    MetadataInvalidError: (400, HarborCode.BAD_REQUEST),
    MetadataMissingError: (404, HarborCode.NOT_FOUND),
    ProjectExistsError: (409, HarborCode.CONFLICT),
    ProjectNameInvalidError: (400, HarborCode.BAD_REQUEST),
    ProjectNotEmptyError: (412, HarborCode.PRECONDITION),
    RoleNotAssignableError: (400, HarborCode.BAD_REQUEST),
    SubjectUnknownError: (404, HarborCode.NOT_FOUND),
}
"""Status and code by error class; a class that is not listed takes the row of its nearest listed ancestor."""


def error_reply(error: EntrepotError) -> Reply:
    """Return the reply for a domain error."""
    status, code = _row(type(error))
    headers: list[tuple[str, str]] = []
    if status == 401:
        headers.append(("www-authenticate", 'Basic realm="harbor", charset="UTF-8"'))
    if isinstance(error, MethodNotOfferedError):
        headers.append(("allow", error.allowed))
    if isinstance(error, LockedOutError):
        headers.append(("retry-after", str(error.retry_after_seconds)))
    elif status in {429, 503}:
        headers.append(("retry-after", str(_RETRY_AFTER_SECONDS)))
    if status == 408:
        headers.append(("connection", "close"))
    message = _unavailable(type(error)) if status == 503 else str(error)
    return render_error(status, code, message, tuple(headers))


def render_error(
    status: int, code: HarborCode, message: str, headers: tuple[tuple[str, str], ...] = ()
) -> Reply:
    """Return a reply with Harbor's error body; from 500 on without the message, but for 503, which has a fixed one.

    Of a message that repeats a long text of the request the middle is left out.
    """
    shown = message if status < 500 or status == 503 else INTERNAL_MESSAGE
    body = msgspec.json.encode(Errors((Error(code.value, _bounded(shown)),)))
    return Reply(status, body, "application/json", headers)


def _bounded(message: str) -> str:
    if len(message) <= _MOST_CHARACTERS:
        return message
    beginning = _MOST_CHARACTERS - len(_LEFT_OUT) - _END_CHARACTERS
    return f"{message[:beginning]}{_LEFT_OUT}{message[-_END_CHARACTERS:]}"


def _unavailable(kind: type[BaseException]) -> str:
    told = (_UNAVAILABLE_MESSAGES[one] for one in kind.__mro__ if one in _UNAVAILABLE_MESSAGES)
    return next(told, _UNAVAILABLE_MESSAGE)


def _row(kind: type[BaseException]) -> tuple[int, HarborCode]:
    for ancestor in kind.__mro__:
        row = CONTROL_ERROR_TABLE.get(ancestor)
        if row is not None:
            return row
    return 500, HarborCode.UNKNOWN
