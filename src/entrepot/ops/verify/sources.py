"""Where ``entrepot verify --repair`` takes sound bytes from: other blob stores, and backups."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Final

from entrepot.bootstrap import open_recovery
from entrepot.ops.errors import EXIT_USAGE, CommandError
from entrepot.settings import parse_store_address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from contextlib import AbstractAsyncContextManager

    from entrepot.lifecycle.recovery import BlobRecovery
    from entrepot.settings import Settings

__all__ = ["opened_sources", "require_source_address"]

_BACKUP: Final = "backup"
"""Begins the address of a backup among the sources; a blob store's begins with `file:` or `s3:`."""


def require_source_address(text: str) -> None:
    """Refuse what is the address of neither a blob store nor a backup, before anything is opened.

    Raises:
        CommandError: it is none.
    """
    if _is_backup(text):
        return
    try:
        parse_store_address(text)
    except ValueError as error:
        raise CommandError(EXIT_USAGE, f"entrepot: --heal-from: {error}") from error


@contextlib.asynccontextmanager
async def opened_sources(
    settings: Settings, addresses: Sequence[str]
) -> AsyncIterator[tuple[BlobRecovery, ...]]:
    """Open all of them, in their order.

    Raises:
        CommandError: a backup is meant and none is set.
        EntrepotError: one can't be opened.
    """
    async with contextlib.AsyncExitStack() as stack:
        opening = [_open_source(settings, one) for one in addresses]
        yield tuple([await stack.enter_async_context(one) for one in opening])


def _open_source(settings: Settings, address: str) -> AbstractAsyncContextManager[BlobRecovery]:
    if not _is_backup(address):
        return open_recovery(settings, address)
    # Only who heals from a backup pays for what unseals it.
    from entrepot.ops.backup.options import BackupChoice  # noqa: PLC0415  # see above
    from entrepot.ops.backup.target import opened_recovery  # noqa: PLC0415  # see above

    target = address.removeprefix(_BACKUP).removeprefix(":") or settings.backup.target
    if not target:
        raise CommandError(
            EXIT_USAGE, "entrepot: --heal-from backup: backup.target is not set; write backup:PATH"
        )
    return opened_recovery(BackupChoice(settings, target, settings.backup.passphrase.reveal()))


def _is_backup(address: str) -> bool:
    return address.partition(":")[0] == _BACKUP
