"""Opens the stores for a command on the host: beside a running registry, or with nobody else on the data directory."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING

from entrepot.bootstrap import open_stores
from entrepot.metadata.errors import SchemaMismatchError
from entrepot.ops.errors import EXIT_CHECK_FAILED, CommandError
from entrepot.processes.data_directory import lock_data_directory, prepare_run_directory
from entrepot.processes.errors import StartRefusedError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from entrepot.bootstrap import Stores
    from entrepot.settings import Settings

__all__ = ["alone_on_data_directory", "open_command_stores"]


@contextlib.asynccontextmanager
async def open_command_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open both stores; a registry may run on them at the same time.

    Raises:
        CommandError: the schema is not that of this program; the message says what to run.
        MetadataError, BlobStoreError: one of them can't be used.
    """
    try:
        async with open_stores(settings) as stores:
            yield stores
    except SchemaMismatchError as error:
        raise CommandError(EXIT_CHECK_FAILED, f"entrepot: {error}") from error


@contextlib.contextmanager
def alone_on_data_directory(settings: Settings) -> Iterator[None]:
    """Hold the lock of the data directory, which a running registry holds, too.

    It says nothing about other nodes on the same PostgreSQL and bucket: whoever runs such a command must stop them.

    Raises:
        CommandError: a registry or another such command runs on it.
    """
    try:
        descriptor = lock_data_directory(prepare_run_directory(settings.data.directory))
    except StartRefusedError as error:
        raise CommandError(
            EXIT_CHECK_FAILED, f"entrepot: {error}", "Stop the registry first, then run this again."
        ) from error
    try:
        yield
    finally:
        os.close(descriptor)
