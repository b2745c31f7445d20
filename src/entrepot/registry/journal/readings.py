"""What readings of the whole journal found that keeps the sweep of orphans away, and which later one ends it.

It stands in a row of its own, apart from the verifications': one that leaves the journal out, goes on with what an
interrupted one had read before, or ends after another whose reading began later, has no say in it. A reading refutes
what another one found only if it began after that had ended. Beginnings and ends are counted, as clocks may be put back
(F27).
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final
from zlib import crc32

import msgspec

from entrepot.registry.journal.reader import told_by

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.metadata.records import SweepClaim
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.registry.journal.reader import RecordedLine

__all__ = [
    "JournalReadings",
    "NumbersRead",
    "begin_reading",
    "checksum_with",
    "end_reading",
    "note_rebuilt",
    "read_readings",
]

_ROW: Final = "readings"
_LEASE_SECONDS: Final = 60
"""Given back by the unit that takes it: it only makes units wait for one another."""


class NumbersRead(msgspec.Struct, frozen=True):
    """Which facts a journal told of when it was read: how many, and checksums of their numbers and of what they tell.

    That of what they tell is 0 where a former program noted none.
    """

    count: int = 0
    checksum: int = 0
    contents: int = 0

    def are_those_of(self, before: NumbersRead) -> bool:
        """Whether the facts are those of before; as much as was noted of these."""
        return self.have_numbers_of(before) and before.contents in {0, self.contents}

    def have_numbers_of(self, before: NumbersRead) -> bool:
        """Whether they have the numbers of those of before."""
        return (self.count, self.checksum) == (before.count, before.checksum)

    def and_of(self, line: RecordedLine) -> NumbersRead:
        """Return the same with one more fact, which has a greater number than all before."""
        return NumbersRead(
            self.count + 1, checksum_with(line.sequence, self.checksum), _contents_with(line, self.contents)
        )


class JournalReadings(msgspec.Struct, frozen=True):
    """What stands.

    Attributes:
        moment: how many readings have begun and ended so far.
        has_ended: whether any has come to its end, so that the rest is known.
        lost, lacking: parts of the journal of which the database may not know what they told of, and findings of facts
            that it lacks; `…_at` is the moment when the reading ended that found them.
        settled: what was read of the journals of earlier databases when this one was made from them.
    """

    moment: int = 0
    has_ended: bool = False
    lost: int = 0
    lost_at: int = 0
    lacking: int = 0
    lacking_at: int = 0
    settled: dict[str, NumbersRead] = msgspec.field(default_factory=dict[str, NumbersRead])


async def read_readings(metadata: Metadata) -> JournalReadings:
    """Return what stands.

    Raises:
        MetadataError: the database can't be asked.
    """
    return _decode((await metadata.verification.sweep(_ROW)).progress)


async def begin_reading(metadata: Metadata) -> int:
    """Return the moment at which a reading begins; whoever takes it reads the whole journal afterwards.

    Raises:
        MetadataError: it can't be recorded.
    """

    async def unit(tx: Transaction) -> int:
        claim, before = await _hold(tx)
        await _keep(tx, claim, msgspec.structs.replace(before, moment=before.moment + 1))
        return before.moment + 1

    return await metadata.write(unit)


async def end_reading(
    metadata: Metadata, begun: int, *, lost: int, lacking: int, settled: Mapping[str, NumbersRead]
) -> None:
    """Let what a reading that began at `begun` found take the place of what others had found by then.

    What was found since stands beside it. `settled` takes the place of what is noted of the same journals.

    Raises:
        MetadataError: it can't be recorded.
    """

    async def unit(tx: Transaction) -> None:
        claim, before = await _hold(tx)
        kept_lost = before.lost if before.lost_at > begun else 0
        kept_lacking = before.lacking if before.lacking_at > begun else 0
        after = _ended(before, settled, lost=max(lost, kept_lost), lacking=max(lacking, kept_lacking))
        # What is kept keeps the moment when it was found, unless it was found again.
        after = msgspec.structs.replace(
            after,
            lost_at=after.moment if lost else before.lost_at,
            lacking_at=after.moment if lacking else before.lacking_at,
        )
        await _keep(tx, claim, after)

    await metadata.write(unit)


async def note_rebuilt(tx: Transaction, *, lost: int, settled: Mapping[str, NumbersRead]) -> None:
    """Add what a rebuild found to what stands, within the unit that ends it; it refutes nothing."""
    claim, before = await _hold(tx)
    after = _ended(before, settled, lost=max(lost, before.lost), lacking=before.lacking)
    await _keep(tx, claim, msgspec.structs.replace(after, lost_at=after.moment if lost else before.lost_at))


def checksum_with(sequence: int, before: int) -> int:
    """Return the checksum of the numbers of facts up to this one, given that of those before it; 0 for none."""
    return crc32(b"%d," % sequence, before)


def _contents_with(line: RecordedLine, before: int) -> int:
    """Return the checksum of what facts tell up to this one; not of their times, which an entry does not know."""
    return crc32(told_by(line), before)


def _ended(
    before: JournalReadings, settled: Mapping[str, NumbersRead], *, lost: int, lacking: int
) -> JournalReadings:
    return msgspec.structs.replace(
        before,
        moment=before.moment + 1,
        has_ended=True,
        lost=lost,
        lacking=lacking,
        settled=before.settled | dict(settled),
    )


async def _hold(tx: Transaction) -> tuple[SweepClaim, JournalReadings]:
    claim = await tx.orphans.hold(_ROW, _LEASE_SECONDS)
    if claim is None:  # no unit leaves it held
        raise RuntimeError(f"the row {_ROW} is held")
    return claim, _decode(claim.progress)


async def _keep(tx: Transaction, claim: SweepClaim, readings: JournalReadings) -> None:
    await tx.orphans.release(replace(claim, progress=msgspec.json.encode(readings).decode()), 0)


def _decode(text: str) -> JournalReadings:
    try:
        return msgspec.json.decode(text, type=JournalReadings) if text else JournalReadings()
    except msgspec.MsgspecError:  # another version's; the next reading tells
        return JournalReadings()
