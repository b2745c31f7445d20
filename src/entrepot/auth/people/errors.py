"""What can't be done with people, groups and their passwords."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "EmailTakenError",
    "GroupMemberUnknownError",
    "GroupUnknownError",
    "InvalidPersonError",
    "NameTakenError",
    "OldPasswordWrongError",
    "OwnAccountError",
    "PasswordRejectedError",
    "PasswordsBusyError",
    "PeopleError",
    "PersonUnknownError",
    "SessionUnknownError",
]


class PeopleError(EntrepotError):
    """The root of what is refused here because of what was asked."""


class PasswordRejectedError(PeopleError):
    """A new password does not satisfy the policy.

    Attributes:
        reasons: every one, as a person reads it; never the password.
    """

    def __init__(self, reasons: tuple[str, ...]) -> None:
        super().__init__(f"the password is not accepted: {'; '.join(reasons)}")
        self.reasons = reasons


class OldPasswordWrongError(PeopleError):
    """The old password, with which somebody wants to change their own, is not theirs.

    Forbidden (403), not unauthorized (401): who asks is known by the credentials of the request, which stay good, and
    401 says of those that they are not (RFC 9110, section 15.5.2). A browser's pages would take it for the end of the
    session, and the command line would ask for a new login. Harbor answers 403 here as well.
    """

    def __init__(self) -> None:
        super().__init__("old_password is wrong: it is not the present password of this account")


class InvalidPersonError(PeopleError):
    """A property of a person or a group has a form that is not accepted."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field} {reason}")
        self.field = field
        self.reason = reason


class NameTakenError(PeopleError):
    """A person or a group has the name already, or it is kept for the registry itself.

    People's names are told apart whatever the case they are written in.
    """

    def __init__(self, kind: str, name: str) -> None:
        super().__init__(f"the name {name} can't be given to a {kind}: it is taken")
        self.kind = kind
        self.name = name


class EmailTakenError(PeopleError):
    """Another person has the e-mail address, in whichever case.

    Whose it is stays untold, and the address itself as well: this text is kept in the audit log, and not erased.
    """

    def __init__(self) -> None:
        super().__init__("the e-mail address can't be given to this person: it is taken")


class PersonUnknownError(PeopleError):
    """There is no such person."""

    def __init__(self, person: str | int) -> None:
        super().__init__(f"there is no person {person}")
        self.person = person


class GroupUnknownError(PeopleError):
    """There is no such group."""

    def __init__(self, group: str | int) -> None:
        super().__init__(f"there is no group {group}")
        self.group = group


class GroupMemberUnknownError(PeopleError):
    """The group has no such member, whoever else there is (S7).

    By numbers alone: who manages groups need not know people by their names, and the text stays in the audit log.
    """

    def __init__(self, group_id: int, person_id: int) -> None:
        super().__init__(f"group {group_id} has no member {person_id}")
        self.group_id = group_id
        self.person_id = person_id


class SessionUnknownError(PeopleError):
    """There is no such session, or it is not the one's own."""

    def __init__(self) -> None:
        super().__init__("there is no such session")


class OwnAccountError(PeopleError):
    """This can't be done to oneself."""

    def __init__(self) -> None:
        super().__init__(
            "one's own account can be neither deleted nor disabled: another administrator can do that"
        )


class PasswordsBusyError(EntrepotError):
    """So many passwords wait to be checked that one more is refused; a moment later it may be taken."""

    def __init__(self) -> None:
        super().__init__("too many passwords are being checked at the moment; try again in a second")
