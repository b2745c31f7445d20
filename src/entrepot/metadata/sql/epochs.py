"""Epochs: moved by the units that change rights, and read by the watch of each process.

A robot never may more than who answers for it (S9): its tokens carry the epoch of that person beside its own.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Final

from entrepot.metadata.epoch_store import EpochsFound, EpochsNamed
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

    from entrepot.metadata.sql.statements import Executor, ReadExecutor

__all__ = ["STATEMENTS", "SqlEpochReader", "SqlEpochRows"]

LOOK: Final = Statement(
    "epochs.look",
    """
    SELECT 0, public_id, epoch FROM subjects
    WHERE epoch_changed_at IS NOT NULL AND epoch_changed_at > {now} - :window
    UNION ALL
    SELECT 2, public_id, epoch FROM subjects WHERE public_id IN {texts:subjects}
    UNION ALL
    SELECT 1, name, epoch FROM projects
    WHERE epoch_changed_at IS NOT NULL AND epoch_changed_at > {now} - :window
    UNION ALL
    SELECT 3, name, epoch FROM projects WHERE name IN {texts:projects}
    """,
)
# What moved while the clock was ahead has not settled.
NAMED: Final = Statement(
    "epochs.named",
    """
    SELECT 0, public_id, epoch, 0 FROM subjects WHERE public_id IN {texts:subjects}
    UNION ALL
    SELECT 1, name, epoch, CASE WHEN epoch_changed_at > {now} - :window THEN 0 ELSE 1 END
    FROM projects WHERE name IN {texts:projects}
    """,
)
OF_SUBJECTS: Final = Statement(
    "epochs.of_subjects", "SELECT public_id, epoch FROM subjects WHERE public_id IN {texts:subjects}"
)
# The row is never written, and who only reads it waits for nobody.
HOLD_ORDER: Final = Statement("epochs.hold_order", "SELECT id FROM instance WHERE id = 1 {for_update}")
HOLD_SUBJECTS: Final = Statement(
    "epochs.hold_subjects",
    "SELECT public_id, epoch FROM subjects WHERE public_id IN {texts:subjects} ORDER BY id {for_share}",
)
HOLD_NUMBERED: Final = Statement(
    "epochs.hold_numbered",
    "SELECT id, epoch FROM subjects WHERE id IN {integers:subjects} ORDER BY id {for_share}",
)
HOLD_PROJECTS: Final = Statement(
    "epochs.hold_projects",
    "SELECT id, epoch FROM projects WHERE id IN {integers:projects} AND deleted_at IS NULL ORDER BY id {for_share}",
)
MOVE_SUBJECTS: Final = Statement(
    "epochs.move_subjects",
    "UPDATE subjects SET epoch = epoch + 1, epoch_changed_at = {now} WHERE id IN {integers:subjects}",
)
MOVE_WITH_MEMBERS: Final = Statement(
    "epochs.move_with_members",
    """
    UPDATE subjects SET epoch = epoch + 1, epoch_changed_at = {now} WHERE id IN (
        SELECT id FROM subjects WHERE id = :subject UNION SELECT user_id FROM group_members WHERE group_id = :subject
    )
    """,
)
MOVE_HOLDERS: Final = Statement(
    "epochs.move_holders",
    """
    UPDATE subjects SET epoch = epoch + 1, epoch_changed_at = {now} WHERE id IN (
        SELECT subject_id FROM role_assignments WHERE role = :role
        UNION
        SELECT m.user_id FROM role_assignments a CROSS JOIN group_members m
        WHERE a.role = :role AND m.group_id = a.subject_id
    )
    """,
)
MOVE_PROJECT: Final = Statement(
    "epochs.move_project",
    "UPDATE projects SET epoch = epoch + 1, epoch_changed_at = {now} WHERE id = :project",
)

STATEMENTS: Final = (
    LOOK,
    NAMED,
    OF_SUBJECTS,
    HOLD_ORDER,
    HOLD_SUBJECTS,
    HOLD_NUMBERED,
    HOLD_PROJECTS,
    MOVE_SUBJECTS,
    MOVE_WITH_MEMBERS,
    MOVE_HOLDERS,
    MOVE_PROJECT,
)


class SqlEpochReader:
    """Implements :class:`entrepot.metadata.epoch_store.EpochReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def look(
        self, window_milliseconds: int, subjects: Collection[str], projects: Collection[str]
    ) -> EpochsFound:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            LOOK,
            window=window_milliseconds,
            subjects=json.dumps(sorted(subjects)),
            projects=json.dumps(sorted(projects)),
        )
        found: tuple[dict[str, int], ...] = ({}, {}, {}, {})
        for place, name, epoch in rows:
            found[place][name] = epoch
        return EpochsFound(*found)

    async def named(
        self, window_milliseconds: int, subjects: Collection[str], projects: Collection[str]
    ) -> EpochsNamed:
        """See the protocol."""
        rows = await self._executor.fetch_rows(
            NAMED,
            window=window_milliseconds,
            subjects=json.dumps(sorted(subjects)),
            projects=json.dumps(sorted(projects)),
        )
        return EpochsNamed(
            {name: epoch for place, name, epoch, _ in rows if place == 0},
            {name: epoch for place, name, epoch, _ in rows if place == 1},
            frozenset(name for _, name, _, settled in rows if settled),
        )


class SqlEpochRows:
    """Implements :class:`entrepot.metadata.epoch_store.EpochRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def of_subjects(self, subjects: Collection[str]) -> Mapping[str, int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(OF_SUBJECTS, subjects=json.dumps(sorted(subjects)))
        return {str(subject): int(epoch) for subject, epoch in rows}

    async def hold_order(self) -> None:
        """See the protocol. A row that all of them lock; on SQLite one writes at a time in any case."""
        await self._executor.fetch_row(HOLD_ORDER)

    async def hold_subjects(self, subjects: Collection[str]) -> Mapping[str, int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(HOLD_SUBJECTS, subjects=json.dumps(sorted(subjects)))
        return {str(subject): int(epoch) for subject, epoch in rows}

    async def hold_numbered(self, subject_ids: Collection[int]) -> Mapping[int, int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(HOLD_NUMBERED, subjects=json.dumps(sorted(subject_ids)))
        return {int(subject): int(epoch) for subject, epoch in rows}

    async def hold_projects(self, projects: Collection[int]) -> Mapping[int, int]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(HOLD_PROJECTS, projects=json.dumps(sorted(projects)))
        return {int(project): int(epoch) for project, epoch in rows}

    async def move_subjects(self, subject_ids: Sequence[int]) -> None:
        """See the protocol."""
        await self._executor.execute(MOVE_SUBJECTS, subjects=json.dumps(list(subject_ids)))

    async def move_with_members(self, subject_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(MOVE_WITH_MEMBERS, subject=subject_id)

    async def move_holders(self, role: str) -> None:
        """See the protocol."""
        await self._executor.execute(MOVE_HOLDERS, role=role)

    async def move_project(self, project_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(MOVE_PROJECT, project=project_id)
