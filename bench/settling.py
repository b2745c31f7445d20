"""Waits until a server has done what requests left it to do: records of pulls go to the database after the reply."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from bench.servers import Server

__all__ = ["BUSY_AFTERWARDS", "wait_until_idle"]

BUSY_AFTERWARDS: Final = "busy_afterwards_seconds"
"""How a sample calls what :func:`wait_until_idle` returned."""

_LOOK_SECONDS: Final = 1.5
"""Longer than the second in which duties come round."""
_IDLE_SHARE: Final = 0.05
_MOST_SECONDS: Final = 120.0


def wait_until_idle(server: Server) -> float:
    """Wait until it takes less than a twentieth of a core, and return how many seconds went by before that.

    What it does later would slow down the next server, and is part of what its requests cost.
    """
    began = time.perf_counter()
    while True:
        looked, before = time.perf_counter(), server.cpu_seconds()
        time.sleep(_LOOK_SECONDS)
        share = (server.cpu_seconds() - before) / (time.perf_counter() - looked)
        if share < _IDLE_SHARE or looked - began > _MOST_SECONDS:
            return looked - began
