"""Lets a watch look for probes, which wait for a store that is slow no longer than they have to."""

from __future__ import annotations

import asyncio
from time import monotonic
from typing import TYPE_CHECKING, Final

from entrepot.bootstrap.lasting_answers import LASTS_SECONDS
from entrepot.registry.store_match.watch import StoreWatch

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.bootstrap.stores import Stores
    from entrepot.registry.store_match.ownership import Discrepancy

__all__ = ["LastingLook"]

_ASKED_AGAIN_SECONDS: Final = 45.0
"""So long before a good answer has lasted its time the store is asked again; meanwhile it is still good."""
_PATIENCE_SECONDS: Final = 1.0
"""Of a probe that has a good answer. The database answers within it, and a store as a rule."""


class LastingLook:
    """Looks whether a pair of stores belongs together. Belongs to one event loop; one look at a time.

    A look outlives the probe that began it, which may be given up: the next one waits for the same, or has its answer.
    """

    def __init__(self, stores: Stores, clock: Callable[[], float] = monotonic) -> None:
        """Take a pair of which nothing is known yet; `clock` tells seconds and is never put back.

        The log is told nothing: what serves finds it, too, and knows whether it takes writes again.
        """
        self._clock = clock
        self._watch = StoreWatch(
            stores.metadata, stores.blobs, clock=clock, believed_seconds=_ASKED_AGAIN_SECONDS
        )
        self._watch.suspect()
        self._task: asyncio.Task[Discrepancy | None] | None = None

    @property
    def fits(self) -> bool:
        """Whether they were found to fit less than a minute ago, and nothing spoke against it since."""
        since = self._watch.fits_since
        return since is not None and self._clock() - since < LASTS_SECONDS

    async def find(self) -> Discrepancy | None:
        """Return what does not fit, `None` when all does; while the store is slow to tell, so long as :attr:`fits`.

        Raises:
            MetadataError, BlobStoreError: it can't be told.
        """
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._watch.look(), name="lasting-look")
            self._task.add_done_callback(self._note_failure)
        task = self._task
        if self.fits:
            await asyncio.wait((task,), timeout=_PATIENCE_SECONDS)
        if not task.done() and self.fits:
            return None
        return await asyncio.shield(task)

    def doubt(self) -> None:
        """Ask the store next time: who comes back after a failure may be another one."""
        self._watch.suspect()

    async def aclose(self) -> None:
        """Give up a look that is under way."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait((self._task,))

    def _note_failure(self, task: asyncio.Task[Discrepancy | None]) -> None:
        if not task.cancelled() and task.exception() is not None:
            self.doubt()
