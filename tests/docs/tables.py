"""Markdown tables and lists, written one way."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["render_table"]


def render_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; pipes within cells are escaped."""
    return "\n".join(_render_row(row) for row in (header, ["---"] * len(header), *rows)) + "\n"


def _render_row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"
