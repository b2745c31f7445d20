"""All SQL of the service in one list: rendered at start, explained by a test, printed in the documentation."""

from __future__ import annotations

from textwrap import dedent
from typing import Final

from entrepot.metadata.sql import (
    audit_records,
    backups,
    blobs,
    catalog,
    diagnosis,
    instance,
    inventory,
    manifests,
    mounts,
    orphans,
    outbox,
    quarantine,
    references,
    referrers,
    replay,
    repositories,
    tags,
    upload_sessions,
    verification,
)

__all__ = ["POINT_READS", "STATEMENTS", "render_statement_catalogue"]

POINT_READS: Final = (
    *manifests.POINT_READS,
    *blobs.POINT_READS,
    *upload_sessions.POINT_READS,
    *instance.POINT_READS,
)
"""The statements that SQLite may run on the event loop: each reads a handful of rows through indexes."""

STATEMENTS: Final = (
    *manifests.STATEMENTS,
    *references.STATEMENTS,
    *blobs.STATEMENTS,
    *mounts.STATEMENTS,
    *tags.STATEMENTS,
    *referrers.STATEMENTS,
    *catalog.STATEMENTS,
    *repositories.STATEMENTS,
    *upload_sessions.STATEMENTS,
    *outbox.STATEMENTS,
    *orphans.STATEMENTS,
    *instance.STATEMENTS,
    *inventory.STATEMENTS,
    *diagnosis.STATEMENTS,
    *verification.STATEMENTS,
    *quarantine.STATEMENTS,
    *replay.STATEMENTS,
    *backups.STATEMENTS,
    *audit_records.STATEMENTS,
)


def render_statement_catalogue() -> str:
    """Return the catalogue as Markdown: one heading with the name and one block of SQL per statement."""
    point_reads = {statement.name for statement in POINT_READS}
    sections: list[str] = []
    for statement in STATEMENTS:
        note = "\nPoint read: SQLite runs it on the event loop.\n" if statement.name in point_reads else ""
        sections.append(f"## `{statement.name}`\n{note}\n```sql\n{dedent(statement.sql).strip()}\n```\n")
    return "\n".join(sections)
