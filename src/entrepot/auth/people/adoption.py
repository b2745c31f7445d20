"""Gives projects that belong to nobody to the first administrator, so that each has somebody who answers for it.

Commands on the host make projects as a push did before there were accounts: an import, a restore, a rebuild. They stay
private, and whoever was a member stays one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.host import host_operator
from entrepot.metadata.unit_guard import in_order

if TYPE_CHECKING:
    from collections.abc import Sequence

    from entrepot.auth.principals import Principal
    from entrepot.metadata.audit_store import NewAuditRecord
    from entrepot.metadata.store import Metadata, Transaction
    from entrepot.metadata.user_store import OwnerlessProject, PersonRow

__all__ = ["adopt_projects"]

_BATCH: Final = 100
"""Projects in one write unit, so that pushes need not wait for long."""

_log: Any = structlog.get_logger()


async def adopt_projects(metadata: Metadata) -> int:
    """Give every ownerless project to the first administrator; return how many there were.

    Without an administrator nothing happens: the first start with accounts makes one, who takes over everything.

    Raises:
        MetadataError: the database can't be read, or not be written although there is something to give.
    """
    adopted = 0
    while True:
        projects = await metadata.users.ownerless_projects(_BATCH)
        person = await metadata.users.first_administrator() if projects else None
        if person is None:
            break
        adopted += await _adopt(metadata, person, projects)
    if adopted:
        _log.info("adoption.finished", projects=adopted)
    return adopted


async def _adopt(metadata: Metadata, person: PersonRow, projects: Sequence[OwnerlessProject]) -> int:
    host = host_operator()
    records = {project.id: _record(host, person, project) for project in projects}

    async def unit(tx: Transaction) -> int:
        if await tx.users.find(person.id) is None:
            return 0  # deleted since; the next look finds another
        adopted = 0
        for project_id, record in records.items():
            if await tx.users.adopt_project(person.id, project_id, host.subject):
                await tx.audit.append(record)
                adopted += 1
        return adopted

    with in_order():
        return await metadata.write(unit)


def _record(host: Principal, person: PersonRow, project: OwnerlessProject) -> NewAuditRecord:
    return audit_record(
        host,
        AuditAction.PROJECT_UPDATE,
        AuditObject("project", project.name, project.name),
        before={"owner": ""},
        after={"owner": person.name},
    )
