"""Tells checkpoints that count from rows that whoever owns the database made up."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.audit.checkpoint_format import read_signed_content
from entrepot.audit.signatures import is_signed_by

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Sequence

    from entrepot.metadata.audit_store import ChainState, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["CheckpointJudge", "Refusal", "is_signed", "tells_what_was_signed"]

_STRANGE: Final = "its key is none of this registry's"
_REVOKED: Final = "its key was revoked"


@dataclass(frozen=True, slots=True)
class Refusal:
    """A row that counts for nothing, and why."""

    row: CheckpointRow
    reason: str

    @property
    def is_made_up(self) -> bool:
        """Whether somebody else than the registry wrote it: not what a key signed before an operator revoked it."""
        return self.reason != _REVOKED


class CheckpointJudge:
    """Judges rows of checkpoints by themselves, by the chain and by whose key it is."""

    def __init__(self, metadata: Metadata, owns: Callable[[str, bytes], Awaitable[bool]]) -> None:
        """Take what tells whether a key, by id and public key, is one of ours."""
        self._metadata = metadata
        self._owns = owns
        self._known: set[tuple[str, bytes]] = set()
        """Keys that were found to be ours."""
        self._revoked: set[tuple[str, bytes]] = set()
        """Keys that were found to be; that is for ever."""

    async def reason_against(self, row: CheckpointRow, chain: ChainState) -> str:
        """Return why a row does not tell that the chain was signed up to there, empty where it does.

        Args:
            chain: as it was read behind the row.

        Raises:
            MetadataError: the database can't be read.
        """
        (reason,) = await self.reasons_against([row], chain)
        return reason

    async def reasons_against(self, rows: Sequence[CheckpointRow], chain: ChainState) -> Sequence[str]:
        """Return the same of each; signatures are verified on another thread, since a hundred take 10 ms.

        Raises:
            MetadataError: the database can't be read.
        """
        by_themselves = await asyncio.to_thread(lambda: [_reason_by_itself(row, chain) for row in rows])
        return [
            reason or await self._reason_by_others(row, chain)
            for row, reason in zip(rows, by_themselves, strict=True)
        ]

    async def is_strangers(self, row: CheckpointRow) -> bool:
        """Whether its key neither is one of ours nor was one.

        Raises:
            MetadataError: the database can't be read.
        """
        key = (row.key_id, row.public_key)
        return key not in self._known | self._revoked and await self._reason_by_key(key) == _STRANGE

    async def _reason_by_others(self, row: CheckpointRow, chain: ChainState) -> str:
        if await self._link_at(row.sequence, chain) not in {"", row.chain_hash}:
            return "the chain has another link there"
        return await self._reason_by_key((row.key_id, row.public_key))

    async def _reason_by_key(self, key: tuple[str, bytes]) -> str:
        if key not in self._revoked:
            if await self._owns(*key):
                self._known.add(key)
                return ""
            table = await self._metadata.signing_keys.read("audit")
            self._revoked |= {(one.key_id, one.public_key) for one in table.rows if one.state == "revoked"}
        return _REVOKED if key in self._revoked else _STRANGE

    async def _link_at(self, sequence: int, chain: ChainState) -> str:
        """Return the link of a record, empty where that is gone."""
        if sequence == chain.sequence:
            return chain.chain_hash
        links = await self._metadata.audit.links(sequence - 1, 1)
        return links[0].chain_hash if links and links[0].sequence == sequence else ""


def is_signed(row: CheckpointRow) -> bool:
    """Whether a row has a good signature of its key, whosever that is."""
    return row.signed.isascii() and is_signed_by(row.public_key, row.algorithm, row.signed, row.signature)


def tells_what_was_signed(row: CheckpointRow) -> bool:
    """Whether the columns by which a row is found say what was signed."""
    content = read_signed_content(row.signed)
    return content is not None and (content.sequence, content.chain_hash) == (row.sequence, row.chain_hash)


def _reason_by_itself(row: CheckpointRow, chain: ChainState) -> str:
    if row.sequence > chain.sequence:
        return f"it lies beyond the end of the chain, which is {chain.sequence}"
    content = read_signed_content(row.signed)
    if content is None or content.chain != chain.chain_id or not tells_what_was_signed(row):
        return "it is of another chain, or its columns are not what was signed"
    return "" if is_signed(row) else "nobody signed it"
