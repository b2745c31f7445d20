"""What the errors of asyncpg mean: try the unit again, the database is away, or our statement is wrong."""

from __future__ import annotations

from typing import Final

import asyncpg

from entrepot.metadata.errors import (
    MetadataError,
    MetadataFullError,
    MetadataTimeoutError,
    MetadataUnavailableError,
    StatementTooLongError,
)

__all__ = [
    "DRIVER_ERRORS",
    "NoConnectionGrantedError",
    "is_conflict",
    "is_connection_loss",
    "translate_error",
]

DRIVER_ERRORS: Final = (
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    OSError,
    TimeoutError,
)
"""Everything that asyncpg raises of its own accord."""

_CONFLICTS: Final = frozenset({"40001", "40P01", "55P03"})
_CONNECTION_CLASSES: Final = ("08", "57P")
_UNAVAILABLE_CLASSES: Final = ("08", "25006", "28", "3D", "42P01", "53", "55P03", "57", "58", "40", "XX")
"""Beginnings of SQLSTATE codes (PostgreSQL manual, appendix A) that say something of the server, not of a statement.

A missing table (42P01) is among them: every table of a statement is one of the schema, so it was dropped."""
_TOO_MANY_CONNECTIONS: Final = "53300"
_CONNECTIONS_REMEDY: Final = (
    "every process may hold metadata.pool_size connections, and all programs together no more than PostgreSQL's "
    "max_connections allows: raise this, or lower that"
)
_NO_TABLE: Final = "42P01"
_REMEDIES: Final = {
    _TOO_MANY_CONNECTIONS: _CONNECTIONS_REMEDY,
    _NO_TABLE: "the database was made anew or is being restored: restore it, and this process goes on by itself",
}
_KINDS: Final = {"53100": MetadataFullError, "57014": StatementTooLongError}
"""Full disk, and a statement that was cancelled since it took too long."""


class NoConnectionGrantedError(TimeoutError):
    """The server grants no more connections, and all that this process has were in use for too long."""

    def __init__(self, granted: int, wanted: int) -> None:
        super().__init__(
            f"no connection came free in time: PostgreSQL grants this process {granted} of {wanted} at present"
        )


def is_conflict(error: BaseException) -> bool:
    """Tell whether another transaction was in the way, so that the unit may succeed when repeated."""
    return isinstance(error, asyncpg.PostgresError) and error.sqlstate in _CONFLICTS


def is_connection_loss(error: BaseException) -> bool:
    """Tell whether the connection is gone, be it that the server ended it or that the network did."""
    if isinstance(error, asyncpg.PostgresError):
        return (error.sqlstate or "").startswith(_CONNECTION_CLASSES)
    if isinstance(error, asyncpg.InterfaceError):
        return not isinstance(error, ValueError)  # those are arguments that fit no parameter: our mistake
    # An internal error is what asyncpg raises on a connection that the server has ended a moment ago.
    return isinstance(error, ConnectionError | asyncpg.InternalClientError)


def translate_error(error: BaseException) -> MetadataError:
    """Return what an error of the driver means to callers of the store; never with the address in it."""
    if isinstance(error, asyncpg.PostgresError):
        state = error.sqlstate or ""
        if state.startswith(_UNAVAILABLE_CLASSES):
            kind = _KINDS.get(state, MetadataUnavailableError)
            remedy = f"; {_REMEDIES[state]}" if state in _REMEDIES else ""
            return kind(f"PostgreSQL: {error.message} (SQLSTATE {state}){remedy}")
        return MetadataError(f"PostgreSQL refused a statement: {error.message} (SQLSTATE {state})")
    if isinstance(error, NoConnectionGrantedError):
        return MetadataTimeoutError(f"{error}; {_CONNECTIONS_REMEDY}")
    if isinstance(error, TimeoutError):
        return MetadataTimeoutError("PostgreSQL: no answer in time")
    if isinstance(error, OSError):
        return MetadataUnavailableError(f"PostgreSQL can't be reached: {error.strerror or error}")
    return MetadataUnavailableError(f"PostgreSQL: {error}")
