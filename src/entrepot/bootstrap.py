"""The composition root: the only module that names concrete drivers. It builds everything and closes it in reverse."""

from __future__ import annotations

import asyncio
import contextlib
import errno
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry

from entrepot.auth.loopback import EveryoneAuthorizer, LoopbackAuthorizer
from entrepot.auth.modes import Modes, with_modes
from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.distribution_api.admission import Admission, AdmissionLimits
from entrepot.distribution_api.application import DistributionApplication
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.error_mapping import error_response
from entrepot.distribution_api.errors import RouteUnknownError
from entrepot.distribution_api.responses import send_response
from entrepot.kernel.durable_directories import create_directory, sync_directory
from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.ids import new_public_id
from entrepot.kernel.node_id import read_or_create_node_id
from entrepot.kernel.process_identity import ProcessIdentity
from entrepot.metadata.errors import MetadataUnavailableError, RebuildUnfinishedError, SchemaMismatchError
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata
from entrepot.observability.metrics import Metrics, build_metrics
from entrepot.registry.blob_publication import BlobPublication
from entrepot.registry.blobs import Blobs
from entrepot.registry.catalog import Catalog
from entrepot.registry.content_cache import ContentCache
from entrepot.registry.deletions import Deletions
from entrepot.registry.file_pushes import FilePushes
from entrepot.registry.hashing import HashingPool, RunningDigests
from entrepot.registry.journal import Journal
from entrepot.registry.leases import SessionLeases
from entrepot.registry.manifest_pushes import ManifestPushes
from entrepot.registry.manifests import Manifests
from entrepot.registry.mounts import Mounts
from entrepot.registry.orphans import OrphanSweep, SweepOptions
from entrepot.registry.referrers import Referrers
from entrepot.registry.staged_uploads import StagedUploads
from entrepot.registry.staging import StagingPipeline
from entrepot.registry.store_ownership import find_discrepancy, require_finished_rebuild
from entrepot.registry.upload_expiry import UploadExpiry
from entrepot.registry.uploads import UploadParts, Uploads
from entrepot.services import Services
from entrepot.settings import (
    DirectoryAddress,
    Settings,
    metadata_path,
    metadata_url,
    parse_store_address,
    storage_root,
    suspicion_marker,
    uses_postgresql,
)
from entrepot.workers.housekeeping import expiry_duty, orphan_duty
from entrepot.workers.upkeep import checkpoint_duty, gauge_duty, journal_duty
from entrepot.workers.worker import Duty, Worker

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Coroutine, Sequence
    from pathlib import Path

    from entrepot.auth.grants import Authorizer
    from entrepot.blobstore.driver import BlobStore
    from entrepot.blobstore.s3.options import S3Options
    from entrepot.distribution_api.asgi import ASGIApplication, Receive, Scope, Send
    from entrepot.lifecycle.recovery import BlobRecovery
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.registry.store_ownership import Discrepancy

__all__ = [
    "Dispatcher",
    "Stores",
    "build_background_worker",
    "build_distribution",
    "build_health_probes",
    "build_http_application",
    "build_services",
    "open_blobs",
    "open_recovery",
    "open_services",
    "open_stores",
    "prepare_metadata",
    "s3_options",
]

_log: Any = structlog.get_logger()

_HASHING_THREADS = 4


@dataclass(frozen=True, slots=True)
class Stores:
    """The two things that hold state."""

    metadata: Metadata
    blobs: BlobStore


