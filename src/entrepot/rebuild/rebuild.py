"""The rebuild as a whole: of an empty database from everything, or of one that is behind from what it has not seen.

What a rebuild of an empty database has done so far stands in the database itself, written by the units that did it; as
long as it stands there no registry serves from it. Of one that is behind the facts it has recorded tell, and until it
has caught up it is served for reading only. Both name the run that is under way, as does the scratch file with what
that had to leave out: another run's is of no use to this one.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.blobstore.keys import JOURNAL
from entrepot.kernel.clock import machine_milliseconds
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.project_numbers import LastProjectNumber
from entrepot.metadata.rebuild_work import Spot
from entrepot.rebuild.catching_up import find_catch_up_start
from entrepot.rebuild.errors import ChoiceNeededError, RebuildRefusedError
from entrepot.rebuild.later_changes import note_later_changes
from entrepot.rebuild.position import find_last_number
from entrepot.rebuild.replay import JournalReplay, Replayed, Source
from entrepot.rebuild.report import RebuildReport
from entrepot.rebuild.steps import StepMaker
from entrepot.rebuild.stored_contents import take_inventory
from entrepot.rebuild.survey import count_leftovers, count_totals
from entrepot.registry.journal.facts import journalled_registry_fact
from entrepot.registry.journal.reader import find_incarnations
from entrepot.registry.journal.readings import note_rebuilt
from entrepot.registry.journal.unread_parts import knows_unread_parts

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from entrepot.auth.grants import RegistryGrant
    from entrepot.blobstore.driver import BlobStore
    from entrepot.metadata.rebuild_work import RebuildWork
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.rebuild.later_changes import LaterChanges
    from entrepot.registry.hashing import HashingPool

__all__ = ["Rebuild", "RebuildOptions", "RebuildProgress", "choose_journals", "find_untold_report"]

_REBUILT: Final = "database.rebuilt"
_RUN: Final = "run"
_REPORT: Final = "report"
_EVERYTHING: Final = 1 << 62
"""Greater than any number of a fact."""
_UNKNOWN_LOSSES: Final = (
    "its scratch file in rebuild/ is gone, or another run's, so what it left out is not named here; entrepot rebuild "
    "--dry-run names all that the storage lacks now"
)


@dataclass(frozen=True, slots=True)
class RebuildOptions:
    """What is wanted.

    Attributes:
        incarnations: whose journals are replayed, in this order; the rebuilt database is the last one from then on.
            None: the only one there is.
        catch_up: whether the database is to be brought up to date instead of made anew.
        verify: whether every blob is hashed before it is used.
        sparse_indexes: whether indexes may list what their repository does not have.
    """

    incarnations: tuple[str, ...] = ()
    catch_up: bool = False
    verify: bool = False
    sparse_indexes: bool = False


@dataclass(frozen=True, slots=True)
class RebuildProgress:
    """Who is told how far things are: objects listed and facts dealt with since the last call.

    Before the first fact `on_journal` gets how many there are at most.
    """

    on_objects: Callable[[int], None]
    on_journal: Callable[[int], None]
    on_facts: Callable[[int], None]


class _Mark(msgspec.Struct, frozen=True):
    """How far a rebuild of an empty database has come: `after` this fact of the journal of this index.

    That of a database that is caught up stays where it began: the recorded facts tell how far it has come.

    Attributes:
        run: whose work it is; the scratch file names it, too.
        checksums: of the numbers of the facts of each journal up to that one, as far as it was replayed.
        among_known: whether a catch-up brings in facts with smaller numbers than others that were known.
    """

    incarnations: tuple[str, ...]
    index: int = 0
    after: int = 0
    run: str = ""
    checksums: tuple[int, ...] = ()
    among_known: bool = False

    @property
    def has_begun(self) -> bool:
        """Whether any fact was dealt with."""
        return self.index > 0 or self.after > 0

    def ends_at(self, index: int) -> int:
        """Return up to which of its facts the journal of an index was dealt with."""
        if index == self.index:
            return self.after
        return _EVERYTHING if index < self.index else 0


class Rebuild:
    """Makes or completes a database from a store. Nothing else may write to either meanwhile."""

    def __init__(
        self,
        metadata: Metadata,
        blobs: BlobStore,
        work: RebuildWork,
        hashing: HashingPool,
        options: RebuildOptions,
    ) -> None:
        self._metadata = metadata
        self._blobs = blobs
        self._work = work
        self._options = options
        steps = StepMaker(blobs, work, hashing, verify=options.verify)
        self._replay = JournalReplay(metadata, blobs, work, steps, sparse=options.sparse_indexes)

    async def run(
        self, grant: RegistryGrant, progress: RebuildProgress, keep: Callable[[RebuildReport], None]
    ) -> RebuildReport:
        """Do it, or go on with what an earlier run has begun.

        `keep` gets the report before the last unit, so that no run ends without anybody's knowing what was left out.

        Raises:
            RebuildRefusedError, ChoiceNeededError: nothing was changed.
            HistoryDivergedError: what the database recorded is not what the journal tells.
            MetadataError, BlobStoreError: it broke off; run it again.
        """
        replay = self._metadata.replay
        under_way = await (replay.catching_up() if self._options.catch_up else replay.unfinished())
        mark = await (
            self._catch_up_mark(under_way) if self._options.catch_up else self._fresh_mark(under_way)
        )
        self._own_work(mark.run, resumed=under_way is not None and (self._options.catch_up or mark.has_begun))
        later = await note_later_changes(self._metadata, self._work, mark.after) if mark.among_known else None
        await take_inventory(self._blobs, self._work, progress.on_objects)
        done = await self._replay_all(mark, later, progress)
        report = await self._report(mark, done, resumed=under_way is not None)
        self._work.write_down(_REPORT, msgspec.json.encode(report).decode())
        self._work.save()
        keep(report)
        await self._finish(grant, mark, done, report.lost_parts)
        reach(Failpoint.REBUILD_FINISHED)
        return report

    def _own_work(self, run: str, *, resumed: bool) -> None:
        """Let the scratch file be this run's; what is in it of another one is forgotten."""
        if self._work.note(_RUN) == run:
            self._work.forget_spots(JOURNAL)
        else:
            self._work.begin_anew()
            self._work.write_down(_RUN, run)
            if resumed:
                self._work.add_spot(Spot("the run that was interrupted", _UNKNOWN_LOSSES))
        self._work.save()

    async def _fresh_mark(self, unfinished: str | None) -> _Mark:
        """Return where to begin or to go on in a database that is empty, or that a rebuild left unfinished."""
        wanted = self._options.incarnations
        if unfinished is not None:
            mark = msgspec.json.decode(unfinished, type=_Mark)
            if wanted not in {(), mark.incarnations}:
                raise RebuildRefusedError(
                    f"a rebuild from {' and '.join(mark.incarnations)} was interrupted in this database",
                    "go on with that one, or begin with an empty database",
                )
            # A former program named no run.
            return mark if mark.run else msgspec.structs.replace(mark, run=new_public_id())
        if not await self._is_empty():
            raise RebuildRefusedError(
                "the database is not empty",
                "use --catch-up if it is an older copy of the storage's own; "
                "to make it anew, move it away (SQLite) or name an empty one (PostgreSQL)",
            )
        return _Mark(await choose_journals(self._blobs, wanted), run=new_public_id())

    async def _is_empty(self) -> bool:
        """Whether nobody has pushed anything into the database yet; one that was merely started is as good as new."""
        metadata = self._metadata
        return (
            await metadata.orphans.last_fact() == 0
            and not (await metadata.catalog.list_names("", 1)).names
            and not await metadata.inventory.blobs(0, 1)
        )

    async def _catch_up_mark(self, under_way: str | None) -> _Mark:
        """Return where to begin: again in front of what may have been left out for want of facts that came back."""
        start = await find_catch_up_start(self._metadata, self._blobs)
        after, among_known = start.after, start.earlier > 0
        if under_way is None:
            return _Mark((start.incarnation,), 0, after, new_public_id(), among_known=among_known)
        begun = msgspec.json.decode(under_way, type=_Mark)
        if begun.among_known:
            after = min(after, begun.after)
        return msgspec.structs.replace(begun, after=after, among_known=among_known or begun.among_known)

    async def _replay_all(
        self, mark: _Mark, later: LaterChanges | None, progress: RebuildProgress
    ) -> Sequence[Replayed]:
        """Read every journal from its beginning, and replay what lies behind the mark."""
        done: list[Replayed] = []

        async def begin(tx: Transaction) -> None:
            text = msgspec.json.encode(mark).decode()
            await (tx.replay.mark_catching_up if self._options.catch_up else tx.replay.mark_unfinished)(text)
            await tx.replay.number_projects_on(LastProjectNumber.at(machine_milliseconds()))

        await self._metadata.write(begin)
        lasts = [await find_last_number(self._blobs, name) for name in mark.incarnations[mark.index :]]
        progress.on_journal(max(sum(lasts) - mark.after, 0))
        befores = (*mark.checksums, *[-1] * len(mark.incarnations))
        for index, incarnation in enumerate(mark.incarnations):
            checksums = tuple(one.checksum for one in done)
            source = Source(
                incarnation,
                own=index == len(mark.incarnations) - 1,
                after=mark.ends_at(index),
                mark=None if self._options.catch_up else _marker(mark, checksums),
                before=befores[index],
                later=later,
            )
            done.append(await self._replay.run(source, progress.on_facts))
        return done

    async def _count_lost_parts(self, done: Sequence[Replayed]) -> int:
        """Return of how many damaged objects, and facts, the database does not know all that they may have told of.

        It has no rows of facts of any journal but its own.
        """
        *ancestors, own = done
        lost = sum(len(one.damaged) for one in ancestors) + sum(one.obscure for one in done)
        for key in own.damaged:
            lost += not await knows_unread_parts(self._metadata, self._blobs, key)
        return lost

    async def _finish(
        self, grant: RegistryGrant, mark: _Mark, done: Sequence[Replayed], lost_parts: int
    ) -> None:
        """Be the database that wrote the journal, and go on with its numbers, in one unit.

        The same unit says what keeps the sweep of orphans away: nobody else may look at the journal for days.
        """
        *ancestors, own = mark.incarnations
        last = done[-1].last
        known = await self._metadata.orphans.last_fact()
        ends = {name: await find_last_number(self._blobs, name) for name in ancestors}
        facts = sum(one.applied for one in done)
        settled = {name: one.made_from for name, one in zip(ancestors, done, strict=False)}

        async def unit(tx: Transaction) -> None:
            if not self._options.catch_up:
                await tx.replay.take_incarnation(own)
                for name, end in ends.items():
                    await tx.replay.settle(name, end)
                await tx.replay.mark_finished()
            await tx.replay.mark_caught_up()
            await tx.replay.mark_ended(mark.run)
            await note_rebuilt(tx, lost=lost_parts, settled=settled)
            if last > 0:
                await tx.replay.number_on(last)
            if facts or last > known:
                payload = {"facts": facts, "ancestors": ancestors, "catch_up": self._options.catch_up}
                await tx.outbox.append(journalled_registry_fact(grant, _REBUILT, payload))

        await self._metadata.write(unit)

    async def _report(self, mark: _Mark, done: Sequence[Replayed], *, resumed: bool) -> RebuildReport:
        *ancestors, own = mark.incarnations
        return RebuildReport(
            incarnation=own,
            ancestors=tuple(ancestors),
            facts=sum(one.left_out + one.read for one in done),
            applied=sum(one.applied for one in done),
            last_fact=done[-1].last,
            resumed=resumed,
            gaps=tuple(one.gaps for one in done if one.gaps.count),
            totals=None if self._options.catch_up else await count_totals(self._metadata),
            leftovers=await count_leftovers(self._metadata, self._blobs, self._work),
            losses=sum(1 for _ in self._work.losses()),
            lost_tags=sum(1 for _ in self._work.lost_tags()),
            spots=sum(1 for _ in self._work.spots()),
            lost_parts=await self._count_lost_parts(done),
        )


