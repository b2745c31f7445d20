"""Lists of any length, made by SQL: a repository full of tags, referrers and entries of a list of referrers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.oci.digest import Digest
from tests.drivers.metadata.material import ALICE

if TYPE_CHECKING:
    from tests.drivers.metadata.raw_database import RawDatabase

__all__ = [
    "RARE_TYPE",
    "SUBJECT",
    "USUAL_TYPE",
    "seed_referrers",
    "seed_repositories",
    "seed_tags",
    "seeded_digest",
    "take_statistics",
]

SUBJECT: Final = Digest("sha256", "f" * 64)
USUAL_TYPE: Final = "application/vnd.tests.signature"
RARE_TYPE: Final = "application/vnd.tests.report"
"""The type of each hundredth referrer."""

_NUMBERS: Final = (
    "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count}) INSERT INTO"
)
_REPOSITORY: Final = "(SELECT id FROM repositories WHERE name = '{repository}')"
_LIST_DIGEST: Final = "sha256:" + "e" * 64

_INSERT_PROJECT: Final = """
INSERT INTO projects (public_id, name, created_at, creator) VALUES ('seeded', 'seeded', 1, '{creator}')
ON CONFLICT (name) DO NOTHING
"""
_INSERT_REPOSITORIES: Final = """
repositories (public_id, project_id, name, created_at, creator)
SELECT '{prefix}' || i, (SELECT id FROM projects WHERE name = 'seeded'), '{prefix}' || i, 1, '{creator}' FROM n
"""
_INSERT_BODIES: Final = """
manifest_bodies (digest, size_bytes, body, storage_key)
SELECT {digest}, 2, {bytes}, 'm' || i FROM n WHERE true ON CONFLICT (digest) DO NOTHING
"""
_INSERT_MANIFESTS: Final = """
manifests (repository_id, digest, media_type, artifact_type, subject_digest, annotations, size_bytes, state,
           created_at, creator)
SELECT {repository_id}, {digest}, 'application/vnd.oci.image.manifest.v1+json',
    CASE WHEN i % 100 = 0 THEN '{rare}' ELSE '{usual}' END, CASE WHEN i <= {attached} THEN '{subject}' END,
    {bytes}, 2, 'live', 1, '{creator}' FROM n
"""
_INSERT_LIST: Final = (
    """
    INSERT INTO manifest_bodies (digest, size_bytes, body, storage_key) VALUES ('{list}', 2, {bytes}, 'list')
    ON CONFLICT (digest) DO NOTHING
    """,
    """
    INSERT INTO manifests (repository_id, digest, media_type, annotations, size_bytes, state, created_at, creator)
    VALUES ({repository_id}, '{list}', 'application/vnd.oci.image.index.v1+json', {bytes}, 2, 'live', 1, '{creator}')
    """,
    """
    INSERT INTO tags (repository_id, name, manifest_id, created_at, updated_at, updated_by)
    SELECT {repository_id}, 'sha256-{subject_hex}', id, 1, 1, '{creator}' FROM manifests
    WHERE repository_id = {repository_id} AND digest = '{list}'
    """,
    """
    INSERT INTO manifest_references (manifest_id, position, kind, digest, size_bytes, media_type, child_id)
    SELECT l.id, c.id, 'manifest', c.digest, 2, c.media_type, CASE WHEN c.id % 2 = 0 THEN c.id END
    FROM manifests l JOIN manifests c ON c.repository_id = l.repository_id AND c.digest > {first_listed}
    WHERE l.repository_id = {repository_id} AND l.digest = '{list}' AND c.digest <> l.digest
    """,
)
_INSERT_TAGS: Final = """
tags (repository_id, name, manifest_id, created_at, updated_at, updated_by)
SELECT {repository_id}, 'tag-' || i, (SELECT max(id) FROM manifests WHERE repository_id = {repository_id}), 1, 1,
    '{creator}' FROM n
"""


def seeded_digest(number: int) -> str:
    """Return the digest of a seeded manifest: they count up in the order of their digests."""
    return f"sha256:{number:064d}"


async def seed_repositories(database: RawDatabase, prefix: str, count: int) -> None:
    """Make repositories called `<prefix><number>`, from 1 on."""
    await database.fetch(_INSERT_PROJECT.format(creator=ALICE))
    insert = _INSERT_REPOSITORIES.format(prefix=prefix, creator=ALICE)
    await database.fetch(f"{_NUMBERS.format(count=count)} {insert}")


async def seed_referrers(database: RawDatabase, repository: str, attached: int, listed_from: int) -> int:
    """Make referrers of `SUBJECT` in a repository; return how many there are.

    The numbers 1 to `attached` name it as their subject. A list under its tag has all from `listed_from` on, and as
    many that name no subject; of half of them it does not know the row.
    """
    total = attached + (attached - listed_from + 1)
    texts = _texts(database, repository)
    values = {
        **texts,
        "attached": str(attached),
        "rare": RARE_TYPE,
        "usual": USUAL_TYPE,
        "subject": str(SUBJECT),
        "subject_hex": SUBJECT.hex,
        "list": _LIST_DIGEST,
        "first_listed": f"'{seeded_digest(listed_from - 1)}'",
    }
    for insert in (_INSERT_BODIES, _INSERT_MANIFESTS):
        await database.fetch(f"{_NUMBERS.format(count=total)} {insert.format(**values)}")
    for statement in _INSERT_LIST:
        await database.fetch(statement.format(**values))
    return total


async def seed_tags(database: RawDatabase, repository: str, count: int) -> None:
    """Point tags called `tag-<number>` at a manifest that the repository has."""
    insert = _INSERT_TAGS.format(**_texts(database, repository))
    await database.fetch(f"{_NUMBERS.format(count=count)} {insert}")


async def take_statistics(database: RawDatabase) -> None:
    """Tell the planner what there is, as a database in use knows it."""
    await database.fetch("ANALYZE")


def _texts(database: RawDatabase, repository: str) -> dict[str, str]:
    return {
        "repository_id": _REPOSITORY.format(repository=repository),
        "bytes": "x'7b7d'" if database.is_sqlite else "'{}'::bytea",
        "digest": (
            "printf('sha256:%064d', i)"
            if database.is_sqlite
            else "'sha256:' || lpad(CAST(i AS text), 64, '0')"
        ),
        "creator": ALICE,
    }
