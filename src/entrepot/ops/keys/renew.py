"""``entrepot keys renew``: the way on when the master key is lost, as after a restore without a copy of it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from entrepot.auth.host import host_operator
from entrepot.auth.keys.master_key import open_master_keys
from entrepot.auth.keys.renewal import renew_signing_keys
from entrepot.auth.keys.sealing import Sealing
from entrepot.ops.command_stores import open_command_metadata
from entrepot.ops.errors import EXIT_OK
from entrepot.ops.keys.options import ConfigOption, DataOption, begin_key_command
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.settings import Settings

__all__ = ["renew_keys"]


def renew_keys(*, config: ConfigOption = None, data: DataOption = None) -> int:
    """Give up the keys that this node can't open, and make new ones; does nothing where it can open all of them.

    With the registry stopped on every node: nodes that have the former master key can't go on with these.
    """
    settings = begin_key_command(config, data)
    key_id, lost = run_to_its_end(_renew(settings))
    if lost == 0:
        print(f"The master key {key_id} opens every key; nothing was changed.")
    else:
        print(
            f"{lost} keys were given up and new ones made, sealed with the master key {key_id}. Give it to every node, "
            "and keep a copy."
        )
    return EXIT_OK


async def _renew(settings: Settings) -> tuple[str, int]:
    async with open_command_metadata(settings) as metadata:
        secret = settings.secrets.master_key.reveal()
        masters = await asyncio.to_thread(open_master_keys, secret, settings.data.directory)
        lost = await renew_signing_keys(metadata, Sealing(*masters), host_operator())
    return masters[0].key_id, lost
