"""What of a checkpoint is signed, and the line of JSON by which one leaves the database."""

from __future__ import annotations

import base64
import hashlib
from typing import Final

import msgspec

from entrepot.metadata.audit_store import CheckpointRow

__all__ = [
    "CheckpointContent",
    "decode_checkpoint",
    "encode_checkpoint",
    "encode_content",
    "name_of_signed",
    "read_signed_content",
    "signed_at",
]

_encoder: Final = msgspec.json.Encoder(order="deterministic")


class CheckpointContent(msgspec.Struct, frozen=True, rename={"chain_hash": "hash"}):
    """What is signed: which chain led to which link at which sequence, and when that was.

    Attributes:
        at: milliseconds since 1970 by the database's clock, whatever the checkpoint before says: nothing that is signed
            comes of a column that nobody signed. So times do not go up where that clock is set back (F27).
        node_at: when that was by the clock of the process, which is not the database's to say; 0 of former programs,
            which raised `at` above that of the checkpoint before.
        previous: what :func:`name_of_signed` makes of the checkpoint that was the newest in the database, empty without
            one and of former programs. So this one is shown to have been signed behind that.
    """

    v: int
    chain: str
    algorithm: str
    sequence: int
    chain_hash: str
    at: int
    node_at: int = 0
    previous: str = ""


class _CheckpointFile(msgspec.Struct, frozen=True):
    """A checkpoint as it leaves the database; bytes are base64."""

    type: str
    key_id: str
    algorithm: str
    public_key: str
    signed: str
    signature: str


def encode_content(content: CheckpointContent) -> bytes:
    """Return the bytes that are signed."""
    return _encoder.encode(content)


def encode_checkpoint(checkpoint: CheckpointRow) -> bytes:
    """Return a checkpoint as one line of JSON, for files and exports."""
    return _encoder.encode(
        _CheckpointFile(
            type="checkpoint",
            key_id=checkpoint.key_id,
            algorithm=checkpoint.algorithm,
            public_key=base64.b64encode(checkpoint.public_key).decode("ascii"),
            signed=checkpoint.signed.decode("ascii"),
            signature=base64.b64encode(checkpoint.signature).decode("ascii"),
        )
    )


def decode_checkpoint(line: bytes) -> CheckpointRow | None:
    """Read what :func:`encode_checkpoint` wrote, `None` for anything else; it verifies nothing."""
    try:
        read = msgspec.json.decode(line, type=_CheckpointFile)
        public_key = base64.b64decode(read.public_key, validate=True)
        signature = base64.b64decode(read.signature, validate=True)
        signed = read.signed.encode("ascii")
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # a plain ValueError is what base64 has for letters that are not ASCII
    content = read_signed_content(signed)
    if content is None:
        return None
    return CheckpointRow(
        sequence=content.sequence,
        chain_hash=content.chain_hash,
        algorithm=read.algorithm,
        key_id=read.key_id,
        public_key=public_key,
        signed=signed,
        signature=signature,
        at=content.at,
    )


def read_signed_content(signed: bytes) -> CheckpointContent | None:
    """Read the bytes that were signed, `None` for anything else."""
    try:
        return msgspec.json.decode(signed, type=CheckpointContent)
    except (msgspec.MsgspecError, UnicodeError, RecursionError):
        return None


def name_of_signed(signed: bytes) -> str:
    """Return what the next checkpoint names the bytes by that were signed of one: SHA-256 (hex)."""
    return hashlib.sha256(signed).hexdigest()


def signed_at(checkpoint: CheckpointRow) -> int:
    """Return the time that was signed, in milliseconds: that of the row is for finding it."""
    content = read_signed_content(checkpoint.signed)
    return checkpoint.at if content is None else content.at
