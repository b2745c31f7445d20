"""The pieces of a support bundle: the archive, and what gathers facts of files and processes."""

from __future__ import annotations

import json
import os
import stat
import tarfile
from typing import TYPE_CHECKING

import pytest

from entrepot.ops import support_bundle as command
from entrepot.ops.errors import CommandError
from entrepot.ops.support.archive import Archive
from entrepot.ops.support.directory_sizes import measure_parts
from entrepot.ops.support.host_facts import describe_filesystem, describe_host
from entrepot.ops.support.log_excerpt import last_lines
from entrepot.ops.support.parts import Part, Wishes
from entrepot.ops.support.process_facts import describe_process, registry_processes
from entrepot.ops.support.redaction import Redactor

if TYPE_CHECKING:
    from pathlib import Path


def test_the_archive_is_private_whole_and_cleaned(tmp_path: Path) -> None:
    """Mode 0600, no leftovers beside it, and every way in goes through the redactor (S27)."""
    archive = Archive("bundle", Redactor(["canary"]))
    archive.add_text("a.txt", "x canary y\n")
    archive.add_json("b.json", {"n": [1, "canary"], "password": "unknown"})
    archive.add_text("c.log", '{"token":"unknown"}\n')

    size = archive.write(tmp_path / "out.tar.gz")

    assert [path.name for path in tmp_path.iterdir()] == ["out.tar.gz"]
    assert stat.S_IMODE((tmp_path / "out.tar.gz").stat().st_mode) == 0o600
    assert (tmp_path / "out.tar.gz").stat().st_size == size
    assert read_members(tmp_path / "out.tar.gz") == {
        "bundle/a.txt": "x ******** y\n",
        "bundle/b.json": json.dumps({"n": [1, "********"], "password": "********"}, indent=2) + "\n",
        "bundle/c.log": '{"token":"********"}\n',
    }


def test_the_archive_replaces_no_file(tmp_path: Path) -> None:
    (tmp_path / "out.tar.gz").write_bytes(b"mine")

    with pytest.raises(FileExistsError):
        Archive("bundle", Redactor([])).write(tmp_path / "out.tar.gz")

    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"out.tar.gz": b"mine"}


def read_members(path: Path) -> dict[str, str]:
    """Return the members of a bundle as text."""
    with tarfile.open(path) as archive:
        streams = {member.name: archive.extractfile(member) for member in archive.getmembers()}
        return {name: stream.read().decode() for name, stream in streams.items() if stream is not None}


def test_a_part_that_fails_or_hangs_is_named_and_hides_no_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail() -> dict[str, object]:
        raise OSError(5, "password=canary is no good")

    def hang() -> dict[str, object]:
        os.read(reader, 1)
        return {}

    reader, writer = os.pipe()
    parts = (
        Part("bad", "never seen", fail),
        Part("slow", "never seen either", hang),
        Part("good", "something", lambda: {"good.json": {"fine": True}}),
    )

    def list_parts(_wishes: Wishes) -> tuple[Part, ...]:
        return parts

    monkeypatch.setattr(command, "list_parts", list_parts)
    monkeypatch.setattr(command, "_PART_SECONDS", 0.2)

    code = command.support_bundle(data=tmp_path / "data", output=tmp_path / "b.tar.gz")
    os.close(writer)

    members = {name.partition("/")[2]: text for name, text in read_members(tmp_path / "b.tar.gz").items()}
    printed = capsys.readouterr().out
    assert (code, sorted(members)) == (0, ["README.txt", "good.json"])
    for text in (members["README.txt"], printed):
        assert "OSError: [Errno 5] password=********" in text
        assert "it took too long" in text
        assert "canary" not in text


@pytest.mark.parametrize("problem", ["exists", "no directory"])
def test_a_target_that_can_not_be_is_said_before_the_work(tmp_path: Path, problem: str) -> None:
    target = tmp_path / "b.tar.gz"
    if problem == "exists":
        target.touch()
    else:
        target = tmp_path / "gone" / "b.tar.gz"

    with pytest.raises(CommandError, match=problem):
        command.support_bundle(data=tmp_path, output=target)


def test_the_end_of_a_log_is_read_and_endless_lines_are_cut(tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text(
        "".join(f"line {number}\n" for number in range(100)) + "x" * 50_000 + "\n", encoding="utf-8"
    )

    lines = last_lines(log, 3).splitlines()

    assert lines[:2] == ["line 98", "line 99"]
    assert lines[2].startswith("xxx")
    assert lines[2].endswith("… (50000 characters)")
    assert len(lines[2]) < 17_000


def test_sizes_are_told_by_part_and_time_is_bounded(tmp_path: Path) -> None:
    (tmp_path / "a" / "deep").mkdir(parents=True)
    (tmp_path / "a" / "deep" / "file").write_bytes(b"12345")
    (tmp_path / "a" / "link").symlink_to(tmp_path)
    (tmp_path / "b").write_bytes(b"1")

    whole, out_of_time = measure_parts(tmp_path, 10), measure_parts(tmp_path, -1)

    assert {name: (part.files, part.complete) for name, part in whole.items()} == {
        "a": (2, True),
        "b": (1, True),
    }
    assert whole["b"].bytes == 1
    assert {part.complete for part in out_of_time.values()} == {False}


def test_a_process_is_described_without_the_values_of_its_environment() -> None:
    facts = describe_process(os.getpid())

    variables = str(facts["variables"])
    assert "'PATH'" in variables
    assert "=" not in variables
    assert isinstance(facts["open_files"], int)
    assert str(facts["VmRSS"]).endswith("kB")


def test_no_process_is_taken_for_a_registry_without_a_lock(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()

    assert registry_processes(tmp_path) == []

    (tmp_path / "run" / "lock").write_text(f"{os.getpid()}\n", encoding="ascii")

    assert registry_processes(tmp_path)[0] == os.getpid()


def test_machine_and_file_system_are_described(tmp_path: Path) -> None:
    host, place = describe_host(), describe_filesystem(tmp_path / "not" / "there")

    assert {"kernel", "memory", "limits", "load"} <= set(host)
    assert (place["exists"], place["path"]) == (False, f"{tmp_path}/not/there")
    assert isinstance(place["size_bytes"], int)
    assert place["size_bytes"] > 0
