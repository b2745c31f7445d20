"""Checkpoints of a clock that was ahead take no proof from later ones nor call an export cut, on both engines (F27)."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from entrepot.audit.checkpoint_format import CheckpointContent
from entrepot.audit.checkpoints import Checkpoints
from entrepot.audit.export import AuditExport
from entrepot.audit.export_format import ExportHeader
from entrepot.audit.export_verification import verify_export
from entrepot.audit.proof import FaultKind
from entrepot.audit.sealer import Sealer
from entrepot.audit.signed_end import SignedEnd
from entrepot.auth.host import host_system_grant
from entrepot.auth.system_actions import ExportAuditLog
from entrepot.metadata.audit_store import END_OF_TIME, ChainState
from tests.drivers.metadata.forged_rows import go_back_to
from tests.drivers.metadata.verified_while import Passing
from tests.running.audit_material import DAY, KeyInMemory, pull_record, sign_days_ago, signed_anew

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.audit_store import CheckpointRow
    from entrepot.metadata.store import Metadata
    from tests.drivers.metadata.raw_database import RawDatabase

_KEY = KeyInMemory()
_FAR = 4_102_444_800_000
"""In 2100."""


async def _add(metadata: Metadata, count: int, at: int | None = None) -> None:
    records = [msgspec.structs.replace(pull_record(number), at_milliseconds=at) for number in range(count)]
    await metadata.write(lambda tx: tx.audit.extend(records))
    await Sealer(metadata).run()


async def _export(
    metadata: Metadata, directory: Path, until: int = END_OF_TIME, key: KeyInMemory = _KEY
) -> list[bytes]:
    checkpoints = Checkpoints(metadata, key, directory)
    export = AuditExport(metadata, SignedEnd(Sealer(metadata), checkpoints, key))
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, until)
    return [line + b"\n" async for line in export.lines(begun)]


def _ahead(metadata: Metadata, days: float) -> Any:
    """Return the store as one whose database's clock is so many days ahead."""
    store, audit, diagnosis = Passing(metadata), Passing(metadata.audit), Passing(metadata.diagnosis)

    async def chain() -> ChainState | None:
        found = await metadata.audit.chain()
        return None if found is None else replace(found, now=found.now + int(days * DAY))

    async def clock() -> int:
        return await metadata.diagnosis.clock_milliseconds() + int(days * DAY)

    vars(store).update(audit=audit, diagnosis=diagnosis)
    vars(audit)["chain"], vars(diagnosis)["clock_milliseconds"] = chain, clock
    return store


def _move_node(monkeypatch: pytest.MonkeyPatch, minutes: int) -> None:
    """Set the clock of the process."""
    moved = time.time_ns() + minutes * 60_000_000_000  # noqa: TID251  # what the node's clock says
    monkeypatch.setattr(time, "time_ns", lambda: moved)


def _faults(lines: list[bytes], kept: list[CheckpointRow]) -> list[tuple[FaultKind, int]]:
    return [(fault.kind, fault.sequence) for fault in verify_export(lines, kept, [_KEY.public_key]).faults]


async def _kept(metadata: Metadata) -> list[CheckpointRow]:
    return list(await metadata.audit.checkpoints(1, 100))


@pytest.mark.parametrize("ahead", [400, 2, 1 / 24])
@pytest.mark.parametrize("bounded", [False, True])
async def test_an_older_copy_is_found_by_what_was_signed_after_the_clock_was_put_right_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, ahead: float, bounded: bool
) -> None:
    """Also by who asks for the times until then, and though the copy's newest checkpoint is dated ahead."""
    await _add(metadata, 4)
    await sign_days_ago(metadata, _KEY, 4, -ahead)
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    kept = await _kept(metadata)
    await go_back_to(database, 4)
    until = (await metadata.diagnosis.clock_milliseconds()) + DAY // 48 if bounded else END_OF_TIME

    lines = await _export(metadata, tmp_path, until)

    assert [one.sequence for one in kept] == [4, 6]
    assert _faults(lines, kept) == [(FaultKind.TRUNCATED, 4)]


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize("minutes", [-5, 0.02, 30, 8 * 24 * 60])
async def test_an_older_copy_is_found_when_the_time_that_a_clock_once_showed_is_over_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, minutes: float, bounded: bool
) -> None:
    """By all that was signed after the clock was put right, though a moment ahead goes before it, in which it ends."""
    now = await metadata.diagnosis.clock_milliseconds()
    await _add(metadata, 4, now - 11 * DAY)
    await sign_days_ago(metadata, _KEY, 4, minutes / 1440)
    await _add(metadata, 4)
    for sequence, days in ((6, 10), (8, 9.5)):
        await sign_days_ago(metadata, _KEY, sequence, days)
    kept = await _kept(metadata)
    await go_back_to(database, 4)

    lines = await _export(metadata, tmp_path, now - 9 * DAY if bounded else END_OF_TIME)

    assert _faults(lines, kept) == [(FaultKind.TRUNCATED, 4)]
    assert _faults(lines, kept[:2]) == [(FaultKind.TRUNCATED, 4)]


