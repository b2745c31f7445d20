"""Keeps facts that a database lacks between those that it knows from undoing what the later ones did.

Where a file of the journal was away and is there again, its facts are replayed into a database that has taken in later
ones. What the database recorded behind them is noted by the things that it changed; of an earlier fact only that counts
which no later one has changed.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING, Final

import msgspec

from entrepot.metadata.rebuild_work import LaterChange
from entrepot.rebuild.facts import (
    BlobLinked,
    BlobUnlinked,
    ManifestDeleted,
    ManifestPut,
    Nothing,
    RepositoryDeleted,
    TagDeleted,
    UnreadableFactError,
    read_change,
)
from entrepot.registry.journal.writer import line_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from entrepot.metadata.rebuild_work import RebuildWork
    from entrepot.metadata.store import Metadata
    from entrepot.rebuild.steps import Step
    from entrepot.registry.journal.reader import RecordedLine

__all__ = ["LaterChanges", "note_later_changes"]

_PAGE: Final = 2000
_ANYTHING: Final = "anything"
_DELETION: Final = "deletion"
_GONE: Final = "manifest gone"
"""A manifest was deleted, whatever became of it later."""
_STAYS: Final = (
    "the repository was deleted by fact {}, which the database learns of only now, and filled again later; what it "
    "held before stays: delete what is not wanted"
)


class LaterChanges:
    """Tells what later facts leave of an earlier one."""

    def __init__(self, work: RebuildWork) -> None:
        """Take the scratch file with what :func:`note_later_changes` noted in it."""
        self._work = work

    def left_of(self, step: Step) -> Sequence[Step]:
        """Return what of a step is still to be done, as steps, none if nothing is."""
        line, change = step.line, step.change
        if isinstance(change, Nothing) or self._is_changed(line, _DELETION, ""):
            return ()
        if isinstance(change, RepositoryDeleted):
            overtaken = self._is_changed(line, _ANYTHING, "")
            return (replace(step, problem=_STAYS.format(line.sequence)),) if overtaken else (step,)
        if isinstance(change, BlobLinked | BlobUnlinked):
            return () if self._is_changed(line, "blob", change.digest) else (step,)
        if isinstance(change, TagDeleted):
            return () if self._is_changed(line, "tag", change.tag) else (step,)
        if isinstance(change, ManifestPut | ManifestDeleted):
            return self._left_of_manifest(step, change)
        return (step,)

    def _left_of_manifest(self, step: Step, change: ManifestPut | ManifestDeleted) -> Sequence[Step]:
        overtaken = self._is_changed(step.line, "manifest", change.digest)
        tags = tuple(tag for tag in change.tags if not self._is_changed(step.line, "tag", tag))
        gone = isinstance(change, ManifestDeleted) or self._is_changed(step.line, _GONE, change.digest)
        if overtaken and gone:
            # The database that deleted the manifest later can't have named a tag of which it did not know.
            bare = replace(step, push=None, problem="")
            return [replace(bare, change=TagDeleted(tag, change.digest)) for tag in tags]
        left = replace(step, change=msgspec.structs.replace(change, tags=tags))
        return (replace(left, may_be_there=overtaken),)

    def _is_changed(self, line: RecordedLine, what: str, name: str) -> bool:
        return self._work.last_change(line.repository, what, name) > line.sequence


async def note_later_changes(metadata: Metadata, work: RebuildWork, after: int) -> LaterChanges:
    """Note what the facts changed that a database has recorded with numbers greater than `after`.

    Raises:
        MetadataError: they can't be read.
    """
    work.clear_changes()
    while page := await metadata.replay.recorded(after, _PAGE):
        lines = [line_of(fact) for fact in page]
        work.add_changes([change for line in lines for change in _changes_of(line)])
        after = page[-1].sequence
    return LaterChanges(work)


def _changes_of(line: RecordedLine) -> Iterator[LaterChange]:
    change = None
    with suppress(UnreadableFactError):  # a newer program may have recorded it
        change = read_change(line)
    if isinstance(change, Nothing):
        return
    names = [(_ANYTHING, "")]
    if isinstance(change, RepositoryDeleted):
        names.append((_DELETION, ""))
    elif isinstance(change, BlobLinked | BlobUnlinked):
        names.append(("blob", change.digest))
    elif isinstance(change, TagDeleted):
        names.append(("tag", change.tag))
    elif isinstance(change, ManifestPut | ManifestDeleted):
        names.append(("manifest", change.digest))
        if isinstance(change, ManifestDeleted):
            names.append((_GONE, change.digest))
        names += [("tag", tag) for tag in change.tags]
    for what, name in names:
        yield LaterChange(line.repository, what, name, line.sequence)
