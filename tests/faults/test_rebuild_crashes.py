"""F1: a rebuild is killed between its units; run again, it comes to the same database and the same report."""

from __future__ import annotations

import asyncio
import json
import shutil
import signal
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

from entrepot.bootstrap import open_stores
from entrepot.kernel.failpoints import Failpoint
from entrepot.oci.digest import Digest
from entrepot.settings import metadata_path, storage_root
from tests.asgi.history import live_through_everything, picture_of
from tests.asgi.services import in_process_registry, scratch_settings
from tests.asgi.small_images import image, push_blobs, put
from tests.integration.rebuilding import (
    compact,
    copy_database,
    database_of,
    lose_database,
    rebuild,
    restore_database,
    segments_of,
    unsealed,
)

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

_DAMAGED = image(annotations={"n": "1"})


async def _make(settings: Settings, newest: Path | None = None) -> None:
    """Make a registry with a damaged manifest, and lose its database; a copy of it may be kept."""
    async with in_process_registry(settings) as registry:
        await live_through_everything(registry.client)
        await compact(registry.stores)
    for file in storage_root(settings).glob(f"manifests/sha256/*/{Digest.of_bytes(_DAMAGED).hex}/*"):
        file.write_bytes(b"{}")
    if newest is not None:
        copy_database(settings, newest)
    lose_database(settings)


def _rebuild(settings: Settings, failpoints: str = "", *options: str) -> tuple[int, dict[str, Any]]:
    data = str(settings.data.directory)
    command = [sys.executable, "-m", "tests.faults.rebuild_child", data, failpoints, *options]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, timeout=110)
    return ended.returncode, json.loads(ended.stdout or "{}")


def _go_on(settings: Settings, *options: str) -> tuple[int, dict[str, Any]]:
    """Rebuild in this process, which is not to die."""
    return asyncio.run(rebuild(settings, *options))


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

    for failpoint, turn in (
        (Failpoint.UNIT_AFTER_COMMIT, 2),
        (Failpoint.UNIT_BEFORE_COMMIT, 3),
        (Failpoint.REBUILD_UNIT_COMMITTED, 1),
        (Failpoint.REBUILD_UNIT_COMMITTED, 4),
    ):
        with subtests.test(f"{failpoint}:{turn}"):
            shutil.rmtree(settings.data.directory / "metadata")
            assert _rebuild(settings, f"{failpoint}:{turn}")[0] == -signal.SIGKILL
            assert asyncio.run(_unfinished(settings))

            code, report = _rebuild(settings)

            assert (code, report["resumed"]) == (1, True)
            assert asyncio.run(picture_of(database_of(settings))) == expected
            assert (report["losses"], report["lost_tags"]) == (whole["losses"], whole["lost_tags"])
            assert (report["spots"], report["facts"]) == ([], whole["facts"])


def _add_rival(settings: Settings) -> tuple[Path, str]:
    """Write other facts under the last numbers of the first unit, and return the file and how they are told of."""
    (segment,) = segments_of(settings)
    lines = segment.read_bytes().splitlines(keepends=True)[2:4]
    first, last = (json.loads(line)["sequence"] for line in lines)
    rival = segment.with_name(f"{first:020d}-{last:020d}")
    rival.write_bytes(unsealed(b"".join(lines)).replace(b'"repository":"', b'"repository":"else/'))
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


