"""Why an access token can't be made or is not there."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "AccessTokenError",
    "AccessTokenNameTakenError",
    "AccessTokenUnknownError",
    "InvalidAccessTokenError",
    "PasswordNotConfirmedError",
    "TokenOwnerUnknownError",
    "TooManyAccessTokensError",
]


class AccessTokenError(EntrepotError):
    """The root of everything that speaks against an access token."""


class InvalidAccessTokenError(AccessTokenError):
    """What was asked for can't be an access token: its name, scopes or time.

    Attributes:
        field: which of them.
    """

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}")
        self.field = field
        self.reason = reason


class AccessTokenNameTakenError(AccessTokenError):
    """The person has another token of that name, perhaps an expired one."""

    def __init__(self, name: str) -> None:
        super().__init__(f"you have an access token called {name} already; delete it first")
        self.name = name


class PasswordNotConfirmedError(AccessTokenError):
    """The password, which somebody in a session has to show once more, is not theirs.

    Forbidden (403), as :class:`entrepot.auth.people.errors.OldPasswordWrongError` is: the session stays good.
    """

    def __init__(self) -> None:
        super().__init__("password is wrong: it is not the present password of this account")


class AccessTokenUnknownError(AccessTokenError):
    """The person has no such token (S7)."""

    def __init__(self, public_id: str) -> None:
        super().__init__(f"there is no access token {public_id}")
        self.public_id = public_id


class TokenOwnerUnknownError(AccessTokenError):
    """There is no such person to have tokens."""

    def __init__(self, person_id: int) -> None:
        super().__init__(f"there is no person {person_id}")
        self.person_id = person_id


class TooManyAccessTokensError(AccessTokenError):
    """The person has as many good tokens as anybody may."""

    def __init__(self, most: int) -> None:
        super().__init__(f"nobody can have more than {most} access tokens; delete one first")
        self.most = most
