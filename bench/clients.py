"""As whom requests are sent: on every registry there are 500 clients, each with a token of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from bench.material import BLOB_REPOSITORY, IMAGE_REPOSITORY, MANIFEST_REPOSITORY

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

__all__ = ["CLIENT_COUNT", "NOBODY", "REPOSITORIES", "Clients", "Nobody", "bearer", "write_authorizations"]

CLIENT_COUNT: Final = 500
REPOSITORIES: Final = (BLOB_REPOSITORY, IMAGE_REPOSITORY, MANIFEST_REPOSITORY)
"""What every token is good for: pulls and pushes."""


class Clients(Protocol):
    """Those who ask one server."""

    def authorizations(self) -> Sequence[str]:
        """Return values of the header Authorization that are good for two minutes; none where nobody is asked.

        May be called from several threads.
        """
        ...


class Nobody:
    """Implements :class:`Clients` for a server that asks nobody for a name."""

    def authorizations(self) -> Sequence[str]:
        """See the protocol."""
        return ()


NOBODY: Final = Nobody()


def bearer(token: str) -> str:
    """Return the value of Authorization."""
    return f"Bearer {token}"


def write_authorizations(values: Sequence[str], file: Path) -> Path:
    """Write values of Authorization, one a line, for a client to read; there is no line where nobody is asked."""
    file.touch(mode=0o600)
    file.write_text("".join(f"{value}\n" for value in values))
    return file
