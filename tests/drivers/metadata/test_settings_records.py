"""What is changed of the settings on the host is on record on both engines, also when nothing ran meanwhile (I11)."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from entrepot.audit.settings_records import SettingsRecorder
from entrepot.auth.host import host_operator
from entrepot.metadata.audit_store import AuditFilter, AuditPageQuery
from entrepot.settings import Settings, shown_defaults, shown_differences
from entrepot.settings.catalogue import build_settings
from entrepot.settings.secret import Secret

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata


def _settings(directory: Path, **values: Any) -> Settings:
    named = {key.replace("__", "."): value for key, value in values.items()}
    return build_settings({"data.directory": directory, **named})


async def _start(metadata: Metadata, settings: Settings, node: str = "node-1") -> bool:
    recorder = SettingsRecorder(
        metadata, host_operator(), node, shown_differences(settings), shown_defaults()
    )
    recorded = await recorder.run()
    assert not await recorder.run()
    return recorded


async def _changes(metadata: Metadata) -> list[dict[str, Any]]:
    rows = await metadata.audit.page(AuditPageQuery(AuditFilter(action="settings.apply"), 100))
    assert {row.subject for row in rows} == {host_operator().subject}
    return [json.loads(row.body)["change"] for row in reversed(rows)]


async def test_settings_that_differ_from_the_last_record_are_recorded_with_what_they_were_i11(
    metadata: Metadata, tmp_path: Path
) -> None:
    """Accounts that are switched off for one start, and a lock-out that is loosened by a reload."""
    usual = _settings(tmp_path)
    steps = [
        usual,
        _settings(tmp_path, access__accounts=False),
        usual,
        usual,
        _settings(tmp_path, lockout__attempts=500),
    ]

    recorded = [await _start(metadata, settings) for settings in steps]
    other_node = await _start(metadata, usual, "node-2")

    assert (recorded, other_node) == ([False, True, True, False, True], False)
    off, on, loosened = await _changes(metadata)
    assert off["before"] == {"access.accounts": "true"}
    assert off["after"] == {
        "changed": {"access.accounts": "false"},
        "in_force": {"access.accounts": "false"},
    }
    assert on["before"] == {"access.accounts": "false"}
    assert on["after"] == {"changed": {"access.accounts": "true"}, "in_force": {}}
    assert loosened["before"] == {"lockout.attempts": "5"}
    assert loosened["after"]["changed"] == {"lockout.attempts": "500"}


async def test_of_a_secret_only_that_there_is_one_is_recorded_s27(metadata: Metadata, tmp_path: Path) -> None:
    assert await _start(metadata, _settings(tmp_path, secrets__master_key=Secret("a-secret-of-ours")))

    (change,) = await _changes(metadata)
    assert change["before"] == {"secrets.master_key": ""}
    assert list(change["after"]["changed"]) == ["secrets.master_key"]
    assert "a-secret" not in json.dumps(change)
