"""The query field `q`, in Harbor's little language: terms joined by commas, all of which must hold.

`k=v` exact, `k=~v` contains, `k=[min~max]` range with one side open at most, `k={a b}` any of, `k=(a b)` all of. What
is in brackets may be quoted. Nothing but fields that a listing names gets through (S25, S26): a filter on a column
that is not shown would tell it letter by letter.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, Literal, TypeAlias
from urllib.parse import unquote

import msgspec

from entrepot.control_api.errors import InvalidFilterError
from entrepot.control_api.field_names import plain_field_name
from entrepot.kernel.times import milliseconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "AllOf",
    "AnyOf",
    "Exact",
    "FilterField",
    "FilterTerm",
    "FilterValue",
    "Fuzzy",
    "Span",
    "parse_filters",
]

FilterKind = Literal["text", "number", "time", "truth"]
FilterValue: TypeAlias = str | int

_MAX_CHARACTERS: Final = 4096
_MAX_TERMS: Final = 32
_MAX_VALUES: Final = 100
_BROKEN_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})")
_NUMBER: Final = re.compile(r"-?[0-9]{1,18}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\d[ T]\d\d:\d\d:\d\d(?:\.\d{1,6})?(?:Z|[+-]\d\d:\d\d)?", re.ASCII)
_REST_OF_SECOND: Final = 999
"""Milliseconds."""
_TRUTHS: Final = {"true": 1, "1": 1, "false": 0, "0": 0}
"""How Harbor's clients write what is so or not, in any case of letters."""
_CLOSING: Final = {"[": "]", "{": "}", "(": ")"}


class FilterField(msgspec.Struct, frozen=True):
    """A field that a listing can be filtered by.

    Attributes:
        name: what the term shall call it.
        kind: what its values are; a truth comes as 1 or 0.
        operators: the shapes that the listing understands for it.
        label: how requests write it, where that is another name.
    """

    name: str
    kind: FilterKind = "text"
    operators: frozenset[str] = frozenset({"exact", "fuzzy"})
    label: str = ""

    @property
    def shown(self) -> str:
        """How requests write it."""
        return self.label or self.name


class Exact(msgspec.Struct, frozen=True):
    """The field is this."""

    value: FilterValue


class Fuzzy(msgspec.Struct, frozen=True):
    """The field contains this text. No character of it is a wildcard."""

    text: str


class Span(msgspec.Struct, frozen=True):
    """The field is neither below nor above; `None` sets no bound. Times are milliseconds since 1970.

    A time without a fraction means its whole second, which is within the bounds.
    """

    least: FilterValue | None
    most: FilterValue | None


class AnyOf(msgspec.Struct, frozen=True):
    """The field is one of these."""

    values: tuple[FilterValue, ...]


class AllOf(msgspec.Struct, frozen=True):
    """The field, which has several values, has all of these."""

    values: tuple[FilterValue, ...]


Condition: TypeAlias = Exact | Fuzzy | Span | AnyOf | AllOf


class FilterTerm(msgspec.Struct, frozen=True):
    """One condition on one field."""

    field: str
    condition: Condition


def parse_filters(text: str, allowed: Mapping[str, FilterField]) -> tuple[FilterTerm, ...]:
    """Return the terms of `q`, each of another field; none for an empty text.

    Args:
        allowed: by names in plain form (`plain_field_name`).

    Raises:
        InvalidFilterError: it is malformed, or names what is not allowed.
    """
    if len(text) > _MAX_CHARACTERS:
        raise InvalidFilterError(f"more than {_MAX_CHARACTERS} characters")
    if _BROKEN_ESCAPE.search(text):
        raise InvalidFilterError("a percent sign that begins no escape")
    try:
        unescaped = unquote(text, errors="strict") if "%" in text else text
    except UnicodeDecodeError as error:
        raise InvalidFilterError("an escape that is no UTF-8") from error
    if "\0" in unescaped:
        raise InvalidFilterError("U+0000, which no field holds")
    return _parse_terms(unescaped, allowed) if unescaped else ()


