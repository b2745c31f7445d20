"""Labels: of a project by its grant, or of the whole registry by one on the system."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, TypeAlias

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.errors import ProjectUnknownError
from entrepot.auth.grants import ProjectGrant, SelfGrant, SystemGrant
from entrepot.kernel.ids import new_public_id
from entrepot.projects.errors import LabelExistsError, LabelInvalidError, LabelUnknownError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from entrepot.auth.project_actions import (
        CreateLabel,
        DeleteLabel,
        ListLabel,
        ProjectAction,
        ReadLabel,
        UpdateLabel,
    )
    from entrepot.auth.system_actions import (
        CreateSystemLabel,
        DeleteSystemLabel,
        ListSystemLabel,
        ReadSystemLabel,
        SystemAction,
        UpdateSystemLabel,
    )
    from entrepot.metadata.label_store import LabelPage, LabelQuery, LabelRow, LabelText
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["Labels"]

_AnyGrant: TypeAlias = "ProjectGrant[ProjectAction] | SystemGrant[SystemAction] | SelfGrant"
_MAX_NAME: Final = 128
_MAX_DESCRIPTION: Final = 1024
_COLOR: Final = re.compile(r"(?:#[0-9A-Fa-f]{3}(?:[0-9A-Fa-f]{3})?)?", re.ASCII)


class Labels:
    """Reads and changes labels; each change is one unit with its audit record."""

    def __init__(self, metadata: Metadata) -> None:
        self._metadata = metadata

    async def project_of(self, label_id: int) -> int | None:
        """Return the number of the project that a label belongs to, `None` for one of the registry.

        This is for finding out which grant to ask for where only the label's number is given (S7).

        Raises:
            LabelUnknownError: there is no such label.
        """
        row = await self._metadata.labels.find(label_id)
        if row is None:
            raise LabelUnknownError(label_id)
        return row.project_id

    async def list_page(
        self, grant: ProjectGrant[ListLabel] | SystemGrant[ListSystemLabel] | SelfGrant, query: LabelQuery
    ) -> LabelPage:
        """Return a page of labels; those of the registry are everybody's to see who is somebody."""
        return await self._metadata.labels.list_page(_project(grant), query)

    async def get(
        self, grant: ProjectGrant[ReadLabel] | SystemGrant[ReadSystemLabel], label_id: int
    ) -> LabelRow:
        """Return a label.

        Raises:
            LabelUnknownError: there is none here (S7).
        """
        row = await self._metadata.labels.find(label_id)
        if row is None or row.project_id != _project(grant):
            raise LabelUnknownError(label_id)
        return row

    async def create(
        self, grant: ProjectGrant[CreateLabel] | SystemGrant[CreateSystemLabel], text: LabelText
    ) -> int:
        """Make a label and return its number.

        Raises:
            LabelInvalidError: it can't look like this.
            LabelExistsError: there is one of this name here.
            ProjectUnknownError: the project was deleted meanwhile.
        """
        _require_valid(text)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> int:
            await _hold(tx, grant)
            number = await tx.labels.insert(_project(grant), text)
            if number is None:
                raise LabelExistsError(text.name)
            await _record(tx, grant, AuditAction.LABEL_CREATE, (None, text), record_id)
            return number

        return await self._metadata.write(unit)

    async def update(
        self,
        grant: ProjectGrant[UpdateLabel] | SystemGrant[UpdateSystemLabel],
        label_id: int,
        text: LabelText,
    ) -> None:
        """Change a label.

        Raises:
            LabelInvalidError: it can't look like this.
            LabelUnknownError: there is none here (S7).
            LabelExistsError: another one here has this name.
            ProjectUnknownError: the project was deleted meanwhile.
        """
        _require_valid(text)
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            await _hold(tx, grant)
            row = await tx.labels.find(_project(grant), label_id)
            if row is None:
                raise LabelUnknownError(label_id)
            if await tx.labels.id_of(_project(grant), text.name) not in {None, label_id}:
                raise LabelExistsError(text.name)
            await tx.labels.change(label_id, text)
            await _record(tx, grant, AuditAction.LABEL_UPDATE, (row.text, text), record_id)

        await self._metadata.write(unit)

    async def delete(
        self, grant: ProjectGrant[DeleteLabel] | SystemGrant[DeleteSystemLabel], label_id: int
    ) -> None:
        """Remove a label.

        Raises:
            LabelUnknownError: there is none here (S7).
            ProjectUnknownError: the project was deleted meanwhile.
        """
        record_id = new_public_id()

        async def unit(tx: Transaction) -> None:
            await _hold(tx, grant)
            row = await tx.labels.find(_project(grant), label_id)
            if row is None:
                raise LabelUnknownError(label_id)
            await tx.labels.remove(label_id)
            await _record(tx, grant, AuditAction.LABEL_DELETE, (row.text, None), record_id)

        await self._metadata.write(unit)


def _project(grant: _AnyGrant) -> int | None:
    return grant.project_id if isinstance(grant, ProjectGrant) else None


async def _hold(tx: Transaction, grant: _AnyGrant) -> None:
    """See to it that the grant's project is there until the unit ends; the registry always is."""
    if isinstance(grant, ProjectGrant) and await tx.projects.hold(grant.project_id) is None:
        raise ProjectUnknownError(grant.project)


def _require_valid(text: LabelText) -> None:
    if not text.name.strip() or len(text.name) > _MAX_NAME or not text.name.isprintable():
        raise LabelInvalidError(f"needs a name of 1 to {_MAX_NAME} printable characters")
    if len(text.description) > _MAX_DESCRIPTION or "\0" in text.description:
        raise LabelInvalidError(f"has a description of {_MAX_DESCRIPTION} characters at most")
    if _COLOR.fullmatch(text.color) is None:
        raise LabelInvalidError("has a colour such as #00AB9A, or none")


def _facts(text: LabelText | None) -> Mapping[str, object] | None:
    if text is None:
        return None
    return {"name": text.name, "description": text.description, "color": text.color}


async def _record(
    tx: Transaction,
    grant: _AnyGrant,
    action: AuditAction,
    change: tuple[LabelText | None, LabelText | None],
    record_id: str,
) -> None:
    before, after = change
    named = after or before
    await tx.audit.append(
        audit_record(
            grant.principal,
            action,
            AuditObject(
                "label",
                "" if named is None else named.name,
                project=grant.project if isinstance(grant, ProjectGrant) else "",
            ),
            before=_facts(before),
            after=_facts(after),
            record_id=record_id,
        )
    )
