"""A layout that can't be finished leaves no draft beside it."""

from __future__ import annotations

import asyncio
import resource
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

from entrepot.transfer.errors import ExportError
from entrepot.transfer.layout_directory import DirectoryLayout
from entrepot.transfer.layout_tar import TarLayout

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from entrepot.transfer.layout_index import LayoutWriter


@contextmanager
def _no_room() -> Iterator[None]:
    """Let no file of this process grow beyond a byte, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def _directory(path: Path) -> LayoutWriter:
    return DirectoryLayout(path, {}, link=False)


def _archive(path: Path) -> LayoutWriter:
    return TarLayout(path / "out.tar")


@pytest.mark.parametrize("begin", [_directory, _archive], ids=["directory", "tar"])
def test_a_full_disk_is_told_and_leaves_no_draft(
    tmp_path: Path, begin: Callable[[Path], LayoutWriter]
) -> None:
    async def finish() -> None:
        layout = begin(tmp_path)
        with _no_room():
            with pytest.raises(ExportError, match=r"can't be written: File too large"):
                await layout.finish("app", [])
            await layout.abandon()

    asyncio.run(finish())

    assert list(tmp_path.iterdir()) == []
