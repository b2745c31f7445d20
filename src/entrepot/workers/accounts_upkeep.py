"""The duty that looks after what the first start with accounts left behind."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.auth.people.first_password import remove_first_password
from entrepot.workers.worker import Duty

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata

__all__ = ["first_password_duty"]

_PERIOD_SECONDS: Final = 10.0


def first_password_duty(metadata: Metadata, data_directory: Path) -> Duty:
    """Return the duty that removes the file of a first password that was changed, within ten seconds."""

    async def run() -> None:
        await remove_first_password(metadata, data_directory)

    return Duty("first password", _PERIOD_SECONDS, run)
