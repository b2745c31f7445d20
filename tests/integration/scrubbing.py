"""A registry with images in it whose store and rows a test damages, and verifications of it."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from entrepot.bootstrap import open_stores
from entrepot.lifecycle.scrub.ledger import Ledger, Progress, read_findings
from entrepot.lifecycle.scrub.options import Mode, ScrubGround, ScrubOptions
from entrepot.lifecycle.scrub.scrub import Scrub
from entrepot.oci.digest import Digest
from entrepot.registry.hashing import HashingPool
from tests.asgi.services import InProcessRegistry, in_process_registry, scratch_settings
from tests.drivers.metadata.raw_database import RawDatabase
from tests.faults.image import OneLayerImage, one_layer_image
from tests.faults.pushing import AcknowledgementLog, push_image

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Sequence
    from pathlib import Path

    from entrepot.bootstrap import Stores
    from entrepot.lifecycle.scrub.findings import Finding
    from entrepot.settings import Settings

__all__ = ["REPAIR", "Quiet", "Scrubbed", "find_damage", "scrubbed_registry", "verify_stores"]

REPAIR: Final = ScrubOptions(mode=Mode.REPAIR)


class Quiet:
    """A watcher that remembers names of phases, and can break one off."""

    def __init__(self) -> None:
        self.phases: list[str] = []

    def begin(self, phase: str, total: int | None, *, in_bytes: bool) -> None:
        """See `Watcher`."""
        self.phases.append(phase)

    def advance(self, count: int) -> None:
        """See `Watcher`."""

    def found(self, finding: Finding) -> None:
        """See `Watcher`."""


async def verify_stores(
    ground: ScrubGround, options: ScrubOptions, *, resume: bool = False, watcher: Quiet | None = None
) -> tuple[Progress, list[Finding]]:
    """Run a pass to its end, and return what it counted and found."""
    ledger = await Ledger.take(ground.metadata, "verify", patience_seconds=0)
    try:
        if not resume:
            await ledger.begin(fast=options.fast, repositories=options.repositories)
        progress = await Scrub(ground, options, watcher or Quiet()).run(ledger)
    except BaseException:
        await ledger.release(0)
        raise
    await ledger.complete(0)
    return progress, [finding async for finding in read_findings(ground.metadata, "verify")]


async def find_damage(stores: Stores, options: ScrubOptions | None = None) -> Sequence[Finding]:
    """Verify a registry of which nothing but the stores is open, and return what was found."""
    with ThreadPoolExecutor(2) as executor:
        ground = ScrubGround(stores.metadata, stores.blobs, HashingPool(executor))
        return (await verify_stores(ground, options or ScrubOptions()))[1]


async def verify_settings(settings: Settings, options: ScrubOptions | None = None) -> Sequence[Finding]:
    """Do the same to a registry of which nothing is open."""
    async with open_stores(settings) as stores:
        return await find_damage(stores, options)


@dataclass(frozen=True, slots=True)
class Scrubbed:
    """A registry on SQLite and a directory, an image in it, and the ways to break it."""

    registry: InProcessRegistry
    ground: ScrubGround
    database: RawDatabase
    image: OneLayerImage
    directory: Path

    async def verify(self, options: ScrubOptions | None = None) -> tuple[Progress, list[Finding]]:
        """Verify everything."""
        return await verify_stores(self.ground, options or ScrubOptions())

    async def found(self, options: ScrubOptions | None = None) -> dict[str, str]:
        """Verify everything and return outcomes by kind."""
        _, findings = await self.verify(options)
        return {finding.kind.value: finding.outcome.value for finding in findings}

    def file_of(self, content: bytes, area: str = "blobs") -> Path:
        """Where the only copy of some bytes lies."""
        digest = Digest.of_bytes(content)
        (file,) = (self.directory / "data/storage" / area / "sha256" / digest.hex[:2] / digest.hex).iterdir()
        return file

    async def pull_layer(self, method: str = "GET") -> int:
        """The status of a pull of the image's layer."""
        path = f"/v2/{self.image.repository}/blobs/{Digest.of_bytes(self.image.layer)}"
        return (await self.registry.client.request(method, path)).status

    async def pull_manifest(self) -> int:
        """The status of a pull of the image's manifest by tag."""
        path = f"/v2/{self.image.repository}/manifests/latest"
        return (await self.registry.client.request("GET", path)).status

    async def push(self, image: OneLayerImage | None = None) -> None:
        """Push the image, or another one."""
        log = AcknowledgementLog.open(self.directory / "acknowledged")
        await push_image(self.registry.client, image or self.image, log)

    def damage(self, how: str, content: bytes, area: str = "blobs") -> None:
        """Damage the file that holds some bytes, the way disks do."""
        file = self.file_of(content, area)
        if how == "missing":
            file.unlink()
        elif how == "empty":
            file.write_bytes(b"")
        elif how == "truncated":
            file.write_bytes(content[:-1])
        elif how == "overlong":
            file.write_bytes(content + b"x")
        else:
            file.write_bytes(bytes([content[0] ^ 1]) + content[1:])


@contextlib.asynccontextmanager
async def scrubbed_registry(directory: Path, settings: Settings | None = None) -> AsyncIterator[Scrubbed]:
    """Build a registry with one image in it."""
    chosen = settings or scratch_settings(directory / "data")
    with ThreadPoolExecutor(2) as executor:
        async with in_process_registry(chosen) as registry:
            stores = registry.stores
            ground = ScrubGround(stores.metadata, stores.blobs, HashingPool(executor))
            database = RawDatabase(f"sqlite://{directory}/data/metadata/entrepot.db")
            image = replace(one_layer_image(1, "team/app"))
            scrubbed = Scrubbed(registry, ground, database, image, directory)
            await scrubbed.push()
            yield scrubbed
