"""Prints tables for people and JSON for programs, and holds the option that chooses."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Annotated, Literal, TypeAlias

import msgspec
from cyclopts import Parameter

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["OutputOption", "format_json", "format_table", "one_line", "print_json"]

OutputOption: TypeAlias = Annotated[
    Literal["text", "json"], Parameter(name=["--output", "-o"], help="text for people, json for programs.")
]


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return columns that line up, two spaces apart, without trailing spaces; see :func:`one_line`."""
    rows = [[one_line(cell) for cell in row] for row in rows]
    widths = [max(len(row[column]) for row in (header, *rows)) for column in range(len(header))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in (header, *rows)
    ]
    return "\n".join(lines)


def one_line(text: str) -> str:
    """Return text that can't end its line or steer the terminal, whoever wrote it."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else "\N{REPLACEMENT CHARACTER}" for one in text)


def format_json(value: object) -> str:
    """Return indented JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False)


def print_json(value: object) -> None:
    """Print a report of dataclasses and structs as JSON."""
    print(format_json(msgspec.to_builtins(value)))