def _parse_terms(text: str, allowed: Mapping[str, FilterField]) -> tuple[FilterTerm, ...]:
    parts = _split_terms(text)
    if len(parts) > _MAX_TERMS:
        raise InvalidFilterError(f"more than {_MAX_TERMS} terms")
    terms: dict[str, FilterTerm] = {}
    for part in parts:
        name, equals, value = part.partition("=")
        if not equals or not name.strip() or not value.strip():
            raise InvalidFilterError("a term must have the form name=value")
        field = allowed.get(plain_field_name(name.strip()))
        if field is None:
            offered = ", ".join(sorted(field.shown for field in allowed.values())) or "nothing"
            raise InvalidFilterError(f"this listing can be filtered by {offered} only")
        if field.name in terms:
            raise InvalidFilterError(f"{field.shown} is there twice")
        terms[field.name] = FilterTerm(field.name, _parse_condition(value, field))
    return tuple(terms.values())


def _split_terms(text: str) -> list[str]:
    """Cut at commas, but for those within quotes within brackets; what is not closed reaches to the end."""
    parts: list[str] = []
    start, quote, closing = 0, "", ""
    for place, character in enumerate(text):
        if quote:
            quote = "" if character == quote else quote
        elif closing and character in "\"'":
            quote = character
        elif closing:
            closing = "" if character == closing else closing
        elif character in _CLOSING and text[place - 1] == "=" and place:
            closing = _CLOSING[character]
        elif character == ",":
            parts.append(text[start:place])
            start = place + 1
    return [*parts, text[start:]]


def _parse_condition(text: str, field: FilterField) -> Condition:
    operator, condition = _read_condition(text, field)
    if operator not in field.operators:
        raise InvalidFilterError(f"{field.shown} can't be filtered in this way")
    return condition


def _read_condition(text: str, field: FilterField) -> tuple[str, Condition]:
    opening = text[0]
    if opening == "~":
        if not text[1:]:
            raise InvalidFilterError("a term must have the form name=value")
        return "fuzzy", Fuzzy(text[1:])
    if opening not in _CLOSING:
        return "exact", Exact(_parse_value(text, field))
    if len(text) < 3 or text[-1] != _CLOSING[opening]:
        raise InvalidFilterError(f"{field.shown}: a bracket is not closed, or nothing is in it")
    inner = text[1:-1]
    if opening == "[":
        return "range", _parse_span(inner, field)
    values = tuple(_parse_value(item, field) for item in _read_items(inner))
    return ("any", AnyOf(values)) if opening == "{" else ("all", AllOf(values))


def _parse_span(text: str, field: FilterField) -> Span:
    sides = [_unquote_side(side.strip()) for side in text.split("~")]
    if len(sides) != 2 or not any(sides):
        raise InvalidFilterError(f"{field.shown}: a range has the form [least~most]")
    least, most = (_parse_value(side, field) if side else None for side in sides)
    if field.kind == "time" and isinstance(most, int) and "." not in sides[1]:
        most += _REST_OF_SECOND
    return Span(least, most)


def _unquote_side(side: str) -> str:
    quoted = len(side) >= 2 and side[0] in "\"'" and side[-1] == side[0]
    return side[1:-1] if quoted else side


def _read_items(text: str) -> list[str]:
    """Return what stands between spaces, or in quotes, each of which must be closed and followed by a space."""
    items: list[str] = []
    rest = text.strip()
    while rest:
        quote = rest[0] if rest[0] in "\"'" else ""
        item, found, after = rest[len(quote) :].partition(quote or " ")
        if not item or (quote and (not found or after[:1].strip())) or (not quote and "," in item):
            raise InvalidFilterError("the items of a list stand between spaces, and quotes are closed")
        items.append(item)
        rest = after.lstrip()
    if not items or len(items) > _MAX_VALUES:
        raise InvalidFilterError(f"a list has 1 to {_MAX_VALUES} items")
    return items


def _parse_value(text: str, field: FilterField) -> FilterValue:
    if field.kind == "number":
        if not _NUMBER.fullmatch(text):
            raise InvalidFilterError(f"{field.shown} is a number")
        return int(text)
    if field.kind == "truth":
        if text.lower() not in _TRUTHS:
            raise InvalidFilterError(f"{field.shown} is true or false")
        return _TRUTHS[text.lower()]
    if field.kind == "time":
        return _parse_time(text, field)
    return text


def _parse_time(text: str, field: FilterField) -> int:
    """Return milliseconds; nothing but whole times is taken, since a range reaches to the end of its last second."""
    problem = InvalidFilterError(
        f"{field.shown} is a time of the form 2020-04-09 02:36:00 or 2020-04-09T02:36:00.250Z"
    )
    if not _TIME.fullmatch(text):
        raise problem
    try:
        return milliseconds_of(text)
    except ValueError as error:
        raise problem from error
