"""Tells whether a database can be brought up to its storage, before anything is changed."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Final

from entrepot.metadata.errors import HistoryDivergedError
from entrepot.rebuild.errors import RebuildRefusedError
from entrepot.rebuild.replay import fact_of
from entrepot.registry.journal.reader import JournalReader, find_incarnations
from entrepot.registry.journal.rival_histories import RivalHistories

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata

__all__ = ["find_catch_up_start", "require_one_history"]

_OVERLAP: Final = 10_000
"""How many numbers before a database's last one are looked at again: a copy may lack facts that began before it."""


async def find_catch_up_start(metadata: Metadata, blobs: BlobStore) -> tuple[str, int]:
    """Return whose journal brings a database up to date, and the number after which it is read.

    Reads the journal, and compares it from there on with what the database has recorded.

    Raises:
        RebuildRefusedError: it can't be brought up to date.
        HistoryDivergedError: it has facts of its own under the journal's numbers.
        MetadataError, BlobStoreError: it can't be told.
    """
    if await metadata.replay.unfinished() is not None:
        raise RebuildRefusedError(
            "a rebuild of the whole database was interrupted", "run it again, without --catch-up"
        )
    own = await metadata.instance.incarnation()
    if own not in await find_incarnations(blobs):
        raise RebuildRefusedError(
            f"the storage holds no journal of this database ({own})",
            "this is another registry's storage, or the database was made anew: then rebuild it without --catch-up",
        )
    after = max(await metadata.orphans.last_fact() - _OVERLAP, 0)
    await require_one_history(metadata, blobs, own, after)
    return own, after


async def require_one_history(metadata: Metadata, blobs: BlobStore, own: str, after: int) -> None:
    """Refuse where the journal, or the journal after a number and the database, tell of different facts under one.

    Raises:
        RebuildRefusedError, HistoryDivergedError: they do.
        MetadataError, BlobStoreError: it can't be told.
    """
    rivals = RivalHistories()
    known = await metadata.orphans.last_fact()
    diverged: int | None = None
    async with aclosing(JournalReader(blobs, own, _unheard, rivals.add).facts(after)) as lines:
        async for line in lines:
            if line.sequence > known or diverged is not None:
                continue
            if await metadata.replay.contradicts(fact_of(line)):
                diverged = line.sequence
    if rivals:
        raise RebuildRefusedError(
            f"the journal tells of two histories: {rivals.summary()}",
            "move the files of the one that is not wanted out of the journal, and see the guide to entrepot rebuild, "
            "under two histories",
        )
    if diverged is not None:
        raise HistoryDivergedError(diverged)


def _unheard(key: str, reason: str) -> None:
    """Leave damage to the rebuild itself, which reports it."""
