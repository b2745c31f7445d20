"""What a JSON body is before its types are looked at: shallow, and without members of objects that are null.

Clients made from a schema write null for what their caller left out. No body here gives null a meaning of its own, so
for all of them it is the same as not to be there, in one place.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, cast

from entrepot.control_api.errors import MalformedRequestError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_DEPTH", "drop_nulls", "require_shallow", "too_deep", "unreadable"]

_HALF_PAIR: Final = re.compile(
    rb"\\u(?:d[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\ud[89ab][0-9a-f]{2}\\u)d[c-f][0-9a-f]{2})",
    re.IGNORECASE,
)

MAX_DEPTH: Final = 32
"""Levels of objects and lists; the deepest body that an endpoint reads has five."""


def too_deep() -> MalformedRequestError:
    """Return the error that a body is nested beyond what is read."""
    return MalformedRequestError(f"the body has objects and lists more than {MAX_DEPTH} levels deep")


def unreadable(body: bytes, reason: str) -> MalformedRequestError:
    """Return the error for a body that is no JSON; the decoder calls half of a surrogate pair the end of the body."""
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return MalformedRequestError(f"the body is not UTF-8 (byte {error.start})")
    if _HALF_PAIR.search(body):
        return MalformedRequestError("a text of the body holds half of a surrogate pair")
    return MalformedRequestError(reason)


def require_shallow(document: object) -> None:
    """Look at every level of a body, so that nothing that reads it runs out of stack.

    Raises:
        MalformedRequestError: it has more than 32 levels.
    """
    for depth, _ in enumerate(_levels(document), start=1):
        if depth > MAX_DEPTH:
            raise too_deep()


def drop_nulls(document: object) -> None:
    """Remove the members of objects that are null, at every level; items of lists stay as they are."""
    for level in _levels(document):
        for holder in level:
            if isinstance(holder, dict):
                members = cast("dict[str, object]", holder)
                for name in [name for name, value in members.items() if value is None]:
                    del members[name]


def _levels(document: object) -> Iterator[list[object]]:
    """Yield the objects and lists of each level, the outermost first."""
    level: list[object] = [document]
    while level:
        yield level
        below: list[object] = []
        for holder in level:
            if isinstance(holder, dict):
                below.extend(cast("dict[str, object]", holder).values())
            elif isinstance(holder, list):
                below.extend(cast("list[object]", holder))
        level = [item for item in below if _holds_more(item)]


def _holds_more(item: object) -> bool:
    return isinstance(item, dict | list)
