"""Which rows a listing is about, by any of several names and by when they were made."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["ANY_ROW", "WantedRows"]

_LAST_MILLISECOND: Final = 2**53


@dataclass(frozen=True, slots=True)
class WantedRows:
    """What has one of these names, any at all without one, and was made within these times.

    Attributes:
        names: at most as many as `q` takes.
        made_from, made_upto: milliseconds since 1970, both within.
    """

    names: tuple[str, ...] = ()
    made_from: int = 0
    made_upto: int = _LAST_MILLISECOND


ANY_ROW: Final = WantedRows()
