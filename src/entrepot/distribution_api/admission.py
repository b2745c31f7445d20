"""How much work is taken on at once, so that greedy and slow clients can't starve the others (I12, F41).

A request without a body costs little and is refused at once when its address has too many under way. A body holds
memory and a staged file for as long as its client likes, so only so many are read at a time; the next ones wait for a
place without being read, which stops their clients through TCP, and are refused when the wait gets long.
"""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from entrepot.distribution_api.errors import OverloadedError
from entrepot.kernel.plain_addresses import subscriber

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.kernel.address_budget import AddressBudget

__all__ = ["Admission", "AdmissionLimits"]


@dataclass(frozen=True, slots=True)
class AdmissionLimits:
    """How much at once; all of it per process.

    Attributes:
        bodies: request bodies that are read at the same time.
        bodies_per_address: those of one address; 0 for all.
        waiting_bodies: how many may wait for their place.
        wait_seconds: how long one waits at most.
    """

    bodies: int
    bodies_per_address: int
    waiting_bodies: int
    wait_seconds: float


class Admission:
    """Counts what is under way. Belongs to one event loop.

    Attributes:
        addresses: what counts the requests of each address, here and at the other entrances.
    """

    def __init__(self, limits: AdmissionLimits, addresses: AddressBudget) -> None:
        self._limits = limits
        self.addresses = addresses
        self._places = asyncio.Semaphore(limits.bodies)
        self._places_by_address: dict[str, _AddressPlaces] = {}
        self._waiting = 0

    @contextlib.asynccontextmanager
    async def reading_body(self, address: str) -> AsyncIterator[None]:
        """Hold a place while a body is read; wait for one first.

        Raises:
            OverloadedError: too many wait already, or no place became free in time.
        """
        place = subscriber(address)
        own = self._places_by_address.setdefault(
            place, _AddressPlaces(self._limits.bodies_per_address or self._limits.bodies)
        )
        own.users += 1
        try:
            await self._take(own.places)
            try:
                yield
            finally:
                self._places.release()
                own.places.release()
        finally:
            own.users -= 1
            if not own.users:
                del self._places_by_address[place]

    async def _take(self, own: asyncio.Semaphore) -> None:
        """Take a place of the address first: one that has none left does not keep the others from theirs."""
        if own.locked() or self._places.locked():
            if self._waiting >= self._limits.waiting_bodies:
                raise OverloadedError
            self._waiting += 1
            try:
                await self._wait(own)
            finally:
                self._waiting -= 1
            return
        await own.acquire()
        await self._places.acquire()

    async def _wait(self, own: asyncio.Semaphore) -> None:
        try:
            async with asyncio.timeout(self._limits.wait_seconds):
                await own.acquire()
                try:
                    await self._places.acquire()
                except BaseException:
                    own.release()
                    raise
        except TimeoutError as error:
            raise OverloadedError from error


class _AddressPlaces:
    """The places of one address, forgotten when nobody uses them."""

    __slots__ = ("places", "users")

    def __init__(self, places: int) -> None:
        self.places = asyncio.Semaphore(places)
        self.users = 0
