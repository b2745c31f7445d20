"""The query field `sort`: names of fields in order of weight, each with a minus for descending."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from entrepot.control_api.errors import InvalidSortError
from entrepot.control_api.field_names import plain_field_name

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["SortKey", "parse_sort"]


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
