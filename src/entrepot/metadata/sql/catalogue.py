"""All SQL of the service in one list: rendered at start, explained by a test, printed in the documentation."""

from __future__ import annotations

from textwrap import dedent
from typing import Final

from entrepot.metadata.sql import (
    access_tokens,
    assignments,
    audit_chain,
    audit_queries,
    audit_records,
    backups,
    blobs,
    catalog,
    configurations,
    credentials,
    diagnosis,
    epochs,
    instance,
    inventory,
    labels,
    login_failures,
    manifests,
    members,
    mounts,
    orphans,
    outbox,
    project_changes,
    project_repositories,
    projects,
    quarantine,
    references,
    referrers,
    refresh_tokens,
    replay,
    repositories,
    robots,
    roles,
    signing_keys,
    standings,
    tags,
    taken_identities,
    upload_sessions,
    user_changes,
    user_groups,
    users,
    verification,
    web_sessions,
)

__all__ = ["POINT_READS", "PULL_READS", "SHORT_LISTINGS", "STATEMENTS", "render_statement_catalogue"]

POINT_READS: Final = (
    *manifests.POINT_READS,
    *blobs.POINT_READS,
    *upload_sessions.POINT_READS,
    *instance.POINT_READS,
    *credentials.POINT_READS,
    *projects.POINT_READS,
)
"""The statements that SQLite may run on the event loop: each reads a handful of rows through indexes."""

PULL_READS: Final = (*manifests.POINT_READS, *blobs.POINT_READS)
"""The point reads of pulls. SQLite's processes keep their rows while they are sure of them (decision 60), PostgreSQL is
asked for those of several requests at once (decision 63)."""

SHORT_LISTINGS: Final = (*referrers.STATEMENTS, epochs.NAMED)
"""Listings that are short as a rule: SQLite begins them on the event loop and leaves those that turn out long."""

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
    *users.STATEMENTS,
    *user_changes.STATEMENTS,
    *taken_identities.STATEMENTS,
    *user_groups.STATEMENTS,
    *login_failures.STATEMENTS,
    *web_sessions.STATEMENTS,
    *epochs.STATEMENTS,
    *roles.STATEMENTS,
    *assignments.STATEMENTS,
    *standings.STATEMENTS,
    *projects.STATEMENTS,
    *project_changes.STATEMENTS,
    *members.STATEMENTS,
    *labels.STATEMENTS,
    *configurations.STATEMENTS,
    *project_repositories.STATEMENTS,
    *credentials.STATEMENTS,
    *robots.STATEMENTS,
    *access_tokens.STATEMENTS,
    *signing_keys.STATEMENTS,
    *refresh_tokens.STATEMENTS,
    *audit_chain.STATEMENTS,
    *audit_queries.STATEMENTS,
)


def render_statement_catalogue() -> str:
    """Return the catalogue as Markdown: one heading with the name and one block of SQL per statement."""
    point_reads = {statement.name for statement in POINT_READS}
    sections: list[str] = []
    for statement in STATEMENTS:
        note = "\nPoint read: SQLite runs it on the event loop.\n" if statement.name in point_reads else ""
        sections.append(f"## `{statement.name}`\n{note}\n```sql\n{dedent(statement.sql).strip()}\n```\n")
    return "\n".join(sections)
