"""The scratch file of a rebuild: it finds contents by digest, and outlives a process that is killed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from entrepot.metadata.errors import MetadataUnavailableError
from entrepot.metadata.rebuild_work import Content, LaterChange, Loss, LostTag, Spot
from entrepot.metadata.sql.work_file import SqliteWorkFile
from tests.drivers.metadata.material import digest_of

if TYPE_CHECKING:
    from pathlib import Path

_A, _B = digest_of("a"), digest_of("b", "sha512")


def test_contents_are_found_by_digest_in_the_order_of_their_keys(tmp_path: Path) -> None:
    """Objects whose digests are told later are there from then on; those never told are not listed."""
    work = SqliteWorkFile(tmp_path / "work.db")
    work.add_contents([Content("blobs/2", _A, 1), Content("manifests/1", _B, 2)])
    work.add_sizes([("blobs/1", 1), ("blobs/unfinished", 9)])
    work.name_contents([("blobs/1", _A), ("blobs/gone", _B)])

    assert work.find(_A) == [Content("blobs/1", _A, 1), Content("blobs/2", _A, 1)]
    assert work.find(_B) == [Content("manifests/1", _B, 2)]
    assert work.contents_after("blobs/1", 5) == [Content("blobs/2", _A, 1), Content("manifests/1", _B, 2)]
    assert work.contents_after("", 1) == [Content("blobs/1", _A, 1)]
    work.clear_contents()
    assert work.contents_after("", 1) == []
    work.remove()
    assert list(tmp_path.iterdir()) == []


def test_what_was_judged_bad_is_not_found_again(tmp_path: Path) -> None:
    """Good ones need no second look."""
    work = SqliteWorkFile(tmp_path / "work.db")
    work.add_contents([Content("blobs/1", _A, 1), Content("blobs/2", _A, 1)])
    assert (work.holds("blobs/1"), work.is_verified("blobs/1"), work.holds("blobs/3")) == (True, False, False)

    work.judge("blobs/1", good=False)
    work.judge("blobs/2", good=True)

    assert work.find(_A) == [Content("blobs/2", _A, 1)]
    assert (work.holds("blobs/1"), work.holds("blobs/2"), work.is_verified("blobs/2")) == (False, True, True)
    work.close()


def test_losses_and_notes_outlive_the_process(tmp_path: Path) -> None:
    """What was saved is read back by the next opening; what was regained is forgotten."""
    work = SqliteWorkFile(tmp_path / "work.db")
    lost = Loss("blob", "team/app", str(_A), "gone")
    for loss in (lost, Loss("blob", "team/b", str(_A), "gone"), Loss("manifest", "team/app", str(_B), "one")):
        work.lose(loss)
    work.lose(Loss("manifest", "team/app", str(_B), "another"))
    work.regain("blob", "team/b", str(_A))
    for tag in ("1", "2", "3"):
        work.lose_tag(LostTag("team/app", tag, str(_A if tag == "3" else _B)))
    work.regain_tag("team/app", "1")
    work.regain_tags_of("team/app", str(_A))
    work.add_spot(Spot("journal/x", "line 1"))
    work.add_spot(Spot("journal/x", "line 1"))
    work.write_down("observed", "here")
    work.save()

    again = SqliteWorkFile(tmp_path / "work.db")

    assert list(again.losses()) == [lost, Loss("manifest", "team/app", str(_B), "another")]
    assert list(again.lost_tags()) == [LostTag("team/app", "2", str(_B))]
    assert list(again.spots()) == [Spot("journal/x", "line 1")]
    assert (again.note("observed"), again.note("nothing")) == ("here", "")
    again.close()
    work.close()


def test_another_run_s_work_is_forgotten_and_what_is_read_again_by_itself(tmp_path: Path) -> None:
    work = SqliteWorkFile(tmp_path / "work.db")
    work.add_spot(Spot("journal/x", "line 1"))
    work.add_spot(Spot("fact 3", "unknown"))

    work.forget_spots("journal/")

    assert list(work.spots()) == [Spot("fact 3", "unknown")]
    work.add_contents([Content("blobs/1", _A, 1)])
    work.lose(Loss("blob", "team/app", str(_A), "gone"))
    work.lose_tag(LostTag("team/app", "1", str(_A)))
    work.write_down("run", "another")
    work.begin_anew()
    assert (
        work.note("run"),
        work.find(_A),
        list(work.losses()),
        list(work.lost_tags()),
        list(work.spots()),
    ) == (
        "",
        [],
        [],
        [],
        [],
    )
    work.close()


def test_of_later_changes_the_last_one_counts(tmp_path: Path) -> None:
    work = SqliteWorkFile(tmp_path / "work.db")
    work.add_changes([LaterChange("team/app", "tag", "1", 4), LaterChange("team/app", "tag", "2", 5)])
    work.add_changes([LaterChange("team/app", "tag", "1", 7)])

    names = [("tag", "1"), ("tag", "2"), ("manifest", "1")]
    assert [work.last_change("team/app", what, name) for what, name in names] == [7, 5, 0]
    work.clear_changes()
    assert work.last_change("team/app", "tag", "1") == 0
    work.close()


def test_a_directory_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    """As every other database that can't be used."""
    with pytest.raises(MetadataUnavailableError, match="No such file"):
        SqliteWorkFile(tmp_path / "absent" / "work.db")
