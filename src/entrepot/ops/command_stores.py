"""Opens the stores for a command on the host: beside a running registry, or with nobody else on the data directory."""

from __future__ import annotations

import contextlib
import os
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final

from entrepot.bootstrap import build_services, find_mismatch, open_existing_stores, open_stores
from entrepot.metadata.sql.migrate import schema_version
from entrepot.metadata.sql.opening import open_metadata
from entrepot.metadata.sql.schema import require_current
from entrepot.ops.database_file import (
    has_no_database,
    name_of_user,
    require_own_database,
    require_registry,
)
from entrepot.ops.errors import EXIT_CHECK_FAILED, EXIT_USAGE, CommandError
from entrepot.processes.data_directory import (
    LOCK_FILE,
    RUN_DIRECTORY,
    lock_data_directory,
    prepare_run_directory,
)
from entrepot.processes.errors import StartRefusedError
from entrepot.registry.hashing import HashingPool
from entrepot.settings import metadata_url, storage_root

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

    from entrepot.bootstrap import Stores
    from entrepot.metadata.store import Metadata
    from entrepot.registry.store_match.ownership import Discrepancy
    from entrepot.services import Services
    from entrepot.settings import Settings

__all__ = [
    "alone_on_data_directory",
    "is_lockable",
    "is_without_registry",
    "open_command_metadata",
    "open_command_services",
    "open_command_stores",
    "refusal_of",
    "require_match",
    "require_owner_of_storage",
    "require_usable_schema",
]

_HASHING_THREADS: Final = 4


@contextlib.asynccontextmanager
async def open_command_stores(
    settings: Settings, *, make_new: bool = False, look_only: bool = False, is_right_store: bool = False
) -> AsyncIterator[Stores]:
    """Open both stores; a registry may run on them at the same time. Where that is refused, nothing is made.

    Args:
        settings: name them.
        make_new: whether to make an empty registry where there is none.
        look_only: whether what the storage lacks of directories stays missing.
        is_right_store: whether somebody says so; else it stays missing, too, where what was written there is not there.

    Raises:
        RegistryUnusableError: there is no registry, or this user may not open it.
        MetadataError, BlobStoreError: a store can't be used, or the schema is not that of this program.
    """
    if make_new and await is_without_registry(settings):
        async with open_stores(settings) as stores:
            yield stores
        return
    require_registry(settings)
    async with open_existing_stores(settings, look_only=look_only, is_right_store=is_right_store) as stores:
        yield stores


async def require_match(stores: Stores) -> None:
    """Refuse to push into a storage that is not the database's, as a registry that is served from both does (F47).

    Raises:
        CommandError: they don't belong together.
        RebuildUnfinishedError, MetadataError, BlobStoreError: the database is a half-filled one, or it can't be told.
    """
    mismatch = await find_mismatch(stores)
    if mismatch is not None:
        raise refusal_of(mismatch, "Nothing was pushed.")


def refusal_of(mismatch: Discrepancy, outcome: str) -> CommandError:
    """Return what a command says that may not push because of it; `outcome` is a sentence on what it has done."""
    return CommandError(
        EXIT_CHECK_FAILED,
        f"entrepot: {mismatch.summary}: {mismatch.reason}",
        f"{outcome} What to do: {mismatch.remedy}.",
    )


async def is_without_registry(settings: Settings) -> bool:
    """Whether there is no database, or an empty one; nothing is made.

    Raises:
        RegistryUnusableError: this user may not look there.
        MetadataError: the database can't be read.
    """
    return has_no_database(settings) or not (await schema_version(metadata_url(settings)))[0]


async def require_usable_schema(settings: Settings) -> None:
    """Refuse what :func:`open_command_stores` refuses of a database, before anything is made beside it.

    Raises:
        RegistryUnusableError, MetadataError: as there.
    """
    require_registry(settings)
    require_current(*await schema_version(metadata_url(settings)))


@contextlib.asynccontextmanager
async def open_command_services(
    settings: Settings, *, make_new: bool = False, look_only: bool = False
) -> AsyncIterator[tuple[Stores, Services]]:
    """Open both stores and build the services of the registry on them, for a command that acts as a client would.

    A command that would make a registry pushes to it, so it needs one that takes pushes; and to be watched over
    (:func:`entrepot.ops.watched_work.run_watched`), as for hours another database may be put in this one's place.

    Raises:
        CommandError: as :func:`require_match`.
        RegistryUnusableError, MetadataError, BlobStoreError: as :func:`open_command_stores`.
    """
    async with open_command_stores(settings, make_new=make_new, look_only=look_only) as stores:
        if make_new:
            await require_match(stores)
        with ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hashing") as executor:
            yield stores, await build_services(settings, stores, HashingPool(executor), look_only=look_only)


@contextlib.asynccontextmanager
async def open_command_metadata(settings: Settings) -> AsyncIterator[Metadata]:
    """Open the database alone, which must be there; a registry may run on it, and the storage may be gone.

    Raises:
        RegistryUnusableError: there is no database, or this user may not open it.
        CommandError: it is another user's.
        MetadataError: it can't be used, or its schema is not that of this program.
    """
    require_own_database(settings)
    metadata = await open_metadata(
        metadata_url(settings), settings.metadata.pool_size, settings.metadata.statement_timeout_seconds
    )
    try:
        yield metadata
    finally:
        await metadata.aclose()


def require_owner_of_storage(settings: Settings) -> None:
    """Make sure that the registry can read what this process writes: they are to be the same user.

    Raises:
        CommandError: the storage directory belongs to another user; the message says how to become that one.
    """
    if settings.storage.driver != "filesystem":
        return
    try:
        owner = storage_root(settings).stat().st_uid
    except OSError:
        return  # it does not exist yet, or opening it will say what is wrong
    if owner != os.geteuid():
        name = name_of_user(owner)
        raise CommandError(
            EXIT_USAGE,
            f"entrepot: {storage_root(settings)} belongs to {name}; files of another user could not be read by the "
            f"registry. Run this as {name}: sudo -u {name} entrepot ...",
        )


def is_lockable(settings: Settings) -> bool:
    """Whether a registry or command ever ran on the data directory, so that its lock can be held without making one."""
    return (settings.data.directory / RUN_DIRECTORY / LOCK_FILE).exists()


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
