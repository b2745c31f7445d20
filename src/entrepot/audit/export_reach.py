"""Which of the checkpoints that were kept an export has to reach: those signed before it was begun, and before its end.

The times that checkpoints bear are the database's word, and whoever owns that could have one be of the year to come
while he does what is to vanish. So the clocks of the nodes that signed have a say, which are not his. They may be wrong
as well; then the checkpoints between show by name what was signed behind what (:mod:`.ancestry`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.audit.ancestry import Ancestry
from entrepot.audit.checkpoint_format import read_signed_content, signed_at
from entrepot.audit.export_format import NODES_APART_MILLISECONDS
from entrepot.audit.purge_mark import believable_time
from entrepot.audit.signed_times import is_borne_out

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.audit.export_format import ExportHeader
    from entrepot.metadata.audit_store import CheckpointRow

__all__ = ["ExportReach", "earliest_time", "latest_time", "tells_when_begun"]

_MEANWHILE_MILLISECONDS: Final = 10 * 60 * 1000
"""How much later than it was begun an export may sign that it was made."""


def earliest_time(checkpoint: CheckpointRow) -> int:
    """Return when one was signed by the earlier of the two clocks, in milliseconds since 1970.

    That of a node counts where it is behind the database's by more than clocks of two machines may be apart. An export
    reaches all that were signed before the end of its times by this, so a verification asks for them.
    """
    at, node_at = signed_at(checkpoint), _node_at(checkpoint)
    return min(at, node_at + NODES_APART_MILLISECONDS) if node_at else at


def latest_time(checkpoint: CheckpointRow) -> int:
    """Return when one was signed by the later of the two clocks, in milliseconds since 1970.

    What it covers was sealed by then. So an export of later times may begin behind it, and it shows that in the export.
    """
    return max(signed_at(checkpoint), _node_at(checkpoint))


def tells_when_begun(header: ExportHeader, checkpoint: CheckpointRow) -> bool:
    """Whether one may be that which tells when the export was begun: :meth:`.AuditExport.begin` leaves it behind.

    That is the newest then, right behind which the export is dated, or that of the record that it was made, a moment
    later and behind all that it holds. Of either the clock of the process that signed it said the same time as that of
    the process that made the export. Checkpoints of former programs do not say that time, so they tell of exports by
    such programs only: of others one is left behind that says it. Else whoever owns the database had its clock show
    the moment behind a former checkpoint, and an older copy passed.
    """
    at = signed_at(checkpoint)
    is_newest = at + 1 == header.made_at
    is_behind = checkpoint.sequence > header.last and 0 <= at - header.made_at <= _MEANWHILE_MILLISECONDS
    if not (is_newest or is_behind):
        return False
    return not header.node_at or abs(_node_at(checkpoint) - header.node_at) <= NODES_APART_MILLISECONDS


class ExportReach:
    """Judges kept checkpoints by the signed header of an export and the checkpoints in it."""

    def __init__(
        self,
        header: ExportHeader,
        inside: Sequence[CheckpointRow],
        kept: Sequence[CheckpointRow],
        *,
        any_key: bool,
    ) -> None:
        """Take checkpoints whose signatures were verified.

        Args:
            any_key: whether all their keys are trusted; if not, those of one key say nothing of another's.
        """
        self._header = header
        self._kept = kept
        self._ancestry = Ancestry(
            (*inside, *kept), lambda one: tells_when_begun(header, one), any_key=any_key
        )

    def required(self) -> list[CheckpointRow]:
        """Return the kept checkpoints that an export of these times, whole as :mod:`.export` makes it, reaches."""
        header = self._header
        known_of = max((kept.sequence for kept in self._kept if self._was_there(kept)), default=0)
        return [
            kept
            for kept in self._kept
            if header.after <= kept.sequence <= header.last
            or (header.last < kept.sequence <= known_of and earliest_time(kept) < header.until)
        ]

    def is_later(self, kept: CheckpointRow) -> bool:
        """Whether one was signed after the export was begun, by its time or as those between show."""
        return self._header.made_at <= signed_at(kept) or self._ancestry.is_behind(kept)

    def _was_there(self, kept: CheckpointRow) -> bool:
        """Whether it was signed before the export was begun; then all were that have earlier places.

        One that was signed later may have an earlier time, if the clock was put back between. Then it was signed behind
        one that tells of this export (:func:`tells_when_begun`). That it was signed behind any other later time says
        nothing: when that was over too, an older copy would pass. Nor is there a doubt where the database's clock
        contradicts that of the process that made the export, and the nodes' clocks tell what was first.
        """
        header, at, is_earlier = self._header, signed_at(kept), self._is_earlier_by_nodes(kept)
        if is_earlier and header.clocks_apart and _is_borne_out(kept):
            return True
        if at >= header.made_at and not is_earlier:
            return False
        return not self._ancestry.is_behind(kept) or self._is_known_over(at)

    def _is_earlier_by_nodes(self, kept: CheckpointRow) -> bool:
        """Whether it was signed before the export was begun, by the clocks of the processes that did both."""
        node_at = _node_at(kept)
        return 0 < node_at < self._header.node_at - NODES_APART_MILLISECONDS

    def _is_known_over(self, at: int) -> bool:
        """Whether a time was over by the clock of the process that made the export, where its database's was ahead."""
        header = self._header
        return believable_time(header.made_at, header.node_at) < header.made_at and at < header.node_at


def _node_at(checkpoint: CheckpointRow) -> int:
    """Return when one was signed by the clock of the process, 0 where that is not told."""
    content = read_signed_content(checkpoint.signed)
    return 0 if content is None else content.node_at


def _is_borne_out(checkpoint: CheckpointRow) -> bool:
    content = read_signed_content(checkpoint.signed)
    return content is not None and is_borne_out(content)