@pytest.mark.parametrize("days_until_put_back", [2, 0])
async def test_only_the_clock_of_a_node_bears_out_that_the_databases_was_ahead_f27(
    metadata: Metadata,
    database: RawDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    days_until_put_back: int,
) -> None:
    """Who owns the database dates one checkpoint ahead, and exports a copy of before when that time comes.

    While the clock of the node shows that time as well, as where both are one, nobody can tell what was first.
    """
    now = await metadata.diagnosis.clock_milliseconds()
    await _add(metadata, 3, now - 4 * DAY)
    await sign_days_ago(metadata, _KEY, 3, 3)
    await _add(metadata, 2)
    then = time.time_ns() - days_until_put_back * DAY * 1_000_000  # noqa: TID251  # what the node's clock says
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: then)
        assert await Checkpoints(_ahead(metadata, 5 / 1440), _KEY, tmp_path / "a").run(0)
    await _add(metadata, 2)
    await sign_days_ago(metadata, _KEY, 7, 1)
    kept = await _kept(metadata)
    await go_back_to(database, 5)

    lines = await _export(metadata, tmp_path / "b", now - DAY // 2)

    assert [one.sequence for one in kept] == [3, 5, 7]
    assert _faults(lines, kept) == ([(FaultKind.TRUNCATED, 5)] if days_until_put_back else [])


async def test_an_older_copy_is_found_though_the_databases_clock_is_moved_far_for_the_export_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """More than a week ahead of the node's clock, by which what was signed a moment before was over."""
    await _add(metadata, 4)
    await sign_days_ago(metadata, _KEY, 4, -20)
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    kept = await _kept(metadata)
    await go_back_to(database, 4)

    lines = await _export(_ahead(metadata, 25), tmp_path)

    assert [one.sequence for one in kept] == [4, 6]
    assert _faults(lines, kept) == [(FaultKind.TRUNCATED, 4)]


@pytest.mark.parametrize("days", [6.6, 0.1, -60])
async def test_an_older_copy_is_found_though_the_databases_clock_is_moved_for_the_export_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    """Who owns the database moved it once before, too; the clocks of the nodes that signed are not his."""
    await _add(metadata, 3)
    assert await Checkpoints(_ahead(metadata, 6.5 if days > 1 else 0.09), _KEY, tmp_path).run(0)
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    kept = await _kept(metadata)
    await go_back_to(database, 3)
    an_hour_later = time.time_ns() + DAY * 1_000_000 // 24  # noqa: TID251  # what the node's clock says
    monkeypatch.setattr(time, "time_ns", lambda: an_hour_later)

    lines = await _export(_ahead(metadata, days), tmp_path)

    assert _faults(lines, kept) == [(FaultKind.TRUNCATED, 3)]


@pytest.mark.parametrize("bounded", [False, True])
@pytest.mark.parametrize(("ahead", "later_by_node", "later"), [(43_200, 20, 20), (30, 20, 20), (9, 12, 7)])
async def test_an_older_copy_is_found_though_what_it_lacks_was_signed_while_the_databases_clock_was_ahead_i11(
    metadata: Metadata,
    database: RawDatabase,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    ahead: int,
    later_by_node: int,
    later: int,
    bounded: bool,
) -> None:
    """Who owns the database set it so, by these minutes; the clocks of the nodes, which are not his, were right."""
    await _add(metadata, 3)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    await _add(metadata, 2)
    assert await Checkpoints(_ahead(metadata, ahead / 1440), _KEY, tmp_path).run(0)
    kept = await _kept(metadata)
    await go_back_to(database, 3)
    until = await metadata.diagnosis.clock_milliseconds() + DAY // 96 if bounded else END_OF_TIME
    _move_node(monkeypatch, later_by_node)

    lines = await _export(_ahead(metadata, later / 1440), tmp_path, until)

    (cut,) = verify_export(lines, kept, [_KEY.public_key]).faults
    assert (cut.kind, cut.sequence) == (FaultKind.TRUNCATED, 3)


@pytest.mark.parametrize("minutes", [15, 2880])
async def test_what_a_node_whose_clock_is_behind_signs_after_an_export_is_not_missing_in_it_f27(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int
) -> None:
    """All checkpoints from there on show that; without one of them the doubt is told."""
    await _add(metadata, 3)
    lines = await _export(metadata, tmp_path)
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    await _add(metadata, 2)
    _move_node(monkeypatch, -minutes)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    kept = await _kept(metadata)

    assert [one.sequence for one in kept] == [3, 6, 8]
    assert _faults(lines, kept) == []
    (cut,) = verify_export(lines, [kept[0], kept[2]], [_KEY.public_key]).faults
    assert (cut.kind, cut.sequence) == (FaultKind.TRUNCATED, 3)
    assert "Or a clock was wrong" in cut.message


@pytest.mark.parametrize(("database_by", "node_by"), [(120, 0), (0, -120), (0, -60 * 24 * 400)])
async def test_an_export_reaches_what_was_signed_before_its_end_by_whichever_of_two_clocks_f27(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, database_by: int, node_by: int
) -> None:
    """The records are dated behind that end, so nothing but their checkpoint tells that they belong there."""
    now = await metadata.diagnosis.clock_milliseconds()
    await _add(metadata, 3, now)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    await _add(metadata, 2, now + DAY)
    with monkeypatch.context() as patched:
        _move_node(patched, node_by)
        assert await Checkpoints(_ahead(metadata, database_by / 1440), _KEY, tmp_path).run(0)
    until = now + (DAY // 48 if database_by else -DAY // 24)
    _move_node(monkeypatch, 60)

    lines = await _export(_ahead(metadata, 1 / 24), tmp_path, until)

    assert msgspec.json.decode(lines[0], type=ExportHeader).last == 5
    assert _faults(lines, await _kept(metadata)) == []


async def test_an_export_that_a_node_with_another_clock_signed_the_end_for_shows_its_own_f27(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Right behind that checkpoint it is dated, but when it was begun by its own clock that one does not tell."""
    signed_end = SignedEnd(Sealer(metadata), Checkpoints(metadata, _KEY, tmp_path), _KEY)

    class EndOfAnother(SignedEnd):
        async def sign(self) -> str:
            if await metadata.audit.last_checkpoint() is not None:
                return await signed_end.sign()
            with monkeypatch.context() as patched:
                _move_node(patched, -60)
                return await signed_end.sign()

    await _add(metadata, 3)
    end = EndOfAnother(Sealer(metadata), Checkpoints(metadata, _KEY, tmp_path), _KEY)
    export = AuditExport(metadata, end)
    begun = await export.begin(host_system_grant(ExportAuditLog), 0, END_OF_TIME)
    lines = [line + b"\n" async for line in export.lines(begun)]
    await _add(metadata, 2)
    _move_node(monkeypatch, -60)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)

    kept = await _kept(metadata)
    assert [one.sequence for one in kept] == [3, 4, 6]
    assert _faults(lines, kept) == []


@pytest.mark.parametrize("node_is_ahead", [False, True])
@pytest.mark.parametrize("days", [5, 400])
async def test_an_export_from_when_the_clock_was_ahead_stays_sound_f27(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: int, node_is_ahead: bool
) -> None:
    """What is signed after the clock was put right was not there, though it has an earlier time."""
    await _add(metadata, 3)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    await _add(metadata, 2)
    with monkeypatch.context() as patched:
        if node_is_ahead:
            now = time.time_ns()  # noqa: TID251  # what the node's clock says
            patched.setattr(time, "time_ns", lambda: now + days * DAY * 1_000_000)
        lines = await _export(_ahead(metadata, days), tmp_path)
    until_soon = await metadata.diagnosis.clock_milliseconds() + DAY
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)

    kept = await _kept(metadata)
    assert [one.sequence for one in kept] == [3, 5, 8]
    assert kept[1].at > until_soon > kept[2].at
    assert _faults(lines, kept) == []


@pytest.mark.parametrize("days", [1 / 24, 5])
async def test_an_export_of_a_log_that_was_quiet_while_the_clock_was_ahead_stays_sound_f27(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, days: float
) -> None:
    """That an export was made is signed as well, which shows the time that the clock had then."""
    await _add(metadata, 3)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    now = time.time_ns()  # noqa: TID251  # what the node's clock says
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: now + int(days * DAY) * 1_000_000)
        lines = await _export(_ahead(metadata, days), tmp_path)
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)

    kept = await _kept(metadata)
    assert [one.sequence for one in kept] == [3, 4, 6]
    assert _faults(lines, kept) == []
    (cut,) = verify_export(lines, [kept[0], kept[2]], [_KEY.public_key]).faults
    assert (cut.kind, cut.sequence) == (FaultKind.TRUNCATED, 3)


@pytest.mark.parametrize("is_signed_before", [False, True])
async def test_an_export_for_which_nothing_was_new_stays_sound_whatever_is_the_newest_checkpoint_f27(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, is_signed_before: bool
) -> None:
    """None at all, or one from when the clock was further ahead than it still is."""
    if is_signed_before:
        await _add(metadata, 3)
        assert await Checkpoints(_ahead(metadata, 4), _KEY, tmp_path).run(0)
    now = time.time_ns()  # noqa: TID251  # what the node's clock says
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: now + DAY // 24 * 1_000_000)
        lines = await _export(_ahead(metadata, 1 / 24), tmp_path)
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)

    kept = await _kept(metadata)
    assert [one.sequence for one in kept] == ([3, 4, 6] if is_signed_before else [1, 3])
    assert _faults(lines, kept) == []


@pytest.mark.parametrize("ahead", [0, 60_000, 3_600_000])
@pytest.mark.parametrize("is_their_key_known", [True, False])
async def test_what_an_older_copy_signs_as_it_goes_on_excuses_nothing_i11(
    metadata: Metadata, database: RawDatabase, tmp_path: Path, ahead: int, is_their_key_known: bool
) -> None:
    """Its times are later than those of what it lacks, and its places earlier, as where a clock was put back."""
    await _add(metadata, 5)
    assert await Checkpoints(metadata, _KEY, tmp_path / "a").run(0)
    for _ in range(3):
        await _add(metadata, 7)
        assert await Checkpoints(metadata, _KEY, tmp_path / "a").run(0)
    kept = await _kept(metadata)
    await go_back_to(database, 5)
    theirs = _KEY if is_their_key_known else KeyInMemory()
    await _add(metadata, 1)
    assert await Checkpoints(_ahead(metadata, ahead / DAY), theirs, tmp_path / "b").run(0)
    await _export(metadata, tmp_path / "b", key=theirs)

    lines = await _export(metadata, tmp_path / "b", key=theirs)

    trusted = [_KEY.public_key] if is_their_key_known else []
    verdict = verify_export(lines, kept, trusted)
    assert [one.sequence for one in kept] == [5, 12, 19, 26]
    assert [(fault.kind, fault.sequence) for fault in verdict.faults] == [(FaultKind.TRUNCATED, 7)]


async def test_an_export_by_a_machine_whose_clock_is_wrong_tells_so_f25(
    metadata: Metadata, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which of the two clocks was wrong, nobody can know later; and so it does where it is taken for cut off."""
    await _add(metadata, 3)
    now = time.time_ns()  # noqa: TID251  # what the node's clock says
    with monkeypatch.context() as patched:
        patched.setattr(time, "time_ns", lambda: now + DAY * 1_000_000)
        lines = await _export(metadata, tmp_path)
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)

    (cut,) = verify_export(lines, await _kept(metadata), [_KEY.public_key]).faults

    assert msgspec.json.decode(lines[0], type=ExportHeader).clocks_apart // 1000 == pytest.approx(
        86_400, abs=600
    )
    assert cut.kind is FaultKind.TRUNCATED
    assert "Or the clock of the machine that made the export was wrong" in cut.message


async def test_no_time_that_somebody_writes_into_the_database_is_signed_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """Neither in a checkpoint nor in an export, which then prove as much as before."""
    await _add(metadata, 2)
    checkpoints = Checkpoints(metadata, _KEY, tmp_path)
    assert await checkpoints.run(0)
    (true,) = await _kept(metadata)
    await database.fetch(f"UPDATE audit_checkpoints SET at = {_FAR}")
    await _add(metadata, 2)
    assert await checkpoints.run(0)
    signed = msgspec.json.decode((await _kept(metadata))[1].signed, type=CheckpointContent)
    await database.fetch(f"UPDATE audit_checkpoints SET at = {_FAR}")
    header = msgspec.json.decode((await _export(metadata, tmp_path))[0])
    now = await metadata.diagnosis.clock_milliseconds()

    assert true.at <= signed.at <= now
    assert signed.at < header["made_at"] <= now + 1


async def test_how_an_older_program_dated_checkpoints_neither_hides_a_cut_nor_shows_one_f27(
    metadata: Metadata, database: RawDatabase, tmp_path: Path
) -> None:
    """It raised each above the one before, and an export above the newest: so they went on after a clock was ahead."""
    await _add(metadata, 4)
    await sign_days_ago(metadata, _KEY, 2, -400, node_says=False)
    newest = await sign_days_ago(metadata, _KEY, 4, -400, later=1000, node_says=False)
    lines = await signed_anew(await _export(metadata, tmp_path), _KEY, made_at=newest.at + 1, node_at=0)
    await _add(metadata, 2)
    assert await Checkpoints(metadata, _KEY, tmp_path).run(0)
    kept = await _kept(metadata)
    assert [one.sequence for one in kept] == [2, 4, 5, 7]
    assert _faults(lines, kept) == []

    await go_back_to(database, 4)
    cut = await signed_anew(await _export(metadata, tmp_path), _KEY, made_at=newest.at + 1)
    assert _faults(cut, kept) == [(FaultKind.TRUNCATED, 4)]
