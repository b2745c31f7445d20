"""What is left on the disk of an export that was fetched: all of it, or nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.unit.client.scripted_api import Answer, refusal

if TYPE_CHECKING:
    from pathlib import Path

    from tests.unit.client.conftest import Client
    from tests.unit.client.scripted_api import ScriptedApi

_PATH = "GET /audit-log-export"
_WHOLE = b'{"type":"header"}\n{"last":1,"records":1,"type":"end"}\n'


def test_times_mean_what_they_mean_to_every_audit_command(
    client: Client, api: ScriptedApi, tmp_path: Path
) -> None:
    """In the words of all of them; what is no time is refused before anything is asked or written."""
    client.log_in(api)
    api.on(_PATH, Answer(raw=_WHOLE))
    file = tmp_path / "log.jsonl"

    refused = client.run("audit", "fetch", str(file), "--from", "yesterday")
    assert (refused.code, api.asked) == (2, [])
    result = client.run(
        "audit", "fetch", str(file), "--from", "2026-11-01", "--until", "2026-12-01T10:00+02:00"
    )

    assert (result.code, result.out) == (0, f"{len(_WHOLE)} bytes written to {file}\n")
    assert api.asked[-1].query == {
        "since": "2026-11-01T00:00:00.000Z",
        "until": "2026-12-01T08:00:00.000Z",
    }
    assert file.read_bytes() == _WHOLE
    assert [path for path in tmp_path.iterdir() if path.name.count("log.jsonl")] == [file]


def test_of_an_export_that_broke_off_nothing_is_kept(
    client: Client, api: ScriptedApi, tmp_path: Path
) -> None:
    """Its end is what tells: the standard library takes a short body for a whole one."""
    client.log_in(api)
    file = tmp_path / "log.jsonl"

    api.on(_PATH, Answer(raw=_WHOLE[:-30]))
    assert client.run("audit", "fetch", str(file)).code == 1
    api.on(_PATH, refusal(403, "you may not"))
    refused = client.run("audit", "fetch", str(file))
    assert (refused.code, "you may not" in refused.err) == (1, True)

    assert not list(tmp_path.glob("log.jsonl*"))


def test_where_no_file_can_be_is_said(client: Client, api: ScriptedApi, tmp_path: Path) -> None:
    client.log_in(api)
    api.on(_PATH, Answer(raw=_WHOLE))
    (tmp_path / "file").touch()

    for file in (tmp_path / "file" / "log.jsonl", tmp_path / ("x" * 300)):
        result = client.run("audit", "fetch", str(file))
        assert (result.code, "can't be written" in result.err) == (2, True)


def test_nothing_that_lies_there_is_written_to_followed_or_removed(
    client: Client, api: ScriptedApi, tmp_path: Path
) -> None:
    """What is beside the file belongs to somebody else, whatever its name."""
    client.log_in(api)
    api.on(_PATH, Answer(raw=_WHOLE))
    file, beside, victim = tmp_path / "log.jsonl", tmp_path / "log.jsonl.part", tmp_path / "victim"
    victim.write_bytes(b"dear")
    beside.symlink_to(victim)
    notes, part = tmp_path / "notes", tmp_path / "notes.part"
    notes.write_bytes(b"mine")
    part.write_bytes(b"mine, too")

    assert client.run("audit", "fetch", str(file)).code == 0
    refused = client.run("audit", "fetch", str(notes))

    assert (refused.code, refused.err) == (2, f"entrepot: {notes} exists; it would be overwritten\n")
    assert (notes.read_bytes(), part.read_bytes()) == (b"mine", b"mine, too")
    assert (victim.read_bytes(), beside.is_symlink(), file.is_symlink()) == (b"dear", True, False)
    assert file.read_bytes() == _WHOLE
