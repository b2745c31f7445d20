"""Epochs move with the units that change rights, and a look finds what moved, on each engine (S14)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest

from tests.drivers.metadata.identity_rows import IdentityRows

if TYPE_CHECKING:
    from entrepot.metadata.store import Metadata, Transaction
    from tests.drivers.metadata.counting import CountingObserver
    from tests.drivers.metadata.raw_database import RawDatabase

_HOUR = 3_600_000


@pytest.fixture
def rows(database: RawDatabase) -> IdentityRows:
    """Return what adds rows."""
    return IdentityRows(database)


async def test_subjects_and_the_members_of_a_group_move(metadata: Metadata, rows: IdentityRows) -> None:
    ann, bob, eve = [await rows.user(name) for name in ("ann", "bob", "eve")]
    team = await rows.group("team", ann, bob)

    await metadata.write(lambda tx: tx.epochs.move_with_members(team))
    await metadata.write(lambda tx: tx.epochs.move_with_members(ann))
    await metadata.write(lambda tx: tx.epochs.move_subjects([bob, eve]))

    assert await rows.epochs() == {"ann": 2, "bob": 2, "eve": 1, "team": 1}


async def test_all_holders_of_a_role_move(metadata: Metadata, rows: IdentityRows) -> None:
    ann, bob, _ = [await rows.user(name) for name in ("ann", "bob", "eve")]
    project = await rows.project("library")
    await rows.give(ann, "puller", project)
    await rows.give(await rows.group("team", bob), "puller")

    await metadata.write(lambda tx: tx.epochs.move_holders("puller"))

    assert await rows.epochs() == {"ann": 1, "bob": 1, "eve": 0, "team": 1, "library": 0}


async def test_a_look_finds_what_moved_of_late_and_what_is_named(
    metadata: Metadata, rows: IdentityRows, database: RawDatabase, counts: CountingObserver
) -> None:
    ann, bob = [await rows.user(name) for name in ("ann", "bob")]
    await rows.user("still")
    project = await rows.project("team")
    await rows.project("quiet")
    await metadata.write(lambda tx: tx.epochs.move_subjects([ann, bob]))
    await metadata.write(lambda tx: tx.epochs.move_project(project))
    await database.fetch(
        f"UPDATE subjects SET epoch_changed_at = epoch_changed_at - {2 * _HOUR} WHERE id = {bob}"
    )
    counts.reset()

    found = await metadata.epochs.look(_HOUR, {"id-still", "id-nobody"}, {"quiet", "gone"})

    assert counts.statements == {"epochs.look": 1}
    assert (found.moved_subjects, found.moved_projects) == ({"id-ann": 1}, {"team": 1})
    assert (found.named_subjects, found.named_projects) == ({"id-still": 0}, {"quiet": 0})


async def test_epochs_are_asked_for_by_name_and_projects_say_whether_they_have_settled_f27(
    metadata: Metadata, rows: IdentityRows, database: RawDatabase, counts: CountingObserver
) -> None:
    """One that moved while the clock was ahead has not settled."""
    ann = await rows.user("ann")
    await rows.user("bob")
    projects = [await rows.project(name) for name in ("quiet", "late", "long-ago", "ahead", "other")]
    await metadata.write(lambda tx: tx.epochs.move_subjects([ann]))
    for project in projects[1:]:
        await metadata.write(partial(_move_project, project))
    for project, hours in zip(projects[2:4], (-2, 5), strict=True):
        await database.fetch(
            f"UPDATE projects SET epoch_changed_at = epoch_changed_at + {hours * _HOUR} WHERE id = {project}"
        )
    counts.reset()

    found = await metadata.epochs.named(
        _HOUR, ["id-ann", "id-nobody"], ["quiet", "late", "long-ago", "ahead", "gone"]
    )

    assert counts.statements == {"epochs.named": 1}
    assert found.subjects == {"id-ann": 1}
    assert found.projects == {"quiet": 0, "late": 1, "long-ago": 1, "ahead": 1}
    assert found.settled_projects == {"quiet", "long-ago"}


async def _move_project(project: int, tx: Transaction) -> None:
    await tx.epochs.move_project(project)