def test_f1_the_report_of_a_finished_rebuild_outlives_a_kill(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Killed after its last unit, the registry can be served, and the next run prints what was left out (F1)."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))

    assert _rebuild(settings, Failpoint.REBUILD_FINISHED)[0] == -signal.SIGKILL

    report = _report(settings)
    assert [loss["digest"] for loss in report["losses"]].count(str(Digest.of_bytes(_DAMAGED))) == 2
    assert not asyncio.run(_unfinished(settings))
    capfd.readouterr()
    assert _go_on(settings, "--catch-up") == (1, report)
    assert "the last run came to its end, and was killed" in capfd.readouterr().err
    assert _report(settings) == report
    assert _go_on(settings, "--catch-up")[0] == 0  # told once, it is this run's turn
    assert (_work_files(settings), _report(settings)["losses"]) == ([], [])


def _report(settings: Settings) -> dict[str, Any]:
    report: dict[str, Any] = json.loads((settings.data.directory / "rebuild" / "report.json").read_text())
    return report


def test_f1_another_database_is_not_told_what_a_finished_run_left_out(tmp_path: Path) -> None:
    """It was killed before it said so, and the database is an older copy by now: that one is brought up to date."""
    settings = scratch_settings(tmp_path / "data")
    _make_older(settings, tmp_path / "older")
    assert _rebuild(settings, Failpoint.REBUILD_FINISHED, "--catch-up")[0] == -signal.SIGKILL
    restore_database(settings, tmp_path / "older")

    code, report = _go_on(settings, "--catch-up")

    assert (code, report) == (1, _report(settings))
    assert (report["resumed"], report["applied"] > 0, len(report["lost_tags"]) > 0) == (False, True, True)


@pytest.mark.parametrize("killed", ["rebuild", "catch-up"])
def test_f1_a_command_that_is_refused_leaves_what_an_interrupted_run_left_out(
    tmp_path: Path, killed: str
) -> None:
    """The other of the two commands was typed by mistake before the run was gone on with."""
    settings = scratch_settings(tmp_path / "data")
    _make_older(settings, tmp_path / "older")
    right, wrong = ((), ("--catch-up",)) if killed == "rebuild" else (("--catch-up",), ())
    if killed == "rebuild":
        lose_database(settings)
    assert _rebuild(settings, f"{Failpoint.REBUILD_UNIT_COMMITTED}:4", *right)[0] == -signal.SIGKILL

    assert _go_on(settings, *wrong) == (1, {})

    code, report = _go_on(settings, *right)
    assert (code, report["resumed"], report["spots"]) == (1, True, [])
    assert str(Digest.of_bytes(_DAMAGED)) in {loss["digest"] for loss in report["losses"]}


def _work_files(settings: Settings) -> list[Path]:
    return sorted((settings.data.directory / "rebuild").glob("work.db*"))


def test_f1_what_nobody_knows_any_more_is_told_after_a_kill(tmp_path: Path) -> None:
    """The scratch file went with the disk it lay on: what the first run left out is left to a rehearsal to tell."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))
    assert _rebuild(settings, f"{Failpoint.REBUILD_UNIT_COMMITTED}:4")[0] == -signal.SIGKILL
    for file in _work_files(settings):
        file.unlink()

    code, report = _go_on(settings)

    ((key, reason),) = [(spot["key"], spot["reason"]) for spot in report["spots"]]
    assert (code, key) == (1, "the run that was interrupted")
    assert "entrepot rebuild --dry-run names all" in reason
    lost = {loss["digest"] for loss in _go_on(settings, "--dry-run")[1]["losses"]}
    assert lost > {loss["digest"] for loss in report["losses"]}


def _make_older(settings: Settings, copy: Path, newest: Path | None = None) -> None:
    """Let the database be a copy from before everything but one image; of what came later a manifest is damaged."""

    async def live() -> None:
        async with in_process_registry(settings) as registry:
            await push_blobs(registry.client)
            await put(registry.client, "before", image(annotations={"n": "before"}))
            await compact(registry.stores)
        copy_database(settings, copy)

    asyncio.run(live())
    asyncio.run(_make(settings, newest))
    shutil.copytree(copy, metadata_path(settings).parent)


def test_f1_a_catch_up_that_was_killed_tells_all_that_it_left_out(
    tmp_path: Path, subtests: pytest.Subtests
) -> None:
    """Whenever it was killed, the run that goes on tells the same as one that was not; the next one has nothing to."""
    settings = scratch_settings(tmp_path / "data")
    _make_older(settings, tmp_path / "older")
    whole_code, whole = _go_on(settings, "--catch-up")
    expected = asyncio.run(picture_of(database_of(settings)))
    assert (whole_code, len(whole["lost_tags"]) > 0) == (1, True)

    for failpoint, turn in (
        (Failpoint.UNIT_BEFORE_COMMIT, 3),
        (Failpoint.REBUILD_UNIT_COMMITTED, 4),
    ):
        with subtests.test(f"{failpoint}:{turn}"):
            restore_database(settings, tmp_path / "older")
            assert _rebuild(settings, f"{failpoint}:{turn}", "--catch-up")[0] == -signal.SIGKILL

            code, report = _go_on(settings, "--catch-up")

            assert (code, report["resumed"], report["spots"]) == (1, True, [])
            assert (report["losses"], report["lost_tags"]) == (whole["losses"], whole["lost_tags"])
            assert asyncio.run(picture_of(database_of(settings))) == expected
    code, report = _go_on(settings, "--catch-up")
    assert (code, report["resumed"], report["losses"]) == (0, False, [])


def test_f1_another_run_s_scratch_file_accuses_no_catch_up(tmp_path: Path) -> None:
    """Neither one of a whole rebuild that was killed, nor that of a database that was replaced since."""
    settings = scratch_settings(tmp_path / "data")
    _make_older(settings, tmp_path / "older", tmp_path / "newest")
    for options in (("--catch-up",), ()):
        if not options:
            lose_database(settings)
        assert _rebuild(settings, f"{Failpoint.REBUILD_UNIT_COMMITTED}:4", *options)[0] == -signal.SIGKILL
        assert _work_files(settings)
        restore_database(settings, tmp_path / "newest")

        code, report = _go_on(settings, "--catch-up")

        assert (code, report["resumed"], report["losses"], report["lost_tags"]) == (0, False, [], [])


def _split(settings: Settings, last: int = 3) -> Path:
    """Let the second fact and those behind it, up to another, lie in a file of their own, and return that."""
    (segment,) = segments_of(settings)
    lines = segment.read_bytes().splitlines(keepends=True)
    for part in (lines[:1], lines[1:last], lines[last:]):
        first, last = (json.loads(line)["sequence"] for line in (part[0], part[-1]))
        segment.with_name(f"{first:020d}-{last:020d}").write_bytes(b"".join(part))
    segment.unlink()
    return segments_of(settings)[1]


def test_f1_a_file_of_the_journal_that_comes_back_behind_a_kill_is_not_passed_over(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its facts belong before what is there already: the rebuild has to begin again, and says so."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))
    whole = _go_on(settings)[1]
    part = _split(settings)
    away = part.rename(tmp_path / "away")
    lose_database(settings)
    assert _rebuild(settings, f"{Failpoint.REBUILD_UNIT_COMMITTED}:2")[0] == -signal.SIGKILL
    away.rename(part)

    code, report = _go_on(settings)

    assert (code, report) == (1, {})
    assert "files of it have come back since" in capfd.readouterr().err
    assert asyncio.run(_unfinished(settings))
    lose_database(settings)
    assert _go_on(settings)[1]["losses"] == whole["losses"]


def test_f1_a_file_that_was_away_for_one_run_only_is_no_more_than_was_replayed(tmp_path: Path) -> None:
    """It was replayed before, missed by a run that was killed as well, and is there again."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))
    whole = _go_on(settings)[1]
    expected = asyncio.run(picture_of(database_of(settings)))
    part = _split(settings)
    lose_database(settings)
    assert _rebuild(settings, f"{Failpoint.REBUILD_UNIT_COMMITTED}:2")[0] == -signal.SIGKILL
    away = part.rename(tmp_path / "away")
    assert _rebuild(settings, Failpoint.REBUILD_UNIT_COMMITTED)[0] == -signal.SIGKILL
    away.rename(part)

    code, report = _go_on(settings)

    assert (code, report["resumed"], report["losses"]) == (1, True, whole["losses"])
    assert asyncio.run(picture_of(database_of(settings))) == expected


def test_f1_a_catch_up_that_was_killed_brings_what_needed_the_facts_that_came_back(tmp_path: Path) -> None:
    """The index that a rebuild left out for want of an image: the image came back before the kill, it comes after."""
    settings = scratch_settings(tmp_path / "data")

    async def live() -> None:
        async with in_process_registry(settings) as registry:
            await live_through_everything(registry.client)
            await compact(registry.stores)

    asyncio.run(live())
    expected = asyncio.run(picture_of(database_of(settings)))["tags"]
    part = _split(settings, 5)
    away = part.rename(tmp_path / "away")
    lose_database(settings)
    assert len(_go_on(settings)[1]["lost_tags"]) == 1
    away.rename(part)
    assert _rebuild(settings, Failpoint.REBUILD_UNIT_COMMITTED, "--catch-up")[0] == -signal.SIGKILL
    assert len(asyncio.run(picture_of(database_of(settings)))["tags"]) < len(expected)

    code, report = _go_on(settings, "--catch-up")

    assert (code, report["resumed"]) == (0, True)
    assert asyncio.run(picture_of(database_of(settings)))["tags"] == expected


def test_f1_numbers_that_no_fact_has_are_told_after_a_kill(tmp_path: Path) -> None:
    """They may be those of a file that is gone, and lie before what the first run did."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))
    part = _split(settings)
    first, last = map(int, part.name.split("-"))
    part.unlink()
    assert _rebuild(settings, f"{Failpoint.REBUILD_UNIT_COMMITTED}:2")[0] == -signal.SIGKILL

    _, report = _go_on(settings)

    (gaps,) = report["gaps"]
    assert (report["resumed"], gaps["count"], gaps["longest"]) == (True, last - first + 1, [[first, last]])


def _split_each(settings: Settings) -> list[Path]:
    """Let each fact lie in a file of its own, and return those."""
    (segment,) = segments_of(settings)
    lines = segment.read_bytes().splitlines(keepends=True)
    segment.unlink()
    for line in lines:
        number = json.loads(line)["sequence"]
        segment.with_name(f"{number:020d}-{number:020d}").write_bytes(line)
    return segments_of(settings)


@pytest.mark.parametrize("ancestors", [0, 1])
def test_f1_a_file_that_comes_back_while_another_goes_away_is_not_passed_over(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], ancestors: int
) -> None:
    """It tells of as many facts, but of other ones; also where they are another database's, which records none."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))
    files = _split_each(settings)
    own = files[0].parent.parent
    if ancestors:
        shutil.copytree(own, own.with_name("0" * 32))
    names = ["0" * 32] * ancestors + [own.name]
    wanted = [word for name in names for word in ("--incarnation", name)]
    folder = own.with_name(names[0]) / "segments"
    one, other = (folder / file.name for file in files[1:3])
    away = one.rename(tmp_path / "away")
    assert _rebuild(settings, f"{Failpoint.REBUILD_UNIT_COMMITTED}:2", *wanted)[0] == -signal.SIGKILL
    away.rename(one)
    other_away = other.rename(tmp_path / "other")

    assert _go_on(settings, *wanted) == (1, {})

    assert "come back since" in capfd.readouterr().err
    one.rename(tmp_path / "away")
    other_away.rename(other)
    assert _go_on(settings, *wanted)[1]["resumed"]


def test_f1_a_file_that_is_replaced_behind_a_kill_is_told_of_as_another_history(tmp_path: Path) -> None:
    """What it told of is in the database, and what it tells of now is not (F47)."""
    settings = scratch_settings(tmp_path / "data")
    asyncio.run(_make(settings))
    file = _split_each(settings)[1]
    assert _rebuild(settings, f"{Failpoint.REBUILD_UNIT_COMMITTED}:2")[0] == -signal.SIGKILL
    file.write_bytes(unsealed(file.read_bytes()).replace(b'"repository":"', b'"repository":"else/'))

    code, report = _go_on(settings)

    (spot,) = report["spots"]
    assert (code, spot["key"].endswith(file.name)) == (1, True)
    assert "than the database: two databases wrote under one name" in spot["reason"]
