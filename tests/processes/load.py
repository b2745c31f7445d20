"""Keeps asking a registry from a thread, and remembers what failed and how."""

from __future__ import annotations

import threading
import time
from typing import TYPE_CHECKING, Self

from tests.plumbing.patience import PATIENCE_SECONDS

if TYPE_CHECKING:
    from tests.processes.running import RunningRegistry


class SteadyLoad:
    """Asks GET /v2/ on a new connection each time, over and over, while the context is open."""

    def __init__(self, registry: RunningRegistry) -> None:
        self._registry = registry
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask_on)
        self.success_count = 0
        self.failures: list[OSError] = []

    def __enter__(self) -> Self:
        self._thread.start()
        self.wait_for_successes(5)
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def wait_for_successes(self, count: int, timeout_seconds: float = PATIENCE_SECONDS) -> None:
        """Wait until `count` more requests were answered."""
        wanted = self.success_count + count
        give_up_at = time.monotonic() + timeout_seconds
        while self.success_count < wanted:
            assert time.monotonic() < give_up_at, (
                f"no answers: {self.failures[-3:]}\n{self._registry.log_text()}"
            )
            time.sleep(0.01)

    def _ask_on(self) -> None:
        while not self._ended.is_set():
            try:
                status, _ = self._registry.get("/v2/", timeout_seconds=PATIENCE_SECONDS)
            except OSError as error:
                self.failures.append(error)
            else:
                assert status == 200
                self.success_count += 1
            time.sleep(0.002)
