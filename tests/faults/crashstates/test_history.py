"""The model of a power cut: what fsync makes certain, and what may become of the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import pytest

from tests.faults.crashstates.choices import (
    Thoroughness,
    choose,
    coverage,
    distinct_states,
    enumerate_states,
)
from tests.faults.crashstates.history import CrashState, Damage, DamageKind, History, Tree
from tests.faults.crashstates.operations import (
    AddEntry,
    Mark,
    Operation,
    OperationLog,
    RemoveEntry,
    Rename,
    Settle,
    SyncDirectory,
    SyncFile,
    Truncate,
    Write,
    read_operations,
)

if TYPE_CHECKING:
    from pathlib import Path

_ALL: Final = Thoroughness(all_subsets_up_to=12, samples=5, torn_writes=12, crashes=100)
_BEFORE: Final[list[Operation]] = [AddEntry(0, "plan", 1, is_directory=True), Settle()]
_WRITTEN: Final[list[Operation]] = [*_BEFORE, AddEntry(1, "a", 2), Write(2, 0, b"x" * 1024)]


def _trees(operations: list[Operation]) -> list[Tree]:
    """Return every tree that a crash after the last operation may leave."""
    history = History(operations, "plan")
    states = enumerate_states(history, _ALL, 1)
    return [history.tree(state) for state in states if state.length == len(operations)]


def test_without_a_sync_name_and_bytes_may_be_lost_apart() -> None:
    """A file may be gone, empty, torn, full of zeros or garbage, or whole."""
    trees = _trees([*_WRITTEN, Mark(b"told")])

    assert {} in trees
    assert {"a": b""} in trees
    assert {"a": b"x" * 1024} in trees
    assert {"a": b"x" * 512} in trees
    assert {"a": bytes(1024)} in trees
    assert any(tree.get("a") not in {None, b"", b"x" * 512, b"x" * 1024, bytes(1024)} for tree in trees)


def test_an_fsync_of_the_file_does_not_keep_its_name() -> None:
    """The bytes are certain if the name is there, and the name is in doubt until its directory is synced."""
    synced: list[Operation] = [*_WRITTEN, SyncFile(2)]

    assert sorted(map(str, _trees([*synced, Mark(b"")]))) == sorted(map(str, [{}, {"a": b"x" * 1024}]))
    assert _trees([*synced, SyncDirectory(1), Mark(b"")]) == [{"a": b"x" * 1024}]


def test_an_fsync_of_a_directory_does_not_keep_its_own_name() -> None:
    """What lies in a directory that nobody finds is lost with it."""
    operations: list[Operation] = [
        *_BEFORE,
        AddEntry(1, "d", 2, is_directory=True),
        AddEntry(2, "a", 3),
        SyncDirectory(2),
        Mark(b""),
    ]

    trees = _trees(operations)

    assert {} in trees
    assert {"d": None, "d/a": b""} in trees
    assert len(trees) == 2


def test_a_rename_is_whole_or_not_and_certain_in_its_new_directory() -> None:
    """Never both names, never none; a sync of the old directory proves nothing."""
    operations: list[Operation] = [
        AddEntry(0, "plan", 1, is_directory=True),
        AddEntry(1, "d", 2, is_directory=True),
        AddEntry(1, "a", 3),
        Settle(),
        Rename(1, "a", 2, "b", 3),
    ]
    old: Tree = {"a": b"", "d": None}
    new: Tree = {"d": None, "d/b": b""}

    for synced in ([], [SyncDirectory(1)]):
        assert sorted(map(str, _trees([*operations, *synced, Mark(b"")]))) == sorted(map(str, (old, new)))
    assert _trees([*operations, SyncDirectory(2), Mark(b"")]) == [new]


def test_nothing_in_doubt_gets_into_a_directory_that_is_not_there() -> None:
    """A rename into a directory whose name was lost did not happen, so the file has its old name."""
    operations: list[Operation] = [
        AddEntry(0, "plan", 1, is_directory=True),
        AddEntry(1, "a", 3),
        Settle(),
        AddEntry(1, "d", 2, is_directory=True),
        Rename(1, "a", 2, "b", 3),
    ]

    in_doubt = _trees([*operations, Mark(b"")])
    synced = _trees([*operations, SyncDirectory(2), Mark(b"")])

    assert sorted({str(tree) for tree in in_doubt}) == sorted(
        map(str, ({"a": b""}, {"a": b"", "d": None}, {"d": None, "d/b": b""}))
    )
    assert {} in synced


def test_a_renamed_file_may_lack_bytes() -> None:
    """The order of rename and write proves nothing without an fsync between them."""
    trees = _trees([*_WRITTEN, SyncDirectory(1), Rename(1, "a", 1, "b", 2), SyncDirectory(1), Mark(b"")])

    assert {"b": b""} in trees


def test_a_removed_name_may_be_back() -> None:
    """An unlink is as uncertain as a create."""
    operations: list[Operation] = [*_WRITTEN, SyncFile(2), Settle(), RemoveEntry(1, "a")]

    assert {"a": b"x" * 1024} in _trees([*operations, Mark(b"")])
    assert _trees([*operations, SyncDirectory(1), Mark(b"")]) == [{}]


def test_writes_reach_the_disk_in_any_order() -> None:
    """A later write may be there without an earlier one; after a truncation that is lost, the old bytes are there."""
    operations: list[Operation] = [
        *_BEFORE,
        AddEntry(1, "a", 2),
        Write(2, 0, b"0000"),
        Settle(),
        Truncate(2, 2),
        Write(2, 4, b"1"),
        Write(2, 6, b"2"),
        Mark(b""),
    ]
    found = {tree["a"] for tree in _trees(operations)}

    assert found >= {b"0000", b"00", b"00001", b"0000\0\0" + b"2", b"00\0\0" + b"1", b"00\0\0\0\0" + b"2"}


def test_every_subset_is_tried_up_to_the_limit_and_extremes_beyond() -> None:
    """Twelve in doubt give 4096 states; thirteen give none, all, each alone and each missing, and samples."""

    def states(count: int) -> list[CrashState]:
        many: list[Operation] = [*_BEFORE, *(AddEntry(1, str(n), n + 2) for n in range(count)), Mark(b"")]
        history = History(many, "plan")
        return [state for state in enumerate_states(history, _ALL, 1) if state.length == len(many)]

    assert len({state.lost for state in states(12)}) == 4096
    beyond = {len(state.lost) for state in states(13)}
    assert {0, 1, 12, 13} <= beyond
    assert len(states(13)) == 2 + 2 * 13 + _ALL.samples


def test_equal_trees_are_tried_once_with_all_that_was_told() -> None:
    """The state of a crash after an answer stands for the same tree before it."""
    history = History([*_WRITTEN, SyncFile(2), SyncDirectory(1), Mark(b"told")], "plan")
    count, distinct = distinct_states(history, enumerate_states(history, _ALL, 1))
    whole = [state for state in distinct if history.tree(state) == {"a": b"x" * 1024}]

    assert count > len(distinct)
    assert [history.marks(state.length) for state in whole] == [[b"told"]]
    assert choose(history, distinct, 2, 1)[0] == choose(history, distinct, 2, 1)[0]
    assert len(choose(history, distinct, 2, 1)[0]) == 2


def test_what_follows_a_gap_in_the_log_makes_no_new_class() -> None:
    """SQLite reads its log up to the first frame that doesn't fit; one state of each such class is chosen first."""
    log: list[Operation] = [*_BEFORE, AddEntry(1, "x.db-wal", 2), SyncDirectory(1)]
    log += [Write(2, 10 * n, b"%10d" % n) for n in range(6)]
    history = History([*log, Mark(b"")], "plan")
    states = [CrashState(len(log) + 1, frozenset((4, later))) for later in range(5, 9)] + [
        CrashState(len(log) + 1)
    ]

    chosen, classes = choose(history, states, 2, 1)

    assert classes == 2
    assert CrashState(len(log) + 1) in chosen


def test_coverage_tells_what_was_lost() -> None:
    """The words under which a state is counted in the evidence."""
    history = History([*_WRITTEN, Write(2, 1024, b"y" * 9000), Rename(1, "a", 1, "b", 2), Mark(b"")], "plan")
    length = len(history.operations)

    assert set(coverage(history, CrashState(length, frozenset((3,))))) == {
        "file: lost",
        "file: written out of order",
        "renamed without all its bytes",
        "named without all its bytes",
    }
    torn = CrashState(length, frozenset((2, 5)), (Damage(4, DamageKind.PAGES, 0b101),))
    assert set(coverage(history, torn)) == {"file: pages", "a new name lost", "a rename lost"}
    assert set(coverage(history, CrashState(length))) == {"nothing lost"}


def test_a_log_that_is_cut_off_is_noticed(tmp_path: Path) -> None:
    """Half a record can't pass for a shorter history."""
    log = OperationLog(tmp_path / "log")
    for operation in _WRITTEN:
        log.add(operation)
    assert read_operations(tmp_path / "log") == _WRITTEN
    (tmp_path / "log").write_bytes((tmp_path / "log").read_bytes()[:-1])
    with pytest.raises(ValueError, match="cut off"):
        read_operations(tmp_path / "log")
