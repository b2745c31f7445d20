"""What a JSON body is before an endpoint sees it: shallow, of one meaning, without members that are null, of its types.

Clients made from a schema write null for what their caller left out. No body whose fields are named here gives null a
meaning of its own, so for all of them it is the same as not to be there, in one place. Where a body is names and values
that only a service knows, null is handed on: an unknown name is not known for being null.

A number is no text and a text no number, as Harbor has it. Query fields are texts, so the framework has to read these;
it would read bodies in the same way.

All of this is done on the event loop, to bodies of up to a MiB: each is gone through once, and again only where its
bytes say that there is something to find.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, cast, get_origin

import msgspec

from entrepot.control_api.errors import InvalidInputError, MalformedRequestError
from entrepot.oci.strict_json import quote_untrusted

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = [
    "MAX_DEPTH",
    "drop_nulls",
    "in_words",
    "missing_field",
    "names_its_fields",
    "require_known_fields",
    "require_shallow",
    "require_types",
    "require_unique_names",
    "too_deep",
    "unreadable",
]

_HALF_PAIR: Final = re.compile(
    rb"\\u(?:d[89ab][0-9a-f]{2}(?!\\ud[c-f][0-9a-f]{2})|(?<!\\ud[89ab][0-9a-f]{2}\\u)d[c-f][0-9a-f]{2})",
    re.IGNORECASE,
)

_MISSING: Final = re.compile(r"Object missing required field `([^`]+)`")
_OF_KIND: Final = re.compile(r"got `([a-z]+)`$")
_ANY_KEY: Final = "[...]"
"""How the decoder says that it is about some value of an object whose keys are not known to it."""
_KINDS: Final[dict[type, str]] = {
    bool: "bool",
    int: "int",
    float: "float",
    str: "str",
    list: "array",
    dict: "object",
    type(None): "null",
}
"""How the decoder calls what stands in a body."""
_MOST_SHOWN_NAMES: Final = 8
_MOST_SHOWN_CHARACTERS: Final = 64
_HOLDERS: Final = (dict, list)
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


def require_shallow(document: object) -> int:
    """Look at every level of a body, so that nothing that reads it runs out of stack; return how many members it has.

    Raises:
        MalformedRequestError: it has more than 32 levels.
    """
    members = 0
    for depth, level in enumerate(_levels(document), start=1):
        if depth > MAX_DEPTH:
            raise too_deep()
        objects = cast("list[dict[str, object]]", [holder for holder in level if isinstance(holder, dict)])
        members += sum(map(len, objects))
    return members


def require_unique_names(body: bytes, members: int) -> None:
    """Refuse a body of which two readers may understand different things: the decoder takes the last of its equals.

    Counting is what most bodies cost: each member has one colon, and all other colons stand within texts.

    Args:
        body: what the decoder accepted, nested no deeper than :func:`require_shallow` lets through.
        members: how many it found.

    Raises:
        MalformedRequestError: an object has two members of one name.
    """
    if body.count(b":") == members or _colons_between(body) == members:
        return
    # No number is made of what stands there: of thousands of digits that takes long.
    json.loads(body.decode(), object_pairs_hook=_unique_pairs, parse_int=str, parse_float=str)


def drop_nulls(document: object, body: bytes) -> None:
    """Remove the members of objects that are null, at every level; items of lists stay as they are."""
    if b"null" not in body:
        return
    for level in _levels(document):
        for holder in level:
            if isinstance(holder, dict):
                members = cast("dict[str, object]", holder)
                for name in [name for name, value in members.items() if value is None]:
                    del members[name]


def names_its_fields(kind: object) -> bool:
    """Tell whether a type of bodies says which members there can be."""
    return get_origin(kind) is not dict


def require_types(document: object, kind: object) -> None:
    """Compare a body with its type.

    Raises:
        InvalidInputError: it is of another one.
    """
    try:
        msgspec.convert(document, type=kind, strict=True)
    except msgspec.ValidationError as error:
        message, _, place = str(error).partition(" - at `$")
        raise InvalidInputError((_problem(document, message, place.removesuffix("`")),)) from error


def missing_field(field: str) -> str:
    """Return what is said of a field that has to be there and is not."""
    return f"{field}: is required"


def in_words(message: str) -> str:
    """Return what the decoder says of a body that is no JSON as it is said of one that is."""
    missing = _MISSING.fullmatch(message)
    return message if missing is None else missing_field(missing.group(1))


def _problem(document: object, message: str, place: str) -> str:
    """Return what is wrong in the words of whoever wrote the body: which field, by its name."""
    missing = _MISSING.fullmatch(message)
    if missing is not None:
        return missing_field(f"{place}.{missing.group(1)}".removeprefix("."))
    if place.endswith(_ANY_KEY):
        place = _with_key(document, message, place.removesuffix(_ANY_KEY))
    field = place.removeprefix(".")
    return f"{field}: {message}" if field else message


def _with_key(document: object, message: str, place: str) -> str:
    """Return the place of the value that is meant: of an object of such values, the first that is of that kind."""
    kind = _OF_KIND.search(message)
    holder = document
    for name in place.removeprefix(".").split(".") if place else ():
        holder = cast("dict[str, object]", holder).get(name) if isinstance(holder, dict) else None
    if kind is None or not isinstance(holder, dict):
        return place
    members = cast("dict[str, object]", holder).items()
    keys = (key for key, value in members if _KINDS.get(type(value)) == kind.group(1))
    key = next(keys, None)
    if key is None:
        return place
    return f"{place}[{quote_untrusted(key)}]" if place else quote_untrusted(key)


def require_known_fields(document: object, kind: type[msgspec.Struct], passed_over: frozenset[str]) -> None:
    """Compare the names in a body with those that there are.

    Raises:
        InvalidInputError: there is another one.
    """
    known = [field.encode_name for field in msgspec.structs.fields(kind)]
    sent = cast("dict[str, object]", document) if isinstance(document, dict) else {}
    unknown = sorted(name for name in sent if name not in passed_over and name not in known)
    if unknown:
        shown = ", ".join(name[:_MOST_SHOWN_CHARACTERS] for name in unknown[:_MOST_SHOWN_NAMES])
        raise InvalidInputError((f"{shown}: unknown here; what may be set is {', '.join(known)}",))


def _colons_between(body: bytes) -> int:
    """Count the colons that stand outside of texts."""
    if b"\\" in body:  # then a quotation mark may stand within a text
        body = body.replace(rb"\\", b"").replace(rb"\"", b"")
    return b"".join(body.split(b'"')[::2]).count(b":")


def _unique_pairs(pairs: list[tuple[str, Any]]) -> None:
    """Refuse an object that has a name twice; nothing is kept of any.

    Raises:
        MalformedRequestError: it has.
    """
    if len(dict(pairs)) == len(pairs):
        return
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise MalformedRequestError(
                f"the key {quote_untrusted(name)} occurs twice in one object of the body"
            )
        seen.add(name)


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
        level = [item for item in below if isinstance(item, _HOLDERS)]
