"""Why somebody may not do something."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from entrepot.auth.principals import Principal

__all__ = [
    "AccessDeniedError",
    "AccountChangingError",
    "ActionDisabledError",
    "AuditUnavailableError",
    "AuthenticationRequiredError",
    "InsufficientScopeError",
    "InvalidCredentialsError",
    "InvalidTokenError",
    "LockedOutError",
    "PasswordChangeRequiredError",
    "ProjectMissingError",
    "ProjectUnknownError",
]


class AccessDeniedError(EntrepotError):
    """The principal may not do this, and presenting other credentials would not help.

    The text is for the person at the other end; it says nothing about whether the repository exists (S19).
    """

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ActionDisabledError(EntrepotError):
    """A setting, or a state that the registry is in, forbids this to everybody, whatever they may otherwise do."""

    def __init__(self, reason: str, setting: str = "") -> None:
        super().__init__(f"{reason} (setting {setting})" if setting else reason)
        self.reason = reason
        self.setting = setting


class AuthenticationRequiredError(EntrepotError):
    """Nobody is known yet, and somebody has to be.

    Attributes:
        scope: the scope that a token would need, as `repository:team/app:pull,push`; empty when none is needed.
    """

    def __init__(self, scope: str = "") -> None:
        super().__init__("authentication is required: log in, or present a token")
        self.scope = scope


class InsufficientScopeError(EntrepotError):
    """A valid bearer token was not issued for this; one that was might be obtained (T2, T16).

    A bearer token does not carry the limits of the access token that it was got with, so whether they are in the way
    is told as one of the things that may be.
    """

    def __init__(self, scope: str, *, of_access_token: bool = False) -> None:
        limits = (
            "the access token that you logged in with has limits that leave it out, or " * of_access_token
        )
        super().__init__(
            f"the token is not good for {scope}: it was not asked for, or {limits}there is no such project, or you "
            "have no role there that permits it; ask who administers the project, or the registry"
        )
        self.scope = scope


class InvalidCredentialsError(EntrepotError):
    """A name or secret is wrong, expired, disabled or used from elsewhere; which of these, only the audit log tells.

    Attributes:
        cause: what the audit record says; never shown to the client (S19).
        whose: whom a secret belongs to that is right and yet opens nothing; `None` where nobody is known by it.
    """

    def __init__(self, cause: str = "", whose: Principal | None = None) -> None:
        super().__init__("the user name or the secret is wrong")
        self.cause = cause
        self.whose = whose


class InvalidTokenError(EntrepotError):
    """A bearer token is malformed, expired, revoked or not ours.

    Attributes:
        cause: what the log says.
        whose: whom one speaks for that was signed here; `None` where it was not. Without an address.
    """

    def __init__(self, cause: str, scope: str = "", whose: Principal | None = None) -> None:
        super().__init__("the bearer token is not valid any more, or never was; ask for a new one")
        self.cause = cause
        self.scope = scope
        self.whose = whose


class LockedOutError(EntrepotError):
    """Too many wrong passwords for this account came from this address.

    Attributes:
        retry_after_seconds: when trying again may help.
        is_overlong: whether the lock lasts longer than locks do, and has to be shortened.
    """

    def __init__(self, retry_after_seconds: int, *, is_overlong: bool = False) -> None:
        super().__init__(
            f"too many failed logins for this account from this address; try again in {retry_after_seconds} s"
        )
        self.retry_after_seconds = retry_after_seconds
        self.is_overlong = is_overlong


class AccountChangingError(EntrepotError):
    """Rights were changed while a request by whoever has them was under way; what was decided is from before (S14).

    Its credentials are right, so it is no refusal of who asks: the next try is decided by what holds then.
    """

    def __init__(self) -> None:
        super().__init__(
            "the account, or what it may do, is being changed at the moment; try again in a second"
        )


class PasswordChangeRequiredError(EntrepotError):
    """The password is right but was set by somebody else, or is too old: it opens nothing but its own change.

    Attributes:
        whose: who is known by what was presented, where the error ends the search for who asks; else `None`.
    """

    def __init__(self, whose: Principal | None = None) -> None:
        super().__init__(
            "the password has to be changed first: `entrepot user password`, or PUT /api/v2.0/users/{id}/password"
        )
        self.whose = whose


class ProjectUnknownError(EntrepotError):
    """There is no such project, and the one who asks may know that."""

    def __init__(self, project: str | int) -> None:
        super().__init__(f"there is no project {project}")
        self.project = project


class ProjectMissingError(EntrepotError):
    """What was pushed or pulled is in a project that does not exist, and the one who asks may know that."""

    def __init__(self, project: str, *, may_create: bool) -> None:
        remedy = (
            f"create it first (entrepot project create {project})"
            if may_create
            else "ask an operations administrator to create it"
        )
        super().__init__(f"project {project} does not exist; {remedy}")
        self.project = project
        self.may_create = may_create


class AuditUnavailableError(EntrepotError):
    """What was asked for could not be recorded, so it is not done (I11, F45)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the audit log takes no records at present: {reason}")
        self.reason = reason
