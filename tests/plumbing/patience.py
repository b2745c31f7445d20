"""Clients of the tests are as patient as the tests: the five seconds that httpx waits by itself pass on a busy machine.

Whoever tests that an answer comes soon says so with a `timeout` of its own.
"""

from __future__ import annotations

import inspect
from typing import Final

import httpx

__all__ = ["PATIENCE_SECONDS"]

PATIENCE_SECONDS: Final = 60.0
"""How long a test waits for what takes a moment. Who waits less fails on a busy machine and finds no more faults."""


def pytest_configure() -> None:
    """Lengthen the default that all functions and clients of httpx share; there is no setting of it."""
    patience = inspect.signature(httpx.get).parameters["timeout"].default
    assert isinstance(patience, httpx.Timeout)
    patience.connect = patience.read = patience.write = patience.pool = PATIENCE_SECONDS
