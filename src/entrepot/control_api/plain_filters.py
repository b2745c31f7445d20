"""The query field `q` of listings that know a value, one of several, a part of it or a span, and no set of all."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.control_api.errors import InvalidFilterError
from entrepot.control_api.filters import AnyOf, Exact, FilterField, Fuzzy, Span, parse_filters
from entrepot.metadata.list_filters import WantedRows

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.control_api.filters import FilterValue

__all__ = ["MADE", "NAME", "PlainFilters", "parse_plain_filters"]

NAME: Final = frozenset({"exact", "fuzzy", "any"})
"""Shapes that names are asked for by."""
MADE: Final = FilterField("creation_time", "time", frozenset({"range"}))
"""When something was made."""


@dataclass(frozen=True, slots=True)
class PlainFilters:
    """What is wanted, by field; each field is in one of the two at most.

    Attributes:
        values: what fields are.
        parts: what fields contain.
        lists: what fields are one of.
        spans: what fields are within.
    """

    values: Mapping[str, FilterValue]
    parts: Mapping[str, str]
    lists: Mapping[str, tuple[FilterValue, ...]]
    spans: Mapping[str, Span]

    def text(self, field: str) -> str:
        """Return what a field is; empty when nothing is said of it."""
        return str(self.values.get(field, ""))

    def part(self, field: str) -> str:
        """Return what a field contains; empty when nothing is said of it."""
        return self.parts.get(field, "")

    def part_beside(self, field: str, own: str) -> str:
        """Return what a field contains, which a query field of its own may say instead of `q`.

        Raises:
            InvalidFilterError: both say something.
        """
        return _of_two(field, self.part(field), own)

    def text_beside(self, field: str, own: str) -> str:
        """Return what a field is, which a query field of its own may say instead of `q`.

        Raises:
            InvalidFilterError: both say something.
        """
        return _of_two(field, self.text(field), own)

    def truth_beside(self, field: str, own: bool | None) -> bool | None:  # noqa: FBT001  # what a query field says
        """Return whether a field is so, which a query field of its own may say instead of `q`; `None` if neither does.

        Raises:
            InvalidFilterError: both say something.
        """
        found = self.values.get(field)
        if found is not None and own is not None:
            raise _said_twice(field)
        return own if found is None else bool(found)

    def wanted(self, name: str, made: str) -> WantedRows:
        """Return what two fields, the name and the time of making, leave of a listing."""
        span, whole = self.spans.get(made, Span(None, None)), WantedRows()
        return WantedRows(
            names=tuple(str(value) for value in self.lists.get(name, ())),
            made_from=whole.made_from if span.least is None else int(span.least),
            made_upto=whole.made_upto if span.most is None else int(span.most),
        )


def parse_plain_filters(text: str, allowed: Mapping[str, FilterField]) -> PlainFilters:
    """Return what `q` says; the allowed fields offer no `all`.

    Raises:
        InvalidFilterError: it is malformed, or names what is not allowed.
    """
    conditions = {term.field: term.condition for term in parse_filters(text, allowed)}
    return PlainFilters(
        {field: found.value for field, found in conditions.items() if isinstance(found, Exact)},
        {field: found.text for field, found in conditions.items() if isinstance(found, Fuzzy)},
        {field: found.values for field, found in conditions.items() if isinstance(found, AnyOf)},
        {field: found for field, found in conditions.items() if isinstance(found, Span)},
    )


def _of_two(field: str, found: str, own: str) -> str:
    if found and own:
        raise _said_twice(field)
    return found or own


def _said_twice(field: str) -> InvalidFilterError:
    return InvalidFilterError(f"{field} is there twice, in q and beside it")
