"""The checks of ``entrepot doctor`` on what a node keeps: owners, speed, room, database, stores that fit together."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from contextlib import closing
from typing import TYPE_CHECKING

import msgspec
import pytest

from entrepot.kernel.process_identity import ProcessIdentity
from entrepot.metadata.diagnosis import RecentGrowth
from entrepot.metadata.outbox_store import Backlog
from entrepot.metadata.sql.engine_facts import EngineFacts
from entrepot.ops.checks import database as database_checks
from entrepot.ops.checks.database import (
    examine_database,
    judge_clock_skew,
    judge_durability,
    judge_journal,
    judge_lease_owners,
    judge_log_size,
)
from entrepot.ops.checks.directories import check_secret_files
from entrepot.ops.checks.forecast import check_free_files, judge_forecast, judge_free_files
from entrepot.ops.checks.ownership import check_ownership
from entrepot.ops.checks.storage_match import check_storage_match
from entrepot.ops.checks.suspicion import check_suspicion
from entrepot.ops.checks.sync_speed import check_sync_speed, judge_sync_speed, measure_syncs
from entrepot.ops.checks.times_ahead import TimeAhead, judge_times_ahead
from entrepot.ops.checks.verification import judge_verification
from entrepot.ops.doctor import examine_node
from entrepot.settings import (
    DataSettings,
    MetadataSettings,
    Secret,
    Settings,
    StorageSettings,
    load_settings,
    metadata_path,
)
from tests.asgi.services import in_process_registry, scratch_settings
from tests.drivers.metadata.material import fact

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Transaction

GIB = 1024**3
DAY = 86400


def settings_for(directory: Path) -> Settings:
    """Return defaults on a directory."""
    return Settings(data=DataSettings(directory=directory))


@pytest.mark.parametrize(
    ("seconds", "status"), [(0.0001, "ok"), (0.020, "ok"), (0.0201, "warn"), (3, "warn")]
)
def test_a_disk_that_is_slow_to_sync_warns(tmp_path: Path, seconds: float, status: str) -> None:
    assert judge_sync_speed(tmp_path, seconds).status == status


def test_syncs_are_measured_for_real_and_leave_nothing(tmp_path: Path) -> None:
    taken = measure_syncs(tmp_path)

    assert len(taken) == 20
    assert all(seconds > 0 for seconds in taken)
    assert list(tmp_path.iterdir()) == []
    assert "ms (median)" in check_sync_speed(settings_for(tmp_path)).message


def test_a_very_slow_disk_is_not_asked_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """F8: what takes seconds is known after one write."""
    clock = iter(range(0, 1000, 4))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))

    assert len(measure_syncs(tmp_path)) < 5


def test_no_sync_is_measured_where_nothing_lies(tmp_path: Path) -> None:
    remote = msgspec.structs.replace(
        settings_for(tmp_path),
        metadata=MetadataSettings(url=Secret("postgresql://h/d")),
        storage=StorageSettings(driver="s3"),
    )

    assert check_sync_speed(settings_for(tmp_path / "new")).status == "ok"
    assert "neither" in check_sync_speed(remote).message


def test_f7_a_disk_that_failed_to_flush_is_told_with_its_reason(tmp_path: Path) -> None:
    before = check_suspicion(settings_for(tmp_path))
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "storage-suspect").write_text("fdatasync of x failed: EIO", encoding="utf-8")

    after = check_suspicion(settings_for(tmp_path))

    assert before.status == "ok"
    assert (after.status, after.message) == ("fail", "the disk failed to flush: fdatasync of x failed: EIO")
    assert "smartctl" in after.remedy


def test_files_of_another_user_and_open_ones_are_found(tmp_path: Path) -> None:
    """What root's commands leave behind, and what anybody could change or read."""
    for name in ("run", "metadata", "storage"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "metadata" / "entrepot.db").touch(0o600)
    sound = check_ownership(settings_for(tmp_path))
    (tmp_path / "metadata" / "entrepot.db").chmod(0o644)
    readable = check_ownership(settings_for(tmp_path))
    (tmp_path / "metadata" / "entrepot.db").chmod(0o600)
    (tmp_path / "storage").chmod(0o777)
    writable = check_ownership(settings_for(tmp_path))

    assert sound.status == "ok"
    assert (readable.status, "entrepot.db is private but has mode 0644" in readable.message) == ("warn", True)
    assert (writable.status, "storage can be changed by everybody" in writable.message) == ("warn", True)
    assert "chown -R" in writable.remedy


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_files_that_belong_to_somebody_else_are_named_and_counted(tmp_path: Path) -> None:
    (tmp_path / "metadata").mkdir(mode=0o700)
    for number in range(5):
        (tmp_path / "metadata" / f"f{number}").touch(0o600)
        os.chown(tmp_path / "metadata" / f"f{number}", 12345, 12345)

    finding = check_ownership(settings_for(tmp_path))

    assert finding.status == "warn"
    assert "belongs to user 12345, not 0" in finding.message
    assert finding.message.endswith("and 2 more")


