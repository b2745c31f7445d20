"""Reads the whole journal, and compares it with the facts that the database counts as written into it.

Numbers alone don't tell: a segment of another registry, under the same name, has the same ones.
"""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass, field
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.blobstore.keys import journal_entry_key, journal_numbers, journal_segment_key
from entrepot.lifecycle.scrub.findings import Finding, Kind, Outcome
from entrepot.lifecycle.scrub.options import Mode
from entrepot.lifecycle.scrub.settled_journals import read_settled_journals
from entrepot.lifecycle.scrub.steps import Step
from entrepot.registry.journal.reader import JournalReader, Rivals, read_lines, tell_the_same
from entrepot.registry.journal.readings import begin_reading, end_reading
from entrepot.registry.journal.rival_histories import THE_DATABASE, RivalHistories
from entrepot.registry.journal.unread_parts import knows_unread_parts
from entrepot.registry.journal.writer import Journal, JournalConflictError, line_of
from entrepot.registry.store_match.ownership import find_foreign_facts, find_lack

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable, Iterator, Sequence

    from entrepot.lifecycle.scrub.mass_damage import MassDamageGuard
    from entrepot.lifecycle.scrub.options import ScrubGround, ScrubOptions
    from entrepot.metadata.records import JournalFact
    from entrepot.metadata.store import Transaction

__all__ = ["Comparison", "JournalPhase"]

_log: Any = structlog.get_logger()

_FACTS: Final = 2000
"""Rows at a time; of a segment whose name covers more of them, only the first and the last are written anew."""
_MOST_MISSING: Final = 100_000
"""How many numbers are kept in memory; a repair goes on until none is left, as one that stopped would seem whole."""
_NAMED_RUNS: Final = 10


@dataclass(slots=True)
class Comparison:
    """What the journal told, read once.

    Attributes:
        count: facts in it.
        missing: numbers of those that it lacks, the first :data:`_MOST_MISSING`.
        unknown: numbers of those that the database lacks, though it has given greater ones; likewise the first.
        last: the database's last fact when the reading began.
    """

    last: int
    count: int = 0
    missing: list[int] = field(default_factory=list[int])
    unknown: list[int] = field(default_factory=list[int])


