"""Opens the store that a backup goes to, or comes from, with the same drivers that hold the registry's blobs."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from entrepot.backup.errors import RepositoryMissingError
from entrepot.backup.healing import BackupBlobRecovery
from entrepot.backup.repository import create_or_open_repository, open_repository
from entrepot.blobstore.filesystem.store import FilesystemBlobStore
from entrepot.blobstore.keys import BACKUP_REPOSITORY, BLOBS, INDEX, JOURNAL, MANIFESTS, UPLOADS
from entrepot.ops.errors import EXIT_USAGE, CommandError
from entrepot.settings import Settings, storage_root

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from entrepot.backup.repository import BackupRepository
    from entrepot.blobstore.driver import BlobStore
    from entrepot.ops.backup.options import BackupChoice

__all__ = ["opened_recovery", "opened_repository", "repository_to_write"]


@contextlib.asynccontextmanager
async def opened_repository(choice: BackupChoice) -> AsyncIterator[BackupRepository]:
    """Open a repository for reading; nothing is written, so the medium may be read-only.

    Raises:
        CommandError: the target can't be understood.
        BackupError, BlobStoreError: there is no repository, or it can't be opened.
    """
    async with _store(choice, create=False) as store:
        yield await open_repository(store, choice.passphrase)


@contextlib.asynccontextmanager
async def opened_recovery(choice: BackupChoice) -> AsyncIterator[BackupBlobRecovery]:
    """Open a repository as a place to heal a registry's blobs and manifests from.

    Raises:
        As :func:`opened_repository`.
    """
    async with opened_repository(choice) as repository:
        yield await BackupBlobRecovery.over(repository)


@contextlib.asynccontextmanager
async def repository_to_write(choice: BackupChoice) -> AsyncIterator[BackupRepository]:
    """Open a repository to add to it, and make it where there is none.

    Raises:
        As :func:`opened_repository`.
    """
    async with _store(choice, create=True) as store:
        yield await create_or_open_repository(store, choice.passphrase)


@contextlib.asynccontextmanager
async def _store(choice: BackupChoice, *, create: bool) -> AsyncIterator[BlobStore]:
    store = (
        await _bucket(choice.settings, choice.target, create=create)
        if choice.target.startswith("s3://")
        else await _directory(choice.settings, choice.target, create=create)
    )
    try:
        yield store
    finally:
        await store.aclose()


async def _directory(settings: Settings, target: str, *, create: bool) -> BlobStore:
    root = _path_of(target)
    if settings.storage.driver == "filesystem":
        _require_apart(root, storage_root(settings))
    if not create and not (root / BACKUP_REPOSITORY).exists():  # one look, before anything runs
        raise RepositoryMissingError
    store = FilesystemBlobStore(root, local_only=False)
    if create:
        await store.prepare()
    return store


def _path_of(target: str) -> Path:
    if target.startswith("file://"):
        parts = urlsplit(target)
        if parts.netloc not in {"", "localhost"}:
            raise CommandError(
                EXIT_USAGE, f"entrepot: {target} names a host; write file:///path with three slashes"
            )
        target = unquote(parts.path)
    elif "://" in target:
        raise CommandError(
            EXIT_USAGE, f"entrepot: {target} is neither a path nor file:///path nor s3://bucket/prefix"
        )
    return Path(target).absolute()


def _require_apart(root: Path, storage: Path) -> None:
    """Refuse a backup within what it backs up: one disk, and one sweep, would lose both."""
    if root.is_relative_to(storage) or storage.is_relative_to(root):
        raise CommandError(
            EXIT_USAGE,
            f"entrepot: {root} and the registry's own storage {storage} overlap; use another directory",
        )


async def _bucket(settings: Settings, target: str, *, create: bool) -> BlobStore:
    from entrepot.blobstore.s3.options import S3Options  # noqa: PLC0415  # decision 0016: the SDK is costly
    from entrepot.blobstore.s3.store import S3BlobStore  # noqa: PLC0415  # as above

    bucket, _, prefix = target.removeprefix("s3://").partition("/")
    prefix = prefix.strip("/")
    if not bucket:
        raise CommandError(EXIT_USAGE, f"entrepot: {target} names no bucket; write s3://bucket/prefix")
    chosen = settings.backup.s3
    _require_other_keys(settings, bucket, f"{prefix}/" if prefix else "")
    store = S3BlobStore(
        S3Options(
            bucket=bucket,
            endpoint_url=chosen.endpoint,
            region=chosen.region,
            access_key_id=chosen.access_key,
            secret_access_key=chosen.secret_key.reveal(),
            path_style=chosen.path_style,
            prefix=f"{prefix}/" if prefix else "",
        )
    )
    if create:
        await store.prepare()
    return store


def _require_other_keys(settings: Settings, bucket: str, prefix: str) -> None:
    """Refuse a prefix within what the registry keeps in the same bucket: its sweep would take backups for orphans."""
    own = settings.storage.s3
    if settings.storage.driver != "s3" or (own.bucket, own.endpoint) != (bucket, settings.backup.s3.endpoint):
        return
    within = prefix.removeprefix(own.prefix) if prefix.startswith(own.prefix) else None
    if within == "" or (
        within is not None and within.startswith((UPLOADS, BLOBS, INDEX, MANIFESTS, JOURNAL))
    ):
        raise CommandError(
            EXIT_USAGE,
            f"entrepot: s3://{bucket}/{prefix} is where the registry keeps its own blobs; use another prefix, "
            "or better another bucket",
        )
