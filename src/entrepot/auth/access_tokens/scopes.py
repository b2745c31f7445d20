"""What an access token is good for: permissions and projects, each of them a list or everything its person may.

A scope that is wider than its person gives nothing: decisions keep to both (S15).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from entrepot.auth.access_tokens.errors import InvalidAccessTokenError
from entrepot.auth.permissions import PROJECT_PERMISSIONS, SYSTEM_PERMISSIONS
from entrepot.auth.principals import CredentialLimits
from entrepot.auth.stored_permissions import UNREADABLE

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["AccessTokenScopes", "decode_scopes", "encode_scopes", "limits_of", "parse_scopes"]

_log: Any = structlog.get_logger()

_KNOWN: Final = frozenset(PROJECT_PERMISSIONS) | frozenset(SYSTEM_PERMISSIONS)
_PROJECT_NAME: Final = re.compile(r"[a-z0-9]+(?:[._-]+[a-z0-9]+)*", re.ASCII)
_MOST_NAME_CHARACTERS: Final = 255
_MOST_PROJECTS: Final = 100


class AccessTokenScopes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a token is good for; `None` sets no limit. Stored as it is: a field that is not there is damage.

    Attributes:
        permissions: names in order, as `repository:pull`.
        projects: names in order.
    """

    permissions: tuple[str, ...] | None
    projects: tuple[str, ...] | None


_NOTHING: Final = AccessTokenScopes((), ())


def parse_scopes(permissions: Sequence[str] | None, projects: Sequence[str] | None) -> AccessTokenScopes:
    """Check what a caller wrote.

    A project need not exist: whether it does, this must not tell (S19).

    Raises:
        InvalidAccessTokenError: a list is empty or too long, a permission does not exist, a project can't be named so.
    """
    if permissions is not None:
        unknown = sorted(set(permissions) - _KNOWN)
        if unknown:
            raise InvalidAccessTokenError("permissions", f"there is no permission {', '.join(unknown)}")
        if not permissions:
            raise InvalidAccessTokenError("permissions", "a token without a permission is good for nothing")
    if projects is not None:
        if not projects or len(projects) > _MOST_PROJECTS:
            raise InvalidAccessTokenError("projects", f"1 to {_MOST_PROJECTS} projects")
        if not all(_is_project_name(name) for name in projects):
            raise InvalidAccessTokenError("projects", "one of them is no name of a project")
    return AccessTokenScopes(_in_order(permissions), _in_order(projects))


def encode_scopes(scopes: AccessTokenScopes) -> bytes:
    """Return scopes as they are stored."""
    return msgspec.json.encode(scopes)


def decode_scopes(credential: str, stored: bytes) -> AccessTokenScopes:
    """Return what is stored of a token, by its public id.

    One whose scopes can't be read is good for nothing, and can be listed and deleted.
    """
    try:
        return msgspec.json.decode(stored, type=AccessTokenScopes)
    except UNREADABLE:
        _log.error("permissions.unreadable", access_token=credential)
        return _NOTHING


def limits_of(credential: str, stored: bytes) -> CredentialLimits:
    """Return what the stored scopes of a token leave of its person's rights."""
    scopes = decode_scopes(credential, stored)
    return CredentialLimits(credential, _as_set(scopes.permissions), _as_set(scopes.projects))


def _as_set(names: tuple[str, ...] | None) -> frozenset[str] | None:
    return None if names is None else frozenset(names)


def _in_order(names: Sequence[str] | None) -> tuple[str, ...] | None:
    return None if names is None else tuple(sorted(set(names)))


def _is_project_name(name: str) -> bool:
    return len(name) <= _MOST_NAME_CHARACTERS and _PROJECT_NAME.fullmatch(name) is not None
