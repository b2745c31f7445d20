"""The duties of the audit log: take over what was noted in files, seal it, sign the end of the chain."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final

from entrepot.audit.checkpoint_format import signed_at
from entrepot.audit.drain import AuditDrain
from entrepot.audit.segments import spool_bytes
from entrepot.kernel.errors import EntrepotError
from entrepot.workers.worker import Duty

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from entrepot.audit.checkpoints import Checkpoints, SignedChain
    from entrepot.audit.sealer import Sealer
    from entrepot.audit.settings_records import SettingsRecorder
    from entrepot.metadata.store import Metadata
    from entrepot.observability.metrics import Metrics

__all__ = ["audit_checkpoint_duty", "audit_drain_duty", "audit_seal_duty", "settings_record_duty"]

_PERIOD_SECONDS: Final = 1.0
_CHECKPOINT_LOOK_SECONDS: Final = 5.0
_SETTINGS_LOOK_SECONDS: Final = 3600.0
"""For nothing: settings are those of the process. Only a run that failed comes again, and sooner."""
_REST_SECONDS: Final = 60.0
"""How long whoever copies notes of another node here may pause in the middle of a file."""
_MILLISECONDS: Final = 1000


def audit_drain_duty(directory: Path, metadata: Metadata, node: str, metrics: Metrics) -> Duty:
    """Return the duty that takes a node's notes into the database, every second."""
    drain = AuditDrain(directory, metadata, node, rest_seconds=_REST_SECONDS)

    async def run() -> None:
        metrics.audit_spool_bytes.set(await asyncio.to_thread(_bytes_in, directory))
        report = await drain.run()
        metrics.audit_spool_damaged_bytes.inc(report.damaged_bytes)
        metrics.audit_drained.set_to_current_time()

    return Duty("audit drain", _PERIOD_SECONDS, run)


def audit_seal_duty(sealer: Sealer, metadata: Metadata, metrics: Metrics) -> Duty:
    """Return the duty that seals what was added, every second."""

    async def run() -> None:
        try:
            await sealer.run()
        finally:
            metrics.audit_unsealed.set(await metadata.audit.unsealed_count())

    return Duty("audit seal", _PERIOD_SECONDS, run)


def audit_checkpoint_duty(
    checkpoints: Checkpoints, metadata: Metadata, metrics: Metrics, period_seconds: Callable[[], int]
) -> Duty:
    """Return the duty that signs the end of the chain; `period_seconds` is asked each time, since it may change."""

    async def run() -> None:
        try:
            await checkpoints.run(period_seconds())
        except (EntrepotError, OSError):
            metrics.audit_checkpoint_failures.inc()
            raise
        finally:
            found = await checkpoints.look()
            signed_last = 0 if found.last is None else signed_at(found.last)
            metrics.audit_checkpoint.set(signed_last / _MILLISECONDS)
            metrics.audit_unsigned_seconds.set(await _unsigned_milliseconds(metadata, found) / _MILLISECONDS)

    return Duty("audit checkpoint", _CHECKPOINT_LOOK_SECONDS, run)


def settings_record_duty(recorder: SettingsRecorder) -> Duty:
    """Return the duty that records the settings of this process, until it could."""

    async def run() -> None:
        await recorder.run()

    return Duty("settings record", _SETTINGS_LOOK_SECONDS, run)


async def _unsigned_milliseconds(metadata: Metadata, found: SignedChain) -> int:
    """Return for how long the oldest record behind the last checkpoint has waited for one, 0 without any.

    It can't have waited longer than since that checkpoint, however old it is: notes may come late from a node. One
    whose time lies ahead, since the clock was set back, tells nothing of that (F27).
    """
    chain, last = found.chain, found.last
    signed, at = (0, 0) if last is None else (last.sequence, signed_at(last))
    if chain is None or chain.sequence <= signed:
        return 0
    links = await metadata.audit.links(signed, 1)
    since = at if at <= chain.now else 0
    return max(0, chain.now - max(since, links[0].at)) if links else 0


def _bytes_in(directory: Path) -> int:
    return spool_bytes(directory) if directory.is_dir() else 0
