"""Checks of the database and of the object store, by asking them what the registry would ask at its start."""

from __future__ import annotations

import asyncio
from dataclasses import replace

from entrepot.kernel.errors import EntrepotError
from entrepot.ops.checks.finding import Finding, failed, passed, warned
from entrepot.settings import Settings, metadata_path, metadata_url, uses_postgresql

__all__ = ["check_metadata", "check_object_store", "judge_schema"]

_PATIENCE_SECONDS = 10.0


def check_metadata(settings: Settings) -> Finding:
    """Check that the database answers and has a schema this program can work with."""
    if not uses_postgresql(settings) and not metadata_path(settings).exists():
        return passed("metadata", f"{metadata_path(settings)} does not exist yet; the first start makes it")
    try:
        current, newest = asyncio.run(_read_schema_version(settings))
    except TimeoutError:
        message = f"the database did not answer within {_PATIENCE_SECONDS:g} s"
    except (EntrepotError, OSError) as error:
        message = f"the database can't be used: {error}"
    else:
        return judge_schema(current, newest)
    return failed("metadata", message, "Check metadata.url, the network and the database's own log.")


def judge_schema(current: int, newest: int) -> Finding:
    """Judge the version of the schema found against the one this program needs."""
    message = f"the schema has version {current}, this program needs {newest}"
    if current == 0:
        return passed("metadata", "the database answers and is empty; the first start makes its schema")
    if current > newest:
        return failed("metadata", message, "Install the newer program that made this schema.")
    if current < newest:
        return warned("metadata", message, "Run: entrepot migrate")
    return passed("metadata", f"the database answers; its schema has version {current}")


async def _read_schema_version(settings: Settings) -> tuple[int, int]:
    from entrepot.metadata.sql.migrate import schema_version  # noqa: PLC0415 - loads drivers; only when asked

    async with asyncio.timeout(_PATIENCE_SECONDS):
        return await schema_version(metadata_url(settings))


def check_object_store(settings: Settings) -> Finding:
    """Check that the object store takes, gives and deletes an object."""
    where = f"bucket {settings.storage.s3.bucket} at {settings.storage.s3.endpoint or 'Amazon S3'}"
    try:
        asyncio.run(_try_object_store(settings))
    except TimeoutError:
        message = f"{where} did not answer within {_PATIENCE_SECONDS:g} s"
    except (EntrepotError, OSError) as error:
        message = f"{where} can't be used: {error}"
    else:
        return passed("blobs", f"{where} can be written and read")
    return failed("blobs", message, "Check storage.s3.*, that the bucket exists, and the key's rights.")


async def _try_object_store(settings: Settings) -> None:
    from entrepot.blobstore.s3 import S3BlobStore  # noqa: PLC0415 - loads the client; only when asked
    from entrepot.bootstrap import s3_options  # noqa: PLC0415 - as above

    async with asyncio.timeout(_PATIENCE_SECONDS):
        store = S3BlobStore(replace(s3_options(settings), attempt_count=2))  # a person is waiting
        try:
            await store.check()
        finally:
            await store.aclose()
