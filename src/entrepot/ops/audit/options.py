"""What the audit commands share: times, keys, checkpoints of a directory, and how they open the database."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, TypeAlias

from cyclopts import Parameter

from entrepot.audit.checkpoint_format import decode_checkpoint
from entrepot.audit.signatures import PublicKeyUnreadableError, public_key_bytes
from entrepot.client.times import read_span
from entrepot.metadata.audit_store import END_OF_TIME
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.database_file import require_registry
from entrepot.ops.errors import EXIT_USAGE, CommandError
from entrepot.settings import audit_directory, metadata_url

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence

    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = [
    "EXIT_INCOMPLETE",
    "CheckpointsOption",
    "PublicKeyOption",
    "consulted_checkpoints",
    "opened_audit_database",
    "read_checkpoints",
    "read_keys",
    "read_times",
    "shown_time",
    "span_of_records",
]

EXIT_INCOMPLETE: Final = 3
"""Neither sound nor found to be tampered with: the log could not be read."""

_BOUNDS: Final = {0: "the beginning", END_OF_TIME: "the end"}
"""What stands for no bound in an export's times."""

CheckpointsOption: TypeAlias = Annotated[
    Path | None,
    Parameter(
        name="--checkpoints",
        help="Directory of signed checkpoints that were kept elsewhere: copies of a node's audit/checkpoints.",
    ),
]
PublicKeyOption: TypeAlias = Annotated[
    tuple[Path, ...],
    Parameter(
        name="--public-key",
        negative="",
        help="File with a public key that signs checkpoints (PEM or DER); others are refused then. May be repeated.",
    ),
]


def read_times(since: str, until: str) -> tuple[int, int]:
    """Return what `--from` and `--to` mean, in milliseconds since 1970; all times without them.

    Raises:
        ClientError: one of them is no time, or the span would end before it begins.
    """
    first, end = read_span(since, until)
    return first or 0, END_OF_TIME if end is None else end


def shown_time(milliseconds: int) -> str:
    """Return a time for people, and the number where the calendar has none for it."""
    if milliseconds in _BOUNDS:
        return _BOUNDS[milliseconds]
    try:
        return datetime.fromtimestamp(milliseconds / 1000, UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError, OSError):
        return str(milliseconds)


def span_of_records(first: int, last: int) -> str:
    """Return the subject of a sentence about records of the chain, with its verb."""
    return f"record {first} is" if first == last else f"records {first} to {last} are"


def read_keys(paths: Sequence[Path]) -> list[bytes]:
    """Return public keys in DER.

    Raises:
        CommandError: a file can't be read or holds none.
    """
    keys: list[bytes] = []
    for path in paths:
        try:
            keys.append(public_key_bytes(path.read_bytes()))
        except (OSError, PublicKeyUnreadableError) as error:
            raise CommandError(EXIT_USAGE, f"entrepot: --public-key {path}: {error}") from error
    return keys


def read_checkpoints(directory: Path | None) -> list[CheckpointRow]:
    """Return the checkpoints of a directory; their signatures are not verified here.

    Raises:
        CommandError: the directory can't be read, or a file in it is no checkpoint.
    """
    if directory is None:
        return []
    found = _checkpoints_in(directory)
    if not found:
        raise CommandError(EXIT_USAGE, f"entrepot: there are no checkpoints in {directory}")
    return found


def consulted_checkpoints(
    settings: Settings, directory: Path | None
) -> tuple[list[CheckpointRow], tuple[Path, ...]]:
    """Return the checkpoints of a directory and of the one that this node keeps, and which of these there were.

    Raises:
        CommandError: as :func:`read_checkpoints`.
    """
    own = audit_directory(settings) / "checkpoints"
    kept = read_checkpoints(directory)
    given = () if directory is None else (directory,)
    mine = [] if directory is not None and _is_same(own, directory) else _checkpoints_in(own)
    return [*kept, *mine], (*given, *((own,) if mine else ()))


def _is_same(one: Path, other: Path) -> bool:
    return one.resolve() == other.resolve()


def _checkpoints_in(directory: Path) -> list[CheckpointRow]:
    found: list[CheckpointRow] = []
    try:
        for path in sorted(directory.glob("*.json")):
            if path.name.startswith("."):  # a draft that a full disk or `kill -9` left
                continue
            checkpoint = decode_checkpoint(path.read_bytes().strip())
            if checkpoint is None:
                raise CommandError(EXIT_INCOMPLETE, f"entrepot: {path} is no checkpoint")
            found.append(checkpoint)
    except OSError as error:
        raise CommandError(EXIT_INCOMPLETE, f"entrepot: checkpoints can't be read: {error}") from error
    return found


@contextlib.asynccontextmanager
async def opened_audit_database(settings: Settings) -> AsyncIterator[Metadata]:
    """Open the metadata database, without the blob store.

    Raises:
        RegistryUnusableError: there is none where the settings say, or this user may not open it.
        MetadataError: it can't be used.
    """
    require_registry(settings)
    metadata = await open_metadata(metadata_url(settings), 2, settings.metadata.statement_timeout_seconds)
    try:
        yield metadata
    finally:
        await metadata.aclose()
