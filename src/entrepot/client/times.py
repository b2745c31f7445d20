"""Reads the times that audit commands are given, alike over the API and on the host.

The registry's records carry times in UTC, and exports are proven wherever they are read: so a time without an offset is
in UTC, whatever the clock of the machine says on which the command is given.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Final, TypeAlias

from cyclopts import Parameter

from entrepot.client.errors import EXIT_USAGE, ClientError

__all__ = ["FromOption", "ToOption", "read_span", "time_in_utc"]

FromOption: TypeAlias = Annotated[
    str,
    Parameter(
        name=["--from", "--since"],
        help="Only records of this time or later: 2026-11-01, 2026-11-01T08:00 (both UTC) or 2026-11-01T08:00+08:00.",
    ),
]
ToOption: TypeAlias = Annotated[
    str, Parameter(name=["--to", "--until"], help="Only records before this time, written alike.")
]
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def read_span(since: str, until: str) -> tuple[int | None, int | None]:
    """Return what `--from` and `--to` mean, in milliseconds since 1970; `None` for an empty text.

    Raises:
        ClientError: one of them is no time, or the span would end before it begins.
    """
    first, end = _read(since, "--from"), _read(until, "--to")
    if end is not None and (first or 0) >= end:
        raise ClientError(EXIT_USAGE, "entrepot: --to has to be later than --from")
    return first, end


def time_in_utc(milliseconds: int) -> str:
    """Return a time as `2026-11-01T08:00:00.250Z`, which every part of the API understands."""
    moment = _EPOCH + timedelta(milliseconds=milliseconds)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _read(text: str, option: str) -> int | None:
    """Return a time of ISO 8601 in milliseconds, as the registry reads it."""
    if not text:
        return None
    try:
        moment = datetime.fromisoformat(text)
        aware = moment.astimezone(UTC) if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
        return (aware - _EPOCH) // timedelta(milliseconds=1)
    except (ValueError, OverflowError) as error:
        raise ClientError(
            EXIT_USAGE, f"entrepot: {option} {text}: is no time, as 2026-11-01 or 2026-11-01T08:00+08:00"
        ) from error
