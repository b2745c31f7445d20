"""The registry under test: the product's own composition, called in this process, which can be started again."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import TYPE_CHECKING, Self

import structlog

from entrepot.bootstrap import build_http_application
from tests.asgi.client import AsgiClient, AsgiReply
from tests.asgi.lifespan import running_lifespan

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import TracebackType

    from entrepot.settings import Settings

__all__ = ["World"]


class World:
    """Owns an event loop and an application on it; use as context manager."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._runner = asyncio.Runner()
        self._stack = contextlib.AsyncExitStack()
        self._client: AsgiClient | None = None
        self._repositories = 0

    def __enter__(self) -> Self:
        """Start; thousands of requests are not worth a line in the log each."""
        structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR))
        self._runner.run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop."""
        self._runner.run(self._stack.aclose())
        self._runner.close()
        structlog.reset_defaults()

    def restart(self) -> None:
        """Stop and start, on the same database and the same store."""
        self._runner.run(self._stack.aclose())
        self._runner.run(self._open())

    def request(
        self,
        method: str,
        target: str,
        headers: dict[str, str] | None = None,
        chunks: Sequence[bytes] = (b"",),
        *,
        vanish: bool = False,
    ) -> AsgiReply:
        """Send one request and return the answer."""
        client = self._client
        assert client is not None
        return self._runner.run(client.request(method, target, headers, chunks, vanish=vanish))

    def new_project(self) -> str:
        """Return a project name that no sequence used before."""
        self._repositories += 1
        return f"model-{self._repositories}"

    async def _open(self) -> None:
        self._stack = contextlib.AsyncExitStack()
        application = build_http_application(self._settings)
        await self._stack.enter_async_context(running_lifespan(application))
        self._client = AsgiClient(application)
