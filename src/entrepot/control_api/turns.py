"""Whose turn it is to write: the units of requests that change something come one after the other in each process.

They would wait for one another in the database, each with a connection of its own. Each account has one place in this
line, however many requests it sends: whoever comes waits for one unit of each other account at most.
"""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING, Final
from weakref import WeakValueDictionary

from entrepot.control_api.errors import ChangesAheadError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

__all__ = ["LastingTurn", "Turns"]

_LONGEST_SECONDS: Final = 1.0
"""How long a request keeps the turn while it decides; a check of a password on the way takes a tenth of that."""


class Turns:
    """The line of one process. Belongs to one event loop."""

    def __init__(self, patience_seconds: float = 10.0) -> None:
        self._patience_seconds = patience_seconds
        self._of_subjects: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._present = asyncio.Lock()

    @contextlib.asynccontextmanager
    async def turn(self, subject: str) -> AsyncIterator[None]:
        """Have the turn, for one unit.

        Raises:
            ChangesAheadError: those before take too long.
        """
        place = await self.take(subject)
        try:
            yield
        finally:
            self.give_back(place)

    async def take(self, subject: str) -> asyncio.Lock:
        """Wait for the turn and return what to give back; a wait that is cancelled leaves the line.

        Raises:
            ChangesAheadError: those before take too long.
        """
        own = self._of_subjects.setdefault(subject, asyncio.Lock())
        try:
            async with asyncio.timeout(self._patience_seconds):
                await own.acquire()
                try:
                    await self._present.acquire()
                except BaseException:
                    own.release()
                    raise
        except TimeoutError as error:
            raise ChangesAheadError from error
        return own

    def give_back(self, place: asyncio.Lock) -> None:
        """Let the next one have the turn."""
        self._present.release()
        place.release()


class LastingTurn:
    """The turn of a request that is decided while it has it, and whose units need not wait for another one.

    It ends by itself after a second, since what is done meanwhile may wait for something, as a password's hash does for
    its place; a unit under way keeps it until its own end. Later units wait for a turn as others do.
    """

    def __init__(self, turns: Turns, subject: str) -> None:
        self._turns = turns
        self._subject = subject
        self._place: asyncio.Lock | None = None
        self._units = 0
        self._is_due = False

    @property
    def is_held(self) -> bool:
        """Whether it still lasts."""
        return self._place is not None and not self._is_due

    @contextlib.asynccontextmanager
    async def held(self) -> AsyncIterator[None]:
        """Have the turn, as long as it lasts.

        Raises:
            ChangesAheadError: those before take too long.
        """
        self._place = await self._turns.take(self._subject)
        self._is_due = False
        timer = asyncio.get_running_loop().call_later(_LONGEST_SECONDS, self._end)
        try:
            yield
        finally:
            timer.cancel()
            self._give_back()

    @contextlib.asynccontextmanager
    async def unit(self) -> AsyncIterator[None]:
        """Have the turn for one unit: this one, or another one if it has ended."""
        if self._place is None:
            async with self._turns.turn(self._subject):
                yield
            return
        self._units += 1
        try:
            yield
        finally:
            self._units -= 1
            if self._is_due and not self._units:
                self._give_back()

    def _end(self) -> None:
        self._is_due = True
        if not self._units:
            self._give_back()

    def _give_back(self) -> None:
        place, self._place = self._place, None
        if place is not None:
            self._turns.give_back(place)
