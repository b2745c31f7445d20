"""What the commands about keys share: settings, a purpose, and the keys of a registry that may be running."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Annotated, TypeAlias

from cyclopts import Parameter

from entrepot.auth.keys.opening import open_node_sealing
from entrepot.auth.keys.signing_keys import SigningKeys
from entrepot.metadata.key_store import KeyPurpose
from entrepot.observability.logging import configure_logging
from entrepot.ops.command_stores import open_command_stores
from entrepot.ops.options import ConfigOption, DataOption, load_command_settings, make_flags

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from entrepot.settings import Settings

__all__ = ["ConfigOption", "DataOption", "PurposeOption", "begin_key_command", "opened_keys"]

PurposeOption: TypeAlias = Annotated[
    KeyPurpose, Parameter(name="--purpose", help="The keys of tokens, or those of the audit log.")
]


def begin_key_command(config: Path | None, data: Path | None) -> Settings:
    """Load the settings, and let warnings go to standard error, so that what is printed is the result alone.

    Raises:
        CommandError: the settings can't be used.
    """
    configure_logging("warning", "console", "keys")
    return load_command_settings(config, make_flags(data)).settings


@contextlib.asynccontextmanager
async def opened_keys(settings: Settings, purpose: KeyPurpose) -> AsyncIterator[SigningKeys]:
    """Open the keys of a purpose, after making the first ones where there are none.

    Raises:
        CommandError, MetadataError, BlobStoreError, MasterKeyError: the stores or the master key can't be used.
    """
    secret = settings.secrets.master_key.reveal()
    async with open_command_stores(settings) as stores:
        sealing = await open_node_sealing(stores.metadata, secret, settings.data.directory)
        keys = SigningKeys(stores.metadata, sealing, purpose)
        await keys.ensure()
        yield keys
