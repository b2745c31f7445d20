"""Registries that are backed up, in this process, and what they hold."""

from __future__ import annotations

import asyncio
import secrets
from typing import TYPE_CHECKING, Final

from entrepot.oci.digest import Digest
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.asgi.small_images import (
    INDEX_TYPE,
    LAYER_TYPE,
    descriptor,
    image,
    index,
    push_blob,
    push_blobs,
    put,
)
from tests.running.backups import BackupCommands, everything_of

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from tests.asgi.client import AsgiClient

__all__ = ["CANARY", "LARGE", "contents", "filled", "on_registry", "stored_blobs", "with_passphrase"]

CANARY: Final = b"canary-9f1c"
LARGE: Final = CANARY * 300_000
"""More than three segments of a sealed object, and recognisable."""


def on_registry(directory: Path, work: Callable[[InProcessRegistry], Awaitable[object]]) -> object:
    """Do something with a registry in this process, and close it."""

    async def run() -> object:
        async with in_process_registry(scratch_settings(directory)) as registry:
            return await work(registry)

    return asyncio.run(run())


def contents(directory: Path) -> dict[str, bytes]:
    """Return all that can be pulled."""
    found: dict[str, bytes] = {}

    async def look(registry: InProcessRegistry) -> None:
        found.update(await everything_of(registry.client))

    on_registry(directory, look)
    return found


async def fill(client: AsgiClient, large: bytes = LARGE) -> None:
    """Push two repositories: images, an index, something attached, and a large layer."""
    await push_blobs(client)
    await push_blob(client, large)
    plain = image()
    heavy = image(layers=[descriptor(large, LAYER_TYPE)])
    for tag, body in (("plain", plain), ("heavy", heavy)):
        assert (await put(client, tag, body)).status == 201
    assert (await put(client, "multi", index(plain, heavy), INDEX_TYPE)).status == 201
    attached = image(
        subject=descriptor(plain, "application/vnd.oci.image.manifest.v1+json"), artifactType="a/b"
    )
    assert (await put(client, str(Digest.of_bytes(attached)), attached)).status == 201
    await push_blobs(client, "team/other")
    assert (await put(client, "v1", plain, name="team/other")).status == 201


def filled(commands: BackupCommands) -> dict[str, bytes]:
    """Fill the registry and return what it holds."""
    on_registry(commands.data, lambda registry: fill(registry.client))
    return contents(commands.data)


def with_passphrase(commands: BackupCommands, directory: Path, text: str = "correct horse") -> BackupCommands:
    """Return the same commands with a passphrase."""
    path = directory / f"passphrase-{secrets.token_hex(4)}"
    path.write_text(f"{text}\n")
    return BackupCommands(commands.data, commands.target, more=("--passphrase-file", str(path)))


def stored_blobs(target: Path) -> list[Path]:
    """Return the files of blobs in a backup on a disk."""
    return [path for path in (target / "blobs").rglob("*") if path.is_file()]
