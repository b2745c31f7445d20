"""What a metadata store can fail with; engines translate the errors of their database libraries into these."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "HistoryDivergedError",
    "MetadataError",
    "MetadataFullError",
    "MetadataTimeoutError",
    "MetadataUnavailableError",
    "RebuildUnfinishedError",
    "RestoreUnfinishedError",
    "SchemaMismatchError",
    "StatementTooLongError",
    "UnitRejectedError",
    "UnknownManifestError",
]


class MetadataError(EntrepotError):
    """The root of everything a metadata engine raises."""


class MetadataUnavailableError(MetadataError):
    """The database can't be reached, is locked for too long, damaged or read-only; the call may succeed later."""

    def __init__(self, detail: str) -> None:
        super().__init__(f"the metadata database is unavailable: {detail}")


class MetadataFullError(MetadataUnavailableError):
    """The database has no room for what was to be written; reads go on."""


class MetadataTimeoutError(MetadataUnavailableError):
    """The database is there, and did not do in time what it was asked for: mostly it waited for others."""


class StatementTooLongError(MetadataTimeoutError):
    """The database did what it was asked for, and it took so long that it was ended; nothing else was waited for."""


class SchemaMismatchError(MetadataError):
    """The database has another schema than this program was made for."""

    def __init__(self, found: int, expected: int, remedy: str) -> None:
        super().__init__(f"the metadata schema has version {found}, this program needs {expected}: {remedy}")
        self.found = found
        self.expected = expected


class UnitRejectedError(MetadataError):
    """A write unit did something it may not: it awaited anything but its transaction."""


class UnknownManifestError(MetadataError):
    """A tag was to point at something that is no live manifest of its repository."""

    def __init__(self, tag: str, digest: str) -> None:
        super().__init__(f"tag {tag} can't point at {digest}: the repository has no such manifest")
        self.tag = tag
        self.digest = digest


class HistoryDivergedError(MetadataError):
    """The database recorded another fact under a number than the journal in the blob store tells of."""

    def __init__(self, sequence: int) -> None:
        super().__init__(
            f"fact {sequence} of the database is another one than the journal's: the database went its own way since "
            "they parted, and can't be brought up to the storage"
        )
        self.sequence = sequence


class RebuildUnfinishedError(MetadataError):
    """The database was filled in part by a rebuild: what it does not hold would be taken for deleted."""

    def __init__(self) -> None:
        super().__init__("a rebuild of this database is not finished: run entrepot rebuild again, then start")


class RestoreUnfinishedError(MetadataError):
    """A restore into this database was begun and not finished; it must not be served, nor migrated."""

    def __init__(self, snapshot: str) -> None:
        super().__init__(
            f"a restore of snapshot {snapshot} into this database was not finished; "
            "run `entrepot backup restore` again"
        )
        self.snapshot = snapshot
