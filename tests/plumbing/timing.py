"""What tests that bound processor time need, so that they time the product and not the test run around it."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["without_collections"]


@pytest.fixture
def without_collections() -> Iterator[None]:
    """Keep the garbage collector out: one walk through the heap of a whole test run takes most of a second."""
    gc.disable()
    yield
    gc.enable()
