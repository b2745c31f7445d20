"""Examines a snapshot in its repository: quickly by sizes and checksums of rows, or every byte of it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from entrepot.backup.blob_transfer import read_from_repository
from entrepot.backup.errors import BackupDamagedError
from entrepot.backup.rows import read_chunk, read_list
from entrepot.backup.workers import work_on_all
from entrepot.blobstore.errors import ObjectNotFoundError
from entrepot.kernel.pace import Pace
from entrepot.oci.digest import Digest

if TYPE_CHECKING:
    from entrepot.backup.blob_index import BlobIndex
    from entrepot.backup.format import Chunk, ListedBlob, SnapshotManifest
    from entrepot.backup.observer import BackupObserver
    from entrepot.backup.repository import BackupRepository

__all__ = ["SnapshotVerification", "VerificationReport"]


@dataclass(slots=True)
class VerificationReport:
    """What was examined, and each thing that is wrong, as a sentence."""

    chunks: int = 0
    blobs: int = 0
    blob_bytes: int = 0
    problems: list[str] = field(default_factory=list[str])


class SnapshotVerification:
    """One look at one snapshot."""

    def __init__(
        self,
        repository: BackupRepository,
        index: BlobIndex,
        observer: BackupObserver,
        *,
        fast: bool,
        parallel: int = 4,
        bytes_per_second: int | None = None,
    ) -> None:
        """Take what lies in the repository; `fast` believes that a blob of the right name and size is the right one."""
        self._repository = repository
        self._index = index
        self._observer = observer
        self._fast = fast
        self._parallel = parallel
        self._pace = Pace(bytes_per_second)

    async def run(self, manifest: SnapshotManifest) -> VerificationReport:
        """Examine a snapshot.

        Raises:
            BlobStoreError: the repository can't be read.
        """
        report = VerificationReport()
        report.problems += [
            f"{blob.digest} was damaged when it was to be backed up: {blob.reason}"
            for blob in manifest.damaged
        ]
        for chunk in (*manifest.rows, *manifest.lists):
            await self._examine_chunk(chunk, report)
        self._observer.begin(f"blobs of {manifest.id}", manifest.blob_bytes)
        known = {blob.digest for blob in manifest.damaged}

        async def examine(blob: ListedBlob) -> None:
            if blob.digest not in known:
                await self._examine_blob(blob, report)
            self._observer.advance(blob.size_bytes, blob.digest)

        try:
            await work_on_all(read_list(self._repository, manifest), examine, self._parallel)
        except BackupDamagedError as error:
            report.problems.append(f"the list of blobs ends early: {error}")
        return report

    async def _examine_chunk(self, chunk: Chunk, report: VerificationReport) -> None:
        report.chunks += 1
        try:
            lines = await read_chunk(self._repository, chunk)
        except BackupDamagedError as error:
            report.problems.append(str(error))
            return
        found = lines.count(b"\n") - bool(chunk.table)
        if found != chunk.rows:
            report.problems.append(f"{chunk.key} has {found} rows instead of {chunk.rows}")

    async def _examine_blob(self, blob: ListedBlob, report: VerificationReport) -> None:
        digest = Digest.parse(blob.digest)
        cipher = self._repository.cipher
        keys = self._index.copies(cipher.name_of(digest), cipher.stored_bytes(blob.size_bytes))
        report.blobs += 1
        report.blob_bytes += blob.size_bytes
        if not keys:
            report.problems.append(f"{digest} is missing, or has another size than {blob.size_bytes}")
            return
        if self._fast:
            return
        faults = [fault for key in keys if (fault := await self._read(key, digest))]
        # Another copy that is whole is as good; restoring takes that one.
        if len(faults) == len(keys):
            report.problems.append(faults[0])

    async def _read(self, key: str, digest: Digest) -> str:
        try:
            async for _ in read_from_repository(self._repository, key, digest, self._pace):
                pass
        except (BackupDamagedError, ObjectNotFoundError) as error:
            return f"{digest}: {error}"
        return ""
