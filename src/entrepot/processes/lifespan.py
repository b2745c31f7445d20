"""Drives an application's ASGI lifespan, stricter than servers do: an application that can't start must not serve.

Source: asgi.readthedocs.io, Lifespan Protocol 2.0. Servers take an exception at startup for "not supported" and go on.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from entrepot.kernel.errors import EntrepotError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.kernel.asgi import Application, Scope

__all__ = ["LifespanError", "run_lifespan"]


class LifespanError(EntrepotError):
    """The application said that it failed to start or to stop, or ended its lifespan without being asked to."""


@asynccontextmanager
async def run_lifespan(application: Application) -> AsyncIterator[None]:
    """Start the application on entering and stop it on leaving.

    The lifespan's `state` is not carried to requests: our application keeps its state in the objects it is built of.

    Raises:
        LifespanError: as described there; any exception the application raises comes through as it is.
    """
    conversation = _Conversation(application)
    await conversation.exchange("lifespan.startup")
    try:
        yield
    finally:
        await conversation.exchange("lifespan.shutdown")
        await conversation.finish()


class _Conversation:
    def __init__(self, application: Application) -> None:
        self._to_application: asyncio.Queue[Scope] = asyncio.Queue()
        self._from_application: asyncio.Queue[Scope] = asyncio.Queue()
        scope: Scope = {"type": "lifespan", "asgi": {"version": "3.0", "spec_version": "2.0"}, "state": {}}
        self._task = asyncio.create_task(self._call(application, scope))

    async def _call(self, application: Application, scope: Scope) -> None:
        await application(scope, self._to_application.get, self._from_application.put)

    async def exchange(self, message: str) -> None:
        """Send `message` and wait for its answer or for the end of the application."""
        await self._to_application.put({"type": message})
        answer = asyncio.create_task(self._from_application.get())
        await asyncio.wait({answer, self._task}, return_when=asyncio.FIRST_COMPLETED)
        if not answer.done():
            answer.cancel()
            await self._task
            raise LifespanError(f"the application ended before answering {message}")
        if answer.result()["type"] != f"{message}.complete":
            raise LifespanError(f"{message} failed: {answer.result().get('message', 'no reason given')}")

    async def finish(self) -> None:
        """Wait for the application's call to return."""
        await self._task
