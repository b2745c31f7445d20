"""What of a request no column holds names nothing, whichever engine is there: great numbers, and texts with U+0000."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from entrepot.control_api.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["require_plain_numbers", "require_storable"]

_BEYOND: Final = 10**18
"""As in the query field `q` and in names of projects: 18 digits."""


def require_storable(*values: object) -> None:
    """Look at every number and text in what a request was read into, however deep.

    Raises:
        InvalidInputError: a number has more than 18 digits, or a text holds what PostgreSQL does not.
    """
    for value in values:
        for item in _scalars(value):
            if isinstance(item, int) and not -_BEYOND < item < _BEYOND:
                raise InvalidInputError(("a number has at most 18 digits",))
            if isinstance(item, str) and "\0" in item:
                raise InvalidInputError(("a text holds no U+0000",))


def require_plain_numbers(values: Mapping[str, object], path_values: Mapping[str, str]) -> None:
    """Look at how the numbers of a path are written: one thing has one address, also for the audit log.

    Raises:
        InvalidInputError: as `5.0` or `5e0`, which are read as numbers.
    """
    for name, sent in path_values.items():
        if isinstance(values.get(name), int) and not sent.removeprefix("-").isdecimal():
            raise InvalidInputError((f"{name}: a number is written in digits only",))


def _scalars(value: object) -> Iterator[object]:
    """Yield whole numbers and texts, names of members among them; numbers with a fraction are never stored."""
    waiting: list[Any] = [msgspec.to_builtins(value)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, int | str):
            yield item
        elif isinstance(item, dict):
            members = cast("dict[str, Any]", item)
            waiting.extend(members)
            waiting.extend(members.values())
        elif isinstance(item, list | tuple):
            waiting.extend(cast("Sequence[Any]", item))
