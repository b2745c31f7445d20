"""`entrepot audit verify --database` tells of indexes that lack rows, and what to do."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import TYPE_CHECKING

import pytest

from tests.integration.audit_host import AuditHost, make_audit_host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditHost:
    """A host; nothing of this machine is read."""
    return make_audit_host(tmp_path, monkeypatch)


def _hide(path: Path) -> None:
    """Have the index of projects lack a row, and that of what waits one that nobody sealed."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(
            "INSERT INTO audit_records SELECT 7, 'forged', at, action, outcome, subject, user_name, address, project, "
            "object_kind, object_name, request_id, body, disclosure, NULL, NULL, project_id FROM audit_records LIMIT 1"
        )
        for index, lacking in (("project", "WHERE id <> 3"), ("unsealed", "AND id <> 7")):
            name = f"audit_records_{index}"
            ((sql,),) = connection.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchall()
            connection.execute(f"DROP INDEX {name}")
            connection.execute(f"{sql} {lacking}")
            connection.execute("PRAGMA writable_schema = ON")
            connection.execute("UPDATE sqlite_master SET sql = ? WHERE name = ?", (sql, name))
            ((version,),) = connection.execute("PRAGMA schema_version").fetchall()
            connection.execute(f"PRAGMA schema_version = {version + 1}")


def test_records_that_lists_hide_and_show_by_indexes_that_lack_rows_are_told_of_i11(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    _hide(host.database.path)
    kept = ("--checkpoints", str(host.checkpoints))

    assert host.run("verify", "--database", *kept, "-o", "json") == 1
    faults = json.loads(capsys.readouterr().out)["faults"]
    assert host.run("verify", "--database", *kept) == 1

    told = sorted((fault["kind"], fault["message"].partition(":")[0]) for fault in faults)
    assert told == [
        ("index", "row 3 missing from index audit_records_project"),
        ("index", "row 7 missing from index audit_records_unsealed"),
    ]
    line = capsys.readouterr().out.splitlines()[0]
    assert line.startswith(
        "INDEX at record 0: row 3 missing from index audit_records_project: lists, searches"
    )
    assert "run REINDEX audit_records" in line
