"""What an authenticator looks up: each statement finds one row through unique indexes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.credential_store import (
    StoredPerson,
    StoredRobotCredential,
    StoredSponsor,
    StoredSubject,
    StoredTokenCredential,
)
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.sql.statements import ReadExecutor

__all__ = ["POINT_READS", "STATEMENTS", "SqlCredentialReader"]

FIND_PERSON: Final = Statement(
    "credentials.find_person",
    """
    SELECT s.public_id, s.epoch FROM subjects s
    WHERE s.kind = 'user' AND s.name = :name AND s.disabled_at IS NULL
    """,
)
FIND_ROBOT: Final = Statement(
    "credentials.find_robot",
    """
    SELECT s.public_id, s.name, s.epoch, s.disabled_at, r.expires_at, r.expires_at - {now},
           r.secret_hash, r.allowed_addresses, r.creator, c.epoch
    FROM subjects s
    JOIN robots r ON r.subject_id = s.id
    LEFT JOIN subjects c ON c.public_id = r.creator AND c.kind = 'user'
    WHERE s.kind = 'robot' AND s.name = :name
    """,
)
FIND_TOKEN: Final = Statement(
    "credentials.find_token",
    """
    SELECT s.public_id, s.name, s.epoch, s.disabled_at, u.must_change_password,
           {now} - u.password_changed_at, t.public_id, t.scopes, t.expires_at, t.expires_at - {now}, t.secret_hash
    FROM access_tokens t
    JOIN subjects s ON s.id = t.subject_id
    JOIN users u ON u.subject_id = t.subject_id
    WHERE t.secret_hash = :secret_hash
    """,
)
FIND_SUBJECT: Final = Statement(
    "credentials.find_subject",
    """
    SELECT s.kind, s.public_id, s.name, s.epoch, s.disabled_at, u.must_change_password,
           {now} - u.password_changed_at, r.expires_at - {now}, r.allowed_addresses,
           t.public_id, t.scopes, t.expires_at - {now}, coalesce(r.expires_at, t.expires_at), r.creator, c.epoch
    FROM subjects s
    LEFT JOIN users u ON u.subject_id = s.id
    LEFT JOIN robots r ON r.subject_id = s.id
    LEFT JOIN subjects c ON c.public_id = r.creator AND c.kind = 'user'
    LEFT JOIN access_tokens t ON t.public_id = :credential AND t.subject_id = s.id
    WHERE s.public_id = :subject AND (u.subject_id IS NOT NULL OR r.subject_id IS NOT NULL)
    """,
)
POINT_READS: Final = (FIND_PERSON, FIND_ROBOT, FIND_TOKEN, FIND_SUBJECT)
STATEMENTS: Final = (*POINT_READS,)


class SqlCredentialReader:
    """Implements :class:`entrepot.metadata.credential_store.CredentialReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def find_person(self, name: str) -> StoredPerson | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND_PERSON, name=name)
        return None if row is None else StoredPerson(*row)

    async def find_robot(self, name: str) -> StoredRobotCredential | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND_ROBOT, name=name)
        if row is None:
            return None
        subject, full_name, epoch, disabled_at, expires_at, remaining, *rest = row
        secret_hash, addresses, *sponsor = rest
        return StoredRobotCredential(
            subject,
            full_name,
            epoch,
            disabled_at is not None,
            expires_at,
            remaining,
            secret_hash,
            bytes(addresses),
            StoredSponsor(*sponsor),
        )

    async def find_token(self, secret_hash: str) -> StoredTokenCredential | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND_TOKEN, secret_hash=secret_hash)
        if row is None:
            return None
        subject, name, epoch, disabled_at, must_change, age, credential, *rest = row
        scopes, expires_at, remaining, stored = rest
        return StoredTokenCredential(
            subject,
            name,
            epoch,
            disabled_at is not None,
            bool(must_change),
            age,
            credential,
            bytes(scopes),
            expires_at,
            remaining,
            stored,
        )

    async def find_subject(self, subject: str, credential: str) -> StoredSubject | None:
        """See the protocol."""
        row = await self._executor.fetch_row(FIND_SUBJECT, subject=subject, credential=credential)
        if row is None:
            return None
        kind, public_id, name, epoch, disabled_at, must_change, age, remaining, *rest = row
        addresses, token, scopes, left, ends_at, *sponsor = rest
        return StoredSubject(
            kind,
            public_id,
            name,
            epoch,
            disabled_at is not None,
            bool(must_change),
            age,
            remaining is not None and remaining <= 0,
            bytes(addresses or b"[]"),
            token,
            bytes(scopes or b""),
            left is not None and left <= 0,
            StoredSponsor(*sponsor) if kind == "robot" else None,
            ends_at,
        )
