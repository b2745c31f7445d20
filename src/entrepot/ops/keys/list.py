"""``entrepot keys list``: the signing keys, with what state each is in and since when."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from entrepot.ops.errors import EXIT_OK
from entrepot.ops.keys.options import (
    ConfigOption,
    DataOption,
    PurposeOption,
    begin_key_command,
    opened_keys,
)
from entrepot.ops.output import OutputOption, format_table, print_json
from entrepot.ops.running import run_to_its_end

if TYPE_CHECKING:
    from entrepot.metadata.key_store import KeyPurpose, SigningKeyRow
    from entrepot.settings import Settings

__all__ = ["ListedKey", "list_keys"]


@dataclass(frozen=True, slots=True)
class ListedKey:
    """A line of the list. Times are ISO 8601 by the database's clock, empty when that has not happened.

    Attributes:
        public_key: DER in base64; not in the table, where it would fill the terminal.
    """

    id: str
    purpose: str
    state: str
    created_at: str
    activated_at: str
    retired_at: str
    master_key: str
    public_key: str


def list_keys(
    *,
    purpose: PurposeOption = "token",
    config: ConfigOption = None,
    data: DataOption = None,
    output: OutputOption = "text",
) -> int:
    """List the signing keys of a purpose, the oldest first, and which master key seals each."""
    settings = begin_key_command(config, data)
    keys = run_to_its_end(_list(settings, purpose))
    if output == "json":
        print_json(keys)
        return EXIT_OK
    header = ("ID", "STATE", "MADE", "IN USE SINCE", "UNTIL", "MASTER KEY")
    rows = [
        (key.id, key.state, key.created_at, key.activated_at, key.retired_at, key.master_key) for key in keys
    ]
    print(format_table(header, rows))
    return EXIT_OK


async def _list(settings: Settings, purpose: KeyPurpose) -> list[ListedKey]:
    async with opened_keys(settings, purpose) as keys:
        return [_listed(row) for row in (await keys.table()).rows]


def _listed(row: SigningKeyRow) -> ListedKey:
    return ListedKey(
        row.key_id,
        row.purpose,
        row.state,
        _iso(row.created_at),
        _iso(row.activated_at),
        _iso(row.retired_at),
        row.master_key_id,
        base64.b64encode(row.public_key).decode("ascii"),
    )


def _iso(milliseconds: int | None) -> str:
    return "" if milliseconds is None else datetime.fromtimestamp(milliseconds // 1000, UTC).isoformat()
