"""The lifespan of an ASGI application as a context manager (ASGI specification, Lifespan Protocol)."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.kernel.asgi import Application, Message

__all__ = ["running_lifespan"]


@contextlib.asynccontextmanager
async def running_lifespan(application: Application) -> AsyncIterator[None]:
    """Start the application, and shut it down at the end."""
    to_application: asyncio.Queue[Message] = asyncio.Queue()
    from_application: asyncio.Queue[Message] = asyncio.Queue()
    running = asyncio.create_task(_run(application, to_application, from_application), name="lifespan")
    to_application.put_nowait({"type": "lifespan.startup"})
    answer = asyncio.ensure_future(from_application.get())
    await asyncio.wait((answer, running), return_when=asyncio.FIRST_COMPLETED)
    if not answer.done():
        answer.cancel()
        await running  # raises what ended it
    message = await answer
    assert message["type"] == "lifespan.startup.complete", message
    try:
        yield
    finally:
        to_application.put_nowait({"type": "lifespan.shutdown"})
        await running


async def _run(
    application: Application, receive: asyncio.Queue[Message], send: asyncio.Queue[Message]
) -> None:
    await application({"type": "lifespan"}, receive.get, send.put)
