"""Lists the duties of the background worker, on stores of its own."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.sealer import Sealer
from entrepot.audit.settings_records import SettingsInForce, SettingsRecorder
from entrepot.auth.host import host_operator
from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.bootstrap.keys import CheckpointKeys, open_sealing, open_signing_keys
from entrepot.bootstrap.recovery import open_recovery
from entrepot.bootstrap.services import build_process_metrics, watch_stores
from entrepot.bootstrap.stores import Stores, open_served_stores, tell_of_logs_aside
from entrepot.kernel.node_id import read_or_create_node_id
from entrepot.registry.journal.writer import Journal
from entrepot.registry.pushes.staged_uploads import StagedUploads
from entrepot.registry.sweeps.orphans import OrphanSweep, SweepOptions
from entrepot.registry.sweeps.steady_clock import SteadyClock
from entrepot.registry.sweeps.upload_expiry import UploadExpiry
from entrepot.settings import audit_directory, set_secrets, shown_defaults, shown_differences
from entrepot.workers.accounts_upkeep import first_password_duty, key_rotation_duty, session_duty
from entrepot.workers.audit_upkeep import (
    audit_checkpoint_duty,
    audit_drain_duty,
    audit_seal_duty,
    settings_record_duty,
)
from entrepot.workers.backup_age import backup_age_duty
from entrepot.workers.housekeeping import expiry_duty, orphan_duty
from entrepot.workers.upkeep import checkpoint_duty, gauge_duty, journal_duty
from entrepot.workers.worker import Duty, Worker

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.keys.signing_keys import SigningKeys
    from entrepot.lifecycle.recovery import BlobRecovery
    from entrepot.metadata.store import Metadata
    from entrepot.observability.metrics import Metrics
    from entrepot.registry.store_match.watch import StoreWatch
    from entrepot.settings import Settings

__all__ = ["build_background_worker"]

_log: Any = structlog.get_logger()


def build_background_worker(settings: Settings) -> Worker:
    """Return the background worker; it opens the stores when it runs."""
    stack = contextlib.AsyncExitStack()

    async def open_duties() -> Sequence[Duty]:
        stores = await stack.enter_async_context(open_served_stores(settings))
        await tell_of_logs_aside(settings)
        metrics, clock = build_process_metrics(), SteadyClock()
        watch = await watch_stores(stores, metrics)
        journal = Journal(stores.blobs, await stores.metadata.instance.incarnation(), watch.suspect)
        kept_up = (
            checkpoint_duty(stores.metadata, metrics),
            gauge_duty(stores.metadata, stores.blobs, metrics, clock),
            backup_age_duty(stores.metadata, metrics),
            *await _audit_duties(settings, stores.metadata, metrics),
            *_accounts_duties(settings, stores.metadata, clock),
            journal_duty(stores.metadata, journal, clock, watch),
        )
        others = await _scrub_duties(settings, stores, metrics, stack, clock)
        # Who closes the registry to writes, to move or to examine it, wants to find tomorrow what is there today.
        if not settings.registry.read_only:
            others = (*others, *_clearing_duties(settings, stores, metrics, clock))
        return (*kept_up, *(_while_fitting(duty, watch) for duty in others))

    return Worker(open_duties, stack.aclose)


def _while_fitting(duty: Duty, watch: StoreWatch) -> Duty:
    """Return a duty that rests as long as database and storage are known not to belong together.

    The journal is another database's then, or a younger copy's of this one, which has written the same numbers already;
    or the storage is a wrong one, and what is written there counts as written and is lost.
    """

    async def run() -> None:
        if watch.found is None:
            await duty.run()

    return replace(duty, run=run)


def _accounts_duties(settings: Settings, metadata: Metadata, clock: SteadyClock) -> tuple[Duty, ...]:
    if not settings.access.accounts:
        return ()

    async def open_keys() -> SigningKeys:
        return await open_signing_keys(settings, metadata, "token")

    return (
        first_password_duty(metadata, settings.data.directory),
        key_rotation_duty(open_keys, settings.bearer_token.key_rotation_days),
        session_duty(metadata, clock),
    )


async def _audit_duties(settings: Settings, metadata: Metadata, metrics: Metrics) -> tuple[Duty, ...]:
    node = await asyncio.to_thread(read_or_create_node_id, settings.data.directory)
    directory, period = audit_directory(settings), settings.audit_log.checkpoint_seconds
    checkpoints = Checkpoints(metadata, CheckpointKeys(settings, metadata), directory / "checkpoints")
    in_force = SettingsInForce(shown_differences(settings), shown_defaults(), set_secrets(settings))
    open_key = partial(open_sealing, settings, metadata)
    return (
        settings_record_duty(SettingsRecorder(metadata, host_operator(), node, in_force, open_key)),
        audit_drain_duty(directory / "spool", metadata, node, metrics),
        audit_seal_duty(Sealer(metadata), metadata, metrics),
        audit_checkpoint_duty(checkpoints, metadata, metrics, lambda: period),
    )


def _clearing_duties(
    settings: Settings, stores: Stores, metrics: Metrics, clock: SteadyClock
) -> tuple[Duty, ...]:
    from entrepot.lifecycle.scrub.standing import why_nothing_may_be_removed  # noqa: PLC0415  # one process needs it

    metadata, blobs = stores.metadata, stores.blobs
    chosen = settings.housekeeping
    options = SweepOptions(chosen.orphan_grace_seconds, chosen.orphan_sweep_period_seconds)
    staged, life = StagedUploads(metadata, blobs), settings.uploads.session_ttl_seconds
    sweep = OrphanSweep(metadata, blobs, options, clock, partial(why_nothing_may_be_removed, metadata))
    return (
        expiry_duty(UploadExpiry(metadata, staged, life, clock), metrics),
        orphan_duty(sweep, metadata, metrics),
    )


async def _scrub_duties(
    settings: Settings,
    stores: Stores,
    metrics: Metrics,
    stack: contextlib.AsyncExitStack,
    clock: SteadyClock,
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
    duty = open_scrub_duty(stores.metadata, stores.blobs, metrics, plan, clock)
    return (await stack.enter_async_context(duty),)
