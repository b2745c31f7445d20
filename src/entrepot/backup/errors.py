"""What can go wrong with backups; each message says what to do."""

from __future__ import annotations

from entrepot.kernel.errors import EntrepotError

__all__ = [
    "BackupDamagedError",
    "BackupError",
    "BlobDamagedError",
    "BlobUnreadableError",
    "PassphraseError",
    "PruningUnderWayError",
    "RepositoryFormatError",
    "RepositoryMissingError",
    "SnapshotMissingError",
    "StoreNotEmptyError",
]


class BackupError(EntrepotError):
    """The root of everything that is wrong with a backup."""


class RepositoryMissingError(BackupError):
    """There is no backup repository at the target."""

    def __init__(self) -> None:
        super().__init__(
            "there is no backup repository at this target; look for the right directory, or for bucket and prefix"
        )


class RepositoryFormatError(BackupError):
    """The repository or snapshot was made by a newer program, or by no program of ours."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(
            f"{key} can't be understood: {detail}; use the version that wrote it, or a newer one"
        )
        self.key = key


class PassphraseError(BackupError):
    """The passphrase is missing, wrong, or given where nothing is encrypted."""


class SnapshotMissingError(BackupError):
    """There is no such complete snapshot."""

    def __init__(self, snapshot: str) -> None:
        what = f"no finished snapshot {snapshot}" if snapshot else "no finished snapshot"
        super().__init__(f"the backup repository has {what}; see `entrepot backup list`")
        self.snapshot = snapshot


class SnapshotsDatedAheadError(BackupError):
    """Every snapshot that could be meant is dated ahead of this host's clock: one of the clocks is, or was, wrong."""

    def __init__(self, explanation: str, advice: str) -> None:
        super().__init__(
            f"{explanation}; there is no other to go by. Is this host's clock right? If not, set it. {advice}"
        )


class BackupDamagedError(BackupError):
    """An object of the repository is not what was written."""

    def __init__(self, key: str, detail: str) -> None:
        super().__init__(f"{key} of the backup is damaged: {detail}")
        self.key = key
        self.detail = detail


class BlobDamagedError(BackupError):
    """The bytes of a blob in the registry's store are missing, or not what was pushed."""

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


class BlobUnreadableError(BlobDamagedError):
    """The registry's store fails when the bytes of this blob are read, as a bad sector makes it do."""


class PruningUnderWayError(BackupError):
    """Snapshots are being removed, which may take blobs away that a new snapshot would count on."""

    def __init__(self) -> None:
        super().__init__(
            "snapshots are being removed from this repository (`entrepot backup prune`); try again when it has "
            "ended, or run it once more if it was killed"
        )


class StoreNotEmptyError(BackupError):
    """A whole restore needs an empty blob store."""

    def __init__(self, key: str) -> None:
        super().__init__(
            f"the blob store is not empty, it holds {key}: restore into a new directory or prefix, or only the "
            "database onto this store (--database-only), or only missing blobs (--blobs-only)"
        )
        self.key = key
