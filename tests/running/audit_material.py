"""Records and a key for tests of the audit log."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import msgspec
from cryptography.hazmat.primitives.asymmetric.ec import (
    ECDSA,
    SECP256R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from entrepot.audit.checkpoint_format import CheckpointContent, name_of_signed
from entrepot.audit.export_format import ExportEnd, ExportHeader, encode_line, encode_signature, fingerprint
from entrepot.audit.signing import CheckpointSignature
from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.principals import Origin, Principal
from entrepot.metadata.audit_store import CheckpointRow
from entrepot.metadata.project_store import NewProject

if TYPE_CHECKING:
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata

__all__ = ["ALICE", "BOB", "DAY", "KeyInMemory", "add_team", "pull_record", "sign_days_ago", "signed_anew"]

DAY = 24 * 60 * 60 * 1000

ALICE = Principal(
    subject="a" * 32,
    address="192.0.2.1",
    forwarded=False,
    name="alice",
    kind="user",
    origin=Origin("request-0001", "docker/28.0", "GET", "/v2/team/app/manifests/v1"),
)
BOB = Principal(subject="b" * 32, address="192.0.2.2", forwarded=False, name="bob", kind="user")


def pull_record(
    number: int = 0, principal: Principal = ALICE, name: str = "team/app", record_id: str = ""
) -> NewAuditRecord:
    """Return the record of a pull; `number` is in its tag."""
    about = AuditObject("repository", name, name.partition("/")[0], f"v{number}", "sha256:" + "0" * 64)
    return audit_record(principal, AuditAction.MANIFEST_PULL, about, status=200, record_id=record_id)


async def add_team(metadata: Metadata, public_id: str = "a", name: str = "team") -> int:
    """Make the project that those records name, or another one, and return its number."""
    project = NewProject(public_id * 32, name, "", None, is_public=False, repository_creation="operators")
    number = await metadata.write(lambda tx: tx.projects.insert(project))
    assert number is not None
    return number


@dataclass
class KeyInMemory:
    """Implements :class:`entrepot.audit.signing.CheckpointSigner`."""

    private_key: EllipticCurvePrivateKey = field(default_factory=lambda: generate_private_key(SECP256R1()))

    @property
    def public_key(self) -> bytes:
        """The public half in DER."""
        return self.private_key.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)

    async def sign(self, content: bytes, key_id: str = "") -> CheckpointSignature:
        """See the protocol."""
        halves = decode_dss_signature(self.private_key.sign(content, ECDSA(SHA256())))
        signature = b"".join(half.to_bytes(32) for half in halves)
        return CheckpointSignature("key-1", "ES256", self.public_key, signature)

    async def owns(self, key_id: str, public_key: bytes) -> bool:
        """See the protocol: all keys of a test are of one registry."""
        return True


async def sign_days_ago(
    metadata: Metadata,
    key: KeyInMemory,
    sequence: int,
    days: float,
    *,
    later: int = 0,
    node_says: bool = True,
) -> CheckpointRow:
    """Keep, and return, the checkpoint of a record that was signed so many days ago.

    Args:
        later: how many milliseconds later than that.
        node_says: whether the process that signed told its own clock, and which was the checkpoint before; those of
            former programs did not.
    """
    chain = await metadata.audit.chain()
    (link,) = await metadata.audit.links(sequence - 1, 1)
    assert chain is not None
    at = chain.now - int(days * DAY) + later
    before = [one for one in await metadata.audit.checkpoints(1, 500) if one.sequence < sequence]
    previous = name_of_signed(before[-1].signed) if before and node_says else ""
    content = CheckpointContent(
        1, chain.chain_id, chain.algorithm, sequence, link.chain_hash, at, at * node_says, previous
    )
    signed = msgspec.json.encode(content)
    made = await key.sign(signed)
    row = CheckpointRow(
        sequence, link.chain_hash, made.algorithm, made.key_id, made.public_key, signed, made.signature, at
    )
    assert await metadata.write(lambda tx: tx.audit_chain.add_checkpoint(row))
    return row


async def signed_anew(lines: list[bytes], key: KeyInMemory, **told: int | str) -> list[bytes]:
    """Return a signed export whose first line tells other things, signed again with this key."""
    header = msgspec.json.decode(lines[0], type=ExportHeader)
    opening = encode_line(msgspec.structs.replace(header, **told))
    end = msgspec.json.decode(lines[-2], type=ExportEnd)
    ending = encode_line(msgspec.structs.replace(end, header=fingerprint(opening)))
    first, last = [encode_signature(await key.sign(line)) for line in (opening, ending)]
    return [opening + b"\n", first + b"\n", *lines[2:-2], ending + b"\n", last + b"\n"]
