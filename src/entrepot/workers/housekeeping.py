"""The duties that clear away what nobody needs any more: expired uploads and orphans."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.workers.worker import Duty

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from entrepot.observability.metrics import Metrics
    from entrepot.registry.sweeps.orphans import OrphanSweep
    from entrepot.registry.sweeps.upload_expiry import UploadExpiry

__all__ = ["expiry_duty", "orphan_duty"]

_log: Any = structlog.get_logger()

_EXPIRY_PERIOD_SECONDS: Final = 60.0
_SWEEP_PERIOD_SECONDS: Final = 10.0


def expiry_duty(expiry: UploadExpiry, metrics: Metrics) -> Duty:
    """Return the duty that ends upload sessions past their time, every minute."""

    async def run() -> None:
        metrics.uploads_expired.inc(await expiry.run())

    return Duty("upload expiry", _EXPIRY_PERIOD_SECONDS, run)


def orphan_duty(sweep: OrphanSweep, metadata: Metadata, metrics: Metrics) -> Duty:
    """Return the duty that goes on with the sweep of orphans, every ten seconds while a pass is due."""

    async def run() -> None:
        report = await sweep.run()
        metrics.orphans_found.inc(report.found)
        metrics.orphans_removed.inc(report.removed)
        metrics.orphans_removed_bytes.inc(report.removed_bytes)
        if report.finished:
            waiting, waiting_bytes = await metadata.orphans.count()
            metrics.orphans.set(waiting)
            metrics.orphan_bytes.set(waiting_bytes)
            _log.info("sweep.finished", waiting=waiting, waiting_bytes=waiting_bytes)

    return Duty("orphans", _SWEEP_PERIOD_SECONDS, run)
