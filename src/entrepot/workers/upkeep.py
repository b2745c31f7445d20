"""The duties of this frame: keep SQLite's log short, keep the gauges true, compact the journal."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.driver import SuspectableDisk
from entrepot.blobstore.errors import StorageUnavailableError
from entrepot.registry.journal.writer import first_segment_of
from entrepot.registry.sweeps.clock_skew import clock_skew_seconds
from entrepot.registry.sweeps.times_ahead import tell_ahead
from entrepot.workers.worker import Duty

if TYPE_CHECKING:
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.observability.metrics import Metrics
    from entrepot.registry.journal.writer import Journal
    from entrepot.registry.store_match.watch import StoreWatch
    from entrepot.registry.sweeps.steady_clock import SteadyClock

__all__ = ["checkpoint_duty", "gauge_duty", "journal_duty"]

_SEGMENT_FACTS: Final = 1000
_ENTRY_GRACE_MILLISECONDS: Final = 5000
"""Facts younger than this may still get their entry from the request that made them."""
_AHEAD_MILLISECONDS: Final = 1000
"""A clock that is corrected by less delays a segment by less."""
_LONGEST_RUN_SECONDS: Final = 5.0
"""After so long a backlog is left to the next run: that a worker shall stop is heard between runs."""


def checkpoint_duty(metadata: Metadata, metrics: Metrics) -> Duty:
    """Return the duty that moves SQLite's write-ahead log into the database file, every second."""

    async def run() -> None:
        await metadata.maintain()
        size = await metadata.write_ahead_log_bytes()
        if size is not None:
            metrics.sqlite_wal_bytes.set(size)

    return Duty("checkpoint", 1.0, run)


def gauge_duty(metadata: Metadata, blobs: BlobStore, metrics: Metrics, clock: SteadyClock) -> Duty:
    """Return the duty that measures how full the store is, the journal's backlog and the clocks, every ten seconds.

    So a jump of the database's clock is seen though no other duty looks at that moment.
    """

    async def run() -> None:
        await clock.look(metadata)
        metrics.journal_backlog.set(await metadata.outbox.unjournalled_count())
        metrics.clock_skew.set(await clock_skew_seconds(metadata))
        capacity = await blobs.capacity()  # last: of a storage that is not there it can't be told
        if capacity is not None:
            metrics.storage_used_bytes.set(capacity.used_bytes)
            metrics.storage_capacity_bytes.set(capacity.total_bytes)
        if isinstance(blobs, SuspectableDisk):
            metrics.storage_suspect.set(bool(await blobs.suspicion()))

    return Duty("gauges", 10.0, run)


def journal_duty(metadata: Metadata, journal: Journal, clock: SteadyClock, watch: StoreWatch) -> Duty:
    """Return the duty that compacts journal facts into segments, every five seconds.

    Order: segment durable → facts marked → single entries deleted. A crash in between writes a fact twice,
    which whoever reads the journal must expect: its sequence number tells.

    A fact that lies ahead of the database's clock was recorded before that was set back, perhaps only a moment ago: it
    is dated now, so that its request has the whole of its time from here on (F27). Facts after it wait for it; and all
    of them do until the clock was seen to be steady.

    A store that is a wrong one by now, as where a volume was unmounted, gets no segment: the right one would lack it,
    and be taken for the wrong one by whoever starts (F47). Nor does a database write one that is an older copy by now.
    What is compared for that, and what is known of it in this process, is `watch`'s.
    """
    written = ""
    has_noted = False

    async def run() -> None:
        nonlocal written, has_noted
        ahead = await metadata.outbox.ahead(_AHEAD_MILLISECONDS, _SEGMENT_FACTS)
        if ahead.count:
            await clock.look(metadata)
        if ahead.count and clock.is_steady:
            await metadata.write(lambda tx: tx.journal.redate(_AHEAD_MILLISECONDS, _SEGMENT_FACTS))
            tell_ahead(f"{ahead.count} facts for the journal", ahead.furthest_milliseconds)
        await watch.look()
        leave_at = monotonic() + _LONGEST_RUN_SECONDS
        while waiting := await metadata.outbox.unjournalled(_ENTRY_GRACE_MILLISECONDS, _SEGMENT_FACTS):
            facts = first_segment_of(waiting)
            found = await watch.ask(written)
            if found is not None:
                raise StorageUnavailableError(
                    f"the journal waits for the right storage and database: {found.reason}"
                )
            segment = written = await journal.write_segment(facts)
            sequences = [fact.sequence for fact in facts]

            async def unit(tx: Transaction, sequences: list[int] = sequences, segment: str = segment) -> None:
                await tx.journal.mark_journalled(sequences)
                await tx.journal.note_segment(segment)

            await metadata.write(unit)
            await journal.drop_entries(facts)
            if not has_noted:
                await watch.note_longest_segment()
                has_noted = True
            is_last = len(facts) == len(waiting) < _SEGMENT_FACTS
            if is_last or monotonic() >= leave_at:
                return

    return Duty("journal", 5.0, run)
