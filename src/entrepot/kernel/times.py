"""Reads times as requests and commands write them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

__all__ = ["milliseconds_of"]

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def milliseconds_of(text: str) -> int:
    """Return a time of ISO 8601 in milliseconds since 1970; one without an offset is in UTC, as Harbor reads it.

    Raises:
        ValueError: it is none, or none that the calendar has in UTC.
    """
    moment = datetime.fromisoformat(text)
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    try:
        return (aware - _EPOCH) // timedelta(milliseconds=1)
    except OverflowError as error:
        raise ValueError(text) from error
