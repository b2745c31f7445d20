"""The first administrator, made at the first start with accounts: there is no default password (S17).

However many processes and nodes start at once, the name can be taken only once. What was pushed before there were
accounts becomes the first administrator's and private.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import structlog

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.auth.host import host_operator
from entrepot.auth.people.errors import PasswordRejectedError
from entrepot.auth.people.password_file import ADMIN_PASSWORD_FILE, keep_password, remove_password
from entrepot.kernel.failpoints import Failpoint, reach
from entrepot.kernel.ids import new_public_id
from entrepot.metadata.unit_guard import in_order

if TYPE_CHECKING:
    from pathlib import Path

    from entrepot.auth.people.password_policy import PasswordPolicy
    from entrepot.auth.people.passwords import PasswordHashing
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["FIRST_ADMINISTRATOR", "ensure_first_administrator"]

FIRST_ADMINISTRATOR: Final = "admin"

_log: Any = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Credentials:
    password: str
    file: Path | None
    """Where it was written; `None` for one that was given."""


async def ensure_first_administrator(
    metadata: Metadata,
    hashing: PasswordHashing,
    policy: PasswordPolicy,
    data_directory: Path,
    given: str = "",
) -> bool:
    """Make the first administrator when there is no person yet; return whether it was this call that did.

    With a `given` password it need not be changed; else a random one lies in a file, and must be.

    Raises:
        PasswordRejectedError: the given password does not satisfy the policy.
        OSError: the file can't be written.
        MetadataUnavailableError: the database can't be written.
    """
    if await metadata.users.any_exist():
        return False
    credentials = await _credentials(policy, data_directory, given)
    reach(Failpoint.ADMIN_PASSWORD_WRITTEN)
    password_hash = await hashing.hash(credentials.password)
    projects = await _insert(metadata, policy, password_hash, must_change=credentials.file is not None)
    if projects is None:
        await _give_way(metadata, hashing, credentials)
        return False
    path = "" if credentials.file is None else str(credentials.file)
    _log.info("admin.created", name=FIRST_ADMINISTRATOR, password_file=path, projects=projects)
    return True


async def _credentials(policy: PasswordPolicy, data_directory: Path, given: str) -> _Credentials:
    if given:
        reasons = policy.reasons_against(given, (FIRST_ADMINISTRATOR,))
        if reasons:
            raise PasswordRejectedError(reasons)
        return _Credentials(given, None)
    path = data_directory / ADMIN_PASSWORD_FILE
    generated = policy.generate((FIRST_ADMINISTRATOR,))
    return _Credentials(await asyncio.to_thread(keep_password, path, generated), path)


async def _insert(
    metadata: Metadata, policy: PasswordPolicy, password_hash: str, *, must_change: bool
) -> int | None:
    """Make the person owner of what belongs to nobody; return how many projects, `None` if others were quicker."""
    subject, record_id, host = new_public_id(), new_public_id(), host_operator()

    async def unit(tx: Transaction) -> int | None:
        if await tx.users.any_exist():
            return None
        person_id = await tx.users.insert(subject, FIRST_ADMINISTRATOR, email="", realname="", comment="")
        if person_id is None:
            return None
        kept = policy.limits.history + 1
        await tx.users.set_password(person_id, password_hash, must_change=must_change, kept=kept)
        await tx.users.make_administrator(person_id, host.subject)
        projects = await tx.users.take_over_projects(person_id, host.subject)
        about = AuditObject("user", FIRST_ADMINISTRATOR)
        after = {
            "user_id": person_id,
            "system_roles": ["operations-admin"],
            "projects_taken_over": projects,
        }
        await tx.audit.append(
            audit_record(host, AuditAction.USER_CREATE, about, after=after, record_id=record_id)
        )
        return projects

    with in_order():
        return await metadata.write(unit)


async def _give_way(metadata: Metadata, hashing: PasswordHashing, credentials: _Credentials) -> None:
    """Leave no file behind whose password opens nothing, as when another node was quicker."""
    if credentials.file is None:
        return
    winner = await metadata.users.credentials_named(FIRST_ADMINISTRATOR)
    if winner is not None and await hashing.verify(winner.password_hash, credentials.password):
        return
    await asyncio.to_thread(remove_password, credentials.file, credentials.password)
