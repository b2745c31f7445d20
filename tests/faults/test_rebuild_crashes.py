"""F1: a rebuild is killed between its units; run again, it comes to the same database and the same report."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

from entrepot.bootstrap import open_stores
from entrepot.kernel.failpoints import Failpoint
from entrepot.oci.digest import Digest
from entrepot.settings import storage_root
from tests.asgi.history import live_through_everything, picture_of
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import image
from tests.integration.rebuilding import compact, database_of, lose_database, segments_of

if TYPE_CHECKING:
    from pathlib import Path

    import pytest

    from entrepot.settings import Settings

_DAMAGED = image(annotations={"n": "1"})


async def _make(settings: Settings) -> None:
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
        await compact(registry.stores)
    for file in storage_root(settings).glob(f"manifests/sha256/*/{Digest.of_bytes(_DAMAGED).hex}/*"):
        file.write_bytes(b"{}")
    lose_database(settings)


def _rebuild(settings: Settings, failpoints: str = "") -> tuple[int, dict[str, Any]]:
    command = [sys.executable, "-m", "tests.faults.rebuild_child", str(settings.data.directory), failpoints]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    return ended.returncode, json.loads(ended.stdout or "{}")


async def _unfinished(settings: Settings) -> bool:
    async with open_stores(settings) as stores:
        return await stores.metadata.replay.unfinished() is not None


def test_f1_a_rebuild_that_was_killed_goes_on(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Until it is finished nothing serves from the database; what the first run left out is not forgotten (F1)."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))
    whole_code, whole = _rebuild(settings)
    expected = asyncio.run(picture_of(database_of(settings)))
    assert (whole_code, len(whole["losses"]) > 0) == (1, True)

    for failpoint, turn, may_be_unsure in (
        (Failpoint.UNIT_AFTER_COMMIT, 2, True),
        (Failpoint.UNIT_BEFORE_COMMIT, 3, False),
        (Failpoint.REBUILD_UNIT_COMMITTED, 1, True),
        (Failpoint.REBUILD_UNIT_COMMITTED, 4, True),
    ):
        with subtests.test(f"{failpoint}:{turn}"):
            shutil.rmtree(settings.data.directory / "metadata")
            assert _rebuild(settings, f"{failpoint}:{turn}")[0] == -signal.SIGKILL
            assert asyncio.run(_unfinished(settings))

            code, report = _rebuild(settings)

            assert (code, report["resumed"]) == (1, True)
            assert asyncio.run(picture_of(database_of(settings))) == expected
            unsure = [spot for spot in report["spots"] if "interrupted" in spot["key"]]
            assert (report["losses"] == whole["losses"] and not unsure) or (may_be_unsure and unsure)


def _add_rival(settings: Settings) -> tuple[Path, str]:
    """Write other facts under the last numbers of the first unit, and return the file and how they are told of."""
    (segment,) = segments_of(settings)
    lines = segment.read_bytes().splitlines(keepends=True)[2:4]
    first, last = (json.loads(line)["sequence"] for line in lines)
    rival = segment.with_name(f"{first:020d}-{last:020d}")
    rival.write_bytes(b"".join(lines).replace(b'"repository":"', b'"repository":"else/'))
    return rival, f"facts {first}-{last} than"


def test_f1_f47_two_histories_are_told_after_a_kill(tmp_path: Path, subtests: pytest.Subtests) -> None:
    """Once, by the run that goes on behind them; a rival that was moved away since left a mixture all the same."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))
    rival, numbers = _add_rival(settings)
    for moved, expected in ((False, numbers), (True, "when this rebuild began")):
        with subtests.test(moved=moved):
            shutil.rmtree(settings.data.directory / "metadata", ignore_errors=True)
            assert _rebuild(settings, f"{Failpoint.UNIT_BEFORE_COMMIT}:3")[0] == -signal.SIGKILL
            if moved:
                rival.unlink()

            code, report = _rebuild(settings)

            assert (code, report["resumed"]) == (1, True)
            (reason,) = [spot["reason"] for spot in report["spots"]]
            assert report["spots"][0]["key"].endswith(rival.name)
            assert expected in reason
            assert "two databases wrote under one name" in reason


def test_f1_the_report_of_a_finished_rebuild_outlives_a_kill(tmp_path: Path) -> None:
    """Killed after its last unit, it has told what was left out in a file, and the registry can be served (F1)."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))

    assert _rebuild(settings, Failpoint.REBUILD_FINISHED)[0] == -signal.SIGKILL

    report = json.loads((settings.data.directory / "rebuild" / "report.json").read_text())
    assert [loss["digest"] for loss in report["losses"]].count(str(Digest.of_bytes(_DAMAGED))) == 2
    assert not asyncio.run(_unfinished(settings))
    assert _rebuild(settings)[0] == 1
