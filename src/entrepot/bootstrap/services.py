"""Builds the services of the data plane on open stores."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog
from prometheus_client import CollectorRegistry

from entrepot.audit.direct_notes import DirectNotes
from entrepot.auth.loopback import EveryoneAuthorizer, LoopbackAuthorizer
from entrepot.auth.modes import ModeAuthorizer, ModeGate, Modes
from entrepot.kernel.ids import new_public_id
from entrepot.kernel.node_id import read_or_create_node_id
from entrepot.kernel.process_identity import ProcessIdentity
from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.observability.metrics import Metrics, build_metrics, greatest_gauge
from entrepot.projects.configurations import DecidingSwitch
from entrepot.registry.deletions import Deletions
from entrepot.registry.hashing import RunningDigests
from entrepot.registry.journal.writer import Journal
from entrepot.registry.project_numbers import ProjectNumbers
from entrepot.registry.pulls.blobs import Blobs
from entrepot.registry.pulls.catalog import Catalog
from entrepot.registry.pulls.content_cache import ContentCache
from entrepot.registry.pulls.manifests import Manifests
from entrepot.registry.pulls.referrers import Referrers
from entrepot.registry.pushes.blob_publication import BlobPublication
from entrepot.registry.pushes.file_pushes import FilePushes
from entrepot.registry.pushes.leases import SessionLeases
from entrepot.registry.pushes.manifests import ManifestPushes
from entrepot.registry.pushes.mounts import Mounts
from entrepot.registry.pushes.staged_uploads import StagedUploads
from entrepot.registry.pushes.staging import StagingPipeline
from entrepot.registry.pushes.uploads import UploadParts, Uploads
from entrepot.registry.repositories import ProjectRepositories
from entrepot.registry.store_match.ownership import find_discrepancy, require_finished_rebuild
from entrepot.registry.store_match.watch import StoreWatch
from entrepot.services import Services

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.auth.grants import Authorizer
    from entrepot.bootstrap.identity import Identity
    from entrepot.bootstrap.stores import Stores
    from entrepot.metadata.store import Metadata
    from entrepot.projects.configurations import Configurations
    from entrepot.registry.hashing import HashingPool
    from entrepot.registry.store_match.ownership import Discrepancy
    from entrepot.settings import Settings

__all__ = [
    "build_process_metrics",
    "build_services",
    "find_mismatch",
    "is_mismatch_on_this_node",
    "watch_stores",
]

_log: Any = structlog.get_logger()


async def build_services(
    settings: Settings,
    stores: Stores,
    hashing: HashingPool,
    *,
    metrics: Metrics | None = None,
    notes: AuditNotes | None = None,
    identity: Identity | None = None,
    look_only: bool = False,
) -> Services:
    """Build the services of the data plane and give back the leases that dead predecessors held.

    When storage and database don't belong together, they refuse every write: a database that was restored from an older
    copy would give the numbers of facts again that the journal has already, and into a wrong storage pushes would go
    that no other node can read (F47). So they do where that is found later, by whoever has the services' watch look,
    until it finds that they fit.

    Args:
        metrics: those of the process; own ones for a command that nobody scrapes.
        notes: where pulls and refusals are noted; for a command on the host the database itself.
        identity: who there is and what they may; without it nobody has an account.
        look_only: whether no more than looking is meant: then the node gets no name that it lacks, and leases stay.

    Raises:
        RebuildUnfinishedError: the database is a half-filled one.
    """
    metadata, blobs = stores.metadata, stores.blobs
    metrics = metrics or build_process_metrics()
    watch = await watch_stores(stores, metrics)
    leases = await _leases(settings, metadata, look_only=look_only)
    journal = Journal(blobs, await metadata.instance.incarnation(), watch.suspect)
    uploading = _uploading(settings, stores, hashing, leases, metrics)
    redirect = settings.storage.driver == "s3" and settings.storage.s3.redirect_downloads
    cache = ContentCache(settings.cache.small_blob_bytes)
    modes, switch = _modes(settings), identity.configurations if identity is not None else None
    obstacle = partial(_obstacle, watch)
    return Services(
        authorizer=ModeAuthorizer(_decider(settings, identity), ModeGate(modes, switch, obstacle)),
        manifests=Manifests(metadata, hashing, cache),
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
        blobs=Blobs(metadata, blobs, cache, redirect=redirect),
        uploads=Uploads(uploading),
        file_pushes=FilePushes(uploading),
        mounts=Mounts(metadata),
        repositories=ProjectRepositories(metadata, journal, _changing_gate(modes, switch, obstacle)),
        notes=notes or DirectNotes(metadata),
        project_numbers=ProjectNumbers(metadata),
        metrics=metrics,
        store_watch=watch,
    )


async def find_mismatch(stores: Stores) -> Discrepancy | None:
    """Return why storage and database don't belong together, `None` where they do.

    Raises:
        RebuildUnfinishedError: the database is a half-filled one.
    """
    await require_finished_rebuild(stores.metadata)
    return await find_discrepancy(stores.metadata, stores.blobs)


async def watch_stores(stores: Stores, metrics: Metrics) -> StoreWatch:
    """Return the watch over stores, which has looked into both once; it keeps the gauge of the process, and logs.

    Raises:
        RebuildUnfinishedError: the database is a half-filled one.
    """
    await require_finished_rebuild(stores.metadata)
    watch = StoreWatch(stores.metadata, stores.blobs, partial(_announce, metrics))
    watch.suspect()
    await watch.look()
    return watch


async def is_mismatch_on_this_node() -> bool:
    """Whether a process of this node has found one, by the gauge that :func:`watch_stores` keeps."""
    return await asyncio.to_thread(greatest_gauge, "registry_database_mismatch") > 0


def _announce(metrics: Metrics, mismatch: Discrepancy | None) -> None:
    """Tell of a change: what no longer fits, or that all does again."""
    metrics.database_mismatch.set(0 if mismatch is None else 1)
    if mismatch is None:
        _log.warning("database.fits.again")
    else:
        _log.error("database.mismatch", reason=mismatch.reason, remedy=mismatch.remedy)


def _obstacle(watch: StoreWatch) -> str:
    return "" if watch.found is None else _tell_clients(watch.found)


async def _leases(settings: Settings, metadata: Metadata, *, look_only: bool) -> SessionLeases:
    """Return the leases of this process, and spare clients the wait for those of dead ones.

    Not being able to write is no reason not to serve pulls.
    """
    seconds = int(settings.uploads.lease_seconds)
    if look_only:
        return SessionLeases(metadata, ProcessIdentity.of_this_process(new_public_id()), seconds)
    node = await asyncio.to_thread(read_or_create_node_id, settings.data.directory)
    leases = SessionLeases(metadata, ProcessIdentity.of_this_process(node), seconds)
    try:
        await leases.release_dead()
    except MetadataUnavailableError as error:
        _log.warning("leases.kept", reason=str(error))
    return leases


def _advised_chunk_bytes(settings: Settings) -> int:
    """Return below which size a chunk costs more than its bytes: syncs on a disk, a rewritten tail in a bucket."""
    if settings.storage.driver == "s3":
        return settings.storage.s3.part_size_bytes
    return settings.uploads.write_step_bytes


def _uploading(
    settings: Settings, stores: Stores, hashing: HashingPool, leases: SessionLeases, metrics: Metrics
) -> UploadParts:
    metadata, blobs = stores.metadata, stores.blobs
    return UploadParts(
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


def _decider(settings: Settings, identity: Identity | None) -> Authorizer:
    if identity is not None:
        return identity.authorizer
    return EveryoneAuthorizer() if settings.access.insecure_anonymous else LoopbackAuthorizer()


def _modes(settings: Settings) -> Modes:
    return Modes(read_only=settings.registry.read_only, allow_delete=settings.registry.allow_delete)


def _changing_gate(
    modes: Modes, configurations: Configurations | None, obstacle: Callable[[], str]
) -> ModeGate:
    """Return the gate of the management API, by which nothing is changed that is closed at that moment."""
    switch = None if configurations is None else DecidingSwitch(configurations)
    return ModeGate(modes, switch, obstacle)


def _tell_clients(mismatch: Discrepancy) -> str:
    """Return what concerns a client; which object gave the mismatch away is for the log."""
    return (
        f"this registry takes no pushes and no deletes at present, since {mismatch.summary}; its operator has to look "
        f"into it ({mismatch.remedy})"
    )


def build_process_metrics() -> Metrics:
    """Return the metrics of this process, in a registry of their own."""
    return build_metrics(CollectorRegistry())
