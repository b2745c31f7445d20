"""Tables that line up and fit the terminal; wide characters count as two."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.client.text import cut, one_line, pad, width_of

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["format_facts", "format_table"]

_GAP: Final = "  "
_NARROWEST: Final = 8
"""A column is not cut below this: what is left would tell nothing."""
_WHOLE: Final = "ID"
"""The column that is never cut: commands take what stands in it."""


def format_table(header: Sequence[str], rows: Sequence[Sequence[str]], columns: int | None) -> str:
    """Return lines of columns.

    Args:
        columns: how wide the terminal is; `None` where nothing is to be cut, as in a pipe.
    """
    lines = [tuple(header), *(tuple(one_line(cell) for cell in row) for row in rows)]
    widths = [max(width_of(line[index]) for line in lines) for index in range(len(header))]
    if columns is not None:
        _shrink(widths, columns - len(_GAP) * (len(widths) - 1), [name != _WHOLE for name in header])
    return "\n".join(
        _GAP.join(pad(cut(cell, width), width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in lines
    )


def format_facts(facts: Sequence[tuple[str, str]]) -> str:
    """Return one line for each fact of a single thing; these are never cut."""
    width = max(width_of(name) for name, _ in facts)
    return "\n".join(f"{pad(name, width)}{_GAP}{one_line(value)}".rstrip() for name, value in facts)


def _shrink(widths: list[int], room: int, may_be_cut: Sequence[bool]) -> None:
    """Take from the widest column that may be cut, again and again, until all fit."""
    while sum(widths) > room:
        widest = max(range(len(widths)), key=lambda index: widths[index] if may_be_cut[index] else 0)
        if not may_be_cut[widest] or widths[widest] <= _NARROWEST:
            return
        widths[widest] -= 1
