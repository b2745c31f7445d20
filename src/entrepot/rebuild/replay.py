"""Replays a journal into a database: facts in the order of their numbers, a few hundred to a unit."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final

from entrepot.blobstore.keys import journal_numbers
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.metadata.rebuild_work import Spot
from entrepot.metadata.records import JournalFact
from entrepot.rebuild.application import FactApplication
from entrepot.rebuild.errors import RebuildRefusedError
from entrepot.rebuild.facts import UnreadableFactError, read_change
from entrepot.rebuild.noted_rivals import NotedRivals
from entrepot.rebuild.number_gaps import NumberGaps
from entrepot.rebuild.recorded_facts import RecordedFacts
from entrepot.registry.journal.reader import JournalReader, Rivals, tell_the_same
from entrepot.registry.journal.readings import NumbersRead, checksum_with
from entrepot.registry.journal.rival_histories import THE_DATABASE
from entrepot.registry.journal.writer import line_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Sequence

    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.rebuild_work import RebuildWork
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.rebuild.application import Outcome
    from entrepot.rebuild.later_changes import LaterChanges
    from entrepot.rebuild.steps import Step, StepMaker
    from entrepot.registry.journal.reader import RecordedLine

__all__ = ["JournalReplay", "Replayed", "Source", "fact_of"]

_READ_AT_ONCE: Final = 16
"""Lines whose manifests are in memory before anybody looks at their sizes; one has 4 MiB at most."""
_UNIT_FACTS: Final = 256
_UNIT_BYTES: Final = 16 * 1024 * 1024
_UNITS_PER_CHECKPOINT: Final = 8
_BEGIN_AGAIN: Final = (
    "move the unfinished database away (SQLite) or name an empty one (PostgreSQL), and rebuild again"
)


@dataclass(frozen=True, slots=True)
class Source:
    """Which journal is replayed, and from where.

    Attributes:
        own: whether the database is to be the one that wrote it: then its facts keep their numbers.
        after: facts up to this number are left out.
        mark: what a unit leaves behind in the database of how far it came, given its last number and the checksum of
            all up to there; absent, nothing: the recorded facts tell.
        before: the checksum of the numbers up to `after` that the journal had when they were replayed; -1 where nobody
            knows. Of `own` facts those that were recorded tell.
        later: what the database did behind facts that it lacks; absent where it knows none behind them.
    """

    incarnation: str
    own: bool
    after: int
    mark: Callable[[int, int], str] | None
    before: int = -1
    later: LaterChanges | None = None


@dataclass(slots=True)
class Replayed:
    """What a replay has done so far.

    Attributes:
        left_out: facts that were left out, as the source wants it.
        read: facts behind those.
        applied: those of them that the database did not know, and whose units are committed.
        last: the greatest number that the journal gives to anything, readable or not.
        checksum: of the numbers of facts of which it is known what became of them.
        made_from: all facts of it that it can be told what they changed.
        gaps: numbers between all its facts.
        damaged: keys of what can't be read.
        obscure: how many facts the database does not know since it can't be told what they changed: a line of theirs is
            damaged, or a newer program wrote it. They are not recorded, so that whoever can tell brings them in later;
            those of an earlier database's journal only a rebuild from the beginning can.
    """

    gaps: NumberGaps
    checksum: int = 0
    made_from: NumbersRead = field(default_factory=NumbersRead)
    left_out: int = 0
    read: int = 0
    applied: int = 0
    last: int = 0
    damaged: set[str] = field(default_factory=set[str])
    obscure: int = 0


class JournalReplay:
    """Replays journals one after the other."""

    def __init__(
        self,
        metadata: Metadata,
        blobs: BlobStore,
        work: RebuildWork,
        steps: StepMaker,
        *,
        sparse: bool,
    ) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._work = work
        self._steps = steps
        self._sparse = sparse

    async def run(self, source: Source, on_facts: Callable[[int], None]) -> Replayed:
        """Replay one journal to its end; `on_facts` is told how many facts were dealt with since it was last called.

        Raises:
            RebuildRefusedError: the journal has facts in front of those that are replayed that it did not have before,
                or, where nothing but a checksum is known of them, not the same ones.
            HistoryDivergedError: the database has facts of its own under the journal's numbers.
            MetadataError, BlobStoreError: it broke off; the next run goes on.
        """
        done = Replayed(NumberGaps(source.incarnation))
        count = 0
        async with aclosing(self._units(source, done)) as units:
            async for unit in units:
                await self._apply(source, unit, done)
                on_facts(len(unit))
                count += 1
                if count % _UNITS_PER_CHECKPOINT == 0:
                    # There is no background worker here, and a long log makes every read slow.
                    await self._metadata.maintain()
        return done

    async def _units(self, source: Source, done: Replayed) -> AsyncGenerator[Sequence[Step]]:
        unit: list[Step] = []
        async with aclosing(self._lines(source, done)) as groups:
            async for group in groups:
                unit += await self._steps.make(group)
                if len(unit) >= _UNIT_FACTS or sum(step.body_bytes for step in unit) >= _UNIT_BYTES:
                    yield unit
                    unit = []
        if unit:
            yield unit

    async def _lines(self, source: Source, done: Replayed) -> AsyncGenerator[Sequence[RecordedLine]]:
        def on_damage(key: str, reason: str) -> None:
            self._work.add_spot(Spot(key, reason))
            done.damaged.add(key)
            # A number that something had is never given again, though nobody can tell what had it.
            done.last = max(done.last, journal_numbers(key)[1])

        rivals = NotedRivals(self._work, source.incarnation)
        recorded = RecordedFacts(self._metadata)
        reader = JournalReader(self._blobs, source.incarnation, on_damage, rivals.add)
        group: list[RecordedLine] = []
        before = 0
        async with aclosing(reader.located()) as lines:
            async for key, line in lines:
                done.gaps.pass_from(before, line.sequence)
                before = line.sequence
                done.last = max(done.last, line.sequence)
                if source.own or not _is_obscure(line):
                    done.made_from = done.made_from.and_of(line)
                else:
                    done.obscure += 1
                if line.sequence <= source.after:
                    done.left_out += 1
                    done.checksum = checksum_with(line.sequence, done.checksum)
                    if source.own and source.mark is not None:
                        done.obscure += not await _is_recorded(source, recorded, key, line, rivals)
                    continue
                if not done.read:
                    _require_the_same(source, done)
                done.read += 1
                group.append(line)
                if len(group) == _READ_AT_ONCE:
                    yield group
                    group = []
        if not done.read:
            _require_the_same(source, done)
        if group:
            yield group
        for spot in rivals.spots():
            self._work.add_spot(spot)

    async def _apply(self, source: Source, steps: Sequence[Step], done: Replayed) -> None:
        digests = {digest for step in steps for digest in step.blobs}
        keys = await self._metadata.replay.blob_keys(sorted(digests))
        dead = frozenset(digest for digest, key in keys.items() if not self._work.holds(key))
        checksum = done.checksum
        for step in steps:
            checksum = checksum_with(step.line.sequence, checksum)
        mark = None if source.mark is None else source.mark(steps[-1].line.sequence, checksum)
        obscure = [step.line.sequence for step in steps if source.own and not step.is_understood]
        known = await self._metadata.verification.recorded(obscure) if obscure else ()

        async def unit(tx: Transaction) -> int:
            application = FactApplication(tx, dead, sparse=self._sparse)
            applied = 0
            for step in steps:
                is_new = not source.own or (step.is_understood and await tx.replay.record(fact_of(step.line)))
                applied += is_new
                for outcome in await _apply_step(application, step, source.later, is_new=is_new):
                    outcome.write_to(self._work)
            if mark is not None:
                await tx.replay.mark_unfinished(mark)
            # Before the commit: what was left out must be known to whoever goes on behind it. If that never comes, the
            # same facts are applied again, and what became of each thing is noted anew.
            self._work.save()
            return applied

        done.applied += await self._metadata.write(unit)
        done.obscure += len(obscure) - len(known)
        done.checksum = checksum
        reach(Failpoint.REBUILD_UNIT_COMMITTED)


async def _apply_step(
    application: FactApplication, step: Step, later: LaterChanges | None, *, is_new: bool
) -> Sequence[Outcome]:
    """Do what is to be done for a fact that is new to the database, or that it knows.

    Those that it knows may have been done in part, for want of earlier ones that it learns of only now.
    """
    if later is None:
        return [await application.apply(step)] if is_new else ()
    outcomes: list[Outcome] = []
    for left in later.left_of(step):
        if is_new:
            outcomes.append(await application.apply(left))
        elif await application.is_to_be_repeated(left):
            outcomes.append(await application.apply(replace(left, may_be_there=True)))
    return outcomes


async def _is_recorded(
    source: Source, recorded: RecordedFacts, key: str, line: RecordedLine, rivals: NotedRivals
) -> bool:
    """Refuse where a fact has come to be in front of those that are still to be replayed: its time is over.

    One that is not there any more was replayed all the same; its file may be away for this run, and come back. One of
    which nobody can tell what it changed is not recorded.
    """
    fact = await recorded.find(line.sequence)
    if fact is None and _is_obscure(line):
        return False
    if fact is None:
        raise RebuildRefusedError(
            f"{key} tells of fact {line.sequence}, and did not when the run that was interrupted replayed the journal "
            f"of {source.incarnation} up to {source.after}: files of it have come back since",
            _BEGIN_AGAIN,
        )
    if not tell_the_same(line_of(fact), line):
        rivals.add(Rivals(line.sequence, THE_DATABASE, key))
    return True


def _is_obscure(line: RecordedLine) -> bool:
    try:
        read_change(line)
    except UnreadableFactError:
        return True
    return False


def _require_the_same(source: Source, done: Replayed) -> None:
    """Refuse where another journal's facts in front are not those of before, as none of them is recorded."""
    if not source.own and source.before not in {-1, done.checksum}:
        raise RebuildRefusedError(
            f"the journal of {source.incarnation} does not tell of the same facts up to {source.after} as when the run "
            "that was interrupted replayed them: files of it have gone or come back since",
            f"put them as they were and go on, or {_BEGIN_AGAIN}",
        )


def fact_of(line: RecordedLine) -> JournalFact:
    """Return a line of the journal as the database records it; a time that nobody knows is 0."""
    at = line.at_milliseconds or 0
    return JournalFact(line.sequence, at, line.kind, line.repository, line.actor, bytes(line.payload))
