"""Finds out, for commands that change nothing, whether this node has the master keys that the database needs."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.settings import Settings

__all__ = ["master_key_file", "present_master_keys"]


def master_key_file(settings: Settings) -> Path:
    """Return where the key lies when it is not in the settings."""
    return settings.data.directory / "secrets" / "master.key"


def present_master_keys(settings: Settings) -> frozenset[str]:
    """Return the ids of the keys that this node has; none is made. Blocks.

    Raises:
        MasterKeyError: the setting or the file holds no key, or can't be read.
    """
    from entrepot.auth.keys.master_key import read_master_keys  # noqa: PLC0415 - loads cryptography; only when asked

    secret = settings.secrets.master_key.reveal()
    return frozenset(key.key_id for key in read_master_keys(secret, settings.data.directory))
