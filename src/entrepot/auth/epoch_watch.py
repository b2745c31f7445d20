"""Watches the epochs: every few seconds each process asks the database what moved, so that what was issued dies.

Whatever is asked about is looked up by name as well at the next look. So a subject that was deleted, row and all, is
noticed too, and its tokens die like those of one that was disabled.
"""

from __future__ import annotations

import asyncio
import math
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.auth.epochs import WITHOUT_EPOCH
from entrepot.kernel.clock import LEEWAY_SECONDS
from entrepot.metadata.errors import MetadataError, MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from entrepot.metadata.epoch_store import EpochReader, EpochsFound, EpochsNamed

__all__ = ["EpochWatch"]

_log: Any = structlog.get_logger()

_MOST_NAMES: Final = 10_000
"""How many names are looked up at once; those of more wait for the next look."""


class EpochWatch:
    """Implements :class:`entrepot.auth.epochs.Epochs`. Started and closed by who composes; one per process.

    A database that was restored from an older copy has lower epochs than the tokens issued since. Those tokens live on
    until they expire, as they would have without the restore; nothing issued later is touched.
    """

    def __init__(
        self,
        reader: EpochReader,
        longest_lifetime_seconds: float,
        refresh_seconds: float = 5.0,
        patience_seconds: float = 60.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take how long anything lives that carries epochs; older moves concern nothing any more."""
        self._reader = reader
        self._longest_seconds = longest_lifetime_seconds + LEEWAY_SECONDS
        # What had not settled when a token was met is known as long as the token is.
        self._window_seconds = 2 * self._longest_seconds + 2 * refresh_seconds
        self._refresh_seconds = refresh_seconds
        self._patience_seconds = patience_seconds
        self._clock = clock
        self._heard_at: float | None = None
        self._moves = 0
        # The least epoch of what is current, by name: infinite for what is gone.
        self._subjects: Mapping[str, float] = {}
        self._projects: Mapping[str, float] = {}
        self._moved: frozenset[tuple[str, str, int]] = frozenset()
        self._gone: dict[tuple[str, str], float] = {}
        self._asked_subjects: set[str] = set()
        self._asked_projects: set[str] = set()
        self._task: asyncio.Task[None] | None = None
        # One look at a time: an older answer that came in after a younger one would bring back what had died.
        self._looking = asyncio.Lock()

    async def start(self) -> None:
        """Look once and go on looking; a database that does not answer yet is asked again and vouches for nothing."""
        await self._look_or_log()
        self._task = asyncio.create_task(self._watch())

    async def aclose(self) -> None:
        """Stop looking. May be called again."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task

    async def refresh(self) -> None:
        """Look now: whoever has just changed rights calls this, so that his own process knows at once.

        Raises:
            MetadataError: the database did not answer; what was known stays.
        """
        async with self._looking:
            began_at = self._clock()
            subjects, projects = frozenset(self._asked_subjects), frozenset(self._asked_projects)
            found = await self._reader.look(int(self._window_seconds * 1000), subjects, projects)
            self._asked_subjects -= subjects
            self._asked_projects -= projects
            self._take(found, subjects, projects)
            self._heard_at = began_at

    def require_fresh(self) -> None:
        """See the protocol."""
        heard_at = self._heard_at
        if heard_at is None or self._clock() - heard_at > self._patience_seconds:
            raise MetadataUnavailableError("whose rights changed of late is not known")

    def is_current(self, subject: str, subject_epoch: int, projects: Mapping[str, int]) -> bool:
        """See the protocol."""
        if subject not in WITHOUT_EPOCH:
            asked = self._asked_subjects
            if subject not in asked and len(asked) < _MOST_NAMES:
                asked.add(subject)
            if self._subjects.get(subject, 0) > subject_epoch:
                return False
        if not projects:
            return True
        asked, least = self._asked_projects, self._projects
        for project, epoch in projects.items():
            if project not in asked and len(asked) < _MOST_NAMES:
                asked.add(project)
            if least.get(project, 0) > epoch:
                return False
        return True

    async def ask(self, subjects: Collection[str], projects: Collection[str]) -> EpochsNamed:
        """See the protocol."""
        return await self._reader.named(int(self._longest_seconds * 1000), subjects, projects)

    def moves(self) -> int:
        """See the protocol."""
        return self._moves

    def _take(self, found: EpochsFound, subjects: frozenset[str], projects: frozenset[str]) -> None:
        moved = frozenset(
            [("subject", name, epoch) for name, epoch in found.moved_subjects.items()]
            + [("project", name, epoch) for name, epoch in found.moved_projects.items()]
        )
        missing = {("subject", name) for name in subjects - found.named_subjects.keys()}
        missing |= {("project", name) for name in projects - found.named_projects.keys()}
        if moved - self._moved or missing - self._gone.keys():
            self._moves += 1
        now = self._clock()
        kept = {thing: at for thing, at in self._gone.items() if now - at < self._window_seconds}
        back = {("project", name) for name in (*found.moved_projects, *found.named_projects)}
        self._gone = {
            thing: at for thing, at in (kept | dict.fromkeys(missing, now)).items() if thing not in back
        }
        self._moved = moved
        self._subjects = {**found.named_subjects, **found.moved_subjects, **self._all_gone("subject")}
        self._projects = {**found.named_projects, **found.moved_projects, **self._all_gone("project")}

    def _all_gone(self, kind: str) -> dict[str, float]:
        return {name: math.inf for each, name in self._gone if each == kind}

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._refresh_seconds)
            await self._look_or_log()

    async def _look_or_log(self) -> None:
        try:
            await self.refresh()
        except MetadataError as error:
            _log.warning("rights.refresh.failed", error=str(error))
