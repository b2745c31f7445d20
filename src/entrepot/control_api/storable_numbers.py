"""Numbers of requests are no greater than a column holds: what is beyond names nothing, and no engine has to say so."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, cast

import msgspec

from entrepot.control_api.errors import InvalidInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

__all__ = ["require_storable_numbers"]

_BEYOND: Final = 10**18
"""As in the query field `q` and in names of projects: 18 digits."""


def require_storable_numbers(*values: object) -> None:
    """Look at every number in what a request was read into, however deep.

    Raises:
        InvalidInputError: one has more than 18 digits.
    """
    if any(not -_BEYOND < number < _BEYOND for value in values for number in _numbers(value)):
        raise InvalidInputError(("a number has at most 18 digits",))


def _numbers(value: object) -> Iterator[int]:
    """Yield whole numbers; those with a fraction are never stored."""
    waiting: list[Any] = [msgspec.to_builtins(value)]
    while waiting:
        item = waiting.pop()
        if isinstance(item, int):
            yield item
        elif isinstance(item, dict):
            waiting.extend(cast("dict[str, Any]", item).values())
        elif isinstance(item, list | tuple):
            waiting.extend(cast("Sequence[Any]", item))
