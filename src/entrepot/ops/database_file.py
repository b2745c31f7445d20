"""Looks at the SQLite file before a command opens it: opening makes a new one, which is few commands' purpose."""

from __future__ import annotations

import os
import pwd
import sys
from typing import TYPE_CHECKING

from entrepot.ops.errors import EXIT_USAGE, CommandError, RegistryUnusableError
from entrepot.settings import metadata_path, uses_postgresql

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

__all__ = [
    "has_no_database",
    "name_of_user",
    "require_own_database",
    "require_registry",
    "say_rehearsed_on_nothing",
]


def has_no_database(settings: Settings) -> bool:
    """Whether the file is missing; on PostgreSQL only opening it can tell.

    Raises:
        RegistryUnusableError: this user may not look there.
    """
    return not uses_postgresql(settings) and _owner(metadata_path(settings)) is None


def require_registry(settings: Settings) -> None:
    """Refuse to make an empty registry where a path is mistyped or a database is lost.

    Raises:
        RegistryUnusableError: there is no database, or this user may not read it.
    """
    path = metadata_path(settings)
    if has_no_database(settings):
        raise RegistryUnusableError(
            f"{_where_none_is(settings)}; see --config and --data. One that is lost comes back with entrepot "
            "rebuild or entrepot backup restore"
        )
    if not uses_postgresql(settings) and not os.access(path, os.R_OK):
        raise _closed(path)


def say_rehearsed_on_nothing(settings: Settings) -> None:
    """Say on standard error that a dry run met no registry, since the path may be mistyped."""
    print(
        f"entrepot: {_where_none_is(settings)}; without --dry-run a new one is made there",
        file=sys.stderr,
    )


def _where_none_is(settings: Settings) -> str:
    """Return a sentence about a database that is missing, or empty."""
    if uses_postgresql(settings):
        return "there is no registry: the database is empty"
    path = metadata_path(settings)
    state = f"the database {path} is empty" if path.exists() else f"no database {path}"
    return f"there is no registry in {settings.data.directory}: {state}"


def require_own_database(settings: Settings) -> None:
    """Refuse as :func:`require_registry`, and what would leave files beside the database that the registry can't open.

    Raises:
        RegistryUnusableError: as there.
        CommandError: the database is another user's.
    """
    require_registry(settings)
    if uses_postgresql(settings):
        return
    path = metadata_path(settings)
    owner = _owner(path)
    if owner is not None and owner != os.geteuid():
        name = name_of_user(owner)
        raise CommandError(
            EXIT_USAGE,
            f"entrepot: {path} belongs to {name}; files that another user makes beside it would stop the registry. "
            f"Run this as {name}: sudo -u {name} entrepot ...",
        )


def name_of_user(user_id: int) -> str:
    """Return the login name of a user, its number where it has none."""
    try:
        return pwd.getpwuid(user_id).pw_name
    except KeyError:
        return f"#{user_id}"


def _owner(path: Path) -> int | None:
    """Return the number of the user that a file belongs to, `None` without a file.

    Raises:
        RegistryUnusableError: this user may not look there.
    """
    try:
        return path.stat().st_uid
    except (FileNotFoundError, NotADirectoryError):
        return None
    except PermissionError as error:
        raise _closed(path) from error
    except OSError as error:
        raise RegistryUnusableError(f"{path} can't be looked at: {error.strerror}") from error


def _closed(path: Path) -> RegistryUnusableError:
    """Return what to say of a path below something that is closed to this user: the first that can be looked at."""
    for place in (path, *path.parents):
        try:
            owner = place.stat().st_uid
        except OSError:
            continue
        name = name_of_user(owner)
        return RegistryUnusableError(
            f"this user may not read {path}: {place} belongs to {name}. "
            f"Run this as the user that the registry runs as: sudo -u {name} entrepot ..."
        )
    return RegistryUnusableError(f"this user may not read {path}. Run this as the user that it belongs to")
