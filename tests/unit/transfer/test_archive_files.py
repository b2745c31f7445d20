"""S34, S35: archives are read member by member under caps, and nothing of them ever becomes a path."""

from __future__ import annotations

import gzip
import io
import tarfile
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.transfer.archive_files import DirectoryFiles, TarFiles
from entrepot.transfer.errors import ContentMissingError, SourceDamagedError, SourceUnusableError
from entrepot.transfer.source import ByteStream

if TYPE_CHECKING:
    from pathlib import Path


def member(name: str, content: bytes = b"", **fields: Any) -> tuple[tarfile.TarInfo, bytes]:
    """Return a member and its bytes."""
    header = tarfile.TarInfo(name)
    header.size = len(content)
    for field, value in fields.items():
        setattr(header, field, value)
    return header, content


def archive(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    """Write an archive."""
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as file:
        for header, content in members:
            file.addfile(header, io.BytesIO(content))
    return path


async def test_members_are_read_under_their_names(tmp_path: Path) -> None:
    """A leading `./` is no part of a name; a link leads to what it names; the size is that of the bytes."""
    files = TarFiles(
        archive(
            tmp_path / "a.tar",
            member("./one", b"first"),
            member("dir/two", type=tarfile.SYMTYPE, linkname="../one"),
            member("three", type=tarfile.LNKTYPE, linkname="one"),
        )
    )

    assert [await files.read(name, 10) for name in ("one", "dir/two", "three")] == [b"first"] * 3
    assert await files.size("one") == 5
    origin = files.origin("one")
    assert isinstance(origin, ByteStream)
    assert [chunk async for chunk in origin.chunks] == [b"first"]


async def test_s34_names_that_climb_lead_nowhere(tmp_path: Path) -> None:
    """Absolute and climbing names, links out, links in a circle, devices: none can be read, and nothing is written."""
    outside = tmp_path / "outside"
    outside.write_bytes(b"secret")
    directory = tmp_path / "archives"
    directory.mkdir()
    files = TarFiles(
        archive(
            directory / "a.tar",
            member("../outside", b"x"),
            member("/etc/passwd", b"x"),
            member("a/../../outside", b"x"),
            member("link", type=tarfile.SYMTYPE, linkname=str(outside)),
            member("up", type=tarfile.SYMTYPE, linkname="../outside"),
            member("circle", type=tarfile.SYMTYPE, linkname="circle"),
            member("device", type=tarfile.CHRTYPE),
            member("fifo", type=tarfile.FIFOTYPE),
        )
    )

    for name in ("../outside", "outside", "/etc/passwd", "link", "up", "circle", "device", "fifo"):
        assert not files.has(name)
        with pytest.raises(ContentMissingError):
            await files.read(name, 100)
    assert outside.read_bytes() == b"secret"
    assert [path.name for path in directory.iterdir()] == ["a.tar"]


def test_s35_a_giant_header_is_refused_without_being_read(tmp_path: Path) -> None:
    """A PAX record of megabytes ends the walk (S35)."""
    path = archive(tmp_path / "a.tar", member("x", b"", pax_headers={"comment": "x" * (2 * 1024 * 1024)}))

    with pytest.raises(SourceUnusableError, match="headers"):
        TarFiles(path)


async def test_s35_a_member_that_should_be_small_is_not_read_when_it_is_not(tmp_path: Path) -> None:
    """What is asked for as a document has a limit (S35)."""
    files = TarFiles(archive(tmp_path / "a.tar", member("index.json", b"x" * 1000)))

    with pytest.raises(SourceDamagedError):
        await files.read("index.json", 999)


def test_sparse_members_do_not_exist(tmp_path: Path) -> None:
    """A sparse file of petabytes in a few bytes is no layer."""
    header, content = member("x", b"x" * 512)
    header.type = tarfile.GNUTYPE_SPARSE
    buffer = bytearray(header.tobuf(tarfile.GNU_FORMAT))
    (tmp_path / "a.tar").write_bytes(bytes(buffer) + content + bytes(1024))

    assert not TarFiles(tmp_path / "a.tar").has("x")


@pytest.mark.parametrize(
    "content", [b"", b"no archive at all" * 100, gzip.compress(b"x")], ids=["", "text", "gzip"]
)
def test_what_is_no_archive_is_refused(tmp_path: Path, content: bytes) -> None:
    """Each with a sentence; a compressed one with the program that undoes it."""
    path = tmp_path / "a.tar"
    path.write_bytes(content)

    with pytest.raises(SourceUnusableError):
        TarFiles(path)


async def test_an_archive_that_is_cut_short_breaks_off(tmp_path: Path) -> None:
    """It is refused when it is opened; one that is cut later never gives fewer bytes as if they were all."""
    path = archive(tmp_path / "a.tar", member("layer", b"x" * 5000))
    files = TarFiles(path)
    path.write_bytes(path.read_bytes()[:3000])

    with pytest.raises(SourceUnusableError, match="whole"):
        TarFiles(path)
    with pytest.raises(SourceDamagedError, match="short"):
        await files.read("layer", 10_000)


@pytest.mark.parametrize("name", ["../secret", "/etc/passwd", "a/../../secret", "", "a\0b"])
async def test_s34_a_name_can_not_leave_its_directory(tmp_path: Path, name: str) -> None:
    """Names come from documents that others wrote (S34)."""
    (tmp_path / "secret").write_bytes(b"x")
    (tmp_path / "layout").mkdir()

    with pytest.raises(ContentMissingError):
        await DirectoryFiles(tmp_path / "layout").read(name, 10)
