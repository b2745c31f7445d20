"""Opens the master key of a node, and makes one only where nothing is sealed yet: a new key opens nothing old (F46)."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entrepot.auth.keys.errors import MasterKeyFileMissingError
from entrepot.auth.keys.master_key import make_master_key, master_key_path, read_master_keys
from entrepot.auth.keys.sealed_rows import sealing_master_keys
from entrepot.auth.keys.sealing import Sealing

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.metadata.store import Metadata

__all__ = ["open_node_sealing"]


async def open_node_sealing(metadata: Metadata, setting: str, data_directory: Path) -> Sealing:
    """Return what this node seals with; makes its key file when nothing in the database is sealed.

    Args:
        metadata: is asked only when there is no key.
        setting: the value of `secrets.master_key`; empty for the file.
        data_directory: below it the file lies.

    Raises:
        MasterKeyFileMissingError: there is no key, and something is sealed.
        MasterKeyError: the setting or the file is not usable.
        MetadataError: the database can't be asked.
    """
    keys = await asyncio.to_thread(read_master_keys, setting, data_directory)
    if not keys:
        wanted = await sealing_master_keys(metadata)
        if wanted:
            raise MasterKeyFileMissingError(str(master_key_path(data_directory)), tuple(sorted(wanted)))
        keys = await asyncio.to_thread(make_master_key, data_directory)
    return Sealing(*keys)
