"""Removes the locks that wrong secrets put on a robot, as builds do that go on with the one before a rotation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from entrepot.auth.audit_actions import AuditAction
from entrepot.auth.audit_records import AuditObject, audit_record
from entrepot.kernel.ids import new_public_id

if TYPE_CHECKING:
    from entrepot.auth.grants import SystemGrant
    from entrepot.auth.system_actions import UpdateSystemRobot
    from entrepot.metadata.store import Metadata, Transaction

__all__ = ["unlock_robot"]


async def unlock_robot(metadata: Metadata, grant: SystemGrant[UpdateSystemRobot], name: str) -> int | None:
    """Let a robot log in again from everywhere; return from how many addresses it had failed, `None` for no robot.

    Args:
        name: the full one, as `robot$team+ci`.
    """
    robot = await metadata.credentials.find_robot(name)
    if robot is None:
        return None
    about, record_id = AuditObject("robot", robot.name), new_public_id()

    async def unit(tx: Transaction) -> int:
        addresses = await tx.login_failures.unlock(robot.name)
        after = {"addresses": addresses}
        await tx.audit.append(
            audit_record(grant.principal, AuditAction.USER_UNLOCK, about, after=after, record_id=record_id)
        )
        return addresses

    return await metadata.write(unit)
