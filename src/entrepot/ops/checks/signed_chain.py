"""Whether somebody else than the registry wrote rows of checkpoints, which stand in the way of those that count."""

from __future__ import annotations

from collections import deque
from contextlib import aclosing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from entrepot.ops.checks.finding import Finding, failed, passed

if TYPE_CHECKING:
    from entrepot.audit.checkpoint_judge import Refusal
    from entrepot.metadata.store import Metadata
    from entrepot.settings import Settings

__all__ = ["JudgedCheckpoints", "judge_signed_chain", "judged_checkpoints"]

_MOST: Final = 5_000
"""The last ones, each of which takes a millisecond: those of two weeks and a half, as a rule."""


@dataclass(frozen=True, slots=True)
class JudgedCheckpoints:
    """What was found among the last checkpoints in the database.

    Attributes:
        looked_at: how many rows these were.
        made_up: how many of them somebody else than the registry wrote, and `last` the one of the latest place.
    """

    looked_at: int = 0
    made_up: int = 0
    last: Refusal | None = None


async def judged_checkpoints(metadata: Metadata, settings: Settings) -> JudgedCheckpoints:
    """Judge the last checkpoints by the chain, and by the keys as this node opens them.

    Raises:
        EntrepotError: the database can't be asked.
    """
    from entrepot.audit.checkpoints import checkpoint_pages  # noqa: PLC0415 - loads much; only when asked
    from entrepot.audit.sound_checkpoints import SoundCheckpoints  # noqa: PLC0415 - as above
    from entrepot.bootstrap.keys import CheckpointKeys  # noqa: PLC0415 - as above

    if await metadata.audit.chain() is None:
        return JudgedCheckpoints()
    sequences = deque[int](maxlen=_MOST)
    async with aclosing(checkpoint_pages(metadata, 1)) as pages:
        async for page in pages:
            sequences.extend(row.sequence for row in page)
    if not sequences:
        return JudgedCheckpoints()
    checkpoints = SoundCheckpoints(metadata, CheckpointKeys(settings, metadata).owns)
    async with aclosing(checkpoints.between(sequences[0])) as sound:
        async for _ in sound:
            pass
    return JudgedCheckpoints(len(sequences), checkpoints.made_up, checkpoints.last_made_up)


def judge_signed_chain(found: JudgedCheckpoints) -> Finding:
    """Judge what of the checkpoints in the database was made up."""
    if found.last is None:
        return passed("checkpoints", f"the last {found.looked_at} checkpoints are the registry's own")
    message = (
        f"the database has {found.made_up} checkpoints that count for nothing, the last of record "
        f"{found.last.row.sequence}: {found.last.reason}"
    )
    remedy = (
        "The registry passes over them, signs on and exports without them; but somebody else wrote to its database. "
        "Find out who may, and run: entrepot audit verify --database --checkpoints with the files that were shipped. "
        "How such a row is removed is told in docs/how-to/audit.md."
    )
    return failed("checkpoints", message, remedy)
