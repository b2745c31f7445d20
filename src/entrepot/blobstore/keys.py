"""The layout of a store, drawn once.

::

    uploads/<upload id>                            staged bytes of an upload (disk)
    uploads/<upload id>/tail-<fence>-<offset>      bytes that do not fill a part yet (S3)
    blobs/<alg>/<2 hex>/<hex>/<upload id>          a blob (disk)
    blobs/<upload id>-<fence>-<offset>             a blob, or bytes that may yet become one (S3)
    index/<upload id>-<fence>-<offset>.<alg>.<hex> zero bytes: the blob of that name has that digest (S3)
    manifests/<alg>/<2 hex>/<hex>/<id>             the exact bytes of a manifest
    journal/<incarnation>/entries/<20 digits>      one fact (tag set, manifest put …), written before the reply
    journal/<incarnation>/segments/<20 digits>-<20 digits>   many facts, written by the background worker

A backup repository is a store of its own, with blobs (under names that may hide their digests) and::

    backup/repository                              what the repository is, and how its key is found
    backup/pruning                                 there while snapshots are being removed
    snapshots/<id>/begun                           a snapshot was begun, and by whom
    snapshots/<id>/rows/<table>.<8 digits>         a run of rows
    snapshots/<id>/lists/<8 digits>                a run of the blobs that the rows mention
    snapshots/<id>/manifest                        what the snapshot consists of, written last

Every key holds a random id or a sequence number, so that no key is ever used for other bytes: a deletion that arrives
late can't hit bytes that were pushed again.
"""

from __future__ import annotations

import re
from typing import Final

from entrepot.blobstore.errors import InvalidKeyError
from entrepot.oci.digest import Digest, InvalidDigestError

__all__ = [
    "AFTER_ALL_KEYS",
    "BACKUP_PRUNING",
    "BACKUP_REPOSITORY",
    "BLOBS",
    "INDEX",
    "JOURNAL",
    "MANIFESTS",
    "SNAPSHOTS",
    "UPLOADS",
    "flat_blob_key",
    "flat_blob_prefix",
    "index_marker_key",
    "index_marker_prefix",
    "is_key",
    "journal_entry_key",
    "journal_numbers",
    "journal_segment_key",
    "manifest_key",
    "named_digest_of",
    "nested_blob_key",
    "require_key",
    "require_prefix",
    "require_upload_id",
    "snapshot_begun_key",
    "snapshot_list_key",
    "snapshot_manifest_key",
    "snapshot_of",
    "snapshot_rows_key",
    "staged_key",
    "staged_tail_key",
    "staged_tail_prefix",
    "stated_digest",
    "stored_key_of",
    "upload_marker_prefix",
    "upload_of",
]

UPLOADS: Final = "uploads/"
BLOBS: Final = "blobs/"
INDEX: Final = "index/"
MANIFESTS: Final = "manifests/"
JOURNAL: Final = "journal/"
SNAPSHOTS: Final = "snapshots/"
BACKUP_REPOSITORY: Final = "backup/repository"
BACKUP_PRUNING: Final = "backup/pruning"

_SEGMENT: Final = r"(?!\.{1,2}(?:/|\Z))[A-Za-z0-9._:@=+-]{1,255}"
_KEY: Final = re.compile(rf"{_SEGMENT}(?:/{_SEGMENT})*\Z", re.ASCII)
_UPLOAD_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}\Z", re.ASCII)
AFTER_ALL_KEYS: Final = "~"
"""Greater than every character of a key, so that a prefix with it stands behind all keys with that prefix."""

_NESTED_PARTS: Final = 5
"""Segments of the key of a nested blob or of manifest bytes."""

_NO_NUMBER: Final = 1 << 62
"""Greater than any number of a fact; engines have a bit more, so that those behind one of these can still be given."""
_LONGEST_KEY: Final = 1024
"""Bytes in a key, at most (Amazon S3 user guide, "Naming Amazon S3 objects")."""


def is_key(key: str) -> bool:
    """Whether every driver can hold an object of this name; a directory may have files of other names, too."""
    return len(key) <= _LONGEST_KEY and _KEY.match(key) is not None


def require_key(key: str) -> str:
    """Return `key` when it is one that every driver can hold (S34).

    Raises:
        InvalidKeyError: for an absolute or climbing key, an empty segment, or a character outside a small ASCII set.
    """
    if not is_key(key):
        raise InvalidKeyError(key)
    return key


def require_prefix(prefix: str) -> str:
    """Return `prefix` when some key may start with it: a key, a key and a slash, or nothing.

    Raises:
        InvalidKeyError: as :func:`require_key`.
    """
    if prefix:
        require_key(prefix.removesuffix("/"))
    return prefix


def require_upload_id(upload_id: str) -> str:
    """Return `upload_id` when it can be one segment of a key.

    Raises:
        InvalidKeyError: for anything but letters, digits, `_` and `-`.
    """
    if _UPLOAD_ID.match(upload_id) is None:
        raise InvalidKeyError(upload_id)
    return upload_id


def staged_key(upload_id: str) -> str:
    """Return where an upload grows on a disk."""
    return f"{UPLOADS}{upload_id}"


def staged_tail_key(upload_id: str, fence: int, offset: int) -> str:
    """Return where the last bytes of an upload wait that are too few for a part of a multipart upload."""
    return f"{UPLOADS}{upload_id}/tail-{fence}-{offset}"


def nested_blob_key(digest: Digest, upload_id: str) -> str:
    """Return the key of a blob on a store that can rename: the digest is part of it."""
    return f"{BLOBS}{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/{upload_id}"


