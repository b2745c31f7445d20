"""A disk of which the product thinks well, so that where its reads run hangs on no other work of the machine."""

from __future__ import annotations

import pytest

__all__ = ["calm_disk"]


@pytest.fixture
def calm_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no read count as one that waited for the disk: a page of memory that was put out is enough for that.

    Then none is moved from the event loop to a thread. For tests that count threads, at the beginning of their setup.
    """
    monkeypatch.setattr("entrepot.kernel.loop_allowance._disk_inputs_of_thread", lambda: 0)
