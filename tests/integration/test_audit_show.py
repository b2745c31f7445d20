"""`entrepot audit show` finds records by the id of their request, and in the words of `entrepot audit list`."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.principals import Origin
from entrepot.metadata.sql.migrate import initialise_if_empty
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.application import run_command_line
from entrepot.settings import metadata_path, metadata_url
from tests.asgi.services import scratch_settings
from tests.drivers.metadata.raw_database import unheard
from tests.running.audit_material import ALICE, pull_record

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return a data directory whose log has two pulls and a login; nothing of this machine is read."""
    (tmp_path / "empty.toml").touch()
    monkeypatch.setenv("ENTREPOT_CONFIG", str(tmp_path / "empty.toml"))
    asyncio.run(_fill(tmp_path / "data"))
    return tmp_path / "data"


async def _fill(data: Path) -> None:
    settings = scratch_settings(data)
    metadata_path(settings).parent.mkdir(parents=True)
    await initialise_if_empty(metadata_url(settings), unheard)
    metadata = await open_metadata(metadata_url(settings), 1, 5.0)
    asked = msgspec.structs.replace(ALICE, origin=Origin(request_id="7-a.B_c"))
    login = audit_record(asked, AuditAction.LOGIN, AuditObject("user", "eve"))
    await metadata.write(lambda tx: tx.audit.extend([pull_record(1), pull_record(2), login]))
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
