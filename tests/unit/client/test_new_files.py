"""What a command writes for a person takes nobody's place, and is seen by nobody before it is whole."""

from __future__ import annotations

import errno
import os
import stat
from typing import TYPE_CHECKING

import pytest

from entrepot.client.new_files import is_taken, new_file

if TYPE_CHECKING:
    from pathlib import Path


def _names(directory: Path) -> list[str]:
    return sorted(path.name for path in directory.iterdir())


def _write_at_once(file: Path) -> None:
    with new_file(file) as late:
        late.write(b"one")
        with new_file(file) as early:
            early.write(b"other")


def _break_off(file: Path, reason: BaseException) -> None:
    with new_file(file) as opened:
        opened.write(b"half")
        raise reason


def test_a_file_is_there_when_it_is_whole_and_only_its_owner_reads_it(tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"

    with new_file(file) as opened:
        opened.write(b"half")
        opened.flush()
        assert not file.exists()
        assert [stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()] == [0o600]
        opened.write(b" and half")

    assert (file.read_bytes(), _names(tmp_path)) == (b"half and half", ["log.jsonl"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_of_two_at_once_the_first_to_end_has_the_name(tmp_path: Path) -> None:
    """Neither writes into the other's draft, nor removes it."""
    file = tmp_path / "log.jsonl"

    with pytest.raises(FileExistsError):
        _write_at_once(file)

    assert (file.read_bytes(), _names(tmp_path)) == (b"other", ["log.jsonl"])


@pytest.mark.parametrize("kind", ["file", "directory", "link to nowhere"])
def test_what_has_the_name_stays_and_so_does_all_beside_it(tmp_path: Path, kind: str) -> None:
    file, beside = tmp_path / "notes", tmp_path / "notes.part"
    beside.write_bytes(b"mine")
    if kind == "file":
        file.write_bytes(b"kept")
    elif kind == "directory":
        file.mkdir()
    else:
        file.symlink_to(tmp_path / "nowhere")
    assert is_taken(file)

    with pytest.raises(FileExistsError), new_file(file):
        pytest.fail("it was opened")

    assert (_names(tmp_path), beside.read_bytes()) == (["notes", "notes.part"], b"mine")
    assert kind != "file" or file.read_bytes() == b"kept"


@pytest.mark.parametrize("broken", [ValueError, KeyboardInterrupt])
def test_of_work_that_broke_off_nothing_is_left(tmp_path: Path, broken: type[BaseException]) -> None:
    with pytest.raises(broken):
        _break_off(tmp_path / "log.jsonl", broken())

    assert _names(tmp_path) == []


def test_a_name_as_long_as_names_may_be_is_taken(tmp_path: Path) -> None:
    """Its draft is not longer, also where a character is four bytes."""
    for name in ("x" * 255, "\N{GRINNING FACE}" * 63):
        with new_file(tmp_path / name) as opened:
            opened.write(b"whole")
        assert (tmp_path / name).read_bytes() == b"whole"


def test_where_no_file_has_two_names_nothing_is_overwritten_either(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file system such as FAT refuses hard links."""

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    file = tmp_path / "log.jsonl"

    with pytest.raises(FileExistsError):
        _write_at_once(file)

    assert (file.read_bytes(), _names(tmp_path)) == (b"other", ["log.jsonl"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_where_no_file_has_two_names_a_rename_that_fails_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "link", refuse)
    monkeypatch.setattr(os, "rename", refuse)

    with pytest.raises(PermissionError), new_file(tmp_path / "log.jsonl") as opened:
        opened.write(b"whole")

    assert _names(tmp_path) == []
