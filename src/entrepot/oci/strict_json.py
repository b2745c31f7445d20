"""Reads JSON so that no other reader sees a different document in the same bytes (S32), at bounded cost."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, NoReturn, cast

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["MAX_DEPTH", "MAX_VALUES", "InvalidJsonError", "parse_strict_json", "quote_untrusted"]

MAX_DEPTH: Final = 64
"""How deep arrays and objects may nest; real manifests need six levels."""

MAX_VALUES: Final = 100_000
"""How many values a document may hold: megabytes of `[],[],` would else fill memory with tiny objects."""

_TOO_DEEP: Final = f"arrays and objects nest deeper than {MAX_DEPTH} levels"
_MAX_INTEGER_DIGITS: Final = 100
_MAX_QUOTED_LENGTH: Final = 100
_SUSPECT_ESCAPE: Final = re.compile(r"\\u(?:0000|[dD][89a-fA-F])")
_UNSTORABLE: Final = re.compile("[\0\ud800-\udfff]")


class InvalidJsonError(EntrepotError):
    """Bytes that are no JSON, or JSON that two readers may understand differently."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def quote_untrusted(text: str) -> str:
    """Return `text` cut to a hundred characters, quoted and escaped: fit for an error message."""
    if len(text) <= _MAX_QUOTED_LENGTH:
        return ascii(text)
    return ascii(text[:_MAX_QUOTED_LENGTH]) + "…"


def parse_strict_json(body: bytes) -> object:
    """Return the one value `body` holds, made of dicts, lists, strings, numbers, booleans and None.

    Beyond RFC 8259 this refuses: a key that occurs twice in an object; NaN and the infinities; anything but
    UTF-8 without a byte order mark; unpaired surrogates and U+0000, which neither UTF-8 nor PostgreSQL can
    hold; more than :data:`MAX_DEPTH` levels or :data:`MAX_VALUES` values.

    Raises:
        InvalidJsonError: for all of these.
    """
    try:
        text = body.decode("utf-8")
    except UnicodeDecodeError as error:
        raise InvalidJsonError(f"the body is not UTF-8 (byte {error.start})") from None
    openings = text.count("[") + text.count("{")
    # An upper bound, as it counts inside strings too: each value but the first follows one of these.
    if openings + text.count(",") > MAX_VALUES:
        raise InvalidJsonError(f"the document holds more than {MAX_VALUES:,} values")
    document = _decode(text)
    if openings > MAX_DEPTH:
        _refuse_depth(document)
    if _SUSPECT_ESCAPE.search(text) is not None:
        _refuse_unstorable_text(document)
    return document


def _decode(text: str) -> object:
    try:
        document = json.loads(
            text,
            object_pairs_hook=_unique_pairs,
            parse_int=_bounded_integer,
            parse_constant=_refuse_constant,
        )
    except json.JSONDecodeError as error:
        raise InvalidJsonError(f"the body is no JSON: {error}") from None
    except RecursionError:
        raise InvalidJsonError(_TOO_DEEP) from None
    return cast("object", document)


def _unique_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    unique = dict(pairs)
    if len(unique) == len(pairs):
        return unique
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise InvalidJsonError(f"the key {quote_untrusted(key)} occurs twice in one object")
        seen.add(key)
    return unique


def _bounded_integer(digits: str) -> int:
    if len(digits) > _MAX_INTEGER_DIGITS:  # Converting thousands of digits takes quadratic time.
        raise InvalidJsonError(f"an integer has more than {_MAX_INTEGER_DIGITS} digits")
    return int(digits)


def _refuse_constant(name: str) -> NoReturn:
    raise InvalidJsonError(f"{name} is not a JSON number")


def _levels(document: object) -> Iterator[list[object]]:
    """Yield the values of each level, outermost first; keys count as values of their object."""
    level = [document]
    while level:
        yield level
        below: list[object] = []
        for value in level:
            if isinstance(value, dict):
                members = cast("dict[str, object]", value)
                below.extend(members.keys())
                below.extend(members.values())
            elif isinstance(value, list):
                below.extend(cast("list[object]", value))
        level = below


def _refuse_depth(document: object) -> None:
    for depth, level in enumerate(_levels(document), start=1):
        if depth > MAX_DEPTH and any(isinstance(value, dict | list) for value in level):
            raise InvalidJsonError(_TOO_DEEP)


def _refuse_unstorable_text(document: object) -> None:
    for level in _levels(document):
        for value in level:
            if isinstance(value, str) and _UNSTORABLE.search(value) is not None:
                raise InvalidJsonError("a text holds an unpaired surrogate or U+0000")
