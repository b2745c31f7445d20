"""``entrepot keys rewrap``: another master key takes the place of the one that seals secrets in the database (F46)."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.auth.host import host_operator
from entrepot.auth.keys.master_key import (
    begin_replacement,
    finish_replacement,
    parse_master_key,
    read_master_key_file,
)
from entrepot.auth.keys.opening import open_node_sealing
from entrepot.auth.keys.rewrapping import rewrap_signing_keys
from entrepot.auth.keys.sealing import Sealing
from entrepot.ops.command_stores import open_command_stores
from entrepot.ops.errors import EXIT_OK, EXIT_USAGE, CommandError
from entrepot.ops.keys.options import ConfigOption, DataOption, begin_key_command
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.auth.keys.master_key import MasterKey
    from entrepot.settings import Settings

__all__ = ["rewrap_keys"]

_FormerOption = Annotated[
    Path | None,
    Parameter(
        name="--former-key-file",
        help="File with the key (base64) that sealed until now; needed when secrets.master_key holds the new one.",
    ),
]


def rewrap_keys(
    *, former_key_file: _FormerOption = None, config: ConfigOption = None, data: DataOption = None
) -> int:
    """Seal everything anew, all in one transaction, under the key of the settings, or a new one in place of the file.

    Breaking it off leaves a registry that works; running it again goes on. Give the new key to every other
    node: running ones read the file again by themselves; with the settings, start them anew.
    """
    settings = begin_key_command(config, data)
    is_set = bool(settings.secrets.master_key)
    if is_set != (former_key_file is not None):
        raise CommandError(
            EXIT_USAGE,
            "entrepot: give --former-key-file together with the new key in secrets.master_key; without both, a new key "
            "takes the place of secrets/master.key",
        )
    if former_key_file is None:
        key_id, count = run_to_its_end(_replace_file(settings))
    else:
        key_id, count = run_to_its_end(_replace_setting(settings, former_key_file))
    print(
        f"{count} private keys are sealed anew; the master key is {key_id}. Give it to every other "
        "node (running ones read the file within seconds; with secrets.master_key, start them anew), and keep a copy."
    )
    return EXIT_OK


async def _replace_file(settings: Settings) -> tuple[str, int]:
    directory = settings.data.directory
    async with open_command_stores(settings) as stores:
        present = await open_node_sealing(stores.metadata, "", directory)
        following = await asyncio.to_thread(begin_replacement, directory)
        sealing = present.under(following)
        count = await rewrap_signing_keys(stores.metadata, sealing, host_operator())
    await asyncio.to_thread(finish_replacement, directory)
    return following.key_id, count


async def _replace_setting(settings: Settings, former_key_file: Path) -> tuple[str, int]:
    former = await asyncio.to_thread(_read_former, former_key_file)
    key = parse_master_key(settings.secrets.master_key.reveal(), "secrets.master_key")
    return key.key_id, await _rewrap(settings, Sealing(key, former))


async def _rewrap(settings: Settings, sealing: Sealing) -> int:
    async with open_command_stores(settings) as stores:
        return await rewrap_signing_keys(stores.metadata, sealing, host_operator())


def _read_former(path: Path) -> MasterKey:
    try:
        return read_master_key_file(path)
    except OSError as error:
        raise CommandError(EXIT_USAGE, f"entrepot: {path} can't be read: {error.strerror}") from error
