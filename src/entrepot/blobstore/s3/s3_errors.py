"""Turns what an S3 store or the SDK says into the errors of a blob store, in one place."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from aiohttp import ClientError as ConnectionBrokenError
from botocore.exceptions import BotoCoreError, ClientError

from entrepot.blobstore.errors import (
    BlobStoreError,
    ObjectNotFoundError,
    StorageFullError,
    StorageUnavailableError,
)

if TYPE_CHECKING:
    from collections.abc import Generator

__all__ = [
    "MultipartMissingError",
    "PartMismatchError",
    "PreconditionFailedError",
    "RangeOutsideError",
    "s3_errors_translated",
]


class MultipartMissingError(BlobStoreError):
    """The multipart upload was completed or aborted; never leaves the driver."""


class PartMismatchError(BlobStoreError):
    """A part is missing or is not the one that was named; never leaves the driver."""


class RangeOutsideError(BlobStoreError):
    """The range begins at or beyond the end of the object; never leaves the driver."""


class PreconditionFailedError(BlobStoreError):
    """A conditional write was refused; never leaves the driver."""


_MISSING: Final = frozenset({"NoSuchKey", "404", "NotFound"})
_FULL: Final = frozenset({"InsufficientStorage", "QuotaExceeded", "XMinioStorageFull", "507"})
_DRIVER_ERRORS: Final[dict[str, type[BlobStoreError]]] = {
    "NoSuchUpload": MultipartMissingError,
    "InvalidPart": PartMismatchError,
    "InvalidPartOrder": PartMismatchError,
    "InvalidRange": RangeOutsideError,
    "416": RangeOutsideError,
    "PreconditionFailed": PreconditionFailedError,
    "412": PreconditionFailedError,
}


@contextmanager
def s3_errors_translated(action: str, key: str) -> Generator[None]:
    """Raise the errors of a blob store instead of those of the SDK.

    Raises:
        ObjectNotFoundError: there is no object `key`.
        StorageFullError: the store has no room.
        StorageUnavailableError: anything else, with the store's own code and words (403, NoSuchBucket, SlowDown …).
        MultipartMissingError, PartMismatchError, RangeOutsideError, PreconditionFailedError: for the driver itself.
    """
    try:
        yield
    except ClientError as error:
        raise _refusal(error, action, key) from error
    except (BotoCoreError, ConnectionBrokenError, TimeoutError, OSError) as error:
        detail = str(error) or type(error).__name__
        raise StorageUnavailableError(f"could not {action} {key}: {detail}") from error


def _refusal(error: ClientError, action: str, key: str) -> BlobStoreError:
    answer = cast("dict[str, dict[str, object]]", cast("Any", error).response)
    code = str(answer.get("Error", {}).get("Code", ""))
    status = str(answer.get("ResponseMetadata", {}).get("HTTPStatusCode", ""))
    detail = f"could not {action} {key}: {error}"
    if code in _MISSING:
        return ObjectNotFoundError(key)
    if code in _FULL or status == "507":
        return StorageFullError(detail)
    if code in _DRIVER_ERRORS:
        return _DRIVER_ERRORS[code](detail)
    return StorageUnavailableError(detail)
