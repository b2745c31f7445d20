"""The duty that tells when the last backup was made: commands make backups, and leave a row that this one reads."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.workers.completion_times import shown_completion
from entrepot.workers.worker import Duty

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata
    from entrepot.observability.metrics import Metrics

__all__ = ["backup_age_duty"]

_PERIOD_SECONDS: Final = 60.0


def backup_age_duty(metadata: Metadata, metrics: Metrics) -> Duty:
    """Return the duty that sets the gauge, every minute."""

    async def run() -> None:
        last = await metadata.backups.last_completed()
        shown = 0 if last is None else shown_completion(last.at_milliseconds, last.now_milliseconds)
        metrics.backup_last_completed.set(shown)

    return Duty("backup age", _PERIOD_SECONDS, run)
