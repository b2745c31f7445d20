"""Hashes people's passwords with argon2id, on few threads and with few waiting, since each costs memory on purpose.

The parameters are the first of those that OWASP's Password Storage Cheat Sheet holds for equally strong (46 MiB, one
pass, one lane): of them it uses the most memory, which is what costs those who guess on graphics cards. RFC 9106's
second recommendation (64 MiB, three passes, four lanes) takes three times as much of the processors, and of four at
once: whoever sends many names could take a small node's from its pulls. So all logins together cost two processors and
92 MiB at most, however many come. Places are served in turn, so whoever guesses from one of them delays themselves;
whoever guesses from many does not delay places where a password was right before.
"""

from __future__ import annotations

import asyncio
import base64
import secrets
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar, cast

import argon2
from argon2.exceptions import InvalidHashError, VerificationError

from entrepot.auth.people.errors import PasswordsBusyError
from entrepot.auth.people.password_texts import composed
from entrepot.auth.people.waiting_room import WaitingRoom

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = ["OWASP_FIRST", "HashCost", "PasswordHashing"]

T = TypeVar("T")

_THREADS: Final = 2
_WAITING: Final = 64
"""From one place: all that come through one proxy share one, so it is as many as a team needs on a Monday morning."""
_WAITING_IN_ALL: Final = 256
_HASH_BYTES: Final = 32
_SALT_BYTES: Final = 16


@dataclass(frozen=True, slots=True)
class HashCost:
    """What a hash costs whoever computes it."""

    memory_kibibytes: int
    passes: int
    lanes: int


OWASP_FIRST: Final = HashCost(memory_kibibytes=47104, passes=1, lanes=1)
"""OWASP Password Storage Cheat Sheet, Argon2id, the first of the equivalent options."""


@dataclass(frozen=True, slots=True, eq=False)
class _Job:
    """What waits for a thread, and where its result goes."""

    work: Callable[[], object]
    done: asyncio.Future[object] = field(repr=False)


class PasswordHashing:
    """Hashes and checks passwords for one process. Coroutines return to the loop while threads compute.

    A place is what failures are counted by (:func:`entrepot.auth.forwarding.place_of_address`). Belongs to one event
    loop.
    """

    def __init__(
        self, cost: HashCost = OWASP_FIRST, *, waiting: int = _WAITING, waiting_in_all: int = _WAITING_IN_ALL
    ) -> None:
        self._hasher = argon2.PasswordHasher(
            time_cost=cost.passes,
            memory_cost=cost.memory_kibibytes,
            parallelism=cost.lanes,
            hash_len=_HASH_BYTES,
            salt_len=_SALT_BYTES,
        )
        self._nobody = _unmatched_hash(cost)
        self._executor = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        self._line: WaitingRoom[_Job] = WaitingRoom(waiting, waiting_in_all)
        self._free = _THREADS

    async def hash(self, password: str, *, place: str = "") -> str:
        """Return the hash of a password with a salt of its own, in argon2's text form.

        Raises:
            PasswordsBusyError: too many wait already.
            ValueError: it is longer than any that the policy accepts.
        """
        text = composed(password)
        if text is None:
            raise ValueError("too long for a password")
        return await self._run(lambda: self._hasher.hash(_encoded(text)), place)

    async def verify(self, password_hash: str | None, password: str, *, place: str = "") -> bool:
        """Whether the password is the one that was hashed; without a hash it takes as long and is not (S19).

        What is too long to be anybody's password is wrong as any other, and costs what a wrong one does.

        Raises:
            PasswordsBusyError: too many wait already.
        """
        text = composed(password)
        wanted = self._nobody if password_hash is None or text is None else password_hash
        matches = await self._run(lambda: self._matches(wanted, text or ""), place)
        if not matches or password_hash is None or text is None:
            return False
        self._line.welcome(place)
        return True

    async def matches_any(self, password_hashes: Sequence[str], password: str, *, place: str = "") -> bool:
        """Whether the password is one of those that were hashed.

        Raises:
            PasswordsBusyError: too many wait already.
        """
        for password_hash in password_hashes:
            if await self.verify(password_hash, password, place=place):
                return True
        return False

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than are used now."""
        try:
            return self._hasher.check_needs_rehash(password_hash)
        except InvalidHashError:
            return False

    def close(self) -> None:
        """Let the threads end; whatever waits is given up, and what comes later is refused."""
        while (job := self._line.take()) is not None:
            job.done.cancel()
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _matches(self, password_hash: str, text: str) -> bool:
        try:
            return self._hasher.verify(password_hash, _encoded(text))
        except (VerificationError, InvalidHashError):
            return False

    async def _run(self, work: Callable[[], T], place: str = "") -> T:
        job = _Job(work, asyncio.get_running_loop().create_future())
        displaced = self._line.join(place, job)
        if displaced is not None:
            displaced.done.add_done_callback(_retrieve)
            displaced.done.set_exception(PasswordsBusyError())
        self._start()
        # It waits until a thread is done with it: a client that goes away must not make room for another.
        return cast("T", await asyncio.shield(job.done))

    def _start(self) -> None:
        """Give waiting work to the threads that have none."""
        while self._free > 0 and (job := self._line.take()) is not None:
            try:
                future = asyncio.get_running_loop().run_in_executor(self._executor, job.work)
            except RuntimeError:  # the machine gives no thread, or this is closed
                job.done.add_done_callback(_retrieve)
                job.done.set_exception(PasswordsBusyError())
                continue
            self._free -= 1
            future.add_done_callback(partial(self._finish, job))

    def _finish(self, job: _Job, future: asyncio.Future[object]) -> None:
        self._free += 1
        if future.cancelled():  # closed meanwhile
            job.done.cancel()
            return
        error = future.exception()
        if error is None:
            job.done.set_result(future.result())
        else:
            job.done.add_done_callback(_retrieve)
            job.done.set_exception(error)
        self._start()


def _retrieve(future: asyncio.Future[object]) -> None:
    """Have nobody warned of an error that nobody waits for any more."""
    if not future.cancelled():
        future.exception()


def _encoded(text: str) -> bytes:
    """Return the bytes that are hashed, of a composed password."""
    return text.encode("utf-8", "surrogatepass")


def _unmatched_hash(cost: HashCost) -> str:
    """Return a hash that no password has, whose check costs what any other does."""
    salt, tag = (_base64(secrets.token_bytes(length)) for length in (_SALT_BYTES, _HASH_BYTES))
    return f"$argon2id$v=19$m={cost.memory_kibibytes},t={cost.passes},p={cost.lanes}${salt}${tag}"


def _base64(value: bytes) -> str:
    return base64.b64encode(value).decode().rstrip("=")
