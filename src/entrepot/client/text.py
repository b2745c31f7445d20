"""Text on a terminal: how wide it is, how it is cut, and that what a server says can't steer the terminal."""

from __future__ import annotations

import unicodedata

__all__ = ["cut", "one_line", "pad", "width_of"]

_HIDDEN = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def one_line(text: str) -> str:
    """Return text with every control or format character replaced: an escape sequence would steer the terminal."""
    if text.isascii() and text.isprintable():
        return text
    return "".join(
        "\N{REPLACEMENT CHARACTER}" if unicodedata.category(one) in _HIDDEN else one for one in text
    )


def width_of(text: str) -> int:
    """Return how many columns a terminal takes for the text."""
    if text.isascii():
        return len(text)
    return sum(_width(one) for one in text)


def pad(text: str, columns: int) -> str:
    """Return the text with spaces up to a width."""
    return text + " " * (columns - width_of(text))


def cut(text: str, columns: int) -> str:
    """Return the text, cut and ended by an ellipsis if it is wider."""
    if width_of(text) <= columns:
        return text
    taken, left = "", columns - 1
    for one in text:
        left -= _width(one)
        if left < 0:
            break
        taken += one
    return f"{taken}…"


def _width(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in {"W", "F"} else 1
