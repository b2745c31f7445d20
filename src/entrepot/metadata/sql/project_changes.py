"""Projects as units make, change and delete them; the statements that show them are in `projects`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.project_store import HeldProject, StoredRobotPermissions
from entrepot.metadata.sql.projects import metadata_of
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.project_store import NewProject
    from entrepot.metadata.sql.statements import Executor, Value

__all__ = ["GIVE_UP_NAME", "STATEMENTS", "SqlProjectRows"]

OWNER_FOR: Final = Statement(
    "projects.owner_for",
    """
    SELECT CASE WHEN s.kind = 'robot' THEN c.id ELSE s.id END
    FROM subjects s
    LEFT JOIN robots b ON b.subject_id = s.id
    LEFT JOIN subjects c ON c.public_id = b.creator
    WHERE s.public_id = :public_id
    """,
)
GIVE_UP_NAME: Final = Statement(
    "projects.give_up_name",
    """
    UPDATE projects SET name = name || '#' || id WHERE name = :name AND deleted_at IS NOT NULL
    RETURNING epoch
    """,
)
INSERT: Final = Statement(
    "projects.insert",
    """
    INSERT INTO projects (public_id, name, epoch, epoch_changed_at, owner_id, is_public, repository_creation,
                          created_at, updated_at, creator, audit_mark)
    VALUES (:public_id, :name, CAST(:epoch AS bigint), {now}, :owner_id, :is_public, :repository_creation,
            {now}, {now}, :creator, (SELECT coalesce(max(a.id), 0) FROM audit_records a))
    ON CONFLICT (name) DO NOTHING
    RETURNING id
    """,
)
HOLD: Final = Statement(
    "projects.hold",
    """
    SELECT id, name, is_public, repository_creation, owner_id FROM projects
    WHERE id = :project_id AND deleted_at IS NULL {for_update}
    """,
)
SHARE: Final = Statement(
    "projects.share", "SELECT id FROM projects WHERE name = :name AND deleted_at IS NULL {for_share}"
)
LIVE_REPOSITORIES: Final = Statement(
    "projects.live_repositories",
    "SELECT count(*) FROM repositories WHERE project_id = :project_id AND deleted_at IS NULL",
)
CHANGE: Final = Statement(
    "projects.change",
    """
    UPDATE projects SET is_public = :is_public, repository_creation = :repository_creation, updated_at = {now},
        epoch = epoch + 1, epoch_changed_at = {now}
    WHERE id = :project_id
    """,
)
MOVE_EPOCH: Final = Statement(
    "projects.move_epoch",
    "UPDATE projects SET epoch = epoch + 1, epoch_changed_at = {now}, updated_at = {now} WHERE id = :project_id",
)
TOUCH: Final = Statement("projects.touch", "UPDATE projects SET updated_at = {now} WHERE id = :project_id")
DELETE: Final = Statement(
    "projects.delete",
    """
    UPDATE projects SET deleted_at = {now}, updated_at = {now}, is_public = 0, owner_id = NULL,
        epoch = epoch + 1, epoch_changed_at = {now}
    WHERE id = :project_id
    """,
)
RETIRE_ROBOTS: Final = Statement(
    "projects.retire_robots",
    """
    UPDATE subjects SET name = name || '#' || id, disabled_at = {now}, epoch = epoch + 1, epoch_changed_at = {now}
    WHERE id IN (SELECT b.subject_id FROM robots b WHERE b.project_id = :project_id)
    """,
)
DELETE_ROBOTS: Final = Statement(
    "projects.delete_robots", "DELETE FROM robots WHERE project_id = :project_id"
)
DELETE_MEMBERS: Final = Statement(
    "projects.delete_members", "DELETE FROM role_assignments WHERE project_id = :project_id"
)
DELETE_LABELS: Final = Statement(
    "projects.delete_labels", "DELETE FROM labels WHERE project_id = :project_id"
)
DELETE_ALL_METADATA: Final = Statement(
    "projects.delete_all_metadata", "DELETE FROM project_metadata WHERE project_id = :project_id"
)
PUT_METADATA: Final = Statement(
    "projects.put_metadata",
    """
    INSERT INTO project_metadata (project_id, name, value) VALUES (:project_id, :name, :value)
    ON CONFLICT (project_id, name) DO UPDATE SET value = excluded.value
    """,
)
DELETE_METADATA: Final = Statement(
    "projects.delete_metadata", "DELETE FROM project_metadata WHERE project_id = :project_id AND name = :name"
)

_DELETION: Final = (
    RETIRE_ROBOTS,
    DELETE_ROBOTS,
    DELETE_MEMBERS,
    DELETE_LABELS,
    DELETE_ALL_METADATA,
    DELETE,
)
SYSTEM_ROBOTS: Final = Statement(
    "projects.system_robots",
    "SELECT subject_id, permissions FROM robots WHERE project_id IS NULL ORDER BY subject_id {for_update}",
)
SET_ROBOT_PERMISSIONS: Final = Statement(
    "projects.set_robot_permissions",
    "UPDATE robots SET permissions = :permissions, updated_at = {now} WHERE subject_id = :subject_id",
)
MOVE_ROBOT_EPOCH: Final = Statement(
    "projects.move_robot_epoch",
    "UPDATE subjects SET epoch = epoch + 1, epoch_changed_at = {now} WHERE id = :subject_id",
)

STATEMENTS: Final = (
    OWNER_FOR,
    GIVE_UP_NAME,
    INSERT,
    HOLD,
    SHARE,
    LIVE_REPOSITORIES,
    CHANGE,
    MOVE_EPOCH,
    TOUCH,
    *_DELETION,
    PUT_METADATA,
    DELETE_METADATA,
    SYSTEM_ROBOTS,
    SET_ROBOT_PERMISSIONS,
    MOVE_ROBOT_EPOCH,
)


class SqlProjectRows:
    """Implements :class:`entrepot.metadata.project_store.ProjectRows`."""

    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def owner_for(self, creator: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(OWNER_FOR, public_id=creator)
        return None if row is None else row[0]

    async def insert(self, project: NewProject) -> int | None:
        """See the protocol."""
        former = await self._executor.fetch_row(GIVE_UP_NAME, name=project.name)
        row = await self._executor.fetch_row(
            INSERT,
            public_id=project.public_id,
            name=project.name,
            epoch=1 if former is None else int(former[0]) + 1,
            owner_id=project.owner_id,
            is_public=int(project.is_public),
            repository_creation=project.repository_creation,
            creator=project.creator,
        )
        return None if row is None else int(row[0])

    async def hold(self, project_id: int) -> HeldProject | None:
        """See the protocol."""
        row = await self._executor.fetch_row(HOLD, project_id=project_id)
        return None if row is None else HeldProject(row[0], row[1], bool(row[2]), row[3], row[4])

    async def share(self, name: str) -> int | None:
        """See the protocol."""
        row = await self._executor.fetch_row(SHARE, name=name)
        return None if row is None else int(row[0])

    async def live_repositories(self, project_id: int) -> int:
        """See the protocol."""
        rows = await self._executor.fetch_rows(LIVE_REPOSITORIES, project_id=project_id)
        return int(rows[0][0])

    async def change(self, project_id: int, *, is_public: bool, repository_creation: str) -> None:
        """See the protocol."""
        await self._executor.execute(
            CHANGE,
            project_id=project_id,
            is_public=int(is_public),
            repository_creation=repository_creation,
        )

    async def move_epoch(self, project_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(MOVE_EPOCH, project_id=project_id)

    async def touch(self, project_id: int) -> None:
        """See the protocol."""
        await self._executor.execute(TOUCH, project_id=project_id)

    async def delete(self, project_id: int) -> None:
        """See the protocol."""
        for statement in _DELETION:
            await self._executor.execute(statement, project_id=project_id)

    async def metadata(self, project_id: int) -> Mapping[str, str]:
        """See the protocol."""
        return (await metadata_of(self._executor, [project_id])).get(project_id, {})

    async def put_metadata(self, project_id: int, values: Mapping[str, str]) -> None:
        """See the protocol."""
        rows: list[dict[str, Value]] = [
            {"project_id": project_id, "name": name, "value": values[name]} for name in sorted(values)
        ]
        if rows:
            await self._executor.execute_many(PUT_METADATA, rows)

    async def remove_metadata(self, project_id: int, name: str) -> bool:
        """See the protocol."""
        return await self._executor.execute(DELETE_METADATA, project_id=project_id, name=name) == 1

    async def system_robots(self) -> Sequence[StoredRobotPermissions]:
        """See the protocol."""
        rows = await self._executor.fetch_rows(SYSTEM_ROBOTS)
        return [StoredRobotPermissions(int(number), bytes(permissions)) for number, permissions in rows]

    async def change_robot(self, robot: StoredRobotPermissions) -> None:
        """See the protocol."""
        await self._executor.execute(
            SET_ROBOT_PERMISSIONS, subject_id=robot.subject_id, permissions=robot.permissions
        )
        await self._executor.execute(MOVE_ROBOT_EPOCH, subject_id=robot.subject_id)
