"""Loses a database and makes it again, with the command and in the test's own process."""

from __future__ import annotations

import asyncio
import contextlib
import io
import json
import re
import shutil
from typing import TYPE_CHECKING, Any

from entrepot.ops.application import run_command_line
from entrepot.registry.journal.writer import Journal
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.registry.sweeps.steady_clock import SteadyClock
from entrepot.settings import metadata_path, metadata_url, storage_root
from entrepot.workers import upkeep
from entrepot.workers.upkeep import journal_duty
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import image, push_blobs, put
from tests.drivers.metadata.raw_database import RawDatabase

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.bootstrap import Stores
    from entrepot.settings import Settings

__all__ = [
    "compact",
    "compacted_registry",
    "copy_database",
    "database_of",
    "lose_database",
    "push_segment",
    "rebuild",
    "restore_database",
    "segments_of",
    "unsealed",
]


def database_of(settings: Settings) -> RawDatabase:
    """Return the database, to be looked at past the store."""
    return RawDatabase(metadata_url(settings))


async def compact(stores: Stores) -> None:
    """Write every fact into a segment, as the background worker does five seconds later."""
    journal = Journal(stores.blobs, await stores.metadata.instance.incarnation())
    grace, upkeep._ENTRY_GRACE_MILLISECONDS = upkeep._ENTRY_GRACE_MILLISECONDS, 0  # type: ignore[misc]  # a constant
    try:
        await journal_duty(
            stores.metadata, journal, SteadyClock(), StoreWatch(stores.metadata, stores.blobs)
        ).run()
    finally:
        upkeep._ENTRY_GRACE_MILLISECONDS = grace  # type: ignore[misc]  # as above


async def compacted_registry(directory: Path) -> Settings:
    """Make a registry that holds one image, and whose journal lies in one segment; it is stopped."""
    settings = scratch_settings(directory, cache__small_blob_bytes="0")
    async with in_process_registry(settings) as registry:
        await push_blobs(registry.client)
        await put(registry.client, "a", image(annotations={"n": "A"}))
        await compact(registry.stores)
    return settings


async def push_segment(settings: Settings, *tags: str) -> None:
    """Push an image under each of these tags, and have one more segment tell of them; the registry is stopped."""
    async with in_process_registry(settings) as registry:
        for tag in tags:
            assert (await put(registry.client, tag, image(annotations={"n": tag}))).status == 201
        await compact(registry.stores)


def segments_of(settings: Settings) -> list[Path]:
    """Return the files of the journal's segments on a disk."""
    return sorted((storage_root(settings) / "journal").glob("*/segments/*"))


def unsealed(lines: bytes) -> bytes:
    """Return lines as former programs wrote them: without checksums, for who changes what they tell."""
    return re.sub(rb',"checksum":[0-9]+}', b"}", lines)


def lose_database(settings: Settings) -> None:
    """Delete the SQLite file and all that belongs to it."""
    shutil.rmtree(metadata_path(settings).parent)


def copy_database(settings: Settings, to: Path) -> None:
    """Copy the SQLite file, of a registry that is not running."""
    shutil.copytree(metadata_path(settings).parent, to)


def restore_database(settings: Settings, copy: Path) -> None:
    """Put such a copy back."""
    lose_database(settings)
    shutil.copytree(copy, metadata_path(settings).parent)


async def rebuild(settings: Settings, *options: str) -> tuple[int, dict[str, Any]]:
    """Run `entrepot rebuild` on the embedded stores; return its exit code and what it says, empty without JSON."""
    arguments = ("rebuild", "--data", str(settings.data.directory), "-o", "json", *options)
    with contextlib.redirect_stdout(io.StringIO()) as said:
        code = await asyncio.to_thread(run_command_line, arguments)
    return code, json.loads(said.getvalue() or "{}")
