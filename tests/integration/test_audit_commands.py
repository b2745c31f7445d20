"""`entrepot audit`: shows, exports, proves and purges on the host, beside a running registry or a stopped one."""

from __future__ import annotations

import asyncio
import json
import os
import pwd
import stat
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from entrepot.audit import export_verification
from entrepot.audit.sealer import Sealer
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.keys.master_key import open_master_keys
from entrepot.kernel.secret_forms import new_secret_of, without_secrets
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.application import run_command_line
from entrepot.ops.audit.end_signer import end_signer
from tests.asgi.services import scratch_settings
from tests.integration.audit_host import AuditHost, make_audit_host
from tests.running.audit_material import ALICE

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.audit_store import NewAuditRecord

_COLUMNS = ["ID", "TIME", "USER", "ADDRESS", "ACTION", "OUTCOME", "OBJECT", "IMAGE", "REASON"]
_COMPARED_WITH_NONE = (
    "compared with no checkpoints but those in the database: a cut of its end may have taken them along"
)


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditHost:
    """A host; nothing of this machine is read."""
    return make_audit_host(tmp_path, monkeypatch)


def test_an_export_that_is_not_there_is_named_with_the_reason(
    host: AuditHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "none.jsonl"

    assert run_command_line(("audit", "verify", str(file))) == 3
    assert run_command_line(("audit", "verify", str(tmp_path))) == 3

    assert capsys.readouterr().err.splitlines() == [
        f"entrepot: {file} can't be read: No such file or directory",
        f"entrepot: {tmp_path} can't be read: Is a directory",
    ]


def test_an_export_is_proven_without_settings_with_a_given_key_and_kept_checkpoints(
    host: AuditHost,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "log.jsonl"
    pinned = ("--public-key", str(host.key), "--checkpoints", str(host.checkpoints))

    assert host.run("export", "--output", str(file)) == 0
    assert run_command_line(("audit", "verify", str(file), *pinned)) == 1
    capsys.readouterr()
    assert run_command_line(("audit", "verify", str(file), *pinned, "--accept-unsigned")) == 0

    unsigned, *shown, times = capsys.readouterr().out.splitlines()
    assert unsigned == (
        "UNSIGNED at record 6: nobody signed that these are all records of the times asked for: "
        "this node has no master key to open the signing keys with"
    )
    assert shown == [
        "6 records follow one another soundly, from 1 to 6",
        "records up to 6 are signed, with a key that was given",
    ]
    assert times.startswith("asked for: from the beginning to the end, at 20")
    monkeypatch.setattr(export_verification, "machine_milliseconds", lambda: 0)
    assert run_command_line(("audit", "verify", str(file), *pinned, "--accept-unsigned")) == 0
    assert (
        capsys.readouterr()
        .out.splitlines()[-1]
        .startswith("that is later than the clock of this machine says")
    )
    assert host.run("export", "--output", str(file)) == 2
    assert json.loads(file.read_bytes().splitlines()[2])["user.name"] == "alice"


def test_an_export_is_its_owners_alone_to_read(host: AuditHost, tmp_path: Path) -> None:
    file = tmp_path / "log.jsonl"

    assert host.run("export", "--output", str(file)) == 0

    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_the_table_tells_the_hosts_users_from_people_and_why_something_was_refused(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    person = msgspec.structs.replace(ALICE, name="root")
    operator = msgspec.structs.replace(ALICE, subject="host:root", name="root", kind="host")
    about = AuditObject("user", "eve")
    records = [
        audit_record(person, AuditAction.LOGIN, about, outcome="failure", reason="locked out"),
        audit_record(operator, AuditAction.USER_UNLOCK, about),
    ]
    asyncio.run(_write(host, records))

    for user in ("root", "host:root"):
        assert host.run("show", "--user", user, "--object", "eve") == 0

    header, unlocked, refused, same_header, alone = capsys.readouterr().out.splitlines()
    assert header.split() == _COLUMNS
    assert unlocked.split()[2:] == ["host:root", "192.0.2.1", "user.unlock", "success", "user", "eve"]
    assert refused.split()[2:] == [
        *("root", "192.0.2.1", "session.login", "failure", "user", "eve", "locked", "out"),
    ]
    assert (same_header.split(), alone.split()) == (header.split(), unlocked.split())


def test_records_are_found_by_their_address_in_whichever_spelling(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    peer = msgspec.structs.replace(ALICE, address="2001:db8::7")
    asyncio.run(_write(host, [audit_record(peer, AuditAction.LOGIN, AuditObject("user", "eve"))]))

    assert host.run("show", "--address", "2001:DB8:0::0:7") == 0

    assert [line.split()[3] for line in capsys.readouterr().out.splitlines()[1:]] == ["2001:db8::7"]


def test_a_draft_of_a_checkpoint_that_a_full_disk_left_is_no_checkpoint(
    host: AuditHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (host.checkpoints / ".00000000000000000009.json").write_bytes(b'{"signed":')
    assert host.run("verify", "--database", "--checkpoints", str(host.checkpoints)) == 0

    (host.checkpoints / "00000000000000000009.json").write_bytes(b'{"signed":')
    assert host.run("verify", "--database", "--checkpoints", str(host.checkpoints)) == 3
    assert capsys.readouterr().err.endswith("is no checkpoint\n")


async def _write(host: AuditHost, records: list[NewAuditRecord]) -> None:
    metadata = await open_metadata(host.database.url, 1, 5.0)
    await metadata.write(lambda tx: tx.audit.extend(records))
    await metadata.aclose()


@pytest.mark.parametrize(
    "words",
    [
        ("export", "--from", "2026-11-02", "--to", "2026-11-01"),
        ("show", "--outcome", "failed"),
        ("show", "--action", "manifest.pusch"),
        ("show", "--limit", "1001"),
        ("show", "--limit", "0"),
    ],
)
def test_what_can_match_no_record_is_wrong_usage(
    host: AuditHost, words: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    """An auditor who mistyped must not read that nothing happened."""
    assert host.run(*words) == 2
    assert capsys.readouterr().out == ""


def test_an_export_signs_its_end_with_the_keys_of_this_node_and_verify_says_so(
    host: AuditHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The signature leaves the database as those of the registry do; a stranger's is not in it, and has no file."""
    open_master_keys("", host.data)
    host.run("show")  # reading is recorded: a record without a place and without a signature
    capsys.readouterr()
    file = tmp_path / "log.jsonl"

    assert host.run("export", "--output", str(file)) == 0
    assert run_command_line(("audit", "verify", str(file))) == 0

    shown = capsys.readouterr()
    # Behind the log, which goes to standard error outside of this test.
    assert shown.out.splitlines()[-4:-1] == [
        f"12 lines written to {file}",
        "7 records follow one another soundly, from 1 to 7",
        "records up to 7 are signed, with the key that comes with the log",
    ]
    assert shown.err == ""
    written = sorted(path.name for path in (host.data / "audit" / "checkpoints").iterdir())
    assert written == [f"{7:020d}.json"]
    kept = ("--checkpoints", str(host.data / "audit" / "checkpoints"))
    assert host.run("verify", "--database", *kept) == 0
    capsys.readouterr()
    assert run_command_line(("audit", "verify", str(file), *kept)) == 0
    assert not any("rotated" in line for line in capsys.readouterr().out.splitlines())
    assert run_command_line(("audit", "verify", str(file), "--checkpoints", str(host.checkpoints))) == 0
    assert capsys.readouterr().out.splitlines()[-2] == (
        "no checkpoint given is signed with the key of the export: whoever holds the file may have signed it, or "
        "the keys were rotated (--public-key tells)"
    )


def test_an_export_whose_end_is_not_signed_says_which_records_that_are_and_so_does_verify(
    host: AuditHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without a master key nothing is made for it; who verifies has to accept that."""
    host.run("show")
    asyncio.run(_seal(host))
    capsys.readouterr()
    file = tmp_path / "log.jsonl"

    assert host.run("export", "--output", str(file)) == 0
    reason = "this node has no master key to open the signing keys with"
    assert capsys.readouterr().err == (
        f"the export is not signed: {reason}\nrecord 7 is not covered by a checkpoint either\n"
    )
    assert run_command_line(("audit", "verify", str(file), "--accept-unsigned")) == 0
    assert "record 7 is not covered by a signature yet" in capsys.readouterr().out.splitlines()
    assert run_command_line(("audit", "verify", str(file), "-o", "json")) == 1
    assert json.loads(capsys.readouterr().out)["uncovered"] == [7, 7]
    assert host.run("verify", "--database") == 0
    assert "record 7 is not covered by a signature yet" in capsys.readouterr().out.splitlines()
    assert not (host.data / "secrets").exists()


def test_an_export_by_another_user_makes_no_files_that_the_registry_could_not_write(
    host: AuditHost, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    open_master_keys("", host.data)
    host.run("show")
    asyncio.run(_seal(host))
    capsys.readouterr()
    owner = pwd.getpwuid(host.data.stat().st_uid).pw_name
    monkeypatch.setattr(os, "geteuid", lambda: 54321)

    assert host.run("export", "--output", str(tmp_path / "log.jsonl")) == 0

    reason = f"the data directory belongs to {owner}, who has to run this"
    assert capsys.readouterr().err == (
        f"the export is not signed: {reason}\nrecord 7 is not covered by a checkpoint either\n"
    )
    assert not (host.data / "audit").exists()


async def test_without_a_data_directory_nothing_is_signed(tmp_path: Path) -> None:
    """As on a machine of administrators that reaches the database of a cluster."""
    settings = scratch_settings(tmp_path / "absent")
    metadata: Any = None

    reason = await end_signer(settings, metadata).sign()

    assert reason.endswith("absent, where checkpoints are kept, can't be used: No such file or directory")


async def _seal(host: AuditHost) -> None:
    metadata = await open_metadata(host.database.url, 1, 5.0)
    await Sealer(metadata).run()
    await metadata.aclose()


def test_a_tampered_export_ends_with_1_and_names_the_record(
    host: AuditHost, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "log.jsonl"
    host.run("export", "--output", str(file))
    file.write_bytes(file.read_bytes().replace(b'"user.name":"bob"', b'"user.name":"eve"', 1))

    assert run_command_line(("audit", "verify", str(file))) == 1

    out = capsys.readouterr().out
    assert "CHANGED at record 2 (" in out
    assert run_command_line(("audit", "verify", str(file), "--accept-unsigned")) == 1
    assert "1 records follow one another soundly" in out


def test_the_database_is_proven_and_a_change_by_hand_named(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("verify", "--database", "-o", "json") == 0
    sound = json.loads(capsys.readouterr().out)
    host.change("UPDATE audit_records SET action = 'x' WHERE sequence = 5")
    assert host.run("verify", "--database", "-o", "json") == 1
    changed = json.loads(capsys.readouterr().out)

    assert (sound["records"], sound["signed"], sound["faults"]) == (6, 6, [])
    assert [(fault["kind"], fault["sequence"]) for fault in changed["faults"]] == [("changed", 5)]


@pytest.mark.parametrize(
    ("words", "code"),
    [
        ((), 2),
        (("x.jsonl", "--database"), 2),
        (("absent.jsonl",), 3),
        (("/dev/null",), 3),
        (("--database", "--public-key", "/dev/null"), 2),
        (("--database", "--checkpoints", "/nowhere"), 2),
        (("--database", "--data", "/nowhere"), 3),
    ],
)
def test_what_cannot_be_verified_is_told_from_what_is_not_sound(words: tuple[str, ...], code: int) -> None:
    assert run_command_line(("audit", "verify", *words)) == code


def test_a_cut_of_the_databases_end_is_found_by_what_this_node_keeps(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without being told where that lies; and where nothing was compared, that is said."""
    none = host.run("verify", "--database")
    assert capsys.readouterr().out.splitlines()[-1] == _COMPARED_WITH_NONE
    own = host.data / "audit" / "checkpoints"
    own.parent.mkdir(parents=True, exist_ok=True)
    host.checkpoints.rename(own)
    host.change("DELETE FROM audit_checkpoints")
    host.change("DELETE FROM audit_records WHERE sequence > 4")
    host.change(
        "UPDATE audit_chain SET sequence = 4, "
        "chain_hash = (SELECT chain_hash FROM audit_records WHERE sequence = 4)"
    )

    cut = host.run("verify", "--database", "-o", "json")

    told = json.loads(capsys.readouterr().out)
    assert (none, cut, told["checkpoint_directories"]) == (0, 1, [str(own)])
    assert [(fault["kind"], fault["sequence"]) for fault in told["faults"]] == [("truncated", 4)]
    assert host.run("verify", "--database", "--checkpoints", str(own)) == 1
    assert capsys.readouterr().out.splitlines()[-1] == f"compared with the checkpoints in {own}"


def test_a_record_that_no_registry_sealed_for_long_is_told_with_its_time(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("show", "--limit", "1") == 0  # leaves a record
    waiting = "audit_records WHERE sequence IS NULL"
    asyncio.run(host.database.fetch(f"UPDATE {waiting.replace(' WHERE', ' SET at = 1790000000000 WHERE')}"))
    record_id = asyncio.run(host.database.value(f"SELECT record_id FROM {waiting}"))
    capsys.readouterr()

    assert host.run("verify", "--database") == 0

    assert capsys.readouterr().out.splitlines()[-2] == (
        f"1 records wait to be sealed, the oldest ({record_id}) since 2026-09-21T14:13:20.000+00:00: "
        "no registry has run since, or somebody put it there"
    )


def test_a_limit_beyond_the_most_says_what_the_most_is(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("show", "--limit", "1001") == 2
    assert capsys.readouterr().err == (
        "entrepot: --limit is a number from 1 to 1000; --before goes on where a page ended\n"
    )
    assert host.run("show", "--limit", "1000") == 0


def test_the_newest_records_are_shown_first_and_reading_is_recorded(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("show", "--user", "bob", "--limit", "2") == 0
    lines = capsys.readouterr().out.splitlines()
    assert host.run("show", "--action", "audit.read", "-o", "json") == 0
    reads = json.loads(capsys.readouterr().out)
    assert host.run("show", "--from", "yesterday") == 2

    assert lines[0].split() == _COLUMNS
    assert [line.split()[0] for line in lines[1:]] == ["6", "4", "more:"]
    pulled = ["manifest.pull", "success", "repository", "team/app", "v5", "sha256:000000000000"]
    assert lines[1].split()[2:] == ["bob", "192.0.2.2", *pulled]
    assert len(reads) == 1  # the first look; the second is recorded once it is done


def test_an_erasure_says_first_how_many_records_it_concerns_and_the_chain_holds(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    assert host.run("erase", "--user", "alice") == 0
    assert asyncio.run(host.database.count("audit_records")) == 6
    assert host.run("erase", "--subject", ALICE.subject, "--yes") == 0
    assert host.run("erase", "--subject", ALICE.subject) == 0
    assert host.run("verify", "--database") == 0

    alice = "a" * 32
    assert capsys.readouterr().out.splitlines() == [
        f"personal data of {alice} in 3 records would be erased; nothing was changed (--yes)",
        f"personal data of {alice} in 3 records erased",
        f"personal data of {alice} in 0 records would be erased; nothing was changed (--yes)",
        "6 records follow one another soundly, from 1 to 6",
        "records up to 6 are signed, with the key that comes with the log",
        "3 records have no personal data any more",
        "1 records wait to be sealed",
        _COMPARED_WITH_NONE,
    ]
    told = asyncio.run(host.database.fetch("SELECT action, object_name FROM audit_records WHERE id = 7"))
    assert [tuple(row) for row in told] == [("audit.erase", alice)]
    assert asyncio.run(host.database.fetch("SELECT id FROM audit_records WHERE user_name = 'alice'")) == []


def test_who_is_called_like_a_secret_is_found_by_their_name(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """Records tell it masked."""
    name = new_secret_of("ept_")
    host.change(f"UPDATE audit_records SET user_name = '{without_secrets(name)}' WHERE user_name = 'alice'")

    assert host.run("erase", "--user", name) == 0

    assert "in 3 records would be erased" in capsys.readouterr().out
    assert host.run("show", "--user", name) == 0
    assert without_secrets(name) in capsys.readouterr().out


def test_a_name_that_several_had_erases_nobody_and_names_their_ids(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    host.change("UPDATE audit_records SET user_name = 'alice' WHERE id = 2")

    assert host.run("erase", "--user", "alice", "--yes") == 2

    assert capsys.readouterr().err.strip() == (
        f"entrepot: several acted as alice; say which: --subject {'a' * 32} or --subject {'b' * 32}"
    )
    assert asyncio.run(host.database.count("audit_records")) == 6


@pytest.mark.parametrize(
    "words",
    [
        (),
        ("--user", "x"),
        ("--user", "alice", "--subject", "a" * 32),
        ("--subject", "anonymous"),
        ("--subject", "A" * 32),
    ],
)
def test_an_erasure_wants_one_subject_that_is_a_person_or_robot(
    host: AuditHost, words: tuple[str, ...]
) -> None:
    assert host.run("erase", *words, "--yes") == 2
    assert asyncio.run(host.database.count("audit_records")) == 6
