"""The query field `q` of listings that know a value or a part of it, and nothing else of Harbor's little language."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.control_api.filters import Exact, Fuzzy, parse_filters

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.control_api.filters import FilterField, FilterValue

__all__ = ["PlainFilters", "parse_plain_filters"]


@dataclass(frozen=True, slots=True)
class PlainFilters:
    """What is wanted, by field; each field is in one of the two at most.

    Attributes:
        values: what fields are.
        parts: what fields contain.
    """

    values: Mapping[str, FilterValue]
    parts: Mapping[str, str]

    def text(self, field: str) -> str:
        """Return what a field is; empty when nothing is said of it."""
        return str(self.values.get(field, ""))

    def part(self, field: str) -> str:
        """Return what a field contains; empty when nothing is said of it."""
        return self.parts.get(field, "")


def parse_plain_filters(text: str, allowed: Mapping[str, FilterField]) -> PlainFilters:
    """Return what `q` says; the allowed fields offer `exact` and `fuzzy` only.

    Raises:
        InvalidFilterError: it is malformed, or names what is not allowed.
    """
    conditions = {term.field: term.condition for term in parse_filters(text, allowed)}
    return PlainFilters(
        {field: found.value for field, found in conditions.items() if isinstance(found, Exact)},
        {field: found.text for field, found in conditions.items() if isinstance(found, Fuzzy)},
    )
