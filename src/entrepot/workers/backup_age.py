"""The duty that tells when the last backup was made: commands make backups, and leave a row that this one reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.workers.worker import Duty

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from entrepot.observability.metrics import Metrics

__all__ = ["backup_age_duty"]

_PERIOD_SECONDS: Final = 60.0
_MILLISECONDS: Final = 1000


def backup_age_duty(metadata: Metadata, metrics: Metrics) -> Duty:
    """Return the duty that sets the gauge, every minute."""

    async def run() -> None:
        completed = await metadata.backups.last_completed()
        metrics.backup_last_completed.set(0 if completed is None else completed / _MILLISECONDS)

    return Duty("backup age", _PERIOD_SECONDS, run)
