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
from entrepot.auth.unmoved import watch_presented, watch_project, watch_subjects
from entrepot.control_api.errors import ChangesAheadError
from entrepot.control_api.request_head import UNSAFE_METHODS
from entrepot.control_api.turns import LastingTurn, Turns
from entrepot.metadata.errors import MetadataTimeoutError
from entrepot.metadata.unit_guard import guarded_units

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Hashable, Mapping
    from contextlib import AbstractAsyncContextManager

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
    request of somebody at a time, so that many at once do not overtake one another over and over. Where others still
    overtake it, it is decided while it has this process's turn, so that only those of other nodes can.
    """

    def __init__(self) -> None:
        self._turns = Turns()
        self._deciding: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

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
            ChangesAheadError: those before it take too long.
        """
        if not _changes_something(context):
            return await work()
        subject = _subject_of(context)
        decided = _Decided(LastingTurn(self._turns, subject))
        try:
            return await _guarded(context, work, decided)
        except AccountChangingError:
            if decided.has_committed:
                raise
        deciding = self._deciding.setdefault(subject, asyncio.Lock())
        try:
            async with asyncio.timeout(_PATIENCE_SECONDS):
                await deciding.acquire()
        except TimeoutError as error:
            raise AccountChangingError from error
        try:
            return await self._decide_anew(context, work, admit_again)
        finally:
            deciding.release()

    async def _decide_anew(
        self,
        context: RequestContext,
        work: Callable[[], Awaitable[T]],
        admit_again: Callable[[], Awaitable[None]],
    ) -> T:
        until = time.monotonic() + _PATIENCE_SECONDS
        in_turn = False
        while True:
            await admit_again()  # which may check a password: not while others wait for the turn
            decided = _Decided(LastingTurn(self._turns, _subject_of(context)))
            try:
                if in_turn:
                    return await _decided_in_turn(context, work, admit_again, decided)
                return await _guarded(context, work, decided)
            except AccountChangingError:
                if decided.has_committed or time.monotonic() > until:
                    raise
            in_turn = True


async def _decided_in_turn(
    context: RequestContext,
    work: Callable[[], Awaitable[T]],
    admit_again: Callable[[], Awaitable[None]],
    decided: _Decided,
) -> T:
    """Decide, and do what is asked, until what it was decided by holds or the turn is over."""
    async with decided.lasting.held():
        while True:
            await admit_again()
            decided.forget()
            try:
                return await _guarded(context, work, decided)
            except AccountChangingError:
                if decided.has_committed or not decided.lasting.is_held:
                    raise


async def _guarded(context: RequestContext, work: Callable[[], Awaitable[T]], decided: _Decided) -> T:
    try:
        with guarded_units(decided):
            _watch_admission(context)
            return await work()
    except MetadataTimeoutError as error:
        if decided.awaits_order:  # the database did answer, and gave up on the order, which others have
            raise ChangesAheadError from error
        raise


def _subject_of(context: RequestContext) -> str:
    """Return whose place in line it is: a person's own also for all robots that they answer for."""
    if context.caller is None:
        return ""
    principal = context.caller.principal
    sponsor = principal.sponsor
    return principal.subject if sponsor is None or sponsor.is_host else sponsor.person


def _changes_something(context: RequestContext) -> bool:
    caller = context.caller
    is_known = caller is not None and caller.principal.kind != "anonymous"
    return is_known and context.head.method in UNSAFE_METHODS


def _watch_admission(context: RequestContext) -> None:
    """Watch who asks and by what, and the project that their grant is for; what is asked at a gate is watched there."""
    caller = context.caller
    if caller is not None and caller.principal.kind != "anonymous":
        watch_subjects(caller.principal)
        watch_presented(caller.principal, None if caller.session is None else caller.session.session_id)
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

    def __init__(self, lasting: LastingTurn) -> None:
        self._facts: dict[Hashable, _Fact] = {}
        self.lasting = lasting
        self.has_committed = False
        self.awaits_order = False

    def forget(self) -> None:
        """Watch nothing, for a request that is decided anew."""
        self._facts.clear()

    def turn(self) -> AbstractAsyncContextManager[None]:
        """See the protocol."""
        return self.lasting.unit()

    def watch(self, key: Hashable, look: Look, found: object) -> None:
        """See the protocol."""
        self._facts.setdefault(key, _Fact(look, found))

    async def require(self, tx: Transaction) -> None:
        """See the protocol.

        Raises:
            AccountChangingError: something is not as it was.
        """
        self.awaits_order = True
        await tx.epochs.hold_order()
        self.awaits_order = False
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
