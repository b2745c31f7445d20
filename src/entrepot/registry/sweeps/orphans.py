"""The sweep of orphans: bytes in the blob store that no row mentions, and none ever will (I8).

What makes it safe without a lock and without a clock: bytes of an upload lie in the store only while a row of their
session exists, or after the unit that replaced that row by one of the blob. The sweep lists first and asks afterwards,
in one statement, so what has neither row then never gets one. The grace period on top protects the operator, not the
push: there is time to notice that the rows are wrong. Manifest bytes have no session; for them the grace period has to
exceed the time between storing them and the commit, which is why it is an hour at least.

The grace period is as good as the clock that it is measured by. So nothing is noted as seen, or seen anew, before that
was seen to be steady, and nothing is removed for ten minutes after it was seen to jump (F27).
"""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

import msgspec
import structlog

from entrepot.blobstore.driver import MultipartUploads
from entrepot.blobstore.errors import BlobStoreError
from entrepot.blobstore.keys import AFTER_ALL_KEYS, BLOBS, INDEX, MANIFESTS, UPLOADS, stored_key_of, upload_of
from entrepot.registry.journal.overlap import ComparedObjects
from entrepot.registry.store_match.ownership import find_discrepancy
from entrepot.registry.sweeps.steady_clock import STEADY_SECONDS
from entrepot.registry.sweeps.times_ahead import tell_ahead
from entrepot.registry.sweeps.turns import LONGEST_TURN_SECONDS, take_turn

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.records import Candidate, SweepClaim
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.registry.sweeps.steady_clock import SteadyClock

__all__ = ["SWEEP_NAME", "OrphanSweep", "SweepOptions", "SweepReport"]

_log: Any = structlog.get_logger()

SWEEP_NAME: Final = "orphans"
"""The name of the sweep's row, whose lease whoever must keep it from running takes, too."""

_AREAS: Final = (UPLOADS, BLOBS, INDEX, MANIFESTS)
_MULTIPARTS: Final = "multiparts/"
"""Begins the names under which unfinished multipart uploads are remembered; no object's key begins like this."""

_MOST_MULTIPARTS: Final = 10_000


@dataclass(frozen=True, slots=True)
class SweepOptions:
    """How the sweep goes about it.

    Attributes:
        grace_seconds: between the pass that first sees an orphan and the one that may remove it, by the database's
            clock.
        period_seconds: the pause after a pass.
        page_keys: how many keys are looked at with one statement.
        run_keys: how many keys one run looks at, a matter of seconds: a process that stops waits for its end.
        page_pause_seconds: rest after each page, for the sake of pushes and pulls.
    """

    grace_seconds: int
    period_seconds: int
    page_keys: int = 500
    run_keys: int = 10_000
    page_pause_seconds: float = 0.05


@dataclass(slots=True)
class SweepReport:
    """What one run saw and did.

    Attributes:
        unnoted: how many orphans were found, but not noted, since the clock was not seen to be steady yet.
        finished: whether it came to the end of a pass.
        refused: why nothing may be removed; empty when nothing speaks against it.
    """

    keys: int = 0
    found: int = 0
    unnoted: int = 0
    removed: int = 0
    removed_bytes: int = 0
    finished: bool = False
    refused: str = ""


class _Position(msgspec.Struct, frozen=True):
    """How far a pass has come: everything in earlier areas, and keys up to `after` in this one.

    `hasty` says that some orphan was not noted on the way, so that the next pass comes soon.
    """

    area: int = 0
    after: str = ""
    hasty: bool = False


