"""What the times of signed checkpoints prove, though they do not always go up as sequences do (F27).

Each has the time that the database's clock showed. Where that was ahead and was put right, later ones have earlier
times; where it stood in the past for a while, one or a few have. Which of the two it was, two alone do not tell. So
everybody takes the later time for true, with one exception: a checkpoint is **dated ahead** if the clock ran for
:data:`LEAST_DAYS` behind its time afterwards. That is a run of later checkpoints, all of earlier times, with no leap of
more than a month between two of them, whose first and last one the clocks of the nodes that signed them bear out.
All of the run are signed with the key of the one that they prove wrong: who owns the database has keys of his own.

A clock that was wrong at a start, or that who owns the database sets, makes no such run.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final, NamedTuple

from entrepot.audit.checkpoint_format import read_signed_content

if TYPE_CHECKING:
    from collections.abc import Iterable

    from entrepot.audit.checkpoint_format import CheckpointContent
    from entrepot.metadata.audit_store import CheckpointRow

__all__ = [
    "DAY_MILLISECONDS",
    "LEAST_DAYS",
    "MOST_APART_MILLISECONDS",
    "SignedTimes",
    "is_borne_out",
]

LEAST_DAYS: Final = 180
"""What the law asks for (Cybersecurity Law of China, article 21); no setting goes below."""
DAY_MILLISECONDS: Final = 24 * 60 * 60 * 1000
MOST_APART_MILLISECONDS: Final = 7 * DAY_MILLISECONDS
"""How far the database's clock and a node's may be apart for the one to bear the other out."""
_RUN_MILLISECONDS: Final = LEAST_DAYS * DAY_MILLISECONDS
_MOST_LEAP_MILLISECONDS: Final = 30 * DAY_MILLISECONDS


class _Signed(NamedTuple):
    sequence: int
    at: int
    is_borne_out: bool
    key: bytes


class _Run(NamedTuple):
    """What proves checkpoints before `sequence` to be dated ahead whose times are later than `latest`."""

    sequence: int
    latest: int


class SignedTimes:
    """Takes checkpoints whose signatures were verified, in any order, wherever they were kept."""

    def __init__(self, checkpoints: Iterable[CheckpointRow] = ()) -> None:
        self._known: list[_Signed] = []
        self._keys: dict[bytes, bytes] = {}
        """Each key once, though every checkpoint was read with its own."""
        self.take(checkpoints)

    def take(self, checkpoints: Iterable[CheckpointRow]) -> None:
        """Take more of them, of which the times are kept, and not the signatures."""
        behind = self._known[-1:]
        more = sorted(
            known._replace(key=self._keys.setdefault(known.key, known.key))
            for known in map(_signed, checkpoints)
        )
        self._known += more
        if behind > more[:1]:
            self._known.sort()

    def first_since(self, since: int, upto: int | None = None) -> tuple[int, int] | None:
        """Return sequence and time of the first checkpoint of `since` (milliseconds) or later; `None` without one.

        Those that are dated ahead, and that a run shows to be of a time before `since`, do not count.

        Args:
            upto: the last sequence to look at; `None` for all.
        """
        proven = _Run(0, 0)
        for place, known in enumerate(self._known):
            if upto is not None and known.sequence > upto:
                break
            if known.at < since or (known.sequence <= proven.sequence and known.at > proven.latest):
                continue
            run = self._run_behind(place, since)
            if run is None:
                return known.sequence, known.at
            proven = run
        return None

    def last_before(self, since: int) -> int | None:
        """Return up to which sequence everything was signed before a time; `None` where nothing was.

        A checkpoint that is earlier than one before it says nothing of what lies between: its clock was in the past.
        """
        end = self.first_since(since)
        found, latest = None, 0
        for known in self._known:
            if end is not None and known.sequence >= end[0]:
                break
            if latest <= known.at < since:
                found, latest = known.sequence, known.at
        return found

    def latest(self, after: int, upto: int) -> int:
        """Return the latest time of the sequences from behind `after` to `upto`, 0 without any."""
        return max((known.at for known in self._known if after < known.sequence <= upto), default=0)

    def _run_behind(self, place: int, since: int) -> _Run | None:
        """Return the run that proves the checkpoint at a place to be dated ahead, and to be of before `since`."""
        limit, key = self._known[place].at, self._known[place].key
        first: _Signed | None = None
        previous = latest = 0
        for known in islice(self._known, place + 1, None):
            if known.key != key and known.at < limit:
                continue
            if known.at >= limit or known.at > previous + _MOST_LEAP_MILLISECONDS:
                first = None
            previous = known.at
            if known.at >= limit:
                continue
            latest = known.at if first is None else max(latest, known.at)
            if not known.is_borne_out:
                continue
            if known.at < since and (first is None or known.at < first.at):
                # The lowest, so that a run that is one stays one as `since` moves on.
                first = known
            elif first is not None and known.at >= first.at + _RUN_MILLISECONDS:
                return _Run(first.sequence, latest)
        return None


def is_borne_out(content: CheckpointContent) -> bool:
    """Whether the clock of the node that signed bears out the database's."""
    return bool(content.node_at) and abs(content.at - content.node_at) <= MOST_APART_MILLISECONDS


def _signed(checkpoint: CheckpointRow) -> _Signed:
    content = read_signed_content(checkpoint.signed)
    if content is None:
        return _Signed(checkpoint.sequence, checkpoint.at, is_borne_out=False, key=checkpoint.public_key)
    return _Signed(content.sequence, content.at, is_borne_out(content), checkpoint.public_key)
