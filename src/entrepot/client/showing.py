"""Prints results: tables for people, what the API said for programs, names for scripts."""

from __future__ import annotations

import json
import re
import shutil
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, TypeAlias, cast

from entrepot.client.tables import format_facts, format_table
from entrepot.client.text import one_line

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from entrepot.client.listing import Item
    from entrepot.client.one_time import OneTimeSecret
    from entrepot.client.options import Output

__all__ = ["Columns", "say", "show_created", "show_item", "show_items", "show_secret", "text_of", "time_of"]

Columns: TypeAlias = "Sequence[tuple[str, str | Callable[[Item], str]]]"
"""Headings, each with the field below it or with what makes its text."""

_SPANNED_OUT: Final = re.compile(r"[\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069]")
"""What JSON lets stand as it is and a terminal or a reader may take for something else."""


def show_items(items: Sequence[Item], columns: Columns, output: Output) -> None:
    """Print a listing; the first column is the name."""
    if output == "json":
        _print_json(items)
        return
    rows = [tuple(_cell(item, source) for _, source in columns) for item in items]
    if output == "name":
        for row in rows:
            print(one_line(row[0]))
        return
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    print(format_table([heading for heading, _ in columns], rows, width))


def show_item(item: Item, columns: Columns, output: Output) -> None:
    """Print one thing, a line for each of its facts."""
    if output == "json":
        _print_json(item)
    elif output == "name":
        print(one_line(_cell(item, columns[0][1])))
    else:
        print(format_facts([(heading, _cell(item, source)) for heading, source in columns]))


def show_created(made: Mapping[str, str], sentence: str, output: Output) -> None:
    """Tell a person what was made, a script its name, and a program its name and number; the name comes first."""
    if output == "table":
        say(sentence)
        return
    numbered = {name: int(text) if text.isdigit() else text for name, text in list(made.items())[1:]}
    first, name = next(iter(made.items()))
    show_item({first: name, **numbered}, ((first, first),), output)


def show_secret(made: Mapping[str, Any], columns: Columns, output: Output, once: OneTimeSecret) -> None:
    """Print what was made with its secret; as a name, the secret and nothing else, to be taken by a script.

    Raises:
        ClientError: it could not be printed; see :class:`OneTimeSecret`.
    """
    with once.showing():
        if output == "name":
            print(made["secret"])
        else:
            show_item({**made}, columns, output)
    if output == "table":
        say("The secret is shown this once.")


def say(text: str) -> None:
    """Tell the person what was done, beside the results."""
    print(one_line(text), file=sys.stderr)


def text_of(value: object) -> str:
    """Return a value as people write it."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(text_of(one) for one in cast("Sequence[object]", value))
    return str(value)


def time_of(value: object) -> str:
    """Return a time of the API (RFC 3339, or seconds since 1970) as it is here, with its offset from UTC."""
    try:
        moment = (
            datetime.fromtimestamp(value, UTC)
            if isinstance(value, int | float)
            else datetime.fromisoformat(str(value))
        )
    except (ValueError, OverflowError, OSError):
        return text_of(value)
    return moment.astimezone().isoformat(sep=" ", timespec="seconds")


def _cell(item: Item, source: str | Callable[[Item], str]) -> str:
    if not isinstance(source, str):
        return source(item)
    value = item.get(source)
    return time_of(value) if value and source.endswith(("_time", "_at")) else text_of(value)


def _print_json(value: object) -> None:
    text = json.dumps(value, indent=2, ensure_ascii=False)
    print(_SPANNED_OUT.sub(lambda found: f"\\u{ord(found.group()):04x}", text))
