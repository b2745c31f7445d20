"""How many requests one address may have under way at all entrances of a process together (I12, F41).

An address that keeps logins waiting is as greedy as one that keeps pulls waiting, so it is counted once.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from entrepot.kernel.errors import EntrepotError
from entrepot.kernel.plain_addresses import subscriber

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["AddressBudget", "TooManyRequestsError"]


class TooManyRequestsError(EntrepotError):
    """One address has as many requests under way as one address may have."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"your address has {limit} requests under way; wait for some of them to end")
        self.limit = limit


class AddressBudget:
    """Counts what is under way by address. Belongs to one event loop, and is shared by all that answer on it.

    In IPv6 an address is the network of its subscriber, who has as many addresses as they like.
    """

    def __init__(self, most: int, on_refusal: Callable[[], None] | None = None) -> None:
        """Take how many requests of one address may be under way, 0 for any number, and what counts refusals."""
        self._most = most
        self._on_refusal = on_refusal
        self._under_way: dict[str, int] = {}

    @contextlib.contextmanager
    def counting(self, address: str) -> Iterator[None]:
        """Count a request of this address until its answer is sent, also when :meth:`require_room` refuses it."""
        self.enter(address)
        try:
            yield
        finally:
            self.leave(address)

    def enter(self, address: str) -> None:
        """A request of this address has begun; :meth:`leave` must follow, whether or not it is refused."""
        place = subscriber(address)
        self._under_way[place] = self._under_way.get(place, 0) + 1

    def require_room(self, address: str) -> None:
        """Refuse one of the requests under way when there are too many.

        Raises:
            TooManyRequestsError: this address has more than it may have.
        """
        if self._under_way[subscriber(address)] > self._most > 0:
            if self._on_refusal is not None:
                self._on_refusal()
            raise TooManyRequestsError(self._most)

    def leave(self, address: str) -> None:
        """A request of this address has ended."""
        place = subscriber(address)
        count = self._under_way[place] - 1
        if count:
            self._under_way[place] = count
        else:
            del self._under_way[place]