async def find_untold_report(metadata: Metadata, work: RebuildWork) -> RebuildReport | None:
    """Return the report of a run that came to its end in this database, if its scratch file is still there.

    Whoever prints a report removes that file: the run was killed before it did.

    Raises:
        MetadataError: it can't be told.
    """
    run, report = work.note(_RUN), work.note(_REPORT)
    if not (run and report) or await metadata.replay.ended_run() != run:
        return None
    return msgspec.json.decode(report, type=RebuildReport)


async def choose_journals(blobs: BlobStore, wanted: tuple[str, ...]) -> tuple[str, ...]:
    """Return the incarnations of whose journals a database is made: those that are wanted, or the only one there is.

    Raises:
        RebuildRefusedError: there is none, or not every one that is wanted.
        ChoiceNeededError: there are several, and none is wanted.
    """
    found = await find_incarnations(blobs)
    if not found:
        raise RebuildRefusedError(
            "the storage holds no journal", "check storage.root, or bucket and prefix, in the settings"
        )
    unknown = [one for one in wanted if one not in found]
    if unknown:
        raise RebuildRefusedError(
            f"the storage holds no journal of {', '.join(unknown)}", f"it holds {', '.join(found)}"
        )
    if wanted:
        return wanted
    if len(found) > 1:
        raise ChoiceNeededError(found)
    return tuple(found)


def _marker(mark: _Mark, checksums: tuple[int, ...]) -> Callable[[int, int], str]:
    """Return what encodes how far the journal behind those of these counts has come."""

    def encode(after: int, checksum: int) -> str:
        reached = _Mark(mark.incarnations, len(checksums), after, mark.run, (*checksums, checksum))
        return msgspec.json.encode(reached).decode()

    return encode
