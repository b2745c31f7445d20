"""Runs tests on the event loop that the product runs on: what is judged here shall hold there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvloop

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable

__all__ = ["pytest_asyncio_loop_factories"]


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Tell pytest-asyncio how to make the event loop of each test."""
    return {"uvloop": uvloop.new_event_loop}
