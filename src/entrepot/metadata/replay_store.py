"""The protocols of what only a rebuild does to rows: facts under numbers they had before, times of long ago, marks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from entrepot.metadata.project_numbers import LastProjectNumber
    from entrepot.metadata.records import JournalFact
    from entrepot.oci.digest import Digest

__all__ = ["ReplayReader", "ReplayRows"]


class ReplayReader(Protocol):
    """What a rebuild, and whoever has to know whether one is due, asks. Each call is one statement."""

    async def unfinished(self) -> str | None:
        """Return how far a rebuild of the whole database has come that is not finished, in its own words."""
        ...

    async def settled(self) -> Mapping[str, int]:
        """Return other databases whose journals went into this one, by incarnation, each with its last number."""
        ...

    async def blob_keys(self, digests: Sequence[Digest]) -> Mapping[Digest, str]:
        """Return under which keys the rows of these blobs, of every state, say that their bytes lie."""
        ...

    async def catching_up(self) -> str | None:
        """Return what the run that brings this database up to date and has not come to its end says of itself."""
        ...

    async def ended_run(self) -> str | None:
        """Return which run was the last one that came to its end in this database, if any named itself."""
        ...

    async def recorded(self, after: int, limit: int) -> Sequence[JournalFact]:
        """Return facts with numbers greater than `after`, in their order, whether the journal has them or not."""
        ...


class ReplayRows(Protocol):
    """What a rebuild changes, within a unit. Times are milliseconds since 1970 and only ever make a row older."""

    async def record(self, fact: JournalFact) -> bool:
        """Record a fact under the number it had, as one that the journal holds; `False` when it is there already.

        Raises:
            HistoryDivergedError: another fact has this number.
        """
        ...

    async def number_on(self, last: int) -> None:
        """Let later facts have numbers greater than `last` (≥ 1) and all that are recorded."""

    async def number_projects_on(self, last: LastProjectNumber) -> None:
        """Let later projects have numbers greater than that one and all that this database ever gave."""

    async def take_incarnation(self, incarnation: str) -> None:
        """Be the database that wrote the journal of this name."""

    async def mark_unfinished(self, progress: str) -> None:
        """Keep the registry from being served from this database until :meth:`mark_finished`."""

    async def mark_finished(self) -> None:
        """Undo :meth:`mark_unfinished`."""

    async def mark_catching_up(self, progress: str) -> None:
        """Remember that a run brings this database up to date; it is served all the same, as far as any older one."""

    async def mark_caught_up(self) -> None:
        """Undo :meth:`mark_catching_up`."""

    async def mark_ended(self, run: str) -> None:
        """Remember that this run came to its end, so that its report is known to be this database's."""

    async def settle(self, incarnation: str, last: int) -> None:
        """Remember that another database's journal went into this one, up to this number."""

    async def repoint_blob(self, digest: Digest, storage_key: str) -> None:
        """Let a blob's row say that its bytes lie elsewhere."""

    async def date_repository(self, repository_id: int, at_milliseconds: int) -> None:
        """Let a repository, and its project, have been there since then."""

    async def date_link(self, repository_id: int, blob_id: int, at_milliseconds: int) -> None:
        """Let a repository have had a blob since then."""

    async def date_manifest(self, repository_id: int, digest: Digest, at_milliseconds: int) -> None:
        """Let a manifest have been in its repository since then."""

    async def date_tag(self, repository_id: int, tag: str, at_milliseconds: int) -> None:
        """Let the last change of a tag, which this very unit made, have happened then."""
