"""The query field `sort`: names of fields in order of weight, each with a minus for descending."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import msgspec

from entrepot.control_api.errors import InvalidSortError
from entrepot.control_api.field_names import plain_field_name

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["SortKey", "parse_order", "parse_sort"]

O = TypeVar("O", bound=str)  # noqa: E741  # the letter stands for an order


class SortKey(msgspec.Struct, frozen=True):
    """One field to sort by."""

    field: str
    descending: bool = False


def parse_sort(text: str, allowed: Mapping[str, str]) -> tuple[SortKey, ...]:
    """Return the keys; none for an empty text, which leaves the order to the listing.

    Args:
        allowed: what the listing can be sorted by: names in plain form (`plain_field_name`) to those that the keys
            shall bear. Nothing else is ever passed on (S25, S26).

    Raises:
        InvalidSortError: an item is empty, unknown, or there twice.
    """
    keys: list[SortKey] = []
    for item in text.split(",") if text else ():
        name = item.strip()
        field = allowed.get(plain_field_name(name.removeprefix("-")))
        if field is None:
            raise InvalidSortError(
                f"this listing can be sorted by {', '.join(sorted(allowed.values()))} only"
            )
        if any(key.field == field for key in keys):
            raise InvalidSortError(f"{field} is there twice")
        keys.append(SortKey(field, descending=name.startswith("-")))
    return tuple(keys)


def parse_order(text: str, allowed: Mapping[str, str], orders: Iterable[O], usual: O) -> O:
    """Return the order by the first key, the usual one for an empty text; the listing decides among equals.

    Args:
        allowed: as for :func:`parse_sort`.
        orders: a field, and the same with a minus for descending, for all that is allowed.

    Raises:
        InvalidSortError: an item is empty, unknown, or there twice.
    """
    keys = parse_sort(text, allowed)
    if not keys:
        return usual
    wanted = f"{'-' if keys[0].descending else ''}{keys[0].field}"
    return next(order for order in orders if order == wanted)
