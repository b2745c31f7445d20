"""What a service can demand a grant for on the system: one class per permission, only ever used as a type."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from entrepot.auth.permissions import SYSTEM_PERMISSIONS

if TYPE_CHECKING:
    from entrepot.auth.permissions import Permission

__all__ = [
    "SYSTEM_ACTIONS",
    "CreateProject",
    "CreateRole",
    "CreateRoleAssignment",
    "CreateSystemLabel",
    "CreateSystemRobot",
    "CreateUser",
    "CreateUserGroup",
    "DeleteRole",
    "DeleteRoleAssignment",
    "DeleteSession",
    "DeleteSystemLabel",
    "DeleteSystemRobot",
    "DeleteUser",
    "DeleteUserGroup",
    "ExportAuditLog",
    "ListAuditLog",
    "ListProjects",
    "ListRole",
    "ListRoleAssignment",
    "ListSession",
    "ListSystemLabel",
    "ListSystemRobot",
    "ListUser",
    "ListUserGroup",
    "ReadCatalog",
    "ReadConfiguration",
    "ReadRole",
    "ReadSystemInfo",
    "ReadSystemLabel",
    "ReadSystemRobot",
    "ReadUser",
    "ReadUserGroup",
    "SystemAction",
    "UpdateConfiguration",
    "UpdateRole",
    "UpdateSystemLabel",
    "UpdateSystemRobot",
    "UpdateUser",
    "UpdateUserGroup",
]


class SystemAction:
    """The root of what one may be allowed to do with the registry as a whole."""

    permission: ClassVar[Permission]


class ListProjects(SystemAction):
    """`project:list` on the system."""

    permission = SYSTEM_PERMISSIONS["project:list"]


class CreateProject(SystemAction):
    """`project:create` on the system."""

    permission = SYSTEM_PERMISSIONS["project:create"]


class ReadUser(SystemAction):
    """`user:read` on the system."""

    permission = SYSTEM_PERMISSIONS["user:read"]


class ListUser(SystemAction):
    """`user:list` on the system."""

    permission = SYSTEM_PERMISSIONS["user:list"]


class CreateUser(SystemAction):
    """`user:create` on the system."""

    permission = SYSTEM_PERMISSIONS["user:create"]


class UpdateUser(SystemAction):
    """`user:update` on the system."""

    permission = SYSTEM_PERMISSIONS["user:update"]


class DeleteUser(SystemAction):
    """`user:delete` on the system."""

    permission = SYSTEM_PERMISSIONS["user:delete"]


class ReadUserGroup(SystemAction):
    """`user-group:read` on the system."""

    permission = SYSTEM_PERMISSIONS["user-group:read"]


class ListUserGroup(SystemAction):
    """`user-group:list` on the system."""

    permission = SYSTEM_PERMISSIONS["user-group:list"]


class CreateUserGroup(SystemAction):
    """`user-group:create` on the system."""

    permission = SYSTEM_PERMISSIONS["user-group:create"]


class UpdateUserGroup(SystemAction):
    """`user-group:update` on the system."""

    permission = SYSTEM_PERMISSIONS["user-group:update"]


class DeleteUserGroup(SystemAction):
    """`user-group:delete` on the system."""

    permission = SYSTEM_PERMISSIONS["user-group:delete"]


class ReadSystemRobot(SystemAction):
    """`robot:read` on the system."""

    permission = SYSTEM_PERMISSIONS["robot:read"]


class ListSystemRobot(SystemAction):
    """`robot:list` on the system."""

    permission = SYSTEM_PERMISSIONS["robot:list"]


class CreateSystemRobot(SystemAction):
    """`robot:create` on the system."""

    permission = SYSTEM_PERMISSIONS["robot:create"]


class UpdateSystemRobot(SystemAction):
    """`robot:update` on the system."""

    permission = SYSTEM_PERMISSIONS["robot:update"]


class DeleteSystemRobot(SystemAction):
    """`robot:delete` on the system."""

    permission = SYSTEM_PERMISSIONS["robot:delete"]


class ReadRole(SystemAction):
    """`role:read` on the system."""

    permission = SYSTEM_PERMISSIONS["role:read"]


class ListRole(SystemAction):
    """`role:list` on the system."""

    permission = SYSTEM_PERMISSIONS["role:list"]


class CreateRole(SystemAction):
    """`role:create` on the system."""

    permission = SYSTEM_PERMISSIONS["role:create"]


class UpdateRole(SystemAction):
    """`role:update` on the system."""

    permission = SYSTEM_PERMISSIONS["role:update"]


class DeleteRole(SystemAction):
    """`role:delete` on the system."""

    permission = SYSTEM_PERMISSIONS["role:delete"]


class ListRoleAssignment(SystemAction):
    """`role-assignment:list` on the system."""

    permission = SYSTEM_PERMISSIONS["role-assignment:list"]


class CreateRoleAssignment(SystemAction):
    """`role-assignment:create` on the system."""

    permission = SYSTEM_PERMISSIONS["role-assignment:create"]


class DeleteRoleAssignment(SystemAction):
    """`role-assignment:delete` on the system."""

    permission = SYSTEM_PERMISSIONS["role-assignment:delete"]


class ReadSystemLabel(SystemAction):
    """`label:read` on the system."""

    permission = SYSTEM_PERMISSIONS["label:read"]


class ListSystemLabel(SystemAction):
    """`label:list` on the system."""

    permission = SYSTEM_PERMISSIONS["label:list"]


class CreateSystemLabel(SystemAction):
    """`label:create` on the system."""

    permission = SYSTEM_PERMISSIONS["label:create"]


class UpdateSystemLabel(SystemAction):
    """`label:update` on the system."""

    permission = SYSTEM_PERMISSIONS["label:update"]


class DeleteSystemLabel(SystemAction):
    """`label:delete` on the system."""

    permission = SYSTEM_PERMISSIONS["label:delete"]


class ListAuditLog(SystemAction):
    """`audit-log:list` on the system."""

    permission = SYSTEM_PERMISSIONS["audit-log:list"]


class ExportAuditLog(SystemAction):
    """`audit-log:export` on the system."""

    permission = SYSTEM_PERMISSIONS["audit-log:export"]


class ReadCatalog(SystemAction):
    """`catalog:read` on the system."""

    permission = SYSTEM_PERMISSIONS["catalog:read"]


class ReadConfiguration(SystemAction):
    """`configuration:read` on the system."""

    permission = SYSTEM_PERMISSIONS["configuration:read"]


class UpdateConfiguration(SystemAction):
    """`configuration:update` on the system."""

    permission = SYSTEM_PERMISSIONS["configuration:update"]


class ReadSystemInfo(SystemAction):
    """`system-info:read` on the system."""

    permission = SYSTEM_PERMISSIONS["system-info:read"]


class ListSession(SystemAction):
    """`session:list` on the system."""

    permission = SYSTEM_PERMISSIONS["session:list"]


class DeleteSession(SystemAction):
    """`session:delete` on the system."""

    permission = SYSTEM_PERMISSIONS["session:delete"]


SYSTEM_ACTIONS: Final[tuple[type[SystemAction], ...]] = (
    ListProjects,
    CreateProject,
    ReadUser,
    ListUser,
    CreateUser,
    UpdateUser,
    DeleteUser,
    ReadUserGroup,
    ListUserGroup,
    CreateUserGroup,
    UpdateUserGroup,
    DeleteUserGroup,
    ReadSystemRobot,
    ListSystemRobot,
    CreateSystemRobot,
    UpdateSystemRobot,
    DeleteSystemRobot,
    ReadRole,
    ListRole,
    CreateRole,
    UpdateRole,
    DeleteRole,
    ListRoleAssignment,
    CreateRoleAssignment,
    DeleteRoleAssignment,
    ReadSystemLabel,
    ListSystemLabel,
    CreateSystemLabel,
    UpdateSystemLabel,
    DeleteSystemLabel,
    ListAuditLog,
    ExportAuditLog,
    ReadCatalog,
    ReadConfiguration,
    UpdateConfiguration,
    ReadSystemInfo,
    ListSession,
    DeleteSession,
)
"""One class for each permission on the system."""
