"""What projects and what belongs to them refuse, in their own terms."""

from __future__ import annotations

from entrepot.auth.errors import AccessDeniedError
from entrepot.kernel.errors import EntrepotError

__all__ = [
    "ConfigurationInvalidError",
    "LabelExistsError",
    "LabelInvalidError",
    "LabelUnknownError",
    "MemberExistsError",
    "MemberNeededError",
    "MemberUnknownError",
    "MetadataInvalidError",
    "MetadataMissingError",
    "ProjectExistsError",
    "ProjectNameInvalidError",
    "ProjectNotEmptyError",
    "ProjectsError",
    "RoleBeyondOwnError",
    "RoleNotAssignableError",
    "SubjectUnknownError",
]


class ProjectsError(EntrepotError):
    """The root of what projects refuse."""


class ProjectNameInvalidError(ProjectsError):
    """A text that can't name a project."""

    def __init__(self, text: str) -> None:
        super().__init__(
            "a project's name is lower-case letters and digits, joined by single '.', '_' or '-', "
            "so short that a repository's name fits behind it: 253 characters at most"
        )
        self.text = text


class ProjectExistsError(ProjectsError):
    """There is a project of this name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a project {name} already")
        self.name = name


class ProjectNotEmptyError(ProjectsError):
    """A project can't be deleted as long as it has repositories."""

    def __init__(self, name: str, repositories: int) -> None:
        super().__init__(
            f"project {name} has {repositories} {'repository' if repositories == 1 else 'repositories'}: "
            f"delete {'it' if repositories == 1 else 'them'} first (see entrepot repository list and entrepot "
            "repository delete), also those without images, as pushes that never finished leave them"
        )
        self.name = name
        self.repositories = repositories


class MetadataInvalidError(ProjectsError):
    """A piece of a project's metadata that is unknown, or has a value that it can't have."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"metadata {name!r} {reason}")
        self.name = name
        self.reason = reason


class MetadataMissingError(ProjectsError):
    """The project has no such metadata."""

    def __init__(self, project: str, name: str) -> None:
        super().__init__(f"project {project} has no metadata {name!r}")
        self.project = project
        self.name = name


class MemberUnknownError(ProjectsError):
    """The project has no such member, whatever other projects have (S7)."""

    def __init__(self, project: str, member_id: int) -> None:
        super().__init__(f"project {project} has no member {member_id}")
        self.project = project
        self.member_id = member_id


class MemberExistsError(ProjectsError):
    """The person or group is a member already."""

    def __init__(self, project: str, name: str) -> None:
        super().__init__(f"{name} is a member of project {project} already; change the role instead")
        self.project = project
        self.name = name


class MemberNeededError(ProjectsError):
    """The owner, or the last project administrator, can be demoted or removed by an operations administrator only."""

    def __init__(self, project: str, name: str, why: str) -> None:
        super().__init__(
            f"{name} is {why} of project {project}: ask an operations administrator to remove or demote them"
        )
        self.project = project
        self.name = name


class RoleNotAssignableError(ProjectsError):
    """There is no such role, or it is none of a project."""

    def __init__(self, role_id: int) -> None:
        super().__init__(f"there is no role {role_id} that a member of a project can have")
        self.role_id = role_id


class RoleBeyondOwnError(AccessDeniedError):
    """Somebody would give, or take, a role with permissions that he does not hold himself (S9)."""

    def __init__(self, role: str, missing: frozenset[str]) -> None:
        named = ", ".join(sorted(missing))
        super().__init__(f"the role {role} has permissions that you do not hold in this project: {named}")
        self.role = role
        self.missing = missing


class SubjectUnknownError(ProjectsError):
    """There is no such person or group that could become a member."""

    def __init__(self, kind: str, given: str | int) -> None:
        super().__init__(f"there is no {kind} {given}")
        self.kind = kind
        self.given = given


class LabelUnknownError(ProjectsError):
    """There is no such label here, whatever other projects have (S7)."""

    def __init__(self, label_id: int) -> None:
        super().__init__(f"there is no label {label_id}")
        self.label_id = label_id


class LabelExistsError(ProjectsError):
    """There is a label of this name here."""

    def __init__(self, name: str) -> None:
        super().__init__(f"there is a label {name!r} already")
        self.name = name


class LabelInvalidError(ProjectsError):
    """A label can't look like this."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the label {reason}")
        self.reason = reason


class ConfigurationInvalidError(ProjectsError):
    """A setting that can't be changed at run time, or not to this value; nothing was changed."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"configuration {name!r} {reason}")
        self.name = name
        self.reason = reason
