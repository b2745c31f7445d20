"""Builds the services of an HTTP process on open stores."""

from __future__ import annotations

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final

import structlog
from prometheus_client import CollectorRegistry

from entrepot.auth.loopback import EveryoneAuthorizer, LoopbackAuthorizer
from entrepot.auth.modes import Modes, with_modes
from entrepot.bootstrap.stores import Stores, open_stores
from entrepot.kernel.node_id import read_or_create_node_id
from entrepot.kernel.process_identity import ProcessIdentity
from entrepot.metadata.errors import MetadataUnavailableError
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
from entrepot.registry.referrers import Referrers
from entrepot.registry.staged_uploads import StagedUploads
from entrepot.registry.staging import StagingPipeline
from entrepot.registry.store_ownership import find_discrepancy, require_finished_rebuild
from entrepot.registry.uploads import UploadParts, Uploads
from entrepot.services import Services

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.grants import Authorizer
    from entrepot.registry.store_ownership import Discrepancy
    from entrepot.settings import Settings

__all__ = ["build_process_metrics", "build_services", "find_mismatch", "open_services"]

_log: Any = structlog.get_logger()

_HASHING_THREADS: Final = 4


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
    mismatch = await find_mismatch(stores)
    metrics = build_process_metrics()
    metrics.database_mismatch.set(0 if mismatch is None else 1)
    if mismatch is not None:
        _log.error("database.mismatch", reason=mismatch.reason, remedy=mismatch.remedy)
    node = await asyncio.to_thread(read_or_create_node_id, settings.data.directory)
    owner = ProcessIdentity.of_this_process(node)
    leases = SessionLeases(metadata, owner, int(settings.uploads.lease_seconds))
    await _give_back_leases(leases)
    journal = Journal(blobs, await metadata.instance.incarnation())
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


async def find_mismatch(stores: Stores) -> Discrepancy | None:
    """Return what of the storage this database can't have written, `None` where they fit together.

    Raises:
        RebuildUnfinishedError: the database is a half-filled one.
    """
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


def build_process_metrics() -> Metrics:
    """Return the metrics of this process, in a registry of their own."""
    return build_metrics(CollectorRegistry())
