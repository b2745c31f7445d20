"""A rebuild brings no audit log back, and says so; what the old checkpoints still prove, they prove elsewhere."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.sealer import Sealer
from entrepot.metadata.sql.opening import open_metadata
from entrepot.ops.application import run_command_line
from entrepot.settings import audit_directory, metadata_url
from tests.integration.rebuilding import compacted_registry, copy_database, lose_database, restore_database
from tests.running.audit_material import KeyInMemory, pull_record

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from entrepot.settings import Settings

_LOST = ("people", "roles", "members", "robots", "which projects are public", "the audit log and the keys")


async def _sign(settings: Settings) -> None:
    """Have a record be sealed and signed, as the registry does while it runs."""
    metadata = await open_metadata(metadata_url(settings), 1, 5.0)
    await metadata.write(lambda tx: tx.audit.append(pull_record()))
    await Sealer(metadata).run()
    assert await Checkpoints(metadata, KeyInMemory(), audit_directory(settings) / "checkpoints").run(0)
    await metadata.aclose()


async def _said(capsys: pytest.CaptureFixture[str], settings: Settings, *words: str) -> tuple[int, str]:
    capsys.readouterr()
    code = await asyncio.to_thread(run_command_line, (*words, "--data", str(settings.data.directory)))
    return code, capsys.readouterr().out


async def test_the_log_after_a_rebuild_is_sound_once_the_checkpoints_of_the_old_one_are_with_its_exports_i11(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As the command and the verification say. Those of the new log lie in the same directory."""
    settings = await compacted_registry(tmp_path / "data")
    await _sign(settings)
    checkpoints = audit_directory(settings) / "checkpoints"
    former = sorted(checkpoints.iterdir())
    lose_database(settings)

    _, foreseen = await _said(capsys, settings, "rebuild", "--dry-run")
    code, said = await _said(capsys, settings, "rebuild")
    await _sign(settings)
    judged, verdict = await _said(capsys, settings, "audit", "verify", "--database")
    for path in former:
        path.rename(tmp_path / path.name)

    assert code == 0
    for text in (foreseen, said):
        assert [what for what in _LOST if what in text] == list(_LOST)
    assert "move the files of audit/checkpoints in the data directory of each node" in said
    assert "move the files" not in foreseen
    assert judged == 1
    (line,) = [line for line in verdict.splitlines() if line.startswith("FOREIGN")]
    assert "as after a rebuild from the storage, move the checkpoints of the old log to its exports" in line
    assert (await _said(capsys, settings, "audit", "verify", "--database"))[0] == 0


async def test_a_copy_that_is_caught_up_keeps_its_log_and_its_people(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = await compacted_registry(tmp_path / "data")
    await _sign(settings)
    copy_database(settings, tmp_path / "copy")
    restore_database(settings, tmp_path / "copy")

    code, said = await _said(capsys, settings, "rebuild", "--catch-up")

    assert code == 0
    assert "Not in the storage, so as they were in this database: people" in said
    assert "begins anew" not in said
    assert (await _said(capsys, settings, "audit", "verify", "--database"))[0] == 0
