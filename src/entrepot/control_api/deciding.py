"""Binds what a request changes to what it was decided by: both hold in one transaction, or neither does."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Final, TypeVar
from weakref import WeakValueDictionary

from entrepot.auth.errors import AccountChangingError
from entrepot.auth.grants import ProjectGrant
from entrepot.auth.unmoved import watch_project, watch_subjects
from entrepot.control_api.request_head import UNSAFE_METHODS
from entrepot.metadata.unit_guard import guarded_units

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping

    from entrepot.control_api.request_context import RequestContext
    from entrepot.metadata.store import Transaction
    from entrepot.metadata.unit_guard import Look

__all__ = ["AsDecided"]

T = TypeVar("T")

_PATIENCE_SECONDS: Final = 5.0
"""How long a request waits to be decided anew, and then is that others keep overtaking; they end one by one."""


class AsDecided:
    """Has requests handled as they were decided. Belongs to one event loop.

    What does not hold any more before anything was changed is decided anew, from who asks to what they ask for: one
    request of somebody at a time, so that many at once do not overtake one another over and over. Nobody waits for
    somebody else's.
    """

    def __init__(self) -> None:
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def handle(
        self,
        context: RequestContext,
        work: Callable[[], Awaitable[T]],
        admit_again: Callable[[], Awaitable[None]],
    ) -> T:
        """Do what a request asks for; if it changes something, its units look whether what it was decided by holds.

        Args:
            context: the request, once it was admitted.
            work: does what is asked, by the grant in the context.
            admit_again: puts another one there, or raises why not.

        Raises:
            AccountChangingError: others keep changing it, or a part of what was asked is done already.
        """
        if not _changes_something(context):
            return await work()
        decided = _Decided()
        try:
            return await _guarded(context, work, decided)
        except AccountChangingError:
            if decided.has_committed:
                raise
        turn = self._turn_of(context)
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await turn.acquire()
        except TimeoutError as error:
            raise AccountChangingError from error
        try:
            return await _decided_anew(context, work, admit_again)
        finally:
            turn.release()

    def _turn_of(self, context: RequestContext) -> asyncio.Lock:
        subject = "" if context.caller is None else context.caller.principal.subject
        return self._turns.setdefault(subject, asyncio.Lock())


async def _decided_anew(
    context: RequestContext, work: Callable[[], Awaitable[T]], admit_again: Callable[[], Awaitable[None]]
) -> T:
    until = time.monotonic() + _PATIENCE_SECONDS
    while True:
        await admit_again()
        decided = _Decided()
        try:
            return await _guarded(context, work, decided)
        except AccountChangingError:
            if decided.has_committed or time.monotonic() > until:
                raise


async def _guarded(context: RequestContext, work: Callable[[], Awaitable[T]], decided: _Decided) -> T:
    with guarded_units(decided):
        _watch_admission(context)
        return await work()


def _changes_something(context: RequestContext) -> bool:
    caller = context.caller
    is_known = caller is not None and caller.principal.kind != "anonymous"
    return is_known and context.head.method in UNSAFE_METHODS


def _watch_admission(context: RequestContext) -> None:
    """Watch who asks, and the project that their grant is for; what is asked at a gate is watched when it is."""
    if context.caller is not None and context.caller.principal.kind != "anonymous":
        watch_subjects(context.caller.principal)
    grant = context.grant
    if isinstance(grant, ProjectGrant) and grant.epoch is not None:
        watch_project(grant.project_id, grant.epoch)


@dataclass(frozen=True, slots=True)
class _Fact:
    look: Look
    found: object


class _Decided:
    """Implements :class:`entrepot.metadata.unit_guard.UnitGuard`: whatever was watched is as it was found.

    Changes by the management API come one after the other, so nothing moves between the look and the end of a unit,
    and what is found at its end is its own doing.
    """

    def __init__(self) -> None:
        self._facts: dict[Hashable, _Fact] = {}
        self.has_committed = False

    def watch(self, key: Hashable, look: Look, found: object) -> None:
        """See the protocol."""
        self._facts.setdefault(key, _Fact(look, found))

    async def require(self, tx: Transaction) -> None:
        """See the protocol.

        Raises:
            AccountChangingError: something is not as it was.
        """
        await tx.epochs.hold_order()
        for fact in tuple(self._facts.values()):
            if await fact.look(tx) != fact.found:
                raise AccountChangingError

    async def look(self, tx: Transaction) -> Callable[[], None]:
        """See the protocol."""
        found = {key: replace(fact, found=await fact.look(tx)) for key, fact in tuple(self._facts.items())}
        return partial(self._know, found)

    def _know(self, found: Mapping[Hashable, _Fact]) -> None:
        self._facts.update(found)
        self.has_committed = True
