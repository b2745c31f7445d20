"""What a service can demand a grant for in a project: one class per permission, only ever used as a type."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from entrepot.auth.permissions import PROJECT_PERMISSIONS

if TYPE_CHECKING:
    from entrepot.auth.permissions import Permission

__all__ = [
    "PROJECT_ACTIONS",
    "CreateArtifact",
    "CreateArtifactLabel",
    "CreateLabel",
    "CreateMember",
    "CreateMetadata",
    "CreateRepository",
    "CreateRobot",
    "CreateTag",
    "DeleteArtifact",
    "DeleteArtifactLabel",
    "DeleteLabel",
    "DeleteMember",
    "DeleteMetadata",
    "DeleteProject",
    "DeleteRepository",
    "DeleteRobot",
    "DeleteTag",
    "ListAccessory",
    "ListArtifact",
    "ListLabel",
    "ListLog",
    "ListMember",
    "ListMetadata",
    "ListRepository",
    "ListRobot",
    "ListTag",
    "OverwriteTag",
    "ProjectAction",
    "PullRepository",
    "PushRepository",
    "ReadArtifact",
    "ReadLabel",
    "ReadMember",
    "ReadMetadata",
    "ReadProject",
    "ReadQuota",
    "ReadRepository",
    "ReadRobot",
    "UpdateLabel",
    "UpdateMember",
    "UpdateMetadata",
    "UpdateProject",
    "UpdateRepository",
    "UpdateRobot",
]


class ProjectAction:
    """The root of what one may be allowed to do with a project."""

    permission: ClassVar[Permission]


class ReadProject(ProjectAction):
    """`project:read` in a project."""

    permission = PROJECT_PERMISSIONS["project:read"]


class UpdateProject(ProjectAction):
    """`project:update` in a project."""

    permission = PROJECT_PERMISSIONS["project:update"]


class DeleteProject(ProjectAction):
    """`project:delete` in a project."""

    permission = PROJECT_PERMISSIONS["project:delete"]


class ReadMetadata(ProjectAction):
    """`metadata:read` in a project."""

    permission = PROJECT_PERMISSIONS["metadata:read"]


class ListMetadata(ProjectAction):
    """`metadata:list` in a project."""

    permission = PROJECT_PERMISSIONS["metadata:list"]


class CreateMetadata(ProjectAction):
    """`metadata:create` in a project."""

    permission = PROJECT_PERMISSIONS["metadata:create"]


class UpdateMetadata(ProjectAction):
    """`metadata:update` in a project."""

    permission = PROJECT_PERMISSIONS["metadata:update"]


class DeleteMetadata(ProjectAction):
    """`metadata:delete` in a project."""

    permission = PROJECT_PERMISSIONS["metadata:delete"]


class ReadMember(ProjectAction):
    """`member:read` in a project."""

    permission = PROJECT_PERMISSIONS["member:read"]


class ListMember(ProjectAction):
    """`member:list` in a project."""

    permission = PROJECT_PERMISSIONS["member:list"]


class CreateMember(ProjectAction):
    """`member:create` in a project."""

    permission = PROJECT_PERMISSIONS["member:create"]


class UpdateMember(ProjectAction):
    """`member:update` in a project."""

    permission = PROJECT_PERMISSIONS["member:update"]


class DeleteMember(ProjectAction):
    """`member:delete` in a project."""

    permission = PROJECT_PERMISSIONS["member:delete"]


class ReadRepository(ProjectAction):
    """`repository:read` in a project."""

    permission = PROJECT_PERMISSIONS["repository:read"]


class ListRepository(ProjectAction):
    """`repository:list` in a project."""

    permission = PROJECT_PERMISSIONS["repository:list"]


class PullRepository(ProjectAction):
    """`repository:pull` in a project."""

    permission = PROJECT_PERMISSIONS["repository:pull"]


class PushRepository(ProjectAction):
    """`repository:push` in a project."""

    permission = PROJECT_PERMISSIONS["repository:push"]


class CreateRepository(ProjectAction):
    """`repository:create` in a project."""

    permission = PROJECT_PERMISSIONS["repository:create"]


class UpdateRepository(ProjectAction):
    """`repository:update` in a project."""

    permission = PROJECT_PERMISSIONS["repository:update"]


class DeleteRepository(ProjectAction):
    """`repository:delete` in a project."""

    permission = PROJECT_PERMISSIONS["repository:delete"]


class ReadArtifact(ProjectAction):
    """`artifact:read` in a project."""

    permission = PROJECT_PERMISSIONS["artifact:read"]


class ListArtifact(ProjectAction):
    """`artifact:list` in a project."""

    permission = PROJECT_PERMISSIONS["artifact:list"]


class CreateArtifact(ProjectAction):
    """`artifact:create` in a project."""

    permission = PROJECT_PERMISSIONS["artifact:create"]


class DeleteArtifact(ProjectAction):
    """`artifact:delete` in a project."""

    permission = PROJECT_PERMISSIONS["artifact:delete"]


class ListTag(ProjectAction):
    """`tag:list` in a project."""

    permission = PROJECT_PERMISSIONS["tag:list"]


class CreateTag(ProjectAction):
    """`tag:create` in a project."""

    permission = PROJECT_PERMISSIONS["tag:create"]


class OverwriteTag(ProjectAction):
    """`tag:overwrite` in a project."""

    permission = PROJECT_PERMISSIONS["tag:overwrite"]


class DeleteTag(ProjectAction):
    """`tag:delete` in a project."""

    permission = PROJECT_PERMISSIONS["tag:delete"]


class ListAccessory(ProjectAction):
    """`accessory:list` in a project."""

    permission = PROJECT_PERMISSIONS["accessory:list"]


class ReadLabel(ProjectAction):
    """`label:read` in a project."""

    permission = PROJECT_PERMISSIONS["label:read"]


class ListLabel(ProjectAction):
    """`label:list` in a project."""

    permission = PROJECT_PERMISSIONS["label:list"]


class CreateLabel(ProjectAction):
    """`label:create` in a project."""

    permission = PROJECT_PERMISSIONS["label:create"]


class UpdateLabel(ProjectAction):
    """`label:update` in a project."""

    permission = PROJECT_PERMISSIONS["label:update"]


class DeleteLabel(ProjectAction):
    """`label:delete` in a project."""

    permission = PROJECT_PERMISSIONS["label:delete"]


class CreateArtifactLabel(ProjectAction):
    """`artifact-label:create` in a project."""

    permission = PROJECT_PERMISSIONS["artifact-label:create"]


class DeleteArtifactLabel(ProjectAction):
    """`artifact-label:delete` in a project."""

    permission = PROJECT_PERMISSIONS["artifact-label:delete"]


class ReadRobot(ProjectAction):
    """`robot:read` in a project."""

    permission = PROJECT_PERMISSIONS["robot:read"]


class ListRobot(ProjectAction):
    """`robot:list` in a project."""

    permission = PROJECT_PERMISSIONS["robot:list"]


class CreateRobot(ProjectAction):
    """`robot:create` in a project."""

    permission = PROJECT_PERMISSIONS["robot:create"]


class UpdateRobot(ProjectAction):
    """`robot:update` in a project."""

    permission = PROJECT_PERMISSIONS["robot:update"]


class DeleteRobot(ProjectAction):
    """`robot:delete` in a project."""

    permission = PROJECT_PERMISSIONS["robot:delete"]


class ListLog(ProjectAction):
    """`log:list` in a project."""

    permission = PROJECT_PERMISSIONS["log:list"]


class ReadQuota(ProjectAction):
    """`quota:read` in a project."""

    permission = PROJECT_PERMISSIONS["quota:read"]


PROJECT_ACTIONS: Final[tuple[type[ProjectAction], ...]] = (
    ReadProject,
    UpdateProject,
    DeleteProject,
    ReadMetadata,
    ListMetadata,
    CreateMetadata,
    UpdateMetadata,
    DeleteMetadata,
    ReadMember,
    ListMember,
    CreateMember,
    UpdateMember,
    DeleteMember,
    ReadRepository,
    ListRepository,
    PullRepository,
    PushRepository,
    CreateRepository,
    UpdateRepository,
    DeleteRepository,
    ReadArtifact,
    ListArtifact,
    CreateArtifact,
    DeleteArtifact,
    ListTag,
    CreateTag,
    OverwriteTag,
    DeleteTag,
    ListAccessory,
    ReadLabel,
    ListLabel,
    CreateLabel,
    UpdateLabel,
    DeleteLabel,
    CreateArtifactLabel,
    DeleteArtifactLabel,
    ReadRobot,
    ListRobot,
    CreateRobot,
    UpdateRobot,
    DeleteRobot,
    ListLog,
    ReadQuota,
)
"""One class for each permission in a project."""
