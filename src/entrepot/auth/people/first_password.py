"""Removes the file of the first password once that was changed: nobody needs it any more."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import structlog

from entrepot.auth.people.first_administrator import FIRST_ADMINISTRATOR
from entrepot.auth.people.password_file import ADMIN_PASSWORD_FILE, read_password, remove_password

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata

__all__ = ["remove_first_password"]

_log: Any = structlog.get_logger()


async def remove_first_password(metadata: Metadata, data_directory: Path) -> bool:
    """Remove this node's file unless the password in it may still be the one; tell whether it was removed.

    The password may have been changed by way of any node, so the database is asked.

    Raises:
        MetadataError: the database can't be asked.
        OSError: the file can't be removed.
    """
    path = data_directory / ADMIN_PASSWORD_FILE
    password = await asyncio.to_thread(read_password, path)
    if not password or await _is_needed(metadata):
        return False
    await asyncio.to_thread(remove_password, path, password)
    _log.info("admin.password.removed", path=str(path))
    return True


async def _is_needed(metadata: Metadata) -> bool:
    if not await metadata.users.any_exist():
        return True  # of a start that was killed before it made the person, or that is about to
    person = await metadata.users.find_named(FIRST_ADMINISTRATOR)
    return person is not None and person.must_change_password
