"""A file of this machine becomes staged bytes without being copied, and is never changed by what happens to them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from entrepot.blobstore.driver import FileStager
from entrepot.blobstore.errors import UploadBusyError, UploadLostError
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.oci.digest import Digest
from tests.drivers.blobstore.staging import continued, data_of, keys_of, new_upload, read_all

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DATA = data_of(3_000_000)


def state_of(file: Path) -> tuple[bytes, int]:
    """Return a file's content and how many names it has."""
    return file.read_bytes(), file.stat().st_nlink


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[FilesystemBlobStore]:
    """A store on a disk."""
    opened = FilesystemBlobStore(tmp_path / "store")
    await opened.prepare()
    yield opened
    await opened.aclose()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A file beside the store."""
    path = tmp_path / "source"
    path.write_bytes(DATA)
    return path


async def test_a_linked_file_is_published_without_a_second_copy(
    store: FilesystemBlobStore, source: Path
) -> None:
    """Blob and source are one file; the staged name is gone."""
    writer = await store.stage_file(new_upload(), source, "link")
    assert writer is not None

    assert (writer.offset, await read_all(store, await writer.seal())) == (len(DATA), DATA)
    key = await writer.publish(Digest.of_bytes(DATA))
    await writer.close()

    assert store.local_path(key).samefile(source)
    assert await read_all(store, key) == DATA
    assert await keys_of(store, "uploads/") == []


async def test_a_linked_file_can_be_neither_written_to_nor_cut(
    store: FilesystemBlobStore, source: Path
) -> None:
    """Not by its writer, and not by whoever opens the same upload again at the offset its session has."""
    upload = new_upload()
    writer = await store.stage_file(upload, source, "link")
    assert writer is not None
    await writer.seal()
    with pytest.raises(Exception, match="no more bytes"):
        await writer.write([b"x"])
    await writer.close()

    with pytest.raises(UploadLostError):
        await store.open_writer(continued(upload))

    assert state_of(source)[0] == DATA


async def test_a_discarded_upload_leaves_its_source_alone(store: FilesystemBlobStore, source: Path) -> None:
    """Only the name in the store goes, and only once nobody holds it."""
    upload = new_upload()
    writer = await store.stage_file(upload, source, "link")
    assert writer is not None
    with pytest.raises(UploadBusyError):
        await store.discard(upload)
    await writer.close()

    await store.discard(upload)

    assert state_of(source) == (DATA, 1)
    assert await keys_of(store) == []


async def test_a_file_that_is_being_linked_is_not_linked_twice_at_once(
    store: FilesystemBlobStore, source: Path
) -> None:
    """The second comer is told to copy; both names lead to one file, which has one lock."""
    first = await store.stage_file(new_upload(), source, "link")
    assert first is not None

    second = await store.stage_file(new_upload(), source, "link")

    assert second is None
    assert len(await keys_of(store, "uploads/")) == 1
    await first.close()


@pytest.mark.parametrize("kind", ["missing", "directory", "symlink"])
async def test_what_is_no_regular_file_is_not_shared(
    store: FilesystemBlobStore, source: Path, tmp_path: Path, kind: str
) -> None:
    """Whoever reads it instead will say what it is; nothing is left behind."""
    path = tmp_path / kind
    if kind == "directory":
        path.mkdir()
    elif kind == "symlink":
        path.symlink_to(source)

    assert await store.stage_file(new_upload(), path, "link") is None
    assert await store.stage_file(new_upload(), path, "clone") is None

    assert await keys_of(store) == []


async def test_a_clone_is_a_file_of_its_own(store: FilesystemBlobStore, source: Path) -> None:
    """Where the file system can't clone there is no writer and nothing left; where it can, the files are two."""
    writer = await store.stage_file(new_upload(), source, "clone")

    if writer is None:
        assert await keys_of(store) == []
        return
    key = await writer.publish(Digest.of_bytes(DATA))
    await writer.close()
    assert not store.local_path(key).samefile(source)
    assert await read_all(store, key) == DATA


async def test_another_file_system_can_not_share(store: FilesystemBlobStore) -> None:
    """A link or clone across file systems is impossible, which is no error."""
    elsewhere = Path("/proc/version")

    assert await store.stage_file(new_upload(), elsewhere, "link") is None
    assert await store.stage_file(new_upload(), elsewhere, "clone") is None
    assert await keys_of(store) == []


def test_only_a_disk_can_take_files() -> None:
    """An object store does not claim to."""
    from entrepot.blobstore.memory import MemoryBlobStore

    assert not isinstance(MemoryBlobStore(), FileStager)
