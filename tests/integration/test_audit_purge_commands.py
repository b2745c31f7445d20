"""`entrepot audit purge`: says what goes, and what holds up the rest; its record is signed where that can be."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING

import pytest

from entrepot.auth.keys.master_key import open_master_keys
from tests.integration.audit_host import AuditHost, make_audit_host

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def host(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AuditHost:
    """A host; nothing of this machine is read."""
    return make_audit_host(tmp_path, monkeypatch)


def test_a_purge_says_first_what_it_would_remove(host: AuditHost, capsys: pytest.CaptureFixture[str]) -> None:
    asyncio.run(host.sign_days_ago(2, 399))

    assert host.run("purge", "--older-than", "300") == 0
    assert asyncio.run(host.database.count("audit_records")) == 6
    assert host.run("purge", "--older-than", "179", "--yes") == 1
    assert host.run("purge", "--older-than", "300", "--yes") == 0
    assert asyncio.run(host.database.count("audit_records")) == 5
    assert host.run("verify", "--database", "--checkpoints", str(host.checkpoints)) == 0

    shown = capsys.readouterr()
    assert shown.err.splitlines()[-1] == (
        "the record of the purge is not signed yet: this node has no master key to open the signing keys with"
    )
    lines = shown.out.splitlines()
    for why in (lines.pop(1), lines.pop(2)):
        assert why.startswith("the others stay: the checkpoint of record 6 is of 20")
        assert why.endswith("+00:00, less than 300 days ago")
    assert lines == [
        "2 records up to number 2 would be removed; nothing was changed (--yes)",
        "2 records up to number 2 removed",
        "4 records follow one another soundly, from 3 to 6",
        "records up to 6 are signed, with the key that comes with the log",
        "1 records wait to be sealed",
        f"compared with the checkpoints in {host.checkpoints}",
    ]


def test_a_purge_tells_what_holds_it_up_where_no_time_is_too_young_f27(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """A checkpoint of a time to come, or none at all."""
    host.change("DELETE FROM audit_checkpoints")
    asyncio.run(host.sign_days_ago(2, 399))
    assert host.run("purge", "--older-than", "300") == 0
    asyncio.run(host.sign_days_ago(4, -5000))
    assert host.run("purge", "--older-than", "300") == 0

    removed, no_checkpoint, as_before, ahead = capsys.readouterr().out.splitlines()
    assert removed == as_before == "2 records up to number 2 would be removed; nothing was changed (--yes)"
    assert no_checkpoint == "the others stay: no checkpoint covers the last 4 yet"
    assert ahead.startswith("the others stay: the checkpoint of record 4 is of 20")
    assert ahead.endswith(
        ", which is still to come, and the log does not show yet that a clock was put right since"
    )


def test_a_purge_signs_its_own_record_where_that_can_be(
    host: AuditHost, capsys: pytest.CaptureFixture[str]
) -> None:
    """So that its time is proven, whatever becomes of the clock. Where nothing was to be removed, nothing is done."""
    open_master_keys("", host.data)
    asyncio.run(host.sign_days_ago(2, 399))

    assert host.run("purge", "--older-than", "300", "--yes") == 0
    assert host.run("purge", "--older-than", "300", "--yes") == 0
    capsys.readouterr()
    assert host.run("verify", "--database", "-o", "json") == 0

    told = json.loads(capsys.readouterr().out)
    assert (told["first"], told["last"], told["signed"], told["unsealed"]) == (3, 7, 7, 0)
    assert f"{7:020d}.json" in {path.name for path in (host.data / "audit" / "checkpoints").iterdir()}