def staged_tail_prefix(upload_id: str) -> str:
    """Return what the keys of all tails of an upload start with."""
    return f"{UPLOADS}{upload_id}/"


def flat_blob_key(upload_id: str, fence: int, offset: int) -> str:
    """Return the key of a blob on a store that can't rename: the digest is not known when it is chosen.

    The fence keeps a holder of an older lease, who may wake up late, from replacing what a later one stored (F30); the
    offset keeps one holder from replacing what it stored before.
    """
    return f"{flat_blob_prefix(upload_id)}{fence}-{offset}"


def flat_blob_prefix(upload_id: str) -> str:
    """Return what the keys of all :func:`flat_blob_key` of an upload start with."""
    return f"{BLOBS}{upload_id}-"


def index_marker_key(blob_key: str, digest: Digest) -> str:
    """Return the key of the zero-byte object that tells the digest of a :func:`flat_blob_key`."""
    return f"{index_marker_prefix(blob_key)}{digest.algorithm}.{digest.hex}"


def index_marker_prefix(blob_key: str) -> str:
    """Return what the key of a blob's marker starts with, so that whoever has the blob's key finds the marker."""
    return f"{INDEX}{blob_key.removeprefix(BLOBS)}."


def upload_marker_prefix(upload_id: str) -> str:
    """Return what the keys of the markers of all blobs of an upload start with."""
    return f"{INDEX}{upload_id}-"


def manifest_key(digest: Digest, public_id: str) -> str:
    """Return the key of one copy of a manifest's bytes."""
    return f"{MANIFESTS}{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/{public_id}"


def journal_entry_key(incarnation: str, sequence: int) -> str:
    """Return the key of a single journalled fact; `sequence` is its outbox number."""
    return f"{JOURNAL}{incarnation}/entries/{sequence:020d}"


def journal_segment_key(incarnation: str, first: int, last: int) -> str:
    """Return the key of a compacted run of facts, both ends inclusive."""
    return f"{JOURNAL}{incarnation}/segments/{first:020d}-{last:020d}"


def journal_numbers(key: str) -> tuple[int, int]:
    """Return the first and the last number that the key of an entry or a segment names; an entry has only one.

    0, which no fact has, stands for what is no number, as in the name of a file that none of our programs wrote. A name
    with a number that no engine could give names none at all.
    """
    name = key.rpartition("/")[2]
    first, last = (
        int(text) if text.isdecimal() else 0 for text in (name.partition("-")[0], name.rpartition("-")[2])
    )
    return (first, last) if max(first, last) < _NO_NUMBER else (0, 0)


def upload_of(key: str) -> str:
    """Return the id of the upload that wrote the object `key` of a blob, a marker or staged bytes.

    For an object that no upload wrote (a temporary file of the disk driver, manifest bytes) it is a text that names
    none.
    """
    if key.startswith(UPLOADS):
        return key.removeprefix(UPLOADS).partition("/")[0]
    name = key.rpartition("/")[2]
    if key.startswith((BLOBS, INDEX)) and key.count("/") == 1:
        return name.partition(".")[0].rsplit("-", 2)[0]
    return name


def stated_digest(key: str) -> Digest | None:
    """Return the digest that the key of a nested blob, of manifest bytes or of a marker states.

    `None` for a key that states none, such as that of a flat blob, or a file that none of our programs wrote.
    """
    parts = key.split("/")
    if key.startswith(INDEX):
        _, _, stated = key.partition(".")
        algorithm, _, value = stated.partition(".")
    elif key.startswith((BLOBS, MANIFESTS)) and len(parts) == _NESTED_PARTS:
        _, algorithm, _, value, _ = parts
    else:
        return None
    try:
        return Digest.parse(f"{algorithm}:{value}")
    except InvalidDigestError:
        return None


def stored_key_of(key: str) -> str:
    """Return the key under which a row would mention the object `key`: a marker belongs to its blob."""
    if key.startswith(INDEX):
        return BLOBS + key.removeprefix(INDEX).partition(".")[0]
    return key


def named_digest_of(key: str) -> str | None:
    """Return the digest (a text) that the key of a blob on a disk, or of a marker, names; `None` for other keys."""
    if key.startswith(BLOBS) and key.count("/") == 4:
        _, algorithm, _, value, _ = key.split("/")
        return f"{algorithm}:{value}"
    if key.startswith(INDEX):
        _, _, named = key.partition(".")
        return named.replace(".", ":", 1)
    return None


def snapshot_begun_key(snapshot: str) -> str:
    """Return the key of the first object of a snapshot."""
    return f"{SNAPSHOTS}{snapshot}/begun"


def snapshot_rows_key(snapshot: str, table: str, number: int) -> str:
    """Return the key of a run of rows."""
    return f"{SNAPSHOTS}{snapshot}/rows/{table}.{number:08d}"


def snapshot_list_key(snapshot: str, number: int) -> str:
    """Return the key of a run of the list of blobs."""
    return f"{SNAPSHOTS}{snapshot}/lists/{number:08d}"


def snapshot_manifest_key(snapshot: str) -> str:
    """Return the key of the last object of a snapshot; without it there is no snapshot."""
    return f"{SNAPSHOTS}{snapshot}/manifest"


def snapshot_of(key: str) -> str:
    """Return the id of the snapshot that an object below :data:`SNAPSHOTS` belongs to."""
    return key.removeprefix(SNAPSHOTS).partition("/")[0]