@pytest.mark.parametrize(
    ("free", "total", "status"),
    [
        (0, 1000, "fail"),
        (100, 16_000_000, "warn"),
        (9_000, 10_000, "ok"),
        (50_000, 16_000_000, "ok"),
        (0, 0, "ok"),
    ],
)
def test_f5_few_inodes_warn_and_none_fail(tmp_path: Path, free: int, total: int, status: str) -> None:
    assert judge_free_files(tmp_path, free, total).status == status
    assert check_free_files(settings_for(tmp_path)).check == "free-files"


@pytest.mark.parametrize(
    ("size_gib", "days_ago", "room_gib", "status", "said"),
    [
        (0, 5, 10, "ok", "no day of pushes"),
        (10, 0.5, 1, "ok", "no day of pushes"),
        (10, 5, 100, "ok", "room for 50 days"),
        (10, 5, 20, "warn", "refused in 10.0 days"),
        (10, 5, -1, "warn", "refused in 0.0 days"),
    ],
)
def test_room_is_foretold_from_the_pushes_of_the_last_days(
    size_gib: int, days_ago: float, room_gib: int, status: str, said: str
) -> None:
    now = 1_800_000_000_000
    growth = RecentGrowth(5, size_gib * GIB, now - int(days_ago * DAY * 1000))

    finding = judge_forecast(growth, now, room_gib * GIB)

    assert finding.status == status
    assert said in finding.message


@pytest.mark.parametrize(("seconds", "status"), [(0, "ok"), (-2, "ok"), (2.1, "warn"), (-3600, "warn")])
def test_f27_a_clock_that_is_not_the_database_s_warns(seconds: float, status: str) -> None:
    assert judge_clock_skew(seconds).status == status


@pytest.mark.parametrize(
    ("backlog", "running", "status"),
    [
        (Backlog(0, 0, 0), True, "ok"),
        (Backlog(3, 119_000, 0), True, "ok"),
        (Backlog(3, 600_000, 0), False, "ok"),
        (Backlog(3, 600_000, 0), True, "warn"),
    ],
)
def test_a_journal_that_falls_behind_warns_only_while_somebody_should_write_it(
    backlog: Backlog, running: bool, status: str
) -> None:
    assert judge_journal(backlog, running=running).status == status


def test_facts_dated_ahead_are_not_called_fresh_f27() -> None:
    """How long they have waited is not known, and the finding says so."""
    finding = judge_journal(Backlog(3, 0, 60_000), running=True)

    assert finding.status == "warn"
    assert "nobody knows since when" in finding.message
    assert judge_journal(Backlog(3, 0, 60_000), running=False).status == "ok"


def test_times_ahead_are_named_f27() -> None:
    """With what they date and how far ahead they lie."""
    finding = judge_times_ahead([TimeAhead("an orphan", 90.0), TimeAhead("the lease of an upload", 5e6)])

    assert finding.status == "warn"
    assert "an orphan by 90 s; the lease of an upload by 57.9 days" in finding.message
    assert judge_times_ahead([]).status == "ok"


