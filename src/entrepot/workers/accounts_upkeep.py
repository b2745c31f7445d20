"""The duties of a registry with accounts: clear up after the first start, let signing keys take turns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.auth.people.first_password import remove_first_password
from entrepot.auth.principals import THE_REGISTRY
from entrepot.workers.worker import Duty

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

    from entrepot.auth.keys.signing_keys import SigningKeys
    from entrepot.metadata.store import Metadata
    from entrepot.registry.sweeps.steady_clock import SteadyClock

__all__ = ["first_password_duty", "key_rotation_duty", "session_duty"]

_log: Any = structlog.get_logger()

_PERIOD_SECONDS: Final = 10.0
_ROTATION_LOOK_SECONDS: Final = 3600.0
_SESSIONS_PERIOD_SECONDS: Final = 60.0
_SESSIONS_AT_ONCE: Final = 200
_DAY_SECONDS: Final = 86400
_MILLISECONDS: Final = 1000


def first_password_duty(metadata: Metadata, data_directory: Path) -> Duty:
    """Return the duty that removes the file of a first password that was changed, within ten seconds."""

    async def run() -> None:
        await remove_first_password(metadata, data_directory)

    return Duty("first password", _PERIOD_SECONDS, run)


def key_rotation_duty(open_keys: Callable[[], Awaitable[SigningKeys]], most_days: int) -> Duty:
    """Return the duty that lets the next key sign tokens when the active one has done so for `most_days`.

    `open_keys` is called each time: this process needs the master key once an hour only.
    """

    async def run() -> None:
        keys = await open_keys()
        await keys.rotate_when_due(THE_REGISTRY, most_days * _DAY_SECONDS)

    return Duty("key rotation", _ROTATION_LOOK_SECONDS, run)


def session_duty(metadata: Metadata, clock: SteadyClock) -> Duty:
    """Return the duty that ends logins in a browser that are dated ahead of the database's clock, every minute (F27).

    Nobody may ever show them before the clock comes to their time, and then they would be good again. By a clock that
    is behind for a moment every login is dated ahead, so that it has to be steady.
    """

    async def run() -> None:
        await clock.look(metadata)
        if not clock.is_steady:
            return
        ended = await metadata.write(lambda tx: tx.web_sessions.remove_dated_ahead(_SESSIONS_AT_ONCE))
        for one in ended:
            seconds = one.ahead_milliseconds // _MILLISECONDS
            _log.warning("session.dated_ahead", session=one.public_id, seconds=seconds)

    return Duty("sessions", _SESSIONS_PERIOD_SECONDS, run)