@contextlib.asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open metadata and blob store, making the schema of a new database first, and close them at the end.

    Raises:
        MetadataError, BlobStoreError: one of them can't be used.
    """
    async with contextlib.AsyncExitStack() as stack:
        blobs = await open_blobs(settings)
        stack.push_async_callback(blobs.aclose)
        metadata = await _open_metadata(settings)
        stack.push_async_callback(metadata.aclose)
        yield Stores(metadata, blobs)


async def _open_metadata(settings: Settings) -> Metadata:
    await prepare_metadata(settings)
    return await open_metadata(
        metadata_url(settings),
        settings.metadata.pool_size,
        settings.metadata.statement_timeout_seconds,
    )


async def prepare_metadata(settings: Settings) -> None:
    """Make the schema when the database has none; every process does this, and the first one wins.

    Raises:
        MetadataError: the database can't be used.
    """
    if not uses_postgresql(settings):
        await asyncio.to_thread(_prepare_metadata_directory, metadata_path(settings).parent)
    await initialise_if_empty(metadata_url(settings), _log_migration)


def _prepare_metadata_directory(directory: Path) -> None:
    create_directory(directory, 0o700)
    # Also when it is there: another process may have created it a moment ago, and its name be in doubt still.
    try:
        sync_directory(directory.parent)
    except OSError as error:
        if error.errno != errno.EROFS:  # on a volume that turned read-only pulls need nothing of it (F9)
            raise


def _log_migration(step: str) -> None:
    _log.info("metadata.schema.created", step=step)


async def open_blobs(settings: Settings) -> BlobStore:
    """Open the blob store alone; whoever does so closes it.

    Raises:
        BlobStoreError: it can't be used.
    """
    if settings.storage.driver == "s3":
        return await _open_s3(settings)
    store = FilesystemBlobStore(
        storage_root(settings),
        min_free_bytes=settings.storage.min_free_bytes,
        suspicion_marker=suspicion_marker(settings),
    )
    await store.prepare()
    return store


async def _open_s3(settings: Settings) -> BlobStore:
    # A registry on a local disk need not pay for the SDK: 30 MB of memory and half a second at the start.
    from entrepot.blobstore.s3.store import S3BlobStore  # noqa: PLC0415  # see above

    store = S3BlobStore(s3_options(settings))
    await store.prepare()
    return store


def s3_options(settings: Settings) -> S3Options:
    """Return what the S3 driver needs to know, from the settings."""
    from entrepot.blobstore.s3.options import S3Options  # noqa: PLC0415  # its package loads the SDK

    chosen = settings.storage.s3
    return S3Options(
        bucket=chosen.bucket,
        endpoint_url=chosen.endpoint,
        region=chosen.region,
        access_key_id=chosen.access_key,
        secret_access_key=chosen.secret_key.reveal(),
        path_style=chosen.path_style,
        prefix=chosen.prefix,
        part_bytes=chosen.part_size_bytes,
    )


@contextlib.asynccontextmanager
async def open_services(settings: Settings) -> AsyncIterator[Services]:
    """Build the services of an HTTP process on open stores."""
    async with contextlib.AsyncExitStack() as stack:
        stores = await stack.enter_async_context(open_stores(settings))
        executor = stack.enter_context(ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hashing"))
        services = await build_services(settings, stores, HashingPool(executor))
        stack.callback(services.metrics.flush_requests)
        yield services


async def build_services(settings: Settings, stores: Stores, hashing: HashingPool) -> Services:
    """Build the services of an HTTP process and give back the leases that dead predecessors held.

    When the storage holds what the database does not know, they refuse every write: a database that was restored from
    an older copy would give the numbers of facts again that the journal has already (F47).

    Raises:
        RebuildUnfinishedError: the database is a half-filled one.
    """
    metadata, blobs = stores.metadata, stores.blobs
    mismatch = await _find_mismatch(stores)
    metrics = _build_metrics()
    metrics.database_mismatch.set(0 if mismatch is None else 1)
    if mismatch is not None:
        _log.error("database.mismatch", reason=mismatch.reason, remedy=mismatch.remedy)
    node = await asyncio.to_thread(read_or_create_node_id, settings.data.directory)
    owner = ProcessIdentity.of_this_process(node)
    leases = SessionLeases(metadata, owner, int(settings.uploads.lease_seconds))
    await _give_back_leases(leases)
    journal = Journal(blobs, await metadata.instance.incarnation())
    metrics = _build_metrics()
    uploading = UploadParts(
        metadata=metadata,
        blobs=blobs,
        staged=StagedUploads(metadata, blobs),
        leases=leases,
        waiting=RunningDigests(),
        pipeline=StagingPipeline(hashing, settings.uploads.write_step_bytes),
        publication=BlobPublication(metadata, blobs, hashing, metrics.blobs_healed.inc),
        session_ttl_seconds=settings.uploads.session_ttl_seconds,
        advised_chunk_bytes=_advised_chunk_bytes(settings),
    )
    redirect = settings.storage.driver == "s3" and settings.storage.s3.redirect_downloads
    return Services(
        authorizer=_build_authorizer(settings, mismatch),
        manifests=Manifests(metadata, hashing),
        manifest_pushes=ManifestPushes(
            metadata,
            blobs,
            journal,
            hashing,
            accept_sparse_indexes=settings.registry.sparse_indexes == "accept",
        ),
        deletions=Deletions(metadata, journal),
        referrers=Referrers(metadata),
        catalog=Catalog(metadata),
        blobs=Blobs(metadata, blobs, ContentCache(settings.cache.small_blob_bytes), redirect=redirect),
        uploads=Uploads(uploading),
        file_pushes=FilePushes(uploading),
        mounts=Mounts(metadata),
        metrics=metrics,
    )


async def _find_mismatch(stores: Stores) -> Discrepancy | None:
    await require_finished_rebuild(stores.metadata)
    return await find_discrepancy(stores.metadata, stores.blobs)


async def _give_back_leases(leases: SessionLeases) -> None:
    """Spare clients the wait for leases of dead processes; not being able to write is no reason not to serve pulls."""
    try:
        await leases.release_dead()
    except MetadataUnavailableError as error:
        _log.warning("leases.kept", reason=str(error))


def _advised_chunk_bytes(settings: Settings) -> int:
    """Return below which size a chunk costs more than its bytes: syncs on a disk, a rewritten tail in a bucket."""
    if settings.storage.driver == "s3":
        return settings.storage.s3.part_size_bytes
    return settings.uploads.write_step_bytes


def _build_authorizer(settings: Settings, mismatch: Discrepancy | None) -> Authorizer:
    inner = EveryoneAuthorizer() if settings.access.insecure_anonymous else LoopbackAuthorizer()
    modes = Modes(
        read_only=settings.registry.read_only,
        allow_delete=settings.registry.allow_delete,
        obstacle="" if mismatch is None else _tell_clients(mismatch),
    )
    return with_modes(inner, modes)


def _tell_clients(mismatch: Discrepancy) -> str:
    """Return what concerns a client; which object gave the mismatch away is for the log."""
    return (
        "this registry takes no pushes and no deletes at present, since its storage holds what its database does not "
        f"know; its operator has to look into it ({mismatch.remedy})"
    )


def _build_metrics() -> Metrics:
    return build_metrics(CollectorRegistry())


def build_http_application(settings: Settings) -> ASGIApplication:
    """Return the ASGI application of the HTTP process; it opens everything at lifespan start-up."""
    return Dispatcher(settings)


def build_distribution(settings: Settings, services: Services) -> DistributionApplication:
    """Return the data plane on built services; it belongs to one event loop."""
    limits = settings.limits
    admission = AdmissionLimits(
        requests_per_address=limits.requests_per_address,
        bodies=limits.bodies,
        bodies_per_address=limits.bodies_per_address,
        waiting_bodies=limits.waiting_bodies,
        wait_seconds=limits.wait_seconds,
    )
    pace = PaceLimits(limits.min_body_bytes_per_second, limits.pace_window_seconds, limits.silence_seconds)
    return DistributionApplication(services, Admission(admission), pace)


class Dispatcher:
    """Owns the lifespan and hands requests to the application their path belongs to."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._distribution: DistributionApplication | None = None

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Coroutine[Any, Any, None]:
        """Handle one ASGI connection. No coroutine of its own: every request would pass through it."""
        if self._distribution is None or scope["type"] != "http":
            return self._live(scope, receive, send)
        if scope["path"].startswith("/v2"):
            return self._distribution(scope, receive, send)
        return send_response(error_response(RouteUnknownError()), new_public_id(), scope, receive, send)

    async def _live(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return
        await receive()
        try:
            services = await self._stack.enter_async_context(open_services(self._settings))
        except (SchemaMismatchError, RebuildUnfinishedError):
            raise  # starting again is of no use, which the process that runs this tells its parent
        except EntrepotError as error:
            await send({"type": "lifespan.startup.failed", "message": str(error)})
            return
        self._distribution = build_distribution(self._settings, services)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await self._stack.aclose()
        await send({"type": "lifespan.shutdown.complete"})


def build_background_worker(settings: Settings) -> Worker:
    """Return the background worker; it opens the stores when it runs."""
    stack = contextlib.AsyncExitStack()

    async def open_duties() -> Sequence[Duty]:
        stores = await stack.enter_async_context(open_stores(settings))
        mismatch = await _find_mismatch(stores)
        metrics = _build_metrics()
        harmless = (
            checkpoint_duty(stores.metadata, metrics),
            gauge_duty(stores.metadata, stores.blobs, metrics),
        )
        if mismatch is not None:
            # The journal is another database's, or a younger copy's of this one, which has written these facts already.
            return harmless
        scrubbing = await _scrub_duties(settings, stores, metrics, stack)
        journal = Journal(stores.blobs, await stores.metadata.instance.incarnation())
        kept_up = (*harmless, journal_duty(stores.metadata, journal))
        # Who closes the registry to writes, to move or to examine it, wants to find tomorrow what is there today.
        return (
            (*kept_up, *scrubbing)
            if settings.registry.read_only
            else (*kept_up, *scrubbing, *_clearing_duties(settings, stores, metrics))
        )

    return Worker(open_duties, stack.aclose)


def _clearing_duties(settings: Settings, stores: Stores, metrics: Metrics) -> tuple[Duty, ...]:
    metadata, blobs = stores.metadata, stores.blobs
    chosen = settings.housekeeping
    options = SweepOptions(chosen.orphan_grace_seconds, chosen.orphan_sweep_period_seconds)
    return (
        expiry_duty(UploadExpiry(metadata, StagedUploads(metadata, blobs)), metrics),
        orphan_duty(OrphanSweep(metadata, blobs, options), metadata, metrics),
    )


async def _scrub_duties(
    settings: Settings, stores: Stores, metrics: Metrics, stack: contextlib.AsyncExitStack
) -> tuple[Duty, ...]:
    """Return the duty of the scheduled verification; what it needs is closed with `stack`."""
    from entrepot.workers.scrubbing import ScrubPlan, open_scrub_duty  # noqa: PLC0415  # one process needs it

    chosen = settings.verify
    if chosen.period_seconds == 0:
        return ()
    sources: tuple[BlobRecovery, ...] = ()
    if chosen.heal_from:
        try:
            sources = (await stack.enter_async_context(open_recovery(settings, chosen.heal_from)),)
        except (
            StorageUnavailableError
        ) as error:  # the registry works without it, and so does the verification
            _log.warning("heal.source.missing", source=chosen.heal_from, reason=str(error))
    # A registry that is closed to writes is examined and left as it is.
    repairs = chosen.quarantine and not settings.registry.read_only
    plan = ScrubPlan(chosen.period_seconds, chosen.rate_bytes_per_second, repairs, sources)
    duty = open_scrub_duty(stores.metadata, stores.blobs, metrics, plan)
    return (await stack.enter_async_context(duty),)


@contextlib.asynccontextmanager
async def open_recovery(settings: Settings, address: str) -> AsyncIterator[BlobRecovery]:
    """Open another blob store to take sound bytes from; a bucket with the endpoint and key of `storage.s3`.

    Raises:
        ValueError: `address` is none.
        BlobStoreError: there is no such store.
    """
    from entrepot.lifecycle.recovery import StoreRecovery  # noqa: PLC0415  # no process that serves needs it

    parsed = parse_store_address(address)
    if isinstance(parsed, DirectoryAddress):
        store: BlobStore = FilesystemBlobStore(parsed.path)
        if not await asyncio.to_thread(parsed.path.is_dir):
            raise StorageUnavailableError(f"there is no directory {parsed.path}")
    else:
        from entrepot.blobstore.s3.store import S3BlobStore  # noqa: PLC0415  # loads the SDK; only where it is used

        store = S3BlobStore(replace(s3_options(settings), bucket=parsed.bucket, prefix=parsed.prefix))
    try:
        yield StoreRecovery(address, store)
    finally:
        await store.aclose()


@dataclass(frozen=True, slots=True)
class ProbeResult:
    """Whether something works, and what was found."""

    ok: bool
    detail: str


class StoreProbes:
    """Asks both stores whether pulls and pushes would work; opens them at the first question and after failures."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._stack = contextlib.AsyncExitStack()
        self._stores: Stores | None = None
        self._looks_right = False

    async def read_ready(self) -> ProbeResult:
        """Whether a row can be read and the blob store answers."""
        try:
            stores = await self._opened()
            await stores.metadata.instance.ping()
        except EntrepotError as error:
            return ProbeResult(ok=False, detail=str(error))
        return ProbeResult(ok=True, detail="metadata can be read")

    async def write_ready(self) -> ProbeResult:
        """Whether a write unit commits and an object can be written, read and deleted."""

        async def unit(tx: Transaction) -> int:
            return await tx.upload_sessions.release_owner("readiness probe")

        try:
            stores = await self._opened()
            # Once they fitted together, only a restart gives this process another database or another store.
            if not self._looks_right and (mismatch := await _find_mismatch(stores)) is not None:
                return ProbeResult(ok=False, detail=f"{mismatch.reason}: {mismatch.remedy}")
            self._looks_right = True
            await stores.metadata.write(unit)
            await stores.blobs.check()
        except EntrepotError as error:
            return ProbeResult(ok=False, detail=str(error))
        return ProbeResult(ok=True, detail="metadata and blob store can be written")

    async def aclose(self) -> None:
        """Close the stores."""
        await self._stack.aclose()

    async def _opened(self) -> Stores:
        if self._stores is None:
            self._stores = await self._stack.enter_async_context(open_stores(self._settings))
        return self._stores


def build_health_probes(settings: Settings) -> StoreProbes:
    """Return the probes of the ops listener."""
    return StoreProbes(settings)