class JournalPhase:
    """See :class:`entrepot.lifecycle.scrub.steps.Phase`; one step, begun anew when it was interrupted.

    A fact that the database counts as written lies in a segment, and segments are never removed. Whoever asks the
    database first and reads the store afterwards therefore never misses one for its being written just then.
    """

    def __init__(self, ground: ScrubGround, options: ScrubOptions, guard: MassDamageGuard) -> None:
        self._metadata = ground.metadata
        self._blobs = ground.blobs
        self._options = options
        self._guard = guard

    @property
    def name(self) -> str:
        """What people call it."""
        return "facts"

    @property
    def in_bytes(self) -> bool:
        """Whether progress is counted in bytes."""
        return False

    async def total(self) -> int | None:
        """Nobody counts the facts."""
        return None

    async def steps(self, cursor: str) -> AsyncGenerator[Step, None]:
        """Read it all, and note what keeps the sweep of orphans away before anything else can become of this pass."""
        if cursor or self._options.repositories:
            return
        begun = await begin_reading(self._metadata)
        findings: list[Finding] = []
        damaged: dict[str, str] = {}
        rivals = RivalHistories()
        first = await self._read(damaged, rivals)
        missing, more = await self._find_missing(first)
        lost = {key for key in damaged if not await knows_unread_parts(self._metadata, self._blobs, key)}
        outcomes = await self._write_anew(damaged.keys() - lost)
        if missing and Outcome.HEALED in outcomes.values():
            missing, more = await self._find_missing(await self._read({}, RivalHistories()))
        if missing:
            findings.append(await self._settle(missing, more=more))
        findings += [
            _lost(key, why) if key in lost else _unreadable(key, why, outcomes[key])
            for key, why in damaged.items()
        ]
        findings += _diverged(rivals)
        if first.unknown:
            findings.append(_unknown(first.unknown))
        if self._is_forced and await find_lack(self._metadata, self._blobs):
            # Only who forces a repair has said that this is the right store; the next segment is noted again.
            await self._metadata.write(lambda tx: tx.journal.forget_segment())
        foreign = await find_foreign_facts(self._metadata, self._blobs)
        if foreign:
            findings.append(Finding(Kind.JOURNAL_FOREIGN, "journal", "journal", detail=foreign))
        settled = await read_settled_journals(
            self._metadata, self._blobs, self._guard, gives_up=self._is_forced
        )
        findings += settled.findings
        kinds = [finding.kind for finding in findings]
        await end_reading(
            self._metadata,
            begun,
            lost=kinds.count(Kind.JOURNAL_LOST),
            lacking=kinds.count(Kind.DATABASE_GAP),
            settled=settled.numbers,
        )
        yield Step("done", first.count + settled.count, findings=tuple(findings))

    @property
    def _is_forced(self) -> bool:
        return self._options.mode is Mode.REPAIR and self._options.force

    async def _find_missing(self, found: Comparison) -> tuple[list[int], bool]:
        """Return which facts the journal lacks that was read, after a second look, and whether it may lack more."""
        missing = found.missing
        more = len(missing) == _MOST_MISSING
        if missing:
            await self._guard.require_right_store()
            # What was compacted between the two looks is there at the second one, and so is a store that was away.
            missing = sorted(set(missing) & set((await self._read({}, RivalHistories())).missing))
        return missing, more

    async def _read(self, damaged: dict[str, str], rivals: RivalHistories) -> Comparison:
        """Read all, and compare it with what the database counts as written."""
        found = Comparison(await self._metadata.orphans.last_fact())
        incarnation = await self._metadata.instance.incarnation()
        reader = JournalReader(self._blobs, incarnation, damaged.__setitem__, rivals.add)
        unexpected: list[int] = []
        async with aclosing(reader.located()) as lines, aclosing(self._expected(found.last)) as expected:
            waiting = await anext(expected, None)
            async for key, line in lines:
                found.count += 1
                while waiting is not None and waiting.sequence < line.sequence:
                    if len(found.missing) < _MOST_MISSING:
                        found.missing.append(waiting.sequence)
                    waiting = await anext(expected, None)
                if waiting is None or waiting.sequence > line.sequence:
                    unexpected.append(line.sequence)
                    if len(unexpected) == _FACTS:
                        await self._add_unknown(found, unexpected)
                    continue
                if not tell_the_same(line, line_of(waiting)):
                    rivals.add(Rivals(line.sequence, THE_DATABASE, key))
                waiting = await anext(expected, None)
            while waiting is not None and len(found.missing) < _MOST_MISSING:
                found.missing.append(waiting.sequence)
                waiting = await anext(expected, None)
        await self._add_unknown(found, unexpected)
        return found

    async def _add_unknown(self, found: Comparison, unexpected: list[int]) -> None:
        """Take in those numbers of the journal that the database has not recorded, of those that it has given by now.

        Most wait for their segment, and have an entry: a fact is committed before it is journalled, so that whoever
        asks the database after the journal finds it there. What is newer than its last one is told of as foreign.
        """
        given = [sequence for sequence in unexpected if 0 < sequence <= found.last]
        unexpected.clear()
        if given:
            recorded = await self._metadata.verification.recorded(given)
            unknown = [sequence for sequence in given if sequence not in recorded]
            found.unknown += unknown[: _MOST_MISSING - len(found.unknown)]

    async def _expected(self, last: int) -> AsyncGenerator[JournalFact, None]:
        """Yield the facts up to number `last` that must be there."""
        after = 0
        while page := await self._metadata.verification.journalled(after, _FACTS):
            for fact in page:
                if fact.sequence <= last:
                    yield fact
            after = page[-1].sequence

    async def _write_anew(self, damaged: Iterable[str]) -> dict[str, Outcome]:
        """Complete damaged entries and segments of whose names the database has the facts; return what became of all.

        What can still be read in one stays as it is.
        """
        outcomes = dict.fromkeys(damaged, Outcome.FOUND)
        incarnation = await self._metadata.instance.incarnation()
        for key in outcomes if self._options.mode is not Mode.REPORT else ():
            facts = await self._facts_named_by(key, incarnation)
            if facts and self._options.mode is Mode.REHEARSE:
                outcomes[key] = Outcome.WOULD_HEAL
            elif facts and await self._complete(Journal(self._blobs, incarnation), key, facts):
                outcomes[key] = Outcome.HEALED
        return outcomes

    async def _facts_named_by(self, key: str, incarnation: str) -> Sequence[JournalFact]:
        """Return the facts that lie, or should lie, in the range of a name, none if its ends are not known as written.

        Of more than a segment holds, those of its ends: the others wait again if they lie nowhere else.
        """
        first, last = journal_numbers(key)
        names = journal_segment_key(incarnation, first, last), journal_entry_key(incarnation, first)
        if key not in names or last > await self._metadata.orphans.last_fact():
            return ()
        page = await self._metadata.verification.journalled(first - 1, _FACTS)
        facts = [fact for fact in page if fact.sequence <= last]
        if len(facts) == _FACTS and facts[-1].sequence < last:
            facts = [facts[0], *await self._metadata.verification.journalled(last - 1, 1)]
        return facts if facts and (facts[0].sequence, facts[-1].sequence) == (first, last) else ()

    async def _complete(self, journal: Journal, key: str, facts: Sequence[JournalFact]) -> bool:
        """Let an entry or a segment hold these facts; whether nothing in it is damaged then."""
        await self._guard.require_right_store()
        try:
            await journal.complete(key, facts)
        except JournalConflictError:
            return False
        left: list[str] = []
        await read_lines(self._blobs, key, lambda _, reason: left.append(reason))
        return not left

    async def _settle(self, missing: Sequence[int], *, more: bool) -> Finding:
        outcome = {Mode.REHEARSE: Outcome.WOULD_HEAL, Mode.REPAIR: Outcome.HEALED}.get(
            self._options.mode, Outcome.FOUND
        )
        found, total = missing, len(missing)
        while self._options.mode is Mode.REPAIR and found:
            await self._guard.require_right_store()
            await self._reopen(found)
            # A gap that is closed in part would pass for closed: what is reopened is not found again.
            found, more = (
                await self._find_missing(await self._read({}, RivalHistories())) if more else ([], False)
            )
            total += len(found)
        count = f"{total} facts or more" if more else f"{total} facts"
        detail = f"{count} are missing: {_runs(missing, more=more or total > len(missing))}"
        source = "the database" if outcome is not Outcome.FOUND else ""
        return Finding(Kind.JOURNAL_GAP, "journal", "journal", detail=detail, outcome=outcome, source=source)

    async def _reopen(self, sequences: Sequence[int]) -> None:
        """Let the background worker write these facts again."""
        for start in range(0, len(sequences), _FACTS):
            some = sequences[start : start + _FACTS]
            await self._metadata.write(partial(_reopen_some, some))
        _log.warning("journal.reopened", facts=len(sequences))


