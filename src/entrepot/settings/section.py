"""What every part of the settings tree is made of."""

from __future__ import annotations

from dataclasses import dataclass

import msgspec

__all__ = ["Section", "Setting"]


@dataclass(frozen=True, slots=True)
class Setting:
    """What the documentation says of a field, and the range it must keep (both ends allowed)."""

    description: str
    reason: str
    reloadable: bool = False
    minimum: float | None = None
    maximum: float | None = None


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Base of every section: immutable, compared by value, with no room for a key nobody reads."""
