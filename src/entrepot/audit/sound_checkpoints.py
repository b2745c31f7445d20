"""The checkpoints of a database without the rows among them that were made up: what an export goes by, and holds.

One such row in an export has whoever verifies it take all of it for forged.
"""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.audit.checkpoint_judge import CheckpointJudge, Refusal
from entrepot.metadata.errors import MetadataUnavailableError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from entrepot.metadata.audit_store import ChainState, CheckpointRow
    from entrepot.metadata.store import Metadata

__all__ = ["SoundCheckpoints", "read_chain"]

_log: Any = structlog.get_logger()

_PAGE: Final = 500
_REMEDY: Final = (
    "the export goes on without these rows; somebody else than the registry wrote to its database: find out who may, "
    "keep this line, and run entrepot audit verify --database"
)


async def read_chain(metadata: Metadata) -> ChainState:
    """Return the chain of a log that has checkpoints, or is to be exported.

    Raises:
        MetadataUnavailableError: there is none, so somebody removes it at present, or the database can't be read.
    """
    chain = await metadata.audit.chain()
    if chain is None:
        raise MetadataUnavailableError("the chain of the audit log is being removed")
    return chain


class SoundCheckpoints:
    """Reads them for one export, and notes which rows were passed over.

    Attributes:
        last_made_up: the one of the latest place of those that somebody else than the registry wrote.
    """

    def __init__(self, metadata: Metadata, owns: Callable[[str, bytes], Awaitable[bool]]) -> None:
        """Take what tells whether a key is one of ours. It is asked once of each: what is revoked meanwhile counts."""
        self._metadata = metadata
        self._owns = owns
        self._asked: dict[tuple[str, bytes], bool] = {}
        self._judge = CheckpointJudge(metadata, self._is_own)
        self._made_up: set[int] = set()
        self.last_made_up: Refusal | None = None

    @property
    def made_up(self) -> int:
        """How many rows were passed over that somebody else than the registry wrote."""
        return len(self._made_up)

    async def newest(
        self, signed_before: int | None = None, *, also_revoked: bool = False
    ) -> CheckpointRow | None:
        """Return the last one, or the last one whose column says that it was signed before a time (milliseconds).

        Args:
            also_revoked: whether one that a key signed which was revoked since counts, too.

        Raises:
            MetadataError: the database can't be read.
        """
        row = await self._metadata.audit.last_checkpoint(signed_before)
        if row is None or await self._sound([row], also_revoked=also_revoked):
            return row
        return await self.last_of(
            lambda one: signed_before is None or one.at < signed_before, also_revoked=also_revoked
        )

    async def last_of(
        self, is_wanted: Callable[[CheckpointRow], bool], first: int = 1, *, also_revoked: bool = False
    ) -> CheckpointRow | None:
        """Return the last one from the sequence `first` on of which something is true; reads all up to the chain's end.

        Raises:
            MetadataError: the database can't be read.
        """
        found: CheckpointRow | None = None
        while page := await self._metadata.audit.checkpoints(first, _PAGE):
            found = await self._last_sound(list(filter(is_wanted, page)), also_revoked=also_revoked) or found
            if page[-1].sequence > (await read_chain(self._metadata)).sequence:
                break  # whoever owns the database may have put any number of them beyond
            first = page[-1].sequence + 1
        return found

    async def _last_sound(self, rows: Sequence[CheckpointRow], *, also_revoked: bool) -> CheckpointRow | None:
        """Return the last sound one, judging few where that is near the end, and many at once where it is not."""
        end, count = len(rows), 1
        while end > 0:
            sound = await self._sound(rows[max(0, end - count) : end], also_revoked=also_revoked)
            if sound:
                return sound[-1]
            end, count = end - count, count * 4
        return None

    async def first_from(self, first: int) -> CheckpointRow | None:
        """Return the first one of the sequence `first` or a later one.

        Raises:
            MetadataError: the database can't be read.
        """
        rows = await self._metadata.audit.checkpoints(first, 1)
        if not rows or await self._sound(rows):
            return rows[0] if rows else None
        async with aclosing(self.between(first)) as sound:
            return await anext(sound, None)

    async def between(self, first: int, last: int | None = None) -> AsyncGenerator[CheckpointRow]:
        """Yield those of the sequences `first` to `last`, or of all later ones.

        Raises:
            MetadataError: the database can't be read.
        """
        while page := await self._metadata.audit.checkpoints(first, _PAGE):
            inside = [row for row in page if last is None or row.sequence <= last]
            for row in await self._sound(inside):
                yield row
            if len(inside) < len(page):
                return
            first = page[-1].sequence + 1

    def tell(self) -> None:
        """Log what was passed over: it may be gone when somebody looks."""
        last = self.last_made_up
        if last is None:
            return
        _log.error(
            "audit.checkpoint.refused",
            sequence=last.row.sequence,
            reason=last.reason,
            rows=self.made_up,
            signed=last.row.signed.decode("ascii", "backslashreplace"),
            signature=last.row.signature.hex(),
            key_id=last.row.key_id,
            remedy=_REMEDY,
        )

    async def _sound(
        self, rows: Sequence[CheckpointRow], *, also_revoked: bool = False
    ) -> Sequence[CheckpointRow]:
        # Read behind the rows, so that its end is not before one that was just signed.
        chain = await read_chain(self._metadata)
        reasons = await self._judge.reasons_against(rows, chain)
        sound: list[CheckpointRow] = []
        for row, reason in zip(rows, reasons, strict=True):
            refusal = Refusal(row, reason)
            if not reason or (also_revoked and not refusal.is_made_up):
                sound.append(row)
            elif refusal.is_made_up:
                self._made_up.add(row.sequence)
                if self.last_made_up is None or self.last_made_up.row.sequence <= row.sequence:
                    self.last_made_up = refusal
        return sound

    async def _is_own(self, key_id: str, public_key: bytes) -> bool:
        key = (key_id, public_key)
        if key not in self._asked:
            self._asked[key] = await self._owns(key_id, public_key)
        return self._asked[key]
