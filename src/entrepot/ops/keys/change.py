"""``entrepot keys rotate`` and ``entrepot keys revoke``: a signing key makes way for the next, kindly or at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from entrepot.auth.host import host_operator
from entrepot.ops.errors import EXIT_OK
from entrepot.ops.keys.options import (
    ConfigOption,
    DataOption,
    PurposeOption,
    begin_key_command,
    opened_keys,
)
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.metadata.key_store import KeyPurpose
    from entrepot.settings import Settings

__all__ = ["revoke_key", "rotate_keys"]

_KeyArgument = Annotated[
    str, Parameter(name="KEY", help="The id of the key, as `entrepot keys list` shows it.")
]


def rotate_keys(
    *, purpose: PurposeOption = "token", config: ConfigOption = None, data: DataOption = None
) -> int:
    """Retire the active key and let the next one sign; no client notices, and the registry may be running."""
    settings = begin_key_command(config, data)
    active = run_to_its_end(_rotate(settings, purpose))
    print(f"{active} signs from now on; what the key before it signed is good until it ends.")
    return EXIT_OK


def revoke_key(
    key: _KeyArgument,
    /,
    *,
    purpose: PurposeOption = "token",
    config: ConfigOption = None,
    data: DataOption = None,
) -> int:
    """End a key whose private half somebody else may know; its tokens are refused within ten seconds, on all nodes."""
    settings = begin_key_command(config, data)
    run_to_its_end(_revoke(settings, purpose, key))
    print(f"{key} is revoked; clients whose tokens it signed fetch new ones by themselves.")
    return EXIT_OK


async def _rotate(settings: Settings, purpose: KeyPurpose) -> str:
    async with opened_keys(settings, purpose) as keys:
        return await keys.rotate(host_operator())


async def _revoke(settings: Settings, purpose: KeyPurpose, key: str) -> None:
    async with opened_keys(settings, purpose) as keys:
        await keys.revoke(host_operator(), key)
