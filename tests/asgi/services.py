"""The real services on the real embedded stores, in the test's own process, with everything that counts exposed."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from entrepot.auth.people.passwords import HashCost
from entrepot.blobstore.filesystem.durable import DurableOperations
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.s3 import S3BlobStore
from entrepot.bootstrap import (
    Stores,
    build_distribution,
    build_process_metrics,
    build_services,
    open_spool,
    prepare_metadata,
    prepare_place,
    s3_options,
)
from entrepot.bootstrap.control import build_control
from entrepot.bootstrap.edges import build_address_budget
from entrepot.bootstrap.identity import open_identity
from entrepot.metadata.sql.opening import open_metadata
from entrepot.registry.hashing import HashingPool
from entrepot.settings import Settings, load_settings, metadata_url, storage_root
from entrepot.token_service.application import TokenApplication
from tests.asgi.client import AsgiClient
from tests.running.laid_schema import lay_schema_for

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator, Sequence
    from concurrent.futures import Future
    from pathlib import Path

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.blobstore.driver import BlobStore
    from entrepot.bootstrap.identity import Identity
    from entrepot.kernel.asgi import Application, Receive, Scope, Send
    from entrepot.services import Services

__all__ = ["Counts", "InProcessRegistry", "in_process_registry", "scratch_settings"]


T = TypeVar("T")

_CHEAP: Final = HashCost(memory_kibibytes=8, passes=1, lanes=1)
"""What hashes of passwords cost is tested elsewhere."""


@dataclass(slots=True)
class Counts:
    """What requests cost, since the last reset."""

    statements: list[str] = field(default_factory=list[str])
    commits: int = 0
    data_syncs: int = 0
    directory_syncs: int = 0
    thread_hops: int = 0
    written_buffers: set[int] = field(default_factory=set[int])

    def reset(self) -> None:
        """Begin to count anew."""
        self.statements.clear()
        self.written_buffers.clear()
        self.commits = self.data_syncs = self.directory_syncs = self.thread_hops = 0

    def statement(self, name: str) -> None:
        """See `StatementObserver`."""
        self.statements.append(name)

    def commit(self) -> None:
        """See `StatementObserver`."""
        self.commits += 1


class CountingOperations(DurableOperations):
    """The real calls, counted."""

    def __init__(self, counts: Counts) -> None:
        self._counts = counts

    def write_at(self, descriptor: int, buffers: Sequence[bytes | memoryview], offset: int) -> int:
        """Count by identity, which shows whether bytes were copied on the way."""
        self._counts.written_buffers.update(id(buffer) for buffer in buffers)
        return super().write_at(descriptor, buffers, offset)

    def sync_data(self, descriptor: int) -> None:
        """Count."""
        self._counts.data_syncs += 1
        super().sync_data(descriptor)

    def sync_directory(self, directory: Path) -> None:
        """Count."""
        self._counts.directory_syncs += 1
        super().sync_directory(directory)


@dataclass(frozen=True, slots=True)
class InProcessRegistry:
    """A registry to send requests to, and its insides."""

    client: AsgiClient
    services: Services
    stores: Stores
    counts: Counts
    settings: Settings
    identity: Identity | None = None


def scratch_settings(directory: Path, **flags: str | bool) -> Settings:
    """Return the settings of an embedded registry without accounts below `directory`; `flags` as `section__key`."""
    chosen: dict[str, str | bool] = {
        "data.directory": str(directory),
        "storage.min_free_bytes": "0",
        "access.accounts": False,
    }
    chosen.update({key.replace("__", "."): value for key, value in flags.items()})
    return load_settings(environment={}, user_id=0, flags=chosen).settings


@contextlib.asynccontextmanager
async def in_process_registry(settings: Settings) -> AsyncIterator[InProcessRegistry]:
    """Build everything a process serves with, except the process; with accounts if the settings have them."""
    counts = Counts()
    blobs = await _open_blobs(settings, counts)
    await asyncio.to_thread(lay_schema_for, settings)
    await prepare_metadata(settings, blobs)
    metadata = await open_metadata(metadata_url(settings), 4, 60.0, counts)
    await prepare_place(metadata, blobs)
    executor = ThreadPoolExecutor(2)
    try:
        stores = Stores(metadata, blobs)
        metrics = build_process_metrics()
        notes = open_spool(settings, metrics)
        async with _identity(settings, stores, notes) as identity:
            services = await build_services(
                settings, stores, HashingPool(executor), metrics=metrics, notes=notes, identity=identity
            )
            client = AsgiClient(_application(settings, stores, services, identity))
            counts.reset()
            with _hops_counted(counts):
                yield InProcessRegistry(client, services, stores, counts, settings, identity)
        await notes.aclose()
    finally:
        executor.shutdown()
        await metadata.aclose()
        await blobs.aclose()


async def _open_blobs(settings: Settings, counts: Counts) -> BlobStore:
    """Return the store that the settings name; of an object store nothing is counted."""
    if settings.storage.driver == "s3":
        bucket = S3BlobStore(s3_options(settings))
        await bucket.prepare()
        return bucket
    operations = CountingOperations(counts)
    return FilesystemBlobStore(
        storage_root(settings), min_free_bytes=settings.storage.min_free_bytes, operations=operations
    )


@contextlib.asynccontextmanager
async def _identity(settings: Settings, stores: Stores, notes: AuditNotes) -> AsyncIterator[Identity | None]:
    """Yield who there is, where there are accounts. It looks at nothing by itself: what is counted is the requests'."""
    if not settings.access.accounts:
        yield None
        return
    async with open_identity(settings, stores.metadata, notes, hash_cost=_CHEAP) as identity:
        await identity.epochs.aclose()
        yield identity


def _application(
    settings: Settings, stores: Stores, services: Services, identity: Identity | None
) -> Application:
    """Return the data plane, and beside it what there is with accounts only."""
    addresses = build_address_budget(settings, services.metrics)
    distribution = build_distribution(settings, services, identity, addresses)
    if identity is None:
        return distribution
    tokens = TokenApplication(identity.token_service, identity.token_ring, addresses)
    control = build_control(settings, stores, services, identity, addresses)

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        beside = control if path.startswith("/api/") else tokens
        await (distribution if path.startswith("/v2/") else beside)(scope, receive, send)

    return dispatch


@contextlib.contextmanager
def _hops_counted(counts: Counts) -> Iterator[None]:
    """Count every call that goes to a thread pool, the loop's own included."""
    submit = ThreadPoolExecutor.submit

    def counted(pool: ThreadPoolExecutor, call: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        counts.thread_hops += 1
        return submit(pool, call, *args, **kwargs)

    ThreadPoolExecutor.submit = counted  # type: ignore[method-assign,assignment]  # the same behaviour, counted
    try:
        yield
    finally:
        ThreadPoolExecutor.submit = submit  # type: ignore[method-assign]  # as it was
