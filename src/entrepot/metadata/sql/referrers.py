"""Lists of referrers: what is attached to a manifest, by its own word or by a list that a client keeps under a tag."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from entrepot.metadata.records import Referrer, ReferrerPage
from entrepot.metadata.sql.rows import digest_from_text
from entrepot.metadata.sql.statements import Statement

if TYPE_CHECKING:
    from entrepot.metadata.records import ReferrerQuery
    from entrepot.metadata.sql.statements import ReadExecutor, Row

__all__ = ["STATEMENTS", "SqlReferrerReader"]

_DESCRIPTOR_BYTES: Final = 2048
"""What all but the annotations of a descriptor takes at most: two texts of 255 characters escaped, and a digest."""

# Two runs of rows, each in the order of an index and no longer than a page, are merged; a manifest that is in both runs
# comes twice. The sum that runs along them tells where the bytes of a page end, and annotations are read up to there
# only, so that no page takes more memory than another; the first row is always whole. The last one, without a digest,
# has the project.
#
# Who is looked for by `id BETWEEN x AND x` could be looked for by equality too, were it not that PostgreSQL would then
# think of hashing all manifests of all repositories, or of going through those of this one, for the sake of a few.
_TEMPLATE: Final = """
    SELECT page.digest, page.media_type, page.size_bytes, page.artifact_type,
        CASE WHEN page.bytes_so_far <= :max_bytes OR page.bytes_so_far = page.bytes
            THEN (SELECT a.annotations FROM manifests a WHERE a.id = page.id) END,
        NULL
    FROM (
        SELECT page_rows.id, page_rows.digest, page_rows.media_type, page_rows.size_bytes, page_rows.artifact_type,
            page_rows.bytes,
            sum(page_rows.bytes) OVER (ORDER BY page_rows.digest ROWS UNBOUNDED PRECEDING) AS bytes_so_far
        FROM (
            SELECT page_of_subject.id, page_of_subject.digest, page_of_subject.media_type, page_of_subject.size_bytes,
                page_of_subject.artifact_type, page_of_subject.bytes
            FROM (
                SELECT m.id, m.digest, m.media_type, m.size_bytes, m.artifact_type,
                    length(m.annotations) + [descriptor_bytes] AS bytes
                FROM manifests m
                WHERE m.repository_id = [repository] AND m.subject_digest = :subject AND m.state = 'live'
                    AND m.digest > :after [of_type_m]
                ORDER BY m.digest LIMIT :rows
            ) AS page_of_subject
            UNION ALL
            SELECT page_of_list.id, page_of_list.digest, page_of_list.media_type, page_of_list.size_bytes,
                page_of_list.artifact_type, page_of_list.bytes
            FROM (
                SELECT c.id, e.digest, c.media_type, c.size_bytes, c.artifact_type,
                    length(c.annotations) + [descriptor_bytes] AS bytes
                FROM manifest_references e CROSS JOIN manifests c
                WHERE e.manifest_id = (
                        SELECT t.manifest_id FROM tags t JOIN manifests i ON i.id = t.manifest_id
                        WHERE t.repository_id = [repository] AND t.name = :list_tag AND i.state = 'live')
                    AND e.kind = 'manifest' AND e.digest > :after
                    AND c.id BETWEEN [listed] AND [listed]
                    AND c.state = 'live' AND (c.subject_digest IS NULL OR c.subject_digest = :subject) [of_type_c]
                ORDER BY e.digest LIMIT :rows
            ) AS page_of_list
        ) AS page_rows
    ) AS page
    UNION ALL
    SELECT NULL, NULL, NULL, NULL, NULL, r.project_id
    FROM repositories r WHERE r.name = :repository AND r.deleted_at IS NULL
    """
# What was pushed before the list that names it has its number there; what came later is found by its digest.
_LISTED: Final = """coalesce(e.child_id, (
                        SELECT x.id FROM manifests x
                        WHERE x.repository_id = [repository] AND x.digest BETWEEN e.digest AND e.digest))"""
_REPOSITORY: Final = "(SELECT r.id FROM repositories r WHERE r.name = :repository AND r.deleted_at IS NULL)"


def _statement(name: str, of_type: str) -> Statement:
    parts = {
        "[listed]": _LISTED,
        "[repository]": _REPOSITORY,
        "[descriptor_bytes]": str(_DESCRIPTOR_BYTES),
        " [of_type_m]": of_type.format("m"),
        " [of_type_c]": of_type.format("c"),
    }
    sql = _TEMPLATE
    for part, text in parts.items():
        sql = sql.replace(part, text)
    return Statement(name, sql)


LIST: Final = _statement("referrers.list", "")
LIST_OF_TYPE: Final = _statement("referrers.list_of_type", " AND {}.artifact_type = :artifact_type")

STATEMENTS: Final = (LIST, LIST_OF_TYPE)


class SqlReferrerReader:
    """Implements :class:`entrepot.metadata.store.ReferrerReader`."""

    def __init__(self, executor: ReadExecutor) -> None:
        self._executor = executor

    async def list_page(self, query: ReferrerQuery) -> ReferrerPage:
        """See the protocol."""
        common: dict[str, int | str] = {
            "repository": query.repository,
            "subject": str(query.subject),
            "list_tag": query.list_tag,
            "after": query.after,
            "rows": query.limit + 1,
            "max_bytes": query.max_bytes,
        }
        if query.artifact_type is None:
            rows = await self._executor.fetch_rows(LIST, **common)
        else:
            rows = await self._executor.fetch_rows(LIST_OF_TYPE, **common, artifact_type=query.artifact_type)
        return _page(rows, query.limit)


def _page(rows: list[Row], limit: int) -> ReferrerPage:
    """Put the rows in order, each manifest once, up to the first one for which there is no room."""
    unique: dict[str, Row] = {}
    project_id: int | None = None
    for row in rows:
        if row[0] is None:
            project_id = row[5]
        elif row[4] is not None or row[0] not in unique:
            unique[row[0]] = row
    referrers: list[Referrer] = []
    # SQL promises no order without an ORDER BY; on rows that are in order already this costs nothing.
    for digest in sorted(unique):
        _, media_type, size_bytes, artifact_type, annotations, _ = unique[digest]
        if len(referrers) == limit or annotations is None:
            return ReferrerPage(tuple(referrers), more=True, project_id=project_id)
        referrers.append(
            Referrer(digest_from_text(digest), media_type, size_bytes, artifact_type, annotations)
        )
    return ReferrerPage(tuple(referrers), more=False, project_id=project_id)