def _unreadable(key: str, reason: str, outcome: Outcome) -> Finding:
    source = "the database" if outcome is not Outcome.FOUND else ""
    return Finding(
        Kind.JOURNAL_UNREADABLE, "journal", key, key, detail=reason, outcome=outcome, source=source
    )


def _lost(key: str, reason: str) -> Finding:
    detail = (
        f"{reason}; the database does not know all that it may have told of, so it is left as it is: mend it by hand, "
        "without the checksum of a line that you change, or put a sound copy of it in its place, as from a backup, "
        "then run entrepot rebuild --catch-up. To give that up, run entrepot rebuild --catch-up, move the file away, "
        "and run entrepot verify --repair, with --force if it says that this store lacks what the database has written "
        "there, as the file may be what proved that"
    )
    return Finding(Kind.JOURNAL_LOST, "journal", key, key, detail=detail)


def _unknown(sequences: Sequence[int]) -> Finding:
    more = len(sequences) == _MOST_MISSING
    count = f"{len(sequences)} facts or more" if more else f"{len(sequences)} facts"
    detail = (
        f"the database lacks {count} that the journal tells of: {_runs(sequences, more=more)}; "
        "run entrepot rebuild --catch-up before the sweep of orphans removes what they tell of. What that can't read, "
        "it names: put a sound copy of the file in its place, or catch up with the newer program that wrote it. To "
        "give that up, move the file away, and run entrepot verify --repair"
    )
    return Finding(Kind.DATABASE_GAP, "journal", "journal", detail=detail)


def _diverged(rivals: RivalHistories) -> Iterator[Finding]:
    """Yield what each object contradicts, others of the journal and the database, as one finding."""
    reasons: dict[str, list[str]] = {}
    for key, reason in rivals.described():
        reasons.setdefault(key, []).append(reason)
    for key, told in reasons.items():
        yield Finding(Kind.JOURNAL_DIVERGED, "journal", key, key, detail="; ".join(told))


async def _reopen_some(sequences: Sequence[int], tx: Transaction) -> None:
    await tx.quarantine.reopen_facts(sequences)


def _runs(numbers: Sequence[int], *, more: bool) -> str:
    """Return ascending numbers as runs, `3, 7-9`, the first few of them; `more` says that others follow."""
    starts = [numbers[0], *(after for before, after in pairwise(numbers) if after != before + 1)]
    ends = [*(before for before, after in pairwise(numbers) if after != before + 1), numbers[-1]]
    texts = [
        f"{start}-{end}" if start != end else str(start) for start, end in zip(starts, ends, strict=True)
    ]
    return ", ".join(texts[:_NAMED_RUNS]) + (" …" if more or len(texts) > _NAMED_RUNS else "")
