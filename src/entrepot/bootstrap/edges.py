"""Builds all that answers requests in an HTTP process, on services that live as long as the process."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from entrepot.audit.spool import AuditSpool, SpoolBuffer
from entrepot.auth.condensed_refusals import CondensedRefusals
from entrepot.blobstore.errors import BlobStoreError
from entrepot.bootstrap.services import build_process_metrics, build_services, is_mismatch_on_this_node
from entrepot.bootstrap.stores import open_served_stores, open_stores
from entrepot.distribution_api.admission import Admission, AdmissionLimits
from entrepot.distribution_api.application import DistributionApplication
from entrepot.distribution_api.audit import EdgeAudit
from entrepot.distribution_api.body_pace import PaceLimits
from entrepot.distribution_api.challenges import Challenges
from entrepot.distribution_api.credentials import Identification
from entrepot.kernel.address_budget import AddressBudget
from entrepot.kernel.periodic import Periodic
from entrepot.metadata.errors import MetadataError
from entrepot.registry.hashing import HashingPool
from entrepot.settings import audit_directory, public_url
from entrepot.token_service.application import TOKEN_PATH, TokenApplication

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.auth.audit_notes import AuditNotes
    from entrepot.bootstrap.identity import Identity
    from entrepot.bootstrap.stores import Stores
    from entrepot.kernel.asgi import Application
    from entrepot.observability.metrics import Metrics
    from entrepot.registry.store_match.watch import StoreWatch
    from entrepot.services import Services
    from entrepot.settings import Settings

__all__ = ["Edges", "build_address_budget", "build_distribution", "open_edges", "open_spool"]

_HASHING_THREADS: Final = 4
_LOOK_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Edges:
    """The applications of one process; without accounts there is only the data plane."""

    distribution: DistributionApplication
    tokens: Application | None = None
    control: Application | None = None


@contextlib.asynccontextmanager
async def open_edges(settings: Settings, *, makes_new: bool = True) -> AsyncIterator[Edges]:
    """Open the stores, build everything on them, and close it in reverse order at the end.

    Args:
        settings: name the stores, and say what is built.
        makes_new: whether database and first administrator are made where there are none.

    Raises:
        EntrepotError: something can't be opened.
    """
    async with contextlib.AsyncExitStack() as stack:
        opening = open_stores if makes_new else open_served_stores
        stores = await stack.enter_async_context(opening(settings))
        executor = stack.enter_context(ThreadPoolExecutor(_HASHING_THREADS, thread_name_prefix="hashing"))
        metrics = build_process_metrics()
        stack.callback(metrics.flush_requests)
        spool = open_spool(settings, metrics)
        # What is in memory only comes before what ends by itself: leases may have to wait for the database.
        releases = await stack.enter_async_context(contextlib.AsyncExitStack())
        stack.push_async_callback(spool.aclose)
        notes = CondensedRefusals(spool, metrics.audit_condensed.inc)
        notes.start()
        stack.push_async_callback(notes.aclose)
        identity = await _identity(settings, stores, notes, metrics, stack, makes_new=makes_new)
        services = await build_services(
            settings, stores, HashingPool(executor), metrics=metrics, notes=notes, identity=identity
        )
        releases.push_async_callback(services.uploads.aclose)
        looks = Periodic("store-watch", _LOOK_SECONDS, partial(_look, services.store_watch))
        looks.start()
        # Nobody needs a last look, which a store that hangs would not answer.
        stack.push_async_callback(looks.cancel)
        yield _build(settings, stores, services, identity)


async def _look(watch: StoreWatch) -> None:
    """Look once; what can't be told now is told the next time, and meanwhile by every request.

    What another process of this node has found, whoever was first to need the store, is looked into as well.
    """
    if watch.found is None and await is_mismatch_on_this_node():
        watch.suspect()
    with contextlib.suppress(MetadataError, BlobStoreError):
        await watch.look()


def open_spool(settings: Settings, metrics: Metrics) -> AuditSpool:
    """Return the spool of this process; its files are made when there is something to note."""
    chosen = settings.audit_log
    return AuditSpool(
        audit_directory(settings) / "spool",
        chosen.spool_flush,
        metrics.audit_spool_failures.inc,
        buffer=SpoolBuffer(
            chosen.buffer_records, metrics.audit_buffered.inc, metrics.audit_buffer_records.set
        ),
    )


def build_address_budget(settings: Settings, metrics: Metrics) -> AddressBudget:
    """Return what counts the requests of each address; one for all that answers requests in a process."""
    return AddressBudget(settings.limits.requests_per_address, metrics.refused_greedy_addresses.inc)


def build_distribution(
    settings: Settings,
    services: Services,
    identity: Identity | None = None,
    addresses: AddressBudget | None = None,
) -> DistributionApplication:
    """Return the data plane on built services; it belongs to one event loop. Alone, it counts addresses itself."""
    limits = settings.limits
    admission = AdmissionLimits(
        bodies=limits.bodies,
        bodies_per_address=limits.bodies_per_address,
        waiting_bodies=limits.waiting_bodies,
        wait_seconds=limits.wait_seconds,
    )
    return DistributionApplication(
        services,
        Admission(admission, addresses or build_address_budget(settings, services.metrics)),
        PaceLimits(limits.min_body_bytes_per_second, limits.pace_window_seconds, limits.silence_seconds),
        audit=EdgeAudit(services.notes, services.project_numbers),
        identification=None if identity is None else _identification(settings, identity),
    )


async def _identity(
    settings: Settings,
    stores: Stores,
    notes: AuditNotes,
    metrics: Metrics,
    stack: contextlib.AsyncExitStack,
    *,
    makes_new: bool,
) -> Identity | None:
    if not settings.access.accounts:
        return None
    # A registry without accounts need not pay for what they take: 20 MB of memory and a moment of the start.
    from entrepot.auth.login_watch import LoginWatch  # noqa: PLC0415  # see above
    from entrepot.bootstrap.identity import open_identity  # noqa: PLC0415  # see above

    watch = LoginWatch(lambda reason: metrics.refused_logins.labels(reason).inc())
    return await stack.enter_async_context(
        open_identity(
            settings,
            stores.metadata,
            notes,
            watch=watch,
            note_locked=metrics.signing_keys_locked.set,
            makes_new=makes_new,
        )
    )


def _build(settings: Settings, stores: Stores, services: Services, identity: Identity | None) -> Edges:
    addresses = build_address_budget(settings, services.metrics)
    distribution = build_distribution(settings, services, identity, addresses)
    if identity is None:
        return Edges(distribution)
    from entrepot.bootstrap.control import build_control  # noqa: PLC0415  # only with accounts, as above

    return Edges(
        distribution,
        TokenApplication(identity.token_service, identity.token_ring, addresses),
        build_control(settings, stores, services, identity, addresses),
    )


def _identification(settings: Settings, identity: Identity) -> Identification:
    challenges = Challenges(settings.http.external_url, public_url(settings), TOKEN_PATH, identity.service)
    return Identification(
        identity.authenticator, identity.tokens, identity.epochs, identity.decisions, challenges
    )
