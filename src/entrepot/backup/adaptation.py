"""What has to be other in rows when they come into another store, or just into another time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable

    from entrepot.backup.rows import RowBatch
    from entrepot.metadata.dumps import DumpedValue

__all__ = ["adapt_to_store", "give_back_leases", "let_jobs_wait"]


def adapt_to_store(batch: RowBatch, keys: dict[str, str], incarnation: str) -> None:
    """Let rows name the `keys` of the new store, by digest, and the `incarnation` of the new database."""
    if batch.table in _ADAPTERS:
        _ADAPTERS[batch.table](batch, keys, incarnation)


def _rename_blobs(batch: RowBatch, keys: dict[str, str], incarnation: str) -> None:
    del incarnation
    digest_at, key_at = batch.position("digest"), batch.position("storage_key")
    for row in batch.rows:
        row[key_at] = keys.get(str(row[digest_at]), row[key_at])


def _begin_journal_anew(batch: RowBatch, keys: dict[str, str], incarnation: str) -> None:
    """Let no fact count as journalled, and let facts name the keys of the new store, which a rebuild reads."""
    del incarnation
    journalled_at, payload_at = batch.position("journalled_at"), batch.position("payload")
    for row in batch.rows:
        row[journalled_at] = None
        row[payload_at] = _with_new_key(row[payload_at], keys)


def _with_new_key(payload: DumpedValue, keys: dict[str, str]) -> DumpedValue:
    if not isinstance(payload, bytes):
        return payload
    try:
        fact = msgspec.json.decode(payload, type=dict[str, Any])
    except msgspec.MsgspecError:
        return payload
    key = keys.get(str(fact.get("digest")))
    if key is None or "key" not in fact:
        return payload
    fact["key"] = key
    return msgspec.json.encode(fact)


def _name_incarnation(batch: RowBatch, keys: dict[str, str], incarnation: str) -> None:
    del keys
    at = batch.position("incarnation")
    for row in batch.rows:
        row[at] = incarnation


def give_back_leases(batch: RowBatch) -> None:
    """Nobody holds a lease in a database that was just restored."""
    until = batch.position("lease_until")
    for row in batch.rows:
        row[until] = None


def let_jobs_wait(batch: RowBatch) -> None:
    """Nobody works on a job that ran when the snapshot was taken."""
    state, owner, until = (batch.position(name) for name in ("state", "lease_owner", "lease_until"))
    for row in batch.rows:
        if row[state] == "running":
            row[state] = "waiting"
        row[owner] = row[until] = None


_ADAPTERS: Final[dict[str, Callable[[RowBatch, dict[str, str], str], None]]] = {
    "instance": _name_incarnation,
    "blobs": _rename_blobs,
    "outbox": _begin_journal_anew,
}
"""What has to be other in another store, by table."""
