"""What commands say of a database in which somebody removed records, made up a checkpoint or hid rows from lists."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.keys.master_key import open_master_keys
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.application import run_command_line
from entrepot.ops.checks.signed_chain import judge_signed_chain, judged_checkpoints
from tests.asgi.services import scratch_settings
from tests.integration.audit_host import AuditHost, make_audit_host

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.ops.checks.finding import Finding


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditHost:
    """A host whose six records a key signed that is none of its registry's."""
    made = make_audit_host(tmp_path, monkeypatch)
    open_master_keys("", made.data)
    return made


@pytest.mark.parametrize("gone", ["= 3", "> 4"])
def test_an_export_of_records_that_are_gone_leaves_no_file_and_says_what_to_do_i11(
    host: AuditHost, tmp_path: Path, capsys: pytest.CaptureFixture[str], gone: str
) -> None:
    """In the middle, and at the end; it does not end with 0."""
    host.change(f"DELETE FROM audit_records WHERE sequence {gone}")
    file = tmp_path / "log.jsonl"

    assert host.run("export", "--output", str(file)) == 1

    assert not file.exists()
    error = capsys.readouterr().err
    assert "of the audit log is not there any more, and no purge explains that" in error
    assert "run entrepot audit verify --database" in error


async def _finding(host: AuditHost) -> Finding:
    metadata = await open_metadata(host.database.url, 1, 5.0)
    try:
        return judge_signed_chain(await judged_checkpoints(metadata, scratch_settings(host.data)))
    finally:
        await metadata.aclose()


def test_doctor_tells_of_a_made_up_checkpoint_that_is_not_the_last_one_until_it_is_removed_i11(
    host: AuditHost, tmp_path: Path
) -> None:
    host.run("show")  # is recorded: what the node signs with its own key lies behind the other one
    assert host.run("export", "--output", str(tmp_path / "log.jsonl")) == 0

    found = asyncio.run(_finding(host))

    assert found.status == "fail"
    assert "the last of record 6: its key is none of this registry's" in found.message
    host.change("DELETE FROM audit_checkpoints WHERE sequence = 6")
    assert asyncio.run(_finding(host)).status == "ok"
    assert host.run("verify", "--database") == 0


def test_what_hides_rows_from_lists_is_told_of_the_database_i11(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """A trigger, and a view in the table's place: the walk may see all."""
    host.change("CREATE TRIGGER losing AFTER INSERT ON audit_records BEGIN SELECT 1; END")
    assert host.run("verify", "--database") == 1
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(
        "TABLE at record 0: audit_records has the trigger losing: what lists and searches show"
    )
    host.change("DROP TRIGGER losing")
    host.change("ALTER TABLE audit_records RENAME TO audit_rows")
    host.change("CREATE VIEW audit_records AS SELECT * FROM audit_rows")

    assert run_command_line(("audit", "verify", "--database", "--data", str(host.data), "-o", "json")) == 1

    shown = json.loads(capsys.readouterr().out)
    assert [fault["message"].partition(":")[0] for fault in shown["faults"]] == ["audit_records is no table"]
    assert shown["not_compared"] == []
