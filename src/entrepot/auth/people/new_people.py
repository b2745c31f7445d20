"""What people and groups are called: the forms that are accepted, checked before anything is written."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from entrepot.auth.people.errors import InvalidPersonError, NameTakenError

__all__ = [
    "NewPerson",
    "Profile",
    "ProfileChange",
    "require_group_name",
    "require_new_name",
    "require_profile",
]

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@+-]{0,127}\Z")
_EMAIL: Final = re.compile(r"[^@\s]+@[^@\s]+\Z")
_LONGEST_TEXT: Final = 255
_RESERVED: Final = frozenset({"admin", "anonymous", "host", "registry", "system"})
"""In any case: records name the registry itself so, and nobody shall pass for the first administrator."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a person; all texts may be empty."""

    email: str = ""
    realname: str = ""
    comment: str = ""


@dataclass(frozen=True, slots=True)
class ProfileChange:
    """What shall be known of a person from now on; what is None stays as it is then, not as the caller saw it."""

    email: str | None = None
    realname: str | None = None
    comment: str | None = None

    def of(self, former: Profile) -> Profile:
        """Return what is known when this is changed of `former`."""
        return Profile(
            former.email if self.email is None else self.email,
            former.realname if self.realname is None else self.realname,
            former.comment if self.comment is None else self.comment,
        )


@dataclass(frozen=True, slots=True)
class NewPerson:
    """A person to be made."""

    name: str
    profile: Profile = Profile()


def require_new_name(name: str) -> None:
    """Refuse a login name that can't be given.

    Raises:
        InvalidPersonError: it has another form; no colon (RFC 7617) and no `$` (robots) are among what is allowed.
        NameTakenError: it is reserved.
    """
    if not _NAME.match(name):
        raise InvalidPersonError(
            "username",
            "has to begin with an ASCII letter or digit and have up to 127 letters, digits or . _ @ + - after it",
        )
    if name.casefold() in _RESERVED:
        raise NameTakenError("person", name)


def require_group_name(name: str) -> None:
    """Refuse the name of a group that can't be shown or is too long.

    Raises:
        InvalidPersonError: it is empty, padded, too long or not printable.
    """
    if not name or name != name.strip():
        raise InvalidPersonError("group_name", "must be neither empty nor padded with blanks")
    _require_text("group_name", name)


def require_profile(profile: Profile) -> None:
    """Refuse what can't be known of a person.

    Raises:
        InvalidPersonError: the e-mail address is none, or a text is too long or not printable.
    """
    if profile.email and not _EMAIL.match(profile.email):
        raise InvalidPersonError("email", "is no e-mail address")
    _require_text("email", profile.email)
    _require_text("realname", profile.realname)
    _require_text("comment", profile.comment)


def _require_text(field: str, text: str) -> None:
    if len(text) > _LONGEST_TEXT:
        raise InvalidPersonError(field, f"has more than {_LONGEST_TEXT} characters")
    if not text.isprintable():
        raise InvalidPersonError(field, "has characters that can't be seen")
