"""What shells offer where any word is taken: the registry may know more of them than this program does.

Each is a union with `str`, from which the completion scripts take the words; the texts of help name them in prose.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

__all__ = ["MemberRole", "MetadataValue", "SystemRole"]

_MemberRoles: TypeAlias = Literal[
    "project-admin", "team-lead", "developer", "guest", "limited-guest", "auditor"
]
_Operator: TypeAlias = Literal["operations-admin"]
_Metadata: TypeAlias = Literal[
    "public=true",
    "public=false",
    "repository_creation=operators",
    "repository_creation=team-leads",
    "repository_creation=developers",
]

MemberRole: TypeAlias = _MemberRoles | str
SystemRole: TypeAlias = _Operator | _MemberRoles | str
MetadataValue: TypeAlias = _Metadata | str
