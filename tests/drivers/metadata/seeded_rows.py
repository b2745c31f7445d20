"""Enough rows for a query planner to be earnest: 2,000 and more in every large table."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = ["seed"]

_NUMBERS: Final = """
WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000) INSERT INTO
"""

# A database that was made for this has ids from 1 on, in the order of insertion.
_INSERTS: Final = """
subjects (public_id, kind, name, created_at)
    SELECT 's' || i, CASE WHEN i > 1000 THEN 'robot' WHEN i % 20 = 0 THEN 'group' ELSE 'user' END, 'name' || i, 1
    FROM n;
users (subject_id, email, updated_at) SELECT i, 'e' || i, 1 FROM n WHERE i <= 1000 AND i % 20 > 0;
user_groups (subject_id, group_type, updated_at) SELECT i, 2, 1 FROM n WHERE i <= 1000 AND i % 20 = 0;
group_members (group_id, user_id) SELECT 20 * (1 + i / 20), i FROM n WHERE i % 20 > 0 AND i < 980;
password_history (subject_id, password_hash, changed_at) SELECT i, 'h', 1 FROM n;
login_failures (account, address, failures, window_started_at) SELECT 'n' || i, '192.0.2.1', 1, i FROM n;
web_sessions (public_id, secret_hash, subject_id, subject_epoch, address, user_agent, created_at, last_seen_at,
              expires_at)
    SELECT 'w' || i, 'h' || i, i, 0, '', '', 1, 1, i FROM n;
projects (public_id, name, created_at, creator, owner_id) SELECT 'p' || i, 'project' || i, 1, 'a', i FROM n;
role_assignments (subject_id, project_id, role, created_at, creator)
    SELECT i, CASE WHEN i % 100 > 0 THEN i END, CASE WHEN i % 100 > 0 THEN 'developer' ELSE 'operations-admin' END, 1,
        'a' FROM n;
repositories (public_id, project_id, name, created_at, creator) SELECT 'r' || i, i, 'name' || i, 1, 'a' FROM n;
blobs (digest, size_bytes, state, storage_key, created_at, creator)
    SELECT 'sha256:' || i, i, CASE WHEN i % 50 = 0 THEN 'condemned' ELSE 'live' END, 'k' || i, 1, 'a' FROM n;
repository_blobs (repository_id, blob_id, linked_at, creator) SELECT 1, i, 1, 'a' FROM n;
repository_blobs (repository_id, blob_id, linked_at, creator) SELECT i, 1, 1, 'a' FROM n WHERE i > 1;
manifest_bodies (digest, size_bytes, body, storage_key) SELECT 'sha256:' || i, 2, {bytes}, 'm' || i FROM n;
manifests (repository_id, digest, media_type, annotations, size_bytes, state, created_at, creator)
    SELECT 1, 'sha256:' || i, 'm', {bytes}, 2, 'live', 1, 'a' FROM n;
manifests (repository_id, digest, media_type, annotations, size_bytes, state, created_at, creator)
    SELECT i, 'sha256:1', 'm', {bytes}, 2, 'live', 1, 'a' FROM n WHERE i > 1;
manifest_references (manifest_id, position, kind, digest, size_bytes, media_type, blob_id)
    SELECT i, 0, 'layer', 'sha256:' || i, 1, 'l', i FROM n;
tags (repository_id, name, manifest_id, created_at, updated_at, updated_by)
    SELECT 1, 't' || i, i, 1, 1, 'a' FROM n;
tag_history (repository_id, name, digest, actor, at) SELECT 1, 't' || i, 'sha256:' || i, 'a', 1 FROM n;
upload_sessions (public_id, repository_id, creator, algorithm, created_at, updated_at, expires_at)
    SELECT 's' || i, i, 'a', 'sha256', 1, 1, 4000000000000 FROM n;
robots (subject_id, project_id, short_name, secret_hash, permissions, allowed_addresses, duration_days, creator,
        updated_at)
    SELECT i, CASE WHEN i % 2 = 0 THEN i END, 'robot' || i, 'h', {bytes}, {bytes}, -1, 's' || (i - 1000), 1
    FROM n WHERE i > 1000;
access_tokens (public_id, subject_id, name, secret_hash, scopes, created_at)
    SELECT 't' || i, 1 + i / 2, 'token' || i, 'h' || i, {bytes}, 1 FROM n;
outbox (at, kind, repository, actor, payload, journalled, journalled_at)
    SELECT 1, 'k', 'r', 'a', {bytes}, 1, CASE WHEN i % 100 = 0 THEN NULL ELSE 1 END FROM n
"""


async def seed(database: RawDatabase) -> None:
    """Fill an empty database and let it take its statistics."""
    literal = "x'7b7d'" if database.is_sqlite else "'{}'::bytea"
    for insert in _INSERTS.replace("{bytes}", literal).split(";"):
        await database.fetch(f"{_NUMBERS} {insert}")
    await database.fetch("ANALYZE")