def test_another_machine_under_our_id_is_noticed() -> None:
    """A copied data directory: leases under our id from another boot, while our registry runs."""
    ours = str(ProcessIdentity.of_this_process("node"))
    theirs = str(ProcessIdentity("node", 7, 8, "another-boot"))

    found = [
        judge_lease_owners("node", owners, running=running).status
        for owners, running in (([ours], True), ([ours, theirs], True), ([theirs], False), (["junk"], True))
    ]

    assert found == ["ok", "fail", "ok", "ok"]
    assert judge_lease_owners("", [], running=True).status == "ok"


@pytest.mark.parametrize(
    ("size", "running", "status"), [(GIB, True, "ok"), (GIB + 1, True, "warn"), (GIB + 1, False, "ok")]
)
def test_a_large_write_ahead_log_warns_while_the_registry_runs(size: int, running: bool, status: str) -> None:
    assert judge_log_size(size, running=running).status == status


@pytest.mark.parametrize(
    ("options", "status", "said"),
    [
        ({"fsync": "on", "synchronous_commit": "on", "standbys": "0"}, "ok", "keeps what it commits"),
        ({"fsync": "off", "synchronous_commit": "off"}, "warn", "fsync and synchronous_commit off"),
        ({"standbys": "1", "synchronous_standby_names": ""}, "warn", "none is synchronous"),
        ({"standbys": "1", "synchronous_standby_names": "*"}, "ok", "keeps"),
        ({"is_standby": "True"}, "fail", "a standby"),
    ],
)
def test_f16_a_database_that_may_lose_what_it_acknowledged_is_named(
    options: dict[str, str], status: str, said: str
) -> None:
    finding = judge_durability(EngineFacts("postgresql", "17.2", 1, {}, options))

    assert finding.status == status
    assert said in finding.message