class OrphanSweep:
    """Walks through the store page by page, any number of runs to a pass, on one node at a time.

    That it is one node at a time saves work and decides nothing: every step may be repeated, and done by two at once.
    """

    def __init__(
        self,
        metadata: Metadata,
        blobs: BlobStore,
        options: SweepOptions,
        clock: SteadyClock,
        objection: Callable[[], Awaitable[str]] | None = None,
    ) -> None:
        """Take the stores; `objection` says why nothing may be removed, beside what the journal says of them."""
        self._metadata = metadata
        self._blobs = blobs
        self._options = options
        self._clock = clock
        self._objection = objection

    async def run(self) -> SweepReport:
        """Go on with the pass, if one is due and nobody else is at it.

        Raises:
            MetadataError, BlobStoreError: it broke off; the next run goes on where progress was last recorded.
        """
        report = SweepReport()
        claim = await take_turn(
            self._metadata, self._clock, SWEEP_NAME, LONGEST_TURN_SECONDS, self._options.period_seconds
        )
        if claim is None:
            return report
        report.refused = await self._find_objection()
        if report.refused:
            _log.error("sweep.refused", reason=report.refused)
            await self._release(replace(claim, progress=""), self._options.period_seconds)
            return report
        await self._go_on(claim, report)
        return report

    async def _find_objection(self) -> str:
        discrepancy = await find_discrepancy(self._metadata, self._blobs, compared=ComparedObjects(None))
        if discrepancy is not None:
            return discrepancy.reason
        return "" if self._objection is None else await self._objection()

    async def _go_on(self, claim: SweepClaim, report: SweepReport) -> None:
        position = msgspec.json.decode(claim.progress, type=_Position) if claim.progress else _Position()
        hasty = position.hasty
        for area in range(position.area, len(_AREAS)):
            after = position.after if area == position.area else ""
            async with aclosing(self._pages(_AREAS[area], after)) as pages:
                async for last, page in pages:
                    await self._inspect(page, after or _AREAS[area], last, report)
                    after = last
                    claim = replace(claim, progress=_encode(area, after, hasty=hasty or report.unnoted > 0))
                    if report.keys >= self._options.run_keys:
                        await self._release(claim, 0)
                        return
                    if not await self._kept(claim):
                        return
                    await asyncio.sleep(self._options.page_pause_seconds)
        await self._inspect_multiparts(report)
        report.finished = True
        pause = self._options.period_seconds
        if hasty or report.unnoted:
            pause = min(pause, STEADY_SECONDS)
        await self._release(replace(claim, progress=""), pause)

    async def _pages(self, area: str, after: str) -> AsyncGenerator[tuple[str, dict[str, int]], None]:
        """Yield the objects of an area in pages, each with the last key it covers; the last page goes to the end."""
        page: dict[str, int] = {}
        async for found in self._blobs.list_objects(area, after):
            page[found.key] = found.size_bytes
            if len(page) == self._options.page_keys:
                yield found.key, page
                page = {}
        yield area + AFTER_ALL_KEYS, page

    async def _inspect(self, page: Mapping[str, int], after: str, last: str, report: SweepReport) -> None:
        """Look at all objects with keys in `(after, last]`, which were listed just now."""
        owners = await self._metadata.orphans.owners(
            list({upload_of(key) for key in page}), list({stored_key_of(key) for key in page})
        )
        orphans = {
            key: size
            for key, size in page.items()
            if upload_of(key) not in owners.uploads and stored_key_of(key) not in owners.keys
        }
        report.keys += len(page)
        await self._settle(orphans, after, last, report)

    async def _inspect_multiparts(self, report: SweepReport) -> None:
        """The same for parts that no listing of objects shows."""
        if not isinstance(self._blobs, MultipartUploads):
            return
        uploads: set[str] = set()
        async for upload in self._blobs.list_unfinished():
            uploads.add(upload)
            if len(uploads) == _MOST_MULTIPARTS:
                break
        owners = await self._metadata.orphans.owners(sorted(uploads), ())
        orphans = {f"{_MULTIPARTS}{upload}": 0 for upload in uploads - owners.uploads}
        report.keys += len(uploads)
        await self._settle(orphans, _MULTIPARTS, _MULTIPARTS + AFTER_ALL_KEYS, report)

    async def _settle(self, orphans: Mapping[str, int], after: str, last: str, report: SweepReport) -> None:
        """Remove the orphans of a range that are due, remember the new ones, and forget those that are none."""
        known = {
            candidate.storage_key: candidate
            for candidate in await self._metadata.orphans.candidates(after, last, self._options.grace_seconds)
        }
        await self._clock.look(self._metadata)  # behind the statement that says what is due
        due = [known[key] for key in orphans if key in known and known[key].due]
        removed = [] if self._clock.has_jumped else await self._remove(due)
        new = {key: size for key, size in orphans.items() if key not in known}
        found = new if self._clock.is_steady else {}
        gone = [*removed, *(key for key in known if key not in orphans)]
        report.found += len(found)
        report.unnoted += len(new) - len(found)
        report.removed += len(removed)
        report.removed_bytes += sum(orphans[key] for key in removed)
        ahead = self._dated_ahead(known[key] for key in orphans if key in known)
        if not found and not gone and not ahead:
            return

        async def unit(tx: Transaction) -> None:
            await tx.orphans.remember(found)
            await tx.orphans.redate(list(ahead))
            await tx.orphans.forget(gone)

        await self._metadata.write(unit)
        tell_ahead(f"{len(ahead)} orphans", max(ahead.values(), default=0))

    def _dated_ahead(self, candidates: Iterable[Candidate]) -> dict[str, int]:
        """Return those to be dated anew, and how far ahead they lie, in milliseconds."""
        if not self._clock.is_steady:
            return {}
        return {one.storage_key: one.ahead_milliseconds for one in candidates if one.ahead_milliseconds}

    async def _remove(self, due: Sequence[Candidate]) -> list[str]:
        removed: list[str] = []
        for candidate in due:
            try:
                await self._remove_one(candidate.storage_key)
            except BlobStoreError as error:
                # Somebody may still hold it, such as a process that was paused for long; the next pass tries again.
                _log.warning("orphan.kept", key=candidate.storage_key, reason=str(error))
            else:
                _log.info("orphan.removed", key=candidate.storage_key, bytes=candidate.size_bytes)
                removed.append(candidate.storage_key)
        return removed

    async def _remove_one(self, key: str) -> None:
        if key.startswith(_MULTIPARTS) and isinstance(self._blobs, MultipartUploads):
            await self._blobs.abort_unfinished(key.removeprefix(_MULTIPARTS))
        else:
            await self._blobs.delete(key)

    async def _kept(self, claim: SweepClaim) -> bool:
        return await self._metadata.write(lambda tx: tx.orphans.save(claim, LONGEST_TURN_SECONDS))

    async def _release(self, claim: SweepClaim, pause_seconds: int) -> None:
        await self._metadata.write(lambda tx: tx.orphans.release(claim, pause_seconds))


def _encode(area: int, after: str, *, hasty: bool) -> str:
    return msgspec.json.encode(_Position(area, after, hasty)).decode()
