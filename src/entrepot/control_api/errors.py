"""What only a request to the management API can get wrong."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "ChangesAheadError",
    "ForeignRequestError",
    "InputBudgetSpentError",
    "InputInterruptedError",
    "InputTooLargeError",
    "InputTooSlowError",
    "InvalidFilterError",
    "InvalidInputError",
    "InvalidSortError",
    "ItemUnknownError",
    "MalformedRequestError",
    "MethodNotOfferedError",
    "PathUnknownError",
    "UndeclaredActionError",
]


class MalformedRequestError(EntrepotError):
    """A request that can't be read: JSON that is none, a field given twice, an unclear path; the text says what."""


class InvalidInputError(EntrepotError):
    """A request that can be read and asks for something that no value of that kind can be.

    Attributes:
        problems: one sentence for each field.
    """

    def __init__(self, problems: tuple[str, ...]) -> None:
        super().__init__("; ".join(problems) or "the request is not valid")
        self.problems = problems


class InvalidFilterError(EntrepotError):
    """The query field `q` is malformed, or names what this listing can't be filtered by (S25, S26)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"q: {reason}")
        self.reason = reason


class InvalidSortError(EntrepotError):
    """The query field `sort` is malformed, or names what this listing can't be sorted by (S26)."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"sort: {reason}")
        self.reason = reason


class ForeignRequestError(EntrepotError):
    """A page of another site had a browser send this, or the proof that it did not is missing (S22)."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class PathUnknownError(EntrepotError):
    """No endpoint of the management API has this path."""

    def __init__(self) -> None:
        super().__init__("there is no such endpoint")


class ItemUnknownError(EntrepotError):
    """What a path names does not exist, or belongs to somebody or something else (S7).

    Attributes:
        kind: what it would be, as `session`.
    """

    def __init__(self, kind: str) -> None:
        super().__init__(f"there is no such {kind}")
        self.kind = kind


class MethodNotOfferedError(EntrepotError):
    """The endpoint exists and does not take this method."""

    def __init__(self, allowed: str) -> None:
        super().__init__(f"this endpoint takes {allowed}")
        self.allowed = allowed


class InputTooLargeError(EntrepotError):
    """A body of more bytes than the endpoint takes, or than any does: then it was not read further."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"the body has more than {limit} bytes")
        self.limit = limit


class InputTooSlowError(EntrepotError):
    """The whole of a body did not arrive in time."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the body did not arrive within {seconds:.0f} seconds")
        self.seconds = seconds


class InputInterruptedError(EntrepotError):
    """The client went away in the middle of its body; there is nobody to tell."""

    def __init__(self) -> None:
        super().__init__("the client went away before the end of the body")


class InputBudgetSpentError(EntrepotError):
    """The bodies that are being read already take all the memory that this process has for them."""

    def __init__(self) -> None:
        super().__init__("too many requests are being read; try again in a moment")


class ChangesAheadError(EntrepotError):
    """It was not this change's turn in time: changes come one after the other, and those before took too long."""

    def __init__(self) -> None:
        super().__init__(
            "other changes are ahead of this one, and it was not its turn in time; try again in a second, and send "
            "fewer changes at once if they are yours"
        )


class UndeclaredActionError(EntrepotError):
    """A handler asked for a grant that its endpoint does not declare, or for none: a fault of ours, refused as one.

    Attributes:
        permission: what it asked for, `none` when it answered without having asked.
    """

    def __init__(self, permission: str) -> None:
        super().__init__(f"the endpoint's handler asked for a permission that is not declared: {permission}")
        self.permission = permission
