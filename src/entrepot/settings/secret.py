"""A string that can't slip into a log, a traceback or a listing by being formatted (S27)."""

from __future__ import annotations

import hmac
from typing import final

__all__ = ["MASK", "Secret"]

MASK = "********"


@final
class Secret:
    """Wraps a secret text; only ``reveal()`` gives it back, and an unset secret is falsy.

    Deliberately neither a dataclass nor a str: JSON encoders and loggers refuse it or print the mask.
    """

    __slots__ = ("_text",)

    def __init__(self, text: str = "") -> None:
        self._text = text

    def reveal(self) -> str:
        """Return the secret itself, to be handed straight to whatever needs it."""
        return self._text

    def __bool__(self) -> bool:
        return self._text != ""

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return hmac.compare_digest(self._text.encode(), other._text.encode())

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return f"Secret({MASK if self else ''})"

    __str__ = __repr__
