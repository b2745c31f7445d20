"""`entrepot audit show` finds records by the id of their request, and in the words of `entrepot audit list`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.principals import Origin
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.application import run_command_line
from entrepot.settings import metadata_url
from tests.asgi.services import scratch_settings
from tests.running.audit_material import ALICE, pull_record
from tests.running.laid_schema import lay_schema_for

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.audit_store import NewAuditRecord


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory whose log has two pulls and a login; nothing of this machine is read."""
    (tmp_path / "empty.toml").touch()
    monkeypatch.setenv("ENTREPOT_CONFIG", str(tmp_path / "empty.toml"))
    asyncio.run(_fill(tmp_path / "data"))
    return tmp_path / "data"


async def _fill(data: Path) -> None:
    settings = scratch_settings(data)
    lay_schema_for(settings)
    asked = msgspec.structs.replace(ALICE, origin=Origin(request_id="7-a.B_c"))
    login = audit_record(asked, AuditAction.LOGIN, AuditObject("user", "eve"))
    await _write(data, [pull_record(1), pull_record(2), login])


async def _write(data: Path, records: list[NewAuditRecord]) -> None:
    metadata = await open_metadata(metadata_url(scratch_settings(data)), 1, 5.0)
    await metadata.write(lambda tx: tx.audit.extend(records))
    await metadata.aclose()


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("--request-id 7-a.B_c", ["session.login"]),
        ("--request-id 7-a", []),
        ("--request-id 7-a.B_c --user bob", []),
        ("--resource team/app --limit 1", ["manifest.pull"]),
        ("--object team/app --since 2026-01-01 --until 2099-01-01", ["manifest.pull"] * 2),
        ("--resource team/app --until 2026-01-01", []),
    ],
)
def test_records_are_found_by_their_request_and_in_the_words_of_the_other_command(
    data: Path, capsys: pytest.CaptureFixture[str], words: str, found: list[str]
) -> None:
    assert run_command_line(("audit", "show", *words.split(), "--data", str(data))) == 0

    lines = [line for line in capsys.readouterr().out.splitlines()[1:] if not line.startswith("more:")]
    assert [line.split()[4] for line in lines] == found


def test_what_one_record_tells_at_length_widens_no_other_row(
    data: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    reason = "and that at length " * 15
    refused = audit_record(
        ALICE, AuditAction.LOGIN, AuditObject("user", "eve"), outcome="failure", reason=reason
    )
    asyncio.run(_write(data, [refused]))

    assert run_command_line(("audit", "show", "--data", str(data))) == 0

    lines = capsys.readouterr().out.splitlines()
    longest = max(lines, key=len)
    assert longest.endswith(reason.strip())
    assert [line for line in lines if len(line) >= 160] == [longest]


def test_the_tag_and_the_digest_of_an_image_are_told(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_command_line(("audit", "show", "--action", "manifest.pull", "--data", str(data))) == 0

    rows = capsys.readouterr().out.splitlines()[1:]
    assert [line.split("  ")[-1] for line in rows] == ["v2 sha256:000000000000", "v1 sha256:000000000000"]
