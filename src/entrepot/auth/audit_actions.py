"""What an audit record can be about: `event.action` in an export."""

from __future__ import annotations

from difflib import get_close_matches
from enum import StrEnum

__all__ = ["AuditAction", "near_actions"]


class AuditAction(StrEnum):
    """The acts that leave a record; each name is kind of thing, dot, what was done to it."""

    ACCESS_DENIED = "access.denied"
    ACCESS_TOKEN_CREATE = "access-token.create"
    ACCESS_TOKEN_DELETE = "access-token.delete"
    AUDIT_ERASE = "audit.erase"
    AUDIT_EXPORT = "audit.export"
    AUDIT_PURGE = "audit.purge"
    AUDIT_READ = "audit.read"
    BACKUP_CREATE = "backup.create"
    BACKUP_PRUNE = "backup.prune"
    BACKUP_RESTORE = "backup.restore"
    BLOB_DELETE = "blob.delete"
    BLOB_MOUNT = "blob.mount"
    BLOB_PULL = "blob.pull"
    BLOB_PUSH = "blob.push"
    CATALOG_READ = "catalog.read"
    CONFIGURATION_UPDATE = "configuration.update"
    GROUP_CREATE = "group.create"
    GROUP_DELETE = "group.delete"
    GROUP_UPDATE = "group.update"
    IMAGE_EXPORT = "image.export"
    KEY_REVOKE = "key.revoke"
    KEY_REWRAP = "key.rewrap"
    KEY_ROTATE = "key.rotate"
    LABEL_CREATE = "label.create"
    LABEL_DELETE = "label.delete"
    LABEL_UPDATE = "label.update"
    LOGIN = "session.login"
    LOGOUT = "session.logout"
    MANIFEST_DELETE = "manifest.delete"
    MANIFEST_PULL = "manifest.pull"
    MANIFEST_PUSH = "manifest.push"
    MEMBER_CREATE = "member.create"
    MEMBER_DELETE = "member.delete"
    MEMBER_UPDATE = "member.update"
    METADATA_UPDATE = "project.metadata.update"
    PROJECT_CREATE = "project.create"
    PROJECT_DELETE = "project.delete"
    PROJECT_UPDATE = "project.update"
    REGISTRY_REPAIR = "registry.repair"
    REFERRERS_LIST = "referrers.list"
    REPOSITORY_CREATE = "repository.create"
    REPOSITORY_DELETE = "repository.delete"
    REPOSITORY_UPDATE = "repository.update"
    ROBOT_CREATE = "robot.create"
    ROBOT_DELETE = "robot.delete"
    ROBOT_ROTATE = "robot.rotate"
    ROBOT_UPDATE = "robot.update"
    ROLE_ASSIGN = "role.assign"
    ROLE_CREATE = "role.create"
    ROLE_DELETE = "role.delete"
    ROLE_REVOKE = "role.revoke"
    ROLE_UPDATE = "role.update"
    SESSION_REVOKE = "session.revoke"
    SETTINGS_APPLY = "settings.apply"
    SUPPORT_BUNDLE = "support-bundle.create"
    TAG_DELETE = "tag.delete"
    TAGS_LIST = "tags.list"
    TOKEN_ISSUE = "token.issue"
    TOKEN_REVOKE = "token.revoke"
    USER_CREATE = "user.create"
    USER_DELETE = "user.delete"
    USER_PASSWORD_CHANGE = "user.password.change"
    USER_PASSWORD_RESET = "user.password.reset"
    USER_UNLOCK = "user.unlock"
    USER_UPDATE = "user.update"


def near_actions(text: str) -> str:
    """Return the names that are like one that there is not, for a message; some frequent ones where none is."""
    near = get_close_matches(text, AuditAction)
    return ", ".join(near or (AuditAction.MANIFEST_PUSH, AuditAction.ACCESS_DENIED, AuditAction.LOGIN))
