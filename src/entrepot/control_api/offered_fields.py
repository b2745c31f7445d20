"""What a listing can't do with `q` and `sort` is refused: whoever deletes what a filter left would delete all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, get_origin

import msgspec

from entrepot.control_api.declarations import path_parameters
from entrepot.control_api.errors import InvalidFilterError, InvalidSortError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.control_api.declarations import AnyEndpoint

__all__ = ["require_offered_fields"]

_PAGES: Final = frozenset({"page", "page_size"})


def require_offered_fields(endpoint: AnyEndpoint, query: Mapping[str, str]) -> None:
    """Compare the query of a request for a listing with what the listing has; an empty field asks for nothing.

    Raises:
        InvalidFilterError, InvalidSortError: it has no such field, and the text says what it has instead.
    """
    asked = [name for name in ("q", "sort") if query.get(name)]
    if not asked or get_origin(endpoint.result) is not list:
        return
    offered = [field.name for field in msgspec.structs.fields(endpoint.inputs)]
    if "q" in asked and "q" not in offered:
        raise InvalidFilterError(f"this listing has no q{_instead(endpoint, offered)}")
    if "sort" in asked and "sort" not in offered:
        raise InvalidSortError("this listing has one order and no sort")


def _instead(endpoint: AnyEndpoint, offered: list[str]) -> str:
    in_path = path_parameters(endpoint.path)
    own = [f"{name}=" for name in offered if name not in _PAGES and name not in in_path]
    return f"; it has {', '.join(own)}" if own else " and no other filter"
