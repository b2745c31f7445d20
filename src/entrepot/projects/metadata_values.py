"""What a project's metadata can be: Harbor's names, each with the texts it takes. Two of them decide about access.

What would switch on a control that does not exist here can't be set: nobody is to read back `true` and rely on it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.projects.errors import MetadataInvalidError

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = [
    "NO_PROXY",
    "NO_QUOTA",
    "PUBLIC",
    "REPOSITORY_CREATION",
    "AccessMetadata",
    "check_metadata",
    "split_metadata",
]

PUBLIC: Final = "public"
REPOSITORY_CREATION: Final = "repository_creation"
NO_QUOTA: Final = "can only be -1, since projects have no quota here"
NO_PROXY: Final = "can't be set, since there are no proxy projects here"
_ELSEWHERE: Final = {"storage_limit": NO_QUOTA, "registry_id": NO_PROXY}
"""What Harbor has of a project beside its metadata, where people look for it as well."""
_MAX_PATTERN_LENGTH: Final = 255

_BOOLEAN: Final = (re.compile(r"true|false", re.ASCII), "is either 'true' or 'false'")
_NEVER_TRUE: Final = re.compile(r"false", re.ASCII)
_UNSIGNED: Final = (_NEVER_TRUE, "can only be 'false': signatures are not demanded of pulls here")
_UNSCANNED: Final = (_NEVER_TRUE, "can only be 'false': images are not scanned here")
_NUMBER: Final = (re.compile(r"-1|[0-9]{1,18}", re.ASCII), "is a whole number, or -1 for none")
_RULES: Final = {
    PUBLIC: _BOOLEAN,
    REPOSITORY_CREATION: (
        re.compile(r"operators|team-leads|developers", re.ASCII),
        "is one of 'operators', 'team-leads' and 'developers'",
    ),
    "enable_content_trust": _UNSIGNED,
    "enable_content_trust_cosign": _UNSIGNED,
    "prevent_vul": _UNSCANNED,
    "severity": (
        re.compile(r"none|low|medium|high|critical", re.ASCII),
        "is one of 'none', 'low', 'medium', 'high' and 'critical'",
    ),
    "auto_scan": _UNSCANNED,
    "auto_sbom_generation": (_NEVER_TRUE, "can only be 'false': bills of materials are not made here"),
    "reuse_sys_cve_allowlist": _BOOLEAN,
    "retention_id": (re.compile(r"(?!)"), "can't be set: there are no retention policies here"),
    "proxy_speed_kb": _NUMBER,
    "max_upstream_conn": _NUMBER,
    "proxy_cache_local_on_not_found": _BOOLEAN,
    "proxy_referrer_api": _BOOLEAN,
    "proxy_cache_filter_kind": (
        re.compile(r"doublestar|regex", re.ASCII),
        "is either 'doublestar' or 'regex'",
    ),
    "proxy_cache_filter_pattern": (
        re.compile(rf"[ -~]{{0,{_MAX_PATTERN_LENGTH}}}", re.ASCII),
        f"is up to {_MAX_PATTERN_LENGTH} printable ASCII characters",
    ),
}
_CASELESS: Final = frozenset(
    name for name, (pattern, _) in _RULES.items() if pattern in (_BOOLEAN[0], _NEVER_TRUE)
)
"""Some clients write booleans with a capital."""


@dataclass(frozen=True, slots=True)
class AccessMetadata:
    """The metadata that decide about access; `None` where nothing is said."""

    is_public: bool | None = None
    repository_creation: str | None = None


def check_metadata(values: Mapping[str, str | None]) -> dict[str, str]:
    """Return metadata as they are kept.

    Raises:
        MetadataInvalidError: one is unknown (S8), or can't have this value.
    """
    checked: dict[str, str] = {}
    for name, given in values.items():
        rule = _RULES.get(name)
        if rule is None:
            beside = f": {name} of a project {_ELSEWHERE[name]}" if name in _ELSEWHERE else ""
            raise MetadataInvalidError(name, f"is unknown{beside}")
        if given is None:
            raise MetadataInvalidError(name, "needs a value")
        pattern, expectation = rule
        value = given.lower() if name in _CASELESS else given
        if pattern.fullmatch(value) is None:
            raise MetadataInvalidError(name, expectation)
        checked[name] = value
    return checked


def split_metadata(values: Mapping[str, str]) -> tuple[AccessMetadata, dict[str, str]]:
    """Return what decides about access, and the rest, of metadata that were checked."""
    rest = {name: value for name, value in values.items() if name not in {PUBLIC, REPOSITORY_CREATION}}
    public = values.get(PUBLIC)
    return AccessMetadata(None if public is None else public == "true", values.get(REPOSITORY_CREATION)), rest