def test_s27_a_file_with_a_secret_that_everybody_may_read_warns(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("postgresql://u:p@h/d", encoding="utf-8")
    environment = {"ENTREPOT_METADATA_URL_FILE": str(secret)}
    statuses: list[str] = []
    for mode in (0o600, 0o640, 0o644):
        secret.chmod(mode)
        loaded = load_settings(environment=environment, user_id=0, default_config_file=tmp_path / "none")
        statuses.append(check_secret_files(loaded, environment).status)

    assert statuses == ["ok", "ok", "warn"]


def test_nothing_is_asked_or_made_where_there_is_no_database(tmp_path: Path) -> None:
    settings = settings_for(tmp_path)

    assert list(examine_database(settings)) == []
    assert check_storage_match(settings).status == "ok"
    assert list(tmp_path.iterdir()) == []


def test_f47_a_store_without_its_database_is_noticed_before_a_start_makes_another(tmp_path: Path) -> None:
    (tmp_path / "storage" / "journal").mkdir(parents=True)
    empty = check_storage_match(settings_for(tmp_path))
    (tmp_path / "storage" / "journal" / "0123").mkdir()

    assert (empty.status, check_storage_match(settings_for(tmp_path)).status) == ("ok", "fail")


def _used(directory: Path) -> Settings:
    """Make a registry with a fact that is not in its journal."""
    settings = scratch_settings(directory)

    async def record(tx: Transaction) -> None:
        await tx.outbox.append(fact())

    async def use() -> None:
        async with in_process_registry(settings) as registry:
            await registry.stores.metadata.write(record)

    asyncio.run(use())
    return settings


def test_damage_that_stands_is_told_by_kind() -> None:
    finding = judge_verification({"missing": 2, "database-gap": 1})

    assert (finding.status, judge_verification({}).status) == ("warn", "ok")
    assert finding.message == "a verification or a rebuild left damage: 1 database-gap, 2 missing"


def test_a_sound_database_is_examined_and_left_alone(tmp_path: Path) -> None:
    settings = _used(tmp_path)
    before = sorted(str(path) for path in tmp_path.rglob("*") if not path.name.endswith(("-wal", "-shm")))

    findings = {finding.check: finding for finding in examine_database(settings)}

    assert sorted(findings) == [
        "checkpoints",
        "forecast",
        "journal",
        "node-id",
        "times-ahead",
        "verification",
        "wal",
    ]
    assert {finding.status for finding in findings.values()} == {"ok"}
    assert "1 changes are not in the journal yet" in findings["journal"].message
    assert check_storage_match(settings).status == "ok"
    after = sorted(str(path) for path in tmp_path.rglob("*") if not path.name.endswith(("-wal", "-shm")))
    assert after == before


def test_f47_a_log_that_was_put_aside_is_told_by_name(tmp_path: Path) -> None:
    settings = _used(tmp_path)
    path = metadata_path(settings)
    aside = path.with_name(f"{path.name}-wal.of-4096-1")
    aside.write_bytes(b"the newest units of another file")

    told = [finding for finding in examine_database(settings) if finding.status == "warn"]

    assert [(finding.check, str(aside) in finding.message) for finding in told] == [("wal", True)]
    assert "put it back by mv or cp -p" in told[0].remedy


def _always(_settings: Settings) -> bool:
    return True


def test_a_late_journal_is_told_with_its_age(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(database_checks, "_LATE_SECONDS", 0)
    monkeypatch.setattr(database_checks, "is_node_running", _always)

    findings = {finding.check: finding for finding in examine_database(_used(tmp_path))}

    assert findings["journal"].status == "warn"
    assert "the oldest for 0 min" in findings["journal"].message


def test_f47_a_journal_that_is_ahead_of_the_database_fails_with_what_to_do(tmp_path: Path) -> None:
    """As after a restore from an old copy: the store tells of what the database has not seen."""
    settings = _used(tmp_path)

    async def write_ahead() -> None:
        async with in_process_registry(settings) as registry:
            incarnation = await registry.stores.metadata.instance.incarnation()
            await registry.stores.blobs.put(f"journal/{incarnation}/entries/{99:020d}", b"{}")

    asyncio.run(write_ahead())

    finding = check_storage_match(settings)

    assert finding.status == "fail"
    assert "has not seen yet" in finding.message
    assert "Push nothing" in finding.remedy


def test_a_database_that_fails_is_asked_once(tmp_path: Path) -> None:
    """Where metadata can't be used, what depends on it is not asked again, and nothing else is hidden."""
    (tmp_path / "metadata").mkdir()
    (tmp_path / "metadata" / "entrepot.db").write_bytes(b"not a database, but long enough to look at " * 200)
    loaded = load_settings(
        environment={"ENTREPOT_DATA_DIRECTORY": str(tmp_path)},
        user_id=0,
        default_config_file=tmp_path / "none",
    )

    checks = {finding.check: finding.status for finding in examine_node(loaded)}

    assert checks["metadata"] == "fail"
    assert checks["blobs"] == "ok"
    assert not {"database", "journal", "storage-match"} & set(checks)


def test_what_a_clock_that_was_ahead_left_is_named_f27(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Every kind of time, as long as it lies ahead; the examination itself changes none of them."""
    monkeypatch.setattr(database_checks, "is_node_running", _always)
    settings = _used(tmp_path)
    ahead = 'CAST((julianday("now") - 2440587.5) * 86400000 AS INTEGER) + 441504000000'.replace('"', "'")
    with closing(sqlite3.connect(metadata_path(settings), isolation_level=None)) as connection:
        for name in ("orphans", "scrub", "backup"):
            connection.execute(
                f"INSERT INTO sweeps VALUES (?, ?, 1, {ahead}, {ahead})",
                (name, '{"completed_at_milliseconds": 9000000000000}'),
            )
        connection.execute(f"INSERT INTO orphans VALUES ('uploads/a', 1, {ahead})")
        connection.execute(f"UPDATE outbox SET at = {ahead}")

    findings = {finding.check: finding for finding in examine_database(settings)}

    told = findings["times-ahead"]
    assert told.status == "warn"
    assert [part.rpartition(" by ")[0] for part in told.message.partition(": ")[2].split("; ")] == [
        "the lease of the sweep backup",
        "the end of the last backup",
        "the lease of the sweep orphans",
        "the next turn of the sweep orphans",
        "the lease of the sweep scrub",
        "the next turn of the sweep scrub",
        "the end of the last scheduled verification",
        "an orphan",
        "a fact that waits for the journal",
    ]
    assert "nobody knows since when" in findings["journal"].message
    assert {finding.check: finding for finding in examine_database(settings)}["times-ahead"].status == "warn"
