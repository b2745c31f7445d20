"""Where a metadata database lies: the two forms of address that settings may hold."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.filesystems import NETWORK_FILESYSTEMS, filesystem_kind

__all__ = [
    "InvalidMetadataAddressError",
    "NetworkFilesystemError",
    "PostgresAddress",
    "SqliteAddress",
    "parse_address",
    "require_local_filesystem",
]

_SQLITE: Final = "sqlite://"
_POSTGRESQL: Final = ("postgresql://", "postgres://")


class InvalidMetadataAddressError(EntrepotError):
    """A text that is no address of a metadata database; it is not repeated, since it may hold a password."""

    def __init__(self) -> None:
        super().__init__(
            "the address of the metadata database must be sqlite:///absolute/path or postgresql://…"
        )


class NetworkFilesystemError(EntrepotError):
    """SQLite was to be put where another machine may change its pages."""

    def __init__(self, path: Path, kind: str) -> None:
        super().__init__(
            f"{path} lies on a network file system ({kind}), where SQLite loses data; "
            "use a local disk, or PostgreSQL for several nodes"
        )
        self.path = path
        self.kind = kind


@dataclass(frozen=True, slots=True)
class SqliteAddress:
    """A database file of this machine."""

    path: Path


@dataclass(frozen=True, slots=True, repr=False)
class PostgresAddress:
    """A PostgreSQL database; the URL may hold a password and never shows in a representation."""

    url: str


def parse_address(url: str) -> SqliteAddress | PostgresAddress:
    """Read `sqlite:///abs/path.db` or `postgresql://user:password@host:port/database?…`.

    Raises:
        InvalidMetadataAddressError: for anything else.
    """
    if url.startswith(_SQLITE):
        path = Path(url.removeprefix(_SQLITE))
        if path.is_absolute() and path.name:
            return SqliteAddress(path)
    if url.startswith(_POSTGRESQL):
        return PostgresAddress(url)
    raise InvalidMetadataAddressError


def require_local_filesystem(path: Path) -> None:
    """Refuse a database file on a network file system.

    Raises:
        NetworkFilesystemError: it lies on one.
    """
    kind = filesystem_kind(path)
    if kind in NETWORK_FILESYSTEMS:
        raise NetworkFilesystemError(path, kind)
